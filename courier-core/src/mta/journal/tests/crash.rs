//! Crashes at every place: what was acknowledged is there, what was settled stays
//! settled, no id is given twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::gather::commit_length;
use super::record::{PREFIX, record_length};
use super::segment::BLOCK;
use super::*;
use crate::disk::DiskTask;
use crate::testing::{Promises, crash_everywhere};

/// What the writer did, and what the journal said to it.
#[derive(Debug, Clone)]
enum Said {
    /// A message was handed over.
    Offered {
        number: u32,
        length: usize,
    },
    Accepted {
        number: u32,
        id: MessageId,
    },
    /// An outcome was handed over.
    Tried {
        id: MessageId,
        recipient: u32,
    },
    Settled {
        id: MessageId,
        recipient: u32,
    },
}

/// A message as the promises have it.
#[derive(Debug, Default)]
struct Due {
    number: u32,
    tried: BTreeSet<u32>,
    settled: BTreeSet<u32>,
}

/// Recipients of each message in these tests.
const RECIPIENTS: u32 = 2;

/// Opens the journal after a crash and holds it to what it said.
fn check(disk: &mut MemDisk, said: &[Said]) -> Journal {
    let mut journal = open(disk);
    check_opened(disk, &mut journal, said);
    journal
}

fn check_opened(disk: &mut MemDisk, journal: &mut Journal, said: &[Said]) {
    let mut offered: BTreeMap<u32, usize> = BTreeMap::new();
    let mut due: BTreeMap<MessageId, Due> = BTreeMap::new();
    for said in said {
        match *said {
            Said::Offered { number, length } => {
                offered.insert(number, length);
            }
            Said::Accepted { number, id } => {
                let former = due.insert(
                    id,
                    Due {
                        number,
                        ..Due::default()
                    },
                );
                assert!(former.is_none(), "{id} was given twice");
            }
            Said::Tried { id, recipient } => {
                due.get_mut(&id).unwrap().tried.insert(recipient);
            }
            Said::Settled { id, recipient } => {
                due.get_mut(&id).unwrap().settled.insert(recipient);
            }
        }
    }
    for (&id, due) in &due {
        match journal.message(id) {
            None => assert_eq!(due.tried.len(), 2, "message {id} is lost: {due:?}"),
            Some(message) => {
                let waiting: BTreeSet<u32> = message.waiting().collect();
                assert!(
                    waiting.is_disjoint(&due.settled),
                    "{id} waits for {waiting:?}: {due:?}"
                );
                let settled: BTreeSet<u32> =
                    (0..RECIPIENTS).filter(|r| !waiting.contains(r)).collect();
                assert!(
                    settled.is_subset(&due.tried),
                    "{id} forgets {settled:?}: {due:?}"
                );
                assert_eq!(
                    envelope(disk, journal, id),
                    format!("envelope {}", due.number).as_bytes()
                );
            }
        }
    }
    let live: Vec<MessageId> = journal.messages().map(|message| message.id()).collect();
    for &id in &live {
        // Also what was never acknowledged is whole, if it is there.
        let envelope = String::from_utf8(envelope(disk, journal, id)).unwrap();
        let number: u32 = envelope.strip_prefix("envelope ").unwrap().parse().unwrap();
        let length = offered.get(&number).copied().unwrap();
        assert_eq!(content(disk, journal, id), text(number, length));
    }
    let next = accept(disk, journal, 1_000_000, 10);
    assert!(
        !due.contains_key(&next) && !live.contains(&next),
        "{next} is given again"
    );
    let highest = due.keys().chain(&live).max();
    assert!(highest.is_none_or(|&highest| highest < next));
}

/// A writer that remembers what was said.
struct Writer {
    disk: Disk,
    journal: Journal,
    said: Promises<Said>,
    number: u32,
}

