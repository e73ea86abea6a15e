//! The bodies of the fuzz targets: each is a function over arbitrary octets that
//! panics when a property does not hold.
//!
//! `cargo test -p courier-fuzz` runs all of them on stable over their corpus
//! (`fuzz/corpus/NAME`) and over seeded random inputs; `cargo +nightly fuzz run
//! NAME` searches for more.

pub mod access;
pub mod address;
pub mod config;
pub mod filter_rules;
pub mod folder_index;
pub mod header_list;
pub mod imap;
pub mod imap_session;
pub mod journal;
pub mod maildir_name;
pub mod maildirsize;
pub mod mbox;
pub mod mime;
pub mod pop3;
pub mod replay;
pub mod smtp;
pub mod uid_list;

/// A target: its name, which is also that of its corpus, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 16] = [
    ("access", access::run),
    ("address", address::run),
    ("config", config::run),
    ("filter_rules", filter_rules::run),
    ("folder_index", folder_index::run),
    ("header_list", header_list::run),
    ("imap", imap::run),
    ("imap_session", imap_session::run),
    ("journal", journal::run),
    ("maildir_name", maildir_name::run),
    ("maildirsize", maildirsize::run),
    ("mbox", mbox::run),
    ("mime", mime::run),
    ("pop3", pop3::run),
    ("smtp", smtp::run),
    ("uid_list", uid_list::run),
];
