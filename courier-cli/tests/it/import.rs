//! `courier import`, from sources that Python's mailbox module wrote where it is
//! installed, and as it is seen by IMAP.

use std::fs;
use std::process::Command;

use crate::harness::PASSWORD;
use crate::harness::{Root, Server, installed};

const FROM: &str = "From zoe@example.net Thu Jan  1 00:00:09 1970\n";

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

#[test]
fn an_mbox_is_imported_once_and_what_is_bad_is_named() {
    let root = Root::new();
    let mbox = root.path().join("mbox");
    let good =
        format!("{FROM}Subject: one\nStatus: RO\n\n>From here\n\n{FROM}Subject: two\n\nx\n\n");
    fs::write(&mbox, format!("junk\n\n{good}")).expect("written");
    let path = mbox.display().to_string();
    let import = [
        "import",
        "mbox",
        &path,
        "ann@example.com",
        "--folder",
        "Old.Mail",
    ];
    let output = root.run(&import, "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(
        text(&output.stdout),
        "2 added, 1 passed over, 1 folders made\n"
    );
    let refused =
        format!("courier: {path}:1: offset 0: text before the first line \"From \" with a date\n");
    assert_eq!(text(&output.stderr), refused);
    let output = root.run(&import, "");
    assert_eq!(
        text(&output.stdout),
        "0 added, 2 there already, 1 passed over\n"
    );
    fs::write(&mbox, good).expect("written");
    let output = root.run(&import, "");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stdout), "0 added, 2 there already\n");
    let cur = root.maildir("ann").join(".Old.Mail/cur");
    let mut found: Vec<_> = fs::read_dir(cur)
        .expect("a folder")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let name = entry.file_name().to_string_lossy().into_owned();
            let text = fs::read_to_string(entry.path()).expect("read");
            (text, name.rsplit(':').next().unwrap_or_default().to_owned())
        })
        .collect();
    found.sort();
    let expected = [
        ("Subject: one\n\nFrom here\n".to_owned(), "2,S".to_owned()),
        ("Subject: two\n\nx\n".to_owned(), "2,".to_owned()),
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_import_stops_at_the_quota_of_a_new_account() {
    let root = Root::new();
    let add = ["account", "add", "eve@example.com", "--quota", "10000S"];
    let added = root.run(&[&add[..], &["--password-stdin"]].concat(), PASSWORD);
    assert!(added.status.success(), "{added:?}");
    let mbox = root.path().join("mbox");
    let one = format!("{FROM}Subject: long\n\n{}\n\n", "x".repeat(6000));
    fs::write(&mbox, format!("{one}{}", one.replace("long", "longer"))).expect("written");
    let import = [
        "import",
        "mbox",
        &mbox.display().to_string(),
        "eve@example.com",
    ];
    let output = root.run(&import, "");
    assert_eq!(output.status.code(), Some(75), "{output:?}");
    let size = fs::read_to_string(root.maildir("eve").join("maildirsize")).expect("a quota");
    assert!(size.starts_with("10000S\n"), "{size}");
}

#[test]
fn a_wrong_call_has_the_status_of_its_kind() {
    let root = Root::new();
    let here = root.path().display().to_string();
    for (arguments, status) in [
        (["import", "mbox", &here, "ann@example.com"], 65),
        (["import", "maildir", &here, "ann@example.com"], 65),
        (["import", "mh", "/nowhere", "ann@example.com"], 73),
        (["import", "mh", &here, "nobody@example.com"], 67),
        (["import", "nonsense", &here, "ann@example.com"], 64),
    ] {
        let output = root.run(&arguments, "");
        assert_eq!(
            output.status.code(),
            Some(status),
            "{arguments:?} {output:?}"
        );
        assert_eq!(text(&output.stderr).lines().count(), 1, "{output:?}");
    }
    let folder = ["import", "mh", &here, "ann@example.com", "--folder", "a..b"];
    assert_eq!(root.run(&folder, "").status.code(), Some(64));
}

const PYTHON: &str = r#"
import mailbox, sys
where = sys.argv[1]
for kind, name in ((mailbox.mbox, 'mbox'), (mailbox.Maildir, 'maildir'), (mailbox.MH, 'mh')):
    box = kind(where + '/' + name)
    message = {'mbox': mailbox.mboxMessage, 'maildir': mailbox.MaildirMessage, 'mh': mailbox.MHMessage}[name]
    for number in range(20):
        m = message()
        m['Subject'] = name + ' %d' % number
        m.set_payload('From here\n>From there\n\nline %d\n' % number)
        if name == 'mh':
            if number % 2 == 0: m.add_sequence('unseen')
            if number % 3 == 0: m.add_sequence('flagged')
            if number % 5 == 0: m.add_sequence('replied')
        else:
            flags = ''
            if number % 2: flags += 'S' if name == 'maildir' else 'R'
            if number % 3 == 0: flags += 'F'
            if number % 5 == 0: flags += 'R' if name == 'maildir' else 'A'
            m.set_flags(flags)
            if name == 'maildir': m.set_subdir('cur')
        box.add(m)
    if name != 'mbox':
        below = box.add_folder('sub')
        below.add(message())
    box.flush()
"#;

const IMAP: &str = r"
import imaplib, re, sys
imap = imaplib.IMAP4('127.0.0.1', int(sys.argv[1]))
imap.login('ann@example.com', sys.argv[2])
for name in ('mbox', 'maildir', 'mh'):
    status, data = imap.select('INBOX.' + name)
    assert status == 'OK' and data == [b'20'], (name, data)
    for number in range(20):
        status, data = imap.fetch(str(number + 1), '(FLAGS BODY.PEEK[])')
        flags = set(re.search(rb'FLAGS \(([^)]*)\)', data[0][0] + data[1]).group(1).split())
        wanted = set()
        if number % 2: wanted.add(rb'\Seen')
        if number % 3 == 0: wanted.add(rb'\Flagged')
        if number % 5 == 0: wanted.add(rb'\Answered')
        flags.discard(rb'\Recent')
        body = data[0][1].replace(b'\r\n', b'\n')
        subject = re.search(rb'Subject: (\S+) (\d+)', body)
        if name != 'maildir':
            assert int(subject.group(2)) == number, (name, subject)
        number = int(subject.group(2))
        if name != 'maildir': assert flags == wanted, (name, number, flags)
        assert b'\nFrom here\n' in body or name == 'mbox', body
        assert body.endswith(b'line %d\n' % number), body
";

#[test]
fn what_python_wrote_is_read_over_imap() {
    if !installed("python3") {
        return;
    }
    let root = Root::new();
    let where_ = root.path().join("python");
    fs::create_dir(&where_).expect("made");
    let wrote = Command::new("python3")
        .args(["-c", PYTHON])
        .arg(&where_)
        .output();
    let wrote = wrote.expect("python3 runs");
    assert!(wrote.status.success(), "{wrote:?}");
    for format in ["mbox", "maildir", "mh"] {
        let source = where_.join(format).display().to_string();
        let folder = format!("INBOX.{format}");
        let import = [
            "import",
            format,
            &source,
            "ann@example.com",
            "--folder",
            &folder,
        ];
        let output = root.run(&import, "");
        assert!(text(&output.stdout).starts_with("2"), "{output:?}");
        assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    }
    let server = Server::start(&root);
    let read = Command::new("python3")
        .args(["-c", IMAP, &server.port("imap"), PASSWORD])
        .output()
        .expect("python3 runs");
    assert!(read.status.success(), "{read:?}");
}
