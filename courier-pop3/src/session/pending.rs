use std::fmt;
use std::io::Write as _;

/// Replies that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    octets: Vec<u8>,
    written: usize,
}

/// An idle session keeps no larger buffer.
const KEPT: usize = 1024;
/// With so much to write, nothing is added. A reply is some hundred octets at most.
const ENOUGH: usize = 16 * 1024;

impl Pending {
    pub(super) fn rest(&self) -> &[u8] {
        self.octets.get(self.written..).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.written >= self.octets.len()
    }

    pub(super) fn has_room(&self) -> bool {
        self.rest().len() < ENOUGH
    }

    /// Adds a line.
    pub(super) fn line(&mut self, text: fmt::Arguments<'_>) {
        // Writing to memory does not fail.
        let _ = write!(self.octets, "{text}\r\n");
    }

    pub(super) fn wrote(&mut self, octets: usize) {
        self.written = self.written.saturating_add(octets);
        if self.is_empty() {
            self.written = 0;
            self.octets.clear();
            self.octets.shrink_to(KEPT);
        }
    }
}
