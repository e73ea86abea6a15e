//! The settings in force, typed.

mod build;
mod service;

pub(super) use build::{Shells, Sources, build};
pub use service::{Limits, Service, ServiceSettings, Tls, Trash};

use super::domains::{AcceptMailFor, DomainList, HostedDomains, LocalPartCase};
use super::finding::Located;
use super::value::Switch;
use crate::address::Domain;

/// What a configuration says. Everything a server reads after its start is here.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `me`: this machine's mail name.
    pub me: Located<Domain>,
    /// `defaultdomain`: what an address without a domain gets.
    pub default_domain: Located<Domain>,
    /// `locals`: domains whose accounts are named without them.
    pub locals: DomainList,
    /// `hosteddomains`: domains whose accounts keep them.
    pub hosted_domains: HostedDomains,
    /// `esmtpacceptmailfor` and `esmtpacceptmailfor.dir`: domains for which mail is
    /// taken from anyone.
    pub accept_mail_for: AcceptMailFor,
    /// `locallowercase`: whether case matters before the `@` of our addresses.
    pub local_part_case: LocalPartCase,
    /// `sizelimit`: the largest message.
    pub size_limit: Located<SizeLimit>,
    /// In the order of [`Service::ALL`].
    services: [ServiceSettings; Service::ALL.len()],
}

impl Settings {
    /// What one of the services is told.
    #[must_use]
    pub fn service(&self, service: Service) -> &ServiceSettings {
        let [esmtp, submission, smtps, imap, imaps, pop3, pop3s] = &self.services;
        match service {
            Service::Esmtp => esmtp,
            Service::Submission => submission,
            Service::Smtps => smtps,
            Service::Imap => imap,
            Service::Imaps => imaps,
            Service::Pop3 => pop3,
            Service::Pop3s => pop3s,
        }
    }

    /// All services, in the order of [`Service::ALL`].
    #[must_use]
    pub fn services(&self) -> &[ServiceSettings] {
        &self.services
    }

    /// The services that are switched on.
    pub fn started(&self) -> impl Iterator<Item = &ServiceSettings> {
        self.services
            .iter()
            .filter(|service| service.start.value == Switch::On)
    }

    pub(super) fn services_mut(&mut self) -> &mut [ServiceSettings] {
        &mut self.services
    }
}

/// The largest message that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeLimit {
    /// There is no limit (`0`).
    Unlimited,
    /// So many octets.
    Octets(u64),
}
