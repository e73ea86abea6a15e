//! Giving a maildir a quota.

use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, Op};

use super::check::{Account, read};
use super::recount::recount_at_rest;
use super::{FILE, QuotaSpec};
use crate::folder::FOLDER_MARK;
use crate::writer::Writer;

/// What [`set`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// The file has the quota, and what is there.
    Written,
    /// Nothing: a quota without any limit is not written.
    Nothing,
}

/// Gives the maildir of a directory, which may be one of its folders, this quota,
/// whatever it had, and counts what is there. Durable. For `maildirmake -q`.
///
/// # Errors
/// What the disk says.
pub async fn set(
    disk: &Disk,
    directory: &Path,
    spec: QuotaSpec,
    writer: &Writer,
) -> Result<Set, DiskError> {
    if spec.is_unlimited() {
        return Ok(Set::Nothing);
    }
    let maildir = top(disk, directory).await;
    recount_at_rest(disk, &maildir, spec, writer).await?;
    disk.one(Op::SyncDir(maildir)).await?;
    Ok(Set::Written)
}

/// Makes the file say what the account's quota is, unless it does. For a login, after
/// which tasks that know the maildir alone are charged right.
///
/// # Errors
/// What the disk says.
pub async fn adopt(disk: &Disk, account: &Account, writer: &Writer) -> Result<(), DiskError> {
    if account.quota.is_unlimited() {
        return Ok(());
    }
    let file = read(disk, &account.maildir.join(FILE)).await?;
    if file.is_some_and(|file| file.spec == account.quota) {
        return Ok(());
    }
    recount_at_rest(disk, &account.maildir, account.quota, writer)
        .await
        .map(drop)
}

/// The maildir that a directory is a folder of, or the directory itself: as long as
/// there is the mark of a folder the way leads upwards, but not for ever.
pub async fn top(disk: &Disk, directory: &Path) -> PathBuf {
    let mut directory = directory.to_path_buf();
    for _ in 0..HIGHEST {
        if disk.stat(&directory.join(FOLDER_MARK)).await.is_err() {
            break;
        }
        directory.push("..");
    }
    directory
}

/// Folders in folders: one is usual, more are somebody's joke.
const HIGHEST: usize = 16;
