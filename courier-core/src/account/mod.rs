//! Accounts: who they are, how they prove it, and how to ask for them.

#[expect(
    clippy::module_inception,
    reason = "the file is about what the folder is about"
)]
mod account;
pub mod login;
pub mod naming;
pub mod options;
pub mod password;
pub mod sasl;
pub mod saslprep;
mod saslprep_tables;
pub mod secret;

pub use account::{Account, Accounts, Lookup, Owner};
