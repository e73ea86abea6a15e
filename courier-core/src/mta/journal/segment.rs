//! Segments: files of fixed length, used one after the other and then again.
//!
//! The first block of a segment holds its header, twice, so that one bad sector
//! does not hide all its records. Numbers are little-endian.
//!
//! | at | octets | |
//! | --- | --- | --- |
//! | 0 | 8 | `COURIERj` |
//! | 8 | 4 | version, 1 |
//! | 12 | 4 | zero |
//! | 16 | 8 | epoch: counts the uses of all segments, from 1 |
//! | 24 | 8 | key of the checksums of its records' headers |
//! | 32 | 8 | sequence number of its first record; no record of an earlier epoch with this number or a higher one counts |
//! | 40 | 8 | epoch of the segment before it in the log, or 0 |
//! | 48 | 8 | epoch of the oldest segment that was still needed |
//! | 56 | 8 | no message so far had this id or a higher one |
//! | 64 | 8 | length of the segment |
//! | 72 | 48 | zero |
//! | 120 | 8 | checksum of the header so far |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::MessageId;
use super::checksum::Checksum;
use super::record::{Reader, Writer};

/// Batches begin at multiples of this, so that no block that was synced is ever
/// written again: a write that is torn in a block cannot hurt what stood there.
pub(super) const BLOCK: u64 = 4096;

const COPY: usize = 128;
const SECOND_COPY: usize = 2048;
const MAGIC: [u8; 8] = *b"COURIERj";
const VERSION: u32 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) epoch: u64,
    pub(super) key: u64,
    pub(super) first: u64,
    pub(super) previous: u64,
    pub(super) tail: u64,
    pub(super) next: MessageId,
    pub(super) length: u64,
}

/// What the first block of a segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstBlock {
    Header(SegmentHeader),
    /// The segment was never used, or its first use was cut off by a crash.
    Unused,
    /// Both copies of the header are damaged.
    Damaged,
    /// A later version wrote this.
    Version(u32),
}

impl SegmentHeader {
    /// The whole first block.
    pub(super) fn print(&self) -> Vec<u8> {
        let mut writer = Writer::<COPY>::default();
        writer.put(&MAGIC);
        writer.put(&VERSION.to_le_bytes());
        writer.put(&[0; 4]);
        for number in [
            self.epoch,
            self.key,
            self.first,
            self.previous,
            self.tail,
            self.next.0,
            self.length,
        ] {
            writer.put(&number.to_le_bytes());
        }
        writer.put(&[0; 48]);
        let sum = Checksum::of(0, writer.written());
        writer.put(&sum.to_le_bytes());
        let mut block = Vec::new();
        block.extend(writer.octets);
        block.resize(SECOND_COPY, 0);
        block.extend(writer.octets);
        block.resize(usize::try_from(BLOCK).unwrap_or(SECOND_COPY + COPY), 0);
        block
    }
}

impl FirstBlock {
    /// Reads the first block of a segment, or what there is of it.
    pub(super) fn parse(block: &[u8]) -> Self {
        let copy = |at: usize| block.get(at..).and_then(<[u8]>::first_chunk::<COPY>);
        let copies = [copy(0), copy(SECOND_COPY)];
        // A crash may leave one copy of the new header and one of the old.
        let newest = copies
            .iter()
            .flatten()
            .filter_map(|copy| parse_copy(copy))
            .max_by_key(|first| match first {
                Self::Header(header) => header.epoch,
                _ => u64::MAX,
            });
        let is_zero = |copy: &Option<&[u8; COPY]>| {
            copy.is_none_or(|copy| copy.iter().all(|&octet| octet == 0))
        };
        match newest {
            Some(first) => first,
            None if copies.iter().any(is_zero) => Self::Unused,
            None => Self::Damaged,
        }
    }
}

fn parse_copy(copy: &[u8; COPY]) -> Option<FirstBlock> {
    let mut reader = Reader(copy);
    if reader.take::<8>()? != MAGIC {
        return None;
    }
    let covered = copy.get(..COPY - 8)?;
    let sum = copy.last_chunk::<8>()?;
    if u64::from_le_bytes(*sum) != Checksum::of(0, covered) {
        return None;
    }
    let version = reader.u32()?;
    if version != VERSION {
        return Some(FirstBlock::Version(version));
    }
    reader.u32()?;
    Some(FirstBlock::Header(SegmentHeader {
        epoch: reader.counted()?,
        key: reader.u64()?,
        first: reader.counted()?,
        previous: reader.counted()?,
        tail: reader.counted()?,
        next: MessageId(reader.counted()?),
        length: reader.u64()?,
    }))
}

/// A file of the journal.
#[derive(Debug)]
pub(super) struct Segment {
    /// Its name. Whoever reads from it on behalf of the host holds a copy, and as
    /// long as there is one the segment is not used again.
    pub(super) path: Arc<Path>,
    pub(super) length: u64,
    /// Key of its records' headers, once it is in the log.
    pub(super) key: u64,
    /// Messages in it that wait, and damages in it that are not set aside.
    pub(super) needed: u32,
    pub(super) health: Health,
}

/// Whether a segment may be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Sound,
    /// A write or a sync of it failed, or its length is not what it should be.
    Closed,
}

impl Segment {
    pub(super) fn new(path: &Path, length: u64) -> Self {
        Self {
            path: path.into(),
            length,
            key: 0,
            needed: 0,
            health: Health::Sound,
        }
    }
}

