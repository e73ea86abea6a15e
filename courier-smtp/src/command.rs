//! Commands, taken apart without a copy (RFC 5321 §4.1, and the RFCs named below).

/// A command as it stands in its line. What it borrows has not been judged yet:
/// addresses and parameters become types in [`crate::parameter`].
///
/// ```
/// use courier_smtp::command::Command;
///
/// let Ok(Command::Mail(argument)) = Command::parse(b"mail from:<jane@example.com> SIZE=7") else {
///     panic!("a MAIL command")
/// };
/// assert_eq!(argument.path, b"<jane@example.com>");
/// assert_eq!(argument.parameters, b"SIZE=7");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// `EHLO name`
    Ehlo(&'a [u8]),
    /// `HELO name`
    Helo(&'a [u8]),
    /// `LHLO name` (RFC 2033)
    Lhlo(&'a [u8]),
    /// `MAIL FROM:<path> parameters`
    Mail(Argument<'a>),
    /// `RCPT TO:<path> parameters`
    Rcpt(Argument<'a>),
    /// `DATA`
    Data,
    /// `BDAT size [LAST]` (RFC 3030)
    Bdat {
        /// Octets of the chunk that follows the line.
        size: u64,
        /// Whether the chunk ends the message.
        last: Last,
    },
    /// `RSET`
    Rset,
    /// `NOOP`, with anything
    Noop,
    /// `VRFY text`
    Vrfy(&'a [u8]),
    /// `EXPN text`
    Expn(&'a [u8]),
    /// `HELP`, with anything
    Help,
    /// `QUIT`
    Quit,
    /// `STARTTLS` (RFC 3207)
    StartTls,
    /// `AUTH mechanism [initial]` (RFC 4954)
    Auth {
        /// The mechanism, in any case.
        mechanism: &'a str,
        /// The initial response in base64; `=` for an empty one.
        initial: Option<&'a [u8]>,
    },
}

/// Whether a chunk is the last of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// The argument of MAIL or RCPT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument<'a> {
    /// The path with its angle brackets.
    pub path: &'a [u8],
    /// What follows it, without blanks at the ends.
    pub parameters: &'a [u8],
}

/// A verb of SMTP, for logs and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// `EHLO`
    Ehlo,
    /// `HELO`
    Helo,
    /// `LHLO`
    Lhlo,
    /// `MAIL`
    Mail,
    /// `RCPT`
    Rcpt,
    /// `DATA`
    Data,
    /// `BDAT`
    Bdat,
    /// `RSET`
    Rset,
    /// `NOOP`
    Noop,
    /// `VRFY`
    Vrfy,
    /// `EXPN`
    Expn,
    /// `HELP`
    Help,
    /// `QUIT`
    Quit,
    /// `STARTTLS`
    StartTls,
    /// `AUTH`
    Auth,
}

/// Why a line is not a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The first word is no verb that we know.
    #[error("unknown command")]
    Unknown,
    /// The verb is known, and what follows it is wrong.
    #[error("expected {expected}")]
    Argument {
        /// The verb.
        verb: Verb,
        /// What the line should have looked like.
        expected: &'static str,
    },
    /// MAIL or RCPT without a path in angle brackets.
    #[error("the address is not in angle brackets")]
    NoBrackets {
        /// Which of the two.
        verb: Verb,
    },
}

impl<'a> Command<'a> {
    /// Takes a line, without its CRLF, apart. Blanks at its end are ignored.
    ///
    /// # Errors
    /// If it is no command, or lacks its argument, or has one that it may not have.
    pub fn parse(line: &'a [u8]) -> Result<Self, CommandError> {
        let line = line.trim_ascii_end();
        let end = line
            .iter()
            .position(|&octet| octet == b' ' || octet == b'\t');
        let (word, rest) = line
            .split_at_checked(end.unwrap_or(line.len()))
            .unwrap_or((line, b""));
        let rest = rest.trim_ascii_start();
        let verb = Verb::parse(word).ok_or(CommandError::Unknown)?;
        match verb {
            Verb::Mail => argument(verb, rest, b"FROM:").map(Self::Mail),
            Verb::Rcpt => argument(verb, rest, b"TO:").map(Self::Rcpt),
            Verb::Data => alone(verb, rest, Self::Data),
            Verb::Bdat => bdat(rest),
            Verb::Rset => alone(verb, rest, Self::Rset),
            Verb::Noop => Ok(Self::Noop),
            Verb::Quit => alone(verb, rest, Self::Quit),
            Verb::Ehlo => required(verb, rest).map(Self::Ehlo),
            Verb::Helo => required(verb, rest).map(Self::Helo),
            Verb::Lhlo => required(verb, rest).map(Self::Lhlo),
            Verb::StartTls => alone(verb, rest, Self::StartTls),
            Verb::Auth => auth(rest),
            Verb::Vrfy => required(verb, rest).map(Self::Vrfy),
            Verb::Expn => required(verb, rest).map(Self::Expn),
            Verb::Help => Ok(Self::Help),
        }
    }

    /// The verb.
    #[must_use]
    pub fn verb(&self) -> Verb {
        match self {
            Self::Ehlo(_) => Verb::Ehlo,
            Self::Helo(_) => Verb::Helo,
            Self::Lhlo(_) => Verb::Lhlo,
            Self::Mail(_) => Verb::Mail,
            Self::Rcpt(_) => Verb::Rcpt,
            Self::Data => Verb::Data,
            Self::Bdat { .. } => Verb::Bdat,
            Self::Rset => Verb::Rset,
            Self::Noop => Verb::Noop,
            Self::Vrfy(_) => Verb::Vrfy,
            Self::Expn(_) => Verb::Expn,
            Self::Help => Verb::Help,
            Self::Quit => Verb::Quit,
            Self::StartTls => Verb::StartTls,
            Self::Auth { .. } => Verb::Auth,
        }
    }
}

impl Verb {
    /// The verb that a word is, in any case.
    fn parse(word: &[u8]) -> Option<Self> {
        if let Ok(four) = <[u8; 4]>::try_from(word) {
            return Some(match &four.map(|octet| octet.to_ascii_uppercase()) {
                b"MAIL" => Self::Mail,
                b"RCPT" => Self::Rcpt,
                b"DATA" => Self::Data,
                b"BDAT" => Self::Bdat,
                b"RSET" => Self::Rset,
                b"NOOP" => Self::Noop,
                b"QUIT" => Self::Quit,
                b"EHLO" => Self::Ehlo,
                b"HELO" => Self::Helo,
                b"LHLO" => Self::Lhlo,
                b"AUTH" => Self::Auth,
                b"VRFY" => Self::Vrfy,
                b"EXPN" => Self::Expn,
                b"HELP" => Self::Help,
                _ => return None,
            });
        }
        word.eq_ignore_ascii_case(b"STARTTLS")
            .then_some(Self::StartTls)
    }
}

fn alone<'a>(verb: Verb, rest: &[u8], command: Command<'a>) -> Result<Command<'a>, CommandError> {
    let expected = "the command without an argument";
    let wrong = CommandError::Argument { verb, expected };
    rest.is_empty().then_some(command).ok_or(wrong)
}

fn required(verb: Verb, rest: &[u8]) -> Result<&[u8], CommandError> {
    let expected = "the command with an argument";
    let wrong = CommandError::Argument { verb, expected };
    (!rest.is_empty()).then_some(rest).ok_or(wrong)
}

/// `FROM:<path> parameters`. Courier: blanks before the bracket are let pass.
fn argument<'a>(verb: Verb, rest: &'a [u8], key: &[u8]) -> Result<Argument<'a>, CommandError> {
    let syntax = CommandError::Argument {
        verb,
        expected: match verb {
            Verb::Mail => "MAIL FROM:<address> and parameters",
            _ => "RCPT TO:<address> and parameters",
        },
    };
    let (word, rest) = rest.split_at_checked(key.len()).ok_or(syntax)?;
    if !word.eq_ignore_ascii_case(key) {
        return Err(syntax);
    }
    let rest = rest.trim_ascii_start();
    let no_brackets = CommandError::NoBrackets { verb };
    if rest.first() != Some(&b'<') {
        return Err(no_brackets);
    }
    let end = path_end(rest).ok_or(no_brackets)?;
    let (path, after) = rest.split_at_checked(end).ok_or(no_brackets)?;
    match after.first() {
        None => Ok(Argument {
            path,
            parameters: b"",
        }),
        Some(b' ' | b'\t') => Ok(Argument {
            path,
            parameters: after.trim_ascii_start(),
        }),
        Some(_) => Err(syntax),
    }
}

