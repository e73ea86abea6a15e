//! A host in memory, for tests, benchmarks and fuzzers: mailboxes that several sessions
//! share, and clients' connections to them.

mod connection;
mod mailboxes;
mod selected;

pub use connection::Connection;
pub use mailboxes::{Mailboxes, PASSWORD};
