//! Header fields, found but not interpreted.
//!
//! A header ends at the first empty line and nowhere else. Lines end in LF or CRLF.
//! Whatever is no field (a line without colon, the `From ` line of an mbox file, the
//! continuation of nothing) is reported as a field without a name: it stays where it
//! is and hides nothing behind it, as Courier has it. Nothing here is bounded, since
//! stored mail must be shown whatever it is; [`HeaderLimits`] says what new mail may
//! have.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

/// One field of a header, borrowed from the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Where the field begins in the scanned octets.
    pub offset: usize,
    /// All of it, folding and its last line end included.
    pub raw: &'a [u8],
    /// The name as it is written, blanks before the colon cut off (RFC 5322 §4.5.8);
    /// empty if this is no field.
    pub name: &'a [u8],
    /// What follows the colon, folding and leading blanks included, without the last
    /// line end; of what is no field, all of it.
    pub value: &'a [u8],
}

impl<'a> Field<'a> {
    /// Whether the field has this name; case does not matter.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        !self.name.is_empty() && self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The octets of the field in what was scanned.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.raw.len()
    }

    /// The octets of the value in what was scanned.
    #[must_use]
    pub fn value_range(&self) -> Range<usize> {
        let line_end = if self.raw.ends_with(b"\r\n") {
            2
        } else {
            usize::from(self.raw.ends_with(b"\n"))
        };
        let end = self.offset + self.raw.len() - line_end;
        end - self.value.len()..end
    }

    /// The value on one line, see [`unfold`].
    #[must_use]
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        unfold(self.value)
    }
}

/// The fields of the header at the beginning of a message or of an entity; see
/// [`fields`].
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    source: &'a [u8],
    at: usize,
}

/// The fields of the header at the beginning of `source`; what follows the first
/// empty line is not looked at.
#[must_use]
pub fn fields(source: &[u8]) -> Fields<'_> {
    Fields { source, at: 0 }
}

/// The first field of this name in the header at the beginning of `source`.
#[must_use]
pub fn field<'a>(source: &'a [u8], name: &str) -> Option<Field<'a>> {
    fields(source).find(|field| field.is(name))
}

impl Fields<'_> {
    /// Offset of the first octet that was not yielded: while there are fields, of the
    /// next one; then of the empty line, or the end of the source.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Offset of the body, if the header is at its end: behind the empty line.
    #[must_use]
    pub fn body(&self) -> usize {
        self.at + empty_line(self.source.get(self.at..).unwrap_or_default()).unwrap_or(0)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let rest = self.source.get(self.at..)?;
        if rest.is_empty() || empty_line(rest).is_some() {
            return None;
        }
        let first = line_length(rest);
        let mut length = first;
        while matches!(rest.get(length), Some(b' ' | b'\t')) {
            length += line_length(rest.get(length..)?);
        }
        let raw = rest.get(..length)?;
        let text = without_line_end(raw);
        let (name, value) = name(text.get(..first).unwrap_or(text))
            .and_then(|(name, colon)| Some((name, text.get(colon + 1..)?)))
            .unwrap_or((b"", text));
        let offset = self.at;
        self.at += length;
        Some(Field {
            offset,
            raw,
            name,
            value,
        })
    }
}

/// Octets from the beginning of a message or an entity to its body, the empty line
/// included.
#[must_use]
pub fn header_length(source: &[u8]) -> usize {
    let mut at = 0;
    while let Some(rest) = source.get(at..) {
        if let Some(line) = empty_line(rest) {
            return at + line;
        }
        match memchr(b'\n', rest) {
            Some(line_feed) => at += line_feed + 1,
            None => break,
        }
    }
    source.len()
}

/// A field's value on one line: line ends taken out, blanks at both ends cut off
/// (RFC 5322 §2.2.3). Copies only what is folded.
#[must_use]
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    if memchr(b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut line = Vec::with_capacity(value.len());
    for piece in value.split_inclusive(|&octet| octet == b'\n') {
        line.extend_from_slice(without_line_end(piece));
    }
    Cow::Owned(line)
}

/// The name that a line begins with, and the offset of its colon. The `From ` line of
/// an mbox file has colons in its time, but blanks before them.
fn name(line: &[u8]) -> Option<(&[u8], usize)> {
    let colon = memchr(b':', line)?;
    let name = line.get(..colon)?.trim_ascii_end();
    let is_name = !name.is_empty() && name.iter().all(|octet| matches!(octet, 33..=126));
    is_name.then_some((name, colon))
}

/// Length of the line that `source` begins with, its end included.
pub(crate) fn line_length(source: &[u8]) -> usize {
    memchr(b'\n', source).map_or(source.len(), |line_feed| line_feed + 1)
}

