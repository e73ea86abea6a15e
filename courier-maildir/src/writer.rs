//! Who works on a maildir, and when: what temporary names and locks are made of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use courier_core::time::{Millis, Timestamp};

use crate::name::{HostName, Maker, UniqueName};

/// The process that runs a task, and the time at which it does. Clones share one
/// count of names, so a process makes one and clones it, with the time set, for each
/// task.
#[derive(Debug, Clone)]
pub struct Writer {
    /// The wall-clock time, on the file system's clock.
    pub now: Timestamp,
    /// When the process started: a lock of its own id that is older was left by
    /// another life.
    pub started: Timestamp,
    /// Its process id.
    pub process: u32,
    /// Its host.
    pub host: HostName,
    /// Permission bits of the files it makes; its directories get the `x` that goes
    /// with each `r`.
    pub mode: u32,
    names: Arc<AtomicU64>,
}

impl Writer {
    /// A process that has made no name yet, at the moment of its start.
    #[must_use]
    pub fn new(started: Timestamp, process: u32, host: HostName, mode: u32) -> Self {
        Self {
            now: started,
            started,
            process,
            host,
            mode,
            names: Arc::default(),
        }
    }

    /// The same process at another time.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Self {
        Self {
            now,
            ..self.clone()
        }
    }

    /// A name that this process has not made before.
    #[must_use]
    pub fn unique_name(&self) -> UniqueName {
        UniqueName {
            seconds: u64::try_from(self.now.seconds).unwrap_or_default(),
            micros: self.now.nanos / 1000,
            maker: Maker::Process {
                id: self.process,
                count: self.names.fetch_add(1, Ordering::Relaxed),
            },
            host: self.host.clone(),
        }
    }

    /// Permission bits of its directories.
    #[must_use]
    pub const fn directory_mode(&self) -> u32 {
        self.mode | ((self.mode & 0o444) >> 2)
    }

    /// Whether `time` lies at least so long ago, `waited` after the task began.
    pub(crate) fn is_past(&self, time: Timestamp, by: Millis, waited: Millis) -> bool {
        since(time, self.now).is_some_and(|age| age + waited >= by)
    }
}

/// The time between two moments; nothing if they are the other way round.
fn since(earlier: Timestamp, later: Timestamp) -> Option<Millis> {
    let millis =
        |time: Timestamp| i128::from(time.seconds) * 1000 + i128::from(time.nanos / 1_000_000);
    u64::try_from(millis(later) - millis(earlier))
        .ok()
        .map(Millis)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use courier_core::testing::MemDisk;
    use std::sync::OnceLock;

    /// The process of most tests. It goes on with its names from one call to the next.
    pub(crate) fn writer(now: Timestamp) -> Writer {
        static PROCESS: OnceLock<Writer> = OnceLock::new();
        let started = MemDisk::new().now();
        PROCESS
            .get_or_init(|| Writer::new(started, 100, HostName::new("mx"), 0o600))
            .at(now)
    }

    #[test]
    fn clones_never_make_the_same_name() {
        let start = Timestamp {
            seconds: 5,
            nanos: 7_000,
        };
        let first = Writer::new(start, 100, HostName::new("mx"), 0o600);
        let second = first.at(first.now);
        let names = [
            first.unique_name(),
            second.unique_name(),
            first.unique_name(),
        ];
        assert_eq!(names[0].to_string(), "5.M000007P100Q0.mx");
        assert_eq!(names[1].to_string(), "5.M000007P100Q1.mx");
        assert_eq!(names[2].to_string(), "5.M000007P100Q2.mx");
    }

    #[test]
    fn ages_are_those_of_the_clock_that_was_given() {
        let writer = writer(Timestamp {
            seconds: 100,
            nanos: 0,
        });
        let past = |seconds, by| {
            let time = Timestamp { seconds, nanos: 0 };
            writer.is_past(time, Millis::from_secs(by), Millis::from_secs(5))
        };
        assert!(past(95, 10));
        assert!(!past(95, 11));
        assert!(!past(101, 0), "what lies ahead is not past");
        assert_eq!(writer.directory_mode(), 0o700);
    }
}
