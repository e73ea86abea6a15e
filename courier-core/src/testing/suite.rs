//! What every driver must do alike: one suite, run by the tests of each.
//!
//! ```
//! use courier_core::disk::DiskTask;
//! use courier_core::testing::{MemDisk, suite};
//! use std::path::PathBuf;
//!
//! struct Driver(MemDisk);
//!
//! impl suite::Driver for Driver {
//!     fn root(&self) -> PathBuf {
//!         PathBuf::from("/")
//!     }
//!     fn run<T>(&mut self, task: DiskTask<'_, T>) -> T {
//!         self.0.run(task)
//!     }
//! }
//!
//! suite::run(|| Driver(MemDisk::new()));
//! ```

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::disk::{
    self, DiskError, DiskErrorKind, DiskTask, Durability, FileKind, LockId, Meta, Octets, Op,
    Outcome, Piece, Reply,
};
use crate::time::{Millis, Timestamp};

/// A driver under test.
pub trait Driver {
    /// An empty directory in which the suite may do as it likes.
    fn root(&self) -> PathBuf;

    /// Runs a task to its end.
    fn run<T>(&mut self, task: DiskTask<'_, T>) -> T;
}

/// Runs every test of the suite, each on a driver of its own.
///
/// # Panics
/// If the driver does not do what [`Op`] says.
pub fn run<D: Driver>(driver: impl Fn() -> D) {
    let tests: [(&str, Test<D>); 15] = [
        ("create", create),
        ("create from files", create_from_files),
        ("failed create", failed_create),
        ("allocate", allocate),
        ("append and write", append_and_write),
        ("read", read),
        ("truncate and times", truncate_and_times),
        ("rename", rename),
        ("link and unlink", link_and_unlink),
        ("directories", directories),
        ("listing", listing),
        ("links in paths", links_in_paths),
        ("impossible names", impossible_names),
        ("locks", locks),
        ("batches", batches),
    ];
    for (name, test) in tests {
        let driver = driver();
        let root = driver.root();
        let driver = std::cell::RefCell::new(driver);
        let _name = Name(name);
        test(&Desk { driver, root });
    }
}

type Test<D> = fn(&Desk<D>);

/// Says which test failed.
struct Name(&'static str);

impl Drop for Name {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the driver fails the test of {}", self.0);
        }
    }
}

/// A driver, and short words for what the tests do with it.
struct Desk<D> {
    driver: std::cell::RefCell<D>,
    root: PathBuf,
}

impl<D: Driver> Desk<D> {
    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn run(&self, batch: Vec<Op>) -> Vec<Outcome> {
        let task = disk::task(|disk| async move { disk.run(batch).await });
        self.driver.borrow_mut().run(task)
    }

    fn one(&self, op: Op) -> Result<Reply, DiskErrorKind> {
        let path = op.path().to_path_buf();
        let outcome = self.run(vec![op]).pop();
        let Some(outcome) = outcome else {
            panic!("one operation, no outcome")
        };
        outcome.map_err(|error: DiskError| {
            assert_eq!(error.path, path, "an error names the file: {error}");
            error.kind
        })
    }

    fn done(&self, op: Op) {
        let (shown, outcome) = (format!("{op:?}"), self.one(op));
        assert!(outcome.is_ok(), "{shown}: {outcome:?}");
    }

    fn fails(&self, op: Op, kind: DiskErrorKind) {
        let (shown, outcome) = (format!("{op:?}"), self.one(op));
        assert_eq!(outcome, Err(kind), "{shown}");
    }

    fn make(&self, name: &str, octets: &[u8]) {
        self.done(self.create(name, octets));
    }

    fn create(&self, name: &str, octets: &[u8]) -> Op {
        Op::Create {
            path: self.path(name),
            content: vec![Piece::Octets(octets.into())],
            mode: 0o600,
            durability: Durability::Volatile,
        }
    }

    fn mkdir(&self, name: &str) {
        let (path, mode) = (self.path(name), 0o700);
        self.done(Op::Mkdir { path, mode });
    }

