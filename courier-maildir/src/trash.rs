//! The trash: how long it is kept, and expunged messages that go there.
//!
//! Nobody has to use it: `IMAP_EMPTYTRASH` says which folders are cleared at login and
//! logout, `IMAP_MOVE_EXPUNGE_TO_TRASH` whether an expunged message goes there first, by
//! [`mailbox::expunge_to`](crate::mailbox::expunge_to).

use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, FileKind, Op, Reply};

use crate::folder::{FolderError, FolderName, FolderPath, is_missing, locate};
use crate::name::Name;
use crate::quota::{self, Amount};
use crate::scan::list_quiet;
use crate::tree::BATCH;
use crate::writer::Writer;

/// Which folders are cleared of old messages, and after how many days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ages(Vec<(FolderName, u32)>);

impl Ages {
    /// Reads `IMAP_EMPTYTRASH`: a number of days for the folder `trash`, or a list as
    /// `Trash:7,Sent:30`. What is no number of days is 1; a part of the list without a
    /// colon, or whose name is none, is passed over.
    #[must_use]
    pub fn parse(text: &str, trash: &str) -> Self {
        let mut ages = Vec::new();
        let mut push = |name: &str, days: &str| {
            let name = FolderName::parse(&format!("INBOX.{name}"));
            ages.extend(name.ok().map(|name| (name, number_of_days(days))));
        };
        match text.contains([':', ',']) {
            false => push(trash, text),
            true => text
                .split(',')
                .filter_map(|part| part.split_once(':'))
                .for_each(|(name, days)| push(name, days)),
        }
        Self(ages)
    }

    /// The folders, with their days.
    pub fn iter(&self) -> impl Iterator<Item = (&FolderName, u32)> {
        self.0.iter().map(|(name, days)| (name, *days))
    }
}

/// `atoi`, but at least 1.
fn number_of_days(text: &str) -> u32 {
    let text = text.trim_start();
    let text = text.strip_prefix('+').unwrap_or(text);
    let digits = text.chars().map_while(|digit| digit.to_digit(10));
    let days = digits.fold(0_u32, |days, digit| {
        days.saturating_mul(10).saturating_add(digit)
    });
    days.max(1)
}

