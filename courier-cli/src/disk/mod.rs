//! Files: the real driver of [`courier_core::disk`] tasks.
//!
//! [`StdDisk`] carries a task out on the calling thread and waits for the system;
//! [`Disks`] is its front for async code and hands whole tasks to a bounded pool of
//! threads. Both may be used at the same time on the same files.

mod batch;
mod create;
mod directory;
mod error;
mod front;
mod kept;
mod lock;
mod open;
mod std_disk;
mod together;
mod write;

#[cfg(test)]
mod tests;

pub use front::Disks;
pub use std_disk::StdDisk;
