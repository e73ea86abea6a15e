//! Replies: what a server says to a command (RFC 5321 §4.2), with the enhanced status
//! codes of RFC 2034 and RFC 3463.

use std::borrow::Cow;
use std::fmt;

use crate::text::{LINE, Pieces, printable};

/// A reply code, 200 to 599.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u16);

impl Code {
    /// A code, if it is one of those that SMTP has.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 200 && code <= 599 {
            Some(Self(code))
        } else {
            None
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// What the first digit says.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self.0 / 100 {
            2 => Severity::Success,
            3 => Severity::Intermediate,
            4 => Severity::Temporary,
            _ => Severity::Permanent,
        }
    }
}

/// The first digit of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// 2xx
    Success,
    /// 3xx: go on
    Intermediate,
    /// 4xx: try again later
    Temporary,
    /// 5xx: never
    Permanent,
}

/// The subject and detail of an enhanced status code; its class is the first digit of
/// the reply code it stands with, so the two never contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Enhanced {
    /// Second number: 1 addressing, 2 mailbox, 3 system, 4 network, 5 protocol,
    /// 6 content, 7 security (RFC 3463 §3).
    pub subject: u16,
    /// Third number.
    pub detail: u16,
}

/// One reply: code, enhanced code, text of one or more lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    code: Code,
    enhanced: Option<Enhanced>,
    text: Cow<'static, str>,
}

impl Reply {
    /// A reply; lines of the text are separated by LF.
    #[must_use]
    pub fn new(code: Code, enhanced: Option<Enhanced>, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            enhanced,
            text: text.into(),
        }
    }

    /// A reply of this crate's own, with a code that is right because it stands in the
    /// source.
    pub(crate) const fn fixed(code: u16, subject: u16, detail: u16, text: &'static str) -> Self {
        Self {
            code: Code(code),
            enhanced: Some(Enhanced { subject, detail }),
            text: Cow::Borrowed(text),
        }
    }

    /// A reply to which RFC 2034 gives no enhanced code: greetings, 3xx.
    pub(crate) const fn bare(code: u16, text: Cow<'static, str>) -> Self {
        Self {
            code: Code(code),
            enhanced: None,
            text,
        }
    }

    /// `250 2.0.0`: done. For a message, the text is where it can be found again, such
    /// as `Ok. 000000006B070310.000000D5`.
    #[must_use]
    pub fn ok(text: impl Into<Cow<'static, str>>) -> Self {
        Self::fixed(250, 0, 0, "").with_text(text)
    }

    /// The same with another text.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text = text.into();
        self
    }

    /// The reply code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The enhanced code, if there is one.
    #[must_use]
    pub fn enhanced(&self) -> Option<Enhanced> {
        self.enhanced
    }

    /// The status of RFC 3463, `5.1.1`; without an enhanced code `5.0.0`.
    #[must_use]
    pub fn status(&self) -> String {
        let (subject, detail) = self.enhanced.map_or((0, 0), |e| (e.subject, e.detail));
        format!("{}.{subject}.{detail}", self.code.0 / 100)
    }

    /// What the first digit says.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// Whether the code is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.severity() == Severity::Success
    }

    /// The text; its lines are separated by LF.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Appends the reply in wire form. What cannot stand in a reply is replaced, lines
    /// over 512 octets (RFC 5321 §4.5.3.1.5) are broken, and what goes beyond
    /// [`LONGEST`] octets is left out.
    pub fn encode(&self, charset: Charset, out: &mut Vec<u8>) {
        let text = printable(&self.text, charset);
        let prefix = match self.enhanced {
            Some(Enhanced { subject, detail }) => {
                format!("{}-{}.{subject}.{detail} ", self.code.0, self.code.0 / 100)
            }
            None => format!("{}-", self.code.0),
        };
        let limit = out.len() + LONGEST;
        let width = LINE.saturating_sub(prefix.len() + 2);
        let mut last = out.len();
        for line in text.split('\n').flat_map(|line| Pieces {
            rest: Some(line),
            width,
        }) {
            if out.len() + LINE > limit {
                break;
            }
            last = out.len();
            out.extend_from_slice(prefix.as_bytes());
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        // The last line has a blank where the others have a hyphen.
        if let Some(separator) = out.get_mut(last + 3) {
            *separator = b' ';
        }
    }

    /// Reads one reply from its lines, which have lost their line ends. The enhanced
    /// code is taken off each line (RFC 2034 §4); octets that are not UTF-8 are replaced.
    ///
    /// # Errors
    /// If a line has no code, or another code than the first.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, ReplyError> {
        let mut reply: Option<(Code, Option<Enhanced>, String)> = None;
        for line in lines {
            let (code, _, text) = split_line(line).ok_or(ReplyError::NoCode)?;
            let text = String::from_utf8_lossy(text);
            let (enhanced, rest) = split_enhanced(code, &text);
            match &mut reply {
                None => reply = Some((code, enhanced, rest.to_owned())),
                Some((first, ..)) if *first != code => {
                    return Err(ReplyError::Mixed {
                        first: first.0,
                        other: code.0,
                    });
                }
                Some((_, known, all)) => {
                    all.push('\n');
                    all.push_str(if enhanced == *known { rest } else { &text });
                }
            }
        }
        let (code, enhanced, text) = reply.ok_or(ReplyError::NoCode)?;
        Ok(Self::new(code, enhanced, text))
    }
}

