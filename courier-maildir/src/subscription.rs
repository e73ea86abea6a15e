//! `courierimapsubscribed`: the names a user subscribed to.
//!
//! One name a line, UTF-8, in the order they were added. Names that we do not know
//! (other namespaces, folders that are gone) stay.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError};

use crate::lock::{self, Lock, LockError};
use crate::replace::{is_absent, replace};
use crate::writer::Writer;

/// The subscriptions of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscriptions {
    names: Vec<String>,
    keys: HashSet<String>,
}

/// The file's name in the top maildir.
pub const FILE: &str = "courierimapsubscribed";

impl Subscriptions {
    /// Reads the file. Lines that are empty or not UTF-8 are left out: the list can be
    /// made anew by its user, so nothing in it stops a login.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Self {
        let mut list = Self::default();
        for line in octets.split(|&octet| octet == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if let Ok(name) = std::str::from_utf8(line) {
                list.insert(name);
            }
        }
        list
    }

    /// The file's text.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for name in &self.names {
            text.extend_from_slice(name.as_bytes());
            text.push(b'\n');
        }
        text
    }

    /// The names in file order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Whether a name is on the list.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.keys.contains(key(name).as_ref())
    }

    /// Adds a name at the end; `false` if it was there, or cannot stand in the file:
    /// an empty name, or one with control characters.
    pub fn insert(&mut self, name: &str) -> bool {
        let fits = !name.is_empty() && !name.chars().any(char::is_control);
        let new = fits && self.keys.insert(key(name).into_owned());
        if new {
            self.names.push(name.to_owned());
        }
        new
    }

    /// Takes a name off; `false` if it was not there.
    pub fn remove(&mut self, name: &str) -> bool {
        let key_of_name = key(name);
        let there = self.keys.remove(key_of_name.as_ref());
        if there {
            self.names.retain(|known| key(known) != key_of_name);
        }
        there
    }
}

/// What is compared. Courier: `INBOX` at the front in any case, the rest octet by
/// octet.
fn key(name: &str) -> Cow<'_, str> {
    match name.split_at_checked(5) {
        Some((inbox, rest)) if inbox.eq_ignore_ascii_case("INBOX") => {
            Cow::Owned(format!("INBOX{rest}"))
        }
        _ => Cow::Borrowed(name),
    }
}

/// Reads an account's subscriptions; none if there is no file.
///
/// # Errors
/// What the disk says, [`TooLong`](SubscriptionError::TooLong) for a file that nobody
/// wrote by subscribing.
pub async fn load(disk: &Disk, maildir: &Path) -> Result<Subscriptions, SubscriptionError> {
    let path = maildir.join(FILE);
    match disk.read(&path, 0..LIMIT + 1).await {
        Ok(octets) if octets.len() as u64 > LIMIT => Err(SubscriptionError::TooLong { path }),
        Ok(octets) => Ok(Subscriptions::parse(&octets)),
        // What can be made anew is not worth a refusal (a directory, a FIFO, a link).
        Err(error) if is_absent(error.kind) => Ok(Subscriptions::default()),
        Err(error) => Err(error.into()),
    }
}

/// Adds names to the subscriptions or takes names off, durably. Gives whether the
/// list changed.
///
/// # Errors
/// When the lock is held by another, or the disk refuses; the list is then as it was.
pub async fn change(
    disk: &Disk,
    maildir: &Path,
    edit: impl FnOnce(&mut Subscriptions) -> bool + Send,
    writer: &Writer,
) -> Result<bool, SubscriptionError> {
    let tmp = maildir.join("tmp");
    let lock = Lock::take(disk, &tmp, LOCK, writer, lock::PATIENCE).await?;
    let changed = async {
        let mut list = load(disk, maildir).await?;
        if !edit(&mut list) {
            return Ok(false);
        }
        let target = maildir.join(FILE);
        replace(disk, &tmp, &target, list.print(), writer).await?;
        Ok(true)
    }
    .await;
    lock.release(disk).await;
    changed
}

