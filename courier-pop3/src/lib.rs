//! A POP3 server without I/O: RFC 1939 with CAPA (RFC 2449), STLS (RFC 2595), AUTH
//! (RFC 5034), response codes (RFC 2449, RFC 3206), UTF8 and LANG (RFC 6856).
//!
//! A [`Session`](session::Session) is fed with what the client sends and says what to
//! do: write, answer a question, send a message, wait, close. It knows nothing of
//! sockets, maildirs, passwords or clocks. [`proxy`] logs in to another server in a
//! client's place.
//!
//! A host is a loop like this one, which serves one message from memory:
//!
//! ```
//! use std::sync::Arc;
//! use courier_core::account::sasl::Verdict;
//! use courier_core::message::wire::Content;
//! use courier_core::time::Millis;
//! use courier_pop3::listing::{HeaderOctets, Listing};
//! use courier_pop3::session::{
//!     ClearPasswords, Opened, Output, Session, Settings, Step, Transport,
//! };
//!
//! let message: Content = Arc::new(b"Subject: hi\n\n.signature\n");
//! let mut deleted = Vec::new();
//!
//! let settings = Settings { clear_passwords: ClearPasswords::Allowed, ..Settings::default() };
//! let mut session = Session::new(Arc::new(settings), Transport::Plain);
//! let mut input = b"USER jane\r\nPASS secret\r\nUIDL 1\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n".to_vec();
//! let mut wire = Vec::new();
//! loop {
//!     let Step { consumed, output } = session.poll(Millis(0), &input);
//!     input.drain(..consumed);
//!     match output {
//!         Output::Write => {
//!             wire.extend_from_slice(session.pending());
//!             session.wrote(session.pending().len());
//!         }
//!         Output::Send(segment) => wire.extend(segment.pieces(0).flatten()),
//!         Output::Login { token, user, password } => {
//!             let right = user == "jane" && password.expose() == b"secret";
//!             let verdict = if right { Verdict::Accepted } else { Verdict::Refused };
//!             session.authenticated(token, verdict);
//!         }
//!         Output::Open { token } => {
//!             let mut listing = Listing::new();
//!             listing.push(27, "UID1-1795623834", HeaderOctets::Ascii)?;
//!             session.opened(token, Opened::Maildrop(listing));
//!         }
//!         Output::Retrieve { token, .. } => session.retrieved(token, Ok(Arc::clone(&message))),
//!         Output::Delete { token, numbers } => {
//!             deleted = numbers; // … and make it durable
//!             session.deleted(token, 0);
//!         }
//!         Output::Close(_) => break,
//!         other => return Err(format!("not in this dialogue: {other:?}").into()),
//!     }
//! }
//! let wire = String::from_utf8(wire)?;
//! assert_eq!(wire.lines().collect::<Vec<_>>(), [
//!     "+OK Hello there.",
//!     "+OK Password required.",
//!     "+OK logged in.",
//!     "+OK 1 UID1-1795623834",
//!     "+OK 27 octets follow.",
//!     "Subject: hi",
//!     "",
//!     "..signature",
//!     ".",
//!     "+OK Deleted.",
//!     "+OK Bye-bye.",
//! ]);
//! assert_eq!(deleted.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod command;
mod framing;
pub mod listing;
mod notice;
pub mod proxy;
mod retrieval;
pub mod session;
