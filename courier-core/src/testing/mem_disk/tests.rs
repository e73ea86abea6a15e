use super::*;
use crate::disk;
use crate::testing::{FaultDisk, suite};
use std::collections::BTreeSet;

impl suite::Driver for MemDisk {
    fn root(&self) -> PathBuf {
        PathBuf::from("/")
    }
    fn run<T>(&mut self, task: DiskTask<'_, T>) -> T {
        Self::run(self, task)
    }
}

impl suite::Driver for FaultDisk {
    fn root(&self) -> PathBuf {
        PathBuf::from("/")
    }
    fn run<T>(&mut self, task: DiskTask<'_, T>) -> T {
        Self::run(self, task)
    }
}

#[test]
fn the_models_pass_the_common_suite() {
    suite::run(MemDisk::new);
    suite::run(|| {
        let mut disk = MemDisk::new();
        disk.set_order(BatchOrder::Reversed);
        disk
    });
    suite::run(|| FaultDisk::faultless(MemDisk::new()));
}

fn disk_after(ops: &[Op]) -> MemDisk {
    let mut disk = MemDisk::new();
    for op in ops {
        disk.carry_out(op).unwrap();
    }
    disk
}

fn create(path: &str, octets: &[u8], durability: Durability) -> Op {
    Op::Create {
        path: path.into(),
        content: vec![Piece::Octets(octets.into())],
        mode: 0o600,
        durability,
    }
}

fn rename(from: &str, to: &str) -> Op {
    let (from, to) = (from.into(), to.into());
    Op::Rename { from, to }
}

fn mkdir(path: &str) -> Op {
    let (path, mode) = (path.into(), 0o700);
    Op::Mkdir { path, mode }
}

/// What crashes may leave under a name.
fn outcomes(disk: &MemDisk, path: &str) -> BTreeSet<Option<Vec<u8>>> {
    disk.crashes().map(|disk| disk.contents(path)).collect()
}

#[test]
fn name_and_contents_are_lost_apart() {
    let disk = disk_after(&[create("/a", b"abcd", Durability::Volatile)]);
    let seen = outcomes(&disk, "/a");
    for expected in [
        None,
        Some(&b""[..]),
        Some(b"abcd"),
        Some(b"ab"),
        Some(b"\0\0cd"),
        Some(b"\0\0\0\0"),
    ] {
        assert!(
            seen.contains(&expected.map(<[u8]>::to_vec)),
            "{expected:?} {seen:?}"
        );
    }
    assert!(
        seen.iter()
            .flatten()
            .any(|octets| octets.len() == 4 && octets[0] != 0 && octets[0] != b'a'),
        "noise: {seen:?}"
    );

    let disk = disk_after(&[create("/a", b"abcd", Durability::Synced)]);
    assert_eq!(
        outcomes(&disk, "/a"),
        BTreeSet::from([None, Some(b"abcd".to_vec())])
    );

    let disk = disk_after(&[
        create("/a", b"abcd", Durability::Synced),
        Op::SyncDir("/".into()),
    ]);
    assert_eq!(
        outcomes(&disk, "/a"),
        BTreeSet::from([Some(b"abcd".to_vec())])
    );
    assert_eq!(disk.unsynced(), 0);
}

#[test]
fn a_directory_without_a_synced_name_takes_its_files_along() {
    let made = [
        mkdir("/d"),
        create("/d/a", b"a", Durability::Synced),
        Op::SyncDir("/d".into()),
    ];
    let disk = disk_after(&made);
    assert_eq!(outcomes(&disk, "/d/a").len(), 2);
    assert_eq!(disk.crash_losing_all().show(), "//\n");
    let mut disk = disk;
    disk.carry_out(&Op::SyncDir("/".into())).unwrap();
    assert_eq!(outcomes(&disk, "/d/a").len(), 1);
}

#[test]
fn a_rename_survives_whole_or_not_at_all() {
    let mut disk = MemDisk::new();
    disk.plant_file("/tmp/a", b"a");
    disk.plant_directory("/new");
    disk.carry_out(&rename("/tmp/a", "/new/a")).unwrap();
    for crashed in disk.crashes() {
        let (old, new) = (crashed.names("/tmp").len(), crashed.names("/new").len());
        assert_eq!(old + new, 1, "{}", crashed.show());
    }
    // The sync of one directory is enough for both halves, and for what came before.
    for directory in ["/tmp", "/new"] {
        let mut disk = disk.clone();
        disk.carry_out(&rename("/new/a", "/new/b")).unwrap();
        disk.carry_out(&Op::SyncDir(directory.into())).unwrap();
        for crashed in disk.crashes() {
            assert!(crashed.names("/tmp").is_empty());
            assert_eq!(crashed.names("/new").len(), 1);
        }
    }
}

