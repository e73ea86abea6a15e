//! What the journal does when it has time: removes and makes files, and copies
//! forward what waits for long.

use std::sync::Arc;

use super::append::Results;
use super::checksum::Checksum;
use super::gather::Record;
use super::live::Message;
use super::plan::Unit;
use super::record::{ContentLength, HEADER, Header, PREFIX, Prefix};
use super::{AppendError, Damage, DamageKind, Journal, MessageId};
use crate::disk::{Disk, DiskError, DiskErrorKind, Octets, Op, Reply};

/// Free segments that are made ahead: one for outcomes, one for new mail.
const READY: usize = 2;
/// The log may have so many segments before anything is moved.
const LOG_AT_EASE: usize = 4;
/// Octets and messages that are moved in one step.
const STEP_OCTETS: u64 = 1 << 20;
const STEP_MESSAGES: usize = 256;

/// What [`Journal::maintain`] did and found.
#[derive(Debug)]
pub struct Maintenance {
    /// Whether there is more to do.
    pub pace: Pace,
    /// Damage that was found or set aside.
    pub damage: Vec<Damage>,
    /// What failed; it is tried again the next time.
    pub error: Option<DiskError>,
}

/// When to call again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As soon as what is ready has been appended.
    Soon,
    /// When something has been appended.
    Later,
}

impl Journal {
    /// Looks after the files of the journal; the writer calls it whenever it has
    /// nothing to append, and after some batches in any case. One call does a small
    /// step of the work, about a mebibyte, so that new mail does not wait for long.
    pub async fn maintain(&mut self, disk: &Disk) -> Maintenance {
        let mut maintenance = Maintenance {
            pace: Pace::Later,
            damage: Vec::new(),
            error: None,
        };
        self.remove_finished(disk).await;
        self.save_damages(disk, &mut maintenance).await;
        let active = self.active.as_ref().map(|active| active.epoch);
        self.segments.retire(active);
        self.segments.reclaim(self.durable_tail);
        let kept = self.options.spare.max(READY);
        while self.segments.free.len() > kept {
            let surplus = self.segments.take_shortest();
            self.segments
                .discarded
                .extend(surplus.map(|segment| segment.path));
        }
        self.remove_discarded(disk).await;
        if self.segments.free.len() < READY
            && let Err(error) = self.note_tail(disk).await
        {
            maintenance.error = Some(error);
        }
        if self.segments.free.len() < READY {
            match self.allocate(disk).await {
                Ok(segment) => self.segments.free.push(segment),
                Err(error) => maintenance.error = Some(error),
            }
        }
        let short = self.segments.free.len() < READY;
        if self.is_sparse() {
            self.move_forward(disk, &mut maintenance).await;
        }
        if maintenance.error.is_none() && (short || self.is_sparse()) {
            maintenance.pace = Pace::Soon;
        }
        maintenance
    }

    /// Whether more than half of the log is settled messages.
    fn is_sparse(&self) -> bool {
        let lengths = self.segments.log.values().map(|segment| segment.length);
        let ease = 2 * self.waiting + 2 * self.options.segment;
        self.segments.log.len() >= LOG_AT_EASE && lengths.sum::<u64>() > ease
    }

    /// Removes the files of large messages that are settled and that nobody reads.
    async fn remove_finished(&mut self, disk: &Disk) {
        let finished = std::mem::take(&mut self.finished);
        let (done, read) = finished
            .into_iter()
            .partition::<Vec<_>, _>(|path| Arc::strong_count(path) == 1);
        self.finished = read;
        let ops = done.iter().map(|path| Op::Unlink(path.to_path_buf()));
        let outcomes = disk.run(ops.collect()).await;
        for (path, outcome) in done.into_iter().zip(outcomes) {
            if outcome.is_err_and(|error| error.kind != DiskErrorKind::NotFound) {
                self.finished.push(path);
            }
        }
    }

