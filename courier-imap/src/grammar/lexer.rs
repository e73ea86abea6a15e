//! The words of which commands are made (RFC 3501 §9): atoms, strings, numbers.

use std::borrow::Cow;
use std::num::NonZeroU32;

/// The longest atom or quoted string, in octets.
pub const LONGEST_WORD: usize = 16_384;

/// What stands where something else was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{expected} expected at octet {offset}")]
pub struct ParseError {
    /// Octets of the command before the place.
    pub offset: usize,
    /// What was expected there.
    pub expected: &'static str,
}

/// A place in a complete command; literals stand in it as they came over the wire.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The start of `octets`.
    #[must_use]
    pub fn new(octets: &'a [u8]) -> Self {
        Self { octets, at: 0 }
    }

    /// The error that `what` is not here.
    #[must_use]
    pub fn expected(&self, what: &'static str) -> ParseError {
        ParseError {
            offset: self.at,
            expected: what,
        }
    }

    /// What follows.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.octets.get(self.at..).unwrap_or_default()
    }

    /// The next octet, if any.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.octets.get(self.at).copied()
    }

    /// Whether nothing follows.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.at >= self.octets.len()
    }

    /// Takes `octet` if it is the next one.
    pub fn accept(&mut self, octet: u8) -> bool {
        let found = self.peek() == Some(octet);
        self.at += usize::from(found);
        found
    }

    /// Takes `word` if it follows, in any case; it need not end there.
    pub fn accept_word(&mut self, word: &str) -> bool {
        let found = self
            .rest()
            .get(..word.len())
            .is_some_and(|next| next.eq_ignore_ascii_case(word.as_bytes()));
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// Takes `octet`.
    ///
    /// # Errors
    /// `what` if another octet follows.
    pub fn expect(&mut self, octet: u8, what: &'static str) -> Result<(), ParseError> {
        if self.accept(octet) {
            return Ok(());
        }
        Err(self.expected(what))
    }

    /// Takes one blank.
    ///
    /// # Errors
    /// If none follows.
    pub fn space(&mut self) -> Result<(), ParseError> {
        self.expect(b' ', "a blank")
    }

    /// Checks that nothing follows; blanks at the end are forgiven.
    ///
    /// # Errors
    /// If something does.
    pub fn end(&mut self) -> Result<(), ParseError> {
        while self.accept(b' ') {}
        if self.is_end() {
            return Ok(());
        }
        Err(self.expected("the end of the command"))
    }

    fn take_while(&mut self, class: u8) -> &'a [u8] {
        let rest = self.rest();
        let length = rest
            .iter()
            .position(|&octet| !is(octet, class))
            .unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn word(&mut self, class: u8, what: &'static str) -> Result<&'a [u8], ParseError> {
        let start = self.at;
        let word = self.take_while(class);
        if word.is_empty() || word.len() > LONGEST_WORD {
            self.at = start;
            return Err(self.expected(what));
        }
        Ok(word)
    }

    /// `atom`
    ///
    /// # Errors
    /// If no atom follows, or one of more than [`LONGEST_WORD`] octets.
    pub fn atom(&mut self) -> Result<&'a [u8], ParseError> {
        self.word(ATOM, "an atom")
    }

    /// `tag`
    ///
    /// # Errors
    /// As [`Self::atom`].
    pub fn tag(&mut self) -> Result<&'a [u8], ParseError> {
        self.word(TAG, "a tag")
    }

    /// Letters only: the name of a command, a FETCH item, a key.
    ///
    /// # Errors
    /// If no letter follows.
    pub fn letters(&mut self, what: &'static str) -> Result<&'a [u8], ParseError> {
        self.word(LETTER, what)
    }

    /// Letters, digits, hyphens and dots: the name of a FETCH item.
    ///
    /// # Errors
    /// If none of them follows.
    pub fn name(&mut self, what: &'static str) -> Result<&'a [u8], ParseError> {
        self.word(NAME, what)
    }

    /// The octets of an unquoted `list-mailbox`.
    pub(crate) fn pattern_atom(&mut self) -> Result<&'a [u8], ParseError> {
        self.word(PATTERN, "a mailbox pattern")
    }

    /// The octets of base64, `=` included.
    ///
    /// # Errors
    /// If none follows.
    pub fn base64(&mut self) -> Result<&'a [u8], ParseError> {
        self.word(BASE64, "base64")
    }

    /// `number`: 32 bits without sign.
    ///
    /// # Errors
    /// If no digit follows or the number is larger.
    pub fn number(&mut self) -> Result<u32, ParseError> {
        let start = self.at;
        let digits = self.take_while(DIGIT);
        let number = digits.iter().try_fold(0_u32, |number, digit| {
            number.checked_mul(10)?.checked_add(u32::from(digit - b'0'))
        });
        match number {
            Some(number) if !digits.is_empty() => Ok(number),
            _ => {
                self.at = start;
                Err(self.expected("a number of at most 32 bits"))
            }
        }
    }

    /// `nz-number`
    ///
    /// # Errors
    /// As [`Self::number`], and if it is zero.
    pub fn nz_number(&mut self) -> Result<NonZeroU32, ParseError> {
        let start = self.at;
        NonZeroU32::new(self.number()?).ok_or(ParseError {
            offset: start,
            expected: "a number above zero",
        })
    }

    /// `string`: quoted or a literal.
    ///
    /// # Errors
    /// If neither follows.
    pub fn string(&mut self, octets: Octets) -> Result<Cow<'a, [u8]>, ParseError> {
        match self.peek() {
            Some(b'"') => self.quoted(octets),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            _ => Err(self.expected("a string")),
        }
    }

    /// `astring`: an atom, in which `]` may stand too, or a string.
    ///
    /// # Errors
    /// If neither follows.
    pub fn astring(&mut self, octets: Octets) -> Result<Cow<'a, [u8]>, ParseError> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(octets),
            _ => self.word(ASTRING, "a word or string").map(Cow::Borrowed),
        }
    }

    /// `nstring`: a string or NIL.
    ///
    /// # Errors
    /// If neither follows.
    pub fn nstring(&mut self) -> Result<Option<Cow<'a, [u8]>>, ParseError> {
        if self.accept_word("NIL") {
            return Ok(None);
        }
        self.string(Octets::SevenBit).map(Some)
    }

    fn quoted(&mut self, octets: Octets) -> Result<Cow<'a, [u8]>, ParseError> {
        self.expect(b'"', "a quoted string")?;
        let start = self.at;
        let mut unescaped: Option<Vec<u8>> = None;
        loop {
            let run = self.take_while(QUOTED);
            if let Some(text) = &mut unescaped {
                text.extend_from_slice(run);
            }
            if self.at - start > LONGEST_WORD {
                return Err(self.expected("a quoted string of at most 16384 octets"));
            }
            match self.peek() {
                Some(b'"') => {
                    let whole = self.octets.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(unescaped.map_or(Cow::Borrowed(whole), Cow::Owned));
                }
                Some(b'\\') => {
                    let before = self.octets.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    let Some(escaped @ (b'"' | b'\\')) = self.peek() else {
                        return Err(self.expected("a quote or backslash after a backslash"));
                    };
                    self.at += 1;
                    unescaped
                        .get_or_insert_with(|| before.to_vec())
                        .push(escaped);
                }
                Some(octet @ 0x80..) if octets == Octets::EightBit => {
                    if let Some(text) = &mut unescaped {
                        text.push(octet);
                    }
                    self.at += 1;
                }
                _ => return Err(self.expected("the end of a quoted string")),
            }
        }
    }

    fn literal(&mut self) -> Result<&'a [u8], ParseError> {
        self.expect(b'{', "a literal")?;
        let length = self.number()?;
        self.accept(b'+');
        self.expect(b'}', "the end of a literal's length")?;
        self.accept(b'\r');
        self.expect(b'\n', "the octets of a literal")?;
        let end = usize::try_from(length)
            .ok()
            .and_then(|length| self.at.checked_add(length));
        let octets = end.and_then(|end| self.octets.get(self.at..end));
        let Some(octets) = octets else {
            return Err(self.expected("the octets of a literal"));
        };
        self.at += octets.len();
        Ok(octets)
    }
}

