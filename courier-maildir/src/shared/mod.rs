//! Folders of others, by both mechanisms of Courier.
//!
//! The older one has a [table] of maildirs in each maildir.

mod change;
pub mod table;

pub use change::{TableChangeError, add, remove};
