//! Segments to write in: taken, made, closed and removed.

use std::path::PathBuf;

use super::checksum::Checksum;
use super::record::HEADER;
use super::segment::{BLOCK, Health, Segment};
use super::{Active, Journal};
use crate::disk::{Disk, DiskError, DiskErrorKind, Durability, Op};

/// Permissions of the journal's files.
pub(super) const MODE: u32 = 0o600;

impl Journal {
    /// Begins a new segment. New mail may not have the last free one, which is for
    /// outcomes and for moving messages when the disk is full.
    pub(super) async fn take_segment(
        &mut self,
        disk: &Disk,
        new_mail: bool,
    ) -> Result<(), DiskError> {
        self.segments.reclaim(self.durable_tail);
        let reserve = usize::from(new_mail);
        if self.segments.free.len() <= reserve {
            // If it fails, the segment is closed, and another is due in any case.
            drop(self.note_tail(disk).await);
        }
        let segment = if self.segments.free.len() > reserve {
            self.segments.free.pop()
        } else {
            match self.allocate(disk).await {
                Ok(segment) => Some(segment),
                Err(error) if new_mail => return Err(error),
                Err(error) => Some(self.segments.free.pop().ok_or(error)?),
            }
        };
        if let Some(unused) = self.active.take().and_then(|active| active.fresh) {
            self.segments.free.push(unused);
        }
        let epoch = self.next_epoch;
        self.next_epoch += 1;
        self.active = segment.map(|segment| Active {
            epoch,
            key: Checksum::of(self.options.key, &epoch.to_le_bytes()),
            end: 0,
            length: segment.length,
            fresh: Some(segment),
        });
        self.segments.retire(Some(epoch));
        Ok(())
    }

    /// Length of the next segment: a young journal is small, and grows with what goes
    /// through it.
    fn next_length(&self) -> u64 {
        let log = self.segments.log.values();
        let lengths = log.chain(&self.segments.free).map(|segment| segment.length);
        let all = lengths.sum::<u64>() / BLOCK * BLOCK;
        all.clamp(self.options.shortest(), self.options.segment)
    }

    /// Makes a new segment, durable and zeroed.
    pub(super) async fn allocate(&mut self, disk: &Disk) -> Result<Segment, DiskError> {
        let path = self.segments.fresh_path(&self.directories.segments);
        let (length, mode) = (self.next_length(), MODE);
        let segment = Segment::new(&path, length);
        disk.one(Op::Allocate { path, length, mode }).await?;
        let synced = disk
            .one(Op::SyncDir(self.directories.segments.clone()))
            .await;
        if let Err(error) = synced {
            self.segments.discarded.push(segment.path);
            self.remove_discarded(disk).await;
            return Err(error);
        }
        Ok(segment)
    }

    /// A write to the active segment failed: what stands in it from there on is
    /// unknown. It is never written again; a segment that holds nothing durable is
    /// removed, so that what was refused does not come back after a crash.
    pub(super) async fn close_active(&mut self, disk: &Disk) {
        let Some(active) = self.active.take() else {
            return;
        };
        match active.fresh {
            Some(segment) => self.segments.discarded.push(segment.path),
            None => {
                if let Some(segment) = self.segments.log.get_mut(&active.epoch) {
                    segment.health = Health::Closed;
                }
            }
        }
        self.remove_discarded(disk).await;
    }

    /// Removes files that are no longer needed; what cannot be is tried again later.
    pub(super) async fn remove_discarded(&mut self, disk: &Disk) {
        let discarded = std::mem::take(&mut self.segments.discarded);
        if discarded.is_empty() {
            return;
        }
        let ops = discarded.iter().map(|path| Op::Unlink(path.to_path_buf()));
        let outcomes = disk.run(ops.collect()).await;
        for (path, outcome) in discarded.into_iter().zip(outcomes) {
            if outcome.is_err_and(|error| error.kind != DiskErrorKind::NotFound) {
                self.segments.discarded.push(path);
            }
        }
        // If this fails, a file may come back, and is looked through and freed again.
        drop(
            disk.one(Op::SyncDir(self.directories.segments.clone()))
                .await,
        );
    }

    /// Where the next batch goes, if that is behind durable ones.
    pub(super) fn active_place(&self) -> Option<(PathBuf, u64)> {
        let active = self
            .active
            .as_ref()
            .filter(|active| active.fresh.is_none())?;
        let path = self.segments.path(active.epoch)?;
        Some((path.to_path_buf(), active.end))
    }
}

/// Takes the front away from a batch that was refused, as well as can be, so that no
/// later start believes it. That this may fail is why the segment is closed as well.
pub(super) async fn erase(disk: &Disk, path: PathBuf, offset: u64) {
    let zeroes = vec![0; HEADER].into();
    drop(
        disk.one(Op::WriteAt {
            path,
            offset,
            octets: vec![zeroes],
            durability: Durability::Synced,
        })
        .await,
    );
}
