//! The bodies of the fuzz targets: each is a function over arbitrary octets that
//! panics when a property does not hold. `cargo test` runs them over the corpus
//! and seeded random inputs on stable; `cargo fuzz` runs them on nightly.

pub mod address;
pub mod config;
pub mod header_list;
pub mod imap;
pub mod imap_session;
pub mod journal;
pub mod maildir_name;
pub mod mime;
pub mod pop3;
pub mod smtp;
pub mod uid_list;
