//! From stored text to the wire: CRLF line ends and dot-stuffing, without a copy.
//!
//! [`Pieces`] walks a slice of stored text and yields slices of it, with static
//! pieces between them where the wire needs an octet more. Offsets and lengths named
//! *wire* count converted octets. A [`Segment`] is the large answer of a protocol
//! machine as a value: which octets of which message, and in which form; the host
//! writes it through a [`Reader`], piece by piece.
//!
//! ```
//! use courier_core::message::wire::{Encoding, Pieces};
//!
//! let stored = b"Hi\n.signature\n";
//! let wire: Vec<u8> = Pieces::new(stored, Encoding::CrlfDotStuffed).flatten().copied().collect();
//! assert_eq!(wire, b"Hi\r\n..signature\r\n");
//! ```

use std::ops::Range;
use std::sync::Arc;

use memchr::{memchr, memchr_iter, memchr2, memrchr};

pub use super::segment::{Reader, Segment};

/// The octets of a message, mapped or read by the host.
pub type Content = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// The form in which stored text goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As it is stored.
    Raw,
    /// Every line ends in CRLF; a CR that is there already is not doubled, and
    /// nothing else changes (IMAP).
    Crlf,
    /// For SMTP's BDAT (RFC 3030): as [`Encoding::Crlf`]; besides, a CR elsewhere
    /// than at a line's end goes out as a blank, and the last line is completed.
    Chunk,
    /// For SMTP's DATA and POP3's RETR and TOP: as [`Encoding::Chunk`], and a line
    /// that begins with a dot gets a second one (RFC 5321 §4.5.2). The lone dot that
    /// ends the text is the sender's business.
    CrlfDotStuffed,
}

impl Encoding {
    /// Whether the text is for a mail transport: complete lines and no bare CR.
    fn is_transport(self) -> bool {
        matches!(self, Self::Chunk | Self::CrlfDotStuffed)
    }
}

/// Runs of source text are cut at this length, so that looking for the next edit
/// costs a bounded time however little of a run the host can write.
const RUN: usize = 64 * 1024;

/// What stands on the wire before, or in place of, one source octet.
#[derive(Clone, Copy)]
struct Edit {
    text: &'static [u8],
    replaces: bool,
}

impl Edit {
    const NONE: Self = Self::insert(b"");

    const fn insert(text: &'static [u8]) -> Self {
        Self {
            text,
            replaces: false,
        }
    }
}

/// Stored text as slices in wire form; the source begins at the start of a line.
#[derive(Debug, Clone)]
pub struct Pieces<'a> {
    source: &'a [u8],
    encoding: Encoding,
    position: Position,
}

/// How far a text was yielded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    /// The next source octet.
    at: usize,
    /// Octets of the edit at `at` that were yielded already.
    written: usize,
    /// Wire octets that may still be yielded.
    left: u64,
}

impl<'a> Pieces<'a> {
    /// All of `source`.
    #[must_use]
    pub fn new(source: &'a [u8], encoding: Encoding) -> Self {
        Self {
            source,
            encoding,
            position: Position {
                at: 0,
                written: 0,
                left: u64::MAX,
            },
        }
    }

    /// The same text from where another walk of it stands.
    pub(super) fn resume(source: &'a [u8], encoding: Encoding, position: Position) -> Self {
        Self {
            source,
            encoding,
            position,
        }
    }

    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// Without the first `skip` wire octets, and at most `take` of them.
    #[must_use]
    pub fn partial(mut self, skip: u64, take: u64) -> Self {
        self.advance(skip);
        self.position.left = take;
        self
    }

