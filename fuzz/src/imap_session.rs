//! A session of the IMAP server, before and after login, with a host in memory.
//!
//! What must hold: it comes to rest or closes; the same input in other pieces gives the same
//! answers and leaves the same mailboxes; what waits to be written is bounded; every line of
//! an answer ends in CRLF; a command that is whole is answered under its tag, once.

use std::sync::Arc;

use courier_core::time::Millis;
use courier_imap::grammar::mailbox_name::MailboxName;
use courier_imap::session::settings::{LoginCommand, Settings, StartTls};
use courier_imap::session::{Session, Transport};
use courier_imap::testing::{Connection, Mailboxes};
use courier_imap::view::MessageFlags;

/// The first octet chooses the beginning and the cut; the rest is what a client sends.
pub fn run(input: &[u8]) {
    let [mode, said @ ..] = input else {
        return;
    };
    let whole = talk(*mode, &[said]);
    let single: Vec<&[u8]> = said.chunks(1).collect();
    assert_eq!(whole, talk(*mode, &single), "octet by octet");
    let size = usize::from(*mode / 4) % 13 + 2;
    let pieces: Vec<&[u8]> = said.chunks(size).collect();
    assert_eq!(whole, talk(*mode, &pieces), "in pieces of {size}");
    answered(said, &whole);
}

/// What can be seen from outside.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    sent: String,
    left: Vec<MessageFlags>,
    closed: bool,
    idle: bool,
}

fn talk(mode: u8, chunks: &[&[u8]]) -> Seen {
    let mut settings = Settings {
        append_limit: 1000,
        refresh_after: Millis(u64::MAX),
        failure_delay: Millis(0),
        // What is dropped with the handshake depends on the cut, as it must.
        starttls: StartTls::Unavailable,
        ..Settings::default()
    };
    settings.clear.command = LoginCommand::Allowed;
    settings.clear.mechanisms = vec!["PLAIN".to_owned()];
    let settings = Arc::new(settings);
    let mut mailboxes = Mailboxes::default();
    for text in [
        &b"Subject: one\n\nBody\n"[..],
        b"From: a@example.com\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\nContent-Type: message/rfc822\n\nSubject: in\n\ny\n--b--\n",
        b"",
        b"no header\r\nat all",
    ] {
        mailboxes.deliver(text);
    }
    let mut sent = Vec::new();
    let mut connection = if mode & 1 == 0 {
        Connection::new(Session::new(settings, Transport::Clear))
    } else {
        Connection::new(Session::preauthenticated(settings, Transport::Tls))
    };
    sent.extend(connection.exchange(&mut mailboxes, b""));
    if mode & 2 != 0 {
        sent.extend(connection.exchange(&mut mailboxes, b"s SELECT INBOX\r\n"));
    }
    // Everything that is sent is 64 KiB at most at once: `exchange` checks it.
    for chunk in chunks {
        if connection.is_closed() {
            break;
        }
        sent.extend(connection.exchange(&mut mailboxes, chunk));
    }
    // Nothing happens but by input or time.
    assert_eq!(connection.exchange(&mut mailboxes, b""), b"");
    let closed = connection.is_closed();
    // A CR at the end may wait for what it belongs to.
    let idle = closed || connection.unread() < 2;
    if !closed {
        connection.sleep(Millis::from_mins(31));
        let bye = connection.exchange(&mut mailboxes, b"");
        assert!(bye.ends_with(b"* BYE Disconnected for inactivity.\r\n"));
        assert!(connection.is_closed());
    }
    let left = mailboxes.list(&MailboxName::inbox());
    let sent = sent.escape_ascii().to_string();
    Seen {
        sent,
        left,
        closed,
        idle,
    }
}

