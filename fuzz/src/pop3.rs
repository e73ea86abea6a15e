//! A POP3 session with any client, and the login at any back end: the same in every
//! cut, with bounded buffers, and octets as announced.

use std::sync::Arc;

use courier_core::account::sasl::Verdict;
use courier_core::account::secret::Secret;
use courier_core::message::wire::{self, Content, Encoding};
use courier_core::time::Millis;
use courier_pop3::listing::{HeaderOctets, Listing};
use courier_pop3::proxy::{self, BackEnd, BackEndLogin, BackEndTls};
use courier_pop3::session::{
    ClearPasswords, Ending, Opened, Output, RetrieveError, Session, Settings, Step, Tls, Transport,
};

/// Lets a client say these octets, and a back end too.
///
/// # Panics
/// If the result depends on how the octets are cut, if more is buffered than allowed,
/// or if a message has other octets than announced.
pub fn run(data: &[u8]) {
    let whole = Client::new(data).talk(data.len().max(1));
    for size in [1, 7] {
        let cut = Client::new(data).talk(size);
        assert_eq!(whole, cut, "in pieces of {size}");
    }
    let whole = back_end(data, data.len().max(1));
    assert_eq!(whole, back_end(data, 1));
}

/// What a host sees of a session.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Wire(Vec<u8>),
    Asked(String),
    Tls,
    Relay,
    Closed(Ending),
}

/// A client that says `data`, and the host that serves it.
struct Client<'a> {
    data: &'a [u8],
    fed: usize,
    session: Session,
    events: Vec<Event>,
    /// Octets that RETR announced, and those sent since.
    announced: Option<u64>,
    sent: u64,
}

impl<'a> Client<'a> {
    fn new(data: &'a [u8]) -> Self {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let mut settings = Settings {
            tls: Tls::Offered,
            clear_passwords: ClearPasswords::Allowed,
            ..Settings::default()
        };
        settings.mechanisms.plain = names(&["PLAIN", "SCRAM-SHA-256"]);
        settings.mechanisms.tls = names(&["PLAIN", "LOGIN"]);
        Self {
            data,
            fed: 0,
            session: Session::new(Arc::new(settings), Transport::Plain),
            events: Vec::new(),
            announced: None,
            sent: 0,
        }
    }

    fn talk(mut self, size: usize) -> Vec<Event> {
        let mut held = Vec::new();
        let mut now = Millis(0);
        for _ in 0..1_000_000 {
            let Step { consumed, output } = self.session.poll(now, &held);
            assert!(consumed <= held.len());
            held.drain(..consumed);
            match output {
                Output::Wait { deadline } => {
                    assert!(deadline > now, "waits for what is past");
                    let rest = self.data.get(self.fed..).unwrap_or_default();
                    if rest.is_empty() {
                        now = deadline;
                    }
                    let piece = rest.get(..size).unwrap_or(rest);
                    held.extend_from_slice(piece);
                    self.fed += piece.len();
                }
                Output::StartTls => {
                    held.clear();
                    // What a cut would leave for later is not what TLS would bring.
                    self.fed = self.data.len();
                    self.session.tls_started();
                    self.events.push(Event::Tls);
                }
                Output::Close(ending) => {
                    self.events.push(Event::Closed(ending));
                    return self.events;
                }
                Output::Relay => {
                    self.events.push(Event::Relay);
                    return self.events;
                }
                output => self.serve(output),
            }
        }
        panic!("the session does not end");
    }

    fn serve(&mut self, output: Output) {
        match output {
            Output::Write => {
                let mut pending = self.session.pending().to_vec();
                assert!(!pending.is_empty() && pending.len() <= 64 * 1024);
                pending.truncate(pending.len().div_ceil(2));
                self.session.wrote(pending.len());
                self.wrote(&pending);
            }
            Output::Send(segment) => {
                self.announce();
                self.sent += wire::length(segment.source(), Encoding::Chunk);
                let octets: Vec<u8> = segment.pieces(0).flatten().copied().collect();
                assert_eq!(octets.len() as u64, segment.length());
                self.wire(&octets);
            }
            Output::Login {
                token,
                user,
                password,
            } => {
                let verdict = verdict(password.expose());
                let password = password.expose().escape_ascii();
                self.asked(format!("login {user} {password}"));
                self.session.authenticated(token, verdict);
            }
            Output::Authenticate {
                token,
                mechanism,
                initial,
            } => {
                let verdict = verdict(initial.as_deref().unwrap_or(b"challenge!"));
                self.asked(format!("authenticate {mechanism} {initial:?}"));
                self.session.authenticated(token, verdict);
            }
            Output::Respond { token, response } => {
                let verdict = verdict(&response);
                self.asked(format!("respond {response:?}"));
                self.session.authenticated(token, verdict);
            }
            Output::Open { token } => {
                self.asked("open".to_owned());
                let opened = self.open();
                self.session.opened(token, opened);
            }
            Output::Retrieve {
                token,
                number,
                extent,
            } => {
                self.asked(format!("retrieve {number} {extent:?}"));
                let content: Content = Arc::new(self.data.to_vec());
                let retrieved = match number.get() {
                    3 => Err(RetrieveError::Gone),
                    _ => Ok(content),
                };
                self.session.retrieved(token, retrieved);
            }
            Output::Delete { token, numbers } => {
                self.asked(format!("delete {numbers:?}"));
                self.session.deleted(token, numbers.len() / 2);
            }
            _ => unreachable!("the caller has seen to these"),
        }
    }

    fn open(&self) -> Opened {
        if self.data.first() == Some(&b'~') {
            return Opened::Proxied;
        }
        let mut listing = Listing::new();
        let many = if self.data.first() == Some(&b'+') {
            5_000
        } else {
            5
        };
        for n in 0..many {
            let header = match n % 2 {
                0 => HeaderOctets::Ascii,
                _ => HeaderOctets::EightBit,
            };
            let uidl = format!("UID{n}-1795623834");
            assert_eq!(listing.push(n * n, &uidl, header), Ok(()));
        }
        Opened::Maildrop(listing)
    }

    fn asked(&mut self, question: String) {
        assert!(self.session.pending().is_empty(), "replies come first");
        self.events.push(Event::Asked(question));
    }

    fn wire(&mut self, octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        if let Some(Event::Wire(all)) = self.events.last_mut() {
            all.extend_from_slice(octets);
        } else {
            self.events.push(Event::Wire(octets.to_vec()));
        }
    }

    /// The end mark: what was sent is what was announced.
    fn wrote(&mut self, octets: &[u8]) {
        if let Some(announced) = self.announced.take() {
            assert_eq!(announced, self.sent);
        }
        self.sent = 0;
        self.wire(octets);
    }

    /// What the line before the first piece of a message says.
    fn announce(&mut self) {
        let Some(Event::Wire(all)) = self.events.last() else {
            panic!("a message without an announcement");
        };
        if self.sent > 0 {
            return;
        }
        let line = all.strip_suffix(b" octets follow.\r\n");
        let digits = line.and_then(|line| line.rsplit(|b| *b == b' ').next());
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        self.announced = digits.and_then(|digits| digits.parse().ok());
        assert_eq!(self.announced.is_some(), line.is_some());
    }
}

