//! Sets of rights, each a letter.

use std::fmt;

use super::AclError;

/// A set of rights. Letters that no standard knows are rights as well.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Rights {
    /// One bit an octet.
    bits: [u128; 2],
}

impl Rights {
    /// No right.
    pub const NONE: Self = Self { bits: [0; 2] };
    /// The rights that there are: administer, create, expunge, insert, lookup, read,
    /// seen, mark deleted, write flags, delete the folder.
    pub const ALL: Self = Self::of(b"aceilrstwx");

    /// These letters; blanks and control characters are none.
    #[must_use]
    pub const fn of(letters: &[u8]) -> Self {
        let mut bits = [0; 2];
        let mut at = 0;
        while at < letters.len() {
            #[expect(clippy::indexing_slicing, reason = "below the length; a const loop")]
            let letter = letters[at];
            if letter > b' ' {
                #[expect(clippy::indexing_slicing, reason = "an octet's high bit is 0 or 1")]
                let half: &mut u128 = &mut bits[(letter >> 7) as usize];
                *half |= 1 << (letter & 127);
            }
            at += 1;
        }
        Self { bits }
    }

    /// Reads rights as a program gets them.
    ///
    /// # Errors
    /// [`AclError::Rights`]
    pub fn parse(letters: &[u8]) -> Result<Self, AclError> {
        match letters.iter().all(|letter| *letter > b' ') {
            true => Ok(Self::of(letters)),
            false => Err(AclError::Rights),
        }
    }

    /// Reads rights as IMAP gives them: `d` of RFC 2086 stands for `xte`.
    ///
    /// # Errors
    /// [`AclError::Rights`]
    pub fn from_imap(letters: &[u8]) -> Result<Self, AclError> {
        let given = Self::parse(letters)?;
        match given.contains(b'd') {
            true => Ok((given - Self::of(b"d")) | Self::of(b"xte")),
            false => Ok(given),
        }
    }

    /// Whether a right is among them.
    #[must_use]
    pub fn contains(self, right: u8) -> bool {
        self.includes(Self::of(&[right]))
    }

    /// Whether all of others are among them.
    #[must_use]
    pub fn includes(self, others: Self) -> bool {
        others - self == Self::NONE
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// Whether one who has them may see the list of rights.
    #[must_use]
    pub fn may_see_list(self) -> bool {
        self - Self::of(b"lricxea") != self
    }

    /// The letters, ascending.
    pub fn letters(self) -> impl Iterator<Item = u8> {
        (b' ' + 1..=u8::MAX).filter(move |&letter| self.contains(letter))
    }
}

impl std::ops::BitOr for Rights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        let ([a, b], [c, d]) = (self.bits, other.bits);
        Self {
            bits: [a | c, b | d],
        }
    }
}

impl std::ops::Sub for Rights {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        let ([a, b], [c, d]) = (self.bits, other.bits);
        Self {
            bits: [a & !c, b & !d],
        }
    }
}

impl fmt::Display for Rights {
    /// The letters; octets that are not ASCII as U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters: Vec<u8> = self.letters().collect();
        f.write_str(&String::from_utf8_lossy(&letters))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rights_are_sorted_and_unique() {
        let rights = Rights::parse("rlZr9é".as_bytes()).expect("rights");
        assert_eq!(rights.letters().collect::<Vec<_>>(), b"9Zlr\xa9\xc3");
        assert_eq!(Rights::ALL.to_string(), "aceilrstwx");
        for wrong in ["l r", "l\n", "\0"] {
            assert_eq!(Rights::parse(wrong.as_bytes()), Err(AclError::Rights));
        }
    }

    #[test]
    fn d_of_old_clients_is_three_rights() {
        let imap = |letters: &str| Rights::from_imap(letters.as_bytes()).map(|r| r.to_string());
        assert_eq!(imap("lrd").as_deref(), Ok("elrtx"));
        assert_eq!(imap("lr").as_deref(), Ok("lr"));
    }

    #[test]
    fn who_has_no_right_of_use_does_not_see_the_list() {
        assert!(Rights::of(b"l").may_see_list());
        assert!(Rights::of(b"sa").may_see_list());
        assert!(!Rights::of(b"swt").may_see_list());
        assert!(!Rights::NONE.may_see_list());
    }

    proptest! {
        #[test]
        fn letters_are_read_back(octets: Vec<u8>) {
            let mut expected: Vec<u8> = octets.iter().copied().filter(|octet| *octet > 32).collect();
            expected.sort_unstable();
            expected.dedup();
            let rights = Rights::of(&octets);
            prop_assert_eq!(rights.letters().collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(Rights::of(&expected), rights);
        }
    }
}
