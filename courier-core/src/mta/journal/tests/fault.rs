//! Failures of the disk at every operation: success or a clean refusal, and a second
//! attempt succeeds.

use std::collections::BTreeMap;

use super::*;
use crate::disk::{DiskErrorKind, Durability};
use crate::testing::{Fault, FaultDisk, Lasting, Promises, fail_everywhere};

/// What the journal said of each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Accepted(u32, MessageId),
    Refused(u32),
    Settled(MessageId),
    /// An outcome was refused, or nobody knows.
    Unsettled(MessageId),
}

async fn accept_some(
    disk: &Disk,
    journal: &mut Journal,
    said: &Promises<Said>,
    mails: &[(u32, usize)],
) -> Vec<MessageId> {
    let batch = mails
        .iter()
        .map(|&(number, length)| mail(number, length, 1))
        .collect();
    let results = journal.append(disk, batch).await;
    let mut accepted = Vec::new();
    for (&(number, _), result) in mails.iter().zip(&results) {
        match result {
            Ok(_) => {
                said.make(Said::Accepted(number, id_of(result)));
                accepted.push(id_of(result));
            }
            Err(AppendError::Disk(_)) => said.make(Said::Refused(number)),
            Err(other) => panic!("{other}"),
        }
    }
    accepted
}

async fn settle(disk: &Disk, journal: &mut Journal, said: &Promises<Said>, ids: &[MessageId]) {
    let batch = ids.iter().map(|&id| settled(id, 0)).collect();
    let results = journal.append(disk, batch).await;
    for (&id, result) in ids.iter().zip(results) {
        said.make(if result.is_ok() {
            Said::Settled(id)
        } else {
            Said::Unsettled(id)
        });
    }
}

/// Uses every part of the journal once.
async fn work(disk: Disk, said: Promises<Said>) -> Result<(), OpenError> {
    let (mut journal, damage) = Journal::open(&disk, "/spool".into(), options()).await?;
    assert_eq!(damage, []);
    accept_some(&disk, &mut journal, &said, &[(0, 600)]).await;
    for round in 1..6 {
        let mails = [(round * 10, 4500), (round * 10 + 1, 3000)];
        let ids = accept_some(&disk, &mut journal, &said, &mails).await;
        settle(&disk, &mut journal, &said, &ids).await;
        let maintenance = journal.maintain(&disk).await;
        assert_eq!(maintenance.damage, []);
    }
    accept_some(
        &disk,
        &mut journal,
        &said,
        &[(100, 100), (101, 5000), (102, 8000)],
    )
    .await;
    journal.close(&disk).await;
    Ok(())
}

fn check(disk: &mut MemDisk, said: &[Said]) {
    let mut journal = open(disk);
    let mut numbers: BTreeMap<String, MessageId> = BTreeMap::new();
    for id in ids(&journal) {
        let id = MessageId(id);
        numbers.insert(String::from_utf8(envelope(disk, &journal, id)).unwrap(), id);
    }
    for said in said {
        let waits = |id: &MessageId| journal.message(*id).is_some();
        match said {
            Said::Refused(number) => {
                let back = numbers.get(&format!("envelope {number}"));
                assert_eq!(back, None, "message {number} was refused");
            }
            Said::Accepted(number, id) => {
                if let Some(found) = numbers.get(&format!("envelope {number}")) {
                    assert_eq!(found, id);
                }
            }
            Said::Settled(id) => assert!(!waits(id), "{id} was settled"),
            Said::Unsettled(id) => assert!(waits(id), "{id} was not settled"),
        }
    }
    for said_of in said {
        let Said::Accepted(number, id) = said_of else {
            continue;
        };
        if !said.contains(&Said::Settled(*id)) {
            let length = content(disk, &journal, *id).len();
            assert_eq!(content(disk, &journal, *id), text(*number, length));
            assert!(length >= 100);
        }
    }
    // What failed goes well the next time.
    let next = accept(disk, &mut journal, 500, 3000);
    for said in said {
        if let Said::Accepted(_, id) = said {
            assert_ne!(next, *id);
        }
    }
    settle_down(disk, &mut journal);
    let journal = reopen(disk, journal);
    assert!(journal.message(next).is_some());
}

