//! Real clients, each where it is installed: swaks, curl, Python's libraries, mbsync.

use std::process::{Command, Output};

use crate::harness::{PASSWORD, Root, Server, installed};

fn succeeds(command: &mut Command) -> Output {
    let output = command.output().expect("the client runs");
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn ca(root: &Root) -> String {
    root.path().join("share/ca.pem").display().to_string()
}

#[test]
fn swaks_sends_plainly_by_starttls_and_by_implicit_tls() {
    if !installed("swaks") {
        return;
    }
    let root = Root::new();
    let server = Server::start(&root);
    let swaks = |service: &str, extra: &[&str]| {
        let mut command = Command::new("swaks");
        command.args(["--server", "127.0.0.1", "--port", &server.port(service)]);
        command.args(["--to", "ann@example.com", "--from", "zoe@example.net"]);
        command.args(["--helo", "client.example.net"]).args(extra);
        command
    };
    succeeds(&mut swaks("esmtp", &[]));
    succeeds(&mut swaks("esmtp", &["--pipeline"]));
    succeeds(&mut swaks("esmtp", &["-tls"]));
    let login = [
        "-tls",
        "--auth",
        "PLAIN",
        "-au",
        "bob@example.com",
        "-ap",
        PASSWORD,
    ];
    succeeds(&mut swaks("submission", &login));
    let login = [
        "-tlsc",
        "--auth",
        "LOGIN",
        "-au",
        "bob@example.com",
        "-ap",
        PASSWORD,
    ];
    succeeds(&mut swaks("smtps", &login));
    let refused = swaks("submission", &["-tls"]).output().expect("swaks runs");
    assert!(!refused.status.success(), "submission demands AUTH");
    let messages = root.wait_for_messages("ann", 5);
    let with = |word: &str| {
        let pattern = format!("with {word}\n");
        let has = |m: &&Vec<u8>| String::from_utf8_lossy(m).contains(&pattern);
        messages.iter().filter(has).count()
    };
    assert_eq!((with("ESMTP"), with("ESMTPS"), with("ESMTPSA")), (2, 1, 2));
}

#[test]
fn curl_sends_and_reads_with_and_without_tls() {
    if !installed("curl") {
        return;
    }
    let root = Root::new();
    let server = Server::start(&root);
    let mail = root.path().join("mail.txt");
    std::fs::write(&mail, "Subject: by curl\r\n\r\nThe text.\r\n.dot\r\n").expect("written");
    let login = format!("ann@example.com:{PASSWORD}");
    let curl = |url: String, extra: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "30", "--cacert", &ca(&root), &url]);
        command.args(extra);
        command
    };
    let send = [
        "--mail-from",
        "zoe@example.net",
        "--mail-rcpt",
        "ann@example.com",
        "-T",
        mail.to_str().expect("a path"),
    ];
    for (scheme, service, tls) in [
        ("smtp", "esmtp", &[][..]),
        ("smtp", "esmtp", &["--ssl-reqd"][..]),
        ("smtps", "smtps", &["-u", login.as_str()][..]),
    ] {
        let host = if tls.is_empty() {
            "127.0.0.1"
        } else {
            "localhost"
        };
        let url = format!(
            "{scheme}://{host}:{}/client.example.net",
            server.port(service)
        );
        succeeds(curl(url, &send).args(tls).args(["-4"]));
    }
    root.wait_for_messages("ann", 3);
    for (url, tls) in [
        (
            format!("imap://localhost:{}/INBOX;UID=1", server.port("imap")),
            false,
        ),
        (
            format!("imap://localhost:{}/INBOX;UID=2", server.port("imap")),
            true,
        ),
        (
            format!("imaps://localhost:{}/INBOX;UID=3", server.port("imaps")),
            false,
        ),
        (format!("pop3://localhost:{}/1", server.port("pop3")), false),
        (format!("pop3://localhost:{}/2", server.port("pop3")), true),
        (
            format!("pop3s://localhost:{}/3", server.port("pop3s")),
            false,
        ),
    ] {
        let mut command = curl(url.clone(), &["-4", "-u", &login]);
        if tls {
            command.arg("--ssl-reqd");
        }
        let text = String::from_utf8(succeeds(&mut command).stdout).expect("text");
        assert!(
            text.ends_with("\r\n\r\nThe text.\r\n.dot\r\n"),
            "{url}: {text:?}"
        );
        assert!(text.contains("Subject: by curl\r\n"), "{url}: {text:?}");
    }
}

