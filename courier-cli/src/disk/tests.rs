//! What only a real file system can show; the common suite is run as well.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use courier_core::disk::{
    self, Disk, DiskErrorKind, DiskTask, Durability, FileKind, Op, Outcome, Piece, Reply,
};
use courier_core::testing::suite;
use courier_core::time::{Millis, Timestamp};

use super::{Disks, StdDisk};

impl suite::Driver for Place {
    fn root(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }

    fn run<T>(&mut self, task: DiskTask<'_, T>) -> T {
        self.disk.run(task)
    }
}

#[test]
fn the_common_suite_passes() {
    suite::run(Place::new);
}

struct Place {
    folder: tempfile::TempDir,
    disk: StdDisk,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            disk: StdDisk::new(4),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, text: &[u8]) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn batch(&self, ops: Vec<Op>) -> Vec<Outcome> {
        self.disk
            .run(disk::task(|disk| async move { disk.run(ops).await }))
    }

    fn one(&self, op: Op) -> Outcome {
        self.batch(vec![op]).pop().unwrap()
    }

    fn refusal(&self, op: Op) -> DiskErrorKind {
        self.one(op).expect_err("refused").kind
    }
}

fn create(path: PathBuf, content: Vec<Piece>) -> Op {
    Op::Create {
        path,
        content,
        mode: 0o640,
        durability: Durability::Synced,
    }
}

fn write_at(path: &Path, offset: u64, pieces: &[&[u8]]) -> Op {
    Op::WriteAt {
        path: path.to_path_buf(),
        offset,
        octets: pieces.iter().map(|&piece| piece.into()).collect(),
        durability: Durability::Synced,
    }
}

fn read(path: &Path) -> Op {
    Op::Read {
        path: path.to_path_buf(),
        range: 0..u64::MAX,
    }
}

#[test]
fn a_file_is_made_of_its_pieces_in_order() {
    let place = Place::new();
    let source = place.file("source", b"0123456789");
    let piece = |range| Piece::File {
        path: source.clone(),
        range,
    };
    let content = vec![
        Piece::Octets(b"a".as_slice().into()),
        Piece::Octets(b"".as_slice().into()),
        Piece::Octets(b"b".as_slice().into()),
        piece(2..5),
        Piece::Octets(b"c".as_slice().into()),
        piece(9..10),
        piece(7..7),
    ];
    let made = place.one(create(place.path("made"), content));
    let Ok(Reply::Meta(meta)) = made else {
        panic!("{made:?}")
    };
    assert_eq!((meta.length, meta.mode, meta.links), (7, 0o640, 1));
    assert_eq!(fs::read(place.path("made")).unwrap(), b"ab234c9");
    assert_eq!(meta.inode, fs::metadata(place.path("made")).unwrap().ino());
}

#[test]
fn a_file_that_cannot_be_whole_is_not_there_at_all() {
    let place = Place::new();
    let source = place.file("source", b"short");
    let piece = |path: &Path, range| {
        let path = path.to_path_buf();
        vec![
            Piece::Octets(b"begun".as_slice().into()),
            Piece::File { path, range },
        ]
    };
    let (made, missing) = (place.path("made"), place.path("missing"));
    let refusal = |content| place.refusal(create(made.clone(), content));
    assert_eq!(refusal(piece(&source, 1..6)), DiskErrorKind::Io);
    assert_eq!(refusal(piece(&missing, 0..1)), DiskErrorKind::NotFound);
    assert!(!made.exists());
    let taken = create(source.clone(), piece(&missing, 0..1));
    assert_eq!(place.refusal(taken), DiskErrorKind::Exists);
    assert_eq!(fs::read(&source).unwrap(), b"short");
}

#[test]
fn a_link_says_where_it_leads() {
    let place = Place::new();
    let target = place.file("target", b"");
    let target = fs::canonicalize(target).unwrap();
    symlink(&target, place.path("link")).unwrap();
    symlink("link", place.path("second")).unwrap();
    symlink("missing", place.path("dangling")).unwrap();
    symlink("loop", place.path("loop")).unwrap();
    for name in ["target", "link", "second"] {
        let reply = place.one(Op::Resolve(place.path(name)));
        assert_eq!(reply, Ok(Reply::Path(target.clone())), "{name}");
    }
    for (name, expected) in [
        ("dangling", DiskErrorKind::NotFound),
        ("loop", DiskErrorKind::NotRegular),
    ] {
        let resolve = Op::Resolve(place.path(name));
        assert_eq!(place.refusal(resolve), expected, "{name}");
    }
}

