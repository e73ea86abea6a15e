//! The records of the journal, as octets.
//!
//! A record is a header of 48 octets, a payload, and zeroes up to the next multiple
//! of eight. Numbers are little-endian.
//!
//! | at | octets | |
//! | --- | --- | --- |
//! | 0 | 4 | `CJr1` |
//! | 4 | 1 | kind: 1 commit, 2 message, 3 outcome |
//! | 5 | 3 | zero |
//! | 8 | 8 | epoch of the segment |
//! | 16 | 8 | sequence number: one more than that of the record before |
//! | 24 | 4 | place in its batch, from 0 |
//! | 28 | 4 | length of the payload |
//! | 32 | 8 | checksum of the payload |
//! | 40 | 8 | checksum of the header so far, with the segment's key |
//!
//! A batch is what one write makes durable. Its first record is a commit, which says
//! how many follow; a batch that is not whole does not count.
//!
//! The key is random and secret, so no message can contain what would pass for a
//! record; and epoch and sequence number never repeat, so nothing that an earlier
//! use of the segment left passes for one of this.

use super::checksum::Checksum;
use super::{MessageId, Progress};

/// Length of a record's header in octets.
pub(super) const HEADER: usize = 48;
/// Records begin at multiples of this.
pub(super) const ALIGNMENT: u64 = 8;
pub(super) const MAGIC: [u8; 4] = *b"CJr1";
/// Octets at the front of a payload that say what it is; the longest of all kinds.
pub(super) const PREFIX: usize = 32;

/// Recipients that a message may have.
pub(super) const MOST_RECIPIENTS: u32 = 1 << 16;
/// Nothing is ever counted up to this, so that no sum of two counted numbers overflows.
pub(super) const COUNTED: u64 = 1 << 62;

const COMMIT_PREFIX: usize = 24;
const OUTCOME_PREFIX: usize = 16;

/// What a record's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) epoch: u64,
    pub(super) sequence: u64,
    pub(super) place: u32,
    pub(super) length: u32,
    pub(super) sum: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Begins each batch.
    Commit,
    Message,
    Outcome,
}

impl Header {
    pub(super) fn print(&self, key: u64) -> [u8; HEADER] {
        let kind = match self.kind {
            Kind::Commit => 1,
            Kind::Message => 2,
            Kind::Outcome => 3,
        };
        let mut writer = Writer::<HEADER>::default();
        writer.put(&MAGIC);
        writer.put(&[kind, 0, 0, 0]);
        writer.put(&self.epoch.to_le_bytes());
        writer.put(&self.sequence.to_le_bytes());
        writer.put(&self.place.to_le_bytes());
        writer.put(&self.length.to_le_bytes());
        writer.put(&self.sum.to_le_bytes());
        let sum = Checksum::of(key, writer.written());
        writer.put(&sum.to_le_bytes());
        writer.octets
    }

    /// Reads the header at the front of `octets`; `None` if there is none.
    pub(super) fn parse(octets: &[u8], key: u64) -> Option<Self> {
        let header = octets.first_chunk::<HEADER>()?;
        let mut reader = Reader(header);
        if reader.take::<4>()? != MAGIC {
            return None;
        }
        let [kind, 0, 0, 0] = reader.take::<4>()? else {
            return None;
        };
        let parsed = Self {
            kind: match kind {
                1 => Kind::Commit,
                2 => Kind::Message,
                3 => Kind::Outcome,
                _ => return None,
            },
            epoch: reader.counted()?,
            sequence: reader.counted()?,
            place: reader.u32()?,
            length: reader.u32()?,
            sum: reader.u64()?,
        };
        let covered = header.get(..HEADER - 8)?;
        (reader.u64()? == Checksum::of(key, covered)).then_some(parsed)
    }

    /// Sequence number of the first record of the batch: when this record was
    /// written, all before that one were durable.
    pub(super) fn batch(&self) -> u64 {
        self.sequence.saturating_sub(u64::from(self.place))
    }

    /// Length of the whole record in octets.
    pub(super) fn record_length(&self) -> u64 {
        record_length(u64::from(self.length))
    }
}

/// Length of a record with a payload of this length.
pub(super) fn record_length(payload: u64) -> u64 {
    (HEADER as u64 + payload).next_multiple_of(ALIGNMENT)
}

/// The front of a payload: all but octets of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    Commit {
        /// Epoch of the oldest segment that is still needed.
        tail: u64,
        /// No message so far has this id or a higher one.
        next: MessageId,
        /// Records of the batch behind this one.
        records: u32,
    },
    Message {
        id: MessageId,
        recipients: u32,
        /// Length of the envelope, which follows.
        envelope: u32,
        content: ContentLength,
    },
    Outcome {
        id: MessageId,
        recipient: u32,
        progress: Progress,
    },
}

