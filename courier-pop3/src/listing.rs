//! The messages of a maildrop as a session sees them: numbers, sizes, unique ids and
//! marks.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use thiserror::Error;

/// The number of a message in a session, from 1; it never moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageNumber(NonZeroU32);

impl MessageNumber {
    /// Parses digits; none if it is 0, or beyond 32 bits, or anything but digits.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        Self::new(u32::try_from(digits(text)?).ok()?)
    }

    /// The number itself; none for 0.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// As a number, from 1.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// As an index, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl fmt::Display for MessageNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What octets the header of a message has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum HeaderOctets {
    /// ASCII alone.
    #[default]
    Ascii,
    /// Some above 127: not for clients that have not said UTF8 (RFC 6856).
    EightBit,
}

/// Why a message cannot be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ListingError {
    /// RFC 1939: a unique id is 1 to 70 octets from `!` to `~`.
    #[error("the unique id of message {number} is not of 1 to 70 printable characters")]
    Uidl {
        /// The number that the message would have.
        number: u64,
    },
    /// There can be no more messages.
    #[error("a session cannot show more than {limit} messages")]
    Full {
        /// How many there are.
        limit: usize,
    },
}

/// All messages of a maildrop at login, some 10 octets each and its unique id.
#[derive(Debug, Default)]
pub struct Listing {
    /// Octets on the wire; [`HUGE`] if they are in `huge`.
    sizes: Vec<u32>,
    huge: BTreeMap<usize, u64>,
    /// All unique ids, and where each ends.
    uidls: String,
    ends: Vec<u32>,
    eight_bit: Marks,
    deleted: Marks,
    left: Stat,
}

/// What STAT says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stat {
    /// Messages without a mark.
    pub messages: u32,
    /// Their octets.
    pub octets: u64,
}

/// A message as it is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its number.
    pub number: MessageNumber,
    /// Its octets on the wire, every line end counted as CRLF.
    pub size: u64,
    /// Its unique id.
    pub uidl: &'a str,
    /// What octets its header has.
    pub header: HeaderOctets,
}

impl Listing {
    /// An empty maildrop.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next message: its octets on the wire, its unique id, which no other
    /// message ever has, and what its header has.
    ///
    /// # Errors
    /// If the unique id is not one, or there are 4 GiB of them.
    pub fn push(
        &mut self,
        size: u64,
        uidl: &str,
        header: HeaderOctets,
    ) -> Result<(), ListingError> {
        let index = self.sizes.len();
        if !(1..=70).contains(&uidl.len()) || !uidl.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ListingError::Uidl {
                number: index as u64 + 1,
            });
        }
        let end = u32::try_from(self.uidls.len() + uidl.len());
        let end = end.map_err(|_| ListingError::Full { limit: index })?;
        self.uidls.push_str(uidl);
        self.ends.push(end);
        let small = u32::try_from(size).unwrap_or(HUGE);
        if small == HUGE {
            self.huge.insert(index, size);
        }
        self.sizes.push(small);
        if header == HeaderOctets::EightBit {
            self.eight_bit.set(index);
        }
        self.left.messages += 1; // as many as ends, whose values fit
        self.left.octets = self.left.octets.saturating_add(size);
        Ok(())
    }

    /// The number of messages, with those that have a mark.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// Messages without a mark, and their octets.
    #[must_use]
    pub fn stat(&self) -> Stat {
        self.left
    }

    /// The message of a number, unless there is none or it has a mark.
    #[must_use]
    pub fn message(&self, number: MessageNumber) -> Option<Message<'_>> {
        let index = number.index();
        let small = *self.sizes.get(index)?;
        if self.deleted.has(index) {
            return None;
        }
        let end = *self.ends.get(index)? as usize;
        let before = index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        let start = before.map_or(0, |start| *start as usize);
        Some(Message {
            number,
            size: match small {
                HUGE => self.huge.get(&index).copied().unwrap_or_default(),
                small => small.into(),
            },
            uidl: self.uidls.get(start..end)?,
            header: if self.eight_bit.has(index) {
                HeaderOctets::EightBit
            } else {
                HeaderOctets::Ascii
            },
        })
    }

    /// The first message without a mark, of those from `number` on.
    #[must_use]
    pub fn next_from(&self, number: MessageNumber) -> Option<Message<'_>> {
        (number.index()..self.len())
            .filter(|index| !self.deleted.has(*index))
            .find_map(|index| self.message(MessageNumber::new(u32::try_from(index + 1).ok()?)?))
    }

    /// Marks a message as deleted; false if there is none, or it has the mark.
    pub fn delete(&mut self, number: MessageNumber) -> bool {
        let Some(size) = self.message(number).map(|message| message.size) else {
            return false;
        };
        self.deleted.set(number.index());
        self.left.messages -= 1;
        self.left.octets = self.left.octets.saturating_sub(size);
        true
    }

    /// Takes all marks away.
    pub fn reset(&mut self) {
        for number in self.deleted() {
            self.deleted.clear(number.index());
            if let Some(message) = self.message(number) {
                let size = message.size;
                self.left.messages += 1;
                self.left.octets = self.left.octets.saturating_add(size);
            }
        }
    }

    /// The messages with a mark, in order.
    #[must_use]
    pub fn deleted(&self) -> Vec<MessageNumber> {
        let indices = (0..self.len()).filter(|index| self.deleted.has(*index));
        indices
            .filter_map(|index| MessageNumber::new(u32::try_from(index + 1).ok()?))
            .collect()
    }
}

