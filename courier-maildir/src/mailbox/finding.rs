//! What should not be so in a folder: for the log.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Something in a folder that is not as it should be. It keeps nobody from working with
/// the folder; an administrator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// A directory, link, FIFO or the like where messages are: it is not opened.
    NoMessage(PathBuf),
    /// The UID list could not be read: it has begun anew, with another UIDVALIDITY.
    UidsAnew(PathBuf),
}

impl Finding {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::NoMessage(path) | Self::UidsAnew(path) => path,
        }
    }

    /// Adds an entry that is no file, unless its name says that it is not meant to be a
    /// message.
    pub(super) fn no_message(findings: &mut Vec<Self>, directory: &Path, name: &[u8]) {
        let finding = || Self::NoMessage(directory.join(OsStr::from_bytes(name)));
        if !name.starts_with(b".") && findings.len() < MOST {
            findings.push(finding());
        }
    }
}

/// Findings of one look.
const MOST: usize = 100;