impl fmt::Display for Reply {
    /// The reply in one line, for logs and reports: `550 5.1.1 no such user`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code.0)?;
        if let Some(Enhanced { subject, detail }) = self.enhanced {
            write!(f, " {}.{subject}.{detail}", self.code.0 / 100)?;
        }
        let text = printable(&self.text, Charset::Utf8);
        text.split('\n').try_for_each(|line| write!(f, " {line}"))
    }
}

/// What a reply may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// Printable ASCII.
    Ascii,
    /// Also UTF-8: the client said SMTPUTF8 (RFC 6531 §3.5).
    Utf8,
}

/// Why lines are not a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// A line does not begin with a code and a blank or hyphen.
    #[error("expected a reply code of three digits from 200 to 599")]
    NoCode,
    /// The lines of one reply have different codes.
    #[error("expected the code {first} in every line of the reply, found {other}")]
    Mixed {
        /// Code of the first line.
        first: u16,
        /// Code of the line that differs.
        other: u16,
    },
}

/// A reply that says no: 4xx or 5xx.
///
/// The constructors are the refusals of Courier, with its codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(Reply);

impl Refusal {
    /// Any 4xx or 5xx reply; nothing else is a refusal.
    #[must_use]
    pub fn new(reply: Reply) -> Option<Self> {
        matches!(reply.severity(), Severity::Temporary | Severity::Permanent).then_some(Self(reply))
    }

    const fn fixed(code: u16, subject: u16, detail: u16, text: &'static str) -> Self {
        Self(Reply::fixed(code, subject, detail, text))
    }

    /// The same with another text.
    #[must_use]
    pub fn with_text(self, text: impl Into<Cow<'static, str>>) -> Self {
        Self(self.0.with_text(text))
    }

    /// `513 5.7.1`: the recipient is not ours and the client may not relay.
    #[must_use]
    pub fn relaying_denied() -> Self {
        Self::fixed(513, 7, 1, "Relaying denied.")
    }

    /// `550 5.1.1`: no such account.
    #[must_use]
    pub fn unknown_user() -> Self {
        Self::fixed(550, 1, 1, "User unknown")
    }

    /// `501 5.1.3`: a local part over 64 octets of which there is no account.
    #[must_use]
    pub fn local_part_too_long() -> Self {
        Self::fixed(501, 1, 3, "The part before the @ is longer than 64 octets")
    }

    /// `456 4.1.1`: mail to this address bounced lately (the suppression list).
    #[must_use]
    pub fn suppressed_for_now() -> Self {
        Self::fixed(456, 1, 1, "Mail to this address is suspended")
    }

    /// `556 5.1.1`: mail to this address bounces (the suppression list).
    #[must_use]
    pub fn suppressed() -> Self {
        Self::fixed(556, 1, 1, "Mail to this address is undeliverable")
    }

    /// `452 4.2.2`: the account is over its quota.
    #[must_use]
    pub fn over_quota() -> Self {
        Self::fixed(452, 2, 2, "Mailbox is over quota")
    }

    /// `450 4.3.0`: the account database cannot answer.
    #[must_use]
    pub fn accounts_unavailable() -> Self {
        Self::fixed(450, 3, 0, "Service temporarily unavailable")
    }

    /// `400 4.3.0`: the aliases cannot be read.
    #[must_use]
    pub fn aliases_unavailable() -> Self {
        Self::fixed(400, 3, 0, "Aliases are temporarily unavailable")
    }

