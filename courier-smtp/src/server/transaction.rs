use memchr::memchr;

use super::limits::{Excess, Left, TooSlow};
use super::output::{Aborted, Answer, Outcome, Output, Replies};
use super::session::{Next, Question, Server, State};
use super::settings::{BareNewline, Dialect, Nul, Settings};
use crate::command::{Argument, Last, Verb};
use crate::content::{DataReader, End, Transparency};
use crate::parameter::{Recipient, Sender};
use crate::reply::{Charset, Reply};

/// What the session itself remembers of an open transaction; addresses are with the host.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) charset: Charset,
    exdata: bool,
    recipients: usize,
    message: Option<Message>,
}

/// The message that is being read.
#[derive(Debug)]
struct Message {
    reader: DataReader,
    octets: u64,
    /// Why it will not be taken.
    refused: Option<Aborted>,
}

/// A chunk of BDAT.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    size: u64,
    left: u64,
    last: Last,
}

impl Message {
    fn new(transparency: Transparency) -> Self {
        Self {
            reader: DataReader::new(transparency),
            octets: 0,
            refused: None,
        }
    }

    /// Looks for what the settings refuse in a piece that has just come; `before` is the
    /// reader as it was before it. Gives what is wrong if nothing was wrong until now.
    ///
    /// Of several faults the gravest is told, wherever it stands: which comes first in
    /// a piece depends on how the input was cut, and the reply must not.
    fn judge(&mut self, settings: &Settings, before: &DataReader, piece: &[u8]) -> Option<Aborted> {
        let too_large = |limit| self.octets > limit;
        let fault = if settings.limits.message.is_some_and(too_large) {
            Aborted::TooLarge
        } else if settings.bare_newline == BareNewline::Reject && before.has_bare_newline(piece) {
            Aborted::BareNewline
        } else if settings.nul == Nul::Reject && memchr(0, piece).is_some() {
            Aborted::Nul
        } else {
            return None;
        };
        let earlier = self.refused;
        self.refused = earlier.max(Some(fault));
        earlier.is_none().then_some(fault)
    }
}

/// What the client is told of a message that was not taken.
fn refusal(aborted: Aborted) -> Reply {
    match aborted {
        Aborted::TooLarge => {
            Reply::fixed(523, 3, 4, "Message length exceeds administrative limit.")
        }
        Aborted::BareNewline => Reply::fixed(550, 6, 0, "The message has a bare CR or LF"),
        Aborted::Nul => Reply::fixed(550, 6, 0, "The message has a NUL"),
        Aborted::Reset => NOT_TOLD, // no message can be reset within its data
    }
}

impl Server {
    pub(super) fn has_recipients(&self) -> bool {
        self.transaction.as_ref().is_some_and(|t| t.recipients > 0)
    }

    pub(super) fn is_chunking(&self) -> bool {
        self.transaction
            .as_ref()
            .is_some_and(|t| t.message.is_some())
    }

