//! The envelope as octets, for the journal.
//!
//! A version, then the fields in the order below. Numbers are in base 128, lowest
//! group first; texts have their length in front; what may be missing has an octet 0
//! or 1 in front. Addresses are in wire form and parsed again when read, so that no
//! record can make a value that the parsers refuse.

use std::net::IpAddr;

use thiserror::Error;

use super::{
    Body, Envelope, Envid, Notify, Orcpt, Origin, Protocol, QueueId, Recipient, Ret, Security,
    Source,
};
use crate::address::{ForwardPath, ReversePath};
use crate::time::UnixSeconds;

/// The layout that is written.
const VERSION: u8 = 1;

/// Why octets are no envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Written by a newer version of this program.
    #[error("the envelope has layout {found}, this program knows {VERSION}: use a newer one")]
    Version {
        /// The number of the layout.
        found: u8,
    },
    /// The record ends within a field.
    #[error("the envelope ends at octet {offset}, within {field}")]
    Short {
        /// The length of the record.
        offset: usize,
        /// The field.
        field: &'static str,
    },
    /// A field has no valid value.
    #[error("octet {offset} of the envelope is no valid {field}")]
    Value {
        /// Where the field begins or ends.
        offset: usize,
        /// The field.
        field: &'static str,
    },
    /// There is more after the last field.
    #[error("the envelope should end at octet {offset}")]
    Excess {
        /// The place after the last field.
        offset: usize,
    },
}

impl Envelope {
    /// The envelope as octets.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer(vec![VERSION]);
        out.number(self.id.number);
        out.number(self.id.time);
        out.number(self.id.process.into());
        out.time(self.received_at);
        out.octet(flags(self));
        out.octet(match self.ret {
            None => 0,
            Some(Ret::Full) => 1,
            Some(Ret::Headers) => 2,
        });
        out.option(self.envid.as_ref().map(Envid::as_str));
        for time in [
            self.not_before,
            self.expires_at,
            self.fax_expires_at,
            self.warn_at,
        ] {
            out.octet(time.is_some().into());
            if let Some(time) = time {
                out.time(time);
            }
        }
        out.source(&self.source);
        match &self.reverse_path {
            ReversePath::Null => out.text(""),
            ReversePath::Mailbox(mailbox) => out.text(&mailbox.to_string()),
        }
        out.number(self.recipients.len() as u64);
        for recipient in &self.recipients {
            out.recipient(recipient);
        }
        out.0
    }

    /// The envelope that was encoded. Takes memory in proportion to the octets at most.
    ///
    /// # Errors
    /// If the octets are no whole envelope of a known layout.
    pub fn decode(octets: &[u8]) -> Result<Self, RecordError> {
        let mut input = Reader { octets, offset: 0 };
        let version = input.octet("version")?;
        if version != VERSION {
            return Err(RecordError::Version { found: version });
        }
        let envelope = input.envelope()?;
        if input.offset < octets.len() {
            return Err(RecordError::Excess {
                offset: input.offset,
            });
        }
        Ok(envelope)
    }
}

const SMTPUTF8: u8 = 1;
const VERP: u8 = 2;
const REQUIRE_TLS: u8 = 4;
const NOTE_FAILURES: u8 = 8;
const EIGHT_BIT: u8 = 16;
const SECURITY_STARTTLS: u8 = 32;
const ALL_FLAGS: u8 = 63;

fn flags(envelope: &Envelope) -> u8 {
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    flag(envelope.smtputf8, SMTPUTF8)
        | flag(envelope.verp, VERP)
        | flag(envelope.require_tls, REQUIRE_TLS)
        | flag(envelope.note_failures, NOTE_FAILURES)
        | flag(envelope.body == Body::EightBitMime, EIGHT_BIT)
        | flag(envelope.security == Security::StartTls, SECURITY_STARTTLS)
}

struct Writer(Vec<u8>);

impl Writer {
    fn octet(&mut self, octet: u8) {
        self.0.push(octet);
    }

    fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            self.octet(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.octet(number.to_le_bytes()[0]);
    }

