//! The configuration that `courier init` writes into a new root.

use crate::address::Domain;

/// A file of a new configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its name in `etc`, perhaps with a directory.
    pub name: &'static str,
    /// What is in it.
    pub text: String,
}

/// The files of a new configuration, for a host and the domains it hosts.
///
/// They name the certificate `server.pem` in the directory of static data, and start
/// every service.
#[must_use]
pub fn initial(host: &Domain, domains: &[Domain]) -> Vec<Template> {
    let host = host.as_str();
    let hosted = || domains.iter().map(Domain::as_str);
    // Mail for the accounts of the host itself is taken from outside as well.
    let accepted = std::iter::once(host).chain(hosted().filter(|&domain| domain != host));
    let made = [
        ("me", format!("{host}\n")),
        ("defaultdomain", format!("{host}\n")),
        ("locals", list(include_str!("templates/locals"), [host])),
        (
            "hosteddomains",
            list(include_str!("templates/hosteddomains"), hosted()),
        ),
        (
            "esmtpacceptmailfor",
            list(include_str!("templates/esmtpacceptmailfor"), accepted),
        ),
    ];
    let fixed = FIXED.map(|(name, text)| (name, text.to_owned()));
    made.into_iter()
        .chain(fixed)
        .map(|(name, text)| Template { name, text })
        .collect()
}

/// What is the same everywhere.
const FIXED: [(&str, &str); 9] = [
    ("smtpaccess/default", include_str!("templates/smtpaccess")),
    ("aliases/system", include_str!("templates/aliases")),
    ("esmtpd", include_str!("templates/esmtpd")),
    ("esmtpd-msa", include_str!("templates/esmtpd-msa")),
    ("esmtpd-ssl", include_str!("templates/esmtpd-ssl")),
    ("imapd", include_str!("templates/imapd")),
    ("imapd-ssl", include_str!("templates/imapd-ssl")),
    ("pop3d", include_str!("templates/pop3d")),
    ("pop3d-ssl", include_str!("templates/pop3d-ssl")),
];

fn list<'a>(head: &str, entries: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = head.to_owned();
    for entry in entries {
        text.push_str(entry);
        text.push('\n');
    }
    text
}
