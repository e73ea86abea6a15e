//! The life of messages without crashes.

use super::*;
use crate::disk::{DiskErrorKind, Durability};

#[test]
fn a_message_waits_until_all_its_recipients_are_settled() {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    let results = append(
        &mut disk,
        &mut journal,
        vec![mail(1, 100, 3), mail(2, 5000, 1)],
    );
    let (one, two) = (id_of(&results[0]), id_of(&results[1]));
    assert!(one < two);
    assert_eq!(content(&disk, &journal, one), text(1, 100));
    assert_eq!(content(&disk, &journal, two), text(2, 5000));

    let later = Entry::outcome(one, 1, Progress::Waiting, &b"greylisted"[..]);
    let results = append(
        &mut disk,
        &mut journal,
        vec![settled(one, 0), later, settled(two, 0)],
    );
    let left: Vec<u32> = results
        .iter()
        .map(|result| match result {
            Ok(Appended::Outcome { left }) => *left,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(left, [2, 2, 0]);

    for _ in 0..2 {
        assert_eq!(ids(&journal), [one.0]);
        let message = journal.message(one).unwrap();
        assert_eq!(
            (message.recipients(), message.left(), message.length()),
            (3, 2, 100)
        );
        assert_eq!(message.waiting().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(envelope(&mut disk, &journal, one), b"envelope 1");
        assert_eq!(content(&disk, &journal, one), text(1, 100));
        let recorded = outcomes(&mut disk, &journal, one);
        let recorded: Vec<_> = recorded
            .iter()
            .map(|outcome| {
                (
                    outcome.recipient,
                    outcome.progress,
                    outcome.octets.as_slice(),
                )
            })
            .collect();
        assert_eq!(
            recorded,
            [
                (0, Progress::Settled, &b"done 0"[..]),
                (1, Progress::Waiting, b"greylisted"),
            ]
        );
        journal = reopen(&mut disk, journal);
    }
}

#[test]
fn one_batch_costs_one_write_and_one_sync() {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    settle_down(&mut disk, &mut journal);
    for _ in 0..2 {
        let batch = (0..10).map(|number| mail(number, 300, 1)).collect();
        disk.reset_counts();
        let results = append(&mut disk, &mut journal, batch);
        assert!(results.iter().all(Result::is_ok));
        let counts = disk.counts();
        assert_eq!(
            (counts.operations, counts.syncs, counts.directory_syncs),
            (1, 1, 0)
        );
    }
}

#[test]
fn long_content_is_written_without_being_copied() {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    let octets: Octets = text(1, 8000).into();
    let mail = Entry::message(&b"e"[..], 1, Content::Octets(Octets::clone(&octets)));
    let mut task = disk::task(|disk| {
        let journal = &mut journal;
        async move { journal.append(&disk, vec![mail]).await }
    });
    let mut step = task.start();
    while let crate::task::Step::Ask(batch) = step {
        if let [Op::WriteAt { octets: pieces, .. }] = batch.as_slice() {
            assert!(pieces.iter().any(|piece| Octets::ptr_eq(piece, &octets)));
            return;
        }
        step = task.next(batch.iter().map(|op| disk.carry_out(op)).collect());
    }
    panic!("nothing was written");
}

#[test]
fn a_batch_goes_on_in_the_next_segment() {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    let batch = (0..40).map(|number| mail(number, 2000, 1)).collect();
    let results = append(&mut disk, &mut journal, batch);
    let accepted: Vec<u64> = results.iter().map(|result| id_of(result).0).collect();
    assert!(accepted.is_sorted());
    let segments = disk.names("/spool/segments");
    assert!(segments.len() >= 8, "{segments:?}");
    let journal = reopen(&mut disk, journal);
    assert_eq!(ids(&journal), accepted);
    for (number, &id) in (0..).zip(&accepted) {
        assert_eq!(content(&disk, &journal, MessageId(id)), text(number, 2000));
    }
}

#[test]
fn segments_are_used_again_and_the_log_does_not_grow() {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    let mut last = MessageId(0);
    for number in 0..200 {
        let id = accept(&mut disk, &mut journal, number, 3000);
        assert!(id > last);
        last = id;
        append(&mut disk, &mut journal, vec![settled(id, 0)]);
        settle_down(&mut disk, &mut journal);
        if number % 50 == 49 {
            journal = reopen(&mut disk, journal);
            assert_eq!(ids(&journal), [0_u64; 0]);
        }
    }
    let segments = disk.names("/spool/segments");
    assert!(segments.len() <= 8, "{segments:?}");
}

#[test]
fn what_waits_for_long_is_moved_so_that_segments_come_free() {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    let old = append(&mut disk, &mut journal, vec![mail(7, 2500, 3)]);
    let old = id_of(&old[0]);
    let later = Entry::outcome(old, 1, Progress::Waiting, &b"later"[..]);
    append(&mut disk, &mut journal, vec![settled(old, 2), later]);
    let first = journal.location(old).unwrap().path().to_path_buf();
    for number in 0..100 {
        let id = accept(&mut disk, &mut journal, number, 3000);
        append(&mut disk, &mut journal, vec![settled(id, 0)]);
        settle_down(&mut disk, &mut journal);
        if number % 30 == 29 {
            journal = reopen(&mut disk, journal);
        }
    }
    assert_ne!(journal.location(old).unwrap().path(), first);
    assert!(disk.names("/spool/segments").len() <= 10);
    assert_eq!(ids(&journal), [old.0]);
    assert_eq!(content(&disk, &journal, old), text(7, 2500));
    assert_eq!(envelope(&mut disk, &journal, old), b"envelope 7");
    let recorded = outcomes(&mut disk, &journal, old);
    assert_eq!(recorded.len(), 2);
    assert_eq!(recorded[0].octets, b"later");
    assert_eq!(recorded[1].octets, b"done 2");
    let waiting = journal.message(old).unwrap();
    assert_eq!(waiting.waiting().collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_segment_that_somebody_reads_is_not_used_again() {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    let results = append(&mut disk, &mut journal, vec![mail(7, 3000, 1)]);
    let Ok(Appended::Message { id, location }) = &results[0] else {
        panic!("{results:?}")
    };
    append(&mut disk, &mut journal, vec![settled(*id, 0)]);
    let held = location.clone();
    drop(results);
    let churn = |disk: &mut MemDisk, journal: &mut Journal| {
        for number in 0..60 {
            let id = accept(disk, journal, number, 3000);
            append(disk, journal, vec![settled(id, 0)]);
            settle_down(disk, journal);
        }
    };
    churn(&mut disk, &mut journal);
    let path = held.path().to_path_buf();
    let start = usize::try_from(held.range().start).unwrap();
    let there = |disk: &MemDisk| {
        disk.contents(&path)
            .map(|all| all[start..start + 3000].to_vec())
    };
    assert_eq!(there(&disk), Some(text(7, 3000)));
    drop(held);
    churn(&mut disk, &mut journal);
    assert_ne!(there(&disk), Some(text(7, 3000)));
}

#[test]
fn what_cannot_be_is_refused_alone() {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    let id = accept(&mut disk, &mut journal, 1, 10);
    let none = MessageId(77);
    let batch = vec![
        mail(2, 8193, 1),
        mail(3, 8192, 1),
        mail(4, 1, 0),
        mail(4, 1, (1 << 16) + 1),
        mail(5, 1, 1 << 16),
        settled(id, 1),
        settled(none, 0),
        Entry::message(vec![b'e'; 5000], 1, Content::Octets(text(6, 8000).into())),
        settled(id, 0),
    ];
    let results = append(&mut disk, &mut journal, batch);
    let errors: Vec<_> = results.iter().map(|result| result.as_ref().err()).collect();
    let limit = 8192;
    assert_eq!(
        errors[0],
        Some(&AppendError::TooLong {
            length: 8193,
            limit
        })
    );
    assert_eq!(errors[1], None);
    assert_eq!(errors[2], Some(&AppendError::Recipients(0)));
    assert_eq!(errors[3], Some(&AppendError::Recipients((1 << 16) + 1)));
    assert_eq!(errors[4], None);
    assert_eq!(
        errors[5],
        Some(&AppendError::NoRecipient { id, recipient: 1 })
    );
    assert_eq!(errors[6], Some(&AppendError::NoMessage(none)));
    assert!(matches!(errors[7], Some(AppendError::TooLong { .. })));
    assert_eq!(errors[8], None);
    assert_eq!(
        errors[6].unwrap().to_string(),
        "no message 000000000000004D waits in the journal"
    );
    let journal = reopen(&mut disk, journal);
    assert_eq!(ids(&journal).len(), 2);
}

#[test]
fn a_reserved_number_is_good_for_one_message() {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    let number = journal.numbers().reserve();
    let batch = vec![
        mail(1, 10, 1).numbered(&number),
        mail(2, 10, 1).numbered(&number),
        mail(3, 10, 1),
    ];
    let results = append(&mut disk, &mut journal, batch);
    assert_eq!(id_of(&results[0]), number.id());
    assert_eq!(
        results[1].as_ref().err(),
        Some(&AppendError::Taken(number.id()))
    );
    assert!(id_of(&results[2]) > number.id());
    let again = append(
        &mut disk,
        &mut journal,
        vec![mail(4, 10, 1).numbered(&number)],
    );
    assert_eq!(
        again[0].as_ref().err(),
        Some(&AppendError::Taken(number.id()))
    );
    assert_eq!(content(&disk, &journal, number.id()), text(1, 10));
}

#[test]
fn tied_entries_are_refused_together() {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    let id = accept(&mut disk, &mut journal, 1, 10);
    let batch = vec![
        mail(2, 10, 1).with_next(),
        settled(id, 5).with_next(),
        settled(id, 0),
        mail(3, 10, 1).with_next(),
    ];
    let results = append(&mut disk, &mut journal, batch);
    let refused: Vec<bool> = results.iter().map(Result::is_err).collect();
    assert_eq!(refused, [true, true, true, false]);
    let journal = reopen(&mut disk, journal);
    assert_eq!(ids(&journal).len(), 2);
    assert!(journal.message(id).is_some());
}

/// A session writes the file of a large message.
fn write_large(disk: &mut MemDisk, journal: &Journal, octets: &[u8]) -> Reserved {
    let large = journal.numbers().reserve();
    let (path, content) = (large.path().to_path_buf(), octets.to_vec());
    disk.run(disk::task(|disk| async move {
        disk.create(&path, content, 0o600, Durability::Synced).await
    }))
    .unwrap();
    large.of_length(octets.len() as u64)
}

#[test]
fn a_large_message_has_a_file_of_its_own() {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    let large = write_large(&mut disk, &journal, &text(1, 50_000));
    let (id, path) = (large.id(), large.path().to_path_buf());
    assert_eq!(path.parent().unwrap(), Path::new("/spool/big"));
    let mail = Entry::message(&b"big"[..], 2, Content::Large(large));
    assert_eq!(id_of(&append(&mut disk, &mut journal, vec![mail])[0]), id);

    let mut disk = disk.crash_losing_all();
    let mut journal = open(&mut disk);
    assert_eq!(content(&disk, &journal, id), text(1, 50_000));
    assert_eq!(envelope(&mut disk, &journal, id), b"big");
    let location = journal.location(id).unwrap();
    assert_eq!(
        (location.path(), location.range()),
        (path.as_path(), 0..50_000)
    );
    let done = append(
        &mut disk,
        &mut journal,
        vec![settled(id, 0), settled(id, 1)],
    );
    assert!(done.iter().all(Result::is_ok));
    maintain(&mut disk, &mut journal);
    assert!(disk.contents(&path).is_some(), "somebody still reads it");
    drop(location);
    maintain(&mut disk, &mut journal);
    assert_eq!(disk.names("/spool/big"), [""; 0]);
}

#[test]
fn a_large_message_without_its_whole_file_is_refused() {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    let cut = write_large(&mut disk, &journal, b"12345").of_length(6);
    let none = journal.numbers().reserve().of_length(1);
    let good = write_large(&mut disk, &journal, b"123456");
    let batch = [cut, none, good].map(|large| Entry::message(&b""[..], 1, Content::Large(large)));
    let results = append(&mut disk, &mut journal, batch.into());
    assert!(matches!(
        results[0],
        Err(AppendError::Large { length: 6, .. })
    ));
    assert!(matches!(
        results[1],
        Err(AppendError::Large { length: 1, .. })
    ));
    assert!(results[2].is_ok());
}

#[test]
fn files_that_no_message_names_go_at_the_next_start() {
    let mut disk = MemDisk::new();
    let journal = open(&mut disk);
    let left = write_large(&mut disk, &journal, b"never accepted");
    let id = left.id();
    let mut journal = reopen(&mut disk, journal);
    assert_eq!(disk.names("/spool/big"), [""; 0]);
    // The number may be given again: nobody was told of it.
    assert!(accept(&mut disk, &mut journal, 1, 10) <= id);
}

#[test]
fn a_journal_has_one_owner() {
    let mut disk = MemDisk::new();
    let journal = open(&mut disk);
    let before = disk.now().seconds;
    let error = try_open(&mut disk).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the journal is in use, /spool/lock is locked by process 42: stop it first"
    );
    assert_eq!(disk.now().seconds, before + 30);
    disk.run(disk::task(|disk| async move { journal.close(&disk).await }));
    open(&mut disk);
}

#[test]
fn a_lock_of_a_process_that_ends_is_awaited() {
    let mut disk = MemDisk::new();
    disk.plant_file("/spool/lock", b"17             \n");
    disk.lock_by_another("/spool/lock", Millis::from_secs(29));
    open(&mut disk);
}

#[test]
fn a_version_of_the_future_is_left_alone() {
    let mut disk = MemDisk::new();
    let journal = open(&mut disk);
    drop(journal);
    disk.release_locks();
    let mut block = vec![0; 4096];
    block[..8].copy_from_slice(b"COURIERj");
    block[8] = 2;
    let sum = checksum::Checksum::of(0, &block[..120]);
    block[120..128].copy_from_slice(&sum.to_le_bytes());
    disk.plant_file("/spool/segments/00000009", &block);
    let error = try_open(&mut disk).unwrap_err();
    assert!(
        matches!(error, OpenError::Version { version: 2, .. }),
        "{error}"
    );
}

#[test]
fn impossible_segments_are_refused() {
    for segment in [0, 4096, SHORT - 1, SHORT + 8, (1 << 30) + 4096] {
        let options = Options {
            segment,
            ..options()
        };
        let result = MemDisk::new().run(disk::task(|disk| async move {
            Journal::open(&disk, "/spool".into(), options).await
        }));
        assert_eq!(result.err(), Some(OpenError::SegmentLength(segment)));
    }
}

#[test]
fn a_full_disk_refuses_new_mail_but_takes_outcomes() {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    settle_down(&mut disk, &mut journal);
    let mut accepted = vec![accept(&mut disk, &mut journal, 0, 3000)];
    disk.set_capacity(Some(SHORT * 3 + 1000));
    let refused = loop {
        let number = u32::try_from(accepted.len()).unwrap();
        match append(&mut disk, &mut journal, vec![mail(number, 3000, 1)]).remove(0) {
            Ok(Appended::Message { id, .. }) => accepted.push(id),
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    let AppendError::Disk(error) = refused else {
        panic!("{refused}")
    };
    assert_eq!(error.kind, DiskErrorKind::NoSpace);
    // Together with an outcome, only the message is refused.
    let results = append(
        &mut disk,
        &mut journal,
        vec![mail(99, 3000, 1), settled(accepted[0], 0)],
    );
    assert_eq!(
        results.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [false, true]
    );
    let rest = accepted[1..].iter().map(|&id| settled(id, 0)).collect();
    let results = append(&mut disk, &mut journal, rest);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let mut journal = reopen(&mut disk, journal);
    assert_eq!(ids(&journal), [0_u64; 0]);
    let id = accept(&mut disk, &mut journal, 5, 3000);
    assert!(id > *accepted.last().unwrap());
}

#[test]
fn other_lengths_of_segments_are_read_and_then_removed() {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    let id = accept(&mut disk, &mut journal, 1, 100);
    drop(journal);
    disk.release_locks();
    let longer = Options {
        segment: 2 * SHORT,
        ..options()
    };
    let (mut journal, damage) = disk
        .run(disk::task(|disk| async move {
            Journal::open(&disk, "/spool".into(), longer).await
        }))
        .unwrap();
    assert_eq!(damage, []);
    assert_eq!(content(&disk, &journal, id), text(1, 100));
    append(&mut disk, &mut journal, vec![settled(id, 0)]);
    accept(&mut disk, &mut journal, 2, 100);
    accept(&mut disk, &mut journal, 3, 100);
    settle_down(&mut disk, &mut journal);
    for name in disk.names("/spool/segments") {
        let length = disk
            .meta(Path::new("/spool/segments").join(&name))
            .unwrap()
            .length;
        assert_eq!(length, 2 * SHORT, "{name}");
    }
}

#[test]
fn reading_the_log_never_holds_more_than_a_part_of_it() {
    let mut disk = MemDisk::new();
    let options = Options {
        segment: 16 << 20,
        longest: 256 << 10,
        ..Options::default()
    };
    let again = options.clone();
    let (mut journal, _) = disk
        .run(disk::task(|disk| async move {
            Journal::open(&disk, "/spool".into(), options).await
        }))
        .unwrap();
    let count = 20_000;
    for start in (0..count).step_by(2000) {
        let batch = (start..start + 2000)
            .map(|number| mail(number, 1000, 1))
            .collect();
        assert!(
            append(&mut disk, &mut journal, batch)
                .iter()
                .all(Result::is_ok)
        );
    }
    drop(journal);
    disk.release_locks();
    let mut task =
        disk::task(|disk| async move { Journal::open(&disk, "/spool".into(), again).await });
    let mut step = task.start();
    let (journal, damage) = loop {
        match step {
            crate::task::Step::Done(opened) => break opened.unwrap(),
            crate::task::Step::Ask(batch) => {
                let read: u64 = batch
                    .iter()
                    .map(|op| match op {
                        Op::Read { range, .. } => range.end - range.start,
                        _ => 0,
                    })
                    .sum();
                assert!(read <= 1 << 20, "{read} octets in one batch");
                step = task.next(batch.iter().map(|op| disk.carry_out(op)).collect());
            }
        }
    };
    assert_eq!(damage, []);
    assert_eq!(journal.messages().count(), count as usize);
    assert!(size_of::<Message>() <= 96, "{}", size_of::<Message>());
}

#[test]
fn a_young_journal_is_small_and_grows_with_its_mail() {
    let mut disk = MemDisk::new();
    let options = Options {
        segment: 16 << 20,
        ..options()
    };
    let open = |disk: &mut MemDisk| {
        let options = options.clone();
        let open =
            disk::task(|disk| async move { Journal::open(&disk, "/spool".into(), options).await });
        disk.run(open).unwrap().0
    };
    let lengths = |disk: &MemDisk| {
        let names = disk.names("/spool/segments");
        let length = |name: &String| disk.meta(format!("/spool/segments/{name}")).unwrap().length;
        names.iter().map(length).collect::<Vec<u64>>()
    };
    let mut journal = open(&mut disk);
    settle_down(&mut disk, &mut journal);
    assert_eq!(lengths(&disk), [4 << 20, 4 << 20]);
    for number in 0..3000 {
        let mail = mail(number, 8000, 1);
        assert!(append(&mut disk, &mut journal, vec![mail])[0].is_ok());
        settle_down(&mut disk, &mut journal);
    }
    assert_eq!(lengths(&disk).iter().max(), Some(&(16 << 20)));
    // Segments of every length are found again.
    drop(journal);
    disk.release_locks();
    let journal = open(&mut disk);
    assert_eq!(ids(&journal).len(), 3000);
}
