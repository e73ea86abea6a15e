//! A host in memory, for tests, benchmarks and fuzzers: mailboxes that several sessions
//! share, and clients' connections to them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use courier_core::account::sasl::Verdict;
use courier_core::message::wire::Content;
use courier_core::message::{Limits, scan};
use courier_core::time::{Millis, UnixSeconds};

use crate::grammar::command::{Access, CopyMode, FlagChange, ListScope};
use crate::grammar::flag::{Flag, Flags, Keyword};
use crate::grammar::mailbox_name::MailboxName;
use crate::grammar::response::Recent;
use crate::search::matching;
use crate::session::output::{
    AppendRequest, Appended, Contents, Copied, CopyRequest, Counts, FetchRequest, Fetched, Folder,
    FolderChange, FolderKind, Mark, Need, Opened, Output, Refusal, SearchRequest, StoreRequest,
};
use crate::session::{MOST_PENDING, Session};
use crate::view::{Changes, Message, MessageFlags, Snapshot, Uid, UidValidity};

/// The password of every user.
pub const PASSWORD: &[u8] = b"secret";

/// The mailboxes of one account.
#[derive(Debug)]
pub struct Mailboxes {
    folders: BTreeMap<MailboxName, Contained>,
    subscribed: BTreeSet<MailboxName>,
    /// The last UIDVALIDITY that was given.
    validity: u32,
    /// Counts every change, so that a session sees what is new to it.
    version: u64,
}

#[derive(Debug)]
struct Contained {
    validity: UidValidity,
    next: u32,
    mails: Vec<Mail>,
}

#[derive(Debug, Clone)]
struct Mail {
    uid: Uid,
    flags: Flags,
    keywords: Vec<Keyword>,
    date: UnixSeconds,
    /// As stored, with bare LF.
    text: Arc<Vec<u8>>,
    /// No session has been told of it.
    recent: bool,
    version: u64,
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

