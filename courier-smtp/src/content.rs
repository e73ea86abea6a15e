//! Message data on the wire, as the content it stands for.
//!
//! On the wire a message has CRLF line ends, stuffed dots and an end mark
//! (RFC 5321 §4.5.2); stored it has LF line ends. [`DataReader`] finds the end mark and
//! hands out the content as slices of the very input: nothing is copied.
//!
//! What is content, exactly:
//! - CRLF is a line end, written LF. All CRs that stand directly before it go with it
//!   (Courier drops one of two): so no content ever has CR LF, which would be taken for
//!   one line end when it is sent on.
//! - Any other CR and any other LF is content. A bare LF becomes a line end of the
//!   *content*, as Courier has it, but never starts a stuffed dot or the end mark.
//! - A dot after CRLF, or at the very start, is removed; CRLF `.` CRLF ends.
//! - The content is empty or ends in LF.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::{memchr, memchr2_iter};

/// Whether dots are stuffed: after DATA they are, in BDAT chunks they are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transparency {
    /// RFC 5321 §4.5.2: a leading dot is doubled, a lone dot ends.
    Dots,
    /// RFC 3030: the length was announced.
    Counted,
}

/// Reads the data of one message; all its memory is the place in the current line.
#[derive(Debug, Clone)]
pub struct DataReader {
    transparency: Transparency,
    place: Place,
    line: Line,
}

/// The place in the wire's lines, from the last CRLF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    at: At,
    /// CRs that wait for what follows: dropped before LF, content before anything else.
    held: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// At the start of a line, if no CR is held.
    Start,
    /// Behind a leading dot, which is not content.
    Dot,
    /// Anywhere else.
    Inside,
    /// Before the LF of a CRLF (only inside [`Content`]).
    LineFeed,
}

/// Whether the content so far ends in a line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// It does, or it is empty.
    Ended,
    /// It does not.
    Open,
}

/// What a piece of input was.
#[derive(Debug, Clone)]
pub struct Data<'b> {
    /// How many octets of the input are done with.
    pub consumed: usize,
    /// The content among them.
    pub content: Content<'b>,
    /// Size of it as RFC 1870 counts: with CRLF, without stuffed dots and end mark.
    pub octets: u64,
    /// Whether the end mark was found.
    pub end: End,
}

/// Whether message data is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The end mark has been read.
    Found,
    /// More is to come.
    NotYet,
}

impl DataReader {
    /// At the start of a message.
    #[must_use]
    pub fn new(transparency: Transparency) -> Self {
        Self {
            transparency,
            place: Place {
                at: At::Start,
                held: 0,
            },
            line: Line::Ended,
        }
    }

