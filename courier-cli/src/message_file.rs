//! Message files as content for the protocol machines.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use courier_core::message::wire::Content;
use memmap2::Mmap;
use rustix::fs::OFlags;

/// Opens a message: a short one is read, a long one mapped. Links, FIFOs and the like
/// are not opened, and do not block.
///
/// A mapped file costs no memory of ours. Should another program cut it while it is
/// being sent, against all custom of maildirs, the process would be killed; so only
/// long ones are mapped, which would otherwise fill the memory.
///
/// # Errors
/// What the system says; [`io::ErrorKind::InvalidInput`] for what is no regular file.
pub fn open(path: &Path) -> io::Result<Content> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = File::options();
    let options = options
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
    let file = options.open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    if meta.len() > MAPPED {
        return Ok(Arc::new(map(&file)?));
    }
    let mut octets = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1);
    file.take(MAPPED + 1).read_to_end(&mut octets)?;
    Ok(Arc::new(octets))
}

#[expect(
    unsafe_code,
    reason = "mapping is unsafe: see open, which says what is risked"
)]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: files in maildirs are not changed once they have a name there.
    unsafe { Mmap::map(file) }
}

/// Messages longer than this are mapped.
const MAPPED: u64 = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn text(content: &Content) -> &[u8] {
        (**content).as_ref()
    }

    #[test]
    fn short_and_long_messages_are_the_octets_of_their_files() {
        let folder = tempfile::tempdir().expect("a folder");
        for length in [0, 1, 131_072, 131_073, 1_000_000] {
            let path = folder.path().join(length.to_string());
            let octets: Vec<u8> = (0..length).map(|n: u32| n.to_le_bytes()[0]).collect();
            fs::write(&path, &octets).expect("written");
            assert!(
                text(&open(&path).expect("opened")) == octets.as_slice(),
                "{length}"
            );
        }
    }

    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "x").expect("written");
        std::os::unix::fs::symlink(&target, &link).expect("linked");
        let fifo = folder.path().join("fifo");
        let mode = rustix::fs::Mode::from_bits_truncate(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0)
            .expect("made");
        for path in [&link, &fifo, &folder.path().to_path_buf()] {
            assert!(open(path).is_err(), "{}", path.display());
        }
        let gone = open(&folder.path().join("gone"))
            .err()
            .map(|error| error.kind());
        assert_eq!(gone, Some(io::ErrorKind::NotFound));
    }
}
