//! Open folders: what IMAP does with a mailbox.
//!
//! A session holds a [`Snapshot`]. [`open`] makes it and [`refresh`] brings it up to
//! date, telling what changed. [`store`], [`expunge`], [`copy`] and [`move_to`] change
//! the folder and the snapshot together; [`append`] needs no open folder. Sessions of one
//! process share what they know of a folder: see [`reopen`].

mod adopt;
mod append;
mod expunge;
mod finding;
mod found;
mod indexed;
mod locate;
mod measure;
mod names;
mod numbering;
mod share;
mod snapshot;
mod store;
mod sync;

use std::path::PathBuf;

use courier_core::disk::{Disk, DiskError};

pub use append::{Appended, Copied, NewMessage, append, copy, move_to};
pub use expunge::{Expunge, expunge, expunge_to};
pub use finding::Finding;
pub(crate) use found::Found;
pub use indexed::save_index;
pub use locate::locate;
pub use measure::measure;
pub use names::Place;
pub use share::{look_again, reopen};
pub use snapshot::{Access, Counts, Message, Snapshot};
pub use store::{FlagChange, How, Stored, store};
pub(crate) use sync::survey;
pub use sync::{Changes, is_unchanged, open, refresh};

use crate::keywords::KeywordError;
use crate::lock::{Lock, LockError};

/// Why a folder was not opened or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MailboxError {
    /// The folder is not there.
    #[error("{} is not a maildir folder", path.display())]
    NoFolder {
        /// Its directory.
        path: PathBuf,
    },
    /// Another session holds the folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// No UIDVALIDITY is left that was not used.
    #[error("the folder's unique ids are used up")]
    UidsExhausted,
    /// A keyword is refused.
    #[error(transparent)]
    Keyword(#[from] KeywordError),
    /// There is no room for the messages by the quota.
    #[error("{} is over its quota", maildir.display())]
    OverQuota {
        /// The maildir.
        maildir: PathBuf,
    },
    /// The UID list is half written, and the disk refused to take that back. The
    /// folder's lock stays until it is stale: whoever takes it then mends the list.
    #[error("the uid list may be damaged")]
    ListInDoubt(#[source] DiskError),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl MailboxError {
    /// Gives the lock back after this outcome, unless the list is in doubt.
    async fn settle<T>(disk: &Disk, lock: Lock, outcome: &Result<T, Self>) {
        if !matches!(outcome, Err(Self::ListInDoubt(_))) {
            lock.release(disk).await;
        }
    }
}
