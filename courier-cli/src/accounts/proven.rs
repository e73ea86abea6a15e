//! Logins that were proven a moment ago: clients that connect again and again, and
//! webmail, which does so for every page, are not hashed each time.
//!
//! Kept is a keyed hash over login, password and what is stored of it, under a key
//! that dies with the process; so a password that was changed is never remembered.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use courier_core::account::Account;
use courier_core::account::secret::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::random;

/// What was proven, and until when it counts.
pub(super) struct Proven {
    keyed: Hmac<Sha256>,
    until: Mutex<HashMap<[u8; 32], Instant>>,
}

impl fmt::Debug for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proven").finish_non_exhaustive()
    }
}

impl Proven {
    pub(super) fn new() -> Self {
        Self {
            keyed: Hmac::new(&random::array::<64>().into()),
            until: Mutex::default(),
        }
    }

    /// Whether this was proven lately.
    pub(super) fn recall(&self, account: &Account, password: &Secret, now: Instant) -> bool {
        let mark = self.mark(account, password);
        self.lock().get(&mark).is_some_and(|until| now < *until)
    }

    /// This was proven now.
    pub(super) fn remember(&self, account: &Account, password: &Secret, now: Instant) {
        let mark = self.mark(account, password);
        let mut proven = self.lock();
        if proven.len() >= LIMIT {
            proven.retain(|_, until| now < *until);
        }
        if proven.len() >= LIMIT {
            proven.clear();
        }
        proven.insert(mark, now + LIFETIME);
    }

    fn mark(&self, account: &Account, password: &Secret) -> [u8; 32] {
        let mut keyed = self.keyed.clone();
        let login = account.login.to_string();
        let stored = account.passwords.forms().iter().map(Secret::expose);
        let parts = [login.as_bytes(), password.expose()]
            .into_iter()
            .chain(stored);
        for part in parts {
            // With lengths, so that no two lists of parts read alike.
            keyed.update(&(part.len() as u64).to_be_bytes());
            keyed.update(part);
        }
        keyed.finalize().into_bytes().into()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a proof counts.
const LIFETIME: Duration = Duration::from_secs(30);
/// Proofs kept at most.
const LIMIT: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use courier_core::account::naming::AccountName;
    use courier_core::account::options::AccountOptions;
    use courier_core::account::password::StoredPasswords;

    fn account(name: &str, stored: &str) -> Account {
        Account {
            login: AccountName::parse(name).expect("a name"),
            address: name.to_owned(),
            full_name: None,
            home: "/home".into(),
            maildir: None,
            quota: None,
            options: AccountOptions::default(),
            owner: None,
            passwords: StoredPasswords::from_stored([Secret::new(stored)]),
        }
    }

    #[test]
    fn a_proof_counts_for_a_while_and_for_nothing_else() {
        let (proven, now) = (Proven::new(), Instant::now());
        let (ann, sesame) = (account("ann", "{X}1"), Secret::new("sesame"));
        assert!(!proven.recall(&ann, &sesame, now));
        proven.remember(&ann, &sesame, now);
        assert!(proven.recall(&ann, &sesame, now + LIFETIME - Duration::from_millis(1)));
        assert!(!proven.recall(&ann, &sesame, now + LIFETIME));
        assert!(!proven.recall(&ann, &Secret::new("Sesame"), now));
        assert!(!proven.recall(&account("bob", "{X}1"), &sesame, now));
        assert!(
            !proven.recall(&account("ann", "{X}2"), &sesame, now),
            "changed meanwhile"
        );
    }

    #[test]
    fn few_proofs_are_kept() {
        let (proven, now) = (Proven::new(), Instant::now());
        let ann = account("ann", "{X}1");
        for number in 0..LIMIT + 10 {
            proven.remember(&ann, &Secret::new(number.to_string()), now);
        }
        assert!(proven.lock().len() <= LIMIT);
        assert!(proven.recall(&ann, &Secret::new((LIMIT + 9).to_string()), now));
    }
}
