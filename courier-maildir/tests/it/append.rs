use courier_core::disk::{self, Disk, DiskTask, Op};
use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};
use courier_core::time::Timestamp;
use courier_maildir::content::Content;
use courier_maildir::flags::Flags;
use courier_maildir::folder::FolderPath;
use courier_maildir::keywords::Keyword;
use courier_maildir::mailbox::{
    Access, Appended, Copied, FlagChange, How, MailboxError, NewMessage, Snapshot, append, copy,
    move_to, open, store,
};
use courier_maildir::name::Name;
use courier_maildir::uid_list::UidList;
use courier_maildir::writer::Writer;

use crate::support::*;

const DATE: Timestamp = Timestamp {
    seconds: 1_000_000_000,
    nanos: 0,
};

fn message(text: &str) -> NewMessage {
    NewMessage {
        content: Content::default().octets(text.as_bytes()),
        flags: Flags::SEEN.with(Flags::DRAFT),
        keywords: vec![Keyword::parse("word").expect("a keyword")],
        date: Some(DATE),
    }
}

fn appended(
    disk: &mut MemDisk,
    folder: &FolderPath,
    texts: &[&str],
) -> Result<Appended, MailboxError> {
    let messages = texts.iter().map(|text| message(text)).collect();
    let writer = writer(disk);
    run(disk, |disk| async move {
        append(&disk, folder, messages, &writer).await
    })
}

/// Another folder, with a message that has its UID.
fn with_target(mut disk: MemDisk) -> (MemDisk, FolderPath) {
    let target = FolderPath::new(M, ".a");
    for directory in ["tmp", "new", "cur"] {
        disk.plant_directory(target.path().join(directory));
    }
    disk.plant_file("/m/.a/cur/7.x:2,", b"7..\n");
    disk.plant_file("/m/.a/courierimapuiddb", b"1 800000000 8\n7 7.x\n");
    (disk, target)
}

fn open_at(disk: &mut MemDisk, folder: &FolderPath) -> Snapshot {
    let writer = writer(disk);
    run(disk, |disk| async move {
        open(&disk, folder, Access::ReadWrite, &writer).await
    })
    .expect("opened")
}

#[test]
fn appended_messages_have_flags_keywords_date_and_the_uids_that_were_told() {
    let mut disk = opened();
    let mut session = open_with(&mut disk, Access::ReadWrite);
    let told = appended(&mut disk, &inbox(), &["a: b\n\nc\n", "no end"]).expect("appended");
    assert_eq!(
        (told.validity, &told.uids),
        (session.uid_validity(), &uids(&[4, 5]))
    );
    assert_eq!(refreshed(&mut disk, &mut session).arrived, told.uids);
    assert!(disk.names("/m/tmp").is_empty());
    let snapshot = open_with(&mut disk.crash_losing_all(), Access::ReadWrite);
    let first = snapshot.message(uid(4)).expect("there");
    assert_eq!(first.flags().to_string(), "DS");
    assert_eq!(
        first.keywords().map(Keyword::as_str).collect::<Vec<_>>(),
        ["word"]
    );
    assert_eq!((first.size(), first.wire_size()), (Some(8), Some(11)));
    let meta = disk.meta(first.path()).expect("there");
    assert_eq!((meta.modified, meta.links), (DATE, 1));
    let second = snapshot.message(uid(5)).expect("there");
    assert_eq!((second.size(), second.wire_size()), (Some(6), None));
}

#[test]
fn a_folder_never_opened_takes_messages_too() {
    let mut disk = three();
    let told = appended(&mut disk, &inbox(), &["x\n"]).expect("appended");
    let snapshot = open_with(&mut disk, Access::ReadWrite);
    assert_eq!(snapshot.uid_validity(), told.validity);
    assert_eq!(snapshot.len(), 4);
    assert_eq!(
        snapshot
            .message(told.uids[0])
            .and_then(|message| message.size()),
        Some(2)
    );
}

