//! The folder into which messages go, and those that are on their way.

use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Durability, Op};
use courier_core::time::Timestamp;

use super::present::Present;
use super::{ImportError, Place, Refusal, Report, Summary};
use crate::content::{Content, LastLine, Lines};
use crate::flags::Flags;
use crate::folder::{self, FolderError, FolderName, FolderPath, create_maildir};
use crate::keywords::Keyword;
use crate::mailbox::{MailboxError, NewMessage, append};
use crate::replace::temporary;
use crate::writer::Writer;

/// Told everything that is to be told.
pub(super) type Listener<'a> = &'a mut (dyn FnMut(Report<'_>) + Send);

/// Where messages go.
pub(super) struct Target<'a> {
    pub(super) disk: &'a Disk,
    pub(super) maildir: &'a Path,
    pub(super) writer: &'a Writer,
    pub(super) report: Listener<'a>,
    pub(super) summary: Summary,
    folder: FolderPath,
    present: Present,
    batch: Vec<Pending>,
    octets: u64,
}

/// A message on its way.
pub(super) struct Pending {
    pub(super) content: Content,
    pub(super) flags: Flags,
    pub(super) keywords: Vec<Keyword>,
    pub(super) date: Option<Timestamp>,
    pub(super) place: Place,
    /// The file that holds its text until it is added.
    pub(super) spool: Option<PathBuf>,
}

impl<'a> Target<'a> {
    pub(super) fn new(
        disk: &'a Disk,
        maildir: &'a Path,
        writer: &'a Writer,
        report: Listener<'a>,
    ) -> Self {
        Self {
            disk,
            maildir,
            writer,
            report,
            summary: Summary::default(),
            folder: FolderPath::inbox(maildir),
            present: Present::default(),
            batch: Vec::new(),
            octets: 0,
        }
    }

    /// Goes on with a folder, which is made if it is not there.
    pub(super) async fn open(&mut self, name: &FolderName) -> Result<(), ImportError> {
        self.flush().await?;
        let found = folder::locate(self.disk, self.maildir, name).await;
        self.folder = match found {
            Ok(path) => path,
            Err(FolderError::NotFound(_)) => {
                self.summary.folders += 1;
                if name.is_inbox() {
                    create_maildir(self.disk, self.maildir, self.writer).await?;
                    FolderPath::inbox(self.maildir)
                } else {
                    folder::create(self.disk, self.maildir, name, self.writer).await?
                }
            }
            Err(error) => return Err(error.into()),
        };
        self.present = Present::load(self.disk, &self.folder).await?;
        Ok(())
    }

    /// Tells of a message that is passed over.
    pub(super) fn refuse(&mut self, place: &Place, why: &Refusal) {
        self.summary.refused += 1;
        (self.report)(Report::Refused(place, why));
    }

    /// Adds a message, soon.
    pub(super) async fn add(&mut self, pending: Pending) -> Result<(), ImportError> {
        if self.present.take(self.disk, &pending.content).await {
            self.summary.present += 1;
            self.forget(&pending).await;
            return Ok(());
        }
        // What the driver copies costs no memory.
        self.octets += match pending.spool {
            Some(_) => 0,
            None => pending.content.sizes().file,
        };
        self.batch.push(pending);
        if self.batch.len() >= MESSAGES || self.octets >= OCTETS {
            self.flush().await?;
        }
        Ok(())
    }

    /// Adds what is on its way.
    pub(super) async fn flush(&mut self) -> Result<(), ImportError> {
        let batch = std::mem::take(&mut self.batch);
        self.octets = 0;
        if batch.is_empty() {
            return Ok(());
        }
        let added = self.append(&batch).await;
        let mut outcome = Ok(());
        match added {
            Ok(()) => self.summary.added += batch.len() as u64,
            // Some of them may have room.
            Err(MailboxError::OverQuota { .. }) => outcome = self.one_by_one(&batch).await,
            Err(error) if is_final(&error) => outcome = Err(error.into()),
            Err(_) => outcome = self.one_by_one(&batch).await,
        }
        for pending in &batch {
            self.forget(pending).await;
        }
        (self.report)(Report::Progress(&self.summary));
        outcome
    }

    /// One message that cannot be added does not hold up the others.
    async fn one_by_one(&mut self, batch: &[Pending]) -> Result<(), ImportError> {
        for pending in batch {
            match self.append(std::slice::from_ref(pending)).await {
                Ok(()) => self.summary.added += 1,
                Err(error) if is_final(&error) => return Err(error.into()),
                Err(error) => self.refuse(&pending.place, &error.into()),
            }
        }
        Ok(())
    }

    async fn append(&mut self, batch: &[Pending]) -> Result<(), MailboxError> {
        let messages = batch.iter().map(|pending| NewMessage {
            content: pending.content.clone(),
            flags: pending.flags,
            keywords: pending.keywords.clone(),
            date: pending.date,
        });
        let messages = messages.collect();
        append(self.disk, &self.folder, messages, self.writer)
            .await
            .map(drop)
    }

    async fn forget(&mut self, pending: &Pending) {
        if let Some(spool) = &pending.spool {
            self.disk.one(Op::Unlink(spool.clone())).await.ok();
        }
    }

    /// A file for the text of a long message.
    pub(super) fn spool(&self) -> Spool {
        Spool {
            path: temporary(&self.folder.tmp(), self.writer),
            length: 0,
            lines: Lines {
                bare: 0,
                last: LastLine::Ended,
            },
        }
    }
}

/// Whether no other message could be added either.
fn is_final(error: &MailboxError) -> bool {
    match error {
        MailboxError::Lock(_) | MailboxError::UidsExhausted | MailboxError::OverQuota { .. } => {
            true
        }
        MailboxError::Disk(error) => matches!(
            error.kind,
            DiskErrorKind::NoSpace
                | DiskErrorKind::Quota
                | DiskErrorKind::Permission
                | DiskErrorKind::TooManyFiles
        ),
        _ => false,
    }
}

/// Messages and octets that are added at once.
const MESSAGES: usize = 1024;
const OCTETS: u64 = 8 << 20;

/// A long message, written as it comes.
pub(super) struct Spool {
    pub(super) path: PathBuf,
    length: u64,
    lines: Lines,
}

impl Spool {
    /// Adds text to the file; nothing need survive.
    pub(super) async fn write(
        &mut self,
        disk: &Disk,
        octets: Vec<u8>,
        writer: &Writer,
    ) -> Result<(), DiskError> {
        if octets.is_empty() {
            return Ok(());
        }
        let lines = Lines::of(&octets);
        self.lines.bare += lines.bare;
        self.lines.last = lines.last;
        let first = self.length == 0;
        self.length += octets.len() as u64;
        let (path, durability) = (self.path.clone(), Durability::Volatile);
        if first {
            return disk.create(&path, octets, writer.mode, durability).await;
        }
        let append = Op::Append {
            path,
            octets: octets.into(),
            durability,
        };
        disk.one(append).await.map(drop)
    }

    pub(super) fn content(&self) -> Content {
        Content::default().file(self.path.clone(), 0..self.length, self.lines)
    }
}
