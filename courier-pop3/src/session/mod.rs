//! One session with a client (RFC 1939).

mod capabilities;
mod login;
mod output;
mod pending;
mod settings;
mod transaction;

use std::sync::Arc;

use courier_core::account::sasl::Verdict;
use courier_core::time::Millis;
use courier_core::token::{Serials, Token};

pub use output::{
    Authentication, Delete, Ending, Extent, Facts, Open, OpenRefusal, Opened, Output, Retrieve,
    RetrieveError, Retrieved, Step,
};
pub use settings::{ClearPasswords, EightBitHeaders, Expire, Limits, Mechanisms, Settings, Tls};

use crate::command::{Command, CommandError};
use crate::framing::{Framed, Lines};
use crate::listing::{Listing, MessageNumber};
use crate::retrieval::Retrieval;
use login::Via;
use pending::Pending;

/// One session with a client.
///
/// The host reads into a buffer that has room for the longest line
/// ([`Limits::auth_line`]), calls [`poll`](Self::poll) with it, does what the
/// [`Output`] says, and drops the octets that were consumed. Questions carry tokens;
/// while one is open nothing is consumed, so the client waits. The front page of the
/// crate has a whole session.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    transport: Transport,
    /// Whether AUTH EXTERNAL can succeed.
    certificate: Certificate,
    state: State,
    phase: Phase,
    out: Pending,
    /// What to do once everything is written.
    next: Option<Output>,
    now: Millis,
    /// When the first poll was.
    started: Option<Millis>,
    /// Since when the client is silent, or the host has not answered; none: from the
    /// next poll on.
    quiet_since: Option<Millis>,
    /// A reply is held back for so long.
    hold: Hold,
    lines: Lines,
    serials: Serials,
    /// The argument of USER.
    user: Option<String>,
    charset: Charset,
    errors: u32,
    auth_failures: u32,
    first_line: bool,
    shutting_down: bool,
    facts: Facts,
}

/// How the client is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// In clear.
    Plain,
    /// Under TLS.
    Tls,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Certificate {
    None,
    Usable,
}

/// The states of RFC 1939. UPDATE is the question of [`Output::Delete`].
#[derive(Debug)]
enum Phase {
    Authorization,
    Transaction(Box<Listing>),
}

/// What the session waits for.
#[derive(Debug)]
enum State {
    /// A command.
    Command,
    /// The client's response to a challenge.
    Challenged,
    /// The answer to the question of this serial number.
    Asked(u64, Question),
    /// Room for more lines of a list, from this message on.
    Listing(List, MessageNumber),
    /// That the pieces of a message are sent.
    Sending(Box<Retrieval>, Extent),
    /// The end of the handshake.
    Handshake,
    /// Nothing more: the end.
    Ended(Ended),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Relay,
    Close(Ending),
}

#[derive(Debug, Clone, Copy)]
enum Question {
    Authentication(Via),
    Open,
    Retrieve {
        number: MessageNumber,
        lines: Option<u64>,
    },
    Delete,
}

/// A list of several lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    Sizes,
    UniqueIds,
}

/// Whether the client has said UTF8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    Ascii,
    Utf8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    None,
    /// From the next poll on.
    For(Millis),
    Until(Millis),
}

/// What one step came to; the number of octets is what it consumed.
enum Next {
    Again(usize),
    Do(usize, Output),
}

impl Session {
    /// A session with a client that has just connected.
    #[must_use]
    pub fn new(settings: Arc<Settings>, transport: Transport) -> Self {
        let mut out = Pending::default();
        out.line(format_args!("+OK {}", settings.greeting));
        Self {
            settings,
            transport,
            certificate: Certificate::None,
            state: State::Command,
            phase: Phase::Authorization,
            out,
            next: None,
            now: Millis(0),
            started: None,
            quiet_since: None,
            hold: Hold::None,
            lines: Lines::default(),
            serials: Serials::default(),
            user: None,
            charset: Charset::Ascii,
            errors: 0,
            auth_failures: 0,
            first_line: true,
            shutting_down: false,
            facts: Facts::default(),
        }
    }

