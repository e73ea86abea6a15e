//! The INBOX as POP3 sees it: a fixed view, with sizes on the wire and unique ids.

mod size_list;

use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Op};

pub use size_list::{FILE, SizeEntry, SizeList, SizeListError};

use crate::flags::Flags;
use crate::folder::{FolderPath, is_missing};
use crate::lock::{self, Lock, LockError};
use crate::mailbox::{
    Expunge, FlagChange, Found, How, MailboxError, Snapshot, expunge, locate, store, survey,
};
use crate::measure::{Extent, Measure, measure};
use crate::name::Name;
use crate::replace::{is_absent, replace};
use crate::uid_list::{ListStamp, Uid};
use crate::writer::Writer;

/// The messages of a session, numbered from 1. The view stays as it is until the
/// session ends.
#[derive(Debug)]
pub struct MailDrop {
    /// Messages whose UID is their number.
    snapshot: Snapshot,
    facts: Vec<Facts>,
    unsaved: Option<DiskError>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    size: u64,
    eight_bit: bool,
    uidl: String,
}

/// A message of a [`MailDrop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailDropMessage<'a> {
    /// Octets on the wire, the end of the last line included.
    pub size: u64,
    /// Its unique id.
    pub uidl: &'a str,
    /// Whether its header holds octets above 127.
    pub eight_bit_header: bool,
}

impl MailDrop {
    /// The messages in order, those that were removed too.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = MailDropMessage<'_>> {
        self.facts.iter().map(|facts| MailDropMessage {
            size: facts.size,
            uidl: &facts.uidl,
            eight_bit_header: facts.eight_bit,
        })
    }

    /// The file of a message, by its number. If it is not there, see
    /// [`find`](self::find()).
    #[must_use]
    pub fn path(&self, number: u32) -> Option<PathBuf> {
        let message = self.snapshot.message(Uid::new(number)?)?;
        Some(message.path())
    }

    /// Why new messages could not be numbered, if they could not: for the log. They
    /// are not shown then.
    #[must_use]
    pub fn unsaved(&self) -> Option<&DiskError> {
        self.unsaved.as_ref()
    }
}

/// Opens the INBOX of a maildir: removes what is old in `tmp`, moves messages from
/// `new` to `cur`, and sizes and numbers those that are seen for the first time.
/// Numbers are durable once it returns.
///
/// # Errors
/// When it is no maildir, another session holds the list, or the disk fails.
pub async fn open(disk: &Disk, maildir: &Path, writer: &Writer) -> Result<MailDrop, MailboxError> {
    let folder = FolderPath::inbox(maildir);
    if let Some(maildrop) = attempt(disk, &folder, None, writer).await? {
        return Ok(maildrop);
    }
    // Another session wrote the list after it was read: the directories, which were
    // read after it, may be older than the list. Nobody comes between now.
    let (tmp, patience) = (folder.tmp(), lock::PATIENCE);
    let lock = Lock::take(disk, &tmp, LOCK, writer, patience).await?;
    let maildrop = attempt(disk, &folder, Some(&lock), writer).await;
    lock.release(disk).await;
    let overtaken = Op::Stat(folder.file(FILE)).error(DiskErrorKind::Stale);
    maildrop?.ok_or(overtaken.into())
}