    /// Copies some messages out of the oldest segment to the end of the log.
    async fn move_forward(&mut self, disk: &Disk, maintenance: &mut Maintenance) {
        let Some(oldest) = self.segments.tail() else {
            return;
        };
        let mut octets = 0;
        let there = self
            .live
            .iter()
            .filter(|(_, message)| message.segment == oldest);
        let moved: Vec<(MessageId, Message)> = there
            .take_while(|(_, message)| {
                let fits = octets == 0 || octets + message.record_length() <= STEP_OCTETS;
                octets += message.record_length();
                fits
            })
            .take(STEP_MESSAGES)
            .map(|(&id, message)| (id, message.clone()))
            .collect();
        let mut units = Vec::with_capacity(moved.len());
        for (id, message) in moved {
            match self.read_unit(disk, id, &message).await {
                Ok(Some(unit)) => units.push(unit),
                Ok(None) => self.lose(disk, id, maintenance).await,
                Err(error) => maintenance.error = Some(error),
            }
        }
        let mut results = Results::new(1);
        self.commit(disk, units, &mut results).await;
        if let Some(AppendError::Disk(error)) = results.error() {
            maintenance.error = Some(error);
        }
    }

    /// A message with its outcomes as records; `None` if its record is damaged.
    async fn read_unit(
        &self,
        disk: &Disk,
        id: MessageId,
        message: &Message,
    ) -> Result<Option<Unit>, DiskError> {
        let mut reads =
            vec![self.read(message.segment, message.offset, message.record_length())?];
        for outcome in &message.outcomes {
            let length = u64::from(outcome.length);
            reads.push(self.read(outcome.segment, outcome.offset, length)?);
        }
        let mut read = disk.run(reads).await.into_iter();
        let mut octets = || -> Result<Vec<u8>, DiskError> {
            match read.next() {
                Some(Ok(Reply::Octets(octets))) => Ok(octets),
                Some(Err(error)) => Err(error),
                _ => Err(self.unknown(id)),
            }
        };
        let record = octets()?;
        let Some((envelope, content)) = self.verify(message, &record) else {
            return Ok(None);
        };
        let mut records = vec![Record {
            entry: None,
            prefix: Prefix::Message {
                id,
                recipients: message.recipients,
                envelope: message.envelope,
                content: message.content,
            },
            octets: [envelope, content],
        }];
        for outcome in &message.outcomes {
            records.push(Record {
                entry: None,
                prefix: Prefix::Outcome {
                    id,
                    recipient: outcome.recipient,
                    progress: outcome.progress,
                },
                octets: [octets()?.into(), Octets::default()],
            });
        }
        Ok(Some(Unit { records }))
    }

    fn read(&self, epoch: u64, offset: u64, length: u64) -> Result<Op, DiskError> {
        let path = self.segments.path(epoch).ok_or_else(|| self.closed())?;
        Ok(Op::Read {
            path: path.to_path_buf(),
            range: offset..offset + length,
        })
    }

    /// Envelope and content of a message's record, if that is whole: a sum that is
    /// made anew must not hide what the disk has damaged.
    fn verify(&self, message: &Message, record: &[u8]) -> Option<(Octets, Octets)> {
        let key = self.segments.log.get(&message.segment)?.key;
        let header = Header::parse(record, key)?;
        let length = usize::try_from(header.length).ok()?;
        let payload = record.get(HEADER..)?.get(..length)?;
        if Checksum::of(0, payload) != header.sum {
            return None;
        }
        let envelope = usize::try_from(message.envelope).ok()?;
        let (envelope, content) = payload.get(PREFIX..)?.split_at_checked(envelope)?;
        let whole = match message.content {
            ContentLength::Here(length) => content.len() == usize::try_from(length).ok()?,
            ContentLength::Large(_) => content.is_empty(),
        };
        whole.then(|| (envelope.into(), content.into()))
    }

    /// A message's record was damaged since the start: it is reported and set aside.
    async fn lose(&mut self, disk: &Disk, id: MessageId, maintenance: &mut Maintenance) {
        let Some(message) = self.live.remove(&id) else {
            return;
        };
        let end = message.offset + message.record_length();
        let path = self.segments.path(message.segment);
        let mut damage = Damage {
            kind: DamageKind::Records,
            path: path.map_or_else(Default::default, |path| path.to_path_buf()),
            range: message.offset..end,
            saved: None,
        };
        match self.set_aside(disk, message.segment, &mut damage).await {
            Ok(_) => self.left_its_place(&message),
            Err(error) => {
                // The segment stays needed until the damage is saved.
                self.waiting = self.waiting.saturating_sub(message.record_length());
                self.unsaved.push((message.segment, damage.clone()));
                maintenance.error = Some(error);
            }
        }
        maintenance.damage.push(damage);
    }
}
