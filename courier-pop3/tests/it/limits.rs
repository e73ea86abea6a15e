//! Each limit at its number, before it and after it; big maildrops; shutting down.

use std::sync::Arc;

use courier_core::account::sasl::Verdict;
use courier_core::message::wire::Content;
use courier_core::time::Millis;
use courier_pop3::listing::{HeaderOctets, Listing};
use courier_pop3::session::{
    ClearPasswords, Ending, Facts, Opened, Output, Session, Settings, Step, Tls, Transport,
};

/// A session whose host has `messages` of 100 octets and lets everybody in.
struct Host {
    session: Session,
    messages: u32,
    wire: Vec<u8>,
    input: Vec<u8>,
    most_pending: usize,
    deleted: usize,
}

impl Host {
    fn new(messages: u32) -> Self {
        let settings = Settings {
            clear_passwords: ClearPasswords::Allowed,
            ..Settings::default()
        };
        Self {
            session: Session::new(Arc::new(settings), Transport::Plain),
            messages,
            wire: Vec::new(),
            input: Vec::new(),
            most_pending: 0,
            deleted: 0,
        }
    }

    fn logged_in(messages: u32) -> Self {
        let mut host = Self::new(messages);
        assert_eq!(host.say(b"USER a\r\nPASS b\r\n"), None);
        host.wire.clear();
        host
    }

    /// Feeds input until the session waits or ends.
    fn say(&mut self, input: &[u8]) -> Option<Ending> {
        self.input.extend_from_slice(input);
        loop {
            let Step { consumed, output } = self.session.poll(Millis(0), &self.input);
            self.input.drain(..consumed);
            match output {
                Output::Write => {
                    let pending = self.session.pending();
                    self.most_pending = self.most_pending.max(pending.len());
                    let some = pending.len().min(1460);
                    self.wire.extend_from_slice(&pending[..some]);
                    self.session.wrote(some);
                }
                Output::Send(segment) => self.wire.extend(segment.pieces(0).flatten()),
                Output::Login { token, .. } => self.session.authenticated(token, Verdict::Accepted),
                Output::Open { token } => {
                    let mut listing = Listing::new();
                    for n in 1..=self.messages {
                        let uidl = format!("UID{n}-1795623834");
                        listing.push(100, &uidl, HeaderOctets::Ascii).unwrap();
                    }
                    self.session.opened(token, Opened::Maildrop(listing));
                }
                Output::Retrieve { token, .. } => {
                    let content: Content = Arc::new(b"A: b\n\n1\n2\n");
                    self.session.retrieved(token, Ok(content));
                }
                Output::Delete { token, numbers } => {
                    self.deleted = numbers.len();
                    self.session.deleted(token, 0);
                }
                Output::Wait { .. } => return None,
                Output::Close(ending) => return Some(ending),
                other => panic!("{other:?}"),
            }
        }
    }

    fn said(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.wire)).unwrap()
    }
}

#[test]
fn lists_of_a_big_maildrop_stream() {
    let mut host = Host::logged_in(100_000);
    assert_eq!(host.say(b"UIDL\r\nLIST\r\nSTAT\r\n"), None);
    let said = host.said();
    assert_eq!(said.lines().count(), 2 * 100_002 + 1);
    assert!(said.contains("\r\n100000 UID100000-1795623834\r\n.\r\n+OK 100000 messages"));
    assert!(said.ends_with("\r\n100000 100\r\n.\r\n+OK 100000 10000000\r\n"));
    assert!(host.most_pending <= 64 * 1024, "{}", host.most_pending);

    let deletions: String = (1..=100_000).map(|n| format!("DELE {n}\r\n")).collect();
    assert_eq!(host.say(deletions.as_bytes()), None);
    assert_eq!(host.say(b"QUIT\r\n"), Some(Ending::Logout));
    assert_eq!(host.deleted, 100_000);
    assert!(host.most_pending <= 64 * 1024, "{}", host.most_pending);
}

#[test]
fn command_lines_have_4096_octets() {
    for (length, fits) in [(4095, true), (4096, true), (4097, false), (200_000, false)] {
        let mut host = Host::new(0);
        host.say(b"");
        host.said();
        let name = "x".repeat(length - "USER ".len());
        assert_eq!(
            host.say(format!("USER {name}\r\nCAPA\r\n").as_bytes()),
            None
        );
        let said = host.said();
        let expected = if fits {
            "+OK Password"
        } else {
            "-ERR Line too long"
        };
        assert!(said.starts_with(expected), "{length}");
        assert!(said.contains("+OK Here's"), "{length}");
    }
}

#[test]
fn auth_lines_have_12288_octets() {
    for (length, fits) in [(12_288, true), (12_289, false)] {
        let mut host = Host::new(0);
        host.say(b"");
        host.said();
        let response = "A".repeat(length - "AUTH XOAUTH2 ".len());
        host.say(format!("auth XOAUTH2 {response}\r\n").as_bytes());
        let said = host.said();
        assert_eq!(!said.contains("too long"), fits, "{length}: {said}");
    }
}

