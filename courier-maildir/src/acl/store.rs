//! Access lists on disk: reading with inheritance, changing, resetting.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Durability, FileKind, Op, Reply};
use courier_core::time::Millis;

use super::{AccessList, AclError, DIRECTORY, FILE, Identifier, LIMIT};
use crate::folder::{self, Encoding, FolderError, FolderName, FolderPath, is_missing};
use crate::lock::{self, Lock};
use crate::replace::{replace, temporary};
use crate::writer::Writer;

/// Reads the list of a folder, or of a level that is no folder. One that it has not is
/// inherited, and written down for it and for each level on the way, durably; that of
/// the INBOX is not. In a maildir that we may not write to, nothing is written down.
///
/// # Errors
/// When a list is there and cannot be read: a file that is none grants no rights. When
/// one that would be inherited does not pass [`AccessList::check`].
pub async fn read(
    disk: &Disk,
    maildir: &Path,
    name: &FolderName,
    writer: &Writer,
) -> Result<AccessList, AclError> {
    let (mut without, mut at) = (Vec::new(), name.clone());
    let mut list = loop {
        let place = Place::find(disk, maildir, &at).await?;
        if let Some(list) = place.load(disk, maildir, &at).await? {
            break list;
        }
        match at.parent() {
            Some(parent) => {
                without.push((at, place));
                at = parent;
            }
            None => break AccessList::default(),
        }
    };
    for (name, place) in without.into_iter().rev() {
        // Courier: a list that nobody could have written is not inherited either.
        list.check(None)?;
        list = match place.freeze(disk, maildir, &name, &list, writer).await {
            Ok(()) => list,
            // Another session was faster, perhaps with a list of its own.
            Err(error) if error.kind == DiskErrorKind::Exists => {
                place.load(disk, maildir, &name).await?.unwrap_or(list)
            }
            Err(error) if error.kind == DiskErrorKind::Permission => list,
            Err(error) => return Err(error.into()),
        };
    }
    Ok(list)
}

/// Changes the list of a folder, durably, and gives the new one. `owner` is the owner's
/// identifier, where it is known.
///
/// # Errors
/// What `edit` says, [`AclError::Owner`] or [`AclError::Administrators`] for a list that
/// may not be written, or what the disk says; the list is then as it was.
pub async fn change(
    disk: &Disk,
    maildir: &Path,
    name: &FolderName,
    owner: Option<&Identifier>,
    edit: impl FnOnce(&mut AccessList) -> Result<(), AclError> + Send,
    writer: &Writer,
) -> Result<AccessList, AclError> {
    let lock = Lock::take(disk, &maildir.join("tmp"), LOCK, writer, lock::PATIENCE).await?;
    let changed = async {
        let mut list = read(disk, maildir, name, writer).await?;
        edit(&mut list)?;
        list.check(owner)?;
        let place = Place::find(disk, maildir, name).await?;
        place.write(disk, maildir, name, &list, writer).await?;
        Ok(list)
    }
    .await;
    lock.release(disk).await;
    changed
}

/// Forgets the lists of levels that no folder is below any more, once they are an hour
/// old. The list of a folder that has no other stays. For each login.
///
/// # Errors
/// What the disk says.
pub async fn reset(disk: &Disk, maildir: &Path, writer: &Writer) -> Result<(), AclError> {
    let directory = make_directory(disk, maildir, writer).await?;
    let names: Vec<_> = (disk.list(&directory).await?.iter())
        .filter_map(|(key, kind)| {
            let key = std::str::from_utf8(key).ok()?;
            let is_file = matches!(kind, FileKind::File | FileKind::Unknown);
            let name = FolderName::inbox().join(key).ok()?;
            (is_file && !key.starts_with('.')).then(|| (directory.join(key), name))
        })
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    let folders = folder::list(disk, maildir).await?;
    let mut needed = HashSet::new();
    for folder in &folders {
        let above = std::iter::successors(folder.name.parent(), FolderName::parent);
        needed.extend(above);
        let own = disk.stat(&folder.path.file(FILE)).await;
        if own.is_err() {
            needed.insert(folder.name.clone());
        }
    }
    let idle = names.iter().filter(|(_, name)| !needed.contains(name));
    let paths: Vec<&PathBuf> = idle.map(|(path, _)| path).collect();
    let stats = paths.iter().map(|path| Op::Stat(path.to_path_buf()));
    let stats = disk.run(stats.collect()).await;
    let old = paths.into_iter().zip(stats).filter(|(_, stat)| {
        matches!(stat, Ok(Reply::Meta(meta))
            if meta.kind == FileKind::File && writer.is_past(meta.modified, HOUR, Millis(0)))
    });
    // One that comes back after a crash is removed another time.
    let unlinks = old.map(|(path, _)| Op::Unlink(path.clone()));
    disk.run(unlinks.collect()).await;
    Ok(())
}

