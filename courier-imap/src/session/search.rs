//! SEARCH (RFC 3501 §6.4.4).
//!
//! The view decides what it can, message by message; what is left of the key is put to the
//! host, many messages at once. Results are told as they are found, on one line.

use std::collections::VecDeque;
use std::sync::Arc;

use courier_core::message::date::Date;

use super::messages::news;
use super::output::{
    Contents, FetchRequest, Fetched, MOST_DATED, MOST_FETCHED, MOST_SEARCHED, Need, Output,
    Refusal, SearchRequest,
};
use super::reply::Reply;
use super::{Answer, Core, Job, Progress};
use crate::grammar::command::By;
use crate::grammar::flag::Flag;
use crate::grammar::response;
use crate::search::key::Key;
use crate::view::{Seen, Selection, Uid, View, number};

#[derive(Debug)]
pub(super) struct Search {
    key: Key,
    by: By,
    /// What `*` means.
    largest: (u32, u32),
    rest: Selection,
    /// What the key asks for beyond flags and numbers, and the messages of which it may
    /// not be known.
    lacking: Option<(Need, Selection)>,
    state: State,
    begun: bool,
}

#[derive(Debug)]
enum State {
    Look,
    AskedFacts(Vec<usize>),
    AskedHost,
    /// Found, in ascending order.
    Telling(VecDeque<u32>),
    Ended(Option<Refusal>),
}

impl Search {
    pub(super) fn new(core: &Core, key: Key, by: By) -> Self {
        let view = core.mailbox.as_ref().map(|mailbox| &mailbox.view);
        let rest = view.map(Selection::all).unwrap_or_default();
        let largest = |by| view.map_or(0, |view| view.largest(by));
        Self {
            lacking: need(&key).map(|need| (need, rest.clone())),
            largest: (largest(By::Sequence), largest(By::Uid)),
            key,
            by,
            rest,
            state: State::Look,
            begun: false,
        }
    }

    /// Asks for dates and sizes that are missing; none if there are none.
    fn ask_facts(&mut self, core: &mut Core) -> Option<Progress> {
        let view = &core.mailbox.as_ref()?.view;
        let (need, rest) = self.lacking.as_mut()?;
        let (need, dated) = (*need, self.key.needs_date());
        let unknown = |index: &usize| {
            view.at(*index).is_some_and(|message| match need {
                Need::Date => message.date().is_none(),
                _ => message.size().is_none() || (dated && message.date().is_none()),
            })
        };
        let most = match need {
            Need::Date => MOST_DATED,
            _ => MOST_FETCHED,
        };
        let indices: Vec<usize> = rest.by_ref().filter(unknown).take(most).collect();
        if indices.is_empty() {
            self.lacking = None;
            return None;
        }
        let uids = indices
            .iter()
            .filter_map(|index| Some(view.at(*index)?.uid()))
            .collect();
        self.state = State::AskedFacts(indices);
        Some(core.ask(|token| Output::Fetch(token, FetchRequest { uids, need })))
    }

    /// Looks through the view until enough is found to be told, or to be asked.
    fn look(&mut self, core: &mut Core) -> Progress {
        let Some(mailbox) = &core.mailbox else {
            return Progress::Done(Reply::refused(Refusal::NonExistent));
        };
        if !self.begun {
            self.begun = true;
            core.out.write("* SEARCH");
        }
        let mut asked: Option<(Arc<Key>, Vec<Uid>)> = None;
        loop {
            if core.out.is_full() && asked.is_none() {
                return Progress::Full;
            }
            let Some(index) = self.rest.peek() else {
                break;
            };
            let Some(message) = mailbox.view.at(index) else {
                break;
            };
            match (self.decide(&self.key, index, &message), &mut asked) {
                (Decision::No, _) => {}
                (Decision::Yes, None) => {
                    tell(core.out.text(), self.number(index, &message));
                }
                (Decision::Open(key), None) => {
                    asked = Some((Arc::new(key), vec![message.uid()]));
                }
                (Decision::Open(key), Some((open, uids)))
                    if key == **open && uids.len() < MOST_SEARCHED =>
                {
                    uids.push(message.uid());
                }
                // Results are told in order: this one comes after the host has answered.
                _ => break,
            }
            self.rest.next();
        }
        match asked {
            Some((key, uids)) => {
                self.state = State::AskedHost;
                core.ask(|token| Output::Search(token, SearchRequest { uids, key }))
            }
            None => {
                self.state = State::Ended(None);
                self.run(core)
            }
        }
    }

    fn number(&self, index: usize, message: &Seen<'_>) -> u32 {
        match self.by {
            By::Sequence => number(index + 1),
            By::Uid => message.uid().get(),
        }
    }

    fn found(&self, view: &View, mut uids: Vec<Uid>) -> VecDeque<u32> {
        uids.sort_unstable();
        uids.dedup();
        let indices = uids.into_iter().filter_map(|uid| view.index_of(uid));
        indices
            .filter_map(|index| Some(self.number(index, &view.at(index)?)))
            .collect()
    }

