//! Finding messages that another program has renamed (maildir.md §3).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use courier_core::disk::{Disk, DiskError, Meta, Op};

use super::names::{Place, print_of};
use super::snapshot::Snapshot;
use crate::name::Name;
use crate::scan::list_quiet;
use crate::uid_list::Uid;
use crate::writer::Writer;

/// Looks for messages that are not under the names the snapshot has for them, enters
/// their new names, and gives the UIDs of those that are gone. For whoever was told
/// [`NotFound`](courier_core::disk::DiskErrorKind::NotFound) for a message's file. The
/// next [`refresh`](super::refresh()) tells what is different.
///
/// # Errors
/// What the disk says.
pub async fn locate(
    disk: &Disk,
    snapshot: &mut Snapshot,
    uids: &[Uid],
) -> Result<Vec<Uid>, DiskError> {
    let wanted: Vec<usize> = uids
        .iter()
        .filter_map(|&uid| snapshot.names.find(uid))
        .collect();
    let lost = relocate(disk, snapshot, &wanted).await?;
    let lost = wanted.iter().filter(|at| lost.contains(at));
    Ok(lost.filter_map(|&at| snapshot.entry(at)?.uid()).collect())
}

/// As [`locate`], by places among the entries; gives the places of those that are
/// gone.
pub(super) async fn relocate(
    disk: &Disk,
    snapshot: &mut Snapshot,
    wanted: &[usize],
) -> Result<HashSet<usize>, DiskError> {
    let mut lost = HashSet::new();
    if wanted.is_empty() {
        return Ok(lost);
    }
    let mut by_print: HashMap<u32, Vec<usize>> = HashMap::new();
    for &at in wanted {
        if let Some(entry) = snapshot.entry(at) {
            by_print.entry(entry.print()).or_default().push(at);
        }
    }
    let mut found: HashMap<usize, (Place, Vec<u8>)> = HashMap::new();
    let folder = snapshot.folder.clone();
    // Messages move from `new` to `cur`, never back.
    for (place, directory) in [(Place::New, folder.new_dir()), (Place::Cur, folder.cur())] {
        list_quiet(disk, &directory, |octets| {
            let Ok(name) = Name::parse(octets) else {
                return;
            };
            for &at in by_print.get(&print_of(name.key())).into_iter().flatten() {
                let entry = snapshot.entry(at);
                if entry.is_some_and(|entry| snapshot.names.name(entry).key() == name.key()) {
                    found.insert(at, (place, octets.to_vec()));
                }
            }
        })
        .await?;
    }
    for &at in wanted {
        match found
            .get(&at)
            .map(|(place, octets)| (place, Name::parse(octets)))
        {
            Some((place, Ok(name))) => snapshot.renamed(at, name, *place, Told::Later),
            _ => {
                lost.insert(at);
            }
        }
    }
    Ok(lost)
}

/// Whether the session is told of other flags by the task that found them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Now,
    Later,
}

impl Snapshot {
    /// Enters another name of a message.
    pub(super) fn renamed(&mut self, at: usize, name: Name<'_>, place: Place, told: Told) {
        let Some(entry) = self.entry(at) else {
            return;
        };
        let differs = self.names.name(entry).flags() != name.flags();
        if told == Told::Later && differs {
            self.untold.flags.extend(entry.uid());
        }
        Arc::make_mut(&mut self.names).rename(at, name, place);
    }

    /// The facts of `cur`, for [`Self::changed_by_us`].
    pub(super) async fn facts_of_cur(&self, disk: &Disk) -> Result<Meta, DiskError> {
        disk.stat(&self.folder.cur()).await
    }

    /// Makes durable what was done in `cur`, and in `new` if files went from there.
    pub(super) async fn sync_directories(
        &mut self,
        disk: &Disk,
        from_new: bool,
    ) -> Result<(), DiskError> {
        let mut syncs = vec![Op::SyncDir(self.folder.cur())];
        if from_new || self.unsynced {
            syncs.push(Op::SyncDir(self.folder.new_dir()));
        }
        let outcomes = disk.run(syncs).await;
        let synced = outcomes.into_iter().collect::<Result<Vec<_>, _>>();
        self.unsynced = synced.is_err();
        synced.map(drop)
    }

    /// Keeps our own changes of `cur` from looking like those of others.
    pub(super) async fn changed_by_us(&mut self, disk: &Disk, before: &Meta, writer: &Writer) {
        if self.names.len() < TRUSTED {
            return; // the next refresh reads the directory, which costs little
        }
        let after = disk.stat(&self.folder.cur()).await;
        if let (Ok(after), Some(gates)) = (after, &mut self.gates) {
            gates.cur = gates.cur.after_own_change(before, &after, writer);
        }
    }
}

/// Messages from which on a change of our own does not let `cur` be read at once. A
/// change that another makes in the same tick of the file system's clock is seen a
/// little later then.
pub(super) const TRUSTED: usize = 5000;
