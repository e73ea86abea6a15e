//! One batch as the pieces of one gathered write.

use super::checksum::Checksum;
use super::plan::Unit;
use super::record::{Header, Prefix, record_length};
use super::segment::BLOCK;
use super::{Active, MessageId};
use crate::disk::Octets;

/// Octets below this length are copied together; longer ones are shared.
const SHARED_FROM: usize = 4096;

/// A record that is to be written.
#[derive(Debug)]
pub(super) struct Record {
    /// The entry that it carries out; `None` if the journal moves a message.
    pub(super) entry: Option<usize>,
    pub(super) prefix: Prefix,
    /// What follows the prefix: envelope or outcome, and content.
    pub(super) octets: [Octets; 2],
}

impl Record {
    pub(super) fn payload(&self) -> u64 {
        let [first, second] = &self.octets;
        (self.prefix.length() + first.len() + second.len()) as u64
    }

    /// Length of the whole record in octets.
    pub(super) fn length(&self) -> u64 {
        record_length(self.payload())
    }
}

/// Octets that a batch needs beyond its records: the record that begins it.
pub(super) fn commit_length() -> u64 {
    let commit = Prefix::Commit {
        tail: 0,
        next: MessageId(0),
        records: 0,
    };
    record_length(commit.length() as u64)
}

/// A batch, ready to be written.
#[derive(Debug)]
pub(super) struct Batch {
    /// Where it goes.
    pub(super) offset: u64,
    pub(super) pieces: Vec<Octets>,
    pub(super) length: u64,
    /// Where each record begins in the segment.
    pub(super) places: Vec<u64>,
}

/// What stands in the records that begin a segment and a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) active: &'a Active,
    pub(super) sequence: u64,
    pub(super) tail: u64,
    pub(super) next: MessageId,
}

/// Lays records out behind each other; they fit in the segment. `first_block` goes
/// before them if the segment is new.
pub(super) fn batch(frame: Frame<'_>, first_block: Option<Vec<u8>>, units: &[Unit]) -> Batch {
    let mut gather = Gather::default();
    if let Some(block) = first_block {
        gather.copy(&block);
    }
    let offset = frame.active.end;
    let records: usize = units.iter().map(|unit| unit.records.len()).sum();
    let begin = Record {
        entry: None,
        prefix: Prefix::Commit {
            tail: frame.tail,
            next: frame.next,
            records: u32::try_from(records).unwrap_or(u32::MAX),
        },
        octets: [Octets::default(), Octets::default()],
    };
    let mut places = Vec::new();
    gather.record(frame, 0, &begin);
    let records = units.iter().flat_map(|unit| &unit.records);
    for (place, record) in (1..).zip(records) {
        places.push(offset + gather.length);
        gather.record(frame, place, record);
    }
    gather.pad(BLOCK);
    gather.finish();
    Batch {
        offset,
        pieces: gather.pieces,
        length: gather.length,
        places,
    }
}

#[derive(Debug, Default)]
struct Gather {
    pieces: Vec<Octets>,
    /// Short octets that are not a piece yet.
    run: Vec<u8>,
    length: u64,
}

impl Gather {
    fn record(&mut self, frame: Frame<'_>, place: u32, record: &Record) {
        let mut prefix = Vec::with_capacity(record.prefix.length());
        record.prefix.print(&mut prefix);
        let mut sum = Checksum::new(0);
        sum.add(&prefix);
        for octets in &record.octets {
            sum.add(octets);
        }
        let header = Header {
            kind: record.prefix.kind(),
            epoch: frame.active.epoch,
            sequence: frame.sequence + u64::from(place),
            place,
            // A record fits in a segment, and segments are shorter than 4 GiB.
            length: u32::try_from(record.payload()).unwrap_or(u32::MAX),
            sum: sum.value(),
        };
        self.copy(&header.print(frame.active.key));
        self.copy(&prefix);
        for octets in &record.octets {
            self.share(octets);
        }
        self.pad(super::record::ALIGNMENT);
    }

    fn copy(&mut self, octets: &[u8]) {
        self.run.extend_from_slice(octets);
        self.length += octets.len() as u64;
    }

    fn share(&mut self, octets: &Octets) {
        if octets.len() < SHARED_FROM {
            self.copy(octets);
        } else {
            self.finish();
            self.pieces.push(Octets::clone(octets));
            self.length += octets.len() as u64;
        }
    }

    fn pad(&mut self, multiple: u64) {
        let padded = self.length.next_multiple_of(multiple);
        let missing = usize::try_from(padded - self.length).unwrap_or(0);
        self.run.resize(self.run.len() + missing, 0);
        self.length = padded;
    }

    fn finish(&mut self) {
        if !self.run.is_empty() {
            self.pieces.push(std::mem::take(&mut self.run).into());
        }
    }
}
