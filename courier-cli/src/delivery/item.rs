//! A message that is being delivered.

use courier_core::disk::Octets;
use courier_core::envelope::Envelope;
use courier_core::mta::journal::{Location, MessageId};
use courier_maildir::delivery::Attempt;

/// A message at hand, with the recipients that wait and their rounds.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: MessageId,
    pub(super) envelope: Envelope,
    pub(super) location: Location,
    pub(super) content: Option<Octets>,
    pub(super) attempt: Attempt,
    pub(super) recipients: Vec<(u32, u32)>,
}