    fn add(
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

    fn change(&mut self, change: FolderChange) -> Result<(), Refusal> {
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

    fn folders(&self, scope: ListScope) -> Vec<Folder> {
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

    fn counts(&self, name: &MailboxName) -> Result<Counts, Refusal> {
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
}

impl Mail {
    fn flags(&self) -> MessageFlags {
        MessageFlags {
            uid: self.uid,
            flags: self.flags,
            keywords: self.keywords.clone(),
        }
    }

    /// What a session is told; the first one to be told takes `\Recent` away.
    fn tell(&mut self, access: Access) -> Message {
        let recent = if self.recent { Recent::Yes } else { Recent::No };
        self.recent &= access == Access::ReadOnly;
        Message {
            uid: self.uid,
            flags: self.flags,
            keywords: self.keywords.clone(),
            recent,
            // Every other size has to be asked for.
            size: self.uid.get().is_multiple_of(2).then(|| self.size()),
            date: self.date,
        }
    }

    fn size(&self) -> u64 {
        use courier_core::message::wire::{Encoding, length};
        length(&self.text, Encoding::Crlf)
    }

    fn apply(&mut self, change: &FlagChange) {
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
}

/// A connection of one client, with the session that serves it.
#[derive(Debug)]
pub struct Connection {
    session: Session,
    input: Vec<u8>,
    selected: Option<Selected>,
    appending: Option<(AppendRequest, Vec<u8>)>,
    closed: bool,
    now: Millis,
}

/// What the session has been told of its mailbox.
#[derive(Debug)]
struct Selected {
    name: MailboxName,
    validity: UidValidity,
    access: Access,
    known: BTreeMap<Uid, u64>,
}

impl Connection {
    /// A connection that nothing has gone over yet.
    #[must_use]
    pub fn new(session: Session) -> Self {
        Self {
            session,
            input: Vec::new(),
            selected: None,
            appending: None,
            closed: false,
            now: Millis(0),
        }
    }

    /// The session, to be told of changes and of a shutdown.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Whether the session has closed the connection.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Lets time pass.
    pub fn sleep(&mut self, time: Millis) {
        self.now = self.now + time;
    }

    /// Octets of input that the session has not taken.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.input.len()
    }

    /// Sends octets to the session, and carries out all it asks until it waits. Gives what
    /// it sends.
    ///
    /// # Panics
    /// If it shows more than [`MOST_PENDING`] octets at once, writes nothing, or waits for a
    /// time that has come.
    pub fn exchange(&mut self, mailboxes: &mut Mailboxes, octets: &[u8]) -> Vec<u8> {
        let mut sent = Vec::new();
        self.exchange_with(mailboxes, octets, &mut |octets| {
            sent.extend_from_slice(octets)
        });
        sent
    }

    /// As [`Self::exchange`], with what is sent given away piece by piece.
    ///
    /// # Panics
    /// As [`Self::exchange`].
    pub fn exchange_with(
        &mut self,
        mailboxes: &mut Mailboxes,
        octets: &[u8],
        send: &mut dyn FnMut(&[u8]),
    ) {
        self.input.extend_from_slice(octets);
        let input = std::mem::take(&mut self.input);
        let mut at = 0;
        while !self.closed {
            let step = self
                .session
                .poll(self.now, input.get(at..).unwrap_or_default());
            at += step.consumed;
            match step.output {
                Output::Write => {
                    let pending = self.session.pending();
                    assert!(
                        (1..=MOST_PENDING).contains(&pending.len()),
                        "{} pending",
                        pending.len()
                    );
                    send(pending);
                    let count = pending.len();
                    self.session.wrote(count);
                }
                Output::Send(segment) => segment.pieces(0).for_each(&mut *send),
                Output::Wait { deadline, .. } => {
                    assert!(deadline > self.now, "waits for a time that has come");
                    break;
                }
                Output::Close => self.closed = true,
                Output::StartTls => {
                    at = input.len();
                    self.session.tls_started();
                }
                Output::AppendData(octets) => {
                    if let Some((_, text)) = &mut self.appending {
                        text.extend_from_slice(octets);
                    }
                }
                other => self.carry_out(mailboxes, other),
            }
        }
        self.input = input.get(at..).unwrap_or_default().to_vec();
    }

    fn carry_out(&mut self, mailboxes: &mut Mailboxes, output: Output<'_>) {
        let session = &mut self.session;
        match output {
            Output::Login(token, credentials) => {
                let fits = credentials.password.expose() == PASSWORD;
                session.authenticated(
                    token,
                    if fits {
                        Verdict::Accepted
                    } else {
                        Verdict::Refused
                    },
                );
            }
            Output::Authenticate(token, exchange) => {
                session.authenticated(
                    token,
                    match exchange.initial {
                        None => Verdict::Challenge(Vec::new()),
                        Some(response) => plain(&response),
                    },
                );
            }
            Output::Respond(token, response) => session.authenticated(token, plain(&response)),
            Output::Folders(token, scope) => session.folders(token, Ok(mailboxes.folders(scope))),
            Output::ChangeFolders(token, change) => {
                session.folders_changed(token, mailboxes.change(change));
            }
            Output::Status(token, name, _) => session.status(token, mailboxes.counts(&name)),
            Output::Append(token, request) => {
                let there = mailboxes.folders.contains_key(&request.mailbox);
                self.appending = there.then_some((request, Vec::new()));
                session.append_begun(
                    token,
                    if there {
                        Ok(())
                    } else {
                        Err(Refusal::NonExistent)
                    },
                );
            }
            Output::AppendFinish(token) => {
                let appended = self
                    .appending
                    .take()
                    .and_then(|message| append(mailboxes, message));
                session.append_finished(token, appended.ok_or(Refusal::NonExistent));
            }
            Output::AppendAbandoned => self.appending = None,
            Output::Select(token, name, access) => {
                self.selected = None;
                let opened = open(mailboxes, &name, access).map(|(opened, selected)| {
                    self.selected = Some(selected);
                    opened
                });
                session.selected(token, opened.ok_or(Refusal::NonExistent));
            }
            Output::Deselect => self.selected = None,
            Output::Refresh(token) => {
                let changes = self.selected.as_mut().and_then(|s| s.refresh(mailboxes));
                session.refreshed(token, changes.ok_or(Refusal::NonExistent));
            }
            other => self.on_messages(mailboxes, other),
        }
    }

    /// The questions about messages of the selected mailbox.
    fn on_messages(&mut self, mailboxes: &mut Mailboxes, output: Output<'_>) {
        let session = &mut self.session;
        let selected = &mut self.selected;
        mailboxes.version += 1;
        let version = mailboxes.version;
        let mut none = Vec::new();
        let mails = match selected
            .as_ref()
            .and_then(|s| mailboxes.folders.get_mut(&s.name))
        {
            Some(folder) => &mut folder.mails,
            None => &mut none,
        };
        let find =
            |mails: &[Mail], uid: Uid| mails.binary_search_by_key(&uid, |mail| mail.uid).ok();
        match output {
            Output::Fetch(token, FetchRequest { uids, need }) => {
                let fetched = uids.iter().map(|&uid| {
                    let mail = find(mails, uid).and_then(|at| mails.get(at));
                    mail.map_or(Fetched::Gone, |mail| fetch(mail, need))
                });
                session.fetched(token, fetched.collect());
            }
            Output::Store(token, StoreRequest { uids, change, .. }) => {
                let mut flags = Vec::new();
                for uid in uids {
                    if let Some(mail) = find(mails, uid).and_then(|at| mails.get_mut(at)) {
                        mail.apply(&change);
                        mail.version = version;
                        flags.push(mail.flags());
                        if let Some(selected) = selected {
                            selected.known.insert(uid, version);
                        }
                    }
                }
                session.stored(token, Ok(flags));
            }
            Output::Search(token, SearchRequest { uids, key }) => {
                let found = uids.into_iter().filter(|&uid| {
                    find(mails, uid)
                        .and_then(|at| mails.get(at))
                        .is_some_and(|mail| {
                            let structure = scan(&mail.text, &Limits::default());
                            matching::matches(&key, &mail.text, &structure, &mut |_| false)
                        })
                });
                session.searched(token, Ok(found.collect()));
            }
            Output::Expunge(token, uids) => {
                mails.retain(|mail| uids.binary_search(&mail.uid).is_err());
                if let Some(selected) = selected {
                    selected
                        .known
                        .retain(|uid, _| uids.binary_search(uid).is_err());
                }
                session.expunged(token, Ok(uids));
            }
            Output::Copy(token, request) => {
                let copied = match selected {
                    Some(selected) => selected.copy(mailboxes, request),
                    None => Err(Refusal::NonExistent),
                };
                session.copied(token, copied);
            }
            // The rest are no questions, or are carried out elsewhere.
            _ => {}
        }
    }
}

/// SASL PLAIN without an authorisation identity.
fn plain(response: &[u8]) -> Verdict {
    let fields: Vec<&[u8]> = response.split(|octet| *octet == 0).collect();
    match fields.as_slice() {
        [_, _, password] if *password == PASSWORD => Verdict::Accepted,
        [_, _, _] => Verdict::Refused,
        _ => Verdict::Malformed,
    }
}

fn fetch(mail: &Mail, need: Need) -> Fetched {
    let text = &mail.text;
    let structure = (need == Need::Structure).then(|| Arc::new(scan(text, &Limits::default())));
    Fetched::Message(Contents {
        size: (need == Need::Size).then(|| mail.size()),
        content: (need != Need::Size).then(|| Arc::clone(text) as Content),
        structure,
    })
}

/// Stores a message with bare LF.
fn append(
    mailboxes: &mut Mailboxes,
    (request, text): (AppendRequest, Vec<u8>),
) -> Option<Appended> {
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
    let uid_validity = mailboxes.folders.get(&request.mailbox)?.validity;
    let date = request.date.unwrap_or(UnixSeconds(0));
    let keywords = request.flags.keywords.to_vec();
    let uid = mailboxes.add(
        &request.mailbox,
        (request.flags.flags, keywords, date, Arc::new(stored)),
    )?;
    Some(Appended { uid_validity, uid })
}

fn open(
    mailboxes: &mut Mailboxes,
    name: &MailboxName,
    access: Access,
) -> Option<(Opened, Selected)> {
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
    let selected = Selected {
        name,
        validity,
        access,
        known,
    };
    Some((Opened { snapshot, access }, selected))
}

impl Selected {
    fn refresh(&mut self, mailboxes: &mut Mailboxes) -> Option<Changes> {
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

    fn copy(&mut self, mailboxes: &mut Mailboxes, request: CopyRequest) -> Result<Copied, Refusal> {
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
