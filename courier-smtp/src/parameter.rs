//! The arguments of MAIL and RCPT as types: nothing that a peer sent gets further than
//! this as text.

use courier_core::address::{AddressError, ForwardPath, ReversePath};
use courier_core::envelope::{Body, Envid, Notify, Orcpt, ParameterError, Ret, Security, xtext};

use crate::command::{Argument, Verb, number};
use crate::extension::{Keyword, Keywords};
use crate::reply::{Charset, Reply};

/// What MAIL said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The reverse-path; a source route has been dropped.
    pub path: ReversePath,
    /// Size of the message as the client knows it, in octets (RFC 1870).
    pub size: Option<u64>,
    /// Whether the content has octets above 127 (RFC 6152).
    pub body: Body,
    /// How much of the message a report gives back (RFC 3461).
    pub ret: Option<Ret>,
    /// The client's name for the message (RFC 3461).
    pub envid: Option<Envid>,
    /// Whether addresses and header may be in UTF-8 (RFC 6531).
    pub smtputf8: bool,
    /// Whether each recipient gets a sender of its own (Courier's VERP).
    pub verp: bool,
    /// Whether one reply a recipient is wanted after the data (Courier's EXDATA).
    pub exdata: bool,
    /// How the message may be sent on (Courier's SECURITY).
    pub security: Security,
}

/// What RCPT said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The forward-path. Its local part may be over 64 octets: whether there is such
    /// an account only the host knows.
    pub path: ForwardPath,
    /// Which outcomes the sender wants to hear of (RFC 3461).
    pub notify: Notify,
    /// The address as the sender wrote it (RFC 3461).
    pub orcpt: Option<Orcpt>,
}

impl Sender {
    /// A sender without wishes.
    #[must_use]
    pub fn new(path: ReversePath) -> Self {
        Self {
            path,
            size: None,
            body: Body::SevenBit,
            ret: None,
            envid: None,
            smtputf8: false,
            verp: false,
            exdata: false,
            security: Security::None,
        }
    }

    /// Judges the argument of MAIL; parameters count only if their extension is among
    /// those that were offered.
    ///
    /// # Errors
    /// If the path or a parameter is wrong: see [`ArgumentError::reply`].
    pub fn parse(argument: Argument<'_>, offered: Keywords) -> Result<Self, ArgumentError> {
        let mut sender = Self::new(ReversePath::Null);
        let mut seen = Seen::default();
        for parameter in Parameters(argument.parameters) {
            let (name, value) = parameter?;
            let name = Name::parse(name).ok_or(ArgumentError::Unknown)?;
            seen.once(name)?;
            sender.set(name, value, offered)?;
        }
        check_ascii(argument.path, sender.charset())?;
        sender.path = ReversePath::parse(argument.path)?;
        if let Some(mailbox) = sender.path.mailbox() {
            mailbox.check_length()?;
            // Courier: no mail is taken from a host without a full name. Of recipients
            // the relay decision says the same, unless such a domain is in its list.
            let domain = mailbox.domain();
            if !domain.is_literal() && !domain.as_str().contains('.') {
                return Err(ArgumentError::NoDot);
            }
        }
        Ok(sender)
    }

    /// What addresses and replies of the transaction may contain.
    #[must_use]
    pub fn charset(&self) -> Charset {
        if self.smtputf8 {
            Charset::Utf8
        } else {
            Charset::Ascii
        }
    }

