//! `courier import`: mail from elsewhere into an account.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use courier_core::disk::{self, DiskErrorKind};
use courier_maildir::folder::{FolderError, FolderName};
use courier_maildir::import::mbox::Quoting;
use courier_maildir::import::{self, ImportError, Report, Summary};
use courier_maildir::mailbox::MailboxError;
use courier_maildir::quota;

use super::account::name;
use super::print;
use super::terminal::Progress;
use crate::accounts::{AccountDatabase, AccountsError};
use crate::disk::StdDisk;
use crate::failure::{Failure, Status};
use crate::layout::Layout;
use crate::{program, root, service};

/// Run again, it adds what is missing: a message that stands in its folder already,
/// octet for octet, is not added. So an import that was cut off is simply run again.
/// Messages that cannot be read are named and passed over; the exit status is 1 then.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// What the source is
    #[arg(value_enum)]
    format: Format,
    /// The mbox file, the maildir, or the MH folder; it is only read
    source: PathBuf,
    /// The account into which the mail goes
    account: String,
    /// Folder for what stands at the top of the source; its folders go below
    #[arg(long, value_name = "NAME", default_value = "INBOX")]
    folder: String,
    /// How lines that begin with "From " are marked in an mbox
    #[arg(long, value_enum, value_name = "FORM", default_value = "mboxrd")]
    quoting: Form,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// One file of many messages
    Mbox,
    /// A directory with cur and new, and its folders
    Maildir,
    /// A directory of numbered files, and its folders
    Mh,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// One more ">" before "From ", ">From " and so on
    Mboxrd,
    /// ">" before "From " alone
    Mboxo,
    /// Not at all
    None,
}

impl Import {
    pub(super) fn run(&self, layout: &Layout) -> Result<ExitCode, Failure> {
        let folder = self.folder()?;
        let account = name(&self.account)?;
        let found = AccountDatabase::new(layout).look_up(&account)?;
        let found = found.ok_or_else(|| AccountsError::NoSuchAccount(account))?;
        let maildir = found.maildir();
        let source = std::fs::canonicalize(&self.source);
        let source = source.map_err(|error| {
            let text = format!("{}: {error}", self.source.display());
            Failure::new(Status::of(&error), text)
        })?;
        root::become_owner(&maildir).map_err(|error| {
            let text = format!("{}: {error}", maildir.display());
            Failure::new(Status::of(&error), text)
        })?;
        let writer = program::writer(0o600);
        let what = import::Import {
            format: match self.format {
                Format::Mbox => import::Format::Mbox(match self.quoting {
                    Form::Mboxrd => Quoting::Rd,
                    Form::Mboxo => Quoting::O,
                    Form::None => Quoting::None,
                }),
                Format::Maildir => import::Format::Maildir,
                Format::Mh => import::Format::Mh,
            },
            source: &source,
            maildir: &maildir,
            folder: &folder,
        };
        let mut progress = Progress::new();
        let mut report = |report: Report<'_>| match report {
            Report::Progress(summary) => progress.show(|| done(summary)),
            Report::Refused(place, why) => {
                progress.clear();
                let line = format!("courier: {place}: {why}\n");
                io::stderr().write_all(line.as_bytes()).ok();
            }
            _ => {}
        };
        let owner = quota::Account {
            maildir: maildir.clone(),
            quota: service::quota::of(&found),
        };
        let task = disk::task(|disk| async move {
            // As at a login: what the messages then cost is charged.
            match quota::adopt(&disk, &owner, &writer).await {
                Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
            import::import(&disk, what, &writer, &mut report).await
        });
        let summary = StdDisk::new(THREADS).run(task);
        let summary = summary.map_err(|error| {
            let text = "what was added stays; run it again for the rest";
            Failure::new(status(&error), format!("{error}; {text}"))
        });
        progress.clear();
        let summary = summary?;
        let printed = print(&told(&summary))?;
        Ok(match summary.refused {
            0 => printed,
            _ => Status::No.into(),
        })
    }

    /// `INBOX`, `INBOX.a`, or `a` for the same.
    fn folder(&self) -> Result<FolderName, Failure> {
        let parsed = FolderName::parse(&self.folder);
        let parsed = parsed.or_else(|_| FolderName::inbox().join(&self.folder));
        parsed.map_err(|error| Failure::new(Status::Usage, format!("--folder: {error}")))
    }
}

fn done(summary: &Summary) -> String {
    let part = match summary.length {
        Some(length) if length > 0 => format!(", {} %", summary.read * 100 / length),
        _ => String::new(),
    };
    format!("{} messages{part}", summary.added + summary.present)
}

fn told(summary: &Summary) -> String {
    let mut text = format!("{} added", summary.added);
    for (count, what) in [
        (summary.present, "there already"),
        (summary.refused, "passed over"),
        (summary.folders, "folders made"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text.push('\n');
    text
}

fn status(error: &ImportError) -> Status {
    match error {
        ImportError::NotThis { .. } => Status::Data,
        ImportError::Disk(error)
        | ImportError::Folder(FolderError::Disk(error))
        | ImportError::Mailbox(MailboxError::Disk(error)) => Status::of_disk(error.kind),
        ImportError::Mailbox(MailboxError::Lock(_) | MailboxError::OverQuota { .. })
        | ImportError::Folder(FolderError::Lock(_)) => Status::TryLater,
        ImportError::Folder(_) => Status::CannotCreate,
        _ => Status::Software,
    }
}

/// Files of one batch are synced together.
const THREADS: usize = 8;
