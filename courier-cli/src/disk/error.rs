//! What the system says, in the words of [`courier_core::disk`].

use std::io;

use courier_core::disk::DiskErrorKind;
use rustix::io::Errno;

/// Which of the errors that procedures tell apart this is.
pub(super) fn kind(error: &io::Error) -> DiskErrorKind {
    let Some(errno) = Errno::from_io_error(error) else {
        return match error.kind() {
            // std: a path with NUL in it.
            io::ErrorKind::InvalidInput => DiskErrorKind::BadName,
            io::ErrorKind::OutOfMemory => DiskErrorKind::Other(Errno::NOMEM.raw_os_error()),
            // `WriteZero` and `UnexpectedEof`: what should be whole is short.
            _ => DiskErrorKind::Io,
        };
    };
    match errno {
        Errno::NOENT => DiskErrorKind::NotFound,
        Errno::EXIST => DiskErrorKind::Exists,
        Errno::NOSPC => DiskErrorKind::NoSpace,
        Errno::DQUOT => DiskErrorKind::Quota,
        Errno::IO => DiskErrorKind::Io,
        Errno::MFILE | Errno::NFILE => DiskErrorKind::TooManyFiles,
        Errno::ACCESS | Errno::PERM | Errno::ROFS => DiskErrorKind::Permission,
        Errno::NOTDIR => DiskErrorKind::NotADirectory,
        Errno::ISDIR => DiskErrorKind::IsADirectory,
        Errno::NOTEMPTY => DiskErrorKind::NotEmpty,
        // ENXIO: a socket, or a FIFO that nobody reads, was to be opened.
        Errno::LOOP | Errno::NXIO => DiskErrorKind::NotRegular,
        Errno::XDEV => DiskErrorKind::CrossDevice,
        Errno::STALE => DiskErrorKind::Stale,
        Errno::NAMETOOLONG => DiskErrorKind::BadName,
        Errno::AGAIN => DiskErrorKind::Busy,
        other => DiskErrorKind::Other(other.raw_os_error()),
    }
}

/// A file that is not what it should be: `ELOOP`, as the system says of links.
pub(super) fn not_regular() -> io::Error {
    Errno::LOOP.into()
}
