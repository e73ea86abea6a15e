//! Commands (RFC 3501 §6 and the extensions we announce), from octets to values.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::date::DateTime;
use super::fetch::Items;
use super::lexer::{Cursor, Octets, ParseError};
use super::pattern::Pattern;
use super::search::{self, SearchError};
use super::sequence::SequenceSet;
use crate::search::key::Key;

/// The most pairs in ID (RFC 2971 §3.3).
pub const MOST_ID_PAIRS: usize = 30;

mod flags;

use flags::store;
pub use flags::{FlagChange, FlagList, MOST_KEYWORDS};

/// A command with the tag under which it is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Request<'a> {
    /// What the client called it.
    pub tag: &'a [u8],
    /// What it wants.
    pub command: Result<Command<'a>, CommandError>,
}

/// Why a command cannot be carried out as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// It is not in the grammar.
    #[error(transparent)]
    Syntax(#[from] ParseError),
    /// There is no such command.
    #[error("no such command")]
    Unknown,
    /// A SEARCH in a charset that is not known.
    #[error("the charset of the search is not known")]
    Charset,
    /// It has a NUL in it, which is legal nowhere but in messages.
    #[error("a NUL in a command")]
    Nul,
}

impl From<SearchError> for CommandError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Syntax(error) => Self::Syntax(error),
            SearchError::Charset => Self::Charset,
        }
    }
}

/// What a client wants. Mailbox names are still as they were sent: see
/// [`super::mailbox_name`].
#[derive(Debug, Clone, PartialEq)]
pub enum Command<'a> {
    /// CAPABILITY
    Capability,
    /// NOOP
    Noop,
    /// LOGOUT
    Logout,
    /// ID (RFC 2971), with what the client says of itself.
    Id(Vec<IdPair<'a>>),
    /// STARTTLS
    StartTls,
    /// LOGIN
    Login {
        /// Who.
        user: Cow<'a, [u8]>,
        /// In clear.
        password: Cow<'a, [u8]>,
    },
    /// AUTHENTICATE, with an initial response in base64 (RFC 4959) or none.
    Authenticate {
        /// The mechanism, in any case.
        mechanism: &'a [u8],
        /// `=` is the empty response.
        initial: Option<&'a [u8]>,
    },
    /// ENABLE (RFC 5161), with its capabilities.
    Enable(Vec<&'a [u8]>),
    /// SELECT or EXAMINE
    Select {
        /// Which mailbox.
        mailbox: Cow<'a, [u8]>,
        /// Which of the two.
        access: Access,
    },
    /// CREATE
    Create(Cow<'a, [u8]>),
    /// DELETE
    Delete(Cow<'a, [u8]>),
    /// RENAME
    Rename {
        /// The name it has.
        from: Cow<'a, [u8]>,
        /// The name it gets.
        to: Cow<'a, [u8]>,
    },
    /// SUBSCRIBE
    Subscribe(Cow<'a, [u8]>),
    /// UNSUBSCRIBE
    Unsubscribe(Cow<'a, [u8]>),
    /// LIST or LSUB
    List {
        /// What stands in front of the pattern.
        reference: Cow<'a, [u8]>,
        /// A name with wildcards.
        pattern: Cow<'a, [u8]>,
        /// Which of the two.
        scope: ListScope,
    },
    /// NAMESPACE (RFC 2342)
    Namespace,
    /// STATUS
    Status {
        /// Which mailbox.
        mailbox: Cow<'a, [u8]>,
        /// What of it.
        items: StatusItems,
    },
    /// IDLE (RFC 2177)
    Idle,
    /// CHECK
    Check,
    /// CLOSE
    Close,
    /// UNSELECT (RFC 3691)
    Unselect,
    /// EXPUNGE, or UID EXPUNGE with its set (RFC 4315 §2.1).
    Expunge(Option<SequenceSet>),
    /// SEARCH
    Search {
        /// What to look for.
        key: Key,
        /// What to answer with.
        by: By,
    },
    /// FETCH
    Fetch {
        /// Of which messages.
        set: SequenceSet,
        /// What.
        items: Items,
        /// Whether the set holds UIDs.
        by: By,
    },
    /// STORE
    Store {
        /// Of which messages.
        set: SequenceSet,
        /// What to do.
        change: FlagChange,
        /// Whether to tell the result.
        echo: Echo,
        /// Whether the set holds UIDs.
        by: By,
    },
    /// COPY, or MOVE (RFC 6851)
    Copy {
        /// Which messages.
        set: SequenceSet,
        /// Where to.
        mailbox: Cow<'a, [u8]>,
        /// Which of the two.
        mode: CopyMode,
        /// Whether the set holds UIDs.
        by: By,
    },
}

/// A pair of ID.
pub type IdPair<'a> = (Cow<'a, [u8]>, Option<Cow<'a, [u8]>>);

/// SELECT or EXAMINE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// SELECT
    ReadWrite,
    /// EXAMINE: nothing changes, not even `\Recent`.
    ReadOnly,
}

/// LIST or LSUB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListScope {
    /// LIST
    All,
    /// LSUB
    Subscribed,
}

/// Whether a command speaks of sequence numbers or of UIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Sequence numbers.
    Sequence,
    /// UIDs: the command began with the word UID.
    Uid,
}

/// COPY or MOVE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyMode {
    /// COPY
    Copy,
    /// MOVE
    Move,
}

/// Whether STORE tells the flags it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// It does.
    Flags,
    /// `.SILENT`: it does not.
    Silent,
}

