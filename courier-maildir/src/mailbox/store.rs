//! `STORE`: other flags and keywords for messages.

use std::collections::HashSet;
use std::sync::Arc;

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Op};

use super::MailboxError;
use super::locate::{Told, relocate};
use super::names::Place;
use super::snapshot::Snapshot;
use super::sync::load_keywords;
use crate::flags::Flags;
use crate::keywords::{self, Keyword, KeywordTable, SetId};
use crate::name::Name;
use crate::quota::{self, Amount, Meter};
use crate::tree::BATCH;
use crate::uid_list::Uid;
use crate::writer::Writer;

/// What a `STORE` does to each message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagChange {
    /// Whether flags are added, removed or replaced.
    pub how: How,
    /// The flags.
    pub flags: Flags,
    /// Flags that [`How::Replace`] takes away unless they are in `flags`;
    /// [`Flags::IMAP`], or fewer where rights are missing. Others stay.
    pub within: Flags,
    /// The keywords; nothing leaves them as they are.
    pub keywords: Option<Vec<Keyword>>,
}

/// How flags are changed (RFC 9051 §6.4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
    /// `FLAGS`
    Replace,
}

/// What a `STORE` came to. The snapshot has the flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// UIDs whose flags or keywords are others than the session knew, ascending.
    pub changed: Vec<Uid>,
    /// UIDs whose messages are gone; the next refresh tells them.
    pub gone: Vec<Uid>,
    /// Whether the folder has keywords that it had not before.
    pub keywords: bool,
}

impl FlagChange {
    fn flags_after(&self, before: Flags) -> Flags {
        match self.how {
            How::Add => before.with(self.flags),
            How::Remove => before.without(self.flags),
            How::Replace => before.without(self.within).with(self.flags),
        }
    }

    fn keywords_after(&self, before: &[u16], change: &[u16]) -> Vec<u16> {
        let removed = before.iter().filter(|number| !change.contains(number));
        match self.how {
            How::Add => before.iter().chain(change).copied().collect(),
            How::Remove => removed.copied().collect(),
            How::Replace => change.to_vec(),
        }
    }
}

/// Changes flags and keywords; durable once it returns. Messages that another program
/// has renamed meanwhile are found, and its flags are kept.
///
/// # Errors
/// When there are too many keywords, or the disk refuses; what was changed before is
/// told by the next [`refresh`](super::refresh()).
pub async fn store(
    disk: &Disk,
    snapshot: &mut Snapshot,
    uids: &[Uid],
    change: &FlagChange,
    writer: &Writer,
) -> Result<Stored, MailboxError> {
    if snapshot.keywords.is_crowded(snapshot.len()) {
        snapshot.forget_sets();
    }
    let words = snapshot.keywords.words().len();
    let numbers = match &change.keywords {
        Some(keywords) => {
            // Numbers for all of them, or none.
            let mut table = KeywordTable::clone(&snapshot.keywords);
            let numbers = keywords.iter().map(|word| table.add(word));
            let numbers = numbers.collect::<Result<Vec<u16>, _>>()?;
            snapshot.keywords = Arc::new(table);
            Some(numbers)
        }
        None => None,
    };
    let places: Vec<usize> = uids
        .iter()
        .filter_map(|&uid| snapshot.names.find(uid))
        .collect();
    let before: Vec<_> = places.iter().map(|&at| snapshot.state(at)).collect();
    let result = async {
        let trashing = Trashing::take(disk, snapshot, &places, change, writer).await?;
        let stored = store_flags(disk, snapshot, &places, change, writer).await;
        if let Some(trashing) = trashing {
            let lost = stored.as_ref().ok();
            trashing.give_back(disk, snapshot, lost, writer).await;
        }
        let lost = stored?;
        if let Some(numbers) = &numbers {
            let left = places.iter().copied().filter(|at| !lost.contains(at));
            store_keywords(disk, snapshot, left.collect(), change, numbers, writer).await?;
        }
        Ok(lost)
    }
    .await;
    let changed = places.iter().zip(before).filter_map(|(&at, before)| {
        let entry = snapshot.entry(at)?;
        (snapshot.state(at) != before).then_some(entry.uid()?)
    });
    let mut changed: Vec<Uid> = changed.collect();
    changed.sort_unstable();
    changed.dedup();
    let lost = match result {
        Ok(lost) => lost,
        Err(error) => {
            snapshot.untold.flags.extend(changed);
            return Err(error);
        }
    };
    snapshot
        .untold
        .flags
        .retain(|uid| changed.binary_search(uid).is_err());
    let gone = places.iter().filter(|at| lost.contains(at));
    let gone = gone.filter_map(|&at| snapshot.entry(at)?.uid());
    Ok(Stored {
        gone: gone.collect(),
        keywords: snapshot.keywords.words().len() != words,
        changed,
    })
}

