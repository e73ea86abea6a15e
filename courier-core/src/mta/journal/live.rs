//! What the journal keeps in memory of each message that waits: where it is and
//! which recipients are left; never its text.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::record::{ContentLength, HEADER, PREFIX, record_length};
use super::{MessageId, Progress};

/// Messages that wait for an outcome, by id.
pub(super) type Live = BTreeMap<MessageId, Message>;

#[derive(Debug, Clone)]
pub(super) struct Message {
    /// Epoch of the segment that holds its record.
    pub(super) segment: u64,
    /// Where the record begins.
    pub(super) offset: u64,
    /// Length of the envelope.
    pub(super) envelope: u32,
    pub(super) content: ContentLength,
    /// The file of a large message.
    pub(super) large: Option<Arc<Path>>,
    pub(super) recipients: u32,
    /// Recipients that are not settled.
    pub(super) left: u32,
    /// The last outcome of each recipient that has one, in their order.
    pub(super) outcomes: Vec<Outcome>,
}

/// Where the octets of an outcome are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) recipient: u32,
    pub(super) progress: Progress,
    /// Epoch of the segment.
    pub(super) segment: u64,
    /// Where the octets of the host begin.
    pub(super) offset: u64,
    pub(super) length: u32,
}

impl Message {
    /// Where the envelope begins.
    pub(super) fn envelope_offset(&self) -> u64 {
        self.offset + (HEADER + PREFIX) as u64
    }

    /// Length of its record.
    pub(super) fn record_length(&self) -> u64 {
        let here = match self.content {
            ContentLength::Here(length) => u64::from(length),
            ContentLength::Large(_) => 0,
        };
        record_length(PREFIX as u64 + u64::from(self.envelope) + here)
    }

    /// Where the content begins, if it is in the segment.
    pub(super) fn content_offset(&self) -> u64 {
        self.envelope_offset() + u64::from(self.envelope)
    }

    pub(super) fn outcome(&self, recipient: u32) -> Option<&Outcome> {
        let at = self
            .outcomes
            .binary_search_by_key(&recipient, |outcome| outcome.recipient);
        self.outcomes.get(at.ok()?)
    }

    pub(super) fn is_settled(&self, recipient: u32) -> bool {
        let outcome = self.outcome(recipient);
        outcome.is_some_and(|outcome| outcome.progress == Progress::Settled)
    }

    /// Takes an outcome in, in place of an earlier one. A recipient that is settled
    /// stays so, and one that the message does not have is passed over.
    pub(super) fn record(&mut self, outcome: Outcome) {
        if outcome.recipient >= self.recipients {
            return;
        }
        let found = self
            .outcomes
            .binary_search_by_key(&outcome.recipient, |outcome| outcome.recipient);
        let settled = match found {
            Ok(at) => match self.outcomes.get_mut(at) {
                Some(former) if former.progress == Progress::Waiting => {
                    *former = outcome;
                    outcome.progress == Progress::Settled
                }
                _ => false,
            },
            Err(at) => {
                self.outcomes.insert(at, outcome);
                outcome.progress == Progress::Settled
            }
        };
        self.left = self.left.saturating_sub(u32::from(settled));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_is_settled_once() {
        let mut message = Message {
            segment: 1,
            offset: 0,
            envelope: 0,
            content: ContentLength::Here(0),
            large: None,
            recipients: 3,
            left: 3,
            outcomes: Vec::new(),
        };
        let outcome = |recipient, progress, offset| Outcome {
            recipient,
            progress,
            segment: 1,
            offset,
            length: 0,
        };
        message.record(outcome(2, Progress::Waiting, 1));
        assert_eq!((message.left, message.is_settled(2)), (3, false));
        message.record(outcome(2, Progress::Settled, 2));
        message.record(outcome(0, Progress::Settled, 3));
        assert_eq!((message.left, message.is_settled(2)), (1, true));
        message.record(outcome(2, Progress::Waiting, 4));
        message.record(outcome(2, Progress::Settled, 5));
        message.record(outcome(3, Progress::Settled, 6));
        assert_eq!((message.left, message.outcomes.len()), (1, 2));
        assert_eq!(message.outcome(2).unwrap().offset, 2);
        assert_eq!(message.outcome(1), None);
    }
}
