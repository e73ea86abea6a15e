//! The services: each drives one protocol machine over connections and answers its
//! questions from accounts, spool and mailboxes.

pub mod esmtp;
pub mod imap;
pub mod login;
pub mod pop3;
pub(crate) mod quota;
pub mod throttle;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use courier_core::config::{Service, Settings};
use courier_core::time::Millis;
use courier_imap::session::settings::LoginCommand;
use courier_maildir::writer::Writer;
use courier_pop3::session::ClearPasswords;
use courier_smtp::reply::Refusal;
use tokio::sync::watch;

use crate::accounts::Logins;
use crate::delivery::Deliveries;
use crate::disk::Disks;
use crate::net::connection::{Connection, Wait};
use crate::net::tls::Identity;
use crate::notify::Notifier;
use crate::routing::Routing;
use crate::spool::Spool;
use throttle::Throttle;

/// What the sessions of a server share.
#[derive(Debug)]
pub struct Context {
    /// Where mail goes.
    pub routing: Arc<Routing>,
    /// Who may log in.
    pub logins: Logins,
    /// What failed logins cost.
    pub throttle: Arc<Throttle>,
    /// Where mail is accepted.
    pub spool: Spool,
    /// Who delivers it.
    pub deliveries: Deliveries,
    /// The files.
    pub disks: Disks,
    /// Who tells of changes in maildirs.
    pub notifier: Notifier,
    /// Who writes into maildirs.
    pub writer: Writer,
    /// What IMAP sessions saw of folders.
    pub seen: imap::Seen,
    /// The certificates of the services that have one.
    pub identities: HashMap<Service, Arc<Identity>>,
}

impl Context {
    /// Shakes hands for TLS with the certificate of a service.
    ///
    /// # Errors
    /// If the handshake fails, or the service has no certificate.
    pub async fn start_tls(&self, service: Service, connection: &mut Connection) -> io::Result<()> {
        let identity = self.identities.get(&service);
        let identity = identity.ok_or(io::ErrorKind::Unsupported)?;
        connection
            .start_tls(identity.current(connection.local.ip()))
            .await
    }
}

/// The ALPN name of a service's protocol (RFC 7301; `TLS_ALPN`).
#[must_use]
pub fn alpn(service: Service) -> &'static str {
    match service {
        Service::Esmtp | Service::Submission | Service::Smtps => "smtp",
        Service::Imap | Service::Imaps => "imap",
        Service::Pop3 | Service::Pop3s => "pop3",
    }
}

/// Tells a session that the server stops.
#[derive(Debug, Clone)]
pub struct Stopping(pub watch::Receiver<bool>);

impl Stopping {
    /// Whether it does.
    #[must_use]
    pub fn is_now(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for input from the client until the deadline, or until the server begins
    /// to stop.
    pub async fn or_input(&mut self, connection: &mut Connection, deadline: Millis) -> Wait {
        tokio::select! {
            biased;
            wait = connection.fill(deadline) => wait,
            () = self.begin() => Wait::Deadline,
        }
    }

    /// Waits until it begins to; for ever, if it has begun before.
    pub async fn begin(&mut self) {
        if !self.is_now() && self.0.wait_for(|stopping| *stopping).await.is_ok() {
            return;
        }
        std::future::pending().await
    }
}

/// The settings of a service's protocol machine, shared by its sessions.
#[derive(Debug, Clone)]
pub enum Machine {
    /// ESMTP.
    Esmtp(Arc<courier_smtp::server::Settings>),
    /// POP3: for clients on this host, and for others.
    Pop3(ByPlace<courier_pop3::session::Settings>),
    /// IMAP: for clients on this host, and for others.
    Imap(ByPlace<courier_imap::session::settings::Settings>),
}

/// Settings that depend on where the client is: on this host a password may pass in
/// clear (imap.md section 11).
#[derive(Debug)]
pub struct ByPlace<T> {
    near: Arc<T>,
    far: Arc<T>,
}

impl<T> Clone for ByPlace<T> {
    fn clone(&self) -> Self {
        Self {
            near: Arc::clone(&self.near),
            far: Arc::clone(&self.far),
        }
    }
}

impl<T> ByPlace<T> {
    fn of(self, client: IpAddr) -> Arc<T> {
        match client.is_loopback() {
            true => self.near,
            false => self.far,
        }
    }
}

impl Machine {
    /// What the configuration says for a service.
    #[must_use]
    pub fn new(settings: &Settings, service: Service) -> Self {
        let of_service = settings.service(service);
        match service {
            Service::Esmtp | Service::Submission | Service::Smtps => {
                Self::Esmtp(Arc::new(esmtp::settings(settings, of_service)))
            }
            Service::Pop3 | Service::Pop3s => Self::Pop3(ByPlace {
                near: Arc::new(pop3::settings(of_service, ClearPasswords::Allowed)),
                far: Arc::new(pop3::settings(of_service, ClearPasswords::Refused)),
            }),
            Service::Imap | Service::Imaps => Self::Imap(ByPlace {
                near: Arc::new(imap::settings(of_service, LoginCommand::Allowed)),
                far: Arc::new(imap::settings(of_service, LoginCommand::Disabled)),
            }),
        }
    }

    /// What a client is told for which there is no room.
    #[must_use]
    pub fn turning_away(&self) -> Vec<u8> {
        match self {
            Self::Esmtp(settings) => {
                let refusal = Refusal::too_many_sessions();
                let machine =
                    courier_smtp::server::Server::turning_away(Arc::clone(settings), refusal);
                machine.pending().to_vec()
            }
            Self::Pop3(settings) => {
                let settings = Arc::clone(&settings.far);
                let machine = courier_pop3::session::Session::turning_away(settings);
                machine.pending().to_vec()
            }
            Self::Imap(_) => b"* BYE [LIMIT] Too many connections, try again later\r\n".to_vec(),
        }
    }

    /// Serves a client to the end.
    ///
    /// # Errors
    /// If the connection breaks.
    pub async fn serve(
        self,
        context: Arc<Context>,
        service: Service,
        connection: Connection,
        stopping: Stopping,
    ) -> io::Result<()> {
        let client = connection.peer.ip();
        match self {
            Self::Esmtp(settings) => {
                esmtp::serve(context, service, settings, connection, stopping).await
            }
            Self::Pop3(settings) => {
                pop3::serve(context, service, settings.of(client), connection, stopping).await
            }
            Self::Imap(settings) => {
                imap::serve(context, service, settings.of(client), connection, stopping).await
            }
        }
    }
}
