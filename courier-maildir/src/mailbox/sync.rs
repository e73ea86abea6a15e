//! Opening a folder, and looking again what has changed.

use std::sync::Arc;

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Meta, Op, Reply};

use super::MailboxError;
use super::finding::Finding;
use super::found::Found;
use super::locate::TRUSTED;
use super::names::{Names, Place};
use super::numbering::{Hold, Listed, Numbered, Numbering};
use super::share::look_again;
use super::snapshot::{Access, Saved, Snapshot};
use crate::folder::{FolderPath, is_missing};
use crate::index;
use crate::keywords::{self, KeywordTable, Keywords};
use crate::name::Name;
use crate::scan::{Gate, is_file, list_kinds};
use crate::tree::{BATCH, purge_tmp};
use crate::uid_list::{self, ListStamp, Uid};
use crate::writer::Writer;

/// What has changed in a folder since the last look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The folder has another UIDVALIDITY: all that was told of it is void, and the
    /// session must open it anew. Nothing else is told then.
    pub reset: bool,
    /// UIDs whose messages are gone, ascending.
    pub vanished: Vec<Uid>,
    /// UIDs of messages that have come, ascending.
    pub arrived: Vec<Uid>,
    /// UIDs whose flags or keywords are others, ascending.
    pub flags: Vec<Uid>,
    /// Whether the folder has seen keywords that it had not before.
    pub keywords: bool,
}

impl Changes {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Opens a folder: removes what is old in `tmp`, moves messages from `new` to `cur`
/// if `access` allows, and gives each its UID. UIDs are durable once it returns.
///
/// A full disk does not keep a folder closed: see [`Snapshot::unsaved`].
///
/// # Errors
/// When the folder is not there, another session holds its lock, or the disk fails.
pub async fn open(
    disk: &Disk,
    folder: &FolderPath,
    access: Access,
    writer: &Writer,
) -> Result<Snapshot, MailboxError> {
    if access == Access::ReadWrite {
        purge_tmp(disk, &folder.tmp(), writer).await.ok();
    }
    let indexed = index::load(disk, folder).await;
    let mut snapshot = match indexed {
        Some(index) => Snapshot::of_index(folder.clone(), access, index),
        None => Snapshot::unopened(folder.clone(), access),
    };
    let before = Arc::clone(&snapshot.names);
    match snapshot.gates {
        Some(_) => look_again(disk, &mut snapshot, writer).await?,
        None => drop(refresh(disk, &mut snapshot, writer).await?),
    }
    snapshot.unindexed = !Arc::ptr_eq(&before, &snapshot.names);
    Ok(snapshot)
}

/// Looks whether an open folder has changed, and brings the snapshot up to date. When
/// nothing has changed this costs four `stat`s.
///
/// # Errors
/// As [`open`]; the snapshot is then as it was.
pub async fn refresh(
    disk: &Disk,
    snapshot: &mut Snapshot,
    writer: &Writer,
) -> Result<Changes, MailboxError> {
    let facts = Facts::look(disk, &snapshot.folder).await?;
    let due = Due::of(snapshot, &facts, writer);
    let named = match due.names() {
        true => Some(look(disk, snapshot, &facts, &due, writer).await?),
        false => None,
    };
    let loaded = match due.keywords {
        true => Some(load_keywords(disk, snapshot, named.as_ref(), writer).await?),
        false => None,
    };
    Ok(snapshot.adopt(&facts, named, loaded, writer))
}

/// Whether a [`refresh`] would tell nothing and read nothing: four `stat`s.
///
/// # Errors
/// What the disk says, or that the folder is gone.
pub async fn is_unchanged(
    disk: &Disk,
    snapshot: &Snapshot,
    writer: &Writer,
) -> Result<bool, MailboxError> {
    let facts = Facts::look(disk, &snapshot.folder).await?;
    let due = Due::of(snapshot, &facts, writer);
    let untold = &snapshot.untold;
    let told = untold.vanished.is_empty() && untold.flags.is_empty();
    Ok(told && !due.names() && !due.keywords)
}

/// What the directories and the list look like from outside.
pub(super) struct Facts {
    new: Meta,
    cur: Meta,
    list: Option<ListStamp>,
    pub(super) keywords: Option<Meta>,
}

impl Facts {
    async fn look(disk: &Disk, folder: &FolderPath) -> Result<Self, MailboxError> {
        let (list, keywords) = (uid_list::FILE, keywords::DIRECTORY);
        let paths = [
            folder.new_dir(),
            folder.cur(),
            folder.file(list),
            folder.file(keywords),
        ];
        let mut facts = Vec::new();
        for outcome in disk.run(paths.map(Op::Stat).into()).await {
            facts.push(match outcome {
                Ok(Reply::Meta(meta)) => Some(meta),
                Err(error) if !is_missing(error.kind) => return Err(error.into()),
                _ => None,
            });
        }
        match facts.as_slice() {
            &[Some(new), Some(cur), list, keywords] => Ok(Self {
                new,
                cur,
                list: list.as_ref().map(ListStamp::of),
                keywords,
            }),
            _ => Err(MailboxError::NoFolder {
                path: folder.path().to_path_buf(),
            }),
        }
    }
}

/// What must be read.
struct Due {
    new: bool,
    cur: bool,
    list: bool,
    keywords: bool,
}

impl Due {
    const ALL: Self = Self {
        new: true,
        cur: true,
        list: true,
        keywords: true,
    };