    /// `452 4.3.1`: there is no room for a message (at MAIL and at the end of data).
    #[must_use]
    pub fn disk_full() -> Self {
        Self::fixed(452, 3, 1, "Not enough disk space, try again later")
    }

    /// `431 4.3.1`: there is no room for one more recipient.
    #[must_use]
    pub fn recipient_disk_full() -> Self {
        Self::fixed(431, 3, 1, "Mail system full")
    }

    /// `451 4.3.0`: the message could not be stored (EIO, a failed sync).
    #[must_use]
    pub fn storage_failed() -> Self {
        Self::fixed(451, 3, 0, "Local error, try again later")
    }

    /// `511 5.7.1`: the client is blocked, in the administrator's words (`BLOCK`).
    #[must_use]
    pub fn blocked(text: impl Into<Cow<'static, str>>) -> Self {
        Self::fixed(511, 7, 1, "").with_text(text)
    }

    /// `517 5.1.8`: the sender's domain does not exist or takes no mail.
    #[must_use]
    pub fn bad_sender_domain() -> Self {
        Self::fixed(517, 1, 8, "Sender domain does not accept mail")
    }

    /// `417 4.1.8`: the sender's domain cannot be looked up now.
    #[must_use]
    pub fn unresolved_sender_domain() -> Self {
        Self::fixed(
            417,
            1,
            8,
            "Sender domain cannot be looked up, try again later",
        )
    }

    /// `517 5.7.23`: SPF does not permit the client to send for this domain (RFC 7372).
    #[must_use]
    pub fn spf_failed() -> Self {
        Self::fixed(517, 7, 23, "SPF does not permit this sender")
    }

    /// `417 4.7.24`: SPF cannot be evaluated now (RFC 7372).
    #[must_use]
    pub fn spf_unavailable() -> Self {
        Self::fixed(417, 7, 24, "SPF cannot be evaluated, try again later")
    }

    /// `553 5.7.1`: not the authenticated user's own address.
    #[must_use]
    pub fn not_your_address() -> Self {
        Self::fixed(553, 7, 1, "Sender address does not belong to you")
    }

    /// `412 4.7.1`: to be sent again in a transaction of its own.
    #[must_use]
    pub fn other_filter_class() -> Self {
        Self::fixed(412, 7, 1, "Please send again for this recipient alone")
    }

    /// `571 5.7.1`: a recipient's filter said no, in its own words.
    #[must_use]
    pub fn filtered(text: impl Into<Cow<'static, str>>) -> Self {
        Self::fixed(571, 7, 1, "").with_text(text)
    }

    /// `432 4.3.0`: a content filter cannot be reached.
    #[must_use]
    pub fn filter_unavailable() -> Self {
        Self::fixed(432, 3, 0, "Mail filters temporarily unavailable")
    }

    /// `534 5.3.4`: the header is larger than 100,000 octets or has over 500 fields.
    #[must_use]
    pub fn header_too_large() -> Self {
        Self::fixed(534, 3, 4, "Message header is too large")
    }

    /// `546 5.4.6`: more than 100 `Received` fields, or delivered to this place before.
    #[must_use]
    pub fn loops() -> Self {
        Self::fixed(546, 4, 6, "Mail loops: too many hops")
    }

    /// `421 4.7.0`: too many sessions; the session ends after it.
    #[must_use]
    pub fn too_many_sessions() -> Self {
        Self::fixed(421, 7, 0, "Too many connections, try again later")
    }

    /// `421 4.3.2`: out of descriptors or memory; the session ends after it.
    #[must_use]
    pub fn out_of_resources() -> Self {
        Self::fixed(421, 3, 2, "Service not available, try again later")
    }

    /// `440 4.7.0`: TLS is demanded and there is no certificate.
    #[must_use]
    pub fn no_certificate() -> Self {
        Self::fixed(440, 7, 0, "TLS is required but not available")
    }

    /// The reply.
    #[must_use]
    pub fn reply(&self) -> &Reply {
        &self.0
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        refusal.0
    }
}

/// Code, whether another line follows, and text of a line of a reply.
#[must_use]
pub fn split_line(line: &[u8]) -> Option<(Code, Follows, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    let mut number = 0;
    for &digit in digits {
        number = number * 10 + u16::from(digit.checked_sub(b'0').filter(|&d| d < 10)?);
    }
    let code = Code::new(number)?;
    match rest.split_first() {
        None => Some((code, Follows::Nothing, b"")),
        Some((b' ', text)) => Some((code, Follows::Nothing, text)),
        Some((b'-', text)) => Some((code, Follows::Line, text)),
        Some(_) => None,
    }
}

