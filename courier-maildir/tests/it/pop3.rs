use std::path::Path;

use courier_core::disk::{self, DiskTask};
use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};
use courier_core::time::{Millis, Timestamp};
use courier_maildir::mailbox::MailboxError;
use courier_maildir::pop3::{MailDrop, find, mark_seen, open, remove};

use crate::support::*;

const LIST: &str = "/m/courierpop3dsizelist";

fn opened_drop(disk: &mut MemDisk) -> MailDrop {
    let writer = writer(disk);
    run(disk, |disk| async move {
        open(&disk, Path::new(M), &writer).await
    })
    .expect("opened")
}

fn listed(maildrop: &MailDrop) -> Vec<String> {
    let line = |message: courier_maildir::pop3::MailDropMessage<'_>| {
        format!("{} {}", message.size, message.uidl)
    };
    maildrop.messages().map(line).collect()
}

#[test]
fn messages_are_sized_and_numbered_once() {
    let mut disk = three();
    disk.plant_file("/m/cur/4.x:2,", "Subject: é\n\nno end".as_bytes());
    let maildrop = opened_drop(&mut disk);
    let expected = [
        "5 UID1-1700000000",
        "5 UID2-1700000000",
        "5 UID3-1700000000",
        "23 UID4-1700000000",
    ];
    assert_eq!(listed(&maildrop), expected);
    let eight_bit: Vec<bool> = maildrop
        .messages()
        .map(|message| message.eight_bit_header)
        .collect();
    assert_eq!(eight_bit, [false, false, false, true]);
    let list = "/3 5 1700000000\n\
                1.x,S=4:2,S 5 1:1700000000:0\n\
                2.x:2,ab 5 2:1700000000:0\n\
                3.x,S=4,W=5:2, 5 3:1700000000:0\n\
                4.x:2, 23 4:1700000000:1\n";
    assert_eq!(disk.contents(LIST).as_deref(), Some(list.as_bytes()));
    let mut disk = disk.crash_losing_all();
    disk.reset_counts();
    assert_eq!(listed(&opened_drop(&mut disk)), expected);
    assert_eq!(disk.counts().written, 0);
    assert_eq!(disk.counts().read, list.len() as u64, "no message is read");
}

#[test]
fn ids_of_older_lists_stay() {
    let mut disk = opened();
    disk.plant_file(LIST, b"/2 9\n1.x,S=4:2, 5 8\n2.x 6 7:5\n");
    let maildrop = opened_drop(&mut disk);
    assert_eq!(
        listed(&maildrop),
        ["5 UID8", "6 UID7-5", "5 UID9-1700000060"]
    );
    let list = disk.contents(LIST).expect("a list");
    assert!(
        list.starts_with(b"/3 10 1700000060\n1.x,S=4:2,S 5 8:0:0\n"),
        "{}",
        list.escape_ascii()
    );
}

#[test]
fn damaged_lists_are_made_anew() {
    for damage in [
        "",
        "\0\0\0",
        "/3 2 5\n1.x 5 9:5:0\n",
        "/9 1 1\n",
        "/3 9 5\n1.x 5",
        "noise\n",
    ] {
        let mut disk = opened();
        disk.plant_file(LIST, damage.as_bytes());
        assert_eq!(
            listed(&opened_drop(&mut disk))[0],
            "5 UID1-1700000060",
            "{damage:?}"
        );
    }
    let mut disk = opened();
    disk.plant_directory(LIST);
    assert_eq!(opened_drop(&mut disk).messages().len(), 3);
    assert_eq!(opened_drop(&mut disk).messages().len(), 3);
}

#[test]
fn the_view_stays_and_messages_are_found_under_new_names() {
    let mut disk = opened();
    let mut maildrop = opened_drop(&mut disk);
    rename(&mut disk, "cur/1.x,S=4:2,S", "cur/1.x,S=4:2,FS");
    remove_file(&mut disk);
    let mut found = |number| {
        let maildrop = &mut maildrop;
        run(&mut disk, |disk| async move {
            find(&disk, maildrop, number).await
        })
        .expect("looked")
    };
    let path = found(1).expect("there");
    assert_eq!(path, Path::new("/m/cur/1.x,S=4:2,FS"));
    assert_eq!(found(2), None);
    assert_eq!(found(0), None);
    assert_eq!(found(9), None);
    assert_eq!(maildrop.messages().len(), 3);
}

fn remove_file(disk: &mut MemDisk) {
    crate::support::remove(disk, "cur/2.x:2,ab");
}

