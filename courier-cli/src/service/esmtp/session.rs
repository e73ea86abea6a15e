//! One ESMTP session.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use courier_core::account::secret::Secret;
use courier_core::address::ForwardPath;
use courier_core::config::Service;
use courier_core::envelope::{self, Channel, Envelope, Notify, QueueId, Source};
use courier_core::message::header::HeaderExcess;
use courier_core::mta::journal::AppendError;
use courier_core::mta::trace::Received;
use courier_core::time::UnixSeconds;
use courier_smtp::parameter::{Recipient, Sender};
use courier_smtp::reply::{Refusal, Reply};
use courier_smtp::server::{
    Answer, Expanded, Outcome, Output, Server, Settings, Transport, Verified,
};

use super::content::{Incoming, NotStored};
use crate::delivery::Fresh;
use crate::net::connection::{Connection, Wait};
use crate::net::now;
use crate::routing::Destination;
use crate::service::login::{Bracketed, Client};
use crate::service::{Context, Stopping};
use crate::spool::Text;

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
        limit: settings.limits.message,
        server: Server::new(settings, transport),
        service,
        client: Client::new(&context, service, &connection),
        context,
        transaction: None,
    };
    let result = session.run(&mut connection, &mut stopping).await;
    session.abort().await;
    connection.close().await;
    result
}

struct Session {
    server: Server,
    service: Service,
    limit: Option<u64>,
    client: Client,
    context: Arc<Context>,
    transaction: Option<Transaction>,
}

/// A message on its way in.
struct Transaction {
    sender: Sender,
    recipients: Vec<envelope::Recipient>,
    incoming: Option<Incoming>,
    id: QueueId,
    at: UnixSeconds,
}

impl Transaction {
    /// Adds a recipient, unless it would get a second copy of the same delivery: one to
    /// the same address, asked for under the same name, or whose name nobody will hear
    /// of (mta.md 5.4).
    fn add(&mut self, recipient: envelope::Recipient) {
        let nameless = recipient.notify == Notify::NEVER;
        let known = self.recipients.iter().any(|known| {
            known.path == recipient.path && (nameless || known.orcpt == recipient.orcpt)
        });
        if !known {
            self.recipients.push(recipient);
        }
    }
}

impl Session {
    async fn run(
        &mut self,
        connection: &mut Connection,
        stopping: &mut Stopping,
    ) -> io::Result<()> {
        loop {
            if stopping.is_now() {
                self.server.shutdown();
            }
            let step = self.server.poll(now(), connection.filled());
            let consumed = step.consumed;
            match step.output {
                Output::Write => {
                    connection.consume(consumed);
                    let written = connection.write(self.server.pending()).await?;
                    self.server.wrote(written);
                    continue;
                }
                Output::Body(slices) => {
                    if let Some(incoming) = self.incoming() {
                        incoming.push(slices);
                    }
                }
                Output::Wait { deadline } => {
                    connection.consume(consumed);
                    let wait = stopping.or_input(connection, deadline).await;
                    if wait == Wait::Closed {
                        return Ok(());
                    }
                    continue;
                }
                Output::StartTls => {
                    connection.consume(consumed);
                    self.start_tls(connection).await?;
                    continue;
                }
                Output::Close => return Ok(()),
                Output::Sender { token, sender } => {
                    let answer = self.sender(sender).await;
                    self.server.sender(token, answer);
                }
                Output::Recipient { token, recipient } => {
                    let answer = self.recipient(recipient, connection.local.ip()).await;
                    self.server.recipient(token, answer);
                }
                Output::Data { token } => {
                    self.begin(connection);
                    self.server.data(token, Answer::Accept);
                }
                Output::Commit { token, .. } => {
                    let reply = self.commit().await;
                    self.server.committed(token, Outcome::All(reply));
                }
                Output::Abort(_) => self.abort().await,
                Output::Authenticate {
                    token,
                    mechanism,
                    initial,
                } => {
                    let initial = initial.map(Secret::new);
                    let verdict = self.client.begin(&mechanism, initial).await;
                    self.server.authenticated(token, verdict);
                }
                Output::Respond { token, response } => {
                    let verdict = self.client.respond(Secret::new(response)).await;
                    self.server.authenticated(token, verdict);
                }
                Output::Verify { token, argument } => {
                    let verified = self.verify(&argument, connection.local.ip()).await;
                    self.server.verified(token, verified);
                }
                Output::Expand { token, .. } => self.server.expanded(token, Expanded::Unknown),
            }
            connection.consume(consumed);
            self.spill().await;
        }
    }