#[test]
fn nothing_is_appended_to_a_folder_that_is_not_there() {
    let mut disk = opened();
    let folder = FolderPath::new(M, ".nowhere");
    let path = folder.path().to_path_buf();
    assert_eq!(
        appended(&mut disk, &folder, &["x\n"]),
        Err(MailboxError::NoFolder { path })
    );
}

#[test]
fn copies_keep_flags_keywords_date_and_size() {
    let (mut disk, target) = with_target(opened());
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    let change = FlagChange {
        how: How::Add,
        flags: Flags::FLAGGED,
        within: Flags::IMAP,
        keywords: Some(vec![Keyword::parse("word").expect("a keyword")]),
    };
    let writer = writer(&disk);
    let source = &mut snapshot;
    let copied = run(&mut disk, |disk| {
        let target = target.clone();
        async move {
            store(&disk, source, &uids(&[2]), &change, &writer).await?;
            copy(&disk, source, &uids(&[3, 2]), &target, &writer).await
        }
    })
    .expect("copied");
    assert_eq!(copied.uids, [(uid(3), uid(8)), (uid(2), uid(9))]);
    let copies = open_at(&mut disk, &target);
    let shown = shown(&copies);
    assert_eq!(shown.len(), 3);
    assert!(shown[1].ends_with(",S=4,W=5:2,"), "{shown:?}");
    assert!(
        shown[2].ends_with(":2,F word"),
        "no letters of another folder: {shown:?}"
    );
    let of = |snapshot: &Snapshot, number| {
        disk.meta(snapshot.message(uid(number)).expect("there").path())
    };
    let (old, new) = (
        of(&snapshot, 3).expect("there"),
        of(&copies, 8).expect("there"),
    );
    assert_eq!(
        (old.inode, old.modified),
        (new.inode, new.modified),
        "another name of the same file"
    );
}

#[test]
fn what_others_removed_is_not_copied_and_what_they_renamed_is() {
    let (mut disk, target) = with_target(opened());
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    remove(&mut disk, "cur/2.x:2,ab");
    rename(&mut disk, "cur/1.x,S=4:2,S", "cur/1.x,S=4:2,FS");
    let writer = writer(&disk);
    let source = &mut snapshot;
    let copied = run(&mut disk, |disk| async move {
        copy(&disk, source, &uids(&[1, 2, 3]), &target, &writer).await
    })
    .expect("copied");
    assert_eq!(copied.uids, [(uid(1), uid(8)), (uid(3), uid(9))]);
    assert_eq!(copied.gone, uids(&[2]));
}

#[test]
fn where_links_are_not_possible_the_text_is_copied_with_its_date() {
    let (mut disk, target) = with_target(opened());
    let date = Op::SetModified {
        path: "/m/cur/2.x:2,ab".into(),
        time: DATE,
    };
    disk.carry_out(&date).expect("dated");
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    let writer = writer(&disk);
    let source = &mut snapshot;
    let mut task =
        disk::task(|disk| async move { copy(&disk, source, &uids(&[2]), &target, &writer).await });
    let mut step = task.start();
    let copied: Copied = loop {
        match step {
            courier_core::task::Step::Done(result) => break result.expect("copied"),
            courier_core::task::Step::Ask(batch) => {
                let outcomes = batch.iter().map(|op| match op {
                    Op::Link { from, .. } if from.starts_with("/m/cur") => {
                        Err(op.error(disk::DiskErrorKind::CrossDevice))
                    }
                    op => disk.carry_out(op),
                });
                step = task.next(outcomes.collect());
            }
        }
    };
    drop(task);
    assert_eq!(copied.uids, [(uid(2), uid(8))]);
    let copies = open_at(&mut disk, &FolderPath::new(M, ".a"));
    let meta = disk
        .meta(copies.message(uid(8)).expect("there").path())
        .expect("there");
    assert_eq!((meta.modified, meta.links, meta.length), (DATE, 1, 4));
}

/// What was answered to an `APPEND`.
fn appending(promises: Promises<Told>) -> DiskTask<'static, Result<(), MailboxError>> {
    let writer = writer_at(MemDisk::new().now());
    disk::task(|disk| append_as(disk, writer, promises))
}

