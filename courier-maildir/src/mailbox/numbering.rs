//! Giving UIDs to the messages that were found, and writing them down.

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Op};

use super::MailboxError;
use super::found::{Found, Joined};
use super::names::Names;
use super::snapshot::{Saved, Snapshot};
use crate::folder::FolderPath;
use crate::lock::{Lock, LockError};
use crate::uid_list::{self, ListStamp, Tail, Uid, UidList, UidValidity};
use crate::writer::Writer;

/// The UID list as it was read, with its names hashed.
#[derive(Debug)]
pub(super) struct Listed {
    /// Nothing if there is none that can be believed.
    pub(super) known: Option<Known>,
    stamp: Option<ListStamp>,
    unsettled: bool,
    mended: bool,
}

/// The UIDs of a list.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) names: Names,
    validity: UidValidity,
    next: Uid,
}

impl Listed {
    pub(super) async fn read(disk: &Disk, folder: &FolderPath) -> Result<Self, DiskError> {
        let file = uid_list::read(disk, folder).await?;
        Ok(Self {
            known: file.list.map(Known::of),
            stamp: file.stamp,
            unsettled: file.unsettled,
            mended: file.mended,
        })
    }
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
    /// Fingerprints of the keys that the list has without a message.
    pub(super) dead: Vec<u32>,
    pub(super) list: Option<ListStamp>,
    pub(super) saved: Saved,
    /// There was a list, and it could not be believed.
    pub(super) rebuilt: bool,
}

/// Messages that are added to a list in place; with more it is written anew.
const EXTENDED_BY: usize = 256;

/// UIDs without a message that a list may hold before it is written for them alone.
const DEAD_LIMIT: usize = 1000;

impl Known {
    fn of(list: UidList) -> Self {
        Self {
            validity: list.validity,
            next: list.next,
            names: Names::of_list(list),
        }
    }
}

/// Whether the folder's lock was held since before the list was read.
#[derive(Debug)]
pub(super) enum Hold {
    No,
    /// It was; perhaps somebody else had it first.
    Yes {
        contested: bool,
    },
    /// It cannot be had, for nothing can be written.
    Refused(DiskError),
}

