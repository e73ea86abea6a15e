use courier_core::disk::{self, DiskTask, Op};
use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};
use courier_core::time::Millis;
use courier_maildir::flags::Flags;
use courier_maildir::keywords::{Keyword, KeywordError, KeywordTable};
use courier_maildir::mailbox::{
    Access, FlagChange, How, MailboxError, Snapshot, Stored, locate, open, store,
};
use courier_maildir::uid_list::Uid;

use crate::support::*;

pub(crate) fn change(how: How, flags: &str, keywords: Option<&[&str]>) -> FlagChange {
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|word| Keyword::parse(word).expect("a keyword"))
            .collect()
    };
    FlagChange {
        how,
        flags: Flags::parse(flags.as_bytes()),
        within: Flags::IMAP,
        keywords: keywords.map(words),
    }
}

fn stored(
    disk: &mut MemDisk,
    snapshot: &mut Snapshot,
    uids: &[Uid],
    change: &FlagChange,
) -> Stored {
    let writer = writer(disk);
    run(disk, |disk| async move {
        store(&disk, snapshot, uids, change, &writer).await
    })
    .expect("stored")
}

#[test]
fn flags_are_added_removed_and_replaced_and_foreign_ones_stay() {
    let mut disk = opened();
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    let all = uids(&[1, 2, 3, 9]);
    let added = stored(&mut disk, &mut snapshot, &all, &change(How::Add, "S", None));
    assert_eq!((added.changed, added.gone), (uids(&[2, 3]), vec![]));
    let names = |disk: &MemDisk| disk.names("/m/cur").join(" ");
    assert_eq!(names(&disk), "1.x,S=4:2,S 2.x:2,Sab 3.x,S=4,W=5:2,S");
    stored(
        &mut disk,
        &mut snapshot,
        &all,
        &change(How::Replace, "FT", None),
    );
    assert_eq!(names(&disk), "1.x,S=4:2,FT 2.x:2,FTab 3.x,S=4,W=5:2,FT");
    stored(
        &mut disk,
        &mut snapshot,
        &all,
        &change(How::Remove, "Ta", None),
    );
    assert_eq!(names(&disk), "1.x,S=4:2,F 2.x:2,Fb 3.x,S=4,W=5:2,F");
    assert!(
        refreshed(&mut disk, &mut snapshot).is_empty(),
        "told already"
    );
    let mut within = change(How::Replace, "", None);
    within.within = Flags::SEEN;
    assert_eq!(
        stored(&mut disk, &mut snapshot, &all, &within),
        Stored::default()
    );
}

#[test]
fn a_store_is_one_sync_however_many_messages_it_changes() {
    let mut disk = maildir();
    for number in 1000..3000 {
        disk.plant_file(format!("/m/cur/{number}.x:2,"), b"a\n");
    }
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    let all: Vec<Uid> = snapshot.messages().map(|message| message.uid()).collect();
    disk.advance(Millis::from_secs(9));
    disk.reset_counts();
    let seen = change(How::Add, "S", None);
    assert_eq!(
        stored(&mut disk, &mut snapshot, &all, &seen).changed.len(),
        2000
    );
    assert_eq!(disk.counts().directory_syncs, 1);
    assert_eq!(disk.counts().operations, 2002);
    assert_eq!(
        open_with(&mut disk.crash_losing_all(), Access::ReadWrite)
            .counts()
            .unseen,
        0
    );
}

#[test]
fn messages_that_others_renamed_are_found_and_their_flags_kept() {
    let mut disk = opened();
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    rename(&mut disk, "cur/1.x,S=4:2,S", "cur/1.x:2,FS");
    remove(&mut disk, "cur/2.x:2,ab");
    let result = stored(
        &mut disk,
        &mut snapshot,
        &uids(&[1, 2, 3]),
        &change(How::Add, "R", None),
    );
    assert_eq!((result.changed, result.gone), (uids(&[1, 3]), uids(&[2])));
    assert_eq!(disk.names("/m/cur"), ["1.x:2,FRS", "3.x,S=4,W=5:2,R"]);
    let changes = refreshed(&mut disk, &mut snapshot);
    assert_eq!((changes.vanished, changes.flags), (uids(&[2]), vec![]));
}

