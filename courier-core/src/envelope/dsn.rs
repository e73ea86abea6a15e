use std::fmt;

use thiserror::Error;

use super::xtext::{self, XtextError};

/// Why the value of a DSN parameter cannot be taken; to a client `501 5.5.4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// RET is neither FULL nor HDRS.
    #[error("RET is FULL or HDRS")]
    Ret,
    /// NOTIFY has another word, or NEVER and another word.
    #[error("NOTIFY is NEVER, or some of SUCCESS, FAILURE and DELAY with commas between")]
    Notify,
    /// The value is no `xtext`.
    #[error("the value is no xtext")]
    Xtext(#[from] XtextError),
    /// A `\x` without a character number in braces.
    #[error("\\x without the number of a character in braces")]
    Embedded,
    /// The decoded value is empty.
    #[error("the value is empty")]
    Empty,
    /// The value is longer than RFC 3461 allows.
    #[error("the value is longer than {limit} octets")]
    TooLong {
        /// How many octets it may have.
        limit: usize,
    },
    /// The decoded value is no UTF-8, has a control character, or for ENVID one that
    /// is not ASCII.
    #[error("the value has a character that a report cannot show")]
    Unprintable,
    /// ORCPT without a type of address and a semicolon.
    #[error("ORCPT is a type of address, a semicolon and an address")]
    Orcpt,
}

/// How much of the message a report gives back (RFC 3461 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ret {
    /// `FULL`: all of it.
    Full,
    /// `HDRS`: its header.
    Headers,
}

impl Ret {
    /// Parses the value of RET, in any case; `F` and `H` will do, as in `DSNRET`.
    ///
    /// # Errors
    /// [`ParameterError::Ret`] if it is another word.
    pub fn parse(value: &str) -> Result<Self, ParameterError> {
        match () {
            () if abbreviates(value, "FULL") => Ok(Self::Full),
            () if abbreviates(value, "HDRS") => Ok(Self::Headers),
            () => Err(ParameterError::Ret),
        }
    }
}

/// Wire form: `FULL` or `HDRS`.
impl fmt::Display for Ret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        })
    }
}

/// Which outcomes the sender wants to hear of (RFC 3461 §4.1).
///
/// The default is not to have said anything; then failures are reported, and delays
/// if the site does so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Notify(u8);

impl Notify {
    /// The sender has said nothing.
    pub const UNSAID: Self = Self(0);
    /// `SUCCESS`.
    pub const SUCCESS: Self = Self(1);
    /// `FAILURE`.
    pub const FAILURE: Self = Self(2);
    /// `DELAY`.
    pub const DELAY: Self = Self(4);
    /// `NEVER`.
    pub const NEVER: Self = Self(8);

    const WORDS: [(Self, &'static str, char); 4] = [
        (Self::SUCCESS, "SUCCESS", 'S'),
        (Self::FAILURE, "FAILURE", 'F'),
        (Self::DELAY, "DELAY", 'D'),
        (Self::NEVER, "NEVER", 'N'),
    ];

    /// Parses the value of NOTIFY, in any case; first letters suffice.
    ///
    /// # Errors
    /// [`ParameterError::Notify`] if there is another word, or NEVER and another.
    pub fn parse(value: &str) -> Result<Self, ParameterError> {
        let mut bits = 0;
        for word in value.split(',') {
            let found = Self::WORDS.iter().find(|(_, w, _)| abbreviates(word, w));
            bits |= found.ok_or(ParameterError::Notify)?.0.0;
        }
        Self::from_bits(bits).ok_or(ParameterError::Notify)
    }

    /// Parses Courier's letters: some of `S`, `F` and `D`, or `N`, or nothing.
    ///
    /// # Errors
    /// [`ParameterError::Notify`] if there is another letter, or `N` and another.
    pub fn from_letters(letters: &str) -> Result<Self, ParameterError> {
        let mut bits = 0;
        for letter in letters.chars() {
            let found = Self::WORDS.iter().find(|(_, _, l)| *l == letter);
            bits |= found.ok_or(ParameterError::Notify)?.0.0;
        }
        Self::from_bits(bits).ok_or(ParameterError::Notify)
    }

    /// Courier's letters, as in the queue's records: `SFD` or some of it, or `N`.
    #[must_use]
    pub fn letters(self) -> String {
        let words = Self::WORDS.iter().filter(|word| self.has(word.0));
        words.map(|word| word.2).collect()
    }

    /// Whether all of `other` was asked for.
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0 && other.0 != 0
    }

