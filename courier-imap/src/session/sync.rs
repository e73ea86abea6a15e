//! The news of the mailbox (RFC 3501 §7.3, §7.4): what a client is told, and when.

use super::output::{Output, Refusal};
use super::reply::{MailboxNews, Reply, ReplyStatus};
use super::select::tell_keywords;
use super::{After, Answer, Core, Job, Progress};
use crate::grammar::response;
use crate::view::{Seen, View, number};

/// The end of a command while a mailbox is selected: the news, then the tagged line.
#[derive(Debug)]
pub(super) struct Sync {
    reply: Reply,
    state: State,
}

#[derive(Debug)]
enum State {
    Begin,
    Asked,
    Telling(Telling),
}

impl Sync {
    pub(super) fn new(reply: Reply) -> Self {
        let state = State::Begin;
        Self { reply, state }
    }

    fn tell(&self) -> State {
        State::Telling(Telling::new(
            if self.reply.news == MailboxNews::KeepNumbers {
                Numbers::Stay
            } else {
                Numbers::MayMove
            },
        ))
    }
}

impl Job for Sync {
    fn run(&mut self, core: &mut Core) -> Progress {
        loop {
            match &mut self.state {
                State::Begin if core.is_due(self.reply.news) => {
                    self.state = State::Asked;
                    return core.ask_refresh();
                }
                State::Begin => self.state = self.tell(),
                State::Asked => {
                    if let Err(refusal) = core.take_changes()
                        && self.reply.news == MailboxNews::Fresh
                        && self.reply.status == ReplyStatus::Ok
                    {
                        // NOOP and CHECK have nothing else to say.
                        self.reply = Reply::refused(refusal).with_news(MailboxNews::Fresh);
                    }
                    self.state = self.tell();
                }
                State::Telling(telling) => {
                    if !telling.run(core) {
                        return Progress::Full;
                    }
                    let reply = self.reply.clone().with_news(MailboxNews::None);
                    return Progress::Done(reply);
                }
            }
        }
    }
}

impl Core {
    /// Whether the host should be asked before the news are told.
    fn is_due(&self, news: MailboxNews) -> bool {
        let Some(mailbox) = &self.mailbox else {
            return false;
        };
        news == MailboxNews::Fresh
            || self.attention
            || self.now >= mailbox.refreshed + self.settings.refresh_after
    }

    pub(super) fn ask_refresh(&mut self) -> Progress {
        self.attention = false;
        self.ask(Output::Refresh)
    }

    /// Takes in the answer to a refresh.
    pub(super) fn take_changes(&mut self) -> Result<(), Refusal> {
        let answer = self.take_answer();
        let Some(mailbox) = &mut self.mailbox else {
            return Ok(());
        };
        match answer {
            Some(Answer::Changes(Ok(changes))) => {
                mailbox.view.apply(&changes);
                mailbox.refreshed = self.now;
                Ok(())
            }
            Some(Answer::Changes(Err(Refusal::NonExistent))) => {
                self.after = After::Bye("[NONEXISTENT] The selected mailbox is gone.");
                Err(Refusal::NonExistent)
            }
            Some(Answer::Changes(Err(refusal))) => Err(refusal),
            _ => Err(Refusal::ServerBug),
        }
    }
}

/// Whether EXPUNGE may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    /// RFC 3501 §7.4.1: not during FETCH, STORE and SEARCH.
    Stay,
    MayMove,
}

/// The news on their way out.
#[derive(Debug)]
pub(super) struct Telling {
    numbers: Numbers,
    /// Sequence numbers to be told as expunged, once they are known.
    expunged: Option<std::vec::IntoIter<u32>>,
    /// Whether everything but flags has been told.
    counted: bool,
}

impl Telling {
    pub(super) fn new(numbers: Numbers) -> Self {
        Self {
            numbers,
            expunged: None,
            counted: false,
        }
    }

    /// Goes on until there is enough to be sent; true once everything is told.
    pub(super) fn run(&mut self, core: &mut Core) -> bool {
        let Some(mailbox) = &mut core.mailbox else {
            return true;
        };
        let view = &mut mailbox.view;
        let expunged = self.expunged.get_or_insert_with(|| match self.numbers {
            Numbers::Stay => Vec::new().into_iter(),
            Numbers::MayMove => view.take_expunged().into_iter(),
        });
        for number in expunged {
            numbered(core.out.text(), number.into(), b" EXPUNGE\r\n");
            if core.out.is_full() {
                return false;
            }
        }
        if !self.counted {
            self.counted = true;
            if let Some(exists) = view.take_exists() {
                numbered(core.out.text(), exists as u64, b" EXISTS\r\n");
                numbered(core.out.text(), view.recent() as u64, b" RECENT\r\n");
            }
            if view.take_new_keywords() {
                tell_keywords(core.out.text(), view, mailbox.access);
            }
            view.sort_changed();
        }
        while !core.out.is_full() {
            let Some(index) = view.take_changed() else {
                return true;
            };
            tell_flags(core.out.text(), view, index);
        }
        false
    }
}

/// `* n` and what comes behind it.
fn numbered(out: &mut Vec<u8>, number: u64, rest: &[u8]) {
    out.extend_from_slice(b"* ");
    response::number(out, number);
    out.extend_from_slice(rest);
}

/// Flags that nobody asked for; with the UID, which spares the client a look-up.
fn tell_flags(out: &mut Vec<u8>, view: &View, index: usize) {
    let Some(message) = view.at(index) else {
        return;
    };
    numbered(out, number(index + 1).into(), b" FETCH (UID ");
    response::number(out, message.uid().get().into());
    out.push(b' ');
    write_flags(out, &message);
    out.extend_from_slice(b")\r\n");
}

/// `FLAGS (…)`
pub(super) fn write_flags(out: &mut Vec<u8>, message: &Seen<'_>) {
    out.extend_from_slice(b"FLAGS ");
    response::flags(out, message.flags(), message.recent(), message.keywords());
}
