//! A batch under way: what waits for the device is shared out among threads, what
//! waits for a time or a lock comes again later.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use courier_core::disk::{DiskErrorKind, Durability, LockId, Op, Outcome, Reply};

use super::{StdDisk, error, together};

/// Operations on the way to their outcomes.
#[derive(Debug)]
pub(super) struct Batch {
    /// Not yet begun, each with its places in the batch.
    todo: Vec<(Op, Places)>,
    waiting: Vec<Waiting>,
    outcomes: Vec<Option<Outcome>>,
}

/// Where an outcome belongs: several places if a sync was asked for more than once.
type Places = Vec<usize>;

/// An operation that waits for a time, or for a lock that another holds.
#[derive(Debug)]
struct Waiting {
    op: Op,
    place: usize,
    deadline: Instant,
    again: Instant,
    pause: Duration,
}

/// How far a batch has come.
#[derive(Debug)]
pub(super) enum Progress {
    /// To its end.
    Done(Vec<Outcome>),
    /// Nothing can be done before this time.
    Waits(Instant),
}

impl Batch {
    pub(super) fn new(ops: Vec<Op>) -> Self {
        let now = Instant::now();
        let mut batch = Self {
            todo: Vec::with_capacity(ops.len()),
            waiting: Vec::new(),
            outcomes: ops.iter().map(|_| None).collect(),
        };
        let mut syncs: HashMap<PathBuf, usize> = HashMap::new();
        for (place, op) in ops.into_iter().enumerate() {
            match &op {
                Op::Pause(time) | Op::Lock { patience: time, .. } => {
                    let deadline = now.checked_add(Duration::from_millis(time.0));
                    let deadline = deadline.unwrap_or(now + FOR_EVER);
                    let again = match op {
                        Op::Pause(_) => deadline,
                        _ => now,
                    };
                    batch.waiting.push(Waiting {
                        op,
                        place,
                        deadline,
                        again,
                        pause: SHORTEST_PAUSE,
                    });
                    continue;
                }
                // A path is a file's or a directory's: one sync serves all who ask.
                Op::Sync(path) | Op::SyncDir(path) => {
                    let first = *syncs.entry(path.clone()).or_insert(batch.todo.len());
                    if let Some((same, places)) = batch.todo.get_mut(first)
                        && *same == op
                    {
                        places.push(place);
                        continue;
                    }
                }
                _ => {}
            }
            batch.todo.push((op, vec![place]));
        }
        batch
    }

    /// Does what can be done now. The locks it takes are added to `taken`.
    pub(super) fn advance(&mut self, disk: &StdDisk, taken: &mut Vec<LockId>) -> Progress {
        let (slow, quick): (Vec<_>, Vec<_>) =
            (self.todo.drain(..)).partition(|(op, _)| waits_for_the_device(op));
        for (op, places) in quick {
            let outcome = disk.carry_out(&op);
            self.settle(places, outcome);
        }
        let slow = self.make_together(slow, disk);
        if slow.len() > 1 {
            self.share_out(slow, disk);
        } else {
            for (op, places) in slow {
                let outcome = disk.carry_out(&op);
                self.settle(places, outcome);
            }
        }
        self.look_again(disk, taken);
        match self.waiting.iter().map(|waiting| waiting.again).min() {
            Some(time) => Progress::Waits(time),
            None => Progress::Done(self.outcomes.drain(..).flatten().collect()),
        }
    }

    /// Makes many new files by one sync, where that is possible; gives what is left.
    fn make_together(&mut self, jobs: Vec<(Op, Places)>, disk: &StdDisk) -> Vec<(Op, Places)> {
        let (creates, mut rest): (Vec<_>, Vec<_>) =
            (jobs.into_iter()).partition(|(op, _)| together::is_suited(op));
        let ops: Vec<&Op> = creates.iter().map(|(op, _)| op).collect();
        match disk.together().carry_out(&ops) {
            Some(outcomes) => {
                for ((_, places), outcome) in creates.into_iter().zip(outcomes) {
                    self.settle(places, outcome);
                }
            }
            None => rest.extend(creates),
        }
        rest
    }