#[test]
fn what_is_not_a_file_is_refused_and_never_waited_for() {
    let place = Place::new();
    let target = place.file("target", b"secret");
    fs::create_dir(place.path("directory")).unwrap();
    symlink(&target, place.path("link")).unwrap();
    symlink(place.path("directory"), place.path("directory-link")).unwrap();
    let fifo = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, place.path("fifo"), fifo).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.path("socket")).unwrap();
    let begun = Instant::now();
    for (name, expected) in [
        ("directory", DiskErrorKind::IsADirectory),
        ("link", DiskErrorKind::NotRegular),
        ("fifo", DiskErrorKind::NotRegular),
        ("socket", DiskErrorKind::NotRegular),
        ("/dev/null", DiskErrorKind::NotRegular),
        ("missing", DiskErrorKind::NotFound),
        ("target/below", DiskErrorKind::NotADirectory),
    ] {
        let path = place.path(name);
        let append = Op::Append {
            path: path.clone(),
            octets: b"x".as_slice().into(),
            durability: Durability::Volatile,
        };
        let truncate = Op::Truncate {
            path: path.clone(),
            length: 0,
        };
        let lock = Op::Lock {
            path: path.clone(),
            patience: Millis(0),
        };
        let sync = Op::Sync(path.clone());
        for op in [
            read(&path),
            append,
            write_at(&path, 0, &[b"x"]),
            truncate,
            lock,
            sync,
        ] {
            assert_eq!(place.refusal(op.clone()), expected, "{op:?}");
        }
    }
    let link = place.path("directory-link");
    for op in [
        Op::List(link.clone()),
        Op::SyncDir(link.clone()),
        Op::Rmdir(link),
    ] {
        assert_eq!(
            place.refusal(op.clone()),
            DiskErrorKind::NotRegular,
            "{op:?}"
        );
    }
    assert_eq!(
        place.refusal(Op::List(target.clone())),
        DiskErrorKind::NotADirectory
    );
    assert_eq!(fs::read(target).unwrap(), b"secret");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn impossible_names_are_named_so() {
    let place = Place::new();
    for name in ["nul\0", &"x".repeat(300)] {
        let path = place.path(name);
        let to = path.clone();
        let from = place.file("from", b"");
        for op in [
            create(path.clone(), Vec::new()),
            Op::Stat(path.clone()),
            Op::Rename { from, to },
            Op::Mkdir { path, mode: 0o700 },
        ] {
            assert_eq!(place.refusal(op), DiskErrorKind::BadName);
        }
    }
}

