//! Folders of others, by both mechanisms of Courier (maildir.md §11).
//!
//! The older one has a [table] of maildirs in each maildir, and [mirrors](mirror) of
//! the folders that a user subscribed to. The newer one has an
//! [index] of all accounts, and access lists decide who sees what: [find] and [list].

mod browse;
mod change;
pub mod index;
pub mod mirror;
pub mod table;

pub use browse::{DEPTH_LIMIT, Found, LIMIT, Shared, SharedError, VENDOR, Visible, find, list};
pub use change::{TableChangeError, add, remove};
