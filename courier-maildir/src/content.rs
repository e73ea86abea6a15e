//! The text of a message on its way into a file.

use std::ops::Range;
use std::path::PathBuf;

use courier_core::disk::{Octets, Piece};

use crate::name::Sizes;

/// What a message's file will hold, piece by piece, and how large it is. Lines end in
/// LF, as everywhere in a maildir. Each piece begins a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    pieces: Vec<Piece>,
    length: u64,
    /// Line feeds without a carriage return before them.
    bare: u64,
    unfinished: bool,
}

/// What whoever wrote a file has counted in a range of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lines {
    /// Line feeds without a carriage return before them.
    pub bare: u64,
    /// Whether the last octet is a line feed.
    pub last: LastLine,
}

/// How a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastLine {
    /// With a line feed, or it is empty.
    Ended,
    /// In the midst of a line.
    Unfinished,
}

impl Lines {
    /// Counts.
    #[must_use]
    pub fn of(octets: &[u8]) -> Self {
        let bare = memchr::memchr_iter(b'\n', octets)
            .filter(|&at| {
                let before = at.checked_sub(1).and_then(|before| octets.get(before));
                before != Some(&b'\r')
            })
            .count() as u64;
        let last = match octets.last() {
            None | Some(b'\n') => LastLine::Ended,
            Some(_) => LastLine::Unfinished,
        };
        Self { bare, last }
    }
}

impl Content {
    /// Adds octets.
    #[must_use]
    pub fn octets(mut self, octets: impl Into<Octets>) -> Self {
        let octets = octets.into();
        let lines = Lines::of(&octets);
        self.count(octets.len() as u64, lines);
        self.pieces.push(Piece::Octets(octets));
        self
    }

    /// Adds a range of a file, which the driver copies: a message in the journal, or
    /// in another folder.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>, range: Range<u64>, lines: Lines) -> Self {
        self.count(range.end.saturating_sub(range.start), lines);
        let path = path.into();
        self.pieces.push(Piece::File { path, range });
        self
    }

    fn count(&mut self, length: u64, lines: Lines) {
        if length > 0 {
            self.length += length;
            self.bare += lines.bare;
            self.unfinished = lines.last == LastLine::Unfinished;
        }
    }

    /// What the name of the file says of it. A last line without an end is not told
    /// over the wire as it stands by every protocol, so no name says how long it is.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        Sizes {
            file: self.length,
            wire: (!self.unfinished).then_some(self.length + self.bare),
        }
    }

    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_file_and_of_the_wire() {
        let sizes = |text: &[u8]| {
            let sizes = Content::default().octets(text).sizes();
            (sizes.file, sizes.wire)
        };
        assert_eq!(sizes(b""), (0, Some(0)));
        assert_eq!(sizes(b"\n"), (1, Some(2)));
        assert_eq!(sizes(b"a\nb\r\nc\n"), (7, Some(9)));
        assert_eq!(sizes(b"a\nb"), (3, None));
        let lines = Lines {
            bare: 3,
            last: LastLine::Ended,
        };
        let content = Content::default()
            .octets(&b"A: b\n"[..])
            .file("/j", 10..30, lines);
        assert_eq!((content.sizes().file, content.sizes().wire), (25, Some(29)));
        let content = content.octets(&b"x"[..]);
        assert_eq!((content.sizes().file, content.sizes().wire), (26, None));
    }
}
