//! What is to be delivered, and when: fresh messages at once, the others in their
//! turn, each with a record in the journal and little in memory.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use courier_core::disk::Octets;
use courier_core::envelope::Envelope;
use courier_core::mta::journal::{Entry, MessageId, Progress};
use courier_core::mta::retry::Retry;
use courier_maildir::delivery::Attempt;

use super::item::Item;
use super::local::{Local, Result as Delivered};
use super::outcome::Outcome;
use crate::clock;
use crate::spool::{Accepted, Spool};

/// Hands messages to deliveries. A clone is the same.
#[derive(Debug, Clone)]
pub struct Deliveries {
    shared: Arc<Shared>,
    workers: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    ready: VecDeque<Job>,
    /// Octets of content that `ready` holds in memory.
    held: usize,
    later: BinaryHeap<Reverse<(Instant, MessageId)>>,
    /// When the last batch was begun.
    begun: Option<Instant>,
    /// Threads that wait for something to do.
    idle: usize,
    stopping: bool,
}

/// A message that was just accepted.
#[derive(Debug)]
pub struct Fresh {
    /// Its number and place.
    pub accepted: Accepted,
    /// Its envelope.
    pub envelope: Envelope,
    /// Its content, if it is short and still in memory.
    pub content: Option<Octets>,
}

#[derive(Debug)]
enum Job {
    Fresh(Box<Fresh>),
    Stored(MessageId, Attempt),
}

impl Deliveries {
    /// Starts the threads. `waiting` are the messages that an earlier process left.
    #[must_use]
    pub fn start(spool: &Spool, local: &Local, waiting: Vec<MessageId>) -> Self {
        let stored = |id| Job::Stored(id, Attempt::Repeated);
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                ready: waiting.into_iter().map(stored).collect(),
                ..Queue::default()
            }),
            changed: Condvar::new(),
        });
        let spawn = |number| {
            let worker = Worker {
                shared: Arc::clone(&shared),
                spool: spool.clone(),
                local: local.clone(),
            };
            thread::Builder::new()
                .name(format!("delivery-{number}"))
                .spawn(move || worker.run())
        };
        let workers = (0..WORKERS).filter_map(|number| {
            let failed = |error: &_| tracing::error!(error = %error, "NO DELIVERY THREAD");
            spawn(number).inspect_err(failed).ok()
        });
        Self {
            workers: Arc::new(Mutex::new(workers.collect())),
            shared,
        }
    }

    /// Delivers a message as soon as may be. When there is much to do, its content is
    /// left to the journal.
    pub fn push(&self, fresh: Fresh) {
        let mut queue = self.shared.lock();
        let octets = fresh.content.as_ref().map_or(0, |content| content.len());
        let job = match queue.held + octets <= HELD && queue.ready.len() < READY {
            true => Job::Fresh(Box::new(fresh)),
            false => Job::Stored(fresh.accepted.id, Attempt::First),
        };
        queue.held += job.held();
        queue.ready.push_back(job);
        // In between, a thread is awake or waits for the time.
        let worth_waking = queue.ready.len() == 1 || queue.ready.len() == ENOUGH;
        let wake = worth_waking && queue.idle > 0;
        drop(queue);
        if wake {
            self.shared.changed.notify_one();
        }
    }

    /// Finishes what is under way; the rest stays in the journal.
    pub fn stop(&self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
        let workers = self.workers.lock();
        for worker in workers.unwrap_or_else(PoisonError::into_inner).drain(..) {
            worker.join().ok();
        }
    }
}