    fn rename(&self, from: &str, to: &str) -> Op {
        let (from, to) = (self.path(from), self.path(to));
        Op::Rename { from, to }
    }

    fn link(&self, from: &str, to: &str) -> Op {
        let (from, to) = (self.path(from), self.path(to));
        Op::Link { from, to }
    }

    fn octets(&self, name: &str) -> Result<Vec<u8>, DiskErrorKind> {
        let (path, range) = (self.path(name), 0..1 << 20);
        match self.one(Op::Read { path, range })? {
            Reply::Octets(octets) => Ok(octets),
            other => panic!("read gives octets, not {other:?}"),
        }
    }

    fn holds(&self, name: &str, octets: &[u8]) {
        let shown = |octets: &[u8]| octets.escape_ascii().to_string();
        assert_eq!(
            self.octets(name).map(|octets| shown(&octets)),
            Ok(shown(octets)),
            "{name}"
        );
    }

    fn is_gone(&self, name: &str) {
        self.fails(Op::Stat(self.path(name)), DiskErrorKind::NotFound);
    }

    fn meta(&self, name: &str) -> Meta {
        match self.one(Op::Stat(self.path(name))) {
            Ok(Reply::Meta(meta)) => meta,
            other => panic!("stat of {name}: {other:?}"),
        }
    }

    fn names(&self, name: &str) -> Vec<(String, FileKind)> {
        match self.one(Op::List(self.path(name))) {
            Ok(Reply::Listing(listing)) => {
                assert_eq!(listing.len(), listing.iter().count());
                let entries = listing.iter();
                let mut names: Vec<_> = entries
                    .map(|(name, kind)| (String::from_utf8_lossy(name).into_owned(), kind))
                    .collect();
                names.sort_by(|a, b| a.0.cmp(&b.0));
                names
            }
            other => panic!("list of {name}: {other:?}"),
        }
    }

    fn lock(&self, name: &str, patience: Millis) -> Result<LockId, DiskErrorKind> {
        let path = self.path(name);
        match self.one(Op::Lock { path, patience })? {
            Reply::Lock(id) => Ok(id),
            other => panic!("lock gives a lock, not {other:?}"),
        }
    }
}

fn octets(text: &str) -> Octets {
    text.as_bytes().into()
}

fn create<D: Driver>(desk: &Desk<D>) {
    for (name, durability) in [("a", Durability::Volatile), ("b", Durability::Synced)] {
        let outcome = desk.one(Op::Create {
            path: desk.path(name),
            content: vec![Piece::Octets(octets("one ")), Piece::Octets(octets("two"))],
            mode: 0o640,
            durability,
        });
        let Ok(Reply::Meta(meta)) = outcome else {
            panic!("create gives facts: {outcome:?}")
        };
        desk.holds(name, b"one two");
        assert_eq!(meta, desk.meta(name));
        assert_eq!((meta.kind, meta.length), (FileKind::File, 7));
        assert_eq!((meta.mode, meta.links), (0o640, 1));
    }
    assert_ne!(desk.meta("a").inode, desk.meta("b").inode);
    desk.done(Op::Create {
        path: desk.path("empty"),
        content: Vec::new(),
        mode: 0o600,
        durability: Durability::Synced,
    });
    desk.holds("empty", b"");
    desk.fails(desk.create("a", b"again"), DiskErrorKind::Exists);
    desk.holds("a", b"one two");
    desk.fails(desk.create("none/a", b""), DiskErrorKind::NotFound);
    desk.fails(desk.create("a/a", b""), DiskErrorKind::NotADirectory);
    desk.done(Op::Sync(desk.path("a")));
    desk.fails(Op::Sync(desk.path("none")), DiskErrorKind::NotFound);
    desk.done(Op::SyncDir(desk.path("")));
    desk.fails(Op::SyncDir(desk.path("none")), DiskErrorKind::NotFound);
    desk.fails(Op::SyncDir(desk.path("a")), DiskErrorKind::NotADirectory);
}

