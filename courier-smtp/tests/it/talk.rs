//! A server with a host that accepts everything and remembers it.

use std::sync::Arc;

use courier_core::account::sasl::Verdict;
use courier_core::time::Millis;
use courier_core::token::Token;
use courier_smtp::parameter::{Recipient, Sender};
use courier_smtp::reply::Reply;
use courier_smtp::server::{
    Aborted, Answer, Commit, Expanded, Outcome, Output, Server, Settings, Step, Transport, Verified,
};

/// A message that was accepted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) sender: String,
    pub(crate) recipients: Vec<String>,
    pub(crate) content: Vec<u8>,
    pub(crate) octets: u64,
}

/// A session, the clock, and what has come of it.
pub(crate) struct Talk {
    pub(crate) server: Server,
    pub(crate) now: Millis,
    pub(crate) verdict: Verdict,
    /// The question of a commit is left open.
    pub(crate) hangs: bool,
    pub(crate) hanging: Option<Token<Commit>>,
    input: Vec<u8>,
    open: Accepted,
    pub(crate) accepted: Vec<Accepted>,
    pub(crate) aborted: Vec<Aborted>,
    pub(crate) closed: bool,
    pub(crate) deadline: Millis,
}

impl Talk {
    /// A session that has greeted.
    pub(crate) fn new(settings: Settings, transport: Transport) -> Self {
        let mut talk = Self {
            server: Server::new(Arc::new(settings), transport),
            now: Millis(0),
            verdict: Verdict::Refused,
            hangs: false,
            hanging: None,
            input: Vec::new(),
            open: Accepted::default(),
            accepted: Vec::new(),
            aborted: Vec::new(),
            closed: false,
            deadline: Millis(0),
        };
        talk.say("");
        talk
    }

    /// The client sends this; gives what it gets until the session rests.
    pub(crate) fn say(&mut self, octets: impl AsRef<[u8]>) -> String {
        self.input.extend_from_slice(octets.as_ref());
        let mut replies = Vec::new();
        let input = std::mem::take(&mut self.input);
        let mut used = 0;
        while !self.closed {
            let Step { consumed, output } = self.server.poll(self.now, &input[used..]);
            used += consumed;
            match output {
                Output::Write => {
                    assert!(self.server.pending().len() <= 65536);
                    replies.extend_from_slice(self.server.pending());
                    self.server.wrote(self.server.pending().len());
                }
                Output::Wait { deadline } => {
                    assert!(deadline > self.now, "waits for the past");
                    self.deadline = deadline;
                    break;
                }
                output => self.carry_out(output),
            }
        }
        self.input = input[used..].to_vec();
        String::from_utf8(replies).expect("UTF-8")
    }

    fn carry_out(&mut self, output: Output<'_>) {
        let server = &mut self.server;
        match output {
            Output::Sender {
                token,
                sender: Sender { path, .. },
            } => {
                self.open = Accepted {
                    sender: path.to_string(),
                    ..Accepted::default()
                };
                server.sender(token, Answer::Accept);
            }
            Output::Recipient {
                token,
                recipient: Recipient { path, .. },
            } => {
                self.open.recipients.push(path.to_string());
                server.recipient(token, Answer::Accept);
            }
            Output::Data { token } => server.data(token, Answer::Accept),
            Output::Body(content) => content.append_to(&mut self.open.content),
            Output::Commit { token, octets, .. } => {
                self.open.octets = octets;
                self.accepted.push(std::mem::take(&mut self.open));
                if self.hangs {
                    self.hanging = Some(token);
                } else {
                    server.committed(token, Outcome::All(Reply::ok("Ok.")));
                }
            }
            Output::Abort(why) => {
                self.open = Accepted::default();
                self.aborted.push(why);
            }
            Output::Authenticate { token, .. } | Output::Respond { token, .. } => {
                server.authenticated(token, self.verdict.clone());
            }
            Output::Verify { token, .. } => server.verified(token, Verified::Unknown),
            Output::Expand { token, .. } => server.expanded(token, Expanded::Unknown),
            Output::StartTls => server.tls_started(),
            Output::Close => self.closed = true,
            Output::Write | Output::Wait { .. } => unreachable!("dealt with before"),
        }
    }

    /// Time passes; gives what the client gets.
    pub(crate) fn pass(&mut self, time: Millis) -> String {
        self.now = self.now + time;
        self.say("")
    }
}
