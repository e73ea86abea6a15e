use std::fmt::{self, Write as _};
use std::str::FromStr;

use super::error::clean_text;
use super::{AddressError, Domain, LOCAL_PART_LIMIT, PATH_LIMIT};

/// What stands before the `@`, without the quotes it may have on the wire.
///
/// `"abc"` and `abc` are the same local part. Letters keep their case. It is never
/// empty and holds no control character.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalPart(Box<str>);

impl LocalPart {
    /// Parses the wire form: a dot-string or a quoted string (RFC 5321 §4.1.2).
    ///
    /// Dots may stand anywhere in a string without quotes, as in addresses that
    /// some providers once gave out (`.a..b.`); these are quoted when printed.
    ///
    /// # Errors
    /// If it is neither, or longer than a path.
    pub fn parse(wire: &[u8]) -> Result<Self, AddressError> {
        let text = clean_text(wire)?;
        let (local, rest) = Self::take(text)?;
        if rest.is_empty() {
            return Ok(local);
        }
        Err(AddressError::Syntax {
            offset: text.len() - rest.len(),
            expected: "the end of the local part",
        })
    }

    /// Takes the plain text, which needs quotes on the wire or not.
    ///
    /// # Errors
    /// If it is empty, has a control character, or is longer than a path.
    pub fn from_plain(text: &str) -> Result<Self, AddressError> {
        clean_text(text.as_bytes())?;
        if text.is_empty() {
            return Err(AddressError::EmptyLocalPart);
        }
        if text.len() > PATH_LIMIT {
            return Err(AddressError::PathTooLong);
        }
        Ok(Self(text.into()))
    }

    /// The local part at the front of `text`, which has no control characters, and
    /// what follows it.
    pub(super) fn take(text: &str) -> Result<(Self, &str), AddressError> {
        if let Some(quoted) = text.strip_prefix('"') {
            let (plain, rest) = unquote(quoted).ok_or(AddressError::Syntax {
                offset: text.len(),
                expected: "a closing quote",
            })?;
            return Ok((Self::from_plain(&plain)?, rest));
        }
        let end = text.find(|c| !is_atext(c) && c != '.');
        let (plain, rest) = text.split_at(end.unwrap_or(text.len()));
        if plain.is_empty() && !rest.is_empty() && !rest.starts_with('@') {
            return Err(AddressError::Syntax {
                offset: 0,
                expected: "a letter, a digit, a sign or a quote",
            });
        }
        Ok((Self::from_plain(plain)?, rest))
    }

    /// The plain text without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether other hosts can be expected to take it.
    ///
    /// # Errors
    /// [`AddressError::LocalPartTooLong`] beyond [`LOCAL_PART_LIMIT`] octets. Such a
    /// name is well-formed all the same: a server asks whether it has the account
    /// before it refuses.
    pub fn check_length(&self) -> Result<(), AddressError> {
        if self.0.len() > LOCAL_PART_LIMIT {
            return Err(AddressError::LocalPartTooLong);
        }
        Ok(())
    }

    fn is_dot_string(&self) -> bool {
        self.0
            .split('.')
            .all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
    }
}

/// Wire form, quoted only where it must be.
impl fmt::Display for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_dot_string() {
            return f.write_str(&self.0);
        }
        f.write_char('"')?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(c)?;
        }
        f.write_char('"')
    }
}

impl AsRef<str> for LocalPart {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// An address with a domain (RFC 5321 §4.1.2, RFC 6531 §3.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mailbox {
    local: LocalPart,
    domain: Domain,
}

impl Mailbox {
    /// Parses `local@domain`, without angle brackets.
    ///
    /// # Errors
    /// If it is no such thing, has no domain, or cannot stand in a path of
    /// [`PATH_LIMIT`] octets. A local part over [`LOCAL_PART_LIMIT`] is let pass:
    /// see [`Self::check_length`].
    pub fn parse(wire: &[u8]) -> Result<Self, AddressError> {
        match Address::parse(wire)? {
            Address::Mailbox(mailbox) => Ok(mailbox),
            Address::Local(_) => Err(AddressError::MissingDomain),
        }
    }

    /// Puts the two parts together.
    ///
    /// # Errors
    /// [`AddressError::PathTooLong`] if both together do not fit into a path.
    pub fn new(local: LocalPart, domain: Domain) -> Result<Self, AddressError> {
        let mailbox = Self { local, domain };
        let mut length = Length(2); // the angle brackets
        // Counting cannot fail.
        let _ = write!(length, "{mailbox}");
        if length.0 > PATH_LIMIT {
            return Err(AddressError::PathTooLong);
        }
        Ok(mailbox)
    }

