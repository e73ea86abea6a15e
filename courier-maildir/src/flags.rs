//! Message flags, the letters behind `:2,` in a file name.
//!
//! A flag is a letter. Capitals have a meaning of their own; small letters are
//! Dovecot's keywords, whose meaning differs from folder to folder. Letters that we
//! do not know are kept whatever else changes: they are another program's.

use std::fmt::{self, Write as _};
use std::ops::{BitOr, BitOrAssign};

/// A set of flag letters, `A` to `Z` and `a` to `z`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flags(u64);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// `D`, IMAP's `\Draft`.
    pub const DRAFT: Self = Self::of(b'D');
    /// `F`, IMAP's `\Flagged`.
    pub const FLAGGED: Self = Self::of(b'F');
    /// `P`: resent, forwarded or bounced.
    pub const PASSED: Self = Self::of(b'P');
    /// `R`, IMAP's `\Answered`.
    pub const REPLIED: Self = Self::of(b'R');
    /// `S`, IMAP's `\Seen`.
    pub const SEEN: Self = Self::of(b'S');
    /// `T`, IMAP's `\Deleted`.
    pub const TRASHED: Self = Self::of(b'T');
    /// The five flags that IMAP has names for.
    pub const IMAP: Self =
        Self(Self::DRAFT.0 | Self::FLAGGED.0 | Self::REPLIED.0 | Self::SEEN.0 | Self::TRASHED.0);
    /// Dovecot's keyword letters.
    pub const FOLDER_LETTERS: Self = Self(((1 << 26) - 1) << 26);

    /// The letter's own bit; capitals come before small letters, as in ASCII, so
    /// that walking the bits upwards walks the letters in order.
    const fn of(letter: u8) -> Self {
        match letter {
            b'A'..=b'Z' => Self(1 << (letter - b'A')),
            b'a'..=b'z' => Self(1 << (letter - b'a' + 26)),
            _ => Self(0),
        }
    }

    /// The flag of a letter, if it is one.
    #[must_use]
    pub const fn from_letter(letter: u8) -> Option<Self> {
        match Self::of(letter) {
            Self(0) => None,
            flag => Some(flag),
        }
    }

    /// The letters among these octets; others are passed over.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Self {
        octets
            .iter()
            .fold(Self::NONE, |flags, &letter| flags | Self::of(letter))
    }

    /// Whether every flag of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no flag is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These flags and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These flags except those.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The flags that are in both sets.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The letters in ASCII order.
    pub fn letters(self) -> impl Iterator<Item = u8> {
        (b'A'..=b'Z')
            .chain(b'a'..=b'z')
            .filter(move |&letter| self.contains(Self::of(letter)))
    }
}

impl BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.with(other);
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.letters()
            .try_for_each(|letter| f.write_char(char::from(letter)))
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn letters_come_in_ascii_order() {
        assert_eq!(Flags::parse(b"TaSbFZ").to_string(), "FSTZab");
        assert_eq!(Flags::IMAP.to_string(), "DFRST");
        assert_eq!(Flags::FOLDER_LETTERS.letters().count(), 26);
    }

    #[test]
    fn what_is_no_letter_is_no_flag() {
        assert_eq!(Flags::parse(b"1,:\xff-"), Flags::NONE);
        assert_eq!(Flags::from_letter(b','), None);
        assert_eq!(Flags::from_letter(b'S'), Some(Flags::SEEN));
    }

    proptest! {
        #[test]
        fn printed_flags_are_read_back(octets: Vec<u8>) {
            let flags = Flags::parse(&octets);
            prop_assert_eq!(Flags::parse(flags.to_string().as_bytes()), flags);
            prop_assert_eq!(flags.without(Flags::SEEN).with(flags.common(Flags::SEEN)), flags);
        }
    }
}
