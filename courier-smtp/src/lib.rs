//! ESMTP and LMTP without sockets: a server machine, a client machine, and the codecs
//! under them.
//!
//! [`Server`] and [`Client`] own one session each. They are shown what was read and told
//! the time; they say what the host does next, as one enum: write, look an address up,
//! take a piece of a message in, make it durable, wait until a deadline, close. They
//! know nothing of TLS, DNS, accounts or files, never block and never call back, and
//! what a session may use is bounded ([`Limits`](server::Limits)).
//!
//! A question carries a token; only the fitting answer takes it, and once. While a
//! question is open nothing is consumed, so a client that sends on waits, and nothing
//! piles up. A message is handed out as slices of the buffer that the host has read
//! into: between the socket and the spool it is copied by the host alone.
//!
//! This is a whole server for one session, over a buffer instead of a socket:
//!
//! ```
//! use std::sync::Arc;
//!
//! use courier_core::time::Millis;
//! use courier_smtp::Server;
//! use courier_smtp::reply::{Refusal, Reply};
//! use courier_smtp::server::{Answer, Outcome, Output, Settings, Step, Transport};
//!
//! let mut input: &[u8] = b"EHLO client.example.net\r\n\
//!     MAIL FROM:<jane@example.net>\r\n\
//!     RCPT TO:<joe@example.com>\r\n\
//!     RCPT TO:<joe@example.org>\r\n\
//!     DATA\r\n\
//!     Subject: hello\r\n\
//!     \r\n\
//!     ..and good-bye\r\n\
//!     .\r\n\
//!     QUIT\r\n";
//! let (mut replies, mut message) = (Vec::new(), Vec::new());
//! let mut session = Server::new(Arc::new(Settings::new("mx.example.com")), Transport::Plain);
//! loop {
//!     let Step { consumed, output } = session.poll(Millis(0), input);
//!     match output {
//!         Output::Write => {
//!             replies.extend_from_slice(session.pending());
//!             session.wrote(session.pending().len());
//!         }
//!         Output::Sender { token, .. } => session.sender(token, Answer::Accept),
//!         Output::Recipient { token, recipient } => {
//!             let mailbox = recipient.path.mailbox();
//!             let ours = mailbox.is_some_and(|m| m.domain().as_str() == "example.com");
//!             session.recipient(token, match ours {
//!                 true => Answer::Accept,
//!                 false => Answer::Refuse(Refusal::relaying_denied()),
//!             });
//!         }
//!         Output::Data { token } => session.data(token, Answer::Accept),
//!         Output::Body(content) => content.append_to(&mut message),
//!         Output::Commit { token, .. } => {
//!             // Only once the message would survive a power cut.
//!             session.committed(token, Outcome::All(Reply::ok("Ok. 42")));
//!         }
//!         Output::Close => break,
//!         other => panic!("not asked for by these settings: {other:?}"),
//!     }
//!     input = &input[consumed..];
//! }
//! assert_eq!(message, b"Subject: hello\n\n.and good-bye\n");
//! let replies = String::from_utf8_lossy(&replies);
//! let codes: Vec<&str> = replies.lines().filter_map(|line| line.get(..4)).collect();
//! assert_eq!(codes, [
//!     "220 ", "250-", "250-", "250-", "250-", "250-", "250-", "250-", "250-", "250 ",
//!     "250 ", "250 ", "513 ", "354 ", "250 ", "221 ",
//! ]);
//! ```
//!
//! From the top down: [`server`] and [`client`] are the machines; [`parameter`] makes
//! types of the arguments of MAIL and RCPT, [`extension`] knows the keywords of EHLO,
//! [`command`] and [`reply`] take lines apart; [`framing`] and [`content`] say where a
//! line and a message end, and nothing else does.
#![forbid(unsafe_code)]

pub mod client;
pub mod command;
pub mod content;
pub mod extension;
pub mod framing;
pub mod parameter;
pub mod reply;
pub mod server;
mod text;

pub use client::Client;
pub use server::Server;