/// Length of the path in front of a text, to its closing bracket; brackets in quoted
/// strings and address literals are part of the path.
fn path_end(text: &[u8]) -> Option<usize> {
    // Nearly every path has no quote, backslash or literal before its first bracket.
    let plain = |octet: &u8| !matches!(octet, b'>' | b'"' | b'[');
    let start = text.iter().position(|octet| !plain(octet))?;
    if text.get(start) == Some(&b'>') {
        return Some(start + 1);
    }
    let (mut quoted, mut literal, mut escaped) = (false, false, false);
    for (at, &octet) in text.iter().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !literal => quoted = !quoted,
            b'[' if !quoted => literal = true,
            b']' if !quoted => literal = false,
            b'>' if !quoted && !literal => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// RFC 3030 §4.2: `BDAT chunk-size [SP end-marker]`.
fn bdat(rest: &[u8]) -> Result<Command<'_>, CommandError> {
    let wrong = CommandError::Argument {
        verb: Verb::Bdat,
        expected: "BDAT with a number of octets, and LAST or nothing",
    };
    let mut words = rest
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let size = words.next().and_then(number).ok_or(wrong)?;
    let last = match words.next() {
        None => Last::No,
        Some(word) if word.eq_ignore_ascii_case(b"LAST") => Last::Yes,
        Some(_) => return Err(wrong),
    };
    words
        .next()
        .is_none()
        .then_some(Command::Bdat { size, last })
        .ok_or(wrong)
}

