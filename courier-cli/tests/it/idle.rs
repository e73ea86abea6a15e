//! IDLE: what others do shows at once, whoever they are.

use std::fs;

use crate::harness::{Client, PASSWORD, Root, Server};

/// A session of ann's with INBOX open.
fn opened(server: &Server) -> Client {
    let mut client = server.connect("imap");
    client.line();
    client.imap("l", &format!("LOGIN ann@example.com \"{PASSWORD}\""));
    client.imap("s", "SELECT INBOX");
    client
}

/// What comes next, flags and counts apart from what is always there.
fn told(idle: &mut Client, wanted: &str) {
    let mut lines = Vec::new();
    for _ in 0..10 {
        let line = idle.line();
        if line.contains(wanted) {
            return;
        }
        lines.push(line);
    }
    panic!("no {wanted} in {lines:?}");
}

#[test]
fn what_others_do_shows_in_idle_at_once() {
    let root = Root::new();
    let server = Server::start(&root);
    let cur = root.maildir("ann").join("cur");
    for number in 1..=3 {
        let name = format!("170000000{number}.M1P1.host:2,");
        fs::write(cur.join(name), "Subject: text\n\nbody\n").expect("written");
    }
    let (mut idle, mut other) = (opened(&server), opened(&server));
    idle.send("i IDLE\r\n");
    assert_eq!(idle.line(), "+ entering idle mode");

    // Another session; the first keyword of the folder among it.
    other.imap("a", "STORE 1 +FLAGS.SILENT (\\Seen)");
    told(&mut idle, "* 1 FETCH (UID 1 FLAGS (\\Seen");
    other.imap("b", "STORE 2 +FLAGS.SILENT ($Work)");
    told(&mut idle, "* FLAGS (");
    told(&mut idle, "* 2 FETCH (UID 2 FLAGS (");
    other.send("c APPEND INBOX {5+}\r\nhello\r\n");
    told(&mut idle, "* 4 EXISTS");
    other.until_tag("c");

    // Other programs: a flag, a message gone, one in each place.
    let at = |number: u32, flags: &str| cur.join(format!("170000000{number}.M1P1.host:2,{flags}"));
    fs::rename(at(3, ""), at(3, "FR")).expect("renamed");
    told(&mut idle, "* 3 FETCH (UID 3 FLAGS (\\Answered \\Flagged");
    fs::remove_file(at(3, "FR")).expect("removed");
    told(&mut idle, "* 3 EXPUNGE");
    let new = root.maildir("ann").join("new");
    fs::write(new.join("1800000000.M1P1.host"), "Subject: new\n\n").expect("written");
    told(&mut idle, "* 4 EXISTS");

    // Delivery.
    let mut smtp = server.connect("esmtp");
    smtp.reply();
    smtp.smtp("EHLO client.example.net");
    smtp.smtp("MAIL FROM:<zoe@example.net>");
    smtp.smtp("RCPT TO:<ann@example.com>");
    smtp.smtp("DATA");
    assert!(smtp.smtp("Subject: hello\r\n\r\n.").starts_with("250"));
    told(&mut idle, "* 5 EXISTS");

    idle.send("DONE\r\n");
    let last = idle.until_tag("i").pop();
    assert!(last.is_some_and(|line| line.starts_with("i OK")));
}

#[test]
fn the_end_of_the_folder_ends_idle() {
    let root = Root::new();
    let server = Server::start(&root);
    for change in ["DELETE INBOX.a", "RENAME INBOX.a INBOX.b"] {
        let (mut idle, mut other) = (opened(&server), opened(&server));
        other.imap("c", "CREATE INBOX.a");
        idle.imap("s", "SELECT INBOX.a");
        idle.send("i IDLE\r\n");
        assert_eq!(idle.line(), "+ entering idle mode");
        other.imap("d", change);
        told(&mut idle, "* BYE [NONEXISTENT]");
        assert!(idle.closed());
    }
}

#[test]
fn of_many_changes_at_once_none_is_lost() {
    let root = Root::new();
    let server = Server::start(&root);
    let cur = root.maildir("ann").join("cur");
    for number in 1..=300 {
        let name = format!("{}.M1P1.host:2,", 1_700_000_000 + number);
        fs::write(cur.join(name), "Subject: text\n\nbody\n").expect("written");
    }
    let mut other = opened(&server);
    let mut idle: Vec<_> = (0..3).map(|_| opened(&server)).collect();
    for client in &mut idle {
        client.send("i IDLE\r\n");
        assert_eq!(client.line(), "+ entering idle mode");
    }
    // One by one, so that changes come while others are looked at.
    let all: String = (1..=300)
        .map(|number| format!("s{number} STORE {number} +FLAGS.SILENT (\\Flagged)\r\n"))
        .collect();
    other.send(all);
    other.until_tag("s300");
    for client in &mut idle {
        let mut flagged = std::collections::BTreeSet::new();
        while flagged.len() < 300 {
            let line = client.line();
            assert!(line.contains("\\Flagged"), "{line}");
            flagged.insert(line.split(' ').nth(1).map(str::to_owned));
        }
    }
}