    fn set(&mut self, name: Name, value: &[u8], offered: Keywords) -> Result<(), ArgumentError> {
        let malformed = ArgumentError::Malformed(name);
        let offer = |keyword| {
            offered
                .has(keyword)
                .then_some(())
                .ok_or(ArgumentError::Unknown)
        };
        let text = || std::str::from_utf8(value).map_err(|_| malformed);
        match name {
            Name::Size => {
                offer(Keyword::Size)?;
                self.size = Some(number(value).ok_or(malformed)?);
            }
            Name::Body => {
                offer(Keyword::EightBitMime)?;
                self.body = match value {
                    _ if value.eq_ignore_ascii_case(b"7BIT") => Body::SevenBit,
                    _ if value.eq_ignore_ascii_case(b"8BITMIME") => Body::EightBitMime,
                    _ => return Err(malformed),
                };
            }
            Name::Ret => {
                offer(Keyword::Dsn)?;
                self.ret = Some(Ret::parse(text()?).map_err(|cause| name.wrong(cause))?);
            }
            Name::Envid => {
                offer(Keyword::Dsn)?;
                self.envid = Some(Envid::parse(text()?).map_err(|cause| name.wrong(cause))?);
            }
            Name::SmtpUtf8 => {
                offer(Keyword::SmtpUtf8)?;
                self.smtputf8 = value.is_empty().then_some(true).ok_or(malformed)?;
            }
            // RFC 4954 §5; whom the client names is no concern of ours.
            Name::Auth => {
                offer(Keyword::Auth)?;
                if value != b"<>" {
                    xtext::decode(value).map_err(|cause| name.wrong(cause.into()))?;
                }
            }
            Name::Verp => {
                offer(Keyword::XVerp)?;
                self.verp = value.is_empty().then_some(true).ok_or(malformed)?;
            }
            Name::Exdata => {
                offer(Keyword::XExdata)?;
                self.exdata = value.is_empty().then_some(true).ok_or(malformed)?;
            }
            Name::Security => {
                offer(Keyword::XSecurity)?;
                self.security = match value {
                    _ if value.eq_ignore_ascii_case(b"NONE") => Security::None,
                    _ if value.eq_ignore_ascii_case(b"STARTTLS") => Security::StartTls,
                    _ => return Err(malformed),
                };
            }
            Name::Notify | Name::Orcpt => return Err(ArgumentError::Unknown),
        }
        Ok(())
    }
}

impl Recipient {
    /// A recipient without wishes.
    #[must_use]
    pub fn new(path: ForwardPath) -> Self {
        Self {
            path,
            notify: Notify::UNSAID,
            orcpt: None,
        }
    }

    /// Judges the argument of RCPT; parameters count only if their extension is among
    /// those that were offered, UTF-8 only if MAIL said SMTPUTF8.
    ///
    /// # Errors
    /// If the path or a parameter is wrong: see [`ArgumentError::reply`].
    pub fn parse(
        argument: Argument<'_>,
        offered: Keywords,
        charset: Charset,
    ) -> Result<Self, ArgumentError> {
        check_ascii(argument.path, charset)?;
        let path = match argument.path {
            // Courier: neither an empty path nor a source route.
            [b'<', b'>' | b'@', ..] => return Err(ArgumentError::NoMailbox),
            path => ForwardPath::parse(path)?,
        };
        let mut recipient = Self::new(path);
        let mut seen = Seen::default();
        for parameter in Parameters(argument.parameters) {
            let (name, value) = parameter?;
            let name = Name::parse(name).ok_or(ArgumentError::Unknown)?;
            seen.once(name)?;
            if !offered.has(Keyword::Dsn) {
                return Err(ArgumentError::Unknown);
            }
            match name {
                Name::Notify => {
                    let malformed = |_| ArgumentError::Malformed(name);
                    let words = std::str::from_utf8(value).map_err(malformed)?;
                    recipient.notify = Notify::parse(words).map_err(|cause| name.wrong(cause))?;
                }
                Name::Orcpt => {
                    check_ascii(value, charset)?;
                    let orcpt = Orcpt::parse(value).map_err(|cause| name.wrong(cause))?;
                    recipient.orcpt = Some(orcpt);
                }
                _ => return Err(ArgumentError::Unknown),
            }
        }
        Ok(recipient)
    }
}

/// RFC 6531 §3.3: octets above 127 only in a transaction that said SMTPUTF8.
fn check_ascii(octets: &[u8], charset: Charset) -> Result<(), ArgumentError> {
    match charset {
        Charset::Ascii if !octets.is_ascii() => Err(ArgumentError::NeedsSmtpUtf8),
        Charset::Ascii | Charset::Utf8 => Ok(()),
    }
}

