//! One client's session, from greeting to parting.
//!
//! [`Session::poll`] looks at the host's buffer and says what to do next. A command that
//! needs the host, or more than one step, is a `Job`; each group of commands has its own
//! file. While a question is open nothing is consumed; at most one command is in progress.

mod answer;
mod append;
mod capability;
mod copy;
mod dispatch;
mod expunge;
mod fetch;
mod folders;
mod idle;
mod list;
mod login;
mod messages;
mod outbox;
pub mod output;
mod reply;
mod search;
mod select;
pub mod settings;
mod store;
mod sync;

use std::fmt;
use std::sync::Arc;

use courier_core::time::Millis;
use courier_core::token::{Serials, Token};
use smallvec::SmallVec;

use crate::grammar::command::{Access, Request};
use crate::grammar::framing::{Frame, Framer, Limits};
use crate::grammar::lexer::Cursor;
use crate::view::View;

use answer::Answer;
pub use outbox::MOST_PENDING;
use outbox::Outbox;
use output::{Ending, Facts, Output, Step, Watch};
use reply::{MailboxNews, Reply, ReplyStatus};
use settings::{LoginCommand, Logins, Settings};

/// Whether the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// It is in clear.
    Clear,
    /// It is under TLS.
    Tls,
}

/// One client's session. See the front page of the crate for how it is driven.
#[derive(Debug)]
pub struct Session {
    core: Core,
    /// The command in progress.
    job: Option<Box<dyn Job>>,
}

/// A command in progress.
trait Job: fmt::Debug + Send + Sync {
    /// Goes on as far as it can: the answer to its question, if it asked one, is in
    /// [`Core::take_answer`].
    fn run(&mut self, core: &mut Core) -> Progress;

    /// Takes what the client sends, after [`Progress::Input`].
    fn input<'b>(&mut self, _core: &mut Core, _input: &'b [u8]) -> Intake<'b> {
        Intake::Need(0)
    }

    /// Whether what the client sends now is a literal, which has a deadline of its own.
    fn is_in_literal(&self) -> bool {
        false
    }

    /// Whether it only waits for the client, so that a shutdown may end it.
    fn is_idle(&self) -> bool {
        false
    }

    /// Whether the client is to be told of changes at once.
    fn watch(&self) -> Watch {
        Watch::Nothing
    }
}

/// How far a job has come.
enum Progress {
    /// It has asked the host.
    Asked,
    /// There is enough to be sent for now.
    Full,
    /// It needs input.
    Input,
    /// It sleeps until then.
    Until(Millis),
    /// It has ended.
    Done(Reply),
}

/// What a job did with input.
enum Intake<'b> {
    /// Took so much of it, and needs more.
    Need(usize),
    /// Took so much of it, and can go on.
    Took(usize),
    /// Took the octets of a message.
    Data(&'b [u8]),
}

/// What dispatch makes of a command.
enum Begin {
    Job(Box<dyn Job>),
    Done(Reply),
}

enum Turn<'b> {
    Again(usize),
    Emit(usize, Output<'b>),
}

/// The state of a session apart from the command in progress.
#[derive(Debug)]
struct Core {
    settings: Arc<Settings>,
    transport: Transport,
    standing: Standing,
    mailbox: Option<Mailbox>,
    framer: Framer,
    out: Outbox,
    serials: Serials,
    /// The question that the host has.
    open: Option<u64>,
    /// The question, or notice, that the host gets once everything is sent.
    question: Option<Output<'static>>,
    answer: Option<Answer>,
    tag: SmallVec<[u8; 16]>,
    now: Millis,
    /// When the session began; not known before the first poll.
    began: Option<Millis>,
    /// When the client last did something.
    touched: Millis,
    /// Something has happened since the last poll that counts as that.
    active: bool,
    /// Wrong commands in a row.
    wrong: u32,
    failures: u32,
    phase: Phase,
    /// What happens when the command in progress has been answered.
    after: After,
    /// The host has called [`Session::changed`].
    attention: bool,
    stopping: bool,
    facts: Facts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Stranger,
    Known,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No command has come yet: this may be no IMAP client at all.
    FirstLine,
    Commands,
    /// The host is to begin the TLS handshake.
    Handshake,
    Shaking,
    /// What is left to be sent is sent, then the connection ends.
    Closing(Ending),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Nothing,
    StartTls,
    Close,
    Bye(&'static str),
}

/// The selected mailbox.
#[derive(Debug)]
struct Mailbox {
    name: crate::grammar::mailbox_name::MailboxName,
    view: View,
    access: Access,
    refreshed: Millis,
}

impl Session {
    /// A session with a client that has just connected; it will be greeted.
    #[must_use]
    pub fn new(settings: Arc<Settings>, transport: Transport) -> Self {
        let mut session = Self::silent(settings, transport, Standing::Stranger);
        let capabilities = session.core.capabilities();
        let greeting = format!("* OK [CAPABILITY {capabilities}] Courier-IMAP ready.\r\n");
        session.core.out.write(&greeting);
        session
    }

