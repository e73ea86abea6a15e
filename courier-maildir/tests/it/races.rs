//! Others at work between two operations of ours, and in the midst of one.

use courier_core::disk::{self, DiskTask, Listing, Op, Outcome, Reply};
use courier_core::task::Step;
use courier_core::testing::MemDisk;
use courier_maildir::content::Content;
use courier_maildir::flags::Flags;
use courier_maildir::mailbox::{Access, MailboxError, NewMessage, Snapshot, append, open, refresh};

use crate::support::*;

/// Runs a task; `meddle` sees each operation first, and may answer in its place.
fn run_with<T>(
    disk: &mut MemDisk,
    mut task: DiskTask<'_, T>,
    mut meddle: impl FnMut(&mut MemDisk, &Op) -> Option<Outcome>,
) -> T {
    let mut step = task.start();
    loop {
        match step {
            Step::Done(value) => return value,
            Step::Ask(batch) => {
                let outcomes = batch.iter().map(|op| {
                    let answer = meddle(disk, op);
                    answer.unwrap_or_else(|| disk.carry_out(op))
                });
                step = task.next(outcomes.collect());
            }
        }
    }
}

fn refreshing<'a>(
    snapshot: &'a mut Snapshot,
    disk: &MemDisk,
) -> DiskTask<'a, Result<courier_maildir::mailbox::Changes, MailboxError>> {
    let writer = writer(disk);
    disk::task(|disk| async move { refresh(&disk, snapshot, &writer).await })
}

/// A listing without a name, or with another one.
fn doctored(disk: &mut MemDisk, op: &Op, hide: &str, show: Option<&str>) -> Option<Outcome> {
    let Ok(Reply::Listing(listing)) = disk.carry_out(op) else {
        return None;
    };
    let mut changed = Listing::default();
    for (name, kind) in listing.iter().filter(|(name, _)| *name != hide.as_bytes()) {
        changed.push(name, kind);
    }
    if let Some(name) = show {
        changed.push(name.as_bytes(), disk::FileKind::File);
    }
    Some(Ok(Reply::Listing(changed)))
}

fn is_list_of(op: &Op, directory: &str) -> bool {
    matches!(op, Op::List(path) if path.ends_with(directory))
}

#[test]
fn a_name_that_one_listing_misses_is_not_told_gone() {
    let mut disk = opened();
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    rename(&mut disk, "cur/1.x,S=4:2,S", "cur/1.x,S=4:2,FS");
    let mut listings = 0;
    let task = refreshing(&mut snapshot, &disk);
    let changes = run_with(&mut disk, task, |disk, op| {
        listings += usize::from(is_list_of(op, "cur"));
        let first = is_list_of(op, "cur") && listings == 1;
        first.then(|| doctored(disk, op, "1.x,S=4:2,FS", None))?
    })
    .expect("refreshed");
    assert_eq!((changes.vanished, changes.flags), (vec![], uids(&[1])));
    assert_eq!(listings, 2);
}

#[test]
fn a_name_that_a_listing_shows_twice_is_one_message() {
    for (old, new) in [
        ("1.x,S=4:2,S", "1.x,S=4:2,FS"),
        ("1.x,S=4:2,FS", "1.x,S=4:2,S"),
    ] {
        let mut disk = opened();
        let mut snapshot = open_with(&mut disk, Access::ReadWrite);
        if old != "1.x,S=4:2,S" {
            rename(&mut disk, "cur/1.x,S=4:2,S", &format!("cur/{old}"));
            refreshed(&mut disk, &mut snapshot);
        }
        rename(&mut disk, &format!("cur/{old}"), &format!("cur/{new}"));
        let task = refreshing(&mut snapshot, &disk);
        let changes = run_with(&mut disk, task, |disk, op| {
            is_list_of(op, "cur").then(|| doctored(disk, op, "", Some(old)))?
        })
        .expect("refreshed");
        assert_eq!(changes.flags, uids(&[1]));
        assert!(changes.vanished.is_empty() && changes.arrived.is_empty());
        assert_eq!(shown(&snapshot)[0], format!("1 {new}"));
    }
}

#[test]
fn mail_that_another_moves_to_cur_first_is_found_there() {
    let mut disk = opened();
    disk.plant_file("/m/new/4.x", b"4..\n");
    let writer = writer(&disk);
    let task =
        disk::task(|disk| async move { open(&disk, &inbox(), Access::ReadWrite, &writer).await });
    let mut done = false;
    let snapshot = run_with(&mut disk, task, |disk, op| {
        if matches!(op, Op::Rename { from, .. } if from.ends_with("new/4.x")) && !done {
            done = true;
            rename(disk, "new/4.x", "cur/4.x:2,S");
        }
        None
    })
    .expect("opened");
    assert_eq!(
        shown(&snapshot).last().map(String::as_str),
        Some("4 4.x:2,S*")
    );
}

