//! Logging in to the server that holds the account (`POP3_PROXY`).
//!
//! The front end checks who the client is, and answers
//! [`Output::Open`](crate::session::Output::Open) with
//! [`Opened::Proxied`](crate::session::Opened::Proxied) once this machine has logged in
//! for it; from then on octets pass both ways. Which hosts to try, and TLS from the
//! first octet, are the host's business.

use std::fmt::Write as _;

use courier_core::account::secret::Secret;
use courier_core::time::Millis;
use thiserror::Error;

use crate::framing::{Framed, Lines};

/// Logs in to a back end for a client.
#[derive(Debug)]
pub struct BackEnd {
    login: BackEndLogin,
    tls: BackEndTls,
    state: State,
    out: Vec<u8>,
    written: usize,
    lines: Lines,
    started: Option<Millis>,
}

/// As whom to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackEndLogin {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret,
    /// Whether the client has said UTF8.
    pub utf8: bool,
}

/// Whether to ask the back end for TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackEndTls {
    /// No: the network is trusted, or there is TLS already.
    AsItIs,
    /// Yes, and without it the password is not sent.
    StartTls,
}

/// What the host does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send [`pending`](BackEnd::pending) to the back end, and report
    /// [`wrote`](BackEnd::wrote).
    Write,
    /// Drop what was read, shake hands for TLS, check the certificate, then report
    /// [`tls_started`](BackEnd::tls_started).
    StartTls,
    /// Done: what is left in the input is for the client.
    LoggedIn,
    /// The back end does not let this client in: tell it what stands after `-ERR`.
    Refused(String),
    /// Try the next host.
    Failed(ProxyError),
    /// Read more, or poll again at the deadline.
    Wait {
        /// When to poll at the latest.
        deadline: Millis,
    },
}

/// What a poll gave: use the output, then drop the consumed octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Octets of the input that are done with.
    pub consumed: usize,
    /// What to do.
    pub output: Output,
}

/// Why a back end is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// Its greeting is `-ERR`.
    #[error("the back end takes no sessions: {0}")]
    Unavailable(String),
    /// It has no TLS.
    #[error("the back end refuses STLS: {0}")]
    NoTls(String),
    /// It does not speak POP3.
    #[error("the back end does not answer as a POP3 server does")]
    Garbage,
    /// It is too slow.
    #[error("the back end has not let the client in within {} seconds", LOGIN_WAIT.0 / 1000)]
    Timeout,
    /// The name or the password cannot stand in a line.
    #[error("the name or the password has a control character, which USER and PASS cannot carry")]
    Unsendable,
}

/// The whole login may take so long.
pub const LOGIN_WAIT: Millis = Millis::from_secs(60);

/// Octets of a reply.
const LINE_LIMIT: usize = 4096;

/// Which reply is due.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Greeting,
    Stls,
    Handshake,
    Utf8,
    User,
    Pass,
    Ended(Output),
}

impl BackEnd {
    /// A login over a connection that was just made.
    #[must_use]
    pub fn new(login: BackEndLogin, tls: BackEndTls) -> Self {
        let line_end = |b: &u8| matches!(b, 0 | b'\r' | b'\n');
        let unsendable = login.user.chars().any(char::is_control)
            || login.password.expose().iter().any(line_end);
        Self {
            login,
            tls,
            state: if unsendable {
                State::Ended(Output::Failed(ProxyError::Unsendable))
            } else {
                State::Greeting
            },
            out: Vec::new(),
            written: 0,
            lines: Lines::default(),
            started: None,
        }
    }