    fn of(snapshot: &Snapshot, facts: &Facts, writer: &Writer) -> Self {
        let Some(gates) = snapshot.gates else {
            return Self {
                keywords: facts.keywords.is_some(),
                ..Self::ALL
            };
        };
        let keywords = facts
            .keywords
            .is_some_and(|meta| gates.keywords.is_none_or(|gate| gate.is_due(&meta, writer)));
        let unsaved = snapshot.saved != Saved::Yes;
        let list =
            !matches!(snapshot.saved, Saved::Never(_)) && (unsaved || gates.list != facts.list);
        // With another list the directories must be read, and after it: a UID that is
        // told to be there, and whose message is not found, is never told again.
        Self {
            new: unsaved || list || gates.new.is_due(&facts.new, writer),
            cur: unsaved || list || gates.cur.is_due(&facts.cur, writer),
            list,
            keywords,
        }
    }

    fn names(&self) -> bool {
        self.new || self.cur || self.list
    }
}

/// What was found, with UIDs.
pub(super) struct Named {
    pub(super) found: Found,
    pub(super) new: Gate,
    pub(super) cur: Gate,
    pub(super) numbered: Numbered,
    pub(super) findings: Vec<Finding>,
}

async fn look(
    disk: &Disk,
    snapshot: &Snapshot,
    facts: &Facts,
    due: &Due,
    writer: &Writer,
) -> Result<Named, MailboxError> {
    if let Some(named) = attempt(disk, snapshot, facts, due, writer, Hold::No).await? {
        return Ok(named);
    }
    let folder = &snapshot.folder;
    let (hold, lock) = Hold::take(disk, folder, writer).await?;
    let named = attempt(disk, snapshot, facts, &Due::ALL, writer, hold).await;
    if let Some(lock) = lock {
        MailboxError::settle(disk, lock, &named).await;
    }
    // With the lock held nobody comes between.
    let overtaken = Op::Stat(folder.file(uid_list::FILE)).error(DiskErrorKind::Stale);
    named?.ok_or(overtaken.into())
}

async fn attempt(
    disk: &Disk,
    snapshot: &Snapshot,
    facts: &Facts,
    due: &Due,
    writer: &Writer,
    hold: Hold,
) -> Result<Option<Named>, MailboxError> {
    // The list comes before the directories: see `uid_list::read`.
    let listed = match due.list {
        true => Some(Listed::read(disk, &snapshot.folder).await?),
        false => None,
    };
    let known = listed.as_ref().and_then(|listed| listed.known.as_ref());
    let known = known.map_or(&*snapshot.names, |known| &known.names);
    let look = Look::take(disk, snapshot, facts, due, known, writer).await?;
    let numbering = Numbering {
        disk,
        snapshot,
        found: &look.found,
        writer,
    };
    let numbered = numbering.run(listed, hold).await?;
    let mut findings = look.findings;
    if numbered.as_ref().is_some_and(|numbered| numbered.rebuilt) {
        let list = snapshot.folder.file(uid_list::FILE);
        findings.push(Finding::UidsAnew(list));
    }
    Ok(numbered.map(|numbered| Named {
        findings,
        found: look.found,
        new: look.new,
        cur: look.cur,
        numbered,
    }))
}

/// Every message of a folder, after a move of those in `new`: for POP3, which knows no
/// UIDs.
///
/// # Errors
/// As [`open`].
pub(crate) async fn survey(
    disk: &Disk,
    folder: &FolderPath,
    writer: &Writer,
) -> Result<Found, MailboxError> {
    purge_tmp(disk, &folder.tmp(), writer).await.ok();
    let facts = Facts::look(disk, folder).await?;
    let snapshot = Snapshot::unopened(folder.clone(), Access::ReadWrite);
    let due = Due::of(&snapshot, &facts, writer);
    let known = Names::default();
    let look = Look::take(disk, &snapshot, &facts, &due, &known, writer).await?;
    Ok(look.found)
}

/// A look into `new` and `cur`.
struct Look<'a> {
    disk: &'a Disk,
    snapshot: &'a Snapshot,
    facts: &'a Facts,
    writer: &'a Writer,
    found: Found,
    new: Gate,
    cur: Gate,
    /// Names in `cur` of messages that we brought there.
    moved: Vec<Vec<u8>>,
    findings: Vec<Finding>,
}