/// Length of the empty line that `source` begins with, if there is one.
pub(crate) fn empty_line(source: &[u8]) -> Option<usize> {
    match source {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}

/// A line without its LF or CRLF.
pub(crate) fn without_line_end(line: &[u8]) -> &[u8] {
    let Some(line) = line.strip_suffix(b"\n") else {
        return line;
    };
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What a header of new mail may have. Storage copes with more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderLimits {
    /// Octets as stored, the empty line included (`BOFHHEADERLIMIT`).
    pub octets: usize,
    /// So many fields are too many.
    pub fields: usize,
    /// `Received` fields; more are a loop.
    pub received: usize,
}

impl Default for HeaderLimits {
    fn default() -> Self {
        Self {
            octets: 100_000,
            fields: 500,
            received: 100,
        }
    }
}

/// A header that new mail may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderExcess {
    /// Too many octets.
    #[error("the header has more than {limit} octets")]
    Octets {
        /// What is allowed.
        limit: usize,
    },
    /// Too many fields.
    #[error("the header has {limit} fields or more")]
    Fields {
        /// The first number that is too many.
        limit: usize,
    },
    /// Too many `Received` fields.
    #[error("the message has passed through more than {limit} servers: it is looping")]
    Loop {
        /// What is allowed.
        limit: usize,
    },
}

impl HeaderLimits {
    /// Judges the header at the beginning of a message; reads no further than the
    /// limit of octets.
    ///
    /// # Errors
    /// The first limit that it exceeds.
    pub fn check(&self, message: &[u8]) -> Result<(), HeaderExcess> {
        let head = message
            .get(..self.octets.saturating_add(1))
            .unwrap_or(message);
        if header_length(head) > self.octets {
            return Err(HeaderExcess::Octets { limit: self.octets });
        }
        let (mut count, mut received) = (0, 0);
        for field in fields(head) {
            count += 1;
            received += usize::from(field.is("Received"));
        }
        if count >= self.fields {
            Err(HeaderExcess::Fields { limit: self.fields })
        } else if received > self.received {
            Err(HeaderExcess::Loop {
                limit: self.received,
            })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names_and_values(source: &[u8]) -> Vec<(&str, &str)> {
        let text = |octets| std::str::from_utf8(octets).unwrap();
        fields(source)
            .map(|field| (text(field.name), text(field.value)))
            .collect()
    }

    #[test]
    fn fields_end_at_the_first_empty_line() {
        let message = b"Subject: one\n two\r\n\tthree\r\nX-Empty:\nTo : a@example.com\n\nBody: x\n";
        assert_eq!(
            names_and_values(message),
            [
                ("Subject", " one\n two\r\n\tthree"),
                ("X-Empty", ""),
                ("To", " a@example.com")
            ]
        );
        assert_eq!(&message[header_length(message)..], b"Body: x\n");
        let folded = field(message, "SUBJECT").unwrap();
        assert_eq!(&*folded.unfolded(), b"one two\tthree");
        assert_eq!(&message[folded.value_range()], folded.value);
        assert_eq!(&message[folded.range()], folded.raw);
    }

    #[test]
    fn what_is_no_field_hides_nothing() {
        let message = b"From joe@example.com Mon Nov 23 05:59:23 2026\nReceived: x\nno colon here\n :y\n\xe9: z\n: w\nSubject: s\n   \nTo: t";
        let found: Vec<_> = fields(message).map(|field| field.name).collect();
        assert_eq!(
            found,
            [&b""[..], b"Received", b"", b"", b"", b"Subject", b"To"]
        );
        assert_eq!(field(message, "to").unwrap().value, b" t");
        assert_eq!(fields(b" x\n y: z\n").count(), 1);
    }

    #[test]
    fn a_message_may_begin_with_its_body() {
        for (message, body) in [
            (&b"\nSubject: x\n"[..], 1),
            (b"\r\n", 2),
            (b"", 0),
            (b"A: b", 4),
        ] {
            assert_eq!(header_length(message), body);
            let mut fields = fields(message);
            fields.by_ref().for_each(drop);
            assert_eq!(fields.body(), body);
        }
    }

    #[test]
    fn limits_hold_at_their_number() {
        let limits = HeaderLimits::default();
        let long = |octets: usize| [b"X:".repeat(octets / 2 - 1), b"\n\n".to_vec()].concat();
        assert_eq!(limits.check(&long(99_998)), Ok(()));
        assert_eq!(limits.check(&long(100_000)), Ok(()));
        let octets = Err(HeaderExcess::Octets { limit: 100_000 });
        assert_eq!(limits.check(&[b"Y", &long(100_000)[..]].concat()), octets);
        let many =
            |name: &str, count| limits.check(format!("{name}: x\n").repeat(count).as_bytes());
        assert_eq!(many("X", 498), Ok(()));
        assert_eq!(many("X", 499), Ok(()));
        assert_eq!(many("X", 500), Err(HeaderExcess::Fields { limit: 500 }));
        assert_eq!(many("received", 99), Ok(()));
        assert_eq!(many("received", 100), Ok(()));
        assert_eq!(
            many("received", 101),
            Err(HeaderExcess::Loop { limit: 100 })
        );
        let body = [b"X: y\n\n", &b"Received: x\n".repeat(20_000)[..]].concat();
        assert_eq!(limits.check(&body), Ok(()));
    }

    proptest! {
        #[test]
        fn fields_are_the_header(
            octets in prop::collection::vec(prop::sample::select(b"\n\n\r :\tab-".to_vec()), 0..200)
        ) {
            let mut scan = fields(&octets);
            let mut joined = Vec::new();
            for field in scan.by_ref() {
                prop_assert_eq!(field.offset, joined.len());
                prop_assert_eq!(&octets[field.value_range()], field.value);
                joined.extend_from_slice(field.raw);
            }
            prop_assert_eq!(scan.offset(), joined.len());
            prop_assert!(octets.starts_with(&joined));
            prop_assert_eq!(scan.body(), header_length(&octets));
        }

        #[test]
        fn a_printed_field_is_found(
            name in "[!-9;-~]{1,20}",
            lines in prop::collection::vec("[ \t][ -~]{0,20}", 1..4),
            crlf in any::<bool>(),
        ) {
            let end = if crlf { "\r\n" } else { "\n" };
            let (folded, line) = (lines.join(end), lines.concat());
            let text = format!("X: y{end}{name}:{folded}{end}{end}");
            let found = fields(text.as_bytes()).nth(1).unwrap();
            prop_assert!(found.is(&name));
            prop_assert_eq!(found.value, folded.as_bytes());
            prop_assert_eq!(&*found.unfolded(), line.trim().as_bytes());
        }
    }
}