    /// Whether the sender has said nothing.
    #[must_use]
    pub fn is_unsaid(self) -> bool {
        self == Self::UNSAID
    }

    pub(super) fn bits(self) -> u8 {
        self.0
    }

    pub(super) fn from_bits(bits: u8) -> Option<Self> {
        let known = bits < 8 || Self(bits) == Self::NEVER;
        known.then_some(Self(bits))
    }
}

/// Wire form, such as `SUCCESS,DELAY`; nothing if the sender has said nothing, and
/// then there is no parameter.
impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = Self::WORDS.iter().filter(|word| self.has(word.0));
        for (number, word) in words.enumerate() {
            if number > 0 {
                f.write_str(",")?;
            }
            f.write_str(word.1)?;
        }
        Ok(())
    }
}

/// The sender's name for a message (RFC 3461 §4.4): printable ASCII, not empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Envid(Box<str>);

impl Envid {
    /// Octets of the value in `xtext`.
    pub const LIMIT: usize = 100;

    /// Parses the value of ENVID.
    ///
    /// # Errors
    /// If it is no `xtext`, too long, empty or not printable.
    pub fn parse(value: &str) -> Result<Self, ParameterError> {
        within(value.len(), Self::LIMIT)?;
        let plain = printable(xtext::decode(value.as_bytes())?)?;
        Self::from_plain(&plain)
    }

    /// Takes the plain text.
    ///
    /// # Errors
    /// If it is too long, empty or not printable ASCII.
    pub fn from_plain(text: &str) -> Result<Self, ParameterError> {
        let text = printable(text.into())?;
        if !text.is_ascii() {
            return Err(ParameterError::Unprintable);
        }
        within(xtext::encode(text.as_bytes()).len(), Self::LIMIT)?;
        Ok(Self(text.into()))
    }

    /// The plain text, for reports.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Wire form: `xtext`.
impl fmt::Display for Envid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&xtext::encode(self.0.as_bytes()))
    }
}

/// The address as the sender wrote it (RFC 3461 §4.2, RFC 6533 §3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Orcpt {
    kind: Box<str>,
    address: Box<str>,
}

impl Orcpt {
    /// Octets of the value.
    pub const LIMIT: usize = 500;

    /// Parses the value of ORCPT: `rfc822;` or another type and `xtext`, or `utf-8;`
    /// and an address in UTF-8 in which `\x{2B}` stands for a plus sign.
    ///
    /// # Errors
    /// If it is neither, too long, empty or not printable.
    pub fn parse(value: &[u8]) -> Result<Self, ParameterError> {
        within(value.len(), Self::LIMIT)?;
        let at = memchr::memchr(b';', value).ok_or(ParameterError::Orcpt)?;
        let (kind, address) = value.split_at(at);
        let address = address.strip_prefix(b";").unwrap_or(address);
        let kind = std::str::from_utf8(kind).map_err(|_| ParameterError::Orcpt)?;
        let address = if kind.eq_ignore_ascii_case("utf-8") {
            decode_utf8_address(address)?
        } else {
            xtext::decode(address)?
        };
        Self::new(kind, &printable(address)?)
    }

    /// Takes a type of address and the plain address.
    ///
    /// # Errors
    /// If the type is no word of letters, digits and hyphens, or the address is too
    /// long, empty or not printable.
    pub fn new(kind: &str, address: &str) -> Result<Self, ParameterError> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if kind.is_empty() || !kind.bytes().all(word) {
            return Err(ParameterError::Orcpt);
        }
        within(kind.len() + 1 + address.len(), Self::LIMIT)?;
        Ok(Self {
            kind: kind.to_ascii_lowercase().into(),
            address: printable(address.into())?.into(),
        })
    }

    /// The type of address, in lower case: `rfc822`, `utf-8`, …
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The plain address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The value of ORCPT for a server without SMTPUTF8: ASCII.
    #[must_use]
    pub fn to_ascii(&self) -> String {
        if !self.is_utf8() {
            return format!("{};{}", self.kind, xtext::encode(self.address.as_bytes()));
        }
        let mut value = "utf-8;".to_owned();
        for c in self.address.chars() {
            if c.is_ascii() && !must_embed(c) {
                value.push(c);
            } else {
                embed(c, &mut value);
            }
        }
        value
    }

    /// The value of ORCPT for a server with SMTPUTF8.
    #[must_use]
    pub fn to_utf8(&self) -> String {
        if !self.is_utf8() {
            return self.to_ascii();
        }
        let mut value = "utf-8;".to_owned();
        for c in self.address.chars() {
            if must_embed(c) {
                embed(c, &mut value);
            } else {
                value.push(c);
            }
        }
        value
    }

    /// RFC 6533 §3: the only type that may have other characters than ASCII.
    fn is_utf8(&self) -> bool {
        &*self.kind == "utf-8" || !self.address.is_ascii()
    }
}