async fn append_as(
    disk: Disk,
    writer: Writer,
    promises: Promises<Told>,
) -> Result<(), MailboxError> {
    let told = append(&disk, &inbox(), vec![message("one..\n")], &writer).await?;
    let list = disk.read("/m/courierimapuiddb".as_ref(), 0..9999).await?;
    let list = UidList::parse(list).expect("a list");
    for uid in told.uids {
        let (_, base) = list
            .iter()
            .find(|(listed, _)| *listed == uid)
            .expect("listed");
        promises.make(Told {
            validity: told.validity.get(),
            uid: uid.get(),
            key: key_of(Name::parse(base).expect("a name")),
        });
    }
    Ok(())
}

fn keeps(snapshot: &Snapshot, promises: &[Told]) {
    for promise in promises {
        assert_eq!(snapshot.uid_validity().get(), promise.validity);
        let message = snapshot.message(uid(promise.uid)).expect("lost");
        assert_eq!(key_of(message.name()), promise.key);
        assert!(message.keywords().any(|word| word.as_str() == "word"));
    }
}

#[test]
fn an_append_survives_a_crash_once_it_is_answered() {
    let mut checker = Checker::default();
    crash_everywhere(&opened(), appending, |disk, promises| {
        checker.check(disk, promises, |_, snapshot| keeps(&snapshot, promises));
    });
}

/// A folder whose next UIDs are these.
fn numbered(next: u32) -> MemDisk {
    let mut disk = opened();
    let list = format!("1 700000000 {next}\n1 1.x,S=4\n2 2.x\n3 3.x,S=4,W=5\n");
    disk.plant_file("/m/courierimapuiddb", list.as_bytes());
    disk.sync_all();
    disk
}

#[test]
fn an_append_survives_a_crash_whatever_becomes_of_the_digits_of_uidnext() {
    // Several digits, and one more; other tests change one.
    for next in [1999, 9] {
        let mut checker = Checker::default();
        crash_everywhere(&numbered(next), appending, |disk, promises| {
            checker.check(disk, promises, |_, snapshot| {
                keeps(&snapshot, promises);
                assert_eq!(snapshot.uid_validity().get(), 700_000_000);
                assert!(snapshot.uid_next().get() >= next);
            });
        });
    }
}

#[test]
fn an_append_after_one_that_was_killed_survives_a_crash() {
    let mut checker = Checker::default();
    let mut starts = Checker::default();
    let mut ended = false;
    let list = |disk: &MemDisk| disk.contents("/m/courierimapuiddb");
    for steps in 0.. {
        if ended {
            break;
        }
        let mut start = numbered(7);
        ended = start.run_until(steps, appending(Promises::new())).is_some();
        if list(&start) == list(&numbered(7)) || !starts.is_new(&start, 0) {
            continue;
        }
        let reborn = reborn(&mut start);
        let again = |promises: Promises<Told>| {
            let writer = reborn.clone();
            disk::task(|disk| async move { append_as(disk, writer, promises).await })
        };
        crash_everywhere(&start, again, |disk, promises| {
            if promises.is_empty() {
                return;
            }
            checker.check(disk, promises, |_, snapshot| {
                keeps(&snapshot, promises);
                assert_eq!(snapshot.uid_validity().get(), 700_000_000);
            });
        });
    }
}

#[test]
fn an_append_costs_the_same_in_a_large_folder() {
    let mut costs = Vec::new();
    for count in [100_u32, 3000] {
        let mut disk = maildir();
        let mut list = format!("1 700000000 {}\n", 5001);
        for number in 1..=count {
            list += &format!("{number} {number}.x,S=4\n");
        }
        disk.plant_file("/m/courierimapuiddb", list.as_bytes());
        disk.reset_counts();
        appended(&mut disk, &inbox(), &["one..\n"]).expect("appended");
        let counts = disk.counts();
        assert!(counts.read + counts.written < 9000, "{counts:?}");
        costs.push((counts.operations, counts.syncs, counts.directory_syncs));
        let list = disk.contents("/m/courierimapuiddb").expect("a list");
        let list = UidList::parse(list).expect("in order");
        assert_eq!((list.next.get(), list.len()), (5002, count as usize + 1));
    }
    // With a keyword: it has a file of its own.
    assert!(costs[1].0 <= costs[0].0 + 1, "{costs:?}");
    assert_eq!((costs[0].1, costs[0].2), (3, 4), "{costs:?}");
}