#[test]
fn whatever_fails_nothing_is_lost_and_nothing_refused_comes_back() {
    let task = |said| disk::task(|disk| work(disk, said));
    let mut checks = 0;
    fail_everywhere(&MemDisk::new(), task, |disk, _, said| {
        checks += 1;
        check(disk, said);
    });
    assert!(checks > 1000, "{checks}");
}

#[test]
fn a_segment_whose_sync_failed_is_left_for_another_one() {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    settle_down(&mut disk, &mut journal);
    let first = accept(&mut disk, &mut journal, 1, 100);
    let old = journal.location(first).unwrap().path().to_path_buf();
    let mut faulty = FaultDisk::new(disk, Fault::FailedSync, 0, Lasting::Once);
    let results = faulty.run(disk::task(|disk| {
        let journal = &mut journal;
        async move { journal.append(&disk, vec![mail(2, 100, 1)]).await }
    }));
    assert!(faulty.struck());
    let second = id_of(&results[0]);
    let mut disk = faulty.into_disk();
    assert_ne!(journal.location(second).unwrap().path(), old);
    // Also without the power to keep anything, both are there, and once.
    let mut crashed = disk.crash_losing_all();
    let after = open(&mut crashed);
    assert_eq!(ids(&after), [first.0, second.0]);
    // The closed segment is not used again, but removed when it is not needed.
    for number in 0..20 {
        let id = accept(&mut disk, &mut journal, number, 4000);
        assert_ne!(journal.location(id).unwrap().path(), old);
        append(&mut disk, &mut journal, vec![settled(id, 0)]);
        settle_down(&mut disk, &mut journal);
    }
    append(&mut disk, &mut journal, vec![settled(first, 0)]);
    accept(&mut disk, &mut journal, 1, 1);
    settle_down(&mut disk, &mut journal);
    assert_eq!(disk.contents(&old), None);
}

#[test]
fn without_descriptors_nothing_is_closed() {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    let first = accept(&mut disk, &mut journal, 1, 100);
    let old = journal.location(first).unwrap().path().to_path_buf();
    let mut faulty = FaultDisk::new(disk, Fault::TooManyFiles, 0, Lasting::Forever);
    for _ in 0..3 {
        let results = faulty.run(disk::task(|disk| {
            let journal = &mut journal;
            async move { journal.append(&disk, vec![mail(2, 100, 1)]).await }
        }));
        let Err(AppendError::Disk(error)) = &results[0] else {
            panic!("{results:?}")
        };
        assert_eq!(error.kind, DiskErrorKind::TooManyFiles);
    }
    let mut disk = faulty.into_disk();
    let next = accept(&mut disk, &mut journal, 3, 100);
    assert_eq!(journal.location(next).unwrap().path(), old);
}

#[test]
fn large_files_fail_alone() {
    for fault in [Fault::Io, Fault::Stale, Fault::TooManyFiles] {
        let mut disk = MemDisk::new();
        let mut journal = open(&mut disk);
        settle_down(&mut disk, &mut journal);
        accept(&mut disk, &mut journal, 0, 10);
        let large = journal.numbers().reserve();
        let path = large.path().to_path_buf();
        disk.run(disk::task(|disk| async move {
            disk.create(&path, b"12".to_vec(), 0o600, Durability::Synced)
                .await
        }))
        .unwrap();
        let batch = vec![
            Entry::message(&b""[..], 1, Content::Large(large.of_length(2))),
            mail(1, 10, 1),
        ];
        let mut faulty = FaultDisk::new(disk, fault, 0, Lasting::Once);
        let results = faulty.run(disk::task(|disk| {
            let journal = &mut journal;
            async move { journal.append(&disk, batch).await }
        }));
        assert!(faulty.struck());
        assert!(
            matches!(results[0], Err(AppendError::Disk(_))),
            "{results:?}"
        );
        assert!(results[1].is_ok(), "{results:?}");
    }
}
