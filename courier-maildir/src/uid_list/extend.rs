//! Adding messages to a list in place: a folder of a million costs no more than one of
//! ten.
//!
//! Lines are added at the end, and the digits of NEXTUID in the first line written
//! over. A crash may leave one without the other, and the lines torn; whoever reads the
//! list then puts it right (see `UidList::mend`), which needs three things to be so:
//!
//! - A UID is told to nobody before its line is synced. Then lines that are torn are
//!   nobody's loss, and a NEXTUID that is too low shows by the lines.
//! - NEXTUID is never torn while the last line may not be there: a number made of old
//!   and new digits may be lower than both. So it is one digit that is written over
//!   together with the lines; where more change, that waits until the lines are synced.
//! - Only the last extension may be torn. So nothing is added after one that failed
//!   or whose writer died: the file is replaced then.

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Durability, Octets, Op, Reply};

use super::file::{LENGTH_LIMIT, stat};
use super::{EXTENSION_LIMIT, FILE, ListStamp, Uid, UidValidity, parse_header, parse_line};
use crate::folder::FolderPath;
use crate::name::Name;
use crate::replace::{is_absent, replace};
use crate::writer::Writer;

/// What must be known of a list to add to it: its first line and its end.
#[derive(Debug, Clone)]
pub(crate) struct Tail {
    pub(crate) validity: UidValidity,
    pub(crate) next: Uid,
    pub(crate) stamp: ListStamp,
    /// Where the digits of NEXTUID stand.
    digits: u64,
    length: u64,
}

/// Lines to be added.
#[derive(Debug)]
pub(crate) struct Extension {
    tail: Tail,
    pub(crate) uids: Vec<Uid>,
    next: Uid,
    lines: Vec<u8>,
}

impl Tail {
    /// Looks at the list; nothing if it is not there, or not in order as far as it is
    /// read. The caller holds the folder's lock.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) async fn read(disk: &Disk, folder: &FolderPath) -> Result<Option<Self>, DiskError> {
        let path = folder.file(FILE);
        let head = Op::Read {
            path: path.clone(),
            range: 0..WINDOW,
        };
        let outcomes = disk.run(vec![Op::Stat(path.clone()), head]).await;
        let mut outcomes = outcomes.into_iter();
        let (stat, head) = match (outcomes.next(), outcomes.next()) {
            (Some(Ok(Reply::Meta(stat))), Some(Ok(Reply::Octets(head)))) => (stat, head),
            (Some(Err(error)), _) | (_, Some(Err(error))) if !is_absent(error.kind) => {
                return Err(error);
            }
            _ => return Ok(None),
        };
        if stat.length <= WINDOW {
            return Ok(Self::of(ListStamp::of(&stat), stat.length, &head, None));
        }
        let end = disk.read(&path, stat.length - WINDOW..stat.length).await?;
        Ok(Self::of(
            ListStamp::of(&stat),
            stat.length,
            &head,
            Some(&end),
        ))
    }

    fn of(stamp: ListStamp, length: u64, head: &[u8], end: Option<&[u8]>) -> Option<Self> {
        let (header, lines) = head.split_at_checked(memchr::memchr(b'\n', head)? + 1)?;
        let (validity, next) = parse_header(header.strip_suffix(b"\n")?)?;
        let whole = u64::try_from(head.len()).ok()? == length.min(WINDOW);
        let lines = match end {
            None => lines,
            // The first line in the window need not be whole.
            Some(end) => end.get(memchr::memchr(b'\n', end)? + 1..)?,
        };
        let mut last = 0;
        for line in lines.split_inclusive(|&octet| octet == b'\n') {
            let (uid, _) = parse_line(line.strip_suffix(b"\n")?)?;
            if uid.get() <= last || uid >= next {
                return None;
            }
            last = uid.get();
        }
        let digits = header.len() - 1 - next.to_string().len();
        let digits = u64::try_from(digits).ok()?;
        (whole && (end.is_none() || last > 0)).then_some(Self {
            validity,
            next,
            stamp,
            digits,
            length,
        })
    }

    /// What these messages, which get the next UIDs, add to the list; nothing if it must
    /// be written anew.
    pub(crate) fn extend<'a>(self, bases: impl IntoIterator<Item = &'a [u8]>) -> Option<Extension> {
        let mut extension = Extension {
            next: self.next,
            uids: Vec::new(),
            lines: Vec::new(),
            tail: self,
        };
        for base in bases {
            Name::parse(base).ok()?;
            let uid = extension.next;
            extension.next = uid.next()?;
            extension.uids.push(uid);
            extension.lines.extend(format!("{uid} ").into_bytes());
            extension.lines.extend_from_slice(base);
            extension.lines.push(b'\n');
            if extension.lines.len() > EXTENSION_LIMIT {
                return None;
            }
        }
        let fits = extension.tail.length < LENGTH_LIMIT / 2;
        (fits && extension.digits().len() == extension.former_digits().len()).then_some(extension)
    }
}

