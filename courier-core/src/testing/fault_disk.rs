//! A disk on which one operation fails.

use super::mem_disk::MemDisk;
use crate::disk::{DiskErrorKind, DiskTask, Durability, Op, Outcome};
use crate::task::Step;

/// A way in which an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `ENOSPC`, before anything was done.
    NoSpace,
    /// `EDQUOT`, before anything was done.
    Quota,
    /// `EIO`, before anything was done; a sync fails as by [`Self::FailedSync`].
    Io,
    /// `EMFILE` where a file must be opened.
    TooManyFiles,
    /// `EINTR`.
    Interrupted,
    /// `ESTALE`.
    Stale,
    /// Half of the octets are written, then the disk is full.
    ShortWrite,
    /// The operation is done but its sync fails; what it should have made durable
    /// never will be, though it is still seen.
    FailedSync,
    /// The operation is done but the file cannot be closed; what was not synced
    /// before is lost in the next crash.
    FailedClose,
}

/// Whether a fault passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// One operation fails.
    Once,
    /// Every later operation that the fault can strike fails as well.
    Forever,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 9] = [
        Self::NoSpace,
        Self::Quota,
        Self::Io,
        Self::TooManyFiles,
        Self::Interrupted,
        Self::Stale,
        Self::ShortWrite,
        Self::FailedSync,
        Self::FailedClose,
    ];

    /// Whether an operation can fail in this way.
    #[must_use]
    pub fn strikes(self, op: &Op) -> bool {
        let writes = matches!(
            op,
            Op::Create { .. } | Op::Append { .. } | Op::WriteAt { .. }
        );
        let opens = writes
            || matches!(
                op,
                Op::Allocate { .. }
                    | Op::Sync(_)
                    | Op::SyncDir(_)
                    | Op::List(_)
                    | Op::Read { .. }
                    | Op::Truncate { .. }
                    | Op::Lock { .. }
            );
        match self {
            Self::NoSpace | Self::Quota => {
                writes
                    || matches!(
                        op,
                        Op::Allocate { .. }
                            | Op::Truncate { .. }
                            | Op::Mkdir { .. }
                            | Op::Rename { .. }
                            | Op::Link { .. }
                            | Op::Symlink { .. }
                    )
            }
            Self::Io | Self::Stale => !matches!(op, Op::Unlock(_) | Op::Pause(_)),
            Self::TooManyFiles | Self::Interrupted => opens,
            Self::ShortWrite | Self::FailedClose => writes,
            Self::FailedSync => syncs(op),
        }
    }

    fn kind(self) -> DiskErrorKind {
        match self {
            Self::NoSpace | Self::ShortWrite => DiskErrorKind::NoSpace,
            Self::Quota => DiskErrorKind::Quota,
            Self::Io | Self::FailedSync | Self::FailedClose => DiskErrorKind::Io,
            Self::TooManyFiles => DiskErrorKind::TooManyFiles,
            Self::Interrupted => DiskErrorKind::Other(4),
            Self::Stale => DiskErrorKind::Stale,
        }
    }
}

/// A [`MemDisk`] on which the n-th operation fails.
#[derive(Debug, Clone)]
pub struct FaultDisk {
    disk: MemDisk,
    fault: Option<(Fault, Lasting)>,
    /// Operations that the fault can strike and that come before it does.
    before: u64,
    struck: u64,
}

impl FaultDisk {
    /// A disk on which nothing fails.
    #[must_use]
    pub fn faultless(disk: MemDisk) -> Self {
        Self {
            disk,
            fault: None,
            before: 0,
            struck: 0,
        }
    }

    /// A disk on which, of the operations that `fault` can strike, the one numbered
    /// `nth` (from 0) fails; and with [`Lasting::Forever`] those after it.
    #[must_use]
    pub fn new(disk: MemDisk, fault: Fault, nth: u64, lasting: Lasting) -> Self {
        Self {
            disk,
            fault: Some((fault, lasting)),
            before: nth,
            struck: 0,
        }
    }

    /// Runs a task to its end.
    pub fn run<T>(&mut self, mut task: DiskTask<'_, T>) -> T {
        let mut step = task.start();
        loop {
            match step {
                Step::Done(value) => return value,
                Step::Ask(batch) => {
                    let outcomes = batch.iter().map(|op| self.carry_out(op)).collect();
                    step = task.next(outcomes);
                }
            }
        }
    }

    /// Carries out one operation, or fails to.
    pub fn carry_out(&mut self, op: &Op) -> Outcome {
        let Some((fault, lasting)) = self.fault.filter(|(fault, _)| fault.strikes(op)) else {
            return self.disk.carry_out(op);
        };
        if let Some(before) = self.before.checked_sub(1) {
            self.before = before;
            return self.disk.carry_out(op);
        }
        self.struck += 1;
        if lasting == Lasting::Once {
            self.fault = None;
        }
        self.fail(op, fault)
    }

