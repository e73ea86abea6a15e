//! `shared-maildirs`: maildirs of others under names of one's own.
//!
//! Lines of a name, a blank or tab, and a path; what follows the path after white
//! space is ignored, as are comments, which begin with `#`, and lines of any other
//! form. One file stands in each maildir, another, for everybody, in the system's
//! configuration.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The file's name in the top maildir.
pub const FILE: &str = "shared-maildirs";

/// The file's octets, line by line. What is no entry is kept as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Without their line feeds.
    lines: Vec<Vec<u8>>,
    /// Whether the last line lacks its line feed.
    open: bool,
}

/// A maildir of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What it is called here.
    pub name: &'a [u8],
    /// Where it is.
    pub path: &'a Path,
}

/// Why an entry was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The name is empty, begins with `#`, or holds `.`, `/`, white space or a control
    /// character.
    #[error("the name of a sharable maildir may not hold dots, slashes or blanks")]
    Name,
    /// The path is not absolute, or holds white space or a control character.
    #[error("the path of a sharable maildir is absolute and without blanks")]
    Path,
    /// The name is in the table.
    #[error("already defined as a sharable maildir")]
    Exists,
}

impl Table {
    /// Reads the file. Nothing in it is an error.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Self {
        let mut lines: Vec<_> = (octets.split(|&octet| octet == b'\n'))
            .map(<[u8]>::to_vec)
            .collect();
        let open = !octets.is_empty() && !octets.ends_with(b"\n");
        if !open {
            lines.pop();
        }
        Self { lines, open }
    }

    /// The file's text: what was read, octet for octet, if nothing was changed.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let mut text = self.lines.join(&b'\n');
        if !self.lines.is_empty() && !self.open {
            text.push(b'\n');
        }
        text
    }

    /// The maildirs in file order. Of two with one name the first counts.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.lines.iter().filter_map(|line| {
            let (name, rest) = split(line)?;
            // Names of the hierarchy in which it stands cannot hold these.
            let reachable = !name.iter().any(|octet| matches!(octet, b'.' | b'/'));
            let path = rest.split(|octet| octet.is_ascii_whitespace()).next()?;
            (reachable && !path.is_empty()).then(|| Entry {
                name,
                path: Path::new(OsStr::from_bytes(path)),
            })
        })
    }

    /// The maildir of a name.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<Entry<'_>> {
        self.iter().find(|entry| entry.name == name)
    }

    /// Adds a maildir at the end.
    ///
    /// # Errors
    /// When the entry cannot stand in the file, or the name is there.
    pub fn add(&mut self, name: &[u8], path: &Path) -> Result<(), TableError> {
        let unfit = |octet: &u8| octet.is_ascii_whitespace() || octet.is_ascii_control();
        if name.is_empty()
            || name.starts_with(b"#")
            || (name.iter()).any(|octet| unfit(octet) || matches!(octet, b'.' | b'/'))
        {
            return Err(TableError::Name);
        }
        let octets = path.as_os_str().as_bytes();
        if !path.is_absolute() || octets.iter().any(unfit) {
            return Err(TableError::Path);
        }
        if self.find(name).is_some() {
            return Err(TableError::Exists);
        }
        // Courier glues the entry to a last line without line feed, and so loses both.
        self.lines.push([name, b"\t", octets].concat());
        self.open = false;
        Ok(())
    }

    /// Takes every entry of a name out; `false` if there was none. Everything else
    /// stays as it is.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let named = |line: &Vec<u8>| split(line).is_some_and(|(found, _)| found == name);
        let before = self.lines.len();
        self.open &= !self.lines.last().is_some_and(named);
        self.lines.retain(|line| !named(line));
        self.lines.len() < before
    }
}

/// The name of an entry, and what follows the white space after it.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = line.iter().position(u8::is_ascii_whitespace)?;
    let (name, rest) = line.split_at_checked(end)?;
    (!name.is_empty() && !name.starts_with(b"#")).then_some((name, rest.trim_ascii_start()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &[u8] =
        b"nm\t/T\n# c\n\n  x y z\nfoo\t/a/b c\n#foo /x\nbad.name /x\nfoo /2\nlone\nend /l";

    #[test]
    fn entries_are_found_among_comments() {
        let table = Table::parse(FILE);
        let all: Vec<_> = table
            .iter()
            .map(|entry| {
                let name = String::from_utf8_lossy(entry.name);
                format!("{name}={}", entry.path.display())
            })
            .collect();
        assert_eq!(all, ["nm=/T", "foo=/a/b", "foo=/2", "end=/l"]);
        let foo = table.find(b"foo").expect("there");
        assert_eq!(foo.path, Path::new("/a/b"));
    }

    /// As `maildirmake --del` of Courier 1.0.16 leaves the file.
    #[test]
    fn an_entry_goes_and_comments_stay() {
        let mut table = Table::parse(FILE);
        for (name, there) in [("foo", true), ("x", false), ("lone", false), ("#", false)] {
            assert_eq!(table.remove(name.as_bytes()), there, "{name}");
        }
        assert!(table.remove(b"bad.name"));
        let text = b"nm\t/T\n# c\n\n  x y z\n#foo /x\nlone\nend /l";
        assert_eq!(table.print(), text);
        assert!(table.remove(b"end"));
        assert!(table.print().ends_with(b"lone\n"));
    }

    #[test]
    fn an_entry_is_added_on_a_line_of_its_own() {
        let mut table = Table::parse(b"a /x");
        let path = Path::new("/home/b/Maildir");
        assert_eq!(table.add(b"b", path), Ok(()));
        assert_eq!(table.print(), b"a /x\nb\t/home/b/Maildir\n");
        assert_eq!(table.add(b"b", path), Err(TableError::Exists));
        for name in ["", "a.b", "a/b", "#c", "c d", "c\n", "c\0"] {
            assert_eq!(table.add(name.as_bytes(), path), Err(TableError::Name));
        }
        for path in ["b/Maildir", "", "/a b", "/a\n"] {
            assert_eq!(table.add(b"c", Path::new(path)), Err(TableError::Path));
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_again(octets: Vec<u8>) {
            prop_assert_eq!(Table::parse(&octets).print(), octets);
        }

        #[test]
        fn what_is_added_is_found_and_goes(
            text in "([ab#. /\t\n]{0,6}\n?){0,4}", name in "[a-c]{1,3}", path in "/[a-c]{0,4}"
        ) {
            let mut table = Table::parse(text.as_bytes());
            table.remove(name.as_bytes());
            let before = table.print();
            table.add(name.as_bytes(), Path::new(&path)).unwrap();
            let read = Table::parse(&table.print());
            prop_assert_eq!(read.find(name.as_bytes()).unwrap().path, Path::new(&path));
            prop_assert!(table.remove(name.as_bytes()));
            let closed = if before.is_empty() || before.ends_with(b"\n") { before } else {
                [before.as_slice(), b"\n"].concat()
            };
            prop_assert_eq!(table.print(), closed);
        }
    }
}