impl Writer {
    async fn open(disk: Disk, said: Promises<Said>) -> Self {
        let opened = Journal::open(&disk, "/spool".into(), options()).await;
        let (journal, damage) = opened.unwrap();
        assert_eq!(damage, []);
        Self {
            disk,
            journal,
            said,
            number: 0,
        }
    }

    /// Accepts messages of these lengths in one batch.
    async fn accept(&mut self, lengths: &[usize]) -> Vec<MessageId> {
        let mut batch = Vec::new();
        let first = self.number;
        for &length in lengths {
            let number = self.number;
            self.number += 1;
            self.said.make(Said::Offered { number, length });
            batch.push(mail(number, length, RECIPIENTS));
        }
        let results = self.journal.append(&self.disk, batch).await;
        let accepted = (first..).zip(&results).map(|(number, result)| {
            let id = id_of(result);
            self.said.make(Said::Accepted { number, id });
            id
        });
        accepted.collect()
    }

    async fn settle(&mut self, outcomes: &[(MessageId, u32)]) {
        let mut batch = Vec::new();
        for &(id, recipient) in outcomes {
            self.said.make(Said::Tried { id, recipient });
            batch.push(settled(id, recipient));
        }
        let results = self.journal.append(&self.disk, batch).await;
        for (&(id, recipient), result) in outcomes.iter().zip(results) {
            result.unwrap();
            self.said.make(Said::Settled { id, recipient });
        }
    }

    async fn maintain(&mut self) {
        loop {
            let maintenance = self.journal.maintain(&self.disk).await;
            assert!(maintenance.error.is_none());
            if maintenance.pace == Pace::Later {
                return;
            }
        }
    }
}

/// Prepares a task in which a writer does something.
fn writer<F>(
    said: Promises<Said>,
    work: impl FnOnce(Writer) -> F + Send + 'static,
) -> DiskTask<'static, ()>
where
    F: Future<Output = ()> + Send,
{
    disk::task(|disk| async move { work(Writer::open(disk, said).await).await })
}

