//! Putting a new set of index files in place of the old one (`sharedindexinstall`).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, DiskErrorKind, FileKind, Op, Outcome};

use crate::folder::is_missing;

/// What an installation came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installed {
    /// What stood in the way and could not be removed.
    pub kept: Vec<DiskError>,
}

/// Why a set of files was not installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// There is no new file.
    #[error("{} is empty!", _0.display())]
    Empty(PathBuf),
    /// There is no directory for them.
    #[error("{} does not exist!", _0.display())]
    Missing(PathBuf),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Moves all files from one directory to another and removes those that the new set
/// does not have, durably. Hidden files stay where they are. A reader finds every file
/// of the new set before one of the old is missing.
///
/// # Errors
/// When there is nothing to install, or the disk refuses; some files may have been
/// moved then, and the set must be made anew.
pub async fn install(disk: &Disk, from: &Path, to: &Path) -> Result<Installed, InstallError> {
    let fresh = names(disk, from).await?;
    if fresh.is_empty() {
        return Err(InstallError::Empty(from.to_path_buf()));
    }
    let old = match names(disk, to).await {
        Ok(old) if old.is_empty() && disk.stat(to).await.is_err() => {
            return Err(InstallError::Missing(to.to_path_buf()));
        }
        old => old?,
    };
    let path = |directory: &Path, name: &Vec<u8>| directory.join(OsStr::from_bytes(name));
    let regular = fresh.iter().filter(|(_, kind)| *kind == FileKind::File);
    let syncs = regular.map(|(name, _)| Op::Sync(path(from, name)));
    first_error(disk.run(syncs.collect()).await)?;
    let renames = fresh.iter().map(|(name, _)| Op::Rename {
        from: path(from, name),
        to: path(to, name),
    });
    first_error(disk.run(renames.collect()).await)?;
    disk.one(Op::SyncDir(to.to_path_buf())).await?;
    let fresh: BTreeSet<_> = fresh.iter().map(|(name, _)| name).collect();
    let stale = old.iter().filter(|(name, _)| !fresh.contains(name));
    let unlinks = stale.map(|(name, _)| Op::Unlink(path(to, name)));
    let removed = disk.run(unlinks.collect()).await;
    for directory in [to, from] {
        disk.one(Op::SyncDir(directory.to_path_buf())).await?;
    }
    let kept = removed.into_iter().filter_map(Result::err);
    let kept = kept.filter(|error| error.kind != DiskErrorKind::NotFound);
    Ok(Installed {
        kept: kept.collect(),
    })
}

/// What is in a directory and not hidden.
async fn names(disk: &Disk, directory: &Path) -> Result<Vec<(Vec<u8>, FileKind)>, DiskError> {
    match disk.list(directory).await {
        Ok(listing) => {
            let shown = listing.iter().filter(|(name, _)| !name.starts_with(b"."));
            let mut names: Vec<_> = shown.map(|(name, kind)| (name.to_vec(), kind)).collect();
            names.sort_by(|one, other| one.0.cmp(&other.0));
            Ok(names)
        }
        Err(error) if is_missing(error.kind) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn first_error(outcomes: Vec<Outcome>) -> Result<(), DiskError> {
    match outcomes.into_iter().find_map(Result::err) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use courier_core::disk;
    use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};

    fn installing(promises: Promises<()>) -> disk::DiskTask<'static, Result<(), InstallError>> {
        disk::task(|disk| async move {
            install(&disk, Path::new("/t"), Path::new("/s")).await?;
            promises.make(());
            Ok(())
        })
    }

    fn start() -> MemDisk {
        let mut disk = MemDisk::new();
        disk.plant_file("/t/index", b"new");
        disk.plant_file("/t/indexa", b"a");
        disk.plant_file("/t/.hidden", b"x");
        disk.plant_file("/s/index", b"old");
        disk.plant_file("/s/indexb", b"b");
        disk.plant_file("/s/.kept", b"x");
        disk
    }

    #[test]
    fn a_new_set_takes_the_place_of_the_old_one() {
        let check = |disk: &mut MemDisk, promised: bool| {
            let there = |name: &str| disk.contents(format!("/s/{name}"));
            let index = there("index").expect("never gone");
            let done = index == b"new"
                && there("indexa").as_deref() == Some(b"a".as_ref())
                && there("indexb").is_none();
            assert!(index == b"new" || index == b"old", "{}", disk.show());
            assert!(done || !promised, "{}", disk.show());
            let all_moved = there("indexa").is_some() && index == b"new";
            assert!(all_moved || there("indexb").is_some(), "{}", disk.show());
            assert!(there(".kept").is_some() && disk.contents("/t/.hidden").is_some());
        };
        crash_everywhere(&start(), installing, |disk, promises| {
            check(disk, !promises.is_empty());
        });
        fail_everywhere(&start(), installing, |disk, given, _| {
            let whole = given.is_ok() && disk.contents("/s/indexb").is_none();
            check(disk, whole);
        });
    }

    #[test]
    fn without_a_new_set_or_a_place_nothing_changes() {
        let mut disk = MemDisk::new();
        let empty = Err(InstallError::Empty("/t".into()));
        assert_eq!(disk.run(installing(Promises::new())), empty);
        disk.plant_file("/t/.hidden", b"x");
        disk.plant_file("/s/index", b"old");
        assert_eq!(disk.run(installing(Promises::new())), empty);
        let mut disk = MemDisk::new();
        disk.plant_file("/t/index", b"x");
        let missing = Err(InstallError::Missing("/s".into()));
        assert_eq!(disk.run(installing(Promises::new())), missing);
        assert!(disk.contents("/t/index").is_some());
    }

    #[test]
    fn a_directory_among_the_old_files_is_told() {
        let mut disk = start();
        disk.plant_directory("/s/sub");
        let task =
            disk::task(
                |disk| async move { install(&disk, Path::new("/t"), Path::new("/s")).await },
            );
        let installed = disk.run(task).expect("installed");
        assert_eq!(installed.kept.len(), 1);
        assert_eq!(disk.names("/s"), [".kept", "index", "indexa", "sub"]);
    }
}
