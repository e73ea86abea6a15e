//! How the tasks on folders are charged.

use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError};

use super::check::read;
use super::counted::{self, counts};
use super::recount::{measure, recount_at_rest};
use super::{Account, Amount, FILE, Trust, Verdict, check, release};
use crate::folder::FolderPath;
use crate::mailbox::MailboxError;
use crate::tree::BATCH;
use crate::writer::Writer;

/// The quota that the mail of a folder counts for.
#[derive(Debug)]
pub(crate) struct Meter {
    maildir: PathBuf,
}

impl Meter {
    /// The meter of a folder; none for the trash and where there is no quota file, which
    /// costs one `stat`.
    pub(crate) async fn of(disk: &Disk, folder: &FolderPath) -> Option<Self> {
        if !counts(folder) {
            return None;
        }
        let maildir = folder.maildir().to_path_buf();
        let stat = disk.stat(&maildir.join(FILE)).await;
        stat.is_ok().then_some(Self { maildir })
    }

    /// Charges for messages that will come; gives what is on record now, which is
    /// nothing where the maildir never came to rest.
    ///
    /// # Errors
    /// [`MailboxError::OverQuota`], or what the disk says.
    pub(crate) async fn take(
        &self,
        disk: &Disk,
        amount: Amount,
        writer: &Writer,
    ) -> Result<Amount, MailboxError> {
        if amount.is_none() {
            return Ok(amount);
        }
        let checked = check(disk, &Account::of(&self.maildir), amount, writer).await?;
        match checked.verdict {
            Verdict::Fits => {
                let recorded = match checked.is_recorded() {
                    true => amount,
                    false => Amount::NONE,
                };
                checked.charge(disk, amount).await?;
                Ok(recorded)
            }
            Verdict::Over => Err(MailboxError::OverQuota {
                maildir: self.maildir.clone(),
            }),
        }
    }

    /// Takes off what is gone, or did not come.
    pub(crate) async fn give_back(&self, disk: &Disk, amount: Amount, writer: &Writer) {
        release(disk, &self.maildir, amount, writer).await;
    }
}

/// Whether a task on messages changes what counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Charge {
    /// It may.
    #[default]
    Due,
    /// They move within one quota.
    Never,
}

/// Whether the mail of two folders counts for the same quota.
pub(crate) fn is_shared(one: &FolderPath, other: &FolderPath) -> bool {
    one.maildir() == other.maildir() && counts(one) && counts(other)
}

/// What each message weighs, whether it counts or not: by its name, or else its file. A
/// message that is gone weighs nothing.
///
/// # Errors
/// What the disk says.
pub(crate) async fn weigh(
    disk: &Disk,
    messages: &[(&[u8], PathBuf)],
) -> Result<Vec<Amount>, DiskError> {
    let told = messages.iter().map(|(name, _)| counted::size(name));
    let mut weights: Vec<Option<Amount>> = told.map(|size| size.map(Amount::message)).collect();
    let untold = weights.iter().zip(messages);
    let untold = untold.filter(|(weight, _)| weight.is_none());
    let untold: Vec<PathBuf> = untold.map(|(_, (_, path))| path.clone()).collect();
    let mut measured = Vec::with_capacity(untold.len());
    for paths in untold.chunks(BATCH) {
        measured.extend(measure(disk, paths).await?);
    }
    let mut measured = measured.into_iter();
    for weight in &mut weights {
        if weight.is_none() {
            *weight = measured.next();
        }
    }
    Ok(weights.into_iter().map(Option::unwrap_or_default).collect())
}

/// Counts a maildir anew, if it has a quota, after folders came or went at once. What the
/// disk refuses is left to the next recount.
pub(crate) async fn renew(disk: &Disk, maildir: &Path, writer: &Writer) {
    if let Ok(Some(file)) = read(disk, &maildir.join(FILE)).await
        && file.trust != Trust::Damaged
    {
        recount_at_rest(disk, maildir, file.spec, writer).await.ok();
    }
}