/// The form of a report's `Original-Recipient`: type, semicolon and plain address.
impl fmt::Display for Orcpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.kind, self.address)
    }
}

/// RFC 6533 §3, `utf-8-enc-addr`; `+HH` is taken too, since some senders do both.
fn decode_utf8_address(value: &[u8]) -> Result<Vec<u8>, ParameterError> {
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&octet, after)) = rest.split_first() {
        let offset = value.len() - rest.len();
        rest = after;
        match octet {
            b'+' => {
                let (octet, after) = xtext::unescape(after).ok_or(XtextError::Escape { offset })?;
                octets.push(octet);
                rest = after;
            }
            b'\\' => {
                let (c, after) = embedded(after).ok_or(ParameterError::Embedded)?;
                octets.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
            }
            octet if octet.is_ascii_graphic() || octet >= 0x80 => octets.push(octet),
            _ => return Err(XtextError::Octet { offset }.into()),
        }
    }
    Ok(octets)
}

/// The character of `x{HEX}`, and what follows.
fn embedded(text: &[u8]) -> Option<(char, &[u8])> {
    let text = text.strip_prefix(b"x{").or(text.strip_prefix(b"X{"))?;
    let end = text.iter().take(7).position(|&b| b == b'}')?;
    let (digits, rest) = text.split_at_checked(end)?;
    if digits.is_empty() {
        return None;
    }
    let mut number = 0;
    for &digit in digits {
        number = number * 16 + char::from(digit).to_digit(16)?;
    }
    Some((char::from_u32(number)?, rest.strip_prefix(b"}")?))
}

/// RFC 6533 §3: what is in neither QCHAR nor QUCHAR.
fn must_embed(c: char) -> bool {
    matches!(c, ' ' | '+' | '=' | '\\')
}

fn embed(c: char, value: &mut String) {
    value.push_str(&format!("\\x{{{:02X}}}", u32::from(c)));
}

/// reliability.md: decoded values are checked after decoding.
fn printable(octets: Vec<u8>) -> Result<String, ParameterError> {
    let text = String::from_utf8(octets).map_err(|_| ParameterError::Unprintable)?;
    if text.is_empty() {
        return Err(ParameterError::Empty);
    }
    if text.chars().any(char::is_control) {
        return Err(ParameterError::Unprintable);
    }
    Ok(text)
}

fn within(length: usize, limit: usize) -> Result<(), ParameterError> {
    if length > limit {
        return Err(ParameterError::TooLong { limit });
    }
    Ok(())
}

