//! Quotas, as senders and owners meet them.

use std::fs;
use std::time::Duration;

use crate::harness::{PASSWORD, Root, Server, within};

/// Sends a message to carl.
fn send(server: &Server, length: usize) {
    let mut client = server.connect("esmtp");
    client.reply();
    for command in [
        "EHLO c",
        "MAIL FROM:<>",
        "RCPT TO:<carl@example.com>",
        "DATA",
    ] {
        let reply = client.smtp(command);
        assert!(reply.starts_with(['2', '3']), "{command}: {reply}");
    }
    let text = format!("Subject: x\r\n\r\n{}\r\n.", "x".repeat(length));
    assert!(client.smtp(&text).starts_with("250"));
}

fn recorded(root: &Root) -> String {
    fs::read_to_string(root.maildir("carl").join("maildirsize")).unwrap_or_default()
}

#[test]
fn mail_over_the_quota_waits_and_is_refused_to_clients() {
    let root = Root::new();
    let words = ["account", "add", "carl@example.com", "--password-stdin"];
    let added = root.run(&[&words[..], &["--quota", "3C"]].concat(), PASSWORD);
    assert!(added.status.success(), "{added:?}");
    let server = Server::start_with(&root, &["esmtp", "imap", "pop3"]);
    for _ in 0..2 {
        send(&server, 100);
    }
    root.wait_for_messages("carl", 2);
    let mut client = server.connect("imap");
    client.line();
    let reply = client.imap("a", &format!("LOGIN carl@example.com \"{PASSWORD}\""));
    assert!(reply.last().is_some_and(|line| line.starts_with("a OK")));
    let mut append = || {
        client.send("b APPEND INBOX {6}\r\n");
        assert!(client.line().starts_with('+'));
        client.send("a: b\r\n\r\n");
        client.until_tag("b").pop().expect("a reply")
    };
    assert!(append().starts_with("b OK"));
    let refused = append();
    assert!(refused.starts_with("b NO [OVERQUOTA]"), "{refused}");
    client.imap("c", "SELECT INBOX");
    let refused = client.imap("d", "COPY 1 INBOX").pop().expect("a reply");
    assert!(refused.starts_with("d NO [OVERQUOTA]"), "{refused}");
    send(&server, 100);
    let deferred = within(Duration::from_secs(10), || {
        let lines = server.log_lines();
        let line = lines.into_iter().find(|line| line.contains("DEFERRED"));
        line.filter(|line| line.contains("is over its quota"))
    });
    assert!(deferred.is_some());
    assert_eq!(root.messages("carl").len(), 3);
    let mut client = server.connect("pop3");
    client.line();
    client.pop3("USER carl@example.com");
    assert!(client.pop3(&format!("PASS {PASSWORD}")).starts_with("+OK"));
    for number in 1..=3 {
        assert!(client.pop3(&format!("DELE {number}")).starts_with("+OK"));
    }
    assert!(client.pop3("QUIT").starts_with("+OK"));
    let text = recorded(&root);
    assert!(text.starts_with("3C\n"), "{text}");
    assert!(
        text.trim_end().ends_with("-3"),
        "one record for all: {text}"
    );
}
