use std::sync::{Arc, Mutex};

use courier_core::disk::{self, DiskTask, Op};
use courier_core::mta::journal::MessageId;
use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};
use courier_maildir::content::{Content, LastLine, Lines};
use courier_maildir::delivery::{
    Absent, Attempt, Delivered, Delivery, DeliveryError, When, deliver,
};
use courier_maildir::folder::FolderPath;
use courier_maildir::mailbox::Access;
use courier_maildir::name::{HostName, Maker, Name, UniqueName};

use crate::support::*;

const JOURNAL: &str = "/spool/1";

/// A journal with the bodies of the messages, and two maildirs.
fn world() -> MemDisk {
    let mut disk = maildir();
    disk.plant_file(JOURNAL, b"....body of 0\nbody of 1\n");
    for directory in ["tmp", "new", "cur"] {
        disk.plant_directory(format!("/other/{directory}"));
    }
    disk
}

fn delivery(message: u64, recipient: u32, maildir: &str, attempt: Attempt) -> Delivery {
    let at = 4 + message * 10;
    let lines = Lines {
        bare: 1,
        last: LastLine::Ended,
    };
    Delivery {
        folder: FolderPath::inbox(maildir),
        name: UniqueName {
            seconds: 1_700_000_000 + message,
            micros: 5,
            maker: Maker::Journal {
                message: MessageId(message),
                recipient,
            },
            host: HostName::new("mx"),
        },
        content: Content::default().octets(&b"Return-Path: <>\n"[..]).file(
            JOURNAL,
            at..at + 10,
            lines,
        ),
        attempt,
        absent: Absent::Refuse,
    }
}

/// Three deliveries: two messages, one of them for two maildirs.
fn batch(attempt: Attempt) -> Vec<Delivery> {
    vec![
        delivery(0, 0, M, attempt),
        delivery(0, 1, "/other", attempt),
        delivery(1, 0, M, attempt),
    ]
}

type Outcomes = Vec<Result<Delivered, DeliveryError>>;

fn delivering(
    attempt: Attempt,
    promise: impl Fn(usize) + Send + 'static,
) -> DiskTask<'static, Outcomes> {
    disk::task(move |disk| async move {
        let writer = writer_at(MemDisk::new().now());
        let outcomes = deliver(&disk, batch(attempt), &writer).await;
        let done = (0..).zip(&outcomes).filter(|(_, outcome)| outcome.is_ok());
        done.for_each(|(number, _)| promise(number));
        outcomes
    })
}

/// How often each of the three messages is there; each must be whole.
fn copies(disk: &MemDisk) -> [usize; 3] {
    let mut copies = [0; 3];
    for maildir in [M, "/other"] {
        for directory in ["new", "cur"] {
            for name in disk.names(format!("{maildir}/{directory}")) {
                let there = disk
                    .contents(format!("{maildir}/{directory}/{name}"))
                    .expect("a file");
                let base = Name::parse(name.as_bytes()).expect("a name").base();
                let name = UniqueName::parse(base).expect("one of ours");
                let Maker::Journal { message, recipient } = name.maker else {
                    panic!("another's: {name}")
                };
                let body = format!("Return-Path: <>\nbody of {}\n", message.0);
                assert_eq!(there, body.as_bytes(), "not whole: {}", disk.show());
                let number = usize::from(message.0 == 1) * 2 + usize::from(recipient == 1);
                copies[number] += 1;
            }
        }
    }
    copies
}

#[test]
fn a_batch_is_delivered_with_one_sync_a_directory() {
    let mut disk = world();
    disk.reset_counts();
    let outcomes = disk.run(delivering(Attempt::First, |_| ()));
    assert!(outcomes.iter().all(|outcome| matches!(
        outcome,
        Ok(Delivered {
            when: When::Now,
            ..
        })
    )));
    assert_eq!((disk.counts().syncs, disk.counts().directory_syncs), (3, 2));
    assert_eq!(copies(&disk), [1, 1, 1]);
    assert_eq!(copies(&disk.crash_losing_all()), [1, 1, 1]);
    let expected = [
        "1700000000.M000005J0R0.mx,S=26,W=28",
        "1700000001.M000005J1R0.mx,S=26,W=28",
    ];
    assert_eq!(disk.names("/m/new"), expected);
    assert!(disk.names("/m/tmp").is_empty());
    let snapshot = open_with(&mut disk, Access::ReadWrite);
    assert_eq!(snapshot.counts().size, Some(56));
}