/// What STATUS can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusItem {
    /// How many messages there are.
    Messages,
    /// How many are recent.
    Recent,
    /// The UID that the next message will get.
    UidNext,
    /// UIDVALIDITY.
    UidValidity,
    /// How many are not seen.
    Unseen,
}

impl StatusItem {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Messages, "MESSAGES"),
        (Self::Recent, "RECENT"),
        (Self::UidNext, "UIDNEXT"),
        (Self::UidValidity, "UIDVALIDITY"),
        (Self::Unseen, "UNSEEN"),
    ];

    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(item, _)| *item == self)
            .map_or("", |(_, name)| name)
    }
}

/// The items of a STATUS, each once, in the order asked for.
pub type StatusItems = SmallVec<[StatusItem; 5]>;

impl<'a> Request<'a> {
    /// Reads a whole command without the line end behind it.
    ///
    /// # Errors
    /// If there is no tag to answer under.
    pub fn parse(octets: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(octets);
        let tag = cursor.tag()?;
        let command = if memchr::memchr(0, octets).is_some() {
            Err(CommandError::Nul)
        } else {
            command(&mut cursor)
        };
        Ok(Self { tag, command })
    }
}

fn command<'a>(cursor: &mut Cursor<'a>) -> Result<Command<'a>, CommandError> {
    cursor.space()?;
    let mut name = [0_u8; 16];
    let name = command_name(cursor, &mut name)?;
    let command = match name {
        b"CAPABILITY" => Command::Capability,
        b"NOOP" => Command::Noop,
        b"LOGOUT" => Command::Logout,
        b"STARTTLS" => Command::StartTls,
        b"NAMESPACE" => Command::Namespace,
        b"IDLE" => Command::Idle,
        b"CHECK" => Command::Check,
        b"CLOSE" => Command::Close,
        b"UNSELECT" => Command::Unselect,
        b"EXPUNGE" => Command::Expunge(None),
        _ => {
            cursor.space().map_err(|error| {
                if is_known(name) {
                    CommandError::Syntax(error)
                } else {
                    CommandError::Unknown
                }
            })?;
            with_arguments(name, cursor)?
        }
    };
    cursor.end()?;
    Ok(command)
}

/// The next word in upper case.
fn command_name<'n>(
    cursor: &mut Cursor<'_>,
    buffer: &'n mut [u8; 16],
) -> Result<&'n [u8], CommandError> {
    let given = cursor.atom()?;
    let name = buffer.get_mut(..given.len()).ok_or(CommandError::Unknown)?;
    name.copy_from_slice(given);
    name.make_ascii_uppercase();
    Ok(name)
}

