use thiserror::Error;

use super::{DOMAIN_LIMIT, LABEL_LIMIT, LOCAL_PART_LIMIT, PATH_LIMIT};

/// Why something is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The grammar wants something else here.
    #[error("expected {expected} at octet {offset}")]
    Syntax {
        /// Place in the text that was parsed, from 0.
        offset: usize,
        /// What would have been right.
        expected: &'static str,
    },
    /// RFC 6531 §3.3: what is not ASCII is UTF-8.
    #[error("octet {offset} is not UTF-8")]
    NotUtf8 {
        /// Place of the first octet that does not fit, from 0.
        offset: usize,
    },
    /// A control character, quoted or not.
    #[error("control character at octet {offset}")]
    Control {
        /// Its place in the text that was parsed, from 0.
        offset: usize,
    },
    /// Nothing, or two quotes, before the `@`.
    #[error("the part before the @ is empty")]
    EmptyLocalPart,
    /// A name alone where an address must have a domain.
    #[error("the address has no domain, add @ and one")]
    MissingDomain,
    /// A path without `<` and `>`.
    #[error("the address is not in angle brackets")]
    NoBrackets,
    /// Not something IDNA (UTS 46) can turn into a host name and back.
    #[error("the domain is not a valid internationalised name")]
    Idna,
    /// Brackets with something else than an address or `tag:text` between them.
    #[error("the address literal is neither IPv4, nor IPv6: and an address, nor a tag and a text")]
    Literal,
    /// More than [`PATH_LIMIT`] octets.
    #[error("the path is longer than {PATH_LIMIT} octets")]
    PathTooLong,
    /// More than [`LOCAL_PART_LIMIT`] octets; only from the `check_length` methods.
    #[error("the part before the @ is longer than {LOCAL_PART_LIMIT} octets")]
    LocalPartTooLong,
    /// More than [`DOMAIN_LIMIT`] octets.
    #[error("the domain is longer than {DOMAIN_LIMIT} octets")]
    DomainTooLong,
    /// More than [`LABEL_LIMIT`] octets between two dots.
    #[error("a label of the domain is longer than {LABEL_LIMIT} octets")]
    LabelTooLong,
}

impl AddressError {
    /// The same, for a text that begins at `base` of a longer one.
    pub(super) fn at(self, base: usize) -> Self {
        match self {
            Self::Syntax { offset, expected } => Self::Syntax {
                offset: base + offset,
                expected,
            },
            Self::NotUtf8 { offset } => Self::NotUtf8 {
                offset: base + offset,
            },
            Self::Control { offset } => Self::Control {
                offset: base + offset,
            },
            other => other,
        }
    }
}

/// The text of octets that must be UTF-8 without control characters.
pub(super) fn clean_text(octets: &[u8]) -> Result<&str, AddressError> {
    let text = std::str::from_utf8(octets).map_err(|error| AddressError::NotUtf8 {
        offset: error.valid_up_to(),
    })?;
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((offset, _)) => Err(AddressError::Control { offset }),
        None => Ok(text),
    }
}
