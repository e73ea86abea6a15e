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
    /// A list without a promise.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Vec::new())))
    }

    /// Makes a promise, which [`crash_everywhere`] then holds the task to.
    pub fn make(&self, promise: P) {
        self.lock().push(promise);
    }

    /// What has been promised so far.
    #[must_use]
    pub fn made(&self) -> Vec<P>
    where
        P: Clone,
    {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<P>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P> Default for Promises<P> {
    fn default() -> Self {
        Self::new()
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
            disk.release_locks();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{self, DiskError, Durability, Op, Piece};

    fn start() -> MemDisk {
        let mut disk = MemDisk::new();
        disk.plant_file("/a", b"old");
        disk
    }

    /// Replaces `/a`; `sync` says whether it does so properly.
    fn replace(
        sync: Durability,
    ) -> impl Fn(Promises<()>) -> DiskTask<'static, Result<(), DiskError>> {
        move |promises| {
            disk::task(move |disk| async move {
                disk.one(Op::Create {
                    path: "/b".into(),
                    content: vec![Piece::Octets(b"new"[..].into())],
                    mode: 0o600,
                    durability: sync,
                })
                .await?;
                let (from, to) = ("/b".into(), "/a".into());
                disk.one(Op::Rename { from, to }).await?;
                disk.one(Op::SyncDir("/".into())).await?;
                promises.make(());
                Ok(())
            })
        }
    }

    fn old_or_new(disk: &MemDisk, promises: &[()]) {
        let there = disk.contents("/a").unwrap();
        let expected: &[&[u8]] = if promises.is_empty() {
            &[b"old", b"new"]
        } else {
            &[b"new"]
        };
        assert!(
            expected.contains(&there.as_slice()),
            "{}",
            there.escape_ascii()
        );
    }

    #[test]
    fn a_careful_task_holds_everywhere() {
        let mut checks = 0;
        crash_everywhere(&start(), replace(Durability::Synced), |disk, promises| {
            checks += 1;
            old_or_new(disk, promises);
        });
        assert!(checks > 10, "{checks}");
        let mut checks = 0;
        fail_everywhere(
            &start(),
            replace(Durability::Synced),
            |disk, given, promises| {
                checks += 1;
                assert_eq!(given.is_ok(), !promises.is_empty());
                old_or_new(disk, promises);
            },
        );
        assert!(checks > 30, "{checks}");
    }

    #[test]
    #[should_panic]
    fn a_careless_task_is_caught() {
        let careless = replace(Durability::Volatile);
        crash_everywhere(&start(), careless, |disk, promises| {
            old_or_new(disk, promises)
        });
    }

    #[test]
    fn batches_are_cut_in_both_orders() {
        let mut start = MemDisk::new();
        start.plant_directory("/d");
        let mkdir = |path: &str| Op::Mkdir {
            path: path.into(),
            mode: 0o700,
        };
        let task = |_: Promises<()>| {
            disk::task(|disk| async move { disk.run(vec![mkdir("/d/1"), mkdir("/d/2")]).await })
        };
        let mut alone = [false, false];
        crash_everywhere(&start, task, |disk, _| match disk.names("/d").as_slice() {
            [one] if one == "1" => alone[0] = true,
            [one] if one == "2" => alone[1] = true,
            _ => {}
        });
        assert_eq!(alone, [true, true]);
    }
}
