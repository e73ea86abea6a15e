//! How much of a quota is used.

use std::path::Path;

use courier_core::disk::{Disk, DiskError};

use super::check::read;
use super::{Amount, FILE, QuotaSpec};

/// A maildir's quota and what is there, for `GETQUOTA`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// The quota.
    pub spec: QuotaSpec,
    /// What is there.
    pub total: Amount,
}

/// One resource of RFC 9208.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource {
    /// How much there is.
    pub used: u64,
    /// How much there may be.
    pub limit: u64,
}

impl Usage {
    /// `STORAGE`, in units of 1024 octets, if it is limited.
    #[must_use]
    pub fn storage(self) -> Option<Resource> {
        let resource = resource(self.total.octets, self.spec.octets())?;
        Some(Resource {
            used: resource.used.div_ceil(1024),
            limit: resource.limit.div_ceil(1024),
        })
    }

    /// `MESSAGE`, if they are limited.
    #[must_use]
    pub fn messages(self) -> Option<Resource> {
        resource(self.total.messages, self.spec.messages())
    }
}

fn resource(used: i64, limit: i64) -> Option<Resource> {
    let limit = u64::try_from(limit).ok().filter(|&limit| limit > 0)?;
    let used = u64::try_from(used).unwrap_or_default();
    Some(Resource { used, limit })
}

/// Reads a maildir's quota and usage from its file, without counting; nothing without a
/// file.
///
/// # Errors
/// What the disk says.
pub async fn usage(disk: &Disk, maildir: &Path) -> Result<Option<Usage>, DiskError> {
    let file = read(disk, &maildir.join(FILE)).await?;
    Ok(file.map(|file| Usage {
        spec: file.spec,
        total: file.total,
    }))
}
