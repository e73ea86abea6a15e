//! Opening maildirs of many messages on a real disk, looking again, changing flags and
//! appending, beside what the bare system calls cost without doing anything else.
//!
//! `COURIER_BENCH_MESSAGES=1000000` measures with so many; several numbers are parted by
//! commas.
#![expect(
    clippy::expect_used,
    reason = "a bench that cannot go on has nothing to measure"
)]

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use courier_cli::clock;
use courier_cli::disk::StdDisk;
use courier_core::disk::{self, Op, Reply};
use courier_maildir::content::Content;
use courier_maildir::flags::Flags;
use courier_maildir::folder::FolderPath;
use courier_maildir::index;
use courier_maildir::mailbox::{
    Access, Appended, Changes, FlagChange, How, NewMessage, Snapshot, append, open, refresh,
    reopen, save_index, store,
};
use courier_maildir::name::HostName;
use courier_maildir::uid_list;
use courier_maildir::writer::Writer;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

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
    fn make(messages: u64) -> Self {
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
        for _ in 0..messages {
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

    fn reopen(&self, seen: &Snapshot) -> Snapshot {
        let (writer, seen) = (self.writer.at(clock::now()), seen.clone());
        let task =
            disk::task(|disk| async move { reopen(&disk, seen, Access::ReadWrite, &writer).await });
        self.disk.run(task).expect("opened")
    }

    fn refresh(&self, snapshot: &mut Snapshot) -> Changes {
        let writer = self.writer.at(clock::now());
        let task = disk::task(|disk| async move { refresh(&disk, snapshot, &writer).await });
        self.disk.run(task).expect("looked")
    }

    fn append(&self, text: &[u8]) -> Appended {
        let writer = self.writer.at(clock::now());
        let message = NewMessage {
            content: Content::default().octets(text),
            flags: Flags::SEEN,
            keywords: Vec::new(),
            date: None,
        };
        let task =
            disk::task(
                |disk| async move { append(&disk, &self.folder, vec![message], &writer).await },
            );
        self.disk.run(task).expect("appended")
    }

    /// What a message costs at least: a file that is synced, its name, and the sync of
    /// that.
    fn bare(&self, number: u32, text: &[u8]) {
        let (tmp, cur) = (self.path.join("tmp/bare"), self.path.join("cur"));
        let mut file = File::create_new(&tmp).expect("made");
        file.write_all(text).expect("written");
        file.sync_data().expect("synced");
        fs::hard_link(&tmp, cur.join(format!("1.bare{number}:2,S"))).expect("linked");
        File::open(&cur)
            .and_then(|cur| cur.sync_all())
            .expect("synced");
        fs::remove_file(&tmp).expect("removed");
    }

    fn store(&self, snapshot: &mut Snapshot, uids: &[uid_list::Uid], how: How) -> usize {
        let writer = self.writer.at(clock::now());
        let change = FlagChange {
            how,
            flags: Flags::FLAGGED,
            within: Flags::IMAP,
            keywords: None,
        };
        let task =
            disk::task(|disk| async move { store(&disk, snapshot, uids, &change, &writer).await });
        self.disk.run(task).expect("stored").changed.len()
    }

    /// Renames so many files there and back, and syncs: two rounds of flag changes.
    fn renames(&self, count: usize) {
        let cur = self.path.join("cur");
        let names = fs::read_dir(&cur).expect("a directory");
        let names = names.take(count).map(|entry| entry.expect("read").path());
        let names: Vec<_> = names.collect();
        let sync = || File::open(&cur).and_then(|cur| cur.sync_all());
        let other = |name: &Path| {
            let mut name = name.as_os_str().to_owned();
            name.push("F");
            PathBuf::from(name)
        };
        for name in &names {
            fs::rename(name, other(name)).expect("renamed");
        }
        sync().expect("synced");
        for name in &names {
            fs::rename(other(name), name).expect("renamed");
        }
        sync().expect("synced");
    }

    fn forget(&self) {
        fs::remove_file(self.path.join(uid_list::FILE)).ok();
        self.forget_index();
    }

    fn forget_index(&self) {
        fs::remove_file(self.path.join(index::FILE)).ok();
    }

    fn save_index(&self) {
        let writer = self.writer.at(clock::now());
        let snapshot = self.open();
        let task = disk::task(|disk| async move {
            save_index(&disk, &snapshot, &writer).await;
        });
        self.disk.run(task);
    }
}

/// The names of a directory as the driver gives them to a task.
fn list(disk: &StdDisk, directory: &Path) -> Reply {
    let list = Op::List(directory.to_path_buf());
    let task = disk::task(|disk| async move { disk.one(list).await });
    disk.run(task).expect("listed")
}

fn mailboxes(c: &mut Criterion) {
    let sizes = std::env::var("COURIER_BENCH_MESSAGES");
    let sizes = sizes.unwrap_or_else(|_| "1000,10000,100000".to_owned());
    for size in sizes.split(',') {
        mailbox(c, size.parse().expect("a number of messages"));
    }
}

fn mailbox(c: &mut Criterion, messages: u64) {
    let mut maildir = Maildir::make(messages);
    let mut group = c.benchmark_group(format!("maildir of {messages}"));
    group
        .throughput(Throughput::Elements(messages))
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
    maildir.save_index();
    group.bench_function("open, index at hand", |b| b.iter(|| maildir.open().len()));
    maildir.forget_index();
    let seen = maildir.open().share().expect("in order");
    group.bench_function("open, seen by another session", |b| {
        b.iter(|| maildir.reopen(&seen).len());
    });
    group.bench_function("look again, nothing changed", |b| {
        b.iter(|| maildir.refresh(&mut snapshot).is_empty());
    });
    let (text, mut bare) = (vec![b'x'; 4096], 0);
    group.throughput(Throughput::Elements(1));
    group.bench_function("bare durable file", |b| {
        b.iter(|| {
            bare += 1;
            maildir.bare(bare, &text);
        });
    });
    group.bench_function("append, durable", |b| b.iter(|| maildir.append(&text)));
    let flagged = usize::try_from(messages).map_or(FLAGGED, |all| all.min(FLAGGED));
    group.throughput(Throughput::Elements(2 * flagged as u64));
    group.bench_function("bare renames there and back", |b| {
        b.iter(|| maildir.renames(flagged));
    });
    group.throughput(Throughput::Elements(flagged as u64));
    let mut snapshot = maildir.open();
    let uids: Vec<_> = snapshot.messages().map(|message| message.uid()).collect();
    let uids: Vec<_> = uids.into_iter().take(flagged).collect();
    let mut how = How::Add;
    group.bench_function("flag changes, durable", |b| {
        b.iter(|| {
            let flags = maildir.store(&mut snapshot, &uids, how);
            how = match how {
                How::Add => How::Remove,
                _ => How::Add,
            };
            flags
        });
    });
    group.finish();
}

/// Messages whose flags are changed at once.
const FLAGGED: usize = 10_000;

criterion_group!(benches, mailboxes);
criterion_main!(benches);
