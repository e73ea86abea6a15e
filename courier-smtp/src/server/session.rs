use std::borrow::Cow;
use std::sync::Arc;

use courier_core::envelope::{self, Protocol};
use courier_core::time::Millis;
use courier_core::token::{Serials, Token};

use super::commands::is_http;
use super::limits::{Budget, HANDSHAKE_WAIT, Left, Pace};
use super::output::{
    Answer, Authentication, Commit, Data, Expand, Expanded, Outcome, Output, Step, Verified, Verify,
};
use super::settings::{Dialect, EarlyTalkerPolicy, EarlyTalkers, Settings, Tarpit};
use super::transaction::{Chunk, Telling, Transaction};
use crate::command::Verb;
use crate::framing::{self, CommandLines, Framed};
use crate::parameter::{Recipient, Sender};
use crate::reply::{Charset, Refusal, Reply, Severity};

/// One session with a client.
///
/// The host reads into a buffer, calls [`poll`](Self::poll) with it, does what the
/// [`Output`] says, and drops the octets that were consumed. Questions carry tokens;
/// while one is open nothing is consumed, so the client waits. The front page of the
/// crate has a whole session.
///
/// When the client closes the connection or the host stops, the session is dropped, and
/// with it an open transaction; only a message whose commit was asked for is still to be
/// kept or dropped as a whole.
#[derive(Debug)]
pub struct Server {
    pub(super) settings: Arc<Settings>,
    pub(super) transport: Transport,
    pub(super) state: State,
    pub(super) out: Pending,
    pub(super) now: Millis,
    /// When the client, or the host, has had enough time; none: not counted yet.
    pub(super) deadline: Option<Millis>,
    /// How fast message data comes.
    pub(super) pace: Pace,
    pub(super) lines: CommandLines,
    pub(super) serials: Serials,
    pub(super) budget: Budget,
    pub(super) hello: Option<Hello>,
    pub(super) logged_in: bool,
    pub(super) transaction: Option<Transaction>,
    /// Before anything more is said.
    pub(super) hold: Pause,
    /// Before anything more is read.
    pub(super) pause: Pause,
    /// Whether the greeting is written.
    greeted: Greeted,
    early_talker: bool,
    pub(super) first_line: bool,
    shutting_down: bool,
}

/// How the client is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// In clear.
    Plain,
    /// Under TLS.
    Tls,
}

/// What the session waits for.
#[derive(Debug)]
pub(super) enum State {
    /// The time to greet.
    Greeting,
    /// A command line.
    Command,
    /// The answer to the question of this serial number.
    Asked(u64, Question),
    /// The client's response to a challenge.
    Challenged { until: Millis },
    /// Message data up to the end mark.
    Data,
    /// Message data in a chunk.
    Chunk(Chunk),
    /// The end of a chunk that is not wanted, and then to say this.
    Drop { left: u64, reply: Reply },
    /// The message is over: to ask for its fate, or to tell it.
    Ended,
    /// That room is made for the rest of one reply for each recipient.
    Telling(Telling),
    /// That the reply to STARTTLS is written.
    TlsNext,
    /// The end of the handshake.
    Handshake,
    /// That everything is written.
    Closing,
}

/// What was asked.
#[derive(Debug)]
pub(super) enum Question {
    Sender { charset: Charset, exdata: bool },
    Recipient,
    Data(Option<Chunk>),
    Commit,
    Authentication { until: Millis },
    Verify(String),
    Expand(String),
}

/// How and as what the client has greeted.
#[derive(Debug)]
pub(super) struct Hello {
    pub(super) verb: Verb,
    pub(super) name: String,
}

/// A time in which the session rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    None,
    /// From the next poll on.
    For(Millis),
    Until(Millis),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Greeted {
    /// Not all of the greeting is written.
    NotYet,
    Yes,
}

/// What one step came to; the number of octets is what it consumed.
pub(super) enum Next<'b> {
    Again(usize),
    Do(usize, Output<'b>),
}

/// Replies that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    octets: Vec<u8>,
    written: usize,
}

impl Pending {
    pub(super) fn rest(&self) -> &[u8] {
        self.octets.get(self.written..).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.written >= self.octets.len()
    }

    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.octets
    }

    fn wrote(&mut self, octets: usize) {
        self.written = self.written.saturating_add(octets);
        if self.written >= self.octets.len() {
            self.written = 0;
            if self.octets.capacity() > KEPT {
                self.octets = Vec::new();
            } else {
                self.octets.clear();
            }
        }
    }
}

/// An idle session keeps no larger buffer for replies.
const KEPT: usize = 1024;
/// With so much to write, replies go out before another command is read.
const ENOUGH: usize = 16 * 1024;

