//! The words of the maildir in those of IMAP, and the other way round.

use courier_core::disk::{DiskError, DiskErrorKind};
use courier_imap::grammar::flag::{Flag, Flags, Keyword};
use courier_imap::grammar::mailbox_name::MailboxName;
use courier_imap::grammar::response::Recent;
use courier_imap::session::output::Refusal;
use courier_imap::view::{Message, MessageFlags, Uid, UidValidity};
use courier_maildir::flags::Flags as Letters;
use courier_maildir::folder::{FolderError, FolderName};
use courier_maildir::keywords::Keyword as Word;
use courier_maildir::mailbox::{self, MailboxError, Snapshot};
use courier_maildir::uid_list;

use crate::failure::chain;

/// Each flag of IMAP with its letter.
const LETTERS: [(Flag, Letters); 5] = [
    (Flag::Draft, Letters::DRAFT),
    (Flag::Answered, Letters::REPLIED),
    (Flag::Flagged, Letters::FLAGGED),
    (Flag::Deleted, Letters::TRASHED),
    (Flag::Seen, Letters::SEEN),
];

pub(super) fn flags(letters: Letters) -> Flags {
    LETTERS.iter().fold(Flags::NONE, |flags, (flag, letter)| {
        match letters.contains(*letter) {
            true => flags.with(*flag),
            false => flags,
        }
    })
}

pub(super) fn letters(flags: Flags) -> Letters {
    LETTERS
        .iter()
        .fold(Letters::NONE, |letters, (flag, letter)| {
            match flags.contains(*flag) {
                true => letters.with(*letter),
                false => letters,
            }
        })
}

/// Keywords that IMAP cannot say are left out; other software put them there.
pub(super) fn keywords<'a>(words: impl Iterator<Item = &'a Word>) -> Vec<Keyword> {
    words
        .filter_map(|word| Keyword::parse(word.as_str().as_bytes()).ok())
        .collect()
}

pub(super) fn words<'a>(
    keywords: impl IntoIterator<Item = &'a Keyword>,
) -> Result<Vec<Word>, Refusal> {
    let words = keywords
        .into_iter()
        .map(|keyword| Word::parse(keyword.as_str()));
    words.collect::<Result<_, _>>().map_err(|_| Refusal::Limit)
}

/// A UID as IMAP has it; both are never 0.
pub(super) fn uid(uid: uid_list::Uid) -> Option<Uid> {
    Uid::new(uid.get())
}

pub(super) fn uids_here(uids: &[Uid]) -> Vec<uid_list::Uid> {
    uids.iter()
        .filter_map(|uid| uid_list::Uid::new(uid.get()))
        .collect()
}

pub(super) fn uids(uids: &[uid_list::Uid]) -> Vec<Uid> {
    uids.iter().filter_map(|&here| uid(here)).collect()
}

pub(super) fn uid_validity(validity: uid_list::UidValidity) -> Option<UidValidity> {
    std::num::NonZeroU32::new(validity.get()).map(UidValidity)
}

pub(super) fn message(message: mailbox::Message<'_>) -> Option<Message> {
    Some(Message {
        uid: uid(message.uid())?,
        flags: flags(message.flags()),
        keywords: keywords(message.keywords()),
        recent: match message.is_recent() {
            true => Recent::Yes,
            false => Recent::No,
        },
        size: message.wire_size(),
        // The file has it, and to ask for it costs more than the name.
        date: None,
    })
}

/// The flags that a message has now; `None` if it is gone.
pub(super) fn message_flags(snapshot: &Snapshot, here: uid_list::Uid) -> Option<MessageFlags> {
    let message = snapshot.message(here)?;
    Some(MessageFlags {
        uid: uid(here)?,
        flags: flags(message.flags()),
        keywords: keywords(message.keywords()),
    })
}

/// A folder by its name in IMAP.
pub(super) fn folder_name(name: &MailboxName) -> Result<FolderName, Refusal> {
    match name.is_inbox() || name.is_personal() {
        true => FolderName::parse(name.as_str()).map_err(|_| Refusal::Cannot),
        false => Err(Refusal::NonExistent),
    }
}

/// A folder's name in IMAP; folders whose names IMAP cannot say are not shown.
pub(super) fn mailbox_name(name: &FolderName) -> Option<MailboxName> {
    MailboxName::parse(&name.to_string()).ok()
}

pub(super) fn mailbox_refusal(error: &MailboxError) -> Refusal {
    match error {
        MailboxError::NoFolder { .. } => Refusal::NonExistent,
        MailboxError::Keyword(_) => Refusal::Limit,
        MailboxError::OverQuota { .. } => Refusal::OverQuota,
        MailboxError::Lock(_) => unavailable(error),
        MailboxError::Disk(error) => disk_refusal(error),
        _ => broken(error),
    }
}

pub(super) fn folder_refusal(error: &FolderError) -> Refusal {
    match error {
        FolderError::NotFound(_) => Refusal::NonExistent,
        FolderError::Exists(_) => Refusal::AlreadyExists,
        FolderError::Inbox | FolderError::BelowItself { .. } | FolderError::Name(_) => {
            Refusal::Cannot
        }
        FolderError::TooMany { .. } => Refusal::Limit,
        FolderError::Lock(_) => unavailable(error),
        FolderError::Disk(error) => disk_refusal(error),
        _ => broken(error),
    }
}

/// What the disk says, as IMAP says it (reliability.md 1.4); what the postmaster must
/// know is logged.
pub(super) fn disk_refusal(error: &DiskError) -> Refusal {
    match error.kind {
        DiskErrorKind::NotFound => Refusal::NonExistent,
        DiskErrorKind::NoSpace | DiskErrorKind::Quota => {
            tracing::warn!(error = chain(error), "DISK FULL");
            Refusal::OverQuota
        }
        DiskErrorKind::Permission => {
            tracing::error!(error = chain(error), "NO PERMISSION");
            Refusal::NoPermission
        }
        DiskErrorKind::TooManyFiles | DiskErrorKind::Busy => unavailable(error),
        // What somebody has put in the way of a folder; it is not touched.
        DiskErrorKind::NotADirectory | DiskErrorKind::IsADirectory | DiskErrorKind::NotRegular => {
            tracing::warn!(error = chain(error), "IN THE WAY");
            Refusal::Cannot
        }
        _ => broken(error),
    }
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> Refusal {
    tracing::warn!(error = chain(error), "MAILBOX UNAVAILABLE");
    Refusal::Unavailable
}

fn broken(error: &(dyn std::error::Error + 'static)) -> Refusal {
    tracing::error!(error = chain(error), "MAILBOX");
    Refusal::ServerBug
}
