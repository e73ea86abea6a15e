use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};
use courier_core::time::{Millis, Timestamp};
use courier_core::{disk, disk::DiskErrorKind};
use courier_maildir::folder::FolderPath;
use courier_maildir::mailbox::{Access, Changes, Finding, MailboxError, open, refresh};

use crate::support::*;

const LIST: &str = "/m/courierimapuiddb";

#[test]
fn opening_moves_new_mail_and_numbers_it_by_arrival() {
    let mut disk = three();
    let snapshot = open_with(&mut disk, Access::ReadWrite);
    let expected = ["1 1.x,S=4:2,S*", "2 2.x:2,ab*", "3 3.x,S=4,W=5:2,*"];
    assert_eq!(shown(&snapshot), expected);
    assert_eq!(snapshot.uid_validity().get(), 700_000_000);
    assert_eq!(snapshot.uid_next(), uid(4));
    assert_eq!(
        disk.names("/m/cur"),
        ["1.x,S=4:2,S", "2.x:2,ab", "3.x,S=4,W=5:2,"]
    );
    let list = b"1 700000000 4\n1 1.x,S=4\n2 2.x\n3 3.x,S=4,W=5\n";
    assert_eq!(disk.contents(LIST).as_deref(), Some(list.as_ref()));
    let lost = disk.crash_losing_all();
    assert_eq!(
        lost.contents(LIST).as_deref(),
        Some(list.as_ref()),
        "durable"
    );
    let counts = snapshot.counts();
    assert_eq!(
        (counts.messages, counts.recent, counts.unseen, counts.size),
        (3, 3, 2, None)
    );
    assert_eq!(
        disk.names("/m"),
        [
            "courierimapuiddb",
            "courierimapuidvalidity",
            "cur",
            "new",
            "tmp"
        ]
    );
    assert!(disk.names("/m/tmp").is_empty(), "{}", disk.show());
}

#[test]
fn opening_again_changes_nothing_and_writes_nothing() {
    let mut disk = opened();
    disk.reset_counts();
    let snapshot = open_with(&mut disk, Access::ReadWrite);
    assert_eq!(
        shown(&snapshot),
        ["1 1.x,S=4:2,S", "2 2.x:2,ab", "3 3.x,S=4,W=5:2,"]
    );
    let counts = disk.counts();
    assert_eq!(
        (counts.written, counts.syncs, counts.directory_syncs),
        (0, 0, 0)
    );
}

#[test]
fn a_refresh_without_a_change_is_one_batch() {
    let mut disk = opened();
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    disk.reset_counts();
    assert!(refreshed(&mut disk, &mut snapshot).is_empty());
    assert_eq!((disk.counts().batches, disk.counts().operations), (1, 4));
}

#[test]
fn the_cost_of_an_open_folder_does_not_grow_with_operations() {
    let mut disk = maildir();
    for number in 0..2000 {
        disk.plant_file(format!("/m/cur/{number}.x:2,S"), b"a\n");
    }
    open_with(&mut disk, Access::ReadWrite);
    disk.advance(Millis::from_secs(9));
    disk.reset_counts();
    open_with(&mut disk, Access::ReadWrite);
    assert!(disk.counts().operations < 25, "{:?}", disk.counts());
}

#[test]
fn what_others_do_is_told_once() {
    let mut disk = opened();
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    rename(&mut disk, "cur/1.x,S=4:2,S", "cur/1.x,S=4:2,FS");
    remove(&mut disk, "cur/2.x:2,ab");
    disk.plant_file("/m/new/4.x", b"4..\n");
    let expected = Changes {
        vanished: uids(&[2]),
        arrived: uids(&[4]),
        flags: uids(&[1]),
        ..Changes::default()
    };
    assert_eq!(refreshed(&mut disk, &mut snapshot), expected);
    assert_eq!(
        shown(&snapshot),
        ["1 1.x,S=4:2,FS", "3 3.x,S=4,W=5:2,", "4 4.x:2,*"]
    );
    for _ in 0..5 {
        assert!(refreshed(&mut disk, &mut snapshot).is_empty());
        disk.advance(Millis::from_secs(1));
    }
    disk.reset_counts();
    assert!(refreshed(&mut disk, &mut snapshot).is_empty());
    assert_eq!(disk.counts().operations, 4, "it has come to rest");
}

