//! A model of a POSIX file system with a volatile cache, which can be crashed.
//!
//! What a task does is seen at once by everybody, as on a real system, but the
//! model also knows what has been synced. [`MemDisk::crashes`] gives the states in
//! which a crash at this moment may leave the disk:
//!
//! - The contents of a file survive from `Durability::Synced` or [`Op::Sync`] on; a
//!   name (made, renamed, removed) from [`Op::SyncDir`] of its directory on. The one
//!   does not bring the other.
//! - Each change that was not synced may survive or be lost, whatever became of the
//!   others. A write may also be torn, and one that makes a file longer may leave
//!   zeroes or noise in the new part.
//! - A rename survives whole or not at all.
//!
//! That is harsher than most file systems are and no harsher than POSIX allows.

mod operations;
mod pages;
mod tree;
mod unsynced;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use operations::later;
use pages::Pages;
use tree::{Contents, Edit, Inode, Node, Place, ROOT, Tree};
use unsynced::{DataChange, Unsynced, mix};

use crate::disk::{
    DiskErrorKind, DiskTask, Durability, FileKind, Listing, LockId, Meta, Octets, Op, Outcome,
    Piece, Reply,
};
use crate::task::Step;
use crate::time::{Millis, Timestamp};

/// The model: see the head of `mem_disk`. A clone is a snapshot.
#[derive(Debug, Clone)]
pub struct MemDisk {
    /// What everybody sees.
    cached: Tree,
    /// What is on the platter.
    durable: Tree,
    /// What stands between the two.
    unsynced: Unsynced,
    last_inode: Inode,
    clock: Timestamp,
    locks: BTreeMap<LockId, Lock>,
    last_lock: u64,
    order: BatchOrder,
    counts: Counts,
    /// Octets that all files together may have.
    capacity: Option<u64>,
    used: u64,
}

/// What a disk has been asked to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Batches that were not empty.
    pub batches: u64,
    /// Operations.
    pub operations: u64,
    /// Syncs of a file's contents, by [`Op::Sync`] or with a write.
    pub syncs: u64,
    /// Syncs of a directory.
    pub directory_syncs: u64,
    /// Octets that were written.
    pub written: u64,
    /// Octets that were read.
    pub read: u64,
}

/// In which order the operations of a batch are carried out; a task may not care.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BatchOrder {
    /// As they stand in the batch.
    #[default]
    Forward,
    /// The last one first.
    Reversed,
}

/// A lock on a file.
#[derive(Debug, Clone, Copy)]
struct Lock {
    inode: Inode,
    /// When another process that holds it lets go; never, if it does not say.
    until: Option<Timestamp>,
}

/// What an operation that was carried out must still sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    Nothing,
    Data(Inode),
    Entries(Inode),
}

impl Default for MemDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl MemDisk {
    /// An empty file system, at a fixed moment.
    #[must_use]
    pub fn new() -> Self {
        let clock = Timestamp {
            seconds: 1_700_000_000,
            nanos: 0,
        };
        Self {
            cached: Tree::new(clock),
            durable: Tree::new(clock),
            unsynced: Unsynced::default(),
            last_inode: ROOT,
            clock,
            locks: BTreeMap::new(),
            last_lock: 0,
            order: BatchOrder::Forward,
            counts: Counts::default(),
            capacity: None,
            used: 0,
        }
    }

    /// Runs a task to its end.
    pub fn run<T>(&mut self, task: DiskTask<'_, T>) -> T {
        match self.run_until(u64::MAX, task) {
            Some(value) => value,
            None => unreachable!("no task asks for so many operations"),
        }
    }

    /// Runs a task until so many steps are done, and cuts it off there; `None` if it
    /// was cut off. An operation is a step, and its sync is another; so a crash in
    /// the midst of a batch or between a write and its sync is at hand as well.
    ///
    /// The disk is left as others saw it at that moment, without the locks of the
    /// task: as after `kill -9`. [`Self::crashes`] tells what a loss of power leaves.
    pub fn run_until<T>(&mut self, mut steps: u64, mut task: DiskTask<'_, T>) -> Option<T> {
        let mut step = task.start();
        loop {
            match step {
                Step::Done(value) => return Some(value),
                Step::Ask(batch) => match self.carry_out_batch(&batch, &mut steps) {
                    Some(outcomes) => step = task.next(outcomes),
                    None => {
                        self.release_locks();
                        return None;
                    }
                },
            }
        }
    }

