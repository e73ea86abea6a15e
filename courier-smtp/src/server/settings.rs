use courier_core::time::Millis;

use super::limits::Limits;
use crate::extension::Keywords;

/// How a service talks; shared by all of its sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Our name, in the greeting and in the reply to EHLO (`me`).
    pub name: String,
    /// The greeting behind `220 ` (`esmtpgreeting`); none: the name and `ESMTP`.
    pub greeting: Option<String>,
    /// ESMTP or LMTP.
    pub dialect: Dialect,
    /// What is offered (all but `EHLO_DISCARD`). AUTH, STARTTLS and SIZE are besides
    /// subject to what stands below. Courier's own extensions are not in
    /// [`Keywords::STANDARD`]: offer VERP, EXDATA or SECURITY only if the host carries
    /// out what [`Sender`](crate::parameter::Sender) then says.
    pub keywords: Keywords,
    /// Whether TLS can be had.
    pub tls: Tls,
    /// The mechanisms of AUTH (`ESMTPAUTH`, `ESMTPAUTH_TLS`).
    pub mechanisms: Mechanisms,
    /// Whether mail is taken from clients that have not logged in (`AUTH_REQUIRED`).
    pub login: Login,
    /// What becomes of a CR or LF in a message that is not part of a CRLF.
    pub bare_newline: BareNewline,
    /// What becomes of a NUL in a message.
    pub nul: Nul,
    /// Whether VRFY is answered.
    pub vrfy: Lookup,
    /// Whether EXPN is answered.
    pub expn: Lookup,
    /// Whether a client pauses after an error (`TARPIT`).
    pub tarpit: Tarpit,
    /// What becomes of clients that talk before the greeting.
    pub early_talkers: EarlyTalkers,
    /// The limits of a session.
    pub limits: Limits,
}

impl Settings {
    /// The settings of a server of this name that takes mail from anybody, in clear,
    /// without logins; each is changed in its field.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            greeting: None,
            dialect: Dialect::Esmtp,
            keywords: Keywords::STANDARD,
            tls: Tls::Unavailable,
            mechanisms: Mechanisms::default(),
            login: Login::Optional,
            bare_newline: BareNewline::Normalize,
            nul: Nul::Keep,
            vrfy: Lookup::Off,
            expn: Lookup::Off,
            tarpit: Tarpit::Off,
            early_talkers: EarlyTalkers::default(),
            limits: Limits::default(),
        }
    }
}

/// The protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SMTP with extensions (RFC 5321).
    Esmtp,
    /// LMTP (RFC 2033): LHLO, and one reply a recipient after the data.
    Lmtp,
}

/// Whether TLS can be had with STARTTLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// There is no certificate.
    Unavailable,
    /// It is offered.
    Offered,
    /// Nothing is done without it.
    Required,
}

/// Names of SASL mechanisms in upper case, in the order in which they are offered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mechanisms {
    /// Without TLS. PLAIN and LOGIN belong here only if the administrator says so.
    pub plain: Vec<String>,
    /// Under TLS.
    pub tls: Vec<String>,
}

/// Whether a client must log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// It may.
    Optional,
    /// It must, before it sends mail.
    Required,
}

/// What becomes of a CR or LF that is not part of a CRLF (`SMTP_BARE_NEWLINE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BareNewline {
    /// A bare LF is a line end of the content, a bare CR is kept, as in Courier.
    Normalize,
    /// The message is refused, once it is over.
    Reject,
}

/// What becomes of a NUL in a message (`SMTP_NUL`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nul {
    /// It is kept.
    Keep,
    /// The message is refused, once it is over.
    Reject,
}

/// Whether a command that looks something up does so, or says 252.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// It says 252.
    Off,
    /// It asks the host.
    On,
}

/// Whether the next command is read only some time after a 5xx reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tarpit {
    /// At once.
    Off,
    /// After 8 s, doubled to 128 s; never for clients that have logged in.
    On,
}

/// What becomes of clients that talk before the greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlyTalkers {
    /// How long to wait for their first word before the greeting.
    pub delay: Millis,
    /// Whether they are served.
    pub policy: EarlyTalkerPolicy,
}

impl Default for EarlyTalkers {
    fn default() -> Self {
        Self {
            delay: Millis(0),
            policy: EarlyTalkerPolicy::Record,
        }
    }
}

/// Whether clients that talk before the greeting are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyTalkerPolicy {
    /// They are; [`Server::is_early_talker`](super::Server::is_early_talker) tells them.
    Record,
    /// They are not (`REJECT_EARLY_TALKER`).
    Refuse,
}
