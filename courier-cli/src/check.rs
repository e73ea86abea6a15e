//! `courier check`: what is wrong with a configuration and with what it names.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use courier_core::config::value::Switch;
use courier_core::config::{self, Finding, Findings, Place, ServiceSettings, Settings};
use courier_core::disk;
use courier_core::time::UnixSeconds;

use crate::accounts::{AccountDatabase, AccountsError};
use crate::clock;
use crate::disk::StdDisk;
use crate::failure::chain;
use crate::layout::Layout;
use crate::net::tls::{Identity, Source};

/// All there is to say about an installation.
#[must_use]
pub fn check(disk: &StdDisk, layout: &Layout) -> Vec<Finding> {
    let host = system_name();
    let load = disk::task(|disk| config::load(disk, &layout.places, &host));
    let (settings, mut findings) = disk.run(load);
    let mut more = Findings::default();
    certificates(&settings, clock::unix_now(), &mut more);
    accounts(layout, &mut more);
    findings.extend(more.into_list());
    findings
}

/// The system's host name, by which a configuration may call itself.
#[must_use]
pub fn system_name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}

/// Tries the certificates: those of services that start must work, of others it is
/// worth knowing if they do not. A file that is missing was reported already.
fn certificates(settings: &Settings, now: UnixSeconds, findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    // The services that start first: what they need is an error.
    let (on, off): (Vec<_>, Vec<_>) = settings
        .services()
        .iter()
        .partition(|service| service.start.value == Switch::On);
    for service in on.into_iter().chain(off) {
        let tls = &service.tls;
        let Some(certificate) = &tls.certificate else {
            continue;
        };
        let key = tls.private_key.as_ref().map(|key| key.value.clone());
        if !certificate.value.exists() || !seen.insert((certificate.value.clone(), key.clone())) {
            continue;
        }
        let whole = Place::new(&Arc::from(certificate.value.as_path()), 1);
        let place = certificate.place.clone().unwrap_or(whole);
        let source = Source {
            certificate: certificate.value.clone(),
            key: key.clone(),
            alpn: "",
        };
        match Identity::load(&source) {
            Ok(identity) => validity(&identity, service, &place, now, findings),
            Err(error) => report(service, &place, chain(&error), findings),
        }
    }
}

fn report(service: &ServiceSettings, place: &Place, text: String, findings: &mut Findings) {
    match service.start.value {
        Switch::On => findings.error(place, text),
        Switch::Off => findings.note(place, text),
    }
}

/// Says if a certificate is no longer good, or not for long.
fn validity(
    identity: &Identity,
    service: &ServiceSettings,
    place: &Place,
    now: UnixSeconds,
    findings: &mut Findings,
) {
    let Some(end) = identity.expires() else {
        return;
    };
    let left = (end.0 - now.0).div_euclid(86_400);
    if left < 0 {
        let text = "a certificate has expired; remove it and run courier init, or get another";
        report(service, place, text.to_owned(), findings);
    } else if left < WARNED {
        findings.note(place, format!("a certificate expires in {left} days"));
    }
}

/// Whether the account database can be used, if there is one.
fn accounts(layout: &Layout, findings: &mut Findings) {
    let accounts = AccountDatabase::new(layout);
    match accounts.server_key() {
        Ok(_) | Err(AccountsError::Missing(_)) => {}
        // Who checks may not be who serves.
        Err(AccountsError::Io { source, .. })
            if source.kind() == io::ErrorKind::PermissionDenied => {}
        Err(error) => {
            let place = Place::new(&Arc::from(accounts.path()), 1);
            findings.error(&place, chain(&error));
        }
    }
}

