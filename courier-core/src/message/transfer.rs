//! Transfer encodings undone: quoted-printable and base64 (RFC 2045 §6), in pieces of
//! any size, and tolerant of what mail has instead.

use memchr::memchr2;

use super::parameter::Parameterized;

/// A `Content-Transfer-Encoding`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum TransferEncoding {
    /// `7bit`, `8bit`, `binary`, or no word at all.
    #[default]
    Identity,
    /// `quoted-printable`
    QuotedPrintable,
    /// `base64`
    Base64,
    /// Any other word: the content cannot be decoded.
    Unknown,
}

impl TransferEncoding {
    /// Reads the value of the field; case does not matter.
    #[must_use]
    pub fn parse(value: &[u8]) -> Self {
        let Some(found) = Parameterized::disposition(value) else {
            return Self::Identity;
        };
        let word = |names: &[&str]| {
            names
                .iter()
                .any(|name| found.main.eq_ignore_ascii_case(name.as_bytes()))
        };
        if word(&["7bit", "8bit", "binary", "7-bit", "8-bit"]) {
            Self::Identity
        } else if word(&["quoted-printable"]) {
            Self::QuotedPrintable
        } else if word(&["base64"]) {
            Self::Base64
        } else {
            Self::Unknown
        }
    }

    /// Decodes a whole body. An unknown encoding is left as it is.
    #[must_use]
    pub fn decode(self, body: &[u8]) -> Vec<u8> {
        let mut decoder = Decoder::new(self);
        let mut decoded = Vec::with_capacity(body.len());
        decoder.decode(body, &mut decoded);
        decoder.finish(&mut decoded);
        decoded
    }
}

/// Undoes a transfer encoding piece by piece.
#[derive(Debug, Clone)]
pub enum Decoder {
    /// Leaves everything as it is.
    Identity,
    /// Undoes quoted-printable.
    QuotedPrintable(QuotedPrintable),
    /// Undoes base64.
    Base64(Base64),
}

impl Decoder {
    /// Prepares to undo this encoding; an unknown one is left as it is.
    #[must_use]
    pub fn new(encoding: TransferEncoding) -> Self {
        match encoding {
            TransferEncoding::Identity | TransferEncoding::Unknown => Self::Identity,
            TransferEncoding::QuotedPrintable => Self::QuotedPrintable(QuotedPrintable::default()),
            TransferEncoding::Base64 => Self::Base64(Base64::default()),
        }
    }

    /// Appends to `out` what the next piece of the body decodes to: at most its own
    /// length and a kibibyte.
    pub fn decode(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Identity => out.extend_from_slice(piece),
            Self::QuotedPrintable(decoder) => decoder.decode(piece, out),
            Self::Base64(decoder) => decoder.decode(piece, out),
        }
    }

    /// Appends what was held back for the next piece: there is none.
    pub fn finish(self, out: &mut Vec<u8>) {
        match self {
            Self::Identity => {}
            Self::QuotedPrintable(decoder) => decoder.finish(out),
            Self::Base64(decoder) => decoder.finish(out),
        }
    }
}

/// Undoes base64. Octets that do not belong to it are left out; padding ends a group,
/// and what follows is decoded again.
#[derive(Debug, Clone, Default)]
pub struct Base64 {
    bits: u32,
    /// Letters in `bits`: 0 to 3.
    letters: u8,
}

/// The values of the letters; 64 for padding, 255 for anything else.
const VALUES: [u8; 256] = {
    let mut values = [255_u8; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    let mut value = 0;
    while value < alphabet.len() {
        #[expect(
            clippy::indexing_slicing,
            clippy::cast_possible_truncation,
            reason = "evaluated by the compiler, in bounds"
        )]
        {
            values[alphabet[value] as usize] = value as u8;
        }
        value += 1;
    }
    values
};

fn base64_value(octet: u8) -> u8 {
    VALUES.get(usize::from(octet)).copied().unwrap_or(255)
}

impl Base64 {
    /// Appends what the next piece decodes to.
    pub fn decode(&mut self, mut piece: &[u8], out: &mut Vec<u8>) {
        out.reserve(piece.len() / 4 * 3 + 3);
        while !piece.is_empty() {
            if self.letters == 0 {
                piece = Self::groups(piece, out);
            }
            if let Some((&octet, rest)) = piece.split_first() {
                self.letter(octet, out);
                piece = rest;
            }
        }
    }

