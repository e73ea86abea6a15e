//! What sessions saw of folders last, for those that come after them and beside them: a
//! folder that has not changed is opened without reading anything, and its names are in
//! memory once, however many sessions have it open.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use courier_core::disk::{self, Disk};
use courier_maildir::folder::FolderPath;
use courier_maildir::mailbox::{self, Access, Changes, MailboxError, Snapshot};
use courier_maildir::writer::Writer;

use crate::disk::Disks;

/// Folders as they were last seen by anybody. A clone is the same.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    folders: HashMap<PathBuf, Kept>,
    sessions: HashMap<PathBuf, usize>,
    memory: usize,
    uses: u64,
}

#[derive(Debug)]
struct Kept {
    snapshot: Snapshot,
    memory: usize,
    used: u64,
}

impl Seen {
    /// The folder as it was seen last.
    fn recall(&self, folder: &FolderPath) -> Option<Snapshot> {
        let mut state = self.lock();
        state.uses += 1;
        let now = state.uses;
        let kept = state.folders.get_mut(folder.path())?;
        kept.used = now;
        Some(kept.snapshot.clone())
    }

    /// Remembers how a folder was seen.
    pub(super) fn keep(&self, snapshot: &Snapshot) {
        let Some(snapshot) = snapshot.share() else {
            return;
        };
        let mut state = self.lock();
        state.uses += 1;
        let (memory, used) = (snapshot.memory() + KEPT, state.uses);
        let path = snapshot.folder().path().to_path_buf();
        if memory > MEMORY / 4 {
            // It would push out the folders of everybody else.
            return state.forget(&path);
        }
        let kept = Kept {
            snapshot,
            memory,
            used,
        };
        state.memory += memory;
        if let Some(before) = state.folders.insert(path, kept) {
            state.memory -= before.memory;
        }
        state.shrink();
    }

    /// Opens a folder, from what was seen of it if that goes.
    ///
    /// # Errors
    /// As [`mailbox::open`].
    pub(super) async fn open(
        &self,
        disk: &Disk,
        folder: &FolderPath,
        access: Access,
        writer: &Writer,
    ) -> Result<Snapshot, MailboxError> {
        let again = match self.recall(folder) {
            Some(seen) => Some(mailbox::reopen(disk, seen, access, writer).await),
            None => None,
        };
        let snapshot = match again {
            Some(Ok(snapshot)) => snapshot,
            // Who waited for the lock need not wait again.
            Some(Err(error @ MailboxError::Lock(_))) => return Err(error),
            Some(Err(_)) | None => mailbox::open(disk, folder, access, writer).await?,
        };
        self.keep(&snapshot);
        Ok(snapshot)
    }

    /// Writes the index of a folder that wants one, while its session goes on.
    pub(super) fn index(&self, disks: &Disks, snapshot: &mut Snapshot, writer: &Writer) {
        if !snapshot.wants_index() {
            return;
        }
        snapshot.mark_indexed();
        if let Some(kept) = self.lock().folders.get_mut(snapshot.folder().path()) {
            kept.snapshot.mark_indexed();
        }
        let (disks, snapshot, writer) = (disks.clone(), snapshot.clone(), writer.clone());
        tokio::spawn(async move {
            let save = disk::task(|disk| async move {
                mailbox::save_index(&disk, &snapshot, &writer).await;
            });
            disks.run(save).await;
        });
    }

    /// What has happened in a folder since a session looked last.
    ///
    /// # Errors
    /// As [`mailbox::refresh`].
    pub(super) async fn refresh(
        &self,
        disk: &Disk,
        snapshot: &mut Snapshot,
        writer: &Writer,
    ) -> Result<Changes, MailboxError> {
        if mailbox::is_unchanged(disk, snapshot, writer).await? {
            return Ok(Changes::default());
        }
        if let Some(mut seen) = self.recall(snapshot.folder()) {
            seen.set_access(snapshot.access());
            if mailbox::look_again(disk, &mut seen, writer).await.is_ok()
                && let Some(changes) = snapshot.follow(&seen)
            {
                self.keep(&seen);
                return Ok(changes);
            }
        }
        let changes = mailbox::refresh(disk, snapshot, writer).await?;
        self.keep(snapshot);
        Ok(changes)
    }

    /// Counts a session in, until the answer is dropped.
    pub(super) fn enter(&self, folder: &FolderPath) -> Entered {
        let path = folder.path().to_path_buf();
        *self.lock().sessions.entry(path.clone()).or_default() += 1;
        Entered {
            seen: self.clone(),
            path,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets what was not asked for the longest.
    fn shrink(&mut self) {
        while self.memory > MEMORY || self.folders.len() > FOLDERS {
            let oldest = self.folders.iter().min_by_key(|(_, kept)| kept.used);
            let Some(path) = oldest.map(|(path, _)| path.clone()) else {
                return;
            };
            self.forget(&path);
        }
    }

    fn forget(&mut self, path: &Path) {
        if let Some(kept) = self.folders.remove(path) {
            self.memory -= kept.memory;
        }
    }
}

/// A session that has a folder open.
#[derive(Debug)]
pub(super) struct Entered {
    seen: Seen,
    path: PathBuf,
}

impl Entered {
    /// Whether other sessions have it open too.
    pub(super) fn is_shared(&self) -> bool {
        let state = self.seen.lock();
        state
            .sessions
            .get(&self.path)
            .is_some_and(|count| *count > 1)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut state = self.seen.lock();
        if let Some(count) = state.sessions.get_mut(&self.path) {
            *count -= 1;
            if *count == 0 {
                state.sessions.remove(&self.path);
            }
        }
    }
}

/// Octets that are kept; a folder of a hundred thousand messages takes some ten million.
const MEMORY: usize = 128 << 20;
/// Folders that are kept, and octets that each takes beside its names.
const FOLDERS: usize = 4096;
const KEPT: usize = 1024;
