//! From files to settings.

use super::super::domains::{
    AcceptMailFor, DomainList, DomainListError, HostedDomains, LocalPartCase, placeholder,
};
use super::super::environment::Environment;
use super::super::file::{ConfigFile, Entry};
use super::super::finding::{Findings, Located, Place, quoted};
use super::super::places::Places;
use super::super::value;
use super::service::{self, Service};
use super::{Settings, SizeLimit};
use crate::address::Domain;

/// The files that settings in force are made of; `None` for one that is not there.
#[derive(Debug, Default)]
pub(in crate::config) struct Sources<'a> {
    pub(in crate::config) me: Option<&'a ConfigFile>,
    pub(in crate::config) default_domain: Option<&'a ConfigFile>,
    pub(in crate::config) locals: Option<&'a ConfigFile>,
    /// Both forms: a file, or those in a directory.
    pub(in crate::config) hosted_domains: &'a [ConfigFile],
    pub(in crate::config) accept_mail_for: Option<&'a ConfigFile>,
    pub(in crate::config) accept_mail_for_dir: &'a [ConfigFile],
    pub(in crate::config) size_limit: Option<&'a ConfigFile>,
    pub(in crate::config) local_part_case: LocalPartCase,
}

/// What the shell files came to.
#[derive(Debug, Default)]
pub(in crate::config) struct Shells {
    pub(in crate::config) esmtpd: Environment,
    /// `esmtpd-msa` on top of `esmtpd`.
    pub(in crate::config) msa: Environment,
    /// `esmtpd-ssl` on top of `esmtpd`.
    pub(in crate::config) ssl: Environment,
    /// `imapd-ssl` on top of `imapd`.
    pub(in crate::config) imapd: Environment,
    /// `pop3d-ssl` on top of `pop3d`.
    pub(in crate::config) pop3d: Environment,
}

/// 10 MiB, as Courier's.
const SIZE_LIMIT: u64 = 10_485_760;

/// Makes settings, reports what is wrong, and takes the default in its place.
pub(in crate::config) fn build(
    sources: &Sources<'_>,
    shells: &Shells,
    places: &Places,
    host: &str,
    findings: &mut Findings,
) -> Settings {
    let system = Domain::parse(host).ok();
    let me = me(sources.me, system.as_ref(), host, places, findings);
    let mut reader = Lists {
        host: system.as_ref(),
        findings,
    };
    let only_me = || DomainList::of(&me.value);
    let locals = sources.locals.map(|file| reader.list(file));
    let accepted = sources.accept_mail_for.map(|file| reader.list(file));
    let mut accept_mail_for = AcceptMailFor::new(accepted.unwrap_or_else(only_me));
    for file in sources.accept_mail_for_dir {
        reader.each(file, |(_, entry), host| accept_mail_for.add(entry, host));
    }
    let mut hosted_domains = HostedDomains::default();
    for file in sources.hosted_domains {
        reader.each(file, |(_, entry), host| hosted_domains.add(entry, host));
    }
    let services = Service::ALL.map(|service| {
        let environment = match service {
            Service::Esmtp => &shells.esmtpd,
            Service::Submission => &shells.msa,
            Service::Smtps => &shells.ssl,
            Service::Imap | Service::Imaps => &shells.imapd,
            Service::Pop3 | Service::Pop3s => &shells.pop3d,
        };
        service::build(service, environment, places, findings)
    });
    Settings {
        default_domain: default_domain(sources.default_domain, &me, findings),
        locals: locals.unwrap_or_else(only_me),
        hosted_domains,
        accept_mail_for,
        local_part_case: sources.local_part_case,
        size_limit: size_limit(sources.size_limit, findings),
        me,
        services,
    }
}

/// `me`: a domain, `*.rest`, or, without the file, the system's host name.
fn me(
    file: Option<&ConfigFile>,
    system: Option<&Domain>,
    host: &str,
    places: &Places,
    findings: &mut Findings,
) -> Located<Domain> {
    if let Some(file) = file {
        let text = file.first_line(findings);
        let parsed = placeholder(text, system).unwrap_or_else(|| Ok(Domain::parse(text)?));
        match parsed {
            Ok(domain) => return Located::at(domain, file.place(1)),
            Err(error) => findings.error(&file.place(1), format!("{}: {error}", quoted(text))),
        }
    }
    match system {
        Some(domain) => Located::default(domain.clone()),
        None => {
            if file.is_none() {
                let place = Place::new(&places.etc().join("me").into(), 1);
                let text = format!(
                    "the system's host name {} is not a domain; write this machine's mail name here",
                    quoted(host)
                );
                findings.error(&place, text);
            }
            Located::default(localhost())
        }
    }
}

/// What is left when nothing names this machine.
#[expect(clippy::expect_used, reason = "localhost is a domain")]
fn localhost() -> Domain {
    Domain::parse("localhost").expect("localhost is a domain")
}

fn default_domain(
    file: Option<&ConfigFile>,
    me: &Located<Domain>,
    findings: &mut Findings,
) -> Located<Domain> {
    let Some(file) = file else {
        return Located::default(me.value.clone());
    };
    let text = file.first_line(findings);
    if text.is_empty() {
        findings.note(
            &file.place(1),
            "there is no domain in the file; that of me is used",
        );
        return Located::default(me.value.clone());
    }
    match Domain::parse(text) {
        Ok(domain) => Located::at(domain, file.place(1)),
        Err(error) => {
            findings.error(&file.place(1), format!("{}: {error}", quoted(text)));
            Located::default(me.value.clone())
        }
    }
}

fn size_limit(file: Option<&ConfigFile>, findings: &mut Findings) -> Located<SizeLimit> {
    let default = SizeLimit::Octets(SIZE_LIMIT);
    let Some(file) = file else {
        return Located::default(default);
    };
    match value::number(file.first_line(findings), 0..=u64::MAX - 1) {
        Ok(0) => Located::at(SizeLimit::Unlimited, file.place(1)),
        Ok(octets) => Located::at(SizeLimit::Octets(octets), file.place(1)),
        Err(error) => {
            findings.error(&file.place(1), error.to_string());
            Located::default(default)
        }
    }
}

/// Reads lists of domains and reports the entries that are none.
struct Lists<'a> {
    host: Option<&'a Domain>,
    findings: &'a mut Findings,
}

impl Lists<'_> {
    fn list(&mut self, file: &ConfigFile) -> DomainList {
        let mut list = DomainList::default();
        self.each(file, |(_, entry), host| list.add(entry, host));
        list
    }

    fn each(
        &mut self,
        file: &ConfigFile,
        mut add: impl FnMut(Entry<'_>, Option<&Domain>) -> Result<(), DomainListError>,
    ) {
        for entry in file.entries(self.findings) {
            if let Err(error) = add(entry, self.host) {
                let (line, text) = entry;
                self.findings
                    .error(&file.place(line), format!("{}: {error}", quoted(text)));
            }
        }
    }
}
