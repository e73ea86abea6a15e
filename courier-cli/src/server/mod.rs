//! The whole server as a value: sockets, sessions, spool and deliveries of one root.

mod accept;
mod crew;
mod listen;
mod predecessor;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use courier_core::config::{self, Finding, Service, Settings, Severity};
use courier_core::disk;
use courier_core::mta::journal;
use courier_maildir::name::HostName;
use courier_maildir::writer::Writer;
use tokio::runtime::{self, Handle, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::accounts::{AccountDatabase, AccountsError, Directory, Logins};
use crate::check::system_name;
use crate::clock;
use crate::delivery::{Deliveries, Local};
use crate::disk::{Disks, StdDisk};
use crate::failure::{Failure, Status, chain};
use crate::layout::Layout;
use crate::memory;
use crate::net::tls::{Identity, Source};
use crate::notify::Notifier;
use crate::root;
use crate::routing::{Configuration, Routing};
use crate::service::imap::Seen;
use crate::service::throttle::Throttle;
use crate::service::{Context, Stopping, alpn};
use crate::spool::Spool;
use crew::Crew;

pub use listen::Listening;
use predecessor::Predecessor;

/// A configuration that was read, with its sockets bound; root, if we had it, is
/// given up. The process still has one thread.
#[derive(Debug)]
pub struct Prepared {
    layout: Layout,
    settings: Settings,
    findings: Vec<Finding>,
    sockets: Vec<Listening>,
    identities: HashMap<Service, Arc<Identity>>,
    journal: journal::Options,
}

/// Reads the configuration, binds the sockets, and gives up root.
///
/// Without a `listen`, the services that are switched on start, on the ports that are
/// configured for them; sockets that a service manager handed down are used.
///
/// # Errors
/// If the configuration is wrong, a certificate cannot be used, or a socket cannot be
/// bound.
pub fn prepare(layout: &Layout, listen: &[(Service, SocketAddr)]) -> Result<Prepared, Failure> {
    let prepared = prepare_embedded(layout, listen)?;
    root::raise_file_limit();
    memory::give_back_large_pieces();
    root::give_up(layout).map_err(|error| {
        Failure::new(Status::Permission, format!("cannot give up root: {error}"))
    })?;
    Ok(prepared)
}

/// As [`prepare`], for a server that is a part of another program, such as a test:
/// nothing of the process changes, and it may have threads already. It serves as who
/// it is.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_embedded(
    layout: &Layout,
    listen: &[(Service, SocketAddr)],
) -> Result<Prepared, Failure> {
    let (settings, findings) = read(layout);
    if let Some(error) = findings
        .iter()
        .find(|finding| finding.severity == Severity::Error)
    {
        return Err(Failure::new(Status::Configuration, error.to_string()));
    }
    let predecessor = Predecessor::of(layout, PATIENCE);
    let sockets = listen::bind(&settings, listen, &predecessor)?;
    make_spool(layout)?;
    let mut identities = HashMap::new();
    for socket in &sockets {
        if let Some(source) = source(&settings, socket.service) {
            let identity = Identity::load(&source)
                .map_err(|error| Failure::of(Status::Configuration, &error))?;
            identities.insert(socket.service, identity);
        } else if socket.service.is_tls() {
            let text = format!("{} needs a certificate: set TLS_CERTFILE", socket.service);
            return Err(Failure::new(Status::Configuration, text));
        }
    }
    Ok(Prepared {
        layout: layout.clone(),
        settings,
        findings,
        sockets,
        identities,
        journal: journal::Options::default(),
    })
}

/// A root may consist of a distribution's `etc` and nothing else.
fn make_spool(layout: &Layout) -> Result<(), Failure> {
    if layout.root.is_none() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(&layout.spool);
    made.map_err(|error| {
        let text = format!("{}: {error}", layout.spool.display());
        Failure::new(Status::of(&error), text)
    })
}

fn read(layout: &Layout) -> (Settings, Vec<Finding>) {
    let host = system_name();
    let load = disk::task(|disk| config::load(disk, &layout.places, &host));
    StdDisk::new(1).run(load)
}

/// Where a service's certificate is.
fn source(settings: &Settings, service: Service) -> Option<Source> {
    let tls = &settings.service(service).tls;
    Some(Source {
        certificate: tls.certificate.as_ref()?.value.clone(),
        key: tls.private_key.as_ref().map(|key| key.value.clone()),
        alpn: alpn(service),
    })
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    /// For what waits beside the sessions: signals, changes of folders.
    runtime: Runtime,
    crew: Arc<Crew>,
    context: Arc<Context>,
    layout: Layout,
    addresses: Vec<(Service, SocketAddr)>,
    stopping: watch::Sender<bool>,
    /// Closes when the last session has ended.
    sessions: Mutex<mpsc::Receiver<()>>,
    accepting: Mutex<JoinSet<()>>,
}

impl Prepared {
    /// What the configuration has that is worth a line in the log.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Keeps the spool's journal so, where it is begun; the key and the process are
    /// not looked at.
    #[must_use]
    pub fn with_journal(self, options: journal::Options) -> Self {
        Self {
            journal: options,
            ..self
        }
    }

