//! Reading directories while others rename in them, and telling whether they changed.

use std::path::Path;

use courier_core::disk::{Disk, DiskError, FileKind, Meta};
use courier_core::time::{Millis, Timestamp};

use crate::writer::Writer;

/// What shows that a directory has been changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) inode: u64,
    pub(crate) modified: Timestamp,
    pub(crate) changed: Timestamp,
}

impl Stamp {
    pub(crate) fn of(meta: &Meta) -> Self {
        Self {
            inode: meta.inode,
            modified: meta.modified,
            changed: meta.changed,
        }
    }

    /// Whether the last change is so long ago that another one would bring another
    /// time.
    fn is_settled(self, writer: &Writer) -> bool {
        writer.is_past(self.modified.max(self.changed), SETTLED, Millis(0))
    }
}

/// When a change is certain to show in a directory's times: the coarsest clock of a
/// file system ticks every two seconds.
const SETTLED: Millis = Millis::from_secs(2);

/// How long a directory that only we change goes without being read.
const FORCED: Millis = Millis::from_secs(60);

/// What we know of a directory, and how sure we are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gate {
    stamp: Stamp,
    trust: Trust,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Read after it had come to rest: the same stamp means the same contents.
    Settled,
    /// Read while it changed: a later change may show the same stamp.
    Young,
    /// Changed by ourselves since it was read, at first at this time. Another may have
    /// made a change at the same moment, so it is read once it has come to rest.
    Own(Timestamp),
}

impl Gate {
    /// After reading a directory that had this stamp before.
    pub(crate) fn after_reading(before: &Meta, writer: &Writer) -> Self {
        let stamp = Stamp::of(before);
        let trust = if stamp.is_settled(writer) {
            Trust::Settled
        } else {
            Trust::Young
        };
        Self { stamp, trust }
    }

    /// After we changed a directory ourselves, with its facts before and after.
    pub(crate) fn after_own_change(self, before: &Meta, after: &Meta, writer: &Writer) -> Self {
        if self.stamp != Stamp::of(before) {
            return self; // another changed it before us: the stamp no longer fits
        }
        let since = match self.trust {
            Trust::Own(since) => since,
            Trust::Settled | Trust::Young => writer.now,
        };
        Self {
            stamp: Stamp::of(after),
            trust: Trust::Own(since),
        }
    }

    /// The stamp, if the same one means the same contents for good.
    pub(crate) fn lasting(self) -> Option<Stamp> {
        (self.trust == Trust::Settled).then_some(self.stamp)
    }

    /// A gate of a stamp that [lasts](Self::lasting).
    pub(crate) fn of_lasting(stamp: Stamp) -> Self {
        Self {
            stamp,
            trust: Trust::Settled,
        }
    }

    /// The directory must be read whatever its stamp says.
    pub(crate) fn doubted(self) -> Self {
        Self {
            trust: Trust::Young,
            ..self
        }
    }

    /// Whether the directory must be read.
    pub(crate) fn is_due(self, now: &Meta, writer: &Writer) -> bool {
        if self.stamp != Stamp::of(now) {
            return true;
        }
        match self.trust {
            Trust::Settled => false,
            Trust::Young => true,
            Trust::Own(since) => {
                self.stamp.is_settled(writer) || writer.is_past(since, FORCED, Millis(0))
            }
        }
    }

    /// Whether a change during the reading would have shown.
    pub(crate) fn is_settled(self) -> bool {
        self.trust == Trust::Settled
    }
}

/// Reads a directory and shows each entry; gives its facts from before. While another
/// process renames a file, a listing may hold its old name, its new name, both or
/// neither; so if the directory changed meanwhile it is read again, and an entry may
/// be shown twice.
///
/// # Errors
/// What the disk says.
pub(crate) async fn list_quiet(
    disk: &Disk,
    directory: &Path,
    mut show: impl FnMut(&[u8]),
) -> Result<Meta, DiskError> {
    let files = |name: &[u8], kind| {
        if is_file(kind) {
            show(name);
        }
    };
    list_kinds(disk, directory, files).await
}

/// As [`list_quiet`], but shows what is no file as well.
///
/// # Errors
/// What the disk says.
pub(crate) async fn list_kinds(
    disk: &Disk,
    directory: &Path,
    mut show: impl FnMut(&[u8], FileKind),
) -> Result<Meta, DiskError> {
    let mut before = disk.stat(directory).await?;
    for _ in 0..ATTEMPTS {
        let listing = disk.list(directory).await?;
        listing.iter().for_each(|(name, kind)| show(name, kind));
        let after = disk.stat(directory).await?;
        if Stamp::of(&before) == Stamp::of(&after) {
            break;
        }
        before = after;
    }
    Ok(before)
}

/// Whether an entry may be a message: a directory, a link or a FIFO is none.
pub(crate) fn is_file(kind: FileKind) -> bool {
    matches!(kind, FileKind::File | FileKind::Unknown)
}

/// Listings of a directory that never rests.
const ATTEMPTS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::tests::writer;
    use courier_core::testing::MemDisk;

    #[test]
    fn a_directory_is_read_until_it_has_come_to_rest() {
        let mut disk = MemDisk::new();
        disk.plant_directory("/d");
        let meta = |disk: &MemDisk| disk.meta("/d").expect("there");
        let young = Gate::after_reading(&meta(&disk), &writer(disk.now()));
        assert!(young.is_due(&meta(&disk), &writer(disk.now())));
        disk.advance(Millis::from_secs(2));
        let settled = Gate::after_reading(&meta(&disk), &writer(disk.now()));
        assert!(!settled.is_due(&meta(&disk), &writer(disk.now())));
        disk.plant_file("/d/x", b"");
        assert!(settled.is_due(&meta(&disk), &writer(disk.now())));
    }

    #[test]
    fn our_own_change_needs_no_reading_until_it_has_come_to_rest() {
        let mut disk = MemDisk::new();
        disk.plant_directory("/d");
        disk.advance(Millis::from_secs(2));
        let meta = |disk: &MemDisk| disk.meta("/d").expect("there");
        let gate = Gate::after_reading(&meta(&disk), &writer(disk.now()));
        let before = meta(&disk);
        disk.plant_file("/d/x", b"");
        let own = gate.after_own_change(&before, &meta(&disk), &writer(disk.now()));
        assert!(!own.is_due(&meta(&disk), &writer(disk.now())));
        disk.advance(Millis::from_secs(2));
        assert!(own.is_due(&meta(&disk), &writer(disk.now())));
        let foreign = gate.after_own_change(&meta(&disk), &meta(&disk), &writer(disk.now()));
        assert!(foreign.is_due(&meta(&disk), &writer(disk.now())));
        // A folder in which we change something all the time.
        let (mut gate, start) = (gate, disk.now());
        let mut readings = 0;
        while disk.now().seconds < start.seconds + 100 {
            disk.advance(Millis::from_secs(1));
            let before = meta(&disk);
            if gate.is_due(&before, &writer(disk.now())) {
                readings += 1;
                gate = Gate::after_reading(&before, &writer(disk.now()));
            }
            disk.plant_file(format!("/d/{}", disk.now().seconds), b"");
            gate = gate.after_own_change(&before, &meta(&disk), &writer(disk.now()));
        }
        assert!((1..=6).contains(&readings), "{readings}");
    }
}