impl Hold {
    /// The lock, if it can be had, and what to say of it.
    pub(super) async fn take(
        disk: &Disk,
        folder: &FolderPath,
        writer: &Writer,
    ) -> Result<(Self, Option<Lock>), LockError> {
        match uid_list::hold(disk, folder, writer).await {
            Ok(lock) => Ok((
                Self::Yes {
                    contested: lock.contested,
                },
                Some(lock),
            )),
            Err(LockError::Disk(error)) if cannot_write(error.kind) => {
                Ok((Self::Refused(error), None))
            }
            Err(error) => Err(error),
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
    ///
    /// Nothing is given when another session wrote the list after it was read, or may
    /// have: the directories, which were read after it, may then be older than the
    /// list. All of it has to be read again with the lock held.
    pub(super) async fn run(
        &self,
        listed: Option<Listed>,
        hold: Hold,
    ) -> Result<Option<Numbered>, MailboxError> {
        if let Saved::Never(error) = &self.snapshot.saved {
            return Ok(Some(self.for_session(error.clone())));
        }
        let unsettled = listed.as_ref().is_some_and(|listed| listed.unsettled);
        let view = self.view(listed.as_ref());
        match hold {
            Hold::Refused(error) => Ok(Some(self.unsaved(view, error))),
            Hold::Yes { contested } => {
                if contested && view.joined.is_some() {
                    self.settle_list().await?;
                }
                match view.is_complete() {
                    true => Ok(Some(view.without_new(Saved::Yes))),
                    false => self.write(view).await.map(Some),
                }
            }
            Hold::No if unsettled => Ok(None),
            Hold::No if view.is_complete() => Ok(Some(view.without_new(Saved::Yes))),
            Hold::No => self.write_if_unchanged(view).await,
        }
    }

    /// Makes a list durable that another may have written and not synced: it may have
    /// died in between.
    async fn settle_list(&self) -> Result<(), DiskError> {
        let folder = &self.snapshot.folder;
        self.disk.one(Op::Sync(folder.file(uid_list::FILE))).await?;
        let directory = folder.path().to_path_buf();
        self.disk.one(Op::SyncDir(directory)).await.map(drop)
    }

    async fn write_if_unchanged(&self, view: View) -> Result<Option<Numbered>, MailboxError> {
        let folder = &self.snapshot.folder;
        let lock = match Hold::take(self.disk, folder, self.writer).await? {
            (Hold::Refused(error), _) => return Ok(Some(self.unsaved(view, error))),
            (_, lock) => lock,
        };
        let contested = lock.as_ref().is_some_and(|lock| lock.contested);
        let numbered = match uid_list::stat(self.disk, folder).await {
            Ok(stamp) if !contested && stamp == view.stamp => self.write(view).await.map(Some),
            Ok(_) => Ok(None),
            Err(error) => Err(error.into()),
        };
        if let Some(lock) = lock {
            MailboxError::settle(self.disk, lock, &numbered).await;
        }
        numbered
    }

    async fn write(&self, view: View) -> Result<Numbered, MailboxError> {
        match self.try_to_write(&view).await {
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
                joined: Some({
                    let mut joined = self.found.join(&snapshot.names, |_| false);
                    joined.dead.extend_from_slice(&snapshot.dead);
                    joined
                }),
                stamp: snapshot.gates.and_then(|gates| gates.list),
                mended: false,
            },
            Some(Listed {
                known: Some(known),
                stamp,
                mended,
                ..
            }) => {
                let same = snapshot.gates.is_some() && snapshot.validity == known.validity;
                // A message that we told gone and that is back is a new message.
                let passed =
                    |uid| same && uid < snapshot.next && snapshot.names.find(uid).is_none();
                View {
                    validity: known.validity,
                    next: known.next,
                    joined: Some(self.found.join(&known.names, passed)),
                    stamp: *stamp,
                    mended: *mended,
                }
            }
            Some(listed) => View {
                validity: snapshot.validity,
                next: Uid::FIRST,
                joined: None,
                stamp: listed.stamp,
                mended: false,
            },
        }
    }

    /// Gives UIDs to those that have none, and writes the list.
    async fn try_to_write(&self, view: &View) -> Result<Numbered, WriteError> {
        if let Some(joined) = &view.joined
            && let Some(numbered) = number(view.validity, view.next, joined)
        {
            if let Some(list) = self.extend(view, joined, &numbered).await? {
                return Ok(Numbered {
                    list: Some(list),
                    dead: joined.dead.clone(),
                    ..numbered
                });
            }
            let text = self.text(&numbered);
            let list = uid_list::write(self.disk, &self.snapshot.folder, text, self.writer).await?;
            return Ok(Numbered { list, ..numbered });
        }
        // No list, one that cannot be believed, or UIDs are used up.
        let text = |validity| {
            let none = self.found.join(&Names::default(), |_| false);
            let numbered = number(validity, Uid::FIRST, &none)?;
            Some((self.text(&numbered), numbered))
        };
        let folder = &self.snapshot.folder;
        let (numbered, list) = uid_list::begin(self.disk, folder, text, self.writer)
            .await?
            .ok_or(MailboxError::UidsExhausted)?;
        Ok(Numbered {
            list,
            rebuilt: view.joined.is_none() && view.stamp.is_some(),
            ..numbered
        })
    }

    /// Adds those that got their UID just now to the list, if that is all it wants; gives
    /// what the list looks like then. The lock is held since the list was read.
    async fn extend(
        &self,
        view: &View,
        joined: &Joined,
        numbered: &Numbered,
    ) -> Result<Option<ListStamp>, WriteError> {
        let (folder, names) = (&self.snapshot.folder, &self.found.names);
        // Of a message that was gone and is back the list must not speak twice.
        let few = joined.fresh.iter().take(EXTENDED_BY);
        let mut fresh = few.filter_map(|&at| names.entries.get(at));
        let is_back = fresh.any(|entry| joined.dead.contains(&entry.print()));
        if !view.is_sound() || joined.fresh.len() > EXTENDED_BY || is_back {
            return Ok(None);
        }
        let as_viewed = |tail: &Tail| {
            (tail.validity, tail.next, Some(tail.stamp)) == (view.validity, view.next, view.stamp)
        };
        let Some(tail) = Tail::read(self.disk, folder).await?.filter(as_viewed) else {
            return Ok(None);
        };
        let fresh = numbered.uids.get(numbered.fresh_from..);
        let fresh = fresh.unwrap_or_default().iter();
        let bases = fresh.filter_map(|&(_, at)| Some(names.base(names.entries.get(at)?)));
        let Some(extension) = tail.extend(bases) else {
            return Ok(None);
        };
        let Err(error) = extension.write(self.disk, folder, Vec::new()).await else {
            return Ok(uid_list::stat(self.disk, folder).await?);
        };
        match extension.undo(self.disk, folder, self.writer).await {
            Ok(()) => Err(error.into()),
            Err(error) => Err(MailboxError::ListInDoubt(error).into()),
        }
    }

    /// The file's text.
    fn text(&self, numbered: &Numbered) -> Vec<u8> {
        let names = &self.found.names;
        let entries = numbered.uids.iter().filter_map(|&(uid, at)| {
            let entry = names.entries.get(at)?;
            Some((uid, names.base(entry)))
        });
        let mut text = Vec::with_capacity(names.length() + names.len() * 12 + 64);
        UidList::print_into(&mut text, numbered.validity, numbered.next, entries);
        text
    }

    /// Without a place to write: what is listed is shown; without a list everything
    /// is, with UIDs for this session.
    fn unsaved(&self, view: View, error: DiskError) -> Numbered {
        match view.joined {
            Some(_) => view.without_new(Saved::Partly(error)),
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
        let numbered =
            numbered.unwrap_or_else(|| Numbered::of(validity, snapshot.next, joined.known));
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
    /// The list was put right after a crash, and must be written.
    mended: bool,
}

impl View {
    /// Whether the list says all there is, and not too much else.
    fn is_complete(&self) -> bool {
        let has_all = |joined: &Joined| joined.fresh.is_empty();
        self.is_sound() && self.joined.as_ref().is_some_and(has_all)
    }

    /// Whether the list says nothing wrong, and not too much of messages that are gone.
    fn is_sound(&self) -> bool {
        let sound = |joined: &Joined| joined.dead.len() <= DEAD_LIMIT.max(joined.known.len() / 4);
        !self.mended && self.joined.as_ref().is_some_and(sound)
    }

    /// Without those that have no UID.
    fn without_new(self, saved: Saved) -> Numbered {
        let joined = self.joined.unwrap_or_default();
        Numbered {
            list: self.stamp,
            saved,
            dead: joined.dead,
            ..Numbered::of(self.validity, self.next, joined.known)
        }
    }
}

impl Numbered {
    fn of(validity: UidValidity, next: Uid, uids: Vec<(Uid, usize)>) -> Self {
        Self {
            validity,
            next,
            fresh_from: uids.len(),
            dead: Vec::new(),
            uids,
            list: None,
            saved: Saved::Yes,
            rebuilt: false,
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
