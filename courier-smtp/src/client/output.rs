use std::fmt;

use courier_core::account::secret::Secret;
use courier_core::message::wire::{Content, Segment};
use courier_core::time::Millis;
use courier_core::token::Token;

use crate::extension::Keyword;
use crate::parameter::{Recipient, Sender};
use crate::reply::{Reply, ReplyError};

/// How to talk to a server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our name, for EHLO.
    pub name: String,
    /// Whether TLS is wanted.
    pub tls: Tls,
    /// The login, if the server wants one.
    pub credentials: Option<Credentials>,
    /// How long to wait.
    pub timeouts: Timeouts,
}

impl Settings {
    /// TLS where it is offered, and no login.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            tls: Tls::IfOffered,
            credentials: None,
            timeouts: Timeouts::default(),
        }
    }
}

/// Whether TLS is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Never; also for connections that were made under TLS.
    Never,
    /// Where the server offers it.
    IfOffered,
    /// Nothing is sent without it.
    Required,
}

/// What AUTH tells the server.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The login.
    pub user: String,
    /// The password.
    pub password: Secret,
    /// Whether it may be told without TLS.
    pub in_clear: ClearLogin,
}

/// Whether a password may be told without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClearLogin {
    /// It may: the server is on this host.
    Allowed,
    /// It may not.
    Forbidden,
}

/// How long to wait for what (RFC 5321 §4.5.3.2, smtp.md §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// The greeting, and the reply to EHLO and STARTTLS.
    pub hello: Millis,
    /// The reply to any other command (`esmtptimeout`).
    pub command: Millis,
    /// The reply to the end of the data.
    pub data: Millis,
    /// The reply to QUIT (`esmtptimeoutquit`).
    pub quit: Millis,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            hello: Millis::from_mins(5),
            command: Millis::from_mins(10),
            data: Millis::from_mins(10),
            quit: Millis::from_secs(10),
        }
    }
}

/// A message to be sent.
#[derive(Clone)]
pub struct Delivery {
    /// The sender and what it wishes; its `size` is not looked at, the true one is sent.
    pub sender: Sender,
    /// Who gets it.
    pub recipients: Vec<Recipient>,
    /// The message as it is stored.
    pub content: Content,
}

/// Without the content.
impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("sender", &self.sender)
            .field("recipients", &self.recipients)
            .finish_non_exhaustive()
    }
}

/// What the host does next.
#[derive(Debug)]
pub enum Output {
    /// Send [`pending`](super::Client::pending), and report
    /// [`wrote`](super::Client::wrote).
    Write,
    /// Shake hands for TLS, then report [`tls_started`](super::Client::tls_started);
    /// drop what was read since. If it fails, close and decide whether to try in clear.
    StartTls,
    /// The session is free: [`begin`](super::Client::begin) a delivery or
    /// [`quit`](super::Client::quit).
    Ready(Token<Free>),
    /// Send the content in this form, to its end, then report
    /// [`sent`](super::Client::sent).
    Send(Segment),
    /// What became of the delivery, for each of its recipients in order.
    Settled(Vec<Settlement>),
    /// The session has failed before a delivery could begin; it closes next.
    Failed(Failure),
    /// Read more, or poll again at the deadline.
    Wait {
        /// When to poll at the latest.
        deadline: Millis,
    },
    /// Close the connection.
    Close,
}

/// What a poll gave: use the output, then drop the consumed octets from the front of
/// the buffer.
#[derive(Debug)]
pub struct Step {
    /// Octets of the input that are done with.
    pub consumed: usize,
    /// What to do.
    pub output: Output,
}

/// Names the question of [`Output::Ready`].
#[derive(Debug)]
pub enum Free {}

/// What became of the message for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// How far it got.
    pub stage: Stage,
    /// The server's reply: 2xx taken, 4xx to be tried again, 5xx refused for good.
    /// Or why there is none; [`Failure::is_permanent`] says what that means.
    pub result: Result<Reply, Failure>,
}

/// The command whose reply settled a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// None: it was not sent.
    Before,
    /// MAIL.
    Mail,
    /// RCPT.
    Recipient,
    /// DATA.
    Data,
    /// The end of the message.
    End,
}

/// Why there is no reply to act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The server greets with something else than 2xx.
    #[error("the server does not serve us: {0}")]
    Greeting(Reply),
    /// Neither EHLO nor HELO is taken.
    #[error("the server does not take our name: {0}")]
    Hello(Reply),
    /// TLS is required, and the server does not offer it.
    #[error("the server does not offer TLS, which is required")]
    TlsNotOffered,
    /// TLS is required, and the server says no.
    #[error("the server refuses TLS, which is required: {0}")]
    TlsRefused(Reply),
    /// The server offers no way to log in that we may use.
    #[error("the server offers no AUTH mechanism that may be used: PLAIN or LOGIN, under TLS")]
    NoMechanism,
    /// The login is refused.
    #[error("the login is refused: {0}")]
    AuthRefused(Reply),
    /// The delivery needs an extension that the server does not have.
    #[error("the server does not offer {0}")]
    NotOffered(Keyword),
    /// The message is larger than the server takes.
    #[error("the message has {octets} octets, the server takes {limit}")]
    TooLarge {
        /// Its size on the wire.
        octets: u64,
        /// What the server announced.
        limit: u64,
    },
    /// What the server sends is no reply.
    #[error("the server does not speak SMTP: {0}")]
    NoReply(#[from] ReplyError),
    /// A reply of more than 4 MiB.
    #[error("the server's reply does not end")]
    EndlessReply,
    /// A reply that the command cannot have.
    #[error("unexpected reply: {0}")]
    Unexpected(Reply),
    /// No reply in time.
    #[error("no reply in time")]
    TimedOut,
    /// The connection broke.
    #[error("the connection was lost")]
    ConnectionLost,
}

impl Failure {
    /// Whether trying again is of no use. Refused logins and missing TLS are not final:
    /// it is the configuration that is wrong, or an attack (smtp.md §3, §4.2).
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::NotOffered(_) | Self::TooLarge { .. } => true,
            Self::Greeting(reply) | Self::Hello(reply) => {
                reply.severity() == crate::reply::Severity::Permanent
            }
            _ => false,
        }
    }
}
