//! `APPEND`, `COPY` and `MOVE`: messages into `cur` of a folder, with their UIDs.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Durability, Meta, Op, Piece, Reply};
use courier_core::time::Timestamp;

use super::expunge::remove;
use super::locate::relocate;
use super::snapshot::Snapshot;
use super::{Expunge, MailboxError};
use crate::content::Content;
use crate::flags::Flags;
use crate::folder::{FolderPath, is_missing};
use crate::keywords::{self, Keyword, KeywordTable};
use crate::name::{Name, UniqueName};
use crate::quota::{self, Amount, Charge, Meter};
use crate::tree::BATCH;
use crate::uid_list::{self, Extension, Tail, Uid, UidList, UidValidity};
use crate::writer::Writer;

/// A message to be appended.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Its text.
    pub content: Content,
    /// Its flags.
    pub flags: Flags,
    /// Its keywords.
    pub keywords: Vec<Keyword>,
    /// Its internal date; now, if there is none.
    pub date: Option<Timestamp>,
}

/// What `APPENDUID` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The folder's number.
    pub validity: UidValidity,
    /// The UID of each message, in order.
    pub uids: Vec<Uid>,
}

/// What `COPYUID` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The number of the folder that was copied to.
    pub validity: UidValidity,
    /// The UIDs of each message, here and there, in the order in which they were given.
    pub uids: Vec<(Uid, Uid)>,
    /// UIDs whose messages are gone; the next refresh tells them.
    pub gone: Vec<Uid>,
}

/// Appends messages to a folder, all or none; messages and UIDs are durable once it
/// returns.
///
/// # Errors
/// When the folder is not there, another session holds its lock, or the disk refuses;
/// nothing is appended then.
pub async fn append(
    disk: &Disk,
    folder: &FolderPath,
    messages: Vec<NewMessage>,
    writer: &Writer,
) -> Result<Appended, MailboxError> {
    let mut arrivals = Arrivals::default();
    for message in messages {
        let unique = writer.unique_name();
        let base = unique.base(message.content.sizes());
        arrivals.keywords(&base, &message.keywords)?;
        arrivals.push(folder, &unique, &base, message.flags);
        arrivals
            .sources
            .push(Source::Text(message.content, message.date));
    }
    arrivals.deliver(disk, folder, writer).await
}

/// Copies messages of an open folder, all that are still there or none; copies and
/// their UIDs are durable once it returns. Flags, keywords and internal date go with
/// them; small letters do not, for they are the other folder's.
///
/// # Errors
/// As [`append`].
pub async fn copy(
    disk: &Disk,
    snapshot: &mut Snapshot,
    uids: &[Uid],
    target: &FolderPath,
    writer: &Writer,
) -> Result<Copied, MailboxError> {
    copy_charged(disk, snapshot, uids, target, Charge::Due, writer).await
}

async fn copy_charged(
    disk: &Disk,
    snapshot: &mut Snapshot,
    uids: &[Uid],
    target: &FolderPath,
    charge: Charge,
    writer: &Writer,
) -> Result<Copied, MailboxError> {
    let mut wanted: Vec<usize> = uids
        .iter()
        .filter_map(|&uid| snapshot.names.find(uid))
        .collect();
    let lost = settle(disk, snapshot, &wanted).await?;
    let gone = wanted.iter().filter(|at| lost.contains(at));
    let gone = gone.filter_map(|&at| snapshot.entry(at)?.uid()).collect();
    wanted.retain(|at| !lost.contains(at));
    let mut arrivals = Arrivals {
        charge,
        ..Arrivals::default()
    };
    for &at in &wanted {
        let Some(entry) = snapshot.entry(at) else {
            continue;
        };
        let name = snapshot.names.name(entry);
        let unique = writer.unique_name();
        let base = format!("{unique}{}", sizes_of(name));
        let words: Vec<_> = snapshot.keywords.set(entry.keywords).cloned().collect();
        arrivals.keywords(&base, &words)?;
        let flags = name.flags().without(Flags::FOLDER_LETTERS);
        arrivals.push(target, &unique, &base, flags);
        let path = super::found::path(&snapshot.folder, entry.place, name.octets());
        arrivals.sources.push(Source::File(path));
    }
    let appended = arrivals.deliver(disk, target, writer).await?;
    let here = wanted
        .into_iter()
        .filter_map(|at| snapshot.entry(at)?.uid());
    Ok(Copied {
        validity: appended.validity,
        uids: here.zip(appended.uids).collect(),
        gone,
    })
}