    /// What stands before the `@`.
    #[must_use]
    pub fn local(&self) -> &LocalPart {
        &self.local
    }

    /// What stands after the `@`.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whether other hosts can be expected to take it.
    ///
    /// # Errors
    /// As [`LocalPart::check_length`].
    pub fn check_length(&self) -> Result<(), AddressError> {
        self.local.check_length()
    }

    /// The wire form in ASCII, the domain in ACE; none if the local part needs
    /// SMTPUTF8.
    #[must_use]
    pub fn to_ascii(&self) -> Option<String> {
        self.local
            .0
            .is_ascii()
            .then(|| format!("{}@{}", self.local, self.domain.to_ascii()))
    }

    /// The two parts.
    #[must_use]
    pub fn into_parts(self) -> (LocalPart, Domain) {
        (self.local, self.domain)
    }
}

/// Wire form in UTF-8, without angle brackets.
impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl FromStr for Mailbox {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text.as_bytes())
    }
}

/// An address as people write it in headers, in configuration and on the command
/// line: the domain may be missing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// With a domain.
    Mailbox(Mailbox),
    /// A name alone, such as `postmaster`, or a UUCP path such as `host!user`.
    Local(LocalPart),
}

impl Address {
    /// Parses `local` or `local@domain`, without angle brackets.
    ///
    /// # Errors
    /// As [`Mailbox::parse`], but for the missing domain.
    pub fn parse(wire: &[u8]) -> Result<Self, AddressError> {
        let text = clean_text(wire)?;
        let (local, rest) = LocalPart::take(text)?;
        if rest.is_empty() {
            return Ok(Self::Local(local));
        }
        let offset = text.len() - rest.len();
        let Some(domain) = rest.strip_prefix('@') else {
            return Err(AddressError::Syntax {
                offset,
                expected: "@ and a domain",
            });
        };
        let domain = Domain::parse(domain).map_err(|error| error.at(offset + 1))?;
        Mailbox::new(local, domain).map(Self::Mailbox)
    }

    /// The address with `default` for a missing domain.
    ///
    /// # Errors
    /// [`AddressError::PathTooLong`] if both together do not fit into a path.
    pub fn completed(self, default: &Domain) -> Result<Mailbox, AddressError> {
        match self {
            Self::Mailbox(mailbox) => Ok(mailbox),
            Self::Local(local) => Mailbox::new(local, default.clone()),
        }
    }

    /// What stands before the `@`, or the name alone.
    #[must_use]
    pub fn local(&self) -> &LocalPart {
        match self {
            Self::Mailbox(mailbox) => mailbox.local(),
            Self::Local(local) => local,
        }
    }

    /// The domain, if there is one.
    #[must_use]
    pub fn domain(&self) -> Option<&Domain> {
        match self {
            Self::Mailbox(mailbox) => Some(mailbox.domain()),
            Self::Local(_) => None,
        }
    }
}

/// Wire form in UTF-8, without angle brackets.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(mailbox) => mailbox.fmt(f),
            Self::Local(local) => local.fmt(f),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text.as_bytes())
    }
}

/// RFC 5322 §3.2.3, and RFC 6531 §3.3 for what is not ASCII.
pub(super) fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || !c.is_ascii() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

/// The plain text of a quoted string, whose opening quote is already taken, and what
/// follows the closing one.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut plain = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((plain, chars.as_str())),
            '\\' => plain.push(chars.next()?),
            c => plain.push(c),
        }
    }
}

struct Length(usize);

