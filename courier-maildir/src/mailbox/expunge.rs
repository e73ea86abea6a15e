//! `EXPUNGE`: removing messages.

use std::collections::{HashMap, HashSet};

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Op};

use super::MailboxError;
use super::locate::relocate;
use super::names::{Entry, Place};
use super::snapshot::Snapshot;
use crate::flags::Flags;
use crate::folder::{FolderPath, ensure, is_missing};
use crate::quota::{self, Amount, Charge, Meter};
use crate::tree::BATCH;
use crate::uid_list::Uid;
use crate::writer::Writer;

/// Which messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expunge<'a> {
    /// All with [`Flags::TRASHED`].
    Trashed,
    /// Those with [`Flags::TRASHED`] among these (`UID EXPUNGE`).
    TrashedAmong(&'a [Uid]),
    /// All of these, whatever their flags: after `MOVE`.
    Each(&'a [Uid]),
}

/// Removes messages, durably, and gives their UIDs, ascending; they are no longer in
/// the snapshot. A message whose [`Flags::TRASHED`] another program took away in the
/// meantime stays.
///
/// # Errors
/// What the disk says; those that went before are told by the next
/// [`refresh`](super::refresh()).
pub async fn expunge(
    disk: &Disk,
    snapshot: &mut Snapshot,
    which: Expunge<'_>,
    writer: &Writer,
) -> Result<Vec<Uid>, MailboxError> {
    remove(disk, snapshot, which, Charge::Due, writer).await
}

/// As [`expunge`], but each message gets a name in the trash first, durably, without its
/// marks as trashed and as a draft. The trash is made if it is not there.
///
/// # Errors
/// As [`expunge`].
pub async fn expunge_to(
    disk: &Disk,
    snapshot: &mut Snapshot,
    which: Expunge<'_>,
    trash: &FolderPath,
    writer: &Writer,
) -> Result<Vec<Uid>, MailboxError> {
    match disk.stat(&trash.cur()).await {
        Err(error) if is_missing(error.kind) => ensure(disk, trash, writer).await?,
        _ => {}
    }
    let mut removal = Removal {
        trash: Some(trash.clone()),
        ..Removal::default()
    };
    let gone = removal
        .run(disk, snapshot, which, Charge::Due, writer)
        .await;
    if quota::counts(trash) {
        // Not asked for, for nobody can empty a full maildir otherwise.
        let meter = Meter::of(disk, trash).await;
        if let Some(meter) = meter {
            meter.give_back(disk, -removal.kept, writer).await;
        }
    }
    gone
}

/// [`expunge`], with or without a record in the quota file.
pub(super) async fn remove(
    disk: &Disk,
    snapshot: &mut Snapshot,
    which: Expunge<'_>,
    charge: Charge,
    writer: &Writer,
) -> Result<Vec<Uid>, MailboxError> {
    let mut removal = Removal::default();
    removal.run(disk, snapshot, which, charge, writer).await
}

impl Removal {
    async fn run(
        &mut self,
        disk: &Disk,
        snapshot: &mut Snapshot,
        which: Expunge<'_>,
        charge: Charge,
        writer: &Writer,
    ) -> Result<Vec<Uid>, MailboxError> {
        let removal = self;
        let mut wanted: Vec<usize> = match which {
            Expunge::Trashed => (0..snapshot.len()).collect(),
            Expunge::TrashedAmong(uids) | Expunge::Each(uids) => uids
                .iter()
                .filter_map(|&uid| snapshot.names.find(uid))
                .collect(),
        };
        wanted.retain(|&at| snapshot.goes(at, which));
        if wanted.is_empty() && !snapshot.unsynced {
            return Ok(Vec::new());
        }
        let load = Load::of(disk, snapshot, &wanted, charge).await?;
        let before = snapshot.facts_of_cur(disk).await?;
        for _ in 0..ATTEMPTS {
            for wanted in wanted.chunks(BATCH) {
                removal.carry_out(disk, snapshot, wanted).await;
            }
            let overtaken = std::mem::take(&mut removal.overtaken);
            let lost = relocate(disk, snapshot, &overtaken).await?;
            wanted = overtaken
                .into_iter()
                .filter(|at| !lost.contains(at))
                .collect();
            wanted.retain(|&at| snapshot.goes(at, which));
            removal.lost.extend(&lost);
            removal.gone.extend(lost);
            if wanted.is_empty() {
                break;
            }
        }
        let synced = snapshot.sync_directories(disk, removal.from_new).await;
        snapshot.changed_by_us(disk, &before, writer).await;
        if let Some(load) = load {
            load.give_back(disk, removal, writer).await;
        }
        let gone = removal
            .gone
            .iter()
            .filter_map(|&at| snapshot.entry(at)?.uid());
        let mut gone: Vec<Uid> = gone.collect();
        gone.sort_unstable();
        gone.dedup();
        snapshot.forget(&gone);
        match removal.error.take().or(synced.err()) {
            None => Ok(gone),
            Some(error) => {
                snapshot.untold.vanished.extend(gone);
                Err(error.into())
            }
        }
    }
}

/// How often others may rename a message between our look and its removal.
const ATTEMPTS: usize = 4;

#[derive(Debug, Default)]
struct Removal {
    gone: Vec<usize>,
    /// Those of them that others removed.
    lost: HashSet<usize>,
    overtaken: Vec<usize>,
    from_new: bool,
    error: Option<DiskError>,
    /// Where messages get another name before they go.
    trash: Option<FolderPath>,
    /// What got one.
    kept: Amount,
}

impl Removal {
    async fn carry_out(&mut self, disk: &Disk, snapshot: &Snapshot, places: &[usize]) {
        let entries = places
            .iter()
            .filter_map(|&at| Some((at, snapshot.entry(at)?)));
        let mut entries: Vec<_> = entries.collect();
        if let Some(trash) = self.trash.clone() {
            entries = self.keep(disk, snapshot, &trash, entries).await;
        }
        let unlinks = entries.iter().map(|(_, entry)| {
            let name = snapshot.names.octets(entry);
            Op::Unlink(super::found::path(&snapshot.folder, entry.place, name))
        });
        let outcomes = disk.run(unlinks.collect()).await;
        for ((at, entry), outcome) in entries.into_iter().zip(outcomes) {
            match outcome {
                Ok(_) => {
                    self.from_new |= entry.place == Place::New;
                    self.gone.push(at);
                }
                Err(error) if error.kind == DiskErrorKind::NotFound => self.overtaken.push(at),
                Err(error) => self.error = self.error.take().or(Some(error)),
            }
        }
    }
}

impl Removal {
    /// Gives messages names in the trash; those that have one durably may go.
    async fn keep<'a>(
        &mut self,
        disk: &Disk,
        snapshot: &Snapshot,
        trash: &FolderPath,
        entries: Vec<(usize, &'a Entry)>,
    ) -> Vec<(usize, &'a Entry)> {
        let messages = entries.iter().map(|(_, entry)| {
            let name = snapshot.names.name(entry);
            let path = super::found::path(&snapshot.folder, entry.place, name.octets());
            let flags = name.flags().without(Flags::TRASHED.with(Flags::DRAFT));
            (name.octets(), path, trash.in_cur(&name.with_flags(flags)))
        });
        let messages: Vec<_> = messages.collect();
        let weighed = messages.iter().map(|(name, path, _)| (*name, path.clone()));
        let weighed: Vec<_> = weighed.collect();
        let weights = match quota::counts(trash) {
            true => quota::weigh(disk, &weighed).await.unwrap_or_default(),
            false => Vec::new(),
        };
        let links = messages.iter().map(|(_, path, kept)| Op::Link {
            from: path.clone(),
            to: kept.clone(),
        });
        let outcomes = disk.run(links.collect()).await;
        let (mut kept, mut weight) = (Vec::new(), Amount::NONE);
        for (number, (entry, outcome)) in entries.into_iter().zip(outcomes).enumerate() {
            match outcome {
                Ok(_) => {
                    weight += weights.get(number).copied().unwrap_or_default();
                    kept.push(entry);
                }
                // Cut off before, we had come so far.
                Err(error) if error.kind == DiskErrorKind::Exists => kept.push(entry),
                Err(error) if error.kind == DiskErrorKind::NotFound => {
                    self.overtaken.push(entry.0);
                }
                Err(error) => self.error = self.error.take().or(Some(error)),
            }
        }
        match disk.one(Op::SyncDir(trash.cur())).await {
            Ok(_) => {
                self.kept += weight;
                kept
            }
            Err(error) => {
                self.error = self.error.take().or(Some(error));
                Vec::new()
            }
        }
    }
}

/// What the messages that go weigh in the quota.
struct Load {
    meter: Meter,
    weights: HashMap<usize, Amount>,
}

impl Load {
    /// Weighs those that count: one that is marked as trashed was taken off when it was
    /// marked.
    async fn of(
        disk: &Disk,
        snapshot: &Snapshot,
        places: &[usize],
        charge: Charge,
    ) -> Result<Option<Self>, DiskError> {
        let counted = places.iter().filter_map(|&at| {
            let entry = snapshot.entry(at)?;
            let name = snapshot.names.octets(entry);
            let path = || super::found::path(&snapshot.folder, entry.place, name);
            quota::is_counted(name).then(|| (at, (name, path())))
        });
        let (places, messages): (Vec<_>, Vec<_>) = counted.unzip();
        if messages.is_empty() || charge == Charge::Never {
            return Ok(None);
        }
        let Some(meter) = Meter::of(disk, &snapshot.folder).await else {
            return Ok(None);
        };
        let weights = quota::weigh(disk, &messages).await?;
        let weights = places.into_iter().zip(weights).collect();
        Ok(Some(Self { meter, weights }))
    }

    async fn give_back(&self, disk: &Disk, removal: &Removal, writer: &Writer) {
        let ours = removal.gone.iter().filter(|at| !removal.lost.contains(at));
        let amount = ours.filter_map(|at| self.weights.get(at).copied()).sum();
        self.meter.give_back(disk, amount, writer).await;
    }
}

impl Snapshot {
    fn goes(&self, at: usize, which: Expunge<'_>) -> bool {
        let Some(entry) = self.entry(at) else {
            return false;
        };
        let trashed = self.names.name(entry).flags().contains(Flags::TRASHED);
        matches!(which, Expunge::Each(_)) || trashed
    }
}
