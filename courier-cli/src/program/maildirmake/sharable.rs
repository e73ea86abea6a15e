//! `--add` and `--del`: the table of sharable maildirs.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use courier_core::disk;
use courier_maildir::lock::LockError;
use courier_maildir::shared::table::{FILE, Table, TableError};
use courier_maildir::shared::{self, TableChangeError};

use super::super::{reason, writer};
use super::Refusal;
use crate::disk::StdDisk;
use crate::failure::chain;
use crate::layout::Layout;

/// Enters a sharable maildir; the name may be in neither the system's table nor this
/// maildir's.
pub(super) fn add(name: &OsStr, path: &Path, maildir: &Path) -> Result<(), Refusal> {
    let shown = name.to_string_lossy().into_owned();
    if shown.contains(['.', '/']) {
        return Err(Refusal::Failed(format!("{shown}: invalid name")));
    }
    if let Err(error) = File::open(path) {
        let error = chain(&error);
        let end = error.rfind(" (os error").unwrap_or(error.len());
        let text = error.get(..end).unwrap_or(&error);
        return Err(Refusal::Failed(format!("{}: {text}", path.display())));
    }
    let defined = || Refusal::Defined(format!("{shown}: already defined as a sharable maildir."));
    // Without it nobody shares anything with everybody.
    let system = fs::read(Layout::choose(None).etc().join(SYSTEM)).unwrap_or_default();
    if Table::parse(&system).find(name.as_bytes()).is_some() {
        return Err(defined());
    }
    let (place, entry, path) = (maildir.to_owned(), name.to_owned(), path.to_owned());
    let mut writer = writer(0o666);
    if let Ok(facts) = fs::symlink_metadata(maildir.join(FILE)) {
        writer.mode = facts.mode() & 0o777; // the namesake adds to the file as it is
    }
    let added = StdDisk::new(1).run(disk::task(|disk| async move {
        shared::add(&disk, &place, entry.as_bytes(), &path, &writer).await
    }));
    added.map_err(|error| match error {
        TableChangeError::Table(TableError::Exists) => defined(),
        TableChangeError::Table(TableError::Name) => {
            Refusal::Failed(format!("{shown}: invalid name"))
        }
        error => refused(maildir, &error),
    })
}

/// Removes a sharable maildir.
pub(super) fn delete(name: &OsStr, maildir: &Path) -> Result<(), Refusal> {
    let (place, entry) = (maildir.to_owned(), name.to_owned());
    let writer = writer(0o644);
    let removed = StdDisk::new(1).run(disk::task(|disk| async move {
        shared::remove(&disk, &place, entry.as_bytes(), &writer).await
    }));
    removed.map_err(|error| match error {
        TableChangeError::NotFound => {
            Refusal::Failed(format!("{}: not found.", name.to_string_lossy()))
        }
        error => refused(maildir, &error),
    })
}

fn refused(maildir: &Path, error: &TableChangeError) -> Refusal {
    let disk = match error {
        TableChangeError::Disk(error) => Some(error),
        TableChangeError::Lock(LockError::Disk(error)) => Some(error),
        _ => None,
    };
    Refusal::Failed(match disk {
        Some(error) => reason::of(maildir.display(), error),
        None => format!("{}: {error}", maildir.display()),
    })
}

/// The table of sharable maildirs for everybody.
const SYSTEM: &str = "maildirshared";
