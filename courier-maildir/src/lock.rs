//! `tmp/courier.lock`: one process at a time changes a folder's state files.
//!
//! The lock is a file with two properties that even old network file systems keep:
//! it gets its name by `link`, and afterwards has two names. It holds `PID:HOST`. Real
//! Courier works by the same rules, so both may share a maildir. Whoever delivers
//! never takes it.

use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Durability, Op};
use courier_core::time::Millis;

use crate::replace::temporary;
use crate::writer::Writer;

/// The lock's name in `tmp`.
pub const FILE: &str = "courier.lock";

/// A lock this old was left behind, whoever holds it.
pub const STALE: Millis = Millis::from_secs(120);

/// How long a session waits for another before it gives up: longer than any lock
/// can be held.
pub(crate) const PATIENCE: Millis = Millis::from_secs(130);

/// Why a lock was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Somebody holds it and goes on holding it.
    #[error("{} is held by another session; try again later", path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// A lock that is held. It must be [released](Self::release).
#[derive(Debug)]
#[must_use = "a lock that is not released holds others up for two minutes"]
pub(crate) struct Lock {
    path: PathBuf,
    inode: u64,
    /// Somebody else held it when we came: what that one wrote may not be synced.
    pub(crate) contested: bool,
    /// That one never gave it back: what it wrote may be half done.
    pub(crate) abandoned: bool,
}

impl Lock {
    /// Takes the lock `name` in the directory `tmp`, waiting at most `patience`.
    ///
    /// # Errors
    /// When somebody holds it, or the disk refuses.
    pub(crate) async fn take(
        disk: &Disk,
        tmp: &Path,
        name: &str,
        writer: &Writer,
        patience: Millis,
    ) -> Result<Self, LockError> {
        let path = tmp.join(name);
        let (mut waited, mut pause) = (Millis(0), SHORTEST_PAUSE);
        let (mut contested, mut abandoned) = (false, false);
        loop {
            if let Some(inode) = attempt(disk, tmp, &path, writer).await? {
                return Ok(Self {
                    path,
                    inode,
                    contested,
                    abandoned,
                });
            }
            contested = true;
            match break_stale(disk, tmp, &path, writer, waited).await? {
                Broken::No => {}
                Broken::Gone => continue,
                Broken::Yes => {
                    abandoned = true;
                    continue;
                }
            }
            if waited >= patience {
                return Err(LockError::Busy { path });
            }
            disk.one(Op::Pause(pause)).await?;
            waited = waited + pause;
            pause = (pause + pause).min(LONGEST_PAUSE);
        }
    }

    /// Gives the lock back, if it is still ours.
    pub(crate) async fn release(self, disk: &Disk) {
        // Another may have found it stale meanwhile and taken it.
        let held = disk.stat(&self.path).await;
        if held.is_ok_and(|meta| meta.inode == self.inode) {
            disk.one(Op::Unlink(self.path)).await.ok();
        }
    }
}

const SHORTEST_PAUSE: Millis = Millis(10);
const LONGEST_PAUSE: Millis = Millis(200);

/// Makes a file and links it to the lock's name; gives its inode if that worked.
async fn attempt(
    disk: &Disk,
    tmp: &Path,
    path: &Path,
    writer: &Writer,
) -> Result<Option<u64>, DiskError> {
    let fresh = temporary(tmp, writer);
    let text = format!("{}:{}", writer.process, writer.host.as_str());
    disk.create(&fresh, text.into_bytes(), writer.mode, Durability::Volatile)
        .await?;
    let linked = disk
        .one(Op::Link {
            from: fresh.clone(),
            to: path.to_path_buf(),
        })
        .await;
    // A server that answers twice says EEXIST to its own success: the number of names
    // tells the truth.
    let meta = disk.stat(&fresh).await;
    disk.one(Op::Unlink(fresh)).await.ok();
    match (linked, meta) {
        (_, Ok(meta)) if meta.links == 2 => Ok(Some(meta.inode)),
        (Err(error), _) if error.kind != DiskErrorKind::Exists => Err(error),
        (Ok(_), Err(error)) => {
            disk.one(Op::Unlink(path.to_path_buf())).await.ok();
            Err(error)
        }
        _ => Ok(None),
    }
}

