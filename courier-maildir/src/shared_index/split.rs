//! Dividing the list of accounts into index files (`sharedindexsplit`).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Durability, Op, Piece};

use crate::tree::BATCH;

/// By what accounts are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// The option `sharedgroup`; accounts without it are in `index`.
    Option,
    /// So many letters at the beginning of the name, each a level of a tree.
    Letters(usize),
}

impl Grouping {
    /// Letters for which a file can have a name.
    pub const LETTER_LIMIT: usize = 60;
}

/// The files that a list is divided into, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexFiles {
    /// Files of accounts; added to what is there.
    pub accounts: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Files that lead to others; put in place of what is there.
    pub groups: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Why a list was not divided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// The name of a group is none of a file.
    #[error("line {line}: no file can be named after the group")]
    Group {
        /// Where it stands, from 1.
        line: usize,
    },
    /// The tree would be deeper than file names are long.
    #[error("at most {} letters", Grouping::LETTER_LIMIT)]
    TooManyLetters,
}

/// Divides a list of accounts: lines of name, uid, gid, home, maildir and options
/// between tabs. What follows `#` does not count, nor do lines with fewer than four
/// fields. The options are left out of the files.
///
/// # Errors
/// When a file cannot be named after a group.
pub fn split(list: &[u8], grouping: Grouping) -> Result<IndexFiles, SplitError> {
    if matches!(grouping, Grouping::Letters(count) if count > Grouping::LETTER_LIMIT) {
        return Err(SplitError::TooManyLetters);
    }
    let mut files = IndexFiles::default();
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (number, line) in list.split(|&octet| octet == b'\n').enumerate() {
        let end = memchr::memchr(b'#', line).unwrap_or(line.len());
        let mut fields: Vec<&[u8]> = (line.get(..end).unwrap_or_default())
            .split(|&octet| octet == b'\t')
            .collect();
        while fields.last().is_some_and(|field| field.is_empty()) {
            fields.pop();
        }
        if fields.len() < 4 {
            continue;
        }
        let options = match fields.len() {
            ..=OPTIONS => b"".as_slice(),
            _ => fields.remove(OPTIONS),
        };
        let file = match grouping {
            Grouping::Option => {
                let group = shared_group(options);
                if group.iter().any(|octet| matches!(octet, b'/' | b'\0')) {
                    return Err(SplitError::Group { line: number + 1 });
                }
                [FIRST.as_bytes(), group].concat()
            }
            Grouping::Letters(count) => {
                let name = String::from_utf8_lossy(fields.first().copied().unwrap_or_default());
                let mut prefix = String::new();
                for letter in letters(&name).take(count) {
                    let above = format!("{FIRST}{prefix}");
                    prefix.push(letter);
                    groups.entry(above).or_default().insert(prefix.clone());
                }
                format!("{FIRST}{prefix}").into_bytes()
            }
        };
        let text = files.accounts.entry(file).or_default();
        text.extend_from_slice(&fields.join(&b'\t'));
        text.push(b'\n');
    }
    files.groups = groups
        .into_iter()
        .map(|(file, prefixes)| {
            let lines = prefixes
                .iter()
                .map(|prefix| format!("{prefix}\t*\t{FIRST}{prefix}\n"));
            (file.into_bytes(), lines.collect::<String>().into_bytes())
        })
        .collect();
    Ok(files)
}

/// The letters by which a name is grouped; a short one goes on with `_`. Courier takes
/// `/` and blanks as they are, and loses the accounts.
fn letters(name: &str) -> impl Iterator<Item = char> {
    let fit = |letter: char| match letter {
        '/' => '_',
        letter if letter.is_whitespace() || letter.is_control() => '_',
        letter => letter,
    };
    name.chars().map(fit).chain(std::iter::repeat('_'))
}

/// The value of `sharedgroup` among options between commas; nothing if there is none.
fn shared_group(options: &[u8]) -> &[u8] {
    let mut options = options.split(|&octet| octet == b',');
    let group = options.find_map(|option| option.strip_prefix(b"sharedgroup="));
    group.unwrap_or_default().trim_ascii_end()
}

