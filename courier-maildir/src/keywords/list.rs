//! `:list`, and the file of one change.
//!
//! ```text
//! KEYWORD            one a line
//!                    an empty line
//! BASE:0 2           numbers of keywords
//! ```

use std::io::Write as _;

use super::table::{Keyword, KeywordTable, SetId};

/// What `:list` says, message by message. The names stay where they were read.
#[derive(Debug)]
pub struct KeywordList<'a> {
    /// Base names with their keywords.
    pub messages: Vec<(&'a [u8], SetId)>,
    /// Whether a line was passed over that said nothing.
    pub flawed: bool,
}

impl<'a> KeywordList<'a> {
    /// Reads the file; its keywords are entered into the table. Numbers out of range
    /// and messages without a keyword are passed over.
    pub fn parse(octets: &'a [u8], table: &mut KeywordTable) -> Self {
        let mut lines = octets
            .split(|&octet| octet == b'\n')
            .collect::<Vec<_>>()
            .into_iter();
        let words: Vec<Option<u16>> = lines
            .by_ref()
            .take_while(|line| !line.is_empty())
            .map(|line| table.take(&Keyword::from_file(line)?))
            .collect();
        let mut list = Self {
            messages: Vec::new(),
            flawed: false,
        };
        for line in lines.filter(|line| !line.is_empty()) {
            let set = parse_message(line, &words).map(|(base, numbers)| {
                list.flawed |= numbers.is_empty();
                (base, table.intern(numbers))
            });
            match set {
                Some((base, set)) if set != SetId::EMPTY => list.messages.push((base, set)),
                _ => list.flawed = true,
            }
        }
        list
    }

    /// The file's text. Only keywords in use are listed.
    #[must_use]
    pub fn print<'m>(
        messages: impl Iterator<Item = (&'m [u8], SetId)> + Clone,
        table: &KeywordTable,
    ) -> Vec<u8> {
        let mut places = vec![None; table.words().len()];
        for (_, set) in messages.clone() {
            for &number in table.numbers(set) {
                if let Some(place) = places.get_mut(usize::from(number)) {
                    *place = Some(0);
                }
            }
        }
        let mut text = Vec::new();
        let used = places.iter_mut().flatten().zip(0..);
        used.for_each(|(place, number)| *place = number);
        for (word, _) in table
            .words()
            .zip(&places)
            .filter(|(_, place)| place.is_some())
        {
            text.extend_from_slice(word.as_str().as_bytes());
            text.push(b'\n');
        }
        text.push(b'\n');
        for (base, set) in messages.filter(|(_, set)| *set != SetId::EMPTY) {
            text.extend_from_slice(base);
            let numbers = table.numbers(set).iter();
            let numbers = numbers.filter_map(|&number| *places.get(usize::from(number))?);
            for (separator, number) in std::iter::once(':')
                .chain(std::iter::repeat(' '))
                .zip(numbers)
            {
                // Writing to a vector cannot fail.
                let _ = write!(text, "{separator}{number}");
            }
            text.push(b'\n');
        }
        text
    }
}

fn parse_message<'a>(line: &'a [u8], words: &[Option<u16>]) -> Option<(&'a [u8], Vec<u16>)> {
    let colon = memchr::memrchr(b':', line)?;
    let (base, numbers) = line.split_at_checked(colon)?;
    let numbers = std::str::from_utf8(numbers.get(1..)?).ok()?;
    let numbers = numbers
        .split(' ')
        .filter_map(|number| *words.get(number.parse::<usize>().ok()?)?)
        .collect();
    (!base.is_empty()).then_some((base, numbers))
}

/// Reads the file of one change: a keyword a line; no line means none.
pub(super) fn parse_change(octets: &[u8], table: &mut KeywordTable) -> SetId {
    let numbers = octets
        .split(|&octet| octet == b'\n')
        .filter_map(|line| table.take(&Keyword::from_file(line)?))
        .collect();
    table.intern(numbers)
}

/// The file of one change.
pub(super) fn print_change(table: &KeywordTable, set: SetId) -> Vec<u8> {
    let mut text = Vec::new();
    for word in table.set(set) {
        text.extend_from_slice(word.as_str().as_bytes());
        text.push(b'\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(octets: &[u8]) -> (Vec<String>, bool) {
        let mut table = KeywordTable::default();
        let list = KeywordList::parse(octets, &mut table);
        let messages = list.messages.iter().map(|&(base, set)| {
            let words: Vec<_> = table.set(set).map(Keyword::as_str).collect();
            format!("{} {}", base.escape_ascii(), words.join("+"))
        });
        (messages.collect(), list.flawed)
    }

    #[test]
    fn a_list_of_couriers_is_read() {
        let (messages, flawed) = shown(b"Junk\n$Label1\n\n1.a,S=3:0 1\n2.b:x:1\n");
        assert_eq!(messages, ["1.a,S=3 Junk+$Label1", "2.b:x $Label1"]);
        assert!(!flawed);
    }

    #[test]
    fn what_says_nothing_is_passed_over() {
        let (messages, flawed) = shown(b"a\nA\n\nx:0 7 -1 y\nno colon\ny:\nz:9\n:0\nlast:1");
        assert_eq!(messages, ["x a", "last a"]);
        assert!(flawed);
        assert_eq!(shown(b"").0, [""; 0]);
        assert_eq!(shown(b"\0\0\0").0, [""; 0]);
        assert_eq!(shown(b"\n").0, [""; 0]);
    }

    #[test]
    fn keywords_out_of_use_are_not_written() {
        let mut table = KeywordTable::default();
        let list = KeywordList::parse(b"a\nb\nc\n\nx:1\ny:2 1\n", &mut table);
        let text = KeywordList::print(list.messages.iter().copied(), &table);
        assert_eq!(text, b"b\nc\n\nx:0\ny:0 1\n");
        assert_eq!(KeywordList::print([].into_iter(), &table), b"\n");
    }

    proptest! {
        #[test]
        fn a_printed_list_says_the_same(octets in "([a-c]{1,2}\n){0,4}\n([xyz,=]{1,3}:[0-9 ]{0,5}\n){0,5}") {
            let mut table = KeywordTable::default();
            let list = KeywordList::parse(octets.as_bytes(), &mut table);
            let text = KeywordList::print(list.messages.iter().copied(), &table);
            let (again, flawed) = shown(&text);
            prop_assert_eq!(again, shown(octets.as_bytes()).0);
            prop_assert!(!flawed);
        }

        #[test]
        fn noise_is_read_without_harm(octets: Vec<u8>) {
            let mut table = KeywordTable::default();
            KeywordList::parse(&octets, &mut table);
            parse_change(&octets, &mut table);
        }
    }
}