/// Where the content of a message is, and its length in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentLength {
    /// Behind the envelope.
    Here(u32),
    /// In a file of its own.
    Large(u64),
}

impl Prefix {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Commit { .. } => Kind::Commit,
            Self::Message { .. } => Kind::Message,
            Self::Outcome { .. } => Kind::Outcome,
        }
    }

    /// Appends the octets to a buffer.
    pub(super) fn print(&self, buffer: &mut Vec<u8>) {
        match *self {
            Self::Commit {
                tail,
                next,
                records,
            } => {
                buffer.extend(tail.to_le_bytes());
                buffer.extend(next.0.to_le_bytes());
                buffer.extend(u64::from(records).to_le_bytes());
            }
            Self::Message {
                id,
                recipients,
                envelope,
                content,
            } => {
                buffer.extend(id.0.to_le_bytes());
                buffer.extend(recipients.to_le_bytes());
                buffer.extend(envelope.to_le_bytes());
                let (place, length) = match content {
                    ContentLength::Here(length) => (0_u64, u64::from(length)),
                    ContentLength::Large(length) => (1, length),
                };
                buffer.extend(place.to_le_bytes());
                buffer.extend(length.to_le_bytes());
            }
            Self::Outcome {
                id,
                recipient,
                progress,
            } => {
                buffer.extend(id.0.to_le_bytes());
                buffer.extend(recipient.to_le_bytes());
                let settled = u32::from(progress == Progress::Settled);
                buffer.extend(settled.to_le_bytes());
            }
        }
    }

    /// Reads the front of a payload of this kind and length, whose first octets
    /// (at least [`PREFIX`], or all) are given.
    pub(super) fn parse(kind: Kind, length: u32, octets: &[u8]) -> Option<Self> {
        let mut reader = Reader(octets);
        match kind {
            Kind::Commit => Some(Self::Commit {
                tail: reader.counted()?,
                next: MessageId(reader.counted()?),
                records: reader.u64()?.try_into().ok()?,
            }),
            Kind::Message => {
                let (id, recipients) = (MessageId(reader.counted()?), reader.u32()?);
                if !(1..=MOST_RECIPIENTS).contains(&recipients) {
                    return None;
                }
                let envelope = reader.u32()?;
                let content = match (reader.u64()?, reader.u64()?) {
                    (0, length) => ContentLength::Here(length.try_into().ok()?),
                    (1, length) if length < COUNTED => ContentLength::Large(length),
                    _ => return None,
                };
                let here = match content {
                    ContentLength::Here(length) => u64::from(length),
                    ContentLength::Large(_) => 0,
                };
                let due = PREFIX as u64 + u64::from(envelope) + here;
                (due == u64::from(length)).then_some(Self::Message {
                    id,
                    recipients,
                    envelope,
                    content,
                })
            }
            Kind::Outcome => Some(Self::Outcome {
                id: MessageId(reader.counted()?),
                recipient: reader.u32()?,
                progress: match reader.u32()? {
                    0 => Progress::Waiting,
                    1 => Progress::Settled,
                    _ => return None,
                },
            }),
        }
    }

    /// Length in octets.
    pub(super) fn length(&self) -> usize {
        match self {
            Self::Commit { .. } => COMMIT_PREFIX,
            Self::Message { .. } => PREFIX,
            Self::Outcome { .. } => OUTCOME_PREFIX,
        }
    }
}

/// Fills an array from the front.
pub(super) struct Writer<const N: usize> {
    pub(super) octets: [u8; N],
    length: usize,
}

impl<const N: usize> Default for Writer<N> {
    fn default() -> Self {
        Self {
            octets: [0; N],
            length: 0,
        }
    }
}

impl<const N: usize> Writer<N> {
    /// Adds octets, for which there is room by the layout.
    pub(super) fn put(&mut self, octets: &[u8]) {
        let end = self.length + octets.len();
        debug_assert!(end <= N, "the layout is longer than its array");
        if let Some(room) = self.octets.get_mut(self.length..end) {
            room.copy_from_slice(octets);
            self.length = end;
        }
    }

