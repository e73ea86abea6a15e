//! The trash: what goes there, and how long it stays.

use std::fs;

use crate::harness::{Client, PASSWORD, Root, Server};

fn names(root: &Root, folder: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root.maildir("ann").join(folder)) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.expect("entry").file_name());
    let mut names: Vec<_> = names
        .map(|name| name.into_string().expect("text"))
        .collect();
    names.sort();
    names
}

fn login(server: &Server) -> Client {
    let mut client = server.connect("imap");
    client.line();
    let lines = client.imap("a", &format!("LOGIN ann@example.com \"{PASSWORD}\""));
    assert!(lines.last().is_some_and(|line| line.starts_with("a OK")));
    client
}

#[test]
fn expunged_messages_go_to_the_trash_unless_they_were_copied() {
    let root = Root::new();
    root.configure("imapd", "IMAP_MOVE_EXPUNGE_TO_TRASH=1");
    for name in ["1.x", "2.x", "3.x"] {
        let path = root.maildir("ann").join("new").join(name);
        fs::write(path, "a: b\n\nc\n").expect("written");
    }
    let server = Server::start_with(&root, &["imap"]);
    let mut client = login(&server);
    let capabilities = client.imap("b", "CAPABILITY").concat();
    assert!(capabilities.contains(" XMAGICTRASH"), "{capabilities}");
    client.imap("c", "SELECT INBOX");
    client.imap("d", "CREATE INBOX.Saved");
    client.imap("e", "COPY 2 INBOX.Saved");
    client.imap("f", "STORE 1:2 +FLAGS (\\Deleted \\Draft \\Seen)");
    let expunged = client.imap("g", "EXPUNGE");
    assert_eq!(
        expunged
            .iter()
            .filter(|line| line.contains("EXPUNGE"))
            .count(),
        3
    );
    assert_eq!(names(&root, "cur"), ["3.x:2,"]);
    assert_eq!(names(&root, ".Trash/cur"), ["1.x:2,S"]);
    client.imap("h", "SELECT INBOX.Trash");
    client.imap("i", "STORE 1 +FLAGS (\\Deleted)");
    client.imap("j", "EXPUNGE");
    assert!(
        names(&root, ".Trash/cur").is_empty(),
        "from the trash they are removed"
    );
}

#[test]
fn only_what_is_old_is_cleared_and_only_if_it_is_said() {
    let root = Root::new();
    for directory in ["tmp", "new", "cur"] {
        fs::create_dir_all(root.maildir("ann").join(".Trash").join(directory)).expect("made");
    }
    let path = root.maildir("ann").join(".Trash/new/1.x");
    fs::write(&path, "a: b\n\nc\n").expect("written");
    let server = Server::start_with(&root, &["imap"]);
    login(&server).imap("b", "LOGOUT");
    assert_eq!(names(&root, ".Trash/new"), ["1.x"]);
    drop(server);
    root.configure("imapd", "IMAP_EMPTYTRASH=Trash:1");
    let server = Server::start_with(&root, &["imap"]);
    login(&server).imap("b", "LOGOUT");
    // It is seen, and new in the trash.
    assert_eq!(names(&root, ".Trash/cur"), ["1.x:2,"]);
}
