//! Giving UIDs to the messages that were found, and writing them down.

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Durability, Op, Reply};

use super::MailboxError;
use super::found::{Found, Joined};
use super::names::{Names, Place};
use super::snapshot::{ListStamp, Saved, Snapshot};
use crate::folder::FolderPath;
use crate::lock::{self, Lock, LockError};
use crate::name::Name;
use crate::replace::{is_absent, publish, replace, temporary};
use crate::uid_list::{self, Uid, UidList, UidValidity};
use crate::validity;
use crate::writer::Writer;

/// What is known of a folder's UIDs before it is looked at.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) names: Names,
    pub(super) validity: UidValidity,
    pub(super) next: Uid,
}

/// The UID list as it was read.
#[derive(Debug)]
pub(super) struct Listed {
    /// Nothing if there is none that can be believed.
    pub(super) known: Option<Known>,
    pub(super) stamp: Option<ListStamp>,
    /// Somebody is at work on it: what was read may not survive a crash.
    unsettled: bool,
}

/// UIDs for what was found.
#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) validity: UidValidity,
    pub(super) next: Uid,
    /// Ascending, with the place of each message.
    pub(super) uids: Vec<(Uid, usize)>,
    /// Where the UIDs begin that were given just now.
    pub(super) fresh_from: usize,
    pub(super) list: Option<ListStamp>,
    pub(super) saved: Saved,
}

/// Octets of a list that is believed: eight million messages.
const LENGTH_LIMIT: u64 = 1 << 30;

/// UIDs without a message that a list may hold before it is written for them alone.
const DEAD_LIMIT: usize = 1000;

/// Reads the list. It must be read before the directories: then each UID in it has
/// its message there, or the message is gone.
pub(super) async fn read_list(disk: &Disk, folder: &FolderPath) -> Result<Listed, DiskError> {
    let path = folder.file(uid_list::FILE);
    let mut listed = Listed {
        known: None,
        stamp: None,
        unsettled: false,
    };
    match stat_list(disk, folder).await? {
        Some(stamp) if stamp.length <= LENGTH_LIMIT => listed.stamp = Some(stamp),
        stamp => {
            listed.stamp = stamp;
            return Ok(listed);
        }
    }
    let octets = match disk.read(&path, 0..LENGTH_LIMIT).await {
        Ok(octets) => octets,
        Err(error) if is_absent(error.kind) => return Ok(listed),
        Err(error) => return Err(error),
    };
    listed.known = UidList::parse(octets).ok().map(|list| Known::of(&list));
    // A writer gives its lock back after it has synced the list.
    let held = disk.stat(&folder.tmp().join(lock::FILE)).await;
    listed.unsettled = held.is_ok();
    Ok(listed)
}

