//! IMAP server machine without I/O.
#![forbid(unsafe_code)]

pub mod envelope;
pub mod grammar;
pub mod search;
pub mod section;
pub mod session;
pub mod structure;
pub mod view;