/// RFC 4954 §4. The name of a mechanism has 1 to 20 characters (RFC 4422 §3.1).
fn auth(rest: &[u8]) -> Result<Command<'_>, CommandError> {
    let wrong = CommandError::Argument {
        verb: Verb::Auth,
        expected: "AUTH with a mechanism, and an initial response in base64 or nothing",
    };
    let mut words = rest
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let mechanism = words
        .next()
        .and_then(|word| std::str::from_utf8(word).ok())
        .ok_or(wrong)?;
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    if mechanism.len() > 20 || !mechanism.bytes().all(fits) {
        return Err(wrong);
    }
    let initial = words.next();
    words
        .next()
        .is_none()
        .then_some(Command::Auth { mechanism, initial })
        .ok_or(wrong)
}

/// A decimal number of at most 20 digits (RFC 1870 §4) that fits 64 bits.
#[must_use]
pub fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 20 {
        return None;
    }
    digits.iter().try_fold(0u64, |value, octet| {
        let digit = octet.checked_sub(b'0').filter(|&digit| digit < 10)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The name that a client gives itself, as it may stand in `Received` and logs: what
/// is not a letter, a digit or one of `.-_:[]` becomes `_`, and 255 octets are kept.
#[must_use]
pub fn clean_name(argument: &[u8]) -> String {
    let clean = |&octet: &u8| match octet {
        b'.' | b'-' | b'_' | b':' | b'[' | b']' => char::from(octet),
        _ if octet.is_ascii_alphanumeric() => char::from(octet),
        _ => '_',
    };
    argument.iter().take(NAME_LIMIT).map(clean).collect()
}

/// Octets kept of a client's name.
pub const NAME_LIMIT: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(line: &str) -> Result<(&[u8], &[u8]), CommandError> {
        match Command::parse(line.as_bytes())? {
            Command::Mail(a) | Command::Rcpt(a) => Ok((a.path, a.parameters)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn verbs_have_no_case_and_need_their_arguments() {
        assert_eq!(Command::parse(b"eHlO  a b "), Ok(Command::Ehlo(b"a b")));
        assert_eq!(Command::parse(b"NOOP x"), Ok(Command::Noop));
        assert_eq!(Command::parse(b"starttls"), Ok(Command::StartTls));
        for unknown in ["", " NOOP", "NOO", "STARTTLSX", "MAILFROM:<a@b>", "\u{e9}"] {
            assert_eq!(
                Command::parse(unknown.as_bytes()),
                Err(CommandError::Unknown),
                "{unknown}"
            );
        }
        for wrong in [
            "EHLO",
            "HELO ",
            "DATA x",
            "QUIT now",
            "RSET x",
            "STARTTLS x",
            "VRFY",
            "AUTH",
            "AUTH PLAIN a b",
            "AUTH P*",
            "BDAT",
            "BDAT x",
            "BDAT -1",
            "BDAT 1 LOST",
            "BDAT 1 LAST x",
            "BDAT 18446744073709551616",
            "MAIL",
            "MAIL TO:<a@b>",
            "RCPT TO",
            "MAIL FROM:<a@b>SIZE=1",
        ] {
            let parsed = Command::parse(wrong.as_bytes());
            assert!(
                matches!(parsed, Err(CommandError::Argument { .. })),
                "{wrong}: {parsed:?}"
            );
        }
    }

    #[test]
    fn chunks_have_a_length_and_an_end() {
        let last = Last::Yes;
        assert_eq!(
            Command::parse(b"BDAT 0 last"),
            Ok(Command::Bdat { size: 0, last })
        );
        let size = u64::MAX;
        let command = Command::parse(b"BDAT 18446744073709551615");
        assert_eq!(
            command,
            Ok(Command::Bdat {
                size,
                last: Last::No
            })
        );
    }

    #[test]
    fn paths_end_at_their_own_bracket() {
        assert_eq!(path("MAIL FROM:<>"), Ok((&b"<>"[..], &b""[..])));
        assert_eq!(
            path("mail from: <a@b>  X=1 Y"),
            Ok((&b"<a@b>"[..], &b"X=1 Y"[..]))
        );
        assert_eq!(
            path(r#"RCPT TO:<"a> \"b"@c> X"#),
            Ok((&br#"<"a> \"b"@c>"#[..], &b"X"[..]))
        );
        assert_eq!(path("RCPT TO:<a@[x:>]>"), Ok((&b"<a@[x:>]>"[..], &b""[..])));
        for bad in [
            "MAIL FROM:a@b",
            "RCPT TO:<a@b",
            "RCPT TO:",
            r#"MAIL FROM:<"a@b>"#,
        ] {
            assert!(
                matches!(path(bad), Err(CommandError::NoBrackets { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn names_hold_nothing_that_a_header_would_mind() {
        assert_eq!(
            clean_name(b"a b;(c)\xff\x00[IPv6:::1]-_."),
            "a_b__c___[IPv6:::1]-_."
        );
        assert_eq!(clean_name(&[b'x'; 300]).len(), NAME_LIMIT);
    }

    #[test]
    fn numbers_never_wrap() {
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(number(b"00000000000000000001"), Some(1));
        for bad in [
            &b"18446744073709551616"[..],
            b"000000000000000000001",
            b"",
            b"1a",
            b"+1",
        ] {
            assert_eq!(number(bad), None);
        }
    }

    proptest! {
        #[test]
        fn any_line_is_a_command_or_is_not(line in "(MAIL FROM:|RCPT TO:|BDAT |AUTH )?[ -~]{0,60}") {
            let _ = Command::parse(line.as_bytes());
        }
    }
}