/// Where the list of a name stands.
enum Place {
    Folder(FolderPath),
    /// The name is a level of the hierarchy and no folder.
    Level,
}

impl Place {
    async fn find(disk: &Disk, maildir: &Path, name: &FolderName) -> Result<Self, AclError> {
        if name.is_inbox() {
            return Ok(Self::Folder(FolderPath::inbox(maildir)));
        }
        match folder::locate(disk, maildir, name).await {
            Ok(path) => Ok(Self::Folder(path)),
            Err(FolderError::NotFound(_)) => Ok(Self::Level),
            Err(error) => Err(error.into()),
        }
    }

    /// The list that a name has of its own.
    async fn load(
        &self,
        disk: &Disk,
        maildir: &Path,
        name: &FolderName,
    ) -> Result<Option<AccessList>, AclError> {
        if let Self::Folder(path) = self
            && let Some(list) = load(disk, &path.file(FILE), name).await?
        {
            return Ok(Some(list));
        }
        if name.is_inbox() || !is_directory(disk, &maildir.join(DIRECTORY)).await? {
            return Ok(None);
        }
        load(disk, &level_file(maildir, name), name).await
    }

    async fn write(
        &self,
        disk: &Disk,
        maildir: &Path,
        name: &FolderName,
        list: &AccessList,
        writer: &Writer,
    ) -> Result<(), DiskError> {
        let (tmp, target) = self.paths(disk, maildir, name, writer).await?;
        replace(disk, &tmp, &target, list.print(), writer)
            .await
            .map(drop)
    }

    /// Writes an inherited list, but not over one that came meanwhile.
    async fn freeze(
        &self,
        disk: &Disk,
        maildir: &Path,
        name: &FolderName,
        list: &AccessList,
        writer: &Writer,
    ) -> Result<(), DiskError> {
        let (tmp, target) = self.paths(disk, maildir, name, writer).await?;
        let fresh = temporary(&tmp, writer);
        disk.create(&fresh, list.print(), writer.mode, Durability::Synced)
            .await?;
        let directory = target.parent().unwrap_or(maildir).to_path_buf();
        let (from, to) = (fresh.clone(), target);
        let linked = disk.one(Op::Link { from, to }).await;
        disk.one(Op::Unlink(fresh)).await.ok();
        linked?;
        disk.one(Op::SyncDir(directory)).await.map(drop)
    }

    /// Where to write first, and what name the file then gets.
    async fn paths(
        &self,
        disk: &Disk,
        maildir: &Path,
        name: &FolderName,
        writer: &Writer,
    ) -> Result<(PathBuf, PathBuf), DiskError> {
        match self {
            Self::Folder(path) => Ok((path.tmp(), path.file(FILE))),
            Self::Level => {
                make_directory(disk, maildir, writer).await?;
                Ok((maildir.join("tmp"), level_file(maildir, name)))
            }
        }
    }
}