/// Stands for a size that does not fit.
const HUGE: u32 = u32::MAX;

/// A bit for each message.
#[derive(Debug, Default)]
struct Marks(Vec<u64>);

impl Marks {
    fn has(&self, index: usize) -> bool {
        let word = self.0.get(index / 64).copied().unwrap_or_default();
        word >> (index % 64) & 1 == 1
    }

    fn set(&mut self, index: usize) {
        if self.0.len() <= index / 64 {
            self.0.resize(index / 64 + 1, 0);
        }
        if let Some(word) = self.0.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    fn clear(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word &= !(1 << (index % 64));
        }
    }
}

/// A number that is nothing but digits and fits.
pub(crate) fn digits(word: &[u8]) -> Option<u64> {
    let all = !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    let text = all.then(|| std::str::from_utf8(word).ok()).flatten()?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(n: u32) -> MessageNumber {
        MessageNumber::new(n).unwrap()
    }

    #[test]
    fn sizes_beyond_32_bits_are_kept() {
        let mut listing = Listing::new();
        for size in [1, u64::from(u32::MAX) - 1, u64::from(u32::MAX), 1 << 40] {
            listing.push(size, "x", HeaderOctets::Ascii).unwrap();
            let last = number(u32::try_from(listing.len()).unwrap());
            assert_eq!(listing.message(last).unwrap().size, size);
        }
        assert_eq!(listing.stat().octets, (1 << 40) + 2 * u64::from(u32::MAX));
    }

    #[test]
    fn unique_ids_are_as_the_standard_wants_them() {
        let mut listing = Listing::new();
        for bad in ["", "a b", "é", "a\n", &"x".repeat(71)] {
            assert_eq!(
                listing.push(1, bad, HeaderOctets::Ascii),
                Err(ListingError::Uidl { number: 1 })
            );
        }
        listing
            .push(1, &"~".repeat(70), HeaderOctets::Ascii)
            .unwrap();
    }

    #[test]
    fn a_big_maildrop_is_small_here() {
        let mut listing = Listing::new();
        for n in 0..100_000_u32 {
            let uidl = format!("UID{n}-1795623834");
            listing.push(20_000, &uidl, HeaderOctets::EightBit).unwrap();
        }
        let octets = listing.sizes.capacity() * 4
            + listing.ends.capacity() * 4
            + listing.uidls.capacity()
            + listing.eight_bit.0.capacity() * 8;
        assert!(octets < 4_000_000, "{octets}");
        assert_eq!(
            listing.message(number(100_000)).unwrap().uidl,
            "UID99999-1795623834"
        );
    }

    proptest! {
        #[test]
        fn the_sum_is_that_of_the_list(
            sizes in prop::collection::vec(any::<u32>(), 0..200),
            deleted in prop::collection::vec(1..250_u32, 0..50),
        ) {
            let mut listing = Listing::new();
            for (at, size) in sizes.iter().enumerate() {
                listing.push((*size).into(), &format!("u{at}"), HeaderOctets::Ascii).unwrap();
            }
            let all = listing.stat();
            for n in deleted {
                listing.delete(number(n));
                let mut sum = Stat::default();
                let mut next = number(1);
                while let Some(message) = listing.next_from(next) {
                    let uidl = format!("u{}", message.number.index());
                    prop_assert_eq!(message.uidl, uidl);
                    sum.messages += 1;
                    sum.octets += message.size;
                    next = number(message.number.get() + 1);
                }
                prop_assert_eq!(sum, listing.stat());
                prop_assert_eq!(listing.deleted().len() + sum.messages as usize, sizes.len());
            }
            listing.reset();
            prop_assert_eq!(listing.stat(), all);
            prop_assert!(listing.deleted().is_empty());
        }
    }
}
