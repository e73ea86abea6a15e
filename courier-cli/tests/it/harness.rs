//! A throw-away root and a running `courier serve`.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

pub(crate) const DOMAIN: &str = "example.com";
pub(crate) const PASSWORD: &str = "open sesame";
/// The services that the tests start, each on a free port of loopback.
pub(crate) const SERVICES: [&str; 7] = [
    "esmtp",
    "submission",
    "smtps",
    "imap",
    "imaps",
    "pop3",
    "pop3s",
];

/// The program under test.
pub(crate) fn courier() -> Command {
    Command::new(env!("CARGO_BIN_EXE_courier"))
}

/// A root with two accounts, ann and bob.
pub(crate) struct Root {
    folder: tempfile::TempDir,
}

impl Root {
    pub(crate) fn new() -> Self {
        let root = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        let init = ["init", "--domain", DOMAIN, "--hostname", "mx.example.com"];
        let made = root.run(&init, "");
        assert!(made.status.success(), "init: {made:?}");
        for user in ["ann", "bob"] {
            root.add_account(&format!("{user}@{DOMAIN}"));
        }
        root
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn add_account(&self, address: &str) {
        let added = self.run(&["account", "add", address, "--password-stdin"], PASSWORD);
        assert!(added.status.success(), "account add: {added:?}");
    }

    /// Runs `courier ARGUMENTS --root DIR` with this standard input.
    pub(crate) fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = courier()
            .args(arguments)
            .arg("--root")
            .arg(self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("courier runs");
        let mut stdin = child.stdin.take().expect("stdin");
        stdin.write_all(input.as_bytes()).ok();
        drop(stdin);
        child.wait_with_output().expect("courier ends")
    }

    pub(crate) fn maildir(&self, user: &str) -> PathBuf {
        self.path()
            .join("home")
            .join(DOMAIN)
            .join(user)
            .join("Maildir")
    }

    /// Appends a line to a file in `etc`.
    pub(crate) fn configure(&self, file: &str, line: &str) {
        let path = self.path().join("etc").join(file);
        let mut text = std::fs::read_to_string(&path).unwrap_or_default();
        text.push_str(line);
        text.push('\n');
        std::fs::write(path, text).expect("etc is writable");
    }

    /// The messages in `new` and `cur` of a user's INBOX.
    pub(crate) fn messages(&self, user: &str) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        for folder in ["new", "cur"] {
            let Ok(entries) = std::fs::read_dir(self.maildir(user).join(folder)) else {
                continue;
            };
            found.extend(entries.map(|e| std::fs::read(e.expect("entry").path()).expect("read")));
        }
        found
    }

    /// Removes the messages of a user's INBOX.
    pub(crate) fn empty(&self, user: &str) {
        for folder in ["new", "cur"] {
            let entries = std::fs::read_dir(self.maildir(user).join(folder)).expect("a maildir");
            for entry in entries {
                std::fs::remove_file(entry.expect("entry").path()).expect("removed");
            }
        }
    }

    /// Waits until a user has so many messages.
    pub(crate) fn wait_for_messages(&self, user: &str, count: usize) -> Vec<Vec<u8>> {
        let found = within(Duration::from_secs(30), || {
            let messages = self.messages(user);
            (messages.len() >= count).then_some(messages)
        });
        let found = found.unwrap_or_else(|| panic!("{user} has {}", self.messages(user).len()));
        assert_eq!(found.len(), count);
        found
    }
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    ports: HashMap<String, SocketAddr>,
    log: mpsc::Receiver<String>,
}

impl Server {
    pub(crate) fn start(root: &Root) -> Self {
        Self::start_with(root, &SERVICES)
    }

    pub(crate) fn start_with(root: &Root, services: &[&str]) -> Self {
        let mut command = courier();
        command.arg("serve").arg("--root").arg(root.path());
        for service in services {
            command
                .arg("--listen")
                .arg(format!("{service}=127.0.0.1:0"));
        }
        Self::spawn(command)
    }

    pub(crate) fn spawn(command: Command) -> Self {
        Self::spawn_with(command, Stdio::null())
    }

