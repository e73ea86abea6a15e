//! Names of folders, and of the directories they stand for.

use std::fmt;

use crate::modified_utf7;

/// A folder's name: `INBOX`, or `INBOX.` and components between dots, in UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderName {
    /// What follows `INBOX.`; empty for the INBOX.
    below: String,
}

/// Why a text is no folder's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FolderNameError {
    /// Every folder is `INBOX` or begins with `INBOX.`.
    #[error("a folder's name begins with INBOX")]
    NotBelowInbox,
    /// Two dots in a row, or one at the end.
    #[error("a level of the folder's name is empty")]
    EmptyLevel,
    /// A slash, NUL or another control character.
    #[error("the folder's name holds a slash or a control character")]
    Character,
    /// The directory's name would be longer than file systems allow.
    #[error("the folder's name is longer than {} octets", FolderName::LENGTH_LIMIT)]
    TooLong,
    /// Too many levels.
    #[error("the folder's name has more than {} levels", FolderName::LEVEL_LIMIT)]
    TooDeep,
}

/// How a directory's name is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As Courier-IMAP 5.0 and later write it.
    Utf8,
    /// As earlier ones did.
    ModifiedUtf7,
}

impl FolderName {
    /// Octets of the directory's name. All levels share it.
    pub const LENGTH_LIMIT: usize = 255;
    /// Levels below INBOX.
    pub const LEVEL_LIMIT: usize = 50;

    /// The INBOX.
    #[must_use]
    pub const fn inbox() -> Self {
        Self {
            below: String::new(),
        }
    }

    /// Reads a name, `INBOX` in any case.
    ///
    /// # Errors
    /// When no folder can have it.
    pub fn parse(text: &str) -> Result<Self, FolderNameError> {
        let (inbox, rest) = text
            .split_at_checked(5)
            .ok_or(FolderNameError::NotBelowInbox)?;
        if !inbox.eq_ignore_ascii_case("INBOX") {
            return Err(FolderNameError::NotBelowInbox);
        }
        if rest.is_empty() {
            return Ok(Self::inbox());
        }
        let below = rest
            .strip_prefix('.')
            .ok_or(FolderNameError::NotBelowInbox)?;
        Self::from_below(below)
    }

    fn from_below(below: &str) -> Result<Self, FolderNameError> {
        // 255 octets with the leading dot.
        if below.len() >= Self::LENGTH_LIMIT {
            return Err(FolderNameError::TooLong);
        }
        if below.chars().any(|c| c == '/' || c.is_control()) {
            return Err(FolderNameError::Character);
        }
        if below.split('.').any(str::is_empty) {
            return Err(FolderNameError::EmptyLevel);
        }
        if below.split('.').count() > Self::LEVEL_LIMIT {
            return Err(FolderNameError::TooDeep);
        }
        Ok(Self {
            below: below.to_owned(),
        })
    }

    /// What a directory of a maildir stands for; nothing for one that is no folder's.
    /// A name that only modified UTF-7 explains is taken for that.
    #[must_use]
    pub fn from_directory(directory: &[u8]) -> Option<(Self, Encoding)> {
        let below = std::str::from_utf8(directory.strip_prefix(b".")?).ok()?;
        if below.contains('&') {
            let decoded: Option<Vec<_>> = below.split('.').map(modified_utf7::decode).collect();
            let name = decoded.and_then(|levels| Self::from_below(&levels.join(".")).ok());
            if let Some(name) = name {
                return Some((name, Encoding::ModifiedUtf7));
            }
        }
        Some((
            Self::from_letters(std::str::from_utf8(directory).ok()?)?,
            Encoding::Utf8,
        ))
    }

    /// A directory's name taken letter by letter.
    pub(super) fn from_letters(directory: &str) -> Option<Self> {
        Self::from_below(directory.strip_prefix('.')?).ok()
    }

    /// Whether it is the INBOX.
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        self.below.is_empty()
    }

    /// The levels below INBOX.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.below.split('.').filter(|level| !level.is_empty())
    }

    /// The name one level up; nothing for the INBOX.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_inbox() {
            return None;
        }
        let below = self.below.rsplit_once('.').map_or("", |(parent, _)| parent);
        Some(Self {
            below: below.to_owned(),
        })
    }

    /// What follows `ancestor` and a dot, for a folder below it.
    #[must_use]
    pub fn below(&self, ancestor: &Self) -> Option<&str> {
        if ancestor.is_inbox() {
            return Some(self.below.as_str()).filter(|below| !below.is_empty());
        }
        self.below.strip_prefix(&ancestor.below)?.strip_prefix('.')
    }

    /// A folder below this one.
    ///
    /// # Errors
    /// When no folder can have that name.
    pub fn join(&self, rest: &str) -> Result<Self, FolderNameError> {
        if self.is_inbox() {
            return Self::from_below(rest);
        }
        Self::from_below(&format!("{}.{rest}", self.below))
    }

    /// The name of the directory in the maildir; empty for the INBOX.
    #[must_use]
    pub fn directory(&self, encoding: Encoding) -> String {
        if self.is_inbox() {
            return String::new();
        }
        match encoding {
            Encoding::Utf8 => format!(".{}", self.below),
            // A dot is written as itself, so the levels need not be taken apart.
            Encoding::ModifiedUtf7 => format!(".{}", modified_utf7::encode(&self.below)),
        }
    }
}

