//! Why the system refused, in the system's own words: what the namesakes print.

use std::fmt;

use courier_core::disk::{DiskError, DiskErrorKind};
use rustix::io::Errno;

/// What `strerror` says of an error.
pub(super) fn words(kind: DiskErrorKind) -> String {
    let errno = match kind {
        DiskErrorKind::NotFound => Errno::NOENT,
        DiskErrorKind::Exists => Errno::EXIST,
        DiskErrorKind::NoSpace => Errno::NOSPC,
        DiskErrorKind::Quota => Errno::DQUOT,
        DiskErrorKind::Io => Errno::IO,
        DiskErrorKind::TooManyFiles => Errno::MFILE,
        DiskErrorKind::Permission => Errno::ACCESS,
        DiskErrorKind::NotADirectory => Errno::NOTDIR,
        DiskErrorKind::IsADirectory => Errno::ISDIR,
        DiskErrorKind::NotEmpty => Errno::NOTEMPTY,
        DiskErrorKind::NotRegular => Errno::LOOP,
        DiskErrorKind::CrossDevice => Errno::XDEV,
        DiskErrorKind::Stale => Errno::STALE,
        DiskErrorKind::BadName => Errno::NAMETOOLONG,
        DiskErrorKind::Other(number) => Errno::from_raw_os_error(number),
        other => return other.to_string(),
    };
    let text = std::io::Error::from(errno).to_string();
    let end = text.rfind(" (os error").unwrap_or(text.len());
    text.get(..end).unwrap_or(&text).to_owned()
}

/// `WHAT: REASON`, for what was said on the command line.
pub(super) fn of(what: impl fmt::Display, error: &DiskError) -> String {
    format!("{what}: {}", words(error.kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_own_words() {
        assert_eq!(words(DiskErrorKind::NotFound), "No such file or directory");
        assert_eq!(words(DiskErrorKind::Exists), "File exists");
        assert_eq!(words(DiskErrorKind::Other(28)), "No space left on device");
    }
}