async fn load(disk: &Disk, path: &Path, name: &FolderName) -> Result<Option<AccessList>, AclError> {
    match disk.read(path, 0..LIMIT + 1).await {
        Ok(octets) if octets.len() as u64 > LIMIT => Err(AclError::TooLong {
            name: name.to_string(),
        }),
        Ok(octets) => {
            let mut list = AccessList::parse(&octets);
            list.administer();
            Ok(Some(list))
        }
        Err(error) if is_missing(error.kind) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The list of a level. Courier's names are those of the directories without the dot.
pub(super) fn level_file(maildir: &Path, name: &FolderName) -> PathBuf {
    let directory = name.directory(Encoding::Utf8);
    let key = directory.strip_prefix('.').unwrap_or(&directory);
    maildir.join(DIRECTORY).join(key)
}

/// Whether the directory of lists is there; a link to one elsewhere is an error.
pub(super) async fn is_directory(disk: &Disk, path: &Path) -> Result<bool, DiskError> {
    match disk.stat(path).await {
        Ok(meta) if meta.kind == FileKind::Directory => Ok(true),
        Ok(_) => Err(Op::List(path.to_path_buf()).error(DiskErrorKind::NotADirectory)),
        Err(error) if is_missing(error.kind) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn make_directory(
    disk: &Disk,
    maildir: &Path,
    writer: &Writer,
) -> Result<PathBuf, DiskError> {
    let path = maildir.join(DIRECTORY);
    if is_directory(disk, &path).await? {
        return Ok(path);
    }
    let mkdir = Op::Mkdir {
        path: path.clone(),
        mode: writer.directory_mode(),
    };
    match disk.one(mkdir).await {
        Err(error) if error.kind != DiskErrorKind::Exists => return Err(error),
        _ => {}
    }
    disk.one(Op::SyncDir(maildir.to_path_buf())).await?;
    Ok(path)
}

/// A lock of its own: a change reads the list and writes it.
const LOCK: &str = "courier-acl.lock";
const HOUR: Millis = Millis::from_mins(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::Rights;
    use crate::writer::tests::writer;
    use courier_core::disk::{self, DiskTask};
    use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};

    const M: &str = "/m";
    const DEFAULT: &str = "owner aceilrstwx\nadministrators aceilrstwx\n";

    fn name(text: &str) -> FolderName {
        FolderName::parse(text).expect("a name")
    }

    /// A maildir with the folders `a` and `a.b.c`.
    fn start() -> MemDisk {
        let mut disk = MemDisk::new();
        for folder in ["", "/.a", "/.a.b.c"] {
            for inner in ["tmp", "new", "cur"] {
                disk.plant_directory(format!("/m{folder}/{inner}"));
            }
        }
        disk
    }

    type Listed = DiskTask<'static, Result<AccessList, AclError>>;

    fn reading(folder: &'static str, now: courier_core::time::Timestamp) -> Listed {
        disk::task(move |disk| async move {
            read(&disk, Path::new(M), &name(folder), &writer(now)).await
        })
    }

    fn setting(
        folder: &'static str,
        who: &'static str,
        rights: &'static str,
        now: courier_core::time::Timestamp,
    ) -> Listed {
        disk::task(move |disk| async move {
            let edit = |list: &mut AccessList| {
                let who = Identifier::parse(who.as_bytes())?;
                list.set(who, Rights::parse(rights.as_bytes())?);
                Ok(())
            };
            let writer = writer(now);
            change(&disk, Path::new(M), &name(folder), None, edit, &writer).await
        })
    }

    fn text(disk: &MemDisk, path: &str) -> Option<String> {
        let octets = disk.contents(format!("/m/{path}"))?;
        Some(String::from_utf8(octets).expect("text"))
    }

    #[test]
    fn an_inherited_list_is_written_down() {
        let mut disk = start();
        let now = disk.now();
        let list = disk.run(reading("INBOX.a.b.c", now)).expect("a list");
        assert_eq!(list, AccessList::default());
        for path in [
            ".a/courierimapacl",
            "courierimaphieracl/a.b",
            ".a.b.c/courierimapacl",
        ] {
            assert_eq!(text(&disk, path).as_deref(), Some(DEFAULT), "{path}");
        }
        assert_eq!(text(&disk, "courierimapacl"), None);
        assert_eq!(disk.names("/m/courierimaphieracl"), ["a.b"]);
        assert!(disk.names("/m/tmp").is_empty());
        // What changes above does not reach it any more.
        disk.run(setting("INBOX", "anyone", "lr", now))
            .expect("set");
        disk.run(setting("INBOX.a.b", "user=x", "l", now))
            .expect("set");
        let list = disk.run(reading("INBOX.a.b.c", now)).expect("a list");
        assert_eq!(list, AccessList::default());
        let list = disk.run(reading("INBOX.z", now)).expect("a list");
        assert_eq!(list.iter().count(), 3, "{list:?}");
        let expected = format!("{DEFAULT}user=x l\n");
        assert_eq!(text(&disk, "courierimaphieracl/a.b"), Some(expected));
    }

    #[test]
    fn what_may_not_be_written_is_not() {
        let mut disk = start();
        let now = disk.now();
        let refused = disk.run(setting("INBOX.a", "-owner", "l", now));
        assert_eq!(refused, Err(AclError::Owner));
        let refused = disk.run(setting("INBOX.a", "-anyone", "x", now));
        assert_eq!(refused, Err(AclError::Administrators));
        assert_eq!(text(&disk, ".a/courierimapacl").as_deref(), Some(DEFAULT));
        let refused = disk.run(setting("INBOX.a", "a b", "x", now));
        assert_eq!(refused, Err(AclError::Identifier));
        assert!(disk.names("/m/tmp").is_empty());
    }

    #[test]
    fn what_is_no_list_grants_nothing() {
        for link in ["/m/.a/courierimapacl", "/m/courierimaphieracl"] {
            let mut disk = start();
            disk.plant_file("/elsewhere/a", b"anyone lr\n");
            disk.plant_link(
                link,
                if link.ends_with("acl") {
                    "/elsewhere"
                } else {
                    "/x"
                },
            );
            let now = disk.now();
            assert!(disk.run(reading("INBOX.a", now)).is_err(), "{link}");
            assert!(disk.run(setting("INBOX.a", "user=x", "l", now)).is_err());
            assert_eq!(disk.names("/elsewhere"), ["a"]);
        }
        let mut disk = start();
        let now = disk.now();
        disk.plant_file("/m/.a/courierimapacl", &vec![b'\n'; 1 << 21]);
        let refused = disk.run(reading("INBOX.a", now));
        assert!(matches!(refused, Err(AclError::TooLong { .. })));
        disk.plant_file("/m/.a/courierimapacl", &[0; 100]);
        let list = disk.run(reading("INBOX.a", now)).expect("a list");
        assert_eq!(list.compute(&["owner"]).to_string(), "a");
    }

    #[test]
    fn levels_without_folders_are_forgotten_after_an_hour() {
        let mut disk = start();
        for key in ["a", "a.b", "a.b.c", "a.b.c.d", "zz", ".dot", "young"] {
            disk.plant_file(format!("/m/courierimaphieracl/{key}"), b"owner la\n");
        }
        disk.plant_directory("/m/courierimaphieracl/dir");
        disk.advance(Millis::from_mins(61));
        disk.plant_file("/m/courierimaphieracl/young", b"owner la\n");
        let resetting = |now| {
            disk::task(move |disk| async move { reset(&disk, Path::new(M), &writer(now)).await })
        };
        disk.plant_file("/m/.a/courierimapacl", b"owner la\n");
        let now = disk.now();
        disk.run(resetting(now)).expect("reset");
        // `a.b.c` is a folder that has no other list.
        let expected = [".dot", "a", "a.b", "a.b.c", "dir", "young"];
        assert_eq!(disk.names("/m/courierimaphieracl"), expected);
        disk.plant_file("/m/.a.b.c/courierimapacl", b"owner la\n");
        disk.run(resetting(now)).expect("reset");
        let expected = [".dot", "a", "a.b", "dir", "young"];
        assert_eq!(disk.names("/m/courierimaphieracl"), expected);
        let mut start = disk;
        start.plant_file("/m/courierimaphieracl/zz", b"owner la\n");
        start.sync_all();
        start.advance(Millis::from_mins(61));
        let now = start.now();
        fail_everywhere(
            &start,
            |_: Promises<()>| resetting(now),
            |disk, _, _| {
                disk.run(resetting(now)).expect("reset");
                let expected = [".dot", "a", "a.b", "dir"];
                assert_eq!(disk.names("/m/courierimaphieracl"), expected);
            },
        );
    }

    /// A list that was told is there after a crash; one on the way is whole or not there.
    #[test]
    fn reading_and_changing_survive_crashes_and_errors() {
        let now = start().now();
        let told = |task: fn(courier_core::time::Timestamp) -> Listed| {
            move |promises: Promises<()>| {
                let mut inner = task(now);
                disk::task(move |disk| async move {
                    let mut step = inner.start();
                    loop {
                        match step {
                            courier_core::task::Step::Done(given) => {
                                given?;
                                promises.make(());
                                return Ok::<_, AclError>(());
                            }
                            courier_core::task::Step::Ask(batch) => {
                                step = inner.next(disk.run(batch).await);
                            }
                        }
                    }
                })
            }
        };
        let mut seen = HashSet::new();
        let mut check = |disk: &mut MemDisk, promised: bool, changed: &str| {
            let own = text(disk, ".a.b.c/courierimapacl");
            let ours = own.as_deref() == Some(changed);
            assert!(
                ours || own.as_deref().is_none_or(|own| own == DEFAULT),
                "{own:?}"
            );
            assert!(ours || !promised, "{}", disk.show());
            if !seen.insert((disk.show(), changed.len())) {
                return;
            }
            let mut late = writer(now);
            late.now.seconds += 200; // a lock that was left is stale
            let again = disk::task(|disk| async move {
                let folder = name("INBOX.a.b.c");
                change(&disk, Path::new(M), &folder, None, |_| Ok(()), &late).await
            });
            let list = disk.run(again).expect("as good as ever");
            let list = String::from_utf8(list.print()).expect("text");
            assert_eq!(list, own.unwrap_or_else(|| DEFAULT.to_owned()));
        };
        let changed = format!("{DEFAULT}user=x l\n");
        let reading = told(|now| reading("INBOX.a.b.c", now));
        let setting = told(|now| setting("INBOX.a.b.c", "user=x", "l", now));
        crash_everywhere(&start(), reading, |disk, p| {
            check(disk, !p.is_empty(), DEFAULT)
        });
        fail_everywhere(&start(), reading, |disk, _, p| {
            check(disk, !p.is_empty(), DEFAULT)
        });
        crash_everywhere(&start(), setting, |disk, p| {
            check(disk, !p.is_empty(), &changed)
        });
        fail_everywhere(&start(), setting, |disk, _, p| {
            check(disk, !p.is_empty(), &changed)
        });
    }
}