fn create_from_files<D: Driver>(desk: &Desk<D>) {
    let large: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    desk.make("large", &large);
    let piece = |range| Piece::File {
        path: desk.path("large"),
        range,
    };
    desk.done(Op::Create {
        path: desk.path("copy"),
        content: vec![
            piece(100_000..300_000),
            Piece::Octets(octets("between")),
            piece(5..5),
            piece(1..3),
        ],
        mode: 0o600,
        durability: Durability::Synced,
    });
    let mut expected = large.get(100_000..).unwrap_or_default().to_vec();
    expected.extend(b"between");
    expected.extend(large.get(1..3).unwrap_or_default());
    desk.holds("copy", &expected);
}

fn failed_create<D: Driver>(desk: &Desk<D>) {
    desk.make("short", b"short");
    desk.mkdir("directory");
    for (source, range, kind) in [
        ("short", 0..6, DiskErrorKind::Io),
        ("none", 0..1, DiskErrorKind::NotFound),
        ("directory", 0..1, DiskErrorKind::IsADirectory),
    ] {
        let first = Piece::Octets(octets("first"));
        let path = desk.path(source);
        let op = Op::Create {
            path: desk.path("copy"),
            content: vec![first, Piece::File { path, range }],
            mode: 0o600,
            durability: Durability::Volatile,
        };
        desk.fails(op, kind);
        desk.is_gone("copy");
    }
}

fn allocate<D: Driver>(desk: &Desk<D>) {
    let allocate = |name| Op::Allocate {
        path: desk.path(name),
        length: 10_000,
        mode: 0o600,
    };
    desk.done(allocate("a"));
    desk.holds("a", &[0; 10_000]);
    desk.fails(allocate("a"), DiskErrorKind::Exists);
    desk.done(Op::WriteAt {
        path: desk.path("a"),
        offset: 9_998,
        octets: vec![octets("xy")],
        durability: Durability::Synced,
    });
    assert_eq!(desk.meta("a").length, 10_000);
}

fn append_and_write<D: Driver>(desk: &Desk<D>) {
    desk.make("a", b"one");
    let append = |name, durability| Op::Append {
        path: desk.path(name),
        octets: octets(" two"),
        durability,
    };
    desk.done(append("a", Durability::Volatile));
    desk.done(append("a", Durability::Synced));
    desk.holds("a", b"one two two");
    let write = |name, offset, durability| Op::WriteAt {
        path: desk.path(name),
        offset,
        octets: vec![octets("1"), octets(""), octets("23")],
        durability,
    };
    desk.done(write("a", 4, Durability::Volatile));
    desk.holds("a", b"one 123 two");
    desk.done(write("a", 13, Durability::Synced));
    desk.holds("a", b"one 123 two\0\x00123");
    desk.mkdir("d");
    for (name, kind) in [
        ("none", DiskErrorKind::NotFound),
        ("d", DiskErrorKind::IsADirectory),
        ("a/b", DiskErrorKind::NotADirectory),
    ] {
        desk.fails(append(name, Durability::Volatile), kind);
        desk.fails(write(name, 0, Durability::Synced), kind);
    }
}

fn read<D: Driver>(desk: &Desk<D>) {
    desk.make("a", b"0123456789");
    let read = |name: &str, range| {
        let path = desk.path(name);
        desk.one(Op::Read { path, range })
    };
    for (range, expected) in [
        (0..10, &b"0123456789"[..]),
        (2..4, b"23"),
        (8..1 << 40, b"89"),
        (10..12, b""),
        (1 << 40..1 << 41, b""),
        (3..3, b""),
    ] {
        assert_eq!(read("a", range), Ok(Reply::Octets(expected.to_vec())));
    }
    desk.mkdir("d");
    assert_eq!(read("d", 0..1), Err(DiskErrorKind::IsADirectory));
    assert_eq!(read("none", 0..1), Err(DiskErrorKind::NotFound));
}

