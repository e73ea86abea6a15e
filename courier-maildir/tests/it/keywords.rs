//! The protocol of `courierimapkeywords` (maildir.md §8), as other programs see it.

use courier_core::testing::MemDisk;
use courier_core::time::{Millis, Timestamp};
use courier_maildir::mailbox::{Access, How, store};

use crate::store::change;
use crate::support::*;

const K: &str = "/m/courierimapkeywords";

/// A folder whose keyword directory holds these files.
fn with(files: &[(&str, &str)]) -> MemDisk {
    let mut disk = opened();
    disk.set_time(Timestamp {
        seconds: 300 * 1_000_000 + 7,
        nanos: 0,
    });
    disk.plant_directory(K);
    for (name, text) in files {
        disk.plant_file(format!("{K}/{name}"), text.as_bytes());
    }
    disk
}

fn words(disk: &mut MemDisk) -> Vec<String> {
    let snapshot = open_with(disk, Access::ReadWrite);
    let words = snapshot.messages().map(|message| {
        let words: Vec<_> = message.keywords().map(|word| word.as_str()).collect();
        words.join("+")
    });
    words.collect()
}

fn list(disk: &MemDisk) -> String {
    let octets = disk.contents(format!("{K}/:list")).expect("a list");
    String::from_utf8(octets).expect("text")
}

#[test]
fn a_list_alone_is_read_and_not_written() {
    let mut disk = with(&[(":list", "a\nb\n\n1.x,S=4:0 1\n9.gone:1\n")]);
    open_with(&mut disk, Access::ReadWrite);
    disk.reset_counts();
    assert_eq!(words(&mut disk), ["a+b", "", ""]);
    assert_eq!(disk.counts().written, 0);
}

#[test]
fn a_change_is_merged_and_kept_for_slower_readers() {
    let mut disk = with(&[
        (":list", "a\n\n1.x,S=4:0\n9.gone:0\n"),
        ("1.x,S=4", "b\nA\n"),
        ("2.x", ""),
    ]);
    assert_eq!(words(&mut disk), ["a+b", "", ""]);
    assert_eq!(disk.names(K), [".1000001.1.x,S=4", ".1000001.2.x", ":list"]);
    assert_eq!(list(&disk), "a\nb\n\n1.x,S=4:0 1\n");
    assert_eq!(list(&disk.crash_losing_all()), list(&disk), "durable");
    // A slower reader writes the list that it had read before.
    disk.plant_file(format!("{K}/:list"), b"a\n\n1.x,S=4:0\n");
    assert_eq!(words(&mut disk), ["a+b", "", ""]);
    assert_eq!(list(&disk), "a\nb\n\n1.x,S=4:0 1\n");
    disk.advance(Millis::from_mins(15));
    assert_eq!(words(&mut disk), ["a+b", "", ""]);
    assert_eq!(disk.names(K), [":list"]);
}

#[test]
fn of_merged_changes_the_one_with_the_greatest_number_counts() {
    let mut disk = with(&[
        (".4.1.x,S=4", "old\n"),
        (".5.1.x,S=4", "new\n"),
        (".07.1.x,S=4", "no\n"),
    ]);
    assert_eq!(words(&mut disk), ["new", "", ""]);
    assert_eq!(disk.names(K), [".07.1.x,S=4", ".5.1.x,S=4", ":list"]);
    disk.plant_file(format!("{K}/1.x,S=4"), b"newest\n");
    let mut early = disk.clone();
    assert_eq!(words(&mut disk), ["newest", "", ""]);
    assert_eq!(
        disk.names(K),
        [".07.1.x,S=4", ".1000001.1.x,S=4", ".5.1.x,S=4", ":list"]
    );
    // A clock that went back: numbers still grow.
    rename_in(&mut early, ".5.1.x,S=4", ".2000000.1.x,S=4");
    assert_eq!(words(&mut early), ["newest", "", ""]);
    assert_eq!(early.names(K), [".07.1.x,S=4", ".2000000.1.x,S=4", ":list"]);
}

fn rename_in(disk: &mut MemDisk, from: &str, to: &str) {
    rename(
        disk,
        &format!("courierimapkeywords/{from}"),
        &format!("courierimapkeywords/{to}"),
    );
}

#[test]
fn files_on_their_way_are_left_alone_until_they_are_old() {
    let mut disk = with(&[(".tmp.1.x", "half"), (".5.", "no base")]);
    disk.plant_directory(format!("{K}/directory"));
    assert_eq!(words(&mut disk), ["", "", ""]);
    assert_eq!(disk.names(K), [".5.", ".tmp.1.x", "directory"]);
    disk.advance(Millis::from_mins(15));
    disk.plant_file(format!("{K}/3.x,S=4,W=5"), b"w\n");
    assert_eq!(words(&mut disk), ["", "", "w"]);
    assert!(!disk.names(K).contains(&".tmp.1.x".to_owned()));
}

#[test]
fn without_room_for_the_list_changes_count_and_stay() {
    let mut disk = with(&[("1.x,S=4", "word\n")]);
    open_with(&mut disk.clone(), Access::ReadWrite);
    disk.set_capacity(Some(0));
    assert_eq!(words(&mut disk), ["word", "", ""]);
    assert_eq!(disk.names(K), ["1.x,S=4"]);
}

#[test]
fn a_store_writes_what_couriers_read() {
    let mut disk = opened();
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    let writer = writer(&disk);
    let add = change(How::Add, "", Some(&["One", "two"]));
    let session = &mut snapshot;
    run(&mut disk, |disk| async move {
        store(&disk, session, &uids(&[1, 2]), &add, &writer).await
    })
    .expect("stored");
    let disk = disk.crash_losing_all();
    assert_eq!(disk.names(K), ["1.x,S=4", "2.x"]);
    assert_eq!(
        disk.contents(format!("{K}/2.x")).as_deref(),
        Some(b"One\ntwo\n".as_ref())
    );
}

#[test]
fn keywords_of_mail_that_has_not_come_yet_are_kept_for_it() {
    let mut disk = with(&[("4.x", "word\n")]);
    let mut snapshot = open_with(&mut disk, Access::ReadWrite);
    assert_eq!(list(&disk), "word\n\n4.x:0\n");
    disk.advance(Millis::from_secs(60));
    refreshed(&mut disk, &mut snapshot);
    disk.plant_file("/m/new/4.x", b"4..\n");
    assert_eq!(refreshed(&mut disk, &mut snapshot).arrived, uids(&[4]));
    assert_eq!(shown(&snapshot)[3], "4 4.x:2,* word");
}

#[test]
fn what_is_no_directory_of_keywords_is_put_aside() {
    let plants: [fn(&mut MemDisk); 4] = [
        |disk| disk.plant_file(K, b"noise"),
        |disk| disk.plant_fifo(K),
        |disk| disk.plant_link(K, "nowhere"),
        |disk| disk.plant_link(K, "courierimapkeywords"),
    ];
    for plant in plants {
        let mut disk = opened();
        plant(&mut disk);
        let mut snapshot = open_with(&mut disk, Access::ReadWrite);
        assert_eq!(snapshot.len(), 3);
        let writer = writer(&disk);
        let add = change(How::Add, "", Some(&["One"]));
        let session = &mut snapshot;
        run(&mut disk, |disk| async move {
            store(&disk, session, &uids(&[1]), &add, &writer).await
        })
        .expect("stored");
        assert_eq!(words(&mut disk), ["One", "", ""]);
    }
}
