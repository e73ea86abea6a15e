//! `courierpop3dsizelist`: sizes of messages on the wire, and the numbers that their
//! unique ids are made of.
//!
//! ```text
//! /3 NEXTNUMBER VALIDITY
//! NAME SIZE NUMBER:VALIDITY:UTF8
//! ```
//! The name is that of the file when the line was written, with its colon and flags;
//! what stands before the colon counts. `UTF8` is 1 for a header with octets above 127. Version 2, which is without it, is
//! read and written anew as version 3.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::name::Name;

/// The file's name in the maildir.
pub const FILE: &str = "courierpop3dsizelist";

/// What the file says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeEntry {
    /// Octets on the wire.
    pub size: u64,
    /// Its number; 0 for one that is known by its name, from the oldest lists.
    pub number: u32,
    /// The number of the list in which it got its own; 0 from older lists.
    pub validity: u32,
    /// Whether its header holds octets above 127.
    pub eight_bit: bool,
}

/// The file's contents. The names stay where they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SizeList {
    /// The next number to be given.
    pub next: u32,
    /// The number of the list.
    pub validity: u32,
    /// Whether the file was of an older version.
    pub outdated: bool,
    arena: Vec<u8>,
    entries: Vec<(usize, u16, SizeEntry)>,
}

/// Why a list cannot be believed. It is made anew then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SizeListError {
    /// Not that of version 2 or 3.
    #[error("the first line is not that of a size list of version 2 or 3")]
    Header,
    /// Not `NAME SIZE NUMBER:VALIDITY:UTF8`, or not the end of a line.
    #[error("line {line} is not a name, a size and an id")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// Two messages have the same number, or one has a number yet to be given.
    #[error("a number is given to two messages")]
    Number,
}

