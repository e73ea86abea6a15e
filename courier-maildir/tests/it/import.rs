use courier_core::disk::{self, DiskTask};
use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};
use courier_maildir::folder::{FolderName, FolderPath};
use courier_maildir::import::mbox::Quoting;
use courier_maildir::import::{Format, Import, ImportError, Report, Summary, import};
use courier_maildir::mailbox::{Access, Message, open};
use courier_maildir::writer::Writer;
use std::collections::BTreeMap;
use std::path::Path;

use crate::support::*;

const MBOX: Format = Format::Mbox(Quoting::Rd);

fn task<'a>(
    format: Format,
    source: &'a str,
    folder: &'a FolderName,
    writer: &'a Writer,
    refused: &'a mut Vec<String>,
) -> DiskTask<'a, Result<Summary, ImportError>> {
    disk::task(move |disk| async move {
        let what = Import {
            format,
            source: Path::new(source),
            maildir: Path::new(M),
            folder,
        };
        let mut report = |report: Report<'_>| {
            if let Report::Refused(place, why) = report {
                refused.push(format!("{place}: {why}"));
            }
        };
        import(&disk, what, writer, &mut report).await
    })
}

fn run_import(
    disk: &mut MemDisk,
    format: Format,
    source: &str,
    folder: &str,
) -> (Result<Summary, ImportError>, Vec<String>) {
    let (folder, writer) = (FolderName::parse(folder).expect("a name"), reborn(disk));
    let mut refused = Vec::new();
    let summary = disk.run(task(format, source, &folder, &writer, &mut refused));
    (summary, refused)
}

/// `FLAGS KEYWORDS@DATE` of each message of a folder.
fn states(disk: &mut MemDisk, name: &str) -> Vec<String> {
    let (folder, writer) = (FolderPath::new(M, name), writer(disk));
    let snapshot = run(disk, |disk| async move {
        open(&disk, &folder, Access::ReadWrite, &writer).await
    })
    .expect("opened");
    let line = |message: Message<'_>| {
        let words: Vec<_> = message.keywords().map(|word| word.as_str()).collect();
        let seconds = disk.meta(message.path()).expect("there").modified.seconds;
        format!("{} {}@{seconds}", message.flags(), words.join("+"))
    };
    snapshot.messages().map(line).collect()
}

/// The texts of a folder's messages, each with the number of its copies.
fn texts(disk: &MemDisk, folder: &str) -> BTreeMap<String, usize> {
    let mut texts = BTreeMap::new();
    for directory in ["new", "cur"] {
        let directory = format!("{M}/{folder}{directory}");
        for name in disk.names(&directory) {
            let text = disk.contents(format!("{directory}/{name}")).expect("there");
            *texts
                .entry(String::from_utf8_lossy(&text).into_owned())
                .or_default() += 1;
        }
    }
    texts
}

fn counts(summary: &Result<Summary, ImportError>) -> (u64, u64, u64) {
    let summary = summary.as_ref().expect("imported");
    (summary.added, summary.present, summary.refused)
}

const FROM: &str = "From ann@example.com Thu Jan  1 00:00:09 1970\n";

fn mbox() -> String {
    let internal = "X-IMAP: 1 2\nSubject: DON'T DELETE THIS MESSAGE\n\nx\n";
    format!(
        "junk\n\n{FROM}{internal}\n{FROM}A: b\nStatus: RO\nX-Status: F\nX-Keywords: work\n\n>From x\n\n{FROM}\n{FROM}twice: 1\n\n\n{FROM}twice: 1\n\n\n"
    )
}