    async fn start_tls(&mut self, connection: &mut Connection) -> io::Result<()> {
        self.context.start_tls(self.service, connection).await?;
        self.server.tls_started();
        self.client.under_tls();
        Ok(())
    }

    async fn sender(&mut self, sender: Sender) -> Answer {
        let size = sender.size.or(self.limit);
        if !self.context.spool.has_room(size.unwrap_or_default()) {
            tracing::warn!(ip = %Bracketed(self.client.address()), "DISK FULL");
            return Answer::Refuse(Refusal::disk_full());
        }
        let at = crate::clock::unix_now();
        self.transaction = Some(Transaction {
            sender,
            recipients: Vec::new(),
            incoming: None,
            id: QueueId {
                number: 0,
                time: u64::try_from(at.0).unwrap_or_default(),
                process: 0,
            },
            at,
        });
        Answer::Accept
    }

    async fn recipient(&mut self, recipient: Recipient, here: IpAddr) -> Answer {
        let mailbox = match self.context.routing.mailbox(&recipient.path, here) {
            Ok(mailbox) => mailbox,
            Err(error) => {
                return Answer::Refuse(Refusal::unknown_user().with_text(error.to_string()));
            }
        };
        let settings = self.context.routing.configuration.current();
        let may_relay = self.server.is_logged_in();
        if !may_relay && !settings.accept_mail_for.contains(mailbox.domain()) {
            return Answer::Refuse(Refusal::relaying_denied());
        }
        match self.context.routing.find(&mailbox).await {
            Destination::Account(_) => {}
            Destination::Unknown => return Answer::Refuse(Refusal::unknown_user()),
            Destination::Elsewhere => {
                let text = "Mail to other hosts is not sent by this version.";
                return Answer::Refuse(Refusal::relaying_denied().with_text(text));
            }
            Destination::Unavailable(reason) => {
                tracing::error!(reason, "ACCOUNT DATABASE");
                return Answer::Refuse(Refusal::accounts_unavailable());
            }
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.add(envelope::Recipient {
                path: ForwardPath::Mailbox(mailbox),
                notify: recipient.notify,
                orcpt: recipient.orcpt,
            });
        }
        Answer::Accept
    }

