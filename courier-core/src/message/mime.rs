//! The MIME structure of a message: where each part is, to the octet.
//!
//! [`scan`] goes through a message once, decodes nothing and never recurses. It takes
//! whatever mail there is; what is nested too deep or has too many parts is left whole
//! as a part of its own, and [`Defects`] says so.
//!
//! ```text
//! --outer                         <- belongs to no part
//! Content-Type: text/plain        |
//!                                 <- header, the empty line included
//! text                            <- body; the line end before the boundary is the
//! --outer--                          boundary's (RFC 2046 §5.1.1)
//! ```

use std::borrow::Cow;

use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter};
use smallvec::SmallVec;

use super::header::{self, Field};
use super::parameter::Parameterized;
use super::structure::{Defects, Kind, Limits, Part, Size, Structure};
use super::transfer::TransferEncoding;
use super::wire::bare_within;

/// Takes a message apart.
#[must_use]
pub fn scan(message: &[u8], limits: &Limits) -> Structure {
    let mut scanner = Scanner {
        message,
        limits,
        tally: Tally::default(),
        parts: Vec::new(),
        open: SmallVec::new(),
        finder: Finder::new(b"\n--"),
        defects: Defects::default(),
        mime_version: false,
    };
    scanner.run();
    Structure {
        parts: scanner.parts,
        defects: scanner.defects,
        mime_version: scanner.mime_version,
    }
}

/// Line ends from the beginning of the message up to an offset that only grows.
#[derive(Clone, Copy, Default)]
struct Tally {
    at: usize,
    lines: u64,
    bare: u64,
}

impl Tally {
    fn advance(&mut self, message: &[u8], to: usize) {
        if to <= self.at {
            return;
        }
        // In blocks, so that the second count finds the octets in the cache.
        const BLOCK: usize = 16 * 1024;
        while self.at < to {
            let end = to.min(self.at + BLOCK);
            let block = message.get(self.at..end).unwrap_or_default();
            let lines = memchr_iter(b'\n', block).count() as u64;
            self.lines += lines;
            self.bare += match memchr(b'\r', block) {
                None if self.at.checked_sub(1).and_then(|at| message.get(at)) != Some(&b'\r') => {
                    lines
                }
                _ => bare_within(message, self.at..end),
            };
            self.at = end;
        }
    }

    fn since(&self, start: &Self) -> Size {
        Size {
            octets: (self.at - start.at) as u64,
            lines: self.lines - start.lines,
            bare_line_feeds: self.bare - start.bare,
        }
    }
}

/// A part whose end has not been found.
struct Open<'a> {
    part: usize,
    /// Where its body begins.
    body: Tally,
    /// Of a multipart before its last boundary line.
    boundary: Option<Cow<'a, [u8]>>,
    /// `multipart/digest`, whose parts are messages unless they say otherwise.
    is_digest: bool,
}

/// A boundary line.
struct Delimiter {
    /// Where the line begins.
    start: usize,
    /// Where the next line begins.
    end: usize,
    /// Whose boundary it is, as an index into the open parts.
    owner: usize,
    /// Whether it ends the multipart.
    is_last: bool,
}

/// What a header says about its body.
#[derive(Default)]
struct Entity<'a> {
    content_type: Option<&'a [u8]>,
    encoding: Option<TransferEncoding>,
}

/// How the scan goes on.
enum Next {
    /// An entity begins here.
    Entity(usize),
    /// Somewhere from here on, at the start of a line, is the next boundary.
    Body(usize),
    /// A boundary line ends what is open inside its multipart.
    Delimiter(Delimiter),
    End,
}

struct Scanner<'a, 'l> {
    message: &'a [u8],
    limits: &'l Limits,
    tally: Tally,
    parts: Vec<Part>,
    open: SmallVec<[Open<'a>; 4]>,
    finder: Finder<'static>,
    defects: Defects,
    mime_version: bool,
}

impl<'a> Scanner<'a, '_> {
    fn run(&mut self) {
        let mut next = Next::Entity(0);
        loop {
            next = match next {
                Next::Entity(start) => self.entity(start),
                Next::Body(from) => self.next_delimiter(from).map_or(Next::End, Next::Delimiter),
                Next::Delimiter(delimiter) => self.delimiter(&delimiter),
                Next::End => break,
            };
        }
        self.close(0, self.message.len());
    }

