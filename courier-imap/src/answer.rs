//! ENVELOPE and BODYSTRUCTURE as they grow.

use courier_core::message::header;
use memchr::memchr;

use crate::grammar::response;

/// An answer as it grows.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }

    /// Syntax, as it is.
    pub(crate) fn raw(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }

    pub(crate) fn number(&mut self, number: u64) {
        response::number(&mut self.out, number);
    }

    /// Whether no more values are wanted.
    pub(crate) fn is_full(&self) -> bool {
        self.out.len() > MOST_OCTETS
    }

    /// A value from the message, on one line already, as a string.
    pub(crate) fn value(&mut self, value: &[u8]) {
        if self.out.len() + value.len() > MOST_OCTETS {
            self.raw(b"\"\"");
        } else if memchr(0, value).is_some() {
            // No string of IMAP holds it (RFC 3501 §9, CHAR8).
            let value: Vec<u8> = value.iter().copied().filter(|&octet| octet != 0).collect();
            response::string(&mut self.out, &value);
        } else {
            response::string(&mut self.out, value);
        }
    }

    /// A field's value, unfolded, as a string, or NIL.
    pub(crate) fn nvalue(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) if self.out.len() + value.len() <= MOST_OCTETS => {
                self.value(&header::unfold(value));
            }
            _ => self.raw(b"NIL"),
        }
    }
}

/// An answer that has grown so far gets no more values: NIL or an empty string stands
/// for them. No mail comes near; it bounds what a hostile one can make us hold, apart
/// from some hundred octets a part.
pub const MOST_OCTETS: usize = 1024 * 1024;
