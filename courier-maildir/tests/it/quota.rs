//! The quota file: counted, believed, renewed.

use std::path::Path;

use courier_core::disk::DiskError;
use courier_core::testing::{MemDisk, crash_everywhere, fail_everywhere};
use courier_core::time::Millis;
use courier_maildir::quota::{
    Account, Amount, Checked, QuotaSpec, Recount, Resource, Rest, Set, Verdict, adopt, check,
    print, recount, release, set, top, usage,
};
use proptest::prelude::*;

use crate::support::*;

const FILE: &str = "/m/maildirsize";

fn amount(octets: i64, messages: i64) -> Amount {
    Amount { octets, messages }
}

fn spec(text: &str) -> QuotaSpec {
    QuotaSpec::parse(text.as_bytes())
}

fn checked(disk: &mut MemDisk, quota: &str, extra: Amount) -> Result<Checked, DiskError> {
    let account = Account {
        maildir: M.into(),
        quota: spec(quota),
    };
    let writer = writer(disk);
    run(disk, |disk| async move {
        check(&disk, &account, extra, &writer).await
    })
}

fn verdict(disk: &mut MemDisk, quota: &str, extra: Amount) -> Verdict {
    checked(disk, quota, extra).expect("checked").verdict
}

fn counted(disk: &mut MemDisk) -> Recount {
    let writer = writer(disk);
    run(disk, |disk| async move {
        recount(&disk, Path::new(M), spec("1000S"), &writer).await
    })
    .expect("counted")
}

fn text(disk: &MemDisk) -> String {
    String::from_utf8(disk.contents(FILE).expect("there")).expect("text")
}

#[test]
fn folders_count_and_the_trash_does_not() {
    let mut disk = maildir();
    for (name, text) in [
        ("new/1,S=10", "x"),
        ("cur/2,S=20:2,S", "x"),
        ("cur/3:2,S", "four"),
        ("cur/4,S=40:2,ST", "x"),
        ("new/5,S=50:2,T", "x"),
        ("cur/.6,S=60", "x"),
        ("tmp/7,S=70", "x"),
        (".a/cur/8,S=80:2,aT", "x"),
        (".Trash/cur/9,S=90", "x"),
        (".Trash.x/new/10,S=100", "x"),
        ("plain/cur/11,S=110", "x"),
    ] {
        disk.plant_file(format!("{M}/{name}"), text.as_bytes());
    }
    disk.plant_directory("/m/cur/12,S=1000");
    disk.plant_file("/elsewhere/long", b"seven77");
    disk.plant_link("/m/cur/13", "/elsewhere/long");
    disk.plant_link("/m/cur/14", "/nowhere");
    disk.plant_file("/other/cur/15,S=5000", b"x");
    disk.plant_link("/m/.link", "/other");
    let count = counted(&mut disk);
    let total = 10 + 20 + 4 + 80 + 100 + 1000 + 7;
    assert_eq!(count.total, amount(total, 7));
    assert_eq!(count.rest, Rest::Settled);
    assert_eq!(text(&disk), format!("1000S\n{total:>12}            7\n"));
    assert_eq!(disk.names("/m/tmp"), ["7,S=70"]);
}

#[test]
fn without_a_file_there_is_no_quota_and_none_is_made() {
    let mut disk = maildir();
    disk.reset_counts();
    assert_eq!(verdict(&mut disk, "", amount(i64::MAX, 1)), Verdict::Fits);
    assert_eq!(disk.counts().operations, 1);
    disk.plant_link(FILE, "/elsewhere");
    assert_eq!(verdict(&mut disk, "", amount(i64::MAX, 1)), Verdict::Fits);
    assert_eq!(disk.names(M), ["cur", "maildirsize", "new", "tmp"]);
}

#[test]
fn what_fits_to_the_last_octet_fits() {
    let mut disk = maildir();
    disk.plant_file(FILE, b"100S,3C\n          90            2\n");
    assert_eq!(verdict(&mut disk, "", amount(10, 1)), Verdict::Fits);
    assert_eq!(verdict(&mut disk, "", amount(11, 1)), Verdict::Over);
    assert_eq!(verdict(&mut disk, "", amount(1, 2)), Verdict::Over);
    let checked = checked(&mut disk, "", Amount::NONE).expect("checked");
    assert_eq!((checked.percent(), checked.total), (90, amount(90, 2)));
}

