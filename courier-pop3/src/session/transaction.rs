use std::sync::Arc;

use super::output::{Extent, Output, RetrieveError, Retrieved};
use super::settings::EightBitHeaders;
use super::{Charset, List, Phase, Question, Session, State};
use crate::command::Command;
use crate::listing::{HeaderOctets, Listing, MessageNumber};
use crate::notice;
use crate::retrieval::Retrieval;

const NO_SUCH_MESSAGE: &str = "Invalid message number.";

/// The TRANSACTION state.
impl Session {
    pub(super) fn transaction_command(&mut self, command: &Command) {
        match *command {
            Command::Noop => self.ok("Yup."),
            Command::Stat => {
                let stat = self.listing().map(Listing::stat).unwrap_or_default();
                self.ok(format_args!("{} {}", stat.messages, stat.octets));
            }
            Command::Rset => {
                if let Phase::Transaction(listing) = &mut self.phase {
                    listing.reset();
                }
                self.ok("Resurrected.");
            }
            Command::Dele(number) => {
                let deleted = match &mut self.phase {
                    Phase::Transaction(listing) => listing.delete(number),
                    Phase::Authorization => false,
                };
                if deleted {
                    self.ok("Deleted.");
                } else {
                    self.err(NO_SUCH_MESSAGE);
                }
            }
            Command::List(None) => self.list(List::Sizes),
            Command::Uidl(None) => self.list(List::UniqueIds),
            Command::List(Some(number)) => self.list_one(List::Sizes, number),
            Command::Uidl(Some(number)) => self.list_one(List::UniqueIds, number),
            Command::Retr(number) => self.retrieve(number, None),
            Command::Top(number, lines) => self.retrieve(number, Some(lines)),
            _ => self.bad_command("Invalid command."),
        }
    }

    fn listing(&self) -> Option<&Listing> {
        match &self.phase {
            Phase::Authorization => None,
            Phase::Transaction(listing) => Some(listing),
        }
    }

    fn list(&mut self, list: List) {
        let stat = self.listing().map(Listing::stat).unwrap_or_default();
        match list {
            List::Sizes => self.ok(format_args!(
                "{} messages ({} octets)",
                stat.messages, stat.octets
            )),
            List::UniqueIds => self.ok(format_args!("{} messages", stat.messages)),
        }
        match MessageNumber::new(1) {
            Some(first) => self.go(State::Listing(list, first)),
            None => self.go(State::Command),
        }
    }

    /// Adds lines of a list, as many as there is room for.
    pub(super) fn list_on(&mut self, list: List, from: MessageNumber) {
        let mut from = from;
        while self.out.has_room() {
            let Phase::Transaction(listing) = &self.phase else {
                break;
            };
            let Some(message) = listing.next_from(from) else {
                break;
            };
            let number = message.number;
            match list {
                List::Sizes => self.out.line(format_args!("{number} {}", message.size)),
                List::UniqueIds => self.out.line(format_args!("{number} {}", message.uidl)),
            }
            match number.get().checked_add(1).and_then(MessageNumber::new) {
                Some(next) => from = next,
                None => break,
            }
        }
        if !self.out.has_room() {
            self.go(State::Listing(list, from));
            return;
        }
        self.out.line(format_args!("."));
        self.go(State::Command);
    }

    fn list_one(&mut self, list: List, number: MessageNumber) {
        let message = self.listing().and_then(|listing| listing.message(number));
        let line = message.map(|message| match list {
            List::Sizes => format!("{number} {}", message.size),
            List::UniqueIds => format!("{number} {}", message.uidl),
        });
        match line {
            Some(line) => self.ok(line),
            None => self.err(NO_SUCH_MESSAGE),
        }
    }

    /// `lines` are those of TOP; none for RETR.
    fn retrieve(&mut self, number: MessageNumber, lines: Option<u64>) {
        if self.listing().and_then(|l| l.message(number)).is_none() {
            self.err(NO_SUCH_MESSAGE);
            return;
        }
        let token = self.ask(Question::Retrieve { number, lines });
        self.next = Some(Output::Retrieve {
            token,
            number,
            extent: extent(lines),
        });
    }

    pub(super) fn send(&mut self, number: MessageNumber, lines: Option<u64>, retrieved: Retrieved) {
        let content = match retrieved {
            Ok(content) => content,
            Err(RetrieveError::Gone) => {
                self.err("Can't open the message file - it's gone!");
                return;
            }
            Err(RetrieveError::Unreadable) => {
                self.err("[SYS/TEMP] Can't read the message file, please try again later.");
                return;
            }
        };
        let message = self.listing().and_then(|listing| listing.message(number));
        let header = message.map(|message| message.header).unwrap_or_default();
        let parts = match &self.settings.eight_bit_headers {
            EightBitHeaders::Notice(kind)
                if header == HeaderOctets::EightBit && self.charset == Charset::Ascii =>
            {
                notice::wrap(&content, kind).to_vec()
            }
            _ => vec![Arc::clone(&content)],
        };
        let retrieval = match lines {
            None => {
                let retrieval = Retrieval::whole(&parts);
                self.ok(format_args!("{} octets follow.", retrieval.octets));
                retrieval
            }
            Some(lines) => {
                self.ok("headers follow.");
                Retrieval::top(&parts, lines)
            }
        };
        self.go(State::Sending(Box::new(retrieval), extent(lines)));
    }
}

fn extent(lines: Option<u64>) -> Extent {
    match lines {
        None => Extent::Whole,
        Some(_) => Extent::Top,
    }
}
