//! Maildirs: deliveries, folders and UIDs, as formats and tasks.
//!
//! The crate knows what files are called and what stands in them, in which order they
//! are written, and what must be synced before what. It touches no file: its
//! procedures are tasks on [`courier_core::disk`], which a driver carries out. Real
//! Courier, Dovecot, mutt and `mv` may work on the same maildir at the same time.
//!
//! # A delivery and a look
//! ```
//! use courier_core::disk;
//! use courier_core::mta::journal::MessageId;
//! use courier_core::testing::MemDisk;
//! use courier_maildir::content::Content;
//! use courier_maildir::delivery::{Absent, Attempt, Delivery, deliver};
//! use courier_maildir::folder::FolderPath;
//! use courier_maildir::mailbox::{Access, open};
//! use courier_maildir::name::{HostName, Maker, UniqueName};
//! use courier_maildir::writer::Writer;
//!
//! let mut world = MemDisk::new();
//! let writer = Writer::new(world.now(), 4711, HostName::new("mx.example.com"), 0o600);
//! let inbox = FolderPath::inbox("/Maildir");
//!
//! // A message from the journal. Tried again after a crash, it lands on itself.
//! let delivery = Delivery {
//!     folder: inbox.clone(),
//!     name: UniqueName {
//!         seconds: 1_700_000_000,
//!         micros: 208_947,
//!         maker: Maker::Journal { message: MessageId(42), recipient: 0 },
//!         host: HostName::new("mx.example.com"),
//!     },
//!     content: Content::default().octets(&b"Subject: hello\n\nHow are you?\n"[..]),
//!     attempt: Attempt::First,
//!     absent: Absent::Create,
//! };
//! let outcomes = world.run(disk::task(|disk| {
//!     let writer = writer.clone();
//!     async move { deliver(&disk, vec![delivery], &writer).await }
//! }));
//! assert!(outcomes[0].is_ok());
//!
//! // The power fails; what was reported delivered is there, and gets its UID.
//! let mut world = world.crash_losing_all();
//! let snapshot = world.run(disk::task(|disk| async move {
//!     open(&disk, &inbox, Access::ReadWrite, &writer).await
//! }))?;
//! let message = snapshot.messages().next().expect("one message");
//! assert_eq!(message.uid().get(), 1);
//! assert_eq!(
//!     message.path().to_str(),
//!     Some("/Maildir/cur/1700000000.M208947J2aR0.mx.example.com,S=29,W=32:2,")
//! );
//! assert_eq!(message.wire_size(), Some(32));
//! # Ok::<(), courier_maildir::mailbox::MailboxError>(())
//! ```
//!
//! # What a service calls
//! Each is an `async fn` whose first argument is a [`Disk`](courier_core::disk::Disk)
//! and whose last, where it writes, is a [`Writer`](writer::Writer): the process, its
//! host and the time. Run each to its end: a task that is dropped in the midst may
//! leave a lock, which holds others up for two minutes.
//!
//! | for | task |
//! | --- | --- |
//! | local delivery, many at a time | [`delivery::deliver`] |
//! | IMAP `SELECT`, `EXAMINE`, `STATUS` | [`mailbox::open`] gives a [`mailbox::Snapshot`]; its `counts()` |
//! | `NOOP`, `IDLE`, before tagged answers | [`mailbox::refresh`] gives [`mailbox::Changes`] |
//! | `STORE` | [`mailbox::store`] |
//! | `EXPUNGE`, `UID EXPUNGE`, `CLOSE` | [`mailbox::expunge`], [`mailbox::expunge_to`] the trash |
//! | `APPEND` | [`mailbox::append`] |
//! | `COPY`, `MOVE` | [`mailbox::copy`], [`mailbox::move_to`] |
//! | `FETCH` of a file that is not there | [`mailbox::locate`] |
//! | `RFC822.SIZE` that no name tells | [`mailbox::measure`] |
//! | `LIST`, any mailbox name | [`folder::list`], [`folder::locate`] |
//! | `CREATE`, `DELETE`, `RENAME` | [`folder::create`], [`folder::delete`], [`folder::rename`] |
//! | `GETACL`, `MYRIGHTS`, `SETACL`, `DELETEACL` | [`acl::read`], [`acl::change`]; at login [`acl::reset`] |
//! | folders of others by `#shared.` | [`shared::find`], [`shared::list`] |
//! | folders of others by `shared.` | [`shared::mirror::subscribe`], [`shared::mirror::unsubscribe`], [`shared::mirror::sync`], [`shared::mirror::expunge`] |
//! | `SUBSCRIBE`, `LSUB` | [`subscription::change`], [`subscription::load`] |
//! | POP3 login, `RETR`, `QUIT` | [`pop3::open`], [`pop3::find`], [`pop3::mark_seen`], [`pop3::remove`] |
//! | an account's quota, `GETQUOTA` | [`quota::adopt`], [`quota::usage`] |
//! | local delivery by quota | [`quota::deliver`] |
//! | login and logout with `IMAP_EMPTYTRASH` | [`trash::purge`] |
//! | a new account | [`folder::create_maildir`] |
//!
//! # What is promised
//! - A delivery that is reported done, and a message, flag or UID that a task has
//!   answered, survives a loss of power.
//! - Nothing that we write stands in `new` or `cur` and is not whole.
//! - No UID is ever told for two messages; no UIDVALIDITY comes again.
//! - Others' rules are kept: unknown flag letters stay, what others rename is found,
//!   what they remove is no error.
//!
//! The tests cut each task off at every operation, with every choice of what survives,
//! let every operation fail in every way, and let another session do its work before
//! every operation.
#![forbid(unsafe_code)]

pub mod acl;
pub mod autoresponse;
pub mod check;
pub mod content;
pub mod delivery;
pub mod filter_rules;
pub mod flags;
pub mod folder;
pub mod import;
pub mod index;
pub mod keywords;
pub mod lock;
pub mod mailbox;
pub mod measure;
mod modified_utf7;
pub mod name;
pub mod pop3;
pub mod quota;
mod replace;
mod scan;
pub mod shared;
pub mod shared_index;
pub mod subscription;
pub mod trash;
pub mod tree;
pub mod uid_list;
mod validity;
pub mod writer;