/// Commands of one line, without literals, have each its answer.
fn answered(said: &[u8], seen: &Seen) {
    assert!(seen.sent.is_empty() || seen.sent.ends_with("\\r\\n"));
    if seen.closed || said.contains(&b'{') || !said.ends_with(b"\n") {
        return;
    }
    let lines = said.split(|octet| *octet == b'\n');
    let upper: Vec<Vec<u8>> = lines.map(<[u8]>::to_ascii_uppercase).collect();
    let has = |word: &[u8]| {
        upper
            .iter()
            .any(|line| line.windows(word.len()).any(|w| w == word))
    };
    // These take lines that are no commands.
    if has(b"IDLE") || has(b"AUTHENTICATE") || has(b"STARTTLS") {
        return;
    }
    let tagged = |line: &&Vec<u8>| line.starts_with(b"TAG ");
    let commands = upper.iter().filter(tagged).count();
    let answers = ["OK", "NO", "BAD"].map(|status| {
        let line = format!("TAG {status} ").to_lowercase();
        seen.sent.to_lowercase().matches(&line).count()
    });
    assert!(answers.iter().sum::<usize>() >= commands, "{}", seen.sent);
    assert!(seen.idle);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    const WORDS: [&str; 75] = [
        "tag LOGIN user secret\r\n",
        "tag LOGIN user {6}\r\nsecret\r\n",
        "tag LOGIN user wrong\r\n",
        "tag AUTHENTICATE PLAIN AHVzZXIAc2VjcmV0\r\n",
        "tag AUTHENTICATE PLAIN\r\n",
        "AHVzZXIAc2VjcmV0\r\n",
        "tag SELECT INBOX\r\n",
        "tag EXAMINE INBOX\r\n",
        "tag SELECT INBOX.a\r\n",
        "tag CREATE INBOX.a\r\n",
        "tag DELETE INBOX.a\r\n",
        "tag RENAME INBOX.a INBOX.b\r\n",
        "tag SUBSCRIBE INBOX.a\r\n",
        "tag UNSUBSCRIBE INBOX.a\r\n",
        "tag LIST \"\" *\r\n",
        "tag LSUB \"\" %\r\n",
        "tag STATUS INBOX (MESSAGES UNSEEN)\r\n",
        "tag NAMESPACE\r\n",
        "tag ENABLE X\r\n",
        "tag ID (\"a\" NIL)\r\n",
        "tag CAPABILITY\r\n",
        "tag NOOP\r\n",
        "tag CHECK\r\n",
        "tag CLOSE\r\n",
        "tag UNSELECT\r\n",
        "tag EXPUNGE\r\n",
        "tag UID EXPUNGE 1:2\r\n",
        "tag LOGOUT\r\n",
        "tag STARTTLS\r\n",
        "tag IDLE\r\n",
        "DONE\r\n",
        "tag FETCH 1:* FULL\r\n",
        "tag FETCH 1:* (BODY[] FLAGS)\r\n",
        "tag UID FETCH 2 (BODYSTRUCTURE BODY.PEEK[2.HEADER])\r\n",
        "tag FETCH 2:9 (BODY[1]<1.2> RFC822.SIZE)\r\n",
        "tag FETCH 3 RFC822\r\n",
        "tag STORE 1:* +FLAGS (\\Deleted k)\r\n",
        "tag UID STORE 1 FLAGS.SILENT \\Seen\r\n",
        "tag STORE 2 -FLAGS (k)\r\n",
        "tag SEARCH ALL\r\n",
        "tag UID SEARCH OR BODY x UNSEEN\r\n",
        "tag SEARCH LARGER 3 NOT TEXT one\r\n",
        "tag SEARCH CHARSET UTF-8 SUBJECT {2+}\r\nin\r\n",
        "tag COPY 1:2 INBOX\r\n",
        "tag MOVE 1 INBOX\r\n",
        "tag UID COPY 1:* INBOX.a\r\n",
        "tag APPEND INBOX {3}\r\nabc\r\n",
        "tag APPEND INBOX (\\Seen) {3+}\r\na\r\n\r\n",
        "tag APPEND INBOX.none {3+}\r\nabc\r\n",
        "tag APPEND INBOX {1001+}\r\n",
        "tag APPEND {5+}\r\nINBOX {0+}\r\n\r\n",
        "tag APPEND INBOX {2}\r\nabc\r\n",
        "tag X\r\n",
        "tag ",
        "\r\n",
        "\n",
        "\r",
        "{3}",
        "{3+}\r\n",
        "{9000}\r\n",
        "{9000+}\r\n",
        "abc",
        " ",
        "(",
        ")",
        "\"",
        "\\",
        "*",
        "+",
        "\0",
        "é",
        "GET / HTTP/1.1\r\n",
        "FETCH ",
        "1:*",
        "APPEND ",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]
        #[test]
        fn any_session_holds(mode: u8, words in proptest::collection::vec(0..WORDS.len(), 0..40)) {
            let said: String = words.iter().map(|&word| WORDS[word]).collect();
            super::run(&[&[mode], said.as_bytes()].concat());
        }
    }

    #[test]
    fn the_corpus_holds() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/imap_session");
        let mut texts = 0;
        for entry in std::fs::read_dir(folder).expect("the corpus") {
            let mut seed = std::fs::read(entry.expect("an entry").path()).expect("a seed");
            for mode in 0..52 {
                seed[0] = mode;
                super::run(&seed);
            }
            texts += super::talk(3, &[&seed[1..]]).sent.matches("BODY[").count();
        }
        assert!(texts > 10, "the corpus fetches texts");
    }
}
