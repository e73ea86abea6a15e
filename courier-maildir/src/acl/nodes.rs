//! The lists of levels, as folders are renamed and deleted.
//!
//! A folder carries its own list along. Those in `courierimaphieracl` are copied to
//! the new names first, and taken from the old ones last: at no moment is a right
//! that was taken from somebody given back.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, Op};

use super::DIRECTORY;
use super::store::{is_directory, level_file};
use crate::folder::{FolderName, is_missing};
use crate::replace::temporary;
use crate::writer::Writer;

/// Lists on their way to new names.
#[must_use = "a move is finished or undone"]
pub(crate) struct Move {
    directory: PathBuf,
    old: Vec<PathBuf>,
    /// What stands at new names where nothing stood.
    made: Vec<PathBuf>,
}

impl Move {
    /// Gives the lists of `from` and of what is below it to the new names as well,
    /// durably.
    ///
    /// # Errors
    /// What the disk says; the lists at the old names are as they were.
    pub(crate) async fn begin(
        disk: &Disk,
        maildir: &Path,
        from: &FolderName,
        to: &FolderName,
        writer: &Writer,
    ) -> Result<Self, DiskError> {
        let mut moving = Self {
            directory: maildir.join(DIRECTORY),
            old: Vec::new(),
            made: Vec::new(),
        };
        if !is_directory(disk, &moving.directory).await? {
            return Ok(moving);
        }
        let moves = moving.plan(disk, maildir, from, to).await?;
        for (old, new) in moves {
            if let Err(error) = moving.copy(disk, maildir, &old, &new, writer).await {
                moving.undo(disk).await;
                return Err(error);
            }
            moving.old.push(old);
        }
        if !moving.old.is_empty()
            && let Err(error) = disk.one(Op::SyncDir(moving.directory.clone())).await
        {
            moving.undo(disk).await;
            return Err(error);
        }
        Ok(moving)
    }

    /// Which files get which names.
    async fn plan(
        &self,
        disk: &Disk,
        maildir: &Path,
        from: &FolderName,
        to: &FolderName,
    ) -> Result<Vec<(PathBuf, PathBuf)>, DiskError> {
        let listing = disk.list(&self.directory).await?;
        let moves = listing.iter().filter_map(|(key, _)| {
            let name = FolderName::inbox()
                .join(std::str::from_utf8(key).ok()?)
                .ok()?;
            let new = match name.below(from) {
                // A name that is too long is no folder's either.
                Some(rest) => to.join(rest).ok()?,
                None if name == *from => to.clone(),
                None => return None,
            };
            let old = self.directory.join(OsStr::from_bytes(key));
            Some((old, level_file(maildir, &new)))
        });
        Ok(moves.collect())
    }

    async fn copy(
        &mut self,
        disk: &Disk,
        maildir: &Path,
        old: &Path,
        new: &Path,
        writer: &Writer,
    ) -> Result<(), DiskError> {
        let was_there = match disk.stat(new).await {
            Ok(_) => true,
            Err(error) if is_missing(error.kind) => false,
            Err(error) => return Err(error),
        };
        let fresh = temporary(&maildir.join("tmp"), writer);
        let (from, to) = (old.to_path_buf(), fresh.clone());
        match disk.one(Op::Link { from, to }).await {
            Ok(_) => {}
            // Reset by another session meanwhile.
            Err(error) if is_missing(error.kind) => return Ok(()),
            Err(error) => return Err(error),
        }
        let (from, to) = (fresh.clone(), new.to_path_buf());
        let renamed = disk.one(Op::Rename { from, to }).await;
        // Of two names of one file a rename leaves both.
        disk.one(Op::Unlink(fresh)).await.ok();
        renamed?;
        if !was_there {
            self.made.push(new.to_path_buf());
        }
        Ok(())
    }

    /// The folders have their new names: takes the lists from the old ones.
    pub(crate) async fn finish(self, disk: &Disk) {
        remove(disk, self.directory, self.old).await;
    }

    /// The folders have their old names.
    pub(crate) async fn undo(self, disk: &Disk) {
        remove(disk, self.directory, self.made).await;
    }
}

