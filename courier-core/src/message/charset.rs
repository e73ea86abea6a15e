//! Charsets: from octets to Unicode, whole or in pieces.
//!
//! Names and decoders are those of the WHATWG Encoding Standard, which is what mail
//! means by them (`iso-8859-1` is windows-1252, `us-ascii` too); UTF-7 (RFC 2152) is
//! ours.

use encoding_rs::{Encoding, REPLACEMENT, UTF_8, WINDOWS_1252};

/// A charset that can be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charset(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Standard(&'static Encoding),
    Utf7,
}

impl Charset {
    /// UTF-8, where no other is named.
    pub const UTF_8: Self = Self(Kind::Standard(UTF_8));

    /// The charset of this name; case does not matter. `None` if we cannot decode it.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        let name = name.trim_ascii();
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        if is(b"utf-7") || is(b"unicode-1-1-utf-7") || is(b"utf7") {
            return Some(Self(Kind::Utf7));
        }
        // Encodings that the standard forbids decode to nothing but U+FFFD.
        let found = Encoding::for_label(name).filter(|&found| found != REPLACEMENT)?;
        Some(Self(Kind::Standard(found)))
    }

    /// What text without a charset, or in one unknown, is most likely in: UTF-8 if
    /// it is that, else windows-1252.
    #[must_use]
    pub fn guess(octets: &[u8]) -> Self {
        let mut guess = Guess::default();
        guess.read(octets);
        guess.finish()
    }

    /// Decodes a whole text; what is wrong in it becomes U+FFFD.
    #[must_use]
    pub fn decode(self, octets: &[u8]) -> String {
        let mut decoder = self.decoder();
        let mut text = String::new();
        decoder.decode(octets, &mut text);
        decoder.finish(&mut text);
        text
    }

    /// Prepares to decode a text in pieces.
    #[must_use]
    pub fn decoder(self) -> Decoder {
        Decoder(match self.0 {
            Kind::Standard(encoding) => {
                State::Standard(encoding.new_decoder_without_bom_handling())
            }
            Kind::Utf7 => State::Utf7(Utf7::default()),
        })
    }
}

/// Guesses the charset of a text in pieces, as [`Charset::guess`] does.
#[derive(Debug, Clone, Default)]
pub struct Guess {
    /// The beginning of a character at the end of what was read.
    rest: Vec<u8>,
    is_other: bool,
}

impl Guess {
    /// Looks at the next octets; false once more of them cannot matter.
    pub fn read(&mut self, octets: &[u8]) -> bool {
        if self.is_other || (self.rest.is_empty() && octets.is_ascii()) {
            return !self.is_other;
        }
        // The longest character has four octets: complete one that was begun.
        let head = octets.len().min(4);
        let (head, octets) = octets.split_at_checked(head).unwrap_or((octets, b""));
        self.rest.extend_from_slice(head);
        let joined = std::mem::take(&mut self.rest);
        self.check(&joined);
        if self.rest.is_empty() {
            self.check(octets);
        } else if !octets.is_empty() {
            self.rest.extend_from_slice(octets);
            let joined = std::mem::take(&mut self.rest);
            self.check(&joined);
        }
        !self.is_other
    }

    fn check(&mut self, octets: &[u8]) {
        if let Err(error) = std::str::from_utf8(octets) {
            self.is_other |= error.error_len().is_some();
            let rest = octets.get(error.valid_up_to()..).unwrap_or_default();
            self.rest.extend_from_slice(rest);
        }
    }

    /// The charset of what was read.
    #[must_use]
    pub fn finish(self) -> Charset {
        if self.is_other || !self.rest.is_empty() {
            Charset(Kind::Standard(WINDOWS_1252))
        } else {
            Charset::UTF_8
        }
    }
}

/// Decodes text in pieces.
pub struct Decoder(State);

enum State {
    Standard(encoding_rs::Decoder),
    Utf7(Utf7),
}

impl Decoder {
    /// Appends what the next octets decode to: at most three octets of UTF-8 for
    /// each, and a few.
    pub fn decode(&mut self, octets: &[u8], text: &mut String) {
        match &mut self.0 {
            State::Standard(decoder) => run(decoder, octets, text, Last::No),
            State::Utf7(decoder) => decoder.decode(octets, text),
        }
    }

