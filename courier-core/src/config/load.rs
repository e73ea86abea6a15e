//! Reading a configuration: the one procedure behind `courier check` and `courier serve`.

mod report;
mod tree;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::domains::LocalPartCase;
use super::environment::{Environment, Evaluation, Inclusion};
use super::file::ConfigFile;
use super::finding::{Finding, Findings, Place};
use super::places::Places;
use super::registry::ShellFile;
use super::settings::{self, Settings, Shells, Sources};
use super::value::Switch;
use crate::disk::{Disk, DiskErrorKind};
use tree::{IfMissing, Tree};

/// Reads every file of a configuration; gives the settings in force and all there is
/// to say about them, by file and line.
///
/// Whatever is wrong is reported as an error and replaced by its default, so there
/// are always settings; who wants to refuse a wrong configuration looks at the
/// findings. `host` is the system's host name.
///
/// ```
/// use courier_core::config::{self, Places, Service};
/// use courier_core::disk;
/// use courier_core::testing::MemDisk;
/// use std::path::Path;
///
/// let mut world = MemDisk::new();
/// world.plant_file("/r/etc/me", b"mx.example.com\n");
/// world.plant_file("/r/etc/esmtpd", b"PORT=smtp,127.0.0.1.2525\nMAXDEAMONS=9\n");
/// let places = Places::in_root(Path::new("/r"));
/// let task = disk::task(|disk| config::load(disk, &places, "host.example.com"));
/// let (settings, findings) = world.run(task);
/// assert_eq!(settings.me.value.as_str(), "mx.example.com");
/// assert_eq!(settings.service(Service::Esmtp).listen.value.len(), 2);
/// assert_eq!(
///     findings[0].to_string(),
///     "/r/etc/esmtpd:2: error: MAXDEAMONS: unknown setting, perhaps MAXDAEMONS is meant"
/// );
/// ```
pub async fn load(disk: Disk, places: &Places, host: &str) -> (Settings, Vec<Finding>) {
    let mut findings = Findings::default();
    let etc = tree::read(&disk, places.etc(), IfMissing::Error, &mut findings).await;
    let mut loader = Loader {
        disk: &disk,
        places,
        tree: &etc,
        included: HashSet::new(),
        findings: &mut findings,
    };
    let shells = loader.shells().await;
    loader.other_shells().await;
    loader.report_files();
    auth_directory(&disk, places, &mut findings).await;
    let mut settings = settings::build(&sources(&etc), &shells, places, host, &mut findings);
    certificates(&disk, &mut settings, &mut findings).await;
    (settings, findings.into_list())
}

fn sources(tree: &Tree) -> Sources<'_> {
    Sources {
        me: tree.file("me"),
        default_domain: tree.file("defaultdomain"),
        locals: tree.file("locals"),
        hosted_domains: tree.files("hosteddomains"),
        accept_mail_for: tree.file("esmtpacceptmailfor"),
        accept_mail_for_dir: tree.files("esmtpacceptmailfor.dir"),
        size_limit: tree.file("sizelimit"),
        local_part_case: match tree.contains("locallowercase") {
            true => LocalPartCase::Folded,
            false => LocalPartCase::Kept,
        },
    }
}

/// `authdaemonrc` and its kin may have a directory of their own.
async fn auth_directory(disk: &Disk, places: &Places, findings: &mut Findings) {
    let [authlib, _] = places.auth_etc();
    let tree = tree::read(disk, &authlib, IfMissing::Empty, findings).await;
    let mut loader = Loader {
        disk,
        places,
        tree: &tree,
        included: HashSet::new(),
        findings,
    };
    loader.other_shells().await;
    loader.report_files();
}

struct Loader<'a> {
    disk: &'a Disk,
    places: &'a Places,
    tree: &'a Tree,
    /// Files that shell files brought in.
    included: HashSet<PathBuf>,
    findings: &'a mut Findings,
}

