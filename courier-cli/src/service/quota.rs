//! The quota that an account has by its record, in its maildir.

use courier_core::account::Account;
use courier_core::disk;
use courier_core::disk::DiskErrorKind;
use courier_maildir::quota::{self, QuotaSpec};
use courier_maildir::writer::Writer;

use crate::clock;
use crate::disk::Disks;
use crate::failure::chain;

/// The quota of an account as maildirs have it; without one the maildir's own file says
/// what it is.
#[must_use]
pub(crate) fn of(account: &Account) -> QuotaSpec {
    let text = account.quota.as_deref().unwrap_or_default();
    QuotaSpec::parse(text.as_bytes())
}

/// Writes it into the maildir at a login, if it is another than the one there; what the
/// session then does is charged. A maildir where that fails is used as it is.
pub(super) async fn adopt(disks: &Disks, writer: &Writer, account: &Account) {
    let quota = of(account);
    if quota.is_unlimited() {
        return;
    }
    let maildir = account.maildir();
    let (owner, writer) = (quota::Account { maildir, quota }, writer.at(clock::now()));
    let adopt = disk::task(|disk| async move { quota::adopt(&disk, &owner, &writer).await });
    match disks.run(adopt).await {
        // There is no maildir yet; who opens it says so.
        Err(error) if error.kind != DiskErrorKind::NotFound => {
            tracing::warn!(error = chain(&error), "QUOTA NOT WRITTEN");
        }
        _ => {}
    }
}
