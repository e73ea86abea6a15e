use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use courier_core::account::sasl::Verdict;
use courier_core::account::secret::Secret;
use courier_core::time::Millis;

use super::output::{Ending, OpenRefusal, Opened, Output};
use super::{Ended, Hold, Next, Phase, Question, Session, State};
use crate::command::{self, Command};
use crate::framing::Framed;
use crate::proxy::printable;

/// How the client proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    Password,
    Mechanism,
}

/// The AUTHORIZATION state: USER, PASS, AUTH, STLS.
impl Session {
    pub(super) fn authorization_command(&mut self, command: Command) {
        match command {
            Command::Stls if self.offers_tls() => {
                self.ok("Begin TLS negotiation.");
                self.go(State::Handshake);
                self.next = Some(Output::StartTls);
            }
            Command::User(_) | Command::Pass(_) | Command::Auth { .. } if self.needs_tls() => {
                self.bad_command("TLS required to log in.");
            }
            Command::User(_) | Command::Pass(_) if !self.takes_passwords() => {
                self.bad_command("[AUTH] Passwords are taken under TLS only.");
            }
            Command::User(name) => {
                self.user = Some(name);
                self.ok("Password required.");
            }
            Command::Pass(password) => self.password(password),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial),
            _ => self.bad_command("Invalid command."),
        }
    }

    fn password(&mut self, password: Secret) {
        let Some(user) = self.user.take() else {
            self.bad_command("USER/PASS required.");
            return;
        };
        let token = self.ask(Question::Authentication(Via::Password));
        self.next = Some(Output::Login {
            token,
            user,
            password,
        });
    }

    fn auth(&mut self, mechanism: String, initial: Option<Vec<u8>>) {
        if !self.offered_mechanisms().contains(&mechanism) {
            self.bad_command("[AUTH] Mechanism not offered.");
            return;
        }
        let token = self.ask(Question::Authentication(Via::Mechanism));
        self.next = Some(Output::Authenticate {
            token,
            mechanism,
            initial,
        });
    }

    pub(super) fn read_response(&mut self, input: &[u8]) -> Next {
        if self.shutting_down {
            return self.stop();
        }
        if self.now >= self.login_deadline() {
            return self.too_slow();
        }
        let (consumed, framed) = self.lines.next(input, self.settings.limits.auth_line);
        match framed {
            Framed::More if consumed > 0 => return Next::Again(consumed),
            Framed::More => {
                let deadline = self.login_deadline();
                return Next::Do(0, Output::Wait { deadline });
            }
            Framed::Flood => {
                self.last_word("Line too long.", Ending::Refused);
            }
            Framed::TooLong => self.cancel("Line too long."),
            // RFC 5034 §4: no failed login, but not for ever either.
            Framed::Line(b"*") => self.cancel("Authentication aborted."),
            Framed::Line(line) => match command::response(line) {
                Ok(response) => {
                    let token = self.ask(Question::Authentication(Via::Mechanism));
                    self.next = Some(Output::Respond { token, response });
                }
                Err(error) => self.cancel(&error.to_string()),
            },
        }
        Next::Again(consumed)
    }

    fn cancel(&mut self, text: &str) {
        self.go(State::Command);
        self.bad_command(text);
    }

    pub(super) fn verdict(&mut self, via: Via, verdict: Verdict) {
        match verdict {
            Verdict::Challenge(challenge) => {
                let challenge = STANDARD.encode(challenge);
                self.out.line(format_args!("+ {challenge}"));
                self.go(State::Challenged);
            }
            Verdict::Accepted => {
                let token = self.ask(Question::Open);
                self.next = Some(Output::Open { token });
            }
            Verdict::Refused => self.login_failed(match via {
                Via::Password => "[AUTH] Login failed.",
                Via::Mechanism => "[AUTH] Authentication failed.",
            }),
            Verdict::Malformed => self.login_failed("Authentication failed: malformed response."),
            Verdict::Unavailable => {
                self.last_word(
                    "[SYS/TEMP] Temporary problem, please try again later",
                    Ending::Refused,
                );
            }
        }
    }

    /// The reply waits for 1 s, then 2 s, up to 5 s (reliability.md section 5).
    fn login_failed(&mut self, text: &str) {
        self.auth_failures += 1;
        self.hold = Hold::For(Millis::from_secs(self.auth_failures.min(5).into()));
        self.err(text);
        if self.auth_failures >= self.settings.limits.auth_failures {
            self.go(State::Ended(Ended::Close(Ending::Refused)));
        }
    }

    pub(super) fn maildrop(&mut self, opened: Opened) {
        match opened {
            Opened::Maildrop(listing) => {
                self.phase = Phase::Transaction(Box::new(listing));
                self.errors = 0;
                self.ok("logged in.");
            }
            Opened::Proxied => {
                self.ok("Connected to proxy server.");
                self.go(State::Ended(Ended::Relay));
            }
            Opened::Refused(refusal) => {
                self.last_word(&refusal_text(&refusal), Ending::Refused);
            }
        }
    }
}

/// RFC 2449 §8, RFC 3206: the code tells programs what the text tells people.
fn refusal_text(refusal: &OpenRefusal) -> Cow<'_, str> {
    Cow::Borrowed(match refusal {
        OpenRefusal::InUse => "[IN-USE] The mailbox is open in another session.",
        OpenRefusal::LoginDelay => "[LOGIN-DELAY] Your last login was a moment ago, please wait.",
        OpenRefusal::Locked => {
            "[SYS/TEMP] Your account is temporarily unavailable (+t bit set on home directory)."
        }
        OpenRefusal::Disabled => "[AUTH] POP3 access disabled for this account.",
        OpenRefusal::DisabledInsecure => "[AUTH] POP3 access disabled via insecure connection.",
        OpenRefusal::Temporary => "[SYS/TEMP] Temporary problem, please try again later",
        OpenRefusal::Permanent => "[SYS/PERM] The mailbox cannot be opened.",
        OpenRefusal::BackEnd(text) => return Cow::Owned(printable(text)),
    })
}
