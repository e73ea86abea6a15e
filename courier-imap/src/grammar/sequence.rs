//! Sequence sets (RFC 3501 §9 `sequence-set`): which messages a command is about.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use smallvec::SmallVec;

use super::lexer::{Cursor, ParseError};

/// The most ranges a set may have once overlapping and neighbouring ones are merged.
pub const MOST_RANGES: usize = 10_000;

/// Numbers of messages or UIDs, in ascending ranges that do not touch, and perhaps
/// everything from some number up to the largest in use.
///
/// The order in which a client names messages has no meaning (RFC 3501 §9, «Server
/// implementations are permitted to coalesce overlaps and/or execute the sequence in
/// any order»), so sets are kept merged: `5:3,4,*` and `3:5,*` are equal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SequenceSet {
    ranges: SmallVec<[(NonZeroU32, NonZeroU32); 2]>,
    tail: Option<Tail>,
}

/// The part of a set that names `*`. Several such ranges are one: the one that starts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tail {
    /// `n:*` or `*:n`.
    From(NonZeroU32),
    /// `*` alone.
    Largest,
}

impl SequenceSet {
    /// The set of the numbers from `first` to `last`, both included.
    #[must_use]
    pub fn range(first: NonZeroU32, last: NonZeroU32) -> Self {
        let mut set = Self::default();
        set.ranges.push((first.min(last), first.max(last)));
        set
    }

    /// `1:*`: every message.
    #[must_use]
    pub fn all() -> Self {
        Self {
            ranges: SmallVec::new(),
            tail: Some(Tail::From(NonZeroU32::MIN)),
        }
    }

    /// Reads a set; the octets must be a set and nothing else.
    ///
    /// # Errors
    /// If they are not, or if the merged set has more than [`MOST_RANGES`] ranges.
    pub fn parse(octets: &[u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(octets);
        let set = Self::read(&mut cursor)?;
        cursor.end()?;
        Ok(set)
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let mut set = Self::default();
        let mut sorted = true;
        loop {
            let first = number_or_star(cursor)?;
            let last = if cursor.accept(b':') {
                number_or_star(cursor)?
            } else {
                first
            };
            match (first, last) {
                (Some(a), Some(b)) => sorted &= set.push(a.min(b), a.max(b)),
                (Some(n), None) | (None, Some(n)) => set.extend_tail(Tail::From(n)),
                (None, None) => set.extend_tail(Tail::Largest),
            }
            if !cursor.accept(b',') {
                break;
            }
        }
        if !sorted {
            set.merge();
        }
        if set.ranges.len() > MOST_RANGES {
            return Err(cursor.expected("a sequence set of at most 10000 ranges"));
        }
        Ok(set)
    }

    /// Adds a range; false if it does not stand behind all others.
    fn push(&mut self, first: NonZeroU32, last: NonZeroU32) -> bool {
        match self.ranges.last_mut() {
            Some((start, end)) if first <= end.saturating_add(1) => {
                if first >= *start {
                    *end = last.max(*end);
                    return true;
                }
            }
            _ => {
                self.ranges.push((first, last));
                return true;
            }
        }
        self.ranges.push((first, last));
        false
    }

    fn extend_tail(&mut self, tail: Tail) {
        self.tail = Some(self.tail.map_or(tail, |old| old.min(tail)));
    }

    fn merge(&mut self) {
        self.ranges.sort_unstable();
        self.ranges.dedup_by(|next, kept| {
            let joins = next.0 <= kept.1.saturating_add(1);
            if joins {
                kept.1 = kept.1.max(next.1);
            }
            joins
        });
    }

    /// The ranges in ascending order, `*` taken as `largest`; none if the set names only
    /// `*` and `largest` is zero.
    ///
    /// `n:*` always holds the largest number, even when n is past it (RFC 3501 §6.4.8).
    /// Numbers past `largest` stay in the ranges.
    #[must_use]
    pub fn resolve(&self, largest: u32) -> SmallVec<[RangeInclusive<u32>; 4]> {
        let mut ranges: SmallVec<[RangeInclusive<u32>; 4]> = self
            .ranges
            .iter()
            .map(|(first, last)| first.get()..=last.get())
            .collect();
        if let Some(tail) = self.tail
            && largest > 0
        {
            let first = match tail {
                Tail::From(n) => n.get().min(largest),
                Tail::Largest => largest,
            };
            // What follows `first` in the sorted ranges is swallowed or joined.
            let mut last = largest;
            let mut start = first;
            ranges.retain(|range| {
                let joins = *range.end() >= start.saturating_sub(1)
                    && *range.start() <= last.saturating_add(1);
                if joins {
                    start = start.min(*range.start());
                    last = last.max(*range.end());
                }
                !joins
            });
            let at = ranges.partition_point(|range| *range.start() < start);
            ranges.insert(at, start..=last);
        }
        ranges
    }

    /// Whether `number` is named, `*` taken as `largest`.
    #[must_use]
    pub fn contains(&self, number: u32, largest: u32) -> bool {
        let tail = match self.tail {
            Some(Tail::From(n)) => number <= largest && number >= n.get().min(largest),
            Some(Tail::Largest) => number == largest,
            None => false,
        };
        tail || {
            let at = self.ranges.partition_point(|(_, last)| last.get() < number);
            self.ranges
                .get(at)
                .is_some_and(|(first, _)| first.get() <= number)
        }
    }
}

fn number_or_star(cursor: &mut Cursor<'_>) -> Result<Option<NonZeroU32>, ParseError> {
    if cursor.accept(b'*') {
        return Ok(None);
    }
    cursor.nz_number().map(Some)
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (first, last) in &self.ranges {
            write!(f, "{comma}{first}")?;
            if first != last {
                write!(f, ":{last}")?;
            }
            comma = ",";
        }
        match self.tail {
            Some(Tail::From(n)) => write!(f, "{comma}{n}:*"),
            Some(Tail::Largest) => write!(f, "{comma}*"),
            None => Ok(()),
        }
    }
}

