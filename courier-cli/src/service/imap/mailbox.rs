//! The mailbox that a session has open.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use courier_core::disk::{self, Disk};
use courier_core::message;
use courier_core::time::UnixSeconds;
use courier_imap::grammar::command::{Access, CopyMode, FlagChange};
use courier_imap::search::matching;
use courier_imap::session::output::{
    Contents, Copied, CopyRequest, FetchRequest, Fetched, Need, Opened, Refusal, SearchRequest,
    StoreRequest,
};
use courier_imap::view::{self, Changes, MessageFlags, Uid};
use courier_maildir::folder::FolderPath;
use courier_maildir::mailbox::{self, Expunge, Finding, Snapshot};
use courier_maildir::uid_list;
use courier_maildir::writer::Writer;

use super::convert::{
    disk_refusal, keywords, letters, mailbox_refusal, message, message_flags, uid, uid_validity,
    uids, uids_here, words,
};
use super::seen::{Entered, Seen};
use crate::clock;
use crate::disk::Disks;
use crate::failure::chain;
use crate::log;
use crate::message_file;

/// An open mailbox: the folder as it was last seen.
#[derive(Debug)]
pub(super) struct Mailbox {
    disks: Disks,
    writer: Writer,
    folder: FolderPath,
    /// Out only while a task has it.
    snapshot: Option<Snapshot>,
    /// What the session has copied from here.
    copied: HashSet<uid_list::Uid>,
    seen: Seen,
    entered: Entered,
    /// The snapshot knows of changes of its own that the shared one does not.
    ahead: bool,
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        if let Some(snapshot) = self.snapshot.as_ref().filter(|_| self.ahead) {
            self.seen.keep(snapshot);
        }
    }
}

