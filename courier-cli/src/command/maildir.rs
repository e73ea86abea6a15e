//! `courier maildir`: maildirs, whoever they belong to.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use courier_core::disk;
use courier_maildir::check::{self, CheckError, Mode, Report, Sizes};
use courier_maildir::folder::FolderError;
use courier_maildir::mailbox::MailboxError;
use courier_maildir::subscription::SubscriptionError;

use super::terminal::Progress;
use crate::disk::StdDisk;
use crate::failure::{Failure, Status};
use crate::{program, root};

/// What to do with a maildir.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say all that is wrong with a maildir and its folders, and mend it
    Check(Check),
}

/// One finding a line: `PATH: error: TEXT`, `PATH: note: TEXT`, or, of what was mended,
/// `PATH: fixed: TEXT`. The exit status is 1 if an error is left. No message is ever
/// removed; those that have the name of another get a new one.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The maildir
    directory: PathBuf,
    /// Mend what can be mended
    #[arg(long)]
    fix: bool,
    /// Read each message as well, to check the size on the wire in its name (W=)
    #[arg(long)]
    sizes: bool,
}

impl Command {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Check(check) => check.run(),
        }
    }
}

impl Check {
    fn run(&self) -> Result<ExitCode, Failure> {
        let failed = |error: io::Error| {
            let text = format!("{}: {error}", self.directory.display());
            Failure::new(Status::of(&error), text)
        };
        // The directory itself may be a link; what is in it is not followed.
        let maildir = std::fs::canonicalize(&self.directory).map_err(failed)?;
        root::become_owner(&maildir).map_err(failed)?;
        let writer = program::writer(0o600);
        let mode = if self.fix { Mode::Fix } else { Mode::Look };
        let sizes = if self.sizes { Sizes::Wire } else { Sizes::File };
        let mut progress = Progress::new();
        let mut out = Ok(());
        let mut report = |report: Report<'_>| match report {
            Report::Progress(messages) => progress.show(|| format!("{messages} messages")),
            Report::Finding(finding) => {
                progress.clear();
                let line = format!("{finding}\n");
                if out.is_ok() {
                    out = io::stdout().write_all(line.as_bytes());
                }
            }
            _ => {}
        };
        let task = disk::task(|disk| async move {
            check::check(&disk, &maildir, mode, sizes, &writer, &mut report).await
        });
        let summary = StdDisk::new(THREADS).run(task);
        progress.clear();
        let summary = summary.map_err(|error| Failure::new(status(&error), error.to_string()))?;
        match out.and_then(|()| io::stdout().flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let text = format!("standard output: {error}");
                return Err(Failure::new(Status::Io, text));
            }
            _ => {}
        }
        Ok(match summary.errors {
            0 => ExitCode::SUCCESS,
            _ => Status::No.into(),
        })
    }
}

fn status(error: &CheckError) -> Status {
    match error {
        CheckError::NoMaildir { .. } => Status::Data,
        CheckError::Disk(error)
        | CheckError::Folder(FolderError::Disk(error))
        | CheckError::Mailbox(MailboxError::Disk(error))
        | CheckError::Subscription(SubscriptionError::Disk(error)) => Status::of_disk(error.kind),
        _ => Status::TryLater,
    }
}

/// Directories and messages are looked at in batches.
const THREADS: usize = 4;
