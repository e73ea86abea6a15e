//! The spool: the journal on its own thread, which makes what the sessions have ready
//! durable, many at a time, and tells each when it may answer.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use courier_core::disk::{self, Octets};
use courier_core::envelope::{Envelope, RecordError};
use courier_core::mta::journal::{
    AppendError, Appended, Content, Damage, Entry, Journal, Location, MessageId, Numbers,
    OpenError, Options, Pace, Reserved,
};
use tokio::sync::oneshot;

use crate::disk::StdDisk;
use crate::failure::chain;
use crate::random;

/// A handle to the spool, for sessions and deliveries. A clone is the same.
#[derive(Debug, Clone)]
pub struct Spool {
    requests: Sender<Request>,
    numbers: Numbers,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    writer: Mutex<Option<JoinHandle<()>>>,
    room: Mutex<(Instant, u64)>,
    directory: Box<Path>,
}

#[derive(Debug)]
enum Request {
    Accept {
        entry: Entry,
        answer: oneshot::Sender<Result<Accepted, AppendError>>,
    },
    Outcomes(Vec<Entry>),
    Load {
        id: MessageId,
        answer: Sender<Option<Waiting>>,
    },
    Stop,
}

/// The text of a message that is about to be accepted, with the number it has got.
#[derive(Debug)]
pub enum Text {
    /// In memory.
    Short(Reserved, Octets),
    /// In a file of its own, synced.
    Long(Reserved),
}

/// A message that is durable.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Its number.
    pub id: MessageId,
    /// Where its content is.
    pub location: Location,
}

/// A message that waits in the journal.
#[derive(Debug)]
pub struct Waiting {
    /// Its envelope, or why that cannot be read.
    pub envelope: Result<Envelope, RecordError>,
    /// Where its content is.
    pub location: Location,
    /// The recipients that are not settled, each with what was last recorded of it.
    pub recipients: Vec<(u32, Option<Vec<u8>>)>,
}

impl Spool {
    /// Opens the journal in a directory whose parent exists, and starts its thread.
    /// Gives the messages that wait, for the deliveries. Key and process of the options
    /// are set here.
    ///
    /// # Errors
    /// If the journal is another server's, or cannot be read.
    pub fn open(
        directory: &Path,
        disk: &StdDisk,
        mut options: Options,
    ) -> Result<(Self, Vec<MessageId>), OpenError> {
        options.key = u64::from_ne_bytes(random::array());
        options.process = std::process::id();
        options.segment = options.segment.min(segment(disk_size(directory)));
        let place = directory.to_path_buf();
        let (journal, damage) = disk.run(disk::task(|disk| async move {
            Journal::open(&disk, place, options).await
        }))?;
        report(&damage);
        let waiting = journal.messages().map(|message| message.id()).collect();
        let numbers = journal.numbers();
        let (requests, ready) = mpsc::channel();
        let writer = Writer {
            journal,
            disk: disk.clone(),
            ready,
            outcomes: Vec::new(),
            outcomes_since: None,
        };
        let writing = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run())
            .map_err(|_| OpenError::from(out_of_threads(directory)))?;
        let spool = Self {
            requests,
            numbers,
            shared: Arc::new(Shared {
                writer: Mutex::new(Some(writing)),
                room: Mutex::new((Instant::now(), 0)),
                directory: directory.into(),
            }),
        };
        spool.measure();
        Ok((spool, waiting))
    }

    /// A number for a message that is about to come in.
    #[must_use]
    pub fn reserve(&self) -> Reserved {
        self.numbers.reserve()
    }

    /// Makes a message durable.
    ///
    /// # Errors
    /// If the disk refuses; nothing is kept then.
    pub async fn accept(&self, envelope: &Envelope, text: Text) -> Result<Accepted, AppendError> {
        let recipients = u32::try_from(envelope.recipients.len()).unwrap_or(u32::MAX);
        let message = |content| Entry::message(envelope.encode(), recipients, content);
        let entry = match text {
            Text::Short(number, octets) => message(Content::Octets(octets)).numbered(&number),
            Text::Long(number) => message(Content::Large(number)),
        };
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Accept { entry, answer }).ok();
        match answered.await {
            Ok(result) => result,
            Err(_) => Err(AppendError::Disk(out_of_threads(&self.shared.directory))),
        }
    }

    /// Records what became of deliveries, with the next message or a moment later.
    pub fn record(&self, outcomes: Vec<Entry>) {
        self.requests.send(Request::Outcomes(outcomes)).ok();
    }

    /// Reads what the journal knows of a message; `None` if it is settled, or cannot
    /// be read now.
    #[must_use]
    pub fn load(&self, id: MessageId) -> Option<Waiting> {
        let (answer, answered) = mpsc::channel();
        self.requests.send(Request::Load { id, answer }).ok()?;
        answered.recv().ok()?
    }

    /// Whether the disk has room for this many octets more, and some to spare.
    #[must_use]
    pub fn has_room(&self, octets: u64) -> bool {
        let lock = self.shared.room.lock();
        let (measured, room) = *lock.unwrap_or_else(PoisonError::into_inner);
        let room = match measured.elapsed() < ROOM_HOLDS {
            true => room,
            false => self.measure(),
        };
        room >= octets.saturating_mul(2).max(LEAST_ROOM)
    }

    /// Whether the disk has room for this many octets at this moment.
    #[must_use]
    pub fn can_deliver(&self, octets: u64) -> bool {
        self.measure() >= octets.saturating_add(LAST_ROOM)
    }

    fn measure(&self) -> u64 {
        let room = match rustix::fs::statvfs(&*self.shared.directory) {
            Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
            // Whoever writes will be told why it does not work.
            Err(_) => u64::MAX,
        };
        let lock = self.shared.room.lock();
        *lock.unwrap_or_else(PoisonError::into_inner) = (Instant::now(), room);
        room
    }

    /// Writes what is under way and gives the journal back.
    pub fn stop(&self) {
        self.requests.send(Request::Stop).ok();
        let writer = self.shared.writer.lock();
        let writer = writer.unwrap_or_else(PoisonError::into_inner).take();
        writer.map(JoinHandle::join);
    }
}