#[test]
fn quit_removes_and_marks_with_one_sync_each() {
    let mut disk = opened();
    let mut maildrop = opened_drop(&mut disk);
    let writer = writer(&disk);
    disk.reset_counts();
    let session = &mut maildrop;
    run(&mut disk, |disk| async move {
        mark_seen(&disk, session, &[2, 3], &writer).await?;
        remove(&disk, session, &[1, 2], &writer).await
    })
    .expect("quit");
    assert_eq!(disk.counts().directory_syncs, 2);
    assert_eq!(disk.crash_losing_all().names("/m/cur"), ["3.x,S=4,W=5:2,S"]);
    assert_eq!(maildrop.messages().len(), 3, "numbers stay");
    assert!(maildrop.path(3).is_some() && maildrop.path(1).is_none());
    disk.plant_file("/m/new/9.x", b"9..\n");
    let again = opened_drop(&mut disk);
    assert_eq!(
        listed(&again)[1],
        "5 UID4-1700000060",
        "no number is used again"
    );
}

#[test]
fn on_a_full_disk_known_messages_are_shown_or_the_first() {
    let mut disk = opened();
    disk.set_capacity(Some(0));
    let maildrop = opened_drop(&mut disk);
    let lines = listed(&maildrop);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("5 ENOMEM-6553f100-"), "{lines:?}");
    assert!(maildrop.unsaved().is_some());
    disk.set_capacity(None);
    opened_drop(&mut disk);
    disk.plant_file("/m/new/0.x", b"0..\n");
    disk.set_capacity(Some(0));
    assert_eq!(opened_drop(&mut disk).messages().len(), 3);
}

type Numbered = (String, String);

fn numbering(promises: Promises<Numbered>) -> DiskTask<'static, Result<(), MailboxError>> {
    disk::task(|disk| async move {
        let writer = writer_at(MemDisk::new().now());
        let maildrop = open(&disk, Path::new(M), &writer).await?;
        ids(&maildrop).into_iter().for_each(|id| promises.make(id));
        Ok(())
    })
}

/// Unique ids with the messages they stand for.
fn ids(maildrop: &MailDrop) -> Vec<Numbered> {
    let ids = (1..).zip(maildrop.messages()).map(|(number, message)| {
        let path = maildrop.path(number).expect("there");
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let key = name.split(['.', ',', ':']).next().unwrap_or_default();
        (message.uidl.to_owned(), key.to_owned())
    });
    // What is told on a full disk is no promise.
    ids.filter(|(uidl, _)| !uidl.starts_with("ENOMEM"))
        .collect()
}

fn agrees(disk: &mut MemDisk, promises: &[Numbered]) {
    let writer = reborn(disk);
    // Another message, which would be the first.
    disk.plant_file("/m/new/0.x", b"0..\n");
    let maildrop = run(disk, |disk| async move {
        open(&disk, Path::new(M), &writer).await
    })
    .expect("opened");
    let now = ids(&maildrop);
    for (uidl, key) in promises {
        let same = now.iter().find(|(now, _)| now == uidl);
        assert_eq!(
            same.map(|(_, key)| key),
            Some(key),
            "{uidl} {now:?} {}",
            disk.show()
        );
    }
}

#[test]
fn ids_survive_a_crash_once_they_are_told() {
    let mut start = opened();
    start.set_time(Timestamp {
        seconds: 1_700_000_000,
        nanos: 0,
    });
    start.advance(Millis::from_secs(0));
    let mut seen = std::collections::HashSet::new();
    crash_everywhere(&start, numbering, |disk, promises| {
        if seen.insert((disk.show(), disk.contents(LIST), promises.len())) {
            agrees(disk, promises);
        }
    });
    fail_everywhere(&start, numbering, |disk, _, promises| {
        agrees(disk, promises)
    });
}

#[test]
fn two_sessions_at_any_interleaving_give_each_message_one_id() {
    for at in 0.. {
        let mut disk = opened();
        let writer = writer(&disk);
        let mut task = disk::task(|disk| async move { open(&disk, Path::new(M), &writer).await });
        let (mut step, mut operation, mut second) = (task.start(), 0, None);
        let first = loop {
            match step {
                courier_core::task::Step::Done(maildrop) => break maildrop.expect("opened"),
                courier_core::task::Step::Ask(batch) => {
                    let mut outcomes = Vec::new();
                    for op in &batch {
                        let held = disk
                            .names("/m/tmp")
                            .iter()
                            .any(|name| name.ends_with(".lock"));
                        if operation == at && !held {
                            disk.plant_file("/m/new/0.x", b"x..\n");
                            second = Some(opened_drop(&mut disk));
                        }
                        operation += 1;
                        outcomes.push(disk.carry_out(op));
                    }
                    step = task.next(outcomes);
                }
            }
        };
        agrees(&mut disk, &ids(&first));
        if let Some(second) = second {
            agrees(&mut disk, &ids(&second));
        }
        if operation <= at {
            assert!(at > 15);
            break;
        }
    }
}
