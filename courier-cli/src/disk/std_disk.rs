//! The driver that carries a task out on the calling thread.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use courier_core::disk::{DiskTask, Durability, LockId, Octets, Op, Outcome, Reply};
use courier_core::task::Step;
use courier_core::time::Timestamp;
use rustix::fs::{AtFlags, CWD, OFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use super::batch::{Batch, Progress};
use super::kept::Kept;
use super::lock::Locks;
use super::together::Together;
use super::{create, directory, error, open, write};
use crate::pool::Pool;

/// The file systems of this machine. A clone is the same driver: it shares the locks
/// that tasks hold and the files that are kept open.
#[derive(Debug, Clone)]
pub struct StdDisk {
    driver: Arc<Driver>,
}

#[derive(Debug)]
struct Driver {
    kept: Kept,
    locks: Locks,
    together: Together,
    pool: Pool,
}

impl StdDisk {
    /// A driver with at most so many threads of its own, which are started when a
    /// batch with several syncs, or [`super::Disks`], first needs them.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self {
            driver: Arc::new(Driver {
                kept: Kept::default(),
                locks: Locks::default(),
                together: Together::default(),
                pool: Pool::new("disk", threads),
            }),
        }
    }

    /// Runs a task to its end and waits for it.
    pub fn run<T>(&self, task: DiskTask<'_, T>) -> T {
        let mut run = Run::new(self.clone(), task);
        loop {
            match run.advance() {
                Leg::Done(value) => return value,
                Leg::Waits(until) => {
                    thread::sleep(until.saturating_duration_since(Instant::now()));
                }
            }
        }
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.driver.pool
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.driver.kept.count()
    }

    pub(super) fn locks(&self) -> &Locks {
        &self.driver.locks
    }

    pub(super) fn together(&self) -> &Together {
        &self.driver.together
    }

    /// Carries out one operation that waits for nobody; locks and pauses are the
    /// batch's.
    pub(super) fn carry_out(&self, op: &Op) -> Outcome {
        let reply = match op {
            Op::Create {
                path,
                content,
                mode,
                durability,
            } => create::create(path, content, *mode, *durability).map(Reply::Meta),
            Op::Allocate { path, length, mode } => {
                create::allocate(path, *length, *mode).map(Reply::Meta)
            }
            Op::Read { path, range } => read(path, range).map(Reply::Octets),
            Op::List(path) => directory::list(path).map(Reply::Listing),
            Op::Stat(path) => {
                fs::symlink_metadata(path).map(|facts| Reply::Meta(open::meta(&facts)))
            }
            Op::Resolve(path) => fs::canonicalize(path).map(Reply::Path),
            Op::ReadLink(path) => fs::read_link(path).map(Reply::Path),
            _ => self.change(op).map(|()| Reply::Done),
        };
        reply.map_err(|error| op.error(error::kind(&error)))
    }

    /// Operations on names that are there already, which give nothing but success.
    fn change(&self, op: &Op) -> io::Result<()> {
        match op {
            Op::Append {
                path,
                octets,
                durability,
            } => append(path, octets, *durability),
            Op::WriteAt {
                path,
                offset,
                octets,
                durability,
            } => self.write_at(path, *offset, octets, *durability),
            Op::Sync(path) => self.sync(path),
            Op::SyncDir(path) => open::directory(path)?.sync_all(),
            Op::Rename { from, to } => {
                let renamed = fs::rename(from, to);
                self.driver.kept.forget(from);
                self.driver.kept.forget(to);
                renamed
            }
            Op::Link { from, to } => fs::hard_link(from, to),
            Op::Symlink { target, path } => std::os::unix::fs::symlink(target, path),
            Op::Unlink(path) => {
                let removed = fs::remove_file(path);
                self.driver.kept.forget(path);
                removed
            }
            Op::Mkdir { path, mode } => directory::make(path, *mode),
            Op::Rmdir(path) => directory::remove(path),
            Op::Truncate { path, length } => {
                let (file, _) = open::regular(path, OFlags::WRONLY)?;
                file.set_len(*length)
            }
            Op::SetModified { path, time } => set_modified(path, *time),
            Op::Unlock(id) => self.driver.locks.release(*id),
            _ => Err(Errno::NOSYS.into()),
        }
    }

    fn write_at(
        &self,
        path: &Path,
        offset: u64,
        octets: &[Octets],
        durability: Durability,
    ) -> io::Result<()> {
        let file = self.driver.kept.writer(path)?;
        write::write_at(&file, offset, octets)?;
        sync_if(&file, durability)
    }

    /// Syncs through the descriptor that wrote, if there is one: a failure of the
    /// system to write back is told to that one for certain.
    fn sync(&self, path: &Path) -> io::Result<()> {
        match self.driver.kept.find(path)? {
            Some(file) => file.sync_data(),
            None => open::regular(path, OFlags::RDONLY)?.0.sync_data(),
        }
    }
}

