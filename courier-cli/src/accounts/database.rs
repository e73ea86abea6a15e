//! The file of the embedded account database, and how several processes share it.
//!
//! `redb` locks its file whole while it is open for writing, and shared while it is
//! open for reading. So nobody keeps it open: who reads opens it, looks up one
//! account and closes it (forty microseconds); who writes opens it, commits one
//! durable transaction and closes it (a millisecond). Each waits for the other's
//! lock, which the system gives back when a process is killed. Hence `courier
//! account` works whether a server runs or not, and needs nothing from it; the
//! server sees a change with its next look at the file.
//!
//! A program that was killed in the middle of a commit leaves the file marked; the
//! next to open it, for reading too, restores the last state that was committed.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use redb::{
    Builder, Database, DatabaseError, ReadOnlyTable, ReadableDatabase, StorageError, Table,
    TableDefinition,
};

use super::AccountsError;

const ACCOUNTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("accounts");
const SERVER: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("server");
/// In `server`: the octets from which the salts of unknown logins follow.
const SCRAM_KEY: &str = "scram-key";

/// The file, wherever it is; nothing is opened between calls.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    patience: Duration,
}

impl DatabaseFile {
    /// The file at this path. Locks of others are waited for so long.
    pub(super) fn new(path: PathBuf, patience: Duration) -> Self {
        Self { path, patience }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The state of the file, by which a later change shows.
    pub(super) fn stamp(&self) -> Result<Stamp, AccountsError> {
        let facts = fs::metadata(&self.path).map_err(|error| self.io(error))?;
        if facts.permissions().mode() & 0o077 != 0 {
            return Err(AccountsError::Exposed(self.path.clone()));
        }
        Ok(Stamp::of(&facts))
    }

    /// Makes an empty database of this owner, whole under its name or not at all.
    /// One that is there is left alone.
    pub(super) fn create(
        &self,
        scram_key: &[u8],
        owner: Option<(u32, u32)>,
    ) -> Result<(), AccountsError> {
        if self.path.exists() {
            return Ok(());
        }
        let aside = self
            .path
            .with_extension(format!("new.{}", std::process::id()));
        fs::remove_file(&aside).ok();
        let made = self.create_aside(&aside, scram_key, owner).and_then(|()| {
            match fs::hard_link(&aside, &self.path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(self.io(error)),
                _ => Ok(()),
            }
        });
        fs::remove_file(&aside).ok();
        made?;
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| self.io(error))
    }

    fn create_aside(
        &self,
        aside: &Path,
        scram_key: &[u8],
        owner: Option<(u32, u32)>,
    ) -> Result<(), AccountsError> {
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(aside);
        let file = file.map_err(|error| self.io(error))?;
        if let Some((uid, gid)) = owner {
            let chowned = std::os::unix::fs::fchown(&file, Some(uid), Some(gid));
            chowned.map_err(|error| self.io(error))?;
        }
        drop(file);
        let database = builder().create(aside).map_err(|error| self.fault(error))?;
        self.transact(database, |_, server| {
            server.insert(SCRAM_KEY, scram_key)?;
            Ok(())
        })
    }

    /// Looks something up.
    pub(super) fn read<T>(
        &self,
        look: impl FnOnce(&ReadOnlyTable<&'static str, &'static [u8]>) -> Result<T, AccountsError>,
    ) -> Result<T, AccountsError> {
        self.guarded(|| {
            let database = self.open_to_read()?;
            let reading = database.begin_read().map_err(|error| self.fault(error))?;
            let accounts = reading
                .open_table(ACCOUNTS)
                .map_err(|error| self.fault(error))?;
            look(&accounts)
        })
    }

    /// The octets from which the salts of unknown logins follow.
    pub(super) fn scram_key(&self) -> Result<Vec<u8>, AccountsError> {
        self.guarded(|| {
            let database = self.open_to_read()?;
            let reading = database.begin_read().map_err(|error| self.fault(error))?;
            let server = reading
                .open_table(SERVER)
                .map_err(|error| self.fault(error))?;
            let key = server.get(SCRAM_KEY).map_err(|error| self.fault(error))?;
            let key = key.ok_or_else(|| self.damaged("the SCRAM key is missing"))?;
            Ok(key.value().to_vec())
        })
    }