/// Octets that the file system of a directory, or of its parent, can hold.
fn disk_size(directory: &Path) -> Option<u64> {
    let here = rustix::fs::statvfs(directory);
    let stat = here.or_else(|_| rustix::fs::statvfs(directory.parent().unwrap_or(directory)));
    stat.ok()
        .map(|stat| stat.f_blocks.saturating_mul(stat.f_frsize))
}

/// Length of the journal's segments. It keeps some ready: on a small disk these must
/// not be what fills it.
fn segment(disk: Option<u64>) -> u64 {
    let usual = Options::default().segment;
    let length = disk.map_or(usual, |octets| octets / 64).min(usual);
    length.max(LEAST_SEGMENT) & !4095
}

fn out_of_threads(directory: &Path) -> disk::DiskError {
    disk::DiskError {
        action: "run the writer of",
        path: directory.to_path_buf(),
        kind: disk::DiskErrorKind::Io,
    }
}

fn report(damage: &[Damage]) {
    for damage in damage {
        tracing::error!(damage = %damage, "JOURNAL DAMAGED");
    }
}

/// The owner of the journal.
struct Writer {
    journal: Journal,
    disk: StdDisk,
    ready: Receiver<Request>,
    /// Outcomes that wait for company, and since when.
    outcomes: Vec<Entry>,
    outcomes_since: Option<Instant>,
}

type Answer = oneshot::Sender<Result<Accepted, AppendError>>;

impl Writer {
    fn run(mut self) {
        let mut pace = Pace::Soon;
        let mut batches = 0_u32;
        loop {
            let mut messages = Vec::new();
            let mut stop = false;
            let mut next = self.wait(pace);
            while let Some(request) = next {
                match request {
                    Request::Accept { entry, answer } => messages.push((entry, answer)),
                    Request::Outcomes(entries) => {
                        self.outcomes.extend(entries);
                        self.outcomes_since.get_or_insert_with(Instant::now);
                    }
                    Request::Load { id, answer } => {
                        // What was recorded of it must count.
                        self.append(Vec::new());
                        answer.send(self.load(id)).ok();
                    }
                    Request::Stop => stop = true,
                }
                next = match messages.len() < BATCH && !stop {
                    true => self.ready.try_recv().ok(),
                    false => None,
                };
            }
            let due = self
                .outcomes_since
                .is_some_and(|since| since.elapsed() >= OUTCOMES_WAIT);
            let no_mail = messages.is_empty();
            if !no_mail || due || stop || self.outcomes.len() >= OUTCOMES {
                self.append(messages);
                batches += 1;
            }
            // Also behind the last outcomes: what they settled is removed now, not when
            // the next message comes.
            if no_mail || batches >= BATCHES {
                batches = 0;
                pace = self.maintain();
            }
            if stop {
                let (journal, disk) = (self.journal, self.disk);
                disk.run(disk::task(|disk| async move { journal.close(&disk).await }));
                return;
            }
        }
    }