    /// Appends the last group, if its padding is missing.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.pad(out);
    }

    /// Decodes whole groups of four letters; returns what does not begin with one.
    fn groups<'a>(mut piece: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        while let Some((group, rest)) = piece.split_first_chunk::<4>() {
            let values = group.map(base64_value);
            if values.iter().fold(0, |all, value| all | value) > 63 {
                break;
            }
            let bits = values
                .iter()
                .fold(0_u32, |bits, &value| bits << 6 | u32::from(value));
            let [_, octets @ ..] = bits.to_be_bytes();
            out.extend_from_slice(&octets);
            piece = rest;
        }
        piece
    }

    fn letter(&mut self, octet: u8, out: &mut Vec<u8>) {
        let value = base64_value(octet);
        match value {
            0..64 => {
                self.bits = self.bits << 6 | u32::from(value);
                self.letters += 1;
                let [_, first, second, third] = self.bits.to_be_bytes();
                if self.letters == 4 {
                    out.extend_from_slice(&[first, second, third]);
                    *self = Self::default();
                }
            }
            64 => self.pad(out),
            _ => {}
        }
    }

    /// Ends a group that is not full.
    fn pad(&mut self, out: &mut Vec<u8>) {
        let [_, first, second, _] =
            (self.bits << (6 * (4 - u32::from(self.letters)))).to_be_bytes();
        match self.letters {
            2 => out.push(first),
            3 => out.extend_from_slice(&[first, second]),
            _ => {}
        }
        *self = Self::default();
    }
}

/// Undoes quoted-printable. What is no escape stays as it is; blanks at the end of a
/// line go (RFC 2045 §6.7, rule 3); line ends stay as they are.
#[derive(Debug, Clone, Default)]
pub struct QuotedPrintable {
    state: Escape,
    /// Blanks and CRs that may turn out to end a line.
    held: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default)]
enum Escape {
    #[default]
    None,
    /// Behind an equals sign.
    Equals,
    /// Behind an equals sign and this hexadecimal digit.
    Digit(u8),
    /// Behind an equals sign and the blanks that are held.
    SoftBreak,
}

/// No more blanks than these are held back.
const MOST_HELD: usize = 1000;

impl QuotedPrintable {
    /// Appends what the next piece decodes to.
    pub fn decode(&mut self, mut piece: &[u8], out: &mut Vec<u8>) {
        while !piece.is_empty() {
            piece = match self.state {
                Escape::None => self.text(piece, out),
                _ => self.escape(piece, out),
            };
        }
    }

    /// Appends what was held back for a next piece.
    pub fn finish(self, out: &mut Vec<u8>) {
        if let Escape::Digit(digit) = self.state {
            out.extend_from_slice(&[b'=', digit]);
        }
    }

    /// Text up to the next equals sign or line end.
    fn text<'a>(&mut self, piece: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let end = memchr2(b'=', b'\n', piece).unwrap_or(piece.len());
        let (text, rest) = piece.split_at_checked(end).unwrap_or((piece, b""));
        let blanks = text
            .iter()
            .rev()
            .take_while(|octet| matches!(octet, b' ' | b'\t' | b'\r'))
            .count();
        if blanks < text.len() {
            out.append(&mut self.held);
        }
        let (text, blanks) = text
            .split_at_checked(text.len() - blanks)
            .unwrap_or((text, b""));
        out.extend_from_slice(text);
        self.hold(blanks, out);
        match rest.split_first() {
            Some((b'=', rest)) => {
                out.append(&mut self.held);
                self.state = Escape::Equals;
                rest
            }
            Some((_, rest)) => {
                let line_end: &[u8] = if self.held.ends_with(b"\r") {
                    b"\r\n"
                } else {
                    b"\n"
                };
                out.extend_from_slice(line_end);
                self.held.clear();
                rest
            }
            None => b"",
        }
    }

    /// One octet behind an equals sign.
    fn escape<'a>(&mut self, piece: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let Some((&octet, rest)) = piece.split_first() else {
            return piece;
        };
        self.state = match (self.state, octet) {
            (Escape::Equals, _) if octet.is_ascii_hexdigit() => Escape::Digit(octet),
            (Escape::Digit(digit), _) if octet.is_ascii_hexdigit() => {
                out.push(hex_value(digit) << 4 | hex_value(octet));
                Escape::None
            }
            (Escape::Equals | Escape::SoftBreak, b' ' | b'\t' | b'\r')
                if self.held.len() < MOST_HELD =>
            {
                self.held.push(octet);
                Escape::SoftBreak
            }
            (Escape::Equals | Escape::SoftBreak, b'\n') => {
                self.held.clear();
                Escape::None
            }
            (state, _) => {
                out.push(b'=');
                if let Escape::Digit(digit) = state {
                    out.push(digit);
                }
                // The octet is looked at again: it may begin an escape of its own.
                self.state = Escape::None;
                return piece;
            }
        };
        rest
    }

    fn hold(&mut self, blanks: &[u8], out: &mut Vec<u8>) {
        if self.held.len() + blanks.len() > MOST_HELD {
            out.append(&mut self.held);
            out.extend_from_slice(blanks);
        } else {
            self.held.extend_from_slice(blanks);
        }
    }
}

