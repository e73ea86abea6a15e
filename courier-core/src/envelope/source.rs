use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use thiserror::Error;

/// Where a message came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What kind of sender gave it to us.
    pub origin: Origin,
    /// The word of `with` in `Received`.
    pub protocol: Protocol,
    /// The address of the client.
    pub peer: Option<IpAddr>,
    /// The name of the client, as the domain name system has it.
    pub peer_name: Option<String>,
    /// The argument of its EHLO, HELO or LHLO, cleaned.
    pub helo: Option<String>,
    /// Its login, if it has proved who it is.
    pub login: Option<String>,
    /// The virtual host under whose name it is sent on.
    pub vhost: Option<String>,
    /// The value of RELAYCLIENT, if the client may relay.
    pub relay_client: Option<String>,
    /// For `Received-From-MTA` of a report: a type, a semicolon and a name, such as
    /// `dns; client.example (client.example [192.0.2.1])`.
    pub received_from: String,
}

impl Source {
    /// A message made on this host.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let protocol = match channel {
            Channel::Smtp | Channel::AuthSmtp => Protocol::Smtp,
            Channel::Local => Protocol::Local,
            Channel::Uucp => Protocol::Uucp,
            Channel::Dsn => Protocol::Dsn,
        };
        Self {
            origin: Origin::Submitted(channel),
            protocol,
            peer: None,
            peer_name: None,
            helo: None,
            login: None,
            vhost: None,
            relay_client: None,
            received_from: received_from("localhost", Some("localhost"), address),
        }
    }

    /// A message that a client gave us over the network.
    #[must_use]
    pub fn from_peer(
        channel: Channel,
        protocol: Protocol,
        peer: IpAddr,
        peer_name: Option<String>,
        helo: String,
    ) -> Self {
        Self {
            origin: Origin::Submitted(channel),
            protocol,
            peer: Some(peer),
            received_from: received_from(&helo, peer_name.as_deref(), peer),
            peer_name,
            helo: Some(helo),
            login: None,
            vhost: None,
            relay_client: None,
        }
    }
}

fn received_from(helo: &str, name: Option<&str>, address: IpAddr) -> String {
    match name {
        Some(name) => format!("dns; {helo} ({name} [{address}])"),
        None => format!("dns; {helo} ([{address}])"),
    }
}

/// Courier's source code of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A message that somebody sent.
    Submitted(Channel),
    /// A report about such a message: `smtp/dsn` and the like.
    Report(Channel),
}

impl Origin {
    /// The channel of the message, or of the one that it reports about.
    #[must_use]
    pub fn channel(self) -> Channel {
        match self {
            Self::Submitted(channel) | Self::Report(channel) => channel,
        }
    }

    /// The origin of a report about a message of this origin.
    #[must_use]
    pub fn report(self) -> Self {
        Self::Report(self.channel())
    }
}

/// How a message reached us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// SMTP, from a client that may not relay.
    Smtp,
    /// SMTP, from a client that may relay.
    AuthSmtp,
    /// A program on this host.
    Local,
    /// UUCP.
    Uucp,
    /// Our own report.
    Dsn,
}

impl Channel {
    pub(super) const ALL: [Self; 5] = [
        Self::Smtp,
        Self::AuthSmtp,
        Self::Local,
        Self::Uucp,
        Self::Dsn,
    ];
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Smtp => "smtp",
            Self::AuthSmtp => "authsmtp",
            Self::Local => "local",
            Self::Uucp => "uucp",
            Self::Dsn => "dsn",
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Submitted(channel) => channel.fmt(f),
            Self::Report(channel) => write!(f, "{channel}/dsn"),
        }
    }
}

/// A word that is none of Courier's, or of RFC 3848 and its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not the name of a way in which messages come")]
pub struct UnknownWord;

