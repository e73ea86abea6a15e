//! Tests of the journal as a whole.

mod crash;
mod damage;
mod fault;
mod life;
mod noise;

use super::*;
use crate::disk::{self, Octets};
use crate::testing::MemDisk;

/// Short segments: three blocks of records between the first and the last.
const SHORT: u64 = 5 * 4096;

fn options() -> Options {
    Options {
        segment: SHORT,
        longest: 8192,
        spare: 2,
        key: 0x5eed,
        process: 42,
        patience: Millis::from_secs(30),
    }
}

fn try_open(disk: &mut MemDisk) -> Result<(Journal, Vec<Damage>), OpenError> {
    disk.run(disk::task(|disk| async move {
        Journal::open(&disk, "/spool".into(), options()).await
    }))
}

/// Opens a journal in which nothing is damaged.
fn open(disk: &mut MemDisk) -> Journal {
    let (journal, damage) = try_open(disk).unwrap();
    let shown: Vec<String> = damage.iter().map(ToString::to_string).collect();
    assert!(shown.is_empty(), "{shown:?}");
    journal
}

/// Opens the journal again, as after the end of the process.
fn reopen(disk: &mut MemDisk, journal: Journal) -> Journal {
    drop(journal);
    disk.release_locks();
    open(disk)
}

fn append(
    disk: &mut MemDisk,
    journal: &mut Journal,
    entries: Vec<Entry>,
) -> Vec<Result<Appended, AppendError>> {
    disk.run(disk::task(|disk| async move {
        journal.append(&disk, entries).await
    }))
}

fn maintain(disk: &mut MemDisk, journal: &mut Journal) -> Maintenance {
    disk.run(disk::task(
        |disk| async move { journal.maintain(&disk).await },
    ))
}

/// Maintains until there is nothing to do.
fn settle_down(disk: &mut MemDisk, journal: &mut Journal) {
    for _ in 0..1000 {
        let maintenance = maintain(disk, journal);
        assert!(maintenance.error.is_none(), "{maintenance:?}");
        if maintenance.pace == Pace::Later {
            return;
        }
    }
    panic!("maintenance does not come to an end");
}

fn envelope(disk: &mut MemDisk, journal: &Journal, id: MessageId) -> Vec<u8> {
    disk.run(disk::task(|disk| async move {
        journal.envelope(&disk, id).await
    }))
    .unwrap()
}

fn outcomes(disk: &mut MemDisk, journal: &Journal, id: MessageId) -> Vec<Recorded> {
    disk.run(disk::task(|disk| async move {
        journal.outcomes(&disk, id).await
    }))
    .unwrap()
}

fn content(disk: &MemDisk, journal: &Journal, id: MessageId) -> Vec<u8> {
    let location = journal.location(id).unwrap();
    let octets = disk.contents(location.path()).unwrap();
    let range = location.range();
    let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
    octets[range].to_vec()
}

/// A message that can be told from others by its envelope and content.
fn text(number: u32, length: usize) -> Vec<u8> {
    let line = format!("message {number}\n");
    line.bytes().cycle().take(length).collect()
}

fn mail(number: u32, length: usize, recipients: u32) -> Entry {
    let envelope = format!("envelope {number}").into_bytes();
    Entry::message(
        envelope,
        recipients,
        Content::Octets(text(number, length).into()),
    )
}

fn settled(id: MessageId, recipient: u32) -> Entry {
    let octets = format!("done {recipient}").into_bytes();
    Entry::outcome(id, recipient, Progress::Settled, octets)
}

fn id_of(result: &Result<Appended, AppendError>) -> MessageId {
    match result {
        Ok(Appended::Message { id, .. }) => *id,
        other => panic!("not accepted: {other:?}"),
    }
}

fn ids(journal: &Journal) -> Vec<u64> {
    journal.messages().map(|message| message.id().0).collect()
}

/// Accepts one message and says its id.
fn accept(disk: &mut MemDisk, journal: &mut Journal, number: u32, length: usize) -> MessageId {
    id_of(&append(disk, journal, vec![mail(number, length, 1)])[0])
}