#[test]
fn a_count_that_leaves_no_room_is_believed_for_a_quarter_of_an_hour() {
    let mut disk = maildir();
    let start = b"100S\n          90            2\n";
    disk.plant_file(FILE, start);
    disk.advance(Millis::from_secs(899));
    assert_eq!(verdict(&mut disk, "", amount(11, 1)), Verdict::Over);
    assert_eq!(disk.contents(FILE).as_deref(), Some(start.as_slice()));
    disk.advance(Millis::from_secs(1));
    assert_eq!(verdict(&mut disk, "", amount(11, 1)), Verdict::Fits);
    assert_eq!(text(&disk), "100S\n           0            0\n");
    // With more records than that of the count, or none, it is not believed at all.
    for records in ["", " 90 1\n 1 1\n"] {
        let mut disk = maildir();
        disk.plant_file(FILE, format!("80S\n{records}").as_bytes());
        assert_eq!(verdict(&mut disk, "", amount(80, 1)), Verdict::Fits);
    }
    // Who has room is never counted.
    let mut disk = maildir();
    disk.plant_file(FILE, start);
    disk.advance(Millis::from_secs(1_000_000));
    assert_eq!(verdict(&mut disk, "", amount(10, 1)), Verdict::Fits);
    assert_eq!(disk.contents(FILE).as_deref(), Some(start.as_slice()));
}

#[test]
fn a_file_that_is_full_or_cannot_be_right_is_renewed() {
    let full = format!("100S\n{}", "           1            1\n".repeat(197));
    for start in [full.as_str(), "100S\n -1 1\n", "100S\n 1 1\n\0\0"] {
        let mut disk = three();
        disk.plant_file(FILE, start.as_bytes());
        assert_eq!(verdict(&mut disk, "", amount(1, 1)), Verdict::Fits);
        assert_eq!(text(&disk), "100S\n          12            3\n");
    }
}

#[test]
fn a_damaged_file_is_no_quota_without_limits_for_who_knows_better() {
    for damaged in ["", "\0\0\0\0"] {
        let mut disk = three();
        disk.plant_file(FILE, damaged.as_bytes());
        assert_eq!(verdict(&mut disk, "13S", amount(2, 1)), Verdict::Over);
        assert_eq!(text(&disk), "13S\n          12            3\n");
        let mut disk = three();
        disk.plant_file(FILE, damaged.as_bytes());
        assert_eq!(verdict(&mut disk, "", amount(2, 1)), Verdict::Fits);
        assert_eq!(text(&disk), "\n          12            3\n");
    }
}

#[test]
fn another_quota_of_the_account_is_written_down() {
    let mut disk = three();
    assert_eq!(verdict(&mut disk, "100S", amount(2, 1)), Verdict::Fits);
    assert_eq!(text(&disk), "100S\n          12            3\n");
    disk.plant_file(FILE, b"100S\n           5            1\n");
    assert_eq!(verdict(&mut disk, "100S", amount(2, 1)), Verdict::Fits);
    assert_eq!(text(&disk), "100S\n           5            1\n");
    assert_eq!(verdict(&mut disk, "x", amount(2, 1)), Verdict::Fits);
    assert_eq!(verdict(&mut disk, "0S", amount(2, 1)), Verdict::Fits);
    assert_eq!(text(&disk), "100S\n           5            1\n");
    assert_eq!(verdict(&mut disk, "3C,100S", amount(2, 1)), Verdict::Over);
    assert_eq!(text(&disk), "100S,3C\n          12            3\n");
}

#[test]
fn records_follow_a_line_however_the_file_ends() {
    let charged = |start: &str| {
        let mut disk = maildir();
        disk.plant_file(FILE, start.as_bytes());
        let writer = writer(&disk);
        run(&mut disk, |disk| async move {
            let account = Account::of(M);
            let checked = check(&disk, &account, amount(7, 1), &writer).await?;
            checked.charge(&disk, amount(7, 1)).await?;
            release(&disk, Path::new(M), amount(3, 1), &writer).await;
            Ok::<_, DiskError>(())
        })
        .expect("charged");
        text(&disk)
    };
    let records = "           7            1\n          -3           -1\n";
    assert_eq!(charged("100S\n"), format!("100S\n{records}"));
    assert_eq!(charged("100S"), format!("100S\n{records}"));
    assert_eq!(charged("0S\n"), format!("0S\n{records}"));
    let none = Account::of("/nowhere");
    let mut disk = maildir();
    let writer = writer(&disk);
    run(&mut disk, |disk| async move {
        let checked = check(&disk, &none, amount(7, 1), &writer).await?;
        checked.charge(&disk, amount(7, 1)).await
    })
    .expect("no quota, no record");
}

#[test]
fn a_quota_is_set_on_the_maildir_above() {
    let mut disk = three();
    disk.plant_file("/m/.a/maildirfolder", b"");
    disk.plant_file("/m/.a/cur/8,S=80", b"x");
    let writer = writer(&disk);
    let setting = |quota: &'static str| {
        let writer = writer.clone();
        move |disk: courier_core::disk::Disk| async move {
            set(&disk, Path::new("/m/.a"), spec(quota), &writer).await
        }
    };
    assert_eq!(run(&mut disk, setting("10s,5c")), Ok(Set::Nothing));
    assert_eq!(disk.contents(FILE), None);
    assert_eq!(run(&mut disk, setting("1000C,10000000S")), Ok(Set::Written));
    let expected = "10000000S,1000C\n          92            4\n";
    assert_eq!(text(&disk.crash_losing_all()), expected);
}