impl<'a> Look<'a> {
    /// Looks into the directories that are due. `known` are the messages that should
    /// be there.
    async fn take(
        disk: &'a Disk,
        snapshot: &'a Snapshot,
        facts: &'a Facts,
        due: &Due,
        known: &Names,
        writer: &'a Writer,
    ) -> Result<Self, DiskError> {
        let gates = snapshot.gates;
        let mut look = Self {
            disk,
            snapshot,
            facts,
            writer,
            found: Found::like(known),
            new: gates.map_or_else(
                || Gate::after_reading(&facts.new, writer),
                |gates| gates.new,
            ),
            cur: gates.map_or_else(
                || Gate::after_reading(&facts.cur, writer),
                |gates| gates.cur,
            ),
            moved: Vec::new(),
            findings: Vec::new(),
        };
        let overtaken = look.at_new(due.new).await?;
        look.at_cur(due.cur || overtaken, known).await?;
        let rights = match snapshot.access {
            Access::ReadWrite => Some(writer),
            Access::ReadOnly => None,
        };
        look.found.settle(disk, &snapshot.folder, rights).await;
        for name in &look.moved {
            look.found.mark_moved(name);
        }
        Ok(look)
    }

    /// Looks into `new`, and moves what is there. Gives whether others moved some of
    /// it first.
    async fn at_new(&mut self, due: bool) -> Result<bool, DiskError> {
        let folder = &self.snapshot.folder;
        let mut waiting: Vec<Box<[u8]>> = Vec::new();
        if due {
            let directory = folder.new_dir();
            let findings = &mut self.findings;
            let before = list_kinds(self.disk, &directory, |name, kind| match is_file(kind) {
                true => waiting.push(name.into()),
                false => Finding::no_message(findings, &directory, name),
            });
            let before = before.await?;
            self.new = Gate::after_reading(&before, self.writer);
        } else {
            let names = &self.snapshot.names;
            let new = names
                .entries
                .iter()
                .filter(|entry| entry.place == Place::New);
            waiting.extend(new.map(|entry| Box::from(names.octets(entry))));
        }
        if self.snapshot.access == Access::ReadOnly {
            waiting
                .iter()
                .for_each(|name| self.found.see(Place::New, name));
            return Ok(false);
        }
        waiting.sort_unstable();
        waiting.dedup();
        let mut overtaken = false;
        for waiting in waiting.chunks(BATCH) {
            overtaken |= self.move_to_cur(waiting).await;
        }
        Ok(overtaken)
    }

