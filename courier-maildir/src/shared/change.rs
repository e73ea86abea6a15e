//! Changing the table of sharable maildirs of a maildir.

use std::path::Path;

use courier_core::disk::{Disk, DiskError, DiskErrorKind};

use super::table::{FILE, Table, TableError};
use crate::lock::{self, Lock, LockError};
use crate::replace::replace;
use crate::writer::Writer;

/// Why a table was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableChangeError {
    /// The entry cannot be added.
    #[error(transparent)]
    Table(#[from] TableError),
    /// There is no entry of that name to remove.
    #[error("not found.")]
    NotFound,
    /// Another session holds the lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Enters a sharable maildir at the end of the table of a maildir, durably.
///
/// # Errors
/// When the entry cannot stand in the table or is there, the lock is held by another,
/// or the disk refuses; the table is then as it was.
pub async fn add(
    disk: &Disk,
    maildir: &Path,
    name: &[u8],
    path: &Path,
    writer: &Writer,
) -> Result<(), TableChangeError> {
    let edit = |table: Option<Table>| {
        let mut table = table.unwrap_or_default();
        table.add(name, path)?;
        Ok(table)
    };
    change(disk, maildir, edit, writer).await
}

/// Takes a sharable maildir out of the table of a maildir, durably.
///
/// # Errors
/// When it is not there, the lock is held by another, or the disk refuses; the table is
/// then as it was.
pub async fn remove(
    disk: &Disk,
    maildir: &Path,
    name: &[u8],
    writer: &Writer,
) -> Result<(), TableChangeError> {
    let missing = DiskError {
        action: "read",
        path: maildir.join(FILE),
        kind: DiskErrorKind::NotFound,
    };
    let edit = |table: Option<Table>| {
        let mut table = table.ok_or(missing)?;
        match table.remove(name) {
            true => Ok(table),
            false => Err(TableChangeError::NotFound),
        }
    };
    change(disk, maildir, edit, writer).await
}

async fn change(
    disk: &Disk,
    maildir: &Path,
    edit: impl FnOnce(Option<Table>) -> Result<Table, TableChangeError> + Send,
    writer: &Writer,
) -> Result<(), TableChangeError> {
    let (tmp, target) = (maildir.join("tmp"), maildir.join(FILE));
    let lock = Lock::take(disk, &tmp, lock::FILE, writer, lock::PATIENCE).await?;
    let changed = async {
        let table = match disk.read(&target, 0..LIMIT).await {
            Ok(octets) => Some(Table::parse(&octets)),
            Err(error) if error.kind == DiskErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let table = edit(table)?;
        replace(disk, &tmp, &target, table.print(), writer).await?;
        Ok(())
    }
    .await;
    lock.release(disk).await;
    changed
}

/// Octets of a table.
const LIMIT: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::tests::writer;
    use courier_core::disk::{self, DiskTask};
    use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};

    fn maildir(table: Option<&str>) -> MemDisk {
        let mut disk = MemDisk::new();
        disk.plant_directory("/m/tmp");
        if let Some(table) = table {
            disk.plant_file("/m/shared-maildirs", table.as_bytes());
        }
        disk
    }

    type Changed = Result<(), TableChangeError>;

    fn adding(promises: Promises<()>) -> DiskTask<'static, Changed> {
        let writer = writer(MemDisk::new().now());
        disk::task(|disk| async move {
            add(&disk, Path::new("/m"), b"b", Path::new("/b"), &writer).await?;
            promises.make(());
            Ok(())
        })
    }

    fn removing(promises: Promises<()>) -> DiskTask<'static, Changed> {
        let writer = writer(MemDisk::new().now());
        disk::task(|disk| async move {
            remove(&disk, Path::new("/m"), b"a", &writer).await?;
            promises.make(());
            Ok(())
        })
    }

    fn text(disk: &MemDisk) -> String {
        let octets = disk.contents("/m/shared-maildirs").unwrap_or_default();
        String::from_utf8(octets).expect("text")
    }

    #[test]
    fn the_table_is_the_old_one_or_the_new_one() {
        let old = "# c\na\t/a\n";
        let start = maildir(Some(old));
        let check = |disk: &MemDisk, promised: bool, new: &str| {
            let text = text(disk);
            assert!(text == new || text == old && !promised, "{}", disk.show());
        };
        let new = "# c\na\t/a\nb\t/b\n";
        crash_everywhere(&start, adding, |disk, promises| {
            check(disk, !promises.is_empty(), new);
        });
        fail_everywhere(&start, adding, |disk, given, _| {
            check(disk, given.is_ok(), new)
        });
        crash_everywhere(&start, removing, |disk, promises| {
            check(disk, !promises.is_empty(), "# c\n");
        });
        fail_everywhere(&start, removing, |disk, given, _| {
            check(disk, given.is_ok(), "# c\n");
        });
    }

    #[test]
    fn what_cannot_be_changed_is_told() {
        let mut disk = maildir(None);
        let given = disk.run(removing(Promises::new()));
        assert!(matches!(given, Err(TableChangeError::Disk(_))), "{given:?}");
        assert_eq!(disk.run(adding(Promises::new())), Ok(()));
        assert_eq!(text(&disk), "b\t/b\n");
        let given = disk.run(adding(Promises::new()));
        assert_eq!(given, Err(TableError::Exists.into()));
        let given = disk.run(removing(Promises::new()));
        assert_eq!(given, Err(TableChangeError::NotFound));
        assert!(disk.names("/m/tmp").is_empty(), "{}", disk.show());
    }
}