    /// Reads on. Consumes the whole input, or up to the end mark's last octet.
    pub fn read<'b>(&mut self, input: &'b [u8]) -> Data<'b> {
        let before = self.place;
        match self.transparency {
            Transparency::Dots => self.read_dotted(before, input),
            Transparency::Counted => {
                let octets = self.pass(input);
                self.hand_out(before, input, input.len(), octets, End::NotYet)
            }
        }
    }

    /// Ends a message whose length was announced: CRs that still wait are dropped, and
    /// a line that is still open is ended.
    pub fn finish(&mut self) -> Content<'static> {
        let open = self.line == Line::Open;
        *self = Self::new(self.transparency);
        Content {
            tail: if open { b"\n" } else { b"" },
            ..Content::empty()
        }
    }

    /// Whether a CR or LF in this piece, which comes next, is not part of a CRLF
    /// (RFC 5321 §2.3.8). A CR at its end is judged with the next piece.
    #[must_use]
    pub fn has_bare_newline(&self, piece: &[u8]) -> bool {
        let after_cr = self.place.held > 0;
        let Some(&first) = piece.first() else {
            return false;
        };
        if after_cr && first != b'\n' {
            return true;
        }
        memchr2_iter(b'\r', b'\n', piece).any(|at| {
            if piece.get(at) == Some(&b'\r') {
                piece.get(at + 1).is_some_and(|&next| next != b'\n')
            } else {
                match at.checked_sub(1) {
                    Some(before) => piece.get(before) != Some(&b'\r'),
                    None => !after_cr,
                }
            }
        })
    }

    fn hand_out<'b>(
        &mut self,
        before: Place,
        input: &'b [u8],
        run: usize,
        octets: u64,
        end: End,
    ) -> Data<'b> {
        Data {
            consumed: input.len(),
            content: Content {
                transparency: self.transparency,
                place: before,
                rest: input.get(..run).unwrap_or_default(),
                tail: b"",
            },
            octets,
            end,
        }
    }

    fn read_dotted<'b>(&mut self, before: Place, input: &'b [u8]) -> Data<'b> {
        let (mut position, mut octets) = (0, 0);
        // Where the dot stands that may become the end mark.
        let mut dot = 0;
        while let Some(rest) = input.get(position..)
            && let Some(&octet) = rest.first()
        {
            if self.place == INSIDE {
                let Some(found) = STUFFED.find(rest) else {
                    octets += self.pass(rest);
                    break;
                };
                octets += found as u64 + 2;
                position += found + 3;
                dot = position - 1;
                self.place.at = At::Dot;
                continue;
            }
            position += 1;
            match octet {
                b'\r' => self.place.held += 1,
                b'\n' if self.place == END_MARK => {
                    *self = Self::new(self.transparency);
                    let run = input.get(..position).unwrap_or(input);
                    return self.hand_out(before, run, dot, octets, End::Found);
                }
                b'.' if self.place == START => {
                    self.place.at = At::Dot;
                    dot = position - 1;
                }
                _ => {
                    let line_end = octet == b'\n' && self.place.held > 0;
                    octets += self.place.held + 1;
                    self.place = if line_end { START } else { INSIDE };
                }
            }
        }
        self.hand_out(before, input, input.len(), octets, End::NotYet)
    }

    /// Takes a piece that has no dot after a CRLF, and says how much of it counts:
    /// CRs at its end wait for what follows.
    fn pass(&mut self, piece: &[u8]) -> u64 {
        let crs = piece.iter().rev().take_while(|&&b| b == b'\r').count();
        let counted = piece.len() - crs;
        if counted == 0 {
            self.place.held += crs as u64;
            return 0;
        }
        let waited = self.place.held;
        let body = piece.get(..counted).unwrap_or_default();
        let after_crlf = body.ends_with(b"\r\n");
        self.line = match body.last() {
            Some(b'\n') => Line::Ended,
            _ => Line::Open,
        };
        self.place = Place {
            at: if after_crlf { At::Start } else { At::Inside },
            held: crs as u64,
        };
        counted as u64 + waited
    }
}

const START: Place = Place {
    at: At::Start,
    held: 0,
};
const INSIDE: Place = Place {
    at: At::Inside,
    held: 0,
};
/// The next LF ends the message.
const END_MARK: Place = Place {
    at: At::Dot,
    held: 1,
};

static STUFFED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n."));
static CARRIAGE_RETURNS: [u8; 64] = [b'\r'; 64];

/// A run of message content: an iterator over slices of the input.
///
/// ```
/// use courier_smtp::content::{Content, DataReader, Transparency};
///
/// let mut reader = DataReader::new(Transparency::Dots);
/// let data = reader.read(b"one\r\n..two\r\n.\r\nNOOP\r\n");
/// assert_eq!(data.content.to_vec(), b"one\n.two\n");
/// assert_eq!(data.consumed, 15);
/// ```
#[derive(Debug, Clone)]
pub struct Content<'b> {
    transparency: Transparency,
    place: Place,
    rest: &'b [u8],
    tail: &'static [u8],
}

