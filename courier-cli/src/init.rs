//! `courier init`: makes a root, or adds to one what it lacks.
//!
//! A procedure on files like others: what is there stays, and every file appears
//! under its name whole and synced, so one that was interrupted is simply begun again.

use std::path::{Path, PathBuf};

use courier_core::address::Domain;
use courier_core::config::templates;
use courier_core::disk::{Disk, DiskError, DiskErrorKind, Durability, Op};

use crate::layout::Layout;
use crate::net::certificate::SelfSigned;

/// What a root is made for.
#[derive(Debug)]
pub struct Plan {
    /// Where.
    pub layout: Layout,
    /// This machine's mail name.
    pub host: Domain,
    /// Domains whose accounts carry them.
    pub domains: Vec<Domain>,
    /// A certificate, taken if there is none.
    pub certificate: SelfSigned,
}

/// Why a root cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A list of domains that is not a file cannot be added to.
    #[error("{}: not a file; add {domain} by hand", path.display())]
    NotAList {
        /// The list.
        path: PathBuf,
        /// What is to stand in it.
        domain: Domain,
    },
}

/// Makes what is missing of a root; durable once it returns. Gives what it made or
/// added to, in that order.
///
/// # Errors
/// If something cannot be read or written; what was made until then stays, and the
/// next run goes on from there.
pub async fn make(disk: Disk, plan: Plan) -> Result<Vec<PathBuf>, InitError> {
    let mut made = Maker {
        disk,
        made: Vec::new(),
    };
    let Plan { layout, .. } = &plan;
    let domains = each_once(&plan.domains);
    if let Some(root) = &layout.root {
        made.directory(root, OPEN).await?;
    }
    for path in [layout.etc(), layout.var(), layout.share(), &layout.home] {
        made.directory(path, OPEN).await?;
    }
    made.directory(&layout.spool, PRIVATE).await?;
    for name in ["filters", "allfilters"] {
        made.directory(&layout.var().join(name), OPEN).await?;
    }
    let etc = layout.etc();
    for template in templates::initial(&plan.host, &domains) {
        let path = etc.join(template.name);
        if let Some(folder) = path.parent().filter(|folder| *folder != etc) {
            made.directory(folder, OPEN).await?;
        }
        made.file(&path, template.text, READABLE).await?;
    }
    for list in ["hosteddomains", "esmtpacceptmailfor"] {
        made.listed(&etc.join(list), &domains).await?;
    }
    made.certificate(layout.share(), &plan.certificate).await?;
    Ok(made.made)
}

/// The domains in the order in which they were named first.
fn each_once(domains: &[Domain]) -> Vec<Domain> {
    let mut once: Vec<Domain> = Vec::new();
    for domain in domains {
        if !once.contains(domain) {
            once.push(domain.clone());
        }
    }
    once
}

/// Makes things and remembers which.
struct Maker {
    disk: Disk,
    made: Vec<PathBuf>,
}

impl Maker {
    /// Makes a directory, and those above it.
    async fn directory(&mut self, path: &Path, mode: u32) -> Result<(), DiskError> {
        let mut missing = Vec::new();
        for above in path.ancestors() {
            match self.disk.one(Op::Stat(above.to_path_buf())).await {
                Err(error) if error.kind == DiskErrorKind::NotFound => missing.push(above),
                _ => break,
            }
        }
        for missing in missing.into_iter().rev() {
            let mode = if missing == path { mode } else { OPEN };
            let path = missing.to_path_buf();
            self.disk.one(Op::Mkdir { path, mode }).await?;
            self.sync_entry(missing).await?;
            self.made.push(missing.to_path_buf());
        }
        Ok(())
    }