#[test]
fn a_change_within_one_tick_of_the_clock_is_seen() {
    let mut disk = opened();
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    rename(&mut disk, "cur/1.x,S=4:2,S", "cur/1.x,S=4:2,F");
    assert_eq!(refreshed(&mut disk, &mut snapshot).flags, uids(&[1]));
    rename(&mut disk, "cur/1.x,S=4:2,F", "cur/1.x,S=4:2,R");
    assert_eq!(refreshed(&mut disk, &mut snapshot).flags, uids(&[1]));
}

#[test]
fn new_mail_in_a_large_folder_needs_no_reading_of_cur() {
    let mut disk = maildir();
    for number in 0..5000 {
        disk.plant_file(format!("/m/cur/{number}.x:2,S"), b"a\n");
    }
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    disk.advance(Millis::from_secs(9));
    refreshed(&mut disk, &mut snapshot);
    for number in 5001..5010 {
        disk.plant_file(format!("/m/new/{number}.x"), b"a\n");
        assert_eq!(refreshed(&mut disk, &mut snapshot).arrived, uids(&[number]));
    }
    // Another's change in the same tick of the clock.
    rename(&mut disk, "cur/7.x:2,S", "cur/7.x:2,FS");
    assert!(refreshed(&mut disk, &mut snapshot).is_empty());
    disk.advance(Millis::from_secs(2));
    assert_eq!(
        refreshed(&mut disk, &mut snapshot).flags,
        uids(&[8]),
        "it has come to rest"
    );
    assert!(refreshed(&mut disk, &mut snapshot).is_empty());
    disk.reset_counts();
    assert!(refreshed(&mut disk, &mut snapshot).is_empty());
    assert_eq!(disk.counts().operations, 4);
}

#[test]
fn a_read_only_look_leaves_new_mail_recent() {
    let mut disk = opened();
    disk.plant_file("/m/new/4.x", b"4..\n");
    let examined = open_with(&mut disk, Access::ReadOnly);
    assert_eq!(shown(&examined).last().map(String::as_str), Some("4 4.x*"));
    assert_eq!(disk.names("/m/new"), ["4.x"]);
    let selected = open_with(&mut disk, Access::ReadWrite);
    assert_eq!(
        shown(&selected).last().map(String::as_str),
        Some("4 4.x:2,*")
    );
}

#[test]
fn sessions_agree_on_uids() {
    let mut disk = opened();
    let mut first = open_with(&mut disk, Access::ReadWrite);
    let mut second = open_with(&mut disk, Access::ReadOnly);
    for number in [9, 5, 7] {
        disk.plant_file(format!("/m/new/{number}.x"), b"x..\n");
        let (a, b) = (
            refreshed(&mut disk, &mut first),
            refreshed(&mut disk, &mut second),
        );
        assert_eq!(a.arrived, b.arrived);
    }
    let plain = |snapshot| shown(snapshot).join(" ").replace('*', "");
    assert_eq!(plain(&first), plain(&second));
    assert!(plain(&first).ends_with("4 9.x:2, 5 5.x:2, 6 7.x:2,"));
}

#[test]
fn a_message_that_was_told_gone_comes_back_as_another() {
    let mut disk = opened();
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    rename(&mut disk, "cur/2.x:2,ab", "tmp/away");
    assert_eq!(refreshed(&mut disk, &mut snapshot).vanished, uids(&[2]));
    rename(&mut disk, "tmp/away", "cur/2.x:2,");
    assert_eq!(refreshed(&mut disk, &mut snapshot).arrived, uids(&[4]));
    assert_eq!(
        shown(&open_with(&mut disk, Access::ReadWrite))
            .last()
            .map(String::as_str),
        Some("4 2.x:2,")
    );
}

