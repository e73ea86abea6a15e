use courier_core::disk::{self, DiskTask, Op};
use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};
use courier_core::time::Millis;
use courier_maildir::check::{CheckError, Mode, Report, Sizes, Summary, check as check_maildir};
use courier_maildir::mailbox::Access;
use courier_maildir::writer::Writer;
use std::path::Path;

use crate::support::*;

fn task<'a>(
    mode: Mode,
    writer: &'a Writer,
    lines: &'a mut Vec<String>,
) -> DiskTask<'a, Result<Summary, CheckError>> {
    disk::task(move |disk| async move {
        let mut report = |report: Report<'_>| {
            if let Report::Finding(finding) = report {
                lines.push(finding.to_string());
            }
        };
        check_maildir(&disk, Path::new(M), mode, Sizes::Wire, writer, &mut report).await
    })
}

fn run_check(disk: &mut MemDisk, mode: Mode) -> (Summary, Vec<String>) {
    let (writer, mut lines) = (reborn(disk), Vec::new());
    let summary = disk.run(task(mode, &writer, &mut lines)).expect("checked");
    lines.sort();
    (summary, lines)
}

/// What is found, and what is then found by mending; after that nothing is left.
fn mend(disk: &mut MemDisk) -> (Vec<String>, Vec<String>) {
    let before = disk.show();
    let (summary, looked) = run_check(disk, Mode::Look);
    assert_eq!(disk.show(), before, "looking changes nothing");
    assert_eq!(summary.fixed, 0);
    let (summary, fixed) = run_check(disk, Mode::Fix);
    assert_eq!(summary.errors, 0, "{fixed:?}");
    let (summary, left) = run_check(&mut disk.crash_losing_all(), Mode::Look);
    assert_eq!((summary.errors, summary.fixed), (0, 0), "{left:?}");
    (looked, fixed)
}

#[test]
fn a_maildir_in_use_is_clean() {
    let mut disk = opened();
    assert_eq!(mend(&mut disk), (vec![], vec![]));
    disk.plant_file("/m/tmp/young", b"x");
    assert_eq!(mend(&mut disk), (vec![], vec![]));
}

#[test]
fn what_is_no_maildir_is_refused() {
    let mut disk = MemDisk::new();
    disk.plant_directory("/m/x");
    let (writer, mut lines) = (writer(&disk), Vec::new());
    let refused = disk.run(task(Mode::Fix, &writer, &mut lines));
    assert!(matches!(refused, Err(CheckError::NoMaildir { .. })));
}

#[test]
fn what_was_left_in_tmp_goes_after_its_time() {
    let mut disk = opened();
    disk.plant_file("/m/tmp/old", b"x");
    disk.plant_directory("/m/tmp/grave");
    disk.advance(Millis::from_mins(40 * 60));
    disk.plant_file("/m/tmp/courier.lock", b"7:elsewhere");
    let (_, looked) = run_check(&mut disk, Mode::Look);
    assert_eq!(
        looked,
        [
            "/m/tmp/courier.lock: note: held by 7:elsewhere",
            "/m/tmp/grave: note: a directory, left for 40 hours; a login will clear it away",
            "/m/tmp/old: error: left for 40 hours"
        ]
    );
    disk.advance(Millis::from_secs(130));
    let (_, fixed) = mend(&mut disk);
    assert!(fixed.contains(&"/m/tmp/courier.lock: fixed: a lock that was left; removed".into()));
    assert!(fixed.contains(&"/m/tmp/old: fixed: left for 40 hours; removed".into()));
    assert_eq!(disk.names("/m/tmp"), ["grave"]);
}

#[test]
fn what_a_folder_lacks_is_made() {
    let mut disk = opened();
    disk.plant_directory("/m/.a/cur");
    disk.plant_directory("/m/.b/new");
    disk.plant_file("/m/.b/maildirfolder", b"");
    disk.plant_directory("/m/.c");
    disk.plant_link("/m/.d", "/m/.a");
    let (looked, fixed) = mend(&mut disk);
    assert_eq!(
        looked,
        [
            "/m/.a: error: tmp, new, maildirfolder missing",
            "/m/.b: error: tmp, cur missing",
            "/m/.c: note: a directory that is no folder",
            "/m/.d: note: a symbolic link; folders that are links are not opened, and do not count"
        ]
    );
    assert_eq!(
        fixed[0],
        "/m/.a: fixed: tmp, new, maildirfolder missing; made"
    );
}

