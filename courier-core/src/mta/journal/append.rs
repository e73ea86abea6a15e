//! Appending: group commit.

use std::path::Path;
use std::sync::Arc;

use super::gather::{Batch, Frame, Record, batch, commit_length};
use super::live::{Message, Outcome};
use super::plan::Unit;
use super::record::{ContentLength, HEADER, Prefix};
use super::segment::{BLOCK, SegmentHeader};
use super::space::erase;
use super::{AppendError, Appended, Entry, Journal, MessageId};
use crate::disk::{Disk, DiskError, DiskErrorKind, Durability, Op};

/// Records of one batch; so what recovery must remember of it is bounded.
pub(super) const MOST_RECORDS: usize = 1 << 18;
/// The end of each segment is for a batch without records, which says that older
/// segments are not needed any more.
pub(super) const RESERVED: u64 = BLOCK;

/// The result of each entry, as it becomes known.
#[derive(Debug)]
pub(super) struct Results(Vec<Option<Result<Appended, AppendError>>>);

impl Results {
    pub(super) fn new(entries: usize) -> Self {
        Self(vec![None; entries])
    }

    fn set(&mut self, entry: Option<usize>, result: Result<Appended, AppendError>) {
        if let Some(slot) = entry.and_then(|entry| self.0.get_mut(entry)) {
            *slot = Some(result);
        }
    }

    pub(super) fn refuse(&mut self, unit: &Unit, error: &AppendError) {
        for record in &unit.records {
            self.set(record.entry, Err(error.clone()));
        }
    }

    /// The error of any entry.
    pub(super) fn error(self) -> Option<AppendError> {
        self.0.into_iter().flatten().find_map(Result::err)
    }
}

impl Journal {
    /// Makes entries durable: gathers them, writes them by one operation, with one
    /// sync, and gives the result of each. What is refused is not kept; so a batch
    /// may become durable in part, but for entries tied by [`Entry::with_next`].
    ///
    /// Only what [`Appended`] says is durable. If the write fails, it is tried once
    /// more in another segment; the first one is never written again.
    pub async fn append(
        &mut self,
        disk: &Disk,
        entries: Vec<Entry>,
    ) -> Vec<Result<Appended, AppendError>> {
        let mut results = Results::new(entries.len());
        let errors = self.check_large(disk, &entries).await;
        let units = self.plan(entries, errors, &mut results);
        self.commit(disk, units, &mut results).await;
        let unsaid = || Err(AppendError::Disk(self.closed()));
        let results = results.0.into_iter();
        results
            .map(|result| result.unwrap_or_else(unsaid))
            .collect()
    }

    /// Writes units, in as many batches as segments are needed.
    pub(super) async fn commit(&mut self, disk: &Disk, mut rest: Vec<Unit>, results: &mut Results) {
        while !rest.is_empty() {
            let fitting = self.fitting(&rest);
            if fitting == 0 {
                let new_mail = rest.iter().any(Unit::is_new_mail);
                if let Err(error) = self.take_segment(disk, new_mail).await {
                    // Outcomes may have the last segment; new mail may not.
                    let error = AppendError::Disk(error);
                    rest.retain(|unit| {
                        let refused = !new_mail || unit.is_new_mail();
                        if refused {
                            results.refuse(unit, &error);
                        }
                        !refused
                    });
                }
                continue;
            }
            let later = rest.split_off(fitting);
            match self.write_somewhere(disk, &rest).await {
                Ok(batch) => self.take_in(&rest, &batch, results),
                Err(error) => {
                    let error = AppendError::Disk(error);
                    rest.iter().for_each(|unit| results.refuse(unit, &error));
                }
            }
            rest = later;
        }
    }

    /// How many of the units fit in what is left of the active segment.
    fn fitting(&self, units: &[Unit]) -> usize {
        let Some(active) = &self.active else {
            return 0;
        };
        let begin = active.end.max(BLOCK) + commit_length();
        let mut room = active.length.saturating_sub(begin + RESERVED);
        let mut records = MOST_RECORDS;
        let fits = units.iter().take_while(|unit| {
            let left = room.checked_sub(unit.length());
            let more = records.checked_sub(unit.records.len());
            (room, records) = (left.unwrap_or(0), more.unwrap_or(0));
            left.is_some() && more.is_some()
        });
        fits.count()
    }

    /// Writes a batch in the active segment, or after a failure in another one.
    async fn write_somewhere(&mut self, disk: &Disk, units: &[Unit]) -> Result<Batch, DiskError> {
        let error = match self.write(disk, units).await {
            Ok(batch) => return Ok(batch),
            // The file was not even opened: nothing was written.
            Err(error) if error.kind == DiskErrorKind::TooManyFiles => return Err(error),
            Err(error) => error,
        };
        let place = self.active_place();
        self.close_active(disk).await;
        let new_mail = units.iter().any(Unit::is_new_mail);
        let taken = self.take_segment(disk, new_mail).await;
        if taken.is_ok() && self.fitting(units) == units.len() {
            match self.write(disk, units).await {
                Ok(batch) => return Ok(batch),
                Err(error) if error.kind == DiskErrorKind::TooManyFiles => {}
                Err(_) => self.close_active(disk).await,
            }
        }
        if let Some((path, offset)) = place {
            erase(disk, path, offset).await;
        }
        Err(error)
    }

