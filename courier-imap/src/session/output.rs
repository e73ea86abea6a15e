//! What a session wants of its host: the questions, and the shapes of their answers.

use std::sync::Arc;

use courier_core::account::secret::Secret;
use courier_core::message::Structure;
use courier_core::message::wire::Content;
use courier_core::message::wire::Segment;
use courier_core::time::{Millis, UnixSeconds};
use courier_core::token::Token;

use crate::grammar::command::{Access, CopyMode, FlagChange, FlagList, ListScope, StatusItems};
use crate::grammar::mailbox_name::MailboxName;
use crate::search::key::Key;
use crate::view::{Snapshot, Uid, UidValidity};

/// What the host does next. Of a step: first this, then drop what was consumed.
#[derive(Debug)]
pub enum Output<'b> {
    /// Send `pending()` to the client, or a part of it, then report `wrote(n)`.
    Write,
    /// Send all of this to the client before anything else.
    Send(Segment),
    /// Drop what is buffered of the client's input, shake hands, report `tls_started()`.
    StartTls,
    /// LOGIN: does the password fit? Answer with [`super::Session::authenticated`].
    Login(Token<Authentication>, Credentials),
    /// AUTHENTICATE: a SASL exchange begins. Answer with [`super::Session::authenticated`].
    Authenticate(Token<Authentication>, Exchange),
    /// The client's next word in the exchange, decoded. Answer as before.
    Respond(Token<Authentication>, Vec<u8>),
    /// The client says who it is (RFC 2971): for the log. Field names with their values.
    ClientId(Vec<(String, Option<String>)>),
    /// LIST, LSUB: which folders are there? Answer with [`super::Session::folders`].
    Folders(Token<Folders>, ListScope),
    /// Change the folders; durably. Answer with [`super::Session::folders_changed`].
    ChangeFolders(Token<FolderChanges>, FolderChange),
    /// STATUS. Answer with [`super::Session::status`].
    Status(Token<Status>, MailboxName, StatusItems),
    /// Open this mailbox in place of the one that is open. Answer with
    /// [`super::Session::selected`].
    Select(Token<Select>, MailboxName, Access),
    /// The open mailbox is not needed any more. No answer.
    Deselect,
    /// What has happened to the open mailbox since it was opened or last refreshed? Answer
    /// with [`super::Session::refreshed`].
    Refresh(Token<Refresh>),
    /// Facts and texts of some messages. Answer with [`super::Session::fetched`].
    Fetch(Token<Fetch>, FetchRequest),
    /// Change flags. Answer with [`super::Session::stored`].
    Store(Token<Store>, StoreRequest),
    /// Which of these messages does the key mean? See
    /// [`crate::search::matching::matches`]. Answer with [`super::Session::searched`].
    Search(Token<Search>, SearchRequest),
    /// Remove these messages, durably. Answer with [`super::Session::expunged`].
    Expunge(Token<Expunge>, Vec<Uid>),
    /// Copy or move messages, all or none, durably. Answer with [`super::Session::copied`].
    Copy(Token<Copy>, CopyRequest),
    /// May this message come? Answer with [`super::Session::append_begun`].
    Append(Token<AppendBegin>, AppendRequest),
    /// The next octets of the message, as they came over the wire: CRLF, and all of the
    /// size that was told. What goes wrong is said when the message is complete.
    AppendData(&'b [u8]),
    /// The message is complete: make it durable. Answer with
    /// [`super::Session::append_finished`].
    AppendFinish(Token<AppendFinish>),
    /// The message will not be completed: throw away what came of it. No answer.
    AppendAbandoned,
    /// Read more, answer what is asked, or poll again at the deadline. While the mailbox is
    /// to be watched, call [`super::Session::changed`] when it may have changed.
    Wait {
        /// `Millis(u64::MAX)` if nothing is due.
        deadline: Millis,
        /// Whether a change should be told at once.
        watch: Watch,
    },
    /// Close the connection. What was begun and not finished is to be forgotten.
    Close(Ending),
}

