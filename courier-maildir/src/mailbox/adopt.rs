//! Taking over what a look found, and telling what is different.

use std::collections::HashMap;
use std::sync::Arc;

use super::found::Found;
use super::names::Entry;
use super::numbering::Numbered;
use super::snapshot::{Gates, Snapshot};
use super::sync::{Changes, Facts, Loaded, Named};
use crate::keywords::SetId;
use crate::scan::Gate;
use crate::uid_list::Uid;
use crate::writer::Writer;

impl Snapshot {
    /// Takes over names and keywords, as far as they were read.
    pub(super) fn adopt(
        &mut self,
        facts: &Facts,
        named: Option<Named>,
        loaded: Option<Loaded>,
        writer: &Writer,
    ) -> Changes {
        let mut changes = Changes::default();
        let first = self.gates.is_none();
        let mut keywords = self.gates.and_then(|gates| gates.keywords);
        if loaded.is_some() {
            keywords = facts
                .keywords
                .map(|meta| Gate::after_reading(&meta, writer));
        }
        if let Some(named) = named {
            self.findings = named.findings;
            let (new, cur, list) = (named.new, named.cur, named.numbered.list);
            changes.reset = !first && self.validity != named.numbered.validity;
            self.adopt_names(named.found, named.numbered, &mut changes);
            self.gates = Some(Gates {
                new,
                cur,
                list,
                keywords,
            });
        } else if let Some(gates) = &mut self.gates {
            gates.keywords = keywords;
        }
        match loaded {
            Some(loaded) => self.adopt_keywords(loaded, &mut changes),
            None => self.adopt_orphans(&changes.arrived),
        }
        let untold = std::mem::take(&mut self.untold);
        if first || changes.reset {
            return Changes {
                reset: changes.reset,
                ..Changes::default()
            };
        }
        changes.vanished.extend(untold.vanished);
        changes.flags.extend(untold.flags);
        for uids in [&mut changes.vanished, &mut changes.flags] {
            uids.sort_unstable();
            uids.dedup();
        }
        let arrived = &changes.arrived;
        changes
            .flags
            .retain(|uid| self.names.find(*uid).is_some() && arrived.binary_search(uid).is_err());
        changes
    }

    fn adopt_names(&mut self, found: Found, numbered: Numbered, changes: &mut Changes) {
        let mut names = found.names;
        let entries = std::mem::take(&mut names.entries);
        names.entries.reserve_exact(numbered.uids.len());
        let old = std::mem::take(&mut self.names);
        let was_recent = std::mem::take(&mut self.recent);
        let mut recent = Vec::new();
        let mut gone = old.entries.iter().peekable();
        if changes.reset {
            gone = [].iter().peekable();
        }
        for (number, &(uid, at)) in numbered.uids.iter().enumerate() {
            let Some(entry) = entries.get(at) else {
                continue;
            };
            let mut entry = entry.with_uid(uid);
            while let Some(before) = gone.next_if(|old| old.uid() < Some(uid)) {
                changes.vanished.extend(before.uid());
            }
            let mut is_recent = std::mem::take(&mut entry.moved);
            if let Some(before) = gone.next_if(|old| old.uid() == Some(uid)) {
                is_recent |= was_recent.binary_search(&uid).is_ok();
                entry.keywords = before.keywords;
                if old.name(before).flags() != names.name(&entry).flags() {
                    changes.flags.push(uid);
                }
            } else {
                let is_new = entry.place == super::Place::New;
                is_recent |= is_new || number >= numbered.fresh_from;
                changes.arrived.push(uid);
            }
            if is_recent {
                recent.push(uid);
            }
            names.entries.push(entry);
        }
        changes.vanished.extend(gone.filter_map(Entry::uid));
        for uid in &changes.vanished {
            self.measured.remove(uid);
        }
        names.seal();
        self.names = Arc::new(names);
        self.recent = recent;
        self.validity = numbered.validity;
        self.next = numbered.next;
        self.dead = Arc::new(numbered.dead);
        self.saved = numbered.saved;
    }

    /// Takes over keywords that were read in the midst of a task; what they change is
    /// told later.
    pub(super) fn adopt_loaded(&mut self, loaded: Loaded) {
        let mut changes = Changes::default();
        self.adopt_keywords(loaded, &mut changes);
        self.untold.flags.extend(changes.flags);
    }

    fn adopt_keywords(&mut self, loaded: Loaded, changes: &mut Changes) {
        changes.keywords = loaded.table.words().len() != self.keywords.words().len();
        self.keywords = Arc::new(loaded.table);
        let mut keywords = loaded.keywords;
        let mut arrived = changes.arrived.iter().peekable();
        for at in 0..self.names.len() {
            let Some(entry) = self.names.entries.get(at) else {
                continue;
            };
            let set = keywords.remove(self.names.base(entry));
            let set = set.unwrap_or(SetId::EMPTY);
            let is_new = arrived.next_if(|uid| Some(**uid) == entry.uid()).is_some();
            if set == entry.keywords {
                continue;
            }
            if !is_new {
                changes.flags.extend(entry.uid());
            }
            let names = Arc::make_mut(&mut self.names);
            if let Some(entry) = names.entries.get_mut(at) {
                entry.keywords = set;
            }
        }
        self.orphans = Arc::new(keywords.into_iter().collect());
    }

    /// Gives messages that have come the keywords that were there before them.
    fn adopt_orphans(&mut self, arrived: &[Uid]) {
        if self.orphans.is_empty() || arrived.is_empty() {
            return;
        }
        let mut orphans: HashMap<_, _> = self.orphans.iter().cloned().collect();
        let before = orphans.len();
        for uid in arrived {
            let at = self.names.find(*uid);
            let Some(entry) = at.and_then(|at| self.names.entries.get(at)) else {
                continue;
            };
            let set = orphans.remove(self.names.base(entry));
            let Some(set) = set else { continue };
            let entries = &mut Arc::make_mut(&mut self.names).entries;
            if let Some(entry) = at.and_then(|at| entries.get_mut(at)) {
                entry.keywords = set;
            }
        }
        if orphans.len() != before {
            self.orphans = Arc::new(orphans.into_iter().collect());
        }
    }
}
