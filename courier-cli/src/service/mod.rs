//! The services: each drives one protocol machine over connections and answers its
//! questions from accounts, spool and mailboxes.

use std::fmt;
use std::str::FromStr;

/// What a listening socket serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// ESMTP for other servers (port 25).
    Esmtp,
    /// ESMTP for users: demands AUTH (port 587).
    Submission,
    /// Submission under TLS from the start (port 465).
    Smtps,
    /// IMAP (port 143).
    Imap,
    /// IMAP under TLS from the start (port 993).
    Imaps,
    /// POP3 (port 110).
    Pop3,
    /// POP3 under TLS from the start (port 995).
    Pop3s,
}

impl Service {
    /// Every service, in the order in which they are started.
    pub const ALL: [Self; 7] = [
        Self::Esmtp,
        Self::Submission,
        Self::Smtps,
        Self::Imap,
        Self::Imaps,
        Self::Pop3,
        Self::Pop3s,
    ];

    /// Its name in `--listen` and `listening` lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Esmtp => "esmtp",
            Self::Submission => "submission",
            Self::Smtps => "smtps",
            Self::Imap => "imap",
            Self::Imaps => "imaps",
            Self::Pop3 => "pop3",
            Self::Pop3s => "pop3s",
        }
    }

    /// Whether TLS begins with the first octet.
    #[must_use]
    pub fn is_implicit_tls(self) -> bool {
        matches!(self, Self::Smtps | Self::Imaps | Self::Pop3s)
    }

    /// The ALPN name of its protocol (RFC 7301; `TLS_ALPN`).
    #[must_use]
    pub fn alpn(self) -> &'static str {
        match self {
            Self::Esmtp | Self::Submission | Self::Smtps => "smtp",
            Self::Imap | Self::Imaps => "imap",
            Self::Pop3 | Self::Pop3s => "pop3",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no service {0:?}; there are esmtp, submission, smtps, imap, imaps, pop3 and pop3s")]
pub struct UnknownService(String);

impl FromStr for Service {
    type Err = UnknownService;

    fn from_str(word: &str) -> Result<Self, UnknownService> {
        let found = Self::ALL.into_iter().find(|service| service.name() == word);
        found.ok_or_else(|| UnknownService(word.to_owned()))
    }
}
