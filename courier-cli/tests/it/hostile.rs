//! What a stranger may send: answered as the specifications say, never a hang,
//! never memory without bound.

use std::process::Command;
use std::time::Duration;

use crate::harness::{Client, PASSWORD, Root, Server};

#[test]
fn a_command_line_of_a_megabyte_is_refused_and_the_session_lives_or_closes() {
    let root = Root::new();
    let server = Server::start(&root);
    let long = vec![b'a'; 1_000_000];

    let mut smtp = server.connect("esmtp");
    smtp.reply();
    smtp.send(&long);
    assert!(smtp.smtp("").starts_with("500 5.5.2"));
    assert!(smtp.smtp("NOOP").starts_with("250"));

    let mut imap = server.connect("imap");
    imap.line();
    imap.send(b"a LOGIN ");
    imap.send(&long);
    imap.send(b"\r\nb NOOP\r\n");
    assert!(imap.until_tag("b").iter().any(|l| l.contains("BAD")));

    let mut pop3 = server.connect("pop3");
    pop3.line();
    pop3.send(&long);
    pop3.send(b"\r\nCAPA\r\n");
    assert!(pop3.line().starts_with("-ERR"));
    assert!(pop3.line().starts_with("+OK"));

    for service in ["esmtp", "imap", "pop3"] {
        let mut client = server.connect(service);
        client.line();
        let gone = (0..40).any(|_| client.try_send(&vec![b'a'; 65536]).is_err());
        assert!(gone || client.closed(), "{service}: past 1 MiB it closes");
    }
    assert!(server.memory() < 256 * 1024, "{} KiB", server.memory());
}

#[test]
fn a_literal_of_four_gigabytes_is_refused_at_its_announcement() {
    let root = Root::new();
    let server = Server::start(&root);
    let mut imap = server.connect("imap");
    imap.line();
    assert!(imap.imap("a", "LOGIN {4294967295}")[0].starts_with("a BAD"));
    assert!(imap.imap("b", "LOGIN {99999999999999999999}")[0].starts_with("b BAD"));
    let login = format!("LOGIN ann@example.com \"{PASSWORD}\"");
    assert!(imap.imap("c", &login)[0].starts_with("c OK"));
    assert!(imap.imap("d", "APPEND INBOX {4294967295}")[0].starts_with("d NO [TOOBIG]"));
    assert!(imap.imap("e", "NOOP")[0].starts_with("e OK"));
    imap.send("f APPEND INBOX {4294967295+}\r\n");
    let answer = imap.line();
    assert!(
        answer.starts_with("* BYE") || answer.starts_with("f NO"),
        "{answer}"
    );
}

#[test]
fn ten_thousand_recipients_are_counted_not_kept() {
    let root = Root::new();
    let server = Server::start(&root);
    let mut smtp = server.connect("esmtp");
    smtp.reply();
    smtp.smtp("EHLO client.example.net");
    smtp.smtp("MAIL FROM:<zoe@example.net>");
    let mut accepted = 0;
    for chunk in 0..100 {
        smtp.send("RCPT TO:<ann@example.com>\r\n".repeat(100));
        for i in 0..100 {
            let reply = smtp.reply();
            if reply.starts_with("250") {
                accepted += 1;
            } else {
                assert!(reply.starts_with("431"), "{chunk}/{i}: {reply}");
            }
        }
    }
    assert_eq!(accepted, 100);
    assert!(smtp.smtp("DATA").starts_with("354"));
    assert!(smtp.smtp("Subject: many\r\n\r\n.").starts_with("250"));
    assert!(server.memory() < 256 * 1024);
}

#[test]
fn five_hundred_idle_connections_cost_little() {
    let root = Root::new();
    for file in ["imapd", "esmtpd", "pop3d"] {
        root.configure(file, "MAXDAEMONS=1000\nMAXPERIP=1000\nMAXPERC=1000");
    }
    let server = Server::start(&root);
    let mut first = idle(&server);
    let before = server.memory();
    let mut clients: Vec<Client> = (0..500).map(|_| idle(&server)).collect();
    let each = server.memory().saturating_sub(before) / 500;
    assert!(each <= 64, "{each} KiB a session");
    for client in [&mut first].into_iter().chain(clients.iter_mut()) {
        client.send("DONE\r\n");
        assert!(
            client
                .until_tag("i")
                .last()
                .is_some_and(|l| l.starts_with("i OK"))
        );
    }
}

fn idle(server: &Server) -> Client {
    let mut client = server.connect("imap");
    client.line();
    client.imap("a", &format!("LOGIN ann@example.com \"{PASSWORD}\""));
    client.imap("b", "SELECT INBOX");
    client.send("i IDLE\r\n");
    assert!(client.line().starts_with("+ "));
    client
}

#[test]
fn clients_beyond_the_limit_take_no_descriptors_from_mail() {
    let root = Root::new();
    root.configure("esmtpd", "MAXPERIP=2");
    let mut command = Command::new("sh");
    let limited = "ulimit -n 300; exec \"$0\" serve --root \"$1\" --listen esmtp=127.0.0.1:0";
    command.args(["-c", limited, env!("CARGO_BIN_EXE_courier")]);
    command.arg(root.path());
    let server = Server::spawn(command);
    let mut client = server.connect("esmtp");
    client.reply();
    let _second = server.connect("esmtp");
    assert!(server.connect("esmtp").reply().starts_with("421 4.7.0"));
    // They stay as long as they are let.
    let _flood: Vec<Client> = (0..400).map(|_| server.connect("esmtp")).collect();
    client.smtp("EHLO c");
    client.smtp("MAIL FROM:<z@example.net>");
    client.smtp("RCPT TO:<ann@example.com>");
    client.smtp("DATA");
    client.send("Subject: long\r\n\r\n");
    client.send("A line of text.\r\n".repeat(20_000));
    assert!(client.smtp(".").starts_with("250"));
    root.wait_for_messages("ann", 1);
}

