//! Tasks that bring and remove mail, in a maildir with a quota.

use std::path::Path;

use courier_core::disk::{self, DiskTask, Op};
use courier_core::mta::journal::MessageId;
use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};
use courier_core::time::Millis;
use courier_maildir::content::Content;
use courier_maildir::delivery::{Absent, Attempt, Delivered, Delivery, DeliveryError, When};
use courier_maildir::flags::Flags;
use courier_maildir::folder::{self, FolderName, FolderPath};
use courier_maildir::mailbox::{
    Access, Expunge, FlagChange, How, MailboxError, NewMessage, append, copy, expunge, expunge_to,
    move_to, open, store,
};
use courier_maildir::name::{HostName, Maker, Sizes, UniqueName};
use courier_maildir::quota::{self, Amount, Metered, QuotaSpec, SizeFile, Warning};

use crate::support::*;

const FILE: &str = "/m/maildirsize";

/// Three messages of 4 octets each, with a quota file that knows of them.
fn start(quota: &str) -> MemDisk {
    let mut disk = opened();
    disk.plant_file(
        FILE,
        format!("{quota}\n          12            3\n").as_bytes(),
    );
    for directory in ["tmp", "new", "cur"] {
        disk.plant_directory(format!("/m/.Trash/{directory}"));
        disk.plant_directory(format!("/m/.a/{directory}"));
    }
    disk.sync_all();
    disk
}

/// What the file says is there.
fn recorded(disk: &MemDisk) -> (i64, i64) {
    let total = SizeFile::parse(&disk.contents(FILE).expect("a file")).total;
    (total.octets, total.messages)
}

/// What is there.
fn counted(disk: &mut MemDisk) -> Amount {
    let writer = writer(disk);
    run(disk, |disk| async move {
        quota::recount(&disk, Path::new(M), QuotaSpec::new(1, 0), &writer).await
    })
    .expect("counted")
    .total
}

/// The records must add up to what is there.
fn exact(disk: &mut MemDisk) -> (i64, i64) {
    let recorded = recorded(disk);
    let there = counted(disk);
    assert_eq!(recorded, (there.octets, there.messages), "{}", disk.show());
    recorded
}

fn delivery(number: u32, length: usize, attempt: Attempt) -> Metered {
    Metered {
        delivery: Delivery {
            folder: inbox(),
            name: UniqueName {
                seconds: 1_700_000_000,
                micros: 5,
                maker: Maker::Journal {
                    message: MessageId(7),
                    recipient: number,
                },
                host: HostName::new("mx"),
            },
            content: Content::default()
                .octets(format!("{number}{}\n", ".".repeat(length - 2)).into_bytes()),
            attempt,
            absent: Absent::Refuse,
        },
        quota: QuotaSpec::UNLIMITED,
    }
}

type Outcomes = Vec<Result<Delivered, DeliveryError>>;

fn delivering(batch: Vec<Metered>, promises: Promises<usize>) -> DiskTask<'static, Outcomes> {
    disk::task(move |disk| async move {
        let writer = writer_at(MemDisk::new().now());
        let outcomes = quota::deliver(&disk, batch, &writer).await;
        let done = (0..).zip(&outcomes).filter(|(_, outcome)| outcome.is_ok());
        done.for_each(|(number, _)| promises.make(number));
        outcomes
    })
}

fn deliver(disk: &mut MemDisk, batch: Vec<Metered>) -> Vec<&'static str> {
    let outcomes = disk.run(delivering(batch, Promises::new()));
    let word = |outcome| match outcome {
        Ok(Delivered {
            when: When::Now, ..
        }) => "now",
        Ok(_) => "earlier",
        Err(DeliveryError::OverQuota { .. }) => "over",
        Err(_) => "failed",
    };
    outcomes.into_iter().map(word).collect()
}

#[test]
fn what_fits_is_delivered_and_the_rest_is_refused() {
    let mut disk = start("100S");
    let first = |number, length| delivery(number, length, Attempt::First);
    let given = deliver(&mut disk, vec![first(0, 50), first(1, 50), first(2, 38)]);
    assert_eq!(given, ["now", "over", "now"]);
    assert_eq!(exact(&mut disk), (100, 5));
    assert!(disk.names("/m/tmp").is_empty());
    // Tried again, what was delivered is found although there is no room left.
    disk.plant_file(FILE, b"100S\n         100            5\n");
    let again = |number, length| delivery(number, length, Attempt::Repeated);
    let given = deliver(&mut disk, vec![again(0, 50), again(1, 50), again(2, 38)]);
    assert_eq!(given, ["earlier", "over", "earlier"]);
    assert_eq!(exact(&mut disk), (100, 5));
}

