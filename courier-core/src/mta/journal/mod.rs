//! The spool: a log in which every accepted message lives until each of its
//! recipients is settled durably.
//!
//! The log is a row of segments, files of fixed length that are allocated
//! ahead and used again and again. One writer owns it. It takes what is ready –
//! messages and outcomes of deliveries – and makes all of it durable by one write
//! and one sync ([`Journal::append`]); while it does, the next batch gathers.
//!
//! ```
//! use courier_core::disk;
//! use courier_core::mta::journal::{Appended, Content, Entry, Journal, Options, Progress};
//! use courier_core::testing::MemDisk;
//!
//! let mut world = MemDisk::new();
//! let options = Options { key: 0x5eed, process: 42, ..Options::default() };
//! let (mut journal, damage) = world.run(disk::task(|disk| async move {
//!     Journal::open(&disk, "/spool".into(), options).await
//! }))?;
//! assert!(damage.is_empty());
//!
//! let mail = Entry::message(&b"envelope"[..], 2, Content::Octets(b"text"[..].into()));
//! let appended = world.run(disk::task(|disk| {
//!     let journal = &mut journal;
//!     async move { journal.append(&disk, vec![mail]).await }
//! }));
//! // From here on the message survives whatever happens, and may be answered by 250.
//! let [Ok(Appended::Message { id, location })] = appended.as_slice() else { panic!() };
//! assert_eq!(location.length(), 4);
//!
//! let delivered = Entry::outcome(*id, 0, Progress::Settled, &b"to the mailbox"[..]);
//! world.run(disk::task(|disk| {
//!     let journal = &mut journal;
//!     async move { journal.append(&disk, vec![delivered]).await }
//! }));
//! let waiting = journal.message(*id).unwrap();
//! assert_eq!(waiting.waiting().collect::<Vec<_>>(), [1]);
//! # Ok::<(), courier_core::mta::journal::OpenError>(())
//! ```
//!
//! # Below the directory of the journal
//!
//! | name | what |
//! | --- | --- |
//! | `lock` | locked by the server that owns the journal; holds its process id |
//! | `segments/NNNNNNNN` | the log |
//! | `big/ID` | the content of a message that is too long for the log |
//! | `damaged/…` | what could not be read, set aside for the postmaster |
//!
//! # What holds after a crash
//!
//! - What [`Journal::append`] has acknowledged is there. What it has not may be there.
//! - A batch that was torn by the crash does not count; it ends the log and is zeroed.
//! - What the disk damaged later is told apart from that: something after it was
//!   written when it was durable. It is set aside and reported, and the rest is used.
//! - No id is given twice.
//!
//! # Space
//!
//! Segments come free in the order in which they were used, when every message in
//! them is settled. Only so can outcomes never be forgotten before the messages they
//! settle. [`Journal::maintain`] copies forward what waits for long, so that the log
//! stays within about twice the size of what is in it.

mod append;
mod checksum;
mod damage;
mod entry;
mod gather;
mod live;
mod maintain;
mod open;
mod plan;
mod record;
mod recover;
mod segment;
mod space;
mod survey;

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use live::{Live, Message};
use record::ContentLength;
use segment::Segments;

pub use damage::{Damage, DamageKind};
pub use entry::{AppendError, Appended, Content, Entry, Numbers, Progress, Reserved};
pub use maintain::{Maintenance, Pace};
pub use open::OpenError;

use crate::disk::{Disk, DiskError, DiskErrorKind, LockId, Op, Piece, Reply};
use crate::time::Millis;

/// Number of a message: unique for ever, and a later message has a higher one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);

impl fmt::Display for MessageId {
    /// As in queue ids and file names: sixteen hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

/// How a journal is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// Length of segments in octets: a multiple of 4096, at least 16 KiB and at most
    /// 1 GiB. A young journal begins with shorter ones, of 4 MiB.
    pub segment: u64,
    /// The longest content that goes into the log, in octets; see [`Content::Large`].
    /// What does not fit in a segment is refused in any case.
    pub longest: u64,
    /// Free segments that are kept ready, at least 2; more are removed.
    pub spare: usize,
    /// A random number, other at each start: the source of the segments' keys.
    pub key: u64,
    /// Number of this process, for the error that another one gets.
    pub process: u32,
    /// How long another process's lock is waited for.
    pub patience: Millis,
}