fn verdict(octets: &[u8]) -> Verdict {
    match octets.len() % 5 {
        0 => Verdict::Challenge(octets.to_vec()),
        1 | 2 => Verdict::Accepted,
        3 => Verdict::Refused,
        _ => Verdict::Malformed,
    }
}

/// A login at a back end that says `data`.
fn back_end(data: &[u8], size: usize) -> (Vec<u8>, proxy::Output, usize) {
    let login = BackEndLogin {
        user: "jane".to_owned(),
        password: Secret::new("secret"),
        utf8: true,
    };
    let tls = if data.len().is_multiple_of(2) {
        BackEndTls::StartTls
    } else {
        BackEndTls::AsItIs
    };
    let mut back_end = BackEnd::new(login, tls);
    let mut said = Vec::new();
    let mut held = Vec::new();
    let mut fed = 0;
    let mut now = Millis(0);
    loop {
        let proxy::Step { consumed, output } = back_end.poll(now, &held);
        held.drain(..consumed);
        match output {
            proxy::Output::Write => {
                assert!(back_end.pending().len() < 1024);
                said.extend_from_slice(back_end.pending());
                back_end.wrote(back_end.pending().len());
            }
            proxy::Output::StartTls => {
                held.clear();
                fed = data.len();
                back_end.tls_started();
            }
            proxy::Output::Wait { deadline } => {
                let rest = data.get(fed..).unwrap_or_default();
                if rest.is_empty() {
                    now = deadline;
                }
                let piece = rest.get(..size).unwrap_or(rest);
                held.extend_from_slice(piece);
                fed += piece.len();
            }
            end => return (said, end, fed - held.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Of which odd dialogues are made.
    const WORDS: [&str; 32] = [
        "USER a\r\n",
        "PASS ab\r\n",
        "PASS abc\r\n",
        "AUTH PLAIN\r\n",
        "AUTH PLAIN =\r\n",
        "AUTH PLAIN YWI=\r\n",
        "YWI=\r\n",
        "*\r\n",
        "CAPA\r\n",
        "LANG\r\n",
        "STLS\r\n",
        "UTF8\r\n",
        "QUIT\r\n",
        "STAT\r\n",
        "LIST\r\n",
        "LIST 2\r\n",
        "UIDL\n",
        "RETR 1\r\n",
        "RETR 2\r\n",
        "RETR 3\r\n",
        "TOP 2 7\r\n",
        "TOP 1 1\r\n",
        "DELE 2\r\n",
        "DELE 5\r\n",
        "RSET\r\n",
        "\r\n",
        ".",
        "\r",
        "é",
        "\0",
        " ",
        "+OK ",
    ];

    #[test]
    fn the_corpus_holds() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/pop3");
        let mut count = 0;
        for entry in std::fs::read_dir(corpus).unwrap() {
            let data = std::fs::read(entry.unwrap().path()).unwrap();
            for end in (0..data.len())
                .step_by(data.len() / 50 + 1)
                .chain([data.len()])
            {
                super::run(&data[..end]);
            }
            count += 1;
        }
        assert!(count >= 10, "the corpus is in {corpus}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn odd_dialogues_hold(
            login in prop::bool::weighted(0.7),
            words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..25),
        ) {
            let login = if login { "USER a\r\nPASS ab\r\n" } else { "" };
            super::run(format!("{login}{}", words.concat()).as_bytes());
        }

        #[test]
        fn noise_holds(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            super::run(&octets);
        }

        #[test]
        fn odd_back_ends_hold(lines in prop::collection::vec("(\\+OK|-ERR)( x)?\r?\n|[a+-]{0,3}", 0..8)) {
            super::run(lines.concat().as_bytes());
        }
    }
}
