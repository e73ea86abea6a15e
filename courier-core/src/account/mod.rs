//! Accounts: who they are, how they prove it, and how to ask for them.

pub mod login;
pub mod options;
pub mod password;
pub mod sasl;
pub mod saslprep;
mod saslprep_tables;
pub mod secret;