/// What tells one list from another; nothing if there is none.
pub(super) async fn stat_list(
    disk: &Disk,
    folder: &FolderPath,
) -> Result<Option<ListStamp>, DiskError> {
    match disk.stat(&folder.file(uid_list::FILE)).await {
        Ok(meta) => Ok(Some(ListStamp::of(&meta))),
        Err(error) if is_absent(error.kind) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Known {
    fn of(list: &UidList) -> Self {
        let mut names = Names::default();
        for (uid, base) in list.iter() {
            let name = Name::of_parts(base, base);
            if let Some(at) = names.push(name, Place::Cur)
                && let Some(entry) = names.entries.get_mut(at)
            {
                *entry = entry.with_uid(uid);
            }
        }
        Self {
            names,
            validity: list.validity,
            next: list.next,
        }
    }
}

/// One numbering of a folder.
pub(super) struct Numbering<'a> {
    pub(super) disk: &'a Disk,
    pub(super) snapshot: &'a Snapshot,
    pub(super) found: &'a Found,
    pub(super) writer: &'a Writer,
}

impl Numbering<'_> {
    /// Gives each message its UID. `listed` is the list if it had to be read; else it
    /// is as the snapshot knows it.
    pub(super) async fn run(&self, listed: Option<Listed>) -> Result<Numbered, MailboxError> {
        if let Saved::Never(error) = &self.snapshot.saved {
            return Ok(self.for_session(error.clone()));
        }
        let view = self.view(listed.as_ref());
        if let Some(joined) = view.joined.as_ref()
            && joined.fresh.is_empty()
            && joined.dead <= DEAD_LIMIT.max(joined.known.len() / 4)
            && !listed.as_ref().is_some_and(|listed| listed.unsettled)
        {
            return Ok(view.as_it_is(Saved::Yes));
        }
        let folder = &self.snapshot.folder;
        let (tmp, patience) = (folder.tmp(), lock::PATIENCE);
        let lock = match Lock::take(self.disk, &tmp, lock::FILE, self.writer, patience).await {
            Ok(lock) => lock,
            Err(LockError::Disk(error)) if cannot_write(error.kind) => {
                return Ok(self.unsaved(view, error));
            }
            Err(error) => return Err(error.into()),
        };
        let numbered = self.run_locked(view, lock.contested).await;
        lock.release(self.disk).await;
        numbered
    }

    async fn run_locked(&self, view: View, contested: bool) -> Result<Numbered, MailboxError> {
        let folder = &self.snapshot.folder;
        let mut view = view;
        if contested || stat_list(self.disk, folder).await? != view.stamp {
            let listed = read_list(self.disk, folder).await?;
            if contested && listed.known.is_some() {
                // Whoever held the lock may have died before its list was durable.
                let list = folder.file(uid_list::FILE);
                self.disk.one(Op::Sync(list)).await?;
                let directory = folder.path().to_path_buf();
                self.disk.one(Op::SyncDir(directory)).await?;
            }
            view = self.view(Some(&listed));
        }
        match self.write(&view).await {
            Err(WriteError::Disk(error)) if cannot_write(error.kind) => {
                Ok(self.unsaved(view, error))
            }
            Err(WriteError::Disk(error)) => Err(error.into()),
            Err(WriteError::Mailbox(error)) => Err(error),
            Ok(numbered) => Ok(numbered),
        }
    }

    /// What is known joined with what was found.
    fn view(&self, listed: Option<&Listed>) -> View {
        let snapshot = self.snapshot;
        match listed {
            None => View {
                validity: snapshot.validity,
                next: snapshot.next,
                joined: Some(self.found.join(&snapshot.names, |_| false)),
                stamp: snapshot.gates.and_then(|gates| gates.list),
            },
            Some(Listed {
                known: Some(known),
                stamp,
                ..
            }) => {
                let same = snapshot.gates.is_some() && snapshot.validity == known.validity;
                // A message that we told gone and that is back is a new message.
                let passed = |uid| {
                    same && uid < snapshot.next && snapshot.names.find(uid).is_none()
                };
                View {
                    validity: known.validity,
                    next: known.next,
                    joined: Some(self.found.join(&known.names, passed)),
                    stamp: *stamp,
                }
            }
            Some(listed) => View {
                validity: snapshot.validity,
                next: Uid::FIRST,
                joined: None,
                stamp: listed.stamp,
            },
        }
    }

    /// Gives UIDs to those that have none, and writes the list.
    async fn write(&self, view: &View) -> Result<Numbered, WriteError> {
        if let Some(joined) = &view.joined
            && let Some(numbered) = number(view.validity, view.next, joined)
        {
            let text = self.text(&numbered);
            let folder = &self.snapshot.folder;
            let target = folder.file(uid_list::FILE);
            replace(self.disk, &folder.tmp(), &target, text, self.writer).await?;
            return self.written(numbered).await;
        }
        // No list, one that cannot be believed, or UIDs are used up.
        self.begin().await
    }

    /// Begins a list with a UIDVALIDITY of its own.
    async fn begin(&self) -> Result<Numbered, WriteError> {
        let folder = &self.snapshot.folder;
        let fresh = temporary(&folder.tmp(), self.writer);
        let create = Op::Create {
            path: fresh.clone(),
            content: Vec::new(),
            mode: self.writer.mode,
            durability: Durability::Volatile,
        };
        let wrong = create.error(DiskErrorKind::Io);
        let Reply::Meta(meta) = self.disk.one(create).await? else {
            return Err(wrong.into());
        };
        let (maildir, created) = (folder.maildir(), meta.modified.seconds);
        let begun = async {
            let validity = validity::allocate(self.disk, maildir, created, self.writer)
                .await?
                .ok_or(MailboxError::UidsExhausted)?;
            let none = self.found.join(&Names::default(), |_| false);
            let numbered = number(validity, Uid::FIRST, &none).ok_or(MailboxError::UidsExhausted)?;
            let append = Op::Append {
                path: fresh.clone(),
                octets: self.text(&numbered).into(),
                durability: Durability::Synced,
            };
            self.disk.one(append).await?;
            Ok(numbered)
        };
        let numbered = match begun.await {
            Ok(numbered) => numbered,
            Err(error) => {
                self.disk.one(Op::Unlink(fresh)).await.ok();
                return Err(error);
            }
        };
        publish(self.disk, &fresh, &folder.file(uid_list::FILE), self.writer).await?;
        self.written(numbered).await
    }

    /// The file's text.
    fn text(&self, numbered: &Numbered) -> Vec<u8> {
        let names = &self.found.names;
        let entries = numbered.uids.iter().filter_map(|&(uid, at)| {
            let entry = names.entries.get(at)?;
            Some((uid, names.base(entry)))
        });
        UidList::print(numbered.validity, numbered.next, entries)
    }

    async fn written(&self, numbered: Numbered) -> Result<Numbered, WriteError> {
        let list = stat_list(self.disk, &self.snapshot.folder).await?;
        Ok(Numbered { list, ..numbered })
    }

    /// Without a place to write: what is listed is shown; without a list everything
    /// is, with UIDs for this session.
    fn unsaved(&self, view: View, error: DiskError) -> Numbered {
        match view.joined {
            Some(_) => view.as_it_is(Saved::Partly(error)),
            None => self.for_session(error),
        }
    }

    fn for_session(&self, error: DiskError) -> Numbered {
        let snapshot = self.snapshot;
        let joined = self.found.join(&snapshot.names, |_| false);
        let validity = match snapshot.saved {
            Saved::Never(_) => snapshot.validity,
            _ => UidValidity::of_session(self.writer.now.seconds),
        };
        let numbered = number(validity, snapshot.next, &joined);
        let numbered = numbered.unwrap_or_else(|| Numbered::of(validity, snapshot.next, joined.known));
        Numbered {
            saved: Saved::Never(error),
            ..numbered
        }
    }
}

