//! SEARCH: what a client asks for, and which messages are meant.

pub mod key;
pub mod matching;