fn append(path: &Path, octets: &[u8], durability: Durability) -> io::Result<()> {
    let (file, _) = open::regular(path, OFlags::WRONLY | OFlags::APPEND)?;
    write::append(&file, octets)?;
    sync_if(&file, durability)
}

fn sync_if(file: &fs::File, durability: Durability) -> io::Result<()> {
    match durability {
        Durability::Synced => file.sync_data(),
        Durability::Volatile => Ok(()),
    }
}

fn read(path: &Path, range: &Range<u64>) -> io::Result<Vec<u8>> {
    let (file, facts) = open::regular(path, OFlags::RDONLY)?;
    let end = range.end.min(facts.len());
    let wanted = usize::try_from(end.saturating_sub(range.start));
    let wanted = wanted.map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut octets = Vec::new();
    octets.try_reserve_exact(wanted)?;
    while octets.len() < wanted {
        let at = range.start + octets.len() as u64;
        match rustix::io::pread(&file, rustix::buffer::spare_capacity(&mut octets), at) {
            Ok(0) => break, // it was cut meanwhile
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    octets.truncate(wanted);
    Ok(octets)
}

fn set_modified(path: &Path, time: Timestamp) -> io::Result<()> {
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: time.seconds,
            tv_nsec: time.nanos.into(),
        },
    };
    Ok(rustix::fs::utimensat(
        CWD,
        path,
        &times,
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

/// A task on its way.
pub(super) struct Run<'a, T> {
    disk: StdDisk,
    task: DiskTask<'a, T>,
    batch: Option<Batch>,
    taken: Vec<LockId>,
}

/// How far a task has come.
pub(super) enum Leg<T> {
    /// To its end.
    Done(T),
    /// Nothing can be done before this time.
    Waits(Instant),
}

impl<'a, T> Run<'a, T> {
    pub(super) fn new(disk: StdDisk, task: DiskTask<'a, T>) -> Self {
        Self {
            disk,
            task,
            batch: None,
            taken: Vec::new(),
        }
    }

    pub(super) fn disk(&self) -> &StdDisk {
        &self.disk
    }

    /// Runs the task until it ends or must wait for a time or a lock.
    pub(super) fn advance(&mut self) -> Leg<T> {
        let mut step = match self.batch.take() {
            None => self.task.start(),
            Some(batch) => match self.carry_out(batch) {
                Ok(step) => step,
                Err(until) => return Leg::Waits(until),
            },
        };
        loop {
            match step {
                Step::Done(value) => return Leg::Done(value),
                Step::Ask(ops) => match self.carry_out(Batch::new(ops)) {
                    Ok(next) => step = next,
                    Err(until) => return Leg::Waits(until),
                },
            }
        }
    }

    fn carry_out(&mut self, mut batch: Batch) -> Result<Step<Vec<Op>, T>, Instant> {
        match batch.advance(&self.disk, &mut self.taken) {
            Progress::Done(outcomes) => Ok(self.task.next(outcomes)),
            Progress::Waits(until) => {
                self.batch = Some(batch);
                Err(until)
            }
        }
    }
}

/// A task that panics gives back its locks, or nobody would ever have them again.
impl<T> Drop for Run<'_, T> {
    fn drop(&mut self) {
        if thread::panicking() {
            for id in self.taken.drain(..) {
                self.disk.locks().release(id).ok();
            }
        }
    }
}