/// One script for smtplib, imaplib and poplib, plainly and under TLS.
const PYTHON: &str = r#"
import imaplib, poplib, smtplib, ssl, sys, time
ca, esmtp, submission, smtps, imap, imaps, pop3, pop3s, password = sys.argv[1:]
tls = ssl.create_default_context(cafile=ca)
user, host = "ann@example.com", "localhost"
mail = "From: bob@example.com\r\nTo: ann@example.com\r\nSubject: %s\r\n\r\n.first\r\nlast\r\n"

with smtplib.SMTP(host, int(esmtp)) as s:
    s.sendmail("zoe@example.net", [user], mail % "one")
    try:
        s.sendmail("zoe@example.net", ["who@example.org"], mail % "relay")
        sys.exit("it relays")
    except smtplib.SMTPRecipientsRefused as e:
        assert e.recipients["who@example.org"][0] == 513, e
    try:
        s.sendmail("zoe@example.net", ["nobody@example.com"], mail % "nobody")
        sys.exit("nobody lives there")
    except smtplib.SMTPRecipientsRefused as e:
        assert e.recipients["nobody@example.com"][0] == 550, e
with smtplib.SMTP(host, int(submission)) as s:
    s.starttls(context=tls)
    try:
        s.login("bob@example.com", "wrong"); sys.exit("wrong password")
    except smtplib.SMTPAuthenticationError as e:
        assert e.smtp_code == 535, e
    s.login("bob@example.com", password)
    s.sendmail("bob@example.com", [user], mail % "two")
with smtplib.SMTP_SSL(host, int(smtps), context=tls) as s:
    s.login("bob@example.com", password)
    s.sendmail("bob@example.com", [user], mail % "three")

def opened(secure):
    if secure == "tls":
        return imaplib.IMAP4_SSL(host, int(imaps), ssl_context=tls)
    c = imaplib.IMAP4(host, int(imap))
    if secure == "starttls":
        c.starttls(ssl_context=tls)
    return c

for secure in ("plain", "starttls", "tls"):
    c = opened(secure)
    assert c.login(user, password)[0] == "OK"
    for _ in range(300):
        typ, n = c.select("INBOX")
        assert typ == "OK"
        if int(n[0]) == 3: break
        time.sleep(0.05)
    assert n == [b"3"], n
    typ, found = c.search(None, "SUBJECT", "two")
    assert typ == "OK" and len(found[0].split()) == 1, found
    typ, data = c.fetch(found[0], "(FLAGS RFC822.SIZE BODY.PEEK[])")
    assert data[0][1].endswith(b"\r\n\r\n.first\r\nlast\r\n"), data
    assert b"RFC822.SIZE %d" % len(data[0][1]) in data[0][0], data
    c.logout()

c = opened("tls")
c.login(user, password)
assert c.create("INBOX.Work")[0] == "OK"
assert c.create("Elsewhere")[0] == "NO"
assert c.subscribe("INBOX.Work")[0] == "OK"
typ, data = c.append("INBOX.Work", r"(\Seen \Flagged)", '"01-Jul-2024 12:00:00 +0200"', mail.encode() % b"appended")
assert typ == "OK" and b"APPENDUID" in data[0], data
typ, data = c.lsub(); assert b"INBOX.Work" in data[0], data
assert c.select("INBOX.Work")[1] == [b"1"]
typ, data = c.fetch("1", "(FLAGS INTERNALDATE ENVELOPE BODYSTRUCTURE)")
assert b"\\Flagged" in data[0] and b"01-Jul-2024" in data[0] or b" 1-Jul-2024" in data[0], data
assert c.copy("1", "INBOX")[0] == "OK"
assert c.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK"
assert c.expunge()[1] == [b"1"]
c.close()
assert c.rename("INBOX.Work", "INBOX.Play")[0] == "OK"
assert c.delete("INBOX.Play")[0] == "OK"
typ, data = c.status("INBOX", "(MESSAGES UIDNEXT UNSEEN)")
assert b"MESSAGES 4" in data[0], data
c.logout()

for secure in ("plain", "stls", "tls"):
    p = poplib.POP3_SSL(host, int(pop3s), context=tls) if secure == "tls" else poplib.POP3(host, int(pop3))
    if secure == "stls": p.stls(context=tls)
    p.user(user); p.pass_(password)
    n, size = p.stat()
    assert n == 4 if secure != "tls" else n == 3, n
    listed = [int(l.split()[1]) for l in p.list()[1]]
    assert sum(listed) == size
    lines = p.retr(1)[1]
    assert lines[-2:] == [b".first", b"last"], lines
    assert sum(len(l) + 2 for l in lines) == listed[0]
    assert p.top(1, 1)[1][-1] == b".first"
    assert len({l.split()[1] for l in p.uidl()[1]}) == n
    if secure == "stls": p.dele(1)
    p.quit()
