//! How answers are written (RFC 3501 §9): strings, numbers, flags.

use super::flag::{Flags, Keyword};
use super::lexer::is_atom;

/// Appends a number in decimal.
pub fn number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut length = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        length += 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(20 - length..).unwrap_or_default());
}

/// Appends a `string`: quoted where that is possible, else a literal.
pub fn string(out: &mut Vec<u8>, octets: &[u8]) {
    let quotable = |b: &u8| (b' '..=b'~').contains(b) || *b == b'\t';
    if octets.len() > 1024 || !octets.iter().all(quotable) {
        out.push(b'{');
        number(out, octets.len() as u64);
        out.extend_from_slice(b"}\r\n");
        out.extend_from_slice(octets);
        return;
    }
    out.push(b'"');
    for &octet in octets {
        if matches!(octet, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(octet);
    }
    out.push(b'"');
}

/// Appends an `nstring`.
pub fn nstring(out: &mut Vec<u8>, octets: Option<&[u8]>) {
    match octets {
        Some(octets) => string(out, octets),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// Appends an `astring`: an atom where that is possible.
pub fn astring(out: &mut Vec<u8>, octets: &[u8]) {
    let atom = !octets.is_empty()
        && octets.iter().all(|&b| is_atom(b))
        && !octets.eq_ignore_ascii_case(b"NIL");
    if atom {
        out.extend_from_slice(octets);
    } else {
        string(out, octets);
    }
}

/// Whether a message is recent, as far as this session is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recent {
    /// This session is the first to be told about it.
    Yes,
    /// Another one was.
    No,
}

/// Appends a list of flags in parentheses.
pub fn flags<'a>(
    out: &mut Vec<u8>,
    flags: Flags,
    recent: Recent,
    keywords: impl IntoIterator<Item = &'a Keyword>,
) {
    let mut before = b'(';
    let mut word = |text: &str| {
        out.push(before);
        out.extend_from_slice(text.as_bytes());
        before = b' ';
    };
    for flag in flags.iter() {
        word(flag.as_str());
    }
    if recent == Recent::Yes {
        word("\\Recent");
    }
    for keyword in keywords {
        word(keyword.as_str());
    }
    if before == b'(' {
        out.push(b'(');
    }
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use super::super::lexer::{Cursor, Octets};
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn flags_stand_in_couriers_order() {
        let keyword = Keyword::parse(b"$Work").unwrap();
        let all: Flags = super::super::flag::Flag::ALL.into_iter().collect();
        assert_eq!(
            written(|out| flags(out, all, Recent::Yes, [&keyword])),
            "(\\Draft \\Answered \\Flagged \\Deleted \\Seen \\Recent $Work)"
        );
        assert_eq!(written(|out| flags(out, Flags::NONE, Recent::No, [])), "()");
    }

    #[test]
    fn strings_take_the_shortest_form_that_holds_them() {
        assert_eq!(written(|out| astring(out, b"Date")), "Date");
        assert_eq!(written(|out| astring(out, b"nil")), "\"nil\"");
        assert_eq!(written(|out| astring(out, b"")), "\"\"");
        assert_eq!(written(|out| string(out, b"a\\\"")), "\"a\\\\\\\"\"");
        assert_eq!(written(|out| string(out, b"a\r")), "{2}\r\na\r");
        assert_eq!(written(|out| nstring(out, None)), "NIL");
    }

    proptest! {
        #[test]
        fn numbers_are_decimal(n: u64) {
            prop_assert_eq!(written(|out| number(out, n)), n.to_string());
        }

        #[test]
        fn strings_read_back(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut out = Vec::new();
            string(&mut out, &octets);
            prop_assert_eq!(&*Cursor::new(&out).string(Octets::SevenBit).unwrap(), &octets[..]);
            out.clear();
            astring(&mut out, &octets);
            prop_assert_eq!(&*Cursor::new(&out).astring(Octets::SevenBit).unwrap(), &octets[..]);
            out.clear();
            nstring(&mut out, Some(&octets));
            prop_assert_eq!(Cursor::new(&out).nstring().unwrap().unwrap().into_owned(), octets);
        }
    }
}
