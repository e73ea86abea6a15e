//! The messages that a command is about.

use super::Core;
use super::output::Refusal;
use super::reply::{MailboxNews, Reply};
use crate::grammar::command::{Access, By};
use crate::grammar::response;
use crate::grammar::sequence::SequenceSet;
use crate::view::Selection;

/// The messages that a set names; numbers that are not there draw a warning.
pub(super) fn select(core: &mut Core, set: &SequenceSet, by: By) -> Selection {
    let view = core.mailbox.as_ref().map(|mailbox| &mailbox.view);
    let selection = view.map(|view| view.select(set, by)).unwrap_or_default();
    if let Some(invalid) = selection.invalid {
        // Courier: the command goes on with those that are there.
        core.out.write("* NO Invalid message sequence number: ");
        response::number(core.out.text(), invalid.into());
        core.out.write("\r\n");
    }
    selection
}

/// What may be told at the end of FETCH, STORE and SEARCH.
pub(super) fn news(by: By) -> MailboxNews {
    match by {
        By::Sequence => MailboxNews::KeepNumbers,
        By::Uid => MailboxNews::All,
    }
}

/// Refuses to change a mailbox that was opened by EXAMINE.
pub(super) fn writable(core: &Core) -> Result<(), Reply> {
    match &core.mailbox {
        Some(mailbox) if mailbox.access == Access::ReadWrite => Ok(()),
        Some(_) => Err(Reply::no("CANNOT", "Mailbox is read-only.")),
        None => Err(Reply::refused(Refusal::NonExistent)),
    }
}
