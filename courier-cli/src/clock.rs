//! The wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use courier_core::time::{Timestamp, UnixSeconds};

/// The time, with the resolution of a file system.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: since.subsec_nanos(),
    }
}

/// The time in whole seconds.
#[must_use]
pub fn unix_now() -> UnixSeconds {
    UnixSeconds(now().seconds)
}
