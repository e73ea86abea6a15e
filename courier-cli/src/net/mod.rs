//! Sockets, TLS and the limits on connections: the network as the services see it.

pub mod admission;
pub mod certificate;
pub mod connection;
pub mod inherited;
pub mod listener;
pub mod tls;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use courier_core::time::Millis;

/// The process's monotonic clock, as the machines count it.
#[must_use]
pub fn now() -> Millis {
    let elapsed = origin().elapsed();
    Millis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

/// The instant at which a deadline of a machine falls due.
#[must_use]
pub fn instant(deadline: Millis) -> tokio::time::Instant {
    let far = Duration::from_secs(86_400 * 365);
    let at = Duration::from_millis(deadline.0).min(origin().elapsed() + far);
    tokio::time::Instant::from_std(origin() + at)
}

fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}
