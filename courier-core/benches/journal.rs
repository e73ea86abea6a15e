//! What the journal costs in processor time, on a disk in memory: group commit, and
//! the start with a full spool. What a real disk adds is measured in `courier-cli`.

use std::hint::black_box;
use std::time::Duration;

use courier_core::disk::{self, Octets};
use courier_core::mta::journal::{
    Appended, Content, Entry, Journal, MessageId, Options, Pace, Progress,
};
use courier_core::testing::MemDisk;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const ENVELOPE: usize = 250;

fn open(disk: &mut MemDisk) -> Journal {
    disk.release_locks();
    let opened = disk.run(disk::task(|disk| async move {
        Journal::open(&disk, "/spool".into(), Options::default()).await
    }));
    match opened {
        Ok((journal, _)) => journal,
        Err(error) => panic!("{error}"),
    }
}

fn append(disk: &mut MemDisk, journal: &mut Journal, entries: Vec<Entry>) -> Vec<MessageId> {
    let results = disk.run(disk::task(|disk| async move {
        journal.append(&disk, entries).await
    }));
    let ids = results.into_iter().filter_map(|result| match result {
        Ok(Appended::Message { id, .. }) => Some(id),
        Ok(Appended::Outcome { .. }) => None,
        Err(error) => panic!("{error}"),
    });
    ids.collect()
}

fn maintain(disk: &mut MemDisk, journal: &mut Journal) {
    let mut pace = Pace::Soon;
    while pace == Pace::Soon {
        let task = disk::task(|disk| {
            let journal = &mut *journal;
            async move { journal.maintain(&disk).await.pace }
        });
        pace = disk.run(task);
    }
}

fn messages(count: usize, content: &Octets) -> Vec<Entry> {
    let envelope: Octets = vec![b'e'; ENVELOPE].into();
    let message = || {
        Entry::message(
            Octets::clone(&envelope),
            1,
            Content::Octets(content.clone()),
        )
    };
    std::iter::repeat_with(message).take(count).collect()
}

fn settled(ids: &[MessageId]) -> Vec<Entry> {
    let settled = |&id| Entry::outcome(id, 0, Progress::Settled, &b"250 2.0.0 delivered"[..]);
    ids.iter().map(settled).collect()
}

/// 64 messages of 8 KiB that are accepted at once, and settled at once.
fn group_commit(criterion: &mut Criterion) {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    let content: Octets = vec![b'x'; 8192].into();
    let mut group = criterion.benchmark_group("journal");
    group.throughput(Throughput::Elements(64));
    group.bench_function("accept and settle 64 messages of 8 KiB", |bencher| {
        bencher.iter_batched(
            || messages(64, &content),
            |entries| {
                let ids = append(&mut disk, &mut journal, entries);
                append(&mut disk, &mut journal, settled(&ids));
                maintain(&mut disk, &mut journal);
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// The start with 100,000 messages of 2 KiB that wait.
fn recovery(criterion: &mut Criterion) {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    let content: Octets = vec![b'x'; 2048].into();
    for _ in 0..100 {
        append(&mut disk, &mut journal, messages(1000, &content));
    }
    drop(journal);
    disk.reset_counts();
    drop(open(&mut disk));
    let mut group = criterion.benchmark_group("journal");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(10));
    group.throughput(Throughput::Bytes(disk.counts().read));
    group.bench_function("start with 100,000 messages", |bencher| {
        bencher.iter(|| black_box(open(&mut disk)).messages().count());
    });
    group.finish();
}

criterion_group!(benches, group_commit, recovery);
criterion_main!(benches);
