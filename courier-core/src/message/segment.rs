//! Large answers as values, and how a host sends them.

use std::fmt;
use std::ops::Range;

use super::wire::{Content, Encoding, Pieces, Position, length};

/// A large answer, named instead of carried: the host sends it.
#[derive(Clone)]
pub struct Segment {
    /// The message.
    pub content: Content,
    /// The stored octets to send, cut at the end of the content. The range begins
    /// at the start of a line, or counts as if it did.
    pub range: Range<u64>,
    /// Wire octets to leave out at the front.
    pub skip: u64,
    /// Wire octets to send at most; `u64::MAX` for all.
    pub take: u64,
    /// The form to send them in.
    pub encoding: Encoding,
}

impl Segment {
    /// All of a range.
    #[must_use]
    pub fn new(content: Content, range: Range<u64>, encoding: Encoding) -> Self {
        Self {
            content,
            range,
            skip: 0,
            take: u64::MAX,
            encoding,
        }
    }

    /// The stored octets of the range.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        let content = (*self.content).as_ref();
        let clamp =
            |offset| usize::try_from(offset).map_or(content.len(), |at| at.min(content.len()));
        content
            .get(clamp(self.range.start)..clamp(self.range.end))
            .unwrap_or_default()
    }

    /// Octets that will be sent. Counts through the source.
    #[must_use]
    pub fn length(&self) -> u64 {
        length(self.source(), self.encoding)
            .saturating_sub(self.skip)
            .min(self.take)
    }

    /// What is to be sent, without its first `offset` octets. Finding the offset
    /// costs its distance: who sends in many turns keeps a [`Reader`].
    #[must_use]
    pub fn pieces(&self, offset: u64) -> Pieces<'_> {
        Pieces::new(self.source(), self.encoding).partial(
            self.skip.saturating_add(offset),
            self.take.saturating_sub(offset),
        )
    }

    /// Prepares to send.
    #[must_use]
    pub fn into_reader(self) -> Reader {
        let position = self.pieces(0).position();
        Reader {
            segment: self,
            position,
        }
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("range", &self.range)
            .field("skip", &self.skip)
            .field("take", &self.take)
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}

/// A segment on its way out: knows how far it is, and goes on from there in
/// constant time.
#[derive(Debug, Clone)]
pub struct Reader {
    segment: Segment,
    position: Position,
}

impl Reader {
    /// What is still to be sent, in slices of at most 64 KiB, for one gathering
    /// write or several; then [`Reader::advance`] says how much of it went out.
    #[must_use]
    pub fn pieces(&self) -> Pieces<'_> {
        Pieces::resume(self.segment.source(), self.segment.encoding, self.position)
    }

    /// Whether everything was sent.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.pieces().piece().is_empty()
    }

    /// Leaves `count` octets behind that were sent.
    pub fn advance(&mut self, count: u64) {
        let mut pieces = self.pieces();
        pieces.advance(count);
        self.position = pieces.position();
    }

    /// Appends at most `limit` octets to `buffer` and leaves them behind; for hosts
    /// that write through a buffer (TLS). Returns how many there were; fewer than
    /// `limit` only at the end.
    pub fn copy_to(&mut self, buffer: &mut Vec<u8>, limit: usize) -> usize {
        let mut pieces = self.pieces();
        let copied = pieces.copy_to(buffer, limit);
        self.position = pieces.position();
        copied
    }
}
