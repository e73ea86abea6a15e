//! The folder's lock, for whoever writes the list.

use courier_core::disk::{Disk, DiskError, Op};

use super::{FILE, UidList, read, write};
use crate::folder::FolderPath;
use crate::lock::{self, Lock, LockError};
use crate::writer::Writer;

/// Takes the folder's lock. If the last one who had it never gave it back, what that
/// one did to the list may be half done and not synced: it is made whole first.
///
/// # Errors
/// When somebody holds the lock, or the disk refuses.
pub(crate) async fn hold(
    disk: &Disk,
    folder: &FolderPath,
    writer: &Writer,
) -> Result<Lock, LockError> {
    let (tmp, patience) = (folder.tmp(), lock::PATIENCE);
    let lock = Lock::take(disk, &tmp, lock::FILE, writer, patience).await?;
    if lock.abandoned
        && let Err(error) = make_whole(disk, folder, writer).await
    {
        lock.release(disk).await;
        return Err(error.into());
    }
    Ok(lock)
}

async fn make_whole(disk: &Disk, folder: &FolderPath, writer: &Writer) -> Result<(), DiskError> {
    let Some(list) = read(disk, folder).await?.list else {
        return Ok(()); // it is begun anew, whoever left it
    };
    // A sync that failed may have left octets that no later sync brings to the disk:
    // so in a new file.
    let text = UidList::print(list.validity, list.next, list.iter());
    if write(disk, folder, text, writer).await.is_ok() {
        return Ok(());
    }
    disk.one(Op::Sync(folder.file(FILE))).await?;
    let directory = folder.path().to_path_buf();
    disk.one(Op::SyncDir(directory)).await.map(drop)
}
