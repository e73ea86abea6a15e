use std::collections::VecDeque;

use courier_core::address::{ForwardPath, Mailbox, ReversePath};
use courier_core::envelope::{Body, Security};
use courier_core::message::wire::{self, Encoding, Segment};

use super::output::{Delivery, Failure, Output, Settlement, Stage};
use super::session::{Client, State};
use crate::extension::{Capabilities, Keyword};
use crate::parameter::{Recipient, Sender};
use crate::reply::{Charset, Reply, Severity};

/// A delivery on its way (RFC 5321 §3.3, RFC 2920).
#[derive(Debug)]
pub(super) struct Transaction {
    delivery: Delivery,
    charset: Charset,
    /// The commands that were sent and are not answered.
    awaited: VecDeque<Command>,
    /// What is to be sent next.
    next: Next,
    settled: Vec<Option<Settlement>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Mail,
    Recipient(usize),
    Data,
    End,
    /// The end of a message that goes to nobody.
    EmptyEnd,
    Reset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Mail,
    Recipient(usize),
    Data,
    Nothing,
}

/// Commands go out together until so many octets wait to be written, ...
const ENOUGH: usize = 16 * 1024;
/// ... or so many commands for their replies: these must fit into the buffers between
/// the two, or both might wait for each other (RFC 2920 section 3.1).
const MOST_UNANSWERED: usize = 100;

impl Transaction {
    fn new(delivery: Delivery, capabilities: &Capabilities) -> Self {
        let mut settled: Vec<Option<Settlement>> = vec![None; delivery.recipients.len()];
        let utf8 = capabilities.has(Keyword::SmtpUtf8) && needs_utf8(&delivery);
        let charset = if utf8 { Charset::Utf8 } else { Charset::Ascii };
        let obstacle = obstacle(&delivery, capabilities, charset);
        for (slot, recipient) in settled.iter_mut().zip(&delivery.recipients) {
            let foreign = charset == Charset::Ascii && forward(recipient, charset).is_none();
            let foreign = foreign.then_some(Failure::NotOffered(Keyword::SmtpUtf8));
            *slot = obstacle.clone().or(foreign).map(|failure| Settlement {
                stage: Stage::Before,
                result: Err(failure),
            });
        }
        Self {
            delivery,
            charset,
            awaited: VecDeque::new(),
            next: Next::Mail,
            settled,
        }
    }

    /// The first recipient from `index` on that is not settled.
    fn unsettled(&self, index: usize) -> Option<usize> {
        let open = self.settled.iter().skip(index).position(Option::is_none)?;
        Some(index + open)
    }

    /// Settles all who are not.
    fn settle(&mut self, stage: Stage, result: &Result<Reply, Failure>) {
        for slot in &mut self.settled {
            slot.get_or_insert_with(|| Settlement {
                stage,
                result: result.clone(),
            });
        }
    }

    /// What became of the delivery when the session ended in its midst.
    pub(super) fn lost(mut self, failure: &Failure) -> Vec<Settlement> {
        let stage = match self.awaited.front() {
            Some(Command::Mail) | None => Stage::Mail,
            Some(Command::Recipient(_)) => Stage::Recipient,
            Some(Command::Data | Command::Reset) => Stage::Data,
            Some(Command::End | Command::EmptyEnd) => Stage::End,
        };
        self.settle(stage, &Err(failure.clone()));
        self.into_settlements()
    }

    fn into_settlements(self) -> Vec<Settlement> {
        self.settled.into_iter().flatten().collect()
    }
}

impl Client {
    pub(super) fn start(&mut self, delivery: Delivery) {
        let transaction = Transaction::new(delivery, &self.capabilities);
        if transaction.unsettled(0).is_none() {
            self.news = Some(Output::Settled(transaction.into_settlements()));
            return self.go(State::Free);
        }
        self.transaction = Some(transaction);
        self.go(State::Transaction);
    }

    pub(super) fn awaits_end(&self) -> bool {
        let awaited = self.transaction.as_ref().and_then(|t| t.awaited.front());
        matches!(awaited, Some(Command::End | Command::EmptyEnd))
    }

