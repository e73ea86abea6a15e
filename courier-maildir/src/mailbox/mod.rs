//! Open folders: what IMAP does with a mailbox.
//!
//! A session holds a [`Snapshot`]. [`open`] makes it and [`refresh`] brings it up to
//! date, telling what changed.

mod adopt;
mod found;
mod names;
mod numbering;
mod snapshot;
mod sync;

use std::path::PathBuf;

use courier_core::disk::DiskError;

pub use names::Place;
pub use snapshot::{Access, Counts, Message, Snapshot};
pub use sync::{Changes, open, refresh};

use crate::keywords::KeywordError;
use crate::lock::LockError;

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
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}