impl Job {
    fn held(&self) -> usize {
        match self {
            Self::Fresh(fresh) => fresh.content.as_ref().map_or(0, |content| content.len()),
            Self::Stored(..) => 0,
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to deliver; `None` when it is time to stop.
    fn next(&self) -> Option<Vec<Job>> {
        let mut queue = self.lock();
        loop {
            if queue.stopping {
                return None;
            }
            let now = Instant::now();
            while let Some(&Reverse((due, id))) = queue.later.peek()
                && due <= now
            {
                queue.later.pop();
                queue.ready.push_back(Job::Stored(id, Attempt::Repeated));
            }
            let gathered = queue.gathered(now);
            if gathered.is_some_and(|at| at <= now) {
                let jobs = queue.take(now);
                if !queue.ready.is_empty() && queue.idle > 0 {
                    self.changed.notify_one();
                }
                return Some(jobs);
            }
            let due = queue.later.peek().map(|&Reverse((due, _))| due);
            let due = due.into_iter().chain(gathered).min();
            queue.idle += 1;
            queue = match due {
                Some(due) => {
                    let patience = due.saturating_duration_since(now);
                    let woken = self.changed.wait_timeout(queue, patience);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let woken = self.changed.wait(queue);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
            };
            queue.idle -= 1;
        }
    }

    fn again(&self, id: MessageId, pause: Duration) {
        let due = Instant::now() + pause;
        self.lock().later.push(Reverse((due, id)));
        self.changed.notify_one();
    }
}

impl Queue {
    /// When a batch of what is ready may begin: at once after a while without any, else
    /// when enough has gathered or a moment has passed. Messages that are delivered
    /// together cost the disk, and us, far less than the same one by one.
    fn gathered(&self, now: Instant) -> Option<Instant> {
        match self.ready.len() {
            0 => None,
            1..ENOUGH => Some(self.begun.map_or(now, |begun| begun + GATHER)),
            _ => Some(now),
        }
    }

    fn take(&mut self, now: Instant) -> Vec<Job> {
        self.begun = Some(now);
        let count = self.ready.len().min(BATCH);
        let jobs: Vec<_> = self.ready.drain(..count).collect();
        self.held -= jobs.iter().map(Job::held).sum::<usize>();
        jobs
    }
}

/// One thread that delivers.
struct Worker {
    shared: Arc<Shared>,
    spool: Spool,
    local: Local,
}

impl Worker {
    fn run(self) {
        while let Some(jobs) = self.shared.next() {
            let items: Vec<_> = jobs.into_iter().filter_map(|job| self.item(job)).collect();
            let results = self.local.deliver(&items);
            let mut entries = Vec::new();
            for (item, results) in items.iter().zip(results) {
                self.settle(item, results, &mut entries);
            }
            // The spool removes a long message's file once nobody holds its place.
            drop(items);
            self.spool.record(entries);
        }
    }

    /// Everything that is needed of a message.
    fn item(&self, job: Job) -> Option<Item> {
        let (id, attempt) = match job {
            Job::Stored(id, attempt) => (id, attempt),
            Job::Fresh(fresh) => {
                let count = u32::try_from(fresh.envelope.recipients.len()).ok()?;
                return Some(Item {
                    id: fresh.accepted.id,
                    envelope: fresh.envelope,
                    location: fresh.accepted.location,
                    content: fresh.content,
                    attempt: Attempt::First,
                    recipients: (0..count).map(|number| (number, 0)).collect(),
                });
            }
        };
        let waiting = self.spool.load(id)?;
        let envelope = match waiting.envelope {
            Ok(envelope) => envelope,
            Err(error) => {
                // It stays in the journal, for a version that can read it.
                tracing::error!(id = %id, error = %error, "ENVELOPE NOT READ");
                return None;
            }
        };
        let rounds = |recorded: Option<Vec<u8>>| {
            let outcome = recorded.and_then(|octets| Outcome::decode(&octets));
            outcome.map_or(0, |outcome| outcome.rounds)
        };
        let recipients = waiting.recipients.into_iter();
        Some(Item {
            id,
            envelope,
            location: waiting.location,
            content: None,
            attempt,
            recipients: recipients
                .map(|(number, recorded)| (number, rounds(recorded)))
                .collect(),
        })
    }

    /// Records what became of a message's recipients, and plans the next round.
    fn settle(&self, item: &Item, results: Vec<Delivered>, entries: &mut Vec<Entry>) {
        let mut next: Option<Duration> = None;
        for (&(number, rounds), result) in item.recipients.iter().zip(results) {
            let rounds = rounds.saturating_add(1);
            let (progress, text) = match result {
                Ok(text) => (Progress::Settled, text),
                Err(text) => {
                    let pause = Duration::from_millis(Retry::default().pause(rounds).0);
                    next = Some(next.map_or(pause, |next| next.min(pause)));
                    (Progress::Waiting, text)
                }
            };
            let at = clock::unix_now();
            let outcome = Outcome { rounds, at, text };
            entries.push(Entry::outcome(item.id, number, progress, outcome.encode()));
        }
        if let Some(pause) = next {
            self.shared.again(item.id, pause);
        }
    }
}

/// Threads that deliver: while one waits for the disk, another prepares.
const WORKERS: usize = 2;
/// Messages that are delivered together at most.
const BATCH: usize = 256;
/// So many do not wait for more.
const ENOUGH: usize = 64;
/// Batches begin at least so long after each other, unless there is enough.
const GATHER: Duration = Duration::from_millis(20);
/// Messages that wait with their envelope in memory.
const READY: usize = 10_000;
/// Octets of content that wait in memory.
const HELD: usize = 32 << 20;