impl<'b> Content<'b> {
    /// No content.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            transparency: Transparency::Counted,
            place: INSIDE,
            rest: b"",
            tail: b"",
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clone().next().is_none()
    }

    /// Appends all of it to a buffer.
    pub fn append_to(self, buffer: &mut Vec<u8>) {
        buffer.reserve(self.rest.len());
        for slice in self {
            buffer.extend_from_slice(slice);
        }
    }

    /// All of it in a buffer of its own.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut buffer = Vec::new();
        self.clone().append_to(&mut buffer);
        buffer
    }

    /// CRs from an earlier piece, once it is known that they are content.
    fn held(&mut self) -> Option<&'static [u8]> {
        while self.place.held > 0 {
            match self.rest.split_first() {
                Some((b'\r', after)) => {
                    self.place.held += 1;
                    self.rest = after;
                }
                Some((b'\n', _)) => {
                    self.place = Place {
                        at: At::LineFeed,
                        held: 0,
                    };
                }
                Some(_) => {
                    let most = CARRIAGE_RETURNS.len() as u64;
                    let some = self.place.held.min(most);
                    self.place.held -= some;
                    self.place.at = At::Inside;
                    let some = usize::try_from(some).unwrap_or_default();
                    return CARRIAGE_RETURNS.get(..some);
                }
                None => self.place.held = 0, // still held by the reader
            }
        }
        None
    }

    /// The longest run that needs no edit.
    fn run(&mut self) -> &'b [u8] {
        let rest = self.rest;
        let dots = self.transparency == Transparency::Dots;
        let mut look = 0;
        if self.place.at == At::LineFeed {
            if dots && rest.get(1) == Some(&b'.') {
                return self.split(rest, 1, 2, At::Inside);
            }
            look = 1;
        }
        loop {
            let found = rest.get(look..).and_then(|part| memchr(b'\r', part));
            let Some(cr) = found.map(|at| look + at) else {
                return self.split(rest, rest.len(), rest.len(), At::Inside);
            };
            let mut after = cr + 1;
            while rest.get(after) == Some(&b'\r') {
                after += 1;
            }
            match rest.get(after) {
                Some(b'\n') => return self.split(rest, cr, after, At::LineFeed),
                Some(_) => look = after,
                None => return self.split(rest, cr, rest.len(), At::Inside),
            }
        }
    }

    fn split(&mut self, rest: &'b [u8], end: usize, next: usize, at: At) -> &'b [u8] {
        self.rest = rest.get(next..).unwrap_or_default();
        self.place.at = at;
        rest.get(..end).unwrap_or_default()
    }
}

