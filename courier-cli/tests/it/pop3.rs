//! POP3 as a client sees it, over messages that other software has put there.

use crate::harness::{Client, PASSWORD, Root, Server};

fn login(server: &Server) -> Client {
    let mut client = server.connect("pop3");
    client.line();
    for command in [
        "USER ann@example.com".to_owned(),
        format!("PASS {PASSWORD}"),
    ] {
        let reply = client.pop3(&command);
        assert!(reply.starts_with("+OK"), "{reply}");
    }
    client
}

/// The second word of each line of a list.
fn list(client: &mut Client, command: &str) -> Vec<String> {
    client.pop3(command);
    let text = String::from_utf8(client.until_dot()).expect("ASCII");
    let words = text.lines().map(|line| line.split(' ').nth(1));
    words.map(|word| word.expect("two").to_owned()).collect()
}

#[test]
fn what_is_sent_is_as_long_as_it_was_said_to_be() {
    let root = Root::new();
    for (number, text) in [
        &b"A: b\n\nbody\n"[..],
        b"A: b\r\n\r\nwith CRLF\r\n",
        b"A: b\n\nno end",
        b"A: b\n\nends in CR\r",
        b"A: b\n\na\rb\r\r\n.\n..\n",
        b"A: only a header\n",
        b"",
    ]
    .into_iter()
    .enumerate()
    {
        let path = root.maildir("ann").join(format!("new/{number}.x"));
        std::fs::write(path, text).expect("written");
    }
    let server = Server::start_with(&root, &["pop3"]);
    let mut client = login(&server);
    let sizes = list(&mut client, "LIST");
    let total: u64 = sizes
        .iter()
        .map(|size| size.parse::<u64>().expect("a number"))
        .sum();
    assert_eq!(client.pop3("STAT"), format!("+OK 7 {total}"));
    for (number, size) in (1..).zip(&sizes) {
        let reply = client.pop3(&format!("RETR {number}"));
        assert_eq!(reply, format!("+OK {size} octets follow."));
        let sent = client.until_dot();
        let stuffed = sent.split_inclusive(|&octet| octet == b'\n');
        let stuffed = stuffed.filter(|line| line.starts_with(b".")).count();
        assert_eq!((sent.len() - stuffed).to_string(), *size, "{number}");
    }
}

#[test]
fn messages_go_at_quit_and_ids_stay_over_a_restart() {
    let root = Root::new();
    for number in 1..=4 {
        let path = root.maildir("ann").join(format!("new/{number}.x"));
        std::fs::write(path, "A: b\n\nx\n").expect("written");
    }
    let server = Server::start_with(&root, &["pop3"]);
    let mut client = login(&server);
    let ids = list(&mut client, "UIDL");
    client.pop3("DELE 1");
    drop(client);
    let mut client = login(&server);
    assert_eq!(
        list(&mut client, "UIDL"),
        ids,
        "a lost connection removes nothing"
    );
    client.pop3("DELE 2");
    assert_eq!(client.pop3("QUIT"), "+OK Bye-bye.");
    // The answer says that they are gone.
    assert_eq!(root.messages("ann").len(), 3);
    drop(server);
    let server = Server::start_with(&root, &["pop3"]);
    let left = [&ids[0], &ids[2], &ids[3]].map(String::clone);
    assert_eq!(list(&mut login(&server), "UIDL"), left);
}

#[test]
fn the_log_tells_how_sessions_end() {
    let root = Root::new();
    let mut server = Server::start_with(&root, &["pop3"]);
    let mut early = server.connect("pop3");
    early.line();
    early.pop3("QUIT");
    assert!(early.closed());
    let mut client = login(&server);
    client.pop3("QUIT");
    assert!(client.closed());
    server.signal(rustix::process::Signal::TERM);
    server
        .wait(std::time::Duration::from_secs(30))
        .expect("it ends");
    let log = server.log_lines();
    let tells = |start: &str, end: &str| {
        let found = log
            .iter()
            .any(|line| line.starts_with(start) && line.contains(end));
        assert!(found, "{start} … {end}: {log:#?}");
    };
    tells("INFO: LOGOUT, ip=[127.0.0.1], port=[", "]");
    tells(
        "INFO: LOGIN, user=ann@example.com, ip=[127.0.0.1], port=[",
        "]",
    );
    tells(
        "INFO: LOGOUT, user=ann@example.com, ip=[127.0.0.1], port=[",
        "], top=0, retr=0, rcvd=",
    );
}
