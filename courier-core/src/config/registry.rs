//! Every setting that Courier knows, and what becomes of it here.
//!
//! Nothing is ignored in silence: a setting is in force, or it is known and
//! `courier check` says why it does nothing, or it is unknown and an error.

mod files;
mod rc;
mod variables;

pub(super) use files::{Kind, file};
pub(super) use rc::{RcFile, is_known as is_known_rc};
pub(super) use variables::{ShellFile, nearest, variable};

use super::time;
use super::value;

/// What becomes of a known setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It does what it says.
    InForce,
    /// It will; until then its value is looked at and it is noted.
    NotYet,
    /// It never will, for this reason.
    NoEffect(&'static str),
    /// It belongs to a program that is none of ours, or helps other settings;
    /// nothing is to be said about it.
    Quiet,
}

/// What values a setting takes, as far as a glance can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    /// Any text.
    Text,
    /// A number.
    Number,
    /// 0 or 1.
    Flag,
    /// YES or NO.
    YesNo,
    /// `1w2d`.
    Time,
}

impl Syntax {
    /// Whether a value can be one; the text says what is wrong.
    pub(super) fn check(self, text: &str) -> Result<(), String> {
        match self {
            Self::Text => Ok(()),
            Self::Number => value::number(text, 0..=u64::MAX)
                .map(drop)
                .map_err(|error| error.to_string()),
            Self::Flag => value::flag(text)
                .map(drop)
                .map_err(|error| error.to_string()),
            Self::YesNo => value::yes_or_no(text)
                .map(drop)
                .map_err(|error| error.to_string()),
            Self::Time => time::parse(text)
                .map(drop)
                .map_err(|error| error.to_string()),
        }
    }
}

/// A setting's standing and the values it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) standing: Standing,
    pub(super) syntax: Syntax,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_seen_before_its_setting_is_in_force() {
        assert!(Syntax::Time.check("4h").is_ok() && Syntax::Time.check("soon").is_err());
        assert!(Syntax::Number.check("022").is_ok() && Syntax::Number.check("").is_err());
        assert!(Syntax::Flag.check("").is_ok() && Syntax::Flag.check("on").is_err());
        assert!(Syntax::YesNo.check("YES").is_ok() && Syntax::YesNo.check("on").is_err());
    }
}