#[test]
fn a_quota_of_the_account_alone_is_enough() {
    let mut disk = three();
    let metered = |number| Metered {
        quota: QuotaSpec::new(0, 4),
        ..delivery(number, 5, Attempt::First)
    };
    assert_eq!(
        deliver(&mut disk, vec![metered(0), metered(1)]),
        ["now", "over"]
    );
    assert_eq!(exact(&mut disk), (17, 4));
    let mut disk = MemDisk::new();
    assert_eq!(deliver(&mut disk, vec![metered(0)]), ["failed"]);
}

#[test]
fn the_trash_is_free() {
    let mut disk = start("12S");
    let mut metered = delivery(0, 50, Attempt::First);
    metered.delivery.folder = FolderPath::new(M, ".Trash");
    let mut other = delivery(1, 50, Attempt::First);
    other.delivery.folder = FolderPath::new(M, ".a");
    assert_eq!(deliver(&mut disk, vec![metered, other]), ["now", "over"]);
    assert_eq!(exact(&mut disk), (12, 3));
}

#[test]
fn after_a_crash_nothing_is_lost_or_doubled_and_the_count_comes_true() {
    let batch = |attempt| vec![delivery(0, 20, attempt), delivery(1, 30, attempt)];
    let there = |disk: &MemDisk| {
        let names = disk.names("/m/new").into_iter().chain(disk.names("/m/cur"));
        let ours = |number: u32| {
            names
                .clone()
                .filter(move |name| name.contains(&format!("J7R{number}")))
                .count()
        };
        [ours(0), ours(1)]
    };
    crash_everywhere(
        &start("1000S"),
        |promises| delivering(batch(Attempt::First), promises),
        |disk, promises| {
            let before = there(disk);
            promises
                .iter()
                .for_each(|&number| assert_eq!(before[number], 1));
            let mut again = disk.run(delivering(batch(Attempt::Repeated), Promises::new()));
            assert!(
                again.drain(..).all(|outcome| outcome.is_ok()),
                "{}",
                disk.show()
            );
            assert_eq!(there(disk), [1, 1], "{}", disk.show());
            assert_eq!(
                counted(disk),
                Amount {
                    octets: 62,
                    messages: 5
                }
            );
        },
    );
    fail_everywhere(
        &start("1000S"),
        |promises| delivering(batch(Attempt::First), promises),
        |disk, _, promises| {
            let before = there(disk);
            promises
                .iter()
                .for_each(|&number| assert_eq!(before[number], 1));
            let again = disk.run(delivering(batch(Attempt::Repeated), Promises::new()));
            assert!(again.iter().all(Result::is_ok));
            assert_eq!(there(disk), [1, 1], "{}", disk.show());
        },
    );
}

fn new_message(text: &str, flags: Flags) -> NewMessage {
    NewMessage {
        content: Content::default().octets(text.as_bytes()),
        flags,
        keywords: Vec::new(),
        date: None,
    }
}

fn append_to(disk: &mut MemDisk, folder: &FolderPath, flags: Flags) -> Result<(), MailboxError> {
    let messages = vec![new_message("a..\n", flags), new_message("b..\n", flags)];
    let writer = writer(disk);
    let appended = run(disk, |disk| async move {
        append(&disk, folder, messages, &writer).await
    });
    appended.map(drop)
}

#[test]
fn appended_messages_are_charged_all_or_none() {
    let over = |result| matches!(result, Err(MailboxError::OverQuota { .. }));
    let mut disk = start("20S");
    append_to(&mut disk, &inbox(), Flags::NONE).expect("fits");
    assert_eq!(exact(&mut disk), (20, 5));
    let mut disk = start("19S");
    assert!(over(append_to(
        &mut disk,
        &FolderPath::new(M, ".a"),
        Flags::NONE
    )));
    assert_eq!(exact(&mut disk), (12, 3));
    append_to(&mut disk, &FolderPath::new(M, ".Trash"), Flags::NONE).expect("free");
    append_to(&mut disk, &inbox(), Flags::TRASHED).expect("free");
    assert_eq!(exact(&mut disk), (12, 3));
}