/// Days before its end from which a certificate is warned about.
const WARNED: i64 = 14;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use crate::init::{self, Plan};
    use crate::net::certificate::self_signed;
    use courier_core::address::Domain;
    use courier_core::config::Severity;

    /// A fresh root, and the disk to check it on.
    struct Root {
        folder: tempfile::TempDir,
        disk: StdDisk,
    }

    impl Root {
        fn new(made: UnixSeconds) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let disk = StdDisk::new(1);
            let host = Domain::parse("mx.example.org").expect("a domain");
            let plan = Plan {
                layout: Layout::in_root(folder.path()),
                certificate: self_signed(host.as_str(), made).expect("made"),
                host,
                domains: Vec::new(),
            };
            let task = disk::task(|disk| init::make(disk, plan));
            disk.run(task).expect("made");
            Self { folder, disk }
        }

        fn layout(&self) -> Layout {
            Layout::in_root(self.folder.path())
        }

        fn append(&self, file: &str, text: &str) {
            let path = self.layout().etc().join(file);
            let old = fs::read_to_string(&path).expect("read");
            fs::write(path, old + text).expect("written");
        }

        /// The errors, without the folder of this test.
        fn errors(&self) -> Vec<String> {
            let findings = check(&self.disk, &self.layout());
            let errors = findings.iter().filter(|f| f.severity == Severity::Error);
            let folder = self.folder.path().to_string_lossy().into_owned();
            errors
                .map(|error| error.to_string().replace(&folder, "ROOT"))
                .collect()
        }

        fn notes(&self) -> String {
            let findings = check(&self.disk, &self.layout());
            let notes = findings.iter().filter(|f| f.severity == Severity::Note);
            notes.map(|note| format!("{note}\n")).collect()
        }
    }

    #[test]
    fn a_fresh_root_is_in_order() {
        let root = Root::new(clock::unix_now());
        AccountDatabase::new(&root.layout()).create().expect("made");
        assert_eq!(root.errors(), Vec::<String>::new());
    }

    #[test]
    fn a_bad_certificate_is_an_error_only_where_it_is_needed() {
        let root = Root::new(clock::unix_now());
        let pem = root.layout().share().join("server.pem");
        let other = root.layout().share().join("other.pem");
        fs::write(&other, "nothing").expect("written");
        fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).expect("set");
        root.append(
            "pop3d-ssl",
            "TLS_CERTFILE=share/other.pem\nPOP3DSSLSTART=NO\n",
        );
        root.append("pop3d", "POP3DSTART=NO\n");
        assert_eq!(root.errors(), Vec::<String>::new());
        assert!(
            root.notes()
                .contains("other.pem holds no usable certificate in PEM form")
        );
        root.append("pop3d-ssl", "POP3DSSLSTART=YES\n");
        let [error] = root.errors().try_into().expect("one error");
        assert!(error.contains("etc/pop3d-ssl:"), "{error}");
        assert!(
            error.ends_with("share/other.pem holds no usable certificate in PEM form"),
            "{error}"
        );
        fs::set_permissions(&pem, fs::Permissions::from_mode(0o644)).expect("set");
        let errors = root.errors().join("\n");
        assert!(
            errors.contains("server.pem holds a private key and others can read it"),
            "{errors}"
        );
        // Once, however many services use it.
        assert_eq!(errors.matches("others can read").count(), 1);
    }

    #[test]
    fn an_old_certificate_is_told_before_it_is_too_old() {
        let day = 86_400;
        let of_age = |days: i64| Root::new(UnixSeconds(clock::unix_now().0 - days * day));
        assert!(!of_age(800).notes().contains("expires"));
        let soon = of_age(810);
        assert!(soon.notes().contains("expires in") && soon.errors().is_empty());
        let late = of_age(830).errors();
        assert!(
            late.len() == 1 && late[0].contains("has expired"),
            "{late:?}"
        );
    }

    #[test]
    fn a_damaged_account_database_is_an_error() {
        let root = Root::new(clock::unix_now());
        let path = root.layout().var().join("accounts.redb");
        fs::write(&path, "something else entirely").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
        let [error] = root.errors().try_into().expect("one error");
        assert!(
            error.starts_with("ROOT/var/accounts.redb:1: error: "),
            "{error}"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
        let [error] = root.errors().try_into().expect("one error");
        assert!(error.contains("mode 0600"), "{error}");
    }
}