/// Removes the messages of these folders that are too old, by the time at which they got
/// their name there, and gives their number. What nobody has seen is seen now, and so is
/// kept for as long again.
///
/// # Errors
/// What the disk says; a folder that is not there holds nothing old.
pub async fn purge(
    disk: &Disk,
    maildir: &Path,
    ages: &Ages,
    writer: &Writer,
) -> Result<usize, FolderError> {
    let mut removed = 0;
    for (name, days) in ages.iter() {
        match locate(disk, maildir, name).await {
            Ok(folder) => removed += purge_folder(disk, &folder, days, writer).await?,
            Err(FolderError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}

async fn purge_folder(
    disk: &Disk,
    folder: &FolderPath,
    days: u32,
    writer: &Writer,
) -> Result<usize, FolderError> {
    see_all(disk, folder).await?;
    let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    list_quiet(disk, &folder.cur(), |name| {
        if !name.starts_with(b".") {
            files.push((folder.in_cur(name), name.to_vec()));
        }
    })
    .await?;
    // The directory may have been read twice.
    files.sort_unstable();
    files.dedup();
    let limit = writer.now.seconds.saturating_sub(i64::from(days) * 86_400);
    let (mut freed, mut removed) = (Amount::NONE, 0);
    for files in files.chunks(BATCH) {
        let stats = files.iter().map(|(path, _)| Op::Stat(path.clone()));
        let stats = disk.run(stats.collect()).await;
        let old = files
            .iter()
            .zip(stats)
            .filter_map(|(file, stat)| match stat {
                Ok(Reply::Meta(meta))
                    if meta.kind == FileKind::File && meta.changed.seconds < limit =>
                {
                    Some((file, meta.length))
                }
                _ => None,
            });
        let old: Vec<_> = old.collect();
        let unlinks = old.iter().map(|((path, _), _)| Op::Unlink(path.clone()));
        let outcomes = disk.run(unlinks.collect()).await;
        for (((_, name), length), outcome) in old.into_iter().zip(outcomes) {
            if outcome.is_ok() {
                removed += 1;
                if quota::counts(folder) && quota::is_counted(name) {
                    freed += Amount::message(quota::size(name).unwrap_or(length));
                }
            }
        }
    }
    if removed > 0 {
        disk.one(Op::SyncDir(folder.cur())).await?;
        quota::release(disk, folder.maildir(), freed, writer).await;
    }
    Ok(removed)
}

/// Moves what is in `new` to `cur`.
async fn see_all(disk: &Disk, folder: &FolderPath) -> Result<(), FolderError> {
    let mut renames = Vec::new();
    let directory = folder.new_dir();
    let listed = list_quiet(disk, &directory, |octets| {
        if let Ok(name) = Name::parse(octets) {
            renames.push(Op::Rename {
                from: folder.in_new(octets),
                to: folder.in_cur(&name.in_cur()),
            });
        }
    });
    match listed.await {
        Err(error) if !is_missing(error.kind) => return Err(error.into()),
        _ => {}
    }
    for renames in renames.chunks(BATCH) {
        disk.run(renames.to_vec()).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::tests::writer;
    use courier_core::disk;
    use courier_core::testing::MemDisk;
    use courier_core::time::Millis;

    fn read(text: &str) -> Vec<String> {
        let ages = Ages::parse(text, "Trash");
        ages.iter()
            .map(|(name, days)| format!("{name}={days}"))
            .collect()
    }

    #[test]
    fn ages_are_read_as_courier_reads_them() {
        assert_eq!(read("7"), ["INBOX.Trash=7"]);
        assert_eq!(read("0"), ["INBOX.Trash=1"]);
        assert_eq!(read("-3"), ["INBOX.Trash=1"]);
        assert_eq!(read("x"), ["INBOX.Trash=1"]);
        assert_eq!(read("Trash:7,Sent:30"), ["INBOX.Trash=7", "INBOX.Sent=30"]);
        assert_eq!(read("Trash,Sent:x"), ["INBOX.Sent=1"]);
        assert_eq!(read("a/b:3,..:4,a.b:5"), ["INBOX.a.b=5"]);
        assert_eq!(read("99999999999"), [format!("INBOX.Trash={}", u32::MAX)]);
    }

    fn purged(disk: &mut MemDisk, text: &str) -> usize {
        let writer = writer(disk.now());
        let ages = Ages::parse(text, "Trash");
        let task =
            disk::task(|disk| async move { purge(&disk, Path::new("/m"), &ages, &writer).await });
        disk.run(task).expect("purged")
    }

    #[test]
    fn what_is_old_goes_with_one_record() {
        let mut disk = MemDisk::new();
        let day = Millis::from_mins(24 * 60);
        for folder in ["", "/.Trash", "/.Sent"] {
            disk.plant_directory(format!("/m{folder}/tmp"));
            disk.plant_file(format!("/m{folder}/new/3,S=30"), b"x");
            disk.plant_file(format!("/m{folder}/cur/1,S=10:2,"), b"x");
            disk.plant_file(format!("/m{folder}/cur/2,S=20:2,T"), b"x");
            disk.plant_file(format!("/m{folder}/cur/.hidden"), b"x");
        }
        disk.plant_file("/m/maildirsize", b"1000S\n          80            4\n");
        disk.advance(day);
        assert_eq!(purged(&mut disk, "Trash:1,Sent:1,none:1"), 0, "not older");
        disk.advance(Millis::from_secs(1));
        assert_eq!(purged(&mut disk, "Trash:1,Sent:1"), 4);
        assert_eq!(disk.names("/m/.Trash/cur"), [".hidden", "3,S=30:2,"]);
        assert_eq!(disk.names("/m/cur").len(), 3);
        let text = disk.contents("/m/maildirsize").expect("there");
        let text = String::from_utf8(text).expect("text");
        let expected = "1000S\n          80            4\n         -10           -1\n";
        assert_eq!(text, expected);
        disk.advance(day);
        assert_eq!(purged(&mut disk, "1"), 1, "seen a day ago");
    }
}
