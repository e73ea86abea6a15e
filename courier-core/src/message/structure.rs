//! What a message is made of, as [`super::scan`] found it: parts with their places
//! and sizes. Values are read from the message itself when they are needed.

use std::ops::Range;

use super::header::{self, Field};
use super::parameter::Parameterized;
use super::transfer::TransferEncoding;

/// How far a message is taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Levels of parts, the message itself included.
    pub depth: usize,
    /// Parts in all, the message itself included.
    pub parts: usize,
    /// Octets of a boundary that are compared.
    pub boundary: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 50,
            parts: 10_000,
            boundary: 256,
        }
    }
}

/// Octets and lines of a header or a body, as stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Octets.
    pub octets: u64,
    /// Line ends.
    pub lines: u64,
    /// Line ends without a CR.
    pub bare_line_feeds: u64,
}

impl Size {
    /// Octets once every line ends in CRLF: what IMAP calls the size.
    #[must_use]
    pub fn wire(&self) -> u64 {
        self.octets + self.bare_line_feeds
    }
}

/// How a part is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Content of the type that its header says, or of the default type.
    Leaf,
    /// A leaf whose header names a type that it cannot have (a multipart without
    /// boundary): taken for `text/plain` (RFC 2045 §5.2).
    Plain,
    /// A leaf that might hold parts but was not opened, since it is too deep or is
    /// encoded against RFC 2046 §5.2.1: taken for `application/octet-stream`.
    Opaque,
    /// `multipart/*`; its children are the parts. There may be none.
    Multipart,
    /// `message/rfc822` or `message/global`; its one child is the enclosed message.
    Message,
}

/// A part of a message: the message itself, a body part, or an enclosed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// How it is to be read.
    pub kind: Kind,
    /// Its `Content-Transfer-Encoding`.
    pub encoding: TransferEncoding,
    /// Octets of its header in the message, the empty line included. A boundary may
    /// cut it off before that.
    pub header: Range<u64>,
    /// Octets of its body in the message; of a multipart, preamble and epilogue too.
    pub body: Range<u64>,
    /// Size of the header.
    pub header_size: Size,
    /// Size of the body.
    pub body_size: Size,
    /// The part that it belongs to.
    pub parent: Option<usize>,
    /// Number of the part that follows it and everything in it.
    pub(super) next: usize,
}

/// What keeps a message from being read in one way only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Defects {
    /// Something is nested deeper than the limit.
    pub too_deep: bool,
    /// There are more parts than the limit.
    pub too_many_parts: bool,
    /// The boundary of a multipart begins with that of one around it, or the other
    /// way round (RFC 2046 §5.1.2).
    pub ambiguous_boundary: bool,
}

/// The parts of a message, each before what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    pub(super) parts: Vec<Part>,
    /// What was found wrong.
    pub defects: Defects,
    /// Whether the message has the field `Mime-Version`.
    pub mime_version: bool,
}

impl Structure {
    /// All parts, each before what it holds; the message itself comes first.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The part of a number.
    #[must_use]
    pub fn part(&self, number: usize) -> Option<&Part> {
        self.parts.get(number)
    }

    /// The message itself.
    #[must_use]
    pub fn root(&self) -> &Part {
        // A scan makes this part first, whatever the message is.
        const EMPTY: &Part = &Part::new(0, None);
        self.parts.first().unwrap_or(EMPTY)
    }

    /// The numbers of the parts directly in one, in their order.
    pub fn children(&self, number: usize) -> impl Iterator<Item = usize> {
        let end = self.parts.get(number).map_or(0, |part| part.next);
        let next = |&number: &usize| self.parts.get(number).map(|part| part.next);
        std::iter::successors(Some(number + 1), next).take_while(move |&number| number < end)
    }

    /// The number of the part that follows one and everything in it.
    #[must_use]
    pub fn after(&self, number: usize) -> Option<usize> {
        let next = self.parts.get(number)?.next;
        (next < self.parts.len()).then_some(next)
    }

    /// Size of the whole message.
    #[must_use]
    pub fn size(&self) -> Size {
        let (header, body) = (self.root().header_size, self.root().body_size);
        Size {
            octets: header.octets + body.octets,
            lines: header.lines + body.lines,
            bare_line_feeds: header.bare_line_feeds + body.bare_line_feeds,
        }
    }
}

impl Part {
    pub(super) const fn new(start: u64, parent: Option<usize>) -> Self {
        const NOTHING: Size = Size {
            octets: 0,
            lines: 0,
            bare_line_feeds: 0,
        };
        Self {
            kind: Kind::Leaf,
            encoding: TransferEncoding::Identity,
            header: start..start,
            body: start..start,
            header_size: NOTHING,
            body_size: NOTHING,
            parent,
            next: 0,
        }
    }

    /// The octets of the header; of the same message that was scanned.
    #[must_use]
    pub fn header_of<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        slice(message, &self.header)
    }

    /// The octets of the body; of the same message that was scanned.
    #[must_use]
    pub fn body_of<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        slice(message, &self.body)
    }

    /// The first field of this name in the header.
    #[must_use]
    pub fn field<'a>(&self, message: &'a [u8], name: &str) -> Option<Field<'a>> {
        header::field(self.header_of(message), name)
    }

    /// The media type that the header names, if it is one.
    #[must_use]
    pub fn media_type<'a>(&self, message: &'a [u8]) -> Option<Parameterized<'a>> {
        self.field(message, "Content-Type")
            .and_then(|field| Parameterized::media_type(field.value))
    }
}

/// The octets of a range, cut at the end of the message.
fn slice<'a>(message: &'a [u8], range: &Range<u64>) -> &'a [u8] {
    let clamp = |at: u64| usize::try_from(at).map_or(message.len(), |at| at.min(message.len()));
    message
        .get(clamp(range.start)..clamp(range.end))
        .unwrap_or_default()
}
