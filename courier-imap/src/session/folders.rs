//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE and STATUS (RFC 3501 §6.3).

use super::output::{FolderChange, Output, Refusal};
use super::reply::{Reply, name};
use super::{Answer, Begin, Core, Job, Progress};
use crate::grammar::command::{StatusItem, StatusItems};
use crate::grammar::mailbox_name::{MailboxName, SEPARATOR};
use crate::grammar::response;

/// CREATE
pub(super) fn create(octets: &[u8]) -> Result<Begin, Reply> {
    // RFC 3501 §6.3.3: a trailing separator only announces children, which need no parent.
    if let Some(parent) = octets.strip_suffix(&[SEPARATOR as u8]) {
        personal(&name(parent)?)?;
        return Ok(Begin::Done(Reply::ok("CREATE completed.")));
    }
    let mailbox = name(octets)?;
    personal(&mailbox)?;
    Ok(change(FolderChange::Create(mailbox), "CREATE completed."))
}

/// DELETE
pub(super) fn delete(core: &Core, octets: &[u8]) -> Result<Begin, Reply> {
    // Courier: a trailing separator names what is no folder, and nothing is done.
    if let Some(parent) = octets.strip_suffix(&[SEPARATOR as u8]) {
        name(parent)?;
        return Ok(Begin::Done(Reply::ok("DELETE completed.")));
    }
    let mailbox = name(octets)?;
    if mailbox.is_inbox() {
        return Err(Reply::no("CANNOT", "INBOX cannot be deleted."));
    }
    if core
        .mailbox
        .as_ref()
        .is_some_and(|selected| selected.name == mailbox)
    {
        return Err(Reply::no(
            "CANNOT",
            "The selected mailbox cannot be deleted.",
        ));
    }
    Ok(change(FolderChange::Delete(mailbox), "DELETE completed."))
}

/// RENAME
pub(super) fn rename(core: &Core, from: &[u8], to: &[u8]) -> Result<Begin, Reply> {
    let (from, to) = (name(from)?, name(to)?);
    if from.is_inbox() {
        return Err(Reply::no("CANNOT", "INBOX cannot be renamed."));
    }
    personal(&to)?;
    if to.is_below(&from) {
        return Err(Reply::no(
            "CANNOT",
            "A mailbox cannot be moved below itself.",
        ));
    }
    if to == from {
        return Err(Reply::refused(Refusal::AlreadyExists));
    }
    if let Some(selected) = &core.mailbox
        && (selected.name == from || selected.name.is_below(&from))
    {
        return Err(Reply::no(
            "CANNOT",
            "The selected mailbox cannot be renamed.",
        ));
    }
    Ok(change(
        FolderChange::Rename { from, to },
        "RENAME completed.",
    ))
}

/// Folders can only be made below INBOX. Clients that ignore NAMESPACE are told so.
fn personal(mailbox: &MailboxName) -> Result<(), Reply> {
    if mailbox.is_inbox() {
        return Err(Reply::refused(Refusal::AlreadyExists));
    }
    if !mailbox.is_personal() {
        let text = "Invalid mailbox name: folders stand below INBOX, such as INBOX.Sent.";
        return Err(Reply::no("CANNOT", text));
    }
    Ok(())
}

/// Asks for one change.
pub(super) fn change(change: FolderChange, completed: &'static str) -> Begin {
    let change = Some(change);
    Begin::Job(Box::new(Change { change, completed }))
}

#[derive(Debug)]
struct Change {
    change: Option<FolderChange>,
    completed: &'static str,
}

impl Job for Change {
    fn run(&mut self, core: &mut Core) -> Progress {
        if let Some(change) = self.change.take() {
            return core.ask(|token| Output::ChangeFolders(token, change));
        }
        Progress::Done(match core.take_answer() {
            Some(Answer::FoldersChanged(Ok(()))) => Reply::ok(self.completed),
            Some(Answer::FoldersChanged(Err(refusal))) => Reply::refused(refusal),
            _ => Reply::refused(Refusal::ServerBug),
        })
    }
}

/// STATUS
#[derive(Debug)]
pub(super) struct Status {
    mailbox: MailboxName,
    items: StatusItems,
    asked: bool,
}

impl Status {
    pub(super) fn new(mailbox: MailboxName, items: StatusItems) -> Self {
        let asked = false;
        Self {
            mailbox,
            items,
            asked,
        }
    }
}

impl Job for Status {
    fn run(&mut self, core: &mut Core) -> Progress {
        if !std::mem::replace(&mut self.asked, true) {
            let (mailbox, items) = (self.mailbox.clone(), self.items.clone());
            return core.ask(|token| Output::Status(token, mailbox, items));
        }
        let counts = match core.take_answer() {
            Some(Answer::Counts(Ok(counts))) => counts,
            Some(Answer::Counts(Err(refusal))) => return Progress::Done(Reply::refused(refusal)),
            _ => return Progress::Done(Reply::refused(Refusal::ServerBug)),
        };
        let out = core.out.text();
        out.extend_from_slice(b"* STATUS ");
        response::string(out, self.mailbox.to_wire().as_bytes());
        for (index, item) in self.items.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b" (" } else { b" " });
            out.extend_from_slice(item.as_str().as_bytes());
            out.push(b' ');
            let count = match item {
                StatusItem::Messages => counts.messages,
                StatusItem::Recent => counts.recent,
                StatusItem::UidNext => counts.uid_next.get(),
                StatusItem::UidValidity => counts.uid_validity.0.get(),
                StatusItem::Unseen => counts.unseen,
            };
            response::number(out, count.into());
        }
        out.extend_from_slice(b")\r\n");
        Progress::Done(Reply::ok("STATUS completed."))
    }
}
