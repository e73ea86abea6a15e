//! What SEARCH looks for (RFC 3501 §6.4.4).

use courier_core::message::date::Date;

use crate::grammar::flag::{Flag, Keyword};
use crate::grammar::sequence::SequenceSet;

/// The most terms one SEARCH may have, at any depth.
pub const MOST_TERMS: usize = 1000;
/// How deep NOT, OR and parentheses may be nested; [`Key`] may be walked by recursion.
pub const DEEPEST: usize = 50;

/// A search key: true or false of each message.
///
/// The session decides from its own view whatever it can; what is left for the host holds
/// only keys that look into the message (see [`Key::needs_content`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Every message.
    All,
    /// Has the flag.
    Flag(Flag),
    /// Lacks the flag.
    Unflag(Flag),
    /// Has the keyword.
    Keyword(Keyword),
    /// Lacks the keyword.
    Unkeyword(Keyword),
    /// The From field contains the text.
    From(Text),
    /// The To field contains the text.
    To(Text),
    /// The Cc field contains the text.
    Cc(Text),
    /// The Bcc field contains the text.
    Bcc(Text),
    /// The Subject field contains the text.
    Subject(Text),
    /// A field of this name is there and contains the text; any such field if the text is empty.
    Header(FieldName, Text),
    /// The body contains the text.
    Body(Text),
    /// The header or the body contains the text.
    Text(Text),
    /// RFC822.SIZE is larger than so many octets.
    Larger(u32),
    /// RFC822.SIZE is smaller than so many octets.
    Smaller(u32),
    /// The internal date is earlier.
    Before(Date),
    /// The internal date is on that day.
    On(Date),
    /// The internal date is on that day or later.
    Since(Date),
    /// The Date field, disregarding time and zone, is earlier.
    SentBefore(Date),
    /// The Date field, disregarding time and zone, is that day.
    SentOn(Date),
    /// The Date field, disregarding time and zone, is that day or later.
    SentSince(Date),
    /// The UID is in the set.
    Uid(SequenceSet),
    /// The sequence number is in the set.
    Sequence(SequenceSet),
    /// Recent and not seen.
    New,
    /// Not recent.
    Old,
    /// Recent.
    Recent,
    /// The key is false.
    Not(Box<Self>),
    /// Either key is true.
    Or(Box<Self>, Box<Self>),
    /// All keys are true.
    And(Vec<Self>),
}

impl Key {
    /// Whether the key, or one inside it, looks into the header or the body.
    #[must_use]
    pub fn needs_content(&self) -> bool {
        match self {
            Self::From(_)
            | Self::To(_)
            | Self::Cc(_)
            | Self::Bcc(_)
            | Self::Subject(_)
            | Self::Header(..)
            | Self::Body(_)
            | Self::Text(_)
            | Self::SentBefore(_)
            | Self::SentOn(_)
            | Self::SentSince(_) => true,
            Self::Not(key) => key.needs_content(),
            Self::Or(one, other) => one.needs_content() || other.needs_content(),
            Self::And(keys) => keys.iter().any(Self::needs_content),
            _ => false,
        }
    }

    /// Whether the key, or one inside it, is about the size.
    #[must_use]
    pub fn needs_size(&self) -> bool {
        self.any(|key| matches!(key, Self::Larger(_) | Self::Smaller(_)))
    }

    /// Whether the key, or one inside it, is about the internal date.
    #[must_use]
    pub fn needs_date(&self) -> bool {
        self.any(|key| matches!(key, Self::Before(_) | Self::On(_) | Self::Since(_)))
    }

    /// Whether this holds of the key or of one inside it.
    fn any(&self, holds: fn(&Self) -> bool) -> bool {
        match self {
            Self::Not(key) => key.any(holds),
            Self::Or(one, other) => one.any(holds) || other.any(holds),
            Self::And(keys) => keys.iter().any(|key| key.any(holds)),
            key => holds(key),
        }
    }
}

/// A string to look for: UTF-8, case folded by [`fold`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(Box<str>);

impl Text {
    /// Folds a string of the client.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(fold(text).into_boxed_str())
    }

    /// The folded string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Folds case one character at a time, so that a text may be folded in pieces: what is
/// searched and what is searched for must go through the same function.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(char::to_lowercase).collect()
}

/// The name of a header field in lower case (RFC 5322 §2.2: printable ASCII without colon).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldName(Box<[u8]>);

impl FieldName {
    /// Takes a name in any case; none if no field can have it.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Option<Self> {
        let valid = !octets.is_empty() && octets.iter().all(|b| b.is_ascii_graphic() && *b != b':');
        valid.then(|| Self(octets.to_ascii_lowercase().into_boxed_slice()))
    }

    /// The name in lower case.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_folded_alike_whole_and_in_pieces() {
        assert_eq!(Text::new("ΌΣΟΣ Straße İ").as_str(), "όσοσ straße i\u{307}");
        assert_eq!(fold("ΟΣ") + &fold("ΑΣ"), fold("ΟΣΑΣ"));
    }

    #[test]
    fn field_names_have_no_colon_and_no_blank() {
        assert_eq!(
            FieldName::parse(b"X-Mailer").unwrap().as_bytes(),
            b"x-mailer"
        );
        for name in [&b""[..], b"a:", b"a b", b"\x80", b"a\r\n"] {
            assert_eq!(FieldName::parse(name), None);
        }
    }

    #[test]
    fn a_key_knows_whether_it_looks_inside() {
        let key = Key::Or(
            Box::new(Key::All),
            Box::new(Key::Not(Box::new(Key::And(vec![
                Key::New,
                Key::Body(Text::new("x")),
            ])))),
        );
        assert!(key.needs_content() && !key.needs_size() && !key.needs_date());
        assert!(Key::Not(Box::new(Key::Larger(5))).needs_size());
        let since = Key::Since(Date::new(2024, 7, 1).unwrap());
        assert!(Key::And(vec![Key::All, Key::Not(Box::new(since))]).needs_date());
        assert!(!Key::Flag(Flag::Seen).needs_content());
    }
}