impl Mailbox {
    /// Opens a folder, and tells the session what is in it.
    pub(super) async fn open(
        disks: &Disks,
        writer: &Writer,
        seen: &Seen,
        folder: FolderPath,
        access: Access,
    ) -> Result<(Self, Opened), Refusal> {
        let how = match access {
            Access::ReadWrite => mailbox::Access::ReadWrite,
            Access::ReadOnly => mailbox::Access::ReadOnly,
        };
        let (place, now) = (folder.clone(), writer.at(clock::now()));
        let known = seen.clone();
        let open = disk::task(|disk| async move { known.open(&disk, &place, how, &now).await });
        let mut snapshot = disks
            .run(open)
            .await
            .map_err(|error| mailbox_refusal(&error))?;
        report(&mut snapshot);
        seen.index(disks, &mut snapshot, writer);
        if let Some(error) = snapshot.unsaved() {
            tracing::error!(error = chain(error), "UID LIST NOT SAVED");
        }
        let opened = Opened {
            snapshot: shown(&snapshot).ok_or(Refusal::ServerBug)?,
            access,
        };
        let mailbox = Self {
            disks: disks.clone(),
            writer: writer.clone(),
            entered: seen.enter(&folder),
            folder,
            snapshot: Some(snapshot),
            copied: HashSet::new(),
            seen: seen.clone(),
            ahead: false,
        };
        Ok((mailbox, opened))
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &FolderPath {
        &self.folder
    }

    /// What has happened since the last look.
    pub(super) async fn refresh(&mut self) -> Result<Changes, Refusal> {
        let seen = self.seen.clone();
        let refreshed = self.task(|disk, mut snapshot, writer| async move {
            let changes = seen.refresh(&disk, &mut snapshot, &writer).await;
            report(&mut snapshot);
            (snapshot, changes)
        });
        let changes = refreshed.await?.map_err(|error| mailbox_refusal(&error))?;
        self.ahead &= changes.is_empty();
        if changes.reset {
            // Nothing that the client knows is true any more.
            return Err(Refusal::NonExistent);
        }
        let snapshot = self.snapshot.as_ref().ok_or(Refusal::ServerBug)?;
        let of = |uids: &[uid_list::Uid]| -> Vec<_> {
            uids.iter()
                .filter_map(|&here| snapshot.message(here))
                .collect()
        };
        Ok(Changes {
            arrivals: of(&changes.arrived)
                .into_iter()
                .filter_map(message)
                .collect(),
            expunged: uids(&changes.vanished),
            flags: changes
                .flags
                .iter()
                .filter_map(|&here| message_flags(snapshot, here))
                .collect(),
        })
    }

    /// Facts and texts of some messages, in the order of the request.
    pub(super) async fn fetch(&mut self, request: &FetchRequest) -> Vec<Fetched> {
        let need = request.need;
        let mut fetched = Vec::new();
        let load = move |file: &File| load(file, need);
        self.each(&request.uids, load, &mut fetched).await;
        let find = |wanted: &Uid| fetched.iter().position(|(uid, _)| uid == wanted);
        let places: Vec<_> = request.uids.iter().map(find).collect();
        let mut results: Vec<_> = fetched
            .into_iter()
            .map(|(_, result)| Some(result))
            .collect();
        let results = places.into_iter().map(|place| {
            let result = place.and_then(|place| results.get_mut(place)?.take());
            result.unwrap_or(Fetched::Gone)
        });
        results.collect()
    }

    /// Which of these messages the key means.
    pub(super) async fn search(&mut self, request: SearchRequest) -> Vec<Uid> {
        let key = Arc::clone(&request.key);
        let mut found = Vec::new();
        let look = move |file: &File| {
            let hit = message_file::open(&file.path).map(|content| {
                let octets = (*content).as_ref();
                let structure = message::scan(octets, &message::Limits::default());
                matching::matches(&key, octets, &structure, &mut |_| false)
            });
            let hit = match hit {
                Ok(hit) => Ok(hit),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
                Err(error) => {
                    tracing::error!(path = %file.path.display(), error = %error, "MESSAGE NOT READ");
                    Ok(false)
                }
            };
            hit.map_or(Fetched::Gone, hit_or_miss)
        };
        self.each(&request.uids, look, &mut found).await;
        found
            .into_iter()
            .filter(|(_, hit)| matches!(hit, Fetched::Message(_)))
            .map(|(uid, _)| uid)
            .collect()
    }

    /// Does something with the files of messages, off the threads of the sessions.
    /// Those that are not under their names any more are looked for once.
    async fn each(
        &mut self,
        wanted: &[Uid],
        work: impl Fn(&File) -> Fetched + Send + Clone + 'static,
        results: &mut Vec<(Uid, Fetched)>,
    ) {
        let mut wanted = wanted.to_vec();
        for attempt in 0..2 {
            if attempt > 0 && self.locate(&wanted).await.is_err() {
                return;
            }
            let files = self.files(&wanted);
            let work = work.clone();
            let done = self.disks.call(move || -> Vec<_> {
                let done = files.iter().map(|file| (file.uid, work(file)));
                done.collect()
            });
            wanted.clear();
            for (uid, fetched) in done.await {
                match fetched {
                    Fetched::Gone if attempt == 0 => wanted.push(uid),
                    fetched => results.push((uid, fetched)),
                }
            }
            if wanted.is_empty() {
                return;
            }
        }
    }

    fn files(&self, wanted: &[Uid]) -> Vec<File> {
        let file = |uid: &Uid| {
            let here = uid_list::Uid::new(uid.get())?;
            let message = self.snapshot.as_ref()?.message(here)?;
            Some(File {
                uid: *uid,
                path: message.path(),
                size: message.wire_size(),
            })
        };
        wanted.iter().filter_map(file).collect()
    }

    async fn locate(&mut self, wanted: &[Uid]) -> Result<(), Refusal> {
        let here = uids_here(wanted);
        let located = self.task(move |disk, mut snapshot, _| async move {
            let gone = mailbox::locate(&disk, &mut snapshot, &here).await;
            (snapshot, gone)
        });
        located
            .await?
            .map(drop)
            .map_err(|error| disk_refusal(&error))
    }

    /// Changes flags; gives those that the messages have now.
    pub(super) async fn store(
        &mut self,
        request: &StoreRequest,
    ) -> Result<Vec<MessageFlags>, Refusal> {
        let (how, list) = match &request.change {
            FlagChange::Replace(list) => (mailbox::How::Replace, list),
            FlagChange::Add(list) => (mailbox::How::Add, list),
            FlagChange::Remove(list) => (mailbox::How::Remove, list),
        };
        let named = words(&list.keywords)?;
        let change = mailbox::FlagChange {
            how,
            flags: letters(list.flags),
            within: courier_maildir::flags::Flags::IMAP,
            keywords: match (how, named.is_empty()) {
                (mailbox::How::Replace, _) | (_, false) => Some(named),
                (_, true) => None,
            },
        };
        let here = uids_here(&request.uids);
        let asked = here.clone();
        let stored = self.task(move |disk, mut snapshot, writer| async move {
            let stored = mailbox::store(&disk, &mut snapshot, &here, &change, &writer).await;
            (snapshot, stored)
        });
        let stored = stored.await?.map_err(|error| mailbox_refusal(&error))?;
        self.changed();
        let snapshot = self.snapshot.as_ref().ok_or(Refusal::ServerBug)?;
        let left = asked.into_iter().filter(|uid| !stored.gone.contains(uid));
        Ok(left
            .filter_map(|here| message_flags(snapshot, here))
            .collect())
    }

    /// Removes messages durably, those that are still marked.
    ///
    /// With a trash they go there, unless the session has copied them: clients that have
    /// a trash of their own copy a message there before they expunge it.
    pub(super) async fn expunge(
        &mut self,
        wanted: &[Uid],
        trash: Option<FolderPath>,
    ) -> Result<Vec<Uid>, Refusal> {
        let trash = trash.filter(|trash| trash.path() != self.folder.path());
        let here = uids_here(wanted);
        let copied = |uid: &uid_list::Uid| trash.is_none() || self.copied.contains(uid);
        let (copied, kept): (Vec<_>, Vec<_>) = here.into_iter().partition(copied);
        let expunged = self.task(move |disk, mut snapshot, writer| async move {
            let which = Expunge::TrashedAmong(&copied);
            let mut expunged = mailbox::expunge(&disk, &mut snapshot, which, &writer).await;
            if let (Ok(gone), Some(trash)) = (&mut expunged, trash) {
                let which = Expunge::TrashedAmong(&kept);
                let trashed =
                    mailbox::expunge_to(&disk, &mut snapshot, which, &trash, &writer).await;
                match trashed {
                    Ok(trashed) => {
                        gone.extend(trashed);
                        gone.sort_unstable();
                    }
                    Err(error) => {
                        snapshot.tell_later(gone);
                        expunged = Err(error);
                    }
                }
            }
            (snapshot, expunged)
        });
        let expunged = expunged.await?.map_err(|error| mailbox_refusal(&error))?;
        self.changed();
        Ok(uids(&expunged))
    }

    /// Copies or moves messages.
    pub(super) async fn copy(
        &mut self,
        request: &CopyRequest,
        target: FolderPath,
    ) -> Result<Copied, Refusal> {
        let (here, mode) = (uids_here(&request.uids), request.mode);
        let copied = self.task(move |disk, mut snapshot, writer| async move {
            let copied = match mode {
                CopyMode::Copy => {
                    mailbox::copy(&disk, &mut snapshot, &here, &target, &writer).await
                }
                CopyMode::Move => {
                    mailbox::move_to(&disk, &mut snapshot, &here, &target, &writer).await
                }
            };
            (snapshot, copied)
        });
        let copied = copied.await?.map_err(|error| mailbox_refusal(&error))?;
        if mode == CopyMode::Copy {
            self.copied
                .extend(copied.uids.iter().map(|(here, _)| *here));
        }
        self.changed();
        let pairs = copied.uids.iter();
        Ok(Copied {
            uid_validity: uid_validity(copied.validity).ok_or(Refusal::ServerBug)?,
            uids: pairs
                .filter_map(|(here, there)| Some((uid(*here)?, uid(*there)?)))
                .collect(),
        })
    }

    /// After a change of our own: other sessions need not read the directory for it.
    fn changed(&mut self) {
        self.ahead = true;
        if let Some(snapshot) = self.snapshot.as_ref().filter(|_| self.entered.is_shared()) {
            self.seen.keep(snapshot);
            self.ahead = false;
        }
    }

    /// Runs a task on the snapshot, which comes back with it.
    async fn task<P, F, T>(&mut self, procedure: P) -> Result<T, Refusal>
    where
        P: FnOnce(Disk, Snapshot, Writer) -> F,
        F: Future<Output = (Snapshot, T)> + Send + 'static,
        T: Send + 'static,
    {
        let snapshot = self.snapshot.take().ok_or(Refusal::ServerBug)?;
        let writer = self.writer.at(clock::now());
        let task = disk::task(|disk| procedure(disk, snapshot, writer));
        let (snapshot, value) = self.disks.run(task).await;
        self.snapshot = Some(snapshot);
        Ok(value)
    }
}

/// Logs what should not be so in a folder, each thing once.
fn report(snapshot: &mut Snapshot) {
    for finding in snapshot.take_findings() {
        let path = finding.path().display();
        match &finding {
            Finding::UidsAnew(_) => tracing::warn!(%path, "UID LIST REBUILT"),
            // It stays, and every look finds it.
            other if log::is_news(other.path()) => tracing::warn!(%path, "NO MESSAGE"),
            _ => {}
        }
    }
}

/// What a session is shown of a folder.
fn shown(snapshot: &Snapshot) -> Option<view::Snapshot> {
    let next = uid(snapshot.uid_next())?;
    let mut shown = view::Snapshot::new(uid_validity(snapshot.uid_validity())?, next);
    shown.reserve(snapshot.len());
    for keyword in keywords(snapshot.keywords()) {
        shown.add_keyword(&keyword);
    }
    for here in snapshot.messages() {
        shown.push(&message(here)?).ok()?;
    }
    Some(shown)
}

/// The file of a message.
#[derive(Debug)]
struct File {
    uid: Uid,
    path: PathBuf,
    /// Octets on the wire, if the name tells.
    size: Option<u64>,
}

/// Finds out what is needed of a message.
fn load(file: &File, need: Need) -> Fetched {
    match look(file, need) {
        Ok(contents) => Fetched::Message(contents),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Fetched::Gone,
        Err(error) => {
            tracing::error!(path = %file.path.display(), error = %error, "MESSAGE NOT READ");
            Fetched::Failed(Refusal::ServerBug)
        }
    }
}

fn look(file: &File, need: Need) -> io::Result<Contents> {
    let date = fs::symlink_metadata(&file.path)?.mtime();
    let mut contents = Contents {
        date: Some(UnixSeconds(date)),
        size: file.size,
        ..Contents::default()
    };
    if need == Need::Date || (need == Need::Size && file.size.is_some()) {
        return Ok(contents);
    }
    let content = message_file::open(&file.path)?;
    let octets = (*content).as_ref();
    if need == Need::Structure {
        let structure = message::scan(octets, &message::Limits::default());
        contents.structure = Some(Arc::new(structure));
    }
    // What the name says is only believed as long as nobody looks.
    contents.size = Some(message::wire::length(octets, message::wire::Encoding::Crlf));
    if need >= Need::Content {
        contents.content = Some(content);
    }
    Ok(contents)
}

fn hit_or_miss(hit: bool) -> Fetched {
    match hit {
        true => Fetched::Message(Contents::default()),
        false => Fetched::Failed(Refusal::Expunged),
    }
}

/// UIDVALIDITY and numbers of a folder that is not open, for STATUS.
pub(super) async fn status(
    disks: &Disks,
    writer: &Writer,
    seen: &Seen,
    folder: FolderPath,
) -> Result<courier_imap::session::output::Counts, Refusal> {
    let now = writer.at(clock::now());
    let known = seen.clone();
    let open = disk::task(|disk| async move {
        let access = mailbox::Access::ReadOnly;
        known.open(&disk, &folder, access, &now).await
    });
    let mut snapshot = disks
        .run(open)
        .await
        .map_err(|error| mailbox_refusal(&error))?;
    report(&mut snapshot);
    let counts = snapshot.counts();
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Ok(courier_imap::session::output::Counts {
        messages: number(counts.messages),
        recent: number(counts.recent),
        unseen: number(counts.unseen),
        uid_next: uid(snapshot.uid_next()).ok_or(Refusal::ServerBug)?,
        uid_validity: uid_validity(snapshot.uid_validity()).ok_or(Refusal::ServerBug)?,
    })
}