    /// A session whose user is known already: `* PREAUTH`.
    #[must_use]
    pub fn preauthenticated(settings: Arc<Settings>, transport: Transport) -> Self {
        let mut session = Self::silent(settings, transport, Standing::Known);
        session.core.out.write("* PREAUTH Ready.\r\n");
        session
    }

    fn silent(settings: Arc<Settings>, transport: Transport, standing: Standing) -> Self {
        let core = Core {
            settings,
            transport,
            standing,
            mailbox: None,
            framer: Framer::default(),
            out: Outbox::default(),
            serials: Serials::default(),
            open: None,
            question: None,
            answer: None,
            tag: SmallVec::new(),
            now: Millis::default(),
            began: None,
            touched: Millis::default(),
            active: false,
            wrong: 0,
            failures: 0,
            phase: Phase::FirstLine,
            after: After::Nothing,
            attention: false,
            stopping: false,
            facts: Facts::default(),
        };
        Self { core, job: None }
    }

    /// Says what the host does next. `input` is what has come from the client and was not
    /// consumed; `now` never goes back.
    pub fn poll<'b>(&mut self, now: Millis, input: &'b [u8]) -> Step<'b> {
        self.core.wake(now);
        let mut consumed = 0;
        loop {
            match self.turn(input.get(consumed..).unwrap_or_default()) {
                Turn::Again(count) => consumed += count,
                Turn::Emit(count, output) => {
                    let consumed = consumed + count;
                    return Step { consumed, output };
                }
            }
        }
    }

    /// What [`Output::Write`] is about: at most [`MOST_PENDING`] octets.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        self.core.out.pending()
    }

    /// So many octets of [`Self::pending`] were sent.
    pub fn wrote(&mut self, octets: usize) {
        self.core.active |= octets > 0;
        self.core.out.wrote(octets);
    }

    /// The handshake that [`Output::StartTls`] asked for has succeeded. Everything the
    /// client said before is forgotten.
    pub fn tls_started(&mut self) {
        if self.core.phase == Phase::Shaking {
            self.core.transport = Transport::Tls;
            self.core.framer = Framer::default();
            self.core.phase = Phase::Commands;
            self.core.wrong = 0;
        }
    }

    /// The open mailbox may have changed. May be called at any time.
    pub fn changed(&mut self) {
        self.core.attention = true;
    }

    /// What the log says once the session has ended.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.core.facts
    }

    /// The server stops: the client is told as soon as no command is in progress.
    pub fn shutdown(&mut self) {
        self.core.stopping = true;
    }

    fn turn<'b>(&mut self, input: &'b [u8]) -> Turn<'b> {
        let core = &mut self.core;
        if core.out.is_full() {
            return Turn::Emit(0, core.flush_or(|_| Output::Write));
        }
        if let Phase::Closing(ending) = core.phase {
            return Turn::Emit(0, core.flush_or(|_| Output::Close(ending)));
        }
        if let Some((text, ending)) = self.overdue() {
            self.bye(text, ending);
            return Turn::Again(0);
        }
        let core = &mut self.core;
        if core.question.is_some() {
            return Turn::Emit(0, core.flush_or(Core::take_question));
        }
        if core.phase == Phase::Handshake {
            return Turn::Emit(
                0,
                core.flush_or(|core| {
                    core.phase = Phase::Shaking;
                    Output::StartTls
                }),
            );
        }
        if core.open.is_some() || core.phase == Phase::Shaking {
            return self.wait(0);
        }
        match self.job.as_mut().map(|job| job.run(core)) {
            None => self.next_command(input),
            Some(Progress::Asked) => Turn::Again(0),
            Some(Progress::Full) => Turn::Emit(0, core.flush_or(|_| Output::Write)),
            Some(Progress::Until(time)) => Turn::Emit(
                0,
                core.flush_or(|core| Output::Wait {
                    deadline: core.deadline(false).map_or(time, |own| own.min(time)),
                    watch: Watch::Nothing,
                }),
            ),
            Some(Progress::Done(reply)) => {
                self.finish(reply);
                Turn::Again(0)
            }
            Some(Progress::Input) => self.job_input(input),
        }
    }

    fn job_input<'b>(&mut self, input: &'b [u8]) -> Turn<'b> {
        // What the client is told comes before what it says next, however early it says it.
        if !self.core.out.is_empty() {
            return Turn::Emit(0, self.core.flush_or(|_| Output::Write));
        }
        let intake = match self.job.as_mut() {
            Some(job) => job.input(&mut self.core, input),
            None => Intake::Need(0),
        };
        match intake {
            Intake::Took(count) => {
                self.core.touched = self.core.now;
                Turn::Again(count)
            }
            Intake::Data(octets) => {
                self.core.touched = self.core.now;
                Turn::Emit(octets.len(), Output::AppendData(octets))
            }
            Intake::Need(count) => {
                if count > 0 {
                    self.core.touched = self.core.now;
                }
                self.wait(count)
            }
        }
    }

    fn wait(&mut self, consumed: usize) -> Turn<'static> {
        let in_literal = self.job.as_ref().is_some_and(|job| job.is_in_literal());
        let watch = self.job.as_ref().map_or(Watch::Nothing, |job| job.watch());
        let output = self.core.flush_or(|core| {
            if !core.framer.is_inside() {
                core.out.rest();
            }
            let deadline = core.deadline(in_literal).unwrap_or(Millis(u64::MAX));
            Output::Wait { deadline, watch }
        });
        Turn::Emit(consumed, output)
    }

    /// The text of the BYE that is due, if one is, and what it means.
    fn overdue(&self) -> Option<(&'static str, Ending)> {
        let in_literal = self.job.as_ref().is_some_and(|job| job.is_in_literal());
        if self
            .core
            .deadline(in_literal)
            .is_some_and(|deadline| deadline <= self.core.now)
        {
            return Some(("Disconnected for inactivity.", Ending::Timeout));
        }
        let idle = self.job.as_ref().is_none_or(|job| job.is_idle());
        let stop = self.core.stopping && idle && self.core.open.is_none();
        stop.then_some(("[UNAVAILABLE] Server shutting down.", Ending::Shutdown))
    }

    fn bye(&mut self, text: &str, ending: Ending) {
        self.job = None;
        self.core.open = None;
        self.core.question = None;
        self.core.answer = None;
        self.core.out.write("* BYE ");
        self.core.out.write(text);
        self.core.out.write("\r\n");
        self.core.phase = Phase::Closing(ending);
    }

    fn next_command<'b>(&mut self, input: &'b [u8]) -> Turn<'b> {
        let limits = match self.core.standing {
            Standing::Stranger => Limits::BEFORE_LOGIN,
            Standing::Known => Limits::COMMAND,
        };
        let (count, frame) = self.core.framer.next(input, limits);
        if count > 0 {
            self.core.touched = self.core.now;
        }
        match frame {
            Frame::More => return self.wait(count),
            Frame::GoAhead => self.core.out.write("+ Ready for literal data.\r\n"),
            Frame::Command(line) => self.execute(&line),
            Frame::Message { head, size, pace } => {
                let begin = append::begin(&mut self.core, &head, size, pace);
                self.begin(begin);
            }
            Frame::Refused { head, error } => {
                if !self.is_stranger_to_imap(&head) {
                    self.core.set_tag(&head);
                    self.finish(Reply::bad(format!("Error in IMAP command: {error}.")));
                }
            }
            Frame::Flood => self.bye("[TOOBIG] Too much to be read away.", Ending::Refused),
        }
        Turn::Again(count)
    }

    /// A browser, or a request smuggled through one, is not talked to.
    fn is_stranger_to_imap(&mut self, line: &[u8]) -> bool {
        if self.core.phase != Phase::FirstLine {
            return false;
        }
        self.core.phase = Phase::Commands;
        const METHODS: [&[u8]; 8] = [
            b"GET ",
            b"POST ",
            b"PUT ",
            b"HEAD ",
            b"OPTIONS ",
            b"CONNECT ",
            b"DELETE ",
            b"PATCH ",
        ];
        let http = METHODS.iter().any(|method| line.starts_with(method))
            || memchr::memmem::find(line, b" HTTP/").is_some();
        if http {
            self.core.phase = Phase::Closing(Ending::Refused);
        }
        http
    }

    fn execute(&mut self, line: &[u8]) {
        if self.is_stranger_to_imap(line) {
            return;
        }
        self.core.set_tag(line);
        match Request::parse(line) {
            Err(error) => self.finish(Reply::bad(format!("Error in IMAP command: {error}."))),
            Ok(Request {
                command: Err(error),
                ..
            }) => {
                self.finish(reply::wrong(&error));
            }
            Ok(Request {
                command: Ok(command),
                ..
            }) => {
                let begin = dispatch::begin(&mut self.core, command);
                self.begin(begin);
            }
        }
    }

    fn begin(&mut self, begin: Begin) {
        match begin {
            Begin::Job(job) => self.job = Some(job),
            Begin::Done(reply) => self.finish(reply),
        }
    }

    /// Ends the command in progress, after the news of the mailbox if there are any.
    fn finish(&mut self, reply: Reply) {
        if self.core.mailbox.is_some() && reply.news != MailboxNews::None {
            self.job = Some(Box::new(sync::Sync::new(reply)));
            return;
        }
        self.job = None;
        let core = &mut self.core;
        reply.write(&core.tag, core.out.text());
        let (before, since) = core.settings.wrong_commands;
        let limit = match core.standing {
            Standing::Stranger => before,
            Standing::Known => since,
        };
        core.wrong = if reply.status == ReplyStatus::Bad {
            core.wrong + 1
        } else {
            0
        };
        let flooded = core.wrong >= limit;
        match std::mem::replace(&mut core.after, After::Nothing) {
            After::Nothing if flooded => self.bye("Too many wrong commands.", Ending::Refused),
            After::Nothing => {}
            After::StartTls => core.phase = Phase::Handshake,
            After::Close => core.phase = Phase::Closing(Ending::Logout),
            After::Bye(text) => self.bye(text, Ending::Refused),
        }
    }
}