impl Options {
    /// Length of a young journal's segments.
    fn shortest(&self) -> u64 {
        self.segment.min(4 << 20)
    }
}

impl Default for Options {
    /// Segments of 64 MiB, messages in the log up to 256 KiB, three free segments,
    /// and a patience of 30 seconds. `key` and `process` are 0: the host knows them.
    fn default() -> Self {
        Self {
            segment: 64 << 20,
            longest: 256 << 10,
            spare: 3,
            key: 0,
            process: 0,
            patience: Millis::from_secs(30),
        }
    }
}

/// Where the content of a message is. As long as one is held, the octets stay:
/// hold it while a delivery reads them, and no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    path: Arc<Path>,
    range: Range<u64>,
}

impl Location {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The octets of the content in it.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Length of the content in octets.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// The content as a piece of a file that is to be made.
    #[must_use]
    pub fn piece(&self) -> Piece {
        Piece::File {
            path: self.path.to_path_buf(),
            range: self.range(),
        }
    }
}

/// The spool. Only its writer has it; others hold [`Numbers`] and [`Location`]s.
#[derive(Debug)]
pub struct Journal {
    options: Options,
    directories: Directories,
    lock: LockId,
    numbers: Numbers,
    segments: Segments,
    live: Live,
    active: Option<Active>,
    /// Epoch that the next segment gets.
    next_epoch: u64,
    /// Epoch of the last segment of the log that has durable records; 0 if none has.
    last_epoch: u64,
    /// Sequence number of the next record.
    next_sequence: u64,
    /// The oldest epoch that the durable log counts.
    durable_tail: u64,
    /// Octets of all messages that wait, as records.
    waiting: u64,
    /// Files of large messages that are settled.
    finished: Vec<Arc<Path>>,
    /// Damages that could not be set aside, and the segments that they keep.
    unsaved: Vec<(u64, Damage)>,
}

/// The segment that is being written.
#[derive(Debug)]
struct Active {
    epoch: u64,
    key: u64,
    /// Where the next batch goes; 0 if the header is not written either.
    end: u64,
    /// The file, as long as it is not in the log: until its first batch is durable.
    fresh: Option<segment::Segment>,
    length: u64,
}

#[derive(Debug, Clone)]
struct Directories {
    root: PathBuf,
    segments: PathBuf,
    big: PathBuf,
    damaged: PathBuf,
}

impl Directories {
    fn new(root: PathBuf) -> Self {
        Self {
            segments: root.join("segments"),
            big: root.join("big"),
            damaged: root.join("damaged"),
            root,
        }
    }
}

/// A message that waits, as the journal knows it.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a> {
    id: MessageId,
    message: &'a Message,
}

impl<'a> Waiting<'a> {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// Number of its recipients, settled ones included.
    #[must_use]
    pub fn recipients(&self) -> u32 {
        self.message.recipients
    }

    /// The recipients that are not settled.
    pub fn waiting(&self) -> impl Iterator<Item = u32> + use<'a> {
        let message = self.message;
        (0..message.recipients).filter(move |&recipient| !message.is_settled(recipient))
    }

    /// Number of recipients that are not settled.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.message.left
    }

    /// Length of the content in octets.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self.message.content {
            ContentLength::Here(length) => u64::from(length),
            ContentLength::Large(length) => length,
        }
    }
}

/// The last outcome of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Number of the recipient.
    pub recipient: u32,
    /// Whether it is settled.
    pub progress: Progress,
    /// What the host recorded.
    pub octets: Vec<u8>,
}