    /// The slice that is due, empty at the end; what was written of it goes by
    /// [`Pieces::advance`].
    #[must_use]
    pub fn piece(&self) -> &'a [u8] {
        let edit = self.edit(self.position.at);
        let piece = match edit.text.get(self.position.written..) {
            Some(text) if !text.is_empty() => text,
            _ => self
                .source
                .get(self.position.at..self.run_end())
                .unwrap_or_default(),
        };
        let left = usize::try_from(self.position.left).unwrap_or(usize::MAX);
        piece.get(..left).unwrap_or(piece)
    }

    /// Leaves out the next `count` wire octets; past the end there are none.
    pub fn advance(&mut self, count: u64) {
        let mut count = count.min(self.position.left);
        let mut block = BLOCK;
        while count > 0 {
            if block >= SMALL_BLOCK {
                let end = (self.position.at + block).min(self.source.len());
                let length = self.wire_length(end);
                if length <= count && self.position.at < end {
                    self.position.at = end;
                    self.position.written = 0;
                    self.position.left -= length;
                    count -= length;
                } else {
                    block /= 2;
                }
                continue;
            }
            let length = self.piece().len();
            if length == 0 {
                break;
            }
            let step = usize::try_from(count).map_or(length, |count| count.min(length));
            self.step(step);
            count -= step as u64;
        }
    }

    /// Appends at most `limit` wire octets to `buffer` and leaves them behind.
    /// Returns how many there were; fewer than `limit` only at the end.
    pub fn copy_to(&mut self, buffer: &mut Vec<u8>, limit: usize) -> usize {
        let mut copied = 0;
        while copied < limit {
            let piece = self.piece();
            let piece = piece.get(..limit - copied).unwrap_or(piece);
            if piece.is_empty() {
                break;
            }
            buffer.extend_from_slice(piece);
            self.step(piece.len());
            copied += piece.len();
        }
        copied
    }

    /// Leaves out `count` octets of the current piece.
    fn step(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        self.position.left = self.position.left.saturating_sub(count as u64);
        let edit = self.edit(self.position.at);
        if self.position.written < edit.text.len() {
            self.position.written += count;
            if self.position.written == edit.text.len() && edit.replaces {
                self.position.at += 1;
                self.position.written = 0;
            }
        } else {
            self.position.at += count;
            self.position.written = 0;
        }
    }

    /// What the wire has before, or in place of, the source octet at `at`.
    fn edit(&self, at: usize) -> Edit {
        let before = at.checked_sub(1).and_then(|at| self.source.get(at));
        match (self.encoding, self.source.get(at)) {
            (Encoding::Raw, _) => Edit::NONE,
            (_, Some(b'\n')) if before != Some(&b'\r') => Edit::insert(b"\r"),
            (Encoding::CrlfDotStuffed, Some(b'.')) if matches!(before, None | Some(b'\n')) => {
                Edit::insert(b".")
            }
            (encoding, Some(b'\r')) if encoding.is_transport() => {
                match self.source.get(at + 1) {
                    None | Some(b'\n') => Edit::NONE,
                    // spec smtp.md §1.1: a bare CR leaves as a blank.
                    Some(_) => Edit {
                        text: b" ",
                        replaces: true,
                    },
                }
            }
            (encoding, None) if encoding.is_transport() => match before {
                None | Some(b'\n') => Edit::NONE,
                Some(b'\r') => Edit::insert(b"\n"),
                Some(_) => Edit::insert(b"\r\n"),
            },
            _ => Edit::NONE,
        }
    }

    /// Where the run of untouched octets that begins at `at` ends: before the next
    /// edit, at the latest after [`RUN`] octets. The edit at `at` is done already.
    fn run_end(&self) -> usize {
        let window = (self.position.at + RUN).min(self.source.len());
        if self.encoding == Encoding::Raw {
            return window;
        }
        let mut from = self.position.at;
        while let Some(rest) = self.source.get(from..window) {
            let found = if self.encoding.is_transport() {
                memchr2(b'\n', b'\r', rest)
            } else {
                memchr(b'\n', rest)
            };
            let Some(found) = found.map(|found| from + found) else {
                break;
            };
            if found > self.position.at && !self.edit(found).text.is_empty() {
                return found;
            }
            if found + 1 < window && !self.edit(found + 1).text.is_empty() {
                return found + 1;
            }
            from = found + 1;
        }
        window
    }

    /// Wire octets of the source from `at` up to `end`, less what was yielded.
    fn wire_length(&self, end: usize) -> u64 {
        let more = inserted(self.source, self.position.at..end, self.encoding);
        ((end - self.position.at) as u64 + more).saturating_sub(self.position.written as u64)
    }
}

