//! Who a client is: its logins, what failed ones cost, and what is logged of them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use courier_core::account::Account;
use courier_core::account::login::Login;
use courier_core::account::naming::{AccountName, Naming};
use courier_core::account::options::Flag;
use courier_core::account::sasl::{Mechanism, Verdict};
use courier_core::account::secret::Secret;
use courier_core::config::Service;

use super::throttle::Throttle;
use crate::accounts::{Answer, Conversation, LoginRules, Logins};
use crate::net::connection::Connection;
use crate::routing::Configuration;

/// A client of one session, and who it proved to be.
pub struct Client {
    service: Service,
    peer: SocketAddr,
    logins: Logins,
    throttle: Arc<Throttle>,
    rules: Rules,
    conversation: Option<(Mechanism, Conversation)>,
    account: Option<(&'static str, Box<Account>)>,
}

/// What the services make of logins.
#[derive(Debug, Clone)]
struct Rules {
    configuration: Arc<Configuration>,
    service: Service,
    tls: bool,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("service", &self.service)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client that has not said who it is.
    #[must_use]
    pub fn new(context: &super::Context, service: Service, connection: &Connection) -> Self {
        Self {
            service,
            peer: connection.peer,
            logins: context.logins.clone(),
            throttle: Arc::clone(&context.throttle),
            rules: Rules {
                configuration: Arc::clone(&context.routing.configuration),
                service,
                tls: connection.is_tls(),
            },
            conversation: None,
            account: None,
        }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.peer.ip()
    }

    /// Its address and port, as the log has them.
    #[must_use]
    pub fn place(&self) -> (Bracketed<IpAddr>, Bracketed<u16>) {
        (Bracketed(self.peer.ip()), Bracketed(self.peer.port()))
    }

    /// `1` if the connection is encrypted, for the log.
    #[must_use]
    pub fn tls_mark(&self) -> Option<u8> {
        self.rules.tls.then_some(1)
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.rules.tls
    }

    /// From now on the connection is encrypted, and nothing that was said before
    /// counts.
    pub fn under_tls(&mut self) {
        self.rules.tls = true;
        self.conversation = None;
        self.account = None;
    }

    /// Mechanism and account of a client that has logged in.
    #[must_use]
    pub fn account(&self) -> Option<(&'static str, &Account)> {
        self.account
            .as_ref()
            .map(|(mechanism, account)| (*mechanism, account.as_ref()))
    }

    /// Begins a SASL exchange.
    pub async fn begin(&mut self, mechanism: &str, initial: Option<Secret>) -> Verdict {
        let Some(mechanism) = Mechanism::parse(mechanism) else {
            return Verdict::Malformed;
        };
        let rules = Arc::new(self.rules.clone());
        let mut conversation = Conversation::new(self.logins.clone(), rules, mechanism);
        let verdict = conversation.begin(initial).await;
        self.conversation = Some((mechanism, conversation));
        self.concluded(verdict).await
    }

    /// Goes on with it.
    pub async fn respond(&mut self, response: Secret) -> Verdict {
        let Some((_, conversation)) = &mut self.conversation else {
            return Verdict::Malformed;
        };
        let verdict = conversation.respond(response).await;
        self.concluded(verdict).await
    }

    /// Takes a login with its password, from USER and PASS or LOGIN.
    pub async fn password(&mut self, user: &[u8], password: Secret) -> Verdict {
        let login = Login::parse(user).ok();
        let names = login.as_ref().map(|login| self.rules.accounts(login));
        let answer = self.logins.check(names.unwrap_or_default(), password).await;
        let named = String::from_utf8_lossy(user);
        match answer {
            Answer::Accepted(account) if self.rules.admits(&account) => {
                self.succeeded("LOGIN", account);
                Verdict::Accepted
            }
            Answer::Accepted(_) | Answer::Refused => {
                self.failed(None, Some(&named)).await;
                Verdict::Refused
            }
            Answer::Unavailable => Verdict::Unavailable,
        }
    }

    async fn concluded(&mut self, verdict: Verdict) -> Verdict {
        if matches!(verdict, Verdict::Challenge(_)) {
            return verdict;
        }
        let Some((mechanism, conversation)) = self.conversation.take() else {
            return verdict;
        };
        match verdict {
            Verdict::Accepted => match conversation.account() {
                Some(account) => {
                    self.succeeded(mechanism.name(), Box::new(account.clone()));
                }
                None => return Verdict::Unavailable,
            },
            Verdict::Refused => {
                let named = conversation.login().map(ToString::to_string);
                self.failed(Some(mechanism), named.as_deref()).await;
            }
            _ => {}
        }
        verdict
    }

    fn succeeded(&mut self, mechanism: &'static str, account: Box<Account>) {
        let (ip, port) = self.place();
        let user = account.address.as_str();
        let tls = self.tls_mark();
        // The lines of Courier's servers, which log analysers match.
        match self.service {
            Service::Imap | Service::Imaps => {
                tracing::info!(user, %ip, %port, protocol = "IMAP", starttls = tls, "LOGIN");
            }
            Service::Pop3 | Service::Pop3s => tracing::info!(user, %ip, %port, stls = tls, "LOGIN"),
            Service::Esmtp | Service::Submission | Service::Smtps => {
                tracing::info!(user, %ip, %port, method = mechanism, starttls = tls, "LOGIN");
            }
        }
        self.account = Some((mechanism, account));
    }

    async fn failed(&self, method: Option<Mechanism>, user: Option<&str>) {
        let wait = self.throttle.failed(self.peer.ip(), user, Instant::now());
        let (ip, port) = self.place();
        let service = self.service.name();
        match method {
            None => tracing::info!(user, %ip, %port, service, "LOGIN FAILED"),
            Some(method) => {
                tracing::info!(method = method.name(), %ip, %port, user, service, "LOGIN FAILED");
            }
        }
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

impl LoginRules for Rules {
    fn accounts(&self, login: &Login) -> Vec<AccountName> {
        Naming::new(&self.configuration.current()).of_login(login)
    }

    fn admits(&self, account: &Account) -> bool {
        let (closed, insecure) = match self.service {
            Service::Imap | Service::Imaps => (Flag::DisableImap, Flag::DisableInsecureImap),
            Service::Pop3 | Service::Pop3s => (Flag::DisablePop3, Flag::DisableInsecurePop3),
            Service::Esmtp | Service::Submission | Service::Smtps => return true,
        };
        !account.options.is_on(closed) && (self.tls || !account.options.is_on(insecure))
    }
}

/// An address or a port as Courier's log has it: `[192.0.2.1]`.
#[derive(Debug, Clone, Copy)]
pub struct Bracketed<T>(pub T);

impl<T: fmt::Display> fmt::Display for Bracketed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.0)
    }
}
