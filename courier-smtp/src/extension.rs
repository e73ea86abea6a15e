//! The keywords of EHLO: what a server offers, and what a client believes.

use std::fmt;

use crate::command::number;
use crate::reply::Reply;

/// An extension that both machines know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keyword {
    /// `AUTH` (RFC 4954)
    Auth,
    /// `STARTTLS` (RFC 3207)
    StartTls,
    /// Courier's `XVERP`
    XVerp,
    /// Courier's `XEXDATA`
    XExdata,
    /// Courier's `XSECURITY`
    XSecurity,
    /// `PIPELINING` (RFC 2920)
    Pipelining,
    /// `8BITMIME` (RFC 6152)
    EightBitMime,
    /// `SMTPUTF8` (RFC 6531)
    SmtpUtf8,
    /// `SIZE` (RFC 1870)
    Size,
    /// `DSN` (RFC 3461)
    Dsn,
    /// `ENHANCEDSTATUSCODES` (RFC 2034)
    EnhancedStatusCodes,
    /// `CHUNKING` (RFC 3030)
    Chunking,
    /// `LIMITS` (RFC 9422)
    Limits,
}

impl Keyword {
    /// All, in the order in which Courier lists them, ours after its.
    pub const ALL: [Self; 13] = [
        Self::Auth,
        Self::StartTls,
        Self::XVerp,
        Self::XExdata,
        Self::XSecurity,
        Self::Pipelining,
        Self::EightBitMime,
        Self::SmtpUtf8,
        Self::Size,
        Self::Dsn,
        Self::EnhancedStatusCodes,
        Self::Chunking,
        Self::Limits,
    ];

    /// The word, as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "AUTH",
            Self::StartTls => "STARTTLS",
            Self::XVerp => "XVERP",
            Self::XExdata => "XEXDATA",
            Self::XSecurity => "XSECURITY",
            Self::Pipelining => "PIPELINING",
            Self::EightBitMime => "8BITMIME",
            Self::SmtpUtf8 => "SMTPUTF8",
            Self::Size => "SIZE",
            Self::Dsn => "DSN",
            Self::EnhancedStatusCodes => "ENHANCEDSTATUSCODES",
            Self::Chunking => "CHUNKING",
            Self::Limits => "LIMITS",
        }
    }

    /// The keyword that a word is, in any case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|keyword| keyword.as_str().eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of keywords.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keywords(u16);

impl Keywords {
    /// What a server can do with nothing but this crate: all but Courier's own
    /// extensions, whose effect lies with the host.
    pub const STANDARD: Self = Self::ALL
        .without(Keyword::XVerp)
        .without(Keyword::XExdata)
        .without(Keyword::XSecurity);

    /// Every keyword.
    pub const ALL: Self = Self((1 << Keyword::ALL.len()) - 1);

    /// With one more.
    #[must_use]
    pub const fn with(self, keyword: Keyword) -> Self {
        Self(self.0 | 1 << keyword as u16)
    }

    /// With one less, as `EHLO_DISCARD` has it.
    #[must_use]
    pub const fn without(self, keyword: Keyword) -> Self {
        Self(self.0 & !(1 << keyword as u16))
    }

    /// Whether it is in the set.
    #[must_use]
    pub const fn has(self, keyword: Keyword) -> bool {
        self.0 & 1 << keyword as u16 != 0
    }
}

/// What a server said that it can do, read from its reply to EHLO.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The keywords we know.
    pub keywords: Keywords,
    /// The largest message it takes, if it says so; 0 has become none (RFC 1870 §4).
    pub size: Option<u64>,
    /// The mechanisms of AUTH, in upper case.
    pub mechanisms: Vec<String>,
    /// `RCPTMAX` of LIMITS: most recipients of a message.
    pub recipients: Option<u64>,
    /// `MAILMAX` of LIMITS: most messages of a session.
    pub messages: Option<u64>,
}

impl Capabilities {
    /// Reads the lines of a reply to EHLO behind the first. What is not understood is
    /// passed over; of Courier's XVERP and XSECURITY the value must be the known one.
    #[must_use]
    pub fn parse(reply: &Reply) -> Self {
        let mut capabilities = Self::default();
        for line in reply.text().lines().skip(1) {
            capabilities.add(line);
        }
        capabilities
    }