/// The segments of a journal.
#[derive(Debug, Default)]
pub(super) struct Segments {
    /// The log, by epoch.
    pub(super) log: BTreeMap<u64, Segment>,
    /// No longer needed, but the disk does not say so yet or somebody still reads.
    pub(super) retired: Vec<(u64, Segment)>,
    /// Ready to be used.
    pub(super) free: Vec<Segment>,
    /// Files to be removed.
    pub(super) discarded: Vec<Arc<Path>>,
    /// The highest number that a file has.
    pub(super) last_number: u32,
}

impl Segments {
    /// Takes segments that are not needed off the old end of the log; never the
    /// active one.
    pub(super) fn retire(&mut self, active: Option<u64>) {
        while let Some(entry) = self.log.first_entry()
            && entry.get().needed == 0
            && active != Some(*entry.key())
        {
            self.retired.push(entry.remove_entry());
        }
    }

    /// Epoch of the oldest segment that is needed.
    pub(super) fn tail(&self) -> Option<u64> {
        self.log.keys().next().copied()
    }

    /// Makes those retired segments ready that the durable log no longer counts and
    /// nobody reads.
    pub(super) fn reclaim(&mut self, durable_tail: u64) {
        let retired = std::mem::take(&mut self.retired);
        for (epoch, segment) in retired {
            if epoch >= durable_tail || Arc::strong_count(&segment.path) > 1 {
                self.retired.push((epoch, segment));
            } else if segment.health == Health::Closed {
                self.discarded.push(segment.path);
            } else {
                self.free.push(segment);
            }
        }
    }

    /// The shortest free segment, which is least worth keeping.
    pub(super) fn take_shortest(&mut self) -> Option<Segment> {
        let lengths = self.free.iter().map(|segment| segment.length);
        let (at, _) = lengths.enumerate().min_by_key(|&(_, length)| length)?;
        Some(self.free.swap_remove(at))
    }

    /// A name that no file has.
    pub(super) fn fresh_path(&mut self, directory: &Path) -> PathBuf {
        self.last_number += 1;
        directory.join(format!("{:08}", self.last_number))
    }

    /// One more, or one fewer, reason to keep a segment of the log.
    pub(super) fn need(&mut self, epoch: u64, change: i32) {
        if let Some(segment) = self.log.get_mut(&epoch) {
            segment.needed = segment.needed.saturating_add_signed(change);
        }
    }

    pub(super) fn path(&self, epoch: u64) -> Option<&Arc<Path>> {
        self.log.get(&epoch).map(|segment| &segment.path)
    }
}

/// The number in a segment's file name; `None` for other files.
pub(super) fn number(name: &[u8]) -> Option<u32> {
    if name.len() != 8 || !name.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(name).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::record::COUNTED;
    use super::*;
    use proptest::prelude::*;

    fn header(epoch: u64) -> SegmentHeader {
        SegmentHeader {
            epoch,
            key: 2,
            first: 3,
            previous: 4,
            tail: 5,
            next: MessageId(6),
            length: 7,
        }
    }

    proptest! {
        #[test]
        fn headers_are_read_as_written(numbers: [u64; 7]) {
            let [epoch, key, first, previous, tail, next, length] = numbers;
            let [epoch, first, previous, tail, next] = [epoch, first, previous, tail, next].map(|number| number % COUNTED);
            let next = MessageId(next);
            let header = SegmentHeader { epoch, key, first, previous, tail, next, length };
            let block = header.print();
            prop_assert_eq!(block.len() as u64, BLOCK);
            prop_assert_eq!(FirstBlock::parse(&block), FirstBlock::Header(header));
        }

        #[test]
        fn one_changed_octet_hides_nothing(at in 0..4096_usize, by in 1..=255_u8) {
            let mut block = header(1).print();
            block[at] ^= by;
            prop_assert_eq!(FirstBlock::parse(&block), FirstBlock::Header(header(1)));
        }

        #[test]
        fn noise_is_never_a_header(block in prop::collection::vec(any::<u8>(), 0..4096)) {
            let parsed = FirstBlock::parse(&block);
            prop_assert!(matches!(parsed, FirstBlock::Unused | FirstBlock::Damaged));
        }
    }

    #[test]
    fn a_torn_header_is_the_new_one_or_the_old() {
        let (old, new) = (header(1).print(), header(2).print());
        for cut in 0..=old.len() {
            let head = [&new[..cut], &old[cut..]].concat();
            let tail = [&old[..cut], &new[cut..]].concat();
            for block in [head, tail] {
                let parsed = FirstBlock::parse(&block);
                assert!(matches!(parsed, FirstBlock::Header(_)), "{cut}: {parsed:?}");
            }
            let first_use = [&new[..cut], &vec![0; old.len() - cut]].concat();
            let parsed = FirstBlock::parse(&first_use);
            assert_ne!(parsed, FirstBlock::Damaged, "{cut}");
        }
    }

    #[test]
    fn a_later_version_is_told_apart_from_damage() {
        let mut block = header(1).print();
        for at in [0, SECOND_COPY] {
            block[at + 8] = 9;
            let sum = Checksum::of(0, &block[at..at + COPY - 8]);
            block[at + COPY - 8..at + COPY].copy_from_slice(&sum.to_le_bytes());
        }
        assert_eq!(FirstBlock::parse(&block), FirstBlock::Version(9));
    }

    #[test]
    fn only_eight_digits_name_a_segment() {
        assert_eq!(number(b"00000012"), Some(12));
        for name in [
            "0000012",
            "000000012",
            "0000001x",
            "+0000012",
            "",
            "lost+fou",
        ] {
            assert_eq!(number(name.as_bytes()), None, "{name}");
        }
    }
}
