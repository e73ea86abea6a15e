//! The commands of RFC 1939 and of its extensions, from lines.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use courier_core::account::secret::Secret;
use thiserror::Error;

use crate::listing::{MessageNumber, digits};

/// A command, its arguments understood.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// `USER name`.
    User(String),
    /// `PASS password`: all that follows the blank.
    Pass(Secret),
    /// `AUTH mechanism [initial]` (RFC 5034).
    Auth {
        /// In upper case.
        mechanism: String,
        /// The initial response, decoded; empty for `=`.
        initial: Option<Vec<u8>>,
    },
    /// `CAPA` (RFC 2449).
    Capa,
    /// `LANG [tag]` (RFC 6856).
    Lang(Option<String>),
    /// `STLS` (RFC 2595).
    Stls,
    /// `UTF8` (RFC 6856).
    Utf8,
    /// `QUIT`.
    Quit,
    /// `STAT`.
    Stat,
    /// `LIST [number]`.
    List(Option<MessageNumber>),
    /// `RETR number`.
    Retr(MessageNumber),
    /// `DELE number`.
    Dele(MessageNumber),
    /// `NOOP`.
    Noop,
    /// `RSET`.
    Rset,
    /// `TOP number lines`.
    Top(MessageNumber, u64),
    /// `UIDL [number]`.
    Uidl(Option<MessageNumber>),
}

/// Why a line is no command. The text is fit for a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// No such command, or arguments that it does not take.
    #[error("Invalid command.")]
    Invalid,
    /// A number that is none, is 0, or cannot be that of a message.
    #[error("Invalid message number.")]
    Number,
    /// AUTH alone, as one mail program sends it.
    #[error("Which mechanism? CAPA lists them.")]
    Mechanism,
    /// The response after the mechanism is not in base64.
    #[error("The response is not in base64.")]
    Base64,
    /// A NUL or another control character, or no UTF-8 where it must be.
    #[error("Invalid character.")]
    Character,
}

impl Command {
    /// Parses a line without CRLF.
    ///
    /// # Errors
    /// If it is no command, or has the wrong arguments.
    pub fn parse(line: &[u8]) -> Result<Self, CommandError> {
        if line.iter().any(|b| matches!(b, 0 | b'\r' | b'\n')) {
            return Err(CommandError::Character);
        }
        let end = line.iter().position(|b| matches!(b, b' ' | b'\t'));
        let (keyword, rest) = line.split_at(end.unwrap_or(line.len()));
        let keyword = keyword.to_ascii_uppercase();
        match keyword.as_slice() {
            // A password may begin and end with blanks.
            b"PASS" => {
                let password = rest.get(1..).ok_or(CommandError::Invalid)?;
                Ok(Self::Pass(Secret::new(password)))
            }
            b"USER" => {
                let name = text(rest.trim_ascii())?;
                let name = (!name.is_empty()).then_some(name);
                Ok(Self::User(name.ok_or(CommandError::Invalid)?.to_owned()))
            }
            b"AUTH" => auth(rest),
            _ => Self::with_words(&keyword, rest),
        }
    }

    fn with_words(keyword: &[u8], rest: &[u8]) -> Result<Self, CommandError> {
        let mut words = rest
            .split(|b| matches!(b, b' ' | b'\t'))
            .filter(|word| !word.is_empty());
        let first = words.next();
        let second = words.next();
        if words.next().is_some() {
            return Err(CommandError::Invalid);
        }
        let number = |word: &[u8]| MessageNumber::parse(word).ok_or(CommandError::Number);
        Ok(match (keyword, first, second) {
            (b"CAPA", None, None) => Self::Capa,
            (b"STLS", None, None) => Self::Stls,
            (b"UTF8", None, None) => Self::Utf8,
            (b"QUIT", None, None) => Self::Quit,
            (b"STAT", None, None) => Self::Stat,
            (b"NOOP", None, None) => Self::Noop,
            (b"RSET", None, None) => Self::Rset,
            (b"LANG", tag, None) => {
                Self::Lang(tag.map(text).transpose()?.map(str::to_ascii_lowercase))
            }
            (b"LIST", word, None) => Self::List(word.map(number).transpose()?),
            (b"UIDL", word, None) => Self::Uidl(word.map(number).transpose()?),
            (b"RETR", Some(word), None) => Self::Retr(number(word)?),
            (b"DELE", Some(word), None) => Self::Dele(number(word)?),
            (b"TOP", Some(word), Some(lines)) => {
                Self::Top(number(word)?, digits(lines).ok_or(CommandError::Number)?)
            }
            _ => return Err(CommandError::Invalid),
        })
    }
}

/// RFC 5034 §4.
fn auth(rest: &[u8]) -> Result<Command, CommandError> {
    let rest = rest.trim_ascii();
    let end = rest.iter().position(|b| matches!(b, b' ' | b'\t'));
    let (mechanism, initial) = rest.split_at(end.unwrap_or(rest.len()));
    if mechanism.is_empty() {
        return Err(CommandError::Mechanism);
    }
    let initial = initial.trim_ascii();
    Ok(Command::Auth {
        mechanism: text(mechanism)?.to_ascii_uppercase(),
        initial: match initial {
            b"" => None,
            b"=" => Some(Vec::new()),
            _ => Some(response(initial)?),
        },
    })
}

