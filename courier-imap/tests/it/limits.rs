//! What a session holds, and how long it lasts, at the limits of what it allows.

use std::sync::Arc;

use courier_core::time::Millis;
use courier_imap::grammar::command::MOST_KEYWORDS;
use courier_imap::grammar::response::Recent;
use courier_imap::grammar::{flag::Flags, flag::Keyword};
use courier_imap::session::output::{MOST_STORED, Opened, Output};
use courier_imap::session::settings::Settings;
use courier_imap::session::{MOST_PENDING, Session, Transport};
use courier_imap::testing::{Connection, Mailboxes};
use courier_imap::view::{Changes, Message, MessageFlags, Snapshot, Uid, UidValidity};

fn connection() -> Connection {
    let session = Session::preauthenticated(Arc::new(Settings::default()), Transport::Tls);
    Connection::new(session)
}

fn uid(number: u32) -> Uid {
    Uid::new(number).unwrap()
}

/// A mailbox of 100,000 messages.
fn large() -> Snapshot {
    let mut snapshot = Snapshot::new(UidValidity(uid(1).0), uid(200_001));
    snapshot.reserve(100_000);
    for number in 1..=100_000 {
        let message = Message {
            uid: uid(2 * number),
            flags: Flags::NONE,
            keywords: Vec::new(),
            recent: Recent::No,
            size: Some(1000),
            date: Some(courier_core::time::UnixSeconds(0)),
        };
        snapshot.push(&message).unwrap();
    }
    snapshot
}

