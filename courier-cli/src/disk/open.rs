//! Opening what is really a file or a directory, and nothing else.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use courier_core::disk::{FileKind, Meta};
use courier_core::time::Timestamp;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::error::not_regular;

/// Opens a regular file. A link in the last component is not followed; FIFOs,
/// sockets and devices are refused, and opening one of them does not wait.
pub(super) fn regular(path: &Path, access: OFlags) -> io::Result<(File, Metadata)> {
    let file = open(path, access | OFlags::NONBLOCK, Mode::empty())?;
    let facts = file.metadata()?;
    if facts.is_file() {
        Ok((file, facts))
    } else if facts.is_dir() {
        Err(Errno::ISDIR.into())
    } else {
        Err(not_regular())
    }
}

/// Makes a regular file.
pub(super) fn new(path: &Path, mode: u32) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    open(path, flags, Mode::from_raw_mode(mode))
}

/// Opens a directory, not by a link.
pub(super) fn directory(path: &Path) -> io::Result<File> {
    open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
        .map_err(|error| not_a_directory(path, error))
}

fn open(path: &Path, flags: OFlags, mode: Mode) -> io::Result<File> {
    let always = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
    loop {
        match rustix::fs::openat(CWD, path, flags | always, mode) {
            Ok(descriptor) => return Ok(descriptor.into()),
            Err(Errno::INTR) => {}
            Err(Errno::INVAL) if has_nul(path) => return Err(io::ErrorKind::InvalidInput.into()),
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn has_nul(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().contains(&0)
}

/// The system says `ENOTDIR` of a link as well; a procedure wants to know that
/// something is there which must not be followed.
pub(super) fn not_a_directory(path: &Path, error: io::Error) -> io::Error {
    let is_link = || fs::symlink_metadata(path).is_ok_and(|facts| facts.is_symlink());
    if Errno::from_io_error(&error) == Some(Errno::NOTDIR) && is_link() {
        return not_regular();
    }
    error
}

/// Which file this is, whatever its names are.
pub(super) fn identity(facts: &Metadata) -> (u64, u64) {
    (facts.dev(), facts.ino())
}

/// The same facts in the words of [`courier_core::disk`].
pub(super) fn meta(facts: &Metadata) -> Meta {
    Meta {
        kind: kind(FileType::from_raw_mode(facts.mode())),
        length: facts.len(),
        mode: facts.mode() & PERMISSIONS,
        links: facts.nlink(),
        inode: facts.ino(),
        device: facts.dev(),
        uid: facts.uid(),
        gid: facts.gid(),
        modified: timestamp(facts.mtime(), facts.mtime_nsec()),
        changed: timestamp(facts.ctime(), facts.ctime_nsec()),
    }
}

pub(super) fn kind(file_type: FileType) -> FileKind {
    match file_type {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Link,
        FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice => {
            FileKind::Other
        }
        FileType::Unknown => FileKind::Unknown,
    }
}

fn timestamp(seconds: i64, nanos: i64) -> Timestamp {
    Timestamp {
        seconds,
        nanos: u32::try_from(nanos).unwrap_or(0),
    }
}

/// Permission bits of a mode, with setuid, setgid and sticky.
pub(super) const PERMISSIONS: u32 = 0o7777;
