//! Modified UTF-7 (RFC 3501 §5.1.3), strict in both directions.

/// A name that is no modified UTF-7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("octet {offset} is not modified UTF-7")]
pub struct Utf7Error {
    /// Where the run begins that cannot be read.
    pub offset: usize,
}

/// Decodes a name. Only the one form that [`encode`] makes is accepted: two spellings of
/// one name would be two names to those who compare octets.
///
/// # Errors
/// At octets outside printable ASCII, base64 that is cut, padded or spells ASCII,
/// lone surrogates, and runs that could have been one.
pub fn decode(octets: &[u8]) -> Result<String, Utf7Error> {
    let mut text = String::with_capacity(octets.len());
    let mut at = 0;
    let mut after_run = false;
    while let Some(&octet) = octets.get(at) {
        let error = Utf7Error { offset: at };
        at += 1;
        if octet != b'&' {
            if !(b' '..=b'~').contains(&octet) {
                return Err(error);
            }
            text.push(char::from(octet));
            after_run = false;
            continue;
        }
        let rest = octets.get(at..).unwrap_or_default();
        let length = rest.iter().position(|&b| b == b'-').ok_or(error)?;
        let run = rest.get(..length).unwrap_or_default();
        at += length + 1;
        if run.is_empty() {
            text.push('&');
            after_run = false;
            continue;
        }
        if after_run {
            return Err(error);
        }
        decode_run(run, &mut text).ok_or(error)?;
        after_run = true;
    }
    Ok(text)
}

fn decode_run(run: &[u8], text: &mut String) -> Option<()> {
    let mut units = Vec::with_capacity(run.len());
    let (mut bits, mut count) = (0_u32, 0_u32);
    for &octet in run {
        bits = bits << 6 | value(octet)?;
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push(u16::try_from(bits >> count & 0xffff).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    // What pads the last unit is shorter than a digit, and zero.
    if bits != 0 || count >= 6 {
        return None;
    }
    for unit in char::decode_utf16(units) {
        let c = unit.ok()?;
        if (' '..='~').contains(&c) {
            return None;
        }
        text.push(c);
    }
    Some(())
}

/// Encodes a name; the result is printable ASCII.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut bits = 0_u32;
    let mut count = 0_u32;
    let mut in_run = false;
    for c in text.chars() {
        if (' '..='~').contains(&c) {
            if in_run {
                close_run(&mut out, bits, count);
                (bits, count, in_run) = (0, 0, false);
            }
            out.push(c);
            if c == '&' {
                out.push('-');
            }
            continue;
        }
        if !in_run {
            out.push('&');
            in_run = true;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            bits = bits << 16 | u32::from(*unit);
            count += 16;
            while count >= 6 {
                count -= 6;
                out.push(digit(bits >> count));
                bits &= (1 << count) - 1;
            }
        }
    }
    if in_run {
        close_run(&mut out, bits, count);
    }
    out
}

fn close_run(out: &mut String, bits: u32, count: u32) {
    if count > 0 {
        out.push(digit(bits << (6 - count)));
    }
    out.push('-');
}

/// Base64 with a comma in place of the slash.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

fn digit(bits: u32) -> char {
    let index = usize::try_from(bits & 63).unwrap_or(0);
    char::from(DIGITS.get(index).copied().unwrap_or(b'A'))
}

fn value(octet: u8) -> Option<u32> {
    let value = match octet {
        b'A'..=b'Z' => octet - b'A',
        b'a'..=b'z' => octet - b'a' + 26,
        b'0'..=b'9' => octet - b'0' + 52,
        b'+' => 62,
        b',' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_the_rfc() {
        let name = "~peter/mail/台北/日本語";
        assert_eq!(encode(name), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(decode(encode(name).as_bytes()).unwrap(), name);
        assert_eq!(decode(b"&Jjo-!").unwrap(), "\u{263a}!");
        // «&U,BTFw-&ZeVnLIqe-» is not permitted (superfluous shift).
        assert!(decode(b"&U,BTFw-&ZeVnLIqe-").is_err());
        assert_eq!(encode("A&B"), "A&-B");
        assert_eq!(encode("Entwürfe"), "Entw&APw-rfe");
        assert_eq!(encode("😀"), "&2D3eAA-");
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            &b"&"[..],
            b"&Jjo",
            b"&AGE-",
            b"a\xc3\xa4",
            b"&2D0-",
            b"&3gDYPQ-",
            b"&Jjp-",
            b"&JjoA-",
            b"&Jj-",
            b"&J-",
            b"&Jjo=-",
            b"&/-",
            b"\x7f",
            b"\n",
            b"&Jjo-&Jjo-",
        ] {
            assert!(decode(text).is_err(), "{}", text.escape_ascii());
        }
        // An ampersand between two runs keeps them apart.
        assert_eq!(decode(b"&Jjo-&-&Jjo-").unwrap(), "\u{263a}&\u{263a}");
    }

    proptest! {
        #[test]
        fn encoding_and_decoding_are_inverse(text in "\\PC{0,20}|[ -~]{0,10}|[&\u{e4}\u{10000}a-]{0,12}") {
            let encoded = encode(&text);
            prop_assert!(encoded.bytes().all(|b| (b' '..=b'~').contains(&b)));
            prop_assert_eq!(decode(encoded.as_bytes()).unwrap(), text);
        }

        #[test]
        fn what_decodes_encodes_to_itself(octets in "[&A-D,+a-]{0,12}") {
            if let Ok(text) = decode(octets.as_bytes()) {
                prop_assert_eq!(encode(&text), octets);
            }
        }
    }
}