/// The client's response to a challenge, decoded.
///
/// # Errors
/// [`CommandError::Base64`] if it is not in base64; padding may be missing.
pub fn response(line: &[u8]) -> Result<Vec<u8>, CommandError> {
    BASE64.decode(line).map_err(|_| CommandError::Base64)
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn text(octets: &[u8]) -> Result<&str, CommandError> {
    let text = std::str::from_utf8(octets).map_err(|_| CommandError::Character)?;
    if text.chars().any(char::is_control) {
        return Err(CommandError::Character);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(n: &str) -> MessageNumber {
        MessageNumber::parse(n.as_bytes()).unwrap()
    }

    #[test]
    fn commands_are_read_in_any_case() {
        assert_eq!(Command::parse(b"stat"), Ok(Command::Stat));
        assert_eq!(
            Command::parse(b"List  7 "),
            Ok(Command::List(Some(number("7"))))
        );
        assert_eq!(Command::parse(b"TOP 1 0"), Ok(Command::Top(number("1"), 0)));
        assert_eq!(
            Command::parse(b"LANG I-Default"),
            Ok(Command::Lang(Some("i-default".into())))
        );
    }

    #[test]
    fn passwords_keep_their_blanks() {
        let pass = |line: &[u8]| match Command::parse(line) {
            Ok(Command::Pass(secret)) => secret.expose().to_vec(),
            other => panic!("{other:?}"),
        };
        assert_eq!(pass(b"PASS  a b "), b" a b ");
        assert_eq!(pass(b"pass \xff"), b"\xff");
        assert_eq!(pass(b"PASS "), b"");
        assert_eq!(Command::parse(b"PASS"), Err(CommandError::Invalid));
    }

    #[test]
    fn names_are_text() {
        assert_eq!(
            Command::parse("USER jörg".as_bytes()),
            Ok(Command::User("jörg".into()))
        );
        assert_eq!(Command::parse(b"USER "), Err(CommandError::Invalid));
        for bad in [
            &b"USER \xff"[..],
            b"USER a\x07",
            b"USER a\0b",
            b"PASS a\0b",
            b"NO\0OP",
        ] {
            assert_eq!(Command::parse(bad), Err(CommandError::Character));
        }
    }

    #[test]
    fn numbers_are_strict() {
        for bad in [
            "0",
            "-1",
            "+1",
            "1x",
            "x",
            "4294967296",
            "4294967297",
            "99999999999999999999",
            "0x1",
        ] {
            for keyword in ["LIST", "UIDL", "RETR", "DELE"] {
                let line = format!("{keyword} {bad}");
                assert_eq!(
                    Command::parse(line.as_bytes()),
                    Err(CommandError::Number),
                    "{line}"
                );
            }
        }
        assert_eq!(
            Command::parse(b"RETR 4294967295"),
            Ok(Command::Retr(number("4294967295")))
        );
        assert_eq!(Command::parse(b"TOP 1 -1"), Err(CommandError::Number));
        assert_eq!(
            Command::parse(b"TOP 1 18446744073709551616"),
            Err(CommandError::Number)
        );
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for bad in [
            "", "FOO", "STAT 1", "RETR", "RETR 1 2", "TOP 1", "LIST 1 2", "QUIT x", "UTF8 x",
        ] {
            assert_eq!(
                Command::parse(bad.as_bytes()),
                Err(CommandError::Invalid),
                "{bad}"
            );
        }
    }

    #[test]
    fn initial_responses_are_decoded() {
        let auth = |line: &str| match Command::parse(line.as_bytes()) {
            Ok(Command::Auth { mechanism, initial }) => (mechanism, initial),
            other => panic!("{other:?}"),
        };
        assert_eq!(auth("AUTH plain"), ("PLAIN".into(), None));
        assert_eq!(auth("AUTH PLAIN ="), ("PLAIN".into(), Some(vec![])));
        assert_eq!(
            auth("AUTH PLAIN AGEAYg=="),
            ("PLAIN".into(), Some(b"\0a\0b".to_vec()))
        );
        assert_eq!(auth("AUTH PLAIN AGEAYg").1, Some(b"\0a\0b".to_vec()));
        assert_eq!(Command::parse(b"AUTH"), Err(CommandError::Mechanism));
        assert_eq!(Command::parse(b"AUTH PLAIN x"), Err(CommandError::Base64));
        assert_eq!(
            Command::parse(b"AUTH PLAIN AG EA"),
            Err(CommandError::Base64)
        );
    }

    proptest! {
        #[test]
        fn any_line_is_a_command_or_none(line: Vec<u8>, text in "[A-Za-z]{4} ?[0-9a-z= ]{0,12}") {
            let _ = Command::parse(&line);
            let _ = Command::parse(text.as_bytes());
        }

        #[test]
        fn numbers_are_what_they_say(n in 1..=u32::MAX) {
            prop_assert_eq!(number(&n.to_string()).get(), n);
        }
    }
}
