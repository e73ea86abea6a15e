//! Names of mailboxes (RFC 3501 §5.1): levels parted by dots, in Unicode.

use std::fmt;

use super::utf7;

/// What parts the levels of a name.
pub const SEPARATOR: char = '.';
/// The longest level, in octets of UTF-8 as a maildir stores it.
pub const LONGEST_LEVEL: usize = 255;
/// The longest name, in octets of UTF-8.
pub const LONGEST_NAME: usize = 1000;
/// The most levels.
pub const MOST_LEVELS: usize = 50;

/// The name of a mailbox. `INBOX` is one name in any case; so is a first level `INBOX`.
///
/// Whatever it holds is safe to put in a path once the levels are joined by the host: no
/// level is empty, and there are no slashes and no control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(Box<str>);

/// Why a text names no mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailboxNameError {
    /// The octets are not modified UTF-7.
    #[error("the mailbox name is not in modified UTF-7")]
    Encoding(#[from] utf7::Utf7Error),
    /// Nothing, or nothing between, before or after two dots.
    #[error("a level of the mailbox name is empty")]
    EmptyLevel,
    /// A slash or a control character.
    #[error("the mailbox name has a slash or a control character")]
    Character,
    /// A level is longer than [`LONGEST_LEVEL`], or all longer than [`LONGEST_NAME`].
    #[error("the mailbox name is too long")]
    Long,
    /// There are more than [`MOST_LEVELS`] levels.
    #[error("the mailbox name has more than 50 levels")]
    Deep,
}

impl MailboxName {
    /// The mailbox where mail arrives.
    #[must_use]
    pub fn inbox() -> Self {
        Self("INBOX".into())
    }

    /// Takes a name as it came from a client, in modified UTF-7.
    ///
    /// # Errors
    /// If it cannot be the name of a mailbox.
    pub fn from_wire(octets: &[u8]) -> Result<Self, MailboxNameError> {
        if octets.len() > 4 * LONGEST_NAME {
            return Err(MailboxNameError::Long);
        }
        Self::parse(&utf7::decode(octets)?)
    }

    /// Takes a name in Unicode, such as `INBOX.Entwürfe`.
    ///
    /// # Errors
    /// If it cannot be the name of a mailbox.
    pub fn parse(text: &str) -> Result<Self, MailboxNameError> {
        if text.len() > LONGEST_NAME {
            return Err(MailboxNameError::Long);
        }
        for (index, level) in text.split(SEPARATOR).enumerate() {
            if index >= MOST_LEVELS {
                return Err(MailboxNameError::Deep);
            }
            if level.is_empty() {
                return Err(MailboxNameError::EmptyLevel);
            }
            if level.len() > LONGEST_LEVEL {
                return Err(MailboxNameError::Long);
            }
            if level.contains(|c: char| c == '/' || c.is_control()) {
                return Err(MailboxNameError::Character);
            }
        }
        Ok(Self(with_upper_inbox(text).into_boxed_str()))
    }

    /// The name in Unicode.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its levels, from the top.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split(SEPARATOR)
    }

    /// Whether it is `INBOX` itself.
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        &*self.0 == "INBOX"
    }

    /// Whether it stands below `INBOX`: the only place for folders of one's own.
    #[must_use]
    pub fn is_personal(&self) -> bool {
        self.0.starts_with("INBOX.")
    }

    /// Whether it stands anywhere below `other`.
    #[must_use]
    pub fn is_below(&self, other: &Self) -> bool {
        self.0
            .strip_prefix(other.as_str())
            .is_some_and(|rest| rest.starts_with(SEPARATOR))
    }

    /// The name in modified UTF-7: printable ASCII.
    #[must_use]
    pub fn to_wire(&self) -> String {
        utf7::encode(&self.0)
    }
}

/// Writes a first level `inbox` in upper case.
pub(crate) fn with_upper_inbox(text: &str) -> String {
    let first = text.split(SEPARATOR).next().unwrap_or_default();
    match text.get(first.len()..) {
        Some(rest) if first.eq_ignore_ascii_case("INBOX") => format!("INBOX{rest}"),
        _ => text.to_owned(),
    }
}

/// The name in Unicode, for people; the wire has [`MailboxName::to_wire`].
impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn inbox_is_one_name_in_any_case() {
        for name in ["INBOX", "inbox", "InBox"] {
            assert!(MailboxName::from_wire(name.as_bytes()).unwrap().is_inbox());
        }
        assert_eq!(
            MailboxName::parse("inbox.Sent").unwrap().as_str(),
            "INBOX.Sent"
        );
        assert_eq!(
            MailboxName::parse("inboxes.inbox").unwrap().as_str(),
            "inboxes.inbox"
        );
        let sent = MailboxName::parse("INBOX.Sent").unwrap();
        assert!(sent.is_below(&MailboxName::inbox()) && sent.is_personal());
        assert!(
            !MailboxName::parse("INBOXES")
                .unwrap()
                .is_below(&MailboxName::inbox())
        );
    }

    #[test]
    fn names_that_no_folder_can_have_are_refused() {
        for (name, error) in [
            ("", MailboxNameError::EmptyLevel),
            ("INBOX.", MailboxNameError::EmptyLevel),
            (".a", MailboxNameError::EmptyLevel),
            ("INBOX..a", MailboxNameError::EmptyLevel),
            ("INBOX.a/b", MailboxNameError::Character),
            ("INBOX.a\u{85}", MailboxNameError::Character),
            ("INBOX.a\nb", MailboxNameError::Character),
        ] {
            assert_eq!(MailboxName::parse(name), Err(error), "{name:?}");
        }
        // Controls do not come in through the encoding either.
        assert_eq!(
            MailboxName::from_wire(b"INBOX.&AAA-"),
            Err(MailboxNameError::Character)
        );
        assert!(matches!(
            MailboxName::from_wire(b"INBOX.\xc3\xa4"),
            Err(MailboxNameError::Encoding(_))
        ));
    }

    #[test]
    fn limits_of_names() {
        let level = |n: usize| format!("INBOX.{}", "a".repeat(n));
        assert!(MailboxName::parse(&level(LONGEST_LEVEL)).is_ok());
        assert_eq!(
            MailboxName::parse(&level(LONGEST_LEVEL + 1)),
            Err(MailboxNameError::Long)
        );
        let levels = |n: usize| vec!["a"; n].join(".");
        assert!(MailboxName::parse(&levels(MOST_LEVELS)).is_ok());
        assert_eq!(
            MailboxName::parse(&levels(MOST_LEVELS + 1)),
            Err(MailboxNameError::Deep)
        );
        let long = |n: usize| {
            format!(
                "{}.{}",
                vec!["a".repeat(199); 4].join("."),
                "b".repeat(n - 800)
            )
        };
        assert!(MailboxName::parse(&long(LONGEST_NAME)).is_ok());
        assert_eq!(
            MailboxName::parse(&long(LONGEST_NAME + 1)),
            Err(MailboxNameError::Long)
        );
    }

    proptest! {
        #[test]
        fn the_wire_form_reads_back(text in "[A-Za-z&\u{e4}\u{4e00}\u{1f600} ~]{1,8}(\\.[A-Za-z&\u{e4} ]{1,8}){0,3}") {
            let name = MailboxName::parse(&text).unwrap();
            prop_assert_eq!(MailboxName::from_wire(name.to_wire().as_bytes()).unwrap(), name);
        }
    }
}
