//! The messages that a folder has already, by their sizes.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, Op, Piece, Reply};

use crate::content::Content;
use crate::folder::FolderPath;
use crate::name::Name;
use crate::scan::list_quiet;
use crate::tree::BATCH;

/// Messages that stand for none of the source yet.
#[derive(Debug, Default)]
pub(super) struct Present {
    by_size: HashMap<u64, Vec<PathBuf>>,
    /// Those of sizes that were asked for, by their contents.
    by_content: HashMap<(u64, u64), Vec<PathBuf>>,
    sizes: HashSet<u64>,
}

impl Present {
    /// # Errors
    /// What the disk says.
    pub(super) async fn load(disk: &Disk, folder: &FolderPath) -> Result<Self, DiskError> {
        let (mut present, mut unsized_) = (Self::default(), Vec::new());
        for (directory, path) in [
            (
                folder.new_dir(),
                FolderPath::in_new as fn(&FolderPath, &[u8]) -> PathBuf,
            ),
            (folder.cur(), FolderPath::in_cur),
        ] {
            list_quiet(disk, &directory, |octets| {
                if let Ok(name) = Name::parse(octets) {
                    let path = path(folder, octets);
                    match name.size() {
                        Some(size) => present.by_size.entry(size).or_default().push(path),
                        None => unsized_.push(path),
                    }
                }
            })
            .await?;
        }
        for paths in unsized_.chunks(BATCH) {
            let stats = paths.iter().cloned().map(Op::Stat).collect();
            for (path, stat) in paths.iter().zip(disk.run(stats).await) {
                if let Ok(Reply::Meta(meta)) = stat {
                    present
                        .by_size
                        .entry(meta.length)
                        .or_default()
                        .push(path.clone());
                }
            }
        }
        // A directory that changed while it was read is shown twice.
        for paths in present.by_size.values_mut() {
            paths.sort();
            paths.dedup();
        }
        present.sizes = present.by_size.keys().copied().collect();
        Ok(present)
    }

    /// Whether a message is there; it stands for no other then.
    pub(super) async fn take(&mut self, disk: &Disk, content: &Content) -> bool {
        let size = content.sizes().file;
        for path in self.by_size.remove(&size).unwrap_or_default() {
            // One that cannot be read is not the same as any.
            if let Ok(digest) = digest_of(disk, &path).await {
                self.by_content
                    .entry((size, digest))
                    .or_default()
                    .push(path);
            }
        }
        if !self.sizes.contains(&size) {
            return false;
        }
        let Some(paths) = (match digest(disk, content).await {
            Ok(digest) => self.by_content.get_mut(&(size, digest)),
            Err(_) => None,
        }) else {
            return false;
        };
        for at in 0..paths.len() {
            if let Some(path) = paths.get(at)
                && is_same(disk, content, path).await.unwrap_or(false)
            {
                paths.swap_remove(at);
                return true;
            }
        }
        false
    }
}

/// A number by which equal contents meet (FNV-1a).
struct Digest(u64);

impl Digest {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, octets: &[u8]) {
        for &octet in octets {
            self.0 = (self.0 ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    async fn add_file(
        &mut self,
        disk: &Disk,
        path: &Path,
        range: Range<u64>,
    ) -> Result<(), DiskError> {
        let mut at = range.start;
        while at < range.end {
            let octets = disk.read(path, at..range.end.min(at + CHUNK)).await?;
            if octets.is_empty() {
                break;
            }
            self.add(&octets);
            at += octets.len() as u64;
        }
        Ok(())
    }
}

async fn digest_of(disk: &Disk, path: &Path) -> Result<u64, DiskError> {
    let mut digest = Digest::new();
    digest.add_file(disk, path, 0..u64::MAX - CHUNK).await?;
    Ok(digest.0)
}

async fn digest(disk: &Disk, content: &Content) -> Result<u64, DiskError> {
    let mut digest = Digest::new();
    for piece in content.pieces() {
        match piece {
            Piece::Octets(octets) => digest.add(octets),
            Piece::File { path, range } => digest.add_file(disk, path, range.clone()).await?,
        }
    }
    Ok(digest.0)
}

async fn is_same(disk: &Disk, content: &Content, path: &Path) -> Result<bool, DiskError> {
    let mut at = 0;
    for piece in content.pieces() {
        match piece {
            Piece::Octets(octets) => {
                let end = at + octets.len() as u64;
                if disk.read(path, at..end).await? != **octets {
                    return Ok(false);
                }
                at = end;
            }
            Piece::File {
                path: source,
                range,
            } => {
                let mut start = range.start;
                while start < range.end {
                    let length = (range.end - start).min(CHUNK);
                    let theirs = disk.read(source, start..start + length).await?;
                    if theirs.len() as u64 != length
                        || theirs != disk.read(path, at..at + length).await?
                    {
                        return Ok(false);
                    }
                    start += length;
                    at += length;
                }
            }
        }
    }
    Ok(true)
}

/// Octets that are read at once.
pub(super) const CHUNK: u64 = 1 << 20;