    /// The message is about to come: it gets its number and its trace.
    fn begin(&mut self, connection: &Connection) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        let number = self.context.spool.reserve();
        transaction.at = crate::clock::unix_now();
        transaction.id = QueueId {
            number: number.id().0,
            time: u64::try_from(transaction.at.0).unwrap_or_default(),
            // Any number that tells apart what came in one second.
            process: u32::try_from(number.id().0 & 0xffff_ffff).unwrap_or_default(),
        };
        let tls = connection.tls_facts();
        let login = self.client.account();
        let me = self.context.routing.configuration.current();
        let received = Received {
            helo: self.server.helo().unwrap_or("unknown"),
            client: connection.peer.ip(),
            login: login.map(|(mechanism, account)| (mechanism, account.address.as_str())),
            tls: tls
                .as_ref()
                .map(|(version, suite)| (*version, suite.as_str())),
            by: me.me.value.to_ascii(),
            protocol: &self.server.protocol().to_string(),
            id: transaction.id,
            at: transaction.at,
        };
        transaction.incoming = Some(Incoming::new(number, received.to_string()));
    }

    fn incoming(&mut self) -> Option<&mut Incoming> {
        self.transaction.as_mut()?.incoming.as_mut()
    }

    /// Writes a long message into its file as it comes.
    async fn spill(&mut self) {
        let disks = &self.context.disks;
        if let Some(transaction) = &mut self.transaction
            && let Some(incoming) = &mut transaction.incoming
            && incoming.is_full()
        {
            incoming.spill(disks).await;
        }
    }

    /// The message is complete: makes it durable, and hands it to the deliveries.
    async fn commit(&mut self) -> Reply {
        let Some(transaction) = self.transaction.take() else {
            return Refusal::storage_failed().into();
        };
        let Some(incoming) = transaction.incoming else {
            return Refusal::storage_failed().into();
        };
        // The log has room of its own, but the maildirs have not: what could not be
        // delivered is left to the client, who need not wait for our next round.
        let copies = transaction.recipients.len() as u64;
        let needed = incoming.octets().saturating_mul(copies);
        if !self.context.spool.can_deliver(needed) {
            tracing::warn!(id = %transaction.id, "DISK FULL");
            incoming.discard(&self.context.disks).await;
            return Refusal::disk_full().into();
        }
        let mut envelope = Envelope::new(
            transaction.id,
            transaction.sender.path,
            self.source(),
            transaction.at,
        );
        envelope.recipients = transaction.recipients;
        envelope.ret = transaction.sender.ret;
        envelope.envid = transaction.sender.envid;
        envelope.body = transaction.sender.body;
        envelope.smtputf8 = transaction.sender.smtputf8;
        let text = match incoming.finish(&self.context.disks).await {
            Ok(text) => text,
            Err(NotStored::Header(HeaderExcess::Loop { .. })) => return Refusal::loops().into(),
            Err(NotStored::Header(_)) => return Refusal::header_too_large().into(),
            Err(NotStored::File(error)) => {
                tracing::error!(id = %envelope.id, error = %error, "MESSAGE NOT STORED");
                return match error.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        Refusal::disk_full().into()
                    }
                    _ => Refusal::storage_failed().into(),
                };
            }
        };
        let content = match &text {
            Text::Short(_, octets) => Some(Arc::clone(octets)),
            Text::Long(_) => None,
        };
        let accepted = self.context.spool.accept(&envelope, text).await;
        match accepted {
            Ok(accepted) => {
                let short = envelope.id.short();
                tracing::info!(id = %envelope.id, from = %envelope.reverse_path, ip = %Bracketed(self.client.address()), recipients = envelope.recipients.len(), "ACCEPTED");
                self.context.deliveries.push(Fresh {
                    accepted,
                    envelope,
                    content,
                });
                Reply::ok(format!("Ok. {short}"))
            }
            Err(error) => {
                tracing::error!(id = %envelope.id, error = crate::failure::chain(&error), "MESSAGE NOT STORED");
                refusal(&error).into()
            }
        }
    }

    fn source(&self) -> Source {
        let login = self.client.account();
        let channel = match login {
            Some(_) => Channel::AuthSmtp,
            None => Channel::Smtp,
        };
        let helo = self.server.helo().unwrap_or("unknown").to_owned();
        let peer = self.client.address();
        let mut source = Source::from_peer(channel, self.server.protocol(), peer, None, helo);
        source.relay_client = login.map(|_| String::new());
        source.login = login.map(|(_, account)| account.address.clone());
        source
    }

    async fn abort(&mut self) {
        let incoming = self
            .transaction
            .take()
            .and_then(|transaction| transaction.incoming);
        if let Some(incoming) = incoming {
            incoming.discard(&self.context.disks).await;
        }
    }

    async fn verify(&self, argument: &str, here: IpAddr) -> Verified {
        let bare = argument.trim();
        let bare = bare.strip_prefix('<').unwrap_or(bare);
        let bare = bare.strip_suffix('>').unwrap_or(bare);
        let default = self.context.routing.configuration.current();
        let address = courier_core::address::Address::parse(bare.as_bytes());
        let mailbox = address.and_then(|a| a.completed(&default.default_domain.value));
        let Ok(mailbox) = mailbox else {
            return Verified::Unknown;
        };
        let path = ForwardPath::Mailbox(mailbox);
        let Ok(mailbox) = self.context.routing.mailbox(&path, here) else {
            return Verified::Unknown;
        };
        match self.context.routing.find(&mailbox).await {
            Destination::Account(_) => Verified::Known(mailbox.to_string()),
            Destination::Unknown => Verified::Unknown,
            Destination::Elsewhere => Verified::Remote,
            Destination::Unavailable(_) => Verified::Refuse(Refusal::accounts_unavailable()),
        }
    }
}

fn refusal(error: &AppendError) -> Refusal {
    use courier_core::disk::DiskErrorKind::{NoSpace, Quota};
    match error {
        AppendError::Disk(error) if matches!(error.kind, NoSpace | Quota) => Refusal::disk_full(),
        _ => Refusal::storage_failed(),
    }
}