    /// Makes it durable which segments are not needed any more, so that those can be
    /// used again, if there are any.
    pub(super) async fn note_tail(&mut self, disk: &Disk) -> Result<(), DiskError> {
        let tail = self.durable_tail;
        if self
            .segments
            .retired
            .iter()
            .any(|(epoch, _)| *epoch >= tail)
        {
            self.write_end(disk).await?;
            self.segments.reclaim(self.durable_tail);
        }
        Ok(())
    }

    /// Writes a batch without records, if there is room for it.
    pub(super) async fn write_end(&mut self, disk: &Disk) -> Result<(), DiskError> {
        let room = self
            .active
            .as_ref()
            .is_some_and(|active| active.end > 0 && active.end + commit_length() <= active.length);
        if !room {
            return Ok(());
        }
        match self.write(disk, &[]).await {
            Ok(_) => Ok(()),
            Err(error) => {
                if error.kind != DiskErrorKind::TooManyFiles {
                    self.close_active(disk).await;
                }
                Err(error)
            }
        }
    }

    /// Writes a batch at the end of the active segment and syncs it.
    async fn write(&mut self, disk: &Disk, units: &[Unit]) -> Result<Batch, DiskError> {
        let Some(active) = &self.active else {
            return Err(self.closed());
        };
        let fresh = active.fresh.as_ref().map(|segment| &segment.path);
        let path = fresh.or_else(|| self.segments.path(active.epoch));
        let path = path.ok_or_else(|| self.closed())?.to_path_buf();
        let (tail, next) = (
            self.segments.tail().unwrap_or(active.epoch),
            self.numbers.next(),
        );
        let header = SegmentHeader {
            epoch: active.epoch,
            key: active.key,
            first: self.next_sequence,
            previous: self.last_epoch,
            tail,
            next,
            length: active.length,
        };
        let frame = Frame {
            active,
            sequence: self.next_sequence,
            tail,
            next,
        };
        let first_block = (active.end == 0).then(|| header.print());
        let mut batch = batch(frame, first_block, units);
        disk.one(Op::WriteAt {
            path,
            offset: batch.offset,
            octets: std::mem::take(&mut batch.pieces),
            durability: Durability::Synced,
        })
        .await?;
        self.written(&batch, tail);
        Ok(batch)
    }

    /// A batch is durable.
    fn written(&mut self, batch: &Batch, tail: u64) {
        self.durable_tail = tail;
        self.next_sequence += batch.places.len() as u64 + 1;
        let Some(active) = &mut self.active else {
            return;
        };
        active.end = batch.offset + batch.length;
        self.last_epoch = active.epoch;
        if let Some(mut segment) = active.fresh.take() {
            segment.key = active.key;
            self.segments.log.insert(active.epoch, segment);
        }
    }

    /// Takes in what has become durable.
    fn take_in(&mut self, units: &[Unit], batch: &Batch, results: &mut Results) {
        let Some(segment) = self.active.as_ref().map(|active| active.epoch) else {
            return;
        };
        let records = units.iter().flat_map(|unit| &unit.records);
        for (record, &offset) in records.zip(&batch.places) {
            let result = self.take_in_record(record, segment, offset);
            results.set(record.entry, result);
        }
        self.segments.retire(Some(segment));
    }

    fn take_in_record(
        &mut self,
        record: &Record,
        segment: u64,
        offset: u64,
    ) -> Result<Appended, AppendError> {
        match record.prefix {
            Prefix::Commit { .. } => Err(AppendError::Disk(self.closed())),
            Prefix::Message {
                id,
                recipients,
                envelope,
                content,
            } => {
                let large = match content {
                    ContentLength::Here(_) => None,
                    ContentLength::Large(_) => Some(self.large_path(id)),
                };
                let message = Message {
                    segment,
                    offset,
                    envelope,
                    content,
                    large,
                    recipients,
                    left: recipients,
                    outcomes: Vec::new(),
                };
                let location = self.location_of(&message);
                self.segments.need(segment, 1);
                self.waiting += message.record_length();
                if let Some(former) = self.live.insert(id, message) {
                    self.left_its_place(&former); // it was moved
                }
                let location = location.ok_or_else(|| AppendError::Disk(self.closed()))?;
                Ok(Appended::Message { id, location })
            }
            Prefix::Outcome {
                id,
                recipient,
                progress,
            } => {
                let octets: usize = record.octets.iter().map(|octets| octets.len()).sum();
                let outcome = Outcome {
                    recipient,
                    progress,
                    segment,
                    offset: offset + (HEADER + record.prefix.length()) as u64,
                    length: u32::try_from(octets).unwrap_or(u32::MAX),
                };
                let left = self.live.get_mut(&id).map(|message| {
                    message.record(outcome);
                    message.left
                });
                if left == Some(0) {
                    self.settle(id);
                }
                Ok(Appended::Outcome {
                    left: left.unwrap_or(0),
                })
            }
        }
    }

    /// Every recipient of a message is settled.
    pub(super) fn settle(&mut self, id: MessageId) {
        if let Some(message) = self.live.remove(&id) {
            self.left_its_place(&message);
            self.finished.extend(message.large);
        }
    }

    /// The record of a message is no longer needed.
    pub(super) fn left_its_place(&mut self, message: &Message) {
        self.segments.need(message.segment, -1);
        self.waiting = self.waiting.saturating_sub(message.record_length());
    }

    pub(super) fn large_path(&self, id: MessageId) -> Arc<Path> {
        self.directories.big.join(id.to_string()).into()
    }

    /// The error of a journal without a segment to write in.
    pub(super) fn closed(&self) -> DiskError {
        DiskError {
            action: "write a segment in",
            path: self.directories.segments.clone(),
            kind: DiskErrorKind::Io,
        }
    }
}
