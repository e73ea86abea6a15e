//! Counting what a maildir holds, and writing it down.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use courier_core::disk::{
    Disk, DiskError, DiskErrorKind, Durability, FileKind, Listing, Op, Outcome, Piece, Reply,
};
use courier_core::time::Timestamp;

use super::counted::{self, is_counted_folder};
use super::{Amount, FILE, QuotaSpec, file};
use crate::folder::is_missing;
use crate::name::Maker;
use crate::tree::BATCH;
use crate::writer::Writer;

/// What was counted and is now in `maildirsize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recount {
    /// All that counts.
    pub total: Amount,
    /// Whether the maildir was at rest.
    pub rest: Rest,
}

/// Whether mail came or went during a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// No directory changed.
    Settled,
    /// One did: the sum may be wrong, and the count should be made again.
    Moving,
}

/// Counts the mail in a maildir and its folders, without the trash, and replaces
/// `maildirsize`. The new file is synced, so that a loss of power leaves the old one or
/// the new one; which of them does not matter.
///
/// # Errors
/// What the disk says; the old file is there then.
pub async fn recount(
    disk: &Disk,
    maildir: &Path,
    spec: QuotaSpec,
    writer: &Writer,
) -> Result<Recount, DiskError> {
    let mut count = Count::default();
    for folder in folders(disk, maildir).await? {
        count.folder(disk, &folder).await?;
    }
    write(disk, maildir, file::print(spec, count.total), writer).await?;
    let stats = count.seen.iter().map(|(path, _)| Op::Stat(path.clone()));
    let stats = disk.run(stats.collect()).await;
    let still = count.seen.iter().zip(stats).all(
        |((_, modified), stat)| matches!(stat, Ok(Reply::Meta(meta)) if meta.modified == *modified),
    );
    Ok(Recount {
        total: count.total,
        rest: if still { Rest::Settled } else { Rest::Moving },
    })
}

/// Counts as [`recount`] does, and writes nothing.
///
/// # Errors
/// What the disk says.
pub(crate) async fn total(disk: &Disk, maildir: &Path) -> Result<Amount, DiskError> {
    let mut count = Count::default();
    for folder in folders(disk, maildir).await? {
        count.folder(disk, &folder).await?;
    }
    Ok(count.total)
}

/// [`recount`], again while the maildir moves, a few times.
pub(super) async fn recount_at_rest(
    disk: &Disk,
    maildir: &Path,
    spec: QuotaSpec,
    writer: &Writer,
) -> Result<Recount, DiskError> {
    let mut count = recount(disk, maildir, spec, writer).await?;
    for _ in 1..ATTEMPTS {
        if count.rest == Rest::Settled {
            break;
        }
        count = recount(disk, maildir, spec, writer).await?;
    }
    Ok(count)
}

/// Counts that may be overtaken by others' mail before nobody waits any longer.
const ATTEMPTS: usize = 5;

/// The directories whose mail counts: the maildir and its folders, but no link.
async fn folders(disk: &Disk, maildir: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let listing = disk.list(maildir).await?;
    let folders = listing
        .iter()
        .filter(|(name, kind)| *kind != FileKind::Link && is_counted_folder(name))
        .map(|(name, _)| maildir.join(OsStr::from_bytes(name)));
    Ok(std::iter::once(maildir.to_path_buf())
        .chain(folders)
        .collect())
}

#[derive(Debug, Default)]
struct Count {
    total: Amount,
    /// Each directory with its time before it was read.
    seen: Vec<(PathBuf, Timestamp)>,
}

