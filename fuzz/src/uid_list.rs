//! The UID list, the size list and the keyword list of a folder, as files that anybody
//! may have written.
//!
//! A list is read exactly when it is what would be written for its contents. Whatever
//! the files hold, the folder opens: each message is there once, with a UID of its
//! own, and a second look says the same.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a fuzz body says by a panic what does not hold"
)]

use std::path::Path;

use courier_core::disk;
use courier_core::testing::MemDisk;
use courier_core::time::Timestamp;
use courier_maildir::folder::FolderPath;
use courier_maildir::mailbox::{Access, Snapshot, open};
use courier_maildir::name::{HostName, Name};
use courier_maildir::pop3::{self, SizeList};
use courier_maildir::uid_list::{UidList, UidListError};
use courier_maildir::writer::Writer;

/// Takes any file.
pub fn run(input: &[u8]) {
    uid_list(input);
    size_list(input);
    folder(input);
}

fn uid_list(input: &[u8]) {
    let expected = read_plainly(input);
    match UidList::parse(input.to_vec()) {
        Ok(list) => {
            let (validity, next, entries) = expected.expect("refused by the oracle");
            assert_eq!((list.validity.get(), list.next.get()), (validity, next));
            let listed = list.iter().map(|(uid, name)| (uid.get(), name.to_vec()));
            assert_eq!(listed.collect::<Vec<_>>(), entries);
            assert_eq!(UidList::print(list.validity, list.next, list.iter()), input);
            push(list);
        }
        Err(UidListError::Length) => panic!("no input is so long"),
        Err(_) => assert_eq!(expected, None, "taken by the oracle"),
    }
}

type Entries = Vec<(u32, Vec<u8>)>;

/// maildir.md §9, line by line.
fn read_plainly(input: &[u8]) -> Option<(u32, u32, Entries)> {
    let mut lines: Vec<&[u8]> = input.split(|&octet| octet == b'\n').collect();
    if lines.pop() != Some(b"") {
        return None; // no end of the last line
    }
    let (header, lines) = lines.split_first()?;
    let [version, validity, next] = header.split(|&octet| octet == b' ').collect::<Vec<_>>()[..]
    else {
        return None;
    };
    let (validity, next) = (number(validity)?, number(next)?);
    let mut entries: Entries = Vec::new();
    for line in lines {
        let space = line.iter().position(|&octet| octet == b' ')?;
        let (uid, name) = (number(&line[..space])?, &line[space + 1..]);
        let ascends = entries.last().is_none_or(|(last, _)| *last < uid);
        if !ascends || uid >= next || Name::parse(name).is_err() || name.len() > 65_535 {
            return None;
        }
        entries.push((uid, name.to_vec()));
    }
    (version == b"1").then_some((validity, next, entries))
}

fn number(digits: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok()?;
    let number: u32 = text.parse().ok()?;
    (number > 0 && number.to_string() == text).then_some(number)
}

/// A UID that is given is higher than any before, and comes once.
fn push(mut list: UidList) {
    let before = list.next;
    if let Some(uid) = list.push(b"1.new,S=3") {
        assert_eq!(uid, before);
        assert!(list.iter().all(|(listed, _)| listed <= uid));
        let text = UidList::print(list.validity, list.next, list.iter());
        assert!(UidList::parse(text).is_ok());
    }
}

fn size_list(input: &[u8]) {
    let Ok(list) = SizeList::parse(input.to_vec(), 7) else {
        return;
    };
    let text = SizeList::print(list.next, list.validity, list.iter());
    if let Ok(again) = SizeList::parse(text, 8) {
        assert!(again.iter().eq(list.iter()));
        assert_eq!((again.next, again.validity), (list.next, list.validity));
        let mut ids: Vec<String> = again
            .iter()
            .filter_map(|(name, entry)| Some(entry.uidl(Name::parse(name).ok()?)))
            .filter(|id| id.starts_with("UID"))
            .collect();
        ids.sort_unstable();
        assert!(
            ids.windows(2)
                .all(|pair| pair[0] != pair[1] || pair[0].len() < 5)
        );
    } else {
        panic!("what is written is read back");
    }
}

const NAMES: [&str; 3] = ["1.a,S=3:2,S", "2.b:2,", "3.c,S=3,W=4:2,FT"];