#[test]
fn no_message_is_lost_when_names_are_mended() {
    let mut disk = opened();
    disk.plant_file("/m/new/1.x,S=4", b"twin\n");
    disk.plant_file("/m/cur/:2,S", b"nameless\n");
    disk.plant_file("/m/cur/a\nb:2,S", b"two lines\n");
    disk.plant_file("/m/cur/5.x,S=9,W=9:2,", b"size\n");
    let (looked, fixed) = mend(&mut disk);
    assert_eq!(looked.len(), 5, "{looked:?}");
    assert!(looked.contains(&"/m/new/1.x,S=4: error: another message has the same name".into()));
    assert!(
        looked
            .iter()
            .any(|line| line.starts_with("/m/cur/a\\nb:2,S: error: no message"))
    );
    assert!(
        looked.contains(&"/m/cur/5.x,S=9,W=9:2,: note: the name says 9 octets, there are 5".into())
    );
    assert_eq!(
        fixed
            .iter()
            .filter(|line| line.contains(": fixed: "))
            .count(),
        3
    );
    let texts: Vec<_> = disk
        .names("/m/cur")
        .iter()
        .map(|name| disk.contents(format!("/m/cur/{name}")))
        .collect();
    assert_eq!(texts.len(), 7);
    for text in ["twin\n", "nameless\n", "two lines\n"] {
        assert!(texts.contains(&Some(text.as_bytes().to_vec())), "{text}");
    }
    let snapshot = open_with(&mut disk, Access::ReadWrite);
    assert_eq!(snapshot.len(), 7);
}

#[test]
fn a_message_with_two_names_keeps_one() {
    let mut disk = opened();
    disk.plant_file("/m/cur/9.x,S=4:2,", b"mail");
    let (from, to) = ("/m/cur/9.x,S=4:2,".into(), "/m/cur/9.x,S=4:2,S".into());
    run(&mut disk, |disk| async move {
        disk.one(Op::Link { from, to }).await
    })
    .expect("linked");
    let names = |disk: &MemDisk| {
        let names = disk.names("/m/cur").into_iter();
        names.filter(|name| name.starts_with("9.")).count()
    };
    let (summary, _) = run_check(&mut disk, Mode::Look);
    assert_eq!((summary.errors, names(&disk)), (1, 2));
    let (summary, _) = run_check(&mut disk, Mode::Fix);
    assert_eq!((summary.fixed, names(&disk)), (1, 1));
}

#[test]
fn an_empty_message_is_told_and_left() {
    let mut disk = opened();
    disk.plant_file("/m/cur/9.x,S=4:2,", b"");
    disk.plant_fifo("/m/cur/8.x:2,");
    let (summary, lines) = run_check(&mut disk, Mode::Fix);
    assert_eq!((summary.errors, summary.fixed), (2, 0));
    assert_eq!(
        lines[0],
        "/m/cur/8.x:2,: error: not a regular file; no session shows it"
    );
    assert!(lines[1].contains("the message is empty"), "{lines:?}");
    assert!(disk.contents("/m/cur/9.x,S=4:2,").is_some());
}

#[test]
fn a_uid_list_that_cannot_be_believed_begins_anew() {
    for (text, wrong) in [
        ("", "is empty"),
        ("\0\0\0", "holds nothing but NULs"),
        (
            "2 1 1\n",
            "the first line is not that of a uid list of version 1",
        ),
        (
            "1 700000000 2\n1 1.x,S=4\n2 2.x\n",
            "line 3 holds a uid out of order",
        ),
        (
            "1 700000000 9\n1 1.x\n1 2.x\n",
            "line 3 holds a uid out of order",
        ),
        (
            "1 700000000 9\n1 1.x\n2 1.x,S=4\n",
            "uids 1 and 2 are of one message",
        ),
    ] {
        let mut disk = opened();
        disk.plant_file("/m/courierimapuiddb", text.as_bytes());
        let (looked, fixed) = mend(&mut disk);
        assert_eq!(looked, [format!("/m/courierimapuiddb: error: {wrong}")]);
        let anew = "begun anew, with another UIDVALIDITY";
        assert_eq!(
            fixed,
            [format!("/m/courierimapuiddb: fixed: {wrong}; {anew}")]
        );
        let snapshot = open_with(&mut disk, Access::ReadWrite);
        assert_eq!(snapshot.len(), 3);
        assert_ne!(snapshot.uid_validity().get(), 700_000_000);
    }
}

