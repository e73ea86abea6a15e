//! Accounts that were looked up lately, as long as the database has not changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use courier_core::account::Account;

use super::database::Stamp;

/// What was found, names that are not there included.
#[derive(Debug, Default)]
pub(super) struct Cache {
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// The state of the database in which all of this was found.
    stamp: Option<Stamp>,
    accounts: HashMap<String, Option<Arc<Account>>>,
}

impl Cache {
    /// What was found under this name in this state of the database, if it was
    /// looked up: an account, or that there is none.
    pub(super) fn recall(&self, stamp: Stamp, name: &str) -> Option<Option<Arc<Account>>> {
        let found = self.lock();
        if found.stamp != Some(stamp) {
            return None;
        }
        found.accounts.get(name).cloned()
    }

    pub(super) fn remember(&self, stamp: Stamp, name: String, account: Option<Arc<Account>>) {
        let mut found = self.lock();
        if found.stamp != Some(stamp) || found.accounts.len() >= LIMIT {
            found.accounts.clear();
            found.stamp = Some(stamp);
        }
        found.accounts.insert(name, account);
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names remembered at most; then all are forgotten.
const LIMIT: usize = 10_000;
