//! The keywords of a mailbox, and their combinations, of which each message holds a number.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::{index, number};
use crate::grammar::flag::Keyword;

/// A combination of keywords. Mailboxes have few of them, however many messages they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct KeywordSet(u32);

#[derive(Debug, Default)]
pub(super) struct KeywordTable {
    names: Vec<Keyword>,
    ids: HashMap<Keyword, u16>,
    /// The combination 0 is the empty one and not in the list.
    sets: Vec<Box<[u16]>>,
    by_members: HashMap<Box<[u16]>, u32>,
}

impl KeywordTable {
    /// Every keyword that has come up, in the order in which they did.
    pub(super) fn names(&self) -> &[Keyword] {
        &self.names
    }

    /// How many combinations there are.
    #[cfg(test)]
    pub(super) fn combinations(&self) -> usize {
        self.sets.len()
    }

    /// The number of a keyword; none once there are too many to be true.
    pub(super) fn id(&mut self, keyword: &Keyword) -> Option<u16> {
        if let Some(id) = self.ids.get(keyword) {
            return Some(*id);
        }
        let id = u16::try_from(self.names.len()).ok()?;
        self.names.push(keyword.clone());
        self.ids.insert(keyword.clone(), id);
        Some(id)
    }

    pub(super) fn set(&mut self, keywords: &[Keyword]) -> KeywordSet {
        if keywords.is_empty() {
            return KeywordSet::default();
        }
        let mut members: SmallVec<[u16; 8]> = keywords
            .iter()
            .filter_map(|keyword| self.id(keyword))
            .collect();
        members.sort_unstable();
        members.dedup();
        if let Some(&set) = self.by_members.get(&*members) {
            return KeywordSet(set);
        }
        let members: Box<[u16]> = members.as_slice().into();
        self.sets.push(members.clone());
        let set = number(self.sets.len());
        self.by_members.insert(members, set);
        KeywordSet(set)
    }

    pub(super) fn members(&self, set: KeywordSet) -> impl Iterator<Item = &Keyword> + use<'_> {
        let members = index(set.0).checked_sub(1).and_then(|at| self.sets.get(at));
        members
            .into_iter()
            .flat_map(|members| members.iter())
            .filter_map(|&id| self.names.get(usize::from(id)))
    }

    /// Throws out combinations that nobody has once there are many of them: a client that
    /// sets ever new ones must not make the session grow.
    pub(super) fn collect<'e>(&mut self, used: impl ExactSizeIterator<Item = &'e mut KeywordSet>) {
        if self.sets.len() < 1024 || self.sets.len() < 2 * used.len() {
            return;
        }
        let old = std::mem::take(&mut self.sets);
        self.by_members.clear();
        for used in used {
            let Some(members) = index(used.0).checked_sub(1).and_then(|at| old.get(at)) else {
                continue;
            };
            let next = number(self.sets.len() + 1);
            let set = *self.by_members.entry(members.clone()).or_insert(next);
            if set == next {
                self.sets.push(members.clone());
            }
            *used = KeywordSet(set);
        }
    }
}