#[test]
fn removals_come_back_until_the_directory_is_synced() {
    let mut disk = MemDisk::new();
    disk.plant_file("/a", b"a");
    disk.carry_out(&Op::Unlink("/a".into())).unwrap();
    assert_eq!(outcomes(&disk, "/a").len(), 2);
    assert_eq!(disk.crash_losing_all().contents("/a"), Some(b"a".to_vec()));
    disk.carry_out(&create("/a", b"b", Durability::Synced))
        .unwrap();
    let seen = outcomes(&disk, "/a");
    assert_eq!(
        seen,
        BTreeSet::from([None, Some(b"a".to_vec()), Some(b"b".to_vec())])
    );
}

#[test]
fn every_subset_of_twelve_changes_is_tried() {
    let changes: Vec<Op> = (0..12).map(|n| mkdir(&format!("/{n}"))).collect();
    let disk = disk_after(&changes);
    let seen: BTreeSet<String> = disk.crashes().map(|disk| disk.show()).collect();
    assert_eq!(seen.len(), 1 << 12);
    let mut disk = disk;
    disk.carry_out(&mkdir("/more")).unwrap();
    let seen: BTreeSet<String> = disk.crashes().map(|disk| disk.show()).collect();
    assert!((200..500).contains(&seen.len()), "{}", seen.len());
    assert!(seen.contains(&disk.show()) && seen.contains("//\n"));
    let again: BTreeSet<String> = disk.crashes().map(|disk| disk.show()).collect();
    assert_eq!(seen, again, "the sample is the same each time");
}

#[test]
fn gathered_writes_are_torn_between_their_pieces() {
    let mut disk = MemDisk::new();
    disk.plant_file("/a", b"......");
    let write = Op::WriteAt {
        path: "/a".into(),
        offset: 0,
        octets: [b"11", b"22", b"33"].map(|piece| piece[..].into()).to_vec(),
        durability: Durability::Volatile,
    };
    disk.carry_out(&write).unwrap();
    let seen = outcomes(&disk, "/a");
    for expected in [
        "......", "112233", "11....", "1122..", "..2233", "....33", "11..33", "112...", "...233",
    ] {
        assert!(seen.contains(&Some(expected.into())), "{expected}");
    }
}

#[test]
fn a_task_is_cut_off_between_a_write_and_its_sync() {
    let task =
        || disk::task(|disk| async move { disk.one(create("/a", b"a", Durability::Synced)).await });
    assert!(MemDisk::new().run_until(0, task()).is_none());
    let mut disk = MemDisk::new();
    assert!(disk.run_until(1, task()).is_none());
    assert_eq!(disk.contents("/a"), Some(b"a".to_vec()));
    assert!(outcomes(&disk, "/a").contains(&Some(Vec::new())));
    let mut disk = MemDisk::new();
    assert!(disk.run_until(2, task()).is_some());
    assert!(!outcomes(&disk, "/a").contains(&Some(Vec::new())));
}

