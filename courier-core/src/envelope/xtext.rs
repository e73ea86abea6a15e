//! `xtext`: text as the value of an SMTP parameter (RFC 3461 §4).

use thiserror::Error;

/// Why a text is no `xtext`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum XtextError {
    /// A `+` without two hexadecimal digits.
    #[error("+ without two hexadecimal digits at octet {offset}")]
    Escape {
        /// Its place, from 0.
        offset: usize,
    },
    /// A blank, a control character or an octet above 127.
    #[error("octet {offset} must be written as + and two hexadecimal digits")]
    Octet {
        /// Its place, from 0.
        offset: usize,
    },
}

/// Octets as `xtext`.
#[must_use]
pub fn encode(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    for &octet in octets {
        if octet.is_ascii_graphic() && !matches!(octet, b'+' | b'=') {
            text.push(char::from(octet));
        } else {
            escape(octet, &mut text);
        }
    }
    text
}

/// The octets that `xtext` stands for.
///
/// Digits may be of either case, and `=` is taken as it is: both are common.
///
/// # Errors
/// If an octet may not stand there, or a `+` is not followed by two digits.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, XtextError> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&octet, after)) = rest.split_first() {
        let offset = text.len() - rest.len();
        rest = after;
        if octet == b'+' {
            let (octet, after) = unescape(after).ok_or(XtextError::Escape { offset })?;
            octets.push(octet);
            rest = after;
        } else if octet.is_ascii_graphic() {
            octets.push(octet);
        } else {
            return Err(XtextError::Octet { offset });
        }
    }
    Ok(octets)
}

/// An octet as `+` and two digits.
pub(super) fn escape(octet: u8, text: &mut String) {
    text.push('+');
    for half in [octet >> 4, octet & 15] {
        let digit = char::from_digit(u32::from(half), 16).unwrap_or('0');
        text.push(digit.to_ascii_uppercase());
    }
}

/// The octet of two digits, and what follows them.
pub(super) fn unescape(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = text.split_at_checked(2)?;
    let mut value = 0;
    for &digit in digits {
        value = value * 16 + char::from(digit).to_digit(16)?;
    }
    Some((u8::try_from(value).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(encode(b"a+b=c d\x7f\xe9"), "a+2Bb+3Dc+20d+7F+E9");
        assert_eq!(decode(b"a+2Bb+3dc+20d=").unwrap(), b"a+b=c d=");
        assert_eq!(decode(b"a+2"), Err(XtextError::Escape { offset: 1 }));
        assert_eq!(decode(b"+x0"), Err(XtextError::Escape { offset: 0 }));
        assert_eq!(decode(b"a b"), Err(XtextError::Octet { offset: 1 }));
        assert_eq!(decode(b"\xe9"), Err(XtextError::Octet { offset: 0 }));
    }

    proptest! {
        #[test]
        fn any_octets_lead_back(octets: Vec<u8>) {
            let text = encode(&octets);
            prop_assert!(text.bytes().all(|b| b.is_ascii_graphic() && b != b'='));
            prop_assert_eq!(decode(text.as_bytes()), Ok(octets));
        }

        #[test]
        fn any_text_decodes_or_fails(octets: Vec<u8>) {
            let _ = decode(&octets);
        }
    }
}
