//! Sections: the pieces of a message that `BODY[…]` names (RFC 3501 §6.4.5), and
//! `BINARY[…]` (RFC 3516).
//!
//! A piece is a range of the stored message, whose length on the wire the scan has
//! counted already; or, where fields are chosen, a small header put together here.

use std::ops::Range;

use courier_core::message::header;
use courier_core::message::structure::{Kind, Part, Size, Structure};
use courier_core::message::transfer::TransferEncoding;
use courier_core::message::wire::{self, Content, Encoding, Pieces, Segment};

use crate::grammar::fetch::{Partial, Section, SectionText};

/// What a section is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Octets of the stored message, to be sent with CRLF.
    Stored {
        /// Where they are.
        range: Range<u64>,
        /// How many they are on the wire.
        octets: u64,
    },
    /// Octets as they go over the wire, at most [`MOST_ASSEMBLED`] and one field.
    Assembled(Vec<u8>),
}

/// A header that was put together gets no more fields once it is so long. New mail has
/// no such headers.
pub const MOST_ASSEMBLED: usize = 1024 * 1024;

/// The octets of a piece that one answer gives, as `<offset.length>` asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Wire octets left out at the front.
    pub skip: u64,
    /// Wire octets given: the size of the literal.
    pub take: u64,
}

impl Piece {
    /// Octets on the wire.
    #[must_use]
    pub fn octets(&self) -> u64 {
        match self {
            Self::Stored { octets, .. } => *octets,
            Self::Assembled(octets) => octets.len() as u64,
        }
    }

    /// Which octets an answer gives; from past the end there are none.
    #[must_use]
    pub fn window(&self, partial: Option<Partial>) -> Window {
        let all = self.octets();
        let (offset, most) = partial.map_or((0, all), |partial| {
            (u64::from(partial.offset), u64::from(partial.length.get()))
        });
        let skip = offset.min(all);
        Window {
            skip,
            take: most.min(all - skip),
        }
    }

    /// The window of a stored piece as what the host sends; `None` for an assembled
    /// one, whose octets the caller has.
    #[must_use]
    pub fn segment(&self, content: &Content, window: Window) -> Option<Segment> {
        let Self::Stored { range, .. } = self else {
            return None;
        };
        Some(Segment {
            content: Content::clone(content),
            range: range.clone(),
            skip: window.skip,
            take: window.take,
            encoding: Encoding::Crlf,
        })
    }

    fn stored(range: &Range<u64>, size: Size) -> Self {
        Self::Stored {
            range: range.clone(),
            octets: size.wire(),
        }
    }

    /// The body of the part that an empty multipart is said to have.
    fn nothing() -> Self {
        Self::Assembled(Vec::new())
    }
}

/// The piece that a section names; `None` if the message has no such part, or the part
/// nothing of that kind. `message` is what was scanned.
#[must_use]
pub fn locate(message: &[u8], structure: &Structure, section: &Section) -> Option<Piece> {
    if section.part.is_empty() {
        return of_message(message, structure.root(), &section.text, || {
            Piece::stored(&(0..message.len() as u64), structure.size())
        });
    }
    let number = match find(structure, section)? {
        Place::Part(number) => number,
        Place::Nothing => {
            return matches!(section.text, SectionText::Whole | SectionText::Mime)
                .then(Piece::nothing);
        }
    };
    let part = structure.part(number)?;
    match section.text {
        SectionText::Whole => Some(Piece::stored(&part.body, part.body_size)),
        SectionText::Mime => Some(Piece::stored(&part.header, part.header_size)),
        // RFC 3501 §6.4.5: these are of enclosed messages only.
        _ if part.kind != Kind::Message => None,
        _ => {
            let inner = structure.part(structure.children(number).next()?)?;
            of_message(message, inner, &section.text, Piece::nothing)
        }
    }
}

/// Header and text of the message itself or of an enclosed one.
fn of_message(
    message: &[u8],
    root: &Part,
    text: &SectionText,
    whole: impl FnOnce() -> Piece,
) -> Option<Piece> {
    Some(match text {
        SectionText::Whole => whole(),
        SectionText::Header => Piece::stored(&root.header, root.header_size),
        SectionText::Text => Piece::stored(&root.body, root.body_size),
        SectionText::Fields(names) => {
            assemble(root.header_of(message), |name| is_among(name, names))
        }
        SectionText::FieldsNot(names) => {
            assemble(root.header_of(message), |name| !is_among(name, names))
        }
        SectionText::Mime => return None,
    })
}

