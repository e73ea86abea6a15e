//! What a rule does with a message.

use std::fmt;

use crate::autoresponse::ResponseName;
use crate::folder::FolderName;

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It goes into a folder.
    File(FolderName),
    /// It goes to other addresses.
    Forward(Vec<String>),
    /// It is refused with this text.
    Reject(String),
    /// Its sender gets an automatic reply.
    Reply(Autoreply),
    /// Nothing: maildrop ends.
    Drop,
}

/// An automatic reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autoreply {
    /// The text in `autoresponses`.
    pub name: ResponseName,
    /// Whether it has the form of a delivery status notification.
    pub dsn: bool,
    /// For how many days a sender gets no second one; 0 for no such memory.
    pub days: u32,
    /// Whether the message is left out of the reply.
    pub noquote: bool,
}

impl Action {
    /// Reads the field `Folder`: `.` or `INBOX` for the INBOX, `.a.b` or `INBOX.a.b`
    /// for a folder, `!address address`, `*text`, `+name [dsn=1] [days=n] [noquote]`,
    /// `exit`. Nothing for what could not be carried out, or would be more than that.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "exit" {
            return Some(Self::Drop);
        }
        if let Some(addresses) = text.strip_prefix('!') {
            let addresses: Vec<_> = addresses.split_ascii_whitespace().collect();
            let good = !addresses.is_empty() && addresses.iter().all(|text| is_address(text));
            let owned = addresses.into_iter().map(str::to_owned);
            return good.then(|| Self::Forward(owned.collect()));
        }
        if let Some(reason) = text.strip_prefix('*') {
            return is_echo(reason).then(|| Self::Reject(reason.to_owned()));
        }
        if let Some(reply) = text.strip_prefix('+') {
            return Autoreply::parse(reply).map(Self::Reply);
        }
        let name = match text.strip_prefix('.') {
            Some("") => Ok(FolderName::inbox()),
            Some(below) => FolderName::parse(&format!("INBOX.{below}")),
            None => FolderName::parse(text),
        };
        name.ok().map(Self::File)
    }
}

/// An address that a shell takes as one word and a program not as an option.
fn is_address(text: &str) -> bool {
    let good = |c: char| {
        c.is_ascii_alphanumeric()
            || !c.is_ascii() && !c.is_control()
            || matches!(c, '@' | '.' | '_' | '-' | '+' | '=' | '%' | ',' | ':' | '/')
    };
    !text.starts_with('-') && text.chars().all(good)
}

/// What stands in `echo "…"`.
fn is_echo(text: &str) -> bool {
    !text.contains(|c: char| {
        c.is_control()
            || matches!(
                c,
                '"' | '#'
                    | '$'
                    | '&'
                    | '\''
                    | '('
                    | ')'
                    | ';'
                    | '<'
                    | '>'
                    | '\\'
                    | '`'
                    | '{'
                    | '}'
                    | '~'
            )
    })
}

impl Autoreply {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let mut reply = Self {
            name: ResponseName::parse(words.next()?).ok()?,
            dsn: false,
            days: 0,
            noquote: false,
        };
        for word in words {
            match word.split_once('=') {
                Some(("dsn", number)) => reply.dsn = number.parse::<u32>().ok()? != 0,
                Some(("days", number)) => reply.days = number.parse().ok()?,
                None if word == "noquote" => reply.noquote = true,
                _ => return None,
            }
        }
        Some(reply)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(name) if name.is_inbox() => f.write_str("."),
            Self::File(name) => {
                for level in name.levels() {
                    write!(f, ".{level}")?;
                }
                Ok(())
            }
            Self::Forward(addresses) => write!(f, "!{}", addresses.join(" ")),
            Self::Reject(text) => write!(f, "*{text}"),
            Self::Reply(reply) => write!(f, "+{reply}"),
            Self::Drop => f.write_str("exit"),
        }
    }
}

impl fmt::Display for Autoreply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if self.dsn {
            f.write_str(" dsn=1")?;
        }
        if self.days > 0 {
            write!(f, " days={}", self.days)?;
        }
        if self.noquote {
            f.write_str(" noquote")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_read_and_written() {
        for (text, written) in [
            (".", "."),
            ("INBOX", "."),
            ("INBOX.a.b", ".a.b"),
            (".a b.é", ".a b.é"),
            (
                "!a@example.com  b@example.net",
                "!a@example.com b@example.net",
            ),
            ("*go away", "*go away"),
            ("*", "*"),
            ("+vac days=3 noquote dsn=1", "+vac dsn=1 days=3 noquote"),
            ("+vac days=0", "+vac"),
            ("exit", "exit"),
        ] {
            let action = Action::parse(text).expect(text);
            assert_eq!(action.to_string(), written);
            assert_eq!(Action::parse(written), Some(action));
        }
    }

    #[test]
    fn nothing_else_reaches_a_shell() {
        for text in [
            "!",
            "!-oQ/tmp",
            "!a;b",
            "!a|b",
            "!$(x)",
            "!*",
            "*`x`",
            "*\"",
            "*$HOME",
            "+../x",
            "+a days=-3",
            "+a days=x",
            "+a nonsense",
            "foo",
            "",
            "..",
            ".a.",
            ".a/../b",
            "INBOXx",
        ] {
            assert_eq!(Action::parse(text), None, "{text}");
        }
    }
}
