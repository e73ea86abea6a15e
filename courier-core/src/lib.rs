//! The words every Courier engine speaks: addresses, envelopes, messages, accounts,
//! configuration, the spool journal; and the two shapes in which the engines think.
//!
//! Nothing in this crate touches the world: no files, sockets, processes, threads,
//! clocks or random sources. Time, randomness and answers come in as arguments.
//! *Machines* serve conversations: they are shown input and ask typed questions
//! ([`token`]). *Tasks* serve procedures: straight-line code that hands batches of
//! file operations out and is resumed by their outcomes ([`task`], [`disk`]).
//!
//! A message is looked at, put into the journal, and found there after a crash that
//! lost everything that was not synced:
//!
//! ```
//! use courier_core::disk;
//! use courier_core::envelope::{Channel, Envelope, QueueId, Recipient, Source};
//! use courier_core::envelope::Notify;
//! use courier_core::address::{ForwardPath, ReversePath};
//! use courier_core::message::{self, header};
//! use courier_core::mta::journal::{Content, Entry, Journal, Options};
//! use courier_core::testing::MemDisk;
//! use courier_core::time::UnixSeconds;
//!
//! let text = b"Subject: =?utf-8?q?caf=C3=A9?=\n\nSee you there.\n";
//! let structure = message::scan(text, &message::Limits::default());
//! assert_eq!(structure.root().body_of(text), b"See you there.\n");
//! let subject = header::field(text, "Subject").unwrap();
//! assert_eq!(message::encoded::decode(subject.value), "caf\u{e9}");
//!
//! let mut world = MemDisk::new();
//! let open = |disk: disk::Disk| async move {
//!     Journal::open(&disk, "/spool".into(), Options::default()).await
//! };
//! let (mut journal, _) = world.run(disk::task(open))?;
//! let number = journal.numbers().reserve();
//! let id = QueueId { number: number.id().0, time: 1_795_621_435, process: 1 };
//! let sender = ReversePath::parse(b"<zoe@example.net>")?;
//! let source = Source::new(Channel::Local);
//! let mut envelope = Envelope::new(id, sender, source, UnixSeconds(1_795_621_435));
//! envelope.recipients.push(Recipient {
//!     path: ForwardPath::parse("<ann@b\u{fc}cher.example>".as_bytes())?,
//!     notify: Notify::default(),
//!     orcpt: None,
//! });
//! let content = Content::Octets(text[..].into());
//! let mail = Entry::message(envelope.encode(), 1, content).numbered(&number);
//! let accept = |disk: disk::Disk| {
//!     let journal = &mut journal;
//!     async move { journal.append(&disk, vec![mail]).await }
//! };
//! assert!(world.run(disk::task(accept))[0].is_ok()); // now it may be answered 250
//!
//! let mut world = world.crash_losing_all();
//! let (journal, damage) = world.run(disk::task(open))?;
//! assert!(damage.is_empty());
//! let read = |disk: disk::Disk| {
//!     let journal = &journal;
//!     async move { journal.envelope(&disk, number.id()).await }
//! };
//! assert_eq!(Envelope::decode(&world.run(disk::task(read))?)?, envelope);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod account;
pub mod address;
pub mod config;
pub mod disk;
pub mod envelope;
pub mod message;
pub mod mta;
pub mod task;
pub mod testing;
pub mod time;
pub mod token;
