//! Deliveries that are charged.
//!
//! [`deliver`] is the server's, many messages at a time. [`deliver_known`] and
//! [`deliver_counted`] are `deliverquota`'s, whose message comes from a file or from a
//! pipe: of the one the size is known before it is read, of the other after.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, Op};

use super::{Account, Amount, Checked, QuotaSpec, Verdict, Warning, check, is_exempt, top, warn};
use crate::delivery::{
    self, Attempt, Delivered, Delivery, DeliveryError, When, Written, earlier, publish,
};
use crate::folder::FolderPath;
use crate::writer::Writer;

/// A delivery into a maildir whose account has this quota;
/// [`QuotaSpec::UNLIMITED`] leaves it to the maildir's file.
#[derive(Debug, Clone)]
pub struct Metered {
    /// The message.
    pub delivery: Delivery,
    /// The quota.
    pub quota: QuotaSpec,
}

/// Delivers messages as [`delivery::deliver`] does, those for which there is room. They
/// are charged before they appear; what then fails, or was there already, is taken off
/// again. A message that an earlier attempt delivered is found, however full the maildir
/// is by now.
pub async fn deliver(
    disk: &Disk,
    batch: Vec<Metered>,
    writer: &Writer,
) -> Vec<Result<Delivered, DeliveryError>> {
    let mut accounts: HashMap<Account, Vec<usize>> = HashMap::new();
    for (number, metered) in batch.iter().enumerate() {
        if super::counts(&metered.delivery.folder) {
            let account = Account {
                maildir: metered.delivery.folder.maildir().to_path_buf(),
                quota: metered.quota,
            };
            accounts.entry(account).or_default().push(number);
        }
    }
    let deliveries: Vec<Delivery> = batch.into_iter().map(|metered| metered.delivery).collect();
    let mut results: Vec<Option<Result<Delivered, DeliveryError>>> = vec![None; deliveries.len()];
    // What was charged for each account, and for whom.
    let mut charged: Vec<(Account, Vec<usize>)> = Vec::new();
    for (account, numbers) in accounts {
        let sizes = numbers.iter().map(|&number| size(&deliveries, number));
        let sizes: Vec<Amount> = sizes.collect();
        match admit_each(disk, &account, &sizes, writer).await {
            Ok((checked, fits)) => {
                let mut admitted = Vec::new();
                for (&number, fits) in numbers.iter().zip(fits) {
                    match fits {
                        Verdict::Fits => admitted.push(number),
                        Verdict::Over => refuse(&mut results, number, &account),
                    }
                }
                if checked.is_recorded() {
                    charged.push((account, admitted));
                }
            }
            // The folder is made first, if it may be, and then is empty.
            Err(_) if is_absent(disk, &account.maildir).await => {}
            Err(error) => {
                for &number in &numbers {
                    if let Some(result) = results.get_mut(number) {
                        *result = Some(Err(error.clone().into()));
                    }
                }
            }
        }
    }
    find_earlier(disk, &deliveries, &mut results).await;
    let going: Vec<usize> = (0..deliveries.len())
        .filter(|&number| matches!(results.get(number), Some(None)))
        .collect();
    let batch = going.iter().filter_map(|&number| deliveries.get(number));
    let outcomes = delivery::deliver(disk, batch.cloned().collect(), writer).await;
    for (&number, outcome) in going.iter().zip(outcomes) {
        if let Some(result) = results.get_mut(number) {
            *result = Some(outcome);
        }
    }
    for (account, numbers) in charged {
        let idle = numbers.into_iter().filter(|&number| {
            let result = results.get(number).and_then(Option::as_ref);
            !matches!(result, Some(Ok(delivered)) if delivered.when == When::Now)
        });
        let idle = idle.map(|number| size(&deliveries, number)).sum();
        super::release(disk, &account.maildir, idle, writer).await;
    }
    results
        .into_iter()
        .zip(deliveries)
        .map(|(result, delivery)| {
            let lost = || {
                let op = Op::Stat(delivery.folder.path().to_path_buf());
                Err(op.error(courier_core::disk::DiskErrorKind::Io).into())
            };
            result.unwrap_or_else(lost)
        })
        .collect()
}

fn size(deliveries: &[Delivery], number: usize) -> Amount {
    deliveries
        .get(number)
        .map(|delivery| Amount::message(delivery.content.sizes().file))
        .unwrap_or_default()
}

fn refuse(
    results: &mut [Option<Result<Delivered, DeliveryError>>],
    number: usize,
    account: &Account,
) {
    if let Some(result) = results.get_mut(number) {
        let maildir = account.maildir.clone();
        *result = Some(Err(DeliveryError::OverQuota { maildir }));
    }
}

/// Which messages of one account there is room for, taken in their order; those are
/// charged by one record.
async fn admit_each(
    disk: &Disk,
    account: &Account,
    sizes: &[Amount],
    writer: &Writer,
) -> Result<(Checked, Vec<Verdict>), DiskError> {
    let all: Amount = sizes.iter().copied().sum();
    let checked = check(disk, account, all, writer).await?;
    let mut admitted = Amount::NONE;
    let verdicts = sizes.iter().map(|&size| {
        let verdict = match checked.verdict {
            Verdict::Fits => Verdict::Fits,
            Verdict::Over => checked.verdict_on(admitted + size),
        };
        if verdict == Verdict::Fits {
            admitted += size;
        }
        verdict
    });
    let verdicts = verdicts.collect();
    checked.charge(disk, admitted).await?;
    Ok((checked, verdicts))
}

