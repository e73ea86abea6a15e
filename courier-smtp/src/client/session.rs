use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use courier_core::message::wire::Segment;
use courier_core::time::Millis;
use courier_core::token::{Serials, Token};

use super::output::{
    ClearLogin, Credentials, Delivery, Failure, Free, Output, Settings, Step, Tls,
};
use super::replies::{Keep, Replies};
use super::transaction::Transaction;
use crate::extension::{Capabilities, Keyword};
use crate::reply::{Reply, Severity};

/// One connection to a server.
///
/// The host reads into a buffer, calls [`poll`](Self::poll) with it, does what the
/// [`Output`] says, and drops the octets that were consumed.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    pub(super) state: State,
    pub(super) out: Vec<u8>,
    written: usize,
    replies: Replies,
    serials: Serials,
    pub(super) capabilities: Capabilities,
    secure: Secure,
    pub(super) transaction: Option<Transaction>,
    /// To be told before anything else.
    pub(super) news: Option<Output>,
    now: Millis,
    deadline: Option<Millis>,
}

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Secure {
    Clear,
    Tls,
}

/// What the client waits for.
#[derive(Debug)]
pub(super) enum State {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    /// That the host starts the handshake, and then its end.
    TlsNext,
    Handshake,
    AuthPlain,
    AuthLogin(LoginStep),
    /// To say that the session is free, and then the host's wish.
    Free,
    Asked(u64),
    /// Replies of a transaction.
    Transaction,
    /// That the content is sent.
    Sending(Option<Segment>),
    Quit,
    Closing,
}

/// What the next response of AUTH LOGIN is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoginStep {
    User,
    Password,
    Verdict,
}

