//! Messages: names that can be listed, once each, files that hold what they say.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use courier_core::disk::{DiskError, DiskErrorKind, FileKind, Meta, Op, Reply};

use super::{Check, CheckError, Report, Sizes};
use crate::content::Lines;
use crate::flags::Flags;
use crate::folder::FolderPath;
use crate::name::{Name, NameError};
use crate::scan::list_kinds;
use crate::tree::BATCH;

/// A directory entry where messages are.
struct Entry {
    name: Vec<u8>,
    path: PathBuf,
}

impl Check<'_> {
    pub(super) async fn messages(&mut self, folder: &FolderPath) -> Result<(), CheckError> {
        // `cur` first: of two, the one there has flags, and keeps its name.
        let mut entries: Vec<Entry> = Vec::new();
        for directory in [folder.cur(), folder.new_dir()] {
            let mut names = Vec::new();
            list_kinds(self.disk, &directory, |name, _| names.push(name.to_vec())).await?;
            names.sort();
            names.dedup();
            entries.extend(names.into_iter().map(|name| Entry {
                path: directory.join(OsStr::from_bytes(&name)),
                name,
            }));
        }
        entries.retain(|entry| !entry.name.starts_with(b"."));
        let mut seen: HashMap<u64, Vec<usize>> = HashMap::new();
        let mut renamed = false;
        for (chunk, part) in entries.chunks(BATCH).enumerate() {
            let stats = part.iter().map(|entry| Op::Stat(entry.path.clone()));
            let stats = self.disk.run(stats.collect()).await;
            for ((at, entry), stat) in (chunk * BATCH..).zip(part).zip(stats) {
                let Ok(Reply::Meta(meta)) = stat else {
                    continue; // another has moved it
                };
                if meta.kind != FileKind::File {
                    self.error(&entry.path, "not a regular file; no session shows it");
                    continue;
                }
                self.summary.messages += 1;
                let name = match Name::parse(&entry.name) {
                    Ok(name) => name,
                    Err(error) => {
                        renamed |= self.rename(folder, entry, &meta, &error).await;
                        continue;
                    }
                };
                let same = seen.entry(name.key().fingerprint()).or_default();
                let first = same.iter().filter_map(|&at| entries.get(at));
                let first = first
                    .filter(|first| {
                        Name::parse(&first.name).is_ok_and(|first| first.key() == name.key())
                    })
                    .map(|first| first.path.clone());
                let first = first.collect::<Vec<_>>();
                same.push(at);
                let (mut is_there, mut is_same) = (false, false);
                for path in first {
                    // It may be the same message, renamed while we looked.
                    let Ok(first) = self.disk.stat(&path).await else {
                        continue;
                    };
                    is_there = true;
                    let file = |meta: &Meta| (meta.device, meta.inode);
                    is_same |= file(&first) == file(&meta) && first.links > 1;
                }
                if is_same {
                    renamed |= self.drop_name(entry).await;
                    continue;
                }
                if is_there {
                    renamed |= self.rename_double(folder, entry, &meta).await;
                    continue;
                }
                self.sizes(entry, name, &meta).await?;
            }
            (self.report)(Report::Progress(self.summary.messages));
        }
        if renamed {
            let syncs = [folder.cur(), folder.new_dir()].map(Op::SyncDir);
            self.disk
                .run(syncs.into())
                .await
                .into_iter()
                .collect::<Result<Vec<_>, _>>()?;
        }
        Ok(())
    }

    async fn rename(
        &mut self,
        folder: &FolderPath,
        entry: &Entry,
        meta: &Meta,
        error: &NameError,
    ) -> bool {
        let wrong = format!("no message can have this name: {error}");
        self.give_name(folder, entry, meta, Flags::NONE, &wrong)
            .await
    }

    async fn rename_double(&mut self, folder: &FolderPath, entry: &Entry, meta: &Meta) -> bool {
        let flags = Name::parse(&entry.name).map_or(Flags::NONE, Name::flags);
        let wrong = "another message has the same name";
        self.give_name(folder, entry, meta, flags, wrong).await
    }

    /// Takes one of two names from a message; whether it did.
    async fn drop_name(&mut self, entry: &Entry) -> bool {
        let wrong = "a second name of a message";
        if !self.fixes() {
            self.error(&entry.path, wrong);
            return false;
        }
        let dropped = self.disk.one(Op::Unlink(entry.path.clone())).await;
        let done = dropped.is_ok();
        self.mended(&entry.path, wrong, "removed; the message is there", dropped);
        done
    }

    /// Gives a message a name of its own in `cur`; whether it did.
    async fn give_name(
        &mut self,
        folder: &FolderPath,
        entry: &Entry,
        meta: &Meta,
        flags: Flags,
        wrong: &str,
    ) -> bool {
        if !self.fixes() {
            self.error(&entry.path, wrong);
            return false;
        }
        let name = format!("{},S={}:2,{flags}", self.writer.unique_name(), meta.length);
        let to = folder.in_cur(name.as_bytes());
        let renamed = match self.disk.stat(&to).await {
            // A rename would replace it.
            Ok(_) => Err(Op::Stat(to).error(DiskErrorKind::Exists)),
            Err(error) if error.kind != DiskErrorKind::NotFound => Err(error),
            Err(_) => {
                let from = entry.path.clone();
                self.disk.one(Op::Rename { from, to }).await
            }
        };
        let done = renamed.is_ok();
        self.mended(
            &entry.path,
            wrong,
            &format!("renamed to cur/{name}"),
            renamed,
        );
        done
    }

    async fn sizes(
        &mut self,
        entry: &Entry,
        name: Name<'_>,
        meta: &Meta,
    ) -> Result<(), CheckError> {
        if meta.length == 0 {
            match name.size() {
                Some(size) if size > 0 => {
                    let text = "the message is empty: what it held is lost; remove it";
                    self.error(&entry.path, text);
                }
                // It may have been so from the first: deliverquota takes empty ones.
                _ => self.note(&entry.path, "the message is empty"),
            }
            return Ok(());
        }
        if let Some(size) = name.size().filter(|&size| size != meta.length) {
            let text = format!("the name says {size} octets, there are {}", meta.length);
            self.note(&entry.path, text);
        }
        let Some(wire) = name.wire_size().filter(|_| self.sizes == Sizes::Wire) else {
            return Ok(());
        };
        match self.wire_size(entry).await {
            Ok(size) if size != wire => {
                let text = format!("the name says {wire} octets on the wire, there are {size}");
                self.note(&entry.path, text);
            }
            Err(error) if error.kind != DiskErrorKind::NotFound => {
                self.error(&entry.path, format!("cannot be read: {error}"));
            }
            _ => {}
        }
        Ok(())
    }

    async fn wire_size(&mut self, entry: &Entry) -> Result<u64, DiskError> {
        let (mut at, mut size, mut after_return) = (0, 0, false);
        loop {
            let octets = self.disk.read(&entry.path, at..at + CHUNK).await?;
            if octets.is_empty() {
                return Ok(size);
            }
            let length = octets.len() as u64;
            let joined = after_return && octets.first() == Some(&b'\n');
            size += length + Lines::of(&octets).bare - u64::from(joined);
            after_return = octets.last() == Some(&b'\r');
            at += length;
        }
    }
}

const CHUNK: u64 = 1 << 20;