    async fn move_to_cur(&mut self, waiting: &[Box<[u8]>]) -> bool {
        let folder = &self.snapshot.folder;
        let (names, others): (Vec<_>, Vec<_>) = waiting
            .iter()
            .map(|octets| (octets, Name::parse(octets)))
            .partition(|(_, name)| name.is_ok());
        others
            .iter()
            .for_each(|(octets, _)| self.found.see(Place::New, octets));
        let names: Vec<Name<'_>> = names
            .into_iter()
            .filter_map(|(_, name)| name.ok())
            .collect();
        let renames = names.iter().map(|name| Op::Rename {
            from: folder.in_new(name.octets()),
            to: folder.in_cur(&name.in_cur()),
        });
        let outcomes = self.disk.run(renames.collect()).await;
        let mut overtaken = false;
        for (name, outcome) in names.iter().zip(outcomes) {
            match outcome {
                Ok(_) => self.moved.push(name.in_cur().into_owned()),
                Err(error) if is_missing(error.kind) => overtaken = true,
                Err(_) => self.found.see(Place::New, name.octets()),
            }
        }
        overtaken
    }

    /// Looks into `cur` if it is due; else it holds what it held, and what we moved.
    async fn at_cur(&mut self, due: bool, known: &Names) -> Result<(), DiskError> {
        let directory = self.snapshot.folder.cur();
        if due {
            let (found, findings) = (&mut self.found, &mut self.findings);
            let before = list_kinds(self.disk, &directory, |name, kind| match is_file(kind) {
                true => found.see(Place::Cur, name),
                false => Finding::no_message(findings, &directory, name),
            });
            let before = before.await?;
            self.cur = Gate::after_reading(&before, self.writer);
            if !self.cur.is_settled() && !self.found.has_all(known) {
                // A file that was renamed meanwhile may not have been shown at all.
                self.again().await?;
            }
            return Ok(());
        }
        let names = &self.snapshot.names;
        let cur = names
            .entries
            .iter()
            .filter(|entry| entry.place == Place::Cur);
        cur.for_each(|entry| self.found.see_again(names, entry));
        if !self.moved.is_empty() {
            self.moved
                .iter()
                .for_each(|name| self.found.see(Place::Cur, name));
            if names.len() >= TRUSTED {
                let after = self.disk.stat(&directory).await?;
                self.cur = self
                    .cur
                    .after_own_change(&self.facts.cur, &after, self.writer);
            }
        }
        Ok(())
    }

    async fn again(&mut self) -> Result<(), DiskError> {
        let folder = &self.snapshot.folder;
        for (place, directory) in [(Place::New, folder.new_dir()), (Place::Cur, folder.cur())] {
            let listing = self.disk.list(&directory).await?;
            let files = listing.iter().filter(|(_, kind)| is_file(*kind));
            files.for_each(|(name, _)| self.found.see(place, name));
        }
        Ok(())
    }
}

/// Keywords as they were read.
pub(super) struct Loaded {
    pub(super) table: KeywordTable,
    pub(super) keywords: Keywords,
}

pub(super) async fn load_keywords(
    disk: &Disk,
    snapshot: &Snapshot,
    named: Option<&Named>,
    writer: &Writer,
) -> Result<Loaded, DiskError> {
    let names = named.map_or(&*snapshot.names, |named| &named.found.names);
    let there = || {
        let bases = names.entries.iter().map(|entry| names.base(entry).to_vec());
        bases.collect()
    };
    let mut table = KeywordTable::clone(&snapshot.keywords);
    let keywords = keywords::load(disk, &snapshot.folder, &mut table, there, writer).await?;
    Ok(Loaded { table, keywords })
}
