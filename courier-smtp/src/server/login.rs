use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use courier_core::account::sasl::Verdict;
use courier_core::time::Millis;

use super::limits::Left;
use super::output::Output;
use super::session::{
    BROKEN_LINE, Next, Pause, Question, Server, State, TOO_MANY_ERRORS, Transport,
};
use crate::extension::Keyword;
use crate::framing::Framed;
use crate::reply::Reply;

/// AUTH (RFC 4954). Mechanisms are the host's business; this carries what they say.
impl Server {
    /// The mechanisms that the client may use now.
    pub(super) fn offered_mechanisms(&self) -> &[String] {
        if !self.settings.keywords.has(Keyword::Auth) {
            return &[];
        }
        match self.transport {
            Transport::Plain => &self.settings.mechanisms.plain,
            Transport::Tls => &self.settings.mechanisms.tls,
        }
    }

    pub(super) fn auth<'b>(&mut self, name: &str, initial: Option<&[u8]>) -> Option<Output<'b>> {
        let mechanism = name.to_ascii_uppercase();
        if let Some(refusal) = self.cannot_auth(&mechanism) {
            self.say(refusal);
            return None;
        }
        let initial = match initial.map(decode).transpose() {
            Ok(initial) => initial,
            Err(reply) => {
                self.say(reply);
                return None;
            }
        };
        let until = self.now + self.settings.limits.auth_wait;
        let token = self.ask(Question::Authentication { until });
        Some(Output::Authenticate {
            token,
            mechanism,
            initial,
        })
    }

    fn cannot_auth(&self, mechanism: &String) -> Option<Reply> {
        if self.logged_in {
            return Some(Reply::fixed(503, 5, 1, "You are logged in"));
        }
        if self.transaction.is_some() {
            return Some(Reply::fixed(503, 5, 1, "Not inside a transaction"));
        }
        if self.offered_mechanisms().contains(mechanism) {
            return None;
        }
        let under_tls = self.offers_tls() && self.settings.mechanisms.tls.contains(mechanism);
        Some(if under_tls {
            Reply::fixed(538, 7, 11, "This mechanism needs TLS")
        } else {
            Reply::fixed(504, 5, 4, "Mechanism not offered")
        })
    }

    pub(super) fn read_response<'b>(&mut self, until: Millis, input: &'b [u8]) -> Next<'b> {
        if let Some(next) = self.flushed() {
            return next;
        }
        let (consumed, framed) = self.lines.next(input, self.settings.limits.auth_line);
        match framed {
            Framed::Line(b"*") => {
                self.go(State::Command);
                self.say(Reply::fixed(501, 7, 0, "Authentication cancelled"));
                Next::Again(consumed)
            }
            Framed::Line(line) => match decode_response(line) {
                Ok(response) => {
                    let token = self.ask(Question::Authentication { until });
                    Next::Do(consumed, Output::Respond { token, response })
                }
                Err(reply) => {
                    self.go(State::Command);
                    self.say(reply);
                    Next::Again(consumed)
                }
            },
            Framed::More if consumed > 0 => Next::Again(consumed),
            Framed::More if self.now >= until => self.too_slow(),
            Framed::More => Next::Do(0, Output::Wait { deadline: until }),
            Framed::TooLong => {
                self.go(State::Command);
                self.say(Reply::fixed(500, 5, 6, "Line too long"));
                Next::Again(consumed)
            }
            Framed::Broken(_) | Framed::Flood => {
                self.last_word(&BROKEN_LINE);
                Next::Again(consumed)
            }
        }
    }

    pub(super) fn verdict(&mut self, until: Millis, verdict: Verdict) {
        match verdict {
            Verdict::Challenge(challenge) => {
                let line = format!("334 {}\r\n", STANDARD.encode(challenge));
                self.out.buffer().extend_from_slice(line.as_bytes());
                self.go(State::Challenged { until });
            }
            Verdict::Accepted => {
                self.logged_in = true;
                self.say(Reply::fixed(235, 7, 0, "Ok"));
            }
            Verdict::Refused => self.failed(Reply::fixed(535, 7, 8, "Authentication failed")),
            Verdict::Malformed => self.failed(Reply::fixed(501, 5, 2, "Malformed response")),
            Verdict::Unavailable => {
                self.say(Reply::fixed(454, 7, 0, "Temporary authentication failure"));
            }
        }
    }

    /// The reply to a failed login waits a while; after the last one the session ends.
    fn failed(&mut self, reply: Reply) {
        let (left, hold) = self.budget.auth_failure(self.settings.limits.auth_failures);
        self.say(reply);
        self.hold = Pause::For(hold);
        if left == Left::Nothing && !matches!(self.state, State::Closing) {
            self.last_word(&TOO_MANY_ERRORS);
        }
    }
}

/// RFC 4954 §4: in an initial response `=` stands for nothing.
fn decode(initial: &[u8]) -> Result<Vec<u8>, Reply> {
    match initial {
        b"=" => Ok(Vec::new()),
        other => decode_response(other),
    }
}

fn decode_response(line: &[u8]) -> Result<Vec<u8>, Reply> {
    let wrong = Reply::fixed(501, 5, 2, "Expected base64");
    STANDARD.decode(line).map_err(|_| wrong)
}