fn abbreviates(value: &str, word: &str) -> bool {
    let start = word.get(..value.len());
    !value.is_empty() && start.is_some_and(|start| start.eq_ignore_ascii_case(value))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn notify_takes_first_letters_and_no_contradictions() {
        let parse = |value| Notify::parse(value).map(|notify| notify.to_string());
        assert_eq!(parse("never").unwrap(), "NEVER");
        assert_eq!(parse("DELAY,Success").unwrap(), "SUCCESS,DELAY");
        assert_eq!(parse("f,d").unwrap(), "FAILURE,DELAY");
        for bad in ["", ",", "NEVER,FAILURE", "SUCCESSFUL", "x", "FAILURE,"] {
            assert_eq!(parse(bad), Err(ParameterError::Notify), "{bad}");
        }
        assert_eq!(Notify::from_letters("").unwrap(), Notify::UNSAID);
        assert_eq!(Notify::from_letters("DS").unwrap().letters(), "SD");
        assert!(Notify::from_letters("NS").is_err());
        assert!(Notify::parse("S,F").unwrap().has(Notify::FAILURE));
        assert!(!Notify::NEVER.has(Notify::UNSAID));
    }

    #[test]
    fn ret_is_full_or_headers() {
        assert_eq!(Ret::parse("full"), Ok(Ret::Full));
        assert_eq!(Ret::parse("HDRS").unwrap().to_string(), "HDRS");
        assert_eq!(Ret::parse("x"), Err(ParameterError::Ret));
        assert_eq!(Ret::parse(""), Err(ParameterError::Ret));
    }

    #[test]
    fn envid_is_checked_after_decoding() {
        assert_eq!(Envid::parse("a+20b+2B").unwrap().as_str(), "a b+");
        assert_eq!(Envid::parse("a+20b").unwrap().to_string(), "a+20b");
        assert_eq!(Envid::parse(""), Err(ParameterError::Empty));
        for bad in ["a+0Ab", "a+00", "a+7F", "+C3+A9", "+FF"] {
            assert_eq!(Envid::parse(bad), Err(ParameterError::Unprintable), "{bad}");
        }
        assert!(Envid::parse(&"a".repeat(100)).is_ok());
        let limit = Envid::LIMIT;
        assert_eq!(
            Envid::parse(&"a".repeat(101)),
            Err(ParameterError::TooLong { limit })
        );
    }

    #[test]
    fn orcpt_in_both_kinds() {
        let orcpt = Orcpt::parse(b"RFC822;a+2Bb@example.com").unwrap();
        assert_eq!(
            (orcpt.kind(), orcpt.address()),
            ("rfc822", "a+b@example.com")
        );
        assert_eq!(orcpt.to_ascii(), "rfc822;a+2Bb@example.com");
        assert_eq!(orcpt.to_string(), "rfc822; a+b@example.com");

        let unitext = Orcpt::parse("utf-8;j\\x{f6}rg\\x{2B}é@bücher.example".as_bytes()).unwrap();
        assert_eq!(unitext.address(), "jörg+é@bücher.example");
        assert_eq!(unitext.to_utf8(), "utf-8;jörg\\x{2B}é@bücher.example");
        assert_eq!(
            unitext.to_ascii(),
            "utf-8;j\\x{F6}rg\\x{2B}\\x{E9}@b\\x{FC}cher.example"
        );
    }

    #[test]
    fn wrong_orcpt_is_refused() {
        for bad in [
            &b""[..],
            b"a@b",
            b";a",
            b"rfc822;",
            b"rfc 822;a",
            b"rfc822;a b",
            b"rfc822;+0D+0A",
            b"rfc822;\xff",
            b"utf-8;\\x{}",
            b"utf-8;\\x{D800}",
            b"utf-8;\\x{1234567}",
            b"utf-8;\\x{0a}",
            b"utf-8;\\y",
            b"utf-8;\xc3",
            b"utf-8;+4",
            b"\xff;a",
        ] {
            assert!(Orcpt::parse(bad).is_err(), "{}", bad.escape_ascii());
        }
        let long = |n| Orcpt::parse(format!("x;{}", "a".repeat(n)).as_bytes());
        assert!(long(498).is_ok());
        assert!(long(499).is_err());
    }

    pub(crate) fn notify() -> impl Strategy<Value = Notify> {
        (0u8..=8).prop_filter_map("known", Notify::from_bits)
    }

    pub(crate) fn envid() -> impl Strategy<Value = Envid> {
        "[ -~]{1,33}".prop_filter_map("length", |text| Envid::from_plain(&text).ok())
    }

    pub(crate) fn orcpt() -> impl Strategy<Value = Orcpt> {
        let kind = prop_oneof![Just("rfc822"), Just("utf-8"), Just("x400")];
        (kind, "\\PC{1,40}").prop_filter_map("printable", |(kind, address)| {
            Orcpt::new(kind, &address).ok()
        })
    }

    proptest! {
        #[test]
        fn values_lead_back(notify in notify(), envid in envid(), orcpt in orcpt()) {
            if !notify.is_unsaid() {
                prop_assert_eq!(Notify::parse(&notify.to_string()), Ok(notify));
            }
            prop_assert_eq!(Notify::from_letters(&notify.letters()), Ok(notify));
            prop_assert_eq!(Envid::parse(&envid.to_string()), Ok(envid));
            prop_assert!(orcpt.to_ascii().is_ascii());
            for wire in [orcpt.to_ascii(), orcpt.to_utf8()] {
                if let Ok(again) = Orcpt::parse(wire.as_bytes()) {
                    prop_assert_eq!(again.address(), orcpt.address());
                } else {
                    prop_assert!(wire.len() > Orcpt::LIMIT);
                }
            }
        }

        #[test]
        fn anything_parses_or_fails(octets: Vec<u8>, text in "utf-8;[\\\\x{}+0-9a-fé]{0,12}") {
            let _ = Orcpt::parse(&octets);
            if let Ok(orcpt) = Orcpt::parse(text.as_bytes()) {
                prop_assert_eq!(Orcpt::parse(orcpt.to_utf8().as_bytes()), Ok(orcpt));
            }
        }
    }
}
