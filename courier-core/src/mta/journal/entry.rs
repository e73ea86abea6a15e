//! What is appended: messages and outcomes, and what becomes of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Location, MessageId};
use crate::disk::{DiskError, Octets};

/// Something to append.
#[derive(Debug)]
pub struct Entry {
    pub(super) kind: EntryKind,
    pub(super) bond: Bond,
}

#[derive(Debug)]
pub(super) enum EntryKind {
    Message {
        /// Reserved by the host; none: the journal numbers the message.
        id: Option<MessageId>,
        envelope: Octets,
        recipients: u32,
        content: Content,
    },
    Outcome {
        id: MessageId,
        recipient: u32,
        progress: Progress,
        octets: Octets,
    },
}

/// Whether an entry stands alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bond {
    Alone,
    /// It becomes durable together with the next one, or neither does.
    WithNext,
}

/// The content of a message.
#[derive(Debug)]
pub enum Content {
    /// In memory; at most [`Options::longest`](super::Options::longest) octets.
    Octets(Octets),
    /// In the file that [`Reserved::path`] names; the message has its number.
    Large(Reserved),
}

/// Whether an outcome is the last one of a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The recipient still waits; this says what was tried.
    Waiting,
    /// Delivered, relayed, or given up and reported.
    Settled,
}

impl Entry {
    /// A message to accept. The journal does not look into `envelope`; it numbers
    /// the recipients from 0 to `recipients` - 1 (at least one).
    #[must_use]
    pub fn message(envelope: impl Into<Octets>, recipients: u32, content: Content) -> Self {
        Self {
            kind: EntryKind::Message {
                id: None,
                envelope: envelope.into(),
                recipients,
                content,
            },
            bond: Bond::Alone,
        }
    }

    /// What became of a delivery to a recipient of a message: octets of the host.
    /// The last outcome of each recipient is kept until the message is settled.
    #[must_use]
    pub fn outcome(
        id: MessageId,
        recipient: u32,
        progress: Progress,
        octets: impl Into<Octets>,
    ) -> Self {
        Self {
            kind: EntryKind::Outcome {
                id,
                recipient,
                progress,
                octets: octets.into(),
            },
            bond: Bond::Alone,
        }
    }

    /// Gives a message the number that was reserved for it.
    #[must_use]
    pub fn numbered(mut self, number: &Reserved) -> Self {
        if let EntryKind::Message { id, .. } = &mut self.kind {
            *id = Some(number.id);
        }
        self
    }

    /// Ties the entry to the next one of its batch: both become durable, or neither.
    /// So a report and the outcomes that it reports are one thing.
    #[must_use]
    pub fn with_next(self) -> Self {
        Self {
            bond: Bond::WithNext,
            ..self
        }
    }
}

/// What an entry became.
#[derive(Debug, Clone)]
pub enum Appended {
    /// A message was accepted.
    Message {
        /// Its number.
        id: MessageId,
        /// Where its content is, for a first delivery.
        location: Location,
    },
    /// An outcome was recorded.
    Outcome {
        /// Recipients of the message that are not settled. With 0 the message is
        /// gone from the journal.
        left: u32,
    },
}

/// Why an entry was not appended; nothing of it is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The host should have named a file for it: see [`Content::Large`].
    #[error("{length} octets are too much for the journal, which takes {limit} in one piece")]
    TooLong {
        /// Octets of the entry, with those it is tied to.
        length: u64,
        /// The most that goes.
        limit: u64,
    },
    /// A message without recipients, or more than 2^16 of them.
    #[error("a message of {0} recipients cannot be delivered")]
    Recipients(u32),
    /// The message is settled, or never was.
    #[error("no message {0} waits in the journal")]
    NoMessage(MessageId),
    /// The message has no recipient of this number.
    #[error("message {id} has no recipient number {recipient}")]
    NoRecipient {
        /// The message.
        id: MessageId,
        /// The number.
        recipient: u32,
    },
    /// A message with this number is in the journal already.
    #[error("message number {0} is taken")]
    Taken(MessageId),
    /// The file of a large message is not as long as was said.
    #[error("{} is not the file of {length} octets that the message needs", path.display())]
    Large {
        /// The file.
        path: PathBuf,
        /// Its length as it should be.
        length: u64,
    },
    /// The disk is full or broken. The writer may go on: it takes a new segment.
    #[error("cannot append to the journal")]
    Disk(
        #[from]
        #[source]
        DiskError,
    ),
}

/// The source of message ids, which sessions may share.
#[derive(Debug, Clone)]
pub struct Numbers {
    next: Arc<AtomicU64>,
    directory: Arc<Path>,
}

impl Numbers {
    /// Numbers from `next` on, for files in this directory.
    pub(super) fn new(next: u64, directory: &Path) -> Self {
        Self {
            next: Arc::new(AtomicU64::new(next)),
            directory: directory.into(),
        }
    }

    pub(super) fn take(&self) -> MessageId {
        MessageId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// The lowest id that was not given.
    pub(super) fn next(&self) -> MessageId {
        MessageId(self.next.load(Ordering::Relaxed))
    }

    /// Reserves the number of a message that is about to come in, so that its trace
    /// field and its envelope can name it. One that is not used is lost.
    #[must_use]
    pub fn reserve(&self) -> Reserved {
        let id = self.take();
        Reserved {
            id,
            path: self.directory.join(id.to_string()).into(),
            length: 0,
        }
    }
}

/// The number of a message that is not in the journal yet, and the name of the file
/// for its content, should that be too long for the log; good for one message.
#[derive(Debug)]
pub struct Reserved {
    pub(super) id: MessageId,
    pub(super) path: Arc<Path>,
    pub(super) length: u64,
}

impl Reserved {
    /// The number.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// The file for a long content. Whoever asks makes the file, writes the content
    /// and syncs it (not the directory) before the message is appended with
    /// [`Content::Large`]; or removes it. A file that no message names is removed at
    /// the next start.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says how many octets the file has got.
    #[must_use]
    pub fn of_length(self, length: u64) -> Self {
        Self { length, ..self }
    }
}