    /// Makes a part of what begins at `start`, and reads its header.
    fn entity(&mut self, start: usize) -> Next {
        self.tally.advance(self.message, start);
        let begin = self.tally;
        let number = self.parts.len();
        let parent = self.open.last().map(|open| open.part);
        let in_digest = self.open.last().is_some_and(|open| open.is_digest);
        self.parts.push(Part::new(start as u64, parent));

        let rest = self.message.get(start..).unwrap_or_default();
        let mut fields = header::fields(rest);
        let mut entity = Entity::default();
        let mut cut = None;
        for field in fields.by_ref() {
            cut = self.delimiter_at(start + field.offset);
            if cut.is_some() {
                break;
            }
            self.note(&field, &mut entity, number == 0);
        }
        let end = match &cut {
            Some(delimiter) => self.before(delimiter.start).max(start),
            None => start + fields.body(),
        };
        self.tally.advance(self.message, end);

        let mut open = Open {
            part: number,
            body: self.tally,
            boundary: None,
            is_digest: false,
        };
        let kind = self.kind(&entity, in_digest, &mut open);
        self.open.push(open);
        if let Some(part) = self.parts.get_mut(number) {
            part.kind = kind;
            part.encoding = entity.encoding.unwrap_or_default();
            part.header = start as u64..end as u64;
            part.header_size = self.tally.since(&begin);
        }
        match (cut, kind) {
            (Some(delimiter), Kind::Message) => {
                self.nothing(end, number);
                Next::Delimiter(delimiter)
            }
            (Some(delimiter), _) => Next::Delimiter(delimiter),
            (None, Kind::Message) => Next::Entity(end),
            (None, _) => Next::Body(end),
        }
    }

    /// Makes the empty message that a part cut off before its body encloses.
    fn nothing(&mut self, at: usize, parent: usize) {
        self.open.push(Open {
            part: self.parts.len(),
            body: self.tally,
            boundary: None,
            is_digest: false,
        });
        self.parts.push(Part::new(at as u64, Some(parent)));
    }

    /// Takes what it needs from a field; the first of a name counts.
    fn note(&mut self, field: &Field<'a>, entity: &mut Entity<'a>, is_root: bool) {
        match field.name.first() {
            Some(b'C' | b'c') if field.is("Content-Type") => {
                entity.content_type.get_or_insert(field.value);
            }
            Some(b'C' | b'c') if field.is("Content-Transfer-Encoding") => {
                let parse = || TransferEncoding::parse(field.value);
                entity.encoding.get_or_insert_with(parse);
            }
            Some(b'M' | b'm') if is_root && field.is("Mime-Version") => self.mime_version = true,
            _ => {}
        }
    }

    /// Decides how a part is to be read, and remembers the boundary of a multipart.
    fn kind(&mut self, entity: &Entity<'a>, in_digest: bool, open: &mut Open<'a>) -> Kind {
        let found = entity.content_type.and_then(Parameterized::media_type);
        let is_message = match &found {
            None => in_digest,
            Some(found) => {
                found.main.eq_ignore_ascii_case(b"message")
                    && (found.sub.eq_ignore_ascii_case(b"rfc822")
                        || found.sub.eq_ignore_ascii_case(b"global"))
            }
        };
        let is_multipart =
            matches!(&found, Some(found) if found.main.eq_ignore_ascii_case(b"multipart"));
        if !is_message && !is_multipart {
            return Kind::Leaf;
        }
        if self.open.len() + 1 >= self.limits.depth {
            self.defects.too_deep = true;
            return Kind::Opaque;
        }
        if is_message {
            // RFC 2046 §5.2.1: an enclosed message is never encoded.
            let is_plain = entity.encoding.unwrap_or_default() == TransferEncoding::Identity;
            return if is_plain && self.has_room() {
                Kind::Message
            } else {
                Kind::Opaque
            };
        }
        let Some(found) = found else {
            return Kind::Leaf;
        };
        let is_digest = found.sub.eq_ignore_ascii_case(b"digest");
        let boundary = found
            .parameters
            .into_iter()
            .find(|parameter| parameter.name.eq_ignore_ascii_case(b"boundary"))
            .map(|parameter| cut(parameter.value, self.limits.boundary))
            .filter(|boundary| !boundary.is_empty());
        let Some(boundary) = boundary else {
            return Kind::Plain;
        };
        let is_ambiguous = self
            .boundaries()
            .any(|(_, outer)| outer.starts_with(&boundary) || boundary.starts_with(outer));
        self.defects.ambiguous_boundary |= is_ambiguous;
        open.boundary = Some(boundary);
        open.is_digest = is_digest;
        Kind::Multipart
    }