fn is_known(name: &[u8]) -> bool {
    [
        &b"ID"[..],
        b"LOGIN",
        b"AUTHENTICATE",
        b"ENABLE",
        b"SELECT",
        b"EXAMINE",
        b"CREATE",
        b"DELETE",
        b"RENAME",
        b"SUBSCRIBE",
        b"UNSUBSCRIBE",
        b"LIST",
        b"LSUB",
        b"STATUS",
        b"APPEND",
        b"SEARCH",
        b"FETCH",
        b"STORE",
        b"COPY",
        b"MOVE",
        b"UID",
    ]
    .contains(&name)
}

fn with_arguments<'a>(name: &[u8], cursor: &mut Cursor<'a>) -> Result<Command<'a>, CommandError> {
    Ok(match name {
        b"FETCH" | b"STORE" | b"COPY" | b"MOVE" | b"SEARCH" => {
            on_messages(name, cursor, By::Sequence)?
        }
        b"UID" => {
            let mut name = [0_u8; 16];
            let name = command_name(cursor, &mut name)?;
            cursor.space()?;
            on_messages(name, cursor, By::Uid)?
        }
        b"ID" => Command::Id(id_pairs(cursor)?),
        b"LOGIN" => {
            let user = cursor.astring(Octets::EightBit)?;
            cursor.space()?;
            let password = cursor.astring(Octets::EightBit)?;
            Command::Login { user, password }
        }
        b"AUTHENTICATE" => {
            let mechanism = cursor.atom()?;
            let initial = if cursor.accept(b' ') {
                Some(cursor.base64()?)
            } else {
                None
            };
            Command::Authenticate { mechanism, initial }
        }
        b"ENABLE" => {
            let mut capabilities = vec![cursor.atom()?];
            while cursor.accept(b' ') {
                capabilities.push(cursor.atom()?);
            }
            Command::Enable(capabilities)
        }
        b"SELECT" => select(cursor, Access::ReadWrite)?,
        b"EXAMINE" => select(cursor, Access::ReadOnly)?,
        b"CREATE" => Command::Create(mailbox(cursor)?),
        b"DELETE" => Command::Delete(mailbox(cursor)?),
        b"RENAME" => {
            let from = mailbox(cursor)?;
            cursor.space()?;
            let to = mailbox(cursor)?;
            Command::Rename { from, to }
        }
        b"SUBSCRIBE" => Command::Subscribe(mailbox(cursor)?),
        b"UNSUBSCRIBE" => Command::Unsubscribe(mailbox(cursor)?),
        b"LIST" => list(cursor, ListScope::All)?,
        b"LSUB" => list(cursor, ListScope::Subscribed)?,
        b"STATUS" => {
            let mailbox = mailbox(cursor)?;
            cursor.space()?;
            let items = status_items(cursor)?;
            Command::Status { mailbox, items }
        }
        // Framing hands out an APPEND at its message; here it came without one.
        b"APPEND" => {
            return Err(cursor
                .expected("a mailbox, and the message in a literal")
                .into());
        }
        _ => return Err(CommandError::Unknown),
    })
}

/// The commands that exist with and without UID in front.
fn on_messages<'a>(
    name: &[u8],
    cursor: &mut Cursor<'a>,
    by: By,
) -> Result<Command<'a>, CommandError> {
    let mode = match name {
        b"SEARCH" => {
            let key = search::read(cursor)?;
            return Ok(Command::Search { key, by });
        }
        b"EXPUNGE" => return Ok(Command::Expunge(Some(SequenceSet::read(cursor)?))),
        b"FETCH" => {
            let set = SequenceSet::read(cursor)?;
            cursor.space()?;
            let items = Items::read(cursor)?;
            return Ok(Command::Fetch { set, items, by });
        }
        b"STORE" => return Ok(store(cursor, by)?),
        b"COPY" => CopyMode::Copy,
        b"MOVE" => CopyMode::Move,
        _ => return Err(CommandError::Unknown),
    };
    let set = SequenceSet::read(cursor)?;
    cursor.space()?;
    let mailbox = mailbox(cursor)?;
    Ok(Command::Copy {
        set,
        mailbox,
        mode,
        by,
    })
}