impl Loader<'_> {
    /// The files of the servers, in the order in which they are read on top of each
    /// other.
    async fn shells(&mut self) -> Shells {
        let below = Environment::default();
        let esmtpd = self.layer(&below, "esmtpd").await;
        let msa = self.layer(&esmtpd, "esmtpd-msa").await;
        let ssl = self.layer(&esmtpd, "esmtpd-ssl").await;
        let imapd = self.layer(&below, "imapd").await;
        let imapd_ssl = self.layer(&imapd, "imapd-ssl").await;
        let pop3d = self.layer(&below, "pop3d").await;
        let pop3d_ssl = self.layer(&pop3d, "pop3d-ssl").await;
        self.report(ShellFile::Esmtpd, &[&esmtpd, &msa, &ssl]);
        self.report(ShellFile::Imapd, &[&imapd, &imapd_ssl]);
        self.report(ShellFile::Pop3d, &[&pop3d, &pop3d_ssl]);
        Shells {
            esmtpd,
            msa,
            ssl,
            imapd: imapd_ssl,
            pop3d: pop3d_ssl,
        }
    }

    /// The shell files that no service of ours reads yet.
    async fn other_shells(&mut self) {
        let others: Vec<_> = self.tree.shells().collect();
        for (name, kind) in others {
            let environment = self.layer(&Environment::default(), name).await;
            self.report(kind, &[&environment]);
        }
    }

    fn report_files(&mut self) {
        report::files(self.tree, &self.included, self.findings);
    }

    fn report(&mut self, kind: ShellFile, environments: &[&Environment]) {
        report::variables(kind, environments, self.tree.path(), self.findings);
    }

    /// Carries out a file, if it is there, on top of what others said.
    async fn layer(&mut self, below: &Environment, name: &str) -> Environment {
        let mut environment = below.layer();
        if let Some(file) = self.tree.file(name) {
            let mut evaluation = Evaluation::new(&mut environment, file.clone());
            while let Some(inclusion) = evaluation.run(self.findings) {
                if let Some(file) = self.included(&inclusion).await {
                    evaluation.include(file);
                }
            }
        }
        environment
    }

    /// Reads a file that a shell file asks for.
    async fn included(&mut self, inclusion: &Inclusion) -> Option<ConfigFile> {
        let Inclusion { path, place } = inclusion;
        let path = self.places.resolve(path);
        let error = match tree::read_file(self.disk, &path).await {
            Ok(octets) => {
                let file = ConfigFile::new(&path, octets);
                self.included.insert(path);
                return Some(file);
            }
            Err(error) => error,
        };
        let text = format!("{} is not read: {error}", path.display());
        // What lies outside belongs to the system, and may well be missing there.
        match error.is(DiskErrorKind::NotFound) && !path.starts_with(self.places.etc()) {
            true => self.findings.note(place, text),
            false => self.findings.error(place, text),
        }
        None
    }
}

/// Looks whether the certificates are there.
async fn certificates(disk: &Disk, settings: &mut Settings, findings: &mut Findings) {
    for service in settings.services_mut() {
        let tls = &mut service.tls;
        for (name, file) in [
            ("TLS_CERTFILE", &mut tls.certificate),
            ("TLS_PRIVATE_KEYFILE", &mut tls.private_key),
        ] {
            let Some(found) = file else { continue };
            let Err(error) = disk.stat(&found.value).await else {
                continue;
            };
            let text = format!("{name}: {}: {}", found.value.display(), error.kind);
            let missing = error.kind == DiskErrorKind::NotFound;
            match (&found.place, service.start.value) {
                // Nobody asked for the file that Courier would look for.
                (None, _) if missing => *file = None,
                (None, _) => findings.error(&whole(&found.value), text),
                (Some(place), Switch::Off) if missing => findings.note(place, text),
                (Some(place), _) => findings.error(place, text),
            }
        }
        let wanted = service.service.is_tls() && service.start.value == Switch::On;
        if let (true, None, Some(place)) = (wanted, &tls.certificate, &service.start.place) {
            let text = "the service needs a certificate; name its file in TLS_CERTFILE";
            findings.error(place, text);
        }
    }
}

/// The file as a whole.
fn whole(path: &Path) -> Place {
    Place::new(&Arc::from(path), 1)
}