/// Runs commands on the large mailbox; gives each question's name, and what was sent.
fn on_large(commands: &str) -> (Vec<String>, Vec<u8>) {
    let settings = Settings {
        refresh_after: Millis(u64::MAX),
        ..Settings::default()
    };
    let mut session = Session::preauthenticated(Arc::new(settings), Transport::Tls);
    let input = format!("s SELECT INBOX\r\n{commands}");
    let (mut at, mut sent, mut asked) = (0, Vec::new(), Vec::new());
    loop {
        let step = session.poll(Millis(0), &input.as_bytes()[at..]);
        at += step.consumed;
        match step.output {
            Output::Write => {
                let pending = session.pending();
                assert!(pending.len() <= MOST_PENDING);
                sent.extend_from_slice(pending);
                let count = pending.len();
                session.wrote(count);
            }
            Output::Select(token, _, access) => {
                session.selected(
                    token,
                    Ok(Opened {
                        snapshot: large(),
                        access,
                    }),
                );
            }
            Output::Refresh(token) => session.refreshed(token, Ok(Changes::default())),
            Output::Store(token, request) => {
                asked.push(format!("{} {:?}", request.uids.len(), request.batch));
                assert!(request.uids.len() <= MOST_STORED);
                let flags = |uid| MessageFlags {
                    uid,
                    flags: Flags::NONE.with(courier_imap::grammar::flag::Flag::Deleted),
                    keywords: Vec::new(),
                };
                session.stored(token, Ok(request.uids.into_iter().map(flags).collect()));
            }
            Output::Expunge(token, uids) => session.expunged(token, Ok(uids)),
            Output::Wait { .. } => return (asked, sent),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn everything_about_many_messages_streams() {
    let (_, sent) = on_large("a FETCH 1:* FLAGS\r\nb UID SEARCH ALL\r\nc SEARCH NOT SEEN\r\n");
    let text = String::from_utf8(sent).unwrap();
    assert_eq!(text.matches(" FETCH (FLAGS ())\r\n").count(), 100_000);
    let searches: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("* SEARCH"))
        .collect();
    assert!(searches[0].ends_with(" 199998 200000") && searches[1].ends_with(" 99999 100000"));
    assert_eq!(searches[0].split(' ').count(), 100_002);
}

#[test]
fn flags_are_stored_in_batches_of_which_the_last_is_durable() {
    let (asked, sent) = on_large(
        "a STORE 1:1000 +FLAGS (\\Deleted)\r\nb STORE 1:2001 +FLAGS.SILENT (\\Deleted)\r\n",
    );
    assert_eq!(asked, ["1000 Last", "1000 More", "1000 More", "1 Last"]);
    assert_eq!(
        String::from_utf8(sent)
            .unwrap()
            .matches("FETCH (FLAGS (\\Deleted))")
            .count(),
        1000
    );
}

#[test]
fn a_large_mailbox_is_emptied_in_one_go() {
    let (_, sent) =
        on_large("a STORE 1:* +FLAGS.SILENT (\\Deleted)\r\nb EXPUNGE\r\nc FETCH 1:* FLAGS\r\n");
    let text = String::from_utf8(sent).unwrap();
    assert_eq!(text.matches(" EXPUNGE\r\n").count(), 100_000);
    assert!(text.contains("* 100000 EXPUNGE\r\n* 99999 EXPUNGE\r\n"));
    assert!(text.ends_with("* 1 EXPUNGE\r\nb OK EXPUNGE completed.\r\nc OK FETCH completed.\r\n"));
}

#[test]
fn large_texts_are_named_and_small_ones_copied() {
    let mut mailboxes = Mailboxes::default();
    for lines in [400, 100_000] {
        mailboxes.deliver(&b"Line, ten\n".repeat(lines));
    }
    let mut connection = connection();
    connection.exchange(&mut mailboxes, b"a SELECT INBOX\r\n");
    let mut sent = 0;
    connection.exchange_with(
        &mut mailboxes,
        b"b FETCH 1:2 (BODY.PEEK[] BODY.PEEK[]<0.50000>)\r\n",
        &mut |piece| sent += piece.len(),
    );
    assert!(
        sent > 2 * 400 * 11 + 100_000 * 11 + 50_000 && sent < 2 * 400 * 11 + 100_000 * 11 + 50_300
    );
    // A thousand times the same large header.
    mailboxes
        .deliver(format!("{}\n", "X-Long: abcdefghijklmnopqrstuvwxyz\n".repeat(500)).as_bytes());
    let items: Vec<String> = (0..1000)
        .map(|n| format!("BODY.PEEK[HEADER.FIELDS (X-Long x{n})]"))
        .collect();
    let command = format!("c NOOP\r\nd FETCH 3 ({})\r\n", items.join(" "));
    let mut sent = 0;
    connection.exchange_with(&mut mailboxes, command.as_bytes(), &mut |piece| {
        sent += piece.len()
    });
    assert!(sent > 1000 * 500 * 36);
}

#[test]
fn a_mailbox_has_at_most_1000_keywords() {
    let mut mailboxes = Mailboxes::default();
    mailboxes.deliver(b"x");
    let mut connection = connection();
    connection.exchange(&mut mailboxes, b"a SELECT INBOX\r\n");
    let mut store = |names: std::ops::Range<usize>| {
        let names: Vec<String> = names.map(|n| format!("k{n}")).collect();
        let command = format!("b STORE 1 +FLAGS.SILENT ({})\r\n", names.join(" "));
        String::from_utf8(connection.exchange(&mut mailboxes, command.as_bytes())).unwrap()
    };
    assert!(store(0..MOST_KEYWORDS - 1).contains("b OK"));
    assert!(store(0..MOST_KEYWORDS).contains("b OK"));
    assert_eq!(
        store(0..MOST_KEYWORDS + 1),
        "b BAD Error in IMAP command: at most 1000 keywords expected at octet 4920.\r\n"
    );
    assert_eq!(
        store(5000..5001),
        "b NO [LIMIT] The mailbox has too many keywords.\r\n"
    );
    assert!(Keyword::parse(&[b'k'; 255]).is_ok());
}

#[test]
fn a_shutdown_waits_for_the_command_in_progress() {
    let mut mailboxes = Mailboxes::default();
    let mut connection = connection();
    connection.exchange(&mut mailboxes, b"a APPEND INBOX {3}\r\nab");
    connection.session().shutdown();
    assert_eq!(connection.exchange(&mut mailboxes, b""), b"");
    let end = connection.exchange(&mut mailboxes, b"c\r\nb NOOP\r\n");
    let end = String::from_utf8(end).unwrap();
    assert!(
        end.starts_with("a OK [APPENDUID ")
            && end.ends_with("* BYE [UNAVAILABLE] Server shutting down.\r\n")
    );
    assert!(!end.contains("b OK") && connection.is_closed());
    assert_eq!(
        mailboxes
            .list(&courier_imap::grammar::mailbox_name::MailboxName::inbox())
            .len(),
        1
    );
}

#[test]
fn a_shutdown_ends_idle_and_half_a_command() {
    for begin in [
        "a IDLE\r\n",
        "a LOG",
        "a CREATE {5}\r\nabc",
        "a APPEND {5}\r\nabc",
        "",
    ] {
        let mut mailboxes = Mailboxes::default();
        let mut connection = connection();
        connection.exchange(&mut mailboxes, begin.as_bytes());
        connection.session().shutdown();
        let end = connection.exchange(&mut mailboxes, b"");
        assert_eq!(
            end, b"* BYE [UNAVAILABLE] Server shutting down.\r\n",
            "{begin}"
        );
        assert!(connection.is_closed());
    }
}

#[test]
fn many_folders_stream() {
    let mut mailboxes = Mailboxes::default();
    let mut connection = connection();
    let commands: String = (0..10_000)
        .map(|n| format!("a CREATE INBOX.a{}.{n}\r\n", n % 100))
        .collect();
    connection.exchange(&mut mailboxes, commands.as_bytes());
    let list = connection.exchange(&mut mailboxes, b"b LIST \"\" *\r\n");
    let list = String::from_utf8(list).unwrap();
    assert_eq!(list.lines().count(), 10_000 + 100 + 1 + 1);
    assert_eq!(list.matches("\\Noselect").count(), 100);
}