fn mailbox<'a>(cursor: &mut Cursor<'a>) -> Result<Cow<'a, [u8]>, ParseError> {
    cursor.astring(Octets::SevenBit)
}

fn select<'a>(cursor: &mut Cursor<'a>, access: Access) -> Result<Command<'a>, ParseError> {
    let mailbox = mailbox(cursor)?;
    Ok(Command::Select { mailbox, access })
}

fn list<'a>(cursor: &mut Cursor<'a>, scope: ListScope) -> Result<Command<'a>, ParseError> {
    let reference = mailbox(cursor)?;
    cursor.space()?;
    let pattern = Pattern::read(cursor)?;
    Ok(Command::List {
        reference,
        pattern,
        scope,
    })
}

fn status_items(cursor: &mut Cursor<'_>) -> Result<StatusItems, ParseError> {
    cursor.expect(b'(', "items in parentheses")?;
    let mut items = StatusItems::new();
    loop {
        let error = cursor.expected("MESSAGES, RECENT, UIDNEXT, UIDVALIDITY or UNSEEN");
        let name = cursor.letters(error.expected)?;
        let known = StatusItem::ALL
            .iter()
            .find(|(_, own)| own.as_bytes().eq_ignore_ascii_case(name));
        let (item, _) = known.ok_or(error)?;
        if !items.contains(item) {
            items.push(*item);
        }
        if cursor.accept(b')') {
            return Ok(items);
        }
        cursor.space()?;
    }
}

fn id_pairs<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<IdPair<'a>>, ParseError> {
    let mut pairs = Vec::new();
    if cursor.accept_word("NIL") {
        return Ok(pairs);
    }
    cursor.expect(b'(', "NIL or pairs in parentheses")?;
    if cursor.accept(b')') {
        return Ok(pairs);
    }
    loop {
        if pairs.len() >= MOST_ID_PAIRS {
            return Err(cursor.expected("at most 30 pairs"));
        }
        let field = cursor.string(Octets::SevenBit)?;
        cursor.space()?;
        pairs.push((field, cursor.nstring()?));
        if cursor.accept(b')') {
            return Ok(pairs);
        }
        cursor.space()?;
    }
}

/// APPEND up to the literal with its message.
#[derive(Debug, Clone, PartialEq)]
pub struct AppendHead<'a> {
    /// What the client called the command.
    pub tag: &'a [u8],
    /// Where to.
    pub mailbox: Cow<'a, [u8]>,
    /// With which flags.
    pub flags: FlagList,
    /// The internal date, if not the time of arrival.
    pub date: Option<DateTime>,
}

/// What a literal is that is announced behind `octets`.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal<'a> {
    /// An argument, kept in memory.
    Argument,
    /// The message of an APPEND, handed through.
    Message(AppendHead<'a>),
}

impl<'a> Literal<'a> {
    /// Decides what follows `octets`: a command up to the brace of a literal.
    ///
    /// # Errors
    /// If it is an APPEND that is wrong already.
    pub fn after(octets: &'a [u8]) -> Result<Self, CommandError> {
        let mut cursor = Cursor::new(octets);
        let Ok(tag) = cursor.tag() else {
            return Ok(Self::Argument);
        };
        if !cursor.accept_word(" APPEND ") || cursor.is_end() {
            return Ok(Self::Argument);
        }
        if memchr::memchr(0, octets).is_some() {
            return Err(CommandError::Nul);
        }
        let mailbox = mailbox(&mut cursor)?;
        cursor.space()?;
        let flags = if cursor.peek() == Some(b'(') {
            let flags = FlagList::read(&mut cursor)?;
            cursor.space()?;
            flags
        } else {
            FlagList::default()
        };
        let date = if cursor.peek() == Some(b'"') {
            let date = DateTime::read(&mut cursor)?;
            cursor.space()?;
            Some(date)
        } else {
            None
        };
        if !cursor.is_end() {
            return Err(cursor.expected("the message in a literal").into());
        }
        Ok(Self::Message(AppendHead {
            tag,
            mailbox,
            flags,
            date,
        }))
    }
}

#[cfg(test)]
mod tests;