#[test]
fn a_damaged_list_is_made_anew_with_another_validity() {
    type Damage = fn(&mut MemDisk);
    let damages: [(&str, Damage); 8] = [
        ("empty", |disk| disk.plant_file(LIST, b"")),
        ("cut far up", |disk| {
            let lines = "9 x\n".repeat(1100);
            let text = format!("1 700000000 4\n1 1.x,S=4\n2 2.x\n{lines}");
            disk.plant_file(LIST, text.as_bytes());
        }),
        ("full of NULs", |disk| disk.plant_file(LIST, &[0; 64])),
        ("noise", |disk| {
            disk.plant_file(LIST, b"\x81\x7f<html>\n\n\xff")
        }),
        ("from the future", |disk| {
            disk.plant_file(LIST, b"9 700000000 4\n1 1.x,S=4\n")
        }),
        ("from the past", |disk| {
            let lines: String = (3..1100).map(|uid| format!("{uid} x{uid}\n")).collect();
            let text = format!("1 700000000 2\n1 1.x,S=4\n2 2.x\n{lines}");
            disk.plant_file(LIST, text.as_bytes());
        }),
        ("a directory", |disk| {
            remove(disk, "courierimapuiddb");
            disk.plant_file(format!("{LIST}/inside"), b"x");
        }),
        ("a link", |disk| {
            remove(disk, "courierimapuiddb");
            disk.plant_link(LIST, "/etc/passwd");
        }),
    ];
    for (what, damage) in damages {
        for clock in [0, 1_700_000_000, 1_700_000_500] {
            let mut disk = opened();
            let mut session = open_with(&mut disk, Access::ReadWrite);
            disk.set_time(Timestamp {
                seconds: clock,
                nanos: 0,
            });
            damage(&mut disk);
            let snapshot = open_with(&mut disk, Access::ReadWrite);
            assert!(snapshot.uid_validity().get() > 700_000_000, "{what}");
            assert_eq!(snapshot.len(), 3, "{what}");
            assert!(refreshed(&mut disk, &mut session).reset, "{what}");
            let again = open_with(&mut disk, Access::ReadWrite);
            assert_eq!(told(&again), told(&snapshot), "{what}");
        }
    }
}

#[test]
fn what_a_crash_left_of_the_last_lines_is_mended() {
    for (text, uids) in [
        ("1 700000000 4\n1 1.x,S=4\n2 2", [1, 4, 5]),
        ("1 700000000 4\n1 1.x,S=4\n2 2.x\n\0\0\0\0\0\0", [1, 2, 4]),
        ("1 700000000 2\n1 1.x,S=4\n2 2.x\n", [1, 2, 3]),
        ("1 700000000 2\n1 1.x,S=4\n3 2.x\n4", [1, 3, 4]),
    ] {
        let mut disk = opened();
        disk.plant_file(LIST, text.as_bytes());
        for _ in 0..2 {
            let snapshot = open_with(&mut disk, Access::ReadWrite);
            assert_eq!(snapshot.uid_validity().get(), 700_000_000, "{text}");
            let there = snapshot.messages().map(|message| message.uid().get());
            assert_eq!(there.collect::<Vec<_>>(), uids, "{text}");
            let written = disk.contents(LIST).expect("a list");
            assert!(courier_maildir::uid_list::UidList::parse(written).is_ok());
        }
    }
}

#[test]
fn a_folder_without_cur_is_none() {
    let mut disk = maildir();
    disk.plant_directory("/m/.half/new");
    let writer = writer(&disk);
    let folder = FolderPath::new(M, ".half");
    let error = run(&mut disk, |disk| async move {
        open(&disk, &folder, Access::ReadWrite, &writer).await
    })
    .expect_err("no folder");
    assert_eq!(error.to_string(), "/m/.half is not a maildir folder");
}