/// What became of a lock that another held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    /// It is held.
    No,
    /// It was given back meanwhile.
    Gone,
    /// Nobody could be holding it any more: it was removed.
    Yes,
}

/// Removes the lock if nobody can be holding it any more.
async fn break_stale(
    disk: &Disk,
    tmp: &Path,
    path: &Path,
    writer: &Writer,
    waited: Millis,
) -> Result<Broken, DiskError> {
    let (found, holder) = match (disk.stat(path).await, disk.read(path, 0..256).await) {
        (Ok(meta), Ok(holder)) => (meta, holder),
        (Err(error), _) | (_, Err(error)) if error.kind == DiskErrorKind::NotFound => {
            return Ok(Broken::Gone);
        }
        (Ok(meta), Err(_)) => (meta, Vec::new()),
        (Err(error), _) => return Err(error),
    };
    let dead = match parse_holder(&holder, writer) {
        Some(process) if process == writer.process => found.modified < writer.started,
        Some(process) => is_dead(disk, process, writer).await,
        None => false,
    };
    if !dead && !writer.is_past(found.modified, STALE, waited) {
        return Ok(Broken::No);
    }
    remove(disk, tmp, path, found.inode, writer).await
}

/// Who holds a lock.
#[derive(Debug)]
pub(crate) enum Holder {
    /// There is no lock.
    Nobody,
    /// Somebody who may be at work: what the lock says.
    Alive(Vec<u8>),
    /// Somebody who cannot be.
    Dead,
}

/// Looks who holds a lock.
///
/// # Errors
/// What the disk says.
pub(crate) async fn holder(disk: &Disk, path: &Path, writer: &Writer) -> Result<Holder, DiskError> {
    let found = match disk.stat(path).await {
        Ok(meta) => meta,
        Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(Holder::Nobody),
        Err(error) => return Err(error),
    };
    let text = disk.read(path, 0..256).await.unwrap_or_default();
    let dead = match parse_holder(&text, writer) {
        Some(process) if process == writer.process => found.modified < writer.started,
        Some(process) => is_dead(disk, process, writer).await,
        None => false,
    };
    Ok(
        match dead || writer.is_past(found.modified, STALE, Millis(0)) {
            true => Holder::Dead,
            false => Holder::Alive(text),
        },
    )
}

/// The process id in a lock of this host.
fn parse_holder(text: &[u8], writer: &Writer) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    let (process, host) = text.trim_end_matches(['\n', '\0']).split_once(':')?;
    (host == writer.host.as_str()).then(|| process.parse().ok())?
}

/// Whether a process of this host has ended, by the list that the system keeps of
/// them. Where there is no such list nobody is known to be dead.
async fn is_dead(disk: &Disk, process: u32, writer: &Writer) -> bool {
    let stat = |process: u32| Op::Stat(format!("/proc/{process}").into());
    let outcomes = disk.run(vec![stat(writer.process), stat(process)]).await;
    matches!(outcomes.as_slice(), [Ok(_), Err(error)] if error.kind == DiskErrorKind::NotFound)
}