/// Where the options stand.
const OPTIONS: usize = 5;
/// The file at which readers begin.
const FIRST: &str = "index";

/// Writes the files into a directory, durably. A reader sees each as it was or as it
/// will be.
///
/// # Errors
/// What the disk says; some files may have been written then.
pub async fn write(
    disk: &Disk,
    directory: &Path,
    files: IndexFiles,
    mode: u32,
) -> Result<(), DiskError> {
    let path = |name: &[u8]| directory.join(OsStr::from_bytes(name));
    let mut texts = Vec::new();
    for (name, added) in files.accounts {
        let target = path(&name);
        // Courier: a leaf is added to, even one of the call before.
        let (mut text, mode) = match disk.read(&target, 0..u64::MAX).await {
            Ok(text) => (text, disk.stat(&target).await?.mode),
            Err(error) if error.kind == DiskErrorKind::NotFound => (Vec::new(), mode),
            Err(error) => return Err(error),
        };
        text.extend_from_slice(&added);
        texts.push((name, text, mode));
    }
    texts.extend(
        files
            .groups
            .into_iter()
            .map(|(name, text)| (name, text, mode)),
    );
    for texts in texts.chunks(BATCH) {
        replace_all(disk, directory, texts).await?;
    }
    disk.one(Op::SyncDir(directory.to_path_buf()))
        .await
        .map(drop)
}