    /// A session that says no instead of a greeting and ends: there are too many.
    #[must_use]
    pub fn turning_away(settings: Arc<Settings>) -> Self {
        let mut session = Self::new(settings, Transport::Plain);
        session.out = Pending::default();
        session.last_word(
            "[SYS/TEMP] Too many connections, please try again later.",
            Ending::Refused,
        );
        session
    }

    /// The client has shown a certificate that leads to an account: EXTERNAL is offered
    /// under TLS.
    pub fn offer_external(&mut self) {
        self.certificate = Certificate::Usable;
    }

    /// Looks at the input and the time, and says what the host does next.
    pub fn poll(&mut self, now: Millis, input: &[u8]) -> Step {
        self.now = now;
        self.started.get_or_insert(now);
        self.quiet_since.get_or_insert(now);
        let mut consumed = 0;
        loop {
            let rest = input.get(consumed..).unwrap_or_default();
            match self.step(rest) {
                Next::Again(octets) => consumed += octets,
                Next::Do(octets, output) => {
                    consumed += octets;
                    return Step { consumed, output };
                }
            }
        }
    }

    /// What is to be sent to the client; at most 64 KiB.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        self.out.rest()
    }

    /// So many octets of [`Self::pending`] were sent.
    pub fn wrote(&mut self, octets: usize) {
        self.out.wrote(octets);
        self.quiet_since = None;
    }

    /// The handshake of [`Output::StartTls`] is done. The session is as new (RFC 2595
    /// §4); only the time and the failures still count.
    pub fn tls_started(&mut self) {
        if matches!(self.state, State::Handshake) {
            self.transport = Transport::Tls;
            self.lines = Lines::default();
            self.user = None;
            self.charset = Charset::Ascii;
            self.go(State::Command);
        }
    }

    /// The server stops: the client is told so once its present command is answered.
    /// Poll afterwards.
    pub fn shutdown(&mut self) {
        self.shutting_down = true;
    }

    /// How the client is connected.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Whether the client has logged in and its maildrop is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Transaction(_))
    }

    /// Whether the client has said UTF8, as a back end must be told.
    #[must_use]
    pub fn is_utf8(&self) -> bool {
        self.charset == Charset::Utf8
    }

    /// For the log.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.facts
    }

    /// Answers [`Output::Login`], [`Output::Authenticate`] and [`Output::Respond`].
    pub fn authenticated(&mut self, token: Token<Authentication>, verdict: Verdict) {
        if let Some(Question::Authentication(via)) = self.answered(token) {
            self.verdict(via, verdict);
        }
    }

    /// Answers [`Output::Open`].
    pub fn opened(&mut self, token: Token<Open>, opened: Opened) {
        if let Some(Question::Open) = self.answered(token) {
            self.maildrop(opened);
        }
    }

    /// Answers [`Output::Retrieve`].
    pub fn retrieved(&mut self, token: Token<Retrieve>, retrieved: Retrieved) {
        if let Some(Question::Retrieve { number, lines }) = self.answered(token) {
            self.send(number, lines, retrieved);
        }
    }

    /// Answers [`Output::Delete`]: how many of the messages are still there. Those that
    /// somebody else has removed are not.
    pub fn deleted(&mut self, token: Token<Delete>, left: usize) {
        if let Some(Question::Delete) = self.answered(token) {
            self.updated(left);
        }
    }

    fn step(&mut self, input: &[u8]) -> Next {
        if let Some(deadline) = self.held() {
            return Next::Do(0, Output::Wait { deadline });
        }
        // Replies to pipelined commands are gathered, but nothing else overtakes them.
        let gather = matches!(self.state, State::Command) && self.out.has_room();
        if !self.out.is_empty() && !gather {
            return Next::Do(0, Output::Write);
        }
        if let Some(output) = self.next.take() {
            // RFC 2595 §4: what came before the handshake is forgotten.
            let forgotten = matches!(output, Output::StartTls).then_some(input.len());
            return Next::Do(forgotten.unwrap_or(0), output);
        }
        match &mut self.state {
            State::Command => self.read_command(input),
            State::Challenged => self.read_response(input),
            State::Asked(..) => self.await_host(self.host_deadline()),
            State::Listing(list, from) => {
                let (list, from) = (*list, *from);
                self.list_on(list, from);
                Next::Again(0)
            }
            State::Sending(retrieval, extent) => match retrieval.segments.pop_front() {
                Some(segment) => {
                    let octets = segment.source().len() as u64;
                    match extent {
                        Extent::Whole => self.facts.retr += octets,
                        Extent::Top => self.facts.top += octets,
                    }
                    Next::Do(0, Output::Send(segment))
                }
                None => {
                    self.out.line(format_args!("."));
                    self.go(State::Command);
                    Next::Again(0)
                }
            },
            State::Handshake => {
                let deadline = self.quiet_until(self.settings.limits.handshake_wait);
                if self.now < deadline {
                    return Next::Do(0, Output::Wait { deadline });
                }
                self.go(State::Ended(Ended::Close(Ending::Timeout)));
                Next::Again(0)
            }
            State::Ended(Ended::Relay) => Next::Do(0, Output::Relay),
            State::Ended(Ended::Close(ending)) => Next::Do(0, Output::Close(*ending)),
        }
    }

    fn read_command(&mut self, input: &[u8]) -> Next {
        if self.shutting_down {
            return self.stop();
        }
        if !self.is_open() && self.now >= self.login_deadline() {
            return self.too_slow();
        }
        let limit = self.line_limit(input);
        let (consumed, framed) = self.lines.next(input, limit);
        match framed {
            Framed::More if consumed > 0 => return Next::Again(consumed),
            Framed::More => return self.await_command(),
            Framed::Flood => {
                self.last_word("Line too long.", Ending::Refused);
            }
            Framed::TooLong => {
                self.first_line = false;
                self.bad_command("Line too long.");
            }
            Framed::Line(line) if self.first_line && is_http(line) => {
                self.go(State::Ended(Ended::Close(Ending::Refused)));
            }
            Framed::Line(line) => {
                self.first_line = false;
                self.quiet_since = Some(self.now);
                self.command(line);
            }
        }
        Next::Again(consumed)
    }

    /// An AUTH command may be longer, for the tokens of some mechanisms.
    fn line_limit(&self, input: &[u8]) -> usize {
        let limits = &self.settings.limits;
        let auth = input
            .get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"AUTH "));
        if auth && !self.is_open() {
            limits.auth_line.max(limits.line)
        } else {
            limits.line
        }
    }

    fn command(&mut self, line: &[u8]) {
        match Command::parse(line) {
            Ok(Command::Capa) => self.capabilities(),
            Ok(Command::Lang(tag)) => self.language(tag.as_deref()),
            Ok(Command::Utf8) => {
                // After the login too: one mail program sends it late.
                self.charset = Charset::Utf8;
                self.ok("UTF8 enabled");
            }
            Ok(Command::Quit) => self.quit(),
            Ok(command) if self.is_open() => self.transaction_command(&command),
            Ok(command) => self.authorization_command(command),
            // A client that counts wrongly is not an enemy.
            Err(error @ CommandError::Number) => self.err(error),
            Err(error) => self.bad_command(error),
        }
    }

    fn quit(&mut self) {
        let numbers = match &self.phase {
            Phase::Authorization => Vec::new(),
            Phase::Transaction(listing) => listing.deleted(),
        };
        if numbers.is_empty() {
            self.updated(0);
        } else {
            let token = self.ask(Question::Delete);
            self.next = Some(Output::Delete { token, numbers });
        }
    }

    fn updated(&mut self, left: usize) {
        match left {
            0 => self.ok("Bye-bye."),
            // pop3.md: said before the connection ends, not after.
            left => self.err(format_args!(
                "[SYS/TEMP] {left} of the deleted messages could not be removed."
            )),
        }
        self.go(State::Ended(Ended::Close(Ending::Logout)));
    }

    fn await_command(&mut self) -> Next {
        if !self.out.is_empty() {
            return Next::Do(0, Output::Write);
        }
        let deadline = if self.is_open() {
            self.quiet_until(self.settings.limits.idle_wait)
        } else {
            self.login_deadline()
        };
        if self.now >= deadline {
            return self.too_slow();
        }
        Next::Do(0, Output::Wait { deadline })
    }

    fn await_host(&mut self, deadline: Millis) -> Next {
        if self.now >= deadline {
            return self.last_word(
                "[SYS/TEMP] Temporary problem, please try again later",
                Ending::Timeout,
            );
        }
        Next::Do(0, Output::Wait { deadline })
    }

    fn host_deadline(&self) -> Millis {
        match self.state {
            State::Asked(_, Question::Authentication(_)) => self.login_deadline(),
            _ => self.quiet_until(self.settings.limits.host_wait),
        }
    }

    fn login_deadline(&self) -> Millis {
        self.started.unwrap_or(self.now) + self.settings.limits.login_wait
    }

    fn quiet_until(&self, wait: Millis) -> Millis {
        self.quiet_since.unwrap_or(self.now) + wait
    }

    /// Until when replies are held back.
    fn held(&mut self) -> Option<Millis> {
        if let Hold::For(time) = self.hold {
            self.hold = Hold::Until(self.now + time);
        }
        match self.hold {
            Hold::Until(until) if self.now < until => Some(until),
            _ => {
                self.hold = Hold::None;
                None
            }
        }
    }

    fn stop(&mut self) -> Next {
        self.last_word(
            "[SYS/TEMP] The server is shutting down, please try again later.",
            Ending::Shutdown,
        )
    }

    fn too_slow(&mut self) -> Next {
        self.last_word("Disconnected for inactivity.", Ending::Timeout)
    }

    fn last_word(&mut self, text: &str, ending: Ending) -> Next {
        self.err(text);
        self.go(State::Ended(Ended::Close(ending)));
        Next::Again(0)
    }

    fn bad_command(&mut self, text: impl std::fmt::Display) {
        self.err(text);
        self.errors += 1;
        let limits = &self.settings.limits;
        let limit = if self.is_open() {
            limits.errors
        } else {
            limits.errors_before_login
        };
        if self.errors >= limit {
            self.go(State::Ended(Ended::Close(Ending::Refused)));
        }
    }

    fn ok(&mut self, text: impl std::fmt::Display) {
        self.out.line(format_args!("+OK {text}"));
    }

    fn err(&mut self, text: impl std::fmt::Display) {
        self.out.line(format_args!("-ERR {text}"));
    }

    fn go(&mut self, state: State) {
        self.state = state;
        self.quiet_since = None;
    }

    fn ask<Q>(&mut self, question: Question) -> Token<Q> {
        let token = self.serials.issue();
        self.go(State::Asked(token.serial(), question));
        token
    }

    /// The question of a token, unless a timeout overtook it.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a token answers once, so it ends here"
    )]
    fn answered<Q>(&mut self, token: Token<Q>) -> Option<Question> {
        match self.state {
            State::Asked(serial, question) if serial == token.serial() => {
                self.go(State::Command);
                Some(question)
            }
            _ => None,
        }
    }
}

/// reliability.md section 3: a browser was talked into this.
fn is_http(line: &[u8]) -> bool {
    const METHODS: [&[u8]; 9] = [
        b"GET ",
        b"HEAD ",
        b"POST ",
        b"PUT ",
        b"DELETE ",
        b"CONNECT ",
        b"OPTIONS ",
        b"TRACE ",
        b"PATCH ",
    ];
    METHODS.iter().any(|method| line.starts_with(method))
        || memchr::memmem::find(line, b" HTTP/").is_some()
}
