//! Internet messages: how they go over the wire, and what they are made of.
//!
//! Stored text ends its lines with a bare LF, as in every maildir; files written by
//! other programs may hold CRLF. Everything here reads both. A message is a slice of
//! octets and stays one: scanners report offsets into it, [`wire`] yields slices of
//! it, and nothing is copied before somebody asks for decoded text.

pub mod charset;
pub mod date;
pub mod encoded;
pub mod header;
pub mod mime;
pub mod parameter;
mod segment;
pub mod structure;
pub mod transfer;
pub mod view;
pub mod wire;

pub use mime::scan;
pub use structure::{Limits, Structure};