async fn replace_all(
    disk: &Disk,
    directory: &Path,
    texts: &[(Vec<u8>, Vec<u8>, u32)],
) -> Result<(), DiskError> {
    // Hidden, so that nobody installs what a crash leaves.
    let hidden = |name: &[u8]| -> PathBuf {
        directory.join(OsStr::from_bytes(&[b".", name, b".new"].concat()))
    };
    let unlinks = || {
        texts
            .iter()
            .map(|(name, ..)| Op::Unlink(hidden(name)))
            .collect()
    };
    disk.run(unlinks()).await;
    let creates = texts.iter().map(|(name, text, mode)| Op::Create {
        path: hidden(name),
        content: vec![Piece::Octets(text.as_slice().into())],
        mode: *mode,
        durability: Durability::Synced,
    });
    let renames = texts.iter().map(|(name, ..)| Op::Rename {
        from: hidden(name),
        to: directory.join(OsStr::from_bytes(name)),
    });
    for batch in [creates.collect(), renames.collect()] {
        let failure = disk.run(batch).await.into_iter().find_map(Result::err);
        if let Some(error) = failure {
            disk.run(unlinks()).await;
            return Err(error);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use courier_core::disk;
    use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};
    use proptest::prelude::*;

    const LIST: &str = "alice\t1000\t1000\t/home/alice\tMaildir\tsharedgroup=g1,x=y\n\
        bob\t1001\t1001\t/home/bob\n\
        carol\t1002\t1002\t/home/carol\t\tsharedgroup=g2\n\
        # comment\n\
        dave\t1003\t1003\t/home/dave\t./M\tfoo\textra\n\
        eve\tx\n\
        éva\t1\t1\t/h\tm\n\
        al\t1\t1\t/h\tm\tsharedgroup=g1 # cut\n\
        albert\t1\t1\t/h\tm#cut\tsharedgroup=g9\n\
        none\t1\t1\t\t\t\n";

    fn shown(grouping: Grouping) -> Vec<String> {
        let files = split(LIST.as_bytes(), grouping).expect("divided");
        let file = |(name, text): (&Vec<u8>, &Vec<u8>)| {
            let text = String::from_utf8_lossy(text);
            let text = text.replace('\t', " ").replace('\n', ";");
            format!("{}={text}", String::from_utf8_lossy(name))
        };
        let all = files.accounts.iter().chain(&files.groups);
        all.map(file).collect()
    }

    #[test]
    fn by_option() {
        assert_eq!(
            shown(Grouping::Option),
            [
                "index=bob 1001 1001 /home/bob;dave 1003 1003 /home/dave ./M extra;\
                 éva 1 1 /h m;albert 1 1 /h m;",
                "indexg1=alice 1000 1000 /home/alice Maildir;al 1 1 /h m;",
                "indexg2=carol 1002 1002 /home/carol ;",
            ]
        );
    }

    #[test]
    fn by_letters() {
        let three = shown(Grouping::Letters(3));
        for file in [
            "index=a * indexa;b * indexb;c * indexc;d * indexd;é * indexé;",
            "indexa=al * indexal;",
            "indexal=al_ * indexal_;alb * indexalb;ali * indexali;",
            "indexal_=al 1 1 /h m;",
            "indexév=éva * indexéva;",
        ] {
            assert!(three.contains(&file.to_owned()), "{file}: {three:?}");
        }
        assert_eq!(three.len(), 6 + 12);
    }

    #[test]
    fn no_file_is_written_elsewhere() {
        let files = split(b"../x\t1\t1\t/h\n", Grouping::Letters(4)).expect("divided");
        assert!(files.accounts.contains_key(b"index.._x".as_slice()));
        let list = b"x\t1\t1\t/h\n\nx\t1\t1\t/h\tm\tsharedgroup=/../a\n";
        let error = split(list, Grouping::Option).expect_err("refused");
        assert_eq!(error, SplitError::Group { line: 3 });
        let error = split(b"", Grouping::Letters(61)).expect_err("refused");
        assert_eq!(error, SplitError::TooManyLetters);
    }

    fn writing(promises: Promises<()>) -> disk::DiskTask<'static, Result<(), DiskError>> {
        disk::task(|disk| async move {
            let files = split(b"b\t2\t2\t/b\n", Grouping::Letters(1)).expect("divided");
            write(&disk, Path::new("/o"), files, 0o644).await?;
            promises.make(());
            Ok(())
        })
    }

    #[test]
    fn each_file_is_the_old_or_the_new() {
        let mut start = MemDisk::new();
        start.plant_file("/o/index", b"old\n");
        start.plant_file("/o/indexb", b"a\t1\t1\t/a\n");
        let check = |disk: &mut MemDisk, promised: bool| {
            let group = disk.contents("/o/index").expect("never gone");
            let leaf = disk.contents("/o/indexb").expect("never gone");
            let old = group == b"old\n" || leaf == b"a\t1\t1\t/a\n";
            let new = group == b"b\t*\tindexb\n" || leaf == b"a\t1\t1\t/a\nb\t2\t2\t/b\n";
            assert!(old || new, "{}", disk.show());
            assert!(!(old && promised), "{}", disk.show());
        };
        crash_everywhere(&start, writing, |disk, promises| {
            check(disk, !promises.is_empty());
        });
        fail_everywhere(&start, writing, |disk, given, _| {
            check(disk, given.is_ok());
            disk.run(writing(Promises::new())).expect("written");
        });
    }

    proptest! {
        #[test]
        fn every_account_is_in_one_file(list in "([a-c/é ]{0,3}\t1\t1\t/h(\t|\tm|\tm\tsharedgroup=[ab]?)?\n){0,6}", count in 0_usize..4) {
            let expected = list.lines().count();
            for grouping in [Grouping::Option, Grouping::Letters(count)] {
                let files = split(list.as_bytes(), grouping).expect("divided");
                let lines = files.accounts.values().flatten().filter(|&&octet| octet == b'\n');
                prop_assert_eq!(lines.count(), expected);
                prop_assert!(files.accounts.keys().all(|name| name.starts_with(b"index") && !name.contains(&b'/')));
                prop_assert!(files.groups.keys().all(|name| !files.accounts.contains_key(name)));
            }
        }

        #[test]
        fn noise_is_read_without_harm(octets: Vec<u8>, count in 0_usize..4) {
            split(&octets, Grouping::Option).ok();
            split(&octets, Grouping::Letters(count)).ok();
        }
    }
}
