//! Models of the world and harnesses, for the tests of every crate.

mod everywhere;
mod fault_disk;
mod mem_disk;
pub mod suite;
#[expect(
    clippy::expect_used,
    reason = "a transcript that cannot be read is a fault of the test"
)]
pub mod transcript;

pub use everywhere::{Promises, crash_everywhere, fail_everywhere};
pub use fault_disk::{Fault, FaultDisk, Lasting};
pub use mem_disk::{BatchOrder, Counts, MemDisk};