#[test]
fn copies_are_charged_and_moves_within_the_quota_are_not() {
    let mut disk = start("12S");
    let target = FolderPath::new(M, ".a");
    let writer = writer(&disk);
    let mut session = open_with(&mut disk, Access::ReadWrite);
    let (to, who) = (&target, &writer);
    let copied = run(&mut disk, |disk| async move {
        let copied = copy(&disk, &mut session, &uids(&[1]), to, who).await;
        move_to(&disk, &mut session, &uids(&[2]), to, who)
            .await
            .expect("no room needed");
        let trash = FolderPath::new(M, ".Trash");
        move_to(&disk, &mut session, &uids(&[1]), &trash, who)
            .await
            .expect("free");
        copied
    });
    assert!(matches!(copied, Err(MailboxError::OverQuota { .. })));
    assert_eq!(exact(&mut disk), (8, 2));
}

fn flag(how: How) -> FlagChange {
    FlagChange {
        how,
        flags: Flags::TRASHED,
        within: Flags::IMAP,
        keywords: None,
    }
}

#[test]
fn the_mark_frees_and_to_lose_it_needs_room() {
    let mut disk = start("12S");
    let writer = writer(&disk);
    let mut session = open_with(&mut disk, Access::ReadWrite);
    let mut storing = |disk: &mut MemDisk, numbers: &[u32], how| {
        let (session, writer, numbers) = (&mut session, &writer, uids(numbers));
        run(disk, |disk| async move {
            store(&disk, session, &numbers, &flag(how), writer).await
        })
        .map(drop)
    };
    storing(&mut disk, &[1, 2], How::Add).expect("marked");
    assert_eq!(recorded(&disk), (4, 1));
    storing(&mut disk, &[1, 2], How::Add).expect("marked already");
    assert_eq!(recorded(&disk), (4, 1));
    storing(&mut disk, &[1], How::Remove).expect("fits");
    assert_eq!(recorded(&disk), (8, 2));
    disk.plant_file(FILE, b"12S\n          11            1\n");
    let refused = storing(&mut disk, &[2], How::Remove);
    assert!(matches!(refused, Err(MailboxError::OverQuota { .. })));
    assert_eq!(
        disk.names("/m/cur")
            .iter()
            .filter(|name| name.contains('T'))
            .count(),
        1
    );
    let gone = run(&mut disk, |disk| async move {
        let gone = expunge(&disk, &mut session, Expunge::Trashed, &writer).await;
        assert_eq!(gone.expect("removed").len(), 1);
        expunge(&disk, &mut session, Expunge::Each(&uids(&[1, 3])), &writer).await
    });
    assert_eq!(gone.expect("removed").len(), 2);
    assert_eq!(
        recorded(&disk),
        (3, -1),
        "one record for those that counted"
    );
}

#[test]
fn a_maildir_without_a_quota_costs_one_stat() {
    let operations = |with: fn(&mut MemDisk)| {
        let mut disk = opened();
        with(&mut disk);
        let mut session = open_with(&mut disk, Access::ReadWrite);
        let writer = writer(&disk);
        disk.reset_counts();
        run(&mut disk, |disk| async move {
            let numbers = uids(&[1]);
            store(&disk, &mut session, &numbers, &flag(How::Add), &writer).await
        })
        .expect("stored");
        disk.counts().operations
    };
    let with = |disk: &mut MemDisk| disk.plant_file(FILE, b"100S\n 12 3\n");
    // The file is read and appended to.
    assert_eq!(operations(with), operations(|_| ()) + 2);
}

#[test]
fn folders_that_come_and_go_are_counted_anew() {
    let mut disk = start("100S");
    disk.plant_file("/m/.a/cur/9,S=9", b"x");
    let writer = writer(&disk);
    let name = |text| FolderName::parse(text).expect("a name");
    run(&mut disk, |disk| async move {
        let (from, to) = (name("INBOX.a"), name("INBOX.b"));
        folder::rename(&disk, Path::new(M), &from, &to, &writer).await
    })
    .expect("renamed");
    assert_eq!(recorded(&disk), (21, 4));
    let writer = crate::support::writer(&disk);
    run(&mut disk, |disk| async move {
        folder::delete(&disk, Path::new(M), &name("INBOX.b"), &writer).await
    })
    .expect("deleted");
    assert_eq!(recorded(&disk), (12, 3));
}