/// Moves messages: copies them, then removes them here. Cut off in between, it leaves
/// them in both folders.
///
/// # Errors
/// As [`append`]; if the removal fails the copies stay, as if they had been copied.
pub async fn move_to(
    disk: &Disk,
    snapshot: &mut Snapshot,
    uids: &[Uid],
    target: &FolderPath,
    writer: &Writer,
) -> Result<Copied, MailboxError> {
    // What stays within a quota needs no room in it.
    let charge = match quota::is_shared(&snapshot.folder, target) {
        true => Charge::Never,
        false => Charge::Due,
    };
    let copied = copy_charged(disk, snapshot, uids, target, charge, writer).await?;
    let here: Vec<Uid> = copied.uids.iter().map(|(here, _)| *here).collect();
    remove(disk, snapshot, Expunge::Each(&here), charge, writer).await?;
    Ok(copied)
}

/// The size tokens of a name.
fn sizes_of(name: Name<'_>) -> String {
    let file = name.size().map(|size| format!(",S={size}"));
    let wire = name.wire_size().map(|size| format!(",W={size}"));
    file.into_iter().chain(wire).collect()
}

/// Makes sure that the files of messages are durable, which other programs do not
/// always see to; gives those that are gone.
async fn settle(
    disk: &Disk,
    snapshot: &mut Snapshot,
    wanted: &[usize],
) -> Result<HashSet<usize>, DiskError> {
    let mut wanted = wanted.to_vec();
    let mut lost = HashSet::new();
    for _ in 0..ATTEMPTS {
        let mut overtaken = Vec::new();
        for places in wanted.chunks(BATCH) {
            let entries = places
                .iter()
                .filter_map(|&at| Some((at, snapshot.entry(at)?)));
            let entries: Vec<_> = entries.collect();
            let syncs = entries.iter().map(|(_, entry)| {
                let name = snapshot.names.octets(entry);
                Op::Sync(super::found::path(&snapshot.folder, entry.place, name))
            });
            let outcomes = disk.run(syncs.collect()).await;
            for ((at, _), outcome) in entries.into_iter().zip(outcomes) {
                match outcome {
                    Ok(_) => {}
                    Err(error) if is_missing(error.kind) => overtaken.push(at),
                    Err(error) => return Err(error),
                }
            }
        }
        if overtaken.is_empty() {
            return Ok(lost);
        }
        let gone = relocate(disk, snapshot, &overtaken).await?;
        wanted = overtaken
            .into_iter()
            .filter(|at| !gone.contains(at))
            .collect();
        lost.extend(gone);
    }
    lost.extend(wanted);
    Ok(lost)
}

/// How often others may rename a message while we look for it.
const ATTEMPTS: usize = 4;

/// Where the text of a message comes from.
#[derive(Debug)]
enum Source {
    Text(Content, Option<Timestamp>),
    /// A message's file, durable already.
    File(PathBuf),
}

/// Messages on their way into a folder.
#[derive(Debug, Default)]
struct Arrivals {
    sources: Vec<Source>,
    tmp: Vec<PathBuf>,
    /// Names in `cur`.
    names: Vec<Vec<u8>>,
    keywords: Vec<(Vec<u8>, keywords::SetId)>,
    table: KeywordTable,
    charge: Charge,
}

impl Arrivals {
    fn push(&mut self, folder: &FolderPath, unique: &UniqueName, base: &str, flags: Flags) {
        self.tmp.push(folder.tmp().join(unique.to_string()));
        self.names.push(format!("{base}:2,{flags}").into_bytes());
    }

    fn keywords(&mut self, base: &str, words: &[Keyword]) -> Result<(), MailboxError> {
        let numbers = words.iter().map(|word| self.table.add(word));
        let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
        if !numbers.is_empty() {
            let set = self.table.intern(numbers);
            self.keywords.push((base.as_bytes().to_vec(), set));
        }
        Ok(())
    }

