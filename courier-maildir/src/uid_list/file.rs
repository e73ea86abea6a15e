//! Reading and writing the list.

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Durability, Meta, Op, Reply};
use courier_core::time::Timestamp;

use super::{FILE, UidList, UidValidity};
use crate::folder::FolderPath;
use crate::lock::{self, LockError};
use crate::replace::{is_absent, publish, replace, temporary};
use crate::validity;
use crate::writer::Writer;

/// What tells whether another list has come in the place of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListStamp {
    pub(crate) inode: u64,
    pub(crate) length: u64,
    pub(crate) modified: Timestamp,
}

impl ListStamp {
    /// Whether both are stamps of one file, which may have been written to in between.
    pub(crate) fn is_same_file(self, other: Self) -> bool {
        self.inode == other.inode
    }

    pub(crate) fn of(meta: &Meta) -> Self {
        Self {
            inode: meta.inode,
            length: meta.length,
            modified: meta.modified,
        }
    }
}

/// The list as it was read.
#[derive(Debug)]
pub(crate) struct ListFile {
    /// Nothing if there is none that can be believed.
    pub(crate) list: Option<UidList>,
    /// The list is not in the file as it is here: it must be written.
    pub(crate) mended: bool,
    pub(crate) stamp: Option<ListStamp>,
    /// Somebody is at work on it: what was read may not survive a crash.
    pub(crate) unsettled: bool,
}

/// Octets of a list that is believed: more than eight million messages.
pub(super) const LENGTH_LIMIT: u64 = 1 << 30;

/// Reads the list. It must be read before the directories: then each message in it
/// was there before, and if it is not there now it is gone.
///
/// # Errors
/// What the disk says; not for a list that is missing or damaged.
pub(crate) async fn read(disk: &Disk, folder: &FolderPath) -> Result<ListFile, DiskError> {
    let mut file = ListFile {
        list: None,
        mended: false,
        stamp: stat(disk, folder).await?,
        unsettled: false,
    };
    if file.stamp.is_none_or(|stamp| stamp.length > LENGTH_LIMIT) {
        return Ok(file);
    }
    match disk.read(&folder.file(FILE), 0..LENGTH_LIMIT).await {
        Ok(octets) => {
            if let Ok((list, flaw)) = UidList::mend(octets) {
                file.mended = flaw.is_some();
                file.list = Some(list);
            }
        }
        Err(error) if is_absent(error.kind) => {}
        Err(error) => return Err(error),
    }
    // Whoever writes gives the lock back after the list is synced.
    let held = disk.stat(&folder.tmp().join(lock::FILE)).await;
    file.unsettled = held.is_ok();
    Ok(file)
}

/// What tells one list from another; nothing if there is none.
///
/// # Errors
/// What the disk says.
pub(crate) async fn stat(disk: &Disk, folder: &FolderPath) -> Result<Option<ListStamp>, DiskError> {
    match disk.stat(&folder.file(FILE)).await {
        Ok(meta) => Ok(Some(ListStamp::of(&meta))),
        Err(error) if is_absent(error.kind) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the list; durable. The caller holds the folder's lock.
///
/// # Errors
/// What the disk says; the old list is then there as before.
pub(crate) async fn write(
    disk: &Disk,
    folder: &FolderPath,
    text: Vec<u8>,
    writer: &Writer,
) -> Result<Option<ListStamp>, DiskError> {
    replace(disk, &folder.tmp(), &folder.file(FILE), text, writer).await?;
    stat(disk, folder).await
}

/// Begins a list with a UIDVALIDITY of its own; durable. `text` makes the list, or
/// nothing if there are more messages than UIDs. The caller holds the folder's lock.
///
/// # Errors
/// As [`write`].
pub(crate) async fn begin<T>(
    disk: &Disk,
    folder: &FolderPath,
    text: impl FnOnce(UidValidity) -> Option<(Vec<u8>, T)>,
    writer: &Writer,
) -> Result<Option<(T, Option<ListStamp>)>, LockError> {
    let fresh = temporary(&folder.tmp(), writer);
    let create = Op::Create {
        path: fresh.clone(),
        content: Vec::new(),
        mode: writer.mode,
        durability: Durability::Volatile,
    };
    let wrong = create.error(DiskErrorKind::Io);
    let Reply::Meta(meta) = disk.one(create).await? else {
        return Err(wrong.into());
    };
    let filled = async {
        let created = meta.modified.seconds;
        let validity = validity::allocate(disk, folder.maildir(), created, writer).await?;
        let Some((text, made)) = validity.and_then(text) else {
            return Ok(None);
        };
        let append = Op::Append {
            path: fresh.clone(),
            octets: text.into(),
            durability: Durability::Synced,
        };
        disk.one(append).await?;
        Ok::<_, LockError>(Some(made))
    };
    match filled.await {
        Ok(Some(made)) => {
            publish(disk, &fresh, &folder.file(FILE), writer).await?;
            Ok(Some((made, stat(disk, folder).await?)))
        }
        other => {
            disk.one(Op::Unlink(fresh)).await.ok();
            other.map(|_| None)
        }
    }
}
