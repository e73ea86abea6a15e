//! Making, deleting and renaming folders.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Durability, Op, Piece};

use super::{Encoding, is_missing, list, locate};
use super::{FOLDER_LIMIT, FOLDER_MARK, Folder, FolderError, FolderName, FolderPath};
use crate::acl;
use crate::quota;
use crate::replace::temporary;
use crate::tree::remove_tree;
use crate::validity;
use crate::writer::Writer;

/// Makes a maildir, or what is missing of one; its parent must be there. Durable.
///
/// # Errors
/// What the disk says.
pub async fn create_maildir(disk: &Disk, maildir: &Path, writer: &Writer) -> Result<(), DiskError> {
    complete(disk, maildir, Vec::new(), writer).await
}

/// Makes a folder, durably, and gives its place. Folders above it need not be there.
///
/// # Errors
/// When there is one of that name, there are too many, or the disk refuses.
pub async fn create(
    disk: &Disk,
    maildir: &Path,
    name: &FolderName,
    writer: &Writer,
) -> Result<FolderPath, FolderError> {
    if name.is_inbox() {
        return Err(FolderError::Inbox);
    }
    let folders = list(disk, maildir).await?;
    if folders.iter().any(|folder| folder.name == *name) {
        return Err(FolderError::Exists(name.clone()));
    }
    if folders.len() >= FOLDER_LIMIT {
        return Err(FolderError::TooMany {
            limit: FOLDER_LIMIT,
        });
    }
    let path = FolderPath::new(maildir, &name.directory(Encoding::Utf8));
    if let Err(error) = complete(disk, path.path(), vec![mark(&path, writer)], writer).await {
        // What is left without `cur` is no folder, and is completed by another try.
        disk.one(Op::Rmdir(path.cur())).await.ok();
        return Err(error.into());
    }
    Ok(path)
}

/// Makes a folder and the maildir that it is in, or what is missing of them. Durable.
pub(crate) async fn ensure(
    disk: &Disk,
    folder: &FolderPath,
    writer: &Writer,
) -> Result<(), DiskError> {
    complete(disk, folder.maildir(), Vec::new(), writer).await?;
    if folder.path() == folder.maildir() {
        return Ok(());
    }
    complete(disk, folder.path(), vec![mark(folder, writer)], writer).await
}

/// Marks a directory as a folder of the maildir above.
fn mark(folder: &FolderPath, writer: &Writer) -> Op {
    Op::Create {
        path: folder.file(FOLDER_MARK),
        content: Vec::<Piece>::new(),
        mode: writer.mode,
        durability: Durability::Volatile,
    }
}

/// Makes a directory, and in it `tmp`, `new`, what else is given, and last of all
/// `cur`, without which it is no folder. What is there already stays.
async fn complete(
    disk: &Disk,
    path: &Path,
    more: Vec<Op>,
    writer: &Writer,
) -> Result<(), DiskError> {
    let mkdir = |path: PathBuf| Op::Mkdir {
        path,
        mode: writer.directory_mode(),
    };
    unless_there(disk, vec![mkdir(path.to_path_buf())]).await?;
    let mut inner = vec![mkdir(path.join("tmp")), mkdir(path.join("new"))];
    inner.extend(more);
    unless_there(disk, inner).await?;
    unless_there(disk, vec![Op::SyncDir(path.to_path_buf())]).await?;
    unless_there(disk, vec![mkdir(path.join("cur"))]).await?;
    let parent = path.parent().unwrap_or(Path::new(""));
    let syncs = [path, parent].map(|directory| Op::SyncDir(directory.to_path_buf()));
    unless_there(disk, syncs.into()).await
}

