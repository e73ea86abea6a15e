//! The Courier programs: drivers that touch the world, the services that wire the
//! engines to sockets and files, and what each program does.
//!
//! The engines themselves are the other crates of this workspace and know nothing
//! of sockets and files; this one answers their questions.
#![deny(unsafe_code)]

pub mod accounts;
pub mod check;
pub mod clock;
pub mod command;
pub mod delivery;
pub mod demo;
pub mod disk;
pub mod failure;
pub mod init;
pub mod layout;
pub mod log;
pub mod memory;
pub mod message_file;
pub mod net;
pub mod notify;
pub mod pool;
pub mod program;
pub mod random;
pub mod root;
pub mod routing;
pub mod server;
pub mod service;
pub mod spool;
pub mod throwaway;