#[test]
fn permissions_are_those_asked_for() {
    let place = Place::new();
    for (number, mode) in [0o600, 0o666, 0o777].into_iter().enumerate() {
        let (file, directory) = (format!("f{number}"), format!("d{number}"));
        let mut op = create(place.path(&file), Vec::new());
        if let Op::Create { mode: bits, .. } = &mut op {
            *bits = mode;
        }
        place.one(op).unwrap();
        let path = place.path(&directory);
        place.one(Op::Mkdir { path, mode }).unwrap();
        for name in [file, directory] {
            let found = fs::metadata(place.path(&name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(found & 0o777, mode, "{name}");
        }
    }
}

#[test]
fn an_allocated_file_has_all_its_blocks() {
    let place = Place::new();
    let path = place.path("segment");
    for length in [1_000_003_u64, 0] {
        let allocate = Op::Allocate {
            path: path.clone(),
            length,
            mode: 0o600,
        };
        let Ok(Reply::Meta(meta)) = place.one(allocate.clone()) else {
            panic!("not allocated")
        };
        assert_eq!(meta.length, length);
        assert!(fs::metadata(&path).unwrap().blocks() * 512 >= length);
        assert!(fs::read(&path).unwrap().iter().all(|&octet| octet == 0));
        assert_eq!(place.refusal(allocate), DiskErrorKind::Exists);
        place.one(Op::Unlink(path.clone())).unwrap();
    }
}

#[test]
fn an_allocation_that_fails_leaves_nothing_behind() {
    let place = Place::new();
    let path = place.path("huge");
    let allocate = Op::Allocate {
        path: path.clone(),
        length: 1 << 60,
        mode: 0o600,
    };
    place.one(allocate).expect_err("no disk is so large");
    assert!(!path.exists());
}

#[test]
fn a_gathered_write_of_many_pieces_is_whole() {
    let place = Place::new();
    let path = place.file("file", b"0123");
    let pieces: Vec<Vec<u8>> = (0..3000_u32)
        .map(|n| n.to_be_bytes()[2..].to_vec())
        .collect();
    let slices: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
    place.one(write_at(&path, 2, &slices)).unwrap();
    let expected = [b"01".as_slice(), &pieces.concat()].concat();
    assert_eq!(place.one(read(&path)), Ok(Reply::Octets(expected)));
}

#[test]
fn a_file_that_was_replaced_by_another_process_is_opened_anew() {
    let place = Place::new();
    let path = place.file("segment", b"old old");
    place.one(write_at(&path, 0, &[b"ONE"])).unwrap();
    assert_eq!(place.disk.kept(), 1);
    let other = place.file("other", b"new new");
    fs::rename(&path, place.path("moved")).unwrap();
    fs::rename(other, &path).unwrap();
    place.one(write_at(&path, 4, &[b"TWO"])).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new TWO");
    assert_eq!(fs::read(place.path("moved")).unwrap(), b"ONE old");
    fs::remove_file(&path).unwrap();
    assert_eq!(
        place.refusal(Op::Sync(path.clone())),
        DiskErrorKind::NotFound
    );
    assert_eq!(
        place.refusal(write_at(&path, 0, &[b"x"])),
        DiskErrorKind::NotFound
    );
    assert_eq!(place.disk.kept(), 0);
}

#[test]
fn few_files_are_kept_open_and_none_that_lost_its_name() {
    let place = Place::new();
    fs::create_dir(place.path("d")).unwrap();
    for number in 0..40 {
        let path = place.file(&format!("d/{number}"), b"");
        place.one(write_at(&path, 0, &[b"x"])).unwrap();
    }
    assert!(place.disk.kept() <= 16);
    place.one(Op::Unlink(place.path("d/39"))).unwrap();
    place.one(Op::Unlink(place.path("d/38"))).unwrap();
    assert!(place.disk.kept() <= 14);
    let (from, to) = (place.path("d"), place.path("e"));
    place.one(Op::Rename { from, to }).unwrap();
    assert_eq!(place.disk.kept(), 0);
}

#[test]
fn a_large_batch_gives_each_outcome_its_place() {
    let place = Place::new();
    let (twice, folder) = (place.file("twice", b""), place.folder.path().to_path_buf());
    let mut ops = Vec::new();
    for number in 0..200 {
        let octets = number.to_string().into_bytes();
        let content = vec![Piece::Octets(octets.into())];
        // Each fourth name is taken: its neighbours are not to suffer for it.
        ops.push(create(
            place.path(&format!("f{}", number - number % 4 / 3)),
            content,
        ));
        ops.push(Op::Sync(twice.clone()));
        ops.push(Op::Sync(place.path("missing")));
        ops.push(Op::SyncDir(folder.clone()));
        ops.push(Op::Stat(twice.clone()));
    }
    let outcomes = place.batch(ops);
    assert_eq!(outcomes.len(), 1000);
    for (number, outcomes) in outcomes.chunks(5).enumerate() {
        let [created, synced, missing, directory, stat] = outcomes else {
            panic!("five of each")
        };
        if number % 4 < 2 {
            assert!(
                matches!(created, Ok(Reply::Meta(_))),
                "{number}: {created:?}"
            );
            let text = fs::read_to_string(place.path(&format!("f{number}"))).unwrap();
            assert_eq!(text, number.to_string());
        }
        assert_eq!((synced, directory), (&Ok(Reply::Done), &Ok(Reply::Done)));
        assert_eq!(missing.as_ref().unwrap_err().kind, DiskErrorKind::NotFound);
        assert!(matches!(stat, Ok(Reply::Meta(_))));
    }
    let taken = outcomes.iter().filter(|outcome| {
        outcome
            .as_ref()
            .is_err_and(|error| error.kind == DiskErrorKind::Exists)
    });
    assert_eq!(taken.count(), 50);
}

#[test]
fn a_listing_has_every_name_once() {
    let place = Place::new();
    fs::create_dir(place.path("d")).unwrap();
    for number in 0..3000 {
        place.file(&format!("d/{number:0>40}"), b"");
    }
    fs::create_dir(place.path("d/sub")).unwrap();
    symlink("nowhere", place.path("d/link")).unwrap();
    let Ok(Reply::Listing(listing)) = place.one(Op::List(place.path("d"))) else {
        panic!("not listed")
    };
    let mut names: Vec<_> = listing.iter().collect();
    names.sort_unstable_by_key(|(name, _)| name.to_vec());
    names.dedup();
    assert_eq!(names.len(), 3002);
    let kind = |name: &[u8]| names.iter().find(|entry| entry.0 == name).unwrap().1;
    assert_eq!(kind(format!("{:0>40}", 7).as_bytes()), FileKind::File);
    assert_eq!(
        (kind(b"sub"), kind(b"link")),
        (FileKind::Directory, FileKind::Link)
    );
}

#[test]
fn the_time_of_modification_is_set_to_the_nanosecond() {
    let place = Place::new();
    let path = place.file("file", b"");
    let time = Timestamp {
        seconds: 1_234_567_890,
        nanos: 123_456_789,
    };
    place
        .one(Op::SetModified {
            path: path.clone(),
            time,
        })
        .unwrap();
    let Ok(Reply::Meta(meta)) = place.one(Op::Stat(path)) else {
        panic!("no facts")
    };
    assert_eq!(meta.modified, time);
}

async fn lock(disk: &Disk, path: PathBuf, patience: u64) -> Outcome {
    let patience = Millis(patience);
    disk.one(Op::Lock { path, patience }).await
}

#[test]
fn a_lock_holds_against_other_drivers_until_it_is_given_back() {
    let place = Place::new();
    let path = place.file("lock", b"");
    let Ok(Reply::Lock(id)) = place.one(Op::Lock {
        path: path.clone(),
        patience: Millis(0),
    }) else {
        panic!("not locked")
    };
    let other = StdDisk::new(1);
    let attempt = |patience| {
        let path = path.clone();
        other.run(disk::task(|disk| async move {
            lock(&disk, path, patience).await
        }))
    };
    let begun = Instant::now();
    assert_eq!(attempt(30).unwrap_err().kind, DiskErrorKind::Busy);
    assert!(begun.elapsed() >= Duration::from_millis(30));
    place.one(Op::Unlock(id)).unwrap();
    assert_eq!(place.refusal(Op::Unlock(id)), DiskErrorKind::NotFound);
    assert!(attempt(0).is_ok());
    drop(other);
    let path = path.clone();
    assert!(
        place
            .one(Op::Lock {
                path,
                patience: Millis(0)
            })
            .is_ok(),
        "the other has ended"
    );
}

#[tokio::test]
async fn a_task_that_waits_for_a_lock_holds_no_thread() {
    let place = Place::new();
    let path = place.file("lock", b"");
    let disks = Disks::new(StdDisk::new(1));
    let holder = |path: PathBuf, disks: Disks| async move {
        let task = disk::task(|disk: Disk| async move {
            let Ok(Reply::Lock(id)) = lock(&disk, path, 20_000).await else {
                panic!("not locked")
            };
            disk.one(Op::Pause(Millis(30))).await.unwrap();
            disk.one(Op::Unlock(id)).await.unwrap();
        });
        disks.run(task).await;
    };
    let tasks: Vec<_> = (0..5)
        .map(|_| tokio::spawn(holder(path.clone(), disks.clone())))
        .collect();
    // The only thread there is serves others meanwhile.
    let list = Op::List(place.folder.path().to_path_buf());
    disks
        .run(disk::task(|disk| async move { disk.one(list).await }))
        .await
        .unwrap();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_task_goes_on_to_its_end_though_nobody_waits() {
    let place = Place::new();
    let (path, disks) = (place.path("late"), Disks::new(StdDisk::new(1)));
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let op = create(path.clone(), Vec::new());
    let task = disk::task(|disk: Disk| async move {
        disk.one(Op::Pause(Millis(1))).await.unwrap();
        begun.send(()).ok();
        disk.one(Op::Pause(Millis(20))).await.unwrap();
        disk.one(op).await.unwrap();
    });
    {
        let mut run = Box::pin(disks.run(task));
        tokio::select! {
            () = &mut run => panic!("too early"),
            _ = has_begun => {}
        }
    }
    while !path.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_panicking_task_gives_its_locks_back_and_tells_who_waits() {
    let place = Place::new();
    let path = place.file("lock", b"");
    let disks = Arc::new(Disks::new(StdDisk::new(1)));
    let (same, taken) = (Arc::clone(&disks), path.clone());
    let task = disk::task(|disk: Disk| async move {
        lock(&disk, taken, 0).await.unwrap();
        panic!("as it must");
    });
    let panicked = tokio::spawn(async move { same.run(task).await }).await;
    assert!(panicked.is_err_and(|error| error.is_panic()));
    let again = disk::task(|disk: Disk| async move { lock(&disk, path, 0).await });
    assert!(disks.run(again).await.is_ok());
}