impl fmt::Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::mailbox;
    use super::*;

    fn parse(wire: &str) -> Mailbox {
        Mailbox::parse(wire.as_bytes()).unwrap()
    }

    #[test]
    fn quotes_are_no_part_of_the_name() {
        assert_eq!(parse(r#""abc"@d.example"#), parse("abc@d.example"));
        assert_eq!(parse(r#""\a\b"@d.example"#).to_string(), "ab@d.example");
        assert_eq!(parse(r#""a b"@d"#).local().as_str(), "a b");
    }

    #[test]
    fn quotes_are_printed_where_needed() {
        for wire in [
            r#""a b"@d"#,
            r#""a\"b\\"@d"#,
            r#"".a"@d"#,
            r#""a..b"@d"#,
            r#""a@b"@d"#,
        ] {
            assert_eq!(parse(wire).to_string(), wire);
        }
        assert_eq!(parse(r#""a.b"@d"#).to_string(), "a.b@d");
        assert_eq!(parse("jörg+x@d").to_string(), "jörg+x@d");
    }

    #[test]
    fn misplaced_dots_are_taken_and_quoted() {
        assert_eq!(parse("a..b.@d").to_string(), r#""a..b."@d"#);
    }

    #[test]
    fn case_matters_before_the_at_sign_only() {
        assert_ne!(parse("A@example.com"), parse("a@example.com"));
        assert_eq!(parse("a@EXAMPLE.com"), parse("a@example.com"));
    }

    #[test]
    fn errors_say_where() {
        let error = |wire: &[u8]| Mailbox::parse(wire).unwrap_err();
        assert_eq!(error(b"user"), AddressError::MissingDomain);
        assert_eq!(error(b"@d"), AddressError::EmptyLocalPart);
        assert_eq!(error(b"\"\"@d"), AddressError::EmptyLocalPart);
        assert_eq!(error(b""), AddressError::EmptyLocalPart);
        assert_eq!(error(b"a\xff@d"), AddressError::NotUtf8 { offset: 1 });
        assert_eq!(error(b"\"a\tb\"@d"), AddressError::Control { offset: 2 });
        assert_eq!(
            error("a\u{9f}@d".as_bytes()),
            AddressError::Control { offset: 1 }
        );
        for (wire, place) in [
            ("a b@d", 1),
            ("a@b@d", 3),
            ("\"a\"b@d", 3),
            ("\"a@d", 4),
            ("<a@d>", 0),
            ("a@d e", 3),
            ("a@-d", 2),
        ] {
            match error(wire.as_bytes()) {
                AddressError::Syntax { offset, .. } => assert_eq!(offset, place, "{wire}"),
                other => panic!("{wire}: {other}"),
            }
        }
    }

    #[test]
    fn long_local_parts_are_well_formed_but_told_apart() {
        let wire = |n| format!("{}@example.com", "a".repeat(n));
        assert_eq!(parse(&wire(64)).check_length(), Ok(()));
        assert_eq!(
            parse(&wire(65)).check_length(),
            Err(AddressError::LocalPartTooLong)
        );
        assert!(Mailbox::parse(wire(242).as_bytes()).is_ok());
        assert_eq!(
            Mailbox::parse(wire(243).as_bytes()),
            Err(AddressError::PathTooLong)
        );
    }

    #[test]
    fn a_name_alone_gets_a_domain() {
        let default = Domain::parse("example.com").unwrap();
        let complete = |wire: &str| {
            let address = Address::parse(wire.as_bytes()).unwrap();
            address.completed(&default).unwrap().to_string()
        };
        assert_eq!(complete("postmaster"), "postmaster@example.com");
        assert_eq!(complete("a@b"), "a@b");
        assert_eq!(complete("\"a b\""), "\"a b\"@example.com");
    }

    #[test]
    fn ascii_has_the_domain_in_ace() {
        let ascii = |wire: &str| parse(wire).to_ascii();
        assert_eq!(
            ascii("a@bücher.example").unwrap(),
            "a@xn--bcher-kva.example"
        );
        assert_eq!(ascii("ä@b.example"), None);
    }

    #[test]
    fn the_sender_of_double_bounces_is_a_mailbox() {
        assert_eq!(parse("#@[]").to_string(), "#@[]");
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(mailbox in mailbox()) {
            let wire = mailbox.to_string();
            prop_assert_eq!(Mailbox::parse(wire.as_bytes()), Ok(mailbox.clone()));
            if let Some(ascii) = mailbox.to_ascii() {
                prop_assert!(ascii.is_ascii());
            }
            let (local, domain) = mailbox.clone().into_parts();
            prop_assert_eq!(LocalPart::parse(local.to_string().as_bytes()), Ok(local.clone()));
            prop_assert_eq!(Mailbox::new(local, domain), Ok(mailbox));
        }

        #[test]
        fn any_octets_parse_or_fail(octets in any::<Vec<u8>>()) {
            if let Ok(address) = Address::parse(&octets) {
                prop_assert_eq!(Address::parse(address.to_string().as_bytes()), Ok(address));
            }
        }

        #[test]
        fn what_looks_like_an_address_parses_or_fails(text in "[a\"\\\\ .@\\[\\]:é<>-]{0,20}") {
            if let Ok(address) = Address::parse(text.as_bytes()) {
                prop_assert_eq!(Address::parse(address.to_string().as_bytes()), Ok(address));
            }
        }
    }
}