impl fmt::Display for FolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("INBOX")?;
        if self.is_inbox() {
            return Ok(());
        }
        write!(f, ".{}", self.below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn directory(text: &str) -> Result<String, FolderNameError> {
        FolderName::parse(text).map(|name| name.directory(Encoding::Utf8))
    }

    #[test]
    fn names_that_couriers_tests_pin() {
        use FolderNameError::{Character, EmptyLevel, NotBelowInbox};
        assert_eq!(directory("INBOX"), Ok(String::new()));
        assert_eq!(directory("INBOX.x"), Ok(".x".into()));
        assert_eq!(directory("inbox.X.y"), Ok(".X.y".into()));
        assert_eq!(directory("nope"), Err(NotBelowInbox));
        assert_eq!(directory(""), Err(NotBelowInbox));
        assert_eq!(directory("INBOXx"), Err(NotBelowInbox));
        assert_eq!(directory("INBOX/x"), Err(NotBelowInbox));
        assert_eq!(directory("INBOX..x"), Err(EmptyLevel));
        assert_eq!(directory("INBOX."), Err(EmptyLevel));
        assert_eq!(directory("INBOX.x."), Err(EmptyLevel));
        assert_eq!(directory("INBOX.x/y"), Err(Character));
        assert_eq!(directory("INBOX.../../etc"), Err(Character));
        assert_eq!(directory("INBOX.x\0"), Err(Character));
        assert_eq!(directory("INBOX.x\u{85}"), Err(Character));
    }

    #[test]
    fn limits_hold_at_the_number() {
        let length = |n: usize| directory(&format!("INBOX.{}", "x".repeat(n)));
        assert!(length(253).is_ok() && length(254).is_ok());
        assert_eq!(length(255), Err(FolderNameError::TooLong));
        let depth = |n: usize| directory(&format!("INBOX{}", ".x".repeat(n)));
        assert!(depth(49).is_ok() && depth(50).is_ok());
        assert_eq!(depth(51), Err(FolderNameError::TooDeep));
    }

    #[test]
    fn old_directories_are_known_by_what_they_mean() {
        let name = |directory: &str| {
            let (name, encoding) = FolderName::from_directory(directory.as_bytes())?;
            Some((name.to_string(), encoding))
        };
        assert_eq!(
            name(".&AOk-t&AOk-.x"),
            Some(("INBOX.été.x".into(), Encoding::ModifiedUtf7))
        );
        assert_eq!(name(".été"), Some(("INBOX.été".into(), Encoding::Utf8)));
        assert_eq!(name(".R&D"), Some(("INBOX.R&D".into(), Encoding::Utf8)));
        // Courier's own escape of a dot; no folder that IMAP can reach has it.
        assert_eq!(
            name(".a&AC4-b"),
            Some(("INBOX.a&AC4-b".into(), Encoding::Utf8))
        );
        for none in ["x", ".", "..", ".a..b", ".a.", ""] {
            assert_eq!(name(none), None, "{none}");
        }
        assert_eq!(FolderName::from_directory(b".\xff"), None);
    }

    #[test]
    fn families() {
        let name = |text| FolderName::parse(text).expect("a name");
        assert_eq!(name("INBOX.a.b").parent(), Some(name("INBOX.a")));
        assert_eq!(name("INBOX.a").parent(), Some(FolderName::inbox()));
        assert_eq!(FolderName::inbox().parent(), None);
        assert_eq!(name("INBOX.a.b.c").below(&name("INBOX.a")), Some("b.c"));
        assert_eq!(name("INBOX.ab").below(&name("INBOX.a")), None);
        assert_eq!(name("INBOX.a").below(&name("INBOX.a")), None);
        assert_eq!(name("INBOX.a").join("b.c"), Ok(name("INBOX.a.b.c")));
        assert_eq!(name("INBOX.a.b").levels().collect::<Vec<_>>(), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn a_name_is_found_again_by_its_directory(text in "INBOX(\\.\\PC{1,5}){0,3}") {
            if let Ok(name) = FolderName::parse(&text) {
                prop_assert_eq!(FolderName::parse(&name.to_string()), Ok(name.clone()));
                let directory = name.directory(Encoding::Utf8);
                prop_assert!(!directory.contains('/') && directory != "." && directory != "..");
                if !name.is_inbox() {
                    let old = name.directory(Encoding::ModifiedUtf7);
                    let (found, _) = FolderName::from_directory(old.as_bytes()).expect("a folder");
                    prop_assert_eq!(&found, &name);
                    let (found, encoding) = FolderName::from_directory(directory.as_bytes()).expect("a folder");
                    prop_assert!(encoding == Encoding::ModifiedUtf7 || found == name);
                }
            }
        }
    }
}