/// A session's work: an append, marks, a removal.
fn session(promises: Promises<&'static str>) -> DiskTask<'static, Result<(), MailboxError>> {
    disk::task(|disk| async move {
        let writer = writer_at(MemDisk::new().now());
        let message = new_message("a..\n", Flags::NONE);
        append(&disk, &inbox(), vec![message], &writer).await?;
        promises.make("appended");
        let mut here = open(&disk, &inbox(), Access::ReadWrite, &writer).await?;
        let numbers = uids(&[1, 3]);
        store(&disk, &mut here, &numbers, &flag(How::Add), &writer).await?;
        promises.make("marked");
        expunge(&disk, &mut here, Expunge::Trashed, &writer).await?;
        promises.make("removed");
        Ok(())
    })
}

#[test]
fn whatever_a_session_is_cut_off_in_the_count_comes_true() {
    let mut checker = Checker::default();
    crash_everywhere(&start("100S"), session, |disk, promises| {
        checker.check(disk, &[], |disk, snapshot| {
            let messages = snapshot.messages();
            let there = messages.filter(|message| !message.flags().contains(Flags::TRASHED));
            let there = i64::try_from(there.count()).expect("few");
            let expected = Amount {
                octets: 4 * there,
                messages: there,
            };
            assert_eq!(counted(disk), expected, "{promises:?}");
        });
    });
    let mut disk = start("100S");
    disk.run(session(Promises::new())).expect("all of it");
    assert_eq!(exact(&mut disk), (8, 2));
}

#[test]
fn what_fails_is_not_charged() {
    let mut checked = 0;
    fail_everywhere(&start("100S"), session, |disk, given, promises| {
        if given.is_err() && promises.is_empty() && disk.names("/m/cur").len() == 3 {
            // On a disk that failed for good the record may stay; never is there too little.
            assert!(recorded(disk) >= (12, 3), "{}", disk.show());
            checked += 1;
        }
    });
    assert!(checked > 0);
}

fn warned(disk: &mut MemDisk, percent: i64) -> usize {
    let warning = Warning {
        percent,
        text: b"Subject: full\n\nYou are.\n".as_slice().into(),
    };
    let writer = writer(disk);
    let before = disk.names("/m/new").len();
    run(disk, |disk| async move {
        quota::warn(&disk, Path::new(M), Some(&warning), &writer).await;
    });
    disk.names("/m/new").len() - before
}

#[test]
fn owners_are_warned_once_a_day() {
    let mut disk = start("200S");
    assert_eq!(warned(&mut disk, 7), 0);
    assert_eq!(warned(&mut disk, 6), 1);
    assert_eq!(
        disk.contents("/m/quotawarn").map(|text| text.len()),
        Some(1)
    );
    let name = disk
        .names("/m/new")
        .into_iter()
        .find(|name| !name.starts_with('3'));
    let text = disk
        .contents(format!("/m/new/{}", name.expect("there")))
        .expect("text");
    let expected = "Date: Tue, 14 Nov 2023 22:14:20 +0000\n\
        Message-Id: <1700000060.overquota@mx>\nSubject: full\n\nYou are.\n";
    assert_eq!(String::from_utf8_lossy(&text), expected);
    exact(&mut disk);
    disk.advance(Millis::from_secs(24 * 60 * 60 - 1));
    assert_eq!(warned(&mut disk, 0), 0);
    disk.advance(Millis::from_secs(1));
    assert_eq!(warned(&mut disk, 0), 1);
    assert_eq!(warned(&mut disk, 0), 0);
}

#[test]
fn over_the_quota_the_warning_comes_free() {
    let mut disk = start("12S");
    assert_eq!(warned(&mut disk, 100), 1);
    assert_eq!(recorded(&disk), (12, 3));
    // Without a quota nothing is ever full, but who asks for 0 percent is told.
    let mut disk = three();
    assert_eq!((warned(&mut disk, 1), warned(&mut disk, 0)), (0, 1));
    assert_eq!(disk.contents(FILE), None);
    let mut disk = three();
    disk.plant_link("/m/quotawarn", "/etc/passwd");
    let unlink = Op::Unlink("/m/quotawarn".into());
    assert_eq!(warned(&mut disk, 0), 0);
    disk.carry_out(&unlink).expect("a link still");
}

#[test]
fn a_message_from_a_pipe_is_charged_before_and_one_from_a_file_after_the_warning() {
    let written = |disk: &mut MemDisk| {
        disk.plant_file("/m/tmp/x", b"1234567\n");
        quota_written()
    };
    let target = |disk: &mut MemDisk, quota: &'static str| {
        run(disk, |disk| async move {
            let quota = QuotaSpec::parse(quota.as_bytes());
            quota::Target::find(&disk, Path::new(M), quota).await
        })
    };
    let warning = || Warning {
        percent: 20,
        text: b"Subject: full\n\n".as_slice().into(),
    };
    for (pipe, warnings) in [(true, 1), (false, 0)] {
        let mut disk = start("100S");
        let (target, written) = (target(&mut disk, ""), written(&mut disk));
        let writer = writer(&disk);
        let warning = warning();
        run(&mut disk, |disk| async move {
            if pipe {
                let message = (target, written);
                quota::deliver_counted(&disk, message.0, message.1, Some(&warning), &writer).await
            } else {
                let admitted = quota::admit(&disk, target, 8, Some(&warning), &writer).await?;
                quota::deliver_known(&disk, admitted, written, Some(&warning), &writer).await
            }
        })
        .expect("delivered");
        assert!(disk.names("/m/tmp").is_empty());
        assert_eq!(disk.names("/m/new").len(), 1 + warnings);
        if warnings == 0 {
            assert_eq!(exact(&mut disk), (20, 4));
        }
    }
    let mut disk = start("12S");
    let (target, written) = (target(&mut disk, "12S"), written(&mut disk));
    let writer = writer(&disk);
    let refused = run(&mut disk, |disk| async move {
        quota::deliver_counted(&disk, target, written, None, &writer).await
    });
    assert!(matches!(refused, Err(DeliveryError::OverQuota { .. })));
    assert!(disk.names("/m/tmp").is_empty());
    assert_eq!(exact(&mut disk), (12, 3));
}

