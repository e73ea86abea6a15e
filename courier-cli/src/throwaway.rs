//! A whole server that lives as long as a value: for tests, examples and the demo.
//!
//! ```
//! use std::net::TcpStream;
//!
//! use courier_cli::throwaway::Throwaway;
//! use courier_core::config::Service;
//!
//! let server = Throwaway::new().account("ann@example.com", "sesame").start()?;
//! let client = TcpStream::connect(server.address(Service::Imap))?;
//! # drop(client);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It is the server of `courier serve`, in this process: the same sockets, journal,
//! maildirs and TLS, in a root of its own in the system's directory for temporary
//! files. When the value is dropped, also by a panic, the server stops and the root is
//! removed. Any number of them may live side by side, and inside runtimes of others:
//! each has its own threads and asks for free ports.
//!
//! Three things differ, so that a test gets its server in a fraction of a second:
//! passwords are stored as they are and not hashed, the journal's segments are small,
//! and clients that are in the middle of something are not waited for at the end.

use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use courier_core::account::naming::AccountName;
use courier_core::account::password::StoredPasswords;
use courier_core::account::secret::Secret;
use courier_core::address::Domain;
use courier_core::config::Service;
use courier_core::disk;
use courier_core::mta::journal;

use crate::accounts::{AccountDatabase, Record};
use crate::clock;
use crate::disk::StdDisk;
use crate::failure::{Failure, Status};
use crate::init::{self, Plan};
use crate::layout::Layout;
use crate::net::certificate;
use crate::random;
use crate::server;

/// What a throw-away server is to have. Without accounts it knows nobody; without
/// services named it has all of them.
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is made before `start`"]
pub struct Throwaway {
    accounts: Vec<(String, Secret)>,
    services: Vec<Service>,
    lines: Vec<(String, String)>,
}

impl Throwaway {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// An account, `user@domain`, with this password. Mail for the domain is taken.
    pub fn account(mut self, address: &str, password: &str) -> Self {
        self.accounts
            .push((address.to_owned(), Secret::from(password.as_bytes())));
        self
    }

    /// This service, and no others but those named so.
    pub fn service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// A line at the end of a file in `etc`: `.configure("esmtpd", "MAXPERIP=2")`.
    pub fn configure(mut self, file: &str, line: &str) -> Self {
        self.lines.push((file.to_owned(), line.to_owned()));
        self
    }

    /// Makes the root and starts the server.
    ///
    /// # Errors
    /// If an address is none, the configuration is wrong, or the system refuses.
    pub fn start(self) -> Result<Server, Failure> {
        self.make()?.start()
    }

    /// Makes the root, with its accounts and their maildirs, and starts nothing.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn make(self) -> Result<Root, Failure> {
        let folder = Folder::new()?;
        let layout = Layout::in_root(&folder.0);
        let mut domains = Vec::new();
        let mut accounts = Vec::new();
        for (address, password) in self.accounts {
            let usage = |error| Failure::new(Status::Usage, format!("{address}: {error}"));
            let name = AccountName::parse(&address).map_err(usage)?;
            if let Some(domain) = name.domain() {
                let domain = Domain::parse(domain).map_err(usage)?;
                if !domains.contains(&domain) {
                    domains.push(domain);
                }
            }
            accounts.push((address, name, password));
        }
        let host = match domains.first() {
            Some(domain) => format!("mail.{}", domain.to_ascii()),
            None => "mail.example.com".to_owned(),
        };
        let host = Domain::parse(&host)
            .map_err(|error| Failure::new(Status::Usage, format!("{host}: {error}")))?;
        let certificate = certificate::self_signed(host.to_ascii(), clock::unix_now())
            .map_err(|error| Failure::of(Status::Usage, &error))?;
        let plan = Plan {
            layout: layout.clone(),
            host,
            domains,
            certificate,
        };
        StdDisk::new(1).run(disk::task(|disk| init::make(disk, plan)))?;
        for (file, line) in &self.lines {
            let path = layout.etc().join(file);
            let mut file = fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)?;
            writeln!(file, "{line}")?;
        }
        Ok(Root {
            maildirs: add(&layout, accounts)?,
            services: self.services,
            layout,
            folder,
        })
    }
}