    pub(super) fn written(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

/// Reads numbers from the front of a slice.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// A number that is counted up: an epoch, a sequence number, an id.
    pub(super) fn counted(&mut self) -> Option<u64> {
        self.u64().filter(|&number| number < COUNTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> impl Strategy<Value = Header> {
        let kind = prop::sample::select(vec![Kind::Commit, Kind::Message, Kind::Outcome]);
        let rest = (
            0..COUNTED,
            0..COUNTED,
            any::<u32>(),
            any::<u32>(),
            any::<u64>(),
        );
        (kind, rest).prop_map(|(kind, rest)| Header {
            kind,
            epoch: rest.0,
            sequence: rest.1,
            place: rest.2,
            length: rest.3,
            sum: rest.4,
        })
    }

    fn prefix() -> impl Strategy<Value = Prefix> {
        let id = (0..COUNTED).prop_map(MessageId);
        let content = prop_oneof![
            (0..1_u32 << 20).prop_map(ContentLength::Here),
            (0..COUNTED).prop_map(ContentLength::Large),
        ];
        let progress = prop::sample::select(vec![Progress::Waiting, Progress::Settled]);
        prop_oneof![
            (0..COUNTED, id.clone(), any::<u32>()).prop_map(|(tail, next, records)| {
                Prefix::Commit {
                    tail,
                    next,
                    records,
                }
            }),
            (id.clone(), 1..=MOST_RECIPIENTS, 0..1_u32 << 20, content).prop_map(
                |(id, recipients, envelope, content)| Prefix::Message {
                    id,
                    recipients,
                    envelope,
                    content
                }
            ),
            (id, any::<u32>(), progress).prop_map(|(id, recipient, progress)| Prefix::Outcome {
                id,
                recipient,
                progress
            }),
        ]
    }

    fn payload_length(prefix: &Prefix) -> u32 {
        let rest = match prefix {
            Prefix::Message {
                envelope, content, ..
            } => {
                envelope
                    + match content {
                        ContentLength::Here(length) => *length,
                        ContentLength::Large(_) => 0,
                    }
            }
            _ => 0,
        };
        u32::try_from(prefix.length()).unwrap() + rest
    }

    proptest! {
        #[test]
        fn headers_are_read_as_written(header in header(), key: u64) {
            let octets = header.print(key);
            prop_assert_eq!(Header::parse(&octets, key), Some(header));
            prop_assert_eq!(Header::parse(&octets, key ^ 1), None);
            prop_assert_eq!(Header::parse(&octets[..HEADER - 1], key), None);
        }

        #[test]
        fn a_header_with_a_changed_octet_is_none(header in header(), at in 0..HEADER, by in 1..=255_u8) {
            let mut octets = header.print(7);
            octets[at] ^= by;
            prop_assert_eq!(Header::parse(&octets, 7), None);
        }

        #[test]
        fn prefixes_are_read_as_written(prefix in prefix()) {
            let mut octets = Vec::new();
            prefix.print(&mut octets);
            prop_assert_eq!(octets.len(), prefix.length());
            let length = payload_length(&prefix);
            prop_assert_eq!(Prefix::parse(prefix.kind(), length, &octets), Some(prefix));
            let short = &octets[..octets.len() - 1];
            prop_assert_eq!(Prefix::parse(prefix.kind(), length, short), None);
        }

        #[test]
        fn noise_is_no_record(octets: Vec<u8>, length: u32, key: u64) {
            prop_assert_eq!(Header::parse(&octets, key), None);
            for kind in [Kind::Commit, Kind::Message, Kind::Outcome] {
                if let Some(prefix) = Prefix::parse(kind, length, &octets) {
                    prop_assert!(prefix.length() <= octets.len());
                }
            }
        }
    }

    #[test]
    fn a_message_whose_parts_do_not_fill_its_payload_is_none() {
        let prefix = Prefix::Message {
            id: MessageId(1),
            recipients: 1,
            envelope: 10,
            content: ContentLength::Here(20),
        };
        let mut octets = Vec::new();
        prefix.print(&mut octets);
        assert_eq!(Prefix::parse(Kind::Message, 62, &octets), Some(prefix));
        assert_eq!(Prefix::parse(Kind::Message, 61, &octets), None);
        assert_eq!(Prefix::parse(Kind::Message, 63, &octets), None);
    }

    #[test]
    fn the_layout_does_not_change_unnoticed() {
        let header = Header {
            kind: Kind::Outcome,
            epoch: 2,
            sequence: 3,
            place: 1,
            length: 16,
            sum: 5,
        };
        let octets = header.print(0);
        let shown: String = octets.map(|octet| format!("{octet:02x}")).concat();
        let (fields, sum) = shown.split_at(80);
        assert_eq!(
            fields,
            "434a723103000000020000000000000003000000000000000100000010000000\
             0500000000000000"
        );
        assert_eq!(sum.len(), 16);
        assert_eq!((header.batch(), header.record_length()), (2, 64));
    }
}
