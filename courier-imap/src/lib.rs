//! An IMAP server machine without I/O: IMAP4rev1 (RFC 3501) with LITERAL+, SASL-IR, IDLE,
//! UIDPLUS, NAMESPACE, ID, ENABLE, UNSELECT, MOVE and CHILDREN.
//!
//! A [`session::Session`] is shown what a client sends and says what its host must do: write, open a
//! mailbox, fetch texts, store flags. It knows no disk, no socket and no clock, and it is
//! asked nothing: whoever has messages can be its host, be it a maildir, a database or a
//! test. Large texts are named, not carried, and no more than 64 KiB are ever waiting to be
//! written, whatever a client asks for.
//!
//! A whole exchange, with a host that has one message:
//!
//! ```
//! use std::{num::NonZeroU32, sync::Arc};
//!
//! use courier_core::account::sasl::Verdict;
//! use courier_core::time::{Millis, UnixSeconds};
//! use courier_imap::grammar::{command::Access, flag::Flags, response::Recent};
//! use courier_imap::session::output::{Contents, Fetched, Opened, Output, Step};
//! use courier_imap::session::settings::{LoginCommand, Settings};
//! use courier_imap::session::{Session, Transport};
//! use courier_imap::view::{Changes, Message, Snapshot, Uid, UidValidity};
//!
//! let stored = b"Subject: Lunch?\n\nAt one.\n".to_vec();
//! let mut settings = Settings::default();
//! settings.clear.command = LoginCommand::Allowed; // never do this but on loopback
//! let mut session = Session::new(Arc::new(settings), Transport::Clear);
//!
//! // What comes from the client, as one burst: it may pipeline.
//! let mut input: &[u8] = b"a LOGIN carol secret\r\n\
//!     b EXAMINE inbox\r\n\
//!     c UID FETCH 1:* (FLAGS BODY[TEXT])\r\n\
//!     d LOGOUT\r\n";
//! let mut sent = Vec::new();
//! loop {
//!     let Step { consumed, output } = session.poll(Millis(0), input);
//!     match output {
//!         Output::Write => {
//!             sent.extend_from_slice(session.pending());
//!             session.wrote(session.pending().len());
//!         }
//!         Output::Send(segment) => segment.pieces(0).for_each(|piece| sent.extend_from_slice(piece)),
//!         Output::Login(token, who) => {
//!             let fits = who.user == "carol" && who.password.expose() == b"secret";
//!             session.authenticated(token, if fits { Verdict::Accepted } else { Verdict::Refused });
//!         }
//!         Output::Select(token, _mailbox, access) => {
//!             let mut snapshot = Snapshot::new(UidValidity(NonZeroU32::MIN), Uid::new(8).unwrap());
//!             let (uid, date) = (Uid::new(7).unwrap(), Some(UnixSeconds(1_795_000_000)));
//!             let (flags, recent, keywords, size) = (Flags::NONE, Recent::Yes, Vec::new(), None);
//!             snapshot.push(&Message { uid, flags, keywords, recent, size, date }).unwrap();
//!             session.selected(token, Ok(Opened { snapshot, access }));
//!         }
//!         Output::Fetch(token, request) => {
//!             let contents = || Contents { content: Some(Arc::new(stored.clone())), ..Contents::default() };
//!             let messages = request.uids.iter().map(|_uid| Fetched::Message(contents()));
//!             session.fetched(token, messages.collect());
//!         }
//!         Output::Refresh(token) => session.refreshed(token, Ok(Changes::default())),
//!         Output::Wait { .. } => break, // here a server reads, until the deadline
//!         Output::Close(_) => break,
//!         other => unreachable!("nobody asked for this: {other:?}"),
//!     }
//!     input = &input[consumed..];
//! }
//! let sent = String::from_utf8(sent).unwrap();
//! assert!(sent.starts_with("* OK [CAPABILITY IMAP4rev1 "));
//! assert!(sent.contains("\r\n* 1 EXISTS\r\n* 1 RECENT\r\n"));
//! assert!(sent.contains("* 1 FETCH (UID 7 FLAGS (\\Recent) BODY[TEXT] {9}\r\nAt one.\r\n)\r\n"));
//! assert!(sent.ends_with("d OK LOGOUT completed.\r\n"));
//! ```
//!
//! From the top down: [`session`] (one file a group of commands) uses [`search`],
//! [`mod@structure`], [`envelope`] and [`section`] (pure functions over a message's octets), the
//! [`view`] (sequence numbers against UIDs) and the [`grammar`]. [`testing`] has a host in
//! memory.
#![forbid(unsafe_code)]

mod answer;
pub mod envelope;
pub mod grammar;
pub mod search;
pub mod section;
pub mod session;
pub mod structure;
pub mod testing;
pub mod view;