impl Extension {
    fn digits(&self) -> Vec<u8> {
        self.next.to_string().into_bytes()
    }

    fn former_digits(&self) -> Vec<u8> {
        self.tail.next.to_string().into_bytes()
    }

    /// Whether the list is still the file that was looked at. Whoever breaks our lock,
    /// because we slept too long, puts another in its place.
    async fn is_there(&self, disk: &Disk, folder: &FolderPath) -> Result<bool, DiskError> {
        let now = stat(disk, folder).await?;
        Ok(now.is_some_and(|now| now.is_same_file(self.tail.stamp)))
    }

    /// Adds the lines, durably, and carries out `also` at the same time, without which
    /// the lines are worth nothing.
    ///
    /// # Errors
    /// What the disk says; what was written must then be [undone](Self::undo).
    pub(crate) async fn write(
        &self,
        disk: &Disk,
        folder: &FolderPath,
        also: Vec<Op>,
    ) -> Result<(), DiskError> {
        let path = folder.file(FILE);
        if !self.is_there(disk, folder).await? {
            return Err(Op::Sync(path).error(DiskErrorKind::Stale));
        }
        let (digits, former) = (self.digits(), self.former_digits());
        let changed: Vec<usize> = (0..digits.len())
            .filter(|&at| digits.get(at) != former.get(at))
            .collect();
        let number = |at: usize, octets: &[u8], durability| Op::WriteAt {
            path: path.clone(),
            offset: self.tail.digits + u64::try_from(at).unwrap_or(0),
            octets: vec![octets.into()],
            durability,
        };
        let mut batch = also;
        // Courier's rename of the list, if it is new, was not synced.
        batch.push(Op::SyncDir(folder.path().to_path_buf()));
        batch.push(Op::WriteAt {
            path: path.clone(),
            offset: self.tail.length,
            octets: vec![Octets::from(self.lines.as_slice())],
            durability: Durability::Synced,
        });
        let mut after = None;
        match *changed.as_slice() {
            [] => {}
            [one] => {
                let digit = digits.get(one..=one).unwrap_or_default();
                batch.push(number(one, digit, Durability::Volatile));
            }
            _ => after = Some(number(0, &digits, Durability::Synced)),
        }
        for outcome in disk.run(batch).await {
            outcome?;
        }
        match after {
            Some(op) => disk.one(op).await.map(drop),
            None => Ok(()),
        }
    }

    /// Takes the lines away again after a failure; their UIDs stay unused.
    ///
    /// # Errors
    /// What the disk says. Nobody may add to the list then: the lock must stay, for
    /// whoever finds it stale replaces the list.
    pub(crate) async fn undo(
        &self,
        disk: &Disk,
        folder: &FolderPath,
        writer: &Writer,
    ) -> Result<(), DiskError> {
        if !self.is_there(disk, folder).await? {
            return Ok(());
        }
        let path = folder.file(FILE);
        let digits = self.digits();
        let mut text = disk.read(&path, 0..self.tail.length).await?;
        let at = usize::try_from(self.tail.digits).unwrap_or(usize::MAX);
        let there = text.iter_mut().skip(at);
        there
            .zip(&digits)
            .for_each(|(octet, &digit)| *octet = digit);
        if replace(disk, &folder.tmp(), &path, text, writer)
            .await
            .is_ok()
        {
            return Ok(());
        }
        // On a full disk there is room for this.
        let number = Op::WriteAt {
            path: path.clone(),
            offset: self.tail.digits,
            octets: vec![Octets::from(digits.as_slice())],
            durability: Durability::Synced,
        };
        disk.one(number).await?;
        let length = self.tail.length;
        disk.one(Op::Truncate { path, length }).await.map(drop)
    }
}

/// Octets of each end of a list that are looked at.
const WINDOW: u64 = EXTENSION_LIMIT as u64 + 1;
