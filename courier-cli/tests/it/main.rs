//! The built programs, run as a user runs them: in throw-away roots, on free
//! loopback ports, against real clients where those are installed.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "these are tests, also where a function of theirs has no attribute"
)]

mod clients;
mod deliverquota;
mod demo;
mod filter_rules;
mod full_disk;
mod harness;
mod hostile;
mod idle;
mod imap_log;
mod import;
mod killed;
mod killed_accounts;
mod killed_deliverquota;
mod killed_imap;
mod lifecycle;
mod maildir_check;
mod maildiracl;
mod namesakes;
mod pop3;
mod quota;
mod received;
mod shared;
mod trash;
