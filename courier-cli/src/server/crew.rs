//! The threads that carry sessions, one a processor, each with a runtime of its own.
//!
//! A session stays on its thread from beginning to end: what wakes it wakes that thread
//! and no other. With a runtime that spans threads, a line from one client wakes two or
//! three of them, and on a small machine that costs more than answering the line.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The threads.
#[derive(Debug)]
pub(super) struct Crew {
    threads: Box<[Member]>,
}

#[derive(Debug)]
struct Member {
    runtime: Handle,
    sessions: Arc<AtomicUsize>,
    end: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl Crew {
    /// Starts so many threads.
    ///
    /// # Errors
    /// If the system refuses one.
    pub(super) fn start(threads: usize) -> io::Result<Self> {
        let threads = (0..threads.max(1)).map(|_| Member::start());
        Ok(Self {
            threads: threads.collect::<io::Result<_>>()?,
        })
    }

    /// The first thread, which also accepts connections.
    pub(super) fn first(&self) -> Option<&Handle> {
        self.threads.first().map(|member| &member.runtime)
    }

    /// Has the thread with the fewest sessions run one more; of several the first, so
    /// that one client after the other is served where it was accepted.
    pub(super) fn run(&self, session: impl Future<Output = ()> + Send + 'static) {
        let count = |member: &&Member| member.sessions.load(Ordering::Relaxed);
        let Some(member) = self.threads.iter().min_by_key(count) else {
            return;
        };
        let counted = Counted::new(&member.sessions);
        member.runtime.spawn(async move {
            let _counted = counted;
            session.await;
        });
    }

    /// Ends the threads, and with them the sessions that there still are.
    pub(super) fn stop(&self) {
        for member in &self.threads {
            let lock = member.end.lock();
            if let Some((end, thread)) = lock.unwrap_or_else(PoisonError::into_inner).take() {
                end.send(()).ok();
                thread.join().ok();
            }
        }
    }
}

impl Member {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name("session".to_owned());
        let thread = thread.spawn(move || {
            runtime.block_on(ended).ok();
        })?;
        Ok(Self {
            runtime: handle,
            sessions: Arc::default(),
            end: Mutex::new(Some((end, thread))),
        })
    }
}

/// A session that counts until this is dropped, also if it panics.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(sessions: &Arc<AtomicUsize>) -> Self {
        sessions.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(sessions))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn sessions_go_where_there_are_fewest() {
        let crew = Crew::start(2).unwrap();
        let (said, heard) = mpsc::channel();
        let mut waiting = Vec::new();
        for _ in 0..4 {
            let (go, gone) = oneshot::channel::<()>();
            waiting.push(go);
            let said = said.clone();
            crew.run(async move {
                said.send(thread::current().id()).unwrap();
                gone.await.ok();
            });
        }
        let threads: Vec<_> = (0..4).map(|_| heard.recv().unwrap()).collect();
        let first = threads[0];
        assert_eq!(threads.iter().filter(|&&thread| thread == first).count(), 2);
        crew.stop();
        assert!(
            waiting.into_iter().all(|go| go.send(()).is_err()),
            "all ended"
        );
    }

    #[test]
    fn a_panic_ends_its_session_and_no_other() {
        let crew = Crew::start(1).unwrap();
        crew.run(async { panic!("as it must") });
        let (said, heard) = mpsc::channel();
        crew.run(async move { said.send(7).unwrap() });
        assert_eq!(heard.recv(), Ok(7));
        crew.stop();
        assert_eq!(crew.threads[0].sessions.load(Ordering::Relaxed), 0);
    }
}
