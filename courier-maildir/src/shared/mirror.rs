//! Folders of sharable maildirs that a user subscribed to, as directories of links.
//!
//! `shared-folders/NAME/FOLDER` is a folder whose messages are symbolic links to those
//! of another maildir's folder, where `shared` leads. The flags in a link's name are
//! one's own. [`sync`] makes the links follow their messages; `shared-timestamp` tells
//! when it last did.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Durability, FileKind, Op, Reply};

use super::table::Table;
use crate::acl::Rights;
use crate::flags::Flags;
use crate::folder::{Encoding, FolderName, FolderNameError, FolderPath, is_missing};
use crate::lock::{self, Lock, LockError};
use crate::name::{Key, Name};
use crate::replace::temporary;
use crate::scan::{list_kinds, list_quiet};
use crate::tree::remove_tree;
use crate::writer::Writer;

/// Where in the top maildir the mirrors stand.
pub const DIRECTORY: &str = "shared-folders";
/// The link to the folder that is mirrored.
pub const LINK: &str = "shared";
/// The file whose time tells when the links were last made to follow.
pub const STAMP: &str = "shared-timestamp";

/// Why a shared folder was not subscribed to or synchronised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// The tables do not have the name.
    #[error("there is no sharable maildir of this name")]
    NoMaildir,
    /// Nobody subscribed to the folder.
    #[error("the shared folder is not subscribed to")]
    NotSubscribed,
    /// The folder that is mirrored is gone, or is none.
    #[error("there is no folder {}", path.display())]
    Gone {
        /// Where it was.
        path: PathBuf,
    },
    /// No folder can have the name.
    #[error(transparent)]
    Name(#[from] FolderNameError),
    /// Another session holds the lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// What [`sync`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Synced {
    /// Links that were made, in `new`.
    pub added: usize,
    /// Links that lead to their message again, under its new name.
    pub followed: usize,
    /// Links that went, their messages being gone.
    pub removed: usize,
}

/// A folder of a sharable maildir, as a user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    maildir: PathBuf,
    /// The directory in it.
    key: String,
    folder: FolderName,
}

impl Mirror {
    /// The mirror in `maildir` of `folder`, whose levels have dots between them, of the
    /// sharable maildir `name`.
    ///
    /// # Errors
    /// When no folder can have the name.
    pub fn new(maildir: &Path, name: &str, folder: &str) -> Result<Self, FolderNameError> {
        // Both are names of directories, so one rule keeps both inside.
        let level = FolderName::inbox().join(name)?;
        if level.levels().count() != 1 {
            return Err(FolderNameError::EmptyLevel);
        }
        Ok(Self {
            maildir: maildir.to_path_buf(),
            key: format!("{DIRECTORY}/{name}/{folder}"),
            folder: FolderName::inbox().join(folder)?,
        })
    }

    /// The folder of links.
    #[must_use]
    pub fn path(&self) -> FolderPath {
        FolderPath::new(&self.maildir, &self.key)
    }

    fn directory(&self) -> PathBuf {
        self.maildir.join(&self.key)
    }
}

/// The rights in a mirrored folder, whose `new` may be written to or not.
#[must_use]
pub const fn rights(writable: bool) -> Rights {
    match writable {
        true => Rights::of(b"lrswixte"),
        false => Rights::of(b"lrsw"),
    }
}

