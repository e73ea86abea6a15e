//! A spool on a file system that fills up, where this system lets us mount one.

use std::process::Command;
use std::time::Duration;

use crate::harness::{Client, Root, Server, within};

/// A server whose spool is a file system of 100 MiB of its own; none where a test may
/// not mount one.
fn serve_from_a_small_disk(root: &Root) -> Option<Server> {
    let small = |then: &str| {
        let script = format!("mount -t tmpfs -o size=100m none \"$1/var/spool\" && {then}");
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
        command.arg("sh").arg(root.path());
        command.arg(env!("CARGO_BIN_EXE_courier"));
        command
    };
    let possible = small("true").output();
    if !possible.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no file system can be mounted");
        return None;
    }
    let serve = "exec \"$2\" serve --root \"$1\" --listen esmtp=127.0.0.1:0";
    Some(Server::spawn(small(serve)))
}

fn client(server: &Server) -> Client {
    let mut client = server.connect("esmtp");
    client.reply();
    client.smtp("EHLO c");
    client
}

/// Whether MAIL is answered so, now or soon: how much room there is, is not measured
/// every time.
fn mail_is_answered(server: &Server, wanted: &str) -> bool {
    let answered = || {
        let reply = client(server).smtp("MAIL FROM:<z@example.net>");
        reply.starts_with(wanted).then_some(())
    };
    within(Duration::from_secs(10), answered).is_some()
}

#[test]
fn a_full_disk_is_452_and_mail_comes_in_again_once_there_is_room() {
    let root = Root::new();
    root.configure("esmtpd", "TARPIT=0");
    std::fs::write(root.path().join("etc/sizelimit"), "0\n").expect("written");
    let Some(server) = serve_from_a_small_disk(&root) else {
        return;
    };
    let mut other = client(&server);
    other.smtp("MAIL FROM:<z@example.net>");
    assert!(other.smtp("RCPT TO:<bob@example.com>").starts_with("250"));

    // One message takes the disk.
    let mut large = client(&server);
    large.smtp("MAIL FROM:<z@example.net>");
    large.smtp("RCPT TO:<ann@example.com>");
    large.smtp("DATA");
    let line = format!("{}\r\n", "x".repeat(998));
    let piece = format!("Subject: large\r\n\r\n{}", line.repeat(1 << 20 >> 10));
    let mebibytes = |client: &mut Client, count| (0..count).for_each(|_| client.send(&piece));
    mebibytes(&mut large, 40);
    assert!(
        mail_is_answered(&server, "452 4.3.1"),
        "MAIL is refused while there is little room"
    );
    assert!(other.smtp("DATA").starts_with("354"));
    assert!(
        other.smtp("Subject: x\r\n\r\n.").starts_with("250"),
        "there is some"
    );
    mebibytes(&mut large, 60);
    assert!(large.smtp("\r\n.").starts_with("452 4.3.1"));

    // It left nothing behind.
    assert!(mail_is_answered(&server, "250"), "MAIL is accepted again");
    root.wait_for_messages("bob", 1);
    assert!(root.messages("ann").is_empty());
}
