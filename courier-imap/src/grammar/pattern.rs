//! What LIST and LSUB look for (RFC 3501 §6.3.8): names with wildcards.

use super::lexer::{Cursor, Octets, ParseError};
use super::mailbox_name::{LONGEST_NAME, SEPARATOR, with_upper_inbox};
use super::utf7;

/// The most wildcards a pattern may have.
pub const MOST_WILDCARDS: usize = 32;

/// A name in which `*` stands for anything and `%` for anything but a dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Vec<u8>,
    possible: bool,
}

impl Pattern {
    /// A pattern behind its reference, both in modified UTF-7. What is no modified UTF-7,
    /// or longer than any name, matches nothing.
    #[must_use]
    pub fn new(reference: &[u8], pattern: &[u8]) -> Self {
        let decoded = utf7::decode(&[reference, pattern].concat()).ok();
        let decoded = decoded.filter(|text| text.len() <= LONGEST_NAME + MOST_WILDCARDS);
        let text = with_upper_inbox(decoded.as_deref().unwrap_or_default());
        Self {
            text: text.into_bytes(),
            possible: decoded.is_some(),
        }
    }

    /// Whether `name` (in Unicode) is meant. Costs at most the product of both lengths.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        if !self.possible {
            return false;
        }
        let (pattern, name) = (self.text.as_slice(), name.as_bytes());
        let separator = SEPARATOR as u8;
        let (mut p, mut n) = (0, 0);
        // Where to go on when the literal text does not fit: behind the last wildcard, with
        // one more octet given to it. A level boundary ends what a `%` can take; then the
        // last `*` before it is tried. Earlier wildcards never need another try, because
        // the leftmost fit of what follows them leaves the most for the rest.
        let mut star: Option<(usize, usize)> = None;
        let mut percent: Option<(usize, usize)> = None;
        loop {
            match (pattern.get(p), name.get(n)) {
                (Some(b'*'), _) => {
                    p += 1;
                    star = Some((p, n));
                    percent = None;
                    continue;
                }
                (Some(b'%'), _) => {
                    p += 1;
                    percent = Some((p, n));
                    continue;
                }
                (None, None) => return true,
                (Some(a), Some(b)) if a == b || (n < 5 && same_in_inbox(name, *a, *b)) => {
                    p += 1;
                    n += 1;
                    continue;
                }
                _ => {}
            }
            if let Some((after, taken)) = percent {
                match name.get(taken) {
                    Some(&octet) if octet != separator => {
                        percent = Some((after, taken + 1));
                        (p, n) = (after, taken + 1);
                        continue;
                    }
                    _ => percent = None,
                }
            }
            match star {
                Some((after, taken)) if taken < name.len() => {
                    star = Some((after, taken + 1));
                    (p, n) = (after, taken + 1);
                }
                _ => return false,
            }
        }
    }

    /// `list-mailbox`: a pattern as a client sends it.
    pub(crate) fn read<'a>(
        cursor: &mut Cursor<'a>,
    ) -> Result<std::borrow::Cow<'a, [u8]>, ParseError> {
        let start = cursor.clone();
        let text = match cursor.peek() {
            Some(b'"' | b'{') => cursor.string(Octets::SevenBit)?,
            _ => cursor.pattern_atom()?.into(),
        };
        let wildcards = text.iter().filter(|b| matches!(b, b'*' | b'%')).count();
        if wildcards > MOST_WILDCARDS {
            return Err(start.expected("a pattern of at most 32 wildcards"));
        }
        Ok(text)
    }
}

/// `INBOX` is one name in any case, whichever part of it a pattern spells out.
fn same_in_inbox(name: &[u8], a: u8, b: u8) -> bool {
    name.starts_with(b"INBOX")
        && matches!(name.get(5), None | Some(b'.'))
        && a.eq_ignore_ascii_case(&b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::new(b"", pattern.as_bytes()).matches(name)
    }

    #[test]
    fn wildcards_and_levels() {
        assert!(matches("*", "INBOX.a.b") && matches("*", ""));
        assert!(matches("%", "INBOX") && !matches("%", "INBOX.a"));
        assert!(matches("INBOX.%", "INBOX.a") && !matches("INBOX.%", "INBOX.a.b"));
        assert!(matches("*.b", "INBOX.a.b") && matches("%.%.b", "INBOX.a.b"));
        assert!(matches("inb%.A*", "INBOX.Ab.c") && !matches("inb%.a*", "INBOX.Ab"));
        assert!(matches("*%.b%", "x.a.b.bc") && !matches("%b", "a.b"));
        assert!(matches("INBOX.Entw&APw-rf*", "INBOX.Entwürfe"));
        assert!(!matches("INBOX.\u{fc}*", "INBOX.üb") && !matches("&", "&"));
        assert!(Pattern::new(b"INBOX.", b"%").matches("INBOX.x"));
        assert!(Pattern::new(b"inbox", b".%").matches("INBOX.x"));
    }

    #[test]
    fn long_patterns_take_a_bounded_time() {
        let pattern = format!("{}b", "*a".repeat(30));
        assert!(!matches(&pattern, &"a".repeat(1000)));
        assert!(!matches(&"a".repeat(2000), &"a".repeat(2000)));
    }

    /// The definition, by recursion.
    fn model(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|n| model(rest, &name[n..])),
            Some((b'%', rest)) => {
                let level = name.iter().position(|&b| b == b'.').unwrap_or(name.len());
                (0..=level).any(|n| model(rest, &name[n..]))
            }
            Some((a, rest)) => name
                .split_first()
                .is_some_and(|(b, name)| a == b && model(rest, name)),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn two_pointers_agree_with_the_definition(pattern in "[ab.*%]{0,9}", name in "[ab.]{0,10}") {
            prop_assert_eq!(matches(&pattern, &name), model(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