    /// Sends the commands that may go out now: with PIPELINING all of them, else one
    /// when nothing is unanswered.
    pub(super) fn speak_on(&mut self) {
        let pipelining = self.capabilities.has(Keyword::Pipelining);
        while matches!(self.state, State::Transaction) && self.out.len() < ENOUGH {
            let Some(transaction) = &mut self.transaction else {
                return;
            };
            let most = if pipelining { MOST_UNANSWERED } else { 1 };
            if transaction.awaited.len() >= most {
                return;
            }
            let line = match transaction.next {
                Next::Mail => {
                    transaction.awaited.push_back(Command::Mail);
                    transaction.next = Next::Recipient(0);
                    mail_line(
                        &transaction.delivery,
                        &self.capabilities,
                        transaction.charset,
                    )
                }
                Next::Recipient(index) => match transaction.unsettled(index) {
                    Some(index) => {
                        transaction.awaited.push_back(Command::Recipient(index));
                        transaction.next = Next::Recipient(index + 1);
                        let recipient = transaction.delivery.recipients.get(index);
                        let dsn = self.capabilities.has(Keyword::Dsn);
                        recipient
                            .map(|r| recipient_line(r, transaction.charset, dsn))
                            .unwrap_or_default()
                    }
                    None => {
                        transaction.next = Next::Data;
                        continue;
                    }
                },
                Next::Data if transaction.unsettled(0).is_none() => return self.reset(),
                Next::Data => {
                    transaction.awaited.push_back(Command::Data);
                    transaction.next = Next::Nothing;
                    "DATA".to_owned()
                }
                Next::Nothing => return,
            };
            self.command(&line);
        }
    }

    pub(super) fn transaction_heard(&mut self, reply: Reply) {
        let Some(transaction) = &mut self.transaction else {
            return self.fail(Failure::Unexpected(reply));
        };
        let Some(command) = transaction.awaited.pop_front() else {
            return self.fail(Failure::Unexpected(reply));
        };
        if reply.code().get() == 421 {
            // The server closes: what is not settled may be tried elsewhere.
            let stage = command.stage();
            transaction.settle(stage, &Ok(reply));
            self.tell();
            return self.go(State::Closing);
        }
        let is_wrong = reply.severity() == Severity::Intermediate && command != Command::Data;
        if is_wrong {
            transaction.awaited.push_front(command);
            return self.fail(Failure::Unexpected(reply));
        }
        match command {
            Command::Mail if !reply.is_success() => {
                transaction.settle(Stage::Mail, &Ok(reply));
                if !matches!(transaction.next, Next::Nothing) {
                    transaction.next = Next::Data; // which leads to RSET
                }
            }
            Command::Mail => {}
            Command::Recipient(index) => transaction.recipient_answered(index, reply),
            Command::Data => self.data_answered(reply),
            Command::End => {
                transaction.settle(Stage::End, &Ok(reply));
                self.done();
            }
            Command::EmptyEnd => self.reset(),
            Command::Reset => self.done(),
        }
    }

    fn data_answered(&mut self, reply: Reply) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        let wanted = transaction.unsettled(0).is_some();
        match reply.severity() {
            Severity::Intermediate if wanted => {
                transaction.awaited.push_back(Command::End);
                let content = transaction.delivery.content.clone();
                let length = (*content).as_ref().len() as u64;
                let segment = Segment::new(content, 0..length, Encoding::CrlfDotStuffed);
                self.go(State::Sending(Some(segment)));
            }
            Severity::Intermediate => {
                // RFC 2920 section 3.1: there is nobody left to send it to.
                transaction.awaited.push_back(Command::EmptyEnd);
                self.command(".");
            }
            Severity::Success if wanted => {
                transaction.awaited.push_front(Command::Data);
                self.fail(Failure::Unexpected(reply));
            }
            _ => {
                transaction.settle(Stage::Data, &Ok(reply));
                self.reset();
            }
        }
    }

    /// Makes the session fit for another transaction after one that failed.
    fn reset(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.next = Next::Nothing;
            transaction.awaited.push_back(Command::Reset);
            self.command("RSET");
        }
    }

    fn done(&mut self) {
        self.tell();
        self.go(State::Free);
    }

    fn tell(&mut self) {
        if let Some(transaction) = self.transaction.take() {
            self.news = Some(Output::Settled(transaction.into_settlements()));
        }
    }
}

impl Command {
    fn stage(self) -> Stage {
        match self {
            Self::Mail => Stage::Mail,
            Self::Recipient(_) => Stage::Recipient,
            Self::Data | Self::Reset => Stage::Data,
            Self::End | Self::EmptyEnd => Stage::End,
        }
    }
}

