//! What waits to be sent: text, and between it segments of messages.

use std::collections::VecDeque;

use courier_core::message::wire::Segment;

/// The most octets that [`super::Session::pending`] shows at once.
pub const MOST_PENDING: usize = 64 * 1024;
/// Nothing more is produced while so much waits.
const FULL: usize = 32 * 1024;
/// Segments hold on to what the host has opened, so few of them wait.
const MOST_SEGMENTS: usize = 8;
/// Larger buffers are given back once they are empty.
const KEPT_CAPACITY: usize = 8 * 1024;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    text: Vec<u8>,
    sent: usize,
    /// Each with the number of octets of text that go before it.
    segments: VecDeque<(usize, Segment)>,
}

impl Outbox {
    /// Where text is appended.
    pub(super) fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    pub(super) fn write(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    pub(super) fn segment(&mut self, segment: Segment) {
        self.segments.push_back((self.text.len(), segment));
    }

    /// Whether no more should be produced for now. One item may still go past it.
    pub(super) fn is_full(&self) -> bool {
        self.text.len() - self.sent >= FULL || self.segments.len() >= MOST_SEGMENTS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent >= self.text.len() && self.segments.is_empty()
    }

    /// The text that goes out next.
    pub(super) fn pending(&self) -> &[u8] {
        let end = self.segments.front().map_or(self.text.len(), |(at, _)| *at);
        let pending = self.text.get(self.sent..end).unwrap_or_default();
        pending.get(..MOST_PENDING).unwrap_or(pending)
    }

    pub(super) fn wrote(&mut self, octets: usize) {
        self.sent += octets.min(self.pending().len());
        self.tidy();
    }

    /// The segment that goes out next, once there is no text before it.
    pub(super) fn take_segment(&mut self) -> Option<Segment> {
        let (at, _) = self.segments.front()?;
        if *at > self.sent {
            return None;
        }
        let (_, segment) = self.segments.pop_front()?;
        self.tidy();
        Some(segment)
    }

    fn tidy(&mut self) {
        if !self.is_empty() {
            return;
        }
        self.sent = 0;
        self.text.clear();
        if self.text.capacity() > 2 * FULL {
            self.text.shrink_to(FULL);
        }
    }

    /// Gives back what is not needed while the session waits for its client.
    pub(super) fn rest(&mut self) {
        if self.is_empty() && self.text.capacity() > KEPT_CAPACITY {
            self.text.shrink_to(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use courier_core::message::wire::Encoding;
    use std::sync::Arc;

    #[test]
    fn text_and_segments_go_out_in_order() {
        let mut out = Outbox::default();
        let segment = || Segment::new(Arc::new(b"x".to_vec()), 0..1, Encoding::Raw);
        out.segment(segment());
        out.write("ab");
        out.segment(segment());
        out.write("c");
        assert_eq!(out.pending(), b"");
        assert!(out.take_segment().is_some() && out.take_segment().is_none());
        assert_eq!(out.pending(), b"ab");
        out.wrote(1);
        assert!(out.take_segment().is_none());
        out.wrote(9);
        assert_eq!(out.pending(), b"");
        assert!(out.take_segment().is_some());
        assert_eq!(out.pending(), b"c");
        out.wrote(1);
        assert!(out.is_empty() && out.text.is_empty());
    }

    #[test]
    fn no_more_than_64_kibibytes_are_shown_at_once() {
        let mut out = Outbox::default();
        out.text().resize(MOST_PENDING + 5, b'x');
        assert!(out.is_full());
        assert_eq!(out.pending().len(), MOST_PENDING);
        out.wrote(MOST_PENDING);
        assert_eq!(out.pending().len(), 5);
        assert!(!out.is_full());
    }
}
