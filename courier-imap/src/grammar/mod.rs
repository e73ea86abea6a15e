//! The wire grammar of IMAP4rev1 (RFC 3501 §9), apart from any session.
//!
//! [`framing`] finds where a command ends, literals included; [`command`] reads a
//! whole command into a [`command::Command`]; [`response`] writes what goes back.

pub mod command;
pub mod date;
pub mod fetch;
pub mod flag;
pub mod framing;
pub mod lexer;
pub mod mailbox_name;
pub mod pattern;
pub mod response;
pub mod search;
pub mod sequence;
pub mod utf7;
