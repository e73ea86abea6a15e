//! The keywords of messages by name, without opening the folder (`maildirkw`).

use courier_core::disk::{Disk, DiskError};

use super::load::merge;
use super::update::update;
use super::{Keyword, KeywordError, KeywordTable};
use crate::folder::FolderPath;
use crate::lock::{self, Lock, LockError};
use crate::mailbox::How;
use crate::writer::Writer;

/// Whether the folder's lock is held meanwhile. Keywords need none; others who hold it
/// are kept waiting, and are not disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locking {
    /// It is.
    Held,
    /// It is not.
    None,
}

/// Why keywords were not listed or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// No message can be called so.
    #[error("no message has such a name")]
    Name,
    /// The folder cannot have the keyword.
    #[error(transparent)]
    Keyword(#[from] KeywordError),
    /// Changes of others came again and again before ours.
    #[error("others change the keywords of the message all the time")]
    Contested,
    /// Another session holds the lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Lists the messages of a folder that have keywords, by name, and merges what changes
/// there are. Whether the messages are there is not looked at.
///
/// # Errors
/// When the lock is held by another, or the disk refuses.
pub async fn list(
    disk: &Disk,
    folder: &FolderPath,
    locking: Locking,
    writer: &Writer,
) -> Result<Vec<(Vec<u8>, Vec<Keyword>)>, EditError> {
    let lock = take(disk, folder, locking, writer).await?;
    let mut table = KeywordTable::default();
    let keywords = merge(disk, folder, &mut table, || None, writer).await;
    release(disk, lock).await;
    let mut listed: Vec<_> = keywords?
        .into_iter()
        .map(|(base, set)| {
            let mut words: Vec<_> = table.set(set).cloned().collect();
            words.sort_by(|one, other| one.as_str().cmp(other.as_str()));
            (base.into_vec(), words)
        })
        .filter(|(_, words)| !words.is_empty())
        .collect();
    listed.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(listed)
}

/// Changes the keywords of one message of a folder, durably. Of its name, what follows
/// the last colon does not matter.
///
/// # Errors
/// When no message can have the name, the lock is held by another, or the disk refuses.
pub async fn edit(
    disk: &Disk,
    folder: &FolderPath,
    message: &[u8],
    how: How,
    words: &[Keyword],
    locking: Locking,
    writer: &Writer,
) -> Result<(), EditError> {
    let base = match memchr::memrchr(b':', message) {
        Some(colon) => message.get(..colon).unwrap_or_default(),
        None => message,
    };
    // A name with a dot in front is that of a change which was merged already.
    let is_odd = |&octet: &u8| matches!(octet, b'/' | b'\n' | b'\0');
    if base.is_empty() || base.starts_with(b".") || base.iter().any(is_odd) {
        return Err(EditError::Name);
    }
    let lock = take(disk, folder, locking, writer).await?;
    let changed = change(disk, folder, base, how, words, writer).await;
    release(disk, lock).await;
    changed
}

async fn change(
    disk: &Disk,
    folder: &FolderPath,
    base: &[u8],
    how: How,
    words: &[Keyword],
    writer: &Writer,
) -> Result<(), EditError> {
    let mut merging = how != How::Replace;
    for _ in 0..ATTEMPTS {
        let mut table = KeywordTable::default();
        let mut numbers = Vec::new();
        if merging {
            let keywords = merge(disk, folder, &mut table, || None, writer).await?;
            if let Some(&set) = keywords.get(base).filter(|_| how != How::Replace) {
                numbers = table.numbers(set).to_vec();
            }
        }
        for word in words {
            if how == How::Remove {
                let gone = table.find(word);
                numbers.retain(|&number| Some(number) != gone);
            } else {
                numbers.push(table.add(word)?);
            }
        }
        let set = table.intern(numbers);
        let waiting = update(disk, folder, &[(base.to_vec(), set)], &table, writer).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        // Somebody's change is not merged yet, and nobody may lose it.
        merging = true;
    }
    Err(EditError::Contested)
}

async fn take(
    disk: &Disk,
    folder: &FolderPath,
    locking: Locking,
    writer: &Writer,
) -> Result<Option<Lock>, LockError> {
    if locking == Locking::None {
        return Ok(None);
    }
    let tmp = folder.tmp();
    Lock::take(disk, &tmp, lock::FILE, writer, lock::PATIENCE)
        .await
        .map(Some)
}

async fn release(disk: &Disk, lock: Option<Lock>) {
    if let Some(lock) = lock {
        lock.release(disk).await;
    }
}

/// How often others may be faster.
const ATTEMPTS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::tests::writer;
    use courier_core::disk::{self, DiskErrorKind, DiskTask};
    use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};

    fn maildir() -> MemDisk {
        let mut disk = MemDisk::new();
        for directory in ["tmp", "new", "cur"] {
            disk.plant_directory(format!("/m/{directory}"));
        }
        disk
    }

    fn words(words: &[&str]) -> Vec<Keyword> {
        let word = |word: &&str| Keyword::parse(word).expect("a keyword");
        words.iter().map(word).collect()
    }

    fn changed(
        disk: &mut MemDisk,
        name: &str,
        how: How,
        given: &[&str],
        locking: Locking,
    ) -> Result<(), EditError> {
        let (writer, given) = (writer(disk.now()), words(given));
        let name = name.as_bytes().to_vec();
        disk.run(disk::task(|disk| async move {
            let inbox = FolderPath::inbox("/m");
            edit(&disk, &inbox, &name, how, &given, locking, &writer).await
        }))
    }

    fn listed(disk: &mut MemDisk) -> String {
        let writer = writer(disk.now());
        let list = disk.run(disk::task(|disk| async move {
            list(&disk, &FolderPath::inbox("/m"), Locking::Held, &writer).await
        }));
        let lines = list.expect("a list").into_iter().map(|(name, words)| {
            let words: Vec<_> = words.iter().map(Keyword::as_str).collect();
            format!("{} {}", name.escape_ascii(), words.join(" "))
        });
        lines.collect::<Vec<_>>().join(";")
    }

    #[test]
    fn keywords_are_set_added_and_taken() {
        let mut disk = maildir();
        let mut all = |name: &str, how, given: &[&str], expected: &str| {
            changed(&mut disk, name, how, given, Locking::None).expect("changed");
            assert_eq!(listed(&mut disk), expected);
        };
        all("1.x:2,S", How::Replace, &["foo", "Bar"], "1.x Bar foo");
        all("1.x", How::Add, &["baz", "FOO"], "1.x Bar baz foo");
        all("1.x", How::Remove, &["FOO", "none"], "1.x Bar baz");
        all("2.y:a:2,", How::Add, &["q"], "1.x Bar baz;2.y:a q");
        all("1.x", How::Replace, &["z", "Z"], "1.x z;2.y:a q");
        all("1.x", How::Replace, &[], "2.y:a q");
        all("2.y:a:", How::Remove, &["q"], "");
    }

    #[test]
    fn a_change_that_waits_is_not_lost() {
        let mut disk = maildir();
        for word in ["a", "b", "c"] {
            changed(&mut disk, "1.x", How::Add, &[word], Locking::Held).expect("changed");
        }
        changed(&mut disk, "2.x", How::Replace, &["a"], Locking::Held).expect("changed");
        changed(&mut disk, "2.x", How::Replace, &["b"], Locking::Held).expect("changed");
        assert_eq!(listed(&mut disk), "1.x a b c;2.x b");
        assert!(disk.names("/m/tmp").is_empty(), "the lock is given back");
    }

    #[test]
    fn names_that_no_message_has_are_refused() {
        let mut disk = maildir();
        for name in ["", ":2,S", "a/b", ".x", ".5.1.x", "a\nb", ":list"] {
            let given = changed(&mut disk, name, How::Add, &["a"], Locking::None);
            assert_eq!(given, Err(EditError::Name), "{name}");
        }
        let mut none = MemDisk::new();
        let given = changed(&mut none, "1.x", How::Replace, &["a"], Locking::None);
        let Err(EditError::Disk(error)) = given else {
            panic!("{given:?}");
        };
        assert_eq!(error.kind, DiskErrorKind::NotFound);
    }

    #[test]
    fn a_change_that_is_said_done_stays() {
        let adding = |promises: Promises<()>| -> DiskTask<'static, Result<(), EditError>> {
            let writer = writer(MemDisk::new().now());
            disk::task(|disk| async move {
                let inbox = FolderPath::inbox("/m");
                let new = words(&["new"]);
                edit(
                    &disk,
                    &inbox,
                    b"1.x",
                    How::Add,
                    &new,
                    Locking::Held,
                    &writer,
                )
                .await?;
                promises.make(());
                Ok(())
            })
        };
        let mut start = maildir();
        changed(&mut start, "1.x", How::Add, &["old"], Locking::None).expect("changed");
        start.sync_all();
        let check = |disk: &mut MemDisk, promised: bool| {
            disk.advance(courier_core::time::Millis::from_mins(3));
            let text = listed(disk);
            assert!(
                text == "1.x new old" || text == "1.x old" && !promised,
                "{text}"
            );
        };
        crash_everywhere(&start, adding, |disk, promises| {
            check(disk, !promises.is_empty());
        });
        fail_everywhere(&start, adding, |disk, given, _| check(disk, given.is_ok()));
    }
}
