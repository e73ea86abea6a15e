//! Text in headers: encoded words (RFC 2047) and parameters with charset or in
//! sections (RFC 2231).
//!
//! What is decoded here came from a stranger: control characters in it, line ends
//! above all, become blanks, so that a decoded value can stand in a header, a log
//! line or an environment variable without growing a second one.

use std::borrow::Cow;

use memchr::memchr;
use memchr::memmem;
use smallvec::SmallVec;

use super::charset::Charset;
use super::header;
use super::parameter::{Parameter, Parameterized};
use super::transfer::{TransferEncoding, hex_value};

/// Encoded words that are decoded in one field; further ones are left raw.
pub const MOST_WORDS: usize = 2000;

/// Decodes an unstructured field's value: unfolded, encoded words replaced by what
/// they mean, the blanks between two of them taken out (RFC 2047 §6.2). Text that is
/// not ASCII is UTF-8 or else windows-1252. Words of one charset are joined before
/// they are decoded, since senders break them within characters.
#[must_use]
pub fn decode(value: &[u8]) -> String {
    let line = header::unfold(value);
    let mut text = Text::default();
    let mut rest: &[u8] = &line;
    for _ in 0..MOST_WORDS {
        let Some((before, word, behind)) = next_word(rest) else {
            break;
        };
        text.plain(rest.get(..before).unwrap_or_default(), Gap::BeforeWord);
        text.word(&word);
        rest = behind;
    }
    text.plain(rest, Gap::AtEnd);
    text.finish()
}

/// A parameter's value, decoded: from its RFC 2231 forms (`name*`, `name*0`, …) if
/// there are any, else from the plain one, in which real mail has encoded words.
#[must_use]
pub fn parameter(value: &Parameterized<'_>, name: &str) -> Option<String> {
    let found = merge(&value.parameters);
    let named = |merged: &&Merged<'_>| merged.name.eq_ignore_ascii_case(name.as_bytes());
    let mut named = found.iter().filter(named);
    let first = named.next()?;
    let best = named.find(|merged| merged.is_extended).unwrap_or(first);
    Some(if best.is_extended {
        decode_extended(&best.value)
    } else {
        decode(&best.value)
    })
}

/// A parameter whose sections were put together (RFC 2231 §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged<'a> {
    /// The name; without asterisks if there were sections.
    pub name: &'a [u8],
    /// Whether the value is in the form `charset'language'percent-encoded`.
    pub is_extended: bool,
    /// The value, not decoded.
    pub value: Cow<'a, [u8]>,
}

/// Puts the sections of parameters together, as RFC 2231 §6 demands of an IMAP
/// server; each where its first section stood. What is no section of a sequence that
/// begins with 0 stays a parameter of its own; numbers go to 999.
#[must_use]
pub fn merge<'a>(parameters: &'a [Parameter<'a>]) -> Vec<Merged<'a>> {
    let mut sections: Vec<Section<'a>> = parameters
        .iter()
        .enumerate()
        .filter_map(|(place, parameter)| Section::of(place, parameter))
        .collect();
    // Stable: of two sections of one number the first counts.
    sections.sort_by_cached_key(|section| (section.name.to_ascii_lowercase(), section.number));

    let mut merged: Vec<(usize, Merged<'a>)> = Vec::with_capacity(parameters.len());
    let mut joined = vec![false; parameters.len()];
    for group in sections.chunk_by(|one, other| one.name.eq_ignore_ascii_case(other.name)) {
        let mut next = 0;
        let mut sequence: SmallVec<[&Section<'a>; 4]> = SmallVec::new();
        for section in group {
            if section.number == next {
                sequence.push(section);
                next += 1;
            }
            if section.number < next
                && let Some(joined) = joined.get_mut(section.place)
            {
                *joined = true;
            }
        }
        let Some(place) = sequence.iter().map(|section| section.place).min() else {
            continue;
        };
        merged.push((place, join(&sequence)));
    }
    for (place, (parameter, joined)) in parameters.iter().zip(joined).enumerate() {
        if !joined {
            let whole = Merged {
                name: parameter.name,
                is_extended: false,
                value: Cow::Borrowed(&parameter.value),
            };
            merged.push((place, whole));
        }
    }
    merged.sort_by_key(|(place, _)| *place);
    merged.into_iter().map(|(_, merged)| merged).collect()
}

/// One of the parameters `name*`, `name*3`, `name*3*`.
struct Section<'a> {
    /// Its number among the parameters.
    place: usize,
    name: &'a [u8],
    number: u16,
    is_extended: bool,
    value: &'a [u8],
}

impl<'a> Section<'a> {
    fn of(place: usize, parameter: &'a Parameter<'a>) -> Option<Self> {
        let asterisk = memchr(b'*', parameter.name)?;
        let (name, rest) = parameter.name.split_at_checked(asterisk)?;
        let rest = rest.get(1..)?;
        let (digits, is_extended) = match rest.strip_suffix(b"*") {
            Some(digits) => (digits, true),
            None => (rest, rest.is_empty()),
        };
        let number = match digits {
            b"" if rest.is_empty() => 0,
            [first, others @ ..] if others.len() < 3 && digits.iter().all(u8::is_ascii_digit) => {
                if *first == b'0' && !others.is_empty() {
                    return None;
                }
                digits
                    .iter()
                    .fold(0, |number, digit| number * 10 + u16::from(digit - b'0'))
            }
            _ => return None,
        };
        (!name.is_empty()).then_some(Self {
            place,
            name,
            number,
            is_extended,
            value: &parameter.value,
        })
    }
}

/// Sections in order as one parameter. If one of them is percent-encoded, the others
/// are made so.
fn join<'a>(sections: &[&Section<'a>]) -> Merged<'a> {
    let name = sections.first().map_or(&b""[..], |first| first.name);
    let is_extended = sections.iter().any(|section| section.is_extended);
    if let [only] = sections {
        return Merged {
            name,
            is_extended,
            value: Cow::Borrowed(only.value),
        };
    }
    let mut value = Vec::new();
    if is_extended && sections.first().is_some_and(|first| !first.is_extended) {
        value.extend_from_slice(b"''");
    }
    for section in sections {
        if section.is_extended == is_extended {
            value.extend_from_slice(section.value);
        } else {
            percent_encode(section.value, &mut value);
        }
    }
    Merged {
        name,
        is_extended,
        value: Cow::Owned(value),
    }
}