/// Opens the INBOX, with its lock held or not; nothing if that does not do.
async fn attempt(
    disk: &Disk,
    folder: &FolderPath,
    lock: Option<&Lock>,
    writer: &Writer,
) -> Result<Option<MailDrop>, MailboxError> {
    let list = ListFile::read(disk, folder, writer).await?;
    if lock.is_none() && list.unsettled {
        return Ok(None);
    }
    if lock.is_some_and(|lock| lock.contested) && list.list.is_some() {
        // Whoever wrote it may have died before it was durable.
        disk.one(Op::Sync(folder.file(FILE))).await?;
        disk.one(Op::SyncDir(folder.path().to_path_buf())).await?;
    }
    let found = survey(disk, folder, writer).await?;
    let mut work = Work {
        disk,
        folder,
        writer,
        found: &found,
        order: found.in_order(),
        facts: vec![None; found.len()],
        measures: vec![None; found.len()],
    };
    let dead = work.join(list.list.as_ref());
    work.measure_new().await?;
    let fresh = (0..)
        .zip(&work.facts)
        .any(|(at, facts)| facts.is_none() && work.is_there(at));
    let whole = list.list.as_ref().is_some_and(|list| !list.outdated);
    if whole && !fresh && dead <= DEAD_LIMIT.max(found.len() / 4) {
        return work.finish(None).await.map(Some);
    }
    let numbered = match lock {
        Some(_) => work.number(&list).await.map(Some),
        None => work.number_if_unchanged(&list).await,
    };
    match numbered {
        Ok(Some(())) => work.finish(None).await.map(Some),
        Ok(None) => Ok(None),
        Err(MailboxError::Disk(error) | MailboxError::Lock(LockError::Disk(error)))
            if cannot_write(error.kind) =>
        {
            work.finish(Some(error)).await.map(Some)
        }
        Err(error) => Err(error),
    }
}

/// Names without a message that a list may hold before it is written for them alone.
const DEAD_LIMIT: usize = 1000;

fn cannot_write(kind: DiskErrorKind) -> bool {
    matches!(
        kind,
        DiskErrorKind::NoSpace | DiskErrorKind::Quota | DiskErrorKind::Permission
    )
}

/// Not the folder's lock: Courier's POP3 server takes none, and a scan by IMAP is no
/// reason to wait.
const LOCK: &str = "courier-pop3.lock";

/// Octets of a list that is believed.
const LENGTH_LIMIT: u64 = 1 << 30;

/// The list as it was read.
struct ListFile {
    list: Option<SizeList>,
    stamp: Option<ListStamp>,
    unsettled: bool,
}

impl ListFile {
    async fn read(disk: &Disk, folder: &FolderPath, writer: &Writer) -> Result<Self, DiskError> {
        let mut file = Self {
            list: None,
            stamp: Self::stat(disk, folder).await?,
            unsettled: false,
        };
        match disk.read(&folder.file(FILE), 0..LENGTH_LIMIT).await {
            Ok(octets) => file.list = SizeList::parse(octets, validity_now(writer)).ok(),
            Err(error) if is_absent(error.kind) => {}
            Err(error) => return Err(error),
        }
        let held = disk.stat(&folder.tmp().join(LOCK)).await;
        file.unsettled = held.is_ok();
        Ok(file)
    }

