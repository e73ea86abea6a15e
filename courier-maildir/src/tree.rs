//! Clearing away what nobody needs any more: old files in `tmp`, buried folders.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, FileKind, Meta, Op, Reply};
use courier_core::time::Millis;

use crate::lock;
use crate::writer::Writer;

/// How long a file in `tmp` is left to its writer.
pub const TMP_AGE: Millis = Millis::from_mins(36 * 60);

/// Removes what has stood in a `tmp` directory for 36 hours, by the time of the last
/// change to its names, and gives the number of entries that went. For each login
/// and each opening of a folder.
///
/// # Errors
/// When the directory cannot be listed.
pub async fn purge_tmp(disk: &Disk, tmp: &Path, writer: &Writer) -> Result<usize, DiskError> {
    let mut paths = Vec::new();
    for (name, _) in disk.list(tmp).await?.iter() {
        // A lock that was left behind tells that the UID list may be half written.
        if !name.starts_with(b".") && name != lock::FILE.as_bytes() {
            paths.push(tmp.join(OsStr::from_bytes(name)));
        }
    }
    let mut removed = 0;
    for paths in paths.chunks(BATCH) {
        let stats = paths.iter().map(|path| Op::Stat(path.clone())).collect();
        let stats = disk.run(stats).await;
        let old = paths
            .iter()
            .zip(&stats)
            .filter_map(|(path, stat)| match stat {
                Ok(Reply::Meta(meta)) if writer.is_past(meta.changed, TMP_AGE, Millis(0)) => {
                    Some((path, meta))
                }
                _ => None,
            });
        let old: Vec<(&PathBuf, &Meta)> = old.collect();
        removed += old.len();
        let (trees, files): (Vec<_>, Vec<_>) = old
            .into_iter()
            .partition(|(_, meta)| meta.kind == FileKind::Directory);
        let unlinks = files.into_iter().map(|(path, _)| Op::Unlink(path.clone()));
        disk.run(unlinks.collect()).await;
        for (path, _) in trees {
            remove_tree(disk, path).await;
        }
    }
    Ok(removed)
}

/// Removes a directory with all that is in it, as far as the disk lets us.
pub(crate) async fn remove_tree(disk: &Disk, root: &Path) {
    // Directories in the order they were found: each stands before what is in it.
    let mut found = vec![root.to_path_buf()];
    let mut next = 0;
    while let Some(directory) = found.get(next).cloned() {
        next += 1;
        let Ok(listing) = disk.list(&directory).await else {
            continue;
        };
        let mut files = Vec::new();
        for (name, kind) in listing.iter() {
            let path = directory.join(OsStr::from_bytes(name));
            let is_directory = match kind {
                FileKind::Directory => true,
                FileKind::Unknown => {
                    let stat = disk.stat(&path).await;
                    stat.is_ok_and(|meta| meta.kind == FileKind::Directory)
                }
                _ => false,
            };
            if is_directory {
                found.push(path);
            } else {
                files.push(Op::Unlink(path));
            }
        }
        while !files.is_empty() {
            let rest = files.split_off(files.len().min(BATCH));
            disk.run(std::mem::replace(&mut files, rest)).await;
        }
    }
    for directory in found.into_iter().rev() {
        disk.one(Op::Rmdir(directory)).await.ok();
    }
}

/// Operations in one batch, so that a folder of any size needs bounded memory.
pub(crate) const BATCH: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::tests::writer;
    use courier_core::disk;
    use courier_core::testing::MemDisk;

    #[test]
    fn only_what_is_old_goes_and_with_all_that_is_in_it() {
        let mut disk = MemDisk::new();
        disk.plant_file("/m/tmp/old", b"");
        disk.plant_file("/m/tmp/.kept", b"");
        disk.plant_file("/m/tmp/buried/cur/1", b"");
        disk.plant_link("/m/tmp/buried/link", "/m");
        disk.advance(Millis::from_mins(36 * 60 - 1));
        disk.plant_file("/m/tmp/young", b"");
        let purge = |disk: &mut MemDisk| {
            let writer = writer(disk.now());
            let task =
                disk::task(
                    |disk| async move { purge_tmp(&disk, Path::new("/m/tmp"), &writer).await },
                );
            disk.run(task).expect("listed")
        };
        assert_eq!(purge(&mut disk), 0);
        disk.advance(Millis::from_mins(1));
        assert_eq!(purge(&mut disk), 2);
        assert_eq!(disk.names("/m/tmp"), [".kept", "young"]);
    }
}