impl Count {
    async fn folder(&mut self, disk: &Disk, folder: &Path) -> Result<(), DiskError> {
        for directory in ["new", "cur"].map(|name| folder.join(name)) {
            match disk.stat(&directory).await {
                Ok(meta) if meta.kind == FileKind::Directory => {
                    self.seen.push((directory.clone(), meta.modified));
                }
                Ok(_) => continue,
                Err(error) if is_absent(error.kind) => continue,
                Err(error) => return Err(error),
            }
            match disk.list(&directory).await {
                Ok(listing) => self.directory(disk, &directory, &listing).await?,
                Err(error) if is_absent(error.kind) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn directory(
        &mut self,
        disk: &Disk,
        directory: &Path,
        listing: &Listing,
    ) -> Result<(), DiskError> {
        let mut untold = Vec::new();
        for (name, _) in listing.iter() {
            if !counted::is_counted(name) {
                continue;
            }
            match counted::size(name) {
                Some(size) => self.total += Amount::message(size),
                None => untold.push(directory.join(OsStr::from_bytes(name))),
            }
        }
        for paths in untold.chunks(BATCH) {
            self.total += measure(disk, paths).await?.into_iter().sum();
        }
        Ok(())
    }
}

/// What each file holds whose name does not say it. Those that are gone hold nothing.
pub(super) async fn measure(disk: &Disk, paths: &[PathBuf]) -> Result<Vec<Amount>, DiskError> {
    let mut amounts = Vec::with_capacity(paths.len());
    let stats = paths.iter().map(|path| Op::Stat(path.clone()));
    for (path, stat) in paths.iter().zip(disk.run(stats.collect()).await) {
        amounts.push(match stat {
            Ok(Reply::Meta(meta)) if meta.kind == FileKind::Link => linked(disk, path).await,
            outcome => size(outcome)?,
        });
    }
    Ok(amounts)
}

/// Courier counts what a link leads to.
async fn linked(disk: &Disk, path: &Path) -> Amount {
    let Ok(target) = disk.resolve(path).await else {
        return Amount::NONE;
    };
    let stat = disk.one(Op::Stat(target)).await;
    size(stat).unwrap_or_default()
}

fn size(stat: Outcome) -> Result<Amount, DiskError> {
    match stat {
        Ok(Reply::Meta(meta)) => Ok(Amount::message(meta.length)),
        Ok(_) => Ok(Amount::NONE),
        Err(error) if is_missing(error.kind) => Ok(Amount::NONE),
        Err(error) => Err(error),
    }
}

/// What nobody can look into holds nothing that we could count.
fn is_absent(kind: DiskErrorKind) -> bool {
    is_missing(kind) || matches!(kind, DiskErrorKind::Permission | DiskErrorKind::NotRegular)
}

/// Replaces the file, by the name that Courier gives it on its way.
async fn write(
    disk: &Disk,
    maildir: &Path,
    text: Vec<u8>,
    writer: &Writer,
) -> Result<(), DiskError> {
    let unique = writer.unique_name();
    let count = match unique.maker {
        Maker::Process { count, .. } => count,
        Maker::Journal { .. } => 0,
    };
    let name = format!(
        "{}.{}Q{count}_NeWmAiLdIrSiZe.{}",
        unique.seconds,
        writer.process,
        writer.host.as_str()
    );
    let fresh = maildir.join("tmp").join(name);
    let create = Op::Create {
        path: fresh.clone(),
        content: vec![Piece::Octets(text.into())],
        mode: mode(writer),
        durability: Durability::Synced,
    };
    let created = match disk.one(create.clone()).await {
        // Of a process before us that had our number; nobody else uses the name.
        Err(error) if error.kind == DiskErrorKind::Exists => {
            disk.one(Op::Unlink(fresh.clone())).await?;
            disk.one(create).await
        }
        outcome => outcome,
    };
    created?;
    let renamed = disk
        .one(Op::Rename {
            from: fresh.clone(),
            to: maildir.join(FILE),
        })
        .await;
    if renamed.is_err() {
        disk.one(Op::Unlink(fresh)).await.ok();
    }
    renamed.map(drop)
}

/// The quota is no secret: Courier lets everybody read it whom the umask lets.
pub(super) const fn mode(writer: &Writer) -> u32 {
    writer.mode & 0o644
}
