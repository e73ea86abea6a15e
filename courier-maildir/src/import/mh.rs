//! `.mh_sequences`: which messages of an MH folder are unseen, replied to, flagged.

use std::collections::HashMap;

use crate::flags::Flags;

/// The file's name in each folder.
pub const SEQUENCES: &str = ".mh_sequences";

/// Which messages are in which sequence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sequences {
    by_name: HashMap<String, Vec<(u64, u64)>>,
}

impl Sequences {
    /// Reads the file: `NAME: 1 3-7`. What is no number is passed over.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Self {
        let mut sequences = Self::default();
        for line in octets.split(|&octet| octet == b'\n') {
            let line = String::from_utf8_lossy(line);
            let Some((name, numbers)) = line.split_once(':') else {
                continue;
            };
            let ranges = numbers.split_ascii_whitespace().filter_map(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                Some((first.parse().ok()?, last.parse().ok()?))
            });
            let name = name.trim().to_ascii_lowercase();
            sequences.by_name.entry(name).or_default().extend(ranges);
        }
        sequences
    }

    /// The flags of a message: seen, unless it is in the sequence `unseen`.
    #[must_use]
    pub fn flags(&self, number: u64) -> Flags {
        let has = |name: &str| {
            let ranges = self.by_name.get(name).into_iter().flatten();
            ranges
                .into_iter()
                .any(|&(first, last)| (first..=last).contains(&number))
        };
        let mut flags = if has("unseen") {
            Flags::NONE
        } else {
            Flags::SEEN
        };
        for (name, flag) in [("replied", Flags::REPLIED), ("flagged", Flags::FLAGGED)] {
            if has(name) {
                flags |= flag;
            }
        }
        flags
    }
}

/// The number of a message's file.
#[must_use]
pub fn number(name: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(name).ok()?;
    let number: u64 = text.parse().ok()?;
    (number > 0 && number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_flags() {
        let text = b"cur: 9\nunseen: 1 3-5 x\nflagged: 5\nReplied: 2-2\nbroken\n\xff: 1\n";
        let sequences = Sequences::parse(text);
        let flags: Vec<_> = (1..7)
            .map(|number| sequences.flags(number).to_string())
            .collect();
        assert_eq!(flags, ["", "RS", "", "", "F", "S"]);
    }

    #[test]
    fn only_plain_numbers_are_messages() {
        assert_eq!(number(b"12"), Some(12));
        for name in ["0", "01", ",12", "12~", "", "+1", ".mh_sequences"] {
            assert_eq!(number(name.as_bytes()), None, "{name}");
        }
    }
}