/// A parameter of MAIL or RCPT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// `SIZE`
    Size,
    /// `BODY`
    Body,
    /// `RET`
    Ret,
    /// `ENVID`
    Envid,
    /// `SMTPUTF8`
    SmtpUtf8,
    /// `AUTH`
    Auth,
    /// `VERP`
    Verp,
    /// `EXDATA`
    Exdata,
    /// `SECURITY`
    Security,
    /// `NOTIFY`
    Notify,
    /// `ORCPT`
    Orcpt,
}

impl Name {
    const ALL: [Self; 11] = [
        Self::Size,
        Self::Body,
        Self::Ret,
        Self::Envid,
        Self::SmtpUtf8,
        Self::Auth,
        Self::Verp,
        Self::Exdata,
        Self::Security,
        Self::Notify,
        Self::Orcpt,
    ];

    /// The word, as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Size => "SIZE",
            Self::Body => "BODY",
            Self::Ret => "RET",
            Self::Envid => "ENVID",
            Self::SmtpUtf8 => "SMTPUTF8",
            Self::Auth => "AUTH",
            Self::Verp => "VERP",
            Self::Exdata => "EXDATA",
            Self::Security => "SECURITY",
            Self::Notify => "NOTIFY",
            Self::Orcpt => "ORCPT",
        }
    }

    fn parse(word: &[u8]) -> Option<Self> {
        let is = |name: &Self| name.as_str().as_bytes().eq_ignore_ascii_case(word);
        Self::ALL.into_iter().find(is)
    }

    fn wrong(self, cause: ParameterError) -> ArgumentError {
        ArgumentError::Value { name: self, cause }
    }
}

/// The parameters that a command has had so far.
#[derive(Default)]
struct Seen(u16);

impl Seen {
    fn once(&mut self, name: Name) -> Result<(), ArgumentError> {
        let bit = 1 << name as u16;
        if self.0 & bit != 0 {
            return Err(ArgumentError::Twice(name));
        }
        self.0 |= bit;
        Ok(())
    }
}

/// Blank-separated `name` or `name=value` (RFC 5321 §4.1.2, `esmtp-param`).
struct Parameters<'a>(&'a [u8]);

impl<'a> Iterator for Parameters<'a> {
    /// The name, and the value or nothing.
    type Item = Result<(&'a [u8], &'a [u8]), ArgumentError>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.0.trim_ascii_start();
        if text.is_empty() {
            return None;
        }
        let end = text
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(end)?;
        self.0 = rest;
        let equals = word.iter().position(|&octet| octet == b'=');
        let (name, value) = word.split_at_checked(equals.unwrap_or(word.len()))?;
        let value = value.strip_prefix(b"=");
        let is_name = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'-';
        let is_value = |octet: &u8| matches!(octet, b'!'..=b'<' | b'>'..=b'~' | 0x80..);
        let fine = !name.is_empty()
            && name.iter().all(is_name)
            && value.is_none_or(|value| !value.is_empty() && value.iter().all(is_value));
        let parameter = (name, value.unwrap_or_default());
        Some(fine.then_some(parameter).ok_or(ArgumentError::Syntax))
    }
}

/// Why the argument of MAIL or RCPT cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// The path is no address.
    #[error("{0}")]
    Address(#[from] AddressError),
    /// A forward-path that is empty or has a source route.
    #[error("expected an address, without a source route")]
    NoMailbox,
    /// A sender's domain that is a single label.
    #[error("expected a domain with a dot")]
    NoDot,
    /// Octets above 127 without SMTPUTF8.
    #[error("the address needs SMTPUTF8")]
    NeedsSmtpUtf8,
    /// A parameter that is not known, or whose extension was not offered.
    #[error("unknown parameter")]
    Unknown,
    /// Not `name` or `name=value`.
    #[error("expected parameters of the form NAME or NAME=VALUE")]
    Syntax,
    /// A value that the parameter cannot have.
    #[error("bad value of {}", .0.as_str())]
    Malformed(Name),
    /// A value that a DSN parameter cannot have.
    #[error("bad {}: {cause}", .name.as_str())]
    Value {
        /// The parameter.
        name: Name,
        /// What is wrong with the value.
        cause: ParameterError,
    },
    /// A parameter that was there before.
    #[error("{} twice", .0.as_str())]
    Twice(Name),
}

