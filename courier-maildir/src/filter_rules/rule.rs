//! One rule, checked.

use std::fmt;

use super::action::Action;
use super::pattern;

/// A rule as a user fills it in: nothing is checked yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Draft {
    /// Its name; no other rule has it.
    pub name: String,
    /// What is compared.
    pub kind: Kind,
    /// The header field, for kinds that look at one.
    pub header: String,
    /// What it is compared with.
    pub value: String,
    /// What becomes of the message: see [`Action::parse`].
    pub folder: String,
    /// The sender of an automatic reply; empty for the one of the recipe.
    pub from: String,
    /// How the value is meant.
    pub matching: Match,
    /// Whether the rule is for messages that match or for the others.
    pub sense: Sense,
    /// Where the value is looked for.
    pub part: Part,
    /// What follows.
    pub after: After,
}

/// What a rule compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// The header, or a line of the body, begins with the value.
    StartsWith,
    /// It ends with the value.
    EndsWith,
    /// It contains the value.
    Contains,
    /// The value is an address in `To` or `Cc`.
    HasRecipient,
    /// `multipart/mixed`: the message has attachments.
    Multipart,
    /// `text/plain`, or no content type at all.
    PlainText,
    /// The message has more octets than the value says.
    LargerThan,
    /// Always.
    #[default]
    Any,
}

/// How a value is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Match {
    /// Letter by letter.
    Plain,
    /// As a regular expression.
    #[default]
    Pattern,
}

/// For which messages a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sense {
    /// Those that match.
    #[default]
    Does,
    /// Those that do not.
    DoesNot,
}

/// Where a value is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// In a header field.
    #[default]
    Header,
    /// In the lines of the body.
    Body,
}

/// What follows a rule that was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum After {
    /// Nothing: the message is done with.
    #[default]
    Stop,
    /// The next rule: the action was done to a copy.
    Continue,
}

/// A rule that can be written into a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    draft: Draft,
    action: Action,
}

/// Why a rule is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// Empty, too long, or with quotes or control characters.
    #[error("the rule's name is empty, longer than {LIMIT} characters, or holds a quote")]
    Name,
    /// No such kind of rule.
    #[error("there is no such kind of rule")]
    Kind,
    /// No header field has such a name.
    #[error("the rule names no header field")]
    Header,
    /// Not a value of its kind.
    #[error("the rule's value is empty, too long, or no pattern that can be used")]
    Value,
    /// No folder and nothing else that could be done.
    #[error("the rule says nothing that can be done with a message")]
    Folder,
    /// No sender.
    #[error("the sender of the reply holds a control character")]
    From,
    /// Another rule has the name.
    #[error("there is a rule of this name already")]
    Exists,
    /// The place among the rules does not exist.
    #[error("there is no such place among the rules")]
    Internal,
}

impl RuleError {
    /// The number by which webmail's pages know it.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Name => 1,
            Self::Kind => 2,
            Self::Header => 3,
            Self::Value => 4,
            Self::Folder => 5,
            Self::From => 6,
            Self::Exists => 7,
            Self::Internal => 100,
        }
    }
}

/// Characters of a name, header, value or folder.
pub(super) const LIMIT: usize = 200;

impl Rule {
    /// Checks a rule.
    ///
    /// # Errors
    /// What is wrong with it, the first thing in the order of the error codes.
    pub fn new(mut draft: Draft) -> Result<Self, RuleError> {
        if !is_name(&draft.name) {
            return Err(RuleError::Name);
        }
        if draft.looks_at_header() && draft.header.is_empty() || !is_header(&draft.header) {
            return Err(RuleError::Header);
        }
        if !draft.has_good_value() {
            return Err(RuleError::Value);
        }
        if draft.folder.len() > LIMIT {
            return Err(RuleError::Folder);
        }
        let action = Action::parse(&draft.folder).ok_or(RuleError::Folder)?;
        if draft.from.len() > LIMIT || draft.from.contains(char::is_control) {
            return Err(RuleError::From);
        }
        draft.folder = action.to_string();
        Ok(Self { draft, action })
    }

    /// What was checked. The folder is in the short form: `.Lists`, not `INBOX.Lists`.
    #[must_use]
    pub const fn draft(&self) -> &Draft {
        &self.draft
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.draft.name
    }

    /// What becomes of the message.
    #[must_use]
    pub const fn action(&self) -> &Action {
        &self.action
    }
}

impl Draft {
    fn looks_at_header(&self) -> bool {
        self.kind.has_text() && self.part == Part::Header
    }