#[test]
fn entries_that_are_no_messages_are_passed_over() {
    let mut disk = three();
    disk.plant_directory("/m/cur/directory");
    disk.plant_link("/m/cur/link:2,", "/etc/passwd");
    disk.plant_fifo("/m/cur/fifo");
    disk.plant_file("/m/cur/.hidden", b"x");
    assert_eq!(open_with(&mut disk, Access::ReadWrite).len(), 3);
}

#[test]
fn names_that_no_list_can_carry_are_changed() {
    let mut disk = opened();
    disk.plant_file("/m/cur/a\nb:2,FS", b"x..\n");
    disk.plant_file("/m/cur/:2,T", b"y..\n");
    let before = open_with(&mut disk, Access::ReadOnly);
    assert_eq!(before.len(), 3, "not without the right to rename");
    let snapshot = open_with(&mut disk, Access::ReadWrite);
    let flags: Vec<_> = snapshot
        .messages()
        .map(|message| message.flags().to_string())
        .collect();
    assert_eq!(flags[..3], ["S", "ab", ""]);
    assert!(flags[3..] == ["FS", "T"] || flags[3..] == ["T", "FS"]);
}

#[test]
fn two_files_of_one_name_are_two_messages() {
    let mut disk = opened();
    disk.plant_file("/m/cur/1.x,S=9:2,T", b"another..\n");
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    assert_eq!(snapshot.len(), 4);
    assert_eq!(
        snapshot
            .messages()
            .filter(|message| message.flags().to_string() == "T")
            .count(),
        1
    );
    assert!(refreshed(&mut disk, &mut snapshot).is_empty());
    check(&mut disk, &told(&snapshot));
}

#[test]
fn on_a_full_disk_what_is_listed_is_shown() {
    let mut disk = opened();
    let mut session = open_with(&mut disk, Access::ReadWrite);
    disk.plant_file("/m/new/4.x", b"4..\n");
    disk.set_capacity(Some(0));
    assert!(refreshed(&mut disk, &mut session).arrived.is_empty());
    let error = session.unsaved().expect("not saved");
    assert_eq!(error.kind, DiskErrorKind::NoSpace);
    assert_eq!(open_with(&mut disk, Access::ReadWrite).len(), 3);
    disk.set_capacity(None);
    assert_eq!(refreshed(&mut disk, &mut session).arrived, uids(&[4]));
    assert!(session.unsaved().is_none());
}

#[test]
fn on_a_full_disk_a_folder_never_opened_can_be_read() {
    let mut disk = three();
    disk.set_capacity(Some(0));
    let mut session = open_with(&mut disk, Access::ReadWrite);
    assert_eq!(session.len(), 3);
    assert!(session.unsaved().is_some());
    disk.set_capacity(None);
    disk.plant_file("/m/new/4.x", b"4..\n");
    assert_eq!(refreshed(&mut disk, &mut session).arrived, uids(&[4]));
    let saved = open_with(&mut disk, Access::ReadWrite);
    assert_ne!(saved.uid_validity(), session.uid_validity());
    assert!(
        refreshed(&mut disk, &mut session).is_empty(),
        "the session goes on as it began"
    );
}

#[test]
fn uids_that_are_used_up_begin_anew() {
    let mut disk = opened();
    disk.plant_file(LIST, b"1 700000000 4294967294\n1 1.x\n2 2.x\n3 3.x\n");
    disk.plant_file("/m/new/4.x", b"4..\n");
    disk.plant_file("/m/new/5.x", b"5..\n");
    let snapshot = open_with(&mut disk, Access::ReadWrite);
    assert_ne!(snapshot.uid_validity().get(), 700_000_000);
    assert_eq!(snapshot.uid_next(), uid(6));
}

