//! A bounded pool of threads, for work that blocks: files, password hashing.
//!
//! Threads are started when there is work and none is free, never before: a program
//! that makes a pool and does not use it has one thread.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;

/// Threads that carry out jobs. The jobs that wait are carried out even when the
/// pool itself is dropped meanwhile; then its threads end.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
}

type Job = Box<dyn FnOnce() + Send>;

struct Shared {
    name: &'static str,
    threads: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Job>,
    later: BinaryHeap<Later>,
    running: usize,
    idle: usize,
    /// Whether a thread watches for the first of `later` to fall due.
    watched: bool,
    closed: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("name", &self.name)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool of at most so many threads, which bear this name.
    #[must_use]
    pub fn new(name: &'static str, threads: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                name,
                threads: threads.max(1),
                state: Mutex::default(),
                changed: Condvar::new(),
            }),
        }
    }

    /// Carries out a job after those that wait already.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        self.shared
            .submit(|state| state.ready.push_back(Box::new(job)));
    }

    /// Carries out a job before those that wait: for parts of work that is under way.
    pub fn run_first(&self, job: impl FnOnce() + Send + 'static) {
        self.shared
            .submit(|state| state.ready.push_front(Box::new(job)));
    }

    /// Carries out a job at this time or soon after.
    pub fn run_at(&self, due: Instant, job: impl FnOnce() + Send + 'static) {
        let job = Box::new(job);
        self.shared
            .submit(|state| state.later.push(Later { due, job }));
    }

    /// Carries out a job and waits for what it gives. The job runs to its end even
    /// if nobody waits any more.
    ///
    /// # Panics
    /// If the job does.
    pub async fn call<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, answered) = oneshot::channel();
        self.run(move || {
            answer.send(catch_unwind(AssertUnwindSafe(job))).ok();
        });
        outcome(answered).await
    }
}

/// What a job sent back; its panic goes on in who waited for it.
pub(crate) async fn outcome<T>(answered: oneshot::Receiver<thread::Result<T>>) -> T {
    match answered.await {
        Ok(Ok(value)) => value,
        Ok(Err(panic)) => resume_unwind(panic),
        Err(_) => unreachable!("a pool carries out every job, and each of these answers"),
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(self: &Arc<Self>, add: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        add(&mut state);
        if state.idle > 0 {
            drop(state);
            self.changed.notify_one();
            return;
        }
        if state.running >= self.threads {
            return;
        }
        state.running += 1;
        drop(state);
        let shared = Arc::clone(self);
        let worker = thread::Builder::new().name(self.name.to_owned());
        if worker.spawn(move || shared.work()).is_err() {
            // No memory or no thread to be had: those that run will come to it, and if
            // there are none it is done here, rather than never.
            let mut state = self.lock();
            state.running -= 1;
            let job = match state.running {
                0 => state.ready.pop_front(),
                _ => None,
            };
            drop(state);
            if let Some(job) = job {
                job();
            }
        }
    }

    fn work(&self) {
        while let Some(job) = self.next_job() {
            // Whoever waits for a job learns of its panic; the thread goes on.
            catch_unwind(AssertUnwindSafe(job)).ok();
        }
    }

    /// Waits for a job; `None` once the pool is closed and nothing is left.
    fn next_job(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            while state.later.peek().is_some_and(|later| later.due <= now) {
                let due = state.later.pop();
                state.ready.extend(due.map(|later| later.job));
            }
            if let Some(job) = state.ready.pop_front() {
                let more = !state.ready.is_empty() || (!state.watched && !state.later.is_empty());
                if more && state.idle > 0 {
                    self.changed.notify_one();
                }
                return Some(job);
            }
            if state.closed && state.later.is_empty() {
                state.running -= 1;
                return None;
            }
            state = self.wait(state, now);
        }
    }

    /// Waits for a change; one of the waiting threads also for the next due time.
    fn wait<'a>(&self, mut state: MutexGuard<'a, State>, now: Instant) -> MutexGuard<'a, State> {
        let due = match state.later.peek() {
            Some(later) if !state.watched => Some(later.due),
            _ => None,
        };
        state.idle += 1;
        let mut state = if let Some(due) = due {
            state.watched = true;
            let patience = due.saturating_duration_since(now);
            let woken = self.changed.wait_timeout(state, patience);
            let mut state = woken.unwrap_or_else(PoisonError::into_inner).0;
            state.watched = false;
            state
        } else {
            let woken = self.changed.wait(state);
            woken.unwrap_or_else(PoisonError::into_inner)
        };
        state.idle -= 1;
        state
    }
}

/// A job for later; the heap's greatest is the one due first.
struct Later {
    due: Instant,
    job: Job,
}

impl Ord for Later {
    fn cmp(&self, other: &Self) -> Ordering {
        other.due.cmp(&self.due)
    }
}

impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Later {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Later {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    fn patience() -> Duration {
        Duration::from_secs(20)
    }

    #[test]
    fn jobs_run_at_once_on_as_many_threads_as_there_may_be() {
        let pool = Pool::new("test", 4);
        let barrier = Arc::new(std::sync::Barrier::new(4));
        let (done, finished) = mpsc::channel();
        for number in 0..4 {
            let (barrier, done) = (Arc::clone(&barrier), done.clone());
            pool.run(move || {
                barrier.wait();
                done.send(number).ok();
            });
        }
        let mut seen: Vec<i32> = (0..4)
            .map(|_| finished.recv_timeout(patience()).unwrap())
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3]);
        assert_eq!(pool.shared.lock().running, 4);
    }

    #[test]
    fn an_unused_pool_has_no_thread() {
        let pool = Pool::new("test", 4);
        assert_eq!(pool.shared.lock().running, 0);
    }

    #[test]
    fn jobs_for_later_run_in_the_order_in_which_they_fall_due() {
        let pool = Pool::new("test", 1);
        let (done, finished) = mpsc::channel();
        let now = Instant::now();
        for delay in [40, 10, 25] {
            let done = done.clone();
            pool.run_at(now + Duration::from_millis(delay), move || {
                done.send((delay, now.elapsed())).ok();
            });
        }
        for expected in [10, 25, 40] {
            let (delay, elapsed) = finished.recv_timeout(patience()).unwrap();
            assert_eq!(delay, expected);
            assert!(elapsed >= Duration::from_millis(delay));
        }
    }

    #[test]
    fn what_waits_is_done_when_the_pool_is_dropped() {
        let pool = Pool::new("test", 1);
        let (done, finished) = mpsc::channel();
        let later = done.clone();
        pool.run_at(Instant::now() + Duration::from_millis(5), move || {
            later.send(2).ok();
        });
        pool.run(move || {
            done.send(1).ok();
        });
        drop(pool);
        let seen: Vec<i32> = (0..2)
            .map(|_| finished.recv_timeout(patience()).unwrap())
            .collect();
        assert_eq!(seen, [1, 2]);
        assert!(
            finished.recv_timeout(patience()).is_err(),
            "the jobs are gone"
        );
    }

    #[tokio::test]
    async fn a_panic_reaches_who_waits_and_leaves_the_thread() {
        let pool = Arc::new(Pool::new("test", 1));
        let same = Arc::clone(&pool);
        let panicked = tokio::spawn(async move { same.call(|| panic!("as it must")).await }).await;
        assert!(panicked.is_err_and(|error| error.is_panic()));
        assert_eq!(pool.call(|| 7).await, 7);
    }
}
