//! The simple kinds of files in `etc`: one line, a list, a directory of lists
//! (mta.md section 2).

use std::path::Path;
use std::sync::Arc;

use super::finding::{Findings, Place};

/// A configuration file that was read.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    path: Arc<Path>,
    octets: Vec<u8>,
}

/// An entry of a file: its line and its text.
pub type Entry<'a> = (u32, &'a str);

impl ConfigFile {
    /// A file and what is in it.
    #[must_use]
    pub fn new(path: &Path, octets: Vec<u8>) -> Self {
        Self {
            path: Arc::from(path),
            octets,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// What is in it.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// One of its lines.
    #[must_use]
    pub fn place(&self, line: u32) -> Place {
        Place::new(&self.path, line)
    }

    /// The value of a one-line file: the first line without its end, without blanks
    /// at its edges. An empty file has an empty value, which is not the same as a
    /// file that is not there.
    pub fn first_line(&self, findings: &mut Findings) -> &str {
        let first = self.octets.split(|&octet| octet == b'\n').next();
        self.text(1, first.unwrap_or_default(), findings)
            .unwrap_or_default()
    }

    /// The entries of a list file: comments cut off, blanks at the edges too; empty
    /// lines are none.
    pub fn entries(&self, findings: &mut Findings) -> Vec<Entry<'_>> {
        let lines = self.octets.split(|&octet| octet == b'\n');
        (1..)
            .zip(lines)
            .filter_map(|(number, line)| {
                let end = memchr::memchr(b'#', line).unwrap_or(line.len());
                let entry = line.get(..end).unwrap_or_default();
                let text = self.text(number, entry, findings)?;
                (!text.is_empty()).then_some((number, text))
            })
            .collect()
    }

    fn text<'a>(&self, line: u32, octets: &'a [u8], findings: &mut Findings) -> Option<&'a str> {
        let text = std::str::from_utf8(octets).ok().map(str::trim);
        let clean = text.filter(|text| !text.contains(|c: char| c.is_control() && c != '\t'));
        if clean.is_none() {
            let problem = "a control character, or text that is not UTF-8; the line is left out";
            findings.error(&self.place(line), problem);
        }
        clean
    }
}

/// How the files of a directory become one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryRule {
    /// `aliases`: every plain file whose name does not begin with a dot.
    Aliases,
    /// What Courier compiles with `makedat`: names that editors and package managers
    /// leave behind are skipped or refused.
    Compiled,
}

/// What becomes of a file in such a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is read.
    Read,
    /// It is passed over: an editor's copy.
    Skip,
    /// `X.dist`: passed over if `X` is there and newer, else an error.
    UnlessNewer,
    /// A package manager left it and wants a decision: an error.
    Refuse,
}

impl DirectoryRule {
    /// What becomes of a plain file of this name.
    #[must_use]
    pub fn standing(self, name: &str) -> Standing {
        let left_behind =
            name.ends_with(".rpmsave") || name.ends_with(".rpmnew") || name.contains(".dpkg-");
        match self {
            // Courier reads dot files where it compiles; nobody means them.
            _ if name.starts_with('.') => Standing::Skip,
            Self::Aliases => Standing::Read,
            Self::Compiled if name.ends_with('~') => Standing::Skip,
            Self::Compiled if left_behind => Standing::Refuse,
            Self::Compiled if name.ends_with(".dist") => Standing::UnlessNewer,
            Self::Compiled => Standing::Read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(octets: &[u8]) -> ConfigFile {
        ConfigFile::new(Path::new("/r/etc/x"), octets.to_vec())
    }

    fn told(findings: Findings) -> Vec<String> {
        findings
            .into_list()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_one_line_file_is_its_first_line() {
        let mut findings = Findings::default();
        let mut first = |octets: &[u8]| file(octets).first_line(&mut findings).to_owned();
        assert_eq!(first(b"mail.example.com\nand more\n"), "mail.example.com");
        assert_eq!(first(b"mail.example.com \r\n"), "mail.example.com");
        assert_eq!(first(b"mail.example.com"), "mail.example.com");
        assert_eq!(first(b"# no comment"), "# no comment");
        assert_eq!(first(b"\nsecond"), "");
        assert_eq!(first(b""), "");
        assert_eq!(first(b"caf\xe9\n"), "");
        assert_eq!(told(findings).len(), 1);
    }

    #[test]
    fn a_list_has_one_entry_a_line() {
        let mut findings = Findings::default();
        let list = file(b"# head\n\nexample.com # ours\r\n\t.example.net\na\tb\nc\0\nlast");
        assert_eq!(
            list.entries(&mut findings),
            [
                (3, "example.com"),
                (4, ".example.net"),
                (5, "a\tb"),
                (7, "last")
            ]
        );
        assert_eq!(
            told(findings),
            [
                "/r/etc/x:6: error: a control character, or text that is not UTF-8; the line is left out"
            ]
        );
    }

    #[test]
    fn names_in_a_directory_decide_what_is_read() {
        use Standing::{Read, Refuse, Skip, UnlessNewer};
        for (name, aliases, compiled) in [
            ("system", Read, Read),
            ("system~", Read, Skip),
            (".swp", Skip, Skip),
            ("x.rpmsave", Read, Refuse),
            ("x.rpmnew", Read, Refuse),
            ("x.dpkg-old", Read, Refuse),
            ("x.dist", Read, UnlessNewer),
        ] {
            assert_eq!(DirectoryRule::Aliases.standing(name), aliases, "{name}");
            assert_eq!(DirectoryRule::Compiled.standing(name), compiled, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_panic(octets: Vec<u8>) {
            let mut findings = Findings::default();
            let file = file(&octets);
            let _ = file.first_line(&mut findings);
            for (_, text) in file.entries(&mut findings) {
                prop_assert!(!text.is_empty() && !text.contains('#') && text == text.trim());
            }
        }
    }
}
