//! `courier demo`: a throw-away server, and one message on its way through all of it.
//!
//! What it shows is what happens: the server is the one of `courier serve`, the
//! messages pass over sockets and TLS, and what comes back is compared octet by octet.

mod imap;
mod letter;
mod page;
mod pop3;
mod smtp;
mod wire;

use std::fs::{self, File};
use std::future::Future;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use courier_core::address::AddressError;
use courier_core::config::Service;
use courier_core::message::wire::{Encoding, Pieces};
use courier_smtp::client;
use courier_smtp::reply::Reply;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Failure, Status, chain};
use crate::log;
use crate::random;
use crate::throwaway::{Server, Throwaway};
use letter::Letter;
use page::Page;
use wire::Trust;

/// When the demo ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// When the message has made its way.
    AfterTheRoundTrip,
    /// When a signal comes: until then it serves.
    WhenTold,
}

/// Runs the demo; prints what happens on standard output.
///
/// # Errors
/// If the server cannot be started, a step fails, or a signal comes in the middle.
pub fn run(end: End) -> Result<ExitCode, Failure> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut page = Page::on_standard_output();
    runtime.block_on(async {
        // From here on a signal is waited for, so that the root is removed.
        let mut signals = Signals::catch()?;
        page.title(
            "Courier demo: a whole mail server in this process, and one message on its way \
             through it.",
        );
        let demo = Demo::start(&mut page)?;
        let made = tokio::select! {
            made = demo.round_trip(&mut page) => made,
            () = signals.any() => Err(DemoError::Interrupted),
        };
        if let Err(error) = made {
            page.failed(&chain(&error));
            if !matches!(error, DemoError::Interrupted) {
                demo.log.show();
            }
            return Err(Failure::of(error.status(), &error));
        }
        let root = demo.server.root().path().display().to_string();
        // Who no longer reads will not learn where to connect to.
        if end == End::WhenTold && page.is_read() {
            demo.tell_how_to_connect(&mut page);
            signals.any().await;
        }
        drop(demo);
        page.line("");
        page.line(&match end {
            End::AfterTheRoundTrip => format!("Every step succeeded; {root} is removed."),
            End::WhenTold => format!("Stopped; {root} is removed."),
        });
        Ok(ExitCode::SUCCESS)
    })
}

