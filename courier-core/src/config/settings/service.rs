//! What each service is told: where to listen, whom to let in, which certificate.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::super::environment::Environment;
use super::super::finding::{Findings, Located};
use super::super::places::Places;
use super::super::value::{self, Bind, Switch, ValueError};

/// A service of `courier serve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// ESMTP from other servers, port 25 (`esmtpd`).
    Esmtp,
    /// Submission, port 587 (`esmtpd-msa`).
    Submission,
    /// Submission with TLS from the start, port 465 (`esmtpd-ssl`).
    Smtps,
    /// IMAP, port 143 (`imapd`).
    Imap,
    /// IMAP with TLS from the start, port 993 (`imapd-ssl`).
    Imaps,
    /// POP3, port 110 (`pop3d`).
    Pop3,
    /// POP3 with TLS from the start, port 995 (`pop3d-ssl`).
    Pop3s,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Esmtp,
        Self::Submission,
        Self::Smtps,
        Self::Imap,
        Self::Imaps,
        Self::Pop3,
        Self::Pop3s,
    ];

    /// The service of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }

    /// The name on the command line.
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

    /// Whether TLS comes before the first word.
    #[must_use]
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Smtps | Self::Imaps | Self::Pop3s)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one service is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSettings {
    /// Which.
    pub service: Service,
    /// Whether it starts when none is named (`ESMTPDSTART` and its kin).
    pub start: Located<Switch>,
    /// Where it listens (`PORT` and `ADDRESS`, or `SSLPORT` and `SSLADDRESS`).
    pub listen: Located<Vec<Bind>>,
    /// How many sessions it holds.
    pub limits: Limits,
    /// Whether replies to mistakes are slow; only for SMTP.
    pub tarpit: Located<Switch>,
    /// Its certificate.
    pub tls: Tls,
    /// What becomes of messages that nobody wants; only for IMAP.
    pub trash: Trash,
}

/// What becomes of messages that nobody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trash {
    /// The folder of the trash, below INBOX (`IMAP_TRASHFOLDERNAME`).
    pub folder: Located<String>,
    /// Which folders are cleared at login and logout, after how many days
    /// (`IMAP_EMPTYTRASH`): `Trash:7,Sent:30`, or days for the trash. Nothing is cleared
    /// unless it is said.
    pub empty: Located<String>,
    /// Whether expunged messages go to the trash (`IMAP_MOVE_EXPUNGE_TO_TRASH`).
    pub keeps_expunged: Located<Switch>,
}

/// How many sessions a service holds at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// In all (`MAXDAEMONS`).
    pub sessions: Located<u32>,
    /// From one /24 or /64 (`MAXPERC`); `None` where there is no such setting.
    pub per_network: Option<Located<u32>>,
    /// From one address (`MAXPERIP`).
    pub per_address: Located<u32>,
}

/// The files of a service's certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificate chain, and the key unless it has a file of its own
    /// (`TLS_CERTFILE`). Without one there is no TLS.
    pub certificate: Option<Located<PathBuf>>,
    /// The private key (`TLS_PRIVATE_KEYFILE`).
    pub private_key: Option<Located<PathBuf>>,
}

/// How a service's settings are called, and what they are when nothing is said.
struct Profile {
    start: &'static str,
    port: &'static str,
    address: &'static str,
    default_port: u16,
    sessions: u32,
    per_network: Option<u32>,
    per_address: u32,
    /// In the directory of static data.
    certificate: Option<&'static str>,
    /// Whether port and start switch count when a file below says them, too.
    inherited: Inherited,
}

#[derive(PartialEq, Eq)]
enum Inherited {
    All,
    /// `esmtpd-msa` is read on top of `esmtpd`, whose port and switch are those of
    /// another service.
    NotPortAndStart,
}

impl Profile {
    fn of(service: Service) -> Self {
        let esmtp = Self {
            start: "ESMTPDSTART",
            port: "PORT",
            address: "ADDRESS",
            default_port: 25,
            sessions: 40,
            per_network: Some(5),
            per_address: 5,
            certificate: None,
            inherited: Inherited::All,
        };
        let mailbox = |start, default_port, certificate| Self {
            start,
            default_port,
            per_network: None,
            per_address: 4,
            certificate: Some(certificate),
            ..Self::of(Service::Esmtp)
        };
        let tls = |start, default_port, profile| Self {
            start,
            port: "SSLPORT",
            address: "SSLADDRESS",
            default_port,
            ..profile
        };
        match service {
            Service::Esmtp => esmtp,
            Service::Submission => Self {
                default_port: 587,
                inherited: Inherited::NotPortAndStart,
                ..esmtp
            },
            Service::Smtps => tls("ESMTPDSSLSTART", 465, esmtp),
            Service::Imap => mailbox("IMAPDSTART", 143, "imapd.pem"),
            Service::Imaps => tls("IMAPDSSLSTART", 993, Self::of(Service::Imap)),
            Service::Pop3 => mailbox("POP3DSTART", 110, "pop3d.pem"),
            Service::Pop3s => tls("POP3DSSLSTART", 995, Self::of(Service::Pop3)),
        }
    }
}