async fn unless_there(disk: &Disk, batch: Vec<Op>) -> Result<(), DiskError> {
    for outcome in disk.run(batch).await {
        match outcome {
            Err(error) if error.kind != DiskErrorKind::Exists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Deletes a folder with its messages, durably; folders below it stay. It vanishes at
/// once, by a rename; what a crash leaves of it is purged from `tmp` in time.
///
/// # Errors
/// When there is none of that name, or the disk refuses; the folder is then as it was.
pub async fn delete(
    disk: &Disk,
    maildir: &Path,
    name: &FolderName,
    writer: &Writer,
) -> Result<(), FolderError> {
    if name.is_inbox() {
        return Err(FolderError::Inbox);
    }
    let path = locate(disk, maildir, name).await?;
    validity::remember(disk, maildir, std::slice::from_ref(&path), writer).await?;
    let tmp = maildir.join("tmp");
    let grave = temporary(&tmp, writer);
    let bury = [(path.path().to_path_buf(), grave.clone())];
    rename_all(disk, &bury, &[maildir, &tmp])
        .await
        .map_err(|error| match error {
            FolderError::Disk(error) if is_missing(error.kind) => {
                FolderError::NotFound(name.clone())
            }
            error => error,
        })?;
    acl::forget(disk, maildir, name).await;
    remove_tree(disk, &grave).await;
    quota::renew(disk, maildir, writer).await;
    Ok(())
}

/// Renames a folder and those below it, durably; each keeps its UIDs and its access
/// list. Gives the old names and the new ones.
///
/// # Errors
/// When no folder has the old name or is below it, when a new name is taken or not
/// possible, or when the disk refuses; the folders then have their old names.
pub async fn rename(
    disk: &Disk,
    maildir: &Path,
    from: &FolderName,
    to: &FolderName,
    writer: &Writer,
) -> Result<Vec<(FolderName, FolderName)>, FolderError> {
    if from.is_inbox() || to.is_inbox() {
        return Err(FolderError::Inbox);
    }
    if to.below(from).is_some() {
        return Err(FolderError::BelowItself { from: from.clone() });
    }
    let folders = list(disk, maildir).await?;
    let moves = plan(&folders, from, to)?;
    if moves.is_empty() {
        return Err(FolderError::NotFound(from.clone()));
    }
    let moved: Vec<_> = moves
        .iter()
        .map(|(folder, _)| folder.path.clone())
        .collect();
    validity::remember(disk, maildir, &moved, writer).await?;
    let paths: Vec<_> = moves
        .iter()
        .map(|(folder, to)| {
            let to = FolderPath::new(maildir, &to.directory(Encoding::Utf8));
            (folder.path.path().to_path_buf(), to.path().to_path_buf())
        })
        .collect();
    let lists = acl::Move::begin(disk, maildir, from, to, writer).await?;
    if let Err(error) = rename_all(disk, &paths, &[maildir]).await {
        lists.undo(disk).await;
        return Err(error);
    }
    lists.finish(disk).await;
    // The trash may have become another folder, or another folder the trash.
    quota::renew(disk, maildir, writer).await;
    let names = moves.into_iter();
    Ok(names
        .map(|(folder, to)| (folder.name.clone(), to))
        .collect())
}

/// Which folders get which names.
fn plan<'a>(
    folders: &'a [Folder],
    from: &FolderName,
    to: &FolderName,
) -> Result<Vec<(&'a Folder, FolderName)>, FolderError> {
    let taken: HashSet<_> = folders.iter().map(|folder| &folder.name).collect();
    let mut moves = Vec::new();
    for folder in folders {
        let target = match folder.name.below(from) {
            Some(rest) => to.join(rest)?,
            None if folder.name == *from => to.clone(),
            None => continue,
        };
        if taken.contains(&target) {
            return Err(FolderError::Exists(target));
        }
        moves.push((folder, target));
    }
    Ok(moves)
}

/// Renames directories and syncs where they stand; undoes all of it if any part fails.
pub(super) async fn rename_all(
    disk: &Disk,
    moves: &[(PathBuf, PathBuf)],
    sync: &[&Path],
) -> Result<(), FolderError> {
    let rename = |from: &Path, to: &Path| Op::Rename {
        from: from.to_path_buf(),
        to: to.to_path_buf(),
    };
    let batch = moves.iter().map(|(from, to)| rename(from, to)).collect();
    let outcomes = disk.run(batch).await;
    let (mut done, mut failure) = (Vec::new(), None);
    for ((from, to), outcome) in moves.iter().zip(outcomes) {
        match outcome {
            Ok(_) => done.push((from, to)),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    let syncs = || {
        sync.iter()
            .map(|path| Op::SyncDir(path.to_path_buf()))
            .collect()
    };
    if failure.is_none() {
        failure = disk.run(syncs()).await.into_iter().find_map(Result::err);
    }
    let Some(error) = failure else {
        return Ok(());
    };
    let undo = done.iter().map(|(from, to)| rename(to, from)).collect();
    disk.run(undo).await;
    disk.run(syncs()).await;
    Err(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::tests::writer;
    use courier_core::disk;
    use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};

    const M: &str = "/m";

    fn name(text: &str) -> FolderName {
        FolderName::parse(text).expect("a name")
    }

    /// A maildir with the folders `a`, `a.b` and `c`, each with a message.
    fn start() -> MemDisk {
        let mut disk = MemDisk::new();
        for folder in ["", "/.a", "/.a.b", "/.c"] {
            disk.plant_directory(format!("/m{folder}/tmp"));
            disk.plant_directory(format!("/m{folder}/new"));
            disk.plant_file(format!("/m{folder}/cur/1.x:2,"), b"mail");
            disk.plant_file(
                format!("/m{folder}/courierimapuiddb"),
                b"1 700000123 2\n1 1.x\n",
            );
        }
        disk
    }

    fn names(disk: &mut MemDisk) -> Vec<String> {
        let task = disk::task(|disk| async move { list(&disk, Path::new(M)).await });
        let folders = disk.run(task).expect("a list");
        folders
            .iter()
            .map(|folder| folder.name.to_string())
            .collect()
    }

    type Changed = disk::DiskTask<'static, Result<(), FolderError>>;

    fn creating(promise: impl FnOnce() + Send + 'static) -> Changed {
        disk::task(|disk| async move {
            let writer = writer(MemDisk::new().now());
            create(&disk, Path::new(M), &name("INBOX.é"), &writer).await?;
            promise();
            Ok(())
        })
    }

    fn deleting(promise: impl FnOnce() + Send + 'static) -> Changed {
        disk::task(|disk| async move {
            let writer = writer(MemDisk::new().now());
            delete(&disk, Path::new(M), &name("INBOX.a"), &writer).await?;
            promise();
            Ok(())
        })
    }

    fn renaming(promise: impl FnOnce() + Send + 'static) -> Changed {
        disk::task(|disk| async move {
            let writer = writer(MemDisk::new().now());
            let (from, to) = (name("INBOX.a"), name("INBOX.d.e"));
            rename(&disk, Path::new(M), &from, &to, &writer).await?;
            promise();
            Ok(())
        })
    }

    /// The tasks of the three above, as the harness wants them.
    macro_rules! with {
        ($task:ident) => {
            |promises: Promises<()>| $task(move || promises.make(()))
        };
    }

    #[test]
    fn a_folder_is_made_whole_or_not_at_all() {
        let check = |disk: &mut MemDisk, promised: bool| {
            let listed = names(disk).contains(&"INBOX.é".to_owned());
            assert!(listed || !promised, "{}", disk.show());
            let inside = disk.names("/m/.é");
            let whole = ["cur", "maildirfolder", "new", "tmp"];
            assert!(!listed || inside == whole, "{}", disk.show());
            let again = disk.run(creating(|| ()));
            let expected = if listed {
                Err(FolderError::Exists(name("INBOX.é")))
            } else {
                Ok(())
            };
            assert_eq!(again, expected);
        };
        crash_everywhere(&start(), with!(creating), |disk, promises| {
            check(disk, !promises.is_empty())
        });
        fail_everywhere(&start(), with!(creating), |disk, given, _| {
            check(disk, given.is_ok())
        });
    }

    #[test]
    fn a_folder_goes_whole_or_not_at_all_and_those_below_it_stay() {
        let check = |disk: &mut MemDisk, promised: bool| {
            let listed = names(disk).contains(&"INBOX.a".to_owned());
            assert!(!(listed && promised), "{}", disk.show());
            assert!(
                !listed || disk.contents("/m/.a/cur/1.x:2,").is_some(),
                "{}",
                disk.show()
            );
            assert!(disk.contents("/m/.a.b/cur/1.x:2,").is_some());
            let again = disk.run(deleting(|| ()));
            let expected = if listed {
                Ok(())
            } else {
                Err(FolderError::NotFound(name("INBOX.a")))
            };
            assert_eq!(again, expected);
            assert_eq!(
                disk.contents("/m/courierimapuidvalidity").as_deref(),
                Some(b"700000123\n".as_ref())
            );
        };
        // What comes after the rename may fail as it likes: the fewer files the better.
        let mut start = start();
        for name in ["/m/.a/tmp", "/m/.a/new", "/m/.c/cur/1.x:2,"] {
            let path = PathBuf::from(name);
            let op = if name.contains("1.x") {
                Op::Unlink(path)
            } else {
                Op::Rmdir(path)
            };
            start.carry_out(&op).expect("removed");
        }
        start.sync_all();
        crash_everywhere(&start, with!(deleting), |disk, promises| {
            check(disk, !promises.is_empty())
        });
        fail_everywhere(&start, with!(deleting), |disk, given, _| {
            check(disk, given.is_ok())
        });
    }

    #[test]
    fn folders_are_renamed_with_their_children_and_uids() {
        let check = |disk: &mut MemDisk, promised: bool, kept: bool| {
            for (old, new) in [(".a", ".d.e"), (".a.b", ".d.e.b")] {
                let there = |folder| {
                    let list = disk.contents(format!("/m/{folder}/courierimapuiddb"));
                    let mail = disk.contents(format!("/m/{folder}/cur/1.x:2,"));
                    mail.is_some() && list.is_some()
                };
                assert_ne!(there(old), there(new), "{}", disk.show());
                assert!(!promised || there(new), "{}", disk.show());
                assert!(!kept || there(old), "{}", disk.show());
            }
        };
        crash_everywhere(&start(), with!(renaming), |disk, promises| {
            check(disk, !promises.is_empty(), false);
        });
        fail_everywhere(&start(), with!(renaming), |disk, given, _| {
            check(disk, given.is_ok(), false)
        });
    }

    #[test]
    fn what_cannot_be_renamed_is_refused() {
        let mut disk = start();
        let mut rename = |from: &str, to: &str| {
            let (from, to) = (name(from), name(to));
            let writer = writer(disk.now());
            disk.run(disk::task(|disk| async move {
                rename(&disk, Path::new(M), &from, &to, &writer).await
            }))
            .map(|moved| moved.len())
        };
        let exists = |text| Err(FolderError::Exists(name(text)));
        assert_eq!(rename("INBOX", "INBOX.x"), Err(FolderError::Inbox));
        assert_eq!(rename("INBOX.c", "inbox"), Err(FolderError::Inbox));
        assert_eq!(rename("INBOX.a", "INBOX.c"), exists("INBOX.c"));
        assert_eq!(rename("INBOX.a", "INBOX.a"), exists("INBOX.a"));
        assert_eq!(
            rename("INBOX.x", "INBOX.y"),
            Err(FolderError::NotFound(name("INBOX.x")))
        );
        let below = FolderError::BelowItself {
            from: name("INBOX.a"),
        };
        assert_eq!(rename("INBOX.a", "INBOX.a.x"), Err(below));
        let long = format!("INBOX.{}", "x".repeat(253));
        assert_eq!(
            rename("INBOX.a", &long),
            Err(FolderError::Name(super::super::FolderNameError::TooLong))
        );
        assert_eq!(rename("INBOX.a", "INBOX.n"), Ok(2));
    }

    #[test]
    fn a_maildir_is_completed() {
        let mut disk = MemDisk::new();
        disk.plant_directory("/home");
        for _ in 0..2 {
            let writer = writer(disk.now());
            disk.run(disk::task(|disk| async move {
                create_maildir(&disk, Path::new("/home/m"), &writer).await
            }))
            .expect("made");
            disk = disk.crash_losing_all();
            assert_eq!(disk.names("/home/m"), ["cur", "new", "tmp"]);
            assert_eq!(disk.meta("/home/m/cur").map(|meta| meta.mode), Some(0o700));
        }
    }
}
