//! Reading the keywords of a folder, and merging changes into `:list`.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Listing, Op, Reply};
use courier_core::time::Millis;

use super::list::parse_change;
use super::{DIRECTORY, KeywordList, KeywordTable, LIST, SetId};
use crate::folder::{FolderPath, is_missing};
use crate::replace::{is_absent, replace};
use crate::scan::is_file;
use crate::tree::BATCH;
use crate::writer::Writer;

/// Which keywords messages have, by base name.
pub(crate) type Keywords = HashMap<Box<[u8]>, SetId>;

/// Reads the keywords of a folder; new ones are entered into the table. Changes that
/// others made are merged into `:list` on the way, if the disk allows. `there` says
/// which messages there are: `:list` forgets the others when it is written.
///
/// # Errors
/// What the disk says.
pub(crate) async fn load(
    disk: &Disk,
    folder: &FolderPath,
    table: &mut KeywordTable,
    there: impl Fn() -> HashSet<Vec<u8>>,
    writer: &Writer,
) -> Result<Keywords, DiskError> {
    merge(disk, folder, table, || Some(there()), writer).await
}

/// As [`load`], and forgets no message unless `there` says which there are.
pub(super) async fn merge(
    disk: &Disk,
    folder: &FolderPath,
    table: &mut KeywordTable,
    there: impl Fn() -> Option<HashSet<Vec<u8>>>,
    writer: &Writer,
) -> Result<Keywords, DiskError> {
    let directory = folder.file(DIRECTORY);
    for _ in 0..ATTEMPTS {
        let listing = match disk.list(&directory).await {
            Ok(listing) => listing,
            Err(error) if is_missing(error.kind) || is_absent(error.kind) => {
                return Ok(Keywords::new());
            }
            Err(error) => return Err(error),
        };
        let changes = Changes::of(&listing);
        let Some(texts) = changes.read(disk, &directory).await? else {
            continue; // somebody merged one meanwhile
        };
        let octets = match disk.read(&directory.join(LIST), 0..u64::MAX).await {
            Ok(octets) => octets,
            Err(error) if is_absent(error.kind) => Vec::new(),
            Err(error) => return Err(error),
        };
        // Read last, entered first: its spellings are the older ones.
        let list = KeywordList::parse(&octets, table);
        let changed: Keywords = texts
            .into_iter()
            .map(|(base, text)| (base, parse_change(&text, table)))
            .collect();
        let mut keywords: Keywords = list
            .messages
            .iter()
            .map(|&(base, set)| (base.into(), set))
            .collect();
        let mut save = list.flawed || changes.plain.iter().any(|base| changed.contains_key(base));
        for (base, set) in &changed {
            let before = keywords.insert(base.clone(), *set);
            save |= before.unwrap_or(SetId::EMPTY) != *set;
        }
        if save {
            let there = there();
            keywords.retain(|base, _| {
                // A message with a fresh change may have come after we looked.
                let known = there
                    .as_ref()
                    .is_none_or(|there| there.contains(base.as_ref()));
                known || changed.contains_key(base)
            });
            let messages = keywords.iter().map(|(base, &set)| (base.as_ref(), set));
            let text = KeywordList::print(messages, table);
            let target = directory.join(LIST);
            // The changes stay where they are if the list cannot be written.
            if replace(disk, &folder.tmp(), &target, text, writer)
                .await
                .is_ok()
            {
                changes.retire(disk, &directory, &changed, writer).await;
            }
        }
        changes.clear_old(disk, &directory, writer).await;
        return Ok(keywords);
    }
    let op = Op::List(directory);
    Err(op.error(DiskErrorKind::Stale))
}

/// As [`load`], but writes nothing: for maildirs that are not ours.
///
/// # Errors
/// What the disk says.
pub(crate) async fn peek(
    disk: &Disk,
    folder: &FolderPath,
    table: &mut KeywordTable,
) -> Result<Keywords, DiskError> {
    let directory = folder.file(DIRECTORY);
    for _ in 0..ATTEMPTS {
        let listing = match disk.list(&directory).await {
            Ok(listing) => listing,
            Err(error) if is_missing(error.kind) || is_absent(error.kind) => break,
            Err(error) => return Err(error),
        };
        let Some(texts) = Changes::of(&listing).read(disk, &directory).await? else {
            continue; // somebody merged one meanwhile
        };
        let octets = match disk.read(&directory.join(LIST), 0..u64::MAX).await {
            Ok(octets) => octets,
            Err(error) if is_absent(error.kind) => Vec::new(),
            Err(error) => return Err(error),
        };
        let list = KeywordList::parse(&octets, table);
        let listed = list.messages.iter().map(|&(base, set)| (base.into(), set));
        let mut keywords: Keywords = listed.collect();
        for (base, text) in texts {
            keywords.insert(base, parse_change(&text, table));
        }
        return Ok(keywords);
    }
    Ok(Keywords::new())
}

/// How often others may merge what we are about to read.
const ATTEMPTS: usize = 1000;

/// A merged change is kept so long: a slower reader may write an older `:list` over
/// ours, and must find the change again.
const KEPT: Millis = Millis::from_mins(15);