impl Server {
    /// A session with a client that has just connected.
    #[must_use]
    pub fn new(settings: Arc<Settings>, transport: Transport) -> Self {
        Self {
            settings,
            transport,
            state: State::Greeting,
            out: Pending::default(),
            now: Millis(0),
            deadline: None,
            pace: Pace::default(),
            lines: CommandLines::default(),
            serials: Serials::default(),
            budget: Budget::new(),
            hello: None,
            logged_in: false,
            transaction: None,
            hold: Pause::None,
            pause: Pause::None,
            greeted: Greeted::NotYet,
            early_talker: false,
            first_line: true,
            shutting_down: false,
        }
    }

    /// A session that says no instead of a greeting and ends, such as
    /// [`Refusal::too_many_sessions`].
    #[must_use]
    pub fn turning_away(settings: Arc<Settings>, refusal: Refusal) -> Self {
        let mut server = Self::new(settings, Transport::Plain);
        let reply = Reply::from(refusal);
        reply.encode(Charset::Ascii, server.out.buffer());
        server.state = State::Closing;
        server
    }

    /// Looks at the input and the time, and says what the host does next.
    pub fn poll<'b>(&mut self, now: Millis, input: &'b [u8]) -> Step<'b> {
        self.now = now;
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
    }

    /// The handshake of [`Output::StartTls`] is done. The session is as new: the client
    /// must say EHLO again (RFC 3207 §4.2); only what it has used up still counts.
    pub fn tls_started(&mut self) {
        if matches!(self.state, State::Handshake) {
            self.transport = Transport::Tls;
            self.lines = CommandLines::default();
            self.hello = None;
            self.logged_in = false;
            self.transaction = None;
            self.go(State::Command);
        }
    }

    /// The server stops: the client is told so at the next command; a message that is
    /// on its way may be finished.
    pub fn shutdown(&mut self) {
        self.shutting_down = true;
    }

    /// The name that the client gave itself, fit for `Received` and logs.
    #[must_use]
    pub fn helo(&self) -> Option<&str> {
        self.hello.as_ref().map(|hello| hello.name.as_str())
    }

    /// The word of `with` in `Received`, for the transaction that is open.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        let transport = match self.hello.as_ref().map(|hello| hello.verb) {
            Some(Verb::Ehlo) => envelope::Transport::Esmtp,
            Some(Verb::Lhlo) => envelope::Transport::Lmtp,
            _ => return Protocol::Smtp,
        };
        Protocol::Extended {
            transport,
            utf8: self.charset() == Charset::Utf8,
            tls: self.transport == Transport::Tls,
            auth: self.logged_in,
        }
    }

    /// How the client is connected.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Whether the client has logged in.
    #[must_use]
    pub fn is_logged_in(&self) -> bool {
        self.logged_in
    }

    /// Whether the client talked before it saw the greeting.
    #[must_use]
    pub fn is_early_talker(&self) -> bool {
        self.early_talker
    }

    /// Answers [`Output::Sender`].
    pub fn sender(&mut self, token: Token<Sender>, answer: Answer) {
        if let Some(Question::Sender { charset, exdata }) = self.answered(token) {
            self.sender_answered(charset, exdata, answer);
        }
    }

    /// Answers [`Output::Recipient`].
    pub fn recipient(&mut self, token: Token<Recipient>, answer: Answer) {
        if let Some(Question::Recipient) = self.answered(token) {
            self.recipient_answered(answer);
        }
    }

    /// Answers [`Output::Data`].
    pub fn data(&mut self, token: Token<Data>, answer: Answer) {
        if let Some(Question::Data(chunk)) = self.answered(token) {
            self.data_answered(chunk, answer);
        }
    }

    /// Answers [`Output::Commit`].
    pub fn committed(&mut self, token: Token<Commit>, outcome: Outcome) {
        if let Some(Question::Commit) = self.answered(token) {
            self.outcome(outcome);
        }
    }

    /// Answers [`Output::Authenticate`] and [`Output::Respond`].
    pub fn authenticated(
        &mut self,
        token: Token<Authentication>,
        verdict: courier_core::account::sasl::Verdict,
    ) {
        if let Some(Question::Authentication { until }) = self.answered(token) {
            self.verdict(until, verdict);
        }
    }

    /// Answers [`Output::Verify`].
    pub fn verified(&mut self, token: Token<Verify>, verified: Verified) {
        if let Some(Question::Verify(argument)) = self.answered(token) {
            self.say(match verified {
                Verified::Known(address) => {
                    Reply::fixed(250, 1, 5, "").with_text(format!("<{address}>"))
                }
                Verified::Unknown => {
                    Reply::fixed(550, 1, 1, "").with_text(format!("User <{argument}> unknown"))
                }
                Verified::Remote => Reply::fixed(550, 1, 6, "Remote address."),
                Verified::Refuse(refusal) => refusal.into(),
            });
        }
    }

    /// Answers [`Output::Expand`].
    pub fn expanded(&mut self, token: Token<Expand>, expanded: Expanded) {
        if let Some(Question::Expand(argument)) = self.answered(token) {
            self.say(match expanded {
                Expanded::Members(members) if !members.is_empty() => {
                    let lines: Vec<String> = members.iter().map(|m| format!("<{m}>")).collect();
                    Reply::fixed(250, 1, 5, "").with_text(lines.join("\n"))
                }
                Expanded::Members(_) | Expanded::Unknown => {
                    Reply::fixed(500, 1, 1, "").with_text(format!("<{argument}> not found."))
                }
                Expanded::Refuse(refusal) => refusal.into(),
            });
        }
    }

    fn step<'b>(&mut self, input: &'b [u8]) -> Next<'b> {
        if self.greeted == Greeted::NotYet {
            self.early_talker |= !input.is_empty();
            if self.out.is_empty() && !matches!(self.state, State::Greeting) {
                self.greeted = Greeted::Yes;
            }
        }
        if let Some(next) = self.rest() {
            return next;
        }
        match self.state {
            State::Greeting => self.greet(),
            State::Command => self.read_command(input),
            State::Asked(..) => self.await_host(),
            State::Challenged { until } => self.read_response(until, input),
            State::Data => self.read_data(input),
            State::Chunk(chunk) => self.read_chunk(chunk, input),
            State::Drop { .. } => self.drop_chunk(input),
            State::Ended => self.end_of_data(),
            State::Telling(_) => self.tell(),
            State::TlsNext => self.flushed().unwrap_or_else(|| {
                self.go(State::Handshake);
                Next::Do(input.len(), Output::StartTls)
            }),
            State::Handshake => match self.patience(HANDSHAKE_WAIT) {
                Some(deadline) => Next::Do(0, Output::Wait { deadline }),
                None => self.close(),
            },
            State::Closing => self.flushed().unwrap_or(Next::Do(0, Output::Close)),
        }
    }

    /// What comes before everything else: pauses, and replies enough to be written.
    fn rest<'b>(&mut self) -> Option<Next<'b>> {
        if let Some(deadline) = self.hold.ends(self.now) {
            return Some(Next::Do(0, Output::Wait { deadline }));
        }
        if self.out.rest().len() >= ENOUGH {
            return self.flushed();
        }
        if self.shutting_down {
            self.pause = Pause::None; // nothing is read any more
        }
        if self.pause == Pause::None {
            return None;
        }
        if let Some(next) = self.flushed() {
            return Some(next);
        }
        let deadline = self.pause.ends(self.now)?;
        self.deadline = None; // the client's time begins after the pause
        Some(Next::Do(0, Output::Wait { deadline }))
    }

    /// The step that writes, if there is something to write.
    pub(super) fn flushed<'b>(&self) -> Option<Next<'b>> {
        (!self.out.is_empty()).then_some(Next::Do(0, Output::Write))
    }

    fn greet<'b>(&mut self) -> Next<'b> {
        let EarlyTalkers { delay, policy } = self.settings.early_talkers;
        if !self.early_talker
            && let Some(deadline) = self.patience(delay)
        {
            return Next::Do(0, Output::Wait { deadline });
        }
        if self.early_talker && policy == EarlyTalkerPolicy::Refuse {
            self.last_word(&Reply::fixed(554, 7, 1, "You talk before you listen"));
            return Next::Again(0);
        }
        let greeting = match &self.settings.greeting {
            Some(greeting) => greeting.clone(),
            None => match self.settings.dialect {
                Dialect::Esmtp => format!("{} ESMTP", self.settings.name),
                Dialect::Lmtp => format!("{} LMTP", self.settings.name),
            },
        };
        self.say(Reply::bare(220, Cow::Owned(greeting)));
        self.go(State::Command);
        Next::Again(0)
    }

    fn read_command<'b>(&mut self, input: &'b [u8]) -> Next<'b> {
        if self.shutting_down {
            self.last_word(&Reply::fixed(
                421,
                3,
                2,
                "Server is going down, try again later",
            ));
            return Next::Again(0);
        }
        let limit = self.settings.limits.command_line;
        if self.first_line && framing::is_over(input, limit) {
            self.first_line = false;
            // A browser's line may be longer than any of ours.
            if is_http(input.get(..limit).unwrap_or(input)) {
                return self.close();
            }
        }
        let (consumed, framed) = self.lines.next(input, limit);
        match framed {
            Framed::Line(line) => match self.command(line) {
                Some(output) => Next::Do(consumed, output),
                None => Next::Again(consumed),
            },
            Framed::More if consumed > 0 => Next::Again(consumed),
            Framed::More => self.flushed().unwrap_or_else(|| {
                match self.patience(self.settings.limits.command_wait) {
                    Some(deadline) => Next::Do(0, Output::Wait { deadline }),
                    None => self.too_slow(),
                }
            }),
            Framed::TooLong => {
                self.say(Reply::fixed(500, 5, 2, "Line too long"));
                self.deadline = None;
                Next::Again(consumed)
            }
            Framed::Broken(_) | Framed::Flood => {
                self.last_word(&BROKEN_LINE);
                Next::Again(consumed)
            }
        }
    }

    fn await_host<'b>(&mut self) -> Next<'b> {
        if let Some(next) = self.flushed() {
            return next;
        }
        match self.patience(self.settings.limits.host_wait) {
            Some(deadline) => Next::Do(0, Output::Wait { deadline }),
            None => {
                self.last_word(&Reply::fixed(421, 3, 0, "Local time-out, try again later"));
                Next::Again(0)
            }
        }
    }

    /// Opens a question.
    pub(super) fn ask<Q>(&mut self, question: Question) -> Token<Q> {
        let token = self.serials.issue();
        self.go(State::Asked(token.serial(), question));
        token
    }

    /// Closes the question of this token; none if a timeout overtook it.
    #[expect(clippy::needless_pass_by_value, reason = "the token is used up")]
    fn answered<Q>(&mut self, token: Token<Q>) -> Option<Question> {
        match std::mem::replace(&mut self.state, State::Command) {
            State::Asked(serial, question) if serial == token.serial() => {
                self.deadline = None;
                Some(question)
            }
            other => {
                self.state = other;
                None
            }
        }
    }

    pub(super) fn go(&mut self, state: State) {
        self.state = state;
        self.deadline = None;
        self.pace = Pace::default();
    }

    /// Until when to wait, or nothing if the time is over.
    pub(super) fn patience(&mut self, patience: Millis) -> Option<Millis> {
        let deadline = *self.deadline.get_or_insert(self.now + patience);
        (self.now < deadline).then_some(deadline)
    }

    pub(super) fn too_slow<'b>(&mut self) -> Next<'b> {
        self.last_word(&Reply::fixed(421, 4, 2, "Time-out, closing the connection"));
        Next::Again(0)
    }

    fn close<'b>(&mut self) -> Next<'b> {
        self.go(State::Closing);
        Next::Again(0)
    }

    pub(super) fn charset(&self) -> Charset {
        self.transaction
            .as_ref()
            .map_or(Charset::Ascii, |t| t.charset)
    }

    /// Says the last reply of the session.
    pub(super) fn last_word(&mut self, reply: &Reply) {
        reply.encode(self.charset(), self.out.buffer());
        self.go(State::Closing);
    }

    /// Replies, and does what every error brings with it: the tar pit, the end of the
    /// session after too many.
    pub(super) fn say(&mut self, reply: impl Into<Reply>) {
        let reply = reply.into();
        if reply.code().get() == 421 {
            return self.last_word(&reply);
        }
        reply.encode(self.charset(), self.out.buffer());
        if reply.severity() != Severity::Permanent {
            return;
        }
        let limits = &self.settings.limits;
        let limit = match self.hello {
            Some(_) => limits.errors,
            None => limits.errors_before_hello.min(limits.errors),
        };
        if self.budget.error(limit) == Left::Nothing {
            self.last_word(&TOO_MANY_ERRORS);
        } else if self.settings.tarpit == Tarpit::On && !self.logged_in {
            self.pause = Pause::For(self.budget.tarpit());
        }
    }
}

impl Pause {
    /// When the session goes on, if that is not now.
    fn ends(&mut self, now: Millis) -> Option<Millis> {
        let until = match *self {
            Self::None => return None,
            Self::For(time) => now + time,
            Self::Until(until) => until,
        };
        *self = if now < until {
            Self::Until(until)
        } else {
            Self::None
        };
        (now < until).then_some(until)
    }
}

pub(super) const BROKEN_LINE: Reply = Reply::fixed(500, 5, 2, "Lines end in CR LF and have no NUL");
pub(super) const TOO_MANY_ERRORS: Reply = Reply::fixed(421, 7, 0, "Too many errors");