    /// Waits for something to do; `None` when it is time for what waits here.
    fn wait(&self, pace: Pace) -> Option<Request> {
        if pace == Pace::Soon {
            return match self.ready.try_recv() {
                Ok(request) => Some(request),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(Request::Stop),
            };
        }
        let got = match self.outcomes_since {
            Some(since) => self
                .ready
                .recv_timeout(OUTCOMES_WAIT.saturating_sub(since.elapsed())),
            None => self
                .ready
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
        };
        match got {
            Ok(request) => Some(request),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Request::Stop),
        }
    }

    /// Appends messages and the outcomes that wait, by one sync.
    fn append(&mut self, messages: Vec<(Entry, Answer)>) {
        let (mut entries, answers): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        entries.append(&mut self.outcomes);
        self.outcomes_since = None;
        if entries.is_empty() {
            return;
        }
        let journal = &mut self.journal;
        let appended = self.disk.run(disk::task(|disk| async move {
            journal.append(&disk, entries).await
        }));
        let mut appended = appended.into_iter();
        for answer in answers {
            let result = match appended.next() {
                Some(Ok(Appended::Message { id, location })) => Ok(Accepted { id, location }),
                Some(Ok(Appended::Outcome { .. })) | None => continue,
                Some(Err(error)) => Err(error),
            };
            answer.send(result).ok();
        }
        for outcome in appended {
            if let Err(error) = outcome {
                // The delivery will be repeated, and find itself done.
                tracing::error!(error = chain(&error), "OUTCOME NOT RECORDED");
            }
        }
    }

    fn load(&self, id: MessageId) -> Option<Waiting> {
        let location = self.journal.location(id)?;
        let waiting: Vec<u32> = self.journal.message(id)?.waiting().collect();
        let journal = &self.journal;
        let read = self.disk.run(disk::task(|disk| async move {
            let envelope = journal.envelope(&disk, id).await?;
            Ok((envelope, journal.outcomes(&disk, id).await?))
        }));
        let (envelope, outcomes) = read
            .inspect_err(|error: &disk::DiskError| {
                tracing::error!(id = %id, error = chain(error), "MESSAGE NOT READ");
            })
            .ok()?;
        let recorded = |recipient| {
            let found = outcomes
                .iter()
                .find(|outcome| outcome.recipient == recipient);
            found.map(|outcome| outcome.octets.clone())
        };
        Some(Waiting {
            envelope: Envelope::decode(&envelope),
            location,
            recipients: waiting
                .into_iter()
                .map(|number| (number, recorded(number)))
                .collect(),
        })
    }

    fn maintain(&mut self) -> Pace {
        let journal = &mut self.journal;
        let done = self.disk.run(disk::task(
            |disk| async move { journal.maintain(&disk).await },
        ));
        report(&done.damage);
        if let Some(error) = &done.error {
            tracing::warn!(error = chain(error), "JOURNAL");
        }
        done.pace
    }
}

/// No segment is shorter, so that every envelope fits.
const LEAST_SEGMENT: u64 = 4 << 20;
/// Messages in one batch at the most.
const BATCH: usize = 512;
/// Outcomes do not wait for company when there are so many.
const OUTCOMES: usize = 1024;
/// Outcomes wait for a message to share a sync with, at most so long.
const OUTCOMES_WAIT: Duration = Duration::from_millis(100);
/// Batches after which the journal is looked after, busy or not.
const BATCHES: u32 = 32;
/// How long the room that was measured is believed.
const ROOM_HOLDS: Duration = Duration::from_secs(1);
/// Mail is refused when the disk has less room (reliability.md 1.4).
const LEAST_ROOM: u64 = 64 << 20;
/// A message that has come is refused when less than this would be left.
const LAST_ROOM: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_disk_is_not_filled_with_segments() {
        let (mib, gib) = (1_u64 << 20, 1_u64 << 30);
        for (disk, expected) in [
            (None, 64 * mib),
            (Some(1000 * gib), 64 * mib),
            (Some(4 * gib), 64 * mib),
            (Some(gib), 16 * mib),
            (Some(100 * mib), 4 * mib),
            (Some(0), 4 * mib),
        ] {
            assert_eq!(segment(disk), expected, "{disk:?}");
        }
        assert_eq!(segment(Some(gib + 70_001)) % 4096, 0);
    }
}
