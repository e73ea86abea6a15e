//! Files that are kept open between operations: those written in place, which is
//! above all the journal's segment. Its writes and syncs then open nothing, and a
//! failed write-back is told to the descriptor that wrote.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::OFlags;

use super::open;

/// The files written last, the latest at the end.
#[derive(Debug, Default)]
pub(super) struct Kept {
    files: Mutex<Vec<KeptFile>>,
}

#[derive(Debug)]
struct KeptFile {
    path: PathBuf,
    identity: (u64, u64),
    file: Arc<File>,
}

impl Kept {
    /// The file of this name, opened for writing.
    pub(super) fn writer(&self, path: &Path) -> io::Result<Arc<File>> {
        if let Some(file) = self.find(path)? {
            return Ok(file);
        }
        let (file, facts) = open::regular(path, OFlags::WRONLY)?;
        let file = Arc::new(file);
        let kept = KeptFile {
            path: path.to_path_buf(),
            identity: open::identity(&facts),
            file: Arc::clone(&file),
        };
        let mut files = self.lock();
        files.retain(|other| other.path != path);
        if files.len() >= LIMIT {
            files.remove(0);
        }
        files.push(kept);
        Ok(file)
    }

    /// The file of this name if it is open. Another process may have put another
    /// file in its place; so the name is looked up each time.
    pub(super) fn find(&self, path: &Path) -> io::Result<Option<Arc<File>>> {
        let Some((identity, file)) = self.recall(path) else {
            return Ok(None);
        };
        let found = fs::symlink_metadata(path);
        if found
            .as_ref()
            .is_ok_and(|facts| open::identity(facts) == identity)
        {
            return Ok(Some(file));
        }
        self.forget(path);
        found.map(|_| None)
    }

    fn recall(&self, path: &Path) -> Option<((u64, u64), Arc<File>)> {
        let mut files = self.lock();
        let place = files.iter().position(|kept| kept.path == path)?;
        let latest = files.len() - 1;
        if place != latest {
            let kept = files.remove(place);
            files.push(kept);
        }
        let kept = files.last()?;
        Some((kept.identity, Arc::clone(&kept.file)))
    }

    /// Closes the file of this name, and those in the directory of this name: what
    /// stands under it changes.
    pub(super) fn forget(&self, path: &Path) {
        let mut files = self.lock();
        let gone: Vec<_> = files
            .extract_if(.., |kept| kept.path.starts_with(path))
            .collect();
        drop(files);
        drop(gone); // unlocked: closing the last descriptor of a removed file may take long
    }

    fn lock(&self) -> MutexGuard<'_, Vec<KeptFile>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }
}

/// Files kept open at most.
const LIMIT: usize = 16;
