//! Modified UTF-7 (RFC 3501 §5.1.3), in which folder directories were named before
//! Courier-IMAP 5.0.

/// The base64 alphabet with `,` in place of `/`.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Writes text in modified UTF-7.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut units = Vec::new();
    for character in text.chars() {
        if matches!(character, ' '..='~') {
            shift(&mut out, &mut units);
            out.push(character);
            if character == '&' {
                out.push('-');
            }
        } else {
            units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
        }
    }
    shift(&mut out, &mut units);
    out
}

/// Writes gathered UTF-16 between `&` and `-`.
fn shift(out: &mut String, units: &mut Vec<u16>) {
    if units.is_empty() {
        return;
    }
    out.push('&');
    let (mut bits, mut held) = (0_u32, 0);
    for unit in units.drain(..) {
        bits = bits << 16 | u32::from(unit);
        held += 16;
        while held >= 6 {
            held -= 6;
            push_sextet(out, bits >> held);
            bits &= (1 << held) - 1;
        }
    }
    if held > 0 {
        push_sextet(out, bits << (6 - held));
    }
    out.push('-');
}

fn push_sextet(out: &mut String, bits: u32) {
    let letter = ALPHABET.get((bits & 63) as usize).copied().unwrap_or(b'A');
    out.push(char::from(letter));
}

/// Reads modified UTF-7; only what [`encode`] would have written.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, shifted)) = rest.split_once('&') {
        out.push_str(plain);
        let (letters, after) = shifted.split_once('-')?;
        if letters.is_empty() {
            out.push('&');
        } else {
            let units = unshift(letters)?;
            out.push_str(&String::from_utf16(&units).ok()?);
        }
        rest = after;
    }
    out.push_str(rest);
    (encode(&out) == text).then_some(out)
}

/// Reads modified UTF-7 as Courier's conversion does: letters that needed no shift, and
/// bits that are left over, are taken as well. Nothing for other octets than ASCII.
pub(crate) fn decode_loosely(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, shifted)) = rest.split_once('&') {
        out.push_str(plain);
        let (letters, after) = shifted.split_once('-')?;
        if letters.is_empty() {
            out.push('&');
        } else {
            let text = String::from_utf16(&unshift(letters)?).ok()?;
            out.push_str(Some(text).filter(|text| !text.is_empty())?.as_str());
        }
        rest = after;
    }
    out.push_str(rest);
    text.is_ascii().then_some(out)
}

fn unshift(letters: &str) -> Option<Vec<u16>> {
    let (mut bits, mut held, mut units) = (0_u32, 0, Vec::new());
    for letter in letters.bytes() {
        let value = memchr::memchr(letter, ALPHABET)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        held += 6;
        if held >= 16 {
            held -= 16;
            units.push(u16::try_from(bits >> held).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    Some(units)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_the_rfc() {
        let text = "~peter/mail/台北/日本語";
        assert_eq!(encode(text), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(
            decode("~peter/mail/&U,BTFw-/&ZeVnLIqe-").as_deref(),
            Some(text)
        );
        assert_eq!(decode("R&-D").as_deref(), Some("R&D"));
        assert_eq!(encode("😀"), "&2D3eAA-");
    }

    #[test]
    fn what_nobody_would_have_written_is_refused() {
        for text in [
            "&",
            "&U,BTFw",
            "&AGE-",
            "&U,BTFw-&ZeVnLIqe-",
            "&AOl-",
            "&2D0-",
            "&A-",
            "é",
        ] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn a_conversion_takes_more() {
        let cases = [
            ("&AGE-", Some("a")),
            ("&AOl-", Some("é")),
            ("&AOk-t&AOk-", Some("été")),
            ("r&-d", Some("r&d")),
            ("r&d", None),
            ("&2D0-", None),
            ("&A-", None),
            ("é", None),
        ];
        for (text, expected) in cases {
            assert_eq!(decode_loosely(text).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_strictly_is_read_loosely(text: String) {
            prop_assert_eq!(decode_loosely(&encode(&text)), Some(text));
        }

        #[test]
        fn encoded_text_is_read_back(text: String) {
            let encoded = encode(&text);
            prop_assert!(encoded.is_ascii());
            prop_assert_eq!(decode(&encoded), Some(text));
        }

        #[test]
        fn there_is_one_form_only(text in "[&A-Za-z,+-]{0,12}") {
            if let Some(decoded) = decode(&text) {
                prop_assert_eq!(encode(&decoded), text);
            }
        }
    }
}
