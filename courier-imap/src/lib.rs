//! IMAP server machine without I/O.
#![forbid(unsafe_code)]

pub mod grammar;
pub mod search;
pub mod view;
