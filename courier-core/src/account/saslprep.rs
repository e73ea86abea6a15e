//! SASLprep (RFC 4013): one form for user names and passwords that look the same.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

use super::saslprep_tables as tables;

/// Why a string has no prepared form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SaslprepError {
    /// A control, private-use, tagging or otherwise prohibited character.
    #[error("a character at octet {offset} is not allowed in names and passwords")]
    Prohibited {
        /// Where it stands in the normalised string.
        offset: usize,
    },
    /// Right-to-left text that is mixed with left-to-right letters, or does not
    /// begin and end with a right-to-left character (RFC 3454 §6).
    #[error("the string mixes writing directions")]
    MixedDirections,
}

/// Prepares a name or password for comparison.
///
/// Code points that Unicode 3.2 did not know are let through, also in what is
/// stored: otherwise nobody could have an emoji in a password. RFC 4013 allows that
/// for queries only; stored and queried strings are treated alike here, so they match.
///
/// # Errors
/// If the string has no prepared form.
pub fn saslprep(text: &str) -> Result<Cow<'_, str>, SaslprepError> {
    if text.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
        return Ok(Cow::Borrowed(text));
    }
    // U+200B stands in both tables; RFC 4013 §2.1 names the blanks first.
    let prepared: String = text
        .chars()
        .filter_map(|c| match c {
            _ if contains(tables::SPACES, c) => Some(' '),
            _ if contains(tables::MAPPED_TO_NOTHING, c) => None,
            _ => Some(c),
        })
        .nfkc()
        .collect();
    let prohibited = |&(_, c): &(usize, char)| contains(tables::PROHIBITED, c);
    if let Some((offset, _)) = prepared.char_indices().find(prohibited) {
        return Err(SaslprepError::Prohibited { offset });
    }
    if !direction_is_clear(&prepared) {
        return Err(SaslprepError::MixedDirections);
    }
    Ok(Cow::Owned(prepared))
}

/// RFC 3454 §6, requirements 2 and 3.
fn direction_is_clear(text: &str) -> bool {
    let right_to_left = |c| contains(tables::RIGHT_TO_LEFT, c);
    if !text.chars().any(right_to_left) {
        return true;
    }
    text.chars().next().is_some_and(right_to_left)
        && text.chars().next_back().is_some_and(right_to_left)
        && !text.chars().any(|c| contains(tables::LEFT_TO_RIGHT, c))
}

fn contains(bounds: &[u32], c: char) -> bool {
    let below = bounds.partition_point(|&bound| bound < u32::from(c));
    below % 2 == 1 || bounds.get(below) == Some(&u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prepared(text: &str) -> Option<String> {
        saslprep(text).ok().map(Cow::into_owned)
    }

    #[test]
    fn the_examples_of_rfc_4013_hold() {
        assert_eq!(prepared("I\u{ad}X").as_deref(), Some("IX"));
        assert_eq!(prepared("user").as_deref(), Some("user"));
        assert_eq!(prepared("USER").as_deref(), Some("USER"));
        assert_eq!(prepared("\u{aa}").as_deref(), Some("a"));
        assert_eq!(prepared("\u{2168}").as_deref(), Some("IX"));
        let prohibited = SaslprepError::Prohibited { offset: 0 };
        assert_eq!(saslprep("\u{7}"), Err(prohibited));
        assert_eq!(saslprep("\u{627}1"), Err(SaslprepError::MixedDirections));
    }

    #[test]
    fn other_implementations_agree() {
        for (given, wanted) in [
            ("\u{627}1\u{628}", Some("\u{627}1\u{628}")),
            ("a\u{627}", None),
            ("\u{5d0}a\u{5d0}", None),
            ("\u{a0}x", Some(" x")),
            ("\u{200b}", Some(" ")),
            ("cafe\u{301}", Some("caf\u{e9}")),
            ("\u{fb01}", Some("fi")),
            ("\u{e000}", None),
            ("\u{1f511}key", Some("\u{1f511}key")),
            ("\0", None),
            ("", Some("")),
        ] {
            assert_eq!(prepared(given).as_deref(), wanted, "{given:?}");
        }
    }

    #[test]
    fn the_tables_ascend() {
        for table in [
            tables::MAPPED_TO_NOTHING,
            tables::SPACES,
            tables::PROHIBITED,
            tables::RIGHT_TO_LEFT,
            tables::LEFT_TO_RIGHT,
        ] {
            assert!(table.is_sorted() && table.len().is_multiple_of(2));
        }
    }

    proptest! {
        #[test]
        fn preparing_twice_changes_nothing(text in "\\PC{0,20}") {
            if let Some(once) = prepared(&text) {
                prop_assert_eq!(prepared(&once), Some(once.clone()));
            }
        }

        #[test]
        fn printable_ascii_stays_as_it_is(text in "[ -~]{0,20}") {
            prop_assert_eq!(prepared(&text), Some(text.clone()));
        }
    }
}