    async fn stat(disk: &Disk, folder: &FolderPath) -> Result<Option<ListStamp>, DiskError> {
        match disk.stat(&folder.file(FILE)).await {
            Ok(meta) => Ok(Some(ListStamp::of(&meta))),
            Err(error) if is_absent(error.kind) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether so many messages can be numbered.
fn has_room(list: &SizeList, fresh: usize) -> bool {
    u32::try_from(fresh).is_ok_and(|fresh| list.next.checked_add(fresh).is_some())
}

/// The number of a list that is made now.
fn validity_now(writer: &Writer) -> u32 {
    u32::try_from(writer.now.seconds).unwrap_or(1).max(1)
}

/// The opening of a maildrop.
struct Work<'a> {
    disk: &'a Disk,
    folder: &'a FolderPath,
    writer: &'a Writer,
    found: &'a Found,
    /// Messages in the order of their arrival.
    order: Vec<usize>,
    /// What the list says of each message that was found.
    facts: Vec<Option<SizeEntry>>,
    /// What reading said of each that is not listed; nothing for those that are gone.
    measures: Vec<Option<Measure>>,
}

impl Work<'_> {
    /// Finds the listed messages; gives the number of those that are gone.
    fn join(&mut self, list: Option<&SizeList>) -> usize {
        self.facts.fill(None);
        let mut dead = 0;
        for (name, entry) in list.into_iter().flat_map(SizeList::iter) {
            let at = Name::parse(name)
                .ok()
                .and_then(|name| self.found.find_name(name));
            match at.and_then(|at| self.facts.get_mut(at)) {
                Some(facts @ None) => *facts = Some(entry),
                _ => dead += 1,
            }
        }
        dead
    }

    /// Reads the messages that are not listed: whole, or no more than the header if
    /// the name tells the size.
    async fn measure_new(&mut self) -> Result<(), DiskError> {
        let new: Vec<usize> = (0..)
            .zip(&self.facts)
            .filter(|(_, facts)| facts.is_none())
            .map(|(at, _)| at)
            .collect();
        let files = new.iter().map(|&at| {
            let extent = match self.found.name(at).and_then(Name::wire_size) {
                Some(_) => Extent::Header,
                None => Extent::Whole,
            };
            (self.found.path(self.folder, at), extent)
        });
        let files: Vec<_> = files.collect();
        let measures = measure(self.disk, &files).await;
        for (at, measure) in new.into_iter().zip(measures) {
            let measure = match measure {
                Ok(measure) => Some(measure),
                Err(error) if is_missing(error.kind) || is_absent(error.kind) => None,
                Err(error) => return Err(error),
            };
            if let Some(place) = self.measures.get_mut(at) {
                *place = measure;
            }
        }
        Ok(())
    }

    /// Whether a message that is not listed could be read.
    fn is_there(&self, at: usize) -> bool {
        self.measures.get(at).is_some_and(Option::is_some)
    }

    /// Numbers what is not listed, if the list is still what was read.
    async fn number_if_unchanged(&mut self, list: &ListFile) -> Result<Option<()>, MailboxError> {
        let (tmp, patience) = (self.folder.tmp(), lock::PATIENCE);
        let lock = Lock::take(self.disk, &tmp, LOCK, self.writer, patience).await?;
        let result = match ListFile::stat(self.disk, self.folder).await {
            Ok(stamp) if !lock.contested && stamp == list.stamp => {
                self.number(list).await.map(Some)
            }
            Ok(_) => Ok(None),
            Err(error) => Err(error.into()),
        };
        lock.release(self.disk).await;
        result
    }

    /// Numbers what is not listed, and writes the list.
    async fn number(&mut self, list: &ListFile) -> Result<(), MailboxError> {
        let fresh = self.facts.iter().filter(|facts| facts.is_none()).count();
        let (mut next, validity) = match &list.list {
            Some(list) if has_room(list, fresh) => (list.next, list.validity),
            // Numbers begin anew, with a number of the list that none of them has.
            list => {
                let used = list
                    .iter()
                    .flat_map(SizeList::iter)
                    .map(|(_, entry)| entry.validity);
                let used = used.chain(list.as_ref().map(|list| list.validity));
                let used = used.max().unwrap_or(0);
                (1, validity_now(self.writer).max(used.saturating_add(1)))
            }
        };
        let before = self.facts.clone();
        for at in self.order.clone() {
            let Some(measure) = self.measures.get(at).copied().flatten() else {
                continue;
            };
            let size = self.wire_size(at, measure);
            if let Some(facts @ None) = self.facts.get_mut(at) {
                *facts = Some(SizeEntry {
                    size,
                    number: next,
                    validity,
                    eight_bit: measure.eight_bit_header,
                });
                next = next.saturating_add(1);
            }
        }
        let text = SizeList::print(next, validity, self.listed());
        let target = self.folder.file(FILE);
        let written = replace(self.disk, &self.folder.tmp(), &target, text, self.writer).await;
        if written.is_err() {
            self.facts = before; // numbers that were not written are not told
        }
        Ok(written.map(drop)?)
    }

    /// What is sent for a message: each line with CRLF, the last one too. A name that
    /// tells the size says that the last line has an end.
    fn wire_size(&self, at: usize, measure: Measure) -> u64 {
        let named = self.found.name(at).and_then(Name::wire_size);
        named.unwrap_or(measure.completed())
    }

    /// Listed messages in the order of their arrival.
    fn listed(&self) -> impl Iterator<Item = (&[u8], SizeEntry)> {
        self.order.iter().filter_map(|&at| {
            let entry = self.facts.get(at).copied().flatten()?;
            // Courier looks for the colon, and takes a name without it for another.
            Some((self.found.name(at)?.octets(), entry))
        })
    }

    async fn finish(self, unsaved: Option<DiskError>) -> Result<MailDrop, MailboxError> {
        let mut facts = Vec::new();
        let mut shown = Vec::new();
        for &at in &self.order {
            let entry = self.facts.get(at).copied().flatten();
            if let (Some(entry), Some(name)) = (entry, self.found.name(at)) {
                facts.push(Facts {
                    size: entry.size,
                    eight_bit: entry.eight_bit,
                    uidl: entry.uidl(name),
                });
                shown.push(at);
            }
        }
        if let (Some(_), true, Some(at)) = (&unsaved, shown.is_empty(), self.first()) {
            // One message at least, so that something can be removed.
            let meta = self.disk.stat(&self.found.path(self.folder, at)).await?;
            let measure = self.measures.get(at).copied().flatten().unwrap_or_default();
            facts.push(Facts {
                size: self.wire_size(at, measure),
                eight_bit: measure.eight_bit_header,
                uidl: format!(
                    "ENOMEM-{:x}-{:x}-{:x}",
                    meta.modified.seconds, meta.device, meta.inode
                ),
            });
            shown.push(at);
        }
        let snapshot = Snapshot::of_numbers(self.folder.clone(), self.found, &shown);
        Ok(MailDrop {
            snapshot,
            facts,
            unsaved,
        })
    }

    fn first(&self) -> Option<usize> {
        self.order.iter().copied().find(|&at| self.is_there(at))
    }
}

/// Looks for a message whose file is not where it was; gives its new place, or
/// nothing if it is gone.
///
/// # Errors
/// What the disk says.
pub async fn find(
    disk: &Disk,
    maildrop: &mut MailDrop,
    number: u32,
) -> Result<Option<PathBuf>, DiskError> {
    let Some(uid) = Uid::new(number) else {
        return Ok(None);
    };
    let gone = locate(disk, &mut maildrop.snapshot, &[uid]).await?;
    Ok(maildrop.path(number).filter(|_| gone.is_empty()))
}

/// Marks messages that were sent as seen; for the end of a session, once for all of
/// them.
///
/// # Errors
/// What the disk says.
pub async fn mark_seen(
    disk: &Disk,
    maildrop: &mut MailDrop,
    numbers: &[u32],
    writer: &Writer,
) -> Result<(), MailboxError> {
    let uids: Vec<Uid> = numbers
        .iter()
        .filter_map(|&number| Uid::new(number))
        .collect();
    let seen = FlagChange {
        how: How::Add,
        flags: Flags::SEEN,
        within: Flags::IMAP,
        keywords: None,
    };
    store(disk, &mut maildrop.snapshot, &uids, &seen, writer)
        .await
        .map(drop)
}

/// Removes messages, durably; for `QUIT`. Those that are gone already count as
/// removed.
///
/// # Errors
/// What the disk says; some may have been removed then.
pub async fn remove(
    disk: &Disk,
    maildrop: &mut MailDrop,
    numbers: &[u32],
    writer: &Writer,
) -> Result<(), MailboxError> {
    let uids: Vec<Uid> = numbers
        .iter()
        .filter_map(|&number| Uid::new(number))
        .collect();
    let which = Expunge::Each(&uids);
    expunge(disk, &mut maildrop.snapshot, which, writer)
        .await
        .map(drop)
}