/// Why a step of the demo fails.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    /// The connection breaks, or does not come about.
    #[error("the connection failed")]
    Connection(#[from] io::Error),
    /// A demo account has no proper address.
    #[error("the accounts' addresses cannot be used")]
    Address(#[from] AddressError),
    /// The server is silent.
    #[error("no answer within {} seconds", PATIENCE.as_secs())]
    TimedOut,
    /// The server says something else than it should.
    #[error("the server said {said:?} to {command}")]
    Said {
        /// What it said.
        said: String,
        /// What it was told; without passwords.
        command: String,
    },
    /// The SMTP session fails.
    #[error("the SMTP session failed")]
    Smtp(#[from] client::Failure),
    /// The message is not taken.
    #[error("the message was not taken: {0}")]
    NotTaken(Reply),
    /// It was taken and does not come.
    #[error("the message is not in {} after {} seconds", .0.display(), PATIENCE.as_secs())]
    NotDelivered(PathBuf),
    /// What comes out is not what went in.
    #[error("the message that came by {by} is not the one that was sent: {got:?}")]
    Differs {
        /// How it came.
        by: &'static str,
        /// What came.
        got: String,
    },
    /// A signal.
    #[error("interrupted")]
    Interrupted,
}

impl DemoError {
    fn status(&self) -> Status {
        match self {
            Self::Connection(_) => Status::Io,
            Self::Interrupted => Status::No,
            _ => Status::Software,
        }
    }
}

/// The server that is shown, and who uses it.
#[derive(Debug)]
struct Demo {
    server: Server,
    ann: User,
    bob: User,
    log: Log,
}

/// The server's log: in a file that can be read to the end, also when it is removed.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: File,
}

/// An account with its password.
#[derive(Debug)]
struct User {
    address: String,
    password: String,
}

impl User {
    fn new(name: &str) -> Self {
        Self {
            address: format!("{name}@{DOMAIN}"),
            password: password(),
        }
    }
}

impl Demo {
    fn start(page: &mut Page) -> Result<Self, Failure> {
        page.step("root", "A throw-away directory with two accounts.");
        let (ann, bob) = (User::new("ann"), User::new("bob"));
        let root = Throwaway::new()
            .account(&ann.address, &ann.password)
            .account(&bob.address, &bob.password)
            .make()?;
        page.detail(&root.path().display().to_string());
        page.detail(&format!("{} and {}", ann.address, bob.address));
        page.done("");

        page.step(
            "server",
            "Every service, each on a free port of this machine alone.",
        );
        let log = Log::begin(root.path().join("log"))?;
        let server = root.start().inspect_err(|_| log.show())?;
        for some in server.addresses().chunks(4) {
            let some = some
                .iter()
                .map(|(service, at)| format!("{service} {}", at.port()));
            page.detail(&some.collect::<Vec<_>>().join(", "));
        }
        page.done("");
        Ok(Self {
            server,
            ann,
            bob,
            log,
        })
    }

    async fn round_trip(&self, page: &mut Page) -> Result<(), DemoError> {
        let letter = Letter::new(&self.ann.address, &self.bob.address, DOMAIN)?;
        let trust = Trust::read(&self.server.root().trusted())?;

        page.step(
            "SMTP",
            "Ann hands in a message for Bob: submission, STARTTLS, AUTH.",
        );
        let at = self.server.address(Service::Submission);
        in_time(smtp::submit(page, at, &trust, &self.ann, &letter)).await?;
        page.done("the 250 means that it is on disk");

        page.step(
            "filter",
            "There is no filter installed yet; the message goes on as it came.",
        );

        page.step("delivery", "Into Bob's maildir.");
        let file = self.delivered().await?;
        page.detail(&file.display().to_string());
        let kept = fs::read(&file)?;
        letter.check("the maildir", &on_the_wire(&kept))?;
        page.done("Ann's text, below the fields that the server put on top");

        page.step(
            "IMAP",
            "Bob reads it, on a port that is TLS from the first octet.",
        );
        let at = self.server.address(Service::Imaps);
        let read = in_time(imap::read(page, at, &trust, &self.bob)).await?;
        letter.check("IMAP", &read)?;
        page.done("the same text");

        page.step("POP3", "And once more, with STLS.");
        let at = self.server.address(Service::Pop3);
        let read_again = in_time(pop3::read(page, at, &trust, &self.bob)).await?;
        letter.check("POP3", &read_again)?;
        if read_again != read {
            return Err(DemoError::Differs {
                by: "POP3",
                got: String::from_utf8_lossy(&read_again).into_owned(),
            });
        }
        page.done("the same text");
        Ok(())
    }

    /// The file of Bob's first message, once it is there.
    async fn delivered(&self) -> Result<PathBuf, DemoError> {
        let end = Instant::now() + PATIENCE;
        let root = self.server.root();
        while Instant::now() < end {
            if let Some(file) = root.messages(&self.bob.address).into_iter().next() {
                return Ok(file);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Err(DemoError::NotDelivered(
            root.maildir(&self.bob.address).to_path_buf(),
        ))
    }

    fn tell_how_to_connect(&self, page: &mut Page) {
        let root = self.server.root();
        page.step(
            "It works.",
            "It goes on serving, so that you can try it with a mail client:",
        );
        page.line("");
        for (label, user) in [("accounts", &self.ann), ("", &self.bob)] {
            let User { address, password } = user;
            page.entry(label, &format!("{address:<20}password {password}"));
        }
        page.entry("server", "localhost, which is 127.0.0.1");
        for (what, clear, clearly, secure) in [
            (
                "IMAP",
                Service::Imap,
                "in clear or with STARTTLS",
                Service::Imaps,
            ),
            (
                "POP3",
                Service::Pop3,
                "in clear or with STLS",
                Service::Pop3s,
            ),
            ("SMTP", Service::Submission, "with STARTTLS", Service::Smtps),
        ] {
            let (clear, secure) = (self.port(clear), self.port(secure));
            let clear = format!("port {clear} {clearly}");
            page.entry(what, &format!("{clear:<38}port {secure} with TLS"));
        }
        let path = |path: &Path| path.display().to_string();
        page.entry("trust", &path(&root.trusted()));
        page.entry("mail", &path(root.maildir(&self.bob.address)));
        page.entry("settings", &path(root.layout().etc()));
        page.entry("log", &path(&self.log.path));
        self.tell_commands(page);
        page.line("");
        page.line("  Mail to other hosts is refused: this version does not send any yet.");
        page.line("  Ctrl-C stops the server and removes the directory.");
    }

    /// How to read and send without a mail client.
    fn tell_commands(&self, page: &mut Page) {
        let trusted = self.server.root().trusted();
        let (trusted, ann, bob) = (trusted.display(), &self.ann, &self.bob);
        page.line("");
        page.line("  Without a mail client, Bob reads his first message, and Ann sends another:");
        page.line("");
        page.line(&format!("    curl --cacert {trusted} \\"));
        page.line(&format!("      -u {}:{} \\", bob.address, bob.password));
        let port = self.port(Service::Imaps);
        page.line(&format!(
            "      'imaps://localhost:{port}/INBOX;MAILINDEX=1'"
        ));
        page.line(&format!(
            "    echo 'Subject: Hi' | curl --cacert {trusted} \\"
        ));
        page.line(&format!("      -u {}:{} \\", ann.address, ann.password));
        let (from, to) = (&ann.address, &bob.address);
        page.line(&format!("      --mail-from {from} --mail-rcpt {to} \\"));
        let port = self.port(Service::Smtps);
        page.line(&format!("      -T - smtps://localhost:{port}"));
    }

    fn port(&self, service: Service) -> u16 {
        self.server.address(service).port()
    }
}

impl Log {
    fn begin(path: PathBuf) -> io::Result<Self> {
        let mut options = File::options();
        let file = options.read(true).append(true).create(true).open(&path)?;
        log::start_into(log::Format::Text, file.try_clone()?);
        Ok(Self { path, file })
    }

    /// What the server has to say for itself, when something went wrong.
    fn show(&self) {
        log::flush();
        let (mut file, mut text) = (&self.file, String::new());
        let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
        let lines: Vec<_> = text.lines().collect();
        let last = lines.get(lines.len().saturating_sub(LOG_LINES)..);
        let mut out = io::stderr().lock();
        let last = last.filter(|last| !last.is_empty() && read.is_ok());
        for line in last.into_iter().flatten() {
            writeln!(out, "log: {line}").ok();
        }
    }
}

/// The signals that end the demo.
struct Signals([Signal; 3]);

impl Signals {
    fn catch() -> io::Result<Self> {
        let hangup = signal(SignalKind::hangup())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self([hangup, interrupt, terminate]))
    }

    /// Waits for one of them.
    async fn any(&mut self) {
        let [hangup, interrupt, terminate] = &mut self.0;
        tokio::select! {
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

async fn in_time<T>(talk: impl Future<Output = Result<T, DemoError>>) -> Result<T, DemoError> {
    let talk = tokio::time::timeout(PATIENCE, talk).await;
    talk.unwrap_or(Err(DemoError::TimedOut))
}

/// Stored text as clients get it, with CRLF.
fn on_the_wire(stored: &[u8]) -> Vec<u8> {
    Pieces::new(stored, Encoding::Crlf)
        .flatten()
        .copied()
        .collect()
}

/// Twelve letters that are hard to confuse: sixty bits, for there may be others on
/// this machine.
fn password() -> String {
    let alphabet: Vec<char> = ('a'..='z')
        .chain('2'..='9')
        .filter(|c| !"lo".contains(*c))
        .collect();
    let octets = random::array::<12>();
    let letters = octets
        .iter()
        .filter_map(|&octet| alphabet.get(usize::from(octet % 32)));
    letters.collect()
}

/// The domain of the accounts; no mail can be meant for it elsewhere (RFC 2606).
const DOMAIN: &str = "demo.example";
/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Lines of the log that are shown when something goes wrong.
const LOG_LINES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_plain_and_never_the_same() {
        let (first, second) = (password(), password());
        assert_ne!(first, second);
        assert_eq!(first.len(), 12);
        assert!(
            first
                .bytes()
                .all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit())
        );
    }

    #[test]
    fn a_message_makes_its_way_and_every_step_is_told() {
        let (mut page, told) = Page::in_memory();
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let server = Throwaway::new();
        let (ann, bob) = (User::new("ann"), User::new("bob"));
        let server = server.account(&ann.address, &ann.password);
        let server = server
            .account(&bob.address, &bob.password)
            .start()
            .expect("started");
        // Several demos in one process have one log.
        let log = Log::begin(server.root().path().join("log")).expect("a file");
        let demo = Demo {
            server,
            ann,
            bob,
            log,
        };
        let runtime = runtime.expect("a runtime");
        runtime
            .block_on(demo.round_trip(&mut page))
            .expect("every step");
        demo.tell_how_to_connect(&mut page);
        let text = told.text();
        for word in [
            "C  AUTH PLAIN ***",
            "S  250 ",
            "C  a LOGIN bob@demo.example ***",
            "C  STLS",
        ] {
            assert!(text.contains(word), "{word}: {text}");
        }
        let (steps, block) = text.split_once("It works.").expect("both parts");
        for user in [&demo.ann, &demo.bob] {
            assert!(!steps.contains(&user.password), "{steps}");
            assert!(block.contains(&user.password), "{block}");
        }
        assert!(!text.contains('\u{1b}'), "no colours but on a terminal");
    }

    #[test]
    fn a_wrong_password_fails_the_step() {
        let (mut page, told) = Page::in_memory();
        let server = Throwaway::new()
            .account("bob@demo.example", "right")
            .start()
            .expect("started");
        let trust = Trust::read(&server.root().trusted()).expect("a certificate");
        let bob = User {
            address: "bob@demo.example".to_owned(),
            password: "wrong".to_owned(),
        };
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let failed = runtime.expect("a runtime").block_on(imap::read(
            &mut page,
            server.address(Service::Imaps),
            &trust,
            &bob,
        ));
        let error = failed.expect_err("refused").to_string();
        assert!(error.contains("a NO") && error.contains("***"), "{error}");
        assert!(!told.text().contains("wrong") && !error.contains("wrong"));
    }
}