/// Why subscriptions were not read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionError {
    /// Beyond 16 MiB.
    #[error("{} is longer than any list of subscriptions; remove it", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// Another session is changing it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

const LIMIT: u64 = 16 << 20;

/// Not the folder's own lock: a scan must not hold up a subscription.
const LOCK: &str = "courier-subscriptions.lock";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::tests::writer;
    use courier_core::disk;
    use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};
    use proptest::prelude::*;

    #[test]
    fn inbox_is_compared_in_any_case_and_the_rest_exactly() {
        let mut list = Subscriptions::parse(b"INBOX.Sent\n#shared.a\n\n\xff\nINBOX.Sent\n");
        assert!(list.contains("inbox.Sent"));
        assert!(!list.contains("INBOX.sent"));
        assert!(!list.insert("Inbox.Sent"));
        assert!(list.insert("INBOX.é"));
        assert!(!list.insert("two\nlines"));
        assert_eq!(list.print(), "INBOX.Sent\n#shared.a\nINBOX.é\n".as_bytes());
        assert!(list.remove("inbox.Sent"));
        assert!(!list.remove("INBOX.Sent"));
        assert_eq!(list.iter().collect::<Vec<_>>(), ["#shared.a", "INBOX.é"]);
    }

    fn edit(disk: &mut MemDisk, edit: fn(&mut Subscriptions) -> bool) -> bool {
        let writer = writer(disk.now());
        let task =
            disk::task(|disk| async move { change(&disk, Path::new("/m"), edit, &writer).await });
        disk.run(task).expect("changed")
    }

    #[test]
    fn a_subscription_is_durable_and_the_lock_is_given_back() {
        let mut disk = MemDisk::new();
        disk.plant_directory("/m/tmp");
        assert!(edit(&mut disk, |list| list.insert("INBOX.a")));
        assert!(!edit(&mut disk, |list| list.insert("INBOX.a")));
        let disk = disk.crash_losing_all();
        assert_eq!(
            disk.contents("/m/courierimapsubscribed").as_deref(),
            Some(b"INBOX.a\n".as_ref())
        );
        assert!(disk.names("/m/tmp").iter().all(|name| name != LOCK));
    }

    #[test]
    fn a_list_that_is_a_directory_is_begun_anew() {
        let mut disk = MemDisk::new();
        disk.plant_directory("/m/tmp");
        disk.plant_directory("/m/courierimapsubscribed");
        assert!(edit(&mut disk, |list| list.insert("INBOX.a")));
        assert_eq!(
            disk.contents("/m/courierimapsubscribed").as_deref(),
            Some(b"INBOX.a\n".as_ref())
        );
    }

    #[test]
    fn a_subscription_survives_any_crash_once_it_is_promised() {
        let mut start = MemDisk::new();
        start.plant_directory("/m/tmp");
        start.plant_file("/m/courierimapsubscribed", b"INBOX.a\n");
        let writer = writer(start.now());
        let subscribe = |promises: Promises<()>| {
            let writer = writer.clone();
            disk::task(|disk| async move {
                change(
                    &disk,
                    Path::new("/m"),
                    |list| list.insert("INBOX.b"),
                    &writer,
                )
                .await?;
                promises.make(());
                Ok::<(), SubscriptionError>(())
            })
        };
        let check = |disk: &mut MemDisk, promised: bool| {
            let there = disk.contents("/m/courierimapsubscribed").expect("a list");
            let new = b"INBOX.a\nINBOX.b\n";
            assert!(
                there == new || !promised && there == b"INBOX.a\n",
                "{}",
                disk.show()
            );
        };
        crash_everywhere(&start, subscribe, |disk, promises| {
            check(disk, !promises.is_empty())
        });
        fail_everywhere(&start, subscribe, |disk, given, _| {
            check(disk, given.is_ok())
        });
    }

    proptest! {
        #[test]
        fn a_printed_list_is_read_back(octets: Vec<u8>) {
            let list = Subscriptions::parse(&octets);
            prop_assert_eq!(Subscriptions::parse(&list.print()), list);
        }
    }
}