    /// Appends U+FFFD if the text ended within a character.
    pub fn finish(mut self, text: &mut String) {
        match &mut self.0 {
            State::Standard(decoder) => run(decoder, b"", text, Last::Yes),
            State::Utf7(decoder) => decoder.finish(text),
        }
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            State::Standard(decoder) => write!(f, "Decoder({})", decoder.encoding().name()),
            State::Utf7(_) => write!(f, "Decoder(UTF-7)"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Yes,
    No,
}

fn run(decoder: &mut encoding_rs::Decoder, mut octets: &[u8], text: &mut String, last: Last) {
    loop {
        let room = decoder.max_utf8_buffer_length(octets.len());
        text.reserve(room.unwrap_or(octets.len()).max(16));
        let (result, read, _) = decoder.decode_to_string(octets, text, last == Last::Yes);
        octets = octets.get(read..).unwrap_or_default();
        if result == encoding_rs::CoderResult::InputEmpty {
            return;
        }
    }
}

/// UTF-7: base64 of UTF-16 between `+` and whatever is no base64.
#[derive(Debug, Clone, Default)]
struct Utf7 {
    state: Shift,
    bits: u32,
    count: u32,
    high: Option<u16>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Shift {
    #[default]
    Direct,
    /// Right behind a plus sign.
    Plus,
    Base64,
}

impl Utf7 {
    fn decode(&mut self, octets: &[u8], text: &mut String) {
        for &octet in octets {
            match (self.state, octet) {
                (Shift::Direct, b'+') => self.state = Shift::Plus,
                (Shift::Direct, 0..128) => text.push(char::from(octet)),
                (Shift::Direct, _) => text.push(char::REPLACEMENT_CHARACTER),
                (Shift::Plus, b'-') => {
                    text.push('+');
                    self.state = Shift::Direct;
                }
                (Shift::Plus | Shift::Base64, _) => match value(octet) {
                    Some(value) => {
                        self.state = Shift::Base64;
                        self.shifted(value, text);
                    }
                    None => {
                        self.finish(text);
                        if octet != b'-' {
                            self.decode(&[octet], text);
                        }
                    }
                },
            }
        }
    }

    /// Six more bits.
    fn shifted(&mut self, value: u8, text: &mut String) {
        self.bits = self.bits << 6 | u32::from(value);
        self.count += 6;
        if self.count >= 16 {
            self.count -= 16;
            let [.., high, low] = (self.bits >> self.count).to_be_bytes();
            self.bits &= (1 << self.count) - 1;
            self.unit(u16::from_be_bytes([high, low]), text);
        }
    }

    /// A unit of UTF-16.
    fn unit(&mut self, unit: u16, text: &mut String) {
        let units = self.high.take().into_iter().chain([unit]);
        for decoded in char::decode_utf16(units) {
            match decoded {
                Ok(character) => text.push(character),
                Err(error) if error.unpaired_surrogate() == unit && unit < 0xDC00 => {
                    self.high = Some(unit);
                }
                Err(_) => text.push(char::REPLACEMENT_CHARACTER),
            }
        }
    }

    /// Ends what was shifted. Up to five bits may be left over.
    fn finish(&mut self, text: &mut String) {
        if self.high.take().is_some() || self.count >= 6 || self.bits != 0 {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        *self = Self::default();
    }
}

/// The value of a letter of base64.
fn value(octet: u8) -> Option<u8> {
    match octet {
        b'A'..=b'Z' => Some(octet - b'A'),
        b'a'..=b'z' => Some(octet - b'a' + 26),
        b'0'..=b'9' => Some(octet - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(name: &str, octets: &[u8]) -> String {
        Charset::named(name.as_bytes()).unwrap().decode(octets)
    }

    #[test]
    fn charsets_have_many_names() {
        assert_eq!(decode("ISO-8859-1", b"caf\xe9 \x80"), "café €");
        assert_eq!(decode("us-ascii", b"caf\xe9"), "café");
        assert_eq!(decode("gb2312", b"\xc4\xe3"), "你");
        assert_eq!(decode("iso-2022-jp", b"\x1b$B$3\x1b(B!"), "こ!");
        assert_eq!(decode("koi8-r", b"\xf0"), "П");
        assert_eq!(decode("utf-8", b"a\xffb"), "a\u{fffd}b");
        assert_eq!(Charset::named(b"x-unknown"), None);
        assert_eq!(Charset::named(b"iso-2022-kr"), None);
        assert_eq!(Charset::guess("é".as_bytes()).decode("é".as_bytes()), "é");
        assert_eq!(Charset::guess(b"\xe9").decode(b"\xe9"), "é");
    }

    #[test]
    fn utf_7_of_the_rfc() {
        // RFC 2152, examples
        assert_eq!(decode("UTF-7", b"A+ImIDkQ."), "A\u{2262}\u{391}.");
        assert_eq!(decode("utf-7", b"Hi Mom -+Jjo--!"), "Hi Mom -\u{263a}-!");
        assert_eq!(decode("utf-7", b"+ZeVnLIqe-"), "\u{65e5}\u{672c}\u{8a9e}");
        assert_eq!(
            decode("utf-7", b"Item 3 is +AKM-1. 1 +- 1"),
            "Item 3 is £1. 1 + 1"
        );
        assert_eq!(decode("utf-7", b"+2D3eAA-"), "\u{1f600}");
        assert_eq!(
            decode("utf-7", b"+2D0- \xe9 +A-"),
            "\u{fffd} \u{fffd} \u{fffd}"
        );
    }

    proptest! {
        #[test]
        fn a_guess_from_pieces_is_that_of_the_whole(
            text in "[aé€😀]{0,12}",
            cut in 0_usize..3,
            size in 1_usize..9,
        ) {
            let octets = &text.as_bytes()[..text.len().saturating_sub(cut)];
            let mut guess = Guess::default();
            for piece in octets.chunks(size) {
                guess.read(piece);
            }
            let is_utf8 = std::str::from_utf8(octets).is_ok();
            prop_assert_eq!(guess.finish() == Charset::UTF_8, is_utf8);
            prop_assert_eq!(Charset::guess(octets) == Charset::UTF_8, is_utf8);
        }

        #[test]
        fn pieces_decode_to_the_whole(
            octets in prop::collection::vec(any::<u8>(), 0..80),
            size in 1_usize..9,
            name in prop::sample::select(vec!["utf-8", "utf-7", "iso-2022-jp", "gb18030", "utf-16le"]),
        ) {
            let charset = Charset::named(name.as_bytes()).unwrap();
            let mut decoder = charset.decoder();
            let mut text = String::new();
            for piece in octets.chunks(size) {
                decoder.decode(piece, &mut text);
            }
            decoder.finish(&mut text);
            prop_assert_eq!(text, charset.decode(&octets));
        }
    }
}