/// Forgets the list of a level whose folder is gone. The list of a level that is left
/// behind is found by nobody but who makes a folder of that name, and is reset in time.
pub(crate) async fn forget(disk: &Disk, maildir: &Path, name: &FolderName) {
    let directory = maildir.join(DIRECTORY);
    if matches!(is_directory(disk, &directory).await, Ok(true)) {
        remove(disk, directory, vec![level_file(maildir, name)]).await;
    }
}

async fn remove(disk: &Disk, directory: PathBuf, paths: Vec<PathBuf>) {
    let unlinks: Vec<_> = paths.into_iter().map(Op::Unlink).collect();
    if disk.run(unlinks).await.iter().any(Result::is_ok) {
        disk.one(Op::SyncDir(directory)).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::{FolderError, delete, rename};
    use crate::writer::tests::writer;
    use courier_core::disk::{self, DiskTask};
    use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};

    fn name(text: &str) -> FolderName {
        FolderName::parse(text).expect("a name")
    }

    /// The folder `a.b`, and lists for it, `a`, `ab` and the target `d`.
    fn start() -> MemDisk {
        let mut disk = MemDisk::new();
        for folder in ["", "/.a.b"] {
            for inner in ["tmp", "new", "cur"] {
                disk.plant_directory(format!("/m{folder}/{inner}"));
            }
        }
        for key in ["a", "a.b", "ab", "d"] {
            let path = format!("/m/courierimaphieracl/{key}");
            disk.plant_file(path, format!("{key} l\n").as_bytes());
        }
        disk
    }

    fn list(disk: &MemDisk, key: &str) -> String {
        let octets = disk.contents(format!("/m/courierimaphieracl/{key}"));
        let text = String::from_utf8(octets.unwrap_or_default()).expect("text");
        text.trim_end().to_owned()
    }

    type Changed = DiskTask<'static, Result<(), FolderError>>;

    fn renaming(promises: Promises<()>) -> Changed {
        disk::task(|disk| async move {
            let writer = writer(MemDisk::new().now());
            let (from, to) = (name("INBOX.a"), name("INBOX.d"));
            rename(&disk, Path::new("/m"), &from, &to, &writer).await?;
            promises.make(());
            Ok(())
        })
    }

    fn deleting(promises: Promises<()>) -> Changed {
        disk::task(|disk| async move {
            let writer = writer(MemDisk::new().now());
            delete(&disk, Path::new("/m"), &name("INBOX.a.b"), &writer).await?;
            promises.make(());
            Ok(())
        })
    }

    #[test]
    fn lists_go_with_their_folders() {
        let mut disk = start();
        disk.run(renaming(Promises::new())).expect("renamed");
        assert_eq!(disk.names("/m/courierimaphieracl"), ["ab", "d", "d.b"]);
        assert_eq!(list(&disk, "d"), "a l");
        assert_eq!(list(&disk, "d.b"), "a.b l");
        assert!(disk.names("/m/tmp").is_empty());
        let mut disk = start();
        disk.run(deleting(Promises::new())).expect("deleted");
        assert_eq!(disk.names("/m/courierimaphieracl"), ["a", "ab", "d"]);
    }

    /// Wherever the folder is, its list is there too.
    #[test]
    fn no_crash_or_error_parts_a_list_from_its_folder() {
        let check = |disk: &mut MemDisk, renamed: bool| {
            let (old, new) = (disk.meta("/m/.a.b/cur"), disk.meta("/m/.d.b/cur"));
            assert_ne!(old.is_some(), new.is_some(), "{}", disk.show());
            assert!(!renamed || new.is_some(), "{}", disk.show());
            let levels = match old {
                Some(_) => ["a", "a.b"],
                None => ["d", "d.b"],
            };
            assert_eq!(list(disk, levels[0]), "a l", "{}", disk.show());
            assert_eq!(list(disk, levels[1]), "a.b l", "{}", disk.show());
            assert_eq!(list(disk, "ab"), "ab l");
        };
        crash_everywhere(&start(), renaming, |disk, promises| {
            check(disk, !promises.is_empty());
        });
        fail_everywhere(&start(), renaming, |disk, given, _| {
            check(disk, given.is_ok())
        });
        let check = |disk: &mut MemDisk| {
            let there = disk.meta("/m/.a.b/cur").is_some();
            assert!(!there || list(disk, "a.b") == "a.b l", "{}", disk.show());
        };
        crash_everywhere(&start(), deleting, |disk, _| check(disk));
        fail_everywhere(&start(), deleting, |disk, _, _| check(disk));
    }
}