impl Transaction {
    /// A refusal settles the recipient; who is accepted waits for the end.
    fn recipient_answered(&mut self, index: usize, reply: Reply) {
        if reply.is_success() {
            return;
        }
        if let Some(slot) = self.settled.get_mut(index) {
            slot.get_or_insert(Settlement {
                stage: Stage::Recipient,
                result: Ok(reply),
            });
        }
    }
}

/// Why nobody can get the delivery from this server.
fn obstacle(delivery: &Delivery, capabilities: &Capabilities, charset: Charset) -> Option<Failure> {
    let Sender {
        body,
        security,
        verp,
        ..
    } = &delivery.sender;
    let foreign = delivery.sender.smtputf8 || reverse(&delivery.sender, charset).is_none();
    let wanted = [
        (Keyword::SmtpUtf8, charset == Charset::Ascii && foreign),
        (Keyword::EightBitMime, *body == Body::EightBitMime),
        (Keyword::XVerp, *verp),
        (Keyword::XSecurity, *security != Security::None),
    ];
    let missing = wanted
        .iter()
        .find(|(keyword, wanted)| *wanted && !capabilities.has(*keyword));
    if let Some((keyword, _)) = missing {
        return Some(Failure::NotOffered(*keyword));
    }
    let octets = size(delivery);
    let limit = capabilities.size.filter(|&limit| octets > limit)?;
    Some(Failure::TooLarge { octets, limit })
}

/// The size as RFC 1870 counts.
fn size(delivery: &Delivery) -> u64 {
    wire::length((*delivery.content).as_ref(), Encoding::Chunk)
}

fn needs_utf8(delivery: &Delivery) -> bool {
    delivery.sender.smtputf8
        || reverse(&delivery.sender, Charset::Ascii).is_none()
        || delivery
            .recipients
            .iter()
            .any(|r| forward(r, Charset::Ascii).is_none())
}

/// An address in wire form; domains in ACE where only ASCII may be sent.
fn in_charset(mailbox: &Mailbox, charset: Charset) -> Option<String> {
    match charset {
        Charset::Ascii => mailbox.to_ascii(),
        Charset::Utf8 => Some(mailbox.to_string()),
    }
}

fn reverse(sender: &Sender, charset: Charset) -> Option<String> {
    match &sender.path {
        ReversePath::Null => Some(String::new()),
        ReversePath::Mailbox(mailbox) => in_charset(mailbox, charset),
    }
}

fn forward(recipient: &Recipient, charset: Charset) -> Option<String> {
    match &recipient.path {
        ForwardPath::Postmaster => Some("postmaster".to_owned()),
        ForwardPath::Mailbox(mailbox) => in_charset(mailbox, charset),
    }
}

/// MAIL with what is offered and needed, in Courier's order (smtp.md §4.3).
fn mail_line(delivery: &Delivery, capabilities: &Capabilities, charset: Charset) -> String {
    let sender = &delivery.sender;
    let mut line = format!(
        "MAIL FROM:<{}>",
        reverse(sender, charset).unwrap_or_default()
    );
    if charset == Charset::Utf8 {
        line.push_str(" SMTPUTF8");
    }
    if sender.body == Body::EightBitMime {
        line.push_str(" BODY=8BITMIME");
    }
    if sender.verp {
        line.push_str(" VERP");
    }
    if capabilities.has(Keyword::Dsn) {
        if let Some(ret) = sender.ret {
            line.push_str(&format!(" RET={ret}"));
        }
        if let Some(envid) = &sender.envid {
            line.push_str(&format!(" ENVID={envid}"));
        }
    }
    if capabilities.has(Keyword::Size) {
        line.push_str(&format!(" SIZE={}", size(delivery)));
    }
    if sender.security == Security::StartTls {
        line.push_str(" SECURITY=STARTTLS");
    }
    line
}

fn recipient_line(recipient: &Recipient, charset: Charset, dsn: bool) -> String {
    let path = forward(recipient, charset).unwrap_or_default();
    let mut line = format!("RCPT TO:<{path}>");
    if dsn {
        if !recipient.notify.is_unsaid() {
            line.push_str(&format!(" NOTIFY={}", recipient.notify));
        }
        if let Some(orcpt) = &recipient.orcpt {
            let value = match charset {
                Charset::Ascii => orcpt.to_ascii(),
                Charset::Utf8 => orcpt.to_utf8(),
            };
            line.push_str(&format!(" ORCPT={value}"));
        }
    }
    line
}
