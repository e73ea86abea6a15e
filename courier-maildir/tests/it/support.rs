//! A maildir, its users, and what must always hold.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

use courier_core::disk::{self, Disk, Op};
use courier_core::testing::MemDisk;
use courier_core::time::{Millis, Timestamp};
use courier_maildir::folder::FolderPath;
use courier_maildir::mailbox::{Access, Changes, MailboxError, Snapshot, open, refresh};
use courier_maildir::name::{HostName, Name};
use courier_maildir::uid_list::Uid;
use courier_maildir::writer::Writer;

pub(crate) const M: &str = "/m";

/// The process of all tests, which never makes a name twice.
pub(crate) fn writer_at(now: Timestamp) -> Writer {
    static PROCESS: OnceLock<Writer> = OnceLock::new();
    PROCESS
        .get_or_init(|| Writer::new(MemDisk::new().now(), 100, HostName::new("mx"), 0o600))
        .at(now)
}

pub(crate) fn writer(disk: &MemDisk) -> Writer {
    writer_at(disk.now())
}

/// The process after a restart: locks of its old life are not its own.
pub(crate) fn reborn(disk: &mut MemDisk) -> Writer {
    disk.advance(Millis::from_secs(1));
    let mut writer = writer(disk);
    writer.started = disk.now();
    writer
}

pub(crate) fn inbox() -> FolderPath {
    FolderPath::inbox(M)
}

/// An empty maildir.
pub(crate) fn maildir() -> MemDisk {
    let mut disk = MemDisk::new();
    for directory in ["tmp", "new", "cur"] {
        disk.plant_directory(format!("{M}/{directory}"));
    }
    disk
}

/// A maildir with messages: `new/3`, `cur/1:2,S` and `cur/2:2,ab`, none with a UID.
pub(crate) fn three() -> MemDisk {
    let mut disk = maildir();
    for name in ["new/3.x,S=4,W=5", "cur/1.x,S=4:2,S", "cur/2.x:2,ab"] {
        disk.plant_file(format!("{M}/{name}"), text(name).as_bytes());
    }
    disk
}

/// The text of the message of a name.
pub(crate) fn text(name: &str) -> String {
    let key = name.rsplit('/').next().unwrap_or(name);
    let key = key.split(['.', ':', ',']).next().unwrap_or(key);
    format!("{key}..\n")
}

/// A maildir whose messages have their UIDs, durably, and whose directories have come
/// to rest.
pub(crate) fn opened() -> MemDisk {
    let mut disk = three();
    open_with(&mut disk, Access::ReadWrite);
    disk.sync_all();
    disk.advance(Millis::from_secs(60));
    disk
}

pub(crate) fn open_with(disk: &mut MemDisk, access: Access) -> Snapshot {
    try_open(disk, access).expect("opened")
}

pub(crate) fn try_open(disk: &mut MemDisk, access: Access) -> Result<Snapshot, MailboxError> {
    let writer = writer(disk);
    let task = disk::task(|disk| async move { open(&disk, &inbox(), access, &writer).await });
    disk.run(task)
}

pub(crate) fn refreshed(disk: &mut MemDisk, snapshot: &mut Snapshot) -> Changes {
    let writer = writer(disk);
    let task = disk::task(|disk| async move { refresh(&disk, snapshot, &writer).await });
    disk.run(task).expect("refreshed")
}

/// Runs a procedure.
pub(crate) fn run<T, F>(disk: &mut MemDisk, procedure: impl FnOnce(Disk) -> F) -> T
where
    F: Future<Output = T> + Send,
{
    disk.run(disk::task(procedure))
}

pub(crate) fn rename(disk: &mut MemDisk, from: &str, to: &str) {
    let path = |name: &str| format!("{M}/{name}").into();
    let (from, to) = (path(from), path(to));
    disk.carry_out(&Op::Rename { from, to }).expect("renamed");
}

pub(crate) fn remove(disk: &mut MemDisk, name: &str) {
    let path = format!("{M}/{name}").into();
    disk.carry_out(&Op::Unlink(path)).expect("removed");
}

pub(crate) fn uid(number: u32) -> Uid {
    Uid::new(number).expect("not 0")
}

pub(crate) fn uids(numbers: &[u32]) -> Vec<Uid> {
    numbers.iter().map(|&number| uid(number)).collect()
}

