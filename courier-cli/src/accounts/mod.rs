//! Accounts: the embedded database of `courier account`, and logins.
//!
//! The database is `var/accounts.redb`, of mode 0600, for it holds password hashes.
//! Its module says how a running server and `courier account` share it.

mod cache;
mod database;
mod homes;
mod logins;
mod proven;
mod quota;
mod record;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use courier_core::account::naming::AccountName;
use courier_core::account::password::StoredPasswords;
use courier_core::account::secret::Secret;
use courier_core::account::{Account, Accounts, Lookup};
use redb::{ReadableTable, StorageError};

pub use homes::HomeError;
pub use logins::{Answer, Conversation, Directory, LoginRules, Logins};
pub use quota::{QuotaError, parse_quota};
pub use record::{Record, RecordError};

use cache::Cache;
use database::DatabaseFile;

use crate::failure::chain;
use crate::layout::Layout;

/// Why the account database does not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountsError {
    /// There is no database.
    #[error("{}: there is no account database; `courier account add` makes one", .0.display())]
    Missing(PathBuf),
    /// Password hashes that everybody can read are no secrets.
    #[error("{}: others may read it; give it mode 0600", .0.display())]
    Exposed(PathBuf),
    /// Another process has been writing for too long.
    #[error("{}: another process holds it; try again later", .0.display())]
    Locked(PathBuf),
    /// The system says no.
    #[error("cannot use {}", path.display())]
    Io {
        /// The database, or the directory of homes.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// Something else than the database wrote into the file.
    #[error("{}: damaged: {what}; restore it from a backup", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The database failed under way.
    #[error("the account database failed")]
    Storage(#[source] StorageError),
    /// One account cannot be read.
    #[error("the account {name} cannot be read")]
    Record {
        /// Its name.
        name: String,
        /// What is wrong.
        source: RecordError,
    },
    /// An account to be added is there already.
    #[error("there is an account {0} already")]
    Exists(AccountName),
    /// An account to be changed is not there.
    #[error("there is no account {0}")]
    NoSuchAccount(AccountName),
}

/// The embedded account database of one root.
#[derive(Debug)]
pub struct AccountDatabase {
    file: DatabaseFile,
    cache: Cache,
    homes: PathBuf,
}

impl AccountDatabase {
    /// The database of this layout. Nothing is opened yet.
    #[must_use]
    pub fn new(layout: &Layout) -> Self {
        Self {
            file: DatabaseFile::new(layout.var().join(FILE), PATIENCE),
            cache: Cache::default(),
            homes: layout.home.clone(),
        }
    }

    /// The file they are kept in.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Whether there is a database at all; without one `authmodulelist` counts.
    #[must_use]
    pub fn exist(&self) -> bool {
        self.path().exists()
    }

    /// Makes an empty database if there is none.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn create(&self) -> Result<(), AccountsError> {
        let mut key = [0; 32];
        crate::random::fill(&mut key);
        let owner = homes::owner_to_give(&self.homes).map_err(|source| AccountsError::Io {
            path: self.homes.clone(),
            source,
        })?;
        self.file.create(&key, owner)
    }

    /// Looks an account up. Waits for the disk, unless it was looked up lately.
    ///
    /// # Errors
    /// If the database does not answer: the peer gets a temporary failure.
    pub fn look_up(&self, name: &AccountName) -> Result<Option<Arc<Account>>, AccountsError> {
        self.look_up_at(name, SystemTime::now())
    }

    fn look_up_at(
        &self,
        name: &AccountName,
        now: SystemTime,
    ) -> Result<Option<Arc<Account>>, AccountsError> {
        let (stamp, key) = (self.file.stamp()?, name.to_string());
        if let Some(known) = self.cache.recall(stamp, &key) {
            return Ok(known);
        }
        let octets = self.file.read(|accounts| {
            let octets = accounts.get(key.as_str())?;
            Ok(octets.map(|octets| octets.value().to_vec()))
        })?;
        let account = match octets {
            Some(octets) => Some(Arc::new(self.account(name, &octets)?)),
            None => None,
        };
        if stamp.is_settled(now) {
            self.cache.remember(stamp, key, account.clone());
        }
        Ok(account)
    }

    /// Shows every account, sorted by name, as long as `each` wants more.
    ///
    /// # Errors
    /// If the database does not answer, or an account cannot be read.
    pub fn for_each(
        &self,
        mut each: impl FnMut(Account) -> std::ops::ControlFlow<()>,
    ) -> Result<(), AccountsError> {
        self.file.stamp()?;
        self.file.read(|accounts| {
            for entry in accounts.iter()? {
                let (name, octets) = entry?;
                let parsed = AccountName::parse(name.value()).ok();
                let name = parsed.ok_or_else(|| {
                    self.file
                        .damaged(&format!("a name {:?} that is none", name.value()))
                })?;
                if each(self.account(&name, octets.value())?).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Adds an account; durable once it returns. Its home and maildir must be there
    /// before: see [`Self::make_home`].
    ///
    /// # Errors
    /// If there is such an account, or the database does not answer.
    pub fn add(&self, name: &AccountName, record: &Record) -> Result<(), AccountsError> {
        let (key, octets) = (name.to_string(), encode(name, record)?);
        self.file.write(|accounts| {
            if accounts.get(key.as_str())?.is_some() {
                return Err(AccountsError::Exists(name.clone()));
            }
            accounts.insert(key.as_str(), octets.as_slice())?;
            Ok(())
        })
    }

    /// Gives an account another password; durable once it returns.
    ///
    /// # Errors
    /// If there is no such account, or the database does not answer.
    pub fn set_passwords(
        &self,
        name: &AccountName,
        passwords: &StoredPasswords,
    ) -> Result<(), AccountsError> {
        let key = name.to_string();
        self.file.write(|accounts| {
            let octets = match accounts.get(key.as_str())? {
                Some(octets) => octets.value().to_vec(),
                None => return Err(AccountsError::NoSuchAccount(name.clone())),
            };
            let mut record = decode(name, &octets)?;
            record.passwords = passwords.clone();
            accounts.insert(key.as_str(), encode(name, &record)?.as_slice())?;
            Ok(())
        })
    }

    /// Removes an account, not its mail; durable once it returns.
    ///
    /// # Errors
    /// If there is no such account, or the database does not answer.
    pub fn remove(&self, name: &AccountName) -> Result<(), AccountsError> {
        let key = name.to_string();
        self.file
            .write(|accounts| match accounts.remove(key.as_str())? {
                Some(_) => Ok(()),
                None => Err(AccountsError::NoSuchAccount(name.clone())),
            })
    }

    /// The secret from which the salts that unknown logins are shown follow.
    ///
    /// # Errors
    /// If the database does not answer.
    pub fn server_key(&self) -> Result<Secret, AccountsError> {
        self.file.stamp()?;
        self.file.scram_key().map(Secret::from)
    }

    /// Home and maildir of an account with this record; `None` for a name that cannot
    /// be a directory, as long as the record says no other home.
    #[must_use]
    pub fn places(&self, name: &AccountName, record: &Record) -> Option<(PathBuf, PathBuf)> {
        let usual = || Some(self.homes.join(name.home()?));
        let home = record.home.clone().or_else(usual)?;
        let maildir = home.join(record.maildir.as_deref().unwrap_or(Path::new("Maildir")));
        Some((home, maildir))
    }

    /// Makes home and maildir of an account with this record, as far as they are not
    /// there, owned by the owner of the root's `home` if we are root; durable.
    ///
    /// # Errors
    /// If the name cannot be a directory, something is in the way, or the system
    /// refuses.
    pub fn make_home(&self, name: &AccountName, record: &Record) -> Result<(), HomeError> {
        let places = self.places(name, record);
        let (home, maildir) = places.ok_or_else(|| HomeError::Name(name.clone()))?;
        homes::make(&self.homes, &home, &maildir)
    }

    fn account(&self, name: &AccountName, octets: &[u8]) -> Result<Account, AccountsError> {
        let record = decode(name, octets)?;
        let places = self.places(name, &record);
        let (home, _) = places.ok_or_else(|| self.file.damaged(&format!("{name} has no home")))?;
        Ok(Account {
            login: name.clone(),
            address: name.to_string(),
            full_name: None,
            home,
            maildir: record.maildir,
            quota: record.quota,
            options: record.options,
            owner: None,
            passwords: record.passwords,
        })
    }
}

impl Accounts for AccountDatabase {
    fn find(&self, name: &AccountName) -> Lookup {
        match self.look_up(name) {
            Ok(account) => found(account),
            Err(error) => Lookup::Unavailable(chain(&error)),
        }
    }
}

impl Directory for AccountDatabase {
    fn recall(&self, name: &AccountName) -> Option<Lookup> {
        let stamp = self.file.stamp().ok()?;
        self.cache.recall(stamp, &name.to_string()).map(found)
    }
}

fn found(account: Option<Arc<Account>>) -> Lookup {
    match account {
        Some(account) => Lookup::Found(Box::new(Account::clone(&account))),
        None => Lookup::Unknown,
    }
}

fn encode(name: &AccountName, record: &Record) -> Result<Vec<u8>, AccountsError> {
    record.encode().map_err(|source| AccountsError::Record {
        name: name.to_string(),
        source,
    })
}

fn decode(name: &AccountName, octets: &[u8]) -> Result<Record, AccountsError> {
    Record::decode(octets).map_err(|source| AccountsError::Record {
        name: name.to_string(),
        source,
    })
}

/// Name of the database in `var`.
const FILE: &str = "accounts.redb";
/// How long another process may hold the database; it needs a millisecond.
const PATIENCE: Duration = Duration::from_secs(5);