#[test]
fn two_sessions_at_any_interleaving_give_each_message_one_uid() {
    // The second session runs whole before the n-th operation of the first.
    for at in 0.. {
        let mut disk = opened();
        for name in ["4.x", "5.x"] {
            disk.plant_file(format!("/m/new/{name}"), b"x..\n");
        }
        let writer = writer(&disk);
        let task =
            disk::task(
                |disk| async move { open(&disk, &inbox(), Access::ReadWrite, &writer).await },
            );
        let (mut second, mut operation) = (None, 0);
        let first = run_with(&mut disk, task, |disk, _| {
            if operation == at {
                // While the first session holds the lock the second cannot have it.
                let held = disk
                    .names("/m/tmp")
                    .iter()
                    .any(|name| name == "courier.lock");
                if !held {
                    disk.plant_file("/m/new/0.x", b"x..\n");
                    second = Some(open_with(disk, Access::ReadWrite));
                }
            }
            operation += 1;
            None
        })
        .expect("opened");
        let last = check(&mut disk, &told(&first));
        if let Some(second) = &second {
            check(&mut disk, &told(second));
        }
        assert_eq!(last.uid_validity(), first.uid_validity());
        if operation <= at {
            assert!(at > 20);
            break;
        }
    }
}

/// What another session, or another program, does at once.
type Deed = fn(&mut MemDisk);

const DEEDS: [(&str, Deed); 6] = [
    ("mail comes and is seen", |disk| {
        disk.plant_file("/m/new/0.x", b"x..\n");
        open_with(disk, Access::ReadWrite);
    }),
    ("a message is appended", |disk| {
        let writer = writer(disk);
        let message = NewMessage {
            content: Content::default().octets(&b"x..\n"[..]),
            flags: Flags::SEEN,
            keywords: Vec::new(),
            date: None,
        };
        run(disk, |disk| async move {
            append(&disk, &inbox(), vec![message], &writer).await
        })
        .expect("appended");
    }),
    ("a message is removed", |disk| remove(disk, "cur/2.x:2,ab")),
    ("a flag is set", |disk| {
        rename(disk, "cur/2.x:2,ab", "cur/2.x:2,Sab")
    }),
    ("a message goes and comes back", |disk| {
        rename(disk, "cur/2.x:2,ab", "tmp/away");
        open_with(disk, Access::ReadWrite);
        rename(disk, "tmp/away", "cur/2.x:2,");
    }),
    ("the list is lost", |disk| {
        disk.plant_file("/m/courierimapuiddb", b"");
        open_with(disk, Access::ReadWrite);
    }),
];

#[test]
fn whatever_others_do_at_any_moment_what_is_told_stays_true() {
    for (what, deed) in DEEDS {
        for at in 0.. {
            let mut disk = opened();
            let mut snapshot = open_with(&mut disk, Access::ReadWrite);
            disk.plant_file("/m/new/4.x", b"4..\n");
            // Messages as a client knows them, from what it is told alone.
            let mut known: Vec<u32> = snapshot
                .messages()
                .map(|message| message.uid().get())
                .collect();
            let (mut operation, mut done, mut reset) = (0, false, false);
            for round in 0..4 {
                let before = told(&snapshot);
                let task = refreshing(&mut snapshot, &disk);
                let changes = run_with(&mut disk, task, |disk, _| {
                    let held = disk
                        .names("/m/tmp")
                        .iter()
                        .any(|name| name == "courier.lock");
                    if operation >= at && round < 3 && !done && !held {
                        done = true;
                        deed(disk);
                    }
                    operation += 1;
                    None
                })
                .unwrap_or_else(|error| panic!("{what} before operation {at}: {error}"));
                reset |= changes.reset;
                if reset {
                    break;
                }
                known.retain(|uid| !changes.vanished.iter().any(|gone| gone.get() == *uid));
                known.extend(changes.arrived.iter().map(|uid| uid.get()));
                assert!(known.is_sorted(), "{what} before operation {at}: {known:?}");
                let now: Vec<u32> = snapshot
                    .messages()
                    .map(|message| message.uid().get())
                    .collect();
                assert_eq!(known, now, "{what} before operation {at}");
                for before in before {
                    let same = told(&snapshot)
                        .into_iter()
                        .find(|told| told.uid == before.uid);
                    assert!(same.is_none_or(|told| told.key == before.key));
                }
            }
            assert_eq!(
                reset,
                what == "the list is lost" && done,
                "{what} before operation {at}"
            );
            if !reset {
                check(&mut disk, &told(&snapshot));
                let open = open_with(&mut disk, Access::ReadWrite);
                assert_eq!(told(&open), told(&snapshot), "{what} before operation {at}");
            }
            if !done {
                assert!(at > 10, "{what}");
                break;
            }
        }
    }
}
