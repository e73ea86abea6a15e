//! What is wrong, or worth saying, in a configuration: with file and line.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A line of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file, as it was opened.
    pub file: Arc<Path>,
    /// The line, from 1; 1 also stands for the file as a whole.
    pub line: u32,
}

impl Place {
    /// A line of a file.
    #[must_use]
    pub fn new(file: &Arc<Path>, line: u32) -> Self {
        Self {
            file: Arc::clone(file),
            line,
        }
    }
}

/// `FILE:LINE`
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_clean(f, &self.file.to_string_lossy())?;
        write!(f, ":{}", self.line)
    }
}

/// A value and where it was set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands; `None` for a built-in default.
    pub place: Option<Place>,
}

impl<T> Located<T> {
    /// A value from a file.
    #[must_use]
    pub fn at(value: T, place: Place) -> Self {
        Self {
            value,
            place: Some(place),
        }
    }

    /// A built-in value.
    #[must_use]
    pub fn default(value: T) -> Self {
        Self { value, place: None }
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The configuration is wrong, and what stands there does not happen. A server
    /// does not take it.
    Error,
    /// A setting that nothing here knows: an error to whoever checks, but one that a
    /// server can do without.
    Unknown,
    /// Worth knowing, such as a setting that has no effect here.
    Note,
}

/// One remark about a configuration. Prints as `FILE:LINE: error: TEXT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// How bad.
    pub severity: Severity,
    /// What, and what to do about it; one line.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error | Severity::Unknown => "error",
            Severity::Note => "note",
        };
        write!(f, "{}: {severity}: ", self.place)?;
        write_clean(f, &self.text)
    }
}

/// The findings of one run; what comes up twice is there once.
#[derive(Debug, Default)]
pub struct Findings {
    list: Vec<Finding>,
    errors: usize,
    notes: usize,
}

impl Findings {
    /// As many errors, and as many notes, are kept: more than anybody reads. Where
    /// others are left out, a last one says so.
    pub const LIMIT: usize = 1000;

    /// Something is wrong.
    pub fn error(&mut self, place: &Place, text: impl Into<String>) {
        self.add(place, Severity::Error, text.into());
    }

    /// A setting is unknown.
    pub fn unknown(&mut self, place: &Place, text: impl Into<String>) {
        self.add(place, Severity::Unknown, text.into());
    }

    /// Something is worth knowing.
    pub fn note(&mut self, place: &Place, text: impl Into<String>) {
        self.add(place, Severity::Note, text.into());
    }

    /// All of them, by file and line.
    #[must_use]
    pub fn into_list(mut self) -> Vec<Finding> {
        self.list.sort_by(|a, b| {
            let (a, b) = (&a.place, &b.place);
            a.file.cmp(&b.file).then(a.line.cmp(&b.line))
        });
        self.list
    }

    fn add(&mut self, place: &Place, severity: Severity, text: String) {
        let count = match severity {
            Severity::Error | Severity::Unknown => &mut self.errors,
            Severity::Note => &mut self.notes,
        };
        let mut finding = Finding {
            place: place.clone(),
            severity,
            text,
        };
        // A value that several services share is looked at for each of them.
        if *count > Self::LIMIT || self.list.contains(&finding) {
            return;
        }
        if *count == Self::LIMIT {
            finding.text = "there is more, which is not listed".to_owned();
        }
        *count += 1;
        self.list.push(finding);
    }
}

/// Findings are one line each, whatever stands in the file they are about.
fn write_clean(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| match c {
        _ if c.is_control() => write!(f, "{}", c.escape_default()),
        _ => write!(f, "{c}"),
    })
}

/// A piece of a file for a finding: short, and in quotes.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("\"{}…\"", text.get(..end).unwrap_or_default()),
        None => format!("\"{text}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: u32) -> Place {
        Place::new(&Arc::from(Path::new("/r/etc/esmtpd")), line)
    }

    #[test]
    fn a_finding_is_one_line() {
        let mut findings = Findings::default();
        findings.error(&place(3), format!("PORT: {} is no port", quoted("x\ny")));
        findings.note(&place(4), "fine");
        let lines: Vec<_> = findings
            .into_list()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            lines,
            [
                "/r/etc/esmtpd:3: error: PORT: \"x\\ny\" is no port",
                "/r/etc/esmtpd:4: note: fine",
            ]
        );
    }

    #[test]
    fn there_is_an_end_to_findings() {
        let mut findings = Findings::default();
        for line in 1..=2000 {
            findings.note(&place(line), "again");
            findings.note(&place(1), "again");
        }
        findings.error(&place(1), "at last");
        let list = findings.into_list();
        assert_eq!(list.len(), Findings::LIMIT + 2);
        assert!(list.iter().any(|finding| finding.text == "at last"));
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(quoted("ten"), "\"ten\"");
        assert_eq!(quoted(&"ä".repeat(61)), format!("\"{}…\"", "ä".repeat(60)));
    }
}
