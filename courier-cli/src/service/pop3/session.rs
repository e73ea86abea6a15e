//! One POP3 session.

use std::io;
use std::sync::Arc;

use courier_core::account::secret::Secret;
use courier_core::config::Service;
use courier_pop3::session::{
    Ending, Extent, OpenRefusal, Opened, Output, RetrieveError, Session as Machine, Settings,
    Transport,
};

use super::maildrop::Inbox;
use crate::net::connection::{Connection, Wait};
use crate::net::now;
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
        false => Transport::Plain,
    };
    let mut session = Session {
        machine: Machine::new(settings, transport),
        client: Client::new(&context, service, &connection),
        context,
        service,
        inbox: None,
        since: now(),
    };
    let ended = session.run(&mut connection, &mut stopping).await;
    session.log(&ended, &connection);
    if let Some(inbox) = session.inbox.take() {
        inbox.close().await;
    }
    connection.close().await;
    ended.map(drop)
}

struct Session {
    machine: Machine,
    client: Client,
    context: Arc<Context>,
    service: Service,
    inbox: Option<Inbox>,
    since: courier_core::time::Millis,
}

impl Session {
    /// Gives how the session ended; `None` if the client just went away.
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
            connection.consume(step.consumed);
            match step.output {
                Output::Write => {
                    let text = self.machine.pending();
                    connection.queue(text).await?;
                    let queued = text.len();
                    self.machine.wrote(queued);
                }
                Output::Send(segment) => connection.send(segment).await?,
                Output::Wait { deadline } => {
                    let wait = stopping.or_input(connection, deadline).await;
                    if wait == Wait::Closed {
                        return Ok(None);
                    }
                }
                Output::StartTls => {
                    self.context.start_tls(self.service, connection).await?;
                    self.machine.tls_started();
                    self.client.under_tls();
                }
                Output::Close(ending) => {
                    connection.flush().await?;
                    return Ok(Some(ending));
                }
                Output::Relay => return Ok(None),
                question => self.answer(question).await,
            }
        }
    }

    async fn answer(&mut self, question: Output) {
        match question {
            Output::Login {
                token,
                user,
                password,
            } => {
                let verdict = self.client.password(user.as_bytes(), password).await;
                self.machine.authenticated(token, verdict);
            }
            Output::Authenticate {
                token,
                mechanism,
                initial,
            } => {
                let verdict = self
                    .client
                    .begin(&mechanism, initial.map(Secret::new))
                    .await;
                self.machine.authenticated(token, verdict);
            }
            Output::Respond { token, response } => {
                let verdict = self.client.respond(Secret::new(response)).await;
                self.machine.authenticated(token, verdict);
            }
            Output::Open { token } => {
                let opened = self.open().await;
                self.machine.opened(token, opened);
            }
            Output::Retrieve {
                token,
                number,
                extent,
            } => {
                let content = match &mut self.inbox {
                    Some(inbox) => inbox.content(number).await,
                    None => Err(RetrieveError::Gone),
                };
                if let (Ok(_), Extent::Whole, Some(inbox)) = (&content, extent, &mut self.inbox) {
                    inbox.was_read(number);
                }
                self.machine.retrieved(token, content);
            }
            Output::Delete { token, numbers } => {
                let left = match &mut self.inbox {
                    Some(inbox) => inbox.remove(&numbers).await,
                    None => numbers.len(),
                };
                self.machine.deleted(token, left);
            }
            // Not questions: `run` has done them.
            Output::Write
            | Output::Send(_)
            | Output::Wait { .. }
            | Output::StartTls
            | Output::Close(_)
            | Output::Relay => {}
        }
    }

    async fn open(&mut self) -> Opened {
        let Some((_, account)) = self.client.account() else {
            return Opened::Refused(OpenRefusal::Permanent);
        };
        let maildir = account.maildir();
        quota::adopt(&self.context.disks, &self.context.writer, account).await;
        match Inbox::open(&self.context.disks, &self.context.writer, maildir).await {
            Ok((inbox, listing)) => {
                self.inbox = Some(inbox);
                Opened::Maildrop(listing)
            }
            Err(refusal) => Opened::Refused(refusal),
        }
    }

    /// Courier's line at the end of a session (pop3.md 4).
    fn log(&self, ended: &io::Result<Option<Ending>>, connection: &Connection) {
        let Some((_, account)) = self.client.account() else {
            // A QUIT before the login.
            if let Ok(Some(Ending::Logout)) = ended {
                let (ip, port) = self.client.place();
                tracing::info!(%ip, %port, "LOGOUT");
            }
            return;
        };
        let facts = self.machine.facts();
        let event = match ended {
            Ok(Some(Ending::Timeout)) => "TIMEOUT",
            Ok(Some(Ending::Logout)) => "LOGOUT",
            Ok(_) => "DISCONNECTED",
            Err(_) => "I/O error disconnect",
        };
        let (ip, port) = self.client.place();
        tracing::info!(
            user = account.address,
            %ip,
            %port,
            top = facts.top,
            retr = facts.retr,
            rcvd = connection.received,
            sent = connection.sent,
            time = (now() - self.since).0 / 1000,
            stls = self.client.tls_mark(),
            "{event}"
        );
    }
}