#[test]
fn an_append_that_fails_leaves_nothing() {
    let mut checker = Checker::default();
    let mut failed = 0;
    fail_everywhere(&opened(), appending, |disk, given, promises| {
        // A fault after the answer, in the look that the test takes, does not count.
        failed += usize::from(given.is_err());
        checker.check(disk, promises, |disk, snapshot| {
            keeps(&snapshot, promises);
            disk.run(appending(Promises::new())).expect("appended");
        });
    });
    assert!(failed > 0);
}

#[test]
fn after_an_append_that_failed_once_nothing_is_there() {
    for nth in 0.. {
        let start = opened();
        let fault = courier_core::testing::Fault::NoSpace;
        let lasting = courier_core::testing::Lasting::Once;
        let mut disk = courier_core::testing::FaultDisk::new(start, fault, nth, lasting);
        let writer = writer_at(MemDisk::new().now());
        let given = disk.run(disk::task(|disk| async move {
            append(&disk, &inbox(), vec![message("one..\n")], &writer).await
        }));
        let struck = disk.struck();
        let mut disk = disk.into_disk();
        let snapshot = open_with(&mut disk, Access::ReadWrite);
        assert_eq!(
            snapshot.len(),
            if given.is_ok() { 4 } else { 3 },
            "{}",
            disk.show()
        );
        if !struck {
            break;
        }
    }
}

/// Moves a message to another folder.
fn moving(promises: Promises<(u32, u32)>) -> DiskTask<'static, Result<(), MailboxError>> {
    disk::task(|disk| async move {
        let writer = writer_at(MemDisk::new().now());
        let mut snapshot = open(&disk, &inbox(), Access::ReadWrite, &writer).await?;
        let target = FolderPath::new(M, ".a");
        let moved = move_to(&disk, &mut snapshot, &uids(&[3]), &target, &writer).await?;
        assert_eq!(snapshot.len(), 2);
        let pairs = moved
            .uids
            .iter()
            .map(|(here, there)| (here.get(), there.get()));
        pairs.for_each(|pair| promises.make(pair));
        Ok(())
    })
}

/// Texts of all messages in both folders.
fn texts(disk: &MemDisk) -> Vec<String> {
    let mut texts = Vec::new();
    for directory in ["/m/cur", "/m/.a/cur"] {
        for name in disk.names(directory) {
            Name::parse(name.as_bytes()).expect("a name");
            let text = disk
                .contents(format!("{directory}/{name}"))
                .expect("a file");
            texts.push(String::from_utf8(text).expect("whole"));
        }
    }
    texts.sort();
    texts
}

#[test]
fn a_move_never_loses_a_message_and_ends_in_one_copy() {
    let (start, target) = with_target(opened());
    let check = |disk: &mut MemDisk, promises: &[(u32, u32)]| {
        let there = texts(disk);
        for text in ["1..\n", "2..\n", "3..\n", "7..\n"] {
            let count = there.iter().filter(|there| *there == text).count();
            assert!(
                (1..=2).contains(&count),
                "{text} {count} times: {}",
                disk.show()
            );
            assert!(count == 1 || promises.is_empty());
        }
        let writer = reborn(disk);
        let folder = target.clone();
        let snapshot = run(disk, |disk| async move {
            open(&disk, &folder, Access::ReadWrite, &writer).await
        })
        .expect("opened");
        assert_eq!(snapshot.uid_validity().get(), 800_000_000);
        for (_, there) in promises {
            assert!(snapshot.message(uid(*there)).is_some());
        }
    };
    let mut seen = std::collections::HashSet::new();
    crash_everywhere(&start, moving, |disk, promises| {
        if seen.insert((disk.show(), promises.len())) {
            check(disk, promises);
        }
    });
    fail_everywhere(&start, moving, |disk, _, promises| check(disk, promises));
}