    /// Makes a file that is not there, whole and synced under its name.
    async fn file(&mut self, path: &Path, text: String, mode: u32) -> Result<bool, DiskError> {
        match self.disk.stat(path).await {
            Ok(_) => return Ok(false),
            Err(error) if error.kind == DiskErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.put(path, text, mode).await?;
        Ok(true)
    }

    /// Writes a file aside and gives it its name.
    async fn put(&mut self, path: &Path, text: String, mode: u32) -> Result<(), DiskError> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(ASIDE);
        let aside = PathBuf::from(aside);
        // One that was left behind by a run that was interrupted.
        self.disk.one(Op::Unlink(aside.clone())).await.ok();
        let octets = text.into_bytes();
        self.disk
            .create(&aside, octets, mode, Durability::Synced)
            .await?;
        let to = path.to_path_buf();
        self.disk.one(Op::Rename { from: aside, to }).await?;
        self.sync_entry(path).await?;
        self.made.push(path.to_path_buf());
        Ok(())
    }

    /// Adds the domains that a list lacks.
    async fn listed(&mut self, path: &Path, domains: &[Domain]) -> Result<(), InitError> {
        let Some(domain) = domains.first() else {
            return Ok(());
        };
        // The administrator may have linked it to a place of his own.
        let path = self.disk.resolve(path).await?;
        let path = path.as_path();
        let text = match self.disk.read(path, 0..LONGEST_LIST).await {
            Ok(octets) => octets,
            Err(error) if error.kind == DiskErrorKind::IsADirectory => {
                let (path, domain) = (path.to_path_buf(), domain.clone());
                return Err(InitError::NotAList { path, domain });
            }
            Err(error) => return Err(error.into()),
        };
        let there: Vec<Domain> = String::from_utf8_lossy(&text)
            .lines()
            .filter_map(|line| Domain::parse(line.split(['\t', '#']).next()?.trim()).ok())
            .collect();
        let mut more = String::new();
        for domain in domains.iter().filter(|domain| !there.contains(domain)) {
            more.push_str(domain.as_str());
            more.push('\n');
        }
        if more.is_empty() {
            return Ok(());
        }
        let mode = self.disk.stat(path).await?.mode;
        let mut text = String::from_utf8_lossy(&text).into_owned();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        self.put(path, text + &more, mode).await?;
        Ok(())
    }

    /// Puts a certificate with its key in place, and what clients are to trust.
    async fn certificate(&mut self, share: &Path, new: &SelfSigned) -> Result<(), DiskError> {
        let (server, trusted) = (share.join(SERVER), share.join(TRUSTED));
        let pem = format!("{}{}", new.key, new.certificate);
        if self.file(&server, pem, PRIVATE_FILE).await? {
            // What there may be to trust is that of a certificate that is gone.
            let certificate = new.certificate.clone();
            return self.put(&trusted, certificate, READABLE).await;
        }
        if self.disk.stat(&trusted).await.is_err() {
            let server = self.disk.resolve(&server).await?;
            let pem = self.disk.read(&server, 0..LONGEST_PEM).await?;
            let certificates = certificates(&String::from_utf8_lossy(&pem));
            self.put(&trusted, certificates, READABLE).await?;
        }
        Ok(())
    }

    async fn sync_entry(&self, path: &Path) -> Result<(), DiskError> {
        let parent = path.parent().unwrap_or(path).to_path_buf();
        self.disk.one(Op::SyncDir(parent)).await.map(drop)
    }
}

/// The certificates of a PEM file, without its keys.
fn certificates(pem: &str) -> String {
    let mut inside = false;
    let mut text = String::new();
    for line in pem.lines() {
        inside |= line == "-----BEGIN CERTIFICATE-----";
        if inside {
            text.push_str(line);
            text.push('\n');
        }
        inside &= line != "-----END CERTIFICATE-----";
    }
    text
}

/// Certificate and key of a new root, in its directory of static data.
pub const SERVER: &str = "server.pem";
/// The certificate alone: what a client must be told to trust.
pub const TRUSTED: &str = "ca.pem";

