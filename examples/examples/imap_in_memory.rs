//! A table as a mailbox: each planet is a message, and any mail client may look it up.
//!
//! ```sh
//! cargo run -p courier-examples --example imap_in_memory
//! ```
//!
//! `courier-imap` holds the protocol: the grammar, sequence numbers, sections of
//! messages, searching. What is here is a host that makes the messages up.

use std::error::Error;
use std::num::NonZeroU32;
use std::sync::Arc;

use courier_core::account::sasl::Verdict;
use courier_core::message::{Limits, scan};
use courier_core::time::{Millis, UnixSeconds};
use courier_imap::grammar::command::Access;
use courier_imap::grammar::flag::Flags;
use courier_imap::grammar::response::Recent;
use courier_imap::search::matching::matches;
use courier_imap::session::output::{
    Contents, Fetched, Opened, Output, Refusal, SearchRequest, Step,
};
use courier_imap::session::settings::{LoginCommand, Settings};
use courier_imap::session::{Session, Transport};
use courier_imap::view::{Changes, Message, Snapshot, Uid, UidValidity};

/// Name, moons, and a remark.
const PLANETS: [(&str, u32, &str); 4] = [
    ("Mercury", 0, "Hot by day, cold by night, and soon round."),
    ("Earth", 1, "Mostly harmless."),
    ("Mars", 2, "Red."),
    ("Saturn", 146, "The one with the rings."),
];

/// A planet as a message; planets are never deleted, so UIDs are their places.
fn message(uid: Uid) -> Option<Vec<u8>> {
    let place = usize::try_from(uid.get()).ok()?.checked_sub(1)?;
    let (name, moons, remark) = PLANETS.get(place)?;
    let message =
        format!("From: The sky <sky@example.com>\nSubject: {name}\nX-Moons: {moons}\n\n{remark}\n");
    Some(message.into_bytes())
}

/// All of them, as a client sees them when it opens the mailbox.
fn sky() -> Result<Snapshot, Box<dyn Error>> {
    let uid = |number| Uid::new(number).ok_or("UIDs begin with 1");
    let planets = u32::try_from(PLANETS.len())?;
    let mut snapshot = Snapshot::new(UidValidity(NonZeroU32::MIN), uid(planets + 1)?);
    for number in 1..=planets {
        snapshot.push(&Message {
            uid: uid(number)?,
            flags: Flags::NONE,
            keywords: Vec::new(),
            recent: Recent::No,
            size: None, // the session counts, should somebody ask
            date: Some(UnixSeconds(0)),
        })?;
    }
    Ok(snapshot)
}

/// The planets that a search means.
fn search(request: &SearchRequest) -> Vec<Uid> {
    let mut found = request.uids.clone();
    found.retain(|uid| {
        let message = message(*uid).unwrap_or_default();
        let structure = scan(&message, &Limits::default());
        // Flags, dates and sizes are decided by the session; only texts come here.
        matches(&request.key, &message, &structure, &mut |_| false)
    });
    found
}

/// Serves one connection: what the client sends, to the end, gives what it gets.
fn serve(client: &[u8]) -> Result<String, Box<dyn Error>> {
    let mut settings = Settings::default();
    settings.clear.command = LoginCommand::Allowed; // here no wire can be tapped
    let mut session = Session::new(Arc::new(settings), Transport::Clear);
    let (mut input, mut sent) = (client, Vec::new());
    loop {
        let Step { consumed, output } = session.poll(Millis(0), input);
        match output {
            Output::Write => {
                sent.extend_from_slice(session.pending());
                session.wrote(session.pending().len());
            }
            Output::Send(segment) => sent.extend(segment.pieces(0).flatten()),
            Output::Login(token, _) => session.authenticated(token, Verdict::Accepted),
            Output::Select(token, mailbox, _) => {
                let access = Access::ReadOnly; // whatever the client would like
                let opened = match mailbox.is_inbox() {
                    true => Ok(Opened {
                        snapshot: sky()?,
                        access,
                    }),
                    false => Err(Refusal::NonExistent),
                };
                session.selected(token, opened);
            }
            Output::Fetch(token, request) => {
                let texts = request.uids.iter().map(|uid| message(*uid));
                let fetched = texts.map(|text| match text {
                    Some(text) => Fetched::Message(Contents {
                        content: Some(Arc::new(text)),
                        ..Contents::default()
                    }),
                    None => Fetched::Gone,
                });
                session.fetched(token, fetched.collect());
            }
            Output::Search(token, request) => session.searched(token, Ok(search(&request))),
            // Nothing ever changes in the sky, or not while anybody looks.
            Output::Refresh(token) => session.refreshed(token, Ok(Changes::default())),
            Output::Wait { .. } | Output::Close(_) => break,
            other => unreachable!("this client does not ask for {other:?}"),
        }
        input = input.get(consumed..).unwrap_or_default();
    }
    Ok(String::from_utf8(sent)?)
}

const CONVERSATION: &str = "\
a LOGIN anybody anything
b SELECT INBOX
c FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT X-MOONS)])
d SEARCH TEXT rings
e UID FETCH 4 (RFC822.SIZE ENVELOPE BODY.PEEK[TEXT])
f LOGOUT
";

fn main() -> Result<(), Box<dyn Error>> {
    let sent = serve(CONVERSATION.replace('\n', "\r\n").as_bytes())?;
    print!("{sent}");

    assert!(sent.contains("* 4 EXISTS\r\n"));
    assert!(sent.contains("b OK [READ-ONLY]"));
    assert!(sent.contains("Subject: Earth\r\nX-Moons: 1\r\n"));
    assert!(sent.contains("* SEARCH 4\r\n"));
    assert!(sent.contains("BODY[TEXT] {25}\r\nThe one with the rings.\r\n"));
    assert!(sent.ends_with("f OK LOGOUT completed.\r\n"));
    Ok(())
}

#[test]
fn the_example_is_right() -> Result<(), Box<dyn Error>> {
    main()
}
