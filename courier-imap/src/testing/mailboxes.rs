//! The mailboxes of one account.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use courier_core::message::wire::{Content, Encoding, length};
use courier_core::message::{Limits, scan};
use courier_core::time::UnixSeconds;

use crate::grammar::command::{Access, FlagChange, ListScope};
use crate::grammar::flag::{Flag, Flags, Keyword};
use crate::grammar::mailbox_name::MailboxName;
use crate::grammar::response::Recent;
use crate::session::output::{
    AppendRequest, Appended, Contents, Counts, Fetched, Folder, FolderChange, FolderKind, Mark,
    Need, Refusal,
};
use crate::view::{Message, MessageFlags, Uid, UidValidity};

/// The password of every user.
pub const PASSWORD: &[u8] = b"secret";

/// The mailboxes of one account.
#[derive(Debug)]
pub struct Mailboxes {
    pub(super) folders: BTreeMap<MailboxName, Contained>,
    subscribed: BTreeSet<MailboxName>,
    /// The last UIDVALIDITY that was given.
    validity: u32,
    /// Counts every change, so that a session sees what is new to it.
    pub(super) version: u64,
}

#[derive(Debug)]
pub(super) struct Contained {
    pub(super) validity: UidValidity,
    pub(super) next: u32,
    pub(super) mails: Vec<Mail>,
}

#[derive(Debug, Clone)]
pub(super) struct Mail {
    pub(super) uid: Uid,
    pub(super) flags: Flags,
    pub(super) keywords: Vec<Keyword>,
    pub(super) date: UnixSeconds,
    /// As stored, with bare LF.
    pub(super) text: Arc<Vec<u8>>,
    /// No session has been told of it.
    recent: bool,
    pub(super) version: u64,
}

impl Default for Mailboxes {
    fn default() -> Self {
        let mut mailboxes = Self {
            folders: BTreeMap::new(),
            subscribed: BTreeSet::new(),
            validity: 0,
            version: 0,
        };
        mailboxes.create(MailboxName::inbox());
        mailboxes
    }
}

impl Mailboxes {
    fn create(&mut self, name: MailboxName) {
        self.validity += 1;
        let validity = UidValidity(NonZeroU32::MIN.saturating_add(self.validity));
        let mails = Vec::new();
        self.folders.insert(
            name,
            Contained {
                validity,
                next: 1,
                mails,
            },
        );
    }

    /// Delivers a message into INBOX.
    pub fn deliver(&mut self, text: &[u8]) -> Option<Uid> {
        let mail = (
            Flags::NONE,
            Vec::new(),
            UnixSeconds(0),
            Arc::new(text.to_vec()),
        );
        self.add(&MailboxName::inbox(), mail)
    }

    pub(super) fn add(
        &mut self,
        name: &MailboxName,
        (flags, keywords, date, text): (Flags, Vec<Keyword>, UnixSeconds, Arc<Vec<u8>>),
    ) -> Option<Uid> {
        self.version += 1;
        let folder = self.folders.get_mut(name)?;
        let uid = Uid::new(folder.next)?;
        folder.next += 1;
        folder.mails.push(Mail {
            uid,
            flags,
            keywords,
            date,
            text,
            recent: true,
            version: self.version,
        });
        Some(uid)
    }

    /// The UIDs and flags of a mailbox as they are now.
    #[must_use]
    pub fn list(&self, name: &MailboxName) -> Vec<MessageFlags> {
        let mails = self.folders.get(name).map(|folder| &folder.mails);
        mails.into_iter().flatten().map(Mail::flags).collect()
    }

    pub(super) fn change(&mut self, change: FolderChange) -> Result<(), Refusal> {
        match change {
            FolderChange::Create(name) if self.folders.contains_key(&name) => {
                return Err(Refusal::AlreadyExists);
            }
            FolderChange::Create(name) => self.create(name),
            FolderChange::Delete(name) => {
                self.folders.remove(&name).ok_or(Refusal::NonExistent)?;
                self.subscribed.remove(&name);
            }
            FolderChange::Rename { to, .. } if self.folders.contains_key(&to) => {
                return Err(Refusal::AlreadyExists);
            }
            FolderChange::Rename { from, to } => {
                let folder = self.folders.remove(&from).ok_or(Refusal::NonExistent)?;
                self.folders.insert(to, folder);
            }
            FolderChange::Subscribe(name) => {
                self.folders.get(&name).ok_or(Refusal::NonExistent)?;
                self.subscribed.insert(name);
            }
            FolderChange::Unsubscribe(name) => {
                self.subscribed.remove(&name);
            }
        }
        Ok(())
    }

