//! `courierimapuiddb`: which UID belongs to which base name.
//!
//! ```text
//! 1 UIDVALIDITY NEXTUID
//! UID BASE
//! ```
//! sorted by UID. The file is written by Courier too, and by Dovecot's first
//! version; whoever writes it holds the folder's lock.

mod extend;
mod file;
mod hold;

use std::io::Write as _;
use std::num::NonZeroU32;

pub(crate) use extend::{Extension, Tail};
pub(crate) use file::{ListStamp, begin, read, stat, write};
pub(crate) use hold::hold;

use crate::name::Name;

/// The file's name in each folder.
pub const FILE: &str = "courierimapuiddb";

/// A message's number, never given to another message of the folder
/// (RFC 9051 §2.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(NonZeroU32);

/// The number of a folder's UID space. A different one means that all UIDs told
/// before are void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UidValidity(NonZeroU32);

macro_rules! number {
    ($type:ident) => {
        impl $type {
            /// A number that is not 0.
            #[must_use]
            pub const fn new(number: u32) -> Option<Self> {
                match NonZeroU32::new(number) {
                    Some(number) => Some(Self(number)),
                    None => None,
                }
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> u32 {
                self.0.get()
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}
number!(Uid);
number!(UidValidity);

impl Uid {
    /// The lowest.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The one after it, if there is one.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }
}

impl UidValidity {
    /// The lowest.
    pub const MIN: Self = Self(NonZeroU32::MIN);

    /// For a session without a list: far from the number of any list, so that a list
    /// made later has another.
    pub(crate) fn of_session(now: i64) -> Self {
        let by_clock = now.saturating_sub(Self::EPOCH).saturating_sub(1 << 29);
        let by_clock = u32::try_from(by_clock).unwrap_or(0);
        Self(NonZeroU32::new(by_clock).unwrap_or(NonZeroU32::MIN))
    }

    /// Courier counts from 2001-09-09 to put off the year 2038: the number of a new
    /// list is its time of creation less this.
    pub const EPOCH: i64 = 1_000_000_000;

    /// The number of a list made at this second; greater than `last`, the greatest
    /// number the account has used, even if the clock went back. Nothing if the
    /// numbers are used up.
    #[must_use]
    pub fn for_new_list(created: i64, last: Option<Self>) -> Option<Self> {
        let last = last.map_or(0, Self::get);
        let by_clock = created
            .saturating_sub(Self::EPOCH)
            .clamp(1, i64::from(u32::MAX));
        let by_clock = u32::try_from(by_clock).unwrap_or(u32::MAX);
        Self::new(by_clock.max(last.checked_add(1)?))
    }
}

/// The file's contents. The names stay where they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UidList {
    /// The folder's number.
    pub validity: UidValidity,
    /// The next UID to be given.
    pub next: Uid,
    arena: Vec<u8>,
    entries: Vec<(Uid, u32, u16)>,
}

/// Why a list cannot be believed. It is made anew then, with a new UIDVALIDITY:
/// with any line in doubt, so is the next UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UidListError {
    /// Not `1 UIDVALIDITY NEXTUID`.
    #[error("the first line is not that of a uid list of version 1")]
    Header,
    /// Not `UID NAME`, or not the end of a line.
    #[error("line {line} is not a uid and a name")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// UIDs do not ascend, or one is not below NEXTUID.
    #[error("line {line} holds a uid out of order")]
    Order {
        /// Counted from 1.
        line: usize,
    },
    /// Beyond 4 GiB.
    #[error("the file is too long")]
    Length,
}

impl UidList {
    /// A list without messages.
    #[must_use]
    pub const fn new(validity: UidValidity) -> Self {
        Self {
            validity,
            next: Uid::FIRST,
            arena: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// Reads the file; takes its octets to keep the names in.
    ///
    /// # Errors
    /// When any line is not as we would have written it.
    pub fn parse(octets: Vec<u8>) -> Result<Self, UidListError> {
        match Self::mend(octets)? {
            (list, None) => Ok(list),
            (_, Some(flaw)) => Err(flaw),
        }
    }

    /// Reads the file, and puts right what an extension of it (see [`Tail`]) that a
    /// crash cut off may have left: lines that say nothing at the end are dropped, and
    /// NEXTUID is above every UID. Gives the first flaw that was put right.
    ///
    /// # Errors
    /// When a line further up is not as we would have written it.
    pub(crate) fn mend(octets: Vec<u8>) -> Result<(Self, Option<UidListError>), UidListError> {
        if u32::try_from(octets.len()).is_err() {
            return Err(UidListError::Length);
        }
        let mut ends = memchr::memchr_iter(b'\n', &octets);
        let header_end = ends.next().ok_or(UidListError::Header)?;
        let (validity, mut next) = parse_header(octets.get(..header_end).unwrap_or_default())
            .ok_or(UidListError::Header)?;
        // Names have some forty octets or more.
        let mut entries: Vec<(Uid, u32, u16)> = Vec::with_capacity(octets.len() / 48);
        let mut start = header_end + 1;
        let (mut flaw, mut flawed_from) = (None, octets.len());
        let mut last = 0;
        for (end, line) in ends.zip(2..) {
            let text = octets.get(start..end).unwrap_or_default();
            let (uid, name) = match parse_line(text) {
                Some((uid, name)) if uid.get() > last => (uid, name),
                parsed => {
                    flaw = flaw.or(Some(match parsed {
                        Some(_) => UidListError::Order { line },
                        None => UidListError::Line { line },
                    }));
                    break;
                }
            };
            if uid >= next {
                // The line is on disk and the header, written at the same time, is not.
                flaw = flaw.or(Some(UidListError::Order { line }));
                flawed_from = flawed_from.min(start);
                let Some(after) = uid.next() else { break };
                next = after;
            }
            last = uid.get();
            let length = u16::try_from(name.len()).map_err(|_| UidListError::Line { line })?;
            let at = u32::try_from(end - name.len()).map_err(|_| UidListError::Length)?;
            entries.push((uid, at, length));
            start = end + 1;
        }
        if start != octets.len() {
            let line = entries.len() + 2;
            flaw = flaw.or(Some(UidListError::Line { line }));
            flawed_from = flawed_from.min(start);
        }
        if let Some(flaw) = flaw
            && octets.len() - flawed_from > EXTENSION_LIMIT
        {
            return Err(flaw);
        }
        let list = Self {
            validity,
            next,
            arena: octets,
            entries,
        };
        Ok((list, flaw))
    }

    /// The file's text for these entries, in ascending order of UID.
    pub fn print<'a>(
        validity: UidValidity,
        next: Uid,
        entries: impl IntoIterator<Item = (Uid, &'a [u8])>,
    ) -> Vec<u8> {
        let mut text = Vec::new();
        Self::print_into(&mut text, validity, next, entries);
        text
    }

    /// As [`Self::print`], behind what `text` holds.
    pub(crate) fn print_into<'a>(
        text: &mut Vec<u8>,
        validity: UidValidity,
        next: Uid,
        entries: impl IntoIterator<Item = (Uid, &'a [u8])>,
    ) {
        // Writing to a vector cannot fail.
        let _ = writeln!(text, "1 {validity} {next}");
        for (uid, base) in entries {
            push_number(text, uid.get());
            text.push(b' ');
            text.extend_from_slice(base);
            text.push(b'\n');
        }
    }

    /// The file's octets, and for each entry where its name stands in them.
    pub(crate) fn into_parts(self) -> (Vec<u8>, Vec<(Uid, u32, u16)>) {
        (self.arena, self.entries)
    }

    /// UIDs with the base names they belong to, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Uid, &[u8])> {
        self.entries.iter().map(|&(uid, start, length)| {
            let start = start as usize;
            let name = self.arena.get(start..start + usize::from(length));
            (uid, name.unwrap_or_default())
        })
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no message is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Gives a message the next UID; nothing if there is none left. A name that
    /// cannot stand in the file is not taken either: see [`Name::parse`].
    pub fn push(&mut self, base: &[u8]) -> Option<Uid> {
        let next = self.next.next()?;
        let fits = Name::parse(base).is_ok();
        let length = u16::try_from(base.len()).ok().filter(|_| fits)?;
        let start = u32::try_from(self.arena.len()).ok()?;
        self.arena.extend_from_slice(base);
        self.entries.push((self.next, start, length));
        Some(std::mem::replace(&mut self.next, next))
    }
}

/// Octets that are added to a list at once; beyond, it is written anew.
const EXTENSION_LIMIT: usize = 4096;

/// The number in the first line of a file that need not be whole.
pub(crate) fn validity_of(head: &[u8]) -> Option<UidValidity> {
    let end = memchr::memchr(b'\n', head)?;
    parse_header(head.get(..end)?).map(|(validity, _)| validity)
}

fn parse_header(line: &[u8]) -> Option<(UidValidity, Uid)> {
    let line = line.strip_prefix(b"1 ")?;
    let (validity, rest) = parse_number(line)?;
    let (next, rest) = parse_number(rest.strip_prefix(b" ")?)?;
    rest.is_empty()
        .then_some((UidValidity(validity), Uid(next)))
}

fn parse_line(line: &[u8]) -> Option<(Uid, &[u8])> {
    let (uid, rest) = parse_number(line)?;
    let name = rest.strip_prefix(b" ")?;
    let listed = Name::parse(name).is_ok();
    listed.then_some((Uid(uid), name))
}

/// Adds the digits of a number.
fn push_number(text: &mut Vec<u8>, number: u32) {
    let start = text.len();
    let mut rest = number;
    loop {
        text.push(b'0' + u8::try_from(rest % 10).unwrap_or(0));
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if let Some(digits) = text.get_mut(start..) {
        digits.reverse();
    }
}

/// Decimal digits without a leading zero.
fn parse_number(text: &[u8]) -> Option<(NonZeroU32, &[u8])> {
    if text.first() == Some(&b'0') {
        return None;
    }
    let (mut number, mut rest) = (0_u32, text);
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        number = number
            .checked_mul(10)?
            .checked_add(u32::from(digit - b'0'))?;
        rest = after;
    }
    Some((NonZeroU32::new(number)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<UidList, UidListError> {
        UidList::parse(text.as_bytes().to_vec())
    }

    #[test]
    fn a_list_of_couriers_is_read() {
        let list =
            parse("1 795413577 9\n3 1795413577.M1P2V0I3.h,S=3\n8 other name\n").expect("a list");
        assert_eq!((list.validity.get(), list.next.get()), (795_413_577, 9));
        let entries: Vec<_> = list.iter().map(|(uid, name)| (uid.get(), name)).collect();
        let first = b"1795413577.M1P2V0I3.h,S=3".as_slice();
        assert_eq!(entries, [(3, first), (8, b"other name")]);
    }

    #[test]
    fn a_damaged_list_is_not_believed() {
        use UidListError::{Header, Line, Order};
        for (text, error) in [
            ("", Header),
            ("\0\0\0\0", Header),
            ("\0\0\0\0\n", Header),
            ("2 1 1\n", Header),
            ("3 V1 N1 Gabc\n", Header),
            ("1 0 1\n", Header),
            ("1 1 1", Header),
            ("1 1 1 1\n", Header),
            ("1 4294967296 1\n", Header),
            ("1 01 1\n", Header),
            ("1 1 3\n1 a\n2 b", Line { line: 3 }),
            ("1 1 3\n1 a\n\0\0\0\n", Line { line: 3 }),
            ("1 1 3\n1a\n", Line { line: 2 }),
            ("1 1 3\n1 \n", Line { line: 2 }),
            ("1 1 3\n1 .a\n", Line { line: 2 }),
            ("1 1 3\n2 a\n1 b\n", Order { line: 3 }),
            ("1 1 3\n2 a\n2 b\n", Order { line: 3 }),
            ("1 1 3\n3 a\n", Order { line: 2 }),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn uidvalidity_never_goes_back() {
        let validity = |created, last| {
            UidValidity::for_new_list(created, UidValidity::new(last)).map(UidValidity::get)
        };
        assert_eq!(validity(1_795_413_577, 0), Some(795_413_577));
        assert_eq!(validity(1_795_413_577, 795_413_577), Some(795_413_578));
        assert_eq!(validity(-5, 795_413_577), Some(795_413_578));
        assert_eq!(validity(-5, 0), Some(1));
        assert_eq!(validity(i64::MAX, 7), Some(u32::MAX));
        assert_eq!(validity(0, u32::MAX), None);
    }

    #[test]
    fn uids_end_at_the_last_number() {
        let mut list = parse("1 1 4294967294\n").expect("a list");
        assert_eq!(list.push(b"a").map(Uid::get), Some(u32::MAX - 1));
        assert_eq!(list.push(b"b"), None);
        assert_eq!(list.push(b"x\ny"), None);
    }

    #[test]
    fn what_a_crash_leaves_of_an_extension_is_put_right() {
        let mend = |text: &str| {
            let (list, flaw) = UidList::mend(text.as_bytes().to_vec()).expect("put right");
            assert!(flaw.is_some());
            let uids: Vec<_> = list.iter().map(|(uid, _)| uid.get()).collect();
            (list.next.get(), uids)
        };
        assert_eq!(mend("1 1 3\n1 a\n2 b"), (3, vec![1]));
        assert_eq!(mend("1 1 3\n1 a\n\0\0\0\n"), (3, vec![1]));
        assert_eq!(mend("1 1 3\n1 a\n\0\0\0"), (3, vec![1]));
        assert_eq!(mend("1 1 3\n1 a\n\0\0b\n4 c\n"), (3, vec![1]));
        assert_eq!(mend("1 1 3\n1 a\n3 c\n"), (4, vec![1, 3]));
        assert_eq!(mend("1 1 3\n1 a\n3 c\n3 d"), (4, vec![1, 3]));
        let mut long = b"1 1 3\nnoise\n".to_vec();
        long.resize(EXTENSION_LIMIT + 7, b'x');
        assert!(UidList::mend(long).is_err(), "no crash leaves so much");
    }

    proptest! {
        #[test]
        fn a_printed_list_is_read_back(
            validity in 1_u32.., gaps in proptest::collection::vec(1_u32..1000, 0..20),
            names in proptest::collection::vec("[!-9;-~]{1,9}", 20), more in 1_u32..9,
        ) {
            let mut uid = 0;
            let entries: Vec<(Uid, &[u8])> = gaps.iter().zip(&names)
                .filter(|(_, name)| !name.starts_with('.') && !name.contains('/'))
                .map(|(gap, name)| { uid += gap; (Uid::new(uid).expect("not 0"), name.as_bytes()) })
                .collect();
            let next = Uid::new(uid + more).expect("not 0");
            let validity = UidValidity::new(validity).expect("not 0");
            let text = UidList::print(validity, next, entries.iter().copied());
            let list = UidList::parse(text).expect("our own");
            prop_assert_eq!((list.validity, list.next), (validity, next));
            prop_assert_eq!(list.iter().collect::<Vec<_>>(), entries);
        }

        #[test]
        fn whatever_is_read_is_printed_alike(text in "1 [1-9]{1,3} [1-9]{1,3}\n([1-9]{1,2} [a-c:,.]{1,3}\n){0,4}") {
            if let Ok(list) = parse(&text) {
                prop_assert_eq!(UidList::print(list.validity, list.next, list.iter()), text.into_bytes());
            }
        }
    }
}
