//! Reading the log: which messages wait, and where it ends.
//!
//! A record counts if its checksums hold and its sequence number is the next one.
//! Where one does not, either the machine stopped in the midst of a batch – then the
//! log ends there, and nothing is lost that was acknowledged – or the disk damaged
//! what had been durable. The second is so if anything behind it was written when
//! it was durable: every record says where its batch began, and no batch is written
//! before the one before it is durable.

use std::ops::Range;
use std::path::Path;

use super::MessageId;
use super::checksum::Checksum;
use super::live::{Live, Message, Outcome};
use super::record::{ALIGNMENT, HEADER, Header, Kind, MAGIC, PREFIX, Prefix};
use super::segment::{BLOCK, SegmentHeader};
use crate::disk::{Disk, DiskError};

/// Octets that are read at once; more of a segment is never in memory.
const CHUNK: u64 = 1 << 20;

/// What the log says, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    pub(super) live: Live,
    /// The lowest id that was not given.
    pub(super) next: MessageId,
    /// The oldest epoch that counts, by the last batch.
    pub(super) tail: u64,
    /// Sequence number that the next record has.
    pub(super) sequence: u64,
    /// Damaged octets, by epoch.
    pub(super) losses: Vec<(u64, Range<u64>)>,
    /// Where the log ends in the segment that was read last.
    pub(super) end: u64,
    /// What a torn batch left behind the end: records that must never be believed.
    pub(super) torn: Range<u64>,
}

/// Epoch of the oldest segment that counts, by the last commit in the newest segment.
///
/// Also the commit of a torn batch is right about that: when it was written, all
/// before it was durable.
pub(super) async fn tail(
    disk: &Disk,
    path: &Path,
    header: &SegmentHeader,
    length: u64,
) -> Result<u64, DiskError> {
    let mut scan = Scan::new(disk, path, header, length, None);
    let mut tail = header.tail;
    let mut at = BLOCK;
    while let Some((found, record)) = scan.search(at).await? {
        if record.kind == Kind::Commit
            && let Some(Prefix::Commit { tail: later, .. }) = scan.prefix(found, &record).await?
        {
            tail = later;
        }
        at = found + record.record_length();
    }
    Ok(tail)
}

/// What a record does.
#[derive(Debug, Clone, Copy)]
struct Effect {
    epoch: u64,
    offset: u64,
    prefix: Prefix,
    length: u32,
}

/// A batch that is being read: it counts once it is whole.
#[derive(Debug)]
struct OpenBatch {
    start: u64,
    sequence: u64,
    /// Records that are still to come.
    left: u32,
    effects: Vec<Effect>,
}

impl Recovery {
    /// Reads a segment. `until` is the sequence number with which the next segment
    /// begins: what stands before it was durable, and nothing here from it on counts.
    pub(super) async fn read(
        &mut self,
        disk: &Disk,
        path: &Path,
        header: &SegmentHeader,
        length: u64,
        until: Option<u64>,
    ) -> Result<(), DiskError> {
        self.tail = header.tail;
        self.next = self.next.max(header.next);
        self.sequence = header.first;
        let mut scan = Scan::new(disk, path, header, length, until);
        let mut open: Option<OpenBatch> = None;
        let mut at = BLOCK;
        while until.is_none_or(|until| self.sequence < until) {
            let next = scan.next_record(at, self.sequence).await?;
            let next = next.filter(|(_, record)| until.is_none_or(|until| record.sequence < until));
            let Some((found, record)) = next else {
                if until.is_some() {
                    self.lose(&mut open, header.epoch, at..length);
                }
                break;
            };
            let end = found + record.record_length();
            if record.sequence > self.sequence {
                if !scan.was_durable(self.sequence, found).await? {
                    break;
                }
                self.lose(&mut open, header.epoch, at..found);
            }
            match scan.prefix(found, &record).await? {
                Some(prefix) => {
                    let effect = Effect {
                        epoch: header.epoch,
                        offset: found,
                        prefix,
                        length: record.length,
                    };
                    self.take(&mut open, effect, record.sequence);
                }
                None if scan.was_durable(record.sequence, found).await? => {
                    self.lose(&mut open, header.epoch, found..end);
                }
                None => break,
            }
            self.sequence = record.sequence + 1;
            at = end;
        }
        if let Some(until) = until {
            self.apply_all(&mut open);
            self.sequence = until;
        } else {
            self.end_log(open, at, scan.seen);
        }
        Ok(())
    }