    pub(super) fn mail<'b>(&mut self, argument: Argument<'_>) -> Option<Output<'b>> {
        let sender = match Sender::parse(argument, self.settings.keywords) {
            Ok(sender) => sender,
            Err(error) => {
                self.say(error.reply(Verb::Mail));
                return None;
            }
        };
        let limits = &self.settings.limits;
        if sender
            .size
            .zip(limits.message)
            .is_some_and(|(size, limit)| size > limit)
        {
            self.say(Reply::fixed(534, 3, 4, "SIZE=Message too big."));
            return None;
        }
        if self.budget.transaction(limits.transactions) == Left::Nothing {
            self.last_word(&Reply::fixed(421, 7, 0, "Too many messages in one session"));
            return None;
        }
        let (charset, exdata) = (sender.charset(), sender.exdata);
        let token = self.ask(Question::Sender { charset, exdata });
        Some(Output::Sender { token, sender })
    }

    pub(super) fn sender_answered(&mut self, charset: Charset, exdata: bool, answer: Answer) {
        match answer {
            Answer::Accept => {
                self.transaction = Some(Transaction {
                    charset,
                    exdata,
                    recipients: 0,
                    message: None,
                });
                self.say(Reply::fixed(250, 1, 0, "Ok."));
            }
            Answer::Refuse(refusal) => self.say(refusal),
        }
    }

    pub(super) fn rcpt<'b>(&mut self, argument: Argument<'_>) -> Option<Output<'b>> {
        let recipient = Recipient::parse(argument, self.settings.keywords, self.charset());
        let recipient = match recipient {
            Ok(recipient) => recipient,
            Err(error) => {
                self.say(error.reply(Verb::Rcpt));
                return None;
            }
        };
        let limits = &self.settings.limits;
        let accepted = self.transaction.as_ref().map_or(0, |t| t.recipients);
        if accepted >= limits.recipients() {
            self.say(match limits.excess {
                Excess::TryAgain => Reply::fixed(431, 5, 3, "Too many recipients."),
                Excess::Never => Reply::fixed(531, 5, 3, "Too many recipients."),
            });
            return None;
        }
        let token = self.ask(Question::Recipient);
        Some(Output::Recipient { token, recipient })
    }

    pub(super) fn recipient_answered(&mut self, answer: Answer) {
        match answer {
            Answer::Accept => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.recipients += 1;
                }
                self.say(Reply::fixed(250, 1, 5, "Ok."));
            }
            Answer::Refuse(refusal) => self.say(refusal),
        }
    }

    pub(super) fn data_command<'b>(&mut self) -> Option<Output<'b>> {
        let token = self.ask(Question::Data(None));
        Some(Output::Data { token })
    }

    pub(super) fn bdat<'b>(&mut self, size: u64, last: Last) -> Option<Output<'b>> {
        let chunk = Chunk {
            size,
            left: size,
            last,
        };
        if self.is_chunking() {
            self.go(State::Chunk(chunk));
            return None;
        }
        let token = self.ask(Question::Data(Some(chunk)));
        Some(Output::Data { token })
    }

    pub(super) fn data_answered(&mut self, chunk: Option<Chunk>, answer: Answer) {
        if let Answer::Refuse(refusal) = answer {
            match chunk {
                Some(chunk) => self.drop_octets(chunk.left, refusal.into()),
                None => self.say(refusal),
            }
            self.transaction = None;
            return;
        }
        let transparency = match chunk {
            Some(_) => Transparency::Counted,
            None => Transparency::Dots,
        };
        if let Some(transaction) = &mut self.transaction {
            transaction.message = Some(Message::new(transparency));
        }
        match chunk {
            Some(chunk) => self.go(State::Chunk(chunk)),
            None => {
                self.say(Reply::bare(354, "Ok.".into()));
                self.go(State::Data);
            }
        }
    }

    pub(super) fn read_data<'b>(&mut self, input: &'b [u8]) -> Next<'b> {
        if let Some(next) = self.flushed() {
            return next;
        }
        if input.is_empty() {
            return self.await_data();
        }
        let piece = self.take_in(input);
        if piece.end == End::Found {
            self.go(State::Ended);
        }
        piece.next
    }

    pub(super) fn read_chunk<'b>(&mut self, chunk: Chunk, input: &'b [u8]) -> Next<'b> {
        if chunk.left == 0 {
            return self.end_of_chunk(chunk);
        }
        if input.is_empty() {
            return self.flushed().unwrap_or_else(|| self.await_data());
        }
        let input = at_most(input, chunk.left);
        let left = chunk.left - input.len() as u64;
        self.state = State::Chunk(Chunk { left, ..chunk });
        self.take_in(input).next
    }

    /// Takes a piece of the message in, and hands its content out unless the message
    /// is refused.
    fn take_in<'b>(&mut self, input: &'b [u8]) -> Piece<'b> {
        self.pace.received(self.now, input.len());
        let Some(message) = self.transaction.as_mut().and_then(|t| t.message.as_mut()) else {
            // Data without a transaction cannot be; if it were, nobody would want it.
            return Piece {
                end: End::Found,
                next: Next::Again(input.len()),
            };
        };
        let before = message.reader.clone();
        let data = message.reader.read(input);
        message.octets += data.octets;
        let octets = data.consumed;
        let piece = input.get(..octets).unwrap_or_default();
        let next = match message.judge(&self.settings, &before, piece) {
            Some(aborted) => Next::Do(octets, Output::Abort(aborted)),
            None if message.refused.is_some() || data.content.is_empty() => Next::Again(octets),
            None => Next::Do(octets, Output::Body(data.content)),
        };
        Piece {
            end: data.end,
            next,
        }
    }

    fn end_of_chunk<'b>(&mut self, chunk: Chunk) -> Next<'b> {
        let message = self.transaction.as_mut().and_then(|t| t.message.as_mut());
        if let Some(aborted) = message.and_then(|message| message.refused) {
            // RFC 3030 section 4.2: what follows is refused as well, up to RSET.
            self.go(State::Command);
            self.say(refusal(aborted));
            self.transaction = None;
            return Next::Again(0);
        }
        if chunk.last == Last::No {
            self.go(State::Command);
            let text = format!("{} octets received", chunk.size);
            self.say(Reply::fixed(250, 0, 0, "").with_text(text));
            return Next::Again(0);
        }
        self.go(State::Ended);
        match self.transaction.as_mut().and_then(|t| t.message.as_mut()) {
            Some(message) => {
                let content = message.reader.finish();
                if content.is_empty() {
                    return Next::Again(0);
                }
                message.octets += 2;
                Next::Do(0, Output::Body(content))
            }
            None => Next::Again(0),
        }
    }

    /// Reads so many octets of a chunk away, then replies.
    pub(super) fn drop_octets(&mut self, left: u64, reply: Reply) {
        self.go(State::Drop { left, reply });
    }

    pub(super) fn drop_chunk<'b>(&mut self, input: &'b [u8]) -> Next<'b> {
        let State::Drop { left, reply } = &mut self.state else {
            return Next::Again(0);
        };
        if *left == 0 {
            let reply = reply.clone();
            self.go(State::Command);
            self.say(reply);
            return Next::Again(0);
        }
        if input.is_empty() {
            return self.flushed().unwrap_or_else(|| self.await_data());
        }
        let octets = at_most(input, *left).len();
        *left -= octets as u64;
        self.pace.received(self.now, octets);
        Next::Again(octets)
    }

    fn await_data<'b>(&mut self) -> Next<'b> {
        match self.pace.wait(self.now, &self.settings.limits) {
            Ok(deadline) => Next::Do(0, Output::Wait { deadline }),
            Err(TooSlow) => self.too_slow(),
        }
    }

    /// Asks what becomes of the message, or says why it is refused.
    pub(super) fn end_of_data<'b>(&mut self) -> Next<'b> {
        self.go(State::Command);
        let Some(transaction) = &mut self.transaction else {
            return Next::Again(0);
        };
        let message = transaction.message.take();
        let octets = message.as_ref().map_or(0, |message| message.octets);
        if let Some(aborted) = message.and_then(|message| message.refused) {
            self.outcome(Outcome::All(refusal(aborted)));
            return Next::Again(0);
        }
        let replies = if transaction.exdata || self.settings.dialect == Dialect::Lmtp {
            Replies::PerRecipient
        } else {
            Replies::One
        };
        let token = self.ask(Question::Commit);
        let commit = Output::Commit {
            token,
            octets,
            replies,
        };
        Next::Do(0, commit)
    }

    /// Tells the client what became of the message, and ends the transaction.
    pub(super) fn outcome(&mut self, outcome: Outcome) {
        let Some(transaction) = &self.transaction else {
            return;
        };
        let (charset, recipients) = (transaction.charset, transaction.recipients);
        let form = match self.settings.dialect {
            Dialect::Lmtp => Form::Replies,
            Dialect::Esmtp if transaction.exdata => Form::Exdata,
            Dialect::Esmtp => Form::One,
        };
        let mut each = match outcome {
            Outcome::Each(each) => each,
            Outcome::All(reply) if form == Form::Replies => vec![reply; recipients],
            Outcome::All(reply) => vec![reply],
        };
        if each.iter().any(Reply::is_success) {
            self.budget.message();
        }
        let all_accepted = each.iter().all(Reply::is_success);
        if form == Form::One || form == Form::Exdata && (all_accepted || each.len() == 1) {
            self.say(summary(each));
        } else {
            each.resize(recipients, NOT_TOLD);
            let replies = each.into_iter();
            self.go(State::Telling(Telling {
                replies,
                form,
                charset,
            }));
        }
        self.transaction = None;
    }

    /// Tells the next recipient's reply; only a few are in the buffer at a time.
    pub(super) fn tell<'b>(&mut self) -> Next<'b> {
        let State::Telling(telling) = &mut self.state else {
            return Next::Again(0);
        };
        let Some(reply) = telling.replies.next() else {
            self.go(State::Command);
            return Next::Again(0);
        };
        let out = self.out.buffer();
        match telling.form {
            Form::One | Form::Replies => reply.encode(telling.charset, out),
            Form::Exdata => {
                let is_last = telling.replies.len() == 0;
                encode_exdata(&reply, telling.charset, is_last, out);
            }
        }
        Next::Again(0)
    }
}

