//! Access lists and mirrors of shared folders, beside Courier's imapd where that is
//! installed.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use courier_cli::disk::StdDisk;
use courier_core::disk;
use courier_core::time::Timestamp;
use courier_maildir::acl::member;
use courier_maildir::name::HostName;
use courier_maildir::shared::index::Names;
use courier_maildir::shared::mirror::{self, Mirror, Synced};
use courier_maildir::shared::table::Table;
use courier_maildir::shared::{self, Shared};
use courier_maildir::writer::Writer;

const IMAPD: &str = "/opt/courier-imap/usr/bin/imapd";

fn imapd_is_installed() -> bool {
    let there = Path::new(IMAPD).exists();
    if !there {
        eprintln!("skipped: there is no {IMAPD} to compare with");
    }
    there
}

/// What imapd answers in a home with the maildir `Maildir`, for a user who is logged in.
fn imap(home: &Path, commands: &[&str]) -> String {
    imap_with(home, &[], commands)
}

fn imap_with(home: &Path, settings: &[(&str, &str)], commands: &[&str]) -> String {
    let mut imapd = Command::new(IMAPD)
        .arg("Maildir")
        .current_dir(home)
        .env("AUTHENTICATED", "ann@example.com")
        .env("AUTHADDR", "ann@example.com")
        .env("HOSTNAME", "mx")
        .env("IMAP_CAPABILITY", "IMAP4rev1 ACL")
        .env("IMAP_ACL", "1")
        .env("PREAUTH", "1")
        .envs(settings.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("imapd runs");
    let mut stdin = imapd.stdin.take().expect("stdin");
    for (number, command) in commands.iter().chain(&["LOGOUT"]).enumerate() {
        write!(stdin, "a{number} {command}\r\n").expect("written");
    }
    let output = imapd.wait_with_output().expect("imapd ends");
    drop(stdin);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains(" NO ") && !text.contains(" BAD "), "{text}");
    text
}

fn maildir(path: &Path) {
    for inner in ["tmp", "new", "cur"] {
        fs::create_dir_all(path.join(inner)).expect("a maildir");
    }
}

