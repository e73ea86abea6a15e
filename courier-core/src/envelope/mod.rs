//! What travels with a message beside its text: where it came from, where it goes,
//! and what the sender wants to hear of it.
//!
//! A protocol server fills an [`Envelope`], the spool journal keeps it as opaque
//! octets ([`Envelope::encode`]), and delivery, reports and logs read it again.
//!
//! ```
//! use courier_core::address::{ForwardPath, ReversePath};
//! use courier_core::envelope::{Channel, Envelope, Notify, QueueId, Recipient, Source};
//! use courier_core::time::UnixSeconds;
//!
//! let id = QueueId { number: 0x2a, time: 0x6a0c5c00, process: 0x1f };
//! let source = Source::new(Channel::Local);
//! let mut envelope = Envelope::new(id, ReversePath::Null, source, UnixSeconds(0x6a0c5c00));
//! envelope.recipients.push(Recipient {
//!     path: ForwardPath::parse(b"<jane@example.com>")?,
//!     notify: Notify::parse("FAILURE,DELAY")?,
//!     orcpt: None,
//! });
//! assert_eq!(Envelope::decode(&envelope.encode())?, envelope);
//! assert_eq!(envelope.id.to_string(), "000000000000002A.000000006A0C5C00.0000001F");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod dsn;
mod record;
mod source;
pub mod xtext;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

pub use dsn::{Envid, Notify, Orcpt, ParameterError, Ret};
pub use record::RecordError;
pub use source::{Channel, Origin, Protocol, Source, Transport, UnknownWord};

use crate::address::{ForwardPath, ReversePath};
use crate::time::UnixSeconds;

/// The facts about a message that its text does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The name of the message in `Received`, in the log and in the queue.
    pub id: QueueId,
    /// Who hears of failures.
    pub reverse_path: ReversePath,
    /// Who gets it, numbered from 0 in this order.
    pub recipients: Vec<Recipient>,
    /// How much of the message a report gives back; none: the site's default.
    pub ret: Option<Ret>,
    /// The sender's name for this message, for its reports.
    pub envid: Option<Envid>,
    /// Whether the content has octets above 127.
    pub body: Body,
    /// Whether the headers or an address need SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// Whether each recipient gets a sender of its own (Courier's VERP).
    pub verp: bool,
    /// Courier's SECURITY parameter.
    pub security: Security,
    /// Whether every hop must have TLS (RFC 8689).
    pub require_tls: bool,
    /// Whether failures count for the suppression list.
    pub note_failures: bool,
    /// No attempt before: a delayed submission or RFC 4865.
    pub not_before: Option<UnixSeconds>,
    /// When attempts end; none: what the site has configured.
    pub expires_at: Option<UnixSeconds>,
    /// The same for recipients by fax.
    pub fax_expires_at: Option<UnixSeconds>,
    /// When the sender is told of a delay; none: what the site has configured.
    pub warn_at: Option<UnixSeconds>,
    /// Where the message came from.
    pub source: Source,
    /// When it came.
    pub received_at: UnixSeconds,
}

impl Envelope {
    /// An envelope without recipients and without wishes.
    #[must_use]
    pub fn new(
        id: QueueId,
        reverse_path: ReversePath,
        source: Source,
        received_at: UnixSeconds,
    ) -> Self {
        Self {
            id,
            reverse_path,
            recipients: Vec::new(),
            ret: None,
            envid: None,
            body: Body::SevenBit,
            smtputf8: false,
            verp: false,
            security: Security::None,
            require_tls: false,
            note_failures: false,
            not_before: None,
            expires_at: None,
            fax_expires_at: None,
            warn_at: None,
            source,
            received_at,
        }
    }
}

/// One who gets the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The address, after aliases.
    pub path: ForwardPath,
    /// Which outcomes the sender wants to hear of.
    pub notify: Notify,
    /// The address as the sender wrote it.
    pub orcpt: Option<Orcpt>,
}

/// What octets the content has (RFC 6152).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Body {
    /// `BODY=7BIT`: none above 127.
    #[default]
    SevenBit,
    /// `BODY=8BITMIME`: there may be some.
    EightBitMime,
}

/// Courier's SECURITY extension: how the message may be sent on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Security {
    /// `SECURITY=NONE`: in any way.
    #[default]
    None,
    /// `SECURITY=STARTTLS`: only by hosts with a certificate of the site's own
    /// authority, which promise the same.
    StartTls,
}

/// The name of a message in the queue: `I.T.P`, three numbers in upper-case hex of
/// 16, 16 and 8 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId {
    /// `I`: the number of the message in the journal.
    pub number: u64,
    /// `T`: when it was made, in seconds.
    pub time: u64,
    /// `P`: the process that made it.
    pub process: u32,
}

impl QueueId {
    /// `T.P`, which the answer to a client shows.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{:016X}.{:08X}", self.time, self.process)
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:016X}.{:016X}.{:08X}",
            self.number, self.time, self.process
        )
    }
}

/// A text that is no queue id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a queue id is three hexadecimal numbers of 16, 16 and 8 digits with dots between")]
pub struct QueueIdError;

impl FromStr for QueueId {
    type Err = QueueIdError;
    fn from_str(text: &str) -> Result<Self, QueueIdError> {
        let mut parts = text.split('.');
        let mut hex = |digits: usize| {
            let part = parts.next().ok_or(QueueIdError)?;
            if part.len() != digits || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(QueueIdError);
            }
            u64::from_str_radix(part, 16).map_err(|_| QueueIdError)
        };
        let (number, time, process) = (hex(16)?, hex(16)?, hex(8)?);
        if parts.next().is_some() {
            return Err(QueueIdError);
        }
        Ok(Self {
            number,
            time,
            process: u32::try_from(process).map_err(|_| QueueIdError)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn queue_ids_are_strict() {
        let text = "0000000000001A2B.000000006A0C5C00.0000001F";
        let id: QueueId = text.parse().unwrap();
        assert_eq!(id.number, 0x1a2b);
        assert_eq!(id.to_string(), text);
        assert_eq!(id.short(), "000000006A0C5C00.0000001F");
        for bad in [
            "",
            "1.2.3",
            "0000000000001A2B.000000006A0C5C00",
            "0000000000001A2B.000000006A0C5C00.0000001F.",
            "+000000000001A2B.000000006A0C5C00.0000001F",
        ] {
            assert!(bad.parse::<QueueId>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn queue_ids_lead_back(number: u64, time: u64, process: u32) {
            let id = QueueId { number, time, process };
            prop_assert_eq!(id.to_string().parse::<QueueId>(), Ok(id));
        }
    }
}