fn truncate_and_times<D: Driver>(desk: &Desk<D>) {
    desk.make("a", b"0123456789");
    let truncate = |length| Op::Truncate {
        path: desk.path("a"),
        length,
    };
    desk.done(truncate(4));
    desk.holds("a", b"0123");
    desk.done(truncate(6));
    desk.holds("a", b"0123\0\0");
    let time = Timestamp {
        seconds: 1_234_567_890,
        nanos: 500_000_000,
    };
    let path = desk.path("a");
    desk.done(Op::SetModified { path, time });
    assert_eq!(desk.meta("a").modified, time);
    desk.mkdir("d");
    let path = desk.path("d");
    desk.done(Op::SetModified { path, time });
    assert_eq!(desk.meta("d").modified, time);
    let path = desk.path("none");
    desk.fails(Op::SetModified { path, time }, DiskErrorKind::NotFound);
    let path = desk.path("none");
    desk.fails(Op::Truncate { path, length: 1 }, DiskErrorKind::NotFound);
    desk.done(Op::Pause(Millis(1)));
}

fn rename<D: Driver>(desk: &Desk<D>) {
    desk.make("a", b"a");
    desk.make("b", b"b");
    desk.done(desk.rename("a", "c"));
    desk.is_gone("a");
    desk.holds("c", b"a");
    let inode = desk.meta("c").inode;
    desk.done(desk.rename("c", "b"));
    desk.is_gone("c");
    desk.holds("b", b"a");
    assert_eq!(desk.meta("b").inode, inode);
    desk.done(desk.rename("b", "b"));
    desk.holds("b", b"a");
    desk.fails(desk.rename("none", "b"), DiskErrorKind::NotFound);
    desk.fails(desk.rename("b", "none/b"), DiskErrorKind::NotFound);
    desk.mkdir("d");
    desk.mkdir("e");
    desk.make("e/f", b"");
    desk.fails(desk.rename("b", "d"), DiskErrorKind::IsADirectory);
    desk.fails(desk.rename("d", "b"), DiskErrorKind::NotADirectory);
    desk.fails(desk.rename("d", "e"), DiskErrorKind::NotEmpty);
    desk.fails(desk.rename("d", "d/d"), DiskErrorKind::Other(22));
    desk.done(desk.rename("e", "d"));
    desk.holds("d/f", b"");
    desk.is_gone("e");
    // Two names of one file: nothing happens (rename(2)).
    desk.done(desk.link("b", "d/b"));
    desk.done(desk.rename("b", "d/b"));
    desk.holds("b", b"a");
    desk.holds("d/b", b"a");
}

fn link_and_unlink<D: Driver>(desk: &Desk<D>) {
    desk.make("a", b"a");
    desk.done(desk.link("a", "b"));
    assert_eq!(desk.meta("a").links, 2);
    assert_eq!(desk.meta("a").inode, desk.meta("b").inode);
    desk.fails(desk.link("a", "b"), DiskErrorKind::Exists);
    desk.fails(desk.link("none", "c"), DiskErrorKind::NotFound);
    desk.done(Op::Append {
        path: desk.path("b"),
        octets: octets("b"),
        durability: Durability::Volatile,
    });
    desk.holds("a", b"ab");
    desk.done(Op::Unlink(desk.path("a")));
    desk.is_gone("a");
    desk.holds("b", b"ab");
    assert_eq!(desk.meta("b").links, 1);
    desk.fails(Op::Unlink(desk.path("a")), DiskErrorKind::NotFound);
    desk.mkdir("d");
    desk.fails(Op::Unlink(desk.path("d")), DiskErrorKind::IsADirectory);
    desk.fails(desk.link("d", "e"), DiskErrorKind::Permission);
}