    fn has_good_value(&self) -> bool {
        // It stands in a comment, whatever the kind.
        if self.value.len() > LIMIT || self.value.contains(['\n', '\r', '\0']) {
            return false;
        }
        match self.kind {
            Kind::StartsWith | Kind::EndsWith | Kind::Contains => {
                !self.value.is_empty()
                    && (self.matching == Match::Plain || pattern::is_sound(&self.value))
            }
            Kind::HasRecipient => is_recipient(&self.value),
            Kind::LargerThan => {
                let digits = self.value.bytes().all(|octet| octet.is_ascii_digit());
                !self.value.is_empty() && digits
            }
            Kind::Multipart | Kind::PlainText | Kind::Any => true,
        }
    }
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::StartsWith,
        Self::EndsWith,
        Self::Contains,
        Self::HasRecipient,
        Self::Multipart,
        Self::PlainText,
        Self::LargerThan,
        Self::Any,
    ];

    /// The word for it in the recipe.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::StartsWith => "startswith",
            Self::EndsWith => "endswith",
            Self::Contains => "contains",
            Self::HasRecipient => "hasrecipient",
            Self::Multipart => "mimemultipart",
            Self::PlainText => "textplain",
            Self::LargerThan => "islargerthan",
            Self::Any => "anymessage",
        }
    }

    /// Reads the word.
    ///
    /// # Errors
    /// [`RuleError::Kind`].
    pub fn parse(word: &str) -> Result<Self, RuleError> {
        let kind = Self::ALL.into_iter().find(|kind| kind.word() == word);
        kind.ok_or(RuleError::Kind)
    }

    const fn has_text(self) -> bool {
        matches!(self, Self::StartsWith | Self::EndsWith | Self::Contains)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

fn is_name(name: &str) -> bool {
    (1..=LIMIT).contains(&name.len())
        && !name.contains(|c: char| c.is_control() || matches!(c, '"' | '\'' | '`'))
}

fn is_header(header: &str) -> bool {
    let bad = |c: char| {
        c.is_control() || matches!(c, ' ' | '"' | '\'' | '/' | ':' | '\\' | '`' | '$' | '!')
    };
    header.len() <= LIMIT && !header.contains(bad)
}

/// What can stand in `hasaddr("…")`. Courier takes anything as a plain string, and
/// with it statements of maildrop's language.
fn is_recipient(address: &str) -> bool {
    let bad = |c: char| {
        c.is_control()
            || matches!(
                c,
                '!' | '"' | '$' | '\'' | '(' | ')' | '/' | '[' | '\\' | '`'
            )
    };
    !address.is_empty() && !address.contains(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        Draft {
            name: "a".into(),
            kind: Kind::Contains,
            header: "Subject".into(),
            value: "x".into(),
            folder: ".".into(),
            ..Draft::default()
        }
    }

    fn code(change: impl FnOnce(&mut Draft)) -> u8 {
        let mut draft = draft();
        change(&mut draft);
        Rule::new(draft).map_or_else(RuleError::code, |_| 0)
    }

    #[test]
    fn what_is_wrong_with_a_rule_has_a_number() {
        assert_eq!(code(|_| ()), 0);
        for name in ["", "a'b", "a`b", "a\nb", &"n".repeat(201)] {
            assert_eq!(code(|draft| draft.name = name.into()), 1, "{name}");
        }
        assert_eq!(code(|draft| draft.name = "n".repeat(200)), 0);
        assert_eq!(Kind::parse("bogus").map_err(RuleError::code), Err(2));
        for header in ["", "a b", "a:", "a/b", "$a", &"h".repeat(201)] {
            assert_eq!(code(|draft| draft.header = header.into()), 3, "{header}");
        }
        assert_eq!(code(|draft| draft.header = "h".repeat(200)), 0);
        for value in ["", "a/b", "a$", "(", "[]", &"v".repeat(201)] {
            assert_eq!(code(|draft| draft.value = value.into()), 4, "{value}");
        }
        for folder in ["", "foo", "..", ".a..b", ".a/b", "+", "+a.b"] {
            assert_eq!(code(|draft| draft.folder = folder.into()), 5, "{folder}");
        }
        assert_eq!(code(|draft| draft.from = "a\nb".into()), 6);
    }

    #[test]
    fn a_plain_value_may_hold_anything_but_the_end_of_a_line() {
        let plain = |value: &str| {
            code(|draft| {
                draft.matching = Match::Plain;
                draft.value = value.into();
            })
        };
        assert_eq!(plain("$(`'\"/[\t!é"), 0);
        assert_eq!(plain("a\nb"), 4);
        assert_eq!(plain(""), 4);
    }

    #[test]
    fn sizes_and_recipients_are_looked_at_as_such() {
        let of = |kind, value: &str| {
            code(|draft| {
                draft.kind = kind;
                draft.matching = Match::Plain;
                draft.value = value.into();
            })
        };
        assert_eq!(of(Kind::LargerThan, "100"), 0);
        assert_eq!(of(Kind::LargerThan, "1x"), 4);
        assert_eq!(of(Kind::LargerThan, ""), 4);
        assert_eq!(of(Kind::HasRecipient, "a+b@example.com"), 0);
        assert_eq!(of(Kind::HasRecipient, "\") || (1"), 4);
        assert_eq!(of(Kind::Any, ""), 0);
    }
}