impl FromStr for Origin {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let (word, report) = match text.strip_suffix("/dsn") {
            Some(word) => (word, true),
            None => (text, false),
        };
        let mut all = Channel::ALL.into_iter();
        let channel = all.find(|channel| channel.to_string() == word);
        let channel = channel.ok_or(UnknownWord)?;
        Ok(if report {
            Self::Report(channel)
        } else {
            Self::Submitted(channel)
        })
    }
}

/// The word of `with` in `Received` (RFC 3848, RFC 6531 §4.3, RFC 2033).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `SMTP`: the client said HELO.
    Smtp,
    /// `ESMTP`, `LMTP` and what is derived from them.
    Extended {
        /// Which of the two.
        transport: Transport,
        /// The transaction used SMTPUTF8.
        utf8: bool,
        /// The session used TLS.
        tls: bool,
        /// The client had proved who it is.
        auth: bool,
    },
    /// A program on this host.
    Local,
    /// UUCP.
    Uucp,
    /// Our own report.
    Dsn,
}

/// The base of [`Protocol::Extended`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// `ESMTP`, or `UTF8SMTP`.
    Esmtp,
    /// `LMTP`, or `UTF8LMTP`.
    Lmtp,
}

impl Protocol {
    /// Every word there is.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let plain = [Self::Smtp, Self::Local, Self::Uucp, Self::Dsn];
        let extended = (0u8..16).map(|bits| Self::Extended {
            transport: if bits & 8 == 0 {
                Transport::Esmtp
            } else {
                Transport::Lmtp
            },
            utf8: bits & 4 != 0,
            tls: bits & 2 != 0,
            auth: bits & 1 != 0,
        });
        plain.into_iter().chain(extended)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Smtp => f.write_str("SMTP"),
            Self::Local => f.write_str("local"),
            Self::Uucp => f.write_str("uucp"),
            Self::Dsn => f.write_str("dsn"),
            Self::Extended {
                transport,
                utf8,
                tls,
                auth,
            } => {
                f.write_str(match (transport, utf8) {
                    (Transport::Esmtp, false) => "ESMTP",
                    (Transport::Esmtp, true) => "UTF8SMTP",
                    (Transport::Lmtp, false) => "LMTP",
                    (Transport::Lmtp, true) => "UTF8LMTP",
                })?;
                f.write_str(if *tls { "S" } else { "" })?;
                f.write_str(if *auth { "A" } else { "" })
            }
        }
    }
}

impl FromStr for Protocol {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::all()
            .find(|protocol| protocol.to_string() == text)
            .ok_or(UnknownWord)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_received_lead_back() {
        for protocol in Protocol::all() {
            assert_eq!(protocol.to_string().parse(), Ok(protocol));
        }
        assert_eq!(Protocol::all().count(), 20);
        for word in [
            "ESMTPSA",
            "UTF8SMTPA",
            "UTF8SMTPS",
            "LMTPSA",
            "UTF8LMTP",
            "SMTP",
        ] {
            assert_eq!(word.parse::<Protocol>().unwrap().to_string(), word);
        }
        assert!("HTTP".parse::<Protocol>().is_err());
    }

    #[test]
    fn source_codes_lead_back() {
        for word in ["smtp", "authsmtp/dsn", "local", "uucp", "dsn", "dsn/dsn"] {
            assert_eq!(word.parse::<Origin>().unwrap().to_string(), word);
        }
        assert!("smtp/".parse::<Origin>().is_err());
        let report = Origin::Submitted(Channel::Smtp).report();
        assert_eq!(report.report().to_string(), "smtp/dsn");
    }

    #[test]
    fn peers_are_named_for_reports() {
        let source = Source::from_peer(
            Channel::Smtp,
            Protocol::Smtp,
            "192.0.2.1".parse().unwrap(),
            Some("client.example".to_owned()),
            "helo.example".to_owned(),
        );
        assert_eq!(
            source.received_from,
            "dns; helo.example (client.example [192.0.2.1])"
        );
    }
}