    /// Octets that had been durable are damaged. What else there is of their batch
    /// counts.
    fn lose(&mut self, open: &mut Option<OpenBatch>, epoch: u64, range: Range<u64>) {
        self.losses.push((epoch, range));
        self.apply_all(open);
    }

    /// Takes a record in: at once, if the commit of its batch was lost.
    fn take(&mut self, open: &mut Option<OpenBatch>, effect: Effect, sequence: u64) {
        if let Prefix::Commit { records, .. } = effect.prefix {
            self.apply_all(open);
            *open = Some(OpenBatch {
                start: effect.offset,
                sequence,
                left: records,
                effects: vec![effect],
            });
        } else if let Some(batch) = open {
            batch.effects.push(effect);
            batch.left = batch.left.saturating_sub(1);
        } else {
            self.apply(effect);
        }
        if open.as_ref().is_some_and(|batch| batch.left == 0) {
            self.apply_all(open);
        }
    }

    /// The log ends at `at`, or where the batch begins that is not whole. Headers
    /// that belong to what is cut off were seen up to `seen`.
    fn end_log(&mut self, open: Option<OpenBatch>, at: u64, seen: u64) {
        let mut torn = at..seen;
        if let Some(batch) = open {
            self.sequence = batch.sequence;
            torn = batch.start..at.max(seen);
        }
        self.end = torn.start.next_multiple_of(BLOCK);
        self.torn = torn;
    }

    fn apply_all(&mut self, open: &mut Option<OpenBatch>) {
        for effect in open.take().into_iter().flat_map(|batch| batch.effects) {
            self.apply(effect);
        }
    }

    fn apply(&mut self, effect: Effect) {
        match effect.prefix {
            Prefix::Commit { tail, next, .. } => {
                self.tail = tail;
                self.next = self.next.max(next);
            }
            Prefix::Message {
                id,
                recipients,
                envelope,
                content,
            } => {
                self.next = self.next.max(MessageId(id.0.saturating_add(1)));
                // Of a message that was moved, this is the new place.
                let message = Message {
                    segment: effect.epoch,
                    offset: effect.offset,
                    envelope,
                    content,
                    large: None,
                    recipients,
                    left: recipients,
                    outcomes: Vec::new(),
                };
                self.live.insert(id, message);
            }
            Prefix::Outcome {
                id,
                recipient,
                progress,
            } => {
                let prefix = effect.prefix.length();
                let Some(message) = self.live.get_mut(&id) else {
                    return; // settled, and its record is gone
                };
                message.record(Outcome {
                    recipient,
                    progress,
                    segment: effect.epoch,
                    offset: effect.offset + (HEADER + prefix) as u64,
                    length: effect
                        .length
                        .saturating_sub(u32::try_from(prefix).unwrap_or(0)),
                });
                if message.left == 0 {
                    self.live.remove(&id);
                }
            }
        }
    }
}

/// Looks through one segment.
struct Scan<'a> {
    window: Window<'a>,
    header: &'a SegmentHeader,
    until: Option<u64>,
    /// The highest sequence number with which a batch that was seen begins; all
    /// before it was durable.
    proof: u64,
    /// How far has been looked ahead for proofs.
    proven_to: u64,
    /// Where the last record ends whose header was seen.
    seen: u64,
}

impl<'a> Scan<'a> {
    fn new(
        disk: &'a Disk,
        path: &'a Path,
        header: &'a SegmentHeader,
        length: u64,
        until: Option<u64>,
    ) -> Self {
        let window = Window {
            disk,
            path,
            length,
            start: 0,
            octets: Vec::new(),
        };
        Self {
            window,
            header,
            until,
            proof: 0,
            proven_to: 0,
            seen: 0,
        }
    }

    /// The next record at `at` or behind it, of this use of the segment and with
    /// this sequence number or a higher one; its payload is not looked at.
    async fn next_record(
        &mut self,
        at: u64,
        sequence: u64,
    ) -> Result<Option<(u64, Header)>, DiskError> {
        for place in [at, at.next_multiple_of(BLOCK)] {
            if let Some(header) = self.header_at(place).await?
                && header.sequence == sequence
            {
                return Ok(Some((place, header)));
            }
        }
        let mut at = at;
        while let Some((found, header)) = self.search(at).await? {
            if header.sequence >= sequence {
                return Ok(Some((found, header)));
            }
            at = found + ALIGNMENT;
        }
        Ok(None)
    }

