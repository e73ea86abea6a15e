//! Writing whole: short writes are gone on with, interruptions forgotten.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;

use courier_core::disk::Octets;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

/// Writes the pieces one after the other, from this offset on.
pub(super) fn write_at(file: &File, offset: u64, pieces: &[Octets]) -> io::Result<u64> {
    let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(pieces.len().min(GATHERED));
    let mut at = offset;
    for group in pieces.chunks(GATHERED) {
        slices.clear();
        slices.extend(group.iter().map(|piece| IoSlice::new(piece)));
        at = write_group(file, at, &mut slices)?;
    }
    Ok(at)
}

fn write_group(file: &File, mut at: u64, mut left: &mut [IoSlice<'_>]) -> io::Result<u64> {
    IoSlice::advance_slices(&mut left, 0); // leaves out what is empty
    while !left.is_empty() {
        match rustix::io::pwritev(file, left, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                at += written as u64;
                IoSlice::advance_slices(&mut left, written);
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(at)
}

/// Adds octets by one write to a file that was opened for appending. What stays
/// short is an error and is left: another may have appended behind it.
pub(super) fn append(file: &File, octets: &[u8]) -> io::Result<()> {
    loop {
        match rustix::io::write(file, octets) {
            Ok(written) if written == octets.len() => return Ok(()),
            Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Writes zeroes from the beginning, so that blocks are not only set aside but
/// written: a later sync of data in them then has no metadata to write.
pub(super) fn write_zeroes(file: &File, length: u64) -> io::Result<()> {
    if length > 0 {
        set_aside(file, length)?;
    }
    let mut at = 0;
    while at < length {
        let chunk = usize::try_from(length - at).map_or(ZEROES.len(), |n| n.min(ZEROES.len()));
        file.write_all_at(ZEROES.get(..chunk).unwrap_or(&ZEROES), at)?;
        at += chunk as u64;
    }
    Ok(())
}

/// Has the file system find the blocks at once: they lie together, and a disk that
/// is too full says so before anything is written.
fn set_aside(file: &File, length: u64) -> io::Result<()> {
    loop {
        match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, length) {
            // Some file systems cannot; then the blocks come with the zeroes.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Pieces that go into one system call (`IOV_MAX`).
const GATHERED: usize = 1024;

static ZEROES: [u8; 256 * 1024] = [0; 256 * 1024];