    /// What the view knows of a key. Walks it by recursion: it is at most 50 deep.
    fn decide(&self, key: &Key, index: usize, message: &Seen<'_>) -> Decision {
        let size = u64::from(message.size().unwrap_or(0));
        let day = || Date::of(message.date().unwrap_or_default());
        let recent = message.recent() == response::Recent::Yes;
        let known = match key {
            Key::All => true,
            Key::Flag(flag) => message.flags().contains(*flag),
            Key::Unflag(flag) => !message.flags().contains(*flag),
            Key::Keyword(keyword) => message.has_keyword(keyword),
            Key::Unkeyword(keyword) => !message.has_keyword(keyword),
            Key::Larger(octets) => size > u64::from(*octets),
            Key::Smaller(octets) => size < u64::from(*octets),
            Key::Before(date) => day() < *date,
            Key::On(date) => day() == *date,
            Key::Since(date) => day() >= *date,
            Key::Uid(set) => set.contains(message.uid().get(), self.largest.1),
            Key::Sequence(set) => set.contains(number(index + 1), self.largest.0),
            Key::New => recent && !message.flags().contains(Flag::Seen),
            Key::Old => !recent,
            Key::Recent => recent,
            Key::Not(key) => return self.decide(key, index, message).not(),
            Key::Or(one, other) => {
                let one = self.decide(one, index, message);
                return one.or(|| self.decide(other, index, message));
            }
            Key::And(keys) => return self.decide_all(keys, index, message),
            _ => return Decision::Open(key.clone()),
        };
        if known { Decision::Yes } else { Decision::No }
    }

    fn decide_all(&self, keys: &[Key], index: usize, message: &Seen<'_>) -> Decision {
        let mut open = Vec::new();
        for key in keys {
            match self.decide(key, index, message) {
                Decision::Yes => {}
                Decision::No => return Decision::No,
                Decision::Open(key) => open.push(key),
            }
        }
        match open.len() {
            0 => Decision::Yes,
            1 => open.pop().map_or(Decision::Yes, Decision::Open),
            _ => Decision::Open(Key::And(open)),
        }
    }
}

/// What the view must know of each message before it can decide.
fn need(key: &Key) -> Option<Need> {
    match (key.needs_size(), key.needs_date()) {
        (true, _) => Some(Need::Size),
        (false, true) => Some(Need::Date),
        (false, false) => None,
    }
}

/// Whether a message is meant, or what its content has to decide.
enum Decision {
    Yes,
    No,
    Open(Key),
}

impl Decision {
    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Open(Key::Not(key)) => Self::Open(*key),
            Self::Open(key) => Self::Open(Key::Not(Box::new(key))),
        }
    }

    fn or(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Yes => Self::Yes,
            Self::No => other(),
            Self::Open(key) => match other() {
                Self::Yes => Self::Yes,
                Self::No => Self::Open(key),
                Self::Open(other) => Self::Open(Key::Or(Box::new(key), Box::new(other))),
            },
        }
    }
}

fn tell(out: &mut Vec<u8>, number: u32) {
    out.push(b' ');
    response::number(out, number.into());
}

impl Job for Search {
    fn run(&mut self, core: &mut Core) -> Progress {
        match &mut self.state {
            State::Look => match self.ask_facts(core) {
                Some(progress) => progress,
                None => self.look(core),
            },
            State::AskedFacts(indices) => {
                if let (Some(Answer::Fetched(facts)), Some(mailbox)) =
                    (core.take_answer(), &mut core.mailbox)
                {
                    for (&index, fetched) in indices.iter().zip(facts) {
                        let Fetched::Message(Contents { size, date, .. }) = fetched else {
                            continue;
                        };
                        if let Some(size) = size {
                            mailbox.view.set_size(index, size);
                        }
                        if let Some(date) = date {
                            mailbox.view.set_date(index, date);
                        }
                    }
                }
                self.state = State::Look;
                self.run(core)
            }
            State::AskedHost => {
                self.state = match (core.take_answer(), &core.mailbox) {
                    (Some(Answer::Searched(Ok(uids))), Some(mailbox)) => {
                        State::Telling(self.found(&mailbox.view, uids))
                    }
                    (Some(Answer::Searched(Err(refusal))), _) => State::Ended(Some(refusal)),
                    _ => State::Ended(Some(Refusal::ServerBug)),
                };
                self.run(core)
            }
            State::Telling(found) => {
                for number in found.drain(..) {
                    tell(core.out.text(), number);
                }
                self.state = State::Look;
                if core.out.is_full() {
                    Progress::Full
                } else {
                    self.run(core)
                }
            }
            State::Ended(refusal) => {
                core.out.write("\r\n");
                let reply = refusal.map_or_else(|| Reply::ok("SEARCH completed."), Reply::refused);
                Progress::Done(reply.with_news(news(self.by)))
            }
        }
    }
}