/// UIDs as they are known, joined with what was found.
struct View {
    validity: UidValidity,
    next: Uid,
    /// Nothing if no list can be believed.
    joined: Option<Joined>,
    stamp: Option<ListStamp>,
}

impl View {
    /// Without those that have no UID.
    fn as_it_is(self, saved: Saved) -> Numbered {
        let known = self.joined.map(|joined| joined.known).unwrap_or_default();
        Numbered {
            list: self.stamp,
            saved,
            ..Numbered::of(self.validity, self.next, known)
        }
    }
}

impl Numbered {
    fn of(validity: UidValidity, next: Uid, uids: Vec<(Uid, usize)>) -> Self {
        Self {
            validity,
            next,
            fresh_from: uids.len(),
            uids,
            list: None,
            saved: Saved::Yes,
        }
    }
}

/// Gives ascending UIDs from `next` on; nothing if they do not suffice.
fn number(validity: UidValidity, next: Uid, joined: &Joined) -> Option<Numbered> {
    let mut numbered = Numbered::of(validity, next, joined.known.clone());
    for &at in &joined.fresh {
        numbered.uids.push((numbered.next, at));
        numbered.next = numbered.next.next()?;
    }
    Some(numbered)
}

/// Whether nothing can be written but what is there can be read.
fn cannot_write(kind: DiskErrorKind) -> bool {
    matches!(
        kind,
        DiskErrorKind::NoSpace | DiskErrorKind::Quota | DiskErrorKind::Permission
    )
}

/// A disk that refuses to write is not the end: see [`Numbering::unsaved`].
enum WriteError {
    Disk(DiskError),
    Mailbox(MailboxError),
}

impl From<DiskError> for WriteError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

impl From<MailboxError> for WriteError {
    fn from(error: MailboxError) -> Self {
        Self::Mailbox(error)
    }
}

impl From<LockError> for WriteError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Disk(error) => Self::Disk(error),
            LockError::Busy { .. } => Self::Mailbox(error.into()),
        }
    }
}
