//! Texts of automatic replies, in `autoresponses`, within a quota of their own.
//!
//! A text is a message that `mailbot` sends. `NAME.dat` beside it is mailbot's memory
//! of who got it; `NAME.tmp` is one that is being written. Whoever writes holds a lock,
//! so that two together stay within the quota.

mod quota;

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Durability, FileKind, Op, Reply};

pub use quota::{QUOTA_FILE, Quota, Usage, quota};

use crate::content::Content;
use crate::lock::{self, Lock, LockError};
use crate::writer::Writer;

/// The directory in the maildir.
pub const DIRECTORY: &str = "autoresponses";

/// The name of a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseName(String);

/// Why a name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of an automatic reply has 1 to {} octets, no blank and none of . / ' \" * ? [ ] ~",
    ResponseName::LENGTH_LIMIT
)]
pub struct ResponseNameError;

impl ResponseName {
    /// Octets of a name; `.dat` follows it in a directory.
    pub const LENGTH_LIMIT: usize = 200;

    /// Reads a name.
    ///
    /// # Errors
    /// When no text can have it. Beyond what Courier refuses, signs that mean something
    /// to a shell are refused: the name stands in a command.
    pub fn parse(text: &str) -> Result<Self, ResponseNameError> {
        let bad = |c: char| {
            c.is_whitespace() || c.is_control() || "./'\"*?[]~`$\\;&|<>(){}!#".contains(c)
        };
        if text.is_empty() || text.len() > Self::LENGTH_LIMIT || text.contains(bad) {
            return Err(ResponseNameError);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the text lies.
    #[must_use]
    pub fn path(&self, maildir: &Path) -> PathBuf {
        maildir.join(DIRECTORY).join(&self.0)
    }

    fn beside(&self, maildir: &Path, ending: &str) -> PathBuf {
        maildir.join(DIRECTORY).join(format!("{}.{ending}", self.0))
    }
}

impl fmt::Display for ResponseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text was not read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// With it the texts would be beyond their quota; `ENOSPC`.
    #[error("the automatic replies would be over their quota: {usage} of {quota}")]
    OverQuota {
        /// What there would be.
        usage: Usage,
        /// What there may be.
        quota: Quota,
    },
    /// Another session is writing one.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// The names of the texts that there are, sorted.
///
/// # Errors
/// What the disk says.
pub async fn list(disk: &Disk, maildir: &Path) -> Result<Vec<ResponseName>, DiskError> {
    let listing = match disk.list(&maildir.join(DIRECTORY)).await {
        Ok(listing) => listing,
        Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let files = listing
        .iter()
        .filter(|(_, kind)| matches!(kind, FileKind::File | FileKind::Unknown));
    let names =
        files.filter_map(|(name, _)| ResponseName::parse(std::str::from_utf8(name).ok()?).ok());
    let mut names: Vec<_> = names.collect();
    names.sort();
    Ok(names)
}

/// What the texts take: files of the directory without a dot in their names.
///
/// # Errors
/// What the disk says.
pub async fn usage(disk: &Disk, maildir: &Path) -> Result<Usage, DiskError> {
    usage_without(disk, maildir, None).await
}

async fn usage_without(
    disk: &Disk,
    maildir: &Path,
    left_out: Option<&ResponseName>,
) -> Result<Usage, DiskError> {
    let directory = maildir.join(DIRECTORY);
    let listing = match disk.list(&directory).await {
        Ok(listing) => listing,
        Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(Usage::default()),
        Err(error) => return Err(error),
    };
    let left_out = left_out.map(|name| name.as_str().as_bytes());
    let counted = listing
        .iter()
        .map(|(name, _)| name)
        .filter(|name| !name.contains(&b'.') && Some(*name) != left_out);
    let stats = counted.map(|name| Op::Stat(directory.join(OsStr::from_bytes(name))));
    let mut usage = Usage::default();
    for outcome in disk.run(stats.collect()).await {
        match outcome {
            Ok(Reply::Meta(meta)) if meta.kind == FileKind::File => usage.add(meta.length),
            Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(usage)
}

/// Reads a text; nothing if there is none of this name.
///
/// # Errors
/// What the disk says.
pub async fn load(
    disk: &Disk,
    maildir: &Path,
    name: &ResponseName,
) -> Result<Option<Vec<u8>>, DiskError> {
    match disk.read(&name.path(maildir), 0..LIMIT).await {
        Ok(octets) => Ok(Some(octets)),
        Err(error) if error.kind == DiskErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a text in the place of one of the same name; durable.
///
/// # Errors
/// When the quota does not allow it, another session does not let us, or the disk
/// refuses: the old text is then there as before, or, of a directory that failed to
/// sync, the new one.
pub async fn save(
    disk: &Disk,
    maildir: &Path,
    name: &ResponseName,
    text: Content,
    quota: Quota,
    writer: &Writer,
) -> Result<(), ResponseError> {
    locked(disk, maildir, writer, async {
        let directory = maildir.join(DIRECTORY);
        let made = Op::Mkdir {
            path: directory.clone(),
            mode: 0o700,
        };
        match disk.one(made).await {
            Ok(_) => drop(disk.one(Op::SyncDir(maildir.to_path_buf())).await?),
            Err(error) if error.kind == DiskErrorKind::Exists => {}
            Err(error) => return Err(error.into()),
        }
        let fresh = name.beside(maildir, "tmp");
        // Left by a session that ended in the midst: we hold the lock.
        disk.one(Op::Unlink(fresh.clone())).await.ok();
        let size = text.sizes().file;
        let create = Op::Create {
            path: fresh.clone(),
            content: text.pieces().to_vec(),
            mode: 0o600,
            durability: Durability::Synced,
        };
        disk.one(create).await?;
        let finished = async {
            let mut usage = usage_without(disk, maildir, Some(name)).await?;
            usage.add(size);
            if !quota.allows(usage) {
                return Err(ResponseError::OverQuota { usage, quota });
            }
            let rename = Op::Rename {
                from: fresh.clone(),
                to: name.path(maildir),
            };
            disk.one(rename).await?;
            disk.one(Op::SyncDir(directory)).await?;
            Ok(())
        }
        .await;
        if finished.is_err() {
            disk.one(Op::Unlink(fresh)).await.ok();
        }
        finished
    })
    .await
}

/// Removes a text with mailbot's memory of it; durable. `false` if there was none.
///
/// # Errors
/// When another session does not let us, or the disk refuses.
pub async fn remove(
    disk: &Disk,
    maildir: &Path,
    name: &ResponseName,
    writer: &Writer,
) -> Result<bool, ResponseError> {
    locked(disk, maildir, writer, async {
        let there = match disk.one(Op::Unlink(name.path(maildir))).await {
            Ok(_) => true,
            Err(error) if error.kind == DiskErrorKind::NotFound => false,
            Err(error) => return Err(error.into()),
        };
        disk.one(Op::Unlink(name.beside(maildir, "dat"))).await.ok();
        if there {
            disk.one(Op::SyncDir(maildir.join(DIRECTORY))).await?;
        }
        Ok(there)
    })
    .await
}

async fn locked<T>(
    disk: &Disk,
    maildir: &Path,
    writer: &Writer,
    work: impl Future<Output = Result<T, ResponseError>>,
) -> Result<T, ResponseError> {
    let tmp = maildir.join("tmp");
    let lock = Lock::take(disk, &tmp, LOCK, writer, lock::PATIENCE).await?;
    let result = work.await;
    lock.release(disk).await;
    result
}

/// Not the folder's own lock: a scan must not hold up a page.
const LOCK: &str = "courier-autoresponses.lock";

/// Octets of a text that are read.
const LIMIT: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::tests::writer;
    use courier_core::disk;
    use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};

    const M: &str = "/m";

    fn name(text: &str) -> ResponseName {
        ResponseName::parse(text).expect("a name")
    }

    fn write(
        disk: &mut MemDisk,
        text: &str,
        octets: &[u8],
        quota: &str,
    ) -> Result<(), ResponseError> {
        let (writer, name) = (writer(disk.now()), name(text));
        let (content, quota) = (
            Content::default().octets(octets),
            Quota::parse(quota.as_bytes()),
        );
        disk.run(disk::task(|disk| async move {
            save(&disk, Path::new(M), &name, content, quota, &writer).await
        }))
    }

    fn start() -> MemDisk {
        let mut disk = MemDisk::new();
        disk.plant_directory("/m/tmp");
        disk
    }

    #[test]
    fn names_mean_nothing_to_shells_and_file_systems() {
        for text in ["vacation", "a-b_c", "é", "50%"] {
            assert!(ResponseName::parse(text).is_ok(), "{text}");
        }
        for text in [
            "", ".", "a.b", "a/b", "a b", "a\tb", "a'", "a\"", "*", "?", "[", "]", "~", "$a",
        ] {
            assert_eq!(ResponseName::parse(text), Err(ResponseNameError), "{text}");
        }
    }

    #[test]
    fn texts_are_kept_within_their_quota() {
        let mut disk = start();
        assert_eq!(write(&mut disk, "a", b"12345", "C2S10"), Ok(()));
        assert_eq!(write(&mut disk, "b", b"12345", "C2S10"), Ok(()));
        let refused = write(&mut disk, "b", b"123456", "C2S10");
        assert!(matches!(refused, Err(ResponseError::OverQuota { .. })));
        let refused = write(&mut disk, "c", b"", "C2S10");
        assert!(matches!(refused, Err(ResponseError::OverQuota { .. })));
        assert_eq!(disk.names("/m/autoresponses"), ["a", "b"]);
        // The new text takes the place of the old one in the sum.
        assert_eq!(write(&mut disk, "a", b"54321", "C2S10"), Ok(()));
        assert_eq!(
            disk.meta("/m/autoresponses").map(|meta| meta.mode),
            Some(0o700)
        );
        let mut disk = disk.crash_losing_all();
        let all = disk.run(disk::task(
            |disk| async move { list(&disk, Path::new(M)).await },
        ));
        assert_eq!(all, Ok(vec![name("a"), name("b")]));
        assert_eq!(
            disk.contents("/m/autoresponses/a").as_deref(),
            Some(b"54321".as_ref())
        );
    }

    #[test]
    fn a_text_goes_with_its_memory() {
        let mut disk = start();
        write(&mut disk, "a", b"1", "").expect("written");
        disk.plant_file("/m/autoresponses/a.dat", b"x");
        for there in [true, false] {
            let writer = writer(disk.now());
            let task =
                disk::task(
                    |disk| async move { remove(&disk, Path::new(M), &name("a"), &writer).await },
                );
            assert_eq!(disk.run(task), Ok(there));
        }
        assert!(disk.names("/m/autoresponses").is_empty());
    }

    #[test]
    fn a_crash_or_an_error_leaves_the_old_text_or_the_new_one() {
        let mut start = start();
        write(&mut start, "a", b"old", "").expect("written");
        start.sync_all();
        let writer = writer(start.now());
        let task = |promises: Promises<()>| {
            let writer = writer.clone();
            disk::task(|disk| async move {
                let content = Content::default().octets(&b"new"[..]);
                save(
                    &disk,
                    Path::new(M),
                    &name("a"),
                    content,
                    Quota::default(),
                    &writer,
                )
                .await?;
                promises.make(());
                Ok::<(), ResponseError>(())
            })
        };
        let check = |disk: &MemDisk, promised: bool| {
            let there = disk.contents("/m/autoresponses/a").expect("a text");
            assert!(
                there == b"new" || !promised && there == b"old",
                "{}",
                disk.show()
            );
        };
        crash_everywhere(&start, task, |disk, promises| {
            check(disk, !promises.is_empty())
        });
        fail_everywhere(&start, task, |disk, given, _| check(disk, given.is_ok()));
    }
}