fn directories<D: Driver>(desk: &Desk<D>) {
    desk.mkdir("d");
    assert_eq!(desk.meta("d").kind, FileKind::Directory);
    assert_eq!(desk.meta("d").mode, 0o700);
    let mkdir = |name| Op::Mkdir {
        path: desk.path(name),
        mode: 0o700,
    };
    desk.fails(mkdir("d"), DiskErrorKind::Exists);
    desk.fails(mkdir("none/d"), DiskErrorKind::NotFound);
    desk.mkdir("d/e");
    let rmdir = |name| Op::Rmdir(desk.path(name));
    desk.fails(rmdir("d"), DiskErrorKind::NotEmpty);
    desk.fails(rmdir("none"), DiskErrorKind::NotFound);
    desk.done(rmdir("d/e"));
    desk.done(Op::SyncDir(desk.path("d")));
    desk.done(rmdir("d"));
    desk.is_gone("d");
    desk.make("f", b"");
    desk.fails(rmdir("f"), DiskErrorKind::NotADirectory);
    desk.fails(mkdir("f"), DiskErrorKind::Exists);
}

fn listing<D: Driver>(desk: &Desk<D>) {
    assert_eq!(desk.names(""), Vec::new());
    let mut expected = Vec::new();
    desk.mkdir("d");
    for number in 0..300 {
        let name = format!("file {number:03}");
        desk.make(&format!("d/{name}"), b"");
        expected.push((name, FileKind::File));
    }
    desk.mkdir("d/sub");
    expected.push(("sub".to_owned(), FileKind::Directory));
    let mut names = desk.names("d");
    for (at, (_, kind)) in names.iter_mut().enumerate() {
        if *kind == FileKind::Unknown {
            *kind = expected.get(at).map_or(*kind, |(_, kind)| *kind);
        }
    }
    assert_eq!(names, expected);
    desk.fails(Op::List(desk.path("none")), DiskErrorKind::NotFound);
    desk.fails(
        Op::List(desk.path("d/file 000")),
        DiskErrorKind::NotADirectory,
    );
    let latin = PathBuf::from(OsStr::from_bytes(b"caf\xe9"));
    desk.done(Op::Create {
        path: desk.root.join(latin),
        content: Vec::new(),
        mode: 0o600,
        durability: Durability::Volatile,
    });
    let Ok(Reply::Listing(listing)) = desk.one(Op::List(desk.path(""))) else {
        panic!("list of the root")
    };
    assert!(listing.iter().any(|(name, _)| name == b"caf\xe9"));
}

fn links_in_paths<D: Driver>(desk: &Desk<D>) {
    desk.mkdir("d");
    desk.make("d/a", b"a");
    desk.holds("d/./a", b"a");
    desk.holds("d/../d/a", b"a");
    desk.fails(Op::Stat(desk.path("d/a/..")), DiskErrorKind::NotADirectory);
    desk.fails(Op::Stat(desk.path("none/..")), DiskErrorKind::NotFound);
    let leads = |name| desk.one(Op::Resolve(desk.path(name)));
    let there = leads("d/a");
    assert!(
        matches!(&there, Ok(Reply::Path(path)) if path.ends_with("d/a")),
        "{there:?}"
    );
    assert_eq!(leads("d/../d/./a"), there);
    desk.fails(Op::Resolve(desk.path("none")), DiskErrorKind::NotFound);
    desk.fails(
        Op::Resolve(desk.path("d/a/b")),
        DiskErrorKind::NotADirectory,
    );
    let link = |name, target: &str| Op::Symlink {
        target: target.into(),
        path: desk.path(name),
    };
    desk.done(link("l", "d/./a"));
    desk.fails(link("l", "x"), DiskErrorKind::Exists);
    desk.fails(link("none/l", "x"), DiskErrorKind::NotFound);
    desk.done(link("dangling", "/no such file"));
    let says = |name| desk.one(Op::ReadLink(desk.path(name)));
    assert_eq!(says("l"), Ok(Reply::Path("d/./a".into())));
    let nowhere = Ok(Reply::Path("/no such file".into()));
    assert_eq!(says("dangling"), nowhere);
    desk.fails(Op::ReadLink(desk.path("none")), DiskErrorKind::NotFound);
    desk.fails(Op::ReadLink(desk.path("d")), DiskErrorKind::Other(22));
    assert_eq!(leads("l"), there);
    let path = desk.path("l");
    let stat = desk.one(Op::Stat(path.clone()));
    let is_link = |stat: &Result<Reply, DiskErrorKind>| matches!(stat, Ok(Reply::Meta(meta)) if meta.kind == FileKind::Link);
    assert!(is_link(&stat), "{stat:?}");
    desk.fails(Op::Read { path, range: 0..9 }, DiskErrorKind::NotRegular);
    let (from, to) = (desk.path("dangling"), desk.path("l"));
    desk.done(Op::Rename { from, to });
    assert_eq!(says("l"), nowhere, "a rename is of the link");
    desk.done(Op::Unlink(desk.path("l")));
    desk.holds("d/a", b"a");
}

