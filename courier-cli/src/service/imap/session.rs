//! One IMAP session.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use courier_core::account::sasl::Verdict;
use courier_core::account::secret::Secret;
use courier_core::config::value::Switch;
use courier_core::config::{Service, Trash};
use courier_core::disk;
use courier_core::time::{Millis, Timestamp};
use courier_imap::grammar::command::Access;
use courier_imap::grammar::mailbox_name::MailboxName;
use courier_imap::session::output::{
    AppendRequest, Appended, Copied, CopyRequest, Counts, Ending, Facts, Opened, Output, Refusal,
    Watch,
};
use courier_imap::session::settings::Settings;
use courier_imap::session::{Session as Machine, Transport};
use courier_maildir::content::Content;
use courier_maildir::mailbox::{self, NewMessage};
use courier_maildir::trash::Ages;
use tokio::time::Instant;

use super::append::Incoming;
use super::convert::{letters, mailbox_refusal, uid, uid_validity, words};
use super::folders::Folders;
use super::mailbox::{Mailbox, status};
use crate::clock;
use crate::log;
use crate::net::connection::{Connection, Wait};
use crate::net::now;
use crate::notify::Watching;
use crate::service::login::Client;
use crate::service::{Context, Stopping, quota};

/// Serves one client to the end.
///
/// # Errors
/// If the connection breaks.
pub async fn serve(
    context: Arc<Context>,
    service: Service,
    settings: Arc<Settings>,
    mut connection: Connection,
    mut stopping: Stopping,
) -> io::Result<()> {
    let transport = match connection.is_tls() {
        true => Transport::Tls,
        false => Transport::Clear,
    };
    let mut session = Session {
        machine: Machine::new(settings, transport),
        client: Client::new(&context, service, &connection),
        context,
        service,
        mailbox: None,
        watching: None,
        gathering: Instant::now(),
        incoming: None,
        since: now(),
    };
    let ended = session.run(&mut connection, &mut stopping).await;
    session.log(&ended, &connection);
    session.abandon().await;
    connection.close().await;
    ended.map(drop)
}

struct Session {
    machine: Machine,
    client: Client,
    context: Arc<Context>,
    service: Service,
    mailbox: Option<Mailbox>,
    /// Looks out for changes of the mailbox, while the client is in IDLE.
    watching: Option<Watching>,
    /// Until shortly before this, changes gather: to look for them costs what the folder
    /// is large.
    gathering: Instant,
    incoming: Option<Incoming>,
    since: Millis,
}

impl Session {
    /// Runs to the end; nothing if the client just went away.
    async fn run(
        &mut self,
        connection: &mut Connection,
        stopping: &mut Stopping,
    ) -> io::Result<Option<Ending>> {
        loop {
            if stopping.is_now() {
                self.machine.shutdown();
            }
            let step = self.machine.poll(now(), connection.filled());
            let consumed = step.consumed;
            match step.output {
                Output::AppendData(octets) => {
                    if let Some(incoming) = &mut self.incoming {
                        incoming.push(octets);
                    }
                    connection.consume(consumed);
                    self.spill().await;
                }
                Output::Write => {
                    connection.consume(consumed);
                    let text = self.machine.pending();
                    connection.queue(text).await?;
                    let queued = text.len();
                    self.machine.wrote(queued);
                }
                Output::Send(segment) => {
                    connection.consume(consumed);
                    connection.send(segment).await?;
                }
                Output::Wait { deadline, watch } => {
                    connection.consume(consumed);
                    if self.wait(connection, stopping, deadline, watch).await == Wait::Closed {
                        return Ok(None);
                    }
                }
                Output::StartTls => {
                    connection.consume(consumed);
                    self.context.start_tls(self.service, connection).await?;
                    self.machine.tls_started();
                    self.client.under_tls();
                }
                Output::Close(ending) => {
                    connection.flush().await?;
                    if ending == Ending::Logout {
                        self.purge_trash().await;
                    }
                    return Ok(Some(ending));
                }
                question => {
                    self.answer(question).await;
                    connection.consume(consumed);
                }
            }
        }
    }

