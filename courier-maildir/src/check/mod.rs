//! What can go wrong in a maildir: found, and mended without losing mail.
//!
//! Nothing but files that were left in `tmp`, locks of the dead, and a second name of a
//! message is ever removed.
//! Messages with a name that another has, or that no list can carry, get a new one.
//! Other programs may be at work meanwhile: each thing is looked at again before it is
//! mended.

mod folder;
mod messages;
mod quota;
mod state;

use std::fmt;
use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError};

use crate::folder::FolderError;
use crate::mailbox::MailboxError;
use crate::subscription::SubscriptionError;
use crate::writer::Writer;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Something is wrong.
    Error,
    /// Somebody may want to know.
    Note,
    /// Something was wrong.
    Fixed,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub path: PathBuf,
    /// How grave it is.
    pub severity: Severity,
    /// What it is, and what was done about it.
    pub text: String,
}

impl fmt::Display for Finding {
    /// `PATH: error: TEXT`, on one line whatever the path is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.path.display().to_string().chars() {
            match c.is_control() {
                true => write!(f, "{}", c.escape_default())?,
                false => write!(f, "{c}")?,
            }
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Note => "note",
            Severity::Fixed => "fixed",
        };
        write!(f, ": {severity}: {}", self.text)
    }
}

/// What is done about findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Look,
    /// What can be.
    Fix,
}

/// How sizes in names are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizes {
    /// `S=` by the file's length.
    File,
    /// `W=` as well, for which each message is read.
    Wire,
}

/// What is told while a check goes on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Report<'a> {
    /// Something was found.
    Finding(&'a Finding),
    /// So many messages were looked at.
    Progress(u64),
}

/// What a check has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Folders.
    pub folders: u64,
    /// Messages.
    pub messages: u64,
    /// What is wrong still.
    pub errors: u64,
    /// What was wrong.
    pub fixed: u64,
    /// What is not quite right.
    pub notes: u64,
}

/// Why a check ended early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// Nothing of a maildir is there.
    #[error("{} is not a maildir", path.display())]
    NoMaildir {
        /// The directory.
        path: PathBuf,
    },
    /// A folder was not made or found.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A folder was not opened.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    /// Subscriptions were not read or written.
    #[error(transparent)]
    Subscription(#[from] SubscriptionError),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Checks a maildir with all its folders; with [`Mode::Fix`], what is reported as fixed
/// is durable.
///
/// # Errors
/// When it is no maildir, or the disk refuses.
pub async fn check(
    disk: &Disk,
    maildir: &Path,
    mode: Mode,
    sizes: Sizes,
    writer: &Writer,
    report: &mut (dyn FnMut(Report<'_>) + Send),
) -> Result<Summary, CheckError> {
    let mut check = Check {
        disk,
        maildir,
        mode,
        sizes,
        writer,
        report,
        summary: Summary::default(),
    };
    let folders = check.folders().await?;
    for folder in &folders {
        check.messages(folder).await?;
        check.uid_list(folder).await?;
        check.keywords(folder).await?;
        check.access_list(folder).await?;
    }
    check.subscriptions(&folders).await?;
    check.size_list().await?;
    check.quota().await?;
    Ok(check.summary)
}

/// A check under way.
struct Check<'a> {
    disk: &'a Disk,
    maildir: &'a Path,
    mode: Mode,
    sizes: Sizes,
    writer: &'a Writer,
    report: &'a mut (dyn FnMut(Report<'_>) + Send),
    summary: Summary,
}

impl Check<'_> {
    fn tell(&mut self, path: &Path, severity: Severity, text: impl Into<String>) {
        let count = match severity {
            Severity::Error => &mut self.summary.errors,
            Severity::Note => &mut self.summary.notes,
            Severity::Fixed => &mut self.summary.fixed,
        };
        *count += 1;
        let finding = Finding {
            path: path.to_path_buf(),
            severity,
            text: text.into(),
        };
        (self.report)(Report::Finding(&finding));
    }

    fn note(&mut self, path: &Path, text: impl Into<String>) {
        self.tell(path, Severity::Note, text);
    }

    fn error(&mut self, path: &Path, text: impl Into<String>) {
        self.tell(path, Severity::Error, text);
    }

    /// Tells how mending went: what was wrong, and what was done or why it was not.
    fn mended<T, E: fmt::Display>(
        &mut self,
        path: &Path,
        wrong: &str,
        done: &str,
        outcome: Result<T, E>,
    ) {
        match outcome {
            Ok(_) => self.tell(path, Severity::Fixed, format!("{wrong}; {done}")),
            Err(error) => self.error(path, format!("{wrong}; not mended: {error}")),
        }
    }

    fn fixes(&self) -> bool {
        self.mode == Mode::Fix
    }
}