/// Adds accounts; gives their maildirs.
fn add(
    layout: &Layout,
    accounts: Vec<(String, AccountName, Secret)>,
) -> Result<Vec<(String, PathBuf)>, Failure> {
    let database = AccountDatabase::new(layout);
    database.create()?;
    let mut maildirs = Vec::new();
    for (address, name, password) in accounts {
        let stored = [b"{PLAIN}", password.expose()].concat();
        let record = Record {
            passwords: StoredPasswords::from_stored([Secret::new(stored)]),
            ..Record::default()
        };
        database.make_home(&name, &record)?;
        database.add(&name, &record)?;
        maildirs.extend(
            database
                .places(&name, &record)
                .map(|(_, maildir)| (address, maildir)),
        );
    }
    Ok(maildirs)
}

/// A throw-away root: removed when dropped.
#[derive(Debug)]
pub struct Root {
    layout: Layout,
    services: Vec<Service>,
    maildirs: Vec<(String, PathBuf)>,
    folder: Folder,
}

impl Root {
    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder.0
    }

    /// Where what is in it: `etc`, `var`, `share`, `home`.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The certificate that clients are to trust, in PEM.
    #[must_use]
    pub fn trusted(&self) -> PathBuf {
        self.layout.share().join(init::TRUSTED)
    }

    /// The maildir of an account.
    ///
    /// # Panics
    /// If there is no account of this address.
    #[must_use]
    pub fn maildir(&self, address: &str) -> &Path {
        let found = self.maildirs.iter().find(|(known, _)| known == address);
        match found {
            Some((_, maildir)) => maildir,
            None => panic!("this throw-away root has no account {address}"),
        }
    }

    /// The files of the messages in an account's INBOX, those that no client has seen
    /// first.
    ///
    /// # Panics
    /// If there is no account of this address.
    #[must_use]
    pub fn messages(&self, address: &str) -> Vec<PathBuf> {
        let mut all = Vec::new();
        for part in ["new", "cur"] {
            let entries = fs::read_dir(self.maildir(address).join(part));
            let entries = entries.into_iter().flatten().flatten();
            let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
            files.sort_unstable();
            all.append(&mut files);
        }
        all
    }

    /// Waits until an account has so many messages, half a minute at most; gives those
    /// it has then. A message that was answered 250 is delivered a moment later.
    ///
    /// # Panics
    /// If there is no account of this address.
    #[must_use]
    pub fn wait_for_messages(&self, address: &str, count: usize) -> Vec<PathBuf> {
        let end = Instant::now() + DELIVERY_PATIENCE;
        loop {
            let messages = self.messages(address);
            if messages.len() >= count || Instant::now() >= end {
                return messages;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Starts the server.
    ///
    /// # Errors
    /// If the configuration is wrong, or the system refuses.
    pub fn start(self) -> Result<Server, Failure> {
        let services = match self.services.as_slice() {
            [] => Service::ALL.to_vec(),
            some => some.to_vec(),
        };
        let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listen: Vec<_> = services
            .into_iter()
            .map(|service| (service, free_port))
            .collect();
        let journal = journal::Options {
            segment: SEGMENT,
            ..journal::Options::default()
        };
        let started = apart(|| {
            let prepared = server::prepare_embedded(&self.layout, &listen)?;
            prepared.with_journal(journal).start()
        });
        Ok(Server {
            server: Some(started??),
            root: self,
        })
    }
}

/// A running throw-away server: stopped and removed when dropped.
#[derive(Debug)]
pub struct Server {
    server: Option<server::Server>,
    // Dropped after the server has stopped.
    root: Root,
}

impl Server {
    /// Its root, with accounts, maildirs and certificate.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Where a service listens.
    ///
    /// # Panics
    /// If it was not among those that were to start.
    #[must_use]
    pub fn address(&self, service: Service) -> SocketAddr {
        let server = self.server.as_ref();
        match server.and_then(|server| server.address(service)) {
            Some(address) => address,
            None => panic!("this throw-away server was started without {service}"),
        }
    }

    /// Where it listens, one entry a service.
    #[must_use]
    pub fn addresses(&self) -> &[(Service, SocketAddr)] {
        self.server.as_ref().map_or(&[], server::Server::addresses)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            // If there is no thread to be had, the server goes without a farewell.
            apart(|| server.stop_within(FAREWELL)).ok();
        }
    }
}

/// Does something on a thread of its own: whoever asks may be inside a runtime, where
/// another one must neither be waited for nor dropped.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let worker = thread::Builder::new().name("throwaway".to_owned());
        let worker = worker.spawn_scoped(scope, work)?;
        match worker.join() {
            Ok(value) => Ok(value),
            // A second panic would end the process and say nothing of the first.
            Err(_) if thread::panicking() => Err(io::ErrorKind::Other.into()),
            Err(panic) => resume_unwind(panic),
        }
    })
}