#[test]
fn mail_cut_off_at_any_octet_is_never_delivered() {
    let root = Root::new();
    root.configure("esmtpd", "MAXDAEMONS=1000\nMAXPERIP=1000\nMAXPERC=1000");
    let server = Server::start(&root);
    let dialogue = "EHLO client.example.net\r\nMAIL FROM:<zoe@example.net>\r\n\
        RCPT TO:<ann@example.com>\r\nDATA\r\nSubject: cut\r\n\r\n..a\r\n.\r\n";
    for end in 0..dialogue.len() {
        let mut client = server.connect("esmtp");
        client.send(&dialogue.as_bytes()[..end]);
        drop(client);
    }
    // The server is as well as before, and whole mail still passes.
    let mut client = server.connect("esmtp");
    client.reply();
    client.send(dialogue);
    for _ in 0..4 {
        client.reply();
    }
    assert!(client.reply().starts_with("250"));
    let messages = root.wait_for_messages("ann", 1);
    assert!(messages[0].ends_with(b"\n\n.a\n"));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(root.messages("ann").len(), 1);
}

#[test]
fn http_is_shown_the_door() {
    let root = Root::new();
    let server = Server::start(&root);
    for service in ["esmtp", "imap", "pop3"] {
        let mut client = server.connect(service);
        client.line();
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b.c>\r\n");
        assert!(client.closed(), "{service}");
    }
}

#[test]
fn what_is_sent_before_the_handshake_is_dropped() {
    let root = Root::new();
    let server = Server::start(&root);
    let mut smtp = server.connect("esmtp");
    smtp.reply();
    smtp.smtp("EHLO client.example.net");
    smtp.send("STARTTLS\r\nMAIL FROM:<zoe@example.net>\r\n");
    assert!(smtp.reply().starts_with("220"));
    let mut imap = server.connect("imap");
    imap.line();
    imap.send("a STARTTLS\r\nb NOOP\r\n");
    assert!(imap.line().starts_with("a OK"));
    let mut pop3 = server.connect("pop3");
    pop3.line();
    pop3.send("STLS\r\nCAPA\r\n");
    assert!(pop3.line().starts_with("+OK"));
    for mut client in [smtp, imap, pop3] {
        client.send("not a ClientHello\r\n");
        assert!(client.closed());
    }
}

#[test]
fn more_connections_than_allowed_are_told_so() {
    let root = Root::new();
    for file in ["esmtpd", "imapd", "pop3d"] {
        root.configure(file, "MAXPERIP=2");
    }
    let server = Server::start(&root);
    for (service, refusal) in [
        ("esmtp", "421 4.7.0"),
        ("imap", "* BYE [LIMIT]"),
        ("pop3", "-ERR [SYS/TEMP]"),
    ] {
        let mut kept = vec![server.connect(service), server.connect(service)];
        for client in &mut kept {
            assert!(!client.line().starts_with(refusal));
        }
        let mut third = server.connect(service);
        let line = third.line();
        assert!(line.starts_with(refusal), "{service}: {line}");
        assert!(third.closed());
    }
}

#[test]
fn a_link_in_the_place_of_a_folder_is_not_followed() {
    let root = Root::new();
    let server = Server::start(&root);
    let outside = root.path().join("outside");
    for folder in ["tmp", "new", "cur"] {
        std::fs::create_dir_all(outside.join(folder)).expect("made");
    }
    std::fs::write(outside.join("cur/1.M1P1.host:2,"), "Subject: secret\n\n").expect("written");
    std::os::unix::fs::symlink(&outside, root.maildir("ann").join(".link")).expect("linked");
    let mut imap = server.connect("imap");
    imap.line();
    imap.imap("a", &format!("LOGIN ann@example.com \"{PASSWORD}\""));
    assert_eq!(imap.imap("b", "LIST \"\" *").len(), 2);
    imap.imap("c", "CREATE INBOX.real");
    for (command, answer) in [
        ("SELECT INBOX.link", "NO [NONEXISTENT]"),
        ("STATUS INBOX.link (MESSAGES)", "NO [NONEXISTENT]"),
        ("CREATE INBOX.link", "NO [CANNOT]"),
        ("DELETE INBOX.link", "NO [NONEXISTENT]"),
        ("RENAME INBOX.link INBOX.other", "NO [NONEXISTENT]"),
        ("RENAME INBOX.real INBOX.link", "NO [CANNOT]"),
        ("APPEND INBOX.link {1+}\r\nx", "NO [TRYCREATE]"),
    ] {
        let lines = imap.imap("d", command);
        let last = lines.last().expect("an answer");
        assert!(
            last.starts_with(&format!("d {answer}")),
            "{command}: {last}"
        );
    }
    assert_eq!(
        std::fs::read_dir(outside.join("cur"))
            .expect("there")
            .count(),
        1
    );
}