"#;

#[test]
fn python_libraries_work_with_and_without_tls() {
    if !installed("python3") {
        return;
    }
    let root = Root::new();
    let server = Server::start(&root);
    let mut command = Command::new("python3");
    command.args(["-c", PYTHON, &ca(&root)]);
    for service in crate::harness::SERVICES {
        command.arg(server.port(service));
    }
    succeeds(command.arg(PASSWORD));
    let log = server.log_lines().join("\n");
    assert!(
        log.contains("INFO: LOGIN, user=ann@example.com, ip=[127.0.0.1], port=["),
        "{log}"
    );
    assert!(log.contains("LOGIN FAILED"), "{log}");
    assert!(!log.contains(PASSWORD), "{log}");
}

#[test]
fn mbsync_carries_mail_both_ways() {
    if !installed("mbsync") {
        return;
    }
    let root = Root::new();
    let server = Server::start(&root);
    let work = tempfile::tempdir().expect("a folder");
    let local = work.path().join("local");
    for folder in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(local.join("INBOX").join(folder)).expect("made");
    }
    for i in 0..5 {
        let text = format!("Subject: local {i}\nMessage-ID: <{i}@example.net>\n\ntext {i}\n");
        std::fs::write(local.join(format!("INBOX/cur/17{i}.M1P1.host:2,S")), text).expect("mail");
    }
    for (tls, port) in [("None", "imap"), ("STARTTLS", "imap"), ("IMAPS", "imaps")] {
        let configuration = work.path().join("mbsyncrc");
        let text = format!(
            "IMAPAccount a\nHost localhost\nPort {}\nUser ann@example.com\nPass \"{PASSWORD}\"\n\
             SSLType {tls}\nCertificateFile {}\n{}\n\
             IMAPStore remote\nAccount a\n\n\
             MaildirStore local\nPath {}/\nInbox {}/INBOX\n\n\
             Channel c\nFar :remote:\nNear :local:\nPatterns INBOX\nCreate Both\nExpunge Both\n\
             SyncState *\n",
            server.port(port),
            ca(&root),
            if tls == "None" {
                "AuthMechs LOGIN\n"
            } else {
                ""
            },
            local.display(),
            local.display(),
        );
        std::fs::write(&configuration, text).expect("written");
        let mut mbsync = Command::new("mbsync");
        mbsync
            .env("HOME", work.path())
            .arg("-c")
            .arg(&configuration)
            .arg("c");
        succeeds(&mut mbsync);
        assert_eq!(root.messages("ann").len(), 5, "{tls}");
    }
    // Something new on the server, something deleted here.
    let mut client = server.connect("esmtp");
    client.reply();
    for command in [
        "EHLO c",
        "MAIL FROM:<z@example.net>",
        "RCPT TO:<ann@example.com>",
    ] {
        assert!(client.smtp(command).contains("250"), "{command}");
    }
    assert!(client.smtp("DATA").starts_with("354"));
    assert!(client.smtp("Subject: new\r\n\r\nx\r\n.").starts_with("250"));
    root.wait_for_messages("ann", 6);
    let cur = local.join("INBOX/cur");
    let victim = std::fs::read_dir(&cur)
        .expect("cur")
        .next()
        .expect("one")
        .expect("one")
        .path();
    let trashed = victim.to_str().expect("a path").replace(":2,S", ":2,ST");
    std::fs::rename(&victim, trashed).expect("renamed");
    let mut mbsync = Command::new("mbsync");
    mbsync
        .env("HOME", work.path())
        .arg("-c")
        .arg(work.path().join("mbsyncrc"))
        .arg("c");
    succeeds(&mut mbsync);
    assert_eq!(root.messages("ann").len(), 5);
    let count = |folder: &str| {
        let entries = std::fs::read_dir(local.join("INBOX").join(folder)).expect("a folder");
        entries
            .filter(|e| {
                !e.as_ref()
                    .expect("entry")
                    .file_name()
                    .to_string_lossy()
                    .starts_with('.')
            })
            .count()
    };
    assert_eq!(count("cur") + count("new"), 5);
}