/// A directory that only we may enter, removed with all that is in it.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let parent = std::env::temp_dir();
        loop {
            let name = format!("courier-{:08x}", u32::from_ne_bytes(random::array()));
            let path = parent.join(name);
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let text = format!("cannot make {}: {error}", path.display());
                    return Err(io::Error::new(error.kind(), text));
                }
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A test that put something there that cannot be removed has itself to blame.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Octets of a segment of the journal: room for several of the largest messages that
/// go into it.
const SEGMENT: u64 = 1 << 20;
/// How long a message may be on its way into a maildir.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(30);
/// How long clients have to part.
const FAREWELL: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpStream;

    fn greeting(address: SocketAddr) -> String {
        let mut line = String::new();
        let stream = TcpStream::connect(address).expect("connected");
        BufReader::new(stream).read_line(&mut line).expect("a line");
        line
    }

    #[test]
    fn every_service_greets_and_nothing_stays_behind() {
        let server = Throwaway::new()
            .account("ann@example.com", "sesame")
            .start();
        let server = server.expect("started");
        for (service, word) in [
            (Service::Esmtp, "220 mail.example.com"),
            (Service::Submission, "220 "),
            (Service::Imap, "* OK"),
            (Service::Pop3, "+OK"),
        ] {
            let line = greeting(server.address(service));
            assert!(line.starts_with(word), "{service}: {line}");
        }
        assert_eq!(server.addresses().len(), Service::ALL.len());
        assert!(server.root().trusted().is_file());
        let (path, address) = (
            server.root().path().to_path_buf(),
            server.address(Service::Imap),
        );
        drop(server);
        assert!(!path.exists());
        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    fn only_the_services_that_were_named_start_with_the_lines_that_were_added() {
        let server = Throwaway::new()
            .service(Service::Pop3)
            .configure("pop3d", "MAXPERIP=1")
            .start()
            .expect("started");
        let [(Service::Pop3, address)] = *server.addresses() else {
            panic!("{:?}", server.addresses());
        };
        let _first = TcpStream::connect(address).expect("connected");
        assert!(greeting(address).starts_with("-ERR [SYS/TEMP]"));
    }

    #[test]
    fn many_live_side_by_side() {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let server = Throwaway::new()
                        .account("ann@example.com", "sesame")
                        .start();
                    let server = server.expect("started");
                    assert!(greeting(server.address(Service::Imap)).starts_with("* OK"));
                });
            }
        });
    }

    #[test]
    fn a_panic_stops_the_server_and_removes_the_root() {
        let (tell, told) = std::sync::mpsc::channel();
        let test = thread::spawn(move || {
            let server = Throwaway::new()
                .service(Service::Esmtp)
                .start()
                .expect("started");
            // A client that does not part keeps nobody.
            let client = TcpStream::connect(server.address(Service::Esmtp)).expect("connected");
            tell.send((server.root().path().to_path_buf(), client))
                .expect("told");
            panic!("as it must");
        });
        assert!(test.join().is_err());
        let (path, _client) = told.recv().expect("told");
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_runtime_of_somebody_else_is_not_disturbed() {
        let server = Throwaway::new()
            .service(Service::Imap)
            .start()
            .expect("started");
        let address = server.address(Service::Imap);
        let stream = tokio::net::TcpStream::connect(address)
            .await
            .expect("connected");
        stream.readable().await.expect("greeted");
        drop(server);
    }

    #[test]
    fn what_is_no_address_is_named() {
        let failure = Throwaway::new()
            .account("ann@", "x")
            .start()
            .expect_err("no address");
        assert_eq!(failure.status, Status::Usage);
        assert!(failure.message.starts_with("ann@: "), "{failure}");
    }

    #[test]
    #[should_panic(expected = "no account bob@example.com")]
    fn the_maildir_of_nobody_is_nowhere() {
        let root = Throwaway::new().make().expect("made");
        let _ = root.maildir("bob@example.com");
    }
}
