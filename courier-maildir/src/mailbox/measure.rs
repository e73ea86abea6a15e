//! Sizes that the names do not tell.

use courier_core::disk::{Disk, DiskError};

use super::locate::locate;
use super::snapshot::Snapshot;
use crate::measure::{self, Extent};
use crate::uid_list::Uid;

/// Measures messages whose sizes are not known, by reading them; then
/// [`Message::size`](super::Message::size) and
/// [`wire_size`](super::Message::wire_size) tell them. Those that are gone stay
/// unknown. For `FETCH RFC822.SIZE` of messages that other programs delivered.
///
/// # Errors
/// What the disk says.
pub async fn measure(disk: &Disk, snapshot: &mut Snapshot, uids: &[Uid]) -> Result<(), DiskError> {
    let unknown = |snapshot: &Snapshot, uid: Uid| {
        let message = snapshot.message(uid);
        message.is_some_and(|message| message.size().is_none() || message.wire_size().is_none())
    };
    for attempt in 0..2 {
        let wanted: Vec<Uid> = uids
            .iter()
            .copied()
            .filter(|&uid| unknown(snapshot, uid))
            .collect();
        if wanted.is_empty() {
            break;
        }
        if attempt > 0 {
            locate(disk, snapshot, &wanted).await?;
        }
        let files = wanted.iter().filter_map(|&uid| snapshot.message(uid));
        let files: Vec<_> = files
            .map(|message| (message.path(), Extent::Whole))
            .collect();
        let measures = measure::measure(disk, &files).await;
        for (uid, measure) in wanted.into_iter().zip(measures) {
            match measure {
                Ok(measure) => drop(snapshot.measured.insert(uid, measure.sizes())),
                Err(error) if crate::folder::is_missing(error.kind) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
