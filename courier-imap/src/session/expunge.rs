//! EXPUNGE, UID EXPUNGE (RFC 4315 §2.1) and CLOSE.

use super::output::{Output, Refusal};
use super::reply::{MailboxNews, Reply};
use super::{Answer, Core, Job, Progress};
use crate::grammar::command::{Access, By};
use crate::grammar::flag::Flag;
use crate::grammar::sequence::SequenceSet;
use crate::view::Selection;

#[derive(Debug)]
pub(super) struct Expunge {
    set: Option<SequenceSet>,
    then: Then,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Tell,
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Begin,
    /// What other sessions have marked goes as well.
    Refreshing,
    Removing,
}

impl Expunge {
    pub(super) fn new(set: Option<SequenceSet>) -> Self {
        let (then, state) = (Then::Tell, State::Begin);
        Self { set, then, state }
    }

    pub(super) fn close() -> Self {
        let (then, state) = (Then::Close, State::Begin);
        Self {
            set: None,
            then,
            state,
        }
    }

    fn remove(&mut self, core: &mut Core) -> Progress {
        let Some(mailbox) = &core.mailbox else {
            return Progress::Done(Reply::refused(Refusal::NonExistent));
        };
        let view = &mailbox.view;
        let selection = match &self.set {
            Some(set) => view.select(set, By::Uid),
            None => Selection::all(view),
        };
        let messages = selection.filter_map(|index| view.at(index));
        let deleted = messages.filter(|m| m.flags().contains(Flag::Deleted) && !m.is_gone());
        let uids: Vec<_> = deleted.map(|message| message.uid()).collect();
        if uids.is_empty() {
            return self.end(core, None);
        }
        self.state = State::Removing;
        core.ask(|token| Output::Expunge(token, uids))
    }

    fn end(&self, core: &mut Core, refusal: Option<Refusal>) -> Progress {
        let completed = match self.then {
            Then::Tell => "EXPUNGE completed.",
            Then::Close => "CLOSE completed.",
        };
        let reply = refusal.map_or(Reply::ok(completed), Reply::refused);
        if self.then == Then::Tell {
            return Progress::Done(reply);
        }
        // The client takes it for closed whatever we say.
        core.deselect();
        Progress::Done(reply.with_news(MailboxNews::None))
    }
}

impl Job for Expunge {
    fn run(&mut self, core: &mut Core) -> Progress {
        match self.state {
            State::Begin => {
                let access = core.mailbox.as_ref().map(|mailbox| mailbox.access);
                if access != Some(Access::ReadWrite) {
                    // RFC 3501 §6.4.2: CLOSE after EXAMINE removes nothing.
                    return self.end(core, None);
                }
                self.state = State::Refreshing;
                core.ask_refresh()
            }
            State::Refreshing => match core.take_changes() {
                Ok(()) => self.remove(core),
                Err(refusal) => self.end(core, Some(refusal)),
            },
            State::Removing => {
                let refusal = match (core.take_answer(), &mut core.mailbox) {
                    (Some(Answer::Expunged(Ok(removed))), Some(mailbox)) => {
                        for uid in removed {
                            mailbox.view.mark_gone(uid);
                        }
                        None
                    }
                    (Some(Answer::Expunged(Err(refusal))), _) => Some(refusal),
                    _ => Some(Refusal::ServerBug),
                };
                self.end(core, refusal)
            }
        }
    }
}