#[test]
fn a_message_that_is_read_is_found_under_its_new_name() {
    let mut disk = opened();
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    rename(&mut disk, "cur/1.x,S=4:2,S", "cur/1.x,S=4:2,FS");
    remove(&mut disk, "cur/2.x:2,ab");
    let gone = run(&mut disk, |disk| {
        let snapshot = &mut snapshot;
        async move { locate(&disk, snapshot, &uids(&[1, 2])).await }
    });
    assert_eq!(gone, Ok(uids(&[2])));
    let path = snapshot.message(uid(1)).expect("there").path();
    assert_eq!(path.display().to_string(), "/m/cur/1.x,S=4:2,FS");
    let changes = refreshed(&mut disk, &mut snapshot);
    assert_eq!(
        (changes.flags, changes.vanished),
        (uids(&[1]), uids(&[2])),
        "told then"
    );
    assert!(refreshed(&mut disk, &mut snapshot).is_empty());
}

#[test]
fn keywords_are_seen_by_other_sessions() {
    let mut disk = opened();
    let mut first = open_with(&mut disk, Access::ReadWrite);
    let mut second = open_with(&mut disk, Access::ReadWrite);
    let junk = change(How::Add, "F", Some(&["Junk", "$Todo"]));
    let result = stored(&mut disk, &mut first, &uids(&[1, 3]), &junk);
    assert_eq!((result.changed, result.keywords), (uids(&[1, 3]), true));
    assert_eq!(shown(&first)[0], "1 1.x,S=4:2,FS Junk+$Todo");
    let changes = refreshed(&mut disk, &mut second);
    assert_eq!((changes.flags, changes.keywords), (uids(&[1, 3]), true));
    assert_eq!(shown(&second), shown(&first));
    let less = change(How::Remove, "", Some(&["JUNK"]));
    stored(&mut disk, &mut second, &uids(&[1]), &less);
    assert_eq!(refreshed(&mut disk, &mut first).flags, uids(&[1]));
    let all = change(How::Replace, "", Some(&[]));
    stored(&mut disk, &mut first, &uids(&[3]), &all);
    let third = open_with(&mut disk.crash_losing_all(), Access::ReadWrite);
    assert_eq!(
        shown(&third),
        ["1 1.x,S=4:2,FS $Todo", "2 2.x:2,ab", "3 3.x,S=4,W=5:2,"]
    );
    assert!(disk.names("/m/tmp").is_empty());
}

#[test]
fn changes_of_keywords_by_two_sessions_are_both_kept() {
    let mut disk = opened();
    let mut first = open_with(&mut disk, Access::ReadWrite);
    let mut second = open_with(&mut disk, Access::ReadWrite);
    stored(
        &mut disk,
        &mut first,
        &uids(&[1]),
        &change(How::Add, "", Some(&["a"])),
    );
    // The second session has not seen `a`, and its change is not merged yet.
    let result = stored(
        &mut disk,
        &mut second,
        &uids(&[1]),
        &change(How::Add, "", Some(&["b"])),
    );
    assert_eq!(result.changed, uids(&[1]));
    assert_eq!(shown(&second)[0], "1 1.x,S=4:2,S b+a");
    refreshed(&mut disk, &mut first);
    assert_eq!(shown(&first)[0], "1 1.x,S=4:2,S a+b");
}

#[test]
fn a_folder_has_a_thousand_keywords_and_not_one_more() {
    let mut disk = opened();
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    let words: Vec<String> = (0..KeywordTable::LIMIT)
        .map(|number| format!("k{number}"))
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    stored(
        &mut disk,
        &mut snapshot,
        &uids(&[1]),
        &change(How::Add, "", Some(&words)),
    );
    let more = change(How::Add, "S", Some(&["k999", "one-more"]));
    let writer = writer(&disk);
    let refused = run(&mut disk, |disk| {
        let snapshot = &mut snapshot;
        async move { store(&disk, snapshot, &uids(&[2]), &more, &writer).await }
    });
    assert_eq!(refused, Err(MailboxError::Keyword(KeywordError::TooMany)));
    assert_eq!(disk.names("/m/cur")[1], "2.x:2,ab", "nothing of it is done");
}