#[test]
fn after_a_crash_at_any_place_a_repeated_delivery_gives_one_copy() {
    // Others do not touch the mail; or a reader moves it to `cur` and flags it.
    for reader in [false, true] {
        let seen = Arc::new(Mutex::new(std::collections::HashSet::new()));
        crash_everywhere(
            &world(),
            |promises: Promises<usize>| {
                delivering(Attempt::First, move |number| promises.make(number))
            },
            |disk, promises| {
                if !seen
                    .lock()
                    .expect("whole")
                    .insert((disk.show(), promises.len()))
                {
                    return;
                }
                let before = copies(disk);
                promises
                    .iter()
                    .for_each(|&number| assert_eq!(before[number], 1));
                if reader {
                    for name in disk.names("/m/new") {
                        let to = format!("/m/cur/{name}:2,FS").into();
                        let from = format!("/m/new/{name}").into();
                        disk.carry_out(&Op::Rename { from, to }).expect("moved");
                    }
                }
                let outcomes = disk.run(delivering(Attempt::Repeated, |_| ()));
                for (outcome, before) in outcomes.into_iter().zip(before) {
                    let when = outcome.expect("delivered").when;
                    assert_eq!(when == When::Earlier, before > 0, "{}", disk.show());
                }
                assert_eq!(copies(disk), [1, 1, 1], "{}", disk.show());
                assert_eq!(copies(&disk.crash_losing_all()), [1, 1, 1], "not durable");
            },
        );
    }
}

#[test]
fn what_a_failing_disk_refuses_is_delivered_later() {
    let mut refused = 0;
    fail_everywhere(
        &world(),
        |promises: Promises<usize>| delivering(Attempt::First, move |number| promises.make(number)),
        |disk, given, promises| {
            refused += given.iter().filter(|outcome| outcome.is_err()).count();
            let before = copies(disk);
            promises
                .iter()
                .for_each(|&number| assert_eq!(before[number], 1));
            let outcomes = disk.run(delivering(Attempt::Repeated, |_| ()));
            assert!(outcomes.iter().all(Result::is_ok));
            assert_eq!(copies(&disk.crash_losing_all()), [1, 1, 1]);
        },
    );
    assert!(refused > 0);
}

#[test]
fn one_that_cannot_be_delivered_does_not_hold_up_the_others() {
    let mut disk = world();
    let mut batch = batch(Attempt::First);
    batch[0].folder = FolderPath::inbox("/nobody");
    batch[2].content = Content::default().file(
        JOURNAL,
        0..999,
        Lines {
            bare: 0,
            last: LastLine::Ended,
        },
    );
    let writer = writer(&disk);
    let outcomes = run(&mut disk, |disk| async move {
        deliver(&disk, batch, &writer).await
    });
    let path = "/nobody".into();
    assert_eq!(outcomes[0], Err(DeliveryError::NoMaildir { path }));
    assert!(outcomes[1].is_ok());
    assert!(matches!(outcomes[2], Err(DeliveryError::Disk(_))));
    assert!(disk.names("/m/tmp").is_empty() && disk.names("/m/new").is_empty());
}

#[test]
fn a_folder_is_made_when_the_caller_says_so() {
    let mut disk = world();
    disk.plant_directory("/home");
    let mut batch = batch(Attempt::First);
    batch[0].folder = FolderPath::new("/home/Maildir", ".Lists");
    batch[1].folder = FolderPath::new("/home/Maildir", ".Lists");
    for delivery in &mut batch {
        delivery.absent = Absent::Create;
    }
    let writer = writer(&disk);
    let outcomes = run(&mut disk, |disk| async move {
        deliver(&disk, batch, &writer).await
    });
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let disk = disk.crash_losing_all();
    assert_eq!(disk.names("/home/Maildir/.Lists/new").len(), 2);
    assert_eq!(
        disk.names("/home/Maildir/.Lists"),
        ["cur", "maildirfolder", "new", "tmp"]
    );
    assert_eq!(disk.names("/home/Maildir"), [".Lists", "cur", "new", "tmp"]);
}
