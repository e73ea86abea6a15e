//! Locks by `flock(2)`: they hold against other processes and against other tasks of
//! this one, and the system gives them back when the process dies.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use courier_core::disk::LockId;
use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;

use super::open;

/// The locks that are held through a driver.
#[derive(Debug, Default)]
pub(super) struct Locks {
    last: AtomicU64,
    held: Mutex<HashMap<LockId, File>>,
}

impl Locks {
    /// Takes a lock if nobody holds it; `EAGAIN` if somebody does.
    pub(super) fn try_take(&self, path: &Path) -> io::Result<LockId> {
        for _ in 0..REPLACED {
            let (file, facts) = open_for_lock(path)?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            }
            // Whoever held the lock may have put another file under the name.
            let now = fs::symlink_metadata(path)?;
            if open::identity(&now) == open::identity(&facts) {
                let id = LockId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
                self.lock().insert(id, file);
                return Ok(id);
            }
        }
        Err(Errno::AGAIN.into())
    }

    /// Gives a lock back.
    pub(super) fn release(&self, id: LockId) -> io::Result<()> {
        let file = self.lock().remove(&id);
        file.map(drop).ok_or_else(|| Errno::NOENT.into())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LockId, File>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Network file systems lock only what is open for writing.
fn open_for_lock(path: &Path) -> io::Result<(File, fs::Metadata)> {
    match open::regular(path, OFlags::RDWR) {
        Err(error) if is_refusal(&error) => open::regular(path, OFlags::RDONLY),
        opened => opened,
    }
}

fn is_refusal(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::ACCESS | Errno::PERM | Errno::ROFS))
}

/// How often a file may be replaced while it is being locked.
const REPLACED: usize = 16;