#[test]
fn a_list_of_messages_long_gone_is_written_anew() {
    let mut disk = opened();
    let dead: String = (10..2000)
        .map(|uid| format!("{uid} {uid}.gone\n"))
        .collect();
    let list = format!("1 700000000 5000\n1 1.x\n2 2.x\n3 3.x\n{dead}");
    disk.plant_file(LIST, list.as_bytes());
    let snapshot = open_with(&mut disk, Access::ReadWrite);
    assert_eq!((snapshot.len(), snapshot.uid_next()), (3, uid(5000)));
    let list = String::from_utf8(disk.contents(LIST).expect("a list")).expect("text");
    assert_eq!(list, "1 700000000 5000\n1 1.x,S=4\n2 2.x\n3 3.x,S=4,W=5\n");
}

/// Opens, tells what is shown, and looks again after mail has come.
fn session(promises: Promises<Told>) -> disk::DiskTask<'static, Result<(), MailboxError>> {
    disk::task(|disk| async move {
        let writer = writer_at(MemDisk::new().now());
        let mut snapshot = open(&disk, &inbox(), Access::ReadWrite, &writer).await?;
        told(&snapshot)
            .into_iter()
            .for_each(|told| promises.make(told));
        let link = disk::Op::Rename {
            from: "/m/later".into(),
            to: "/m/new/0.x".into(),
        };
        disk.one(link).await.ok();
        refresh(&disk, &mut snapshot, &writer).await?;
        told(&snapshot)
            .into_iter()
            .for_each(|told| promises.make(told));
        Ok(())
    })
}

#[test]
fn no_uid_that_was_told_is_ever_given_to_another_message() {
    let mut unlisted = maildir();
    unlisted.plant_file("/m/cur/1.x:2,", b"1..\n");
    unlisted.plant_file("/m/later", b"0..\n");
    let mut listed = opened();
    listed.plant_file("/m/new/4.x", b"4..\n");
    for start in [unlisted, listed] {
        let mut checker = Checker::default();
        let kept = start.names("/m/cur").len();
        crash_everywhere(&start, session, |disk, promises| {
            checker.check(disk, promises, |_, snapshot| {
                assert!(snapshot.len() >= kept)
            });
        });
    }
}

#[test]
fn a_failing_disk_is_refused_cleanly_or_does_not_matter() {
    let mut start = opened();
    start.plant_file("/m/later", b"0..\n");
    start.plant_file("/m/new/4.x", b"4..\n");
    let (mut refused, mut checker) = (0, Checker::default());
    fail_everywhere(&start, session, |disk, given, promises| {
        refused += usize::from(given.is_err());
        checker.check(disk, promises, |_, _| ());
    });
    assert!(refused > 0);
}

#[test]
fn what_is_no_message_is_found_and_not_shown() {
    let mut disk = opened();
    disk.plant_link("/m/cur/4.x:2,", "/etc/passwd");
    disk.plant_fifo("/m/new/5.x");
    disk.plant_directory("/m/cur/6.x");
    disk.plant_directory("/m/cur/.hidden");
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    assert_eq!(snapshot.len(), 3);
    let mut places: Vec<_> = snapshot.take_findings();
    places.sort_unstable_by(|a, b| a.path().cmp(b.path()));
    let expected = ["/m/cur/4.x:2,", "/m/cur/6.x", "/m/new/5.x"];
    assert_eq!(places, expected.map(|path| Finding::NoMessage(path.into())));
    assert!(snapshot.take_findings().is_empty());
}

#[test]
fn a_list_that_cannot_be_believed_is_found() {
    const LIST: &str = "/m/courierimapuiddb";
    for text in [&b""[..], b"\0\0\0\0", b"noise"] {
        let mut disk = opened();
        let before = open_with(&mut disk, Access::ReadWrite);
        disk.plant_file(LIST, text);
        let mut snapshot = open_with(&mut disk, Access::ReadWrite);
        assert_ne!(snapshot.uid_validity(), before.uid_validity());
        assert_eq!(snapshot.take_findings(), [Finding::UidsAnew(LIST.into())]);
    }
    let mut disk = three();
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    assert!(snapshot.take_findings().is_empty(), "the first of all");
}
