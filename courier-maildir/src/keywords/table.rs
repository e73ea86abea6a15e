//! The keywords of a folder, numbered, and the sets of them that messages have.

use std::collections::HashMap;
use std::fmt;

/// A keyword: a flag with a name of the user's choice. Compared without regard to
/// case; the spelling seen first is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Keyword(String);

/// Why a keyword is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeywordError {
    /// Not an IMAP atom (RFC 9051 §9).
    #[error("a keyword holds a character that is not allowed")]
    Character,
    /// Empty, or beyond the limit.
    #[error("a keyword has 1 to {} characters", Keyword::LENGTH_LIMIT)]
    Length,
    /// The folder has as many as it may.
    #[error("a folder has at most {} keywords", KeywordTable::LIMIT)]
    TooMany,
}

impl Keyword {
    /// Characters a keyword may have.
    pub const LENGTH_LIMIT: usize = 255;

    /// Reads a keyword.
    ///
    /// # Errors
    /// When it is not an atom, or too long.
    pub fn parse(text: &str) -> Result<Self, KeywordError> {
        if text.is_empty() || text.len() > Self::LENGTH_LIMIT {
            return Err(KeywordError::Length);
        }
        if text.bytes().any(is_forbidden) {
            return Err(KeywordError::Character);
        }
        Ok(Self(text.to_owned()))
    }

    /// What a line of a file stands for. Courier: octets that IMAP forbids are read as
    /// `_`.
    pub(super) fn from_file(line: &[u8]) -> Option<Self> {
        if line.is_empty() || line.len() > Self::LENGTH_LIMIT {
            return None;
        }
        let text = line.iter().map(|&octet| match octet {
            octet if is_forbidden(octet) => '_',
            octet => char::from(octet),
        });
        Some(Self(text.collect()))
    }

    /// Its spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const fn is_forbidden(octet: u8) -> bool {
    matches!(
        octet,
        0..=b' ' | b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']' | 0x7f..
    )
}

/// The keywords of a folder, and each set of them that is in use, by number.
#[derive(Debug, Clone)]
pub struct KeywordTable {
    words: Vec<Keyword>,
    numbers: HashMap<String, u16>,
    sets: Vec<Vec<u16>>,
    set_numbers: HashMap<Vec<u16>, SetId>,
}

/// A set of keywords; equal numbers of one table are equal sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SetId(u32);

impl SetId {
    /// No keyword.
    pub const EMPTY: Self = Self(0);

    /// The set of this number in a table of so many.
    pub(crate) fn of_number(number: u32, sets: usize) -> Option<Self> {
        ((number as usize) < sets).then_some(Self(number))
    }

    /// Its number in its table.
    pub(crate) const fn number(self) -> u32 {
        self.0
    }
}

impl Default for KeywordTable {
    fn default() -> Self {
        Self {
            words: Vec::new(),
            numbers: HashMap::new(),
            sets: vec![Vec::new()],
            set_numbers: HashMap::from([(Vec::new(), SetId::EMPTY)]),
        }
    }
}

impl KeywordTable {
    /// Keywords that a folder gets by IMAP. One that has more already keeps them.
    pub const LIMIT: usize = 1000;

    /// All keywords, in the order in which they were seen.
    pub fn words(&self) -> impl ExactSizeIterator<Item = &Keyword> {
        self.words.iter()
    }

    /// The keywords of a set.
    pub fn set(&self, id: SetId) -> impl Iterator<Item = &Keyword> {
        let numbers = self.sets.get(id.0 as usize);
        numbers
            .into_iter()
            .flatten()
            .filter_map(|&number| self.words.get(usize::from(number)))
    }