/// What a quoted string may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Octets {
    /// ASCII, as RFC 3501 has it.
    SevenBit,
    /// Octets above 127 too: clients send them in logins and searches.
    EightBit,
}

/// Whether `octet` may stand in an atom (`ATOM-CHAR`).
#[must_use]
pub fn is_atom(octet: u8) -> bool {
    is(octet, ATOM)
}

fn is(octet: u8, class: u8) -> bool {
    CLASSES
        .get(usize::from(octet))
        .is_some_and(|classes| classes & class != 0)
}

const ATOM: u8 = 1;
const ASTRING: u8 = 2;
const TAG: u8 = 4;
const LETTER: u8 = 8;
const DIGIT: u8 = 16;
const QUOTED: u8 = 32;
const PATTERN: u8 = 64;
const NAME: u8 = 128;
/// Base64 needs no class of its own before `=` and `+/` join: all of it is ATOM, and no
/// more than ATOM is taken; the decoder refuses the rest.
const BASE64: u8 = ATOM;

static CLASSES: [u8; 256] = classes();

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut octet = 0_u8;
    while octet < 128 {
        let mut class = 0;
        let special = matches!(
            octet,
            b'(' | b')' | b'{' | b' ' | b'%' | b'*' | b'"' | b'\\' | b']'
        );
        if octet.is_ascii_graphic() && !special {
            class |= ATOM | ASTRING | PATTERN;
            if octet != b'+' {
                class |= TAG;
            }
        }
        if octet == b']' {
            class |= ASTRING | TAG | PATTERN;
        }
        if matches!(octet, b'%' | b'*') {
            class |= PATTERN;
        }
        if octet.is_ascii_alphabetic() {
            class |= LETTER;
        }
        if octet.is_ascii_digit() {
            class |= DIGIT;
        }
        if octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-') {
            class |= NAME;
        }
        // TEXT-CHAR without the quoted-specials; a control character other than CR, LF and
        // NUL is legal there (RFC 3501 §9 `TEXT-CHAR`).
        if !matches!(octet, 0 | b'\r' | b'\n' | b'"' | b'\\') {
            class |= QUOTED;
        }
        table[octet as usize] = class;
        octet += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_end_where_their_class_ends() {
        let mut cursor =
            Cursor::new(b"a1+ LOGIN x]y \"q\\\"\\\\\" {3+}\r\na\0b NIL 12 0 4294967296");
        assert_eq!(cursor.clone().tag().unwrap(), b"a1");
        assert_eq!(cursor.atom().unwrap(), b"a1+");
        cursor.space().unwrap();
        assert!(cursor.accept_word("login"));
        cursor.space().unwrap();
        assert_eq!(&*cursor.astring(Octets::SevenBit).unwrap(), b"x]y");
        cursor.space().unwrap();
        assert_eq!(&*cursor.string(Octets::SevenBit).unwrap(), b"q\"\\");
        cursor.space().unwrap();
        assert_eq!(&*cursor.string(Octets::SevenBit).unwrap(), b"a\0b");
        cursor.space().unwrap();
        assert_eq!(cursor.nstring().unwrap(), None);
        cursor.space().unwrap();
        assert_eq!(cursor.nz_number().unwrap().get(), 12);
        cursor.space().unwrap();
        assert_eq!(cursor.clone().number().unwrap(), 0);
        assert!(cursor.nz_number().is_err());
        cursor.space().unwrap();
        assert_eq!(
            cursor.number().unwrap_err().to_string(),
            "a number of at most 32 bits expected at octet 41"
        );
    }

    #[test]
    fn eight_bits_in_quotes_only_where_they_are_forgiven() {
        let quoted = "\"ä\\\"ö\"".as_bytes();
        assert!(Cursor::new(quoted).string(Octets::SevenBit).is_err());
        assert_eq!(
            &*Cursor::new(quoted).string(Octets::EightBit).unwrap(),
            "ä\"ö".as_bytes()
        );
    }

    #[test]
    fn broken_strings_are_refused() {
        for text in [
            "\"a",
            "\"a\\n\"",
            "\"a\r\nb\"",
            "{5}\r\nabcd",
            "{5}abcde",
            "{}\r\n",
            "{-1}\r\n",
            "{4294967295}\r\n",
            "\"\0\"",
            "\"a\\",
        ] {
            assert!(
                Cursor::new(text.as_bytes())
                    .string(Octets::EightBit)
                    .is_err(),
                "{text:?}"
            );
        }
        let long = |n: usize| [b"\"", vec![b'a'; n].as_slice(), b"\""].concat();
        assert!(
            Cursor::new(&long(LONGEST_WORD))
                .string(Octets::SevenBit)
                .is_ok()
        );
        assert!(
            Cursor::new(&long(LONGEST_WORD + 1))
                .string(Octets::SevenBit)
                .is_err()
        );
        assert!(Cursor::new(&vec![b'a'; LONGEST_WORD]).atom().is_ok());
        assert!(Cursor::new(&vec![b'a'; LONGEST_WORD + 1]).atom().is_err());
    }

    proptest! {
        #[test]
        fn any_octets_give_words_or_errors(octets in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut cursor = Cursor::new(&octets);
            let _ = cursor.clone().string(Octets::EightBit);
            let _ = cursor.clone().nstring();
            let _ = cursor.clone().number();
            let _ = cursor.clone().astring(Octets::SevenBit);
            let _ = cursor.end();
        }
    }
}
