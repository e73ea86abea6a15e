//! An open folder as it was when we last looked.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use courier_core::disk::DiskError;

use super::finding::Finding;
use super::found::Found;
use super::names::{Entry, Names, Place};
use crate::flags::Flags;
use crate::folder::FolderPath;
use crate::keywords::{Keyword, KeywordTable, SetId};
use crate::name::{Name, Sizes};
use crate::scan::Gate;
use crate::uid_list::{ListStamp, Uid, UidValidity};

/// What may be done with an open folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Messages move from `new` to `cur`.
    ReadWrite,
    /// Nothing changes but the UID list: `EXAMINE`, `STATUS`.
    ReadOnly,
}

/// An open folder: its messages in ascending order of UID. It is what a session holds
/// and hands to each task; nothing in it is tied to the disk.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(super) folder: FolderPath,
    pub(super) access: Access,
    pub(super) validity: UidValidity,
    pub(super) next: Uid,
    /// Shared with other snapshots of the folder until it changes: see
    /// [`Snapshot::follow`].
    pub(super) names: Arc<Names>,
    pub(super) keywords: Arc<KeywordTable>,
    /// Messages that no earlier session was told of, ascending.
    pub(super) recent: Vec<Uid>,
    /// Keywords of messages that we have not seen yet.
    pub(super) orphans: Arc<Vec<(Box<[u8]>, SetId)>>,
    pub(super) gates: Option<Gates>,
    /// Fingerprints of the keys that the list has without a message.
    pub(super) dead: Arc<Vec<u32>>,
    pub(super) saved: Saved,
    /// What a task found on its way and the next [`refresh`](super::refresh()) tells.
    pub(super) untold: Untold,
    /// The folder's index does not say the same.
    pub(super) unindexed: bool,
    /// A sync of `cur` failed: what was done before may not be durable.
    pub(super) unsynced: bool,
    /// Sizes that names do not tell, as far as they were measured.
    pub(super) measured: HashMap<Uid, Sizes>,
    pub(super) findings: Vec<Finding>,
}

/// What has changed and was not told yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Untold {
    pub(super) vanished: Vec<Uid>,
    pub(super) flags: Vec<Uid>,
}

/// What tells whether the folder has changed since.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gates {
    pub(super) new: Gate,
    pub(super) cur: Gate,
    pub(super) list: Option<ListStamp>,
    pub(super) keywords: Option<Gate>,
}

/// Whether the UIDs of a snapshot are in the UID list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Saved {
    Yes,
    /// Those that are shown are; messages without one are not shown.
    Partly(DiskError),
    /// There is no list, and none can be written: the UIDs are good for this session.
    Never(DiskError),
}

impl Snapshot {
    pub(super) fn unopened(folder: FolderPath, access: Access) -> Self {
        Self {
            folder,
            access,
            validity: UidValidity::MIN,
            next: Uid::FIRST,
            names: Arc::default(),
            keywords: Arc::default(),
            recent: Vec::new(),
            orphans: Arc::default(),
            gates: None,
            dead: Arc::default(),
            saved: Saved::Yes,
            untold: Untold::default(),
            unindexed: false,
            unsynced: false,
            measured: HashMap::new(),
            findings: Vec::new(),
        }
    }

    /// Messages of a session without UIDs, numbered from 1.
    pub(crate) fn of_numbers(folder: FolderPath, found: &Found, shown: &[usize]) -> Self {
        let mut snapshot = Self::unopened(folder, Access::ReadWrite);
        let messages = shown.iter().filter_map(|&at| {
            let entry = found.names.entries.get(at)?;
            Some((found.names.name(entry), entry.place))
        });
        let mut names = Names::default();
        for (name, place) in messages {
            if let Some(at) = names.push(name, place)
                && let Some(entry) = names.entries.get_mut(at)
            {
                *entry = entry.with_uid(snapshot.next);
                snapshot.next = snapshot.next.next().unwrap_or(snapshot.next);
            }
        }
        snapshot.names = Arc::new(names);
        snapshot
    }

    /// The entry of a message.
    pub(super) fn entry(&self, at: usize) -> Option<&Entry> {
        self.names.entries.get(at)
    }

    /// Forgets messages that are gone; `uids` ascends.
    pub(super) fn forget(&mut self, uids: &[Uid]) {
        let mut gone = uids.iter().peekable();
        let dead = Arc::make_mut(&mut self.dead);
        Arc::make_mut(&mut self.names).entries.retain(|entry| {
            while gone.next_if(|uid| Some(**uid) < entry.uid()).is_some() {}
            let stays = gone.peek().is_none_or(|uid| Some(**uid) != entry.uid());
            if !stays {
                dead.push(entry.print());
            }
            stays
        });
        for uid in uids {
            self.measured.remove(uid);
        }
    }

    /// Where the folder is.
    #[must_use]
    pub fn folder(&self) -> &FolderPath {
        &self.folder
    }

