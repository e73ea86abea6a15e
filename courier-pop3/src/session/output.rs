use courier_core::account::secret::Secret;
use courier_core::message::wire::{Content, Segment};
use courier_core::time::Millis;
use courier_core::token::Token;

use crate::listing::{Listing, MessageNumber};

/// What the host does next.
#[derive(Debug)]
pub enum Output {
    /// Send [`pending`](super::Session::pending) to the client, and report
    /// [`wrote`](super::Session::wrote). Close on a client that takes nothing for five
    /// minutes.
    Write,
    /// Send this piece of a message, all of it, and only then poll again; for the
    /// client's patience as above.
    Send(Segment),
    /// Drop what was read (RFC 2595 §4), shake hands for TLS, then report
    /// [`tls_started`](super::Session::tls_started).
    StartTls,
    /// USER and PASS. Answer with [`authenticated`](super::Session::authenticated).
    Login {
        /// For the answer.
        token: Token<Authentication>,
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// AUTH has begun. Answer with [`authenticated`](super::Session::authenticated).
    Authenticate {
        /// For the answer.
        token: Token<Authentication>,
        /// The mechanism, in upper case; one of those that were offered.
        mechanism: String,
        /// The initial response, decoded.
        initial: Option<Vec<u8>>,
    },
    /// The client has answered a challenge. Answer with
    /// [`authenticated`](super::Session::authenticated).
    Respond {
        /// For the answer.
        token: Token<Authentication>,
        /// The response, decoded.
        response: Vec<u8>,
    },
    /// The client has logged in: list its messages. Answer with
    /// [`opened`](super::Session::opened).
    Open {
        /// For the answer.
        token: Token<Open>,
    },
    /// The client wants a message, or the top of it. Answer with
    /// [`retrieved`](super::Session::retrieved).
    Retrieve {
        /// For the answer.
        token: Token<Retrieve>,
        /// Its number in the listing.
        number: MessageNumber,
        /// Whether it counts as read: Courier sets the flag `S` after RETR.
        extent: Extent,
    },
    /// QUIT: remove these messages for good. Answer with
    /// [`deleted`](super::Session::deleted) once that is durable.
    Delete {
        /// For the answer.
        token: Token<Delete>,
        /// Their numbers in the listing, in order; at least one.
        numbers: Vec<MessageNumber>,
    },
    /// From now on pass octets between the client and the back end, both ways; what
    /// is left in the input goes to the back end. The session is over.
    Relay,
    /// Read more, wait for an answer that is due, or poll again at the deadline.
    Wait {
        /// When to poll at the latest.
        deadline: Millis,
    },
    /// Close the connection.
    Close(Ending),
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

/// Names the questions of [`Output::Login`], [`Output::Authenticate`] and
/// [`Output::Respond`].
#[derive(Debug)]
pub enum Authentication {}
/// Names the question of [`Output::Open`].
#[derive(Debug)]
pub enum Open {}
/// Names the question of [`Output::Retrieve`].
#[derive(Debug)]
pub enum Retrieve {}
/// Names the question of [`Output::Delete`].
#[derive(Debug)]
pub enum Delete {}

/// How much of a message is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extent {
    /// All of it: RETR.
    Whole,
    /// Its header and some lines: TOP.
    Top,
}

/// The answer to [`Output::Open`].
#[derive(Debug)]
pub enum Opened {
    /// These messages are there. They stay the same for the whole session.
    Maildrop(Listing),
    /// The host has logged in to a back end, which does the rest (see
    /// [`proxy`](crate::proxy)).
    Proxied,
    /// No; the session ends.
    Refused(OpenRefusal),
}

/// Why a maildrop cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenRefusal {
    /// Another session has it, and this site lets only one in.
    InUse,
    /// The last login is too short a while ago.
    LoginDelay,
    /// Its home directory has the sticky bit.
    Locked,
    /// The account has the option `disablepop3`.
    Disabled,
    /// The account has the option `disableinsecurepop3`, and there is no TLS.
    DisabledInsecure,
    /// It cannot be read now.
    Temporary,
    /// It cannot be read until somebody does something about it.
    Permanent,
    /// The back end said this after `-ERR`.
    BackEnd(String),
}

/// Why a message cannot be retrieved; others still can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetrieveError {
    /// Somebody has removed it meanwhile.
    Gone,
    /// It cannot be read now.
    Unreadable,
}

/// The answer to [`Output::Retrieve`].
pub type Retrieved = Result<Content, RetrieveError>;

/// How a session ended, for the log. If the client just goes away, the host knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// QUIT.
    Logout,
    /// The client, or the host, took too long.
    Timeout,
    /// The client was sent away: failed logins, too many errors, no maildrop, HTTP.
    Refused,
    /// The server stops.
    Shutdown,
}

/// What the log says at the end of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// Octets of messages sent for TOP, as they are stored.
    pub top: u64,
    /// Octets of messages sent for RETR, as they are stored.
    pub retr: u64,
}