    fn settle(&mut self, mut places: Places, outcome: Outcome) {
        let last = places.pop();
        for place in places {
            self.put(place, outcome.clone());
        }
        if let Some(place) = last {
            self.put(place, outcome);
        }
    }

    fn put(&mut self, place: usize, outcome: Outcome) {
        if let Some(slot) = self.outcomes.get_mut(place) {
            *slot = Some(outcome);
        }
    }

    /// Has several operations done at the same time. Syncs that wait together share
    /// the journal commits of the file system: on ext4 eight at a time do three times
    /// as much as one after the other, and more do not help.
    fn share_out(&mut self, jobs: Vec<(Op, Places)>, disk: &StdDisk) {
        let (ops, mut places): (Vec<_>, Vec<_>) = jobs.into_iter().unzip();
        let helpers = (ops.len() - 1).min(HELPERS);
        let work = Arc::new(SharedWork {
            next: AtomicUsize::new(0),
            done: Mutex::new(Vec::with_capacity(ops.len())),
            all_done: Condvar::new(),
            ops,
        });
        for _ in 0..helpers {
            let (work, helper) = (Arc::clone(&work), disk.clone());
            disk.pool().run_first(move || work.take_part(&helper));
        }
        work.take_part(disk);
        for (number, outcome) in work.finish() {
            if let Some(places) = places.get_mut(number) {
                self.settle(std::mem::take(places), outcome);
            }
        }
    }

    /// Tries what waits and is due.
    fn look_again(&mut self, disk: &StdDisk, taken: &mut Vec<LockId>) {
        let now = Instant::now();
        let mut still = Vec::new();
        for mut waiting in std::mem::take(&mut self.waiting) {
            if waiting.again > now {
                still.push(waiting);
                continue;
            }
            match waiting.attempt(disk, now) {
                Some(outcome) => {
                    if let Ok(Reply::Lock(id)) = &outcome {
                        taken.push(*id);
                    }
                    self.put(waiting.place, outcome);
                }
                None => still.push(waiting),
            }
        }
        self.waiting = still;
    }
}

impl Waiting {
    fn attempt(&mut self, disk: &StdDisk, now: Instant) -> Option<Outcome> {
        let Op::Lock { path, .. } = &self.op else {
            return Some(Ok(Reply::Done));
        };
        let kind = match disk.locks().try_take(path) {
            Ok(id) => return Some(Ok(Reply::Lock(id))),
            Err(error) => error::kind(&error),
        };
        if kind == DiskErrorKind::Busy && now < self.deadline {
            self.again = (now + self.pause).min(self.deadline);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            return None;
        }
        Some(Err(self.op.error(kind)))
    }
}

/// Operations that several threads take from, and what came of them.
struct SharedWork {
    ops: Vec<Op>,
    next: AtomicUsize,
    done: Mutex<Vec<(usize, Outcome)>>,
    all_done: Condvar,
}

impl SharedWork {
    /// Carries out operations until none is left to begin.
    fn take_part(&self, disk: &StdDisk) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(op) = self.ops.get(number) else {
                return;
            };
            let outcome = catch_unwind(AssertUnwindSafe(|| disk.carry_out(op)));
            let outcome = outcome.unwrap_or_else(|_| Err(op.error(DiskErrorKind::Io)));
            let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push((number, outcome));
            if done.len() == self.ops.len() {
                self.all_done.notify_all();
            }
        }
    }

    /// Waits for what others are still about.
    fn finish(&self) -> Vec<(usize, Outcome)> {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let all = |done: &mut Vec<_>| done.len() < self.ops.len();
        let mut done =
            (self.all_done.wait_while(done, all)).unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut done)
    }
}

/// Whether an operation spends its time waiting for the device and not at work.
fn waits_for_the_device(op: &Op) -> bool {
    match op {
        Op::Create { durability, .. }
        | Op::Append { durability, .. }
        | Op::WriteAt { durability, .. } => *durability == Durability::Synced,
        Op::Allocate { .. } | Op::Sync(_) | Op::SyncDir(_) => true,
        _ => false,
    }
}

/// Threads that help with one batch.
const HELPERS: usize = 7;
/// How long a lock that another holds is left alone at first, and in the end.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// As good as no deadline.
const FOR_EVER: Duration = Duration::from_secs(86_400 * 365 * 10);
