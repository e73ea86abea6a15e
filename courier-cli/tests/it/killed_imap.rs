//! kill -9 while clients append, copy, mark and expunge: what was answered OK holds,
//! and no UID ever stands for two messages.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::harness::{PASSWORD, Root, Server};

/// UIDVALIDITY and UID.
type Id = (u32, u32);

/// What the server has answered OK to, and what it was asked to remove.
#[derive(Debug, Default)]
struct Promises {
    /// By folder and UID, the number of the message.
    stored: BTreeMap<(&'static str, Id), u32>,
    flagged: Vec<Id>,
    doomed: Vec<Id>,
    gone: Vec<Id>,
}

impl Promises {
    fn store(&mut self, folder: &'static str, id: Id, number: u32) {
        let before = self.stored.insert((folder, id), number);
        assert!(
            before.is_none_or(|before| before == number),
            "{folder} {id:?} is {before:?} and {number}"
        );
    }
}

struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.set_nodelay(true)?;
        let mut client = Self {
            stream: BufReader::new(stream),
        };
        client.line()?;
        client.ok(&format!("LOGIN ann@example.com \"{PASSWORD}\"\r\n"))?;
        client.ok("SELECT INBOX\r\n")?;
        Ok(client)
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 || !line.ends_with('\n') {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line)
    }

    /// The tagged OK to a command; a refusal is a failure of the test.
    fn ok(&mut self, command: &str) -> std::io::Result<String> {
        self.stream
            .get_mut()
            .write_all(format!("a {command}").as_bytes())?;
        loop {
            let line = self.line()?;
            if line.starts_with("a ") {
                assert!(line.starts_with("a OK"), "{line}");
                return Ok(line);
            }
        }
    }

    /// The numbers of a response code, sets of one each.
    fn code(line: &str, name: &str) -> Vec<u32> {
        let (_, rest) = line.split_once(&format!("[{name} ")).expect("the code");
        let (code, _) = rest.split_once(']').expect("its end");
        let numbers = code.split(' ').map(|number| number.parse());
        numbers.collect::<Result<_, _>>().expect("numbers")
    }

    fn one(&mut self, number: u32, promises: &Mutex<Promises>) -> std::io::Result<()> {
        // Some are long enough for a file of their own while they come.
        let size = if number.is_multiple_of(17) {
            300_000
        } else {
            200
        };
        let text = format!("X-Number: {number}\r\n\r\n{}.\r\n", "x".repeat(size));
        let line = self.ok(&format!(
            "APPEND INBOX (\\Seen) {{{}+}}\r\n{text}\r\n",
            text.len()
        ))?;
        let &[validity, uid] = Self::code(&line, "APPENDUID").as_slice() else {
            panic!("{line}");
        };
        let id = (validity, uid);
        promises.lock().expect("lock").store("INBOX", id, number);
        self.ok(&format!(
            "UID STORE {uid} +FLAGS.SILENT (\\Flagged $Mark)\r\n"
        ))?;
        promises.lock().expect("lock").flagged.push(id);
        if number % 2 == 0 {
            let line = self.ok(&format!("UID COPY {uid} INBOX.copies\r\n"))?;
            let &[validity, from, to] = Self::code(&line, "COPYUID").as_slice() else {
                panic!("{line}");
            };
            assert_eq!(from, uid);
            let mut promises = promises.lock().expect("lock");
            promises.store("INBOX.copies", (validity, to), number);
        }
        if number % 5 == 0 {
            promises.lock().expect("lock").doomed.push(id);
            self.ok(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)\r\n"))?;
            self.ok(&format!("UID EXPUNGE {uid}\r\n"))?;
            promises.lock().expect("lock").gone.push(id);
        }
        Ok(())
    }
}

/// All messages of a folder by UID: number and flags.
fn listing(server: &Server, folder: &str) -> BTreeMap<Id, (u32, String)> {
    let mut client = server.connect("imap");
    client.line();
    client.imap("l", &format!("LOGIN ann@example.com \"{PASSWORD}\""));
    let opened = client.imap("s", &format!("EXAMINE {folder}"));
    let validity = opened.iter().find(|line| line.contains("[UIDVALIDITY "));
    let validity = Client::code(validity.expect("a UIDVALIDITY"), "UIDVALIDITY")[0];
    let items = "(UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (X-NUMBER)])";
    let lines = client.imap("f", &format!("FETCH 1:* {items}"));
    let mut found = BTreeMap::new();
    let mut lines = lines.iter();
    while let Some(line) = lines.next() {
        let Some((_, facts)) = line.split_once("(UID ") else {
            continue;
        };
        let (uid, flags) = facts.split_once(' ').expect("a UID");
        let field = lines.next().expect("the field");
        let number = field.strip_prefix("X-Number: ").expect("a whole message");
        let number: u32 = number.parse().expect("a number");
        let size = if number.is_multiple_of(17) {
            300_000
        } else {
            200
        };
        let size = format!("RFC822.SIZE {}", field.len() + 2 + 2 + size + 3);
        assert!(flags.contains(&size), "half a message: {line}");
        let id = (validity, uid.parse().expect("a UID"));
        let before = found.insert(id, (number, flags.to_owned()));
        assert_eq!(before, None, "a UID for two messages");
    }
    found
}

#[test]
fn sixteen_kills_break_no_promise_to_clients_of_imap() {
    let root = Root::new();
    root.configure("imapd", "MAXPERIP=1000");
    let promises = Arc::new(Mutex::new(Promises::default()));
    let next = Arc::new(AtomicU32::new(1));
    for round in 0..16_u64 {
        let mut server = Server::start_with(&root, &["imap"]);
        let address = server.address("imap");
        if round == 0 {
            let mut client = Client::open(address).expect("a session");
            client.ok("CREATE INBOX.copies\r\n").expect("made");
        }
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let (next, promises) = (Arc::clone(&next), Arc::clone(&promises));
                std::thread::spawn(move || -> std::io::Result<()> {
                    let mut client = Client::open(address)?;
                    loop {
                        client.one(next.fetch_add(1, Ordering::Relaxed), &promises)?;
                    }
                })
            })
            .collect();
        // A different moment each round.
        std::thread::sleep(Duration::from_millis(150 + (round * 53) % 300));
        server.kill();
        for client in clients {
            let ended = client.join().expect("a client");
            ended.expect_err("the server was killed");
        }
    }
    let promises = promises.lock().expect("lock");
    assert!(promises.stored.len() > 40, "{}", promises.stored.len());
    assert!(promises.flagged.len() > 20 && promises.gone.len() > 3);
    let server = Server::start_with(&root, &["imap"]);
    for folder in ["INBOX", "INBOX.copies"] {
        let found = listing(&server, folder);
        for ((_, id), number) in promises.stored.iter().filter(|((f, _), _)| *f == folder) {
            let doomed = folder == "INBOX" && promises.doomed.contains(id);
            match found.get(id) {
                Some((there, _)) => assert_eq!(there, number, "{folder} {id:?}"),
                None => assert!(doomed, "lost: {folder} {id:?}, number {number}"),
            }
        }
        if folder == "INBOX" {
            for (id, (_, flags)) in &found {
                let marked = ["\\Flagged", "\\Seen", "$Mark"];
                let has_all = marked.iter().all(|flag| flags.contains(flag));
                assert!(has_all || !promises.flagged.contains(id), "{id:?} {flags}");
                assert!(!promises.gone.contains(id), "{id:?} is back");
            }
        }
    }
}