fn percent_encode(text: &[u8], value: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
    for &octet in text {
        if octet.is_ascii_alphanumeric() || b"!#$&+-.^_`{|}~".contains(&octet) {
            value.push(octet);
        } else {
            value.extend_from_slice(&[b'%', digit(octet >> 4), digit(octet & 15)]);
        }
    }
}

/// `charset'language'percent-encoded`, decoded.
fn decode_extended(value: &[u8]) -> String {
    let mut pieces = value.splitn(3, |&octet| octet == b'\'');
    let (charset, text) = match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(charset), Some(_), Some(text)) => (charset, text),
        _ => (&b""[..], value),
    };
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&octet, behind)) = rest.split_first() {
        rest = behind;
        match (octet, behind) {
            (b'%', [high, low, behind @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                octets.push(hex_value(*high) << 4 | hex_value(*low));
                rest = behind;
            }
            _ => octets.push(octet),
        }
    }
    let charset = Charset::named(charset).unwrap_or_else(|| Charset::guess(&octets));
    without_controls(charset.decode(&octets))
}

/// One encoded word.
struct Word<'a> {
    charset: &'a [u8],
    is_base64: bool,
    text: &'a [u8],
}

/// The first encoded word: how many octets stand before it, itself, and what follows.
fn next_word(line: &[u8]) -> Option<(usize, Word<'_>, &[u8])> {
    let mut from = 0;
    loop {
        let start = from + memmem::find(line.get(from..)?, b"=?")?;
        match word(line.get(start + 2..)?) {
            Found::Word(word, behind) => return Some((start, word, behind)),
            Found::Other => from = start + 2,
            Found::NoEnd => return None,
        }
    }
}

enum Found<'a> {
    Word(Word<'a>, &'a [u8]),
    /// This is none, but there may be others behind it.
    Other,
    /// Nothing in the rest of the line ends a word.
    NoEnd,
}

/// Reads `charset?B?text?=`, with what follows it.
fn word(text: &[u8]) -> Found<'_> {
    // RFC 2047 §2 allows 75 octets in all; this much charset and language at most.
    let head = text.get(..80).unwrap_or(text);
    let Some(question) = memchr(b'?', head) else {
        return Found::Other;
    };
    let (charset, rest) = text.split_at_checked(question).unwrap_or((text, b""));
    let is_base64 = match rest {
        [b'?', b'B' | b'b', b'?', ..] => true,
        [b'?', b'Q' | b'q', b'?', ..] => false,
        _ => return Found::Other,
    };
    // RFC 2231 §5: a language may follow the charset.
    let charset = charset
        .split(|&octet| octet == b'*')
        .next()
        .unwrap_or_default();
    if charset.is_empty() || !charset.iter().all(u8::is_ascii_graphic) {
        return Found::Other;
    }
    let rest = rest.get(3..).unwrap_or_default();
    let Some(end) = memmem::find(rest, b"?=") else {
        return Found::NoEnd;
    };
    let (text, behind) = rest.split_at_checked(end).unwrap_or((rest, b""));
    let word = Word {
        charset,
        is_base64,
        text,
    };
    Found::Word(word, behind.get(2..).unwrap_or_default())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Gap {
    BeforeWord,
    AtEnd,
}

