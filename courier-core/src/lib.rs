//! The words every Courier engine speaks.
//!
//! Nothing in this crate touches the world: no files, sockets, processes, threads,
//! clocks or random sources. Time, randomness and answers come in as arguments.
#![forbid(unsafe_code)]

pub mod account;
pub mod address;
pub mod config;
pub mod disk;
pub mod envelope;
pub mod message;
pub mod mta;
pub mod task;
pub mod testing;
pub mod time;
pub mod token;