    /// The sign goes to the lowest bit.
    fn time(&mut self, time: UnixSeconds) {
        self.number(((time.0 << 1) ^ (time.0 >> 63)).cast_unsigned());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn option(&mut self, text: Option<&str>) {
        self.octet(text.is_some().into());
        if let Some(text) = text {
            self.text(text);
        }
    }

    fn source(&mut self, source: &Source) {
        self.text(&source.origin.to_string());
        self.text(&source.protocol.to_string());
        self.option(source.peer.map(|peer| peer.to_string()).as_deref());
        for text in [
            &source.peer_name,
            &source.helo,
            &source.login,
            &source.vhost,
            &source.relay_client,
        ] {
            self.option(text.as_deref());
        }
        self.text(&source.received_from);
    }

    fn recipient(&mut self, recipient: &Recipient) {
        match &recipient.path {
            ForwardPath::Postmaster => self.text(""),
            ForwardPath::Mailbox(mailbox) => self.text(&mailbox.to_string()),
        }
        self.octet(recipient.notify.bits());
        self.option(recipient.orcpt.as_ref().map(Orcpt::kind));
        if let Some(orcpt) = &recipient.orcpt {
            self.text(orcpt.address());
        }
    }
}

struct Reader<'a> {
    octets: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], RecordError> {
        let end = self.offset.checked_add(length);
        let taken = end.and_then(|end| self.octets.get(self.offset..end));
        let taken = taken.ok_or(RecordError::Short {
            offset: self.octets.len(),
            field,
        })?;
        self.offset += length;
        Ok(taken)
    }

    fn wrong(&self, field: &'static str) -> RecordError {
        RecordError::Value {
            offset: self.offset,
            field,
        }
    }

    fn octet(&mut self, field: &'static str) -> Result<u8, RecordError> {
        Ok(self.take(1, field)?.first().copied().unwrap_or_default())
    }

    fn number(&mut self, field: &'static str) -> Result<u64, RecordError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let octet = self.octet(field)?;
            let group = u64::from(octet & 0x7f);
            if group << shift >> shift != group {
                return Err(self.wrong(field));
            }
            number |= group << shift;
            if octet & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.wrong(field))
    }

    fn time(&mut self, field: &'static str) -> Result<UnixSeconds, RecordError> {
        let number = self.number(field)?;
        let sign = (number & 1).cast_signed().wrapping_neg();
        Ok(UnixSeconds((number >> 1).cast_signed() ^ sign))
    }

    fn text(&mut self, field: &'static str) -> Result<&'a str, RecordError> {
        let length = self.number(field)?;
        let length = usize::try_from(length).map_err(|_| self.wrong(field))?;
        let octets = self.take(length, field)?;
        std::str::from_utf8(octets).map_err(|_| self.wrong(field))
    }

    fn present(&mut self, field: &'static str) -> Result<bool, RecordError> {
        match self.octet(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.wrong(field)),
        }
    }

    fn option(&mut self, field: &'static str) -> Result<Option<&'a str>, RecordError> {
        self.present(field)?.then(|| self.text(field)).transpose()
    }

    fn owned(&mut self, field: &'static str) -> Result<Option<String>, RecordError> {
        Ok(self.option(field)?.map(str::to_owned))
    }

    fn envelope(&mut self) -> Result<Envelope, RecordError> {
        let id = self.queue_id()?;
        let received_at = self.time("time of arrival")?;
        let flags = self.octet("flags")?;
        if flags & !ALL_FLAGS != 0 {
            return Err(self.wrong("flags"));
        }
        let ret = match self.octet("RET")? {
            0 => None,
            1 => Some(Ret::Full),
            2 => Some(Ret::Headers),
            _ => return Err(self.wrong("RET")),
        };
        let envid = self.option("ENVID")?.map(Envid::from_plain).transpose();
        let envid = envid.map_err(|_| self.wrong("ENVID"))?;
        let mut times = [None; 4];
        for time in &mut times {
            if self.present("time")? {
                *time = Some(self.time("time")?);
            }
        }
        let [not_before, expires_at, fax_expires_at, warn_at] = times;
        let source = self.source()?;
        Ok(Envelope {
            id,
            reverse_path: self.reverse_path()?,
            recipients: self.recipients()?,
            ret,
            envid,
            body: if flags & EIGHT_BIT == 0 {
                Body::SevenBit
            } else {
                Body::EightBitMime
            },
            smtputf8: flags & SMTPUTF8 != 0,
            verp: flags & VERP != 0,
            security: if flags & SECURITY_STARTTLS == 0 {
                Security::None
            } else {
                Security::StartTls
            },
            require_tls: flags & REQUIRE_TLS != 0,
            note_failures: flags & NOTE_FAILURES != 0,
            not_before,
            expires_at,
            fax_expires_at,
            warn_at,
            source,
            received_at,
        })
    }

    fn queue_id(&mut self) -> Result<QueueId, RecordError> {
        Ok(QueueId {
            number: self.number("queue id")?,
            time: self.number("queue id")?,
            process: u32::try_from(self.number("queue id")?).map_err(|_| self.wrong("queue id"))?,
        })
    }

    fn source(&mut self) -> Result<Source, RecordError> {
        let origin: Origin = self
            .text("source code")?
            .parse()
            .map_err(|_| self.wrong("source code"))?;
        let protocol: Protocol = self
            .text("protocol")?
            .parse()
            .map_err(|_| self.wrong("protocol"))?;
        let peer = self.option("address of the peer")?;
        let peer = peer.map(str::parse::<IpAddr>).transpose();
        let peer = peer.map_err(|_| self.wrong("address of the peer"))?;
        Ok(Source {
            origin,
            protocol,
            peer,
            peer_name: self.owned("name of the peer")?,
            helo: self.owned("HELO")?,
            login: self.owned("login")?,
            vhost: self.owned("virtual host")?,
            relay_client: self.owned("RELAYCLIENT")?,
            received_from: self.text("name of the sending host")?.to_owned(),
        })
    }

    fn reverse_path(&mut self) -> Result<ReversePath, RecordError> {
        match self.text("sender")? {
            "" => Ok(ReversePath::Null),
            text => {
                let mailbox = text.parse().map_err(|_| self.wrong("sender"))?;
                Ok(ReversePath::Mailbox(mailbox))
            }
        }
    }

    fn recipients(&mut self) -> Result<Vec<Recipient>, RecordError> {
        let count = self.number("number of recipients")?;
        // Each takes three octets or more; a false number ends at the end of the record.
        let left = self.octets.len() - self.offset;
        let count = usize::try_from(count).map_err(|_| self.wrong("number of recipients"))?;
        let mut recipients = Vec::with_capacity(count.min(left / 3));
        for _ in 0..count {
            recipients.push(self.recipient()?);
        }
        Ok(recipients)
    }

    fn recipient(&mut self) -> Result<Recipient, RecordError> {
        let path = match self.text("recipient")? {
            "" => ForwardPath::Postmaster,
            text => {
                let mailbox = text.parse().map_err(|_| self.wrong("recipient"))?;
                ForwardPath::Mailbox(mailbox)
            }
        };
        let notify = self.octet("NOTIFY")?;
        let notify = Notify::from_bits(notify).ok_or(self.wrong("NOTIFY"))?;
        let orcpt = match self.option("ORCPT")? {
            None => None,
            Some(kind) => {
                let orcpt = Orcpt::new(kind, self.text("ORCPT")?);
                Some(orcpt.map_err(|_| self.wrong("ORCPT"))?)
            }
        };
        Ok(Recipient {
            path,
            notify,
            orcpt,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::Channel;
    use super::super::dsn::tests::{envid, notify, orcpt};
    use super::*;
    use crate::address::samples::{forward_path, reverse_path};

    fn source() -> impl Strategy<Value = Source> {
        let origin =
            (select(Channel::ALL.to_vec()), any::<bool>()).prop_map(|(channel, report)| {
                let origin = Origin::Submitted(channel);
                if report { origin.report() } else { origin }
            });
        let protocol = select(Protocol::all().collect::<Vec<_>>());
        let texts = vec(option::of("\\PC{0,12}"), 5);
        (
            origin,
            protocol,
            any::<Option<IpAddr>>(),
            texts,
            "\\PC{0,30}",
        )
            .prop_map(|(origin, protocol, peer, texts, received_from)| {
                let mut texts = texts.into_iter().map(Some);
                let mut next = || texts.next().flatten().flatten();
                Source {
                    origin,
                    protocol,
                    peer,
                    peer_name: next(),
                    helo: next(),
                    login: next(),
                    vhost: next(),
                    relay_client: next(),
                    received_from,
                }
            })
    }

    fn recipient() -> impl Strategy<Value = Recipient> {
        (forward_path(), notify(), option::of(orcpt())).prop_map(|(path, notify, orcpt)| {
            Recipient {
                path,
                notify,
                orcpt,
            }
        })
    }

    fn envelope() -> impl Strategy<Value = Envelope> {
        let facts = (any::<(u64, u64, u32)>(), any::<i64>(), any::<[bool; 6]>());
        let times = vec(any::<Option<i64>>(), 4);
        let ret = option::of(select(vec![Ret::Full, Ret::Headers]));
        let dsn = (ret, option::of(envid()));
        (
            facts,
            times,
            dsn,
            source(),
            reverse_path(),
            vec(recipient(), 0..5),
        )
            .prop_map(
                |((id, received, flags), times, (ret, envid), source, reverse_path, recipients)| {
                    let (number, time, process) = id;
                    let id = QueueId {
                        number,
                        time,
                        process,
                    };
                    let mut all = Envelope::new(id, reverse_path, source, UnixSeconds(received));
                    let [smtputf8, verp, require_tls, note_failures, eight, starttls] = flags;
                    all.recipients = recipients;
                    (all.ret, all.envid) = (ret, envid);
                    (all.smtputf8, all.verp) = (smtputf8, verp);
                    (all.require_tls, all.note_failures) = (require_tls, note_failures);
                    if eight {
                        all.body = Body::EightBitMime;
                    }
                    if starttls {
                        all.security = Security::StartTls;
                    }
                    let time = |n: usize| times[n].map(UnixSeconds);
                    (all.not_before, all.expires_at) = (time(0), time(1));
                    (all.fax_expires_at, all.warn_at) = (time(2), time(3));
                    all
                },
            )
    }

    fn sample() -> Envelope {
        let id = QueueId {
            number: 1,
            time: 2,
            process: 3,
        };
        let mut envelope = Envelope::new(
            id,
            ReversePath::parse(b"<a@example.com>").unwrap(),
            Source::new(Channel::Local),
            UnixSeconds(-1),
        );
        envelope.recipients.push(Recipient {
            path: ForwardPath::Postmaster,
            notify: Notify::NEVER,
            orcpt: None,
        });
        envelope
    }

    #[test]
    fn every_cut_is_noticed() {
        let octets = sample().encode();
        for length in 0..octets.len() {
            assert!(
                matches!(
                    Envelope::decode(&octets[..length]),
                    Err(RecordError::Short { .. })
                ),
                "{length}"
            );
        }
        let longer = [&octets[..], b"x"].concat();
        let offset = octets.len();
        assert_eq!(
            Envelope::decode(&longer),
            Err(RecordError::Excess { offset })
        );
    }

    #[test]
    fn other_layouts_are_named() {
        assert_eq!(
            Envelope::decode(&[9, 1, 2]),
            Err(RecordError::Version { found: 9 })
        );
    }

    #[test]
    fn a_false_number_of_recipients_takes_no_memory() {
        let mut octets = sample().encode();
        let at = octets.len() - 4;
        assert_eq!(octets[at], 1);
        octets.splice(at..=at, [0xff; 9].into_iter().chain([1]));
        assert!(Envelope::decode(&octets).is_err());
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(envelope in envelope()) {
            prop_assert_eq!(Envelope::decode(&envelope.encode()), Ok(envelope));
        }

        #[test]
        fn any_octets_decode_or_fail(mut octets: Vec<u8>) {
            octets.insert(0, VERSION);
            let _ = Envelope::decode(&octets);
        }

        #[test]
        fn damaged_records_decode_or_fail(envelope in envelope(), at: prop::sample::Index, octet: u8) {
            let mut octets = envelope.encode();
            let at = at.index(octets.len());
            octets[at] = octet;
            if let Ok(other) = Envelope::decode(&octets) {
                prop_assert_eq!(Envelope::decode(&other.encode()), Ok(other));
            }
        }
    }
}
