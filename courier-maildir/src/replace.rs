//! Replacing a state file: whoever reads sees the old file or the new one, and after
//! an error or a crash one of the two is there.

use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Durability, Meta, Op, Piece, Reply};

use crate::writer::Writer;

/// Writes `octets` under a temporary name in the directory `tmp`, syncs them, gives
/// them the name `target` in place of whatever had it, and syncs the directory of
/// that. Gives the facts of the new file. A directory that stands in the way goes to
/// `tmp`, where it is purged in time.
///
/// # Errors
/// What the disk says; the old file is then there as before.
pub(crate) async fn replace(
    disk: &Disk,
    tmp: &Path,
    target: &Path,
    octets: Vec<u8>,
    writer: &Writer,
) -> Result<Meta, DiskError> {
    let fresh = temporary(tmp, writer);
    let create = Op::Create {
        path: fresh.clone(),
        content: vec![Piece::Octets(octets.into())],
        mode: writer.mode,
        durability: Durability::Synced,
    };
    let wrong = create.error(DiskErrorKind::Io);
    let Reply::Meta(meta) = disk.one(create).await? else {
        return Err(wrong);
    };
    publish(disk, &fresh, target, writer).await.map(|()| meta)
}

/// The second half of [`replace`], for a file that is written and synced already.
///
/// # Errors
/// What the disk says; the old file is then there as before, and `fresh` is gone.
pub(crate) async fn publish(
    disk: &Disk,
    fresh: &Path,
    target: &Path,
    writer: &Writer,
) -> Result<(), DiskError> {
    let tmp = fresh.parent().unwrap_or(Path::new(""));
    let old = temporary(tmp, writer);
    let link = Op::Link {
        from: target.to_path_buf(),
        to: old.clone(),
    };
    let kept = disk.one(link).await.is_ok();
    let rename = || Op::Rename {
        from: fresh.to_path_buf(),
        to: target.to_path_buf(),
    };
    let mut renamed = disk.one(rename()).await;
    if matches!(&renamed, Err(error) if is_obstacle(error.kind)) {
        let aside = Op::Rename {
            from: target.to_path_buf(),
            to: temporary(tmp, writer),
        };
        disk.one(aside).await.ok();
        renamed = disk.one(rename()).await;
    }
    let directory = target.parent().unwrap_or(Path::new(""));
    let result = match renamed {
        Ok(_) => match disk.one(Op::SyncDir(directory.to_path_buf())).await {
            Ok(_) => Ok(()),
            Err(error) => {
                // Nobody may read, and tell others, what may be gone after a crash.
                let undo = if kept {
                    Op::Rename {
                        from: old.clone(),
                        to: target.to_path_buf(),
                    }
                } else {
                    Op::Unlink(target.to_path_buf())
                };
                disk.one(undo).await.ok();
                Err(error)
            }
        },
        Err(error) => {
            disk.one(Op::Unlink(fresh.to_path_buf())).await.ok();
            Err(error)
        }
    };
    if kept {
        disk.one(Op::Unlink(old)).await.ok();
    }
    result
}

/// A name that nothing has yet, for a file on its way.
pub(crate) fn temporary(tmp: &Path, writer: &Writer) -> PathBuf {
    tmp.join(writer.unique_name().to_string())
}

/// Whether a state file is not there, or is something that can be no state file and
/// so is made anew.
pub(crate) fn is_absent(kind: DiskErrorKind) -> bool {
    matches!(
        kind,
        DiskErrorKind::NotFound
            | DiskErrorKind::IsADirectory
            | DiskErrorKind::NotRegular
            | DiskErrorKind::Permission
    )
}

fn is_obstacle(kind: DiskErrorKind) -> bool {
    matches!(
        kind,
        DiskErrorKind::IsADirectory | DiskErrorKind::NotEmpty | DiskErrorKind::Exists
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::tests::writer;
    use courier_core::disk::{self, DiskTask};
    use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};

    const TARGET: &str = "/m/state";

    fn task(promises: Promises<()>) -> DiskTask<'static, Result<(), DiskError>> {
        disk::task(|disk| async move {
            let writer = writer(MemDisk::new().now());
            let (tmp, target) = (Path::new("/m/tmp"), Path::new(TARGET));
            replace(&disk, tmp, target, b"new".to_vec(), &writer).await?;
            promises.make(());
            Ok(())
        })
    }

    fn start() -> MemDisk {
        let mut disk = MemDisk::new();
        disk.plant_directory("/m/tmp");
        disk
    }

    #[test]
    fn a_crash_leaves_the_old_file_or_the_new_one() {
        for old in [None, Some(b"old".as_slice())] {
            let mut start = start();
            if let Some(old) = old {
                start.plant_file(TARGET, old);
            }
            crash_everywhere(&start, task, |disk, promises| {
                let there = disk.contents(TARGET);
                let is_new = there.as_deref() == Some(b"new");
                let is_old = there.as_deref() == old;
                assert!(is_new || is_old && promises.is_empty(), "{}", disk.show());
            });
        }
    }

    #[test]
    fn after_an_error_the_old_file_is_there() {
        let mut start = start();
        start.plant_file(TARGET, b"old");
        fail_everywhere(&start, task, |disk, given, _| {
            let expected: &[u8] = if given.is_ok() { b"new" } else { b"old" };
            let there = disk.contents(TARGET).expect("a file");
            assert!(there == expected || given.is_err() && there == b"new");
            assert_eq!(disk.run(task_again()), Ok(()));
            assert_eq!(disk.contents(TARGET).as_deref(), Some(b"again".as_ref()));
        });
    }

    fn task_again() -> DiskTask<'static, Result<(), DiskError>> {
        disk::task(|disk| async move {
            let mut writer = writer(MemDisk::new().now());
            writer.process = 101;
            let (tmp, target) = (Path::new("/m/tmp"), Path::new(TARGET));
            replace(&disk, tmp, target, b"again".to_vec(), &writer)
                .await
                .map(drop)
        })
    }

    #[test]
    fn a_directory_in_the_way_is_put_aside() {
        let mut disk = start();
        disk.plant_file("/m/state/inside", b"x");
        disk.run(task_again()).expect("replaced");
        assert_eq!(disk.contents(TARGET).as_deref(), Some(b"again".as_ref()));
        assert_eq!(disk.names("/m/tmp").len(), 1);
    }
}
