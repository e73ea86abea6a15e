//! Mail from elsewhere: mbox files, maildirs and MH folders, into the folders of a
//! maildir, with flags, keywords and dates.
//!
//! Messages go through [`mailbox::append`](crate::mailbox::append), many at a time,
//! and are durable then. One that cannot be read is told and passed over. The source is only read.
//!
//! **Again.** A message that stands in its folder already, octet for octet, is not
//! added, so an import that was cut off is run again and adds what is missing. Two
//! equal messages of a source become two: each one that is there stands for one. A
//! message that was removed or moved from its folder in between comes again.

pub mod letter;
mod maildir;
pub mod mbox;
pub mod mh;
mod present;
mod run;
mod target;

use std::fmt;
use std::path::PathBuf;

use courier_core::disk::DiskError;

pub use run::{Format, Import, import};

use crate::folder::{FolderError, FolderNameError};
use crate::mailbox::MailboxError;
use crate::name::NameError;

/// Where a message was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Octet, counted from 0, and line, counted from 1, in an mbox file.
    pub within: Option<(u64, u64)>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        match self.within {
            Some((offset, line)) => write!(f, ":{line}: offset {offset}"),
            None => Ok(()),
        }
    }
}

/// Why a message was passed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It has no octet.
    #[error("the message is empty")]
    Empty,
    /// Text that no line `From ` announces.
    #[error("text before the first line \"From \" with a date")]
    BeforeFirst,
    /// The name of its file.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A link, a directory or a FIFO.
    #[error("not a regular file")]
    NotRegular,
    /// A folder that cannot have its name here.
    #[error("the folder cannot be made: {0}")]
    FolderName(#[from] FolderNameError),
    /// It cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// It cannot be added.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
}

/// What is told while an import goes on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Report<'a> {
    /// So much is done.
    Progress(&'a Summary),
    /// A message, or a folder with all that is in it, was passed over.
    Refused(&'a Place, &'a Refusal),
}

/// What an import has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Messages added.
    pub added: u64,
    /// Messages that were there.
    pub present: u64,
    /// Messages and folders passed over.
    pub refused: u64,
    /// Folders made.
    pub folders: u64,
    /// Octets of the source that were read.
    pub read: u64,
    /// Octets of the source, where it is known.
    pub length: Option<u64>,
}

/// Why an import ended early. What was added stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The source.
    #[error("{} is not {expected}", path.display())]
    NotThis {
        /// The source.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// A folder was not made or found.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Messages cannot be added any more.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}