fn everywhere<F>(work: impl Fn(Writer) -> F + Copy + Send + 'static)
where
    F: Future<Output = ()> + Send,
{
    let checks = AtomicUsize::new(0);
    let task = |said| writer(said, work);
    crash_everywhere(&MemDisk::new(), task, |disk, said| {
        checks.fetch_add(1, Ordering::Relaxed);
        check(disk, said);
    });
    assert!(checks.into_inner() > 50);
}

#[test]
fn the_first_start_and_the_first_message() {
    everywhere(|mut writer| async move {
        writer.accept(&[100]).await;
    });
}

#[test]
fn batches_of_messages() {
    everywhere(|mut writer| async move {
        writer.accept(&[100, 4500, 10]).await;
        writer.accept(&[3000]).await;
        writer.accept(&[1, 1, 1]).await;
    });
}

#[test]
fn a_change_of_the_segment() {
    everywhere(|mut writer| async move {
        writer.accept(&[5000, 200]).await;
        writer.accept(&[4000, 4000, 100, 6000]).await;
        writer.accept(&[50]).await;
    });
}

#[test]
fn batches_of_outcomes() {
    everywhere(|mut writer| async move {
        let ids = writer.accept(&[100, 200, 300]).await;
        writer
            .settle(&[(ids[0], 0), (ids[1], 1), (ids[2], 0)])
            .await;
        let more = writer.accept(&[400]).await;
        writer
            .settle(&[(ids[0], 1), (more[0], 0), (ids[2], 1)])
            .await;
        writer.settle(&[(more[0], 1)]).await;
    });
}

#[test]
fn freeing_and_using_segments_again() {
    everywhere(|mut writer| async move {
        for _ in 0..4 {
            let ids = writer.accept(&[5000, 100]).await;
            writer
                .settle(&[(ids[0], 0), (ids[0], 1), (ids[1], 0), (ids[1], 1)])
                .await;
            writer.maintain().await;
        }
    });
}

#[test]
fn copying_forward_what_waits() {
    everywhere(|mut writer| async move {
        let waits = writer.accept(&[1500]).await;
        writer.settle(&[(waits[0], 1)]).await;
        for _ in 0..5 {
            let ids = writer.accept(&[7500]).await;
            writer.settle(&[(ids[0], 0), (ids[0], 1)]).await;
            writer.maintain().await;
        }
        let place = writer.journal.message(waits[0]).unwrap().message.segment;
        assert!(place > 1, "it was moved");
    });
}

/// Messages, outcomes and moves as the state before another start.
fn used_spool() -> (MemDisk, Vec<Said>) {
    let mut disk = MemDisk::new();
    let said = Promises::new();
    disk.run(writer(said.clone(), |mut writer| async move {
        let waits = writer.accept(&[1500, 300]).await;
        writer.settle(&[(waits[0], 1)]).await;
        for _ in 0..4 {
            let ids = writer.accept(&[7500]).await;
            writer.settle(&[(ids[0], 0), (ids[0], 1)]).await;
            writer.maintain().await;
        }
        writer.accept(&[10, 3000]).await;
    }));
    disk.release_locks();
    (disk, said.made())
}

#[test]
fn crashes_while_recovering_from_a_crash() {
    // First a crash in a batch, then crashes in each start after each of its states.
    let mut first = Vec::new();
    let (start, before) = used_spool();
    let task = |said: Promises<Said>| {
        before.iter().for_each(|earlier| said.make(earlier.clone()));
        writer(said, |mut writer| async move {
            writer.number = 100;
            writer.accept(&[2000, 10]).await;
        })
    };
    crash_everywhere(&start, task, |disk, said| {
        if said.len() > before.len() {
            first.push((disk.clone(), said.to_vec()));
        }
    });
    assert!(first.len() > 10, "{}", first.len());
    for (disk, said) in first.iter().step_by(first.len() / 16 + 1) {
        let task = |again: Promises<Said>| {
            said.iter().for_each(|earlier| again.make(earlier.clone()));
            writer(again, |mut writer| async move {
                writer.number = 200;
                writer.accept(&[500]).await;
                writer.maintain().await;
            })
        };
        crash_everywhere(disk, task, |disk, said| {
            check(disk, said);
        });
    }
}

#[test]
fn what_one_start_does_not_find_no_later_one_finds() {
    let mut start = MemDisk::new();
    let mut journal = open(&mut start);
    accept(&mut start, &mut journal, 1_000_000, 10);
    drop(journal);
    start.release_locks();
    // The second record begins with a block, as a batch would.
    let first = BLOCK - commit_length() - record_length(PREFIX as u64 + 10);
    let lengths = [usize::try_from(first).unwrap(), 100];
    let task = |said| {
        writer(said, move |mut writer| async move {
            writer.accept(&lengths).await;
        })
    };
    let mut seen = BTreeSet::new();
    crash_everywhere(&start, task, |disk, _| {
        for stop in ["orderly", "killed"] {
            let mut disk = disk.clone();
            let mut journal = open(&mut disk);
            let found = ids(&journal);
            seen.insert(found.len());
            if stop == "orderly" {
                disk.run(disk::task(|disk| async move { journal.close(&disk).await }));
                journal = open(&mut disk);
                assert_eq!(ids(&journal), found);
            }
            let next = accept(&mut disk, &mut journal, 1_000_000, 10);
            journal = reopen(&mut disk, journal);
            assert_eq!(ids(&journal), [found.clone(), vec![next.0]].concat());
        }
    });
    assert_eq!(
        seen,
        BTreeSet::from([1, 3]),
        "a batch counts whole or not at all"
    );
}

#[test]
fn what_a_killed_process_wrote_is_synced_before_it_is_believed() {
    let task = || {
        writer(Promises::new(), |mut writer| async move {
            writer.accept(&[100]).await;
            writer.accept(&[200]).await;
        })
    };
    for steps in 0.. {
        let mut disk = MemDisk::new();
        let ended = disk.run_until(steps, task()).is_some();
        disk.release_locks();
        let mut journal = open(&mut disk);
        let found = ids(&journal);
        // Too long for the segment that was begun.
        let next = [
            accept(&mut disk, &mut journal, 7, 8000),
            accept(&mut disk, &mut journal, 8, 8000),
        ];
        let mut disk = disk.crash_losing_all();
        let journal = open(&mut disk);
        assert_eq!(
            ids(&journal),
            [found, next.map(|id| id.0).to_vec()].concat()
        );
        if ended {
            return;
        }
    }
}

#[test]
fn large_messages() {
    let task = |said: Promises<(MessageId, u8)>| {
        disk::task(|disk| async move {
            let mut writer = Writer::open(disk.clone(), Promises::new()).await;
            for octet in [b'a', b'b'] {
                let large = writer.journal.numbers().reserve();
                let (id, path) = (large.id(), large.path().to_path_buf());
                disk.create(&path, vec![octet; 9000], 0o600, disk::Durability::Synced)
                    .await
                    .unwrap();
                let content = Content::Large(large.of_length(9000));
                let entry = Entry::message(&b"big"[..], 1, content);
                writer
                    .journal
                    .append(&disk, vec![entry])
                    .await
                    .remove(0)
                    .unwrap();
                said.make((id, octet));
            }
        })
    };
    crash_everywhere(&MemDisk::new(), task, |disk, said| {
        let journal = open(disk);
        for &(id, octet) in said {
            assert_eq!(content(disk, &journal, id), [octet; 9000]);
        }
        let kept: Vec<String> = journal
            .messages()
            .map(|message| message.id().to_string())
            .collect();
        assert_eq!(disk.names("/spool/big"), kept);
    });
}

#[test]
fn large_messages_that_are_settled() {
    let task = |said: Promises<()>| {
        disk::task(|disk| async move {
            let mut writer = Writer::open(disk.clone(), Promises::new()).await;
            let large = writer.journal.numbers().reserve();
            let path = large.path().to_path_buf();
            let made = disk.create(&path, vec![7; 9000], 0o600, disk::Durability::Synced);
            made.await.unwrap();
            let content = Content::Large(large.of_length(9000));
            let entry = Entry::message(&b"big"[..], 1, content);
            let id = id_of(&writer.journal.append(&disk, vec![entry]).await[0]);
            let results = writer.journal.append(&disk, vec![settled(id, 0)]).await;
            assert!(results[0].is_ok());
            said.make(());
            writer.maintain().await;
        })
    };
    crash_everywhere(&MemDisk::new(), task, |disk, said| {
        let journal = open(disk);
        if !said.is_empty() {
            assert_eq!(ids(&journal), [0_u64; 0]);
            assert_eq!(disk.names("/spool/big"), [""; 0]);
        }
    });
}

#[test]
fn tied_entries_survive_together() {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    settle_down(&mut disk, &mut journal);
    let id = accept(&mut disk, &mut journal, 1, 100);
    drop(journal);
    disk.release_locks();
    let task = move |_: Promises<()>| {
        disk::task(move |disk| async move {
            let mut writer = Writer::open(disk.clone(), Promises::new()).await;
            let batch = vec![
                mail(2, 8000, 1),
                mail(3, 8000, 1).with_next(),
                mail(4, 10, 1).with_next(),
                settled(id, 0),
            ];
            writer.journal.append(&disk, batch).await;
        })
    };
    let mut seen = BTreeSet::new();
    crash_everywhere(&disk, task, |disk, _| {
        let journal = open(disk);
        let waits = journal.message(id).is_some();
        let others = journal
            .messages()
            .filter(|message| message.id() != id)
            .count();
        assert!(
            matches!((waits, others), (true, 0 | 1) | (false, 3)),
            "{waits} {others}"
        );
        seen.insert((waits, others));
    });
    assert_eq!(seen.len(), 3);
}