/// Renames the files; gives the places of messages that are gone.
async fn store_flags(
    disk: &Disk,
    snapshot: &mut Snapshot,
    places: &[usize],
    change: &FlagChange,
    writer: &Writer,
) -> Result<HashSet<usize>, DiskError> {
    let before = snapshot.facts_of_cur(disk).await?;
    let mut renames = Renames::default();
    let mut wanted = places.to_vec();
    for _ in 0..ATTEMPTS {
        for wanted in wanted.chunks(BATCH) {
            renames.carry_out(disk, snapshot, wanted, change).await;
        }
        let overtaken = std::mem::take(&mut renames.overtaken);
        let lost = relocate(disk, snapshot, &overtaken).await?;
        wanted = overtaken
            .into_iter()
            .filter(|at| !lost.contains(at))
            .collect();
        renames.lost.extend(lost);
        if wanted.is_empty() {
            break;
        }
    }
    // A message that is renamed faster than we look is as good as gone.
    renames.lost.extend(wanted);
    if renames.done || snapshot.unsynced {
        let synced = snapshot.sync_directories(disk, renames.from_new).await;
        renames.error = renames.error.or(synced.err());
        snapshot.changed_by_us(disk, &before, writer).await;
    }
    match renames.error {
        Some(error) => Err(error),
        None => Ok(renames.lost),
    }
}

/// What a `STORE` means for the quota: a message that is marked as trashed does not
/// count.
struct Trashing {
    meter: Meter,
    /// Whether the room that was taken is on record.
    is_recorded: bool,
    /// Each message whose mark changes, with its weight, and whether it counted.
    messages: Vec<(usize, Amount, bool)>,
}

impl Trashing {
    /// Takes the room for messages that lose the mark; without it nothing is stored.
    async fn take(
        disk: &Disk,
        snapshot: &Snapshot,
        places: &[usize],
        change: &FlagChange,
        writer: &Writer,
    ) -> Result<Option<Self>, MailboxError> {
        let changed = places.iter().filter_map(|&at| {
            let entry = snapshot.entry(at)?;
            let name = snapshot.names.name(entry);
            let after = change.flags_after(name.flags()).contains(Flags::TRASHED);
            let octets = name.octets();
            let path = || super::found::path(&snapshot.folder, entry.place, octets);
            let counted = quota::is_counted(octets);
            (counted == after).then(|| ((at, counted), (octets, path())))
        });
        let (places, messages): (Vec<_>, Vec<_>) = changed.unzip();
        if messages.is_empty() {
            return Ok(None);
        }
        let Some(meter) = Meter::of(disk, &snapshot.folder).await else {
            return Ok(None);
        };
        let weights = quota::weigh(disk, &messages).await?;
        let messages = places.into_iter().zip(weights);
        let messages: Vec<_> = messages
            .map(|((at, counted), weight)| (at, weight, counted))
            .collect();
        let coming = messages.iter().filter(|(_, _, counted)| !counted);
        let coming = coming.map(|&(_, weight, _)| weight).sum();
        let recorded = meter.take(disk, coming, writer).await?;
        let is_recorded = recorded == coming;
        Ok(Some(Self {
            meter,
            messages,
            is_recorded,
        }))
    }

    /// Takes off messages that got the mark, and those that were to lose it and did not;
    /// `lost` are gone. Courier takes off before it renames: cut off in between, it has
    /// too little on record.
    async fn give_back(
        &self,
        disk: &Disk,
        snapshot: &Snapshot,
        lost: Option<&HashSet<usize>>,
        writer: &Writer,
    ) {
        let amount = self.messages.iter().filter_map(|&(at, weight, counted)| {
            let entry = snapshot.entry(at)?;
            let is_lost = lost.is_some_and(|lost| lost.contains(&at));
            let counts = quota::is_counted(snapshot.names.octets(entry));
            match counted {
                true => (!counts && !is_lost).then_some(weight),
                false => (self.is_recorded && (!counts || is_lost)).then_some(weight),
            }
        });
        self.meter.give_back(disk, amount.sum(), writer).await;
    }
}

