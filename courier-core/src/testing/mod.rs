//! Models of the world and harnesses, for the tests of every crate.

mod everywhere;
mod fault_disk;
mod mem_disk;
pub mod suite;
pub mod transcript;

pub use everywhere::{Promises, crash_everywhere, fail_everywhere};
pub use fault_disk::{Fault, FaultDisk, Lasting};
pub use mem_disk::{BatchOrder, Counts, MemDisk};
