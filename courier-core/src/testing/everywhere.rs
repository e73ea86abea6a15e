//! Tests that cut a task off, or let it fail, at every place.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fault_disk::{Fault, FaultDisk, Lasting};
use super::mem_disk::{BatchOrder, MemDisk};
use crate::disk::DiskTask;

/// What a task has promised so far: said to be durable, or done.
#[derive(Debug)]
pub struct Promises<P>(Arc<Mutex<Vec<P>>>);

impl<P> Promises<P> {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Vec::new())))
    }

    /// Makes a promise, which [`crash_everywhere`] then holds the task to.
    pub fn make(&self, promise: P) {
        self.lock().push(promise);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<P>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P> Clone for Promises<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Runs a task from the state `start`, ends it by `kill -9` and by a loss of power
/// after every step (see [`MemDisk::run_until`]) with every choice of what survives
/// (see [`MemDisk::crashes`]), and lets `check` look at each disk and at what had
/// been promised before the end. Batches are carried out forward and reversed.
///
/// ```
/// use courier_core::disk::{self, Op};
/// use courier_core::testing::{MemDisk, crash_everywhere};
/// use std::path::{Path, PathBuf};
///
/// let mut start = MemDisk::new();
/// start.plant_directory("/new");
/// start.plant_file("/tmp/mail", b"text");
/// crash_everywhere(
///     &start,
///     |promises| {
///         disk::task(|disk| async move {
///             let (from, to) = (PathBuf::from("/tmp/mail"), PathBuf::from("/new/mail"));
///             disk.one(Op::Link { from, to }).await?;
///             disk.one(Op::SyncDir("/new".into())).await?;
///             promises.make("delivered");
///             Ok::<(), disk::DiskError>(())
///         })
///     },
///     |disk, promises| {
///         let there = disk.contents("/new/mail");
///         assert!(there.as_deref() == Some(b"text") || promises.is_empty());
///     },
/// );
/// ```
///
/// # Panics
/// If `check` does; the place is said on standard error.
pub fn crash_everywhere<P, T>(
    start: &MemDisk,
    task: impl Fn(Promises<P>) -> DiskTask<'static, T>,
    mut check: impl FnMut(&mut MemDisk, &[P]),
) {
    for order in [BatchOrder::Forward, BatchOrder::Reversed] {
        for steps in 0.. {
            let mut disk = start.clone();
            disk.set_order(order);
            disk.reset_counts();
            let promises = Promises::new();
            let ended = disk.run_until(steps, task(promises.clone())).is_some();
            let counts = disk.counts();
            let promises = promises.lock();
            {
                let _place = Place(&format_args!("{order:?}, killed after step {steps}"));
                check(&mut disk.clone(), &promises);
            }
            for (number, mut crashed) in disk.crashes().enumerate() {
                let at = format_args!("{order:?}, crash {number} after step {steps}");
                let _place = Place(&at);
                check(&mut crashed, &promises);
            }
            if ended && counts.batches == counts.operations {
                return; // no batch has an order
            }
            if ended {
                break;
            }
        }
    }
}

/// Runs a task from the state `start` once for every [`Fault`] at every operation
/// that it can strike, for a while and for good; then lets `check` look at the disk
/// (on which nothing fails any more), at what the task gave and at what it had
/// promised. `check` sees the disk as it is, and after a loss of power that takes
/// everything not synced, and one that takes nothing.
///
/// # Panics
/// If `check` does; the place is said on standard error.
pub fn fail_everywhere<P, T>(
    start: &MemDisk,
    task: impl Fn(Promises<P>) -> DiskTask<'static, T>,
    mut check: impl FnMut(&mut MemDisk, &T, &[P]),
) {
    for fault in Fault::ALL {
        for lasting in [Lasting::Once, Lasting::Forever] {
            for nth in 0.. {
                let mut disk = FaultDisk::new(start.clone(), fault, nth, lasting);
                let promises = Promises::new();
                let given = disk.run(task(promises.clone()));
                if !disk.struck() {
                    break;
                }
                let promises = promises.lock();
                let mut disk = disk.into_disk();
                let (lost, kept) = (disk.crash_losing_all(), disk.crash_losing_nothing());
                let _place = Place(&format_args!("{fault:?} {lasting:?} at operation {nth}"));
                disk.release_locks();
                for mut disk in [disk, lost, kept] {
                    check(&mut disk, &given, &promises);
                }
            }
        }
    }
}

/// Says on standard error where a check failed.
struct Place<'a>(&'a dyn fmt::Display);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the check failed here: {}", self.0);
        }
    }
}
