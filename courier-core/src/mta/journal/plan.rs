//! From entries to records: what can be appended, and what must go together.

use std::collections::{BTreeMap, BTreeSet};

use super::append::{MOST_RECORDS, RESERVED, Results};
use super::entry::{Bond, EntryKind};
use super::gather::{Record, commit_length};
use super::record::{ContentLength, MOST_RECIPIENTS, Prefix};
use super::segment::BLOCK;
use super::{AppendError, Content, Entry, Journal, MessageId};
use crate::disk::{Disk, DiskErrorKind, FileKind, Octets, Op, Reply};

/// Entries that stand or fall together.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) records: Vec<Record>,
}

impl Unit {
    pub(super) fn length(&self) -> u64 {
        self.records.iter().map(Record::length).sum()
    }

    /// Whether it brings a message that is not in the journal yet.
    pub(super) fn is_new_mail(&self) -> bool {
        self.records
            .iter()
            .any(|record| record.entry.is_some() && matches!(record.prefix, Prefix::Message { .. }))
    }
}

impl Journal {
    /// Makes the names of large messages durable, and looks whether their files are
    /// as they should be. Gives the errors of those that are not, by entry.
    pub(super) async fn check_large(
        &self,
        disk: &Disk,
        entries: &[Entry],
    ) -> BTreeMap<usize, AppendError> {
        let mut files = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            if let EntryKind::Message {
                content: Content::Large(large),
                ..
            } = &entry.kind
            {
                files.push((at, large));
            }
        }
        if files.is_empty() {
            return BTreeMap::new();
        }
        let mut batch = vec![Op::SyncDir(self.directories.big.clone())];
        let stats = files.iter().map(|(_, large)| large.path.to_path_buf());
        batch.extend(stats.map(Op::Stat));
        let mut outcomes = disk.run(batch).await.into_iter();
        let synced = outcomes.next().unwrap_or_else(|| Err(self.closed()));
        let checked = files
            .into_iter()
            .zip(outcomes)
            .filter_map(|((at, large), stat)| {
                let error = match (&synced, &stat) {
                    (Err(error), _) | (_, Err(error)) if error.kind != DiskErrorKind::NotFound => {
                        AppendError::Disk(error.clone())
                    }
                    (Ok(_), Ok(Reply::Meta(meta)))
                        if meta.kind == FileKind::File && meta.length == large.length =>
                    {
                        return None;
                    }
                    _ => AppendError::Large {
                        path: large.path.to_path_buf(),
                        length: large.length,
                    },
                };
                Some((at, error))
            });
        checked.collect()
    }

    /// Turns entries into records, in units that stand or fall together. Those with
    /// an entry that cannot be appended are refused.
    pub(super) fn plan(
        &self,
        entries: Vec<Entry>,
        mut errors: BTreeMap<usize, AppendError>,
        results: &mut Results,
    ) -> Vec<Unit> {
        let mut units = Vec::with_capacity(entries.len());
        let mut records = Vec::new();
        let mut refused: Option<AppendError> = None;
        let mut numbered = BTreeSet::new();
        let last = entries.len().saturating_sub(1);
        for (at, entry) in entries.into_iter().enumerate() {
            let bond = if at == last { Bond::Alone } else { entry.bond };
            let error = errors.remove(&at);
            let error = error.or_else(|| self.check(&entry.kind, &mut numbered).err());
            refused = refused.or(error);
            records.push(self.record(at, entry.kind));
            if bond == Bond::WithNext {
                continue;
            }
            let unit = Unit {
                records: std::mem::take(&mut records),
            };
            let (length, limit) = (unit.length(), self.room_of_a_segment());
            if length > limit || unit.records.len() > MOST_RECORDS {
                refused = refused.or(Some(AppendError::TooLong { length, limit }));
            }
            match refused.take() {
                Some(error) => results.refuse(&unit, &error),
                None => units.push(unit),
            }
        }
        units
    }

    /// Whether an entry can be appended. `numbered` are the reserved numbers that
    /// this batch has used.
    fn check(
        &self,
        entry: &EntryKind,
        numbered: &mut BTreeSet<MessageId>,
    ) -> Result<(), AppendError> {
        match entry {
            EntryKind::Message {
                id,
                recipients,
                content,
                ..
            } => {
                if !(1..=MOST_RECIPIENTS).contains(recipients) {
                    return Err(AppendError::Recipients(*recipients));
                }
                let id = match content {
                    Content::Octets(octets) if octets.len() as u64 > self.options.longest => {
                        return Err(AppendError::TooLong {
                            length: octets.len() as u64,
                            limit: self.options.longest,
                        });
                    }
                    Content::Octets(_) => *id,
                    Content::Large(large) => Some(large.id),
                };
                match id {
                    Some(id) if self.live.contains_key(&id) || !numbered.insert(id) => {
                        Err(AppendError::Taken(id))
                    }
                    _ => Ok(()),
                }
            }
            EntryKind::Outcome { id, recipient, .. } => {
                let message = self.live.get(id).ok_or(AppendError::NoMessage(*id))?;
                if *recipient < message.recipients {
                    return Ok(());
                }
                Err(AppendError::NoRecipient {
                    id: *id,
                    recipient: *recipient,
                })
            }
        }
    }

    fn record(&self, entry: usize, kind: EntryKind) -> Record {
        let short = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let (prefix, octets) = match kind {
            EntryKind::Message {
                id,
                envelope,
                recipients,
                content,
            } => {
                let (id, length, content) = match content {
                    Content::Octets(octets) => {
                        let length = ContentLength::Here(short(octets.len()));
                        (id.unwrap_or_else(|| self.numbers.take()), length, octets)
                    }
                    Content::Large(large) => {
                        let length = ContentLength::Large(large.length);
                        (large.id, length, Octets::default())
                    }
                };
                let prefix = Prefix::Message {
                    id,
                    recipients,
                    envelope: short(envelope.len()),
                    content: length,
                };
                (prefix, [envelope, content])
            }
            EntryKind::Outcome {
                id,
                recipient,
                progress,
                octets,
            } => {
                let prefix = Prefix::Outcome {
                    id,
                    recipient,
                    progress,
                };
                (prefix, [octets, Octets::default()])
            }
        };
        Record {
            entry: Some(entry),
            prefix,
            octets,
        }
    }

    /// Octets of records that fit in any segment as one batch.
    fn room_of_a_segment(&self) -> u64 {
        (self.options.shortest()).saturating_sub(BLOCK + RESERVED + commit_length())
    }
}