/// The value of a hexadecimal digit; 0 of anything else.
pub(crate) fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quoted_printable(text: &str) -> String {
        String::from_utf8(TransferEncoding::QuotedPrintable.decode(text.as_bytes())).unwrap()
    }

    fn base64(text: &str) -> Vec<u8> {
        TransferEncoding::Base64.decode(text.as_bytes())
    }

    #[test]
    fn names_are_read_in_any_case() {
        for (value, encoding) in [
            ("", TransferEncoding::Identity),
            (" 8BIT", TransferEncoding::Identity),
            (
                " Quoted-Printable (really)",
                TransferEncoding::QuotedPrintable,
            ),
            ("\tBASE64;", TransferEncoding::Base64),
            (" x-uuencode", TransferEncoding::Unknown),
        ] {
            assert_eq!(
                TransferEncoding::parse(value.as_bytes()),
                encoding,
                "{value}"
            );
        }
    }

    #[test]
    fn quoted_printable_of_the_rfc() {
        // RFC 2045 §6.7
        assert_eq!(
            quoted_printable(
                "Now's the time =\r\nfor all folk to come=\r\n to the aid of their country."
            ),
            "Now's the time for all folk to come to the aid of their country."
        );
        assert_eq!(
            quoted_printable("a=3D=C3=A9 \t \r\nb  \nc  "),
            "a=é\r\nb\nc"
        );
        assert_eq!(quoted_printable("soft= \t\nbreak=   \r\n="), "softbreak");
    }

    #[test]
    fn what_is_no_escape_stays() {
        assert_eq!(quoted_printable("=4x=\u{e9}==41=4"), "=4x=\u{e9}=A=4");
        assert_eq!(quoted_printable("a=  b"), "a=  b");
        let blanks = " ".repeat(3 * MOST_HELD);
        assert_eq!(
            quoted_printable(&format!("a={blanks}b")),
            format!("a={blanks}b")
        );
        assert!(quoted_printable(&format!("{blanks}\n")).len() > MOST_HELD);
    }

    #[test]
    fn base64_skips_what_does_not_belong() {
        // RFC 4648 §10
        for (text, octets) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9v\r\nYm Fy", "foobar"),
            ("Zg==Zg==", "ff"),
            ("Z*g*=*=\n\n=Zm8", "ffo"),
            ("====", ""),
        ] {
            assert_eq!(base64(text), octets.as_bytes(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn base64_comes_back(octets in prop::collection::vec(any::<u8>(), 0..200), width in 1_usize..80) {
            use base64::prelude::{BASE64_STANDARD, Engine};
            let text = BASE64_STANDARD.encode(&octets);
            let lines: Vec<_> = text.as_bytes().chunks(width).collect();
            prop_assert_eq!(TransferEncoding::Base64.decode(&lines.join(&b"\r\n"[..])), octets);
        }

        #[test]
        fn quoted_printable_comes_back(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let text: String = octets.iter().map(|octet| format!("={octet:02X}")).collect();
            let lines: Vec<_> = text.as_bytes().chunks(75).collect();
            prop_assert_eq!(TransferEncoding::QuotedPrintable.decode(&lines.join(&b"=\r\n"[..])), octets);
        }

        #[test]
        fn pieces_decode_to_the_whole(
            text in "[=A-Fa-f0-9 \t\r\n+/xé]{0,80}",
            size in 1_usize..20,
            encoding in prop::sample::select(vec![
                TransferEncoding::Identity,
                TransferEncoding::QuotedPrintable,
                TransferEncoding::Base64,
            ]),
        ) {
            let mut decoder = Decoder::new(encoding);
            let mut decoded = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                decoder.decode(piece, &mut decoded);
            }
            decoder.finish(&mut decoded);
            prop_assert_eq!(decoded, encoding.decode(text.as_bytes()));
        }
    }
}