#[test]
fn a_line_past_1_mib_ends_the_session() {
    let mut host = Host::new(0);
    assert_eq!(host.say(&vec![b'x'; 1024 * 1024]), None);
    assert_eq!(host.say(b"\n"), None);
    assert_eq!(
        host.say(&vec![b'x'; 1024 * 1024 + 1]),
        Some(Ending::Refused)
    );
    assert!(host.said().ends_with("-ERR Line too long.\r\n"));
}

#[test]
fn bad_commands_end_a_session_at_their_number() {
    let mut before = Host::new(0);
    assert_eq!(before.say(&b"FOO\r\n".repeat(9)), None);
    assert_eq!(before.say(b"FOO\r\n"), Some(Ending::Refused));

    let mut after = Host::new(0);
    assert_eq!(after.say(&b"FOO\r\n".repeat(9)), None);
    assert_eq!(after.say(b"USER a\r\nPASS b\r\n"), None);
    assert_eq!(after.say(&b"FOO\r\n".repeat(19)), None);
    // A client that counts wrongly is not an enemy.
    assert_eq!(after.say(&b"RETR 7\r\nDELE 0\r\n".repeat(50)), None);
    assert_eq!(after.say(b"FOO\r\n"), Some(Ending::Refused));
}

#[test]
fn pipelined_commands_are_answered_in_order() {
    let mut host = Host::logged_in(3);
    assert_eq!(
        host.say(b"STAT\r\nTOP 1 0\r\nUIDL 2\r\nRETR 3\r\nNOOP\r\nQUIT\r\n"),
        Some(Ending::Logout)
    );
    assert_eq!(
        host.said(),
        "+OK 3 300\r\n+OK headers follow.\r\nA: b\r\n\r\n.\r\n+OK 2 UID2-1795623834\r\n\
         +OK 14 octets follow.\r\nA: b\r\n\r\n1\r\n2\r\n.\r\n+OK Yup.\r\n+OK Bye-bye.\r\n"
    );
    assert_eq!(host.session.facts(), Facts { top: 6, retr: 10 });
}

#[test]
fn a_stopping_server_says_why() {
    let mut idle = Host::logged_in(1);
    idle.say(b"DELE 1\r\n");
    idle.said();
    idle.session.shutdown();
    assert_eq!(idle.say(b""), Some(Ending::Shutdown));
    assert_eq!(idle.deleted, 0);
    assert_eq!(
        idle.said(),
        "-ERR [SYS/TEMP] The server is shutting down, please try again later.\r\n"
    );
}

#[test]
fn what_came_before_the_handshake_is_forgotten() {
    let settings = Settings {
        tls: Tls::Offered,
        ..Settings::default()
    };
    let mut session = Session::new(Arc::new(settings), Transport::Plain);
    let input = b"UTF8\r\nSTLS\r\nUSER a\r\nPASS b\r\n";
    let mut used = 0;
    loop {
        let Step { consumed, output } = session.poll(Millis(0), &input[used..]);
        used += consumed;
        match output {
            Output::Write => session.wrote(session.pending().len()),
            Output::StartTls => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(used, input.len());
    assert!(session.is_utf8());
    session.tls_started();
    assert!(!session.is_utf8());
    assert_eq!(session.transport(), Transport::Tls);
    assert!(matches!(
        session.poll(Millis(0), b"").output,
        Output::Wait { .. }
    ));
    session.poll(Millis(0), b"PASS b\r\n");
    assert_eq!(session.pending(), b"-ERR USER/PASS required.\r\n");
}

#[test]
fn a_handshake_has_15_seconds() {
    let settings = Settings {
        tls: Tls::Offered,
        ..Settings::default()
    };
    let mut session = Session::new(Arc::new(settings), Transport::Plain);
    let mut input = b"STLS\r\n".to_vec();
    let mut now = Millis(0);
    loop {
        let Step { consumed, output } = session.poll(now, &input);
        input.drain(..consumed);
        match output {
            Output::Write => session.wrote(session.pending().len()),
            Output::StartTls => {}
            Output::Wait { deadline } => now = deadline,
            Output::Close(ending) => {
                assert_eq!((ending, now), (Ending::Timeout, Millis::from_secs(15)));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn answers_that_come_too_late_are_ignored() {
    let settings = Settings {
        clear_passwords: ClearPasswords::Allowed,
        ..Settings::default()
    };
    let mut session = Session::new(Arc::new(settings), Transport::Plain);
    let mut input = b"USER a\r\nPASS b\r\n".to_vec();
    let mut held = None;
    let mut now = Millis(0);
    let ending = loop {
        let Step { consumed, output } = session.poll(now, &input);
        input.drain(..consumed);
        match output {
            Output::Write => session.wrote(session.pending().len()),
            Output::Login { token, .. } => held = Some(token),
            Output::Wait { deadline } => now = deadline,
            Output::Close(ending) => break ending,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((ending, now), (Ending::Timeout, Millis::from_secs(60)));
    session.authenticated(held.unwrap(), Verdict::Accepted);
    assert!(matches!(session.poll(now, b"").output, Output::Close(_)));
}
