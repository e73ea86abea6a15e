//! Accepting and moving mail.

pub mod journal;