/// Whether a line is the last of its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// It is.
    Nothing,
    /// It is not.
    Line,
}

/// The enhanced code in front of a text, if its class is that of the code.
fn split_enhanced(code: Code, text: &str) -> (Option<Enhanced>, &str) {
    let word = text.split(' ').next().unwrap_or_default();
    let rest = text.get(word.len()..).unwrap_or_default();
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    let mut numbers = word.split('.').map(|number| {
        let good = (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
        number.parse::<u16>().ok().filter(|_| good)
    });
    match (
        numbers.next(),
        numbers.next(),
        numbers.next(),
        numbers.next(),
    ) {
        (Some(Some(class)), Some(Some(subject)), Some(Some(detail)), None)
            if class == code.0 / 100 =>
        {
            (Some(Enhanced { subject, detail }), rest)
        }
        _ => (None, text),
    }
}

/// Most octets of one reply of ours.
pub const LONGEST: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.encode(Charset::Ascii, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    fn code(code: u16) -> Code {
        Code::new(code).expect("a code")
    }

    #[test]
    fn the_enhanced_code_stands_in_every_line() {
        let reply = Reply::fixed(550, 1, 1, "no\nsuch user");
        assert_eq!(encoded(&reply), "550-5.1.1 no\r\n550 5.1.1 such user\r\n");
        assert_eq!(reply.to_string(), "550 5.1.1 no such user");
        assert_eq!(reply.status(), "5.1.1");
    }

    #[test]
    fn no_text_can_forge_a_reply() {
        let reply = Reply::fixed(550, 7, 1, "a\r\n250 b\tc\u{e9}");
        assert_eq!(encoded(&reply), "550-5.7.1 a?\r\n550 5.7.1 250 b c?\r\n");
        let mut out = Vec::new();
        reply.encode(Charset::Utf8, &mut out);
        assert!(
            String::from_utf8(out)
                .expect("UTF-8")
                .ends_with("c\u{e9}\r\n")
        );
    }

    #[test]
    fn long_texts_are_broken_and_bounded() {
        let text = "word ".repeat(300);
        let wire = encoded(&Reply::new(code(550), None, text.clone()));
        assert!(wire.lines().all(|line| line.len() <= 510));
        assert_eq!(
            wire.lines().map(|line| &line[4..]).collect::<String>(),
            text
        );
        let endless = encoded(&Reply::new(code(250), None, "x".repeat(1_000_000)));
        assert!(endless.len() <= LONGEST);
        assert!(endless.lines().last().expect("a line").starts_with("250 "));
    }

    #[test]
    fn an_enhanced_code_of_another_class_is_text() {
        let parse = |lines: &[&'static str]| Reply::parse(lines.iter().map(|l| l.as_bytes()));
        let reply = parse(&["550-5.1.1 a", "550 5.1.1 b"]).expect("a reply");
        assert_eq!((reply.text(), reply.status().as_str()), ("a\nb", "5.1.1"));
        let reply = parse(&["550 4.2.1 odd"]).expect("a reply");
        assert_eq!((reply.text(), reply.enhanced()), ("4.2.1 odd", None));
        assert_eq!(parse(&["550"]).expect("a reply").text(), "");
        for bad in ["", "99 x", "600 x", "2500 x", "25a x", "250x"] {
            assert_eq!(parse(&[bad]), Err(ReplyError::NoCode), "{bad}");
        }
        let mixed = ReplyError::Mixed {
            first: 250,
            other: 550,
        };
        assert_eq!(parse(&["250-a", "550 b"]), Err(mixed));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(
            number in 200u16..600, subject in 0u16..1000, detail in 0u16..1000,
            text in "[ -~]{0,80}(\n[ -~]{0,80}){0,3}",
        ) {
            let reply = Reply::new(code(number), Some(Enhanced { subject, detail }), text);
            let wire = encoded(&reply);
            let lines: Vec<&[u8]> = wire.split_terminator("\r\n").map(str::as_bytes).collect();
            prop_assert_eq!(Reply::parse(lines), Ok(reply));
        }

        #[test]
        fn any_line_is_read_or_refused(line: Vec<u8>) {
            let _ = Reply::parse([line.as_slice()]);
        }
    }
}