    /// Looks at the input and the time, and says what the host does next.
    pub fn poll(&mut self, now: Millis, input: &[u8]) -> Step {
        let deadline = *self.started.get_or_insert(now) + LOGIN_WAIT;
        let mut consumed = 0;
        loop {
            let step = |output| Step { consumed, output };
            if !self.pending().is_empty() {
                return step(Output::Write);
            }
            if let State::Ended(output) = &self.state {
                return step(output.clone());
            }
            if now >= deadline {
                self.state = State::Ended(Output::Failed(ProxyError::Timeout));
                continue;
            }
            if self.state == State::Handshake {
                return step(Output::Wait { deadline });
            }
            let rest = input.get(consumed..).unwrap_or_default();
            let (octets, framed) = self.lines.next(rest, LINE_LIMIT);
            match framed {
                Framed::More if octets == 0 => return step(Output::Wait { deadline }),
                Framed::More => {}
                Framed::TooLong | Framed::Flood => {
                    self.state = State::Ended(Output::Failed(ProxyError::Garbage));
                }
                Framed::Line(line) => self.reply(line),
            }
            consumed += octets;
            if self.state == State::Handshake {
                // RFC 2595 §4: nothing said before counts.
                return Step {
                    consumed: input.len(),
                    output: Output::StartTls,
                };
            }
        }
    }

    /// What is to be sent to the back end.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        self.out.get(self.written..).unwrap_or_default()
    }

    /// So many octets of [`Self::pending`] were sent.
    pub fn wrote(&mut self, octets: usize) {
        self.written = self.written.saturating_add(octets);
        if self.pending().is_empty() {
            self.out.fill(0); // it may have been the password
            self.out.clear();
            self.written = 0;
        }
    }

    /// The handshake of [`Output::StartTls`] is done.
    pub fn tls_started(&mut self) {
        if self.state == State::Handshake {
            self.lines = Lines::default();
            self.name_charset();
        }
    }

    fn reply(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let (ok, text) = match (status(&text, "+OK"), status(&text, "-ERR")) {
            (Some(text), _) => (true, text),
            (None, Some(text)) => (false, text),
            (None, None) => {
                self.state = State::Ended(Output::Failed(ProxyError::Garbage));
                return;
            }
        };
        match (&self.state, ok) {
            (State::Greeting, true) if self.tls == BackEndTls::StartTls => {
                self.say(State::Stls, "STLS\r\n");
            }
            (State::Greeting, true) => self.name_charset(),
            (State::Greeting, false) => self.fail(ProxyError::Unavailable(printable(text))),
            (State::Stls, true) => self.state = State::Handshake,
            (State::Stls, false) => self.fail(ProxyError::NoTls(printable(text))),
            // A back end without UTF8 still has the messages.
            (State::Utf8, _) => self.name_user(),
            (State::User, true) => {
                self.say(State::Pass, "PASS ");
                self.out.extend_from_slice(self.login.password.expose());
                self.out.extend_from_slice(b"\r\n");
            }
            (State::Pass, true) => self.state = State::Ended(Output::LoggedIn),
            (State::User | State::Pass, false) => {
                self.state = State::Ended(Output::Refused(printable(text)));
            }
            (State::Handshake | State::Ended(_), _) => {}
        }
    }

    fn name_charset(&mut self) {
        if self.login.utf8 {
            self.say(State::Utf8, "UTF8\r\n");
        } else {
            self.name_user();
        }
    }

    fn name_user(&mut self) {
        let line = format!("USER {}\r\n", self.login.user);
        self.say(State::User, &line);
    }

    fn say(&mut self, state: State, line: &str) {
        self.out.extend_from_slice(line.as_bytes());
        self.state = state;
    }

    fn fail(&mut self, error: ProxyError) {
        self.state = State::Ended(Output::Failed(error));
    }
}

/// What follows a status indicator.
fn status<'a>(line: &'a str, indicator: &str) -> Option<&'a str> {
    let text = line.strip_prefix(indicator)?;
    (text.is_empty() || text.starts_with(' ')).then(|| text.trim())
}