/// Decoded text as it grows.
#[derive(Default)]
struct Text<'a> {
    text: String,
    /// The charset of the words before, and their octets.
    words: Option<(&'a [u8], Vec<u8>)>,
}

impl<'a> Text<'a> {
    fn plain(&mut self, octets: &[u8], gap: Gap) {
        let is_blank = octets.iter().all(u8::is_ascii_whitespace);
        if octets.is_empty() || (is_blank && gap == Gap::BeforeWord && self.words.is_some()) {
            return;
        }
        self.flush();
        self.text.push_str(&Charset::guess(octets).decode(octets));
    }

    fn word(&mut self, word: &Word<'a>) {
        let octets = if word.is_base64 {
            TransferEncoding::Base64.decode(word.text)
        } else {
            decode_q(word.text)
        };
        match &mut self.words {
            Some((charset, before)) if charset.eq_ignore_ascii_case(word.charset) => {
                before.extend_from_slice(&octets);
            }
            _ => {
                self.flush();
                self.words = Some((word.charset, octets));
            }
        }
    }

    fn flush(&mut self) {
        if let Some((charset, octets)) = self.words.take() {
            let charset = Charset::named(charset).unwrap_or_else(|| Charset::guess(&octets));
            self.text.push_str(&charset.decode(&octets));
        }
    }

    fn finish(mut self) -> String {
        self.flush();
        without_controls(self.text)
    }
}

/// RFC 2047 §4.2
fn decode_q(text: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&octet, behind)) = rest.split_first() {
        rest = behind;
        match (octet, behind) {
            (b'=', [high, low, behind @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                octets.push(hex_value(*high) << 4 | hex_value(*low));
                rest = behind;
            }
            (b'_', _) => octets.push(b' '),
            _ => octets.push(octet),
        }
    }
    octets
}