    fn add(&mut self, line: &str) {
        // RFC 821's servers wrote `AUTH=LOGIN`; Courier writes `XVERP=Courier`.
        let is_end = |c: char| c.is_ascii_whitespace() || c == '=';
        let end = line.find(is_end).unwrap_or(line.len());
        let (word, rest) = line.split_at_checked(end).unwrap_or((line, ""));
        let Some(keyword) = Keyword::parse(word) else {
            return;
        };
        let mut values = rest
            .split(|c: char| is_end(c) || c == ',')
            .filter(|v| !v.is_empty());
        match keyword {
            Keyword::XVerp if !values.any(|v| v.eq_ignore_ascii_case("Courier")) => return,
            Keyword::XSecurity if !values.any(|v| v.eq_ignore_ascii_case("STARTTLS")) => return,
            Keyword::Size => {
                let size = values.next().and_then(|v| number(v.as_bytes()));
                self.size = size.filter(|&size| size > 0);
            }
            Keyword::Auth => self
                .mechanisms
                .extend(values.take(50).map(str::to_ascii_uppercase)),
            Keyword::Limits => self.add_limits(rest),
            _ => {}
        }
        self.keywords = self.keywords.with(keyword);
    }

    /// RFC 9422 §3: `name=value`, blank-separated.
    fn add_limits(&mut self, rest: &str) {
        for limit in rest.split_ascii_whitespace() {
            let (name, value) = limit.split_once('=').unwrap_or((limit, ""));
            let value = number(value.as_bytes()).filter(|&value| value > 0);
            if name.eq_ignore_ascii_case("RCPTMAX") {
                self.recipients = value;
            } else if name.eq_ignore_ascii_case("MAILMAX") {
                self.messages = value;
            }
        }
    }

    /// Whether the server offers it.
    #[must_use]
    pub fn has(&self, keyword: Keyword) -> bool {
        self.keywords.has(keyword)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        for keyword in Keyword::ALL {
            assert!(Keywords::ALL.has(keyword));
            assert!(!Keywords::ALL.without(keyword).has(keyword));
            assert!(Keywords::default().with(keyword).has(keyword));
            assert_eq!(
                Keyword::parse(&keyword.as_str().to_lowercase()),
                Some(keyword)
            );
        }
        assert!(!Keywords::STANDARD.has(Keyword::XExdata));
    }

    #[test]
    fn what_courier_offers_is_understood() {
        let lines = "mx Ok.\nAUTH PLAIN cram-md5\nSTARTTLS\nXVERP=Courier\nXEXDATA\n\
                     XSECURITY=NONE,STARTTLS\nPIPELINING\n8BITMIME\nSMTPUTF8\nSIZE 1000\nDSN\nX-OTHER\n\
                     LIMITS RCPTMAX=20 MAILMAX=5 RCPTDOMAINMAX=1";
        let capabilities = Capabilities::parse(&Reply::ok(lines));
        for keyword in Keyword::ALL {
            let ours = [Keyword::EnhancedStatusCodes, Keyword::Chunking].contains(&keyword);
            assert_eq!(capabilities.has(keyword), !ours, "{keyword}");
        }
        assert_eq!(capabilities.mechanisms, ["PLAIN", "CRAM-MD5"]);
        assert_eq!(capabilities.size, Some(1000));
        assert_eq!(
            (capabilities.recipients, capabilities.messages),
            (Some(20), Some(5))
        );
    }

    #[test]
    fn odd_values_are_no_promises() {
        let lines =
            "SMTPUTF8\nSTARTTLS PLEASE\nXVERP=Other\nSIZE 0\nSIZE x\nXSECURITY=NONE\nAUTH=LOGIN";
        let capabilities = Capabilities::parse(&Reply::ok(lines));
        assert!(!capabilities.has(Keyword::XVerp) && !capabilities.has(Keyword::XSecurity));
        assert!(
            !capabilities.has(Keyword::SmtpUtf8),
            "the first line is the host's name"
        );
        assert_eq!(
            (capabilities.size, capabilities.mechanisms),
            (None, vec!["LOGIN".to_owned()])
        );
    }
}
