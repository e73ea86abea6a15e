//! One client's connection, and a host that carries out what its session asks for.

use courier_core::account::sasl::Verdict;
use courier_core::time::Millis;

use super::mailboxes::{Mailboxes, PASSWORD};
use super::selected::Selected;
use crate::session::output::{AppendRequest, Output, Refusal};
use crate::session::{MOST_PENDING, Session};

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
                Output::Close(_) => self.closed = true,
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
                    .and_then(|message| mailboxes.append(message));
                session.append_finished(token, appended.ok_or(Refusal::NonExistent));
            }
            Output::AppendAbandoned => self.appending = None,
            Output::Select(token, name, access) => {
                self.selected = None;
                let opened = Selected::open(mailboxes, &name, access).map(|(opened, selected)| {
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
        let Some(selected) = &mut self.selected else {
            return;
        };
        match output {
            Output::Fetch(token, request) => {
                session.fetched(token, selected.fetch(mailboxes, &request));
            }
            Output::Store(token, request) => {
                session.stored(token, Ok(selected.store(mailboxes, request)));
            }
            Output::Search(token, request) => {
                session.searched(token, Ok(selected.search(mailboxes, request)));
            }
            Output::Expunge(token, uids) => {
                selected.remove(mailboxes, &uids);
                session.expunged(token, Ok(uids));
            }
            Output::Copy(token, request) => {
                session.copied(token, selected.copy(mailboxes, request));
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