/// How often others may rename a message between our look and our rename.
const ATTEMPTS: usize = 4;

/// The renames of a `STORE`.
#[derive(Debug, Default)]
struct Renames {
    done: bool,
    from_new: bool,
    overtaken: Vec<usize>,
    lost: HashSet<usize>,
    error: Option<DiskError>,
}

impl Renames {
    async fn carry_out(
        &mut self,
        disk: &Disk,
        snapshot: &mut Snapshot,
        places: &[usize],
        change: &FlagChange,
    ) {
        let (mut ops, mut targets) = (Vec::new(), Vec::new());
        for &at in places {
            let Some(entry) = snapshot.entry(at) else {
                continue;
            };
            let name = snapshot.names.name(entry);
            let flags = change.flags_after(name.flags());
            if flags == name.flags() {
                continue;
            }
            let target = name.with_flags(flags);
            ops.push(Op::Rename {
                from: super::found::path(&snapshot.folder, entry.place, name.octets()),
                to: snapshot.folder.in_cur(&target),
            });
            self.from_new |= entry.place == Place::New;
            targets.push((at, target));
        }
        for ((at, target), outcome) in targets.iter().zip(disk.run(ops).await) {
            match outcome {
                Ok(_) => {
                    self.done = true;
                    if let Ok(name) = Name::parse(target) {
                        snapshot.renamed(*at, name, Place::Cur, Told::Now);
                    }
                }
                Err(error) if error.kind == DiskErrorKind::NotFound => self.overtaken.push(*at),
                Err(error) => self.error = self.error.take().or(Some(error)),
            }
        }
    }
}

async fn store_keywords(
    disk: &Disk,
    snapshot: &mut Snapshot,
    places: Vec<usize>,
    change: &FlagChange,
    numbers: &[u16],
    writer: &Writer,
) -> Result<(), DiskError> {
    let mut wanted = places;
    for _ in 0..KEYWORD_ATTEMPTS {
        let mut changes: Vec<(usize, (Vec<u8>, SetId))> = Vec::new();
        for &at in &wanted {
            let Some(entry) = snapshot.entry(at).copied() else {
                continue;
            };
            let before = snapshot.keywords.numbers(entry.keywords);
            let after = change.keywords_after(before, numbers);
            let after = Arc::make_mut(&mut snapshot.keywords).intern(after);
            if after != entry.keywords {
                changes.push((at, (snapshot.names.base(&entry).to_vec(), after)));
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        let (places, changes): (Vec<_>, Vec<_>) = changes.into_iter().unzip();
        let table = &snapshot.keywords;
        let waiting = keywords::update(disk, &snapshot.folder, &changes, table, writer).await?;
        for (number, (&at, (_, set))) in places.iter().zip(&changes).enumerate() {
            if waiting.binary_search(&number).is_err()
                && let Some(entry) = Arc::make_mut(&mut snapshot.names).entries.get_mut(at)
            {
                entry.keywords = *set;
            }
        }
        wanted = waiting
            .iter()
            .filter_map(|&number| places.get(number).copied())
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        // Another change of the same message has to be merged first, and ours made to
        // what it says.
        let loaded = load_keywords(disk, snapshot, None, writer).await?;
        snapshot.adopt_loaded(loaded);
    }
    let op = Op::Link {
        from: snapshot.folder.file(keywords::DIRECTORY),
        to: snapshot.folder.file(keywords::DIRECTORY),
    };
    Err(op.error(DiskErrorKind::Busy))
}

/// How often another change of the same message may come before ours.
const KEYWORD_ATTEMPTS: usize = 100;

impl Snapshot {
    /// Forgets the sets of keywords that no message has any more.
    fn forget_sets(&mut self) {
        let old = Arc::clone(&self.keywords);
        let mut table = old.without_sets();
        let mut renew = |set: SetId| table.intern(old.numbers(set).to_vec());
        for entry in &mut Arc::make_mut(&mut self.names).entries {
            entry.keywords = renew(entry.keywords);
        }
        for (_, set) in Arc::make_mut(&mut self.orphans) {
            *set = renew(*set);
        }
        self.keywords = Arc::new(table);
    }

    /// What a `STORE` may change of a message.
    fn state(&self, at: usize) -> Option<(Flags, SetId)> {
        let entry = self.entry(at)?;
        Some((self.names.name(entry).flags(), entry.keywords))
    }
}