/// How a session ended, for the log. If the client just goes away, the host knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// LOGOUT.
    Logout,
    /// The client took too long.
    Timeout,
    /// The client was sent away: failed logins, too many errors, its mailbox gone, HTTP.
    Refused,
    /// The server stops.
    Shutdown,
}

/// What the log says at the end of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// Octets of the headers of messages that FETCH told.
    pub headers: u64,
    /// Octets of all other texts of messages that FETCH told.
    pub bodies: u64,
}

/// Whether the host should look out for changes of the open mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// No need: the next command will ask.
    Nothing,
    /// The client is in IDLE.
    Mailbox,
}

/// What a poll comes to.
#[derive(Debug)]
#[must_use = "the output says what to do, and the input must be consumed"]
pub struct Step<'b> {
    /// Octets at the front of the input that are not needed any more.
    pub consumed: usize,
    /// What to do first.
    pub output: Output<'b>,
}

/// Marks the questions about a login.
#[derive(Debug)]
pub enum Authentication {}
/// Marks [`Output::Folders`].
#[derive(Debug)]
pub enum Folders {}
/// Marks [`Output::ChangeFolders`].
#[derive(Debug)]
pub enum FolderChanges {}
/// Marks [`Output::Status`].
#[derive(Debug)]
pub enum Status {}
/// Marks [`Output::Select`].
#[derive(Debug)]
pub enum Select {}
/// Marks [`Output::Refresh`].
#[derive(Debug)]
pub enum Refresh {}
/// Marks [`Output::Fetch`].
#[derive(Debug)]
pub enum Fetch {}
/// Marks [`Output::Store`].
#[derive(Debug)]
pub enum Store {}
/// Marks [`Output::Search`].
#[derive(Debug)]
pub enum Search {}
/// Marks [`Output::Expunge`].
#[derive(Debug)]
pub enum Expunge {}
/// Marks [`Output::Copy`].
#[derive(Debug)]
pub enum Copy {}
/// Marks [`Output::Append`].
#[derive(Debug)]
pub enum AppendBegin {}
/// Marks [`Output::AppendFinish`].
#[derive(Debug)]
pub enum AppendFinish {}

/// Why the host does not do what it was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such mailbox.
    NonExistent,
    /// There is such a mailbox already.
    AlreadyExists,
    /// The account's quota, or the disk, is full.
    OverQuota,
    /// A limit on the number or length of something.
    Limit,
    /// It can never be done.
    Cannot,
    /// The account may not.
    NoPermission,
    /// A message is not there any more.
    Expunged,
    /// The message is larger than may be stored.
    TooBig,
    /// Something that is needed does not answer now.
    Unavailable,
    /// The disk or the program has failed; the log says how.
    ServerBug,
}

/// What LOGIN has.
#[derive(Debug)]
pub struct Credentials {
    /// Who: text without control characters.
    pub user: String,
    /// The password, in any octets but NUL.
    pub password: Secret,
}

/// What AUTHENTICATE has.
#[derive(Debug)]
pub struct Exchange {
    /// One of the mechanisms that were offered, in upper case.
    pub mechanism: String,
    /// The initial response, decoded.
    pub initial: Option<Vec<u8>>,
}

/// A folder, as LIST and LSUB tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its name.
    pub name: MailboxName,
    /// Whether it can be selected.
    pub kind: FolderKind,
    /// Whether there is something new in it.
    pub mark: Mark,
}

/// Whether a folder can be selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderKind {
    /// It holds messages.
    Mailbox,
    /// `\Noselect`: only a name, be it above others or left over in the subscriptions.
    Name,
}

/// Whether there is something new in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Nobody has looked.
    Unknown,
    /// `\Marked`
    Marked,
    /// `\Unmarked`
    Unmarked,
}

/// A change of the folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FolderChange {
    /// Make a folder.
    Create(MailboxName),
    /// Remove a folder; those below it stay.
    Delete(MailboxName),
    /// Give a folder, and all below it, another name.
    Rename {
        /// The name it has.
        from: MailboxName,
        /// The name it gets.
        to: MailboxName,
    },
    /// Put a folder that exists on the list of subscriptions.
    Subscribe(MailboxName),
    /// Take a name off the list of subscriptions, if it is there.
    Unsubscribe(MailboxName),
}