    /// Whether one more part may be made.
    fn has_room(&mut self) -> bool {
        let has_room = self.parts.len() < self.limits.parts;
        self.defects.too_many_parts |= !has_room;
        has_room
    }

    /// The boundaries that count here, the innermost first.
    fn boundaries(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let open = self.open.iter().enumerate().rev();
        open.filter_map(|(index, open)| Some((index, open.boundary.as_deref()?)))
    }

    /// The next boundary line from `from` on, which is the start of a line.
    fn next_delimiter(&self, from: usize) -> Option<Delimiter> {
        self.boundaries().next()?;
        if let Some(delimiter) = self.delimiter_at(from) {
            return Some(delimiter);
        }
        let mut at = from;
        loop {
            let found = self.finder.find(self.message.get(at..)?)?;
            at += found + 1;
            if let Some(delimiter) = self.delimiter_at(at) {
                return Some(delimiter);
            }
        }
    }

    /// The boundary line that begins at `start`, if one does. The boundary is where
    /// the line begins; what follows on the line does not matter (RFC 2046 §5.1.1).
    /// Of several that fit the longest counts, and of equal ones the innermost.
    fn delimiter_at(&self, start: usize) -> Option<Delimiter> {
        let line = self.message.get(start..)?;
        let text = line.strip_prefix(b"--")?;
        let mut best: Option<(usize, &[u8])> = None;
        for (owner, boundary) in self.boundaries() {
            if text.starts_with(boundary)
                && best.is_none_or(|(_, best)| best.len() < boundary.len())
            {
                best = Some((owner, boundary));
            }
        }
        let (owner, boundary) = best?;
        Some(Delimiter {
            start,
            end: start + header::line_length(line),
            owner,
            is_last: text.get(boundary.len()..)?.starts_with(b"--"),
        })
    }

    /// Where a part ends that a boundary line at `start` follows.
    fn before(&self, start: usize) -> usize {
        let before = self.message.get(..start).unwrap_or_default();
        header::without_line_end(before).len()
    }

    fn delimiter(&mut self, delimiter: &Delimiter) -> Next {
        if !delimiter.is_last && !self.has_room() {
            return Next::End;
        }
        self.close(delimiter.owner + 1, self.before(delimiter.start));
        if delimiter.is_last {
            if let Some(open) = self.open.last_mut() {
                open.boundary = None;
            }
            Next::Body(delimiter.end)
        } else {
            Next::Entity(delimiter.end)
        }
    }

    /// Ends the open parts from the one at index `keep` on, at this offset or where
    /// the innermost of them begins.
    fn close(&mut self, keep: usize, end: usize) {
        self.tally.advance(self.message, end);
        let next = self.parts.len();
        while self.open.len() > keep {
            let Some(open) = self.open.pop() else {
                return;
            };
            if let Some(part) = self.parts.get_mut(open.part) {
                part.body = open.body.at as u64..self.tally.at as u64;
                part.body_size = self.tally.since(&open.body);
                part.next = next;
            }
        }
    }
}