    pub(super) fn folders(&self, scope: ListScope) -> Vec<Folder> {
        let kind = |name: &MailboxName| match self.folders.contains_key(name) {
            true => FolderKind::Mailbox,
            false => FolderKind::Name,
        };
        let names: Vec<&MailboxName> = match scope {
            ListScope::All => self.folders.keys().collect(),
            ListScope::Subscribed => self.subscribed.iter().collect(),
        };
        let folder = |name: &MailboxName| Folder {
            name: name.clone(),
            kind: kind(name),
            mark: Mark::Unknown,
        };
        names.into_iter().map(folder).collect()
    }

    pub(super) fn counts(&self, name: &MailboxName) -> Result<Counts, Refusal> {
        let folder = self.folders.get(name).ok_or(Refusal::NonExistent)?;
        let count = |test: fn(&Mail) -> bool| {
            crate::view::number(folder.mails.iter().filter(|mail| test(mail)).count())
        };
        Ok(Counts {
            messages: count(|_| true),
            recent: count(|mail| mail.recent),
            unseen: count(|mail| !mail.flags.contains(Flag::Seen)),
            uid_next: Uid::new(folder.next).ok_or(Refusal::Limit)?,
            uid_validity: folder.validity,
        })
    }

    /// Stores a message with bare LF.
    pub(super) fn append(&mut self, (request, text): (AppendRequest, Vec<u8>)) -> Option<Appended> {
        let mut stored = Vec::with_capacity(text.len());
        for line in text.split_inclusive(|octet| *octet == b'\n') {
            match line.strip_suffix(b"\r\n") {
                Some(line) => {
                    stored.extend_from_slice(line);
                    stored.push(b'\n');
                }
                None => stored.extend_from_slice(line),
            }
        }
        let uid_validity = self.folders.get(&request.mailbox)?.validity;
        let date = request.date.unwrap_or(UnixSeconds(0));
        let keywords = request.flags.keywords.to_vec();
        let uid = self.add(
            &request.mailbox,
            (request.flags.flags, keywords, date, Arc::new(stored)),
        )?;
        Some(Appended { uid_validity, uid })
    }
}

impl Mail {
    pub(super) fn flags(&self) -> MessageFlags {
        MessageFlags {
            uid: self.uid,
            flags: self.flags,
            keywords: self.keywords.clone(),
        }
    }

    /// What a session is told; the first one to be told takes `\Recent` away.
    pub(super) fn tell(&mut self, access: Access) -> Message {
        let recent = if self.recent { Recent::Yes } else { Recent::No };
        self.recent &= access == Access::ReadOnly;
        Message {
            uid: self.uid,
            flags: self.flags,
            keywords: self.keywords.clone(),
            recent,
            // Every other size has to be asked for.
            size: self.uid.get().is_multiple_of(2).then(|| self.size()),
            // So has every third date.
            date: (!self.uid.get().is_multiple_of(3)).then_some(self.date),
        }
    }

    fn size(&self) -> u64 {
        length(&self.text, Encoding::Crlf)
    }

    pub(super) fn apply(&mut self, change: &FlagChange) {
        match change {
            FlagChange::Replace(list) => {
                self.flags = list.flags;
                self.keywords = list.keywords.to_vec();
            }
            FlagChange::Add(list) => {
                self.flags = self.flags.union(list.flags);
                for keyword in &list.keywords {
                    if !self.keywords.contains(keyword) {
                        self.keywords.push(keyword.clone());
                    }
                }
            }
            FlagChange::Remove(list) => {
                self.flags = self.flags.without(list.flags);
                self.keywords
                    .retain(|keyword| !list.keywords.contains(keyword));
            }
        }
    }

    pub(super) fn fetch(&self, need: Need) -> Fetched {
        let text = &self.text;
        let structure = (need == Need::Structure).then(|| Arc::new(scan(text, &Limits::default())));
        Fetched::Message(Contents {
            date: Some(self.date),
            size: (need == Need::Size).then(|| self.size()),
            content: (need >= Need::Content).then(|| Arc::clone(text) as Content),
            structure,
        })
    }
}
