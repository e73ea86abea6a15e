//! The log of IMAP, as analysers of Courier's log read it (imap.md 5).

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use crate::harness::{PASSWORD, Root, Server};

/// The lines, without port numbers.
fn lines(server: &Server) -> Vec<String> {
    let lines = server.log_lines();
    let without_port = |line: String| match line.split_once("port=[") {
        Some((before, after)) => {
            let (_, after) = after.split_once(']').expect("the end of the port");
            format!("{before}port=[]{after}")
        }
        None => line,
    };
    lines.into_iter().map(without_port).collect()
}

#[test]
fn sessions_end_in_couriers_lines() {
    let root = Root::new();
    let mut server = Server::start_with(&root, &["imap"]);
    let cur = root.maildir("ann").join("cur");
    fs::write(cur.join("1.M1P1.host:2,"), "Subject: a\n\nbody\n").expect("written");

    let mut stranger = server.connect("imap");
    stranger.line();
    stranger.imap("a", "LOGOUT");
    assert!(stranger.closed());

    let mut client = server.connect("imap");
    client.line();
    client.imap("a", &format!("LOGIN ann@example.com \"{PASSWORD}\""));
    client.imap("b", "ID (\"name\" \"Mutt 2\" \"x, user\" NIL)");
    client.imap("c", "SELECT INBOX");
    client.imap("d", "FETCH 1 (RFC822.HEADER RFC822.TEXT)");
    client.imap("e", "LOGOUT");
    assert!(client.closed());

    let mut client = server.connect("imap");
    client.line();
    client.imap("a", &format!("LOGIN ann@example.com \"{PASSWORD}\""));
    server.signal(rustix::process::Signal::TERM);
    assert!(client.closed());
    assert!(server.wait(Duration::from_secs(20)).is_some());

    let log = lines(&server);
    let find = |start: &str, end: &str| {
        let found = log.iter().find(|l| l.starts_with(start) && l.contains(end));
        assert!(found.is_some(), "{start} … {end} in {log:#?}");
    };
    let ann = "user=ann@example.com, ip=[127.0.0.1], port=[]";
    find("INFO: LOGOUT, ip=[127.0.0.1], port=[], rcvd=10, sent=", "");
    find(&format!("INFO: LOGIN, {ann}, protocol=IMAP"), "");
    find(
        &format!("INFO: ID, {ann}, name=\"Mutt 2\", \"x, user\"=\"\""),
        "",
    );
    let logout = format!("INFO: LOGOUT, {ann}, headers=14, body=6, rcvd=");
    find(&logout, ", time=");
    let stopped = "NOTICE: Disconnected during shutdown by signal, ";
    find(stopped, &format!("{ann}, headers=0, body=0, rcvd="));
}

#[test]
fn what_is_wrong_in_a_folder_is_logged_once() {
    let root = Root::new();
    let server = Server::start_with(&root, &["imap"]);
    let maildir = root.maildir("ann");
    symlink("/etc/passwd", maildir.join("cur/1.M1P1.host:2,")).expect("linked");
    let select = || {
        let mut client = server.connect("imap");
        client.line();
        client.imap("a", &format!("LOGIN ann@example.com \"{PASSWORD}\""));
        let opened = client.imap("b", "SELECT INBOX");
        assert!(opened.iter().any(|line| line == "* 0 EXISTS"));
        client.imap("c", "NOOP");
    };
    select();
    select();
    fs::write(maildir.join("courierimapuiddb"), [0; 100]).expect("written");
    select();
    select();
    let log = lines(&server);
    let warnings: Vec<_> = log.iter().filter(|l| l.starts_with("WARN")).collect();
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(warnings[0].starts_with("WARN: NO MESSAGE, path="));
    assert!(warnings[1].starts_with("WARN: UID LIST REBUILT, path="));
}