impl ArgumentError {
    /// What the client is told; Courier's codes for addresses, and 555 for parameters
    /// that Courier passes over (smtp.md §1.3).
    #[must_use]
    pub fn reply(&self, verb: Verb) -> Reply {
        let is_sender = verb == Verb::Mail;
        // RFC 3463 §3.2: 5.1.7 bad sender's, 5.1.3 bad destination's address.
        let detail = if is_sender { 7 } else { 3 };
        let (code, subject, detail) = match self {
            Self::Address(
                AddressError::PathTooLong
                | AddressError::LocalPartTooLong
                | AddressError::DomainTooLong
                | AddressError::LabelTooLong,
            ) => (501, 1, detail),
            Self::NoDot => (517, 1, detail),
            Self::Address(_) if is_sender => (517, 1, detail),
            Self::Address(_) => (513, 1, detail),
            Self::NoMailbox => (500, 1, detail),
            Self::NeedsSmtpUtf8 => (553, 6, 7),
            Self::Unknown => (555, 5, 4),
            Self::Syntax | Self::Malformed(_) | Self::Value { .. } | Self::Twice(_) => (501, 5, 4),
        };
        Reply::fixed(code, subject, detail, "").with_text(sentence(&self.to_string()))
    }
}

/// An error as a sentence of a reply.
pub(crate) fn sentence(error: &str) -> String {
    let mut letters = error.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;

    fn sender(parameters: &str, offered: Keywords) -> Result<Sender, ArgumentError> {
        let argument = Argument {
            path: b"<a@example.com>",
            parameters: parameters.as_bytes(),
        };
        Sender::parse(argument, offered)
    }

    fn mail(line: &str) -> String {
        let Ok(Command::Mail(argument)) = Command::parse(line.as_bytes()) else {
            panic!("{line}")
        };
        match Sender::parse(argument, Keywords::STANDARD) {
            Ok(sender) => sender.path.to_string(),
            Err(error) => error.reply(Verb::Mail).to_string(),
        }
    }

    fn rcpt(line: &str) -> Result<Recipient, String> {
        let Ok(Command::Rcpt(argument)) = Command::parse(line.as_bytes()) else {
            panic!("{line}")
        };
        Recipient::parse(argument, Keywords::STANDARD, Charset::Ascii)
            .map_err(|error| error.reply(Verb::Rcpt).to_string())
    }

    #[test]
    fn every_parameter_of_mail_is_carried() {
        let all = "size=12 BODY=8bitmime RET=h ENVID=a+2Bb SMTPUTF8 AUTH=<> VERP EXDATA SECURITY=STARTTLS";
        let sender = sender(all, Keywords::ALL).expect("a sender");
        assert_eq!((sender.size, sender.body), (Some(12), Body::EightBitMime));
        assert_eq!(sender.ret, Some(Ret::Headers));
        assert_eq!(sender.envid.expect("an ENVID").as_str(), "a+b");
        assert!(sender.smtputf8 && sender.verp && sender.exdata);
        assert_eq!(sender.security, Security::StartTls);
    }

    #[test]
    fn parameters_are_known_offered_single_and_well_formed() {
        use ArgumentError::{Syntax, Twice, Unknown};
        for (parameters, offered, error) in [
            ("FOO", Keywords::ALL, Unknown),
            ("NOTIFY=NEVER", Keywords::ALL, Unknown),
            ("VERP", Keywords::STANDARD, Unknown),
            ("EXDATA", Keywords::STANDARD, Unknown),
            ("SECURITY=NONE", Keywords::STANDARD, Unknown),
            ("SIZE=1", Keywords::ALL.without(Keyword::Size), Unknown),
            ("RET=FULL", Keywords::ALL.without(Keyword::Dsn), Unknown),
            ("SIZE=1 size=1", Keywords::ALL, Twice(Name::Size)),
            ("SIZE=", Keywords::ALL, Syntax),
            ("=1", Keywords::ALL, Syntax),
            ("ENVID=a=b", Keywords::ALL, Syntax),
            ("SI*E=1", Keywords::ALL, Syntax),
        ] {
            assert_eq!(sender(parameters, offered), Err(error), "{parameters}");
        }
        for bad in [
            "SIZE=abc",
            "SIZE=18446744073709551616",
            "SIZE",
            "BODY=BINARYMIME",
            "RET=x",
            "ENVID=+0A",
            "ENVID=+zz",
            "SMTPUTF8=1",
            "AUTH=+z",
            "VERP=1",
            "EXDATA=1",
            "SECURITY=x",
        ] {
            let reply = sender(bad, Keywords::ALL)
                .expect_err(bad)
                .reply(Verb::Mail)
                .to_string();
            assert!(reply.starts_with("501 5.5.4 Bad "), "{bad}: {reply}");
        }
    }

    #[test]
    fn sender_addresses_get_couriers_codes() {
        let long = format!("MAIL FROM:<{}@example.com>", "a".repeat(65));
        let label = format!("MAIL FROM:<a@{}.com>", "b".repeat(64));
        for (line, reply) in [
            ("MAIL FROM:<>", "<>"),
            (
                "MAIL FROM:<@relay.example:a@example.com>",
                "<a@example.com>",
            ),
            ("MAIL FROM:<a b@example.com>", "517 5.1.7"),
            ("MAIL FROM:<a>", "517 5.1.7"),
            ("MAIL FROM:<a@b>", "517 5.1.7"),
            ("MAIL FROM:<a@b.>", "517 5.1.7"),
            ("MAIL FROM:<a@b.c.>", "<a@b.c>"),
            ("MAIL FROM:<a@[IPv6:::1]>", "<a@[IPv6:::1]>"),
            ("MAIL FROM:<\u{e9}@example.com>", "553 5.6.7"),
            (
                "MAIL FROM:<\u{e9}@example.com> SMTPUTF8",
                "<\u{e9}@example.com>",
            ),
            (&long, "501 5.1.7"),
            (&label, "501 5.1.7"),
        ] {
            assert!(mail(line).starts_with(reply), "{line}: {}", mail(line));
        }
    }

    #[test]
    fn recipients_get_couriers_codes_and_their_wishes() {
        let long = format!("RCPT TO:<{}@example.com>", "a".repeat(300));
        for (line, reply) in [
            ("RCPT TO:<>", "500 5.1.3"),
            ("RCPT TO:<@a.example:b@c.example>", "500 5.1.3"),
            ("RCPT TO:<a@b c>", "513 5.1.3"),
            ("RCPT TO:<user>", "513 5.1.3"),
            (&long, "501 5.1.3"),
            ("RCPT TO:<\u{e9}@b>", "553 5.6.7"),
            ("RCPT TO:<a@b> SIZE=1", "555 5.5.4"),
            ("RCPT TO:<a@b> NOTIFY=NEVER,FAILURE", "501 5.5.4"),
            ("RCPT TO:<a@b> NOTIFY=X", "501 5.5.4"),
            ("RCPT TO:<a@b> ORCPT=x", "501 5.5.4"),
            ("RCPT TO:<a@b> ORCPT=rfc822;+0D+0A", "501 5.5.4"),
            ("RCPT TO:<a@b> NOTIFY=S NOTIFY=S", "501 5.5.4"),
        ] {
            let seen = rcpt(line).expect_err(line);
            assert!(seen.starts_with(reply), "{line}: {seen}");
        }
        let recipient = rcpt("RCPT TO:<a@b> NOTIFY=s,Failure ORCPT=rfc822;x+2By@z").expect("good");
        assert_eq!(recipient.notify.to_string(), "SUCCESS,FAILURE");
        assert_eq!(recipient.orcpt.expect("an ORCPT").address(), "x+y@z");
        assert_eq!(
            rcpt("RCPT TO:<Postmaster>").expect("good").path,
            ForwardPath::Postmaster
        );
        // Whether there is an account of such a name only the host can say.
        assert!(rcpt(&format!("RCPT TO:<{}@b>", "a".repeat(65))).is_ok());
    }
}