    /// The process ends: its locks are free.
    pub fn release_locks(&mut self) {
        self.locks.retain(|_, lock| lock.until.is_some());
    }

    /// Carries out one operation; for tests that drive tasks by hand.
    pub fn carry_out(&mut self, op: &Op) -> Outcome {
        self.counts.operations += 1;
        let (reply, flush) = self.effects(op).map_err(|kind| op.error(kind))?;
        self.flush(flush);
        Ok(reply)
    }

    fn carry_out_batch(&mut self, batch: &[Op], steps: &mut u64) -> Option<Vec<Outcome>> {
        self.counts.batches += 1;
        let reversed = self.order == BatchOrder::Reversed;
        let mut outcomes = Vec::with_capacity(batch.len());
        for at in 0..batch.len() {
            let at = if reversed { batch.len() - 1 - at } else { at };
            outcomes.push(self.carry_out_step(batch.get(at)?, steps)?);
        }
        if reversed {
            outcomes.reverse();
        }
        Some(outcomes)
    }

    fn carry_out_step(&mut self, op: &Op, steps: &mut u64) -> Option<Outcome> {
        *steps = steps.checked_sub(1)?;
        self.counts.operations += 1;
        let (reply, flush) = match self.effects(op) {
            Ok(done) => done,
            Err(kind) => return Some(Err(op.error(kind))),
        };
        if flush != Flush::Nothing {
            *steps = steps.checked_sub(1)?;
            self.flush(flush);
        }
        Some(Ok(reply))
    }

    /// The states in which a loss of power at this moment may leave the disk, each
    /// as after the next start: every choice of what survives if up to 12 changes
    /// are not synced, and a sample, the same each time, of more.
    pub fn crashes(&self) -> impl Iterator<Item = Self> {
        let seed = mix(self.counts.operations);
        let states = self.unsynced.crashes(&self.durable, seed);
        states.map(|tree| self.restarted(tree))
    }

    /// A loss of power that takes everything that was not synced.
    #[must_use]
    pub fn crash_losing_all(&self) -> Self {
        self.restarted(self.unsynced.crash_all(&self.durable, false))
    }

    /// A loss of power that takes nothing.
    #[must_use]
    pub fn crash_losing_nothing(&self) -> Self {
        self.restarted(self.unsynced.crash_all(&self.durable, true))
    }

    fn restarted(&self, tree: Tree) -> Self {
        Self {
            used: tree.octets(),
            cached: tree.clone(),
            durable: tree,
            unsynced: Unsynced::default(),
            last_inode: self.last_inode,
            clock: self.clock,
            locks: BTreeMap::new(),
            last_lock: self.last_lock,
            order: self.order,
            counts: Counts::default(),
            capacity: self.capacity,
        }
    }

    /// Number of changes that a crash might lose.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.unsynced.count()
    }

    /// Makes everything durable, as `sync(2)` does.
    pub fn sync_all(&mut self) {
        self.durable = self.cached.clone();
        self.unsynced = Unsynced::default();
    }

    /// The time of the file system. It stands still between operations, so that
    /// changes made close together cannot be told apart by their times.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock
    }

    /// Sets the time, forward or back.
    pub fn set_time(&mut self, now: Timestamp) {
        self.clock = now;
    }

    /// Lets time pass.
    pub fn advance(&mut self, time: Millis) {
        self.clock = later(self.clock, time);
    }

    /// Sets in which order the operations of a batch are carried out.
    pub fn set_order(&mut self, order: BatchOrder) {
        self.order = order;
    }

    /// Limits the octets of all files together; writes beyond fail with
    /// [`DiskErrorKind::NoSpace`]. `None` lifts the limit.
    pub fn set_capacity(&mut self, octets: Option<u64>) {
        self.capacity = octets;
    }

    /// What has been asked of the disk since it was made, restarted, or
    /// [`Self::reset_counts`].
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Begins to count anew.
    pub fn reset_counts(&mut self) {
        self.counts = Counts::default();
    }
}