/// Subscribes to a folder of a sharable maildir that one of the tables, the user's
/// before the system's, has under `name`; durably. `false` if it was subscribed to.
/// Whether there is such a folder is seen by [`sync`].
///
/// # Errors
/// When no table has the name, no folder can have it, or the disk refuses.
pub async fn subscribe(
    disk: &Disk,
    maildir: &Path,
    tables: &[&Table],
    name: &str,
    folder: &str,
    writer: &Writer,
) -> Result<bool, MirrorError> {
    let mirror = Mirror::new(maildir, name, folder)?;
    let mut found = tables
        .iter()
        .filter_map(|table| table.find(name.as_bytes()));
    let entry = found.next().ok_or(MirrorError::NoMaildir)?;
    let target = entry.path.join(mirror.folder.directory(Encoding::Utf8));
    let directory = mirror.directory();
    match disk.stat(&directory).await {
        Ok(_) => return Ok(false),
        Err(error) if is_missing(error.kind) => {}
        Err(error) => return Err(error.into()),
    }
    // Made whole in `tmp`, it comes to its place in one step.
    let fresh = temporary(&maildir.join("tmp"), writer);
    let made = async {
        let mkdir = |path: PathBuf| Op::Mkdir { path, mode: 0o700 };
        disk.one(mkdir(fresh.clone())).await?;
        let mut inner: Vec<_> = (["tmp", "new", "cur"].iter())
            .map(|inner| mkdir(fresh.join(inner)))
            .collect();
        inner.push(Op::Symlink {
            target,
            path: fresh.join(LINK),
        });
        all(disk, inner).await?;
        disk.one(Op::SyncDir(fresh.clone())).await?;
        let top = maildir.join(DIRECTORY);
        let parent = top.join(name);
        for (path, above) in [(&top, maildir), (&parent, &top)] {
            match disk.one(mkdir(path.clone())).await {
                Err(error) if error.kind != DiskErrorKind::Exists => return Err(error),
                _ => disk.one(Op::SyncDir(above.to_path_buf())).await?,
            };
        }
        let (from, to) = (fresh.clone(), directory);
        disk.one(Op::Rename { from, to }).await?;
        disk.one(Op::SyncDir(parent)).await
    }
    .await;
    match made {
        Ok(_) => Ok(true),
        // Another session was faster.
        Err(error) if is_taken(error.kind) => {
            remove_tree(disk, &fresh).await;
            Ok(false)
        }
        Err(error) => {
            remove_tree(disk, &fresh).await;
            Err(error.into())
        }
    }
}

fn is_taken(kind: DiskErrorKind) -> bool {
    matches!(kind, DiskErrorKind::NotEmpty | DiskErrorKind::Exists)
}

async fn all(disk: &Disk, batch: Vec<Op>) -> Result<(), DiskError> {
    let mut outcomes = disk.run(batch).await.into_iter();
    outcomes.try_for_each(|outcome| outcome.map(drop))
}

/// Unsubscribes from a folder of a sharable maildir, durably: the links go, with the
/// flags that were one's own.
///
/// # Errors
/// When it is not subscribed to, or the disk refuses.
pub async fn unsubscribe(
    disk: &Disk,
    maildir: &Path,
    name: &str,
    folder: &str,
    writer: &Writer,
) -> Result<(), MirrorError> {
    let directory = Mirror::new(maildir, name, folder)?.directory();
    let grave = temporary(&maildir.join("tmp"), writer);
    let (from, to) = (directory.clone(), grave.clone());
    match disk.one(Op::Rename { from, to }).await {
        Ok(_) => {}
        Err(error) if is_missing(error.kind) => return Err(MirrorError::NotSubscribed),
        Err(error) => return Err(error.into()),
    }
    let parent = directory.parent().unwrap_or(maildir).to_path_buf();
    disk.one(Op::SyncDir(parent)).await?;
    remove_tree(disk, &grave).await;
    Ok(())
}

/// Makes the links of a mirror follow their messages. For each opening of the folder;
/// one that did not change costs four questions.
///
/// # Errors
/// When it is not subscribed to, its folder is gone, or the disk refuses; the next try
/// then does what is left.
pub async fn sync(disk: &Disk, mirror: &Mirror, writer: &Writer) -> Result<Synced, MirrorError> {
    let directory = mirror.directory();
    let target = match disk.read_link(&directory.join(LINK)).await {
        Ok(target) => target,
        Err(error) if is_missing(error.kind) => return Err(MirrorError::NotSubscribed),
        Err(error) => return Err(error.into()),
    };
    if is_fresh(disk, &directory, &target).await? {
        return Ok(Synced::default());
    }
    let tmp = directory.join("tmp");
    let lock = Lock::take(disk, &tmp, lock::FILE, writer, lock::PATIENCE).await?;
    let synced = follow(disk, &directory, &target, writer).await;
    lock.release(disk).await;
    synced
}

