//! Sessions that share what they know of a folder.

use courier_core::testing::MemDisk;
use courier_maildir::flags::Flags;
use courier_maildir::keywords::Keyword;
use courier_maildir::mailbox::{
    Access, Changes, Expunge, FlagChange, How, Snapshot, expunge, is_unchanged, look_again, reopen,
    store,
};

use crate::support::*;

fn again(disk: &mut MemDisk, seen: &Snapshot, access: Access) -> Snapshot {
    let (writer, seen) = (writer(disk), seen.share().expect("safe"));
    run(disk, |disk| async move {
        reopen(&disk, seen, access, &writer).await
    })
    .expect("opened")
}

/// What a session is told that follows the shared snapshot.
fn followed(disk: &mut MemDisk, shared: &mut Snapshot, session: &mut Snapshot) -> Changes {
    let writer = writer(disk);
    shared.set_access(session.access());
    let looking = &mut *shared;
    run(disk, |disk| async move {
        look_again(&disk, looking, &writer).await
    })
    .expect("looked");
    let changes = session.follow(shared).expect("followed");
    *shared = shared.share().expect("safe");
    changes
}

#[test]
fn a_folder_that_has_not_changed_is_opened_without_reading() {
    let mut disk = opened();
    let first = open_with(&mut disk, Access::ReadWrite);
    disk.reset_counts();
    let second = again(&mut disk, &first, Access::ReadWrite);
    assert_eq!(shown(&first), shown(&second));
    let counts = disk.counts();
    assert_eq!((counts.read, counts.written), (0, 0));
    assert_eq!(counts.operations, 5, "tmp, and four stats");
    let writer = writer(&disk);
    let unchanged = |disk: &mut MemDisk| {
        run(disk, |disk| async {
            let disk = disk;
            is_unchanged(&disk, &second, &writer).await
        })
    };
    assert_eq!(unchanged(&mut disk), Ok(true));
    rename(&mut disk, "cur/2.x:2,ab", "cur/2.x:2,S");
    assert_eq!(unchanged(&mut disk), Ok(false));
}

#[test]
fn new_mail_is_recent_until_a_session_takes_it() {
    let mut disk = opened();
    let first = open_with(&mut disk, Access::ReadWrite);
    disk.plant_file("/m/new/4.x", b"4..\n");
    let looker = again(&mut disk, &first, Access::ReadOnly);
    assert!(shown(&looker).contains(&"4 4.x*".to_owned()));
    let looker = again(&mut disk, &looker, Access::ReadOnly);
    assert!(
        shown(&looker).contains(&"4 4.x*".to_owned()),
        "it still waits"
    );
    let taker = again(&mut disk, &looker, Access::ReadWrite);
    assert!(shown(&taker).contains(&"4 4.x:2,*".to_owned()));
    assert_eq!(disk.names("/m/new"), [""; 0]);
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let after = again(&mut disk, &taker, access);
        assert!(shown(&after).contains(&"4 4.x:2,".to_owned()), "taken");
    }
}

#[test]
fn who_follows_is_told_what_a_look_tells() {
    type Deed = fn(&mut MemDisk);
    let deeds: [Deed; 9] = [
        |_| {},
        |disk| rename(disk, "cur/1.x,S=4:2,S", "cur/1.x,S=4:2,FS"),
        |disk| disk.plant_file("/m/new/4.x", b"4..\n"),
        |disk| disk.plant_file("/m/cur/5.x:2,", b"5..\n"),
        |disk| remove(disk, "cur/2.x:2,ab"),
        |disk| rename(disk, "cur/1.x,S=4:2,FS", "cur/1.x,S=4:2,F"),
        |disk| disk.plant_file("/m/courierimapkeywords/5.x", b"word\n"),
        |disk| {
            remove(disk, "cur/1.x,S=4:2,F");
            disk.plant_file("/m/new/6.x", b"6..\n");
        },
        |disk| disk.plant_file("/m/courierimapuiddb", b""),
    ];
    let mut alone = opened();
    let mut together = opened();
    let mut looks = open_with(&mut alone, Access::ReadWrite);
    let mut shared = open_with(&mut together, Access::ReadWrite);
    let mut follows = again(&mut together, &shared, Access::ReadWrite);
    let mut late = again(&mut together, &shared, Access::ReadWrite);
    for (number, deed) in deeds.into_iter().enumerate() {
        for disk in [&mut alone, &mut together] {
            disk.advance(courier_core::time::Millis::from_secs(5));
            deed(disk);
        }
        let expected = refreshed(&mut alone, &mut looks);
        let changes = followed(&mut together, &mut shared, &mut follows);
        assert_eq!(changes, expected, "deed {number}");
        assert_eq!(shown(&follows), shown(&looks), "deed {number}");
        assert_eq!(follows.uid_next(), looks.uid_next(), "deed {number}");
        if number == 4 {
            let changes = followed(&mut together, &mut shared, &mut late);
            assert_eq!(changes.arrived, uids(&[4, 5]));
            assert_eq!(changes.vanished, uids(&[2]));
            assert_eq!(changes.flags, uids(&[1]));
        }
    }
    let changes = followed(&mut together, &mut shared, &mut late);
    assert!(changes.reset);
    let plain = |snapshot: &Snapshot| shown(snapshot).join(" ").replace('*', "");
    assert_eq!(plain(&late), plain(&follows));
}

#[test]
fn changes_of_one_session_reach_the_others_and_no_further() {
    let mut disk = opened();
    let mut shared = open_with(&mut disk, Access::ReadWrite);
    let mut one = again(&mut disk, &shared, Access::ReadWrite);
    let mut other = again(&mut disk, &shared, Access::ReadWrite);
    let before = shown(&shared);
    let change = FlagChange {
        how: How::Add,
        flags: Flags::TRASHED,
        within: Flags::IMAP,
        keywords: Some(vec![Keyword::parse("word").expect("a keyword")]),
    };
    let now = writer(&disk);
    let session = &mut one;
    run(&mut disk, |disk| async move {
        store(&disk, session, &uids(&[1, 2]), &change, &now).await?;
        expunge(&disk, session, Expunge::TrashedAmong(&uids(&[2])), &now).await
    })
    .expect("stored");
    assert_eq!(
        shown(&shared),
        before,
        "what is shared stays as it was seen"
    );
    let changes = followed(&mut disk, &mut shared, &mut other);
    assert_eq!((changes.flags, changes.vanished), (uids(&[1]), uids(&[2])));
    let changes = followed(&mut disk, &mut shared, &mut one);
    assert!(changes.flags.is_empty() && changes.vanished.is_empty());
    assert_eq!(shown(&one), shown(&other));
    assert_eq!(shown(&one)[0], "1 1.x,S=4:2,ST word");
}

#[test]
fn who_knows_better_does_not_follow() {
    let mut disk = opened();
    let mut session = open_with(&mut disk, Access::ReadWrite);
    let stale = session.share().expect("safe");
    disk.plant_file("/m/new/4.x", b"4..\n");
    assert_eq!(refreshed(&mut disk, &mut session).arrived, uids(&[4]));
    assert_eq!(session.follow(&stale), None);
    // A message that was told gone is not told to be there again.
    rename(&mut disk, "cur/2.x:2,ab", "tmp/away");
    assert_eq!(refreshed(&mut disk, &mut session).vanished, uids(&[2]));
    rename(&mut disk, "tmp/away", "cur/2.x:2,ab");
    let other = open_with(&mut disk, Access::ReadWrite);
    assert!(other.message(uid(2)).is_some());
    assert_eq!(session.follow(&other), None);
}
