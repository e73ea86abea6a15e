//! Opening a maildir of 100,000 messages on a real disk, and looking again, beside what
//! reading the names of its directory costs without doing anything with them.
#![expect(
    clippy::expect_used,
    reason = "a bench that cannot go on has nothing to measure"
)]

use std::fs::{self, File};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use courier_cli::clock;
use courier_cli::disk::StdDisk;
use courier_core::disk::{self, Op, Reply};
use courier_maildir::folder::FolderPath;
use courier_maildir::mailbox::{Access, Changes, Snapshot, open, refresh};
use courier_maildir::name::HostName;
use courier_maildir::uid_list;
use courier_maildir::writer::Writer;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const MESSAGES: u64 = 100_000;
/// After this time the time stamp of a directory is believed to tell every change.
const AT_REST: Duration = Duration::from_secs(4);

/// A maildir in a folder of its own, which goes with it.
struct Maildir {
    disk: StdDisk,
    folder: FolderPath,
    path: PathBuf,
    writer: Writer,
    next: u64,
    _place: tempfile::TempDir,
}

impl Maildir {
    fn make() -> Self {
        let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let path = place.path().join("Maildir");
        for directory in ["tmp", "new", "cur"] {
            fs::create_dir_all(path.join(directory)).expect("made");
        }
        let mut maildir = Self {
            disk: StdDisk::new(4),
            folder: FolderPath::inbox(&path),
            path,
            writer: Writer::new(clock::now(), 100, HostName::new("mail"), 0o600),
            next: 0,
            _place: place,
        };
        for _ in 0..MESSAGES {
            maildir.arrive("cur", ":2,S");
        }
        maildir
    }

    fn arrive(&mut self, directory: &str, flags: &str) {
        let number = self.next;
        self.next += 1;
        let seconds = 1_700_000_000 + number * 37;
        let name = format!(
            "{seconds}.M208947P4952V000000000000FE00I00000000009D{number:05X}.mail,S=4711{flags}"
        );
        File::create_new(self.path.join(directory).join(name)).expect("made");
    }

    fn open(&self) -> Snapshot {
        let writer = self.writer.at(clock::now());
        let task = disk::task(|disk| async move {
            open(&disk, &self.folder, Access::ReadWrite, &writer).await
        });
        self.disk.run(task).expect("opened")
    }

    fn refresh(&self, snapshot: &mut Snapshot) -> Changes {
        let writer = self.writer.at(clock::now());
        let task = disk::task(|disk| async move { refresh(&disk, snapshot, &writer).await });
        self.disk.run(task).expect("looked")
    }

    fn forget(&self) {
        fs::remove_file(self.path.join(uid_list::FILE)).ok();
    }
}

/// The names of a directory as the driver gives them to a task.
fn list(disk: &StdDisk, directory: &Path) -> Reply {
    let list = Op::List(directory.to_path_buf());
    let task = disk::task(|disk| async move { disk.one(list).await });
    disk.run(task).expect("listed")
}

fn mailbox(c: &mut Criterion) {
    let mut maildir = Maildir::make();
    let mut group = c.benchmark_group("maildir of 100,000");
    group
        .throughput(Throughput::Elements(MESSAGES))
        .sample_size(10);
    let cur = maildir.path.join("cur");
    group.bench_function("bare readdir", |b| {
        b.iter(|| fs::read_dir(&cur).expect("a directory").count());
    });
    group.bench_function("list through the driver", |b| {
        b.iter(|| list(&maildir.disk, &cur))
    });
    group.bench_function("open, no uid list", |b| {
        b.iter_custom(|times| {
            let mut took = Duration::ZERO;
            for _ in 0..times {
                maildir.forget();
                let begun = Instant::now();
                black_box(maildir.open());
                took += begun.elapsed();
            }
            took
        });
    });
    group.bench_function("open, uid list at hand", |b| {
        b.iter(|| maildir.open().len())
    });
    let mut snapshot = maildir.open();
    group.bench_function("look again, one new message", |b| {
        b.iter_custom(|times| {
            let mut took = Duration::ZERO;
            for _ in 0..times {
                maildir.arrive("new", "");
                let begun = Instant::now();
                let changes = maildir.refresh(&mut snapshot);
                took += begun.elapsed();
                assert_eq!(changes.arrived.len(), 1);
            }
            took
        });
    });
    thread::sleep(AT_REST);
    maildir.refresh(&mut snapshot);
    group.bench_function("look again, nothing changed", |b| {
        b.iter(|| maildir.refresh(&mut snapshot).is_empty());
    });
    group.finish();
}

criterion_group!(benches, mailbox);
criterion_main!(benches);