#[test]
fn what_was_planted_is_durable_and_hostile_files_are_refused() {
    let mut disk = MemDisk::new();
    disk.plant_fifo("/mail/fifo");
    disk.plant_link("/mail/link", "/mail/real");
    disk.plant_link("/alias", "mail");
    disk.plant_link("/loop", "loop");
    disk.plant_file("/mail/real", b"real");
    assert_eq!(disk.unsynced(), 0);
    assert_eq!(disk.contents("/alias/real"), Some(b"real".to_vec()));
    let mut read = |path: &str| {
        let (path, range) = (path.into(), 0..9);
        disk.carry_out(&Op::Read { path, range })
            .map_err(|error| error.kind)
    };
    assert_eq!(read("/mail/fifo"), Err(DiskErrorKind::NotRegular));
    assert_eq!(read("/mail/link"), Err(DiskErrorKind::NotRegular));
    assert_eq!(read("/loop/real"), Err(DiskErrorKind::NotRegular));
    assert_eq!(disk.meta("/mail/link").unwrap().kind, FileKind::Link);
    disk.plant_link("/mail/second", "./link");
    disk.plant_link("/mail/dangling", "none");
    let mut leads = |path: &str| match disk.carry_out(&Op::Resolve(path.into())) {
        Ok(Reply::Path(path)) => Ok(path.to_string_lossy().into_owned()),
        Ok(reply) => panic!("{reply:?}"),
        Err(error) => Err(error.kind),
    };
    for path in [
        "/mail/real",
        "/mail/link",
        "/alias/second",
        "/alias/../alias/link",
    ] {
        assert_eq!(leads(path), Ok("/mail/real".to_owned()), "{path}");
    }
    assert_eq!(leads("/alias"), Ok("/mail".to_owned()));
    assert_eq!(leads("/mail/dangling"), Err(DiskErrorKind::NotFound));
    assert_eq!(leads("/loop"), Err(DiskErrorKind::NotRegular));
    disk.carry_out(&Op::Unlink("/mail/link".into())).unwrap();
    assert_eq!(disk.names("/mail"), ["dangling", "fifo", "real", "second"]);
}

#[test]
fn time_passes_only_when_told() {
    let mut disk = disk_after(&[create("/a", b"", Durability::Volatile)]);
    let start = disk.meta("/a").unwrap().modified;
    assert_eq!(start, disk.now());
    disk.carry_out(&Op::Pause(Millis(1500))).unwrap();
    disk.carry_out(&create("/b", b"", Durability::Volatile))
        .unwrap();
    let later = disk.meta("/b").unwrap().modified;
    assert_eq!(later.seconds, start.seconds + 1);
    assert_eq!(later.nanos, 500_000_000);
    assert_eq!(disk.meta("/a").unwrap().modified, start);
    assert_eq!(disk.meta("/").unwrap().modified, later);
    let noon = Timestamp {
        seconds: 12,
        nanos: 0,
    };
    disk.set_time(noon);
    assert_eq!(disk.now(), noon);
}

#[test]
fn a_lock_of_another_process_is_awaited() {
    let mut disk = MemDisk::new();
    disk.plant_file("/lock", b"");
    disk.lock_by_another("/lock", Millis(500));
    let before = disk.now().seconds;
    let mut lock = |patience| {
        let path = "/lock".into();
        disk.carry_out(&Op::Lock { path, patience })
            .map_err(|error| error.kind)
    };
    assert_eq!(lock(Millis(400)), Err(DiskErrorKind::Busy));
    assert!(lock(Millis(400)).is_ok());
    assert_eq!(lock(Millis(1600)), Err(DiskErrorKind::Busy));
    assert_eq!(disk.now().seconds, before + 2);
    disk.release_locks();
    let path = "/lock".into();
    assert!(
        disk.carry_out(&Op::Lock {
            path,
            patience: Millis(0)
        })
        .is_ok()
    );
}

#[test]
fn a_full_disk_takes_nothing_until_something_goes() {
    let mut disk = MemDisk::new();
    disk.set_capacity(Some(10));
    disk.carry_out(&create("/a", b"12345678", Durability::Volatile))
        .unwrap();
    let more = create("/b", b"123", Durability::Volatile);
    assert_eq!(
        disk.carry_out(&more).unwrap_err().kind,
        DiskErrorKind::NoSpace
    );
    assert_eq!(disk.contents("/b"), None);
    disk.carry_out(&Op::Unlink("/a".into())).unwrap();
    disk.carry_out(&more).unwrap();
}

#[test]
fn what_is_asked_is_counted() {
    let mut disk = MemDisk::new();
    disk.run(disk::task(|disk| async move {
        disk.run(vec![
            create("/a", b"abc", Durability::Synced),
            create("/b", b"abc", Durability::Volatile),
        ])
        .await;
        disk.one(Op::SyncDir("/".into())).await?;
        disk.read(Path::new("/a"), 0..2).await
    }))
    .unwrap();
    let expected = Counts {
        batches: 3,
        operations: 4,
        syncs: 1,
        directory_syncs: 1,
        written: 6,
        read: 2,
    };
    assert_eq!(disk.counts(), expected);
}