#[test]
fn sets_of_keywords_that_no_message_has_are_forgotten() {
    let mut disk = opened();
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    let words: Vec<String> = (0..12).map(|number| format!("word{number}")).collect();
    let mut most = 0;
    for round in 1_u32..=2200 {
        let some = (0..12).filter(|bit| round & (1 << bit) != 0);
        let some: Vec<&str> = some.map(|bit| words[bit].as_str()).collect();
        let change = change(How::Replace, "", Some(&some));
        stored(&mut disk, &mut snapshot, &uids(&[1]), &change);
        let message = snapshot.message(uids(&[1])[0]).expect("there");
        let mut now: Vec<&str> = message.keywords().map(Keyword::as_str).collect();
        now.sort_by_key(|word| words.iter().position(|other| other == word));
        assert_eq!(now, some);
        if round == 1000 {
            most = snapshot.memory() * 5 / 4;
        }
        assert!(round < 1000 || snapshot.memory() < most, "{round}");
    }
}

/// Flags and keywords for two messages; promises what they are.
fn storing(promises: Promises<Told>) -> DiskTask<'static, Result<(), MailboxError>> {
    disk::task(|disk| async move {
        let writer = writer_at(MemDisk::new().now());
        let mut snapshot = open(&disk, &inbox(), Access::ReadWrite, &writer).await?;
        let flag = change(How::Add, "F", Some(&["word"]));
        store(&disk, &mut snapshot, &uids(&[1, 3]), &flag, &writer).await?;
        told(&snapshot)
            .into_iter()
            .for_each(|told| promises.make(told));
        Ok(())
    })
}

fn is_stored(snapshot: &Snapshot, number: u32) -> bool {
    let message = snapshot.message(uid(number)).expect("still there");
    message.flags().contains(Flags::FLAGGED)
        && message.keywords().any(|word| word.as_str() == "word")
}

#[test]
fn a_store_survives_a_crash_once_it_is_answered() {
    let mut checker = Checker::default();
    crash_everywhere(&opened(), storing, |disk, promises| {
        checker.check(disk, promises, |_, snapshot| {
            assert_eq!(snapshot.len(), 3);
            let stored = is_stored(&snapshot, 1) && is_stored(&snapshot, 3);
            assert!(stored || promises.is_empty());
        });
    });
}

#[test]
fn a_store_that_fails_loses_nothing_and_can_be_repeated() {
    let mut checker = Checker::default();
    fail_everywhere(&opened(), storing, |disk, given, promises| {
        checker.check(disk, promises, |disk, snapshot| {
            assert!(given.is_err() || is_stored(&snapshot, 1) && is_stored(&snapshot, 3));
            disk.run(storing(Promises::new())).expect("stored");
            let snapshot = open_with(&mut disk.crash_losing_all(), Access::ReadWrite);
            assert!(is_stored(&snapshot, 1) && is_stored(&snapshot, 3));
        });
    });
}

#[test]
fn new_mail_that_could_not_be_moved_is_moved_by_its_flags() {
    let mut disk = opened();
    disk.plant_file("/m/new/4.x", b"4..\n");
    let mut snapshot = open_with(&mut disk, Access::ReadOnly);
    stored(
        &mut disk,
        &mut snapshot,
        &uids(&[4]),
        &change(How::Add, "S", None),
    );
    assert!(disk.names("/m/new").is_empty());
    let lost = disk.crash_losing_all();
    assert_eq!(
        lost.names("/m/cur").last().map(String::as_str),
        Some("4.x:2,S")
    );
    disk.carry_out(&Op::Stat("/m/cur/4.x:2,S".into()))
        .expect("there");
}