/// Looking at the disk and preparing it, for tests: none of this is counted, and
/// what is planted is durable at once.
impl MemDisk {
    /// Makes a directory and those above it.
    ///
    /// # Panics
    /// If something else has the name.
    pub fn plant_directory(&mut self, path: impl AsRef<Path>) {
        for directory in path.as_ref().ancestors().collect::<Vec<_>>().iter().rev() {
            match self.cached.find(directory) {
                Ok(Place { inode: None, .. }) => {
                    self.plant(directory, Contents::Directory(BTreeMap::new()), 0o700);
                }
                found => assert!(found.is_ok(), "cannot plant {}", directory.display()),
            }
        }
    }

    /// Makes a file, and directories for it; in place of a file of that name.
    ///
    /// # Panics
    /// If the name is not possible.
    pub fn plant_file(&mut self, path: impl AsRef<Path>, octets: &[u8]) {
        let mut pages = Pages::default();
        pages.write(0, octets);
        self.used += pages.length();
        self.plant_in_directory(path.as_ref(), Contents::File(pages));
    }

    /// Makes a symbolic link, and directories for it.
    ///
    /// # Panics
    /// If the name is not possible.
    pub fn plant_link(&mut self, path: impl AsRef<Path>, target: impl Into<PathBuf>) {
        self.plant_in_directory(path.as_ref(), Contents::Link(target.into()));
    }

    /// Makes a FIFO, and directories for it.
    ///
    /// # Panics
    /// If the name is not possible.
    pub fn plant_fifo(&mut self, path: impl AsRef<Path>) {
        self.plant_in_directory(path.as_ref(), Contents::Other);
    }

    fn plant_in_directory(&mut self, path: &Path, contents: Contents) {
        self.plant_directory(path.parent().unwrap_or(Path::new("/")));
        self.plant(path, contents, 0o600);
    }

    fn plant(&mut self, path: &Path, contents: Contents, mode: u32) {
        let place = self.cached.find(path);
        let Ok(place) = place else {
            panic!("cannot plant {}: {place:?}", path.display())
        };
        let inode = self.add_node(contents, mode);
        let edits = [place.stands_for(Some(inode))];
        if let Some(node) = self.cached.node(inode) {
            self.durable.add_node(inode, node.clone());
        }
        self.cached.edit(&edits, self.clock);
        self.durable.edit(&edits, self.clock);
    }

    /// The whole contents of a regular file; `None` if there is none of that name.
    #[must_use]
    pub fn contents(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let (_, pages) = self.cached.file(path.as_ref()).ok()?;
        Some(pages.read(0..u64::MAX))
    }

    /// What a name stands for.
    #[must_use]
    pub fn meta(&self, path: impl AsRef<Path>) -> Option<Meta> {
        let (inode, node) = self.cached.existing(path.as_ref()).ok()?;
        Some(node.meta(inode))
    }

    /// The names in a directory, sorted; none if it is not there.
    #[must_use]
    pub fn names(&self, directory: impl AsRef<Path>) -> Vec<String> {
        let names = self.cached.directory(directory.as_ref()).ok();
        let names = names.iter().flat_map(|(_, entries)| entries.keys());
        names
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect()
    }

    /// Every file, directory and link, from the root down, as text: for messages of
    /// tests and for comparing two disks.
    #[must_use]
    pub fn show(&self) -> String {
        let mut text = String::new();
        for (path, node) in self.cached.walk() {
            let rest = match &node.contents {
                Contents::File(pages) => format!(" ({} octets)", pages.length()),
                Contents::Directory(_) => "/".to_owned(),
                Contents::Link(target) => format!(" -> {}", target.display()),
                Contents::Other => " (special)".to_owned(),
            };
            text.push_str(&format!("{}{rest}\n", path.display()));
        }
        text
    }

    /// Another process takes a lock on a file, and holds it for so long.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn lock_by_another(&mut self, path: impl AsRef<Path>, time: Millis) {
        let found = self.cached.existing(path.as_ref()).map(|(inode, _)| inode);
        let Ok(inode) = found else {
            panic!("cannot lock {}: {found:?}", path.as_ref().display())
        };
        let until = Some(later(self.clock, time));
        self.add_lock(Lock { inode, until });
    }
}

#[cfg(test)]
mod tests;