async fn is_absent(disk: &Disk, maildir: &Path) -> bool {
    let stat = disk.stat(&maildir.join("tmp")).await;
    stat.is_err_and(|error| crate::folder::is_missing(error.kind))
}

/// Of those that are refused, the ones that came through before.
async fn find_earlier(
    disk: &Disk,
    deliveries: &[Delivery],
    results: &mut [Option<Result<Delivered, DeliveryError>>],
) {
    let refused = |number: &usize| {
        let result = results.get(*number).and_then(Option::as_ref);
        let over = matches!(result, Some(Err(DeliveryError::OverQuota { .. })));
        let attempt = deliveries.get(*number).map(|delivery| delivery.attempt);
        over && attempt == Some(Attempt::Repeated)
    };
    let refused: Vec<usize> = (0..deliveries.len()).filter(refused).collect();
    if refused.is_empty() {
        return;
    }
    let batch = refused.iter().filter_map(|&number| deliveries.get(number));
    let found = earlier(disk, batch.cloned().collect()).await;
    for (&number, found) in refused.iter().zip(found) {
        if let (Some(result), Some(found)) = (results.get_mut(number), found) {
            *result = Some(Ok(found));
        }
    }
}

/// Where a program delivers to, and who is charged for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The folder.
    pub folder: FolderPath,
    /// Who is charged; nobody for the trash.
    pub account: Option<Account>,
    /// Whose warning comes where.
    pub maildir: PathBuf,
}

impl Target {
    /// Finds out whose folder a directory is.
    pub async fn find(disk: &Disk, directory: &Path, quota: QuotaSpec) -> Self {
        let maildir = top(disk, directory).await;
        let account = Account {
            maildir: maildir.clone(),
            quota,
        };
        Self {
            folder: FolderPath::inbox(directory),
            account: (!is_exempt(directory)).then_some(account),
            maildir,
        }
    }

    fn over(&self) -> DeliveryError {
        let maildir = self.maildir.clone();
        DeliveryError::OverQuota { maildir }
    }

    async fn check(
        &self,
        disk: &Disk,
        extra: Amount,
        writer: &Writer,
    ) -> Result<Option<Checked>, DeliveryError> {
        let Some(account) = &self.account else {
            return Ok(None);
        };
        let checked = check(disk, account, extra, writer).await?;
        match checked.verdict {
            Verdict::Fits => Ok(Some(checked)),
            Verdict::Over => Err(self.over()),
        }
    }
}

/// Room for a message whose size is known, before it is written.
#[derive(Debug)]
#[must_use = "the message is delivered by it"]
pub struct Admitted {
    target: Target,
    checked: Option<Checked>,
}

/// The first half of a delivery from a file: asks whether there is room.
///
/// # Errors
/// [`DeliveryError::OverQuota`], after which the owner is warned all the same; or what
/// the disk says.
pub async fn admit(
    disk: &Disk,
    target: Target,
    octets: u64,
    warning: Option<&Warning>,
    writer: &Writer,
) -> Result<Admitted, DeliveryError> {
    match target.check(disk, Amount::message(octets), writer).await {
        Ok(checked) => Ok(Admitted { target, checked }),
        Err(error) => {
            if matches!(error, DeliveryError::OverQuota { .. }) {
                warn(disk, &target.maildir, warning, writer).await;
            }
            Err(error)
        }
    }
}

/// The second half: publishes the message, warns, and then charges what was written.
/// Courier's order, which the warning shows: the message is not in its percentage.
///
/// # Errors
/// What the disk says.
pub async fn deliver_known(
    disk: &Disk,
    admitted: Admitted,
    written: Written,
    warning: Option<&Warning>,
    writer: &Writer,
) -> Result<Delivered, DeliveryError> {
    let size = Amount::message(written.sizes.file);
    let delivered = publish(disk, written).await?;
    warn(disk, &admitted.target.maildir, warning, writer).await;
    if let Some(checked) = &admitted.checked {
        // It is delivered: a record that cannot be written is left to the recount.
        checked.charge(disk, size).await.ok();
    }
    Ok(delivered)
}

/// Delivers a message from a pipe, which is written already: asks, charges, publishes,
/// warns.
///
/// # Errors
/// [`DeliveryError::OverQuota`], or what the disk says; nothing is left of the message.
pub async fn deliver_counted(
    disk: &Disk,
    target: Target,
    written: Written,
    warning: Option<&Warning>,
    writer: &Writer,
) -> Result<Delivered, DeliveryError> {
    let size = Amount::message(written.sizes.file);
    let charged = match target.check(disk, size, writer).await {
        Ok(Some(checked)) => {
            let charged = checked.charge(disk, size).await;
            charged
                .map(|()| checked.is_recorded())
                .map_err(DeliveryError::from)
        }
        Ok(None) => Ok(false),
        Err(error) => Err(error),
    };
    let is_recorded = match charged {
        Ok(is_recorded) => is_recorded,
        Err(error) => {
            disk.one(Op::Unlink(written.tmp)).await.ok();
            return Err(error);
        }
    };
    match publish(disk, written).await {
        Ok(delivered) => {
            warn(disk, &target.maildir, warning, writer).await;
            Ok(delivered)
        }
        Err(error) => {
            if is_recorded && let Some(account) = &target.account {
                super::release(disk, &account.maildir, size, writer).await;
            }
            Err(error)
        }
    }
}