fn is_among(name: &[u8], names: &[Box<[u8]>]) -> bool {
    !name.is_empty() && names.iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// The fields that are wanted, in their order and with an empty line behind them, as
/// they go over the wire.
fn assemble(header: &[u8], is_wanted: impl Fn(&[u8]) -> bool) -> Piece {
    let mut assembled = Vec::new();
    for field in header::fields(header) {
        if assembled.len() > MOST_ASSEMBLED {
            break;
        }
        if is_wanted(field.name) {
            let raw = field.raw.get(..MOST_ASSEMBLED).unwrap_or(field.raw);
            Pieces::new(raw, Encoding::Crlf).copy_to(&mut assembled, usize::MAX);
            if !assembled.ends_with(b"\n") {
                assembled.extend_from_slice(b"\r\n");
            }
        }
    }
    assembled.extend_from_slice(b"\r\n");
    Piece::Assembled(assembled)
}

/// Where the address of a part leads.
enum Place {
    Part(usize),
    /// To the part that an empty multipart is said to have.
    Nothing,
}

/// Follows the address of a part. A message that is no multipart has one part, which
/// is the message without its header.
fn find(structure: &Structure, section: &Section) -> Option<Place> {
    // The part whose parts are counted: a multipart, or a message that is none.
    let mut container = 0;
    let mut numbers = section.part.iter().map(|number| number.get()).peekable();
    while let Some(number) = numbers.next() {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let part = if structure.part(container)?.kind == Kind::Multipart {
            let mut children = structure.children(container).peekable();
            if children.peek().is_none() && index == 0 && numbers.peek().is_none() {
                return Some(Place::Nothing);
            }
            children.nth(index)?
        } else if index == 0 {
            container
        } else {
            return None;
        };
        if numbers.peek().is_none() {
            return Some(Place::Part(part));
        }
        container = match structure.part(part)?.kind {
            Kind::Multipart => part,
            Kind::Message => structure.children(part).next()?,
            _ => return None,
        };
    }
    None
}

/// A part without its transfer encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binary {
    /// It has none: the stored octets.
    Stored(Piece),
    /// What it decodes to, as it goes over the wire; no longer than the part.
    Decoded(Vec<u8>),
    /// Its encoding is not known: `NO [UNKNOWN-CTE]`.
    UnknownEncoding,
}

impl Binary {
    /// Octets on the wire, for `BINARY.SIZE`; none if the encoding is not known.
    #[must_use]
    pub fn octets(&self) -> Option<u64> {
        match self {
            Self::Stored(piece) => Some(piece.octets()),
            Self::Decoded(octets) => Some(octets.len() as u64),
            Self::UnknownEncoding => None,
        }
    }
}