/// What STATUS tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Messages.
    pub messages: u32,
    /// Messages that no session has been told of.
    pub recent: u32,
    /// Messages that are not seen.
    pub unseen: u32,
    /// UIDNEXT
    pub uid_next: Uid,
    /// UIDVALIDITY
    pub uid_validity: UidValidity,
}

/// A mailbox that was opened.
#[derive(Debug)]
pub struct Opened {
    /// Its messages.
    pub snapshot: Snapshot,
    /// Read-only if that was asked, or if nothing in it may be changed.
    pub access: Access,
}

/// The most messages of one [`Output::Fetch`] for their sizes or texts.
pub const MOST_FETCHED: usize = 32;
/// The most messages of one [`Output::Fetch`] for nothing but their dates.
pub const MOST_DATED: usize = 1000;
/// The most messages of one [`Output::Store`].
pub const MOST_STORED: usize = 1000;
/// The most messages of one [`Output::Search`].
pub const MOST_SEARCHED: usize = 128;

/// What is wanted of some messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// Which, at most [`MOST_FETCHED`], or [`MOST_DATED`] for [`Need::Date`].
    pub uids: Vec<Uid>,
    /// What of each.
    pub need: Need,
}

/// What is wanted of a message; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Its internal date.
    Date,
    /// Its size on the wire.
    Size,
    /// Its octets.
    Content,
    /// Its octets, and what [`courier_core::message::scan`] finds in them.
    Structure,
}

/// What became of one message of a [`FetchRequest`].
#[derive(Debug)]
pub enum Fetched {
    /// Here it is.
    Message(Contents),
    /// It is not there any more.
    Gone,
    /// It cannot be read.
    Failed(Refusal),
}

/// A message, as far as it was wanted. What is missing is found out from the content by
/// the session, on the thread that polls it.
#[derive(Default)]
pub struct Contents {
    /// The internal date.
    pub date: Option<UnixSeconds>,
    /// Octets with CRLF line ends.
    pub size: Option<u64>,
    /// The stored octets.
    pub content: Option<Content>,
    /// The scan of these octets.
    pub structure: Option<Arc<Structure>>,
}

impl std::fmt::Debug for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contents")
            .field("date", &self.date)
            .field("size", &self.size)
            .field(
                "content",
                &self.content.as_ref().map(|c| (**c).as_ref().len()),
            )
            .finish_non_exhaustive()
    }
}

/// A change of flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreRequest {
    /// Of which messages, at most [`MOST_STORED`].
    pub uids: Vec<Uid>,
    /// What to do.
    pub change: FlagChange,
    /// Whether this must be durable when it is answered, with all that came before.
    pub batch: Batch,
}

/// Whether a command goes on with another question of the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// It does: what is done need not be durable yet.
    More,
    /// It does not: everything must be durable before the answer.
    Last,
}

/// Messages to be looked into.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// Which, at most [`MOST_SEARCHED`].
    pub uids: Vec<Uid>,
    /// Holds no keys but those that the content decides, and NOT, OR and AND.
    pub key: Arc<Key>,
}

/// Messages to be copied or moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyRequest {
    /// Which, ascending.
    pub uids: Vec<Uid>,
    /// Where to. It may be the open mailbox itself.
    pub mailbox: MailboxName,
    /// Which of the two.
    pub mode: CopyMode,
}

/// Messages that were copied or moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// UIDVALIDITY of the mailbox they are in now.
    pub uid_validity: UidValidity,
    /// Their UIDs here and there, ascending by the former.
    pub uids: Vec<(Uid, Uid)>,
}

/// A message that a client wants to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendRequest {
    /// Where to.
    pub mailbox: MailboxName,
    /// With which flags and keywords.
    pub flags: FlagList,
    /// The internal date, if not now.
    pub date: Option<UnixSeconds>,
    /// Octets that will come.
    pub size: u64,
}

/// A message that was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// UIDVALIDITY of the mailbox.
    pub uid_validity: UidValidity,
    /// Its UID.
    pub uid: Uid,
}