impl SizeList {
    /// A list without messages.
    #[must_use]
    pub const fn new(validity: u32) -> Self {
        Self {
            next: 1,
            validity,
            outdated: false,
            arena: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// Reads the file; takes its octets to keep the names in. A list of version 2 may
    /// be without a number of its own, and then gets `validity`.
    ///
    /// # Errors
    /// When any line is not as Courier or we would have written it.
    pub fn parse(octets: Vec<u8>, validity: u32) -> Result<Self, SizeListError> {
        let mut ends = memchr::memchr_iter(b'\n', &octets);
        let end = ends.next().ok_or(SizeListError::Header)?;
        let header = octets.get(..end).unwrap_or_default();
        let mut list = parse_header(header, validity).ok_or(SizeListError::Header)?;
        let mut start = end + 1;
        for (end, line) in ends.zip(2..) {
            let text = octets.get(start..end).unwrap_or_default();
            let (name, entry) =
                parse_line(text, list.outdated).ok_or(SizeListError::Line { line })?;
            let length = u16::try_from(name.len()).map_err(|_| SizeListError::Line { line })?;
            list.entries.push((start, length, entry));
            start = end + 1;
        }
        if start != octets.len() {
            let line = list.entries.len() + 2;
            return Err(SizeListError::Line { line });
        }
        list.check_numbers()?;
        list.arena = octets;
        Ok(list)
    }

    fn check_numbers(&self) -> Result<(), SizeListError> {
        let entries = self.entries.iter().map(|(_, _, entry)| entry);
        let mut numbers: Vec<_> = entries
            .filter(|entry| entry.number != 0)
            .map(|entry| (entry.validity, entry.number))
            .collect();
        numbers.sort_unstable();
        let twice = numbers.windows(2).any(|pair| pair.first() == pair.get(1));
        let later = (self.validity, self.next)..=(self.validity, u32::MAX);
        if twice || numbers.iter().any(|number| later.contains(number)) {
            return Err(SizeListError::Number);
        }
        Ok(())
    }

    /// The file's text for these entries, in the order of their arrival.
    pub fn print<'a>(
        next: u32,
        validity: u32,
        entries: impl IntoIterator<Item = (&'a [u8], SizeEntry)>,
    ) -> Vec<u8> {
        let mut text = Vec::new();
        // Writing to a vector cannot fail.
        let _ = writeln!(text, "/3 {next} {validity}");
        for (name, entry) in entries {
            text.extend_from_slice(name);
            let _ = writeln!(
                text,
                " {} {}:{}:{}",
                entry.size,
                entry.number,
                entry.validity,
                u8::from(entry.eight_bit)
            );
        }
        text
    }

    /// Names with what is said of them. A name may carry an old info part.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], SizeEntry)> {
        self.entries.iter().map(|&(start, length, entry)| {
            let name = self.arena.get(start..start + usize::from(length));
            (name.unwrap_or_default(), entry)
        })
    }
}

fn parse_header(line: &[u8], validity: u32) -> Option<SizeList> {
    let text = std::str::from_utf8(line).ok()?;
    let (outdated, text) = match text.strip_prefix("/3 ") {
        Some(text) => (false, text),
        None => (true, text.strip_prefix("/2 ")?),
    };
    let (next, validity) = match text.trim_end().split_once(' ') {
        Some((next, validity)) => (next, number(validity.as_bytes())?),
        None if outdated => (text.trim_end(), validity),
        None => return None,
    };
    let next = number(next.as_bytes()).filter(|next| *next > 0)?;
    Some(SizeList {
        next,
        outdated,
        ..SizeList::new(validity)
    })
}

/// The name may hold spaces: the last two count.
fn parse_line(line: &[u8], outdated: bool) -> Option<(&[u8], SizeEntry)> {
    let (rest, id) = split_last(line, b' ')?;
    let (name, size) = split_last(rest, b' ')?;
    Name::parse(name).ok()?;
    let mut fields = id.split(|&octet| octet == b':');
    let entry = SizeEntry {
        size: number(size)?,
        number: number(fields.next()?)?,
        validity: match fields.next() {
            Some(validity) => number(validity)?,
            None => 0,
        },
        eight_bit: match fields.next() {
            Some(b"0") => false,
            Some(b"1") => true,
            None if outdated => false,
            _ => return None,
        },
    };
    fields.next().is_none().then_some((name, entry))
}

fn split_last(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memrchr(separator, text)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

impl SizeEntry {
    /// The unique id that `UIDL` tells, in Courier's three forms. At most 70 octets
    /// (RFC 1939 §7), unless the name from which the oldest form is made is longer.
    #[must_use]
    pub fn uidl(&self, name: Name<'_>) -> String {
        match (self.number, self.validity) {
            (0, _) => {
                let mut text = String::new();
                for &octet in name.base() {
                    match octet {
                        b'\'' | b'"' | b'+' | 0..=b' ' | 0x7f.. => {
                            // Writing to a string cannot fail.
                            let _ = write!(text, "+{octet:02X}");
                        }
                        _ => text.push(char::from(octet)),
                    }
                }
                text
            }
            (number, 0) => format!("UID{number}"),
            (number, validity) => format!("UID{number}-{validity}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<SizeList, SizeListError> {
        SizeList::parse(text.as_bytes().to_vec(), 77)
    }

    #[test]
    fn both_versions_are_read() {
        let list = parse("/3 9 1795413577\n1.a b,S=3:2,S 5 8:1795413577:1\n2.b 7 3:5:0\n")
            .expect("a list");
        assert_eq!(
            (list.next, list.validity, list.outdated),
            (9, 1_795_413_577, false)
        );
        let entry = SizeEntry {
            size: 5,
            number: 8,
            validity: 1_795_413_577,
            eight_bit: true,
        };
        assert_eq!(list.iter().next(), Some((b"1.a b,S=3:2,S".as_ref(), entry)));
        let list = parse("/2 9\n1.a 5 8\n2.b 6 0:0\n3.c 7 2:4\n").expect("a list");
        assert_eq!((list.validity, list.outdated), (77, true));
        let ids: Vec<_> = list
            .iter()
            .map(|(name, entry)| entry.uidl(Name::parse(name).expect("a name")))
            .collect();
        assert_eq!(ids, ["UID8", "2.b", "UID2-4"]);
    }

    #[test]
    fn the_oldest_ids_are_names() {
        let entry = SizeEntry {
            size: 1,
            number: 0,
            validity: 0,
            eight_bit: false,
        };
        let name = Name::parse(b"1.a+b 'c\xe9,S=3:2,S").expect("a name");
        assert_eq!(entry.uidl(name), "1.a+2Bb+20+27c+E9,S=3");
    }

    #[test]
    fn a_damaged_list_is_not_believed() {
        use SizeListError::{Header, Line, Number};
        for (text, error) in [
            ("", Header),
            ("\0\0\0\n", Header),
            ("/4 1 1\n", Header),
            ("/3 1\n", Header),
            ("/3 0 1\n", Header),
            ("/3 1 1", Header),
            ("/3 3 1\na 1 1:1\n", Line { line: 2 }),
            ("/3 3 1\na 1 1:1:2\n", Line { line: 2 }),
            ("/3 3 1\na 1 1:1:0:0\n", Line { line: 2 }),
            ("/3 3 1\na 1 1:1:0\nb 1 2:1:0", Line { line: 3 }),
            ("/3 3 1\na 1:1:0\n", Line { line: 2 }),
            ("/3 3 1\na 99999999999999999999 1:1:0\n", Line { line: 2 }),
            ("/3 3 1\na 1 1:1:0\nb 1 1:1:0\n", Number),
            ("/3 3 1\na 1 3:1:0\n", Number),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_list_is_read_back(
            entries in proptest::collection::vec(("[!-9;-~]{1,5}( [a-z]{1,3})?", any::<u64>(), any::<bool>()), 0..9),
            validity: u32,
        ) {
            let entries: Vec<(&[u8], SizeEntry)> = entries.iter().zip(1..)
                .filter(|((name, ..), _)| Name::parse(name.as_bytes()).is_ok())
                .map(|((name, size, eight_bit), number)| {
                    (name.as_bytes(), SizeEntry { size: *size, number, validity, eight_bit: *eight_bit })
                })
                .collect();
            let text = SizeList::print(10, validity, entries.iter().copied());
            let list = SizeList::parse(text, 0).expect("our own");
            prop_assert_eq!((list.next, list.validity), (10, validity));
            prop_assert_eq!(list.iter().collect::<Vec<_>>(), entries);
        }

        #[test]
        fn noise_is_refused_without_harm(octets: Vec<u8>) {
            drop(SizeList::parse(octets, 1));
        }
    }
}