/// Builds the merged set of some numbers.
impl FromIterator<NonZeroU32> for SequenceSet {
    fn from_iter<I: IntoIterator<Item = NonZeroU32>>(numbers: I) -> Self {
        let mut set = Self::default();
        let mut sorted = true;
        for number in numbers {
            sorted &= set.push(number, number);
        }
        if !sorted {
            set.merge();
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> SequenceSet {
        SequenceSet::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn sets_are_merged_and_reversed_ranges_are_turned() {
        assert_eq!(parse("5:3,4,9").to_string(), "3:5,9");
        assert_eq!(parse("2,4:7,9,12:*").to_string(), "2,4:7,9,12:*");
        assert_eq!(parse("1,2,3,5").to_string(), "1:3,5");
        assert_eq!(parse("*:4,2:*,*").to_string(), "2:*");
        assert_eq!(parse("*").to_string(), "*");
        assert_eq!(parse("9,3:4,1").to_string(), "1,3:4,9");
    }

    #[test]
    fn the_star_is_the_largest_number_in_use() {
        // RFC 3501 §9: 2,4:7,9,12:* of 15 messages.
        let ranges = parse("2,4:7,9,12:*").resolve(15);
        assert_eq!(ranges.as_slice(), [2..=2, 4..=7, 9..=9, 12..=15]);
        // RFC 3501 §6.4.8: 559:* with 510 as the last UID names 510.
        assert_eq!(parse("559:*").resolve(510).as_slice(), [510..=510]);
        assert_eq!(parse("*:4,5:7").resolve(10).as_slice(), [4..=10]);
        assert_eq!(parse("1:3,*").resolve(4).as_slice(), [1..=4]);
        assert_eq!(parse("1:*").resolve(0).as_slice(), []);
        assert_eq!(parse("7:9,*").resolve(3).as_slice(), [3..=3, 7..=9]);
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in [
            "",
            "0",
            "1,",
            ",1",
            "1:",
            ":1",
            "1:2:3",
            "a",
            "4294967296",
            "1 2",
            "-1",
            "0:1",
        ] {
            assert!(SequenceSet::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(parse("4294967295:*").resolve(3).as_slice(), [3..=3]);
    }

    #[test]
    fn the_limit_counts_merged_ranges() {
        let list = |step: u32, count: u32| {
            let numbers: Vec<String> = (1..=count).map(|n| (n * step).to_string()).collect();
            SequenceSet::parse(numbers.join(",").as_bytes())
        };
        assert!(list(1, 50_000).is_ok());
        assert!(list(2, 10_000).is_ok());
        assert!(list(2, 10_001).is_err());
    }

    proptest! {
        #[test]
        fn a_printed_set_reads_back(numbers in proptest::collection::vec((1u32.., 1u32.., 0u8..4), 1..20)) {
            let text: Vec<String> = numbers.iter().map(|(a, b, kind)| match kind {
                0 => a.to_string(),
                1 => format!("{a}:{b}"),
                2 => format!("{a}:*"),
                _ => "*".to_owned(),
            }).collect();
            let set = parse(&text.join(","));
            prop_assert_eq!(parse(&set.to_string()), set);
        }

        #[test]
        fn resolving_agrees_with_the_definition(
            items in proptest::collection::vec((1u32..30, 1u32..30, 0u8..4), 1..8),
            largest in 1u32..30,
        ) {
            let text: Vec<String> = items.iter().map(|(a, b, kind)| match kind {
                0 => a.to_string(),
                1 => format!("{a}:{b}"),
                2 => format!("{a}:*"),
                _ => "*".to_owned(),
            }).collect();
            let set = parse(&text.join(","));
            let ranges = set.resolve(largest);
            for pair in ranges.windows(2) {
                prop_assert!(u64::from(*pair[0].end()) + 1 < u64::from(*pair[1].start()));
            }
            for number in 1..40u32 {
                let named = items.iter().any(|&(a, b, kind)| {
                    let (a, b) = match kind {
                        0 => (a, a),
                        1 => (a, b),
                        2 => (a, largest),
                        _ => (largest, largest),
                    };
                    // RFC 3501: the ends may stand in either order.
                    (a.min(b)..=a.max(b)).contains(&number)
                        && !(kind == 2 && number > largest)
                });
                prop_assert_eq!(ranges.iter().any(|r| r.contains(&number)), named, "{} in {}", number, set);
                prop_assert_eq!(set.contains(number, largest), named);
            }
        }

        #[test]
        fn any_octets_are_read_or_refused(octets in proptest::collection::vec(proptest::sample::select(b"0123456789:,*".to_vec()), 0..40)) {
            if let Ok(set) = SequenceSet::parse(&octets) {
                prop_assert_eq!(SequenceSet::parse(set.to_string().as_bytes()).unwrap(), set);
            }
        }
    }
}
