//! Maildir++ folders: flat directories whose names carry the hierarchy.
//!
//! `INBOX` is the maildir itself, `INBOX.a.b` is `MAILDIR/.a.b`. Names on disk are
//! UTF-8; directories from before Courier-IMAP 5.0 that are named in modified UTF-7
//! are found as well, under the name that they mean.

mod change;
pub mod convert;
mod listing;
mod make;
mod name;
mod smap;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use courier_core::disk::{DiskError, DiskErrorKind};

pub(crate) use change::ensure;
pub use change::{create, create_maildir, delete, rename};
pub use listing::{Folder, list, locate};
pub use make::{Shape, Share, make};
pub use name::{Encoding, FolderName, FolderNameError};
pub use smap::escape;

use crate::lock::LockError;

/// Where a folder is: the maildir it belongs to, and its own directory in that.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FolderPath {
    maildir: PathBuf,
    path: PathBuf,
}

impl FolderPath {
    /// The folder in the directory `name` of a maildir; an empty name is the INBOX.
    #[must_use]
    pub fn new(maildir: impl Into<PathBuf>, name: &str) -> Self {
        let maildir = maildir.into();
        let path = match name {
            "" => maildir.clone(),
            name => maildir.join(name),
        };
        Self { maildir, path }
    }

    /// The INBOX.
    #[must_use]
    pub fn inbox(maildir: impl Into<PathBuf>) -> Self {
        Self::new(maildir, "")
    }

    /// The maildir that it belongs to.
    #[must_use]
    pub fn maildir(&self) -> &Path {
        &self.maildir
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where messages are written.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.file("tmp")
    }

    /// Where messages lie that no reader has seen.
    #[must_use]
    pub fn new_dir(&self) -> PathBuf {
        self.file("new")
    }

    /// Where the others lie.
    #[must_use]
    pub fn cur(&self) -> PathBuf {
        self.file("cur")
    }

    /// A state file.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn in_cur(&self, name: &[u8]) -> PathBuf {
        self.cur().join(OsStr::from_bytes(name))
    }

    pub(crate) fn in_new(&self, name: &[u8]) -> PathBuf {
        self.new_dir().join(OsStr::from_bytes(name))
    }
}

/// Why a folder was not found or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// No folder of that name.
    #[error("there is no folder {0}")]
    NotFound(FolderName),
    /// The name is taken.
    #[error("there is a folder {0} already")]
    Exists(FolderName),
    /// The INBOX cannot be made, deleted or renamed.
    #[error("INBOX cannot be created, deleted or renamed")]
    Inbox,
    /// A folder cannot become its own subfolder.
    #[error("{from} cannot be moved below itself")]
    BelowItself {
        /// The folder.
        from: FolderName,
    },
    /// The account has as many folders as it may.
    #[error("the account has {limit} folders, and may not have more")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The name that a folder would get is not possible.
    #[error(transparent)]
    Name(#[from] FolderNameError),
    /// Another session holds a lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Folders an account may have.
pub const FOLDER_LIMIT: usize = 10_000;

/// The empty file that marks a folder: the quota is that of the maildir above.
pub(crate) const FOLDER_MARK: &str = "maildirfolder";

/// Whether a directory, or one above it, is not there.
pub(crate) fn is_missing(kind: DiskErrorKind) -> bool {
    matches!(kind, DiskErrorKind::NotFound | DiskErrorKind::NotADirectory)
}
