//! The index of the virtual shared folders: whose maildirs all may look into, as far
//! as access lists let them.
//!
//! A line names an account, `NAME\tUID\tGID\tHOMEDIR[\tMAILDIR]`, or a group of them,
//! `NAME\t*\tFILE`, which another index in the same directory tells. What follows a
//! `#` is a comment.

use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

/// An index, and what in it was not understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// The entries in the order of the file. Of two with one name the first counts.
    pub entries: Vec<Entry>,
    /// What was left out; to be told to the administrator.
    pub findings: Vec<Finding>,
}

/// A line of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name as it stands in the index.
    pub name: String,
    /// What it stands for.
    pub target: Target,
}

/// What an entry stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An account.
    Account {
        /// Its user id.
        uid: NonZeroU32,
        /// Its group id.
        gid: NonZeroU32,
        /// Its home directory.
        home: PathBuf,
        /// Its maildir, from the home directory on.
        maildir: PathBuf,
    },
    /// A group: the name of its index, from the directory of this one on.
    Group(PathBuf),
}

impl Target {
    /// Where an account's maildir is.
    #[must_use]
    pub fn maildir(&self) -> Option<PathBuf> {
        match self {
            Self::Account { home, maildir, .. } => Some(home.join(maildir)),
            Self::Group(_) => None,
        }
    }
}

/// A line that is no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct Finding {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// Why a line is no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Fewer fields than it takes.
    #[error(
        "a name, user id, group id and home directory, or a name, * and file, with tabs between them, are expected"
    )]
    Fields,
    /// An empty name, or one with control characters.
    #[error("the name is empty or holds control characters")]
    Name,
    /// Not UTF-8.
    #[error("the line is not UTF-8")]
    Utf8,
    /// Not a positive number.
    #[error("a user id and a group id other than 0 are expected")]
    Id,
    /// The home directory is not absolute.
    #[error("the home directory does not begin with a slash")]
    Home,
    /// A name that stands above already.
    #[error("the name stands in an earlier line")]
    Twice,
}

impl Index {
    /// Reads an index. Lines that are no entries are left out and told.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Self {
        let mut index = Self::default();
        let mut names = std::collections::HashSet::new();
        for (number, line) in octets.split(|&octet| octet == b'\n').enumerate() {
            let line = line.split(|&octet| octet == b'#').next().unwrap_or(line);
            let line = line.trim_ascii_end();
            if line.is_empty() {
                continue;
            }
            let entry = std::str::from_utf8(line).map_err(|_| Problem::Utf8);
            match entry.and_then(Entry::parse) {
                Ok(entry) if names.insert(entry.name.clone()) => index.entries.push(entry),
                outcome => index.findings.push(Finding {
                    line: number + 1,
                    problem: outcome.err().unwrap_or(Problem::Twice),
                }),
            }
        }
        index
    }

    /// The entry that is called so in the hierarchy of folders.
    #[must_use]
    pub fn find(&self, level: &str, names: Names) -> Option<&Entry> {
        (self.entries.iter()).find(|entry| names.level(&entry.name) == level)
    }
}

impl Entry {
    fn parse(line: &str) -> Result<Self, Problem> {
        let mut fields = line.split('\t');
        let name = fields.next().unwrap_or_default();
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(Problem::Name);
        }
        let target = match (fields.next(), fields.next(), fields.next(), fields.next()) {
            (Some("*"), Some(file), ..) if !file.is_empty() => Target::Group(file.into()),
            (Some(uid), Some(gid), Some(home), maildir) => {
                if !Path::new(home).is_absolute() {
                    return Err(Problem::Home);
                }
                let maildir = maildir.filter(|maildir| !maildir.is_empty());
                Target::Account {
                    uid: uid.parse().map_err(|_| Problem::Id)?,
                    gid: gid.parse().map_err(|_| Problem::Id)?,
                    home: home.into(),
                    maildir: maildir.unwrap_or("./Maildir").into(),
                }
            }
            _ => return Err(Problem::Fields),
        };
        let name = name.to_owned();
        Ok(Self { name, target })
    }
}