impl Journal {
    /// Every message that waits, in the order of the ids.
    pub fn messages(&self) -> impl Iterator<Item = Waiting<'_>> {
        let live = self.live.iter();
        live.map(|(&id, message)| Waiting { id, message })
    }

    /// A message that waits.
    #[must_use]
    pub fn message(&self, id: MessageId) -> Option<Waiting<'_>> {
        let message = self.live.get(&id)?;
        Some(Waiting { id, message })
    }

    /// The source of ids and names, for sessions.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        self.numbers.clone()
    }

    /// Where the content of a message is, for a delivery.
    #[must_use]
    pub fn location(&self, id: MessageId) -> Option<Location> {
        let message = self.live.get(&id)?;
        self.location_of(message)
    }

    fn location_of(&self, message: &Message) -> Option<Location> {
        let (path, range) = match (message.content, &message.large) {
            (ContentLength::Here(length), _) => {
                let start = message.content_offset();
                let path = self.segments.path(message.segment)?;
                (path, start..start + u64::from(length))
            }
            (ContentLength::Large(length), Some(path)) => (path, 0..length),
            (ContentLength::Large(_), None) => return None,
        };
        Some(Location {
            path: Arc::clone(path),
            range,
        })
    }

    /// Reads the envelope of a message.
    ///
    /// # Errors
    /// What the disk says; [`DiskErrorKind::NotFound`] if the message does not wait.
    pub async fn envelope(&self, disk: &Disk, id: MessageId) -> Result<Vec<u8>, DiskError> {
        let message = self.live.get(&id).ok_or_else(|| self.unknown(id))?;
        let start = message.envelope_offset();
        let length = u64::from(message.envelope);
        let path = self.segments.path(message.segment);
        let path = path.ok_or_else(|| self.unknown(id))?;
        read_exactly(disk, path, start..start + length).await
    }

    /// Reads the last outcomes of a message's recipients, of those that have one.
    ///
    /// # Errors
    /// As [`Self::envelope`].
    pub async fn outcomes(&self, disk: &Disk, id: MessageId) -> Result<Vec<Recorded>, DiskError> {
        let message = self.live.get(&id).ok_or_else(|| self.unknown(id))?;
        let mut reads = Vec::with_capacity(message.outcomes.len());
        for outcome in &message.outcomes {
            let path = self.segments.path(outcome.segment);
            let path = path.ok_or_else(|| self.unknown(id))?.to_path_buf();
            let range = outcome.offset..outcome.offset + u64::from(outcome.length);
            reads.push(Op::Read { path, range });
        }
        let outcomes = disk.run(reads).await.into_iter().zip(&message.outcomes);
        let recorded = outcomes.map(|(read, outcome)| match read? {
            Reply::Octets(octets) => Ok(Recorded {
                recipient: outcome.recipient,
                progress: outcome.progress,
                octets,
            }),
            _ => Err(self.unknown(id)),
        });
        recorded.collect()
    }

    fn unknown(&self, id: MessageId) -> DiskError {
        DiskError {
            action: "find a message in",
            path: self.directories.root.join(id.to_string()),
            kind: DiskErrorKind::NotFound,
        }
    }

    /// Ends the log and gives the journal back, so that another process may open it.
    /// A server that stops in order does this; if it does not, only this is lost: the
    /// next start can tell damage of the last batch from a crash in the midst of it.
    pub async fn close(mut self, disk: &Disk) {
        // Nothing depends on either: the lock ends with the process as well.
        drop(self.write_end(disk).await);
        drop(disk.one(Op::Unlock(self.lock)).await);
    }
}

/// Reads a range that must be there.
async fn read_exactly(disk: &Disk, path: &Path, range: Range<u64>) -> Result<Vec<u8>, DiskError> {
    let length = range.end - range.start;
    let octets = disk.read(path, range).await?;
    if octets.len() as u64 == length {
        return Ok(octets);
    }
    Err(DiskError {
        action: "read the whole range of",
        path: path.to_path_buf(),
        kind: DiskErrorKind::Io,
    })
}

#[cfg(test)]
mod tests;