    /// Waits for input, for the time to come, for the server to stop, and in IDLE for a
    /// change of the mailbox.
    async fn wait(
        &mut self,
        connection: &mut Connection,
        stopping: &mut Stopping,
        deadline: Millis,
        watch: Watch,
    ) -> Wait {
        match (watch, &self.mailbox) {
            (Watch::Mailbox, Some(mailbox)) if self.watching.is_none() => {
                self.watching = Some(self.context.notifier.watch(mailbox.folder().path()));
                // What happened before anybody looked out is told at once.
                self.machine.changed();
                return Wait::Deadline;
            }
            (Watch::Mailbox, _) => {}
            (Watch::Nothing, _) => self.watching = None,
        }
        let watching = &mut self.watching;
        let gathering = self.gathering.checked_sub(AT_ONCE);
        let changed = async {
            match watching {
                Some(watching) => {
                    // In this order, so that no change is lost when something else comes.
                    if let Some(gathering) = gathering {
                        tokio::time::sleep_until(gathering).await;
                    }
                    watching.changed().await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            wait = stopping.or_input(connection, deadline) => wait,
            () = changed => {
                self.machine.changed();
                Wait::Deadline
            }
        }
    }

    async fn answer(&mut self, question: Output<'_>) {
        match question {
            Output::Login(token, credentials) => {
                let user = credentials.user.into_bytes();
                let verdict = self.client.password(&user, credentials.password).await;
                self.logged_in(&verdict).await;
                self.machine.authenticated(token, verdict);
            }
            Output::Authenticate(token, exchange) => {
                let initial = exchange.initial.map(Secret::new);
                let verdict = self.client.begin(&exchange.mechanism, initial).await;
                self.logged_in(&verdict).await;
                self.machine.authenticated(token, verdict);
            }
            Output::Respond(token, response) => {
                let verdict = self.client.respond(Secret::new(response)).await;
                self.logged_in(&verdict).await;
                self.machine.authenticated(token, verdict);
            }
            Output::ClientId(fields) => self.log_id(&fields),
            Output::Folders(token, scope) => {
                let folders = match self.folders() {
                    Ok(folders) => folders.list(scope).await,
                    Err(refusal) => Err(refusal),
                };
                self.machine.folders(token, folders);
            }
            Output::ChangeFolders(token, change) => {
                let done = match self.folders() {
                    Ok(folders) => folders.change(change).await,
                    Err(refusal) => Err(refusal),
                };
                self.machine.folders_changed(token, done);
            }
            Output::Status(token, name, _) => {
                let counts = self.status(&name).await;
                self.machine.status(token, counts);
            }
            Output::Select(token, name, access) => {
                let opened = self.select(&name, access).await;
                self.machine.selected(token, opened);
            }
            Output::Deselect => self.deselect(),
            question => self.answer_in_mailbox(question).await,
        }
    }

    /// Questions about the mailbox that is open, and APPEND.
    async fn answer_in_mailbox(&mut self, question: Output<'_>) {
        match question {
            Output::Append(token, request) => {
                let begun = self.begin_append(request).await;
                self.machine.append_begun(token, begun);
                return;
            }
            Output::AppendFinish(token) => {
                let appended = self.finish_append().await;
                self.machine.append_finished(token, appended);
                return;
            }
            Output::AppendAbandoned => {
                self.abandon().await;
                return;
            }
            _ => {}
        }
        let (folders, trash) = (self.folders(), self.trash());
        let Some(mailbox) = &mut self.mailbox else {
            tracing::error!("QUESTION WITHOUT MAILBOX");
            return;
        };
        match question {
            Output::Refresh(token) => {
                let turn = match &self.watching {
                    Some(watching) => watching.turn().await,
                    None => None,
                };
                let begun = Instant::now();
                let changes = mailbox.refresh().await;
                drop(turn);
                self.gathering = self.gathering.max(begun) + begun.elapsed() * GATHERING;
                self.machine.refreshed(token, changes);
            }
            Output::Fetch(token, request) => {
                let fetched = mailbox.fetch(&request).await;
                self.machine.fetched(token, fetched);
            }
            Output::Store(token, request) => {
                let stored = mailbox.store(&request).await;
                self.machine.stored(token, stored);
            }
            Output::Search(token, request) => {
                let found = mailbox.search(request).await;
                self.machine.searched(token, Ok(found));
            }
            Output::Expunge(token, uids) => {
                let trash = match (&folders, trash.keeps_expunged.value) {
                    (Ok(folders), Switch::On) => folders.trash(&trash.folder.value).await,
                    _ => None,
                };
                let expunged = mailbox.expunge(&uids, trash).await;
                self.machine.expunged(token, expunged);
            }
            Output::Copy(token, request) => {
                let copied = match folders {
                    Ok(folders) => copy(mailbox, &folders, &request).await,
                    Err(refusal) => Err(refusal),
                };
                self.machine.copied(token, copied);
            }
            _ => {}
        }
    }

    /// Makes the maildir ready for a client that has logged in.
    async fn logged_in(&self, verdict: &Verdict) {
        if let (Verdict::Accepted, Some((_, account))) = (verdict, self.client.account()) {
            quota::adopt(&self.context.disks, &self.context.writer, account).await;
            self.purge_trash().await;
        }
    }

    /// What the configuration of the moment says of the trash.
    fn trash(&self) -> Trash {
        let settings = self.context.routing.configuration.current();
        settings.service(self.service).trash.clone()
    }

    /// Clears what is too old, at login and at LOGOUT.
    async fn purge_trash(&self) {
        let trash = self.trash();
        if let (false, Ok(folders)) = (trash.empty.value.is_empty(), self.folders()) {
            let ages = Ages::parse(&trash.empty.value, &trash.folder.value);
            folders.purge(ages).await;
        }
    }

    /// The folders of the account that has logged in.
    fn folders(&self) -> Result<Folders, Refusal> {
        let (_, account) = self.client.account().ok_or(Refusal::NoPermission)?;
        Ok(Folders {
            disks: self.context.disks.clone(),
            writer: self.context.writer.clone(),
            maildir: account.maildir(),
        })
    }

    async fn status(&self, name: &MailboxName) -> Result<Counts, Refusal> {
        let folder = self.folders()?.locate(name).await?;
        let context = &self.context;
        status(&context.disks, &context.writer, &context.seen, folder).await
    }

    async fn select(&mut self, name: &MailboxName, access: Access) -> Result<Opened, Refusal> {
        self.deselect();
        let folder = self.folders()?.locate(name).await?;
        let (disks, writer) = (&self.context.disks, &self.context.writer);
        let (mailbox, opened) =
            Mailbox::open(disks, writer, &self.context.seen, folder, access).await?;
        self.mailbox = Some(mailbox);
        Ok(opened)
    }

    fn deselect(&mut self) {
        self.mailbox = None;
        self.watching = None;
    }

    async fn begin_append(&mut self, request: AppendRequest) -> Result<(), Refusal> {
        let folder = self.folders()?.locate(&request.mailbox).await?;
        let date = request.date.map(|date| Timestamp {
            seconds: date.0,
            nanos: 0,
        });
        let message = NewMessage {
            content: Content::default(),
            flags: letters(request.flags.flags),
            keywords: words(&request.flags.keywords)?,
            date,
        };
        self.incoming = Some(Incoming::new(folder, message));
        Ok(())
    }

    /// Writes a long message into its file as it comes.
    async fn spill(&mut self) {
        if let Some(incoming) = &mut self.incoming
            && incoming.is_full()
        {
            incoming
                .spill(&self.context.disks, &self.context.writer.at(clock::now()))
                .await;
        }
    }

    async fn finish_append(&mut self) -> Result<Appended, Refusal> {
        let mut incoming = self.incoming.take().ok_or(Refusal::ServerBug)?;
        let (disks, writer) = (
            self.context.disks.clone(),
            self.context.writer.at(clock::now()),
        );
        let appended = match incoming.finish(&disks, &writer).await {
            Ok(message) => {
                let folder = incoming.folder.clone();
                let append = disk::task(|disk| async move {
                    mailbox::append(&disk, &folder, vec![message], &writer).await
                });
                let appended = disks.run(append).await;
                appended.map_err(|error| mailbox_refusal(&error))
            }
            Err(refusal) => Err(refusal),
        };
        incoming.clear(&disks).await;
        let appended = appended?;
        let there = appended.uids.first().and_then(|&there| uid(there));
        Ok(Appended {
            uid_validity: uid_validity(appended.validity).ok_or(Refusal::ServerBug)?,
            uid: there.ok_or(Refusal::ServerBug)?,
        })
    }

    async fn abandon(&mut self) {
        if let Some(incoming) = self.incoming.take() {
            incoming.clear(&self.context.disks).await;
        }
    }

    fn log_id(&self, fields: &[(String, Option<String>)]) {
        let said = fields
            .iter()
            .map(|(field, value)| (field.as_str(), value.as_deref().unwrap_or_default()));
        let user = self
            .client
            .account()
            .map(|(_, account)| account.address.as_str());
        let (ip, port) = self.client.place();
        tracing::info!(user, %ip, %port, pairs = log::pairs(said), "ID");
    }

    /// Courier's line at the end of a session (imap.md 5).
    fn log(&self, ended: &io::Result<Option<Ending>>, connection: &Connection) {
        let (ip, port) = self.client.place();
        let (rcvd, sent) = (connection.received, connection.sent);
        let time = (now() - self.since).0 / 1000;
        let starttls = self.client.tls_mark();
        let Some((_, account)) = self.client.account() else {
            if let Ok(Some(Ending::Logout)) = ended {
                tracing::info!(%ip, %port, rcvd, sent, "LOGOUT");
            }
            tracing::debug!(%ip, %port, time, "Disconnected");
            return;
        };
        let user = &account.address;
        let Facts { headers, bodies } = self.machine.facts();
        let event = match ended {
            Ok(Some(Ending::Shutdown)) => {
                tracing::info!(
                    target: log::NOTICE,
                    user, %ip, %port, headers, body = bodies, rcvd, sent, time, starttls,
                    "Disconnected during shutdown by signal"
                );
                return;
            }
            Ok(Some(Ending::Timeout)) => "TIMEOUT",
            Ok(Some(Ending::Logout)) => "LOGOUT",
            Ok(_) => "DISCONNECTED",
            Err(_) => "I/O error disconnect",
        };
        tracing::info!(
            user, %ip, %port, headers, body = bodies, rcvd, sent, time, starttls,
            "{event}"
        );
    }
}

/// A client in IDLE is told of a change at once. While a folder changes all the time it
/// is looked at so seldom that this takes a twentieth of the time.
const GATHERING: u32 = 20;
/// So much may be owed of that before changes gather.
const AT_ONCE: Duration = Duration::from_millis(500);

async fn copy(
    mailbox: &mut Mailbox,
    folders: &Folders,
    request: &CopyRequest,
) -> Result<Copied, Refusal> {
    let target = folders.locate(&request.mailbox).await?;
    mailbox.copy(request, target).await
}