/// The first `length` octets of a text.
fn cut(text: Cow<'_, [u8]>, length: usize) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(..length).unwrap_or(text)),
        Cow::Owned(mut text) => {
            text.truncate(length);
            Cow::Owned(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every part on a line: its depth, kind, lines, and quoted body.
    fn outline(message: &str, limits: &Limits) -> Vec<String> {
        let structure = scan(message.as_bytes(), limits);
        let parent = |&number: &usize| structure.part(number).unwrap().parent;
        let depth = |part: &Part| std::iter::successors(part.parent, parent).count();
        let parts = structure.parts().iter();
        parts
            .map(|part| {
                let body = String::from_utf8_lossy(part.body_of(message.as_bytes()));
                let (depth, lines) = (depth(part), part.body_size.lines);
                match part.kind {
                    Kind::Multipart | Kind::Message => format!("{depth} {:?} {lines}", part.kind),
                    _ => format!("{depth} {:?} {lines} {body:?}", part.kind),
                }
            })
            .collect()
    }

    fn default_outline(message: &str) -> Vec<String> {
        outline(message, &Limits::default())
    }

    #[test]
    fn the_multipart_of_rfc_2046() {
        let message = "From: Nathaniel Borenstein <nsb@bellcore.com>\nMIME-Version: 1.0\n\
            Content-type: multipart/mixed; boundary=\"simple boundary\"\n\n\
            This is the preamble.\n\n--simple boundary\n\n\
            This is implicitly typed plain US-ASCII text.\nIt does NOT end with a linebreak.\n\
            --simple boundary\nContent-type: text/plain; charset=us-ascii\n\n\
            This is explicitly typed.\nIt DOES end with a linebreak.\n\n\
            --simple boundary--\n\nThis is the epilogue.\n";
        for message in [message.to_owned(), message.replace('\n', "\r\n")] {
            let found = default_outline(&message);
            assert_eq!(found.len(), 3);
            assert_eq!(found[0], "0 Multipart 15");
            assert!(found[1].starts_with("1 Leaf 1 ") && found[1].ends_with("linebreak.\""));
            assert!(found[2].starts_with("1 Leaf 2 ") && found[2].ends_with("n\""));
            let structure = scan(message.as_bytes(), &Limits::default());
            assert!(structure.mime_version);
            let wire = message.replace("\r\n", "\n").replace('\n', "\r\n");
            assert_eq!(structure.size().wire(), wire.len() as u64);
            assert_eq!(structure.children(0).collect::<Vec<_>>(), [1, 2]);
        }
    }

    #[test]
    fn messages_nest_in_messages_and_digests() {
        let message = "Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: one\n\na\n--d\n\
            Content-Type: text/plain\n\nb\n--d\nContent-Type: message/rfc822\n\n\
            Content-Type: multipart/x; boundary=i\n\n--i\n\nc\n--i--\n--d--\n";
        assert_eq!(
            default_outline(message),
            [
                "0 Multipart 19",
                "1 Message 2",
                "2 Leaf 0 \"a\"",
                "1 Leaf 0 \"b\"",
                "1 Message 5",
                "2 Multipart 3",
                "3 Leaf 0 \"c\"",
            ]
        );
        let structure = scan(message.as_bytes(), &Limits::default());
        assert_eq!(structure.children(0).collect::<Vec<_>>(), [1, 3, 4]);
        assert_eq!(structure.children(1).collect::<Vec<_>>(), [2]);
        assert_eq!(structure.children(3).count(), 0);
        assert_eq!(
            structure
                .part(2)
                .unwrap()
                .field(message.as_bytes(), "subject")
                .unwrap()
                .value,
            b" one"
        );
    }

    #[test]
    fn boundaries_cut_wherever_they_are() {
        let outer = |inner: &str| format!("Content-Type: multipart/a; boundary=o\n\n{inner}");
        // In a header, right behind another, without an end, and in an epilogue.
        assert_eq!(
            default_outline(&outer("--o\nX: y\n--o\n--o--")),
            ["0 Multipart 3", "1 Leaf 0 \"\"", "1 Leaf 0 \"\""]
        );
        let cut = outer("--o\nContent-Type: message/rfc822\n--o--");
        assert_eq!(
            default_outline(&cut),
            ["0 Multipart 2", "1 Message 0", "2 Leaf 0 \"\""]
        );
        assert_eq!(
            default_outline(&outer("--o\n\nopen")),
            ["0 Multipart 2", "1 Leaf 0 \"open\""]
        );
        assert_eq!(default_outline(&outer("")), ["0 Multipart 0"]);
        assert_eq!(
            default_outline(&outer("--o--\n--o\n\nx\n")),
            ["0 Multipart 4"]
        );
        // The outer boundary ends an inner multipart that lacks its last line.
        let inner =
            "--o\nContent-Type: multipart/b; boundary=i\n\n--i\n\nx\n--o\n\ny\n--i\nz\n--o--\n";
        assert_eq!(
            default_outline(&outer(inner)),
            [
                "0 Multipart 12",
                "1 Multipart 2",
                "2 Leaf 0 \"x\"",
                "1 Leaf 2 \"y\\n--i\\nz\""
            ]
        );
    }

    #[test]
    fn the_longest_boundary_counts() {
        let message = "Content-Type: multipart/a; boundary=b\n\n--b\n\
            Content-Type: multipart/a; boundary=bb\n\n--bb trailing\n\nx\n--bb--\n--b--\n";
        assert_eq!(
            default_outline(message),
            ["0 Multipart 8", "1 Multipart 3", "2 Leaf 0 \"x\""]
        );
        assert!(
            scan(message.as_bytes(), &Limits::default())
                .defects
                .ambiguous_boundary
        );
    }

    #[test]
    fn parts_of_impossible_types_stay_whole() {
        let text = |kind: &str| format!("Content-Type: {kind}\n\n--b\n\nx\n--b--\n");
        for (kind, expected) in [
            ("multipart/mixed", "0 Plain 4"),
            ("multipart/mixed; boundary=\"\"", "0 Plain 4"),
            ("multipart; boundary=b", "0 Leaf 4"),
            ("message/partial", "0 Leaf 4"),
            (
                "message/rfc822\nContent-Transfer-Encoding: base64",
                "0 Opaque 4",
            ),
        ] {
            let found = default_outline(&text(kind));
            assert!(
                found.len() == 1 && found[0].starts_with(expected),
                "{found:?}"
            );
        }
        let structure = scan(
            b"Content-Type: message/global\nContent-Transfer-Encoding: 8bit\n\n\n",
            &Limits::default(),
        );
        assert_eq!(structure.root().kind, Kind::Message);
    }

    #[test]
    fn depth_and_parts_end_at_their_limit() {
        for (nested, is_too_deep) in [(48, false), (49, false), (50, true), (40_000, true)] {
            let message = "Content-Type: message/rfc822\n\n".repeat(nested) + "\nx";
            let structure = scan(message.as_bytes(), &Limits::default());
            assert_eq!(structure.parts().len(), (nested + 1).min(50));
            assert_eq!(structure.defects.too_deep, is_too_deep);
            let multiparts: String = (0..nested)
                .map(|level| {
                    format!("Content-Type: multipart/x; boundary=b{level}x\n\n--b{level}x\n")
                })
                .collect();
            let structure = scan(multiparts.as_bytes(), &Limits::default());
            assert_eq!(structure.parts().len(), (nested + 1).min(50));
            assert_eq!(structure.defects.too_deep, is_too_deep);
            let last = structure.parts().last().unwrap();
            assert_eq!(
                last.kind,
                if is_too_deep {
                    Kind::Opaque
                } else {
                    Kind::Leaf
                }
            );
        }
        for count in [9998, 9999, 10_000, 20_000] {
            let message = format!(
                "Content-Type: multipart/x; boundary=b\n\n{}",
                "--b\n\nx\n".repeat(count)
            );
            let structure = scan(message.as_bytes(), &Limits::default());
            assert_eq!(structure.parts().len(), (count + 1).min(10_000));
            assert_eq!(structure.defects.too_many_parts, count > 9999);
            let last = structure.parts().last().unwrap();
            assert_eq!(last.body.end, message.len() as u64);
        }
    }

    #[test]
    fn boundaries_are_compared_up_to_their_limit() {
        for (length, parts) in [(255, 2), (256, 2), (257, 2)] {
            let boundary = "b".repeat(length);
            let message =
                format!("Content-Type: multipart/x; boundary={boundary}\n\n--{boundary}\n\nx");
            assert_eq!(default_outline(&message).len(), parts);
            let short =
                message.replace(&format!("--{boundary}"), &format!("--{}", "b".repeat(256)));
            assert_eq!(
                default_outline(&short).len(),
                if length < 256 { 2 } else { parts }
            );
        }
    }

    #[test]
    fn hostile_messages_cost_linear_time() {
        let header = (0..48).map(|level| {
            format!("Content-Type: multipart/x; boundary={level:a>9}\n\n--{level:a>9}\n")
        });
        let header: String = header.collect();
        for piece in [
            "\n--",
            "--a\n",
            "\n--aaaaaaaa",
            "--\n",
            "\n\n",
            "a: b\n",
            "\r",
        ] {
            let message = header.clone() + &piece.repeat(300_000);
            assert!(scan(message.as_bytes(), &Limits::default()).parts().len() < 100);
        }
    }

    /// A part as it is written, and as it is to be found.
    #[derive(Debug, Clone)]
    enum Tree {
        Leaf(String),
        Multipart(Vec<Self>),
        Message(Box<Self>),
    }

    impl Tree {
        fn print(&self, path: &str, out: &mut String, found: &mut Vec<String>) {
            match self {
                Self::Leaf(text) => {
                    *out += "X: y\n\n";
                    *out += text;
                    found.push(format!("Leaf {text}"));
                }
                Self::Multipart(parts) => {
                    *out +=
                        &format!("Content-Type: multipart/x;\n\tboundary=\"{path}=\"\n\npreamble");
                    found.push("Multipart".into());
                    for (number, part) in parts.iter().enumerate() {
                        *out += &format!("\n--{path}=\n");
                        part.print(&format!("{path}{number}"), out, found);
                    }
                    *out += &format!("\n--{path}=--\nepilogue");
                }
                Self::Message(message) => {
                    *out += "Content-Type: message/rfc822\n\n";
                    found.push("Message".into());
                    message.print(&format!("{path}m"), out, found);
                }
            }
        }
    }

    impl Tree {
        /// mail-parser 0.11 stumbles over these: its own assertions fail.
        fn has_message_in_message(&self) -> bool {
            match self {
                Self::Leaf(_) => false,
                Self::Multipart(parts) => parts.iter().any(Self::has_message_in_message),
                Self::Message(inner) => {
                    matches!(**inner, Self::Message(_)) || inner.has_message_in_message()
                }
            }
        }
    }

    fn tree() -> impl Strategy<Value = Tree> {
        let leaf = "[a-z\n-]{0,20}".prop_map(Tree::Leaf);
        leaf.prop_recursive(6, 30, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4).prop_map(Tree::Multipart),
                inner.prop_map(|inner| Tree::Message(Box::new(inner))),
            ]
        })
    }

    /// Where headers, bodies and parts begin and end.
    fn places(structure: &Structure) -> Vec<[u64; 3]> {
        let place = |part: &Part| {
            let is_leaf = part.kind == Kind::Leaf;
            let end = if is_leaf { part.body.end } else { 0 };
            [part.header.start, part.body.start, end]
        };
        structure.parts().iter().map(place).collect()
    }

    /// The same by the second reader, which may be trusted with what a test made.
    fn places_by_mail_parser(message: &[u8]) -> Vec<[u64; 3]> {
        fn walk(message: &mail_parser::Message<'_>, places: &mut Vec<[u64; 3]>) {
            for part in &message.parts {
                // It has no epilogue of enclosed multiparts, so only leaves have ends.
                let is_leaf = part.is_text() || part.is_binary();
                let end = if is_leaf { part.offset_end } else { 0 };
                places.push([part.offset_header, part.offset_body, end].map(u64::from));
                if let mail_parser::PartType::Message(inner) = &part.body {
                    walk(inner, places);
                }
            }
        }
        let mut places = Vec::new();
        if let Some(message) = mail_parser::MessageParser::default().parse(message) {
            walk(&message, &mut places);
        }
        places
    }

    proptest! {
        #[test]
        fn what_was_put_together_is_found_again(tree in tree(), crlf in any::<bool>()) {
            let (mut message, mut expected) = (String::new(), Vec::new());
            tree.print("b", &mut message, &mut expected);
            if crlf {
                message = message.replace('\n', "\r\n");
            }
            let structure = scan(message.as_bytes(), &Limits::default());
            let found: Vec<_> = structure.parts().iter().map(|part| match part.kind {
                Kind::Leaf => {
                    let body = String::from_utf8_lossy(part.body_of(message.as_bytes()));
                    format!("Leaf {}", body.replace("\r\n", "\n"))
                }
                kind => format!("{kind:?}"),
            }).collect();
            prop_assert_eq!(found, expected);
            if !tree.has_message_in_message() {
                prop_assert_eq!(places(&structure), places_by_mail_parser(message.as_bytes()));
            }
        }
    }
}