    async fn deliver(
        self,
        disk: &Disk,
        folder: &FolderPath,
        writer: &Writer,
    ) -> Result<Appended, MailboxError> {
        let charge = self.charge(disk, folder, writer).await?;
        let result = match self.write(disk, writer).await {
            Ok(()) => self.number(disk, folder, writer).await,
            Err(error) => Err(error.into()),
        };
        if let (Err(_), Some((meter, amount))) = (&result, charge) {
            meter.give_back(disk, amount, writer).await;
        }
        for tmp in self.tmp.chunks(BATCH) {
            let unlinks = tmp.iter().cloned().map(Op::Unlink);
            disk.run(unlinks.collect()).await;
        }
        result.map_err(|error| match error {
            MailboxError::Disk(error) if is_missing(error.kind) => MailboxError::NoFolder {
                path: folder.path().to_path_buf(),
            },
            error => error,
        })
    }

    /// Asks the quota for room, and takes it.
    async fn charge(
        &self,
        disk: &Disk,
        folder: &FolderPath,
        writer: &Writer,
    ) -> Result<Option<(Meter, Amount)>, MailboxError> {
        if self.charge == Charge::Never {
            return Ok(None);
        }
        let Some(meter) = Meter::of(disk, folder).await else {
            return Ok(None);
        };
        let counted = self.sources.iter().zip(&self.names);
        let counted = counted.filter(|(_, name)| quota::is_counted(name));
        let messages = counted.map(|(source, name)| match source {
            Source::Text(..) => (name.as_slice(), PathBuf::new()),
            Source::File(path) => (name.as_slice(), path.clone()),
        });
        let messages: Vec<_> = messages.collect();
        let amount = quota::weigh(disk, &messages).await?.into_iter().sum();
        let recorded = meter.take(disk, amount, writer).await?;
        Ok(Some((meter, recorded)))
    }

    /// Puts the messages into `tmp`, whole and durable.
    async fn write(&self, disk: &Disk, writer: &Writer) -> Result<(), DiskError> {
        let pairs: Vec<_> = self.sources.iter().zip(&self.tmp).collect();
        for pairs in pairs.chunks(BATCH) {
            let first = pairs.iter().map(|(source, tmp)| match source {
                Source::Text(content, _) => create(tmp, content.pieces().to_vec(), writer),
                Source::File(path) => Op::Link {
                    from: path.clone(),
                    to: (*tmp).clone(),
                },
            });
            let outcomes = disk.run(first.collect()).await;
            let (mut dates, mut syncs) = (Vec::new(), Vec::new());
            for ((source, tmp), outcome) in pairs.iter().zip(outcomes) {
                let date = match (source, outcome) {
                    (Source::Text(_, date), outcome) => outcome.map(|_| *date)?,
                    (Source::File(_), Ok(_)) => continue,
                    (Source::File(path), Err(error)) if may_copy(error.kind) => {
                        Some(copy_file(disk, path, tmp, writer).await?.modified)
                    }
                    (Source::File(_), Err(error)) => return Err(error),
                };
                dates.extend(date.map(|time| Op::SetModified {
                    path: (*tmp).clone(),
                    time,
                }));
                syncs.push(Op::Sync((*tmp).clone()));
            }
            for batch in [dates, syncs] {
                disk.run(batch)
                    .await
                    .into_iter()
                    .collect::<Result<Vec<_>, _>>()?;
            }
        }
        Ok(())
    }

    /// Gives the messages names in `cur`, and UIDs, under the folder's lock.
    async fn number(
        &self,
        disk: &Disk,
        folder: &FolderPath,
        writer: &Writer,
    ) -> Result<Appended, MailboxError> {
        let lock = uid_list::hold(disk, folder, writer).await?;
        let extension = match Tail::read(disk, folder).await {
            Ok(tail) => tail.and_then(|tail| {
                let validity = tail.validity;
                Some((tail.extend(self.bases()?)?, validity))
            }),
            Err(error) => {
                lock.release(disk).await;
                return Err(error.into());
            }
        };
        let mut result = match &extension {
            Some((extension, validity)) => {
                let added = self.add(disk, folder, extension, writer).await;
                added.map(|()| Appended {
                    validity: *validity,
                    uids: extension.uids.clone(),
                })
            }
            None => self.add_anew(disk, folder, writer).await,
        };
        if result.is_err() {
            let unlinks = self
                .names
                .iter()
                .map(|name| Op::Unlink(folder.in_cur(name)));
            let unlinks: Vec<_> = unlinks.collect();
            for unlinks in unlinks.chunks(BATCH) {
                disk.run(unlinks.to_vec()).await;
            }
            disk.one(Op::SyncDir(folder.cur())).await.ok();
            if let Some((extension, _)) = &extension
                && let Err(error) = extension.undo(disk, folder, writer).await
            {
                result = Err(MailboxError::ListInDoubt(error));
            }
        }
        MailboxError::settle(disk, lock, &result).await;
        result
    }