    /// Changes something; durable once it returns. Nothing is changed on an error.
    pub(super) fn write<T>(
        &self,
        change: impl FnOnce(&mut Accounts<'_>) -> Result<T, AccountsError>,
    ) -> Result<T, AccountsError> {
        self.guarded(|| {
            let database = self.waiting(|| builder().open(&self.path))?;
            self.transact(database, |accounts, _| change(accounts))
        })
    }

    fn transact<T>(
        &self,
        database: Database,
        change: impl FnOnce(&mut Accounts<'_>, &mut Accounts<'_>) -> Result<T, AccountsError>,
    ) -> Result<T, AccountsError> {
        let mut writing = database.begin_write().map_err(|error| self.fault(error))?;
        // Whoever comes after a kill finds the state at once instead of walking the file.
        writing.set_quick_repair(true);
        let value = {
            let mut accounts = writing
                .open_table(ACCOUNTS)
                .map_err(|error| self.fault(error))?;
            let mut server = writing
                .open_table(SERVER)
                .map_err(|error| self.fault(error))?;
            change(&mut accounts, &mut server)?
        };
        writing.commit().map_err(|error| self.fault(error))?;
        // What was committed is durable; an error in closing takes nothing back.
        database.close().ok();
        Ok(value)
    }

    fn open_to_read(&self) -> Result<redb::ReadOnlyDatabase, AccountsError> {
        self.waiting(|| match builder().open_read_only(&self.path) {
            Err(DatabaseError::RepairAborted) => {
                builder().open(&self.path)?.close()?;
                builder().open_read_only(&self.path)
            }
            opened => opened,
        })
    }

    /// Tries again while another process holds the lock: often at first, for it is
    /// held for a millisecond, also by one who does nothing but write.
    fn waiting<T>(&self, open: impl Fn() -> Result<T, DatabaseError>) -> Result<T, AccountsError> {
        let begun = Instant::now();
        loop {
            match open() {
                Err(DatabaseError::DatabaseAlreadyOpen) => {}
                opened => return opened.map_err(|error| self.fault(error)),
            }
            let waited = begun.elapsed();
            if waited >= self.patience {
                return Err(AccountsError::Locked(self.path.clone()));
            }
            std::thread::sleep((waited / 8).clamp(SHORTEST_PAUSE, LONGEST_PAUSE));
        }
    }

    /// A file that something else wrote into may make `redb` panic; that is an error
    /// like others, and ends nobody's session but by a temporary failure.
    fn guarded<T>(
        &self,
        work: impl FnOnce() -> Result<T, AccountsError>,
    ) -> Result<T, AccountsError> {
        let result = catch_unwind(AssertUnwindSafe(work));
        result.unwrap_or_else(|_| Err(self.damaged("its inner structure is broken")))
    }

    pub(super) fn fault(&self, error: impl Into<redb::Error>) -> AccountsError {
        match error.into() {
            // What is no database at all, or empty, is told so by `redb`.
            redb::Error::Io(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
                ) =>
            {
                self.damaged(&error.to_string())
            }
            redb::Error::Io(error) => self.io(error),
            error => self.damaged(&error.to_string()),
        }
    }

    fn io(&self, source: io::Error) -> AccountsError {
        let path = self.path.clone();
        match source.kind() {
            io::ErrorKind::NotFound => AccountsError::Missing(path),
            _ => AccountsError::Io { path, source },
        }
    }

    pub(super) fn damaged(&self, what: &str) -> AccountsError {
        AccountsError::Damaged {
            path: self.path.clone(),
            what: what.to_owned(),
        }
    }
}

/// The accounts, for changes.
pub(super) type Accounts<'t> = Table<'t, &'static str, &'static [u8]>;

impl From<StorageError> for AccountsError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    builder
}

/// Which state a file is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    identity: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(facts: &Metadata) -> Self {
        Self {
            identity: (facts.dev(), facts.ino()),
            length: facts.len(),
            modified: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
        }
    }

    /// Whether the next change is sure to give another stamp. The clock of a file
    /// system ticks every few milliseconds, and two changes within one tick look
    /// alike; so a file that changed just now is not to be known by its stamp.
    pub(super) fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let last = self.modified.0.max(self.changed.0);
        now.saturating_sub(last) >= TICK
    }
}

/// Seconds after which a change is not in the clock tick of the last one.
const TICK: i64 = 2;
/// Between two attempts to get a lock.
const SHORTEST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(5);
/// Memory of an open database, which is not open for long.
const CACHE: usize = 1024 * 1024;
