//! The directories of folders, and what was left in `tmp`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use courier_core::disk::{DiskError, DiskErrorKind, FileKind, Op, Reply};
use courier_core::time::Millis;

use super::{Check, CheckError};
use crate::folder::{FOLDER_MARK, FolderName, FolderPath, create_maildir, ensure, is_missing};
use crate::lock::{self, Lock};
use crate::replace::temporary;
use crate::tree::{BATCH, TMP_AGE};

impl Check<'_> {
    /// Checks the directories, and gives the folders that can be opened.
    pub(super) async fn folders(&mut self) -> Result<Vec<FolderPath>, CheckError> {
        let listing = self.disk.list(self.maildir).await?;
        let is_part = |name: &[u8]| matches!(name, b"cur" | b"new" | b"tmp");
        if !listing.iter().any(|(name, _)| is_part(name)) {
            let path = self.maildir.to_path_buf();
            return Err(CheckError::NoMaildir { path });
        }
        let mut folders = Vec::new();
        let inbox = FolderPath::inbox(self.maildir);
        if self.directories(&inbox).await? {
            folders.push(inbox);
        }
        let mut names: Vec<Vec<u8>> = Vec::new();
        for (name, kind) in listing.iter().filter(|(name, _)| name.starts_with(b".")) {
            let path = self.maildir.join(OsStr::from_bytes(name));
            let kind = match kind {
                FileKind::Unknown => self.disk.stat(&path).await?.kind,
                kind => kind,
            };
            match kind {
                FileKind::Directory => names.push(name.to_vec()),
                FileKind::Link => self.note(
                    &path,
                    "a symbolic link; folders that are links are not opened, and do not count",
                ),
                _ => {}
            }
        }
        names.sort();
        for name in names {
            let path = self.maildir.join(OsStr::from_bytes(&name));
            if FolderName::from_directory(&name).is_none() {
                self.note(&path, "no folder can have this name; it is not opened");
                continue;
            }
            let folder = FolderPath::new(self.maildir, &String::from_utf8_lossy(&name));
            if self.directories(&folder).await? {
                folders.push(folder);
            }
        }
        for folder in &folders {
            self.summary.folders += 1;
            self.tmp(folder).await?;
        }
        Ok(folders)
    }

    /// What a folder consists of; whether it can be opened.
    async fn directories(&mut self, folder: &FolderPath) -> Result<bool, CheckError> {
        let is_inbox = folder.path() == self.maildir;
        let mut paths = vec![
            folder.path().to_path_buf(),
            folder.tmp(),
            folder.new_dir(),
            folder.cur(),
        ];
        if !is_inbox {
            paths.push(folder.file(FOLDER_MARK));
        }
        let stats = paths.iter().cloned().map(Op::Stat).collect();
        let stats = self.disk.run(stats).await;
        let (mut missing, mut there, mut open) = (Vec::new(), 0, true);
        for (at, (path, stat)) in paths.iter().zip(stats).enumerate() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            match stat {
                Ok(Reply::Meta(meta)) => {
                    there += usize::from(at > 0);
                    if at < 4 && meta.kind != FileKind::Directory {
                        self.error(path, "not a directory; the folder is not opened");
                        open = false;
                    } else if at < 4 && meta.mode & 0o7 != 0 && (at == 0 || at == 3) {
                        let mode = meta.mode & 0o7777;
                        let text = format!("others may enter or read it (mode {mode:04o})");
                        self.note(path, text);
                    }
                }
                Err(error) if is_missing(error.kind) => missing.push(name.into_owned()),
                Err(error) => {
                    self.error(path, format!("{error}; the folder is not opened"));
                    open = false;
                }
                Ok(_) => {}
            }
        }
        if there == 0 && !is_inbox {
            self.note(folder.path(), "a directory that is no folder");
            return Ok(false);
        }
        if missing.is_empty() || !open {
            return Ok(open);
        }
        let wrong = format!("{} missing", missing.join(", "));
        let complete = missing.iter().all(|name| name == FOLDER_MARK);
        if !self.fixes() {
            self.error(folder.path(), wrong);
            return Ok(complete);
        }
        let made = match is_inbox {
            true => create_maildir(self.disk, self.maildir, self.writer).await,
            false => ensure(self.disk, folder, self.writer).await,
        };
        let open = made.is_ok() || complete;
        self.mended(folder.path(), &wrong, "made", made);
        Ok(open)
    }

    /// Files that were left in `tmp`, and locks of the dead.
    async fn tmp(&mut self, folder: &FolderPath) -> Result<(), CheckError> {
        let tmp = folder.tmp();
        let mut names: Vec<Vec<u8>> = Vec::new();
        for (name, _) in self.disk.list(&tmp).await?.iter() {
            if !name.starts_with(b".") {
                names.push(name.to_vec());
            }
        }
        names.sort();
        let before = self.summary.fixed;
        for names in names.chunks(BATCH) {
            let paths: Vec<_> = names
                .iter()
                .map(|name| tmp.join(OsStr::from_bytes(name)))
                .collect();
            let stats = paths.iter().cloned().map(Op::Stat).collect();
            for ((name, path), stat) in names.iter().zip(&paths).zip(self.disk.run(stats).await) {
                let Ok(Reply::Meta(meta)) = stat else {
                    continue; // its writer is done with it
                };
                if name.ends_with(b".lock") {
                    self.lock(&tmp, path).await?;
                    continue;
                }
                if !self.writer.is_past(meta.changed, TMP_AGE, Millis(0)) {
                    continue;
                }
                let age = (self.writer.now.seconds - meta.changed.seconds) / 3600;
                let wrong = match meta.links {
                    2.. => format!("left for {age} hours, a second name of a message"),
                    _ => format!("left for {age} hours"),
                };
                if meta.kind == FileKind::Directory {
                    self.note(
                        path,
                        format!("a directory, {wrong}; a login will clear it away"),
                    );
                } else if self.fixes() {
                    let removed = self.disk.one(Op::Unlink(path.clone())).await;
                    self.mended(path, &wrong, "removed", unless_gone(removed));
                } else {
                    self.error(path, wrong);
                }
            }
        }
        if self.summary.fixed > before {
            self.disk.one(Op::SyncDir(tmp)).await?;
        }
        Ok(())
    }

    async fn lock(&mut self, tmp: &Path, path: &Path) -> Result<(), CheckError> {
        match lock::holder(self.disk, path, self.writer).await? {
            lock::Holder::Nobody => {}
            lock::Holder::Alive(holder) => {
                self.note(path, format!("held by {}", holder.escape_ascii()));
            }
            lock::Holder::Dead if !self.fixes() => self.error(path, "a lock that was left"),
            lock::Holder::Dead => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let taken = Lock::take(self.disk, tmp, &name, self.writer, Millis(0)).await;
                let given = match taken {
                    Ok(lock) => {
                        lock.release(self.disk).await;
                        Ok(())
                    }
                    Err(error) => Err(error),
                };
                self.mended(path, "a lock that was left", "removed", given);
            }
        }
        Ok(())
    }

    /// Puts a state file that cannot be believed into `tmp`, where it is purged in time.
    pub(super) async fn put_aside(
        &mut self,
        folder: &FolderPath,
        path: &Path,
    ) -> Result<(), DiskError> {
        let aside = Op::Rename {
            from: path.to_path_buf(),
            to: temporary(&folder.tmp(), self.writer),
        };
        self.disk.one(aside).await?;
        self.disk
            .one(Op::SyncDir(folder.path().to_path_buf()))
            .await?;
        Ok(())
    }
}

/// What another has removed is removed.
pub(super) fn unless_gone<T>(outcome: Result<T, DiskError>) -> Result<(), DiskError> {
    match outcome {
        Err(error) if error.kind != DiskErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