    /// Links the messages, and adds them to the list in place.
    async fn add(
        &self,
        disk: &Disk,
        folder: &FolderPath,
        extension: &Extension,
        writer: &Writer,
    ) -> Result<(), MailboxError> {
        self.link(disk, folder).await?;
        keywords::update(disk, folder, &self.keywords, &self.table, writer).await?;
        let names = vec![Op::SyncDir(folder.cur())];
        Ok(extension.write(disk, folder, names).await?)
    }

    /// Links the messages, and writes the list anew.
    async fn add_anew(
        &self,
        disk: &Disk,
        folder: &FolderPath,
        writer: &Writer,
    ) -> Result<Appended, MailboxError> {
        // The list is read first, so that a list that cannot be read costs nothing.
        let file = uid_list::read(disk, folder).await?;
        self.link(disk, folder).await?;
        disk.one(Op::SyncDir(folder.cur())).await?;
        keywords::update(disk, folder, &self.keywords, &self.table, writer).await?;
        self.list(disk, folder, file.list, writer).await
    }

    async fn link(&self, disk: &Disk, folder: &FolderPath) -> Result<(), DiskError> {
        let pairs: Vec<_> = self.tmp.iter().zip(&self.names).collect();
        for pairs in pairs.chunks(BATCH) {
            let links = pairs.iter().map(|(tmp, name)| Op::Link {
                from: (*tmp).clone(),
                to: folder.in_cur(name),
            });
            let outcomes = disk.run(links.collect()).await;
            for ((tmp, name), outcome) in pairs.iter().zip(outcomes) {
                match outcome {
                    Ok(_) => {}
                    // Not every file system knows links.
                    Err(error) if may_copy(error.kind) => {
                        let (from, to) = ((*tmp).clone(), folder.in_cur(name));
                        disk.one(Op::Rename { from, to }).await?;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    async fn list(
        &self,
        disk: &Disk,
        folder: &FolderPath,
        list: Option<UidList>,
        writer: &Writer,
    ) -> Result<Appended, MailboxError> {
        if let Some(mut list) = list
            && let Some(uids) = self.push_all(&mut list)
        {
            let text = UidList::print(list.validity, list.next, list.iter());
            uid_list::write(disk, folder, text, writer).await?;
            let validity = list.validity;
            return Ok(Appended { validity, uids });
        }
        let text = |validity| {
            let mut list = UidList::new(validity);
            let uids = self.push_all(&mut list)?;
            let text = UidList::print(validity, list.next, list.iter());
            Some((text, Appended { validity, uids }))
        };
        let begun = uid_list::begin(disk, folder, text, writer).await?;
        let (appended, _) = begun.ok_or(MailboxError::UidsExhausted)?;
        Ok(appended)
    }

    fn push_all(&self, list: &mut UidList) -> Option<Vec<Uid>> {
        self.bases()?.iter().map(|base| list.push(base)).collect()
    }

    fn bases(&self) -> Option<Vec<&[u8]>> {
        let bases = self.names.iter();
        bases
            .map(|name| Some(Name::parse(name).ok()?.base()))
            .collect()
    }
}

fn create(path: &Path, content: Vec<Piece>, writer: &Writer) -> Op {
    Op::Create {
        path: path.to_path_buf(),
        content,
        mode: writer.mode,
        durability: Durability::Volatile,
    }
}

/// Copies a message that cannot get another name here.
async fn copy_file(
    disk: &Disk,
    from: &Path,
    to: &Path,
    writer: &Writer,
) -> Result<Meta, DiskError> {
    let stat = Op::Stat(from.to_path_buf());
    let wrong = stat.error(DiskErrorKind::Io);
    let Reply::Meta(meta) = disk.one(stat).await? else {
        return Err(wrong);
    };
    let piece = Piece::File {
        path: from.to_path_buf(),
        range: 0..meta.length,
    };
    disk.one(create(to, vec![piece], writer)).await?;
    Ok(meta)
}

/// Whether a link failed because of what it is, not for want of something: another
/// file system, one without links, one name too many, a file of another owner.
fn may_copy(kind: DiskErrorKind) -> bool {
    matches!(
        kind,
        DiskErrorKind::CrossDevice | DiskErrorKind::Permission | DiskErrorKind::Other(_)
    )
}
