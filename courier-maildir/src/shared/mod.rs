//! Folders of others, by both mechanisms of Courier.
//!
//! The older one has a [table] of maildirs in each maildir.

pub mod table;