#[test]
fn other_state_files_are_looked_at() {
    let mut disk = opened();
    disk.plant_file(
        "/m/courierimapkeywords/:list",
        b"a\n\n9.gone:0\n1.x,S=4:0\n",
    );
    disk.plant_file("/m/courierimapacl", b"owner aceilrstwx\nbroken\n");
    disk.plant_file(
        "/m/courierimapsubscribed",
        b"INBOX.gone\nINBOX\n#shared.x\n\0\0\n",
    );
    disk.plant_file("/m/courierpop3dsizelist", b"\0\0\0");
    let (summary, looked) = run_check(&mut disk, Mode::Look);
    assert_eq!((summary.errors, summary.notes), (2, 3), "{looked:?}");
    assert_eq!(
        looked[0],
        "/m/courierimapacl: error: line 2 is not an identifier and rights; set the rights anew"
    );
    let (summary, fixed) = run_check(&mut disk, Mode::Fix);
    assert_eq!((summary.errors, summary.fixed), (1, 2), "{fixed:?}");
    assert_eq!(
        disk.contents("/m/courierimapkeywords/:list").as_deref(),
        Some(b"a\n\n1.x,S=4:0\n".as_ref())
    );
    assert_eq!(
        disk.contents("/m/courierimapsubscribed").as_deref(),
        Some(b"INBOX.gone\nINBOX\n#shared.x\n".as_ref())
    );
    let (_, left) = run_check(&mut disk, Mode::Look);
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn a_wrong_quota_file_is_counted() {
    let mut disk = opened();
    let right = "1000S\n          12            3\n";
    for (text, wrong) in [
        (
            "1000S\n          12            2\n",
            "says 12 octets in 2 messages, there are 12 octets in 3 messages",
        ),
        ("", "is empty or damaged: the limit is lost"),
        ("\0\0\0\0", "is empty or damaged: the limit is lost"),
    ] {
        disk.plant_file("/m/maildirsize", text.as_bytes());
        disk.advance(Millis::from_secs(5));
        let (looked, _) = mend(&mut disk);
        assert_eq!(looked, [format!("/m/maildirsize: error: {wrong}")]);
        if text.len() > 4 {
            assert_eq!(
                disk.contents("/m/maildirsize").as_deref(),
                Some(right.as_bytes())
            );
        }
    }
    disk.plant_file("/m/maildirsize", right.as_bytes());
    assert_eq!(mend(&mut disk), (vec![], vec![]));
}

/// Damaged in each way that is mended.
fn damaged() -> MemDisk {
    let mut disk = opened();
    disk.plant_file("/m/tmp/old", b"x");
    disk.plant_file("/m/tmp/courier.lock", b"7:mx");
    disk.plant_file("/m/new/1.x,S=4", b"4..\n");
    disk.plant_file("/m/cur/:2,S", b"5..\n");
    disk.plant_file("/m/courierimapuiddb", b"");
    disk.plant_file(
        "/m/courierimapkeywords/:list",
        b"a\n\n9.gone:0\n1.x,S=4:0\n",
    );
    disk.plant_file("/m/maildirsize", b"1000S\n");
    disk.plant_directory("/m/.a/cur");
    disk.sync_all();
    disk.advance(Millis::from_mins(40 * 60));
    disk
}

fn lines_of(disk: &MemDisk) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    for directory in ["/m/new", "/m/cur"] {
        for name in disk.names(directory) {
            texts.push(
                disk.contents(format!("{directory}/{name}"))
                    .expect("a message"),
            );
        }
    }
    texts.sort();
    texts
}

#[test]
fn a_crash_or_an_error_in_the_midst_of_mending_loses_nothing() {
    let start = damaged();
    let texts = lines_of(&start);
    assert_eq!(texts.len(), 5);
    let writer = writer(&start);
    let procedure = |promises: Promises<()>| {
        let writer = writer.clone();
        disk::task(move |disk| async move {
            let mut report = |_: Report<'_>| ();
            let maildir = Path::new(M);
            let summary =
                check_maildir(&disk, maildir, Mode::Fix, Sizes::File, &writer, &mut report).await?;
            if summary.errors == 0 {
                promises.make(());
            }
            Ok::<_, CheckError>(summary)
        })
    };
    let look = |disk: &mut MemDisk, promised: bool| {
        assert_eq!(lines_of(disk), texts, "{}", disk.show());
        if promised {
            // The removal of a lock of our own need not survive.
            let (_, mut left) = run_check(disk, Mode::Look);
            left.retain(|line| !line.ends_with(".lock: error: a lock that was left"));
            assert!(
                left.iter().all(|line| line.contains(": note: ")),
                "{left:?}"
            );
        }
        let (summary, left) = run_check(disk, Mode::Fix);
        assert_eq!(summary.errors, 0, "{left:?}");
        assert_eq!(lines_of(disk), texts);
    };
    let mut seen = Checker::default();
    crash_everywhere(&start, procedure, |disk, promises| {
        if seen.is_new(disk, promises.len()) {
            look(disk, !promises.is_empty());
        }
    });
    fail_everywhere(&start, procedure, |disk, _, _| look(disk, false));
}