/// Sizes of the blocks by which [`Pieces::advance`] jumps instead of walking lines.
const BLOCK: usize = 16 * 1024;
const SMALL_BLOCK: usize = 128;

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let piece = self.piece();
        self.step(piece.len());
        (!piece.is_empty()).then_some(piece)
    }
}

/// Octets that `source` has on the wire.
#[must_use]
pub fn length(source: &[u8], encoding: Encoding) -> u64 {
    let whole = Pieces::new(source, encoding);
    let completed = match encoding {
        Encoding::Raw | Encoding::Crlf => 0,
        Encoding::Chunk | Encoding::CrlfDotStuffed => whole.edit(source.len()).text.len(),
    };
    whole.wire_length(source.len()) + completed as u64
}

/// Line feeds without a CR before them: what a text grows by on the wire.
#[must_use]
pub fn bare_line_feeds(source: &[u8]) -> u64 {
    bare_within(source, 0..source.len())
}

/// Octets that the wire has more for the source octets in `range`.
fn inserted(source: &[u8], range: Range<usize>, encoding: Encoding) -> u64 {
    match encoding {
        Encoding::Raw => 0,
        Encoding::Crlf | Encoding::Chunk => bare_within(source, range),
        Encoding::CrlfDotStuffed => {
            let first = range.start == 0 && range.end > 0 && source.first() == Some(&b'.');
            u64::from(first)
                + bare_within(source, range.clone())
                + count_pairs(source, range, |before, octet| {
                    before == b'\n' && octet == b'.'
                })
        }
    }
}

/// Bare line feeds among the octets in `range`, judged with the octet before it.
pub(crate) fn bare_within(source: &[u8], range: Range<usize>) -> u64 {
    let from = range.start.saturating_sub(1);
    let Some(block) = source.get(from..range.end) else {
        return 0;
    };
    if memchr(b'\r', block).is_none() {
        let octets = source.get(range).unwrap_or_default();
        return memchr_iter(b'\n', octets).count() as u64;
    }
    let first = range.start == 0 && source.first() == Some(&b'\n');
    u64::from(first)
        + count_pairs(source, range, |before, octet| {
            before != b'\r' && octet == b'\n'
        })
}

/// Counts the octets in `range` that satisfy `test` together with the one before;
/// the first of the source has none before it and is not counted. In a shape that
/// compiles to vector instructions.
fn count_pairs(source: &[u8], range: Range<usize>, test: impl Fn(u8, u8) -> bool) -> u64 {
    let start = range.start.max(1);
    let (Some(before), Some(octets)) = (
        source.get(start - 1..range.end.saturating_sub(1)),
        source.get(start..range.end),
    ) else {
        return 0;
    };
    let blocks = before.chunks(255).zip(octets.chunks(255));
    blocks
        .map(|(before, octets)| {
            let count = before.iter().zip(octets).fold(0_u8, |count, (&a, &b)| {
                count.wrapping_add(u8::from(test(a, b)))
            });
            u64::from(count)
        })
        .sum()
}

/// A start of a line in a text, in source and in wire octets: from here a later
/// partial fetch of the same text goes on without counting from its beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// Source octets before the line.
    pub source: u64,
    /// Wire octets before the line.
    pub wire: u64,
}