impl Client {
    /// A client that has just connected.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            state: State::Greeting,
            out: Vec::new(),
            written: 0,
            replies: Replies::default(),
            serials: Serials::default(),
            capabilities: Capabilities::default(),
            secure: Secure::Clear,
            transaction: None,
            news: None,
            now: Millis(0),
            deadline: None,
        }
    }

    /// A client whose connection is under TLS already.
    #[must_use]
    pub fn under_tls(settings: Settings) -> Self {
        Self {
            secure: Secure::Tls,
            ..Self::new(settings)
        }
    }

    /// Looks at the input and the time, and says what the host does next.
    pub fn poll(&mut self, now: Millis, input: &[u8]) -> Step {
        self.now = now;
        let mut consumed = 0;
        loop {
            if let Some(output) = self.due(input.len() - consumed) {
                if matches!(output, Output::StartTls) {
                    consumed = input.len(); // RFC 3207 section 4.2
                }
                return Step { consumed, output };
            }
            let rest = input.get(consumed..).unwrap_or_default();
            let (octets, reply) = self.replies.next(rest, self.keep());
            consumed += octets;
            match reply {
                Some(reply) => {
                    self.deadline = None;
                    self.heard(reply);
                }
                None => match self.patience() {
                    Some(deadline) => {
                        let output = Output::Wait { deadline };
                        return Step { consumed, output };
                    }
                    None => self.fail(Failure::TimedOut),
                },
            }
        }
    }

    /// What is to be sent to the server; at most 64 KiB.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        self.out.get(self.written..).unwrap_or_default()
    }

    /// So many octets of [`Self::pending`] were sent.
    pub fn wrote(&mut self, octets: usize) {
        self.written = self.written.saturating_add(octets);
        if self.written >= self.out.len() {
            self.written = 0;
            self.out.clear();
        }
    }

    /// The handshake of [`Output::StartTls`] is done. What the server offered before is
    /// forgotten.
    pub fn tls_started(&mut self) {
        if matches!(self.state, State::Handshake) {
            self.secure = Secure::Tls;
            self.replies = Replies::default();
            self.say_hello();
        }
    }

    /// Begins a delivery: the answer to [`Output::Ready`].
    ///
    /// # Errors
    /// Gives the delivery back if the server has ended the session meanwhile.
    pub fn begin(&mut self, token: Token<Free>, delivery: Delivery) -> Result<(), Box<Delivery>> {
        if !self.is_free(token) {
            return Err(Box::new(delivery));
        }
        self.start(delivery);
        Ok(())
    }

    /// Ends the session: the answer to [`Output::Ready`].
    pub fn quit(&mut self, token: Token<Free>) {
        if self.is_free(token) {
            self.say_quit();
        }
    }

    /// All of the segment of [`Output::Send`] was sent.
    pub fn sent(&mut self) {
        if matches!(self.state, State::Sending(None)) {
            self.out.extend_from_slice(b".\r\n");
            self.go(State::Transaction);
        }
    }

    /// The server has closed the connection, or it broke.
    pub fn closed(&mut self) {
        self.fail(Failure::ConnectionLost);
    }

    /// What the server offers.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// What the host does before replies are read; `unread` octets are in its buffer.
    fn due(&mut self, unread: usize) -> Option<Output> {
        if let Some(news) = self.news.take() {
            return Some(news);
        }
        self.speak_on();
        if !self.pending().is_empty() {
            return Some(Output::Write);
        }
        match &mut self.state {
            State::TlsNext => {
                self.go(State::Handshake);
                Some(Output::StartTls)
            }
            State::Handshake => {
                let deadline = self.patience()?;
                Some(Output::Wait { deadline })
            }
            // What comes unasked ends the session: it is 421, or nonsense.
            State::Free if unread == 0 => {
                let token = self.serials.issue();
                self.go(State::Asked(token.serial()));
                Some(Output::Ready(token))
            }
            State::Sending(segment) => Some(match segment.take() {
                Some(segment) => Output::Send(segment),
                None => Output::Wait {
                    deadline: Millis(u64::MAX),
                },
            }),
            State::Closing => Some(Output::Close),
            _ => None,
        }
    }

    fn keep(&self) -> Keep {
        match self.state {
            State::Ehlo => Keep::Keywords,
            _ => Keep::Few,
        }
    }

    /// Until when to wait for a reply, or nothing if the time is over.
    fn patience(&mut self) -> Option<Millis> {
        let timeouts = &self.settings.timeouts;
        let patience = match &self.state {
            State::Greeting | State::Ehlo | State::Helo => timeouts.hello,
            State::StartTls | State::Handshake => timeouts.hello,
            State::Free | State::Asked(_) => return Some(Millis(u64::MAX)),
            State::Transaction if self.awaits_end() => timeouts.data,
            State::Quit => timeouts.quit,
            _ => timeouts.command,
        };
        let deadline = *self.deadline.get_or_insert(self.now + patience);
        (self.now < deadline).then_some(deadline)
    }

    #[expect(clippy::needless_pass_by_value, reason = "the token is used up")]
    fn is_free(&mut self, token: Token<Free>) -> bool {
        matches!(self.state, State::Asked(serial) if serial == token.serial())
    }

    pub(super) fn go(&mut self, state: State) {
        self.state = state;
        self.deadline = None;
    }

    pub(super) fn command(&mut self, line: &str) {
        self.out.extend_from_slice(line.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    fn heard(&mut self, reply: Result<Reply, Failure>) {
        let reply = match reply {
            Ok(reply) => reply,
            Err(failure) => return self.fail(failure),
        };
        match self.state {
            State::Greeting if reply.is_success() => self.say_hello(),
            State::Greeting => self.give_up(Failure::Greeting(reply)),
            State::Ehlo | State::Helo => self.hello_answered(&reply),
            State::StartTls if reply.is_success() => self.go(State::TlsNext),
            State::StartTls if self.settings.tls == Tls::Required => {
                self.give_up(Failure::TlsRefused(reply));
            }
            State::StartTls => self.log_in(),
            State::AuthPlain => self.logged_in(reply),
            State::AuthLogin(step) => self.log_in_on(step, reply),
            State::Transaction => self.transaction_heard(reply),
            State::Quit => self.go(State::Closing),
            // Nobody has asked: the server ends the session, or makes no sense.
            _ => self.fail(Failure::Unexpected(reply)),
        }
    }

    fn say_hello(&mut self) {
        self.capabilities = Capabilities::default();
        self.command(&format!("EHLO {}", self.settings.name));
        self.go(State::Ehlo);
    }

    fn hello_answered(&mut self, reply: &Reply) {
        match (&self.state, reply.severity()) {
            (State::Ehlo, Severity::Success) => self.capabilities = Capabilities::parse(reply),
            (_, Severity::Success) => {}
            (State::Ehlo, Severity::Permanent) => {
                self.command(&format!("HELO {}", self.settings.name));
                return self.go(State::Helo);
            }
            _ => return self.give_up(Failure::Hello(reply.clone())),
        }
        match (self.secure, self.settings.tls) {
            (Secure::Tls, _) | (Secure::Clear, Tls::Never) => self.log_in(),
            _ if self.capabilities.has(Keyword::StartTls) => {
                self.command("STARTTLS");
                self.go(State::StartTls);
            }
            (Secure::Clear, Tls::Required) => self.give_up(Failure::TlsNotOffered),
            (Secure::Clear, Tls::IfOffered) => self.log_in(),
        }
    }

    /// AUTH, if there are credentials (RFC 4954; PLAIN: RFC 4616).
    fn log_in(&mut self) {
        let Some(Credentials {
            user,
            password,
            in_clear,
        }) = &self.settings.credentials
        else {
            return self.go(State::Free);
        };
        let safe = self.secure == Secure::Tls || *in_clear == ClearLogin::Allowed;
        let offered = |name: &str| self.capabilities.mechanisms.iter().any(|m| m == name);
        if safe && offered("PLAIN") {
            let message = [b"\0", user.as_bytes(), b"\0", password.expose()].concat();
            let line = format!("AUTH PLAIN {}", STANDARD.encode(message));
            self.command(&line);
            self.go(State::AuthPlain);
        } else if safe && offered("LOGIN") {
            self.command("AUTH LOGIN");
            self.go(State::AuthLogin(LoginStep::User));
        } else {
            self.give_up(Failure::NoMechanism);
        }
    }

    fn log_in_on(&mut self, step: LoginStep, reply: Reply) {
        if reply.severity() != Severity::Intermediate {
            return self.logged_in(reply);
        }
        let Some(credentials) = &self.settings.credentials else {
            return self.fail(Failure::Unexpected(reply));
        };
        let (response, next) = match step {
            LoginStep::User => (credentials.user.as_bytes(), LoginStep::Password),
            LoginStep::Password => (credentials.password.expose(), LoginStep::Verdict),
            LoginStep::Verdict => return self.fail(Failure::Unexpected(reply)),
        };
        let line = STANDARD.encode(response);
        self.command(&line);
        self.go(State::AuthLogin(next));
    }

    fn logged_in(&mut self, reply: Reply) {
        if reply.is_success() {
            self.go(State::Free);
        } else {
            self.give_up(Failure::AuthRefused(reply));
        }
    }

    /// Ends the session politely, before any delivery.
    fn give_up(&mut self, failure: Failure) {
        self.news = Some(Output::Failed(failure));
        self.say_quit();
    }

    pub(super) fn say_quit(&mut self) {
        self.command("QUIT");
        self.go(State::Quit);
    }

    /// Ends the session at once.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.out.clear();
        self.written = 0;
        match &self.state {
            State::Closing => return,
            State::Quit | State::Free | State::Asked(_) => {}
            _ => match self.transaction.take() {
                Some(transaction) => self.news = Some(Output::Settled(transaction.lost(&failure))),
                None => self.news = Some(Output::Failed(failure)),
            },
        }
        self.go(State::Closing);
    }
}