/// What came of a piece of a message.
struct Piece<'b> {
    end: End,
    next: Next<'b>,
}

/// One reply for each recipient, on its way.
#[derive(Debug)]
pub(super) struct Telling {
    replies: std::vec::IntoIter<Reply>,
    form: Form,
    charset: Charset,
}

/// How replies for each recipient are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Not at all: one reply stands for all.
    One,
    /// One after the other (RFC 2033 §4.2).
    Replies,
    /// As the lines of one reply 558 (smtp.md §2.3).
    Exdata,
}

/// `558-` before each line of a recipient's reply, and `558 ` before the very last.
fn encode_exdata(reply: &Reply, charset: Charset, is_last: bool, out: &mut Vec<u8>) {
    let mut lines = Vec::new();
    reply.encode(charset, &mut lines);
    let mut at = out.len();
    for line in lines.split_inclusive(|&octet| octet == b'\n') {
        at = out.len();
        out.extend_from_slice(b"558-");
        out.extend_from_slice(line);
    }
    if is_last && let Some(separator) = out.get_mut(at + 3) {
        *separator = b' ';
    }
}

fn at_most(input: &[u8], octets: u64) -> &[u8] {
    let octets = usize::try_from(octets).unwrap_or(usize::MAX);
    input.get(..octets).unwrap_or(input)
}

/// What a client is told that takes one reply for many recipients (mta.md 11.3).
fn summary(each: Vec<Reply>) -> Reply {
    let accepted = each.iter().position(Reply::is_success);
    each.into_iter()
        .nth(accepted.unwrap_or(0))
        .unwrap_or(NOT_TOLD)
}

/// For a recipient whose fate the host does not tell.
const NOT_TOLD: Reply = Reply::fixed(451, 3, 0, "Local error, try again later");