/// How names of an index become levels of a folder's name, where dots and slashes
/// part levels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Names {
    /// A blank stands for a dot or a slash.
    #[default]
    Blanks,
    /// `IMAP_SHAREDMUNGENAMES`: `\:` stands for a dot, `\;` for a slash, `\\` for a
    /// backslash.
    Escapes,
}

impl Names {
    /// The level that a name becomes.
    #[must_use]
    pub fn level(self, name: &str) -> String {
        let mut level = String::with_capacity(name.len());
        for letter in name.chars() {
            let written = match (self, letter) {
                (Self::Blanks, '.' | '/') => level.write_char(' '),
                (Self::Escapes, '.') => level.write_str("\\:"),
                (Self::Escapes, '/') => level.write_str("\\;"),
                (Self::Escapes, '\\') => level.write_str("\\\\"),
                _ => level.write_char(letter),
            };
            written.ok();
        }
        level
    }

    /// The name that a level came from; nothing where blanks do not tell, or for what
    /// no name becomes.
    #[must_use]
    pub fn name(self, level: &str) -> Option<String> {
        if level.contains(['.', '/']) {
            return None;
        }
        if self == Self::Blanks {
            return (!level.contains(' ')).then(|| level.to_owned());
        }
        let (mut name, mut letters) = (String::with_capacity(level.len()), level.chars());
        while let Some(letter) = letters.next() {
            name.push(match letter {
                '\\' => match letters.next()? {
                    ':' => '.',
                    ';' => '/',
                    '\\' => '\\',
                    _ => return None,
                },
                letter => letter,
            });
        }
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accounts_and_groups_are_read_and_the_rest_is_told() {
        let text = "# all of them\n\
            ann@example.com\t500\t501\t/home/ann\t./mail\r\n\
            bob\t500\t501\t/home/bob\n\
            \n\
            sales\t*\tindexsales # a group\n\
            root\t0\t0\t/root\n\
            eve\t500\t501\thome\n\
            x\t500\n\
            \t500\t501\t/home\n\
            bob\t*\tother\n\
            y\t500\t501\t/y\t\n";
        let index = Index::parse(text.as_bytes());
        let shown: Vec<_> = index
            .entries
            .iter()
            .map(|entry| match entry.target.maildir() {
                Some(maildir) => format!("{}={}", entry.name, maildir.display()),
                None => format!("{}: {:?}", entry.name, entry.target),
            })
            .collect();
        let expected = [
            "ann@example.com=/home/ann/./mail",
            "bob=/home/bob/./Maildir",
            "sales: Group(\"indexsales\")",
            "y=/y/./Maildir",
        ];
        assert_eq!(shown, expected);
        let findings: Vec<_> = index.findings.iter().map(ToString::to_string).collect();
        assert_eq!(findings.len(), 5, "{findings:?}");
        assert!(findings[0].starts_with("line 6: a user id"));
        assert!(findings[4].starts_with("line 10: the name stands"));
        let found = index.find("ann@example com", Names::Blanks);
        assert_eq!(
            found.map(|entry| entry.name.as_str()),
            Some("ann@example.com")
        );
        let found = index.find("ann@example\\:com", Names::Escapes);
        assert!(found.is_some());
        assert_eq!(index.find("ann@example.com", Names::Escapes), None);
    }

    proptest! {
        #[test]
        fn a_level_gives_its_name_back(name in "[a.\\\\/:; é]{0,9}", level in "[a.\\\\/:; é]{0,9}") {
            let escaped = Names::Escapes.level(&name);
            prop_assert!(!escaped.contains(['.', '/']));
            prop_assert_eq!(Names::Escapes.name(&escaped), Some(name.clone()));
            if let Some(name) = Names::Escapes.name(&level) {
                prop_assert_eq!(Names::Escapes.level(&name), level);
            }
            if let Some(same) = Names::Blanks.name(&Names::Blanks.level(&name)) {
                prop_assert_eq!(same, name);
            }
        }

        #[test]
        fn any_octets_are_an_index(octets: Vec<u8>) {
            let index = Index::parse(&octets);
            let lines = octets.split(|&octet| octet == b'\n').count();
            prop_assert!(index.entries.len() + index.findings.len() <= lines);
        }
    }
}