/// What a file is called until it is whole; names that begin or end so are passed
/// over by whoever reads configurations.
const ASIDE: &str = "~";
/// Directories that others may enter, and those they may not.
const OPEN: u32 = 0o755;
const PRIVATE: u32 = 0o700;
/// Files that others may read, and those they may not.
const READABLE: u32 = 0o644;
const PRIVATE_FILE: u32 = 0o600;
/// Octets read of a list of domains; those of a large site have a megabyte.
const LONGEST_LIST: u64 = 64 * 1024 * 1024;
/// Octets read of a certificate with its chain.
const LONGEST_PEM: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use courier_core::config;
    use courier_core::disk;
    use courier_core::testing::MemDisk;

    fn domain(name: &str) -> Domain {
        Domain::parse(name).expect("a domain")
    }

    fn plan(domains: &[&str], certificate: &str) -> Plan {
        let pem =
            |kind: &str| format!("-----BEGIN {kind}-----\n{certificate}\n-----END {kind}-----\n");
        Plan {
            layout: Layout::in_root(Path::new("/srv/mail")),
            host: domain("mx.example.org"),
            domains: domains.iter().copied().map(domain).collect(),
            certificate: SelfSigned {
                certificate: pem("CERTIFICATE"),
                key: pem("PRIVATE KEY"),
            },
        }
    }

    fn run(world: &mut MemDisk, plan: Plan) -> Vec<PathBuf> {
        world
            .run(disk::task(|disk| make(disk, plan)))
            .expect("made")
    }

    fn text(world: &MemDisk, path: &str) -> String {
        let octets = world.contents(path).unwrap_or_else(|| panic!("no {path}"));
        String::from_utf8(octets).expect("text")
    }

    #[test]
    fn a_new_root_is_one_that_check_has_no_error_for() {
        let mut world = MemDisk::new();
        let made = run(&mut world, plan(&["example.com"], "A"));
        assert_eq!(made.first().map(PathBuf::as_path), Some(Path::new("/srv")));
        let layout = Layout::in_root(Path::new("/srv/mail"));
        let load = disk::task(|disk| config::load(disk, &layout.places, "host.example"));
        let (settings, findings) = world.run(load);
        let errors: Vec<_> = findings
            .iter()
            .filter(|finding| finding.severity == config::Severity::Error)
            .collect();
        assert_eq!(errors, Vec::<&config::Finding>::new());
        assert_eq!(settings.me.value, domain("mx.example.org"));
        assert_eq!(settings.started().count(), 7);
        for service in settings.services() {
            let certificate = service.tls.certificate.as_ref().expect("a certificate");
            assert_eq!(certificate.value, Path::new("/srv/mail/share/server.pem"));
        }
        let mode = |path: &str| world.meta(path).expect("there").mode;
        assert_eq!(mode("/srv/mail/share/server.pem"), 0o600);
        assert_eq!(mode("/srv/mail/share/ca.pem"), 0o644);
        assert_eq!(mode("/srv/mail/var/spool"), 0o700);
        let trusted = text(&world, "/srv/mail/share/ca.pem");
        assert!(text(&world, "/srv/mail/share/server.pem").ends_with(&trusted));
        assert!(!trusted.contains("KEY"));
    }

    #[test]
    fn a_second_run_changes_nothing_and_adds_what_is_new() {
        let mut world = MemDisk::new();
        world.plant_file("/srv/mail/etc/me", b"other.example.org\n");
        world.plant_file(
            "/srv/mail/etc/hosteddomains",
            b"a.example\nalias.example\tb.example",
        );
        run(&mut world, plan(&["b.example"], "A"));
        assert_eq!(text(&world, "/srv/mail/etc/me"), "other.example.org\n");
        assert_eq!(
            text(&world, "/srv/mail/etc/hosteddomains"),
            "a.example\nalias.example\tb.example\nb.example\n"
        );
        let before = world.show();
        assert_eq!(run(&mut world, plan(&[], "B")), Vec::<PathBuf>::new());
        assert_eq!(
            run(&mut world, plan(&["B.example", "alias.example"], "B")).len(),
            1
        );
        assert_eq!(world.show().lines().count(), before.lines().count());
        let list = "/srv/mail/etc/esmtpacceptmailfor";
        assert_eq!(run(&mut world, plan(&["c.example"], "B")).len(), 2);
        assert!(text(&world, list).ends_with("b.example\nalias.example\nc.example\n"));
        assert!(text(&world, "/srv/mail/share/ca.pem").contains('A'));
    }

    #[test]
    fn a_domain_that_is_named_twice_is_added_once() {
        let lists = ["hosteddomains", "esmtpacceptmailfor"];
        let mut world = MemDisk::new();
        run(&mut world, plan(&["a.example", "A.example"], "A"));
        run(&mut world, plan(&["b.example", "b.example"], "A"));
        for list in lists {
            let text = text(&world, &format!("/srv/mail/etc/{list}"));
            assert_eq!(text.matches("a.example\n").count(), 1, "{list}");
            assert_eq!(text.matches("b.example\n").count(), 1, "{list}");
        }
    }

    #[test]
    fn linked_files_are_added_to_where_they_are() {
        let mut world = MemDisk::new();
        world.plant_file("/site/domains", b"a.example\n");
        world.plant_link("/srv/mail/etc/hosteddomains", "/site/domains");
        let pem = plan(&[], "OWN").certificate.certificate;
        world.plant_file("/site/own.pem", pem.as_bytes());
        world.plant_link("/srv/mail/share/server.pem", "/site/own.pem");
        run(&mut world, plan(&["b.example"], "A"));
        assert_eq!(text(&world, "/site/domains"), "a.example\nb.example\n");
        assert_eq!(text(&world, "/srv/mail/share/ca.pem"), pem);
        let link = world.meta("/srv/mail/etc/hosteddomains").expect("there");
        assert_eq!(link.kind, disk::FileKind::Link);
    }

    #[test]
    fn a_list_that_is_a_directory_is_left_to_the_administrator() {
        let mut world = MemDisk::new();
        world.plant_file("/srv/mail/etc/hosteddomains/some", b"a.example\n");
        let task = disk::task(|disk| make(disk, plan(&["b.example"], "A")));
        let error = world.run(task).expect_err("refused").to_string();
        assert_eq!(
            error,
            "/srv/mail/etc/hosteddomains: not a file; add b.example by hand"
        );
        run(&mut world, plan(&[], "A"));
    }

    #[test]
    fn a_certificate_and_what_clients_trust_go_together() {
        let (server, trusted) = ("/srv/mail/share/server.pem", "/srv/mail/share/ca.pem");
        let mut world = MemDisk::new();
        run(&mut world, plan(&[], "OLD"));
        let remove = |world: &mut MemDisk, path: &str| {
            world
                .carry_out(&Op::Unlink(PathBuf::from(path)))
                .expect("removed");
        };
        remove(&mut world, trusted);
        run(&mut world, plan(&[], "NEW"));
        assert_eq!(
            text(&world, trusted),
            plan(&[], "OLD").certificate.certificate
        );
        remove(&mut world, server);
        run(&mut world, plan(&[], "NEW"));
        assert_eq!(
            text(&world, trusted),
            plan(&[], "NEW").certificate.certificate
        );
    }

    #[test]
    fn after_a_crash_at_any_moment_the_next_run_ends_as_one_alone() {
        let mut whole = MemDisk::new();
        whole.plant_directory("/srv");
        let start = whole.clone();
        run(&mut whole, plan(&["example.com"], "A"));
        for steps in 0.. {
            let mut world = start.clone();
            let task = disk::task(|disk| make(disk, plan(&["example.com"], "A")));
            let ended = world.run_until(steps, task).is_some();
            for mut crashed in world.crashes() {
                run(&mut crashed, plan(&["example.com"], "A"));
                assert_eq!(crashed.show(), whole.show(), "after {steps} steps");
                for path in [
                    "etc/esmtpd",
                    "etc/hosteddomains",
                    "share/server.pem",
                    "share/ca.pem",
                ] {
                    let path = format!("/srv/mail/{path}");
                    assert_eq!(
                        text(&crashed, &path),
                        text(&whole, &path),
                        "after {steps} steps"
                    );
                }
            }
            if ended {
                assert_eq!(world.unsynced(), 0, "all of it is durable");
                break;
            }
        }
    }
}
