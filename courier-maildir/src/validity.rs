//! `courierimapuidvalidity`: the greatest UIDVALIDITY that an account has used.
//!
//! Courier makes the number from the clock and sleeps when it deletes a folder, so
//! that a folder made anew gets another one. We remember the last number instead:
//! neither a fast client nor a clock that goes back can bring one again. The file
//! stands in the top maildir and holds the number and a line feed. Without it, or
//! with noise in it, numbers come from the clock alone.

use std::path::Path;

use courier_core::disk::{Disk, DiskErrorKind, Op, Reply};

use crate::folder::FolderPath;
use crate::lock::{self, Lock, LockError};
use crate::replace::{is_absent, replace};
use crate::uid_list::{self, UidValidity};
use crate::writer::Writer;

/// The file's name in the top maildir.
const FILE: &str = "courierimapuidvalidity";

/// A lock of its own, taken last of all: whoever holds it asks for no other.
const LOCK: &str = "courier-uidvalidity.lock";

/// A number for a list that was made at the second `created`; durably remembered.
pub(crate) async fn allocate(
    disk: &Disk,
    maildir: &Path,
    created: i64,
    writer: &Writer,
) -> Result<Option<UidValidity>, LockError> {
    update(disk, maildir, writer, |last| {
        UidValidity::for_new_list(created, last)
    })
    .await
}

/// Remembers the numbers of folders that are about to lose their names.
pub(crate) async fn remember(
    disk: &Disk,
    maildir: &Path,
    folders: &[FolderPath],
    writer: &Writer,
) -> Result<(), LockError> {
    let reads = folders.iter().map(|folder| Op::Read {
        path: folder.file(uid_list::FILE),
        range: 0..32,
    });
    let mut used = None;
    for head in disk.run(reads.collect()).await {
        match head {
            Ok(Reply::Octets(octets)) => used = used.max(uid_list::validity_of(&octets)),
            Ok(_) => {}
            Err(error) if is_absent(error.kind) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let Some(used) = used else {
        return Ok(());
    };
    update(disk, maildir, writer, |last| {
        Some(last.map_or(used, |last| last.max(used)))
    })
    .await
    .map(drop)
}

/// Reads the number, and writes what `next` makes of it.
async fn update(
    disk: &Disk,
    maildir: &Path,
    writer: &Writer,
    next: impl Fn(Option<UidValidity>) -> Option<UidValidity>,
) -> Result<Option<UidValidity>, LockError> {
    let (tmp, path) = (maildir.join("tmp"), maildir.join(FILE));
    let lock = match Lock::take(disk, &tmp, LOCK, writer, lock::PATIENCE).await {
        Ok(lock) => lock,
        // Another's maildir, in which we may read one folder: the clock must do.
        Err(LockError::Disk(error)) if error.kind == DiskErrorKind::Permission => {
            return Ok(next(None));
        }
        Err(error) => return Err(error),
    };
    let result = async {
        let last = match disk.read(&path, 0..32).await {
            Ok(octets) => parse(&octets),
            Err(error) if is_absent(error.kind) => None,
            Err(error) => return Err(error.into()),
        };
        let number = next(last);
        if let Some(number) = number.filter(|_| number != last) {
            let text = format!("{number}\n").into_bytes();
            replace(disk, &tmp, &path, text, writer).await?;
        }
        Ok(number)
    }
    .await;
    lock.release(disk).await;
    result
}

fn parse(octets: &[u8]) -> Option<UidValidity> {
    let text = std::str::from_utf8(octets.strip_suffix(b"\n")?).ok()?;
    UidValidity::new(text.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::tests::writer;
    use courier_core::disk;
    use courier_core::testing::MemDisk;

    fn next(disk: &mut MemDisk) -> u32 {
        let writer = writer(disk.now());
        let created = writer.now.seconds;
        let task =
            disk::task(
                |disk| async move { allocate(&disk, Path::new("/m"), created, &writer).await },
            );
        disk.run(task)
            .expect("a number")
            .expect("not the last")
            .get()
    }

    #[test]
    fn numbers_never_come_again() {
        let mut disk = MemDisk::new();
        disk.plant_directory("/m/tmp");
        assert_eq!(next(&mut disk), 700_000_000);
        assert_eq!(next(&mut disk), 700_000_001);
        let mut disk = disk.crash_losing_all();
        disk.set_time(courier_core::time::Timestamp::default());
        assert_eq!(next(&mut disk), 700_000_002);
    }

    #[test]
    fn noise_is_no_number() {
        for noise in ["", "\0\0\0\0", "12", "-1\n", "99999999999\n"] {
            let mut disk = MemDisk::new();
            disk.plant_directory("/m/tmp");
            disk.plant_file("/m/courierimapuidvalidity", noise.as_bytes());
            assert_eq!(next(&mut disk), 700_000_000);
        }
    }

    #[test]
    fn the_numbers_of_folders_are_remembered() {
        let mut disk = MemDisk::new();
        disk.plant_directory("/m/tmp");
        disk.plant_file("/m/.a/courierimapuiddb", b"1 800000000 5\n4 x\n");
        disk.plant_file("/m/.b/courierimapuiddb", b"noise");
        let folders = [".a", ".b", ".c"].map(|folder| FolderPath::new("/m", folder));
        let writer = writer(disk.now());
        disk.run(disk::task(|disk| async move {
            remember(&disk, Path::new("/m"), &folders, &writer).await
        }))
        .expect("remembered");
        assert_eq!(next(&mut disk), 800_000_001);
    }
}
