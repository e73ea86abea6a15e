//! What RETR and TOP send of a message.

use std::collections::VecDeque;
use std::sync::Arc;

use courier_core::message::header::header_length;
use courier_core::message::wire::{self, Content, Encoding, Segment};
use memchr::memchr_iter;

/// The pieces of an answer, in order, each from the start of a line.
#[derive(Debug, Default)]
pub(crate) struct Retrieval {
    pub(crate) segments: VecDeque<Segment>,
    /// Octets on the wire without dot-stuffing.
    pub(crate) octets: u64,
}

impl Retrieval {
    /// All of a message that is made of these.
    pub(crate) fn whole(parts: &[Content]) -> Self {
        let mut retrieval = Self::default();
        for part in parts {
            retrieval.add(part, octets(part).len());
        }
        retrieval
    }

    /// The header of a message that is made of these, the empty line, and the first
    /// lines of its body. The header ends in the first part.
    pub(crate) fn top(parts: &[Content], lines: u64) -> Self {
        let mut retrieval = Self::default();
        let mut lines = lines;
        let mut header = parts.first().map_or(0, |part| header_length(octets(part)));
        for part in parts {
            let source = octets(part);
            let body = source.get(header..).unwrap_or_default();
            let end = header + first_lines(body, &mut lines);
            retrieval.add(part, end);
            // pop3.md: a message that is only a header still ends in an empty line.
            if header > 0 && header == source.len() && !ends_in_empty_line(source) {
                retrieval.add(&(Arc::new(b"\n") as Content), 1);
            }
            header = 0;
        }
        retrieval
    }

    fn add(&mut self, part: &Content, end: usize) {
        let source = octets(part).get(..end).unwrap_or_default();
        if source.is_empty() {
            return;
        }
        self.octets += wire::length(source, Encoding::Chunk);
        let range = 0..end as u64;
        let segment = Segment::new(Arc::clone(part), range, Encoding::CrlfDotStuffed);
        self.segments.push_back(segment);
    }
}

pub(crate) fn octets(content: &Content) -> &[u8] {
    (**content).as_ref()
}

/// Octets of as many lines of `text` as are left.
fn first_lines(text: &[u8], left: &mut u64) -> usize {
    if *left == 0 {
        return 0;
    }
    for end in memchr_iter(b'\n', text) {
        *left -= 1;
        if *left == 0 {
            return end + 1;
        }
    }
    if text.last().is_some_and(|&last| last != b'\n') {
        *left -= 1;
    }
    text.len()
}

fn ends_in_empty_line(header: &[u8]) -> bool {
    let Some(before) = header.strip_suffix(b"\n") else {
        return false;
    };
    let before = before.strip_suffix(b"\r").unwrap_or(before);
    before.is_empty() || before.ends_with(b"\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content(text: &str) -> Content {
        Arc::new(text.as_bytes().to_vec())
    }

    fn sent(retrieval: &Retrieval) -> String {
        let pieces = retrieval.segments.iter();
        let octets: Vec<u8> = pieces
            .flat_map(|segment| segment.pieces(0).flatten().copied().collect::<Vec<_>>())
            .collect();
        String::from_utf8(octets).unwrap()
    }

    fn top(text: &str, lines: u64) -> String {
        sent(&Retrieval::top(&[content(text)], lines))
    }

    #[test]
    fn top_counts_lines_of_the_body() {
        let text = "A: b\n c\n\n1\n.2\n3";
        assert_eq!(top(text, 0), "A: b\r\n c\r\n\r\n");
        assert_eq!(top(text, 2), "A: b\r\n c\r\n\r\n1\r\n..2\r\n");
        for lines in [3, 4, u64::MAX] {
            assert_eq!(top(text, lines), "A: b\r\n c\r\n\r\n1\r\n..2\r\n3\r\n");
        }
        assert_eq!(top("A: b\r\n\r\n1\r\n2\r\n", 1), "A: b\r\n\r\n1\r\n");
        assert_eq!(top("\nbody\n", 1), "\r\nbody\r\n");
    }

    #[test]
    fn a_header_alone_ends_in_an_empty_line() {
        assert_eq!(top("A: b\n", 5), "A: b\r\n\r\n");
        assert_eq!(top("A: b", 0), "A: b\r\n\r\n");
        assert_eq!(top("A: b\n\n", 5), "A: b\r\n\r\n");
        assert_eq!(top("\n", 5), "\r\n");
        assert_eq!(top("", 5), "");
    }

    #[test]
    fn lines_are_counted_through_all_parts() {
        let parts = [content("A: b\n\n1\n"), content("2\n3"), content("4\n")];
        let top = |lines| sent(&Retrieval::top(&parts, lines));
        assert_eq!(top(1), "A: b\r\n\r\n1\r\n");
        assert_eq!(top(2), "A: b\r\n\r\n1\r\n2\r\n");
        assert_eq!(top(3), "A: b\r\n\r\n1\r\n2\r\n3\r\n");
        assert_eq!(top(4), "A: b\r\n\r\n1\r\n2\r\n3\r\n4\r\n");
    }

    proptest! {
        #[test]
        fn octets_are_those_sent(text in "[a.\\r\\n]{0,30}", lines in 0..6_u64) {
            let parts = [content(&text)];
            for retrieval in [Retrieval::whole(&parts), Retrieval::top(&parts, lines)] {
                let sent = sent(&retrieval);
                let stuffed = format!("\r\n{sent}").matches("\r\n.").count() as u64;
                prop_assert_eq!(retrieval.octets + stuffed, sent.len() as u64);
                prop_assert!(sent.is_empty() || sent.ends_with("\r\n"));
            }
        }
    }
}
