use courier_core::disk::{self, DiskTask};
use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};
use courier_core::time::Millis;
use courier_maildir::mailbox::{Access, Expunge, MailboxError, Snapshot, expunge, open};
use courier_maildir::uid_list::Uid;

use crate::support::*;

/// A folder in which 1 and 3 have the flag T.
fn trashed() -> MemDisk {
    let mut disk = opened();
    rename(&mut disk, "cur/1.x,S=4:2,S", "cur/1.x,S=4:2,ST");
    rename(&mut disk, "cur/3.x,S=4,W=5:2,", "cur/3.x,S=4,W=5:2,T");
    disk.sync_all();
    disk.advance(Millis::from_secs(9));
    disk
}

fn expunged(disk: &mut MemDisk, snapshot: &mut Snapshot, which: Expunge<'_>) -> Vec<Uid> {
    let writer = writer(disk);
    run(disk, |disk| async move {
        expunge(&disk, snapshot, which, &writer).await
    })
    .expect("expunged")
}

#[test]
fn only_what_is_trashed_goes_and_only_among_those_named() {
    let mut disk = trashed();
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    let named = uids(&[1, 2]);
    let gone = expunged(&mut disk, &mut snapshot, Expunge::TrashedAmong(&named));
    assert_eq!(gone, uids(&[1]));
    assert_eq!(
        expunged(&mut disk, &mut snapshot, Expunge::Trashed),
        uids(&[3])
    );
    assert_eq!(expunged(&mut disk, &mut snapshot, Expunge::Trashed), []);
    assert_eq!(shown(&snapshot), ["2 2.x:2,ab"]);
    assert!(
        refreshed(&mut disk, &mut snapshot).is_empty(),
        "told already"
    );
    assert_eq!(
        expunged(&mut disk, &mut snapshot, Expunge::Each(&named)),
        uids(&[2])
    );
    assert!(disk.crash_losing_all().names("/m/cur").is_empty());
    disk.plant_file("/m/new/9.x", b"9..\n");
    let snapshot = open_with(&mut disk, Access::ReadWrite);
    assert_eq!(shown(&snapshot), ["4 9.x:2,*"], "no uid is used again");
}

#[test]
fn what_another_undeleted_stays_and_what_it_renamed_goes() {
    let mut disk = trashed();
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    rename(&mut disk, "cur/1.x,S=4:2,ST", "cur/1.x,S=4:2,S");
    rename(&mut disk, "cur/3.x,S=4,W=5:2,T", "cur/3.x,S=4,W=5:2,FT");
    assert_eq!(
        expunged(&mut disk, &mut snapshot, Expunge::Trashed),
        uids(&[3])
    );
    assert_eq!(disk.names("/m/cur"), ["1.x,S=4:2,S", "2.x:2,ab"]);
    assert_eq!(refreshed(&mut disk, &mut snapshot).flags, uids(&[1]));
}

#[test]
fn what_another_removed_is_told_gone_once() {
    let mut disk = trashed();
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    remove(&mut disk, "cur/1.x,S=4:2,ST");
    assert_eq!(
        expunged(&mut disk, &mut snapshot, Expunge::Trashed),
        uids(&[1, 3])
    );
    assert!(refreshed(&mut disk, &mut snapshot).is_empty());
}

fn expunging(promises: Promises<Told>) -> DiskTask<'static, Result<Vec<Uid>, MailboxError>> {
    disk::task(|disk| async move {
        let writer = writer_at(MemDisk::new().now());
        let mut snapshot = open(&disk, &inbox(), Access::ReadWrite, &writer).await?;
        let before = told(&snapshot);
        let gone = expunge(&disk, &mut snapshot, Expunge::Trashed, &writer).await?;
        before.into_iter().for_each(|told| promises.make(told));
        Ok(gone)
    })
}

#[test]
fn an_expunge_is_durable_once_it_is_answered() {
    let mut checker = Checker::default();
    crash_everywhere(&trashed(), expunging, |disk, promises| {
        checker.check(disk, promises, |_, snapshot| {
            assert!(snapshot.message(uid(2)).is_some());
            assert!(promises.is_empty() || snapshot.len() == 1);
        });
    });
    let mut checker = Checker::default();
    fail_everywhere(&trashed(), expunging, |disk, given, promises| {
        checker.check(disk, promises, |disk, snapshot| {
            assert!(given.is_err() || snapshot.len() == 1);
            assert!(snapshot.message(uid(2)).is_some());
            disk.run(expunging(Promises::new())).expect("expunged");
            assert_eq!(disk.names("/m/cur"), ["2.x:2,ab"]);
        });
    });
}