#[test]
fn an_mbox_comes_with_flags_keywords_and_dates_and_tells_what_it_left() {
    let mut disk = maildir();
    disk.plant_file("/mbox", mbox().as_bytes());
    let (summary, refused) = run_import(&mut disk, MBOX, "/mbox", "INBOX.a.b");
    assert_eq!(counts(&summary), (3, 0, 2));
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(
        refused[0].starts_with("/mbox:1: offset 0: text before"),
        "{refused:?}"
    );
    assert!(refused[1].ends_with("the message is empty"), "{refused:?}");
    let mut disk = disk.crash_losing_all();
    assert_eq!(states(&mut disk, ".a.b"), ["FS work@9", " @9", " @9"]);
    let expected = [("A: b\n\nFrom x\n", 1), ("twice: 1\n\n", 2)];
    let expected = expected.map(|(text, count)| (text.to_owned(), count));
    assert_eq!(texts(&disk, ".a.b/"), BTreeMap::from(expected));
    assert!(disk.names("/m/.a.b/tmp").is_empty());
    // Once more: nothing is added; of what is gone, one comes back.
    let (summary, _) = run_import(&mut disk, MBOX, "/mbox", "INBOX.a.b");
    assert_eq!(counts(&summary), (0, 3, 2));
    let name = disk.names("/m/.a.b/cur").pop().expect("a message");
    remove(&mut disk, &format!(".a.b/cur/{name}"));
    let (summary, _) = run_import(&mut disk, MBOX, "/mbox", "INBOX.a.b");
    assert_eq!(counts(&summary), (1, 2, 2));
}

#[test]
fn a_long_message_does_not_pass_through_memory() {
    let mut disk = maildir();
    let line = "x".repeat(70).replace("xx", "y \u{e9}") + "\n";
    let long = format!("A: b\nStatus: R\n\n{}", line.repeat(60_000));
    assert!(long.len() > 5_000_000);
    disk.plant_file("/mbox", format!("{FROM}{long}\n{FROM}C: d\n\n").as_bytes());
    let (summary, refused) = run_import(&mut disk, MBOX, "/mbox", "INBOX");
    assert_eq!((counts(&summary), refused), ((2, 0, 0), vec![]));
    assert_eq!(states(&mut disk, ""), ["S @9", " @9"]);
    let expected = long.replace("Status: R\n", "");
    assert_eq!(texts(&disk, "").get(&expected), Some(&1));
    assert!(disk.names("/m/tmp").is_empty());
    let (summary, _) = run_import(&mut disk, MBOX, "/mbox", "INBOX");
    assert_eq!(counts(&summary), (0, 2, 0));
    assert!(disk.names("/m/tmp").is_empty());
}

#[test]
fn a_maildir_comes_with_its_folders_and_is_not_changed() {
    let mut disk = maildir();
    for directory in ["tmp", "new", "cur", ".a.b/cur", ".a.b/new"] {
        disk.plant_directory(format!("/s/{directory}"));
    }
    disk.plant_file("/s/new/2.x", b"second\n");
    disk.plant_file("/s/cur/1.x:2,FSac", b"first\n");
    disk.plant_file("/s/cur/3.x:2,", b"");
    disk.plant_file("/s/cur/.hidden", b"x");
    disk.plant_link("/s/cur/4.x:2,", "/s/new/2.x");
    disk.plant_file("/s/dovecot-keywords", b"0 Junk\n2 $Label1\n");
    disk.plant_file("/s/courierimapkeywords/:list", b"work\n\n2.x:0\n");
    disk.plant_file("/s/courierimapkeywords/1.x", b"late\n");
    disk.plant_file("/s/.a.b/cur/5.x:2,RT", b"third\n");
    let before = disk.names("/s/courierimapkeywords");
    let (summary, refused) = run_import(&mut disk, Format::Maildir, "/s", "INBOX.old");
    assert_eq!(counts(&summary), (3, 0, 2));
    assert_eq!(
        refused,
        [
            "/s/cur/3.x:2,: the message is empty",
            "/s/cur/4.x:2,: not a regular file"
        ]
    );
    let when = disk.meta("/s/new/2.x").expect("there").modified.seconds;
    let expected = [
        format!("FS late+Junk+$Label1@{when}"),
        format!(" work@{when}"),
    ];
    assert_eq!(states(&mut disk, ".old"), expected);
    assert_eq!(states(&mut disk, ".old.a.b"), [format!("RT @{when}")]);
    assert_eq!(disk.names("/s/courierimapkeywords"), before);
}