/// Takes a service's settings out of the variables of its files.
pub(super) fn build(
    service: Service,
    environment: &Environment,
    places: &Places,
    findings: &mut Findings,
) -> ServiceSettings {
    let profile = Profile::of(service);
    let mut reader = Reader {
        environment,
        findings,
    };
    let own = profile.inherited == Inherited::NotPortAndStart;
    let start = reader.scoped(profile.start, own, Switch::Off, value::yes_or_no);
    let tarpit = match profile.per_network {
        Some(_) => reader.parsed("TARPIT", Switch::On, value::flag),
        None => Located::default(Switch::Off),
    };
    let limits = Limits {
        sessions: reader.count("MAXDAEMONS", profile.sessions),
        per_network: profile
            .per_network
            .map(|default| reader.count("MAXPERC", default)),
        per_address: reader.count("MAXPERIP", profile.per_address),
    };
    ServiceSettings {
        service,
        start,
        listen: reader.listen(&profile, own),
        limits,
        tarpit,
        tls: reader.tls(&profile, places),
        trash: reader.trash(service),
    }
}

/// Reads variables and reports those that are wrong.
struct Reader<'a> {
    environment: &'a Environment,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    /// A value, or its default where the variable is not set or wrong.
    fn parsed<T>(
        &mut self,
        name: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, ValueError>,
    ) -> Located<T> {
        self.scoped(name, false, default, parse)
    }

    /// The same; with `own`, a value from a file below does not count.
    fn scoped<T>(
        &mut self,
        name: &str,
        own: bool,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, ValueError>,
    ) -> Located<T> {
        let found = self.environment.value(name);
        let found = found.filter(|_| !own || self.environment.is_own(name));
        let Some(Located { value, place }) = found else {
            return Located::default(default);
        };
        match (parse(value.trim()), place) {
            (Ok(value), place) => Located { value, place },
            (Err(error), Some(place)) => {
                self.findings.error(&place, format!("{name}: {error}"));
                Located::default(default)
            }
            (Err(_), None) => Located::default(default),
        }
    }

    fn count(&mut self, name: &str, default: u32) -> Located<u32> {
        self.parsed(name, default, |text| {
            let number = value::number(text, 1..=1_000_000)?;
            Ok(u32::try_from(number).unwrap_or(default))
        })
    }

    fn listen(&mut self, profile: &Profile, own: bool) -> Located<Vec<Bind>> {
        let address: Option<IpAddr> = self.parsed(profile.address, None, value::address).value;
        let default = vec![Bind {
            address,
            port: profile.default_port,
        }];
        self.scoped(profile.port, own, default, |text| {
            value::binds(text, address)
        })
    }

    fn trash(&mut self, service: Service) -> Trash {
        let imap = matches!(service, Service::Imap | Service::Imaps);
        let text = |reader: &Self, name, default: &str| {
            let found = reader.environment.value(name).filter(|_| imap);
            match found {
                Some(Located { value, place }) => Located {
                    value: value.trim().to_owned(),
                    place,
                },
                None => Located::default(default.to_owned()),
            }
        };
        Trash {
            folder: text(self, "IMAP_TRASHFOLDERNAME", "Trash"),
            empty: text(self, "IMAP_EMPTYTRASH", ""),
            keeps_expunged: match imap {
                true => self.parsed("IMAP_MOVE_EXPUNGE_TO_TRASH", Switch::Off, value::flag),
                false => Located::default(Switch::Off),
            },
        }
    }

    fn tls(&self, profile: &Profile, places: &Places) -> Tls {
        let path = |name| {
            let found = self.environment.value(name)?;
            let value = places.resolve(found.value.trim());
            let place = found.place;
            Some((!found.value.trim().is_empty()).then_some(Located { value, place }))
        };
        let built_in = || {
            let name = profile.certificate?;
            Some(Located::default(places.share().join(name)))
        };
        Tls {
            certificate: path("TLS_CERTFILE").unwrap_or_else(built_in),
            private_key: path("TLS_PRIVATE_KEYFILE").flatten(),
        }
    }
}
