//! Mail on its way from MAIL to the maildir: what is added, what is left out.

use std::time::Duration;

use crate::harness::{Root, Server, within};

#[test]
fn domains_in_trace_fields_are_ascii() {
    let root = Root::new();
    let server = Server::start_with(&root, &["esmtp"]);
    let mut client = server.connect("esmtp");
    client.reply();
    client.smtp("EHLO c");
    for (mail, return_path) in [
        (
            "<z@xn--bcher-kva.example>",
            "<z@xn--bcher-kva.example>".to_owned(),
        ),
        (
            "<\u{fc}@b\u{fc}cher.example> SMTPUTF8",
            "<\u{fc}@xn--bcher-kva.example>".to_owned(),
        ),
        ("<\"a b\"@EXAMPLE.net.>", "<\"a b\"@example.net>".to_owned()),
        ("<>", "<>".to_owned()),
    ] {
        client.smtp(&format!("MAIL FROM:{mail}"));
        client.smtp("RCPT TO:<ann@Example.COM>");
        client.smtp("DATA");
        assert!(client.smtp("Subject: x\r\n\r\n.").starts_with("250"));
        let message = root.wait_for_messages("ann", 1).remove(0);
        let text = String::from_utf8(message).expect("UTF-8");
        let head = format!("Delivered-To: ann@example.com\nReturn-Path: {return_path}\nReceived: ");
        assert!(text.starts_with(&head), "{mail}: {text}");
        root.empty("ann");
    }
}

#[test]
fn a_recipient_that_is_named_twice_gets_one_copy() {
    let root = Root::new();
    let server = Server::start_with(&root, &["esmtp"]);
    let mut client = server.connect("esmtp");
    client.reply();
    client.smtp("EHLO c");
    client.smtp("MAIL FROM:<z@example.net>");
    for recipient in [
        "<ann@example.com>",
        "<\"ann\"@EXAMPLE.com.> NOTIFY=FAILURE",
        "<bob@example.com>",
        "<ann@example.com>",
        "<bob@example.com> ORCPT=rfc822;other@example.com",
        "<bob@example.com> ORCPT=rfc822;third@example.com NOTIFY=NEVER",
    ] {
        let reply = client.smtp(&format!("RCPT TO:{recipient}"));
        assert!(reply.starts_with("250"), "{recipient}: {reply}");
    }
    client.smtp("DATA");
    assert!(client.smtp("Subject: x\r\n\r\n.").starts_with("250"));
    // What was asked for under another name is another delivery (mta.md 5.4).
    root.wait_for_messages("bob", 2);
    root.wait_for_messages("ann", 1);
    drop(server);
    let _again = Server::start_with(&root, &["esmtp"]);
    assert_eq!(
        (root.messages("ann").len(), root.messages("bob").len()),
        (1, 2)
    );
}

#[test]
fn a_long_message_leaves_the_spool_once_it_is_delivered() {
    let root = Root::new();
    let server = Server::start_with(&root, &["esmtp"]);
    let mut client = server.connect("esmtp");
    client.reply();
    client.smtp("EHLO c");
    let text = format!("Subject: x\r\n\r\n{}.", "A line.\r\n".repeat(40_000));
    for _ in 0..10 {
        client.smtp("MAIL FROM:<z@example.net>");
        client.smtp("RCPT TO:<ann@example.com>");
        client.smtp("DATA");
        assert!(client.smtp(&text).starts_with("250"));
    }
    root.wait_for_messages("ann", 10);
    let files = || std::fs::read_dir(root.path().join("var/spool/journal/big")).expect("big");
    let gone = within(Duration::from_secs(10), || {
        (files().count() == 0).then_some(())
    });
    assert!(gone.is_some(), "{} stay", files().count());
}