/// The part that an address names, decoded (RFC 3516 §4.3); `None` if there is no such
/// part. Lines of text get CRLF, what was base64 is left as it comes out.
#[must_use]
pub fn binary(message: &[u8], structure: &Structure, section: &Section) -> Option<Binary> {
    let piece = locate(message, structure, section)?;
    let (false, Some(Place::Part(number))) = (section.part.is_empty(), find(structure, section))
    else {
        return Some(Binary::Stored(piece));
    };
    let part = structure.part(number)?;
    Some(match part.encoding {
        _ if matches!(part.kind, Kind::Multipart | Kind::Message) => Binary::Stored(piece),
        TransferEncoding::Identity => Binary::Stored(piece),
        TransferEncoding::Unknown => Binary::UnknownEncoding,
        TransferEncoding::Base64 => Binary::Decoded(part.encoding.decode(part.body_of(message))),
        TransferEncoding::QuotedPrintable => {
            let decoded = part.encoding.decode(part.body_of(message));
            if wire::bare_line_feeds(&decoded) == 0 {
                return Some(Binary::Decoded(decoded));
            }
            Binary::Decoded(
                Pieces::new(&decoded, Encoding::Crlf)
                    .collect::<Vec<_>>()
                    .concat(),
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use courier_core::message::{Limits, scan};
    use proptest::prelude::*;

    /// The message of RFC 3501 §6.4.5, each leaf holding its own address.
    fn example() -> String {
        let part = |boundary: &str, kind: &str, body: &str| {
            format!("--{boundary}\nContent-Type: {kind}\n\n{body}\n")
        };
        let inner = [
            "Subject: 3\nContent-Type: multipart/mixed; boundary=i\n\n",
            &part("i", "text/plain", "3.1"),
            &part("i", "application/octet-stream", "3.2"),
            "--i--",
        ];
        let alternative = [
            &part("a", "text/plain", "4.2.2.1"),
            &part("a", "text/richtext", "4.2.2.2"),
            "--a--",
        ];
        let second = [
            "Subject: 4.2\nContent-Type: multipart/mixed; boundary=s\n\n",
            &part("s", "text/plain", "4.2.1"),
            &part(
                "s",
                "multipart/alternative; boundary=a",
                &alternative.concat(),
            ),
            "--s--",
        ];
        let mixed = [
            &part("m", "image/gif", "4.1"),
            &part("m", "message/rfc822", &second.concat()),
            "--m--",
        ];
        [
            "Subject: 0\nX-Folded: a\n b\nContent-Type: multipart/mixed; boundary=o\n\n",
            &part("o", "text/plain", "1"),
            &part("o", "application/octet-stream", "2"),
            &part("o", "message/rfc822", &inner.concat()),
            &part("o", "multipart/mixed; boundary=m", &mixed.concat()),
            "--o--\n",
        ]
        .concat()
    }

    /// Reads `4.2.HEADER` and the like.
    fn section(text: &str) -> Section {
        let mut section = Section::default();
        let (spec, names) = text.split_once(' ').unwrap_or((text, ""));
        let names = || {
            names
                .split(' ')
                .map(|name| name.as_bytes().into())
                .collect()
        };
        for word in spec.split_terminator('.') {
            match word.parse() {
                Ok(number) => section.part.push(NonZeroU32::new(number).unwrap()),
                Err(_) => {
                    section.text = match word {
                        "HEADER" => SectionText::Header,
                        "TEXT" => SectionText::Text,
                        "MIME" => SectionText::Mime,
                        "FIELDS" => SectionText::Fields(names()),
                        "NOT" => SectionText::FieldsNot(names()),
                        other => panic!("{other}"),
                    }
                }
            }
        }
        section
    }

    /// A piece as it goes over the wire.
    fn sent(message: &str, piece: &Piece, partial: Option<Partial>) -> String {
        let window = piece.window(partial);
        let content: Content = std::sync::Arc::new(message.as_bytes().to_vec());
        let octets = match (piece, piece.segment(&content, window)) {
            (Piece::Assembled(octets), _) => {
                let start = usize::try_from(window.skip).unwrap();
                octets[start..start + usize::try_from(window.take).unwrap()].to_vec()
            }
            (_, Some(segment)) => segment.pieces(0).collect::<Vec<_>>().concat(),
            _ => panic!("neither octets nor a segment"),
        };
        assert_eq!(octets.len() as u64, window.take);
        String::from_utf8(octets).unwrap()
    }

    fn fetch(message: &str, spec: &str) -> Option<String> {
        let structure = scan(message.as_bytes(), &Limits::default());
        let piece = locate(message.as_bytes(), &structure, &section(spec))?;
        Some(sent(message, &piece, None))
    }

    #[test]
    fn the_part_numbers_of_the_rfc() {
        let message = example();
        for leaf in ["1", "2", "3.1", "3.2", "4.1", "4.2.1", "4.2.2.1", "4.2.2.2"] {
            assert_eq!(fetch(&message, leaf).unwrap(), leaf);
            let mime = fetch(&message, &format!("{leaf}.MIME")).unwrap();
            assert!(mime.starts_with("Content-Type: ") && mime.ends_with("\r\n\r\n"));
            for none in ["HEADER", "TEXT", "FIELDS A", "1", "2"] {
                assert_eq!(
                    fetch(&message, &format!("{leaf}.{none}")),
                    None,
                    "{leaf}.{none}"
                );
            }
        }
        for enclosed in ["3", "4.2"] {
            let get = |spec: &str| fetch(&message, &format!("{enclosed}.{spec}")).unwrap();
            let whole = fetch(&message, enclosed).unwrap();
            assert_eq!(get("HEADER") + &get("TEXT"), whole);
            assert_eq!(
                get("FIELDS subject"),
                format!("Subject: {enclosed}\r\n\r\n")
            );
            assert!(get("MIME").starts_with("Content-Type: message/rfc822\r\n"));
        }
        assert!(fetch(&message, "4").unwrap().starts_with("--m\r\n"));
        assert!(fetch(&message, "4.2.2").unwrap().ends_with("--a--"));
        for none in [
            "5", "3.3", "4.3", "1.1", "MIME", "4.HEADER", "4.2.2.3", "3.1.1.1",
        ] {
            assert_eq!(fetch(&message, none), None, "{none}");
        }
    }

    #[test]
    fn the_message_itself_has_header_and_text() {
        let message = example();
        let whole = fetch(&message, "").unwrap();
        assert_eq!(whole, message.replace('\n', "\r\n"));
        assert_eq!(
            fetch(&message, "HEADER").unwrap() + &fetch(&message, "TEXT").unwrap(),
            whole
        );
        assert_eq!(
            fetch(&message, "FIELDS x-folded Missing SUBJECT").unwrap(),
            "Subject: 0\r\nX-Folded: a\r\n b\r\n\r\n"
        );
        assert_eq!(
            fetch(&message, "NOT content-type subject").unwrap(),
            "X-Folded: a\r\n b\r\n\r\n"
        );
        assert_eq!(fetch(&message, "FIELDS missing").unwrap(), "\r\n");
    }

    #[test]
    fn a_message_that_is_no_multipart_is_its_own_part() {
        let message = "Subject: x\n\nbody\n";
        assert_eq!(fetch(message, "1").unwrap(), "body\r\n");
        assert_eq!(fetch(message, "1.MIME").unwrap(), "Subject: x\r\n\r\n");
        assert_eq!(fetch(message, "1.HEADER"), None);
        assert_eq!(fetch(message, "2"), None);
        assert_eq!(fetch(message, "1.1"), None);
        let enclosing = format!("Content-Type: message/rfc822\n\n{message}");
        assert_eq!(
            fetch(&enclosing, "1").unwrap(),
            message.replace('\n', "\r\n")
        );
        assert_eq!(fetch(&enclosing, "1.HEADER").unwrap(), "Subject: x\r\n\r\n");
        assert_eq!(fetch(&enclosing, "1.1").unwrap(), "body\r\n");
        let empty = "Content-Type: multipart/mixed; boundary=b\n\nno part\n";
        assert_eq!(fetch(empty, "1").unwrap(), "");
        assert_eq!(fetch(empty, "1.MIME").unwrap(), "");
        assert_eq!(fetch(empty, "1.TEXT"), None);
        assert_eq!(fetch(empty, "2"), None);
    }

    #[test]
    fn headers_without_an_end_get_one() {
        assert_eq!(fetch("A: b", "FIELDS a").unwrap(), "A: b\r\n\r\n");
        assert_eq!(
            fetch("A: b\r\nno field\r\n", "NOT a").unwrap(),
            "no field\r\n\r\n"
        );
        assert_eq!(fetch("", "HEADER").unwrap(), "");
    }

    #[test]
    fn assembled_headers_are_bounded() {
        let message = format!("A: {}\n", "x".repeat(1000)).repeat(2000);
        let length = fetch(&message, "FIELDS a").unwrap().len();
        assert!((MOST_ASSEMBLED..MOST_ASSEMBLED + 1100).contains(&length));
    }

    #[test]
    fn binary_parts_are_decoded() {
        let part = |encoding: &str, body: &str| {
            format!("--b\nContent-Transfer-Encoding: {encoding}\n\n{body}\n")
        };
        let message = [
            "Content-Type: multipart/mixed; boundary=b\n\n",
            &part("base64", "AAoN/w=="),
            &part("quoted-printable", "a=3D\nb=\nc"),
            &part("8bit", "x\ny"),
            &part("x-other", "z"),
            "--b--\n",
        ]
        .concat();
        let structure = scan(message.as_bytes(), &Limits::default());
        let get = |spec| binary(message.as_bytes(), &structure, &section(spec));
        assert_eq!(get("1"), Some(Binary::Decoded(b"\x00\n\r\xff".to_vec())));
        assert_eq!(get("2"), Some(Binary::Decoded(b"a=\r\nbc".to_vec())));
        assert_eq!(get("3").unwrap().octets(), Some(4));
        assert_eq!(get("4"), Some(Binary::UnknownEncoding));
        assert_eq!(get("5"), None);
        assert_eq!(get("").unwrap().octets(), Some(structure.size().wire()));
    }

    proptest! {
        #[test]
        fn partial_fetches_concatenate_to_the_whole(
            spec in prop::sample::select(vec!["", "HEADER", "TEXT", "3", "4.2.TEXT", "FIELDS subject x-folded"]),
            length in 1_u32..200,
        ) {
            let message = example();
            let structure = scan(message.as_bytes(), &Limits::default());
            let piece = locate(message.as_bytes(), &structure, &section(spec)).unwrap();
            let whole = sent(&message, &piece, None);
            prop_assert_eq!(whole.len() as u64, piece.octets());
            let mut joined = String::new();
            loop {
                let offset = u32::try_from(joined.len()).unwrap();
                let partial = Partial { offset, length: NonZeroU32::new(length).unwrap() };
                let part = sent(&message, &piece, Some(partial));
                if part.is_empty() {
                    break;
                }
                joined += &part;
            }
            prop_assert_eq!(joined, whole);
        }
    }
}