impl Mark {
    /// The last start of a line at or before the wire offset `wire`, which is not
    /// before this mark; in a text that was marked under the same encoding. It
    /// costs the distance.
    #[must_use]
    pub fn toward(self, source: &[u8], encoding: Encoding, wire: u64) -> Self {
        let Some(rest) = usize::try_from(self.source)
            .ok()
            .and_then(|start| source.get(start..))
        else {
            return self;
        };
        let mut pieces = Pieces::new(rest, encoding);
        pieces.advance(wire.saturating_sub(self.wire));
        let passed = rest.get(..pieces.position.at).unwrap_or_default();
        match memrchr(b'\n', passed) {
            Some(line_feed) => Self {
                source: self.source + line_feed as u64 + 1,
                wire: self.wire + Pieces::new(rest, encoding).wire_length(line_feed + 1),
            },
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Encoding; 4] = [
        Encoding::Raw,
        Encoding::Crlf,
        Encoding::Chunk,
        Encoding::CrlfDotStuffed,
    ];

    fn wire(source: &[u8], encoding: Encoding) -> Vec<u8> {
        Pieces::new(source, encoding).collect::<Vec<_>>().concat()
    }

    /// The rules again, octet by octet.
    fn model(source: &[u8], encoding: Encoding) -> Vec<u8> {
        let mut out = Vec::new();
        let transport = matches!(encoding, Encoding::Chunk | Encoding::CrlfDotStuffed);
        for (at, &octet) in source.iter().enumerate() {
            let before = at.checked_sub(1).map(|at| source[at]);
            if encoding == Encoding::Raw {
                out.push(octet);
                continue;
            }
            match octet {
                b'\n' if before != Some(b'\r') => out.extend_from_slice(b"\r\n"),
                b'\r' if transport && source.get(at + 1).is_some_and(|&next| next != b'\n') => {
                    out.push(b' ');
                }
                b'.' if encoding == Encoding::CrlfDotStuffed
                    && before.is_none_or(|before| before == b'\n') =>
                {
                    out.extend_from_slice(b"..");
                }
                _ => out.push(octet),
            }
        }
        if transport && !source.is_empty() && !source.ends_with(b"\n") {
            out.extend_from_slice(if source.ends_with(b"\r") {
                b"\n"
            } else {
                b"\r\n"
            });
        }
        out
    }

    #[test]
    fn a_cr_that_is_there_is_not_doubled() {
        assert_eq!(
            wire(b"a\nb\r\nc\n\r\n\n", Encoding::Crlf),
            b"a\r\nb\r\nc\r\n\r\n\r\n"
        );
        assert_eq!(wire(b"a\r\r\nb\rc", Encoding::Crlf), b"a\r\r\nb\rc");
        assert_eq!(wire(b"\n.\n..", Encoding::Raw), b"\n.\n..");
    }

    #[test]
    fn transports_get_whole_lines_without_bare_cr() {
        assert_eq!(
            wire(b"a\r.\rb\n.\n..c", Encoding::CrlfDotStuffed),
            b"a . b\r\n..\r\n...c\r\n"
        );
        assert_eq!(wire(b".a\r", Encoding::CrlfDotStuffed), b"..a\r\n");
        assert_eq!(wire(b".a\n.\n", Encoding::Chunk), b".a\r\n.\r\n");
        assert_eq!(wire(b"", Encoding::CrlfDotStuffed), b"");
        // Nothing that ends the data of SMTP can come out of the middle of a text.
        for text in [
            &b"a\n.\nb"[..],
            b"a\r.\rb",
            b"a\r\n.\rb",
            b"a\n\r.\r\nb",
            b".",
            b".\r",
        ] {
            let wire = [b"\r\n", &wire(text, Encoding::CrlfDotStuffed)[..]].concat();
            assert!(
                memchr::memmem::find(&wire, b"\r\n.\r\n").is_none(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn long_runs_are_cut() {
        let source = vec![b'x'; 3 * RUN + 5];
        assert!(Pieces::new(&source, Encoding::Crlf).all(|piece| piece.len() <= RUN));
        assert_eq!(wire(&source, Encoding::Crlf), source);
        let mut source = b"line\r\n".repeat(RUN / 3);
        source.insert(RUN, b'\n');
        assert_eq!(
            wire(&source, Encoding::CrlfDotStuffed),
            model(&source, Encoding::CrlfDotStuffed)
        );
    }

    #[test]
    fn a_segment_beyond_its_content_is_cut() {
        let content: Content = Arc::new(b"one\ntwo\n".to_vec());
        let mut segment = Segment::new(content, 4..100, Encoding::Crlf);
        assert_eq!((segment.source(), segment.length()), (&b"two\n"[..], 5));
        segment.range = 50..100;
        assert_eq!((segment.source(), segment.length()), (&b""[..], 0));
        segment.range = Range { start: 8, end: 4 };
        assert!(segment.into_reader().is_done());
    }

    #[test]
    fn jumps_over_large_texts_count_right() {
        let source = b"Some line of text\n.dot\r\n\nx".repeat(5000);
        for encoding in ALL {
            let whole = model(&source, encoding);
            for skip in [0, 1, 4095, 16384, 16385, 50_000, 100_001, whole.len()] {
                let rest = Pieces::new(&source, encoding).partial(skip as u64, 333);
                let skip = skip.min(whole.len());
                let end = (skip + 333).min(whole.len());
                assert_eq!(rest.collect::<Vec<_>>().concat(), whole[skip..end]);
                let mark = Mark::default().toward(&source, encoding, skip as u64);
                let from = usize::try_from(mark.source).unwrap();
                assert!(mark.wire <= skip as u64 && skip as u64 - mark.wire < 30);
                assert!(from == 0 || source[from - 1] == b'\n');
                assert_eq!(length(&source[..from], encoding), mark.wire);
            }
        }
    }

    /// Texts in which line ends, CRs and dots meet often.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(b"\n\n\r.ab".to_vec()), 0..300)
    }

    fn encoding() -> impl Strategy<Value = Encoding> {
        prop::sample::select(ALL.to_vec())
    }

    proptest! {
        #[test]
        fn the_wire_is_what_the_rules_say(text in text(), encoding in encoding()) {
            let expected = model(&text, encoding);
            prop_assert_eq!(length(&text, encoding), expected.len() as u64);
            prop_assert_eq!(wire(&text, encoding), expected);
        }

        #[test]
        fn slices_of_ranges_concatenate_to_the_whole(
            text in text(),
            encoding in encoding(),
            cuts in prop::collection::vec(1_u64..40, 1..40),
        ) {
            let content: Content = Arc::new(text.clone());
            let whole = model(&text, encoding);
            let (mut at, mut joined) = (0, Vec::new());
            for cut in cuts.iter().cycle() {
                let mut segment = Segment::new(content.clone(), 0..u64::MAX, encoding);
                (segment.skip, segment.take) = (at, *cut);
                let part = segment.pieces(0).collect::<Vec<_>>().concat();
                prop_assert_eq!(part.len() as u64, segment.length());
                if part.is_empty() {
                    break;
                }
                at += part.len() as u64;
                joined.extend(part);
            }
            prop_assert_eq!(joined, whole);
        }

        #[test]
        fn partial_writes_lose_nothing(
            text in text(),
            encoding in encoding(),
            writes in prop::collection::vec(1_usize..20, 1..20),
            window in (0_u64..50, 0_u64..400),
        ) {
            let whole = model(&text, encoding);
            let mut segment = Segment::new(Arc::new(text), 0..u64::MAX, encoding);
            (segment.skip, segment.take) = window;
            let mut reader = segment.clone().into_reader();
            let mut sent = Vec::new();
            for (turn, &write) in writes.iter().cycle().enumerate() {
                if reader.is_done() {
                    break;
                }
                prop_assert_eq!(
                    reader.pieces().collect::<Vec<_>>().concat(),
                    segment.pieces(sent.len() as u64).collect::<Vec<_>>().concat()
                );
                if turn % 2 == 0 {
                    let ready = reader.pieces().take(2).collect::<Vec<_>>().concat();
                    let count = write.min(ready.len());
                    sent.extend_from_slice(&ready[..count]);
                    reader.advance(count as u64);
                } else {
                    reader.copy_to(&mut sent, write);
                }
            }
            let start = whole.len().min(usize::try_from(window.0).unwrap());
            let end = whole.len().min(usize::try_from(window.0 + window.1).unwrap());
            prop_assert_eq!(sent, &whole[start..end]);
        }
    }
}
