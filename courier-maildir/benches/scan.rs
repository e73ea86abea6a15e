//! Opening and looking again at a folder of 100,000 messages, on a model of a disk:
//! what our own code costs, beside no system call at all.

use std::hint::black_box;
use std::path::Path;

use courier_core::disk::{self, Op};
use courier_core::testing::MemDisk;
use courier_core::time::Millis;
use courier_maildir::folder::FolderPath;
use courier_maildir::mailbox::{Access, Snapshot, open, refresh};
use courier_maildir::name::{HostName, Name};
use courier_maildir::uid_list::UidList;
use courier_maildir::writer::Writer;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const MESSAGES: u64 = 100_000;

fn name(number: u64) -> String {
    let seconds = 1_700_000_000 + number * 37;
    format!("{seconds}.M208947P4952V000000000000FE00I00000000009D{number:05X}.mail,S=4711:2,S")
}

fn writer(disk: &MemDisk) -> Writer {
    Writer::new(disk.now(), 100, HostName::new("mail"), 0o600)
}

fn opened(disk: &mut MemDisk) -> Snapshot {
    let writer = writer(disk);
    let folder = FolderPath::inbox("/m");
    let task =
        disk::task(|disk| async move { open(&disk, &folder, Access::ReadWrite, &writer).await });
    disk.run(task).unwrap_or_else(|error| panic!("{error}"))
}

fn refreshed(disk: &mut MemDisk, snapshot: &mut Snapshot) -> usize {
    let writer = writer(disk);
    let task = disk::task(|disk| async move { refresh(&disk, snapshot, &writer).await });
    let changes = disk.run(task).unwrap_or_else(|error| panic!("{error}"));
    changes.flags.len()
}

/// A folder whose messages have UIDs, at rest.
fn folder() -> MemDisk {
    let mut disk = MemDisk::new();
    for directory in ["tmp", "new", "cur"] {
        disk.plant_directory(Path::new("/m").join(directory));
    }
    for number in 0..MESSAGES {
        disk.plant_file(Path::new("/m/cur").join(name(number)), b"");
    }
    opened(&mut disk);
    disk.sync_all();
    disk.advance(Millis::from_secs(60));
    disk
}

fn scan(c: &mut Criterion) {
    let mut disk = folder();
    let mut group = c.benchmark_group("folder of 100,000");
    group
        .throughput(Throughput::Elements(MESSAGES))
        .sample_size(20);
    group.bench_function("open", |b| b.iter(|| opened(&mut disk).len()));
    let mut snapshot = opened(&mut disk);
    group.bench_function("refresh, nothing changed", |b| {
        b.iter(|| refreshed(&mut disk, &mut snapshot));
    });
    let (one, other) = (name(50_000), format!("{}F", name(50_000)));
    let mut names = [one.as_str(), other.as_str()];
    group.bench_function("refresh, one flag changed", |b| {
        b.iter(|| {
            let [from, to] = names.map(|name| Path::new("/m/cur").join(name));
            names.reverse();
            disk.carry_out(&Op::Rename { from, to })
                .unwrap_or_else(|error| panic!("{error}"));
            disk.advance(Millis::from_secs(9));
            assert_eq!(refreshed(&mut disk, &mut snapshot), 1);
        });
    });
    group.bench_function("list of cur alone", |b| {
        b.iter(|| disk.carry_out(&Op::List("/m/cur".into())).is_ok());
    });
    group.finish();
}

fn formats(c: &mut Criterion) {
    let mut disk = folder();
    let list = disk.contents("/m/courierimapuiddb").unwrap_or_default();
    let names: Vec<String> = (0..MESSAGES).map(name).collect();
    let mut group = c.benchmark_group("formats of 100,000");
    group
        .throughput(Throughput::Elements(MESSAGES))
        .sample_size(20);
    group.bench_function("uid list read", |b| {
        b.iter_batched(
            || list.clone(),
            |list| UidList::parse(list).is_ok(),
            BatchSize::LargeInput,
        );
    });
    let parsed = UidList::parse(list.clone()).unwrap_or_else(|error| panic!("{error}"));
    group.bench_function("uid list written", |b| {
        b.iter(|| UidList::print(parsed.validity, parsed.next, parsed.iter()).len());
    });
    group.bench_function("names taken apart", |b| {
        b.iter(|| {
            for text in &names {
                if let Ok(name) = Name::parse(text.as_bytes()) {
                    black_box((name.flags(), name.size(), name.key().fingerprint()));
                }
            }
        });
    });
    let snapshot = opened(&mut disk);
    group.bench_function("counts", |b| b.iter(|| snapshot.counts().unseen));
    group.finish();
}

criterion_group!(benches, scan, formats);
criterion_main!(benches);