fn quota_written() -> courier_maildir::delivery::Written {
    courier_maildir::delivery::Written {
        folder: inbox(),
        name: writer_at(MemDisk::new().now()).unique_name(),
        sizes: Sizes {
            file: 8,
            wire: Some(9),
        },
        tmp: "/m/tmp/x".into(),
    }
}

/// Two messages are marked and go to the trash.
fn trashing(promises: Promises<()>) -> DiskTask<'static, Result<(), MailboxError>> {
    disk::task(|disk| async move {
        let writer = writer_at(MemDisk::new().now());
        let mut here = open(&disk, &inbox(), Access::ReadWrite, &writer).await?;
        let trash = FolderPath::new(M, ".Trash");
        let numbers = uids(&[1, 3]);
        let which = Expunge::Each(&numbers);
        expunge_to(&disk, &mut here, which, &trash, &writer).await?;
        promises.make(());
        Ok(())
    })
}

#[test]
fn on_its_way_to_the_trash_no_message_is_lost() {
    let keys = |disk: &MemDisk| {
        let directories = ["/m/cur", "/m/.Trash/cur"].into_iter();
        let names = directories.flat_map(|directory| disk.names(directory));
        let keys = names.map(|name| name.split(['.', ':', ',']).next().map(str::to_owned));
        keys.flatten().collect::<std::collections::BTreeSet<_>>()
    };
    let check = |disk: &mut MemDisk, promised: bool| {
        assert_eq!(keys(disk).len(), 3, "{}", disk.show());
        assert!(!promised || disk.names("/m/cur").len() == 1);
        let there = i64::try_from(disk.names("/m/cur").len()).expect("few");
        let expected = Amount {
            octets: 4 * there,
            messages: there,
        };
        assert_eq!(counted(disk), expected);
    };
    crash_everywhere(&start("100S"), trashing, |disk, promises| {
        check(disk, !promises.is_empty());
    });
    fail_everywhere(&start("100S"), trashing, |disk, _, promises| {
        check(disk, !promises.is_empty());
    });
    let mut disk = start("100S");
    disk.run(trashing(Promises::new())).expect("moved");
    assert_eq!(exact(&mut disk), (4, 1));
    // A trash of another name is charged.
    let mut disk = start("100S");
    let writer = writer(&disk);
    let mut here = open_with(&mut disk, Access::ReadWrite);
    run(&mut disk, |disk| async move {
        let trash = FolderPath::new(M, ".Papierkorb");
        expunge_to(
            &disk,
            &mut here,
            Expunge::Each(&uids(&[1])),
            &trash,
            &writer,
        )
        .await
    })
    .expect("moved");
    assert_eq!(exact(&mut disk), (12, 3));
    assert_eq!(disk.names("/m/.Papierkorb").len(), 4);
}
