//! Regular expressions that may stand between slashes in a recipe.

/// Whether a pattern compiles and ends where we say: nothing in it is maildrop's.
pub(super) fn is_sound(pattern: &str) -> bool {
    let mut octets = pattern.bytes().peekable();
    let mut open = 0_u32;
    let mut atom = Atom::None;
    while let Some(octet) = octets.next() {
        atom = match octet {
            b'\\' => match octets.next() {
                Some(escaped) if is_escapable(escaped) => Atom::Some,
                _ => return false,
            },
            b'[' => match bracket(&mut octets) {
                Some(()) => Atom::Some,
                None => return false,
            },
            b'(' => {
                // `(?…)` and `(*…)` are a language of their own.
                if matches!(octets.peek(), Some(b'?' | b'*')) {
                    return false;
                }
                open += 1;
                Atom::None
            }
            b')' => match open.checked_sub(1) {
                Some(rest) => {
                    open = rest;
                    Atom::Some
                }
                None => return false,
            },
            b'|' => Atom::None,
            b'*' | b'+' | b'?' => match atom.repeated(octet) {
                Some(atom) => atom,
                None => return false,
            },
            b'{' | b'}' | b'/' | b'$' | b'!' | b'`' | b'\'' | b'"' | 0..=31 | 127 => return false,
            b'^' => Atom::None,
            _ => Atom::Some,
        };
    }
    open == 0
}

/// What a repetition sign would repeat.
#[derive(Clone, Copy)]
enum Atom {
    None,
    Some,
    Repeated,
}

impl Atom {
    /// A repetition may be made lazy by `?` or possessive by `+`.
    fn repeated(self, sign: u8) -> Option<Self> {
        match (self, sign) {
            (Self::Some, _) => Some(Self::Repeated),
            (Self::Repeated, b'?' | b'+') => Some(Self::None),
            _ => None,
        }
    }
}

/// Punctuation stands for itself; of the letters, those that every engine knows.
fn is_escapable(octet: u8) -> bool {
    matches!(octet, b' '..=b'~')
        && (!octet.is_ascii_alphanumeric()
            || matches!(
                octet,
                b'b' | b'B' | b'd' | b'D' | b's' | b'S' | b't' | b'w' | b'W'
            ))
}

/// The rest of a bracket expression, which must not be empty.
fn bracket(octets: &mut std::iter::Peekable<std::str::Bytes<'_>>) -> Option<()> {
    if octets.peek() == Some(&b'^') {
        octets.next();
    }
    let (mut last, mut range) = (None, false);
    loop {
        let octet = match octets.next()? {
            b']' => return last.is_some().then_some(()),
            b'[' | b'"' | b'\'' | b'`' | b'/' | b'$' | b'!' | 0..=31 | 127 => return None,
            b'\\' => octets.next().filter(|&octet| is_escapable(octet))?,
            b'-' if last.is_some() && !matches!(octets.peek(), Some(b']')) && !range => {
                range = true;
                continue;
            }
            octet => octet,
        };
        if range && last.is_some_and(|last| last > octet) {
            return None;
        }
        range = false;
        last = Some(octet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_compile_are_taken() {
        for pattern in [
            "a",
            "a.*b",
            "a(b|c)[de]\\/",
            "[a-z]+",
            "[^a]",
            "[-a]",
            "[a-]",
            "\\d+",
            "a*?",
            "é",
            "[\\]]",
            "a|b",
            "(a)(b)*",
            "\\$5",
            "^a",
            "()",
        ] {
            assert!(is_sound(pattern), "{pattern}");
        }
    }

    #[test]
    fn patterns_that_do_not_compile_or_end_early_are_refused() {
        for pattern in [
            "(", ")", "[", "[]", "[^]", "[b-a]", "a\\", "\\p", "\\1", "*a", "a**", "(?i)a", "a/b",
            "a$", "a!", "a`", "a'", "a\"", "a\tb", "[[:x:]]", "a{2,1}", "(*F)", "[$]",
        ] {
            assert!(!is_sound(pattern), "{pattern}");
        }
    }
}