/// The text of another server, fit for a reply of ours.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::new();
    for c in text.chars().take(400) {
        // Writing to memory does not fail.
        let _ = printable.write_char(if c.is_control() { '?' } else { c });
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(utf8: bool) -> BackEndLogin {
        BackEndLogin {
            user: "jane".to_owned(),
            password: Secret::new("a b"),
            utf8,
        }
    }

    /// Feeds replies octet by octet; gives what was said, `TLS` for a handshake, and
    /// the end.
    fn talk(login: BackEndLogin, tls: BackEndTls, input: &str) -> (String, Output, usize) {
        let mut back_end = BackEnd::new(login, tls);
        let mut said = String::new();
        let mut held = Vec::new();
        let mut octets = input.bytes();
        let mut read = 0;
        loop {
            let Step { consumed, output } = back_end.poll(Millis(5), &held);
            held.drain(..consumed);
            match output {
                Output::Write => {
                    let n = back_end.pending().len().min(3);
                    said.push_str(std::str::from_utf8(&back_end.pending()[..n]).unwrap());
                    back_end.wrote(n);
                }
                Output::StartTls => {
                    said.push_str("TLS\r\n");
                    held.clear();
                    back_end.tls_started();
                }
                Output::Wait { deadline } => {
                    assert_eq!(deadline, Millis(60_005));
                    match octets.next() {
                        Some(octet) => held.push(octet),
                        None => return (said, Output::Wait { deadline }, read),
                    }
                    read += 1;
                }
                end => return (said, end, read - held.len()),
            }
        }
    }

    #[test]
    fn a_client_is_logged_in_and_no_more_is_read() {
        let replies = "+OK hi\r\n+OK\r\n+OK in\r\n";
        let (said, end, read) = talk(login(false), BackEndTls::AsItIs, &format!("{replies}+OK x"));
        assert_eq!(said, "USER jane\r\nPASS a b\r\n");
        assert_eq!((end, read), (Output::LoggedIn, replies.len()));
    }

    #[test]
    fn utf8_and_tls_come_first() {
        let replies = "+OK hi\r\n+OK go\r\n-ERR no UTF8\r\n+OK\r\n+OK in\r\n";
        let (said, end, _) = talk(login(true), BackEndTls::StartTls, replies);
        assert_eq!(said, "STLS\r\nTLS\r\nUTF8\r\nUSER jane\r\nPASS a b\r\n");
        assert_eq!(end, Output::LoggedIn);
    }

    #[test]
    fn without_tls_the_password_is_not_sent() {
        let (said, end, _) = talk(login(false), BackEndTls::StartTls, "+OK\r\n-ERR no\r\n");
        assert_eq!(said, "STLS\r\n");
        assert_eq!(end, Output::Failed(ProxyError::NoTls("no".into())));
    }

    #[test]
    fn refusals_are_passed_on() {
        let replies = "+OK hi\r\n+OK\r\n-ERR [AUTH] no\u{7} way\r\n";
        let (_, end, _) = talk(login(false), BackEndTls::AsItIs, replies);
        assert_eq!(end, Output::Refused("[AUTH] no? way".into()));
    }

    #[test]
    fn useless_hosts_are_told_apart() {
        let end = |replies: &str| talk(login(false), BackEndTls::AsItIs, replies).1;
        assert_eq!(
            end("-ERR full\r\n"),
            Output::Failed(ProxyError::Unavailable("full".into()))
        );
        assert_eq!(end("* OK IMAP\r\n"), Output::Failed(ProxyError::Garbage));
        assert_eq!(end("+OKAY\r\n"), Output::Failed(ProxyError::Garbage));
        let long = "+OK ".to_owned() + &"x".repeat(5000) + "\r\n";
        assert_eq!(end(&long), Output::Failed(ProxyError::Garbage));
        let mut slow = BackEnd::new(login(false), BackEndTls::AsItIs);
        slow.poll(Millis(1), b"");
        assert!(matches!(
            slow.poll(Millis(60_000), b"").output,
            Output::Wait { .. }
        ));
        assert_eq!(
            slow.poll(Millis(60_001), b"").output,
            Output::Failed(ProxyError::Timeout)
        );
    }

    #[test]
    fn nothing_is_smuggled_into_the_dialogue() {
        for (user, password) in [("a\r\nDELE 1", "x"), ("a", "x\nDELE 1"), ("a", "x\0")] {
            let login = BackEndLogin {
                user: user.to_owned(),
                password: Secret::new(password),
                utf8: false,
            };
            let mut back_end = BackEnd::new(login, BackEndTls::AsItIs);
            assert_eq!(
                back_end.poll(Millis(0), b"+OK\r\n").output,
                Output::Failed(ProxyError::Unsendable)
            );
        }
    }
}
