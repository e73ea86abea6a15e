//! Directories: made, removed, listed.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use courier_core::disk::Listing;
use rustix::fs::{Mode, RawDir};
use rustix::io::Errno;

use super::open;

/// Makes a directory with exactly these permission bits, whatever the umask; setgid
/// that comes from the parent stays.
pub(super) fn make(path: &Path, mode: u32) -> io::Result<()> {
    fs::DirBuilder::new().mode(mode).create(path)?;
    let directory = open::directory(path)?;
    let found = directory.metadata()?.mode() & open::PERMISSIONS;
    let wanted = mode | (found & SETGID);
    if found != wanted {
        rustix::fs::fchmod(&directory, Mode::from_raw_mode(wanted))?;
    }
    Ok(())
}

/// Removes an empty directory.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_dir(path).map_err(|error| match Errno::from_io_error(&error) {
        // POSIX lets a file system say either.
        Some(Errno::EXIST) => Errno::NOTEMPTY.into(),
        _ => open::not_a_directory(path, error),
    })
}

/// The names in a directory, as many a system call as fit into the buffer.
pub(super) fn list(path: &Path) -> io::Result<Listing> {
    let directory = open::directory(path)?;
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut entries = RawDir::new(directory, buffer.spare_capacity_mut());
    let mut listing = Listing::default();
    while let Some(entry) = entries.next() {
        match entry {
            Ok(entry) => match entry.file_name().to_bytes() {
                b"." | b".." => {}
                name => listing.push(name, open::kind(entry.file_type())),
            },
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(listing)
}

const SETGID: u32 = 0o2000;
/// Octets of directory entries read at a time: a thousand names or so.
const BUFFER: usize = 64 * 1024;
