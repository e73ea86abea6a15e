use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use super::error::clean_text;
use super::{AddressError, DOMAIN_LIMIT, LABEL_LIMIT};

/// A domain name or an address literal (RFC 5321 §4.1.2, RFC 6531 §3.3).
///
/// A name is kept in UTF-8 and lower case, without trailing dots; `xn--` labels
/// become Unicode when they are parsed, so two spellings of one name are equal.
/// Labels are letters, digits, hyphens (not at the edges) and underscores, which
/// hosts in the field do have. A literal is kept in its shortest form:
/// `[192.0.2.1]`, `[IPv6:2001:db8::1]`, `[tag:text]`.
///
/// The empty literal `[]` is a domain too: Courier and qmail send the report about
/// an undeliverable report from `#@[]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain {
    text: Box<str>,
    /// The ACE form, if it is another than `text`.
    ace: Option<Box<str>>,
}

impl Domain {
    /// Parses a name in UTF-8 or ACE, or an address literal.
    ///
    /// # Errors
    /// If it is neither, or longer than [`DOMAIN_LIMIT`]; offsets are those in `text`.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        clean_text(text.as_bytes())?;
        if text.starts_with('[') {
            return Self::parse_literal(text);
        }
        // Four octets a character at most: longer can only be too long, and puny
        // code, whose cost is quadratic, never sees it.
        if text.len() > 4 * DOMAIN_LIMIT {
            return Err(AddressError::DomainTooLong);
        }
        let name = text.trim_end_matches('.');
        if name.is_ascii() && !has_ace_label(name) {
            let domain = Self {
                text: name.to_ascii_lowercase().into(),
                ace: None,
            };
            check(&domain.text, &domain.text)?;
            return Ok(domain);
        }
        Self::parse_international(name)
    }

    fn parse_international(name: &str) -> Result<Self, AddressError> {
        let unicode = to_unicode(name)?;
        let unicode = unicode.trim_end_matches('.'); // other full stops have become dots
        let ace = to_ace(unicode)?;
        if ace.len() > DOMAIN_LIMIT || unicode.len() > DOMAIN_LIMIT {
            return Err(AddressError::DomainTooLong);
        }
        check(unicode, &ace)?;
        // Both forms must lead back here, or two hosts would disagree on who is meant.
        if to_unicode(&ace)? != unicode || to_unicode(unicode)? != unicode {
            return Err(AddressError::Idna);
        }
        Ok(Self {
            ace: (*ace != *unicode).then(|| ace.into()),
            text: unicode.into(),
        })
    }

    /// RFC 5321 §4.1.3.
    fn parse_literal(text: &str) -> Result<Self, AddressError> {
        if text.len() > DOMAIN_LIMIT {
            return Err(AddressError::DomainTooLong);
        }
        let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        let inner = inner.ok_or(AddressError::Literal)?;
        let text = if inner.is_empty() {
            "[]".to_owned()
        } else if let Ok(address) = inner.parse::<Ipv4Addr>() {
            format!("[{address}]")
        } else {
            let (tag, content) = inner.split_once(':').ok_or(AddressError::Literal)?;
            if tag.eq_ignore_ascii_case("IPv6") {
                let address: Ipv6Addr = content.parse().map_err(|_| AddressError::Literal)?;
                format!("[IPv6:{address}]")
            } else if is_tag(tag) && !content.is_empty() && content.bytes().all(is_dcontent) {
                format!("[{}:{content}]", tag.to_ascii_lowercase())
            } else {
                return Err(AddressError::Literal);
            }
        };
        Ok(Self {
            text: text.into(),
            ace: None,
        })
    }

    /// The name in UTF-8 and lower case without a trailing dot, or the literal with
    /// its brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name as the domain name system has it, `xn--` labels where needed; a
    /// literal as it is.
    #[must_use]
    pub fn to_ascii(&self) -> &str {
        self.ace.as_deref().unwrap_or(&self.text)
    }

    /// Whether this is an address literal and no name.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.text.starts_with('[')
    }

    /// The address of a literal with one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        let inner = self.text.strip_prefix('[')?.strip_suffix(']')?;
        match inner.strip_prefix("IPv6:") {
            Some(address) => address.parse().ok().map(IpAddr::V6),
            None => inner.parse().ok().map(IpAddr::V4),
        }
    }
}

