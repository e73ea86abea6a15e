//! One list of messages for all sessions that have the same folder open.
//!
//! Whoever runs many sessions keeps what one of them saw last (see [`Snapshot::share`]).
//! The next one to open the folder begins there and not with the directories (see
//! [`reopen`]), and one that must look for changes lets the shared snapshot look and
//! [follows](Snapshot::follow) it. Names are in memory once then, however many sessions
//! there are.

use std::sync::Arc;

use courier_core::disk::Disk;

use super::names::{Entry, Names, Place};
use super::snapshot::{Access, Saved, Snapshot, Untold};
use super::sync::refresh;
use super::{Changes, MailboxError};
use crate::tree::purge_tmp;
use crate::uid_list::Uid;
use crate::writer::Writer;

/// As [`open`](super::open()), from what another session saw before. When nothing has
/// changed since, that costs four `stat`s and a look into `tmp`.
///
/// # Errors
/// As [`open`](super::open()).
pub async fn reopen(
    disk: &Disk,
    mut seen: Snapshot,
    access: Access,
    writer: &Writer,
) -> Result<Snapshot, MailboxError> {
    if access == Access::ReadWrite {
        purge_tmp(disk, &seen.folder.tmp(), writer).await.ok();
    }
    seen.access = access;
    look_again(disk, &mut seen, writer).await?;
    Ok(seen)
}

/// Brings a shared snapshot up to date, for a session that will
/// [follow](Snapshot::follow) it; messages that are recent then are so for that session.
///
/// # Errors
/// As [`refresh`].
pub async fn look_again(
    disk: &Disk,
    seen: &mut Snapshot,
    writer: &Writer,
) -> Result<(), MailboxError> {
    seen.recent.clear();
    let waits = |entry: &Entry| entry.place == Place::New;
    let waiting = seen.names.entries.iter().any(waits);
    if let Some(gates) = &mut seen.gates
        && waiting
        && seen.access == Access::ReadWrite
    {
        // A session that only reads left them there.
        gates.new = gates.new.doubted();
    }
    refresh(disk, seen, writer).await?;
    // To a session that cannot take them from `new` they are recent, as to the next.
    let waiting = seen.names.entries.iter().filter(|entry| waits(entry));
    seen.recent.extend(waiting.filter_map(Entry::uid));
    seen.recent.sort_unstable();
    seen.recent.dedup();
    Ok(())
}

impl Snapshot {
    /// What other sessions may begin with; nothing while UIDs or changes are not safely
    /// on the disk.
    #[must_use]
    pub fn share(&self) -> Option<Self> {
        let safe = self.saved == Saved::Yes && !self.unsynced && self.gates.is_some();
        safe.then(|| Self {
            recent: Vec::new(),
            untold: Untold::default(),
            measured: std::collections::HashMap::new(),
            findings: Vec::new(),
            ..self.clone()
        })
    }

    /// Lets a shared snapshot look as a session of its own may.
    pub fn set_access(&mut self, access: Access) {
        self.access = access;
    }

    /// Octets of memory it holds, those that it shares with others too.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.names.octets_held() + self.dead.len() * 4 + self.keywords.octets_held()
    }

    /// Takes over what a shared snapshot of the folder knows, as a
    /// [`refresh`](super::refresh()) would; nothing if it does not go on from where
    /// this one is: then it must look for itself.
    pub fn follow(&mut self, newer: &Self) -> Option<Changes> {
        let both = self.saved == Saved::Yes && newer.saved == Saved::Yes;
        if !both || newer.gates.is_none() || self.folder != newer.folder {
            return None;
        }
        let reset = self.validity != newer.validity;
        let mut changes = match reset {
            true => Changes {
                reset,
                ..Changes::default()
            },
            false if newer.next < self.next => return None,
            false => self.compare(newer)?,
        };
        let recent = |uid: &Uid| newer.recent.binary_search(uid).is_ok();
        let (recent, arrived): (Vec<Uid>, _) = match reset {
            true => (newer.recent.clone(), [].as_slice()),
            false => {
                let kept = self.recent.iter();
                let kept = kept.filter(|uid| newer.names.find(**uid).is_some());
                let arrived = changes.arrived.iter().filter(|uid| recent(uid));
                (kept.chain(arrived).copied().collect(), &*changes.arrived)
            }
        };
        let untold = std::mem::take(&mut self.untold);
        if !reset {
            // What a task found on its way may be so still, or not any more.
            let there = |uid: &Uid| newer.names.find(*uid).is_some();
            let flags = untold.flags.into_iter().filter(there);
            changes
                .flags
                .extend(flags.filter(|uid| arrived.binary_search(uid).is_err()));
            changes.vanished.extend(untold.vanished);
            for uids in [&mut changes.vanished, &mut changes.flags] {
                uids.sort_unstable();
                uids.dedup();
            }
        }
        for uid in &changes.vanished {
            self.measured.remove(uid);
        }
        if reset {
            self.measured.clear();
        }
        self.recent = recent;
        self.validity = newer.validity;
        self.next = newer.next;
        self.names = Arc::clone(&newer.names);
        self.keywords = Arc::clone(&newer.keywords);
        self.orphans = Arc::clone(&newer.orphans);
        self.dead = Arc::clone(&newer.dead);
        self.gates = newer.gates;
        Some(changes)
    }

    /// What is different in a newer snapshot; nothing if a message has come that this
    /// one should have known.
    fn compare(&self, newer: &Self) -> Option<Changes> {
        let mut changes = Changes {
            keywords: self.keywords.words().len() != newer.keywords.words().len(),
            ..Changes::default()
        };
        let same_words = Arc::ptr_eq(&self.keywords, &newer.keywords);
        if same_words && Arc::ptr_eq(&self.names, &newer.names) {
            return Some(changes);
        }
        let mut old = self.names.entries.iter().peekable();
        for entry in &newer.names.entries {
            let uid = entry.uid()?;
            while let Some(gone) = old.next_if(|old| old.uid() < Some(uid)) {
                changes.vanished.extend(gone.uid());
            }
            match old.next_if(|old| old.uid() == Some(uid)) {
                None if uid < self.next => return None,
                None => changes.arrived.push(uid),
                Some(old) => {
                    let (before, now): (&Names, &Names) = (&self.names, &newer.names);
                    let flags = |names: &Names, entry: &Entry| names.name(entry).flags();
                    let words = || self.keywords.set(old.keywords);
                    let differ = flags(before, old) != flags(now, entry)
                        || (!same_words || old.keywords != entry.keywords)
                            && !words().eq(newer.keywords.set(entry.keywords));
                    if differ {
                        changes.flags.push(uid);
                    }
                }
            }
        }
        changes.vanished.extend(old.filter_map(Entry::uid));
        Some(changes)
    }
}
