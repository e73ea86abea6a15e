//! The mailbox that a session has selected, as far as it has been told of it.

use std::collections::BTreeMap;

use courier_core::message::{Limits, scan};

use super::mailboxes::{Mail, Mailboxes};
use crate::grammar::command::{Access, CopyMode};
use crate::grammar::mailbox_name::MailboxName;
use crate::search::matching;
use crate::session::output::{
    Copied, CopyRequest, FetchRequest, Fetched, Opened, Refusal, SearchRequest, StoreRequest,
};
use crate::view::{Changes, MessageFlags, Snapshot, Uid, UidValidity};

/// What the session has been told of its mailbox.
#[derive(Debug)]
pub(super) struct Selected {
    name: MailboxName,
    validity: UidValidity,
    access: Access,
    known: BTreeMap<Uid, u64>,
}

impl Selected {
    pub(super) fn open(
        mailboxes: &mut Mailboxes,
        name: &MailboxName,
        access: Access,
    ) -> Option<(Opened, Self)> {
        let folder = mailboxes.folders.get_mut(name)?;
        let mut snapshot = Snapshot::new(folder.validity, Uid::new(folder.next)?);
        snapshot.reserve(folder.mails.len());
        let mut known = BTreeMap::new();
        for mail in &mut folder.mails {
            known.insert(mail.uid, mail.version);
            snapshot.push(&mail.tell(access)).ok()?;
        }
        let validity = folder.validity;
        let name = name.clone();
        let selected = Self {
            name,
            validity,
            access,
            known,
        };
        Some((Opened { snapshot, access }, selected))
    }

    fn mails<'m>(&self, mailboxes: &'m mut Mailboxes) -> &'m mut [Mail] {
        match mailboxes.folders.get_mut(&self.name) {
            Some(folder) => &mut folder.mails,
            None => &mut [],
        }
    }

    pub(super) fn fetch(&self, mailboxes: &mut Mailboxes, request: &FetchRequest) -> Vec<Fetched> {
        let mails = self.mails(mailboxes);
        let one = |uid: &Uid| match find(mails, *uid) {
            Some(mail) => mail.fetch(request.need),
            None => Fetched::Gone,
        };
        request.uids.iter().map(one).collect()
    }

    pub(super) fn store(
        &mut self,
        mailboxes: &mut Mailboxes,
        request: StoreRequest,
    ) -> Vec<MessageFlags> {
        mailboxes.version += 1;
        let version = mailboxes.version;
        let mails = self.mails(mailboxes);
        let mut flags = Vec::new();
        for uid in request.uids {
            if let Some(mail) = find(mails, uid) {
                mail.apply(&request.change);
                mail.version = version;
                flags.push(mail.flags());
                self.known.insert(uid, version);
            }
        }
        flags
    }

    pub(super) fn search(&self, mailboxes: &mut Mailboxes, request: SearchRequest) -> Vec<Uid> {
        let mails = self.mails(mailboxes);
        let is_meant = |uid: &Uid| {
            find(mails, *uid).is_some_and(|mail| {
                let structure = scan(&mail.text, &Limits::default());
                matching::matches(&request.key, &mail.text, &structure, &mut |_| false)
            })
        };
        request.uids.into_iter().filter(is_meant).collect()
    }

    pub(super) fn remove(&mut self, mailboxes: &mut Mailboxes, uids: &[Uid]) {
        if let Some(folder) = mailboxes.folders.get_mut(&self.name) {
            let mails = &mut folder.mails;
            mails.retain(|mail| uids.binary_search(&mail.uid).is_err());
        }
        self.known.retain(|uid, _| uids.binary_search(uid).is_err());
    }

    pub(super) fn refresh(&mut self, mailboxes: &mut Mailboxes) -> Option<Changes> {
        let folder = mailboxes.folders.get_mut(&self.name)?;
        // Another mailbox of the same name is another mailbox.
        if folder.validity != self.validity {
            return None;
        }
        let mut changes = Changes::default();
        let mut gone = std::mem::take(&mut self.known);
        for mail in &mut folder.mails {
            match gone.remove(&mail.uid) {
                None => changes.arrivals.push(mail.tell(self.access)),
                Some(version) if version != mail.version => changes.flags.push(mail.flags()),
                Some(_) => {}
            }
            self.known.insert(mail.uid, mail.version);
        }
        changes.expunged = gone.into_keys().collect();
        Some(changes)
    }

    pub(super) fn copy(
        &mut self,
        mailboxes: &mut Mailboxes,
        request: CopyRequest,
    ) -> Result<Copied, Refusal> {
        let CopyRequest {
            uids,
            mailbox,
            mode,
        } = request;
        let target = mailboxes
            .folders
            .get(&mailbox)
            .ok_or(Refusal::NonExistent)?;
        let uid_validity = target.validity;
        let source = mailboxes
            .folders
            .get(&self.name)
            .ok_or(Refusal::NonExistent)?;
        let chosen = source
            .mails
            .iter()
            .filter(|mail| uids.binary_search(&mail.uid).is_ok());
        let chosen: Vec<Mail> = chosen.cloned().collect();
        if chosen.len() < uids.len() {
            return Err(Refusal::Expunged);
        }
        let mut pairs = Vec::new();
        for mail in chosen {
            let copy = (mail.flags, mail.keywords, mail.date, mail.text);
            let uid = mailboxes.add(&mailbox, copy).ok_or(Refusal::NonExistent)?;
            pairs.push((mail.uid, uid));
        }
        if mode == CopyMode::Move
            && let Some(source) = mailboxes.folders.get_mut(&self.name)
        {
            source
                .mails
                .retain(|mail| uids.binary_search(&mail.uid).is_err());
            self.known.retain(|uid, _| uids.binary_search(uid).is_err());
        }
        Ok(Copied {
            uid_validity,
            uids: pairs,
        })
    }
}

fn find(mails: &mut [Mail], uid: Uid) -> Option<&mut Mail> {
    let at = mails.binary_search_by_key(&uid, |mail| mail.uid).ok()?;
    mails.get_mut(at)
}