/// The text with blanks in place of control characters, tabs excepted.
fn without_controls(text: String) -> String {
    let is_control = |character: char| character.is_control() && character != '\t';
    if text.chars().any(is_control) {
        let blank = |character| {
            if is_control(character) {
                ' '
            } else {
                character
            }
        };
        text.chars().map(blank).collect()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: &str) -> String {
        decode(value.as_bytes())
    }

    fn named(value: &str, name: &str) -> Option<String> {
        parameter(&Parameterized::media_type(value.as_bytes()).unwrap(), name)
    }

    #[test]
    fn encoded_words_of_the_rfc() {
        // RFC 2047 §8
        for (value, expected) in [
            ("=?ISO-8859-1?Q?a?=", "a"),
            ("=?ISO-8859-1?Q?a?= b", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a?=\r\n   =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a_b?=", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
            (
                "=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>",
                "Keith Moore <moore@cs.utk.edu>",
            ),
            (
                "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
                "If you can read this you understand the example.",
            ),
            // RFC 2231 §5
            ("=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
        ] {
            assert_eq!(text(value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_no_encoded_word_stays() {
        for value in [
            "=?utf-8?X?a?= =?",
            "=? =?utf-8?Q",
            "=??Q?a?=",
            "=?utf-8?Q?a",
            "a=?=b",
            "=?a b?Q?c?=",
        ] {
            assert_eq!(text(value), value);
        }
        assert_eq!(text("=?x?y =?utf-8?q?=41?= z"), "=?x?y A z");
        assert_eq!(text("x=?utf-8?Q?=C3=A9?=y"), "xéy");
        assert_eq!(decode(b"caf\xe9"), "café");
        assert_eq!(text("é =?x-none?Q?=E9?="), "é é");
    }

    #[test]
    fn characters_broken_between_words_are_joined() {
        assert_eq!(text("=?utf-8?Q?=C3?= =?UTF-8?B?qQ==?="), "é");
    }

    #[test]
    fn controls_become_blanks() {
        assert_eq!(text("=?utf-8?Q?a=0D=0ABcc:_b=00?="), "a  Bcc: b ");
        assert_eq!(named("a/b; x*=utf-8''a%0Ab", "x").unwrap(), "a b");
    }

    #[test]
    fn words_beyond_the_limit_stay_raw() {
        for count in [1999, 2000, 2001] {
            let decoded = text(&"=?utf-8?q?a?= ".repeat(count));
            assert_eq!(decoded.contains("=?"), count > MOST_WORDS);
            assert!(decoded.starts_with(&"a".repeat(1999)));
        }
    }

    #[test]
    fn hostile_lines_cost_linear_time() {
        for piece in ["=?", "=?a?q?", "=?a?q?b", "=?a?", "?=", "=?a?q??="] {
            let _ = text(&piece.repeat(400_000));
        }
    }

    #[test]
    fn parameters_of_rfc_2231() {
        let url =
            "message/external-body; access-type=URL; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/pub\"";
        assert_eq!(named(url, "url").unwrap(), "ftp://cs.utk.edu/pub");
        let title = "application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A";
        assert_eq!(named(title, "Title").unwrap(), "This is ***fun***");
        let both = "application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20;\n title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"";
        assert_eq!(
            named(both, "title").unwrap(),
            "This is even more ***fun*** isn't it!"
        );
    }

    #[test]
    fn odd_parameters_are_read_as_they_were_meant() {
        assert_eq!(
            named("a/b; name=x; name*=utf-8''%C3%A9", "name").unwrap(),
            "é"
        );
        assert_eq!(
            named("a/b; name=\"=?utf-8?Q?=C3=A9?=\"", "name").unwrap(),
            "é"
        );
        assert_eq!(
            named("a/b; n*1=b; n*0=a; N*2=c; n*4=e", "n").unwrap(),
            "abc"
        );
        assert_eq!(named("a/b; n*0=%41; n*1*=%41", "n").unwrap(), "%41A");
        assert_eq!(named("a/b; n*=%41", "n").unwrap(), "A");
        assert_eq!(named("a/b; n*0=a; n*0=b", "n").unwrap(), "a");
        assert_eq!(named("a/b; n*1=b", "n"), None);
        assert_eq!(named("a/b; n*1=b", "n*1").unwrap(), "b");
        assert_eq!(named("a/b; x=y", "n"), None);
    }

    #[test]
    fn sections_end_at_999() {
        for (last, is_joined) in [(998, true), (999, true), (1000, false)] {
            let parameter = |number| Parameter {
                name: format!("n*{number}").leak().as_bytes(),
                value: Cow::Borrowed(b"x"),
            };
            let parameters: Vec<_> = (0..=last).map(parameter).collect();
            assert_eq!(merge(&parameters).len(), if is_joined { 1 } else { 2 });
        }
    }

    #[test]
    fn names_without_a_sequence_stay() {
        let named = |name: &str| {
            let value = format!("a/b; {name}=x");
            let value = Parameterized::media_type(value.as_bytes()).unwrap();
            merge(&value.parameters)[0].name.to_vec()
        };
        for (name, base) in [
            ("n*0", "n"),
            ("n*0*", "n"),
            ("n*", "n"),
            ("n*999*", "n*999*"),
            ("n*00", "n*00"),
            ("n*x", "n*x"),
            ("*", "*"),
            ("n**", "n**"),
        ] {
            assert_eq!(named(name), base.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn words_come_back(value in "\\PC{1,20}", base64 in any::<bool>()) {
            use base64::prelude::{BASE64_STANDARD, Engine};
            let word = if base64 {
                format!("=?utf-8?B?{}?=", BASE64_STANDARD.encode(&value))
            } else {
                let octets: String = value.bytes().map(|octet| format!("={octet:02x}")).collect();
                format!("=?utf-8?Q?{octets}?=")
            };
            prop_assert_eq!(text(&word), value);
        }

        #[test]
        fn extended_parameters_come_back(value in "\\PC{0,30}", cut in 1_usize..20) {
            let mut encoded = Vec::new();
            percent_encode(value.as_bytes(), &mut encoded);
            let sections = encoded.chunks(cut).enumerate().map(|(number, section)| {
                format!("; n*{number}*={}{}", if number == 0 { "utf-8''" } else { "" }, String::from_utf8_lossy(section))
            });
            let text = format!("a/b{}", sections.collect::<String>());
            if !value.is_empty() {
                prop_assert_eq!(named(&text, "n"), Some(value));
            }
        }

        #[test]
        fn decoded_text_has_no_controls(value in prop::collection::vec(
            prop::sample::select(b"=?utf-8?Q?=0A\r\n\x00 \xe9_=".to_vec()), 0..80)) {
            prop_assert!(!decode(&value).contains(['\r', '\n', '\0']));
        }
    }
}
