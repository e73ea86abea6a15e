//! Flags and keywords (RFC 3501 §2.3.2).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A system flag that a client may set. `\Recent` is none of them: only the server sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flag {
    /// The message is not yet finished.
    Draft,
    /// It has been answered.
    Answered,
    /// It asks for attention.
    Flagged,
    /// It goes with the next EXPUNGE.
    Deleted,
    /// It has been read.
    Seen,
}

impl Flag {
    /// Every flag, in the order in which Courier lists them.
    pub const ALL: [Self; 5] = [
        Self::Draft,
        Self::Answered,
        Self::Flagged,
        Self::Deleted,
        Self::Seen,
    ];

    /// The flag as it stands on the wire, backslash included.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "\\Draft",
            Self::Answered => "\\Answered",
            Self::Flagged => "\\Flagged",
            Self::Deleted => "\\Deleted",
            Self::Seen => "\\Seen",
        }
    }

    /// The flag of a name without its backslash, in any case.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|flag| {
            flag.as_str()
                .as_bytes()
                .get(1..)
                .is_some_and(|own| own.eq_ignore_ascii_case(name))
        })
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Draft => 1,
            Self::Answered => 2,
            Self::Flagged => 4,
            Self::Deleted => 8,
            Self::Seen => 16,
        }
    }
}

/// A set of system flags, one octet large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(u8);

impl Flags {
    /// No flag at all.
    pub const NONE: Self = Self(0);

    /// Whether `flag` is set.
    #[must_use]
    pub fn contains(self, flag: Flag) -> bool {
        self.0 & flag.bit() != 0
    }

    /// This set and `flag`.
    #[must_use]
    pub fn with(self, flag: Flag) -> Self {
        Self(self.0 | flag.bit())
    }

    /// What is in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether no flag is set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The flags that are set, in Courier's order.
    pub fn iter(self) -> impl Iterator<Item = Flag> {
        Flag::ALL
            .into_iter()
            .filter(move |flag| self.contains(*flag))
    }
}

impl FromIterator<Flag> for Flags {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        flags.into_iter().fold(Self::NONE, Self::with)
    }
}

/// A name that users give to messages, such as `$Forwarded`. Case is kept and does not matter.
///
/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Keyword(Arc<str>);

/// The longest keyword, in octets.
pub const LONGEST_KEYWORD: usize = 255;

/// A text that cannot be a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeywordError {
    /// Nothing at all.
    #[error("an empty keyword")]
    Empty,
    /// More than [`LONGEST_KEYWORD`] octets.
    #[error("a keyword of more than 255 octets")]
    Long,
    /// A blank, a control character, `( ) {{ % * " \ ]`, or something outside ASCII.
    #[error("octet {offset} of the keyword cannot stand in an atom")]
    Character {
        /// Where it stands, from 0.
        offset: usize,
    },
}

impl Keyword {
    /// Checks a keyword.
    ///
    /// # Errors
    /// If it is no atom (RFC 3501 §9 `flag-keyword`) or too long.
    pub fn parse(octets: &[u8]) -> Result<Self, KeywordError> {
        if octets.is_empty() {
            return Err(KeywordError::Empty);
        }
        if octets.len() > LONGEST_KEYWORD {
            return Err(KeywordError::Long);
        }
        let odd = octets
            .iter()
            .position(|&octet| !super::lexer::is_atom(octet));
        match (odd, std::str::from_utf8(octets)) {
            (None, Ok(text)) => Ok(Self(text.into())),
            (offset, _) => Err(KeywordError::Character {
                offset: offset.unwrap_or(0),
            }),
        }
    }

    /// The keyword as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

impl Hash for Keyword {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for octet in self.0.bytes() {
            state.write_u8(octet.to_ascii_lowercase());
        }
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_names_are_read_in_any_case() {
        assert_eq!(Flag::from_name(b"sEEN"), Some(Flag::Seen));
        assert_eq!(Flag::from_name(b"Recent"), None);
        assert_eq!(Flag::from_name(b""), None);
    }

    #[test]
    fn sets_of_flags_keep_couriers_order() {
        let flags: Flags = [Flag::Seen, Flag::Answered].into_iter().collect();
        assert_eq!(
            flags.iter().collect::<Vec<_>>(),
            [Flag::Answered, Flag::Seen]
        );
        assert_eq!(
            flags.without(Flags::NONE.with(Flag::Seen)),
            Flags::NONE.with(Flag::Answered)
        );
        assert!(Flags::NONE.is_empty() && !flags.is_empty());
    }

    #[test]
    fn keywords_are_atoms_and_ignore_case() {
        let keyword = Keyword::parse(b"$Label1").unwrap();
        assert_eq!(keyword, Keyword::parse(b"$lABEL1").unwrap());
        assert_eq!(keyword.to_string(), "$Label1");
        assert_eq!(Keyword::parse(b""), Err(KeywordError::Empty));
        for octet in b" (){%*\"\\]\x00\x1f\x7f\x80" {
            if *octet != b')' {
                assert!(Keyword::parse(&[b'a', *octet]).is_err(), "{octet}");
            }
        }
        assert!(Keyword::parse(&[b'a'; 255]).is_ok());
        assert_eq!(Keyword::parse(&[b'a'; 256]), Err(KeywordError::Long));
    }
}