    /// Opens the spool and starts to serve.
    ///
    /// # Errors
    /// If the spool is another server's, or cannot be read; if the system refuses.
    pub fn start(self) -> Result<Server, Failure> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("waiting")
            .enable_all()
            .build();
        let runtime = no_threads(runtime)?;
        let disk = StdDisk::new(DISK_THREADS);
        let disks = Disks::new(disk.clone());
        let database = AccountDatabase::new(&self.layout);
        let server_key = match database.server_key() {
            Ok(key) => key,
            Err(error) => {
                // Logins and recipients will get temporary failures until it is there.
                tracing::error!(error = chain(&error), "ACCOUNT DATABASE");
                match error {
                    AccountsError::Missing(_) => crate::random::array::<32>().to_vec().into(),
                    error => return Err(error.into()),
                }
            }
        };
        let directory: Arc<dyn Directory> = Arc::new(database);
        let logins = Logins::new(Arc::clone(&directory), server_key, disks.clone(), threads());
        let routing = Arc::new(Routing {
            configuration: Arc::new(Configuration::new(self.settings)),
            directory,
            logins: logins.clone(),
        });
        let host = HostName::new(&system_name());
        let writer = Writer::new(clock::now(), std::process::id(), host, MAIL_MODE);
        let journal = self.layout.spool.join("journal");
        let (spool, waiting) = Spool::open(&journal, &disk, self.journal)
            .map_err(|error| Failure::of(Status::TryLater, &error))?;
        let local = Local {
            routing: Arc::clone(&routing),
            disk: disk.clone(),
            writer: writer.clone(),
        };
        let deliveries = Deliveries::start(&spool, &local, waiting);
        let notifier = {
            let _runtime = runtime.enter();
            Notifier::start()
        };
        let context = Arc::new(Context {
            routing,
            logins,
            throttle: Arc::new(Throttle::default()),
            spool,
            deliveries,
            disks,
            notifier,
            writer,
            seen: Seen::default(),
            identities: self.identities,
        });
        let (stopping, stops) = watch::channel(false);
        let (session, sessions) = mpsc::channel(1);
        let crew = Arc::new(no_threads(Crew::start(threads()))?);
        let addresses = self
            .sockets
            .iter()
            .map(|s| (s.service, s.address))
            .collect();
        let accepting = {
            let _runtime = crew.first().map(Handle::enter);
            accept::start(&crew, &context, self.sockets, &Stopping(stops), &session)
                .map_err(|error| Failure::new(Status::TryLater, error.to_string()))?
        };
        Ok(Server {
            runtime,
            crew,
            context,
            layout: self.layout,
            addresses,
            stopping,
            sessions: Mutex::new(sessions),
            accepting: Mutex::new(accepting),
        })
    }
}

impl Server {
    /// Where it listens, one entry a socket.
    #[must_use]
    pub fn addresses(&self) -> &[(Service, SocketAddr)] {
        &self.addresses
    }

    /// Where a service listens first.
    #[must_use]
    pub fn address(&self, service: Service) -> Option<SocketAddr> {
        let found = self.addresses.iter().find(|(name, _)| *name == service);
        found.map(|(_, address)| *address)
    }

    /// The runtime, for what waits beside the server.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Reads the configuration again. New sessions go by it; if it is wrong, the old
    /// one stays. So it is with each certificate.
    ///
    /// # Errors
    /// What is wrong with the new one.
    pub fn reload(&self) -> Result<(), Vec<Finding>> {
        let (settings, findings) = read(&self.layout);
        let errors: Vec<_> = findings
            .into_iter()
            .filter(|finding| finding.severity == Severity::Error)
            .collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        for (service, identity) in &self.context.identities {
            let reloaded = source(&settings, *service).map(|source| identity.reload(&source));
            if let Some(Err(error)) = reloaded {
                tracing::error!(
                    service = service.name(),
                    error = chain(&error),
                    "CERTIFICATE"
                );
            }
        }
        self.context.routing.configuration.replace(settings);
        Ok(())
    }

    /// Stops: no new connections, sessions are told and may finish the message they
    /// are at, for at most 30 seconds; what is accepted stays in the journal.
    pub fn stop(self) {
        self.stop_within(PATIENCE);
    }

    /// As [`Self::stop`], with another patience.
    pub fn stop_within(self, patience: Duration) {
        self.stopping.send(true).ok();
        let lock = self.accepting.lock();
        let mut accepting = lock.unwrap_or_else(PoisonError::into_inner);
        accepting.abort_all();
        let lock = self.sessions.lock();
        let mut sessions = lock.unwrap_or_else(PoisonError::into_inner);
        self.runtime.block_on(async {
            while accepting.join_next().await.is_some() {}
            let ended = async { while sessions.recv().await.is_some() {} };
            if tokio::time::timeout(patience, ended).await.is_err() {
                tracing::warn!("SESSIONS CUT OFF");
            }
        });
        drop((accepting, sessions));
        self.crew.stop();
        self.context.deliveries.stop();
        self.context.spool.stop();
        self.runtime.shutdown_background();
    }
}

fn no_threads<T>(started: io::Result<T>) -> Result<T, Failure> {
    started.map_err(|error| Failure::new(Status::TryLater, format!("no threads: {error}")))
}

/// One thread a processor.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(Status::of(&error), error.to_string())
    }
}

/// Threads for file work, which mostly waits.
const DISK_THREADS: usize = 16;
/// Permissions of messages and state files in maildirs.
const MAIL_MODE: u32 = 0o600;
/// How long sessions may take to end (reliability.md 1.5).
const PATIENCE: Duration = Duration::from_secs(30);
