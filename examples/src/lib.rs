//! Small programs, each of which embeds one of the Courier crates. They print what
//! happens, check that it is right, and are tests of `cargo test` as well.
//!
//! ```sh
//! cargo run -p courier-examples --example smtp_in_memory
//! ```
//!
//! | example | embeds | shows |
//! | --- | --- | --- |
//! | `server_in_a_test` | `courier-cli` | a whole mail server inside somebody's `#[test]`, in three lines |
//! | `smtp_in_memory` | `courier-smtp` | mail for a map of mailboxes: a session whose socket is a `Vec` |
//! | `pop3_in_memory` | `courier-pop3` | a list of things to do as a mailbox: a deleted message is a thing done |
//! | `imap_in_memory` | `courier-imap` | a table as a mailbox, with FETCH and SEARCH |
//! | `maildir_delivery` | `courier-maildir` | a delivery with the plug pulled at every step, and then on a real disk |
//! | `scan_a_message` | `courier-core` | what a MIME message is made of, without a copy of it |
