//! New files: whole under their name, or not there at all.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use courier_core::disk::{Durability, Meta, Octets, Piece};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{open, write};

/// [`Op::Create`].
///
/// [`Op::Create`]: courier_core::disk::Op::Create
pub(super) fn create(
    path: &Path,
    content: &[Piece],
    mode: u32,
    durability: Durability,
) -> io::Result<Meta> {
    write_new(path, content, mode, durability).map(|(_, meta)| meta)
}

/// As [`create`], and gives the file as well.
pub(super) fn write_new(
    path: &Path,
    content: &[Piece],
    mode: u32,
    durability: Durability,
) -> io::Result<(File, Meta)> {
    make(path, mode, durability, |file| fill(file, content))
}

/// [`Op::Allocate`].
///
/// [`Op::Allocate`]: courier_core::disk::Op::Allocate
pub(super) fn allocate(path: &Path, length: u64, mode: u32) -> io::Result<Meta> {
    make(path, mode, Durability::Synced, |file| {
        write::write_zeroes(file, length)
    })
    .map(|(_, meta)| meta)
}

/// Makes a file, has it filled, and takes it away again if anything fails.
fn make(
    path: &Path,
    mode: u32,
    durability: Durability,
    fill: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<(File, Meta)> {
    let file = open::new(path, mode)?;
    match fill(&file).and_then(|()| settle(&file, mode, durability)) {
        Ok(meta) => Ok((file, meta)),
        Err(error) => {
            fs::remove_file(path).ok();
            Err(error)
        }
    }
}

/// Gives the file the permissions that were asked for, whatever the process's umask
/// took from them, and syncs it if it must be durable.
fn settle(file: &File, mode: u32, durability: Durability) -> io::Result<Meta> {
    let mut facts = file.metadata()?;
    if facts.mode() & open::PERMISSIONS != mode & open::PERMISSIONS {
        rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
        facts = file.metadata()?;
        if durability == Durability::Synced {
            file.sync_all()?;
        }
    } else if durability == Durability::Synced {
        file.sync_data()?;
    }
    Ok(open::meta(&facts))
}

/// Writes the pieces; those in memory that follow each other are gathered.
fn fill(file: &File, content: &[Piece]) -> io::Result<()> {
    let mut at = 0;
    let mut gathered: Vec<Octets> = Vec::new();
    for piece in content {
        match piece {
            Piece::Octets(octets) => gathered.push(Octets::clone(octets)),
            Piece::File { path, range } => {
                at = write::write_at(file, at, &gathered)?;
                gathered.clear();
                let (source, facts) = open::regular(path, OFlags::RDONLY)?;
                if facts.len() < range.end && !range.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                at = copy(&source, range.clone(), file, at)?;
            }
        }
    }
    write::write_at(file, at, &gathered)?;
    Ok(())
}

/// Copies a range of one file into another and says where it ends there.
fn copy(source: &File, range: Range<u64>, target: &File, at: u64) -> io::Result<u64> {
    let (mut from, mut to) = (range.start, at);
    while from < range.end {
        let left = usize::try_from(range.end - from).unwrap_or(usize::MAX);
        let (mut in_at, mut out_at) = (from, to);
        let copied = rustix::fs::copy_file_range(
            source,
            Some(&mut in_at),
            target,
            Some(&mut out_at),
            left.min(COPIED_AT_ONCE),
        );
        match copied {
            // Some file systems say 0 where they cannot; a real end shows below.
            Ok(0) => return copy_by_hand(source, from..range.end, target, to),
            Ok(copied) => {
                from += copied as u64;
                to += copied as u64;
            }
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => {
                return copy_by_hand(source, from..range.end, target, to);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(to)
}

fn copy_by_hand(source: &File, range: Range<u64>, target: &File, at: u64) -> io::Result<u64> {
    let (mut from, mut to) = (range.start, at);
    let mut buffer = vec![0; CHUNK];
    while from < range.end {
        let left = usize::try_from(range.end - from).unwrap_or(usize::MAX);
        let chunk = buffer.get_mut(..left.min(CHUNK)).unwrap_or_default();
        source.read_exact_at(chunk, from)?;
        target.write_all_at(chunk, to)?;
        from += chunk.len() as u64;
        to += chunk.len() as u64;
    }
    Ok(to)
}

/// Octets that one `copy_file_range` is asked for, so that it can be interrupted.
const COPIED_AT_ONCE: usize = 64 * 1024 * 1024;
/// Octets copied at a time where the system does not copy.
const CHUNK: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copying_by_hand_copies_the_range_and_misses_nothing_silently() {
        let folder = tempfile::tempdir().unwrap();
        let text: Vec<u8> = (0..300_000_u32)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        fs::write(folder.path().join("from"), &text).unwrap();
        let source = File::open(folder.path().join("from")).unwrap();
        let target = File::create(folder.path().join("to")).unwrap();
        let range = 1_000..299_000;
        for by_hand in [true, false] {
            let copy = if by_hand { copy_by_hand } else { copy };
            assert_eq!(copy(&source, range.clone(), &target, 10).unwrap(), 298_010);
            let copied = fs::read(folder.path().join("to")).unwrap();
            assert_eq!(copied[10..], text[1_000..299_000]);
            let beyond = copy(&source, 299_999..300_001, &target, 0).unwrap_err();
            assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