    pub(crate) fn spawn_with(mut command: Command, stdin: Stdio) -> Self {
        let mut child = command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("courier serve runs");
        let (sender, log) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().expect("stderr"));
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                sender.send(line).ok();
            }
        });
        let mut ports = HashMap::new();
        let mut ready = false;
        for line in BufReader::new(child.stdout.take().expect("stdout")).lines() {
            let line = line.expect("a line");
            if line == "ready" {
                ready = true;
                break;
            }
            let mut words = line.split(' ');
            assert_eq!(words.next(), Some("listening"), "{line}");
            let service = words.next().expect("service").to_owned();
            let address = words.next().expect("address").parse().expect("an address");
            assert_eq!(words.next(), None, "{line}");
            ports.insert(service, address);
        }
        let server = Self { child, ports, log };
        assert!(ready, "no 'ready': {:?}", server.log_lines());
        server
    }

    pub(crate) fn address(&self, service: &str) -> SocketAddr {
        self.ports[service]
    }

    pub(crate) fn port(&self, service: &str) -> String {
        self.ports[service].port().to_string()
    }

    pub(crate) fn services(&self) -> usize {
        self.ports.len()
    }

    /// What was logged since the last call.
    pub(crate) fn log_lines(&self) -> Vec<String> {
        std::thread::sleep(Duration::from_millis(50));
        self.log.try_iter().collect()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).expect("a pid");
        let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("signalled");
    }

    /// The exit status, once the server ends by itself.
    pub(crate) fn wait(&mut self, patience: Duration) -> Option<std::process::ExitStatus> {
        within(patience, || self.child.try_wait().expect("waited"))
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Resident memory in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("status");
        let line = status.lines().find(|l| l.starts_with("VmRSS:"));
        let number = line
            .and_then(|l| l.split_whitespace().nth(1))
            .expect("VmRSS");
        number.parse().expect("a number")
    }

    pub(crate) fn connect(&self, service: &str) -> Client {
        Client::new(TcpStream::connect(self.address(service)).expect("connected"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A client that speaks lines.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn new(stream: TcpStream) -> Self {
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("timeout");
        stream.set_nodelay(true).expect("nodelay");
        Self {
            stream: BufReader::new(stream),
        }
    }

    pub(crate) fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.stream
            .get_mut()
            .write_all(octets.as_ref())
            .expect("sent");
    }

    /// Sends although the server may have closed.
    pub(crate) fn try_send(&mut self, octets: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(octets)
    }

    /// The next line without its end; empty when the server has closed.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(_) => line.trim_end().to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => String::new(),
            Err(error) => panic!("no line: {error}"),
        }
    }

    /// An SMTP reply: its lines; the code is that of the last.
    pub(crate) fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let line = self.line();
            reply.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return reply;
            }
            reply.push('\n');
        }
    }

    /// Sends an SMTP command and gives the reply.
    pub(crate) fn smtp(&mut self, command: &str) -> String {
        self.send(format!("{command}\r\n"));
        self.reply()
    }

    /// Sends an IMAP command; gives all lines up to the tagged one.
    pub(crate) fn imap(&mut self, tag: &str, command: &str) -> Vec<String> {
        self.send(format!("{tag} {command}\r\n"));
        self.until_tag(tag)
    }

    /// Sends a POP3 command and gives the first line of the reply.
    pub(crate) fn pop3(&mut self, command: &str) -> String {
        self.send(format!("{command}\r\n"));
        self.line()
    }

    /// The octets up to a line with nothing but a dot, which is left out.
    pub(crate) fn until_dot(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        loop {
            let start = octets.len();
            let read = self.stream.read_until(b'\n', &mut octets);
            assert!(read.expect("a line") > 0, "closed before the end");
            if octets[start..] == *b".\r\n" {
                octets.truncate(start);
                return octets;
            }
        }
    }

    pub(crate) fn until_tag(&mut self, tag: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            assert!(!line.is_empty() || !lines.is_empty(), "closed before {tag}");
            let last = line.starts_with(&format!("{tag} "));
            lines.push(line);
            if last {
                return lines;
            }
        }
    }

    /// Reads until the server closes; true if it did within the time-out.
    pub(crate) fn closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// Tries until there is a value or the time is up.
pub(crate) fn within<T>(patience: Duration, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience;
    loop {
        if let Some(value) = attempt() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a program is installed; says so when a test is skipped for it.
pub(crate) fn installed(program: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    });
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}