/// Takes a stale lock away, but not a fresh one that came in its place meanwhile.
async fn remove(
    disk: &Disk,
    tmp: &Path,
    path: &Path,
    inode: u64,
    writer: &Writer,
) -> Result<Broken, DiskError> {
    let aside = temporary(tmp, writer);
    let rename = Op::Rename {
        from: path.to_path_buf(),
        to: aside.clone(),
    };
    match disk.one(rename).await {
        Ok(_) => {}
        Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(Broken::Gone),
        Err(error) => return Err(error),
    }
    let taken = disk.stat(&aside).await;
    if taken.is_ok_and(|meta| meta.inode != inode) {
        let back = Op::Link {
            from: aside.clone(),
            to: path.to_path_buf(),
        };
        disk.one(back).await.ok();
    }
    disk.one(Op::Unlink(aside)).await.ok();
    Ok(Broken::Yes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::HostName;
    use crate::writer::tests::writer;
    use courier_core::disk;
    use courier_core::testing::{MemDisk, Promises, fail_everywhere};
    use courier_core::time::Timestamp;

    const LOCK: &str = "/m/tmp/courier.lock";

    fn world() -> MemDisk {
        let mut disk = MemDisk::new();
        disk.plant_directory("/m/tmp");
        disk.plant_directory("/proc/100");
        disk.plant_directory("/proc/7");
        disk
    }

    fn take(disk: &mut MemDisk, writer: &Writer, patience: Millis) -> Result<Lock, LockError> {
        disk.run(disk::task(|disk| async move {
            Lock::take(&disk, Path::new("/m/tmp"), FILE, writer, patience).await
        }))
    }

    #[test]
    fn a_lock_is_a_file_of_its_own_that_names_its_holder() {
        let mut disk = world();
        let writer = writer(disk.now());
        let lock = take(&mut disk, &writer, Millis(0)).expect("free");
        assert!(!lock.contested);
        assert_eq!(disk.names("/m/tmp"), [FILE]);
        assert_eq!(disk.contents(LOCK).as_deref(), Some(b"100:mx".as_ref()));
        let busy = take(&mut disk, &writer, Millis::from_secs(5));
        assert!(matches!(busy, Err(LockError::Busy { .. })));
        assert_eq!(
            disk.names("/m/tmp"),
            [FILE],
            "nothing is left of the attempts"
        );
        disk.run(disk::task(|disk| async move { lock.release(&disk).await }));
        assert!(disk.names("/m/tmp").is_empty());
    }

    #[test]
    fn the_lock_of_a_dead_process_does_not_hold_us_up() {
        for (holder, alive) in [
            ("8:mx", false),
            ("7:mx", true),
            ("8:other", true),
            ("", true),
            ("x", true),
        ] {
            let mut disk = world();
            disk.plant_file(LOCK, holder.as_bytes());
            let writer = writer(disk.now());
            let taken = take(&mut disk, &writer, Millis(0));
            assert_eq!(taken.is_err(), alive, "{holder}");
            assert!(taken.is_err() || taken.is_ok_and(|lock| lock.contested && lock.abandoned));
        }
    }

    #[test]
    fn where_processes_cannot_be_seen_none_is_dead() {
        let mut disk = MemDisk::new();
        disk.plant_file(LOCK, b"8:mx");
        let early = writer(disk.now());
        take(&mut disk, &early, Millis::from_secs(60)).expect_err("perhaps alive");
        let late = writer(disk.now());
        assert!(
            take(&mut disk, &late, Millis::from_secs(60)).is_ok(),
            "older than two minutes"
        );
    }

    #[test]
    fn a_lock_of_an_earlier_life_with_our_own_number_is_stale() {
        let mut disk = world();
        disk.plant_file(LOCK, b"100:mx");
        let held = writer(disk.now());
        take(&mut disk, &held, Millis(0)).expect_err("our own");
        let later = Timestamp {
            seconds: disk.now().seconds + 1,
            nanos: 0,
        };
        let reborn = Writer::new(later, 100, HostName::new("mx"), 0o600);
        assert!(
            take(&mut disk, &reborn, Millis(0)).is_ok(),
            "of an earlier life"
        );
    }

    #[test]
    fn a_lock_that_another_took_over_is_not_given_back() {
        let mut disk = world();
        let writer = writer(disk.now());
        let lock = take(&mut disk, &writer, Millis(0)).expect("free");
        disk.plant_file("/m/other", b"7:mx");
        let (from, to) = ("/m/other".into(), LOCK.into());
        disk.carry_out(&Op::Rename { from, to })
            .expect("taken over");
        disk.run(disk::task(|disk| async move { lock.release(&disk).await }));
        assert_eq!(disk.contents(LOCK).as_deref(), Some(b"7:mx".as_ref()));
    }

    #[test]
    fn after_an_error_the_lock_can_be_taken() {
        let start = world();
        let held = writer(start.now());
        fail_everywhere(
            &start,
            |_: Promises<()>| {
                let writer = held.clone();
                disk::task(|disk| async move {
                    let tmp = Path::new("/m/tmp");
                    Lock::take(&disk, tmp, FILE, &writer, Millis(0)).await
                })
            },
            |disk, _, _| {
                // On a disk that fails for good even the removal may have failed.
                let writer = writer(disk.now());
                assert!(take(disk, &writer, PATIENCE).is_ok(), "free in the end");
            },
        );
    }
}
