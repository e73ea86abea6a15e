//! Accounts: who they are, how they prove it, and how to ask for them.

pub mod sasl;
pub mod secret;
