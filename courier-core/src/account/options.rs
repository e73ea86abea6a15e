//! Options of an account: `disableimap=1,group=staff` (auth.md section 6).

use std::fmt;

/// The options of one account, in the order in which they were given.
///
/// Names that nothing here knows are kept and printed again: a web front end may
/// know them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountOptions {
    entries: Vec<(String, String)>,
}

/// Options that are on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Flag {
    /// `disableimap`: no IMAP.
    DisableImap,
    /// `disablepop3`: no POP3.
    DisablePop3,
    /// `disableinsecureimap`: no IMAP without TLS.
    DisableInsecureImap,
    /// `disableinsecurepop3`: no POP3 without TLS.
    DisableInsecurePop3,
    /// `disablewebmail`: no webmail.
    DisableWebmail,
    /// `disableshared`: neither shared folders nor access lists.
    DisableShared,
}

impl Flag {
    fn name(self) -> &'static str {
        match self {
            Self::DisableImap => "disableimap",
            Self::DisablePop3 => "disablepop3",
            Self::DisableInsecureImap => "disableinsecureimap",
            Self::DisableInsecurePop3 => "disableinsecurepop3",
            Self::DisableWebmail => "disablewebmail",
            Self::DisableShared => "disableshared",
        }
    }
}

/// The option that may be given several times.
const GROUP: &str = "group";

impl AccountOptions {
    /// Reads comma-separated `name=value`; a name alone has an empty value. Of a name
    /// that comes twice the first counts, but for `group`. Nothing is an error here:
    /// what has no name is left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut options = Self::default();
        for entry in text.split(',') {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            options.add(name.trim(), value.trim());
        }
        options
    }

    /// Adds `name=value` for each default whose name is not there yet
    /// (`DEFAULTOPTIONS`).
    #[must_use]
    pub fn with_defaults(mut self, defaults: &Self) -> Self {
        let missing: Vec<_> = defaults
            .entries
            .iter()
            .filter(|(name, _)| self.value(name).is_none())
            .cloned()
            .collect();
        self.entries.extend(missing);
        self
    }

    /// The first value of an option.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.entries
            .iter()
            .find(|(entry, _)| entry == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a flag is on: its value is a number other than 0, or a word that
    /// begins with t or y.
    #[must_use]
    pub fn is_on(&self, flag: Flag) -> bool {
        self.value(flag.name()).is_some_and(is_true)
    }

    /// The groups whose rights the account has on shared folders; `administrators`
    /// has every right.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.entries
            .iter()
            .filter(|(name, value)| name == GROUP && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// `sharedgroup`, the suffix of the index of shared folders; `None` also for one
    /// that cannot be part of a file name.
    #[must_use]
    pub fn shared_group(&self) -> Option<&str> {
        self.value("sharedgroup").filter(|group| {
            !group.is_empty() && !group.contains(|c: char| matches!(c, '/' | '|') || c.is_control())
        })
    }

    /// `mailhost`, the host to which the proxy sends the account.
    #[must_use]
    pub fn mail_host(&self) -> Option<&str> {
        self.value("mailhost").filter(|host| !host.is_empty())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn add(&mut self, name: &str, value: &str) {
        let new = name == GROUP || self.value(name).is_none();
        if !name.is_empty() && new {
            self.entries.push((name.to_owned(), value.to_owned()));
        }
    }
}

/// As account databases hold them: `name=value,…`.
impl fmt::Display for AccountOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (name, value)) in self.entries.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{name}={value}")?;
        }
        Ok(())
    }
}

/// Courier: integers by their leading digits, and words beginning with t, T, y, Y.
fn is_true(value: &str) -> bool {
    let digits = value.bytes().take_while(u8::is_ascii_digit);
    value.starts_with(['t', 'T', 'y', 'Y']) || digits.into_iter().any(|digit| digit != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_occurrence_wins_except_for_groups() {
        let options =
            AccountOptions::parse("disableimap=1,group=a,disableimap=0,group=b,mailhost=h");
        assert!(options.is_on(Flag::DisableImap));
        assert!(options.groups().eq(["a", "b"]));
        assert_eq!(options.mail_host(), Some("h"));
        assert_eq!(
            options.to_string(),
            "disableimap=1,group=a,group=b,mailhost=h"
        );
    }

    #[test]
    fn truth_is_a_number_or_a_word() {
        for (value, wanted) in [
            ("=1", true),
            ("=01x", true),
            ("=true", true),
            ("=Yes", true),
            ("=10", true),
            ("=0", false),
            ("=no", false),
            ("=", false),
            ("", false),
            ("=x1", false),
        ] {
            let options = AccountOptions::parse(&format!("disablepop3{value}"));
            assert_eq!(options.is_on(Flag::DisablePop3), wanted, "{value}");
        }
        assert!(!AccountOptions::default().is_on(Flag::DisablePop3));
    }

    #[test]
    fn defaults_apply_where_the_account_says_nothing() {
        let defaults = AccountOptions::parse("disableimap=1,group=all,wbnodsn=1");
        let own = AccountOptions::parse("disableimap=0,group=staff");
        let merged = own.with_defaults(&defaults);
        assert_eq!(merged.to_string(), "disableimap=0,group=staff,wbnodsn=1");
    }

    #[test]
    fn a_shared_group_is_part_of_a_file_name() {
        let group = |text: &str| {
            AccountOptions::parse(text)
                .shared_group()
                .map(str::to_owned)
        };
        assert_eq!(group("sharedgroup=sales").as_deref(), Some("sales"));
        for bad in [
            "sharedgroup=",
            "sharedgroup=../x",
            "sharedgroup=a|b",
            "sharedgroup=a\tb",
        ] {
            assert_eq!(group(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_reading_again_changes_nothing(text in "[a-c=,1 ]{0,40}") {
            let options = AccountOptions::parse(&text);
            prop_assert_eq!(AccountOptions::parse(&options.to_string()), options);
        }

        #[test]
        fn merging_twice_is_merging_once(own in "[a-c=,]{0,20}|group=a", defaults in "[a-c=,]{0,20}") {
            let defaults = AccountOptions::parse(&defaults);
            let once = AccountOptions::parse(&own).with_defaults(&defaults);
            prop_assert_eq!(once.clone().with_defaults(&defaults), once);
        }
    }
}
