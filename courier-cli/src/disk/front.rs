//! The driver for async code: whole tasks, handed to a bounded pool of threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use courier_core::disk::DiskTask;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::StdDisk;
use super::std_disk::{Leg, Run};
use crate::pool;

/// File work for async code. A clone is the same pool.
///
/// A task that was begun runs to its end even if nobody waits for it any more, so a
/// delivery or an expunge is never left half done because a client went away. While
/// it waits for a lock or a pause it holds no thread.
#[derive(Debug, Clone)]
pub struct Disks {
    disk: StdDisk,
    places: Arc<Semaphore>,
}

impl Disks {
    /// A front for this driver, on the driver's threads.
    #[must_use]
    pub fn new(disk: StdDisk) -> Self {
        Self {
            disk,
            places: Arc::new(Semaphore::new(PLACES)),
        }
    }

    /// The driver, for threads that may wait.
    #[must_use]
    pub fn disk(&self) -> &StdDisk {
        &self.disk
    }

    /// Runs a task to its end.
    ///
    /// # Panics
    /// If the task does.
    pub async fn run<T: Send + 'static>(&self, task: DiskTask<'static, T>) -> T {
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (answer, answered) = oneshot::channel();
        let trip = Trip {
            run: Run::new(self.disk.clone(), task),
            answer,
            place,
        };
        self.disk.pool().run(move || trip.go_on());
        pool::outcome(answered).await
    }

    /// Has other work done that waits for files.
    ///
    /// # Panics
    /// If the work does.
    pub async fn call<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let call = self.disk.pool().call(move || {
            let _place = place;
            work()
        });
        call.await
    }
}

/// A task on its way through the pool.
struct Trip<T> {
    run: Run<'static, T>,
    answer: oneshot::Sender<thread::Result<T>>,
    place: Option<OwnedSemaphorePermit>,
}

impl<T: Send + 'static> Trip<T> {
    fn go_on(self) {
        let Self {
            mut run,
            answer,
            place,
        } = self;
        let leg = catch_unwind(AssertUnwindSafe(move || (run.advance(), run)));
        match leg {
            Ok((Leg::Done(value), _)) => {
                answer.send(Ok(value)).ok();
            }
            Ok((Leg::Waits(until), run)) => {
                let disk = run.disk().clone();
                let trip = Self { run, answer, place };
                disk.pool().run_at(until, move || trip.go_on());
            }
            Err(panic) => {
                answer.send(Err(panic)).ok();
            }
        }
    }
}

/// Tasks that may be under way or wait for a thread; who comes later waits outside.
const PLACES: usize = 4096;