/// Messages as `UID NAME`, with `*` for a recent one.
pub(crate) fn shown(snapshot: &Snapshot) -> Vec<String> {
    let line = |message: courier_maildir::mailbox::Message<'_>| {
        let recent = if message.is_recent() { "*" } else { "" };
        let words: Vec<_> = message.keywords().map(|word| word.as_str()).collect();
        let words = if words.is_empty() {
            String::new()
        } else {
            format!(" {}", words.join("+"))
        };
        let name = message.name().octets().escape_ascii().to_string();
        format!("{} {name}{recent}{words}", message.uid())
    };
    snapshot.messages().map(line).collect()
}

/// What a session was told of a message, which must hold for ever.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Told {
    pub(crate) validity: u32,
    pub(crate) uid: u32,
    pub(crate) key: String,
}

pub(crate) fn told(snapshot: &Snapshot) -> Vec<Told> {
    let validity = snapshot.uid_validity().get();
    let told = snapshot.messages().map(|message| Told {
        validity,
        uid: message.uid().get(),
        key: key_of(message.name()),
    });
    told.collect()
}

pub(crate) fn key_of(name: Name<'_>) -> String {
    let base = String::from_utf8_lossy(name.base()).into_owned();
    base.split(',').next().unwrap_or_default().to_owned()
}

/// [`check`]s disks, each state of them once: most crashes differ in `tmp` alone.
#[derive(Default)]
pub(crate) struct Checker {
    seen: HashSet<u64>,
}

impl Checker {
    /// Checks; then lets the test look at what was opened.
    pub(crate) fn check(
        &mut self,
        disk: &mut MemDisk,
        promises: &[Told],
        then: impl FnOnce(&mut MemDisk, Snapshot),
    ) {
        if self.is_new(disk, promises.len()) {
            let snapshot = check(disk, promises);
            then(disk, snapshot);
        }
    }

    pub(crate) fn is_new(&mut self, disk: &MemDisk, promises: usize) -> bool {
        let mut hasher = DefaultHasher::new();
        promises.hash(&mut hasher);
        let locks = disk.names(format!("{M}/tmp")).into_iter();
        locks
            .filter(|name| name.ends_with(".lock"))
            .for_each(|name| name.hash(&mut hasher));
        for directory in ["", "/new", "/cur", "/courierimapkeywords"] {
            for name in disk.names(format!("{M}{directory}")) {
                disk.contents(format!("{M}{directory}/{name}"))
                    .hash(&mut hasher);
                name.hash(&mut hasher);
            }
        }
        self.seen.insert(hasher.finish())
    }
}

/// Opens a folder after a crash or an error and checks what must always hold: every
/// message is whole and is there once, and what was told is still true.
pub(crate) fn check(disk: &mut MemDisk, promises: &[Told]) -> Snapshot {
    let writer = reborn(disk);
    let task =
        disk::task(|disk| async move { open(&disk, &inbox(), Access::ReadWrite, &writer).await });
    let snapshot = disk.run(task).expect("opened after all");
    assert!(snapshot.unsaved().is_none());
    let mut seen = BTreeSet::new();
    for directory in ["new", "cur"] {
        for name in disk.names(format!("{M}/{directory}")) {
            let there = disk
                .contents(format!("{M}/{directory}/{name}"))
                .expect("a file");
            let whole = there.len() >= 4 && there.ends_with(b"\n");
            assert!(
                whole && !there.contains(&0),
                "{name}: {}",
                there.escape_ascii()
            );
            let name = Name::parse(name.as_bytes()).expect("a name");
            assert!(seen.insert(key_of(name)), "twice: {}", disk.show());
        }
    }
    let now: BTreeMap<_, _> = told(&snapshot)
        .into_iter()
        .map(|told| ((told.validity, told.uid), told.key))
        .collect();
    assert_eq!(now.len(), seen.len(), "{}", disk.show());
    for promise in promises {
        if let Some(key) = now.get(&(promise.validity, promise.uid)) {
            assert_eq!(*key, promise.key, "a uid for two messages: {}", disk.show());
        } else if promise.validity == snapshot.uid_validity().get() {
            assert!(!seen.contains(&promise.key), "another uid for {promise:?}");
            assert!(promise.uid < snapshot.uid_next().get());
        }
    }
    snapshot
}