    /// What may be done with it.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// The number of its UID space.
    #[must_use]
    pub fn uid_validity(&self) -> UidValidity {
        self.validity
    }

    /// The UID that the next message to come will have at least.
    #[must_use]
    pub fn uid_next(&self) -> Uid {
        self.next
    }

    /// Number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.len() == 0
    }

    /// The messages in ascending order of UID.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = Message<'_>> + DoubleEndedIterator {
        self.names
            .entries
            .iter()
            .map(|entry| self.message_of(entry))
    }

    /// The message with a UID.
    #[must_use]
    pub fn message(&self, uid: Uid) -> Option<Message<'_>> {
        let at = self.names.find(uid)?;
        self.names
            .entries
            .get(at)
            .map(|entry| self.message_of(entry))
    }

    fn message_of<'a>(&'a self, entry: &'a Entry) -> Message<'a> {
        Message {
            snapshot: self,
            entry,
        }
    }

    /// Every keyword that the folder has seen, in a fixed order.
    pub fn keywords(&self) -> impl ExactSizeIterator<Item = &Keyword> {
        self.keywords.words()
    }

    /// How many messages of which kind there are: for `STATUS` and `SELECT`.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            size: Some(0),
            ..Counts::default()
        };
        for message in self.messages() {
            let flags = message.flags();
            counts.messages += 1;
            counts.recent += usize::from(message.is_recent());
            counts.unseen += usize::from(!flags.contains(Flags::SEEN));
            counts.deleted += usize::from(flags.contains(Flags::TRASHED));
            let size = counts.size.zip(message.wire_size());
            counts.size = size.map(|(sum, size)| sum.saturating_add(size));
        }
        counts
    }

    /// Why UIDs could not be written down, if they could not: for the log. Messages
    /// that came since are then not shown; without any list, the UIDs are good for
    /// this session only.
    #[must_use]
    pub fn unsaved(&self) -> Option<&DiskError> {
        match &self.saved {
            Saved::Yes => None,
            Saved::Partly(error) | Saved::Never(error) => Some(error),
        }
    }

    /// Has the next refresh tell that these messages are gone, for nobody was told by
    /// the task that removed them.
    pub fn tell_later(&mut self, gone: &[Uid]) {
        self.untold.vanished.extend_from_slice(gone);
        self.untold.vanished.sort_unstable();
        self.untold.vanished.dedup();
    }

    /// What the last look found that should not be so: for the log. A later look may
    /// find it again.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// Messages are recent for the first session that is told of them: takes that
    /// from all.
    pub fn clear_recent(&mut self) {
        self.recent.clear();
    }
}

/// Numbers of messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub messages: usize,
    /// Those that no earlier session was told of.
    pub recent: usize,
    /// Those without [`Flags::SEEN`].
    pub unseen: usize,
    /// Those with [`Flags::TRASHED`].
    pub deleted: usize,
    /// Octets of all on the wire, if each name tells; else see
    /// [`measure`](super::measure()).
    pub size: Option<u64>,
}

/// A message of a [`Snapshot`].
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    snapshot: &'a Snapshot,
    entry: &'a Entry,
}

impl<'a> Message<'a> {
    /// Its UID.
    #[must_use]
    pub fn uid(self) -> Uid {
        self.entry.uid().unwrap_or(Uid::FIRST)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> Name<'a> {
        self.snapshot.names.name(self.entry)
    }

    /// In which directory it lies.
    #[must_use]
    pub fn place(self) -> Place {
        self.entry.place
    }

    /// Its file. Another program may rename it at any time: see
    /// [`locate`](super::locate()).
    #[must_use]
    pub fn path(self) -> PathBuf {
        let name = self.snapshot.names.octets(self.entry);
        match self.entry.place {
            Place::New => self.snapshot.folder.in_new(name),
            Place::Cur => self.snapshot.folder.in_cur(name),
        }
    }

    /// Its flags.
    #[must_use]
    pub fn flags(self) -> Flags {
        self.name().flags()
    }

    /// Its keywords.
    pub fn keywords(self) -> impl Iterator<Item = &'a Keyword> {
        self.snapshot.keywords.set(self.entry.keywords)
    }

    /// A number that is the same for messages with the same keywords.
    #[must_use]
    pub fn keyword_set(self) -> SetId {
        self.entry.keywords
    }

    /// Whether no earlier session was told of it.
    #[must_use]
    pub fn is_recent(self) -> bool {
        self.snapshot.recent.binary_search(&self.uid()).is_ok()
    }

    /// Octets of its file, if they are known: see [`measure`](super::measure()).
    #[must_use]
    pub fn size(self) -> Option<u64> {
        let measured = || self.snapshot.measured.get(&self.uid());
        self.name().size().or_else(|| Some(measured()?.file))
    }

    /// Octets on the wire, if they are known: see [`measure`](super::measure()).
    #[must_use]
    pub fn wire_size(self) -> Option<u64> {
        let measured = || self.snapshot.measured.get(&self.uid());
        self.name().wire_size().or_else(|| measured()?.wire)
    }
}