/// Whether nothing happened in the folder since the links followed it.
async fn is_fresh(disk: &Disk, directory: &Path, target: &Path) -> Result<bool, MirrorError> {
    let stats = [
        target.join("new"),
        target.join("cur"),
        directory.join(STAMP),
    ];
    let stats = disk.run(stats.map(Op::Stat).into()).await;
    let mut times = Vec::new();
    for (stat, kind) in stats.into_iter().zip(["folder", "folder", "stamp"]) {
        match stat {
            Ok(Reply::Meta(meta)) => times.push(meta.modified),
            Err(error) if is_missing(error.kind) && kind == "stamp" => return Ok(false),
            Err(error) if is_missing(error.kind) => {
                let path = target.to_path_buf();
                return Err(MirrorError::Gone { path });
            }
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
    }
    Ok(matches!(times.as_slice(), [new, cur, stamp] if new < stamp && cur < stamp))
}

async fn follow(
    disk: &Disk,
    directory: &Path,
    target: &Path,
    writer: &Writer,
) -> Result<Synced, MirrorError> {
    // Its time is that before the first look, and it gets its name after the last
    // change: a crash, or a change meanwhile, leaves work for another time.
    let stamp = temporary(&directory.join("tmp"), writer);
    disk.create(&stamp, b"\n".to_vec(), 0o600, Durability::Volatile)
        .await?;
    let synced = match relink(disk, directory, target, writer).await {
        Ok(synced) => {
            let (from, to) = (stamp.clone(), directory.join(STAMP));
            disk.one(Op::Rename { from, to }).await.map(|_| synced)
        }
        Err(error) => Err(error),
    };
    if synced.is_err() {
        disk.one(Op::Unlink(stamp)).await.ok();
    }
    Ok(synced?)
}

/// A link of a mirror.
struct Link {
    path: PathBuf,
    name: Vec<u8>,
    /// In `cur`: it has been seen, and may have flags.
    seen: bool,
}

async fn relink(
    disk: &Disk,
    directory: &Path,
    target: &Path,
    writer: &Writer,
) -> Result<Synced, DiskError> {
    accept(disk, target).await;
    let cur = target.join("cur");
    let mut messages = Vec::new();
    list_quiet(disk, &cur, |name| messages.push(name.to_vec())).await?;
    let mut links = Vec::new();
    for inner in ["cur", "new"] {
        let inner_path = directory.join(inner);
        list_kinds(disk, &inner_path, |name, kind| {
            if matches!(kind, FileKind::Link | FileKind::Unknown) {
                links.push(Link {
                    path: inner_path.join(OsStr::from_bytes(name)),
                    name: name.to_vec(),
                    seen: inner == "cur",
                });
            }
        })
        .await?;
    }
    // A name that was found twice, being changed meanwhile, counts as found last.
    let mut there: HashMap<Key<'_>, &[u8]> = HashMap::new();
    for octets in &messages {
        if let Ok(name) = Name::parse(octets) {
            there.insert(name.key(), octets);
        }
    }
    let mut synced = Synced::default();
    let mut linked: HashMap<Key<'_>, &Link> = HashMap::new();
    for chunk in links.chunks(BATCH) {
        let reads = chunk.iter().map(|link| Op::ReadLink(link.path.clone()));
        let reads = disk.run(reads.collect()).await;
        let mut changes = Vec::new();
        for (link, read) in chunk.iter().zip(reads) {
            let (Ok(name), Ok(Reply::Path(leads))) = (Name::parse(&link.name), read) else {
                continue; // another's file, or gone
            };
            match there.get(&name.key()) {
                None => {
                    if is_gone(disk, &leads).await {
                        changes.push(Op::Unlink(link.path.clone()));
                        synced.removed += 1;
                    }
                }
                Some(_)
                    if linked
                        .get(&name.key())
                        .is_some_and(|first| first.seen != link.seen) =>
                {
                    // Two links to one message: the one with flags stays.
                    changes.push(Op::Unlink(link.path.clone()));
                }
                Some(real) => {
                    linked.insert(name.key(), link);
                    let real = cur.join(OsStr::from_bytes(real));
                    if leads != real {
                        replace_link(disk, directory, &link.path, real, writer).await?;
                        synced.followed += 1;
                    }
                }
            }
        }
        for outcome in disk.run(changes).await {
            match outcome {
                Err(error) if !is_missing(error.kind) => return Err(error),
                _ => {}
            }
        }
    }
    let missing: Vec<_> = (there.iter())
        .filter(|(key, _)| !linked.contains_key(key))
        .filter_map(|(_, octets)| Some((Name::parse(octets).ok()?, *octets)))
        .collect();
    for chunk in missing.chunks(BATCH) {
        let links = chunk.iter().map(|(name, octets)| {
            let fresh = [name.base(), b":2,"].concat();
            Op::Symlink {
                target: cur.join(OsStr::from_bytes(octets)),
                path: directory.join("new").join(OsStr::from_bytes(&fresh)),
            }
        });
        for outcome in disk.run(links.collect()).await {
            match outcome {
                Ok(_) => synced.added += 1,
                Err(error) if error.kind == DiskErrorKind::Exists => {}
                Err(error) => return Err(error),
            }
        }
    }
    let inner = ["new", "cur"].map(|inner| Op::SyncDir(directory.join(inner)));
    all(disk, inner.into()).await?;
    Ok(synced)
}

/// Moves what is new in the folder to its `cur`, as far as we may: links lead there.
async fn accept(disk: &Disk, target: &Path) {
    let (new, cur) = (target.join("new"), target.join("cur"));
    let mut renames = Vec::new();
    let listed = list_quiet(disk, &new, |octets| {
        if let Ok(name) = Name::parse(octets) {
            renames.push(Op::Rename {
                from: new.join(OsStr::from_bytes(octets)),
                to: cur.join(OsStr::from_bytes(&name.in_cur())),
            });
        }
    })
    .await;
    if listed.is_ok() {
        for chunk in renames.chunks(BATCH) {
            disk.run(chunk.to_vec()).await;
        }
    }
}

async fn is_gone(disk: &Disk, path: &Path) -> bool {
    matches!(disk.stat(path).await, Err(error) if is_missing(error.kind))
}

/// Gives a link another target, in one step.
async fn replace_link(
    disk: &Disk,
    directory: &Path,
    link: &Path,
    target: PathBuf,
    writer: &Writer,
) -> Result<(), DiskError> {
    let fresh = temporary(&directory.join("tmp"), writer);
    let path = fresh.clone();
    disk.one(Op::Symlink { target, path }).await?;
    let (from, to) = (fresh.clone(), link.to_path_buf());
    match disk.one(Op::Rename { from, to }).await {
        Ok(_) => Ok(()),
        Err(error) => {
            disk.one(Op::Unlink(fresh)).await.ok();
            Err(error)
        }
    }
}

/// Removes messages that are marked deleted, given by the names of their links in
/// `cur`: the messages themselves, for everybody, and the links. Where that is not
/// permitted the mark is taken off. Gives the number of messages that went.
///
/// # Errors
/// When the disk refuses.
pub async fn expunge(
    disk: &Disk,
    mirror: &Mirror,
    names: &[Vec<u8>],
) -> Result<usize, MirrorError> {
    let directory = mirror.directory();
    let target = match disk.read_link(&directory.join(LINK)).await {
        Ok(target) => target.join("cur"),
        Err(error) if is_missing(error.kind) => return Err(MirrorError::NotSubscribed),
        Err(error) => return Err(error.into()),
    };
    let cur = directory.join("cur");
    let mut removed = 0;
    for octets in names {
        let Ok(name) = Name::parse(octets) else {
            continue;
        };
        let link = cur.join(OsStr::from_bytes(octets));
        let Ok(leads) = disk.read_link(&link).await else {
            continue; // no link, or gone
        };
        if leads.parent() != Some(&target) {
            continue; // not one that we made
        }
        match disk.one(Op::Unlink(leads)).await {
            Err(error) if error.kind == DiskErrorKind::Permission => {
                let unmarked = name.with_flags(name.flags().without(Flags::TRASHED));
                let to = cur.join(OsStr::from_bytes(&unmarked));
                disk.one(Op::Rename { from: link, to }).await?;
            }
            // Renamed meanwhile, or removed by another: the next sync tells.
            Err(error) if is_missing(error.kind) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => {
                disk.one(Op::Unlink(link)).await.ok();
                removed += 1;
            }
        }
    }
    let syncs = [target, cur].map(Op::SyncDir);
    for (outcome, ours) in disk.run(syncs.into()).await.into_iter().zip([false, true]) {
        match outcome {
            // A folder that we may only read was not changed.
            Err(error) if ours || error.kind != DiskErrorKind::Permission => {
                return Err(error.into());
            }
            _ => {}
        }
    }
    Ok(removed)
}

const BATCH: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::tests::writer;
    use courier_core::disk::{self, DiskTask};
    use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};
    use courier_core::time::Millis;
    use std::collections::HashSet;

    const PUB: &str = "/o/.pub";
    const HERE: &str = "/m/shared-folders/off/pub";

    /// A user's maildir, and another's whose folder `pub` has a message in `cur` and
    /// one in `new`.
    fn world() -> MemDisk {
        let mut disk = MemDisk::new();
        for inner in ["tmp", "new", "cur"] {
            disk.plant_directory(format!("/m/{inner}"));
            disk.plant_directory(format!("{PUB}/{inner}"));
        }
        disk.plant_file(format!("{PUB}/cur/1.x,S=4:2,S"), b"one\n");
        disk.plant_file(format!("{PUB}/new/2.x"), b"two\n");
        disk
    }

    fn mirror() -> Mirror {
        Mirror::new(Path::new("/m"), "off", "pub").expect("a name")
    }

    type Task<T> = DiskTask<'static, Result<T, MirrorError>>;

    fn subscribing(promises: Promises<()>) -> Task<bool> {
        disk::task(|disk| async move {
            let table = Table::parse(b"off /o\n");
            let writer = writer(MemDisk::new().now());
            let maildir = Path::new("/m");
            let done = subscribe(&disk, maildir, &[&table], "off", "pub", &writer).await?;
            promises.make(());
            Ok(done)
        })
    }

    fn unsubscribing(promises: Promises<()>) -> Task<()> {
        disk::task(|disk| async move {
            let writer = writer(MemDisk::new().now());
            unsubscribe(&disk, Path::new("/m"), "off", "pub", &writer).await?;
            promises.make(());
            Ok(())
        })
    }

    fn syncing(_: Promises<()>) -> Task<Synced> {
        disk::task(
            |disk| async move { sync(&disk, &mirror(), &writer(MemDisk::new().now())).await },
        )
    }

    /// The links of the mirror, with where each leads.
    fn links(disk: &mut MemDisk) -> Vec<String> {
        let mut all = Vec::new();
        for inner in ["cur", "new"] {
            for name in disk.names(format!("{HERE}/{inner}")) {
                let read = Op::ReadLink(format!("{HERE}/{inner}/{name}").into());
                let Ok(Reply::Path(leads)) = disk.carry_out(&read) else {
                    panic!("{name} is no link")
                };
                let leads = leads
                    .strip_prefix(PUB)
                    .expect("there")
                    .display()
                    .to_string();
                all.push(format!("{inner}/{name} {leads}"));
            }
        }
        all
    }

    fn synced(disk: &mut MemDisk) -> (usize, usize, usize) {
        let synced = disk.run(syncing(Promises::new())).expect("synced");
        (synced.added, synced.followed, synced.removed)
    }

    fn rename(disk: &mut MemDisk, from: &str, to: &str) {
        let (from, to) = (from.into(), to.into());
        disk.carry_out(&Op::Rename { from, to }).expect("renamed");
    }

    #[test]
    fn links_follow_their_messages() {
        let mut disk = world();
        assert_eq!(disk.run(subscribing(Promises::new())), Ok(true));
        assert_eq!(disk.run(subscribing(Promises::new())), Ok(false));
        assert_eq!(synced(&mut disk), (2, 0, 0));
        let fresh = ["new/1.x,S=4:2, cur/1.x,S=4:2,S", "new/2.x:2, cur/2.x:2,"];
        assert_eq!(links(&mut disk), fresh);
        assert!(disk.names(format!("{HERE}/tmp")).is_empty());
        // One's own flags, another's flags, a message that goes and one that comes.
        rename(
            &mut disk,
            &format!("{HERE}/new/1.x,S=4:2,"),
            &format!("{HERE}/cur/1.x,S=4:2,F"),
        );
        rename(
            &mut disk,
            &format!("{PUB}/cur/1.x,S=4:2,S"),
            &format!("{PUB}/cur/1.x:2,ST"),
        );
        disk.carry_out(&Op::Unlink(format!("{PUB}/cur/2.x:2,").into()))
            .expect("removed");
        disk.plant_file(format!("{PUB}/new/3.x"), b"three\n");
        assert_eq!(synced(&mut disk), (1, 1, 1));
        let followed = ["cur/1.x,S=4:2,F cur/1.x:2,ST", "new/3.x:2, cur/3.x:2,"];
        assert_eq!(links(&mut disk), followed);
        // Nothing happened since: nothing is read.
        disk.advance(Millis::from_secs(1));
        assert_eq!(synced(&mut disk), (0, 0, 0));
        disk.reset_counts();
        assert_eq!(synced(&mut disk), (0, 0, 0));
        assert_eq!(disk.counts().batches, 2);
        disk.plant_file(format!("{PUB}/cur/4.x"), b"four\n");
        assert_eq!(synced(&mut disk), (1, 0, 0));
        assert_eq!(disk.run(unsubscribing(Promises::new())), Ok(()));
        let gone = disk.run(unsubscribing(Promises::new()));
        assert_eq!(gone, Err(MirrorError::NotSubscribed));
        assert_eq!(
            disk.run(syncing(Promises::new())),
            Err(MirrorError::NotSubscribed)
        );
        assert_eq!(
            disk.names(format!("{PUB}/cur")),
            ["1.x:2,ST", "3.x:2,", "4.x"]
        );
        assert!(disk.names("/m/tmp").is_empty());
    }

    #[test]
    fn names_stay_inside() {
        let parse = |name: &str, folder: &str| Mirror::new(Path::new("/m"), name, folder);
        for (name, folder) in [
            ("..", "a"),
            ("a", ".."),
            ("a/b", "a"),
            ("a", "a/../b"),
            ("", "a"),
            ("a", ""),
            ("a.b", "c"),
            ("a", "b."),
            ("a\0", "b"),
        ] {
            assert!(parse(name, folder).is_err(), "{name} {folder}");
        }
        let path = parse("off", "a.b").expect("a name").path();
        assert_eq!(path.path(), Path::new("/m/shared-folders/off/a.b"));
        let mut disk = world();
        let unknown = disk.run(disk::task(|disk| async move {
            let writer = writer(MemDisk::new().now());
            let table = Table::parse(b"");
            subscribe(&disk, Path::new("/m"), &[&table], "off", "pub", &writer).await
        }));
        assert_eq!(unknown, Err(MirrorError::NoMaildir));
    }

    #[test]
    fn a_subscription_is_there_whole_or_not_at_all() {
        let check = |disk: &mut MemDisk, wanted: Option<bool>| {
            let there = disk.meta(HERE).is_some();
            assert!(
                wanted.is_none_or(|wanted| wanted == there),
                "{}",
                disk.show()
            );
            if there {
                assert_eq!(disk.names(HERE), ["cur", "new", "shared", "tmp"]);
            }
        };
        crash_everywhere(&world(), subscribing, |disk, promises| {
            check(disk, (!promises.is_empty()).then_some(true));
        });
        fail_everywhere(&world(), subscribing, |disk, given, _| {
            check(disk, given.is_ok().then_some(true));
            disk.run(subscribing(Promises::new()))
                .expect("subscribed after all");
        });
        let mut start = world();
        start.run(subscribing(Promises::new())).expect("subscribed");
        start.sync_all();
        crash_everywhere(&start, unsubscribing, |disk, promises| {
            check(disk, (!promises.is_empty()).then_some(false));
        });
        fail_everywhere(&start, unsubscribing, |disk, given, _| {
            check(disk, given.is_ok().then_some(false));
        });
    }

    #[test]
    fn a_sync_that_was_cut_off_is_made_up_for() {
        let mut start = world();
        start.run(subscribing(Promises::new())).expect("subscribed");
        start.run(syncing(Promises::new())).expect("synced");
        rename(
            &mut start,
            &format!("{HERE}/new/1.x,S=4:2,"),
            &format!("{HERE}/cur/1.x,S=4:2,F"),
        );
        rename(
            &mut start,
            &format!("{PUB}/cur/1.x,S=4:2,S"),
            &format!("{PUB}/cur/1.x,S=4:2,"),
        );
        rename(&mut start, &format!("{PUB}/cur/2.x:2,"), "/o/elsewhere");
        start.plant_file(format!("{PUB}/new/3.x"), b"three\n");
        start.sync_all();
        // Most crashes leave what another left as well.
        let mut seen = HashSet::new();
        let mut check = |disk: &mut MemDisk| {
            if !seen.insert(disk.show()) {
                return;
            }
            disk.advance(Millis::from_secs(200)); // a lock that was left is stale
            let now = disk.now();
            let task = disk::task(|disk| async move { sync(&disk, &mirror(), &writer(now)).await });
            disk.run(task).expect("synced after all");
            let expected = ["cur/1.x,S=4:2,F cur/1.x,S=4:2,", "new/3.x:2, cur/3.x:2,"];
            assert_eq!(links(disk), expected, "{}", disk.show());
        };
        crash_everywhere(&start, syncing, |disk, _| check(disk));
        fail_everywhere(&start, syncing, |disk, _, _| check(disk));
    }

    #[test]
    fn what_is_expunged_goes_for_everybody() {
        let mut disk = world();
        disk.run(subscribing(Promises::new())).expect("subscribed");
        synced(&mut disk);
        disk.plant_link(format!("{HERE}/cur/9.x:2,T"), "/etc/passwd");
        disk.plant_file("/etc/passwd", b"root");
        rename(
            &mut disk,
            &format!("{HERE}/new/2.x:2,"),
            &format!("{HERE}/cur/2.x:2,T"),
        );
        let names = ["2.x:2,T", "9.x:2,T", "8.x:2,T", "../x", ".."];
        let names = names.map(|name| name.as_bytes().to_vec());
        let gone = disk.run(disk::task(|disk| async move {
            expunge(&disk, &mirror(), &names).await
        }));
        assert_eq!(gone, Ok(1));
        assert_eq!(disk.names(format!("{PUB}/cur")), ["1.x,S=4:2,S"]);
        assert_eq!(disk.names(format!("{HERE}/cur")), ["9.x:2,T"]);
        assert!(disk.contents("/etc/passwd").is_some());
        assert!(rights(true).contains(b'i') && !rights(false).contains(b'x'));
    }
}
