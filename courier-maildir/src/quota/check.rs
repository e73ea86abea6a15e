//! Whether mail fits, and the record that it came.

use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Durability, Op};

use super::file::{End, LIMIT, SizeFile, Trust};
use super::recount::{Rest, recount_at_rest};
use super::{Amount, FILE, QuotaSpec, record};
use crate::writer::Writer;

/// Whose mail is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Account {
    /// The maildir with the quota file, not one of its folders; [`top`](super::top)
    /// finds it.
    pub maildir: PathBuf,
    /// The quota that the account has by other means, which is written into the file
    /// when that has another; [`QuotaSpec::UNLIMITED`] leaves the file as it is.
    pub quota: QuotaSpec,
}

impl Account {
    /// An account whose quota is what its file says.
    #[must_use]
    pub fn of(maildir: impl Into<PathBuf>) -> Self {
        Self {
            maildir: maildir.into(),
            quota: QuotaSpec::UNLIMITED,
        }
    }
}

/// The answer to [`check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Whether what was asked for fits.
    pub verdict: Verdict,
    /// The quota.
    pub spec: QuotaSpec,
    /// What is there, without what was asked for.
    pub total: Amount,
    path: PathBuf,
    /// How the file ends to which records are appended; without one there are none.
    end: Option<End>,
}

/// Whether mail fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Fits,
    /// It does not.
    Over,
}

/// Finds out whether a maildir has room for so much more. A maildir without a quota
/// file has, at the cost of one failed `open`.
///
/// # Errors
/// What the disk says.
pub async fn check(
    disk: &Disk,
    account: &Account,
    extra: Amount,
    writer: &Writer,
) -> Result<Checked, DiskError> {
    let path = account.maildir.join(FILE);
    let file = read(disk, &path).await?;
    let mut checked = Checked {
        verdict: Verdict::Fits,
        spec: account.quota,
        total: Amount::NONE,
        path,
        end: None,
    };
    if let Some(file) = file {
        if account.quota.is_unlimited() {
            checked.spec = file.spec;
        }
        checked.end = Some(file.end);
        checked.total = file.total;
        if file.trust == Trust::Sound && checked.spec == file.spec {
            checked.verdict = checked.verdict_on(extra);
            if checked.verdict == Verdict::Fits
                || is_fresh(disk, &checked.path, &file, writer).await
            {
                return Ok(checked);
            }
        }
    } else if account.quota.is_unlimited() {
        return Ok(checked);
    }
    let count = recount_at_rest(disk, &account.maildir, checked.spec, writer).await?;
    checked.total = count.total;
    checked.end = Some(End::Line);
    checked.verdict = match count.rest {
        Rest::Settled => checked.verdict_on(extra),
        // Courier: who cannot come to a sum lets the mail pass, and writes no record.
        Rest::Moving => {
            checked.end = None;
            Verdict::Fits
        }
    };
    Ok(checked)
}

impl Checked {
    /// How full the maildir is, in percent; 0 without a limit.
    #[must_use]
    pub fn percent(&self) -> i64 {
        self.spec.percent(self.total)
    }

    /// Whether there is a file that records are appended to.
    pub(super) fn is_recorded(&self) -> bool {
        self.end.is_some()
    }

    /// Whether so much more would fit, by what is known.
    #[must_use]
    pub fn verdict_on(&self, extra: Amount) -> Verdict {
        match self.spec.admits(self.total + extra) {
            true => Verdict::Fits,
            false => Verdict::Over,
        }
    }

    /// Records that so much came, whether or not it fits; what went is negative. Not
    /// synced: a recount tells what a crash loses.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn charge(&self, disk: &Disk, amount: Amount) -> Result<(), DiskError> {
        match self.end {
            Some(end) => append(disk, &self.path, end, amount).await,
            None => Ok(()),
        }
    }
}

/// Records that so much went, after it did. What the disk refuses is left to the next
/// recount: mail can always be removed.
pub async fn release(disk: &Disk, maildir: &Path, amount: Amount, writer: &Writer) {
    if amount.is_none() {
        return;
    }
    let path = maildir.join(FILE);
    let Ok(Some(file)) = read(disk, &path).await else {
        return;
    };
    match file.trust {
        Trust::Sound => append(disk, &path, file.end, -amount).await.ok(),
        Trust::Recount => recount_at_rest(disk, maildir, file.spec, writer)
            .await
            .map(drop)
            .ok(),
        // Whoever knows the quota will come.
        Trust::Damaged => None,
    };
}

/// The file; nothing if there is none. One that cannot be opened for what it is counts
/// as none, as with Courier.
pub(super) async fn read(disk: &Disk, path: &Path) -> Result<Option<SizeFile>, DiskError> {
    match disk.read(path, 0..LIMIT).await {
        Ok(text) => Ok(Some(SizeFile::parse(&text))),
        Err(error) => match error.kind {
            DiskErrorKind::NotFound
            | DiskErrorKind::NotADirectory
            | DiskErrorKind::NotRegular
            | DiskErrorKind::IsADirectory
            | DiskErrorKind::Permission => Ok(None),
            _ => Err(error),
        },
    }
}

/// Whether the file was counted a moment ago and has had no record since: to count
/// again would say the same.
async fn is_fresh(disk: &Disk, path: &Path, file: &SizeFile, writer: &Writer) -> bool {
    if file.records != 1 {
        return false;
    }
    let stat = disk.stat(path).await;
    stat.is_ok_and(|meta| writer.now.seconds < meta.modified.seconds.saturating_add(FRESH))
}

/// Seconds for which a count that leaves no room is believed.
const FRESH: i64 = 900;

async fn append(disk: &Disk, path: &Path, end: End, amount: Amount) -> Result<(), DiskError> {
    if amount.is_none() {
        return Ok(());
    }
    let mut octets = Vec::new();
    if end == End::Unfinished {
        octets.push(b'\n');
    }
    octets.extend(record(amount));
    let appended = disk
        .one(Op::Append {
            path: path.to_path_buf(),
            octets: octets.into(),
            durability: Durability::Volatile,
        })
        .await;
    match appended {
        // The quota was taken away meanwhile.
        Err(error) if error.kind != DiskErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