#[test]
fn the_way_to_the_top_has_an_end() {
    let mut disk = MemDisk::new();
    disk.plant_file("/maildirfolder", b"");
    disk.plant_file("/m/maildirfolder", b"");
    let path = run(&mut disk, |disk| async move {
        top(&disk, Path::new("/m")).await
    });
    assert_eq!(path.components().count(), 2 + 16);
}

#[test]
fn a_login_brings_the_quota_of_the_account() {
    let mut disk = three();
    let mut adopted = |quota: &str, expected: &str| {
        let account = Account {
            maildir: M.into(),
            quota: spec(quota),
        };
        let writer = writer(&disk);
        run(&mut disk, |disk| async move {
            adopt(&disk, &account, &writer).await
        })
        .expect("adopted");
        let there = disk.contents(FILE).unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&there), expected, "{quota}");
    };
    adopted("", "");
    adopted("50S", "50S\n          12            3\n");
    adopted("", "50S\n          12            3\n");
    adopted("60S,4C", "60S,4C\n          12            3\n");
}

#[test]
fn usage_is_told_without_a_count() {
    let mut disk = maildir();
    let mut used = |start: &str| {
        disk.plant_file(FILE, start.as_bytes());
        run(
            &mut disk,
            |disk| async move { usage(&disk, Path::new(M)).await },
        )
        .expect("read")
        .expect("a file")
    };
    let resource = |used, limit| Some(Resource { used, limit });
    let there = used("10000000S,1000C\n 1025 2\n");
    assert_eq!(there.storage(), resource(2, 9766));
    assert_eq!(there.messages(), resource(2, 1000));
    let there = used("5C\n -1025 2\n");
    assert_eq!((there.storage(), there.messages()), (None, resource(2, 5)));
    let none = run(&mut maildir(), |disk| async move {
        usage(&disk, Path::new(M)).await
    });
    assert_eq!(none, Ok(None));
}

#[test]
fn a_crash_leaves_the_old_quota_or_the_new_one() {
    let mut start = three();
    start.plant_file(FILE, b"100S\n -1 1\n");
    start.sync_all();
    let old = start.contents(FILE);
    let new = Some(print(spec("1000S"), amount(12, 3)));
    let task = |promises: courier_core::testing::Promises<()>| {
        courier_core::disk::task(|disk| async move {
            let writer = writer_at(MemDisk::new().now());
            let set = set(&disk, Path::new(M), spec("1000S"), &writer).await;
            if set.is_ok() {
                promises.make(());
            }
            set
        })
    };
    crash_everywhere(&start, task, |disk, promises| {
        let there = disk.contents(FILE);
        assert!(there == new || there == old && promises.is_empty());
        assert_eq!(counted(disk).total, amount(12, 3));
    });
    fail_everywhere(&start, task, |disk, given, _| {
        let there = disk.contents(FILE);
        assert!(there == new || there == old && given.is_err());
    });
}

/// A name and whether it counts.
fn message() -> impl Strategy<Value = (String, i64)> {
    let info = prop_oneof!["", ":2,", ":2,[DFRS]{0,2}", ":2,[a-c]{1,2}"];
    let folder = prop_oneof!["", r"\.a/", r"\.b\.c/", r"\.Trash/", r"\.Trash\.d/"];
    let marked = any::<bool>();
    (
        folder,
        prop_oneof!["new", "cur"],
        info,
        0_i64..2000,
        marked,
        any::<bool>(),
    )
        .prop_map(|(folder, directory, info, size, trashed, told)| {
            let size_text = if told {
                format!(",S={size}")
            } else {
                String::new()
            };
            let info = match (trashed, info.starts_with(":2,")) {
                (true, true) => info.replacen(":2,", ":2,T", 1),
                _ => info,
            };
            let counts = folder != ".Trash/" && !info.starts_with(":2,T");
            let size = if told { size } else { 3 };
            (
                format!("{folder}{directory}/N{size_text}{info}"),
                if counts { size } else { -1 },
            )
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_recount_is_the_sum_of_what_counts(messages in proptest::collection::vec(message(), 0..20)) {
        let mut disk = maildir();
        let mut total = Amount::NONE;
        for (number, (name, size)) in messages.iter().enumerate() {
            let name = name.replace("/N", &format!("/{number}.x"));
            disk.plant_file(format!("{M}/{name}"), b"abc");
            if *size >= 0 {
                total += amount(*size, 1);
            }
        }
        prop_assert_eq!(counted(&mut disk).total, total);
        prop_assert_eq!(disk.contents(FILE), Some(print(spec("1000S"), total)));
    }
}