/// A folder whose state files hold the input.
fn folder(input: &[u8]) {
    let mut disk = MemDisk::new();
    for directory in ["tmp", "new"] {
        disk.plant_directory(Path::new("/m").join(directory));
    }
    for name in NAMES {
        disk.plant_file(Path::new("/m/cur").join(name), b"..\n");
    }
    for file in [
        "courierimapuiddb",
        "courierimapkeywords/:list",
        "courierimapuidvalidity",
        pop3::FILE,
    ] {
        disk.plant_file(Path::new("/m").join(file), input);
    }
    let first = opened(&mut disk);
    let names: Vec<Vec<u8>> = sorted(&first);
    assert_eq!(names, NAMES.map(|name| name.as_bytes().to_vec()));
    let uids: Vec<u32> = first
        .messages()
        .map(|message| message.uid().get())
        .collect();
    assert!(uids.is_sorted_by(|a, b| a < b));
    assert!(uids.iter().all(|uid| *uid < first.uid_next().get()));
    if let Some((validity, next, entries)) = read_plainly(input) {
        // A list that can be believed is believed, unless its UIDs are used up.
        if first.uid_validity().get() == validity {
            for message in first.messages() {
                let key = message.name().key();
                let mut same = entries
                    .iter()
                    .filter(|(_, name)| Name::parse(name).is_ok_and(|name| name.key() == key));
                match same.next() {
                    Some((uid, _)) => assert_eq!(message.uid().get(), *uid),
                    None => assert!(message.uid().get() >= next),
                }
            }
        } else {
            assert!(next > u32::MAX - 3);
        }
    }
    let second = opened(&mut disk.crash_losing_all());
    let told = |snapshot: &Snapshot| {
        let of = |message: courier_maildir::mailbox::Message<'_>| {
            (message.uid(), message.name().octets().to_vec())
        };
        (
            snapshot.uid_validity(),
            snapshot.uid_next(),
            snapshot.messages().map(of).collect::<Vec<_>>(),
        )
    };
    assert_eq!(told(&first), told(&second));
    maildrop(&mut disk);
}

fn maildrop(disk: &mut MemDisk) {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let writer = writer(disk.now());
        let task =
            disk::task(|disk| async move { pop3::open(&disk, Path::new("/m"), &writer).await });
        let maildrop = disk.run(task).expect("a maildrop opens");
        assert_eq!(maildrop.messages().len(), NAMES.len());
        ids.push(
            maildrop
                .messages()
                .map(|message| message.uidl.to_owned())
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(ids[0], ids[1], "ids stay");
}

fn sorted(snapshot: &Snapshot) -> Vec<Vec<u8>> {
    let mut names: Vec<_> = snapshot
        .messages()
        .map(|message| message.name().octets().to_vec())
        .collect();
    names.sort();
    names
}

fn writer(now: Timestamp) -> Writer {
    Writer::new(now, 100, HostName::new("mx"), 0o600)
}

fn opened(disk: &mut MemDisk) -> Snapshot {
    let mut writer = writer(disk.now());
    // Names of its own: the process of before has made the same ones.
    writer.process += u32::try_from(disk.counts().batches % 1_000_000).unwrap_or(0);
    let folder = FolderPath::inbox("/m");
    let task =
        disk::task(|disk| async move { open(&disk, &folder, Access::ReadWrite, &writer).await });
    disk.run(task).expect("a folder opens")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    #[test]
    fn the_corpus_is_read_right() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/uid_list");
        let mut count = 0;
        for entry in std::fs::read_dir(corpus).unwrap() {
            let data = std::fs::read(entry.unwrap().path()).unwrap();
            (0..=data.len()).for_each(|end| super::run(&data[..end]));
            count += 1;
        }
        assert!(count >= 10, "the corpus is in {corpus}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_looks_like_a_uid_list_is_read_right(text in "1 [0-9]{1,10} [0-9]{1,2}\n([1-9]{1,2} (1\\.a|2\\.b|3\\.c,S=3|[x:./]{1,2})\n){0,4}") {
            super::run(text.as_bytes());
        }

        #[test]
        fn what_looks_like_a_size_list_is_read_right(text in "/[23] [1-9]( [0-9])?\n((1\\.a|2\\.b|3\\.c|x y) [0-9]{1,2} [0-3](:[0-2](:[0-2])?)?\n){0,4}") {
            super::run(text.as_bytes());
        }

        #[test]
        fn what_looks_like_a_keyword_list_is_read_right(text in "([ab]\n){0,3}\n((1\\.a,S=3|2\\.b|x):[0-3 ]{0,4}\n){0,3}") {
            super::run(text.as_bytes());
        }

        #[test]
        fn noise_is_read_without_harm(data: Vec<u8>) {
            super::run(&data);
        }
    }
}
