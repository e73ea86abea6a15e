//! How a program fails: one line, and an exit status of `sysexits.h`.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use courier_core::disk::DiskErrorKind;

/// An exit status (`sysexits.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// 1: what was to be found out is not so.
    No,
    /// 64: wrong arguments (`EX_USAGE`).
    Usage,
    /// 65: wrong input (`EX_DATAERR`).
    Data,
    /// 67: no such user (`EX_NOUSER`).
    NoUser,
    /// 70: a fault of the program (`EX_SOFTWARE`).
    Software,
    /// 73: something cannot be made (`EX_CANTCREAT`).
    CannotCreate,
    /// 74: reading or writing failed (`EX_IOERR`).
    Io,
    /// 75: try again later (`EX_TEMPFAIL`).
    TryLater,
    /// 77: not permitted (`EX_NOPERM`).
    Permission,
    /// 78: a mistake in the configuration (`EX_CONFIG`).
    Configuration,
}

impl Status {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::No => 1,
            Self::Usage => 64,
            Self::Data => 65,
            Self::NoUser => 67,
            Self::Software => 70,
            Self::CannotCreate => 73,
            Self::Io => 74,
            Self::TryLater => 75,
            Self::Permission => 77,
            Self::Configuration => 78,
        }
    }

    /// The status for what the system said, where nothing closer is known.
    #[must_use]
    pub fn of(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                Self::Permission
            }
            std::io::ErrorKind::AlreadyExists
            | std::io::ErrorKind::NotFound
            | std::io::ErrorKind::NotADirectory => Self::CannotCreate,
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::TryLater,
            _ => Self::Io,
        }
    }

    /// The status for what a disk said, where nothing closer is known.
    #[must_use]
    pub fn of_disk(kind: DiskErrorKind) -> Self {
        match kind {
            DiskErrorKind::Permission => Self::Permission,
            DiskErrorKind::NotFound | DiskErrorKind::NotADirectory | DiskErrorKind::Exists => {
                Self::CannotCreate
            }
            DiskErrorKind::NoSpace
            | DiskErrorKind::Quota
            | DiskErrorKind::TooManyFiles
            | DiskErrorKind::Busy => Self::TryLater,
            _ => Self::Io,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.code())
    }
}

/// Why a program ends without success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its exit status.
    pub status: Status,
    /// What failed and where; it is printed on one line after the program's name.
    pub message: String,
}

impl Failure {
    /// A failure with this message.
    #[must_use]
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// A failure for this error and what caused it.
    #[must_use]
    pub fn of(status: Status, error: &(dyn Error + 'static)) -> Self {
        Self::new(status, chain(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, line) in self.message.lines().enumerate() {
            let blank = if number == 0 { "" } else { " " };
            write!(f, "{blank}{}", line.trim())?;
        }
        Ok(())
    }
}

impl Error for Failure {}

/// An error and its causes, on one line.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let texts: Vec<_> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line() {
        let failure = Failure::new(Status::Usage, "what\n  and where\n");
        assert_eq!(failure.to_string(), "what and where");
    }
}