fn impossible_names<D: Driver>(desk: &Desk<D>) {
    let long = "n".repeat(255);
    desk.make(&long, b"");
    for name in ["a\0b", &"n".repeat(256)] {
        desk.fails(desk.create(name, b""), DiskErrorKind::BadName);
        desk.fails(Op::Stat(desk.path(name)), DiskErrorKind::BadName);
        desk.fails(desk.rename(&long, name), DiskErrorKind::BadName);
        desk.fails(desk.link(&long, name), DiskErrorKind::BadName);
        desk.fails(Op::Unlink(desk.path(name)), DiskErrorKind::BadName);
        desk.fails(Op::List(desk.path(name)), DiskErrorKind::BadName);
    }
}

fn locks<D: Driver>(desk: &Desk<D>) {
    desk.make("a", b"");
    desk.make("b", b"");
    assert_eq!(
        desk.lock("none", Millis(0)).err(),
        Some(DiskErrorKind::NotFound),
    );
    let Ok(first) = desk.lock("a", Millis(0)) else {
        panic!("a free lock")
    };
    // A second lock on the same file, even by the same driver, must wait.
    assert_eq!(desk.lock("a", Millis(30)).err(), Some(DiskErrorKind::Busy));
    let Ok(other) = desk.lock("b", Millis(0)) else {
        panic!("another file's lock")
    };
    assert_ne!(first, other);
    desk.holds("a", b""); // a lock hinders nobody else
    desk.done(Op::Unlock(first));
    let Ok(again) = desk.lock("a", Millis(0)) else {
        panic!("a lock that was given back")
    };
    desk.done(Op::Unlock(other));
    desk.done(Op::Unlock(again));
    assert_eq!(
        desk.one(Op::Unlock(again)).err(),
        Some(DiskErrorKind::NotFound),
    );
}

fn batches<D: Driver>(desk: &Desk<D>) {
    let names: Vec<String> = (0..50).map(|number| format!("f{number}")).collect();
    let mut batch: Vec<Op> = Vec::new();
    for name in &names {
        batch.push(Op::Create {
            path: desk.path(name),
            content: vec![Piece::Octets(octets(name))],
            mode: 0o600,
            durability: Durability::Synced,
        });
        batch.push(Op::Stat(Path::new("/no such directory").join(name)));
    }
    for (at, outcome) in desk.run(batch).into_iter().enumerate() {
        if at % 2 == 0 {
            assert!(matches!(outcome, Ok(Reply::Meta(_))), "{at}: {outcome:?}");
        } else {
            let kind = outcome.err().map(|error| error.kind);
            assert_eq!(kind, Some(DiskErrorKind::NotFound));
        }
    }
    let reads = names.iter().map(|name| Op::Read {
        path: desk.path(name),
        range: 0..10,
    });
    for (outcome, name) in desk.run(reads.collect()).into_iter().zip(&names) {
        assert_eq!(outcome, Ok(Reply::Octets(name.clone().into_bytes())));
    }
    assert_eq!(desk.names("").len(), names.len());
}
