use courier_core::time::Millis;
use courier_core::token::Token;

use crate::content::Content;
use crate::parameter::{Recipient, Sender};
use crate::reply::{Refusal, Reply};

/// What the host does next.
#[derive(Debug)]
pub enum Output<'b> {
    /// Send [`pending`](super::Server::pending) to the client, and report
    /// [`wrote`](super::Server::wrote). Replies to pipelined commands come together.
    Write,
    /// Shake hands for TLS, then report [`tls_started`](super::Server::tls_started).
    /// All input so far has been consumed (RFC 3207 §4.2): drop what was read since.
    StartTls,
    /// A transaction begins: may this sender send? Answer with
    /// [`sender`](super::Server::sender), and remember it if you accept.
    Sender {
        /// For the answer.
        token: Token<Sender>,
        /// What MAIL said.
        sender: Sender,
    },
    /// Does this recipient get the message? The relay decision is the host's. Answer
    /// with [`recipient`](super::Server::recipient), and remember it if you accept.
    Recipient {
        /// For the answer.
        token: Token<Recipient>,
        /// What RCPT said.
        recipient: Recipient,
    },
    /// The message is about to come: make a place for it and answer with
    /// [`data`](super::Server::data). A refusal ends the transaction.
    Data {
        /// For the answer.
        token: Token<Data>,
    },
    /// More of the message, in stored form; slices of the host's own buffer.
    Body(Content<'b>),
    /// The message is complete: make it durable, then answer with
    /// [`committed`](super::Server::committed).
    Commit {
        /// For the answer.
        token: Token<Commit>,
        /// Its size as RFC 1870 counts, with CRLF line ends.
        octets: u64,
        /// How many replies are wanted.
        replies: Replies,
    },
    /// The transaction is over without a message: forget sender, recipients and content.
    /// [`Output::Close`] means the same, should a transaction be open.
    Abort(Aborted),
    /// AUTH has begun. Answer with [`authenticated`](super::Server::authenticated).
    Authenticate {
        /// For the answer.
        token: Token<Authentication>,
        /// The mechanism, in upper case; one of those in the settings.
        mechanism: String,
        /// The initial response, decoded.
        initial: Option<Vec<u8>>,
    },
    /// The client has answered a challenge. Answer with
    /// [`authenticated`](super::Server::authenticated).
    Respond {
        /// For the answer.
        token: Token<Authentication>,
        /// The response, decoded.
        response: Vec<u8>,
    },
    /// VRFY: whose address is this? Answer with [`verified`](super::Server::verified).
    Verify {
        /// For the answer.
        token: Token<Verify>,
        /// What the client gave, usually an address, with or without brackets.
        argument: String,
    },
    /// EXPN: who is on this list? Answer with [`expanded`](super::Server::expanded).
    Expand {
        /// For the answer.
        token: Token<Expand>,
        /// What the client gave.
        argument: String,
    },
    /// Read more (unless [`MOST_INPUT`] octets are in the buffer: then they wait for a
    /// pause or an answer), or poll again at the deadline.
    Wait {
        /// When to poll at the latest.
        deadline: Millis,
    },
    /// Close the connection.
    Close,
}

/// No session waits for more input while it is shown so many octets: a host whose buffer
/// holds them stops reading until some are consumed. Thus a client that sends on through
/// a pause of the tar pit fills its own buffers, not ours.
pub const MOST_INPUT: usize = 16 * 1024;

/// What a poll gave: use the output, then drop the consumed octets from the front of
/// the buffer.
#[derive(Debug)]
pub struct Step<'b> {
    /// Octets of the input that are done with.
    pub consumed: usize,
    /// What to do.
    pub output: Output<'b>,
}

/// Names the question of [`Output::Data`].
#[derive(Debug)]
pub enum Data {}
/// Names the question of [`Output::Commit`].
#[derive(Debug)]
pub enum Commit {}
/// Names the questions of [`Output::Authenticate`] and [`Output::Respond`].
#[derive(Debug)]
pub enum Authentication {}
/// Names the question of [`Output::Verify`].
#[derive(Debug)]
pub enum Verify {}
/// Names the question of [`Output::Expand`].
#[derive(Debug)]
pub enum Expand {}

/// The host's answer to MAIL, RCPT or DATA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Go on.
    Accept,
    /// No; after a 421 the session ends.
    Refuse(Refusal),
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The same for all recipients. A 2xx only once the message would survive a power
    /// cut; see [`Reply::ok`].
    All(Reply),
    /// One reply for each recipient that was accepted, in order. A client that can take
    /// only one is told 250 if there is a 2xx, else the first (mta.md 11.3).
    Each(Vec<Reply>),
}

/// How many replies a client takes after the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replies {
    /// One, for all recipients.
    One,
    /// One for each: the client said EXDATA, or speaks LMTP.
    PerRecipient,
}

/// Why a transaction ended without a message; the graver is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aborted {
    /// RSET, or a new EHLO.
    Reset,
    /// The message has a NUL, and the settings refuse these.
    Nul,
    /// The message has a bare CR or LF, and the settings refuse these.
    BareNewline,
    /// The message is over the size limit; the rest of it is read away.
    TooLarge,
}

/// The answer to VRFY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// This address, without brackets.
    Known(String),
    /// Nobody's here.
    Unknown,
    /// Of another host.
    Remote,
    /// Not now, or not to this client.
    Refuse(Refusal),
}

/// The answer to EXPN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expanded {
    /// These addresses, without brackets; those that no reply has room for are left out.
    Members(Vec<String>),
    /// No such list.
    Unknown,
    /// Not now, or not to this client.
    Refuse(Refusal),
}