impl<'b> Iterator for Content<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        if let Some(held) = self.held() {
            return Some(held);
        }
        if self.place.at == At::Start {
            self.place.at = At::Inside;
            if self.transparency == Transparency::Dots {
                self.rest = self.rest.strip_prefix(b".").unwrap_or(self.rest);
            }
        }
        while !self.rest.is_empty() {
            let run = self.run();
            if !run.is_empty() {
                return Some(run);
            }
        }
        let tail = std::mem::take(&mut self.tail);
        (!tail.is_empty()).then_some(tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Content, counted octets, and what was left after the end mark.
    fn read(input: &[u8], cuts: impl Iterator<Item = usize>) -> (Vec<u8>, u64, Option<Vec<u8>>) {
        let mut reader = DataReader::new(Transparency::Dots);
        let (mut content, mut octets, mut start) = (Vec::new(), 0, 0);
        for cut in cuts.chain([input.len()]) {
            let data = reader.read(&input[start..cut]);
            octets += data.octets;
            start += data.consumed;
            data.content.append_to(&mut content);
            if data.end == End::Found {
                return (content, octets, Some(input[start..].to_vec()));
            }
            assert_eq!(start, cut);
        }
        (content, octets, None)
    }

    /// The same, octet by octet, as one would say it in words.
    fn model(input: &[u8]) -> (Vec<u8>, u64, Option<Vec<u8>>) {
        let (mut content, mut octets, mut rest) = (Vec::new(), 0, input);
        let mut start = true;
        loop {
            if start && rest.starts_with(b".\r\n") {
                return (content, octets, Some(rest[3..].to_vec()));
            }
            if start && rest.first() == Some(&b'.') {
                rest = &rest[1..];
            }
            start = false;
            let crs = rest.iter().take_while(|&&b| b == b'\r').count();
            if crs == rest.len() {
                return (content, octets, None);
            }
            if crs > 0 && rest[crs] == b'\n' {
                content.push(b'\n');
                start = true;
            } else {
                content.extend_from_slice(&rest[..=crs]);
            }
            octets += crs as u64 + 1;
            rest = &rest[crs + 1..];
        }
    }

    #[test]
    fn content_is_what_courier_stores() {
        let wire = b"A\r\r\nC\rD\r\n\rE\r\nF\nG\r\n.\r.\r\n..H\r\n\n.I\r\nlast\r\r\n.\r\nQUIT\r\n";
        let stored = b"A\nC\rD\n\rE\nF\nG\n\r.\n.H\n\n.I\nlast\n";
        let (content, octets, rest) = read(wire, [].into_iter());
        assert_eq!(
            content.escape_ascii().to_string(),
            stored.escape_ascii().to_string()
        );
        assert_eq!(rest.expect("an end"), b"QUIT\r\n");
        assert_eq!(octets, wire.len() as u64 - 6 - 3 - 2);
    }

    #[test]
    fn nothing_but_crlf_dot_crlf_ends() {
        for false_end in [
            &b"\n.\n"[..],
            b"\n.\r\n",
            b"\r.\r",
            b"\r.\r\n",
            b"\r\n.\n",
            b"\r\n.\r",
            b"\r\n.\0\r\n",
            b"\r\n.\r\r\n",
            b"\r\n. \r\n",
        ] {
            let input = [b"a", false_end, b"MAIL FROM:<x@example.com>"].concat();
            for cut in 0..input.len() {
                let (_, _, rest) = read(&input, [cut].into_iter());
                assert_eq!(rest, None, "{}", false_end.escape_ascii());
            }
        }
    }

    #[test]
    fn an_empty_message_has_no_content() {
        assert_eq!(
            read(b".\r\n", [1, 2].into_iter()),
            (vec![], 0, Some(vec![]))
        );
    }

    #[test]
    fn a_counted_message_ends_in_a_line_end() {
        for (chunks, content) in [
            (&[&b"a\r"[..], b"\nb"][..], &b"a\nb\n"[..]),
            (&[b"a\r", b"b\r"], b"a\rb\n"),
            (&[b".\r\n..\r\n"], b".\n..\n"),
            (&[b"\r"], b""),
            (&[b""], b""),
            (&[b"a\n", b"\r"], b"a\n"),
        ] {
            let mut reader = DataReader::new(Transparency::Counted);
            let mut seen = Vec::new();
            for chunk in chunks {
                let data = reader.read(chunk);
                assert_eq!(data.consumed, chunk.len());
                data.content.append_to(&mut seen);
            }
            reader.finish().append_to(&mut seen);
            assert_eq!(
                seen.escape_ascii().to_string(),
                content.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn bare_newlines_are_seen_in_every_cut() {
        for (input, bare) in [
            (&b"a\r\nb\r\n"[..], false),
            (b"\r\n", false),
            (b"a\nb\r\n", true),
            (b"a\rb\r\n", true),
            (b"a\r\r\n", true),
            (b"\n", true),
        ] {
            for cut in 0..=input.len() {
                let mut reader = DataReader::new(Transparency::Dots);
                let (one, two) = input.split_at(cut);
                let first = reader.has_bare_newline(one);
                reader.read(one);
                assert_eq!(
                    first || reader.has_bare_newline(two),
                    bare,
                    "{}",
                    input.escape_ascii()
                );
            }
        }
    }

    proptest! {
        #[test]
        fn every_cut_gives_what_the_words_say(
            input in proptest::collection::vec(prop_oneof![
                Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')], 0..80),
            cuts in proptest::collection::vec(0usize..80, 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|&c| c <= input.len()).collect();
            cuts.sort_unstable();
            let seen = read(&input, cuts.into_iter());
            prop_assert_eq!(&seen, &model(&input));
            prop_assert!(memchr::memmem::find(&seen.0, b"\r\n").is_none());
            prop_assert!(seen.2.is_none() || seen.0.is_empty() || seen.0.ends_with(b"\n"));
        }
    }
}