    /// The numbers of a set, ascending.
    pub(crate) fn numbers(&self, id: SetId) -> &[u16] {
        self.sets.get(id.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// The number of a keyword, if it has one.
    #[must_use]
    pub fn find(&self, word: &Keyword) -> Option<u16> {
        self.numbers.get(&word.0.to_ascii_lowercase()).copied()
    }

    /// The number of a keyword, a new one within the limit.
    ///
    /// # Errors
    /// [`KeywordError::TooMany`].
    pub(crate) fn add(&mut self, word: &Keyword) -> Result<u16, KeywordError> {
        match self.find(word) {
            None if self.words.len() >= Self::LIMIT => Err(KeywordError::TooMany),
            _ => self.take(word).ok_or(KeywordError::TooMany),
        }
    }

    /// The number of a keyword that the folder has, by what its files say.
    pub(crate) fn take(&mut self, word: &Keyword) -> Option<u16> {
        if let Some(number) = self.find(word) {
            return Some(number);
        }
        let number = u16::try_from(self.words.len()).ok()?;
        self.words.push(word.clone());
        self.numbers.insert(word.0.to_ascii_lowercase(), number);
        Some(number)
    }

    /// Every set of numbers that was in use, by its own number.
    pub(crate) fn sets(&self) -> impl ExactSizeIterator<Item = &[u16]> {
        self.sets.iter().map(Vec::as_slice)
    }

    /// Octets of memory that the sets take, about.
    pub(crate) fn octets_held(&self) -> usize {
        let numbers: usize = self.sets.iter().map(Vec::len).sum();
        2 * (2 * numbers + self.sets.len() * size_of::<Vec<u16>>())
    }

    /// Whether more sets were in use than so many messages can have, by far.
    pub(crate) fn is_crowded(&self, messages: usize) -> bool {
        self.sets.len() > SETS.max(messages.saturating_mul(2))
    }

    /// The same keywords with the same numbers, and no sets.
    pub(crate) fn without_sets(&self) -> Self {
        Self {
            words: self.words.clone(),
            numbers: self.numbers.clone(),
            ..Self::default()
        }
    }

    /// The set of these numbers.
    pub(crate) fn intern(&mut self, mut numbers: Vec<u16>) -> SetId {
        numbers.sort_unstable();
        numbers.dedup();
        if let Some(&id) = self.set_numbers.get(&numbers) {
            return id;
        }
        // A snapshot forgets sets long before there are 4 thousand million.
        let id = SetId(u32::try_from(self.sets.len()).unwrap_or(0));
        self.sets.push(numbers.clone());
        self.set_numbers.insert(numbers, id);
        id
    }
}

/// Sets that a table may hold however few messages there are.
const SETS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_is_an_atom() {
        assert!(Keyword::parse("$Forwarded").is_ok());
        assert!(Keyword::parse(&"x".repeat(255)).is_ok());
        assert_eq!(Keyword::parse(&"x".repeat(256)), Err(KeywordError::Length));
        assert_eq!(Keyword::parse(""), Err(KeywordError::Length));
        for text in ["a b", "a]", "a\\", "é", "a\n", "(a", "a{"] {
            assert_eq!(Keyword::parse(text), Err(KeywordError::Character));
        }
        let read = |line: &str| Keyword::from_file(line.as_bytes()).map(|word| word.to_string());
        assert_eq!(read("a b(c").as_deref(), Some("a_b_c"));
        assert_eq!(read(""), None);
    }

    #[test]
    fn case_is_kept_and_not_compared() {
        let mut table = KeywordTable::default();
        let word = |text| Keyword::parse(text).expect("a keyword");
        let (a, b) = (table.add(&word("Junk")), table.add(&word("todo")));
        assert_eq!(table.add(&word("JUNK")), a);
        let set = table.intern(vec![b.unwrap(), a.unwrap(), b.unwrap()]);
        assert_eq!(
            table.set(set).map(Keyword::as_str).collect::<Vec<_>>(),
            ["Junk", "todo"]
        );
        assert_eq!(table.intern(vec![0, 1]), set);
        assert_eq!(table.intern(vec![]), SetId::EMPTY);
    }

    #[test]
    fn the_limit_holds_for_users_and_not_for_files() {
        let mut table = KeywordTable::default();
        let word = |n: usize| Keyword::parse(&format!("k{n}")).expect("a keyword");
        for n in 0..KeywordTable::LIMIT {
            table.add(&word(n)).expect("within the limit");
        }
        assert_eq!(table.add(&word(1000)), Err(KeywordError::TooMany));
        assert_eq!(table.add(&word(999)), Ok(999));
        assert_eq!(table.take(&word(1000)), Some(1000));
    }
}