impl Core {
    fn wake(&mut self, now: Millis) {
        self.now = now;
        if self.began.is_none() {
            self.began = Some(now);
            self.touched = now;
        }
        if std::mem::take(&mut self.active) {
            self.touched = now;
        }
    }

    /// When patience ends; never while it is the host's turn, once the client is known.
    fn deadline(&self, job_in_literal: bool) -> Option<Millis> {
        let settings = &self.settings;
        match self.standing {
            Standing::Stranger => Some(self.began.unwrap_or(self.now) + settings.login_limit),
            Standing::Known if self.open.is_some() || self.question.is_some() => None,
            Standing::Known if job_in_literal || self.framer.in_literal() => {
                Some(self.touched + settings.literal_limit)
            }
            Standing::Known => Some(self.touched + settings.idle_limit),
        }
    }

    /// What is to be sent, or else something else.
    fn flush_or(&mut self, other: impl FnOnce(&mut Self) -> Output<'static>) -> Output<'static> {
        match self.out.take_segment() {
            Some(segment) => {
                self.active = true;
                Output::Send(segment)
            }
            None if self.out.is_empty() => other(self),
            None => Output::Write,
        }
    }

    fn take_question(&mut self) -> Output<'static> {
        self.question.take().unwrap_or(Output::Write)
    }

    /// Asks the host as soon as everything is sent.
    fn ask<Q>(&mut self, question: impl FnOnce(Token<Q>) -> Output<'static>) -> Progress {
        let token = self.serials.issue();
        self.open = Some(token.serial());
        self.question = Some(question(token));
        Progress::Asked
    }

    fn take_answer(&mut self) -> Option<Answer> {
        self.answer.take()
    }

    /// Takes the tag of a command; without one the answer is untagged.
    fn set_tag(&mut self, line: &[u8]) {
        self.tag.clear();
        let tag = Cursor::new(line).tag().unwrap_or(b"*");
        self.tag.extend_from_slice(tag);
    }

    fn logins(&self) -> &Logins {
        match self.transport {
            Transport::Clear => &self.settings.clear,
            Transport::Tls => &self.settings.tls,
        }
    }

    fn may_use_login(&self) -> bool {
        self.logins().command == LoginCommand::Allowed
    }

    /// Forgets the selected mailbox.
    fn deselect(&mut self) {
        if self.mailbox.take().is_some() {
            self.question = Some(Output::Deselect);
        }
    }
}