/// The files of changes in a directory.
#[derive(Debug, Default)]
struct Changes {
    /// Not merged yet, by base name.
    plain: HashSet<Box<[u8]>>,
    /// Merged already, with the greatest number of each.
    aged: HashMap<Box<[u8]>, u64>,
    /// Whole names of merged ones that newer ones stand for.
    outdated: Vec<Box<[u8]>>,
    /// Whole names of files on their way, or left.
    other: Vec<Box<[u8]>>,
}

impl Changes {
    fn of(listing: &Listing) -> Self {
        let mut changes = Self::default();
        let files = listing.iter().filter(|(_, kind)| is_file(*kind));
        for (name, _) in files.filter(|(name, _)| *name != LIST.as_bytes()) {
            let Some(hidden) = name.strip_prefix(b".") else {
                changes.plain.insert(name.into());
                continue;
            };
            let Some((number, base)) = parse_aged(hidden) else {
                changes.other.push(name.into());
                continue;
            };
            let greatest = changes.aged.entry(base.into()).or_insert(number);
            if *greatest != number {
                let outdated = aged_name((*greatest).min(number), base);
                *greatest = (*greatest).max(number);
                changes.outdated.push(outdated.into());
            }
        }
        changes
    }

    /// Reads the newest change of each message; nothing if one is gone.
    async fn read(
        &self,
        disk: &Disk,
        directory: &Path,
    ) -> Result<Option<Vec<(Box<[u8]>, Vec<u8>)>>, DiskError> {
        let plain = self.plain.iter().map(|base| (base, base.to_vec()));
        let aged = self
            .aged
            .iter()
            .filter(|(base, _)| !self.plain.contains(*base));
        let aged = aged.map(|(base, &number)| (base, aged_name(number, base)));
        let files: Vec<_> = plain.chain(aged).collect();
        let mut texts = Vec::new();
        for files in files.chunks(BATCH) {
            let reads = files.iter().map(|(_, name)| Op::Read {
                path: directory.join(OsStr::from_bytes(name)),
                range: 0..CHANGE_LIMIT,
            });
            let outcomes = disk.run(reads.collect()).await;
            for ((base, _), outcome) in files.iter().zip(outcomes) {
                match outcome {
                    Ok(Reply::Octets(octets)) => texts.push(((*base).clone(), octets)),
                    Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(None),
                    Err(error) if !is_absent(error.kind) => return Err(error),
                    _ => {} // a directory, a link: no change of anybody's
                }
            }
        }
        Ok(Some(texts))
    }

    /// Renames changes that are in `:list` now.
    async fn retire(&self, disk: &Disk, directory: &Path, changed: &Keywords, writer: &Writer) {
        let number = u64::try_from(writer.now.seconds / 300).unwrap_or_default() + 1;
        let path = |name: &[u8]| directory.join(OsStr::from_bytes(name));
        let plain = self.plain.iter().filter(|base| changed.contains_key(*base));
        let plain: Vec<_> = plain.collect();
        for bases in plain.chunks(BATCH) {
            let touches = bases.iter().map(|base| Op::SetModified {
                path: path(base),
                time: writer.now,
            });
            disk.run(touches.collect()).await;
            let renames = bases.iter().map(|base| {
                let number = self
                    .aged
                    .get(*base)
                    .map_or(number, |&aged| aged.max(number));
                Op::Rename {
                    from: path(base),
                    to: path(&aged_name(number, base)),
                }
            });
            disk.run(renames.collect()).await;
        }
    }

    /// Removes merged changes, and files that never became one, once they are old.
    async fn clear_old(&self, disk: &Disk, directory: &Path, writer: &Writer) {
        let path = |name: &[u8]| directory.join(OsStr::from_bytes(name));
        let mut unlinks: Vec<Op> = self
            .outdated
            .iter()
            .map(|name| Op::Unlink(path(name)))
            .collect();
        let aged = self
            .aged
            .iter()
            .map(|(base, &number)| aged_name(number, base));
        let old: Vec<_> = aged
            .chain(self.other.iter().map(|name| name.to_vec()))
            .collect();
        for names in old.chunks(BATCH) {
            let stats = names.iter().map(|name| Op::Stat(path(name)));
            let stats = disk.run(stats.collect()).await;
            unlinks.extend(
                names
                    .iter()
                    .zip(stats)
                    .filter_map(|(name, stat)| match stat {
                        Ok(Reply::Meta(meta)) if writer.is_past(meta.modified, KEPT, Millis(0)) => {
                            Some(Op::Unlink(path(name)))
                        }
                        _ => None,
                    }),
            );
        }
        disk.run(unlinks).await;
    }
}

/// Octets of a change: every keyword that a folder may have.
const CHANGE_LIMIT: u64 = 1 << 20;

/// `N.BASE`, with a number that is not 0 and has no leading zero.
fn parse_aged(name: &[u8]) -> Option<(u64, &[u8])> {
    let dot = memchr::memchr(b'.', name)?;
    let (number, base) = name.split_at_checked(dot)?;
    let text = std::str::from_utf8(number).ok()?;
    let number: u64 = text.parse().ok()?;
    let base = base.get(1..).filter(|base| !base.is_empty())?;
    (number > 0 && number.to_string() == text).then_some((number, base))
}

fn aged_name(number: u64, base: &[u8]) -> Vec<u8> {
    [format!(".{number}.").as_bytes(), base].concat()
}