    async fn header_at(&mut self, at: u64) -> Result<Option<Header>, DiskError> {
        let length = self.window.length;
        let octets = self.window.at(at, HEADER).await?;
        let header = parse(octets, self.header, at, length);
        let end = header.map_or(0, |header| at + header.record_length());
        self.seen = self.seen.max(end);
        Ok(header)
    }

    /// The next header of any record at `at` or behind it.
    async fn search(&mut self, at: u64) -> Result<Option<(u64, Header)>, DiskError> {
        let (segment, length) = (self.header, self.window.length);
        let mut at = at.next_multiple_of(ALIGNMENT);
        loop {
            let octets = self.window.at(at, HEADER).await?;
            if octets.len() < HEADER {
                return Ok(None);
            }
            for place in memchr::memmem::find_iter(octets, &MAGIC) {
                let candidate = octets.get(place..).unwrap_or_default();
                let found = at + place as u64;
                if found.is_multiple_of(ALIGNMENT)
                    && let Some(header) = parse(candidate, segment, found, length)
                {
                    self.seen = self.seen.max(found + header.record_length());
                    return Ok(Some((found, header)));
                }
            }
            // A header that begins in the last octets is looked at with what follows.
            let looked_at = (octets.len() + 1 - HEADER) as u64;
            at = (at + looked_at).next_multiple_of(ALIGNMENT);
        }
    }

    /// Whether the record with this number was durable once: whether anything at
    /// `from` or behind it was written after that.
    async fn was_durable(&mut self, sequence: u64, from: u64) -> Result<bool, DiskError> {
        if self.until.is_some_and(|until| until > sequence) {
            return Ok(true);
        }
        let mut at = from.max(self.proven_to);
        while self.proof <= sequence {
            let Some((found, header)) = self.search(at).await? else {
                self.proven_to = self.window.length;
                break;
            };
            self.proof = self.proof.max(header.batch());
            at = found + header.record_length();
            self.proven_to = at;
        }
        Ok(self.proof > sequence)
    }

    /// Reads a record's payload and gives its front, if the checksum holds.
    async fn prefix(&mut self, at: u64, record: &Header) -> Result<Option<Prefix>, DiskError> {
        let mut at = at + HEADER as u64;
        let end = at + u64::from(record.length);
        let mut sum = Checksum::new(0);
        let mut front = [0; PREFIX];
        let mut filled = 0;
        while at < end {
            let octets = self.window.at(at, 1).await?;
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX);
            let octets = octets.get(..wanted).unwrap_or(octets);
            if octets.is_empty() {
                return Ok(None);
            }
            sum.add(octets);
            for (slot, &octet) in front.iter_mut().skip(filled).zip(octets) {
                *slot = octet;
                filled += 1;
            }
            at += octets.len() as u64;
        }
        if sum.value() != record.sum {
            return Ok(None);
        }
        let front = front.get(..filled).unwrap_or_default();
        Ok(Prefix::parse(record.kind, record.length, front))
    }
}

/// Reads a header of this use of the segment, whose record ends within the file.
fn parse(octets: &[u8], segment: &SegmentHeader, at: u64, length: u64) -> Option<Header> {
    let header = Header::parse(octets, segment.key)?;
    let fits = at + header.record_length() <= length;
    (fits && header.epoch == segment.epoch).then_some(header)
}

/// A part of a file in memory, which moves on.
struct Window<'a> {
    disk: &'a Disk,
    path: &'a Path,
    length: u64,
    start: u64,
    octets: Vec<u8>,
}

impl Window<'_> {
    /// The octets from `offset` on, at least so many; fewer only at the file's end.
    async fn at(&mut self, offset: u64, wanted: usize) -> Result<&[u8], DiskError> {
        let there = self.start + self.octets.len() as u64;
        let end = (offset + wanted as u64).min(self.length);
        if offset < self.start || end > there {
            let range = offset..(offset + CHUNK).min(self.length).max(offset);
            self.octets = self.disk.read(self.path, range).await?;
            self.start = offset;
        }
        let skip = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        Ok(self.octets.get(skip..).unwrap_or_default())
    }
}