fn maildiracl(home: &Path, line: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_maildiracl"))
        .current_dir(home)
        .args(line.split(' '))
        .output()
        .expect("maildiracl runs");
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn imapd_and_we_read_each_others_access_lists() {
    if !imapd_is_installed() {
        return;
    }
    let home = tempfile::tempdir().expect("a home");
    let home = home.path();
    for folder in ["", ".a", ".a.b"] {
        maildir(&home.join("Maildir").join(folder));
    }
    maildiracl(home, "-set Maildir INBOX.a user=joe lrx");
    maildiracl(home, "-set Maildir INBOX.a -user=eve r");
    maildiracl(home, "-set Maildir INBOX.a anyone l");
    let told = imap(
        home,
        &[
            "GETACL INBOX.a",
            "SETACL INBOX.a joe lrw",
            "SETACL INBOX.a -eve +s",
            "DELETEACL INBOX.a anyone",
            "MYRIGHTS INBOX.a.b",
            "SETACL INBOX.a.b joe lr",
        ],
    );
    let list = "\"joe\" \"lr\" \"-eve\" \"r\" \"anyone\" \"l\"";
    assert!(told.contains(list), "{told}");
    let all = "owner\taceilrstwx\nadministrators\taceilrstwx\n";
    let expected = format!("{all}user=joe\tlrw\n-user=eve\trs\n");
    assert_eq!(maildiracl(home, "-list Maildir INBOX.a"), expected);
    let expected = format!("{all}user=joe\tlr\n-user=eve\trs\n");
    assert_eq!(maildiracl(home, "-list Maildir INBOX.a.b"), expected);
    // Its own rename carries what we wrote for a level that is no folder.
    maildiracl(home, "-set Maildir INBOX.a.c user=joe l");
    imap(home, &["RENAME INBOX.a INBOX.z"]);
    let moved = maildiracl(home, "-list Maildir INBOX.z.c");
    assert!(moved.contains("user=joe\tl\n"), "{moved}");
}

fn writer() -> Writer {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = now.expect("after 1970").as_secs().cast_signed();
    let now = Timestamp { seconds, nanos: 0 };
    Writer::new(now, std::process::id(), HostName::new("mx"), 0o600)
}

fn sync(home: &Path) -> Synced {
    let mirror = Mirror::new(&home.join("Maildir"), "off", "pub").expect("a name");
    let writer = writer();
    let task = disk::task(|disk| async move { mirror::sync(&disk, &mirror, &writer).await });
    StdDisk::new(1).run(task).expect("synced")
}

#[test]
fn imapd_and_we_keep_the_same_mirror() {
    if !imapd_is_installed() {
        return;
    }
    let top = tempfile::tempdir().expect("a directory");
    let (home, office) = (top.path().join("home"), top.path().join("office"));
    maildir(&home.join("Maildir"));
    maildir(&office);
    maildir(&office.join(".pub"));
    let cur = office.join(".pub/cur");
    let mail = |path: &Path| fs::write(path, "Subject: x\n\nhi\n").expect("written");
    mail(&cur.join("100.M1P1.mx,S=15:2,S"));
    mail(&office.join(".pub/new/101.M1P1.mx"));
    let mut table = Table::default();
    table.add(b"off", &office).expect("fits");
    fs::write(home.join("Maildir/shared-maildirs"), table.print()).expect("written");
    let (maildir, writer) = (home.join("Maildir"), writer());
    let task = disk::task(|disk| async move {
        mirror::subscribe(&disk, &maildir, &[&table], "off", "pub", &writer).await
    });
    assert_eq!(StdDisk::new(1).run(task), Ok(true));
    let synced = sync(&home);
    assert_eq!((synced.added, synced.removed), (2, 0));
    // imapd takes our mirror for its own; its user's flags are in the links' names.
    let told = imap(
        &home,
        &[
            "LIST \"\" shared.*",
            "SELECT shared.off.pub",
            "STORE 1 +FLAGS (\\Flagged)",
            "FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])",
        ],
    );
    assert!(
        told.contains("* 2 EXISTS") && told.contains("Subject: x"),
        "{told}"
    );
    assert!(told.contains("\"shared.off.pub\""), "{told}");
    // Another changes a flag, removes one message and adds one.
    let (old, new) = ("100.M1P1.mx,S=15:2,S", "100.M1P1.mx,S=15:2,RS");
    fs::rename(cur.join(old), cur.join(new)).expect("renamed");
    fs::remove_file(cur.join("101.M1P1.mx:2,")).expect("removed");
    mail(&cur.join("102.M1P1.mx:2,"));
    let synced = sync(&home);
    let counts = (synced.added, synced.followed, synced.removed);
    assert_eq!(counts, (1, 1, 1));
    let told = imap(
        &home,
        &["SELECT shared.off.pub", "FETCH 1:* (UID FLAGS RFC822.SIZE)"],
    );
    assert!(told.contains("* 2 EXISTS"), "{told}");
    assert!(
        told.contains("UID 1 ") && told.contains("\\Flagged"),
        "{told}"
    );
    let links = home.join("Maildir/shared-folders/off/pub/cur");
    let leads = fs::read_link(links.join("100.M1P1.mx,S=15:2,F")).expect("a link");
    assert_eq!(leads, cur.join(new));
    // What imapd made when it subscribed is a mirror of ours.
    imap(
        &home,
        &["UNSUBSCRIBE shared.off.pub", "SUBSCRIBE shared.off.pub"],
    );
    let synced = sync(&home);
    assert_eq!((synced.added, synced.removed), (2, 0));
    assert_eq!(sync(&home).added, 0);
}

#[test]
fn imapd_and_we_see_the_same_folders_of_others() {
    if !imapd_is_installed() {
        return;
    }
    let top = tempfile::tempdir().expect("a directory");
    let top = top.path();
    for user in ["ann", "bob", "carl", "dora"] {
        for folder in ["", ".a.b", ".c"] {
            maildir(&top.join(user).join("Maildir").join(folder));
        }
    }
    for line in [
        "-set ann/Maildir INBOX anyone lr",
        "-set bob/Maildir INBOX anyone lr",
        "-set bob/Maildir INBOX.a.b user=ann@example.com lrs",
        "-set bob/Maildir INBOX.c -user=ann@example.com l",
        "-set carl/Maildir INBOX.a.b user=ann@example.com lr",
        "-set carl/Maildir INBOX.c user=eve lr",
        "-set dora/Maildir INBOX.c group=staff lrw",
    ] {
        maildiracl(top, line);
    }
    let home = |user: &str| top.join(user).display().to_string();
    let index = format!(
        "# all\nann\t1\t1\t{}\nsales\t*\tindexsales\ncarl.x\t1\t1\t{}\t./Maildir\nno\t0\t0\t/\nx\t1\n\
         gone\t1\t1\t/none\n",
        home("ann"),
        home("carl"),
    );
    let group = format!(
        "b/\\b\t1\t1\t{}\ndora\t1\t1\t{}\n",
        home("bob"),
        home("dora")
    );
    fs::write(top.join("index"), index).expect("written");
    fs::write(top.join("indexsales"), group).expect("written");
    for names in [Names::Blanks, Names::Escapes] {
        let shared = Shared {
            index: top.join("index"),
            names,
        };
        let (own, writer) = (top.join("ann/Maildir"), writer());
        let task = disk::task(|disk| async move {
            let me = |owner: &str| member("ann@example.com", owner, ["staff"]);
            shared::list(&disk, &shared, &own, me, &writer).await
        });
        let listed = StdDisk::new(1).run(task).expect("listed");
        let ours: Vec<_> = listed
            .iter()
            .map(|visible| visible.name.replace('\\', "\\\\"))
            .collect();
        let file = top.join("index").display().to_string();
        let mut settings = vec![
            ("IMAP_SHAREDINDEXFILE", file.as_str()),
            ("OPTIONS", "group=staff"),
        ];
        if names == Names::Escapes {
            settings.push(("IMAP_SHAREDMUNGENAMES", "1"));
        }
        let told = imap_with(&top.join("ann"), &settings, &["LIST \"\" #shared.*"]);
        let mut theirs: Vec<_> = (told.lines())
            .filter(|line| line.starts_with("* LIST") && !line.contains("\\Noselect"))
            .filter_map(|line| line.trim_end().split("\"#shared.").nth(1))
            .map(|name| name.trim_end_matches('"').to_owned())
            .collect();
        theirs.sort();
        assert_eq!(ours, theirs, "{told}");
        assert!(ours.len() >= 4, "{ours:?}");
    }
}