#[test]
fn an_mh_folder_comes_in_order_with_its_sequences() {
    let mut disk = maildir();
    for (name, text) in [
        ("10", "c\n"),
        ("9", "b\n"),
        ("1", "a\n"),
        (",2", "x\n"),
        ("lists/1", "d\n"),
        ("x.y/z/1", "e\n"),
    ] {
        disk.plant_file(format!("/mh/{name}"), text.as_bytes());
    }
    disk.plant_file("/mh/.mh_sequences", b"unseen: 9-10\nflagged: 1\n");
    let (summary, refused) = run_import(&mut disk, Format::Mh, "/mh", "INBOX");
    assert_eq!((counts(&summary), refused), ((5, 0, 0), vec![]));
    let flags = |lines: Vec<String>| -> Vec<String> {
        let flags = lines.iter().filter_map(|line| line.split(' ').next());
        flags.map(str::to_owned).collect()
    };
    assert_eq!(flags(states(&mut disk, "")), ["FS", "", ""]);
    assert_eq!(flags(states(&mut disk, ".lists")), ["S"]);
    assert_eq!(flags(states(&mut disk, ".x_y.z")), ["S"]);
}

#[test]
fn what_is_no_such_source_is_refused() {
    let mut disk = maildir();
    disk.plant_directory("/d");
    disk.plant_file("/f", b"x");
    for (format, source) in [(MBOX, "/d"), (Format::Maildir, "/d"), (Format::Mh, "/f")] {
        let (refused, _) = run_import(&mut disk, format, source, "INBOX");
        assert!(
            matches!(refused, Err(ImportError::NotThis { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn cut_off_anywhere_and_run_again_it_adds_each_message_once() {
    let mut start = maildir();
    start.plant_file(
        "/mbox",
        format!("{FROM}a: 1\n\n{FROM}b: 1\n\n{FROM}b: 1\n\n").as_bytes(),
    );
    start.sync_all();
    let writer = writer(&start);
    let inbox = FolderName::inbox();
    let first = |promises: Promises<()>| {
        let (writer, inbox) = (writer.clone(), inbox.clone());
        disk::task(move |disk| async move {
            let what = Import {
                format: MBOX,
                source: Path::new("/mbox"),
                maildir: Path::new(M),
                folder: &inbox,
            };
            let summary = import(&disk, what, &writer, &mut |_| ()).await?;
            assert_eq!(summary.refused, 0);
            promises.make(());
            Ok::<_, ImportError>(summary)
        })
    };
    let expected = [("a: 1\n", 1), ("b: 1\n", 2)];
    let expected = BTreeMap::from(expected.map(|(text, count)| (text.to_owned(), count)));
    let mut seen = Checker::default();
    crash_everywhere(&start, first, |disk, promises| {
        if !seen.is_new(disk, promises.len()) {
            return;
        }
        if !promises.is_empty() {
            assert_eq!(texts(disk, ""), expected);
        }
        let (summary, _) = run_import(disk, MBOX, "/mbox", "INBOX");
        assert_eq!(counts(&summary).2, 0);
        assert_eq!(texts(disk, ""), expected, "{}", disk.show());
        check(disk, &[]);
    });
    let tolerant = |_: Promises<()>| {
        let (writer, inbox) = (writer.clone(), inbox.clone());
        disk::task(move |disk| async move {
            let what = Import {
                format: MBOX,
                source: Path::new("/mbox"),
                maildir: Path::new(M),
                folder: &inbox,
            };
            import(&disk, what, &writer, &mut |_| ()).await
        })
    };
    fail_everywhere(&start, tolerant, |disk, given, _| {
        let there: usize = texts(disk, "").values().sum();
        if let Ok(summary) = given {
            // What was refused may be there if the disk did not let it be undone.
            assert!(there as u64 >= summary.added);
            assert_eq!(summary.added + summary.refused, 3);
        }
        let (summary, _) = run_import(disk, MBOX, "/mbox", "INBOX");
        assert_eq!(counts(&summary).2, 0);
        assert_eq!(texts(disk, ""), expected, "{}", disk.show());
    });
}