/// The literal of an address.
impl From<IpAddr> for Domain {
    fn from(address: IpAddr) -> Self {
        let text = match address {
            IpAddr::V4(address) => format!("[{address}]"),
            IpAddr::V6(address) => format!("[IPv6:{address}]"),
        };
        Self {
            text: text.into(),
            ace: None,
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl AsRef<str> for Domain {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl FromStr for Domain {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

fn has_ace_label(name: &str) -> bool {
    name.split('.')
        .filter_map(|label| label.get(..4))
        .any(|start| start.eq_ignore_ascii_case("xn--"))
}

fn to_unicode(name: &str) -> Result<Cow<'_, str>, AddressError> {
    let (unicode, outcome) =
        Uts46::new().to_unicode(name.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow);
    outcome.map_err(|_| AddressError::Idna)?;
    Ok(unicode)
}

fn to_ace(name: &str) -> Result<Cow<'_, str>, AddressError> {
    let uts46 = Uts46::new();
    uts46
        .to_ascii(
            name.as_bytes(),
            AsciiDenyList::EMPTY,
            Hyphens::Allow,
            DnsLength::Ignore,
        )
        .map_err(|_| AddressError::Idna)
}

/// Checks both forms of a name, label by label.
fn check(unicode: &str, ace: &str) -> Result<(), AddressError> {
    if unicode.len() > DOMAIN_LIMIT || ace.len() > DOMAIN_LIMIT {
        return Err(AddressError::DomainTooLong);
    }
    let expected = "a label of letters, digits and inner hyphens";
    let mut offset = 0;
    for label in unicode.split('.') {
        let ldh = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let wrong = label.find(|c: char| !ldh(c));
        if let Some(place) = wrong.or_else(|| label.starts_with('-').then_some(0)) {
            let offset = offset + place;
            return Err(AddressError::Syntax { offset, expected });
        }
        if label.is_empty() || label.ends_with('-') {
            let offset = offset + label.len().saturating_sub(1);
            return Err(AddressError::Syntax { offset, expected });
        }
        offset += label.len() + 1;
    }
    if ace.split('.').any(|label| label.len() > LABEL_LIMIT) {
        return Err(AddressError::LabelTooLong);
    }
    Ok(())
}

/// RFC 5321 §4.1.2: `Ldh-str`.
fn is_tag(tag: &str) -> bool {
    tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && tag.bytes().last().is_some_and(|b| b != b'-')
}

/// RFC 5321 §4.1.3: printable, but no brackets and no backslash.
fn is_dcontent(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b'[' | b'\\' | b']')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> String {
        Domain::parse(text).unwrap().to_string()
    }

    #[test]
    fn names_are_lower_case_without_trailing_dots() {
        assert_eq!(parse("Example.COM"), "example.com");
        assert_eq!(parse("example.com.."), "example.com");
        assert_eq!(parse("_dmarc.x-1.example"), "_dmarc.x-1.example");
    }

    #[test]
    fn ace_and_unicode_are_one_name() {
        let unicode = Domain::parse("BÜCHER.example").unwrap();
        let ace = Domain::parse("XN--bcher-KVA.example.").unwrap();
        assert_eq!(unicode, ace);
        assert_eq!(unicode.as_str(), "bücher.example");
        assert_eq!(unicode.to_ascii(), "xn--bcher-kva.example");
        assert_eq!(parse("例え。テスト。"), "例え.テスト");
    }

    #[test]
    fn false_ace_labels_are_refused() {
        for text in ["xn--", "xn--a", "xn--99999999.example", "xn--abc-.example"] {
            assert!(Domain::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn literals_take_their_shortest_form() {
        assert_eq!(parse("[192.0.2.1]"), "[192.0.2.1]");
        assert_eq!(parse("[ipv6:2001:DB8:0:0::1]"), "[IPv6:2001:db8::1]");
        assert_eq!(parse("[X25:31-1]"), "[x25:31-1]");
    }

    #[test]
    fn a_literal_knows_its_address() {
        let ip = |text: &str| Domain::parse(text).unwrap().ip();
        assert_eq!(ip("[192.0.2.1]"), "192.0.2.1".parse().ok());
        assert_eq!(ip("[IPv6:2001:db8::1]"), "2001:db8::1".parse().ok());
        assert_eq!(ip("[x:y]"), None);
        assert_eq!(ip("[]"), None);
        assert_eq!(ip("192.0.2.1"), None);
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "-a",
            "a-",
            "a.-b",
            "a b",
            "a@b",
            "a/b",
            "[",
            "[]x",
            "[1.2.3]",
            "[1.2.3.4",
            "[IPv6:1.2.3.4]",
            "[IPv6:fe80::1%eth0]",
            "[-:]",
            "[a:b c]",
            "[a:[]",
            "a\u{0}b",
            "a\u{85}b",
            "\u{ff0f}.example",
        ] {
            assert!(Domain::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn lengths_are_told_apart() {
        let label = "a".repeat(63);
        assert!(Domain::parse(&label).is_ok());
        assert_eq!(
            Domain::parse(&format!("{label}a.example")),
            Err(AddressError::LabelTooLong)
        );
        let long = [label.as_str(); 4].join(".");
        assert!(Domain::parse(&long).is_ok());
        assert_eq!(
            Domain::parse(&format!("{long}.a")),
            Err(AddressError::DomainTooLong)
        );
        // Short in UTF-8, too long in ACE.
        assert_eq!(
            Domain::parse("ü-".repeat(30).trim_end_matches('-')),
            Err(AddressError::LabelTooLong)
        );
    }

    proptest! {
        #[test]
        fn both_forms_lead_back(text in "([a-zA-ZäßåΣςあ中א\u{200d}ﬁ０۵-]{1,6}[.。]?){1,5}") {
            if let Ok(domain) = Domain::parse(&text) {
                prop_assert_eq!(Domain::parse(domain.as_str()), Ok(domain.clone()));
                prop_assert_eq!(Domain::parse(domain.to_ascii()), Ok(domain.clone()));
                prop_assert!(domain.to_ascii().is_ascii());
            }
        }

        #[test]
        fn anything_parses_or_fails(text in any::<String>()) {
            if let Ok(domain) = Domain::parse(&text) {
                prop_assert_eq!(Domain::parse(domain.as_str()), Ok(domain.clone()));
            }
        }

        #[test]
        fn addresses_become_literals(address in any::<IpAddr>()) {
            let domain = Domain::from(address);
            prop_assert_eq!(Domain::parse(domain.as_str()), Ok(domain.clone()));
            prop_assert_eq!(domain.ip(), Some(address));
        }
    }
}
