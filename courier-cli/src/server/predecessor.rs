//! The server that ran before this one, and may still be ending.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::layout::Layout;

/// A server of the same root that was started before, and may still be ending.
#[derive(Debug)]
pub(super) struct Predecessor {
    /// The lock of the journal, which holds its process number.
    lock: PathBuf,
    patience: Duration,
}

impl Predecessor {
    pub(super) fn of(layout: &Layout, patience: Duration) -> Self {
        Self {
            lock: layout.spool.join("journal/lock"),
            patience,
        }
    }

    /// Binds a socket; while it is in use and a server of this root runs, tries again
    /// (reliability.md 1.5).
    pub(super) fn outlast<T>(&self, bind: impl Fn() -> io::Result<T>) -> io::Result<T> {
        let begun = Instant::now();
        loop {
            let error = match bind() {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => error,
                bound => return bound,
            };
            let Some(process) = self.process() else {
                return Err(error);
            };
            if begun.elapsed() >= self.patience {
                let text = format!("{error}; process {process} serves this root: stop it first");
                return Err(io::Error::new(error.kind(), text));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The process that holds the lock, if one does.
    fn process(&self) -> Option<String> {
        let mut file = File::open(&self.lock).ok()?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(Errno::WOULDBLOCK) => {}
            _ => return None,
        }
        let mut text = String::new();
        (&mut file).take(16).read_to_string(&mut text).ok()?;
        Some(text.trim().to_owned())
    }
}

/// Between two attempts to get a socket.
const PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn in_use() -> io::Error {
        io::ErrorKind::AddrInUse.into()
    }

    fn predecessor(lock: PathBuf) -> Predecessor {
        Predecessor {
            lock,
            patience: Duration::from_secs(30),
        }
    }

    #[test]
    fn sockets_of_a_server_that_ends_are_waited_for_and_others_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let lock = folder.path().join("lock");
        let predecessor = predecessor(lock.clone());
        let attempts = Cell::new(0);
        let bind = || {
            attempts.set(attempts.get() + 1);
            if attempts.get() < 3 {
                Err(in_use())
            } else {
                Ok(())
            }
        };
        // Nobody serves this root: the socket is somebody else's.
        assert!(predecessor.outlast(bind).is_err());
        std::fs::write(&lock, "42             \n").expect("written");
        assert!(predecessor.outlast(bind).is_err());
        attempts.set(0);
        let held = File::open(&lock).expect("opened");
        rustix::fs::flock(&held, FlockOperation::LockExclusive).expect("locked");
        predecessor.outlast(bind).expect("bound in the end");
        let impatient = Predecessor {
            lock,
            patience: Duration::ZERO,
        };
        let error = impatient
            .outlast(|| Err::<(), _>(in_use()))
            .expect_err("refused");
        assert!(
            error
                .to_string()
                .ends_with("process 42 serves this root: stop it first")
        );
    }
}