    fn fail(&mut self, op: &Op, fault: Fault) -> Outcome {
        let error = Err(op.error(fault.kind()));
        match fault {
            Fault::ShortWrite => {
                if let Some(half) = half(op) {
                    self.disk.carry_out(&half)?;
                }
                return error;
            }
            Fault::Io if matches!(op, Op::Sync(_) | Op::SyncDir(_)) => {}
            Fault::FailedSync | Fault::FailedClose => {}
            _ => return error,
        }
        let (_, flush) = self.disk.effects(op).map_err(|kind| op.error(kind))?;
        let made = matches!(op, Op::Create { .. } | Op::Allocate { .. });
        if fault == Fault::FailedClose && syncs(op) {
            self.disk.flush(flush);
        } else {
            self.disk.fail_flush(flush, op);
        }
        if made {
            // A driver leaves nothing under the name of a file it could not make.
            self.disk.carry_out(&Op::Unlink(op.path().to_path_buf()))?;
        }
        error
    }

    /// Whether the fault has struck.
    #[must_use]
    pub fn struck(&self) -> bool {
        self.struck > 0
    }

    /// The disk below, on which nothing fails any more.
    #[must_use]
    pub fn into_disk(self) -> MemDisk {
        self.disk
    }
}

/// Whether an operation syncs contents or entries.
fn syncs(op: &Op) -> bool {
    match op {
        Op::Create { durability, .. }
        | Op::Append { durability, .. }
        | Op::WriteAt { durability, .. } => *durability == Durability::Synced,
        Op::Allocate { .. } | Op::Sync(_) | Op::SyncDir(_) => true,
        _ => false,
    }
}

/// What is left of a write that stays short; nothing of a file that is made.
fn half(op: &Op) -> Option<Op> {
    match op {
        Op::Append { path, octets, .. } => Some(Op::Append {
            path: path.clone(),
            octets: octets.get(..octets.len() / 2)?.into(),
            durability: Durability::Volatile,
        }),
        Op::WriteAt {
            path,
            offset,
            octets,
            ..
        } => {
            let all = octets.concat();
            Some(Op::WriteAt {
                path: path.clone(),
                offset: *offset,
                octets: vec![all.get(..all.len() / 2)?.into()],
                durability: Durability::Volatile,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Piece;

    fn start() -> MemDisk {
        let mut disk = MemDisk::new();
        disk.plant_file("/a", b"....");
        disk
    }

    fn write(durability: Durability) -> Op {
        Op::WriteAt {
            path: "/a".into(),
            offset: 0,
            octets: vec![b"ab"[..].into(), b"cd"[..].into()],
            durability,
        }
    }

    fn create(durability: Durability) -> Op {
        Op::Create {
            path: "/b".into(),
            content: vec![Piece::Octets(b"ab"[..].into())],
            mode: 0o600,
            durability,
        }
    }

    #[test]
    fn only_the_nth_operation_that_can_fail_does() {
        let mut disk = FaultDisk::new(start(), Fault::NoSpace, 1, Lasting::Once);
        disk.carry_out(&write(Durability::Synced)).unwrap();
        disk.carry_out(&Op::Stat("/a".into())).unwrap();
        assert!(!disk.struck());
        let error = disk.carry_out(&write(Durability::Synced)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot write /a: no space left on the device"
        );
        assert!(disk.struck());
        disk.carry_out(&write(Durability::Synced)).unwrap();

        let mut disk = FaultDisk::new(start(), Fault::NoSpace, 0, Lasting::Forever);
        for _ in 0..3 {
            assert!(disk.carry_out(&write(Durability::Synced)).is_err());
            disk.carry_out(&Op::Unlock(crate::disk::LockId(1)))
                .unwrap_err();
            disk.carry_out(&Op::Stat("/a".into())).unwrap();
        }
        assert_eq!(disk.into_disk().contents("/a").unwrap(), b"....");
    }

    #[test]
    fn a_short_write_leaves_half() {
        let mut disk = FaultDisk::new(start(), Fault::ShortWrite, 0, Lasting::Once);
        disk.carry_out(&write(Durability::Synced)).unwrap_err();
        assert_eq!(disk.into_disk().contents("/a").unwrap(), b"ab..");
        let mut disk = FaultDisk::new(start(), Fault::ShortWrite, 0, Lasting::Once);
        disk.carry_out(&create(Durability::Synced)).unwrap_err();
        assert_eq!(disk.into_disk().contents("/b"), None);
    }

    #[test]
    fn after_a_failed_sync_the_data_is_seen_but_lost() {
        for op in [write(Durability::Synced), write(Durability::Volatile)] {
            let fault = match &op {
                Op::WriteAt {
                    durability: Durability::Synced,
                    ..
                } => Fault::FailedSync,
                _ => Fault::FailedClose,
            };
            let mut disk = FaultDisk::new(start(), fault, 0, Lasting::Once);
            disk.carry_out(&op).unwrap_err();
            // A second sync says yes and does nothing.
            disk.carry_out(&Op::Sync("/a".into())).unwrap();
            let disk = disk.into_disk();
            assert_eq!(disk.contents("/a").unwrap(), b"abcd");
            assert!(
                disk.crashes()
                    .all(|disk| disk.contents("/a").unwrap() == b"....")
            );
        }
    }

    #[test]
    fn a_file_that_could_not_be_synced_or_closed_is_not_there() {
        for (fault, durability) in [
            (Fault::FailedSync, Durability::Synced),
            (Fault::FailedClose, Durability::Synced),
            (Fault::FailedClose, Durability::Volatile),
        ] {
            let mut disk = FaultDisk::new(start(), fault, 0, Lasting::Once);
            disk.carry_out(&create(durability)).unwrap_err();
            let disk = disk.into_disk();
            assert_eq!(disk.contents("/b"), None);
        }
    }
}
