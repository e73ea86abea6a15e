//! STORE (RFC 3501 §6.4.6).

use super::messages::{news, select};
use super::output::{Batch, MOST_STORED, Output, Refusal, StoreRequest};
use super::reply::Reply;
use super::sync::write_flags;
use super::{Answer, Core, Job, Mailbox, Progress};
use crate::grammar::command::{By, Echo, FlagChange, MOST_KEYWORDS};
use crate::grammar::flag::Keyword;
use crate::grammar::response;
use crate::grammar::sequence::SequenceSet;
use crate::view::{MessageFlags, News, Seen, Selection, Uid, number};

#[derive(Debug)]
pub(super) struct Store {
    selection: std::iter::Peekable<Selection>,
    change: FlagChange,
    echo: Echo,
    by: By,
    state: State,
    /// Some message was not there any more.
    gone: bool,
}

#[derive(Debug)]
enum State {
    Next,
    /// With how many messages were named.
    Asked(usize),
    Telling(std::vec::IntoIter<MessageFlags>),
}

impl Store {
    pub(super) fn new(
        core: &mut Core,
        set: &SequenceSet,
        change: FlagChange,
        echo: Echo,
        by: By,
    ) -> Result<Self, Reply> {
        if let (FlagChange::Add(list) | FlagChange::Replace(list), Some(mailbox)) =
            (&change, &core.mailbox)
        {
            let known = mailbox.view.keywords();
            let new = list
                .keywords
                .iter()
                .filter(|keyword| !known.contains(keyword));
            if known.len() + new.count() > MOST_KEYWORDS {
                return Err(Reply::no("LIMIT", "The mailbox has too many keywords."));
            }
        }
        let selection = select(core, set, by).peekable();
        let (state, gone) = (State::Next, false);
        Ok(Self {
            selection,
            change,
            echo,
            by,
            state,
            gone,
        })
    }

    fn ask(&mut self, core: &mut Core) -> Option<Progress> {
        let view = &core.mailbox.as_ref()?.view;
        let next = self.selection.by_ref().take(MOST_STORED);
        let uids: Vec<Uid> = next
            .filter_map(|index| Some(view.at(index)?.uid()))
            .collect();
        if uids.is_empty() {
            return None;
        }
        self.state = State::Asked(uids.len());
        let batch = if self.selection.peek().is_some() {
            Batch::More
        } else {
            Batch::Last
        };
        let change = self.change.clone();
        Some(core.ask(|token| {
            Output::Store(
                token,
                StoreRequest {
                    uids,
                    change,
                    batch,
                },
            )
        }))
    }

    fn end(&self) -> Progress {
        let reply = match (self.gone, self.by) {
            (false, _) => Reply::ok("STORE completed."),
            // RFC 3501 §6.4.8: a UID that is not there is no error.
            (true, By::Uid) => Reply::ok("STORE completed.").with_code("EXPUNGEISSUED"),
            (true, By::Sequence) => Reply::refused(Refusal::Expunged),
        };
        Progress::Done(reply.with_news(news(self.by)))
    }

    fn tell(&self, mailbox: &mut Mailbox, out: &mut Vec<u8>, now: &MessageFlags) {
        let view = &mut mailbox.view;
        let expected = view.index_of(now.uid).and_then(|index| view.at(index));
        let surprise = expected.is_some_and(|before| !self.is_expected(&before, now));
        // RFC 3501 §6.4.6: what others have changed is told, `.SILENT` or not.
        let tell = if self.echo == Echo::Silent && surprise {
            News::Tell
        } else {
            News::Known
        };
        let Some(index) = view.set_flags(now, tell) else {
            return;
        };
        if self.echo == Echo::Silent {
            return;
        }
        view.forget_change(index);
        let Some(message) = view.at(index) else {
            return;
        };
        out.extend_from_slice(b"* ");
        response::number(out, number(index + 1).into());
        out.extend_from_slice(b" FETCH (");
        if self.by == By::Uid {
            out.extend_from_slice(b"UID ");
            response::number(out, now.uid.get().into());
            out.push(b' ');
        }
        write_flags(out, &message);
        out.extend_from_slice(b")\r\n");
    }

    /// Whether the flags are what the client takes them for.
    fn is_expected(&self, before: &Seen<'_>, now: &MessageFlags) -> bool {
        let had: Vec<&Keyword> = before.keywords().collect();
        let (flags, keywords): (_, Vec<&Keyword>) = match &self.change {
            FlagChange::Replace(list) => (list.flags, list.keywords.iter().collect()),
            FlagChange::Add(list) => {
                let new = list
                    .keywords
                    .iter()
                    .filter(|keyword| !had.contains(keyword));
                let all = had.iter().copied().chain(new).collect();
                (before.flags().union(list.flags), all)
            }
            FlagChange::Remove(list) => {
                let kept = had
                    .iter()
                    .copied()
                    .filter(|keyword| !list.keywords.contains(keyword));
                (before.flags().without(list.flags), kept.collect())
            }
        };
        flags == now.flags
            && keywords.len() == now.keywords.len()
            && keywords
                .iter()
                .all(|keyword| now.keywords.contains(keyword))
    }
}

impl Job for Store {
    fn run(&mut self, core: &mut Core) -> Progress {
        loop {
            match &mut self.state {
                State::Next => match self.ask(core) {
                    Some(progress) => return progress,
                    None => return self.end(),
                },
                State::Asked(count) => {
                    let flags = match core.take_answer() {
                        Some(Answer::Stored(Ok(flags))) => flags,
                        Some(Answer::Stored(Err(refusal))) => {
                            return Progress::Done(
                                Reply::refused(refusal).with_news(news(self.by)),
                            );
                        }
                        _ => return Progress::Done(Reply::refused(Refusal::ServerBug)),
                    };
                    self.gone |= flags.len() < *count;
                    self.state = State::Telling(flags.into_iter());
                }
                State::Telling(flags) => {
                    if core.out.is_full() {
                        return Progress::Full;
                    }
                    match (flags.next(), &mut core.mailbox) {
                        (Some(now), Some(mailbox)) => self.tell(mailbox, core.out.text(), &now),
                        _ => self.state = State::Next,
                    }
                }
            }
        }
    }
}
