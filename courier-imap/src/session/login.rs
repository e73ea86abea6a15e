//! LOGIN, AUTHENTICATE and STARTTLS (RFC 3501 §6.2, RFC 4959).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use courier_core::account::sasl::Verdict;
use courier_core::account::secret::Secret;
use courier_core::time::Millis;

use super::output::{Credentials, Exchange, Output, Refusal};
use super::reply::{MailboxNews, Reply};
use super::{After, Answer, Core, Intake, Job, Progress, Standing};
use crate::grammar::framing::{Frame, Limits};

/// A login, by password or by a SASL exchange.
#[derive(Debug)]
pub(super) struct Login {
    state: State,
    way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Command,
    Sasl,
}

#[derive(Debug)]
enum State {
    Password(Credentials),
    Begin(Exchange),
    Respond(Vec<u8>),
    Asked,
    /// The client's next word is due.
    Line,
    /// A failed login waits for its answer; nothing else waits with it.
    Delay(Millis, Reply),
    Ended(Reply),
}

impl Login {
    pub(super) fn command(
        core: &Core,
        user: &[u8],
        password: Cow<'_, [u8]>,
    ) -> Result<Self, Reply> {
        if !core.may_use_login() {
            return Err(encryption_required());
        }
        let password = Secret::new(password.into_owned());
        // What has control characters or is no text is nobody's name; but whoever guesses
        // names is to wait as for any other wrong one.
        let user = std::str::from_utf8(user)
            .ok()
            .filter(|user| !user.contains(char::is_control));
        let state = match user {
            Some(user) => State::Password(Credentials {
                user: user.to_owned(),
                password,
            }),
            None => return Err(Reply::bad("The user name has octets that no name has.")),
        };
        let way = Way::Command;
        Ok(Self { state, way })
    }

    pub(super) fn sasl(
        core: &Core,
        mechanism: &[u8],
        initial: Option<&[u8]>,
    ) -> Result<Self, Reply> {
        let mechanism = String::from_utf8_lossy(mechanism).to_ascii_uppercase();
        if !core.logins().mechanisms.contains(&mechanism) {
            if core.settings.tls.mechanisms.contains(&mechanism) && core.may_start_tls() {
                return Err(encryption_required());
            }
            return Err(Reply::no("CANNOT", "Unsupported authentication mechanism."));
        }
        let initial = match initial {
            None => None,
            // RFC 4959 §3: a lone equals sign is the empty response.
            Some(b"=") => Some(Vec::new()),
            Some(text) => Some(STANDARD.decode(text).map_err(|_| not_base64())?),
        };
        let state = State::Begin(Exchange { mechanism, initial });
        let way = Way::Sasl;
        Ok(Self { state, way })
    }

    fn take_verdict(&mut self, core: &mut Core) -> State {
        let Some(Answer::Verdict(verdict)) = core.take_answer() else {
            return State::Asked;
        };
        match verdict {
            Verdict::Accepted => {
                core.standing = Standing::Known;
                core.failures = 0;
                core.wrong = 0;
                let code = format!("CAPABILITY {}", core.capabilities());
                State::Ended(Reply::ok("LOGIN Ok.").with_code(code))
            }
            Verdict::Refused => {
                core.failures += 1;
                if core.failures >= core.settings.login_failures {
                    core.after = After::Bye("Too many failed logins.");
                }
                let delay = core
                    .settings
                    .failure_delay
                    .0
                    .saturating_mul(core.failures.into());
                let delay = delay.min(core.settings.longest_failure_delay.0);
                let reply = Reply::no("AUTHENTICATIONFAILED", "Login failed.");
                State::Delay(core.now + Millis(delay), reply)
            }
            Verdict::Challenge(challenge) if self.way == Way::Sasl => {
                core.out.write("+ ");
                core.out.write(&STANDARD.encode(challenge));
                core.out.write("\r\n");
                State::Line
            }
            Verdict::Malformed => State::Ended(Reply::bad("The mechanism does not allow this.")),
            Verdict::Challenge(_) | Verdict::Unavailable => {
                State::Ended(Reply::refused(Refusal::Unavailable))
            }
        }
    }
}

impl Job for Login {
    fn run(&mut self, core: &mut Core) -> Progress {
        if matches!(self.state, State::Asked) {
            self.state = self.take_verdict(core);
        }
        if let State::Delay(until, _) = &self.state
            && core.now < *until
        {
            return Progress::Until(*until);
        }
        match std::mem::replace(&mut self.state, State::Asked) {
            State::Password(credentials) => core.ask(|token| Output::Login(token, credentials)),
            State::Begin(exchange) => core.ask(|token| Output::Authenticate(token, exchange)),
            State::Respond(response) => core.ask(|token| Output::Respond(token, response)),
            State::Asked => Progress::Done(Reply::refused(Refusal::ServerBug)),
            State::Line => {
                self.state = State::Line;
                Progress::Input
            }
            State::Delay(_, reply) | State::Ended(reply) => Progress::Done(reply),
        }
    }

    fn input<'b>(&mut self, core: &mut Core, input: &'b [u8]) -> Intake<'b> {
        let (count, frame) = core.framer.next(input, Limits::LINE);
        self.state = match frame {
            Frame::More => return Intake::Need(count),
            Frame::Command(line) if *line == *b"*" => {
                State::Ended(Reply::bad("AUTHENTICATE cancelled."))
            }
            Frame::Command(line) => match STANDARD.decode(&line) {
                Ok(response) => State::Respond(response),
                Err(_) => State::Ended(not_base64()),
            },
            Frame::GoAhead | Frame::Message { .. } | Frame::Refused { .. } | Frame::Flood => {
                State::Ended(not_base64())
            }
        };
        Intake::Took(count)
    }

    fn is_idle(&self) -> bool {
        matches!(self.state, State::Line | State::Delay(..))
    }
}

fn encryption_required() -> Reply {
    Reply::no("PRIVACYREQUIRED", "STARTTLS required")
}

fn not_base64() -> Reply {
    Reply::bad("The response is not in base64.")
}

/// RFC 3501 §6.2.1
pub(super) fn start_tls(core: &mut Core) -> Result<Reply, Reply> {
    if !core.may_start_tls() {
        return Err(Reply::bad("STARTTLS is not available."));
    }
    core.after = After::StartTls;
    Ok(Reply::ok("Begin TLS negotiation now.").with_news(MailboxNews::None))
}
