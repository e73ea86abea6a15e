//! Whole configurations, read from a disk.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::domains::LocalPartCase;
use super::value::Switch;
use super::*;
use crate::address::Domain;
use crate::disk;
use crate::testing::MemDisk;
use crate::testing::fail_everywhere;

fn domain(text: &str) -> Domain {
    Domain::parse(text).expect("a domain")
}

fn places() -> Places {
    Places::in_root(Path::new("/r"))
}

/// A root with these files in `etc`.
fn root(files: &[(&str, &str)]) -> MemDisk {
    let mut world = MemDisk::new();
    world.plant_directory("/r/etc");
    for (name, text) in files {
        world.plant_file(Path::new("/r/etc").join(name), text.as_bytes());
    }
    world
}

fn read_as(world: &mut MemDisk, host: &str) -> (Settings, Vec<String>) {
    let places = places();
    let task = disk::task(|disk| load(disk, &places, host));
    let (settings, findings) = world.run(task);
    (settings, findings.iter().map(ToString::to_string).collect())
}

fn read(files: &[(&str, &str)]) -> (Settings, Vec<String>) {
    read_as(&mut root(files), "host.example.org")
}

fn ports(settings: &Settings, service: Service) -> Vec<u16> {
    let listen = &settings.service(service).listen.value;
    listen.iter().map(|bind| bind.port).collect()
}

#[test]
fn a_new_root_is_right_and_starts_everything() {
    let mut world = root(&[]);
    for template in templates::initial(&domain("mx.example.org"), &[domain("example.com")]) {
        world.plant_file(places().etc().join(template.name), template.text.as_bytes());
    }
    world.plant_file("/r/share/server.pem", b"");
    let (settings, findings) = read_as(&mut world, "host");
    assert_eq!(
        findings,
        [
            "/r/etc/aliases:1: note: aliases: known, not yet in effect",
            "/r/etc/smtpaccess:1: note: smtpaccess: known, not yet in effect",
        ]
    );
    assert_eq!(settings.started().count(), Service::ALL.len());
    for service in Service::ALL {
        let told = settings.service(service);
        let certificate = told.tls.certificate.as_ref().expect("a certificate");
        assert_eq!(certificate.value, Path::new("/r/share/server.pem"));
        assert!(told.limits.per_address.value >= 100, "{service}");
    }
    let listening: Vec<_> = Service::ALL
        .iter()
        .flat_map(|service| ports(&settings, *service))
        .collect();
    assert_eq!(listening, [25, 587, 465, 143, 993, 110, 995]);
    assert!(settings.locals.contains(&domain("mx.example.org")));
    assert!(settings.hosted_domains.contains(&domain("example.com")));
    assert!(settings.accept_mail_for.contains(&domain("example.com")));
    assert!(settings.accept_mail_for.contains(&domain("mx.example.org")));
    assert_eq!(settings.me.value.as_str(), "mx.example.org");
}

#[test]
fn a_new_root_without_its_certificate_is_not() {
    let mut world = root(&[]);
    for template in templates::initial(&domain("mx.example.org"), &[]) {
        world.plant_file(places().etc().join(template.name), template.text.as_bytes());
    }
    let (_, findings) = read_as(&mut world, "host");
    let errors: Vec<_> = findings
        .iter()
        .filter(|finding| finding.contains(": error: "))
        .collect();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors[0].ends_with("TLS_CERTFILE: /r/share/server.pem: no such file or directory"));
}

#[test]
fn an_empty_etc_has_couriers_defaults() {
    let (settings, findings) = read(&[]);
    assert_eq!(findings, [] as [&str; 0]);
    let me = domain("host.example.org");
    assert_eq!((&settings.me.value, &settings.me.place), (&me, &None));
    assert_eq!(settings.default_domain.value, me);
    assert!(settings.locals.contains(&me) && settings.accept_mail_for.contains(&me));
    assert!(!settings.hosted_domains.contains(&me));
    assert_eq!(settings.size_limit.value, SizeLimit::Octets(10_485_760));
    assert_eq!(settings.local_part_case, LocalPartCase::Kept);
    assert_eq!(settings.started().count(), 0);
    let limits = |service| {
        let limits = &settings.service(service).limits;
        let network = limits.per_network.as_ref().map(|limit| limit.value);
        (limits.sessions.value, network, limits.per_address.value)
    };
    for service in [Service::Esmtp, Service::Submission, Service::Smtps] {
        assert_eq!(limits(service), (40, Some(5), 5));
        assert_eq!(settings.service(service).tarpit.value, Switch::On);
    }
    for service in [Service::Imap, Service::Imaps, Service::Pop3, Service::Pop3s] {
        assert_eq!(limits(service), (40, None, 4));
        assert_eq!(settings.service(service).tls, Tls::default());
    }
    let listening: Vec<_> = Service::ALL
        .iter()
        .flat_map(|service| ports(&settings, *service))
        .collect();
    assert_eq!(listening, [25, 587, 465, 143, 993, 110, 995]);
}

#[test]
fn an_etc_that_is_not_there_is_an_error_with_defaults() {
    let (settings, findings) = read_as(&mut MemDisk::new(), "host.example.org");
    assert_eq!(
        findings,
        ["/r/etc:1: error: the directory is not read: no such file or directory"]
    );
    assert_eq!(settings.me.value, domain("host.example.org"));
}

#[test]
fn the_etc_of_a_distribution_gives_notes_only() {
    let mut world = root(&[]);
    // Lines of three equals signs and a name stand before each file.
    for file in include_str!("tests/distribution.txt").split("=== ").skip(1) {
        let (name, text) = file.split_once('\n').expect("a name");
        world.plant_file(places().etc().join(name), text.as_bytes());
    }
    for name in [
        "imapd.pem",
        "pop3d.pem",
        "esmtpd.pem",
        "dhparams.pem",
        "imapd.cnf",
    ] {
        world.plant_file(places().etc().join(name), b"");
    }
    for name in [
        "hosteddomains",
        "esmtpacceptmailfor.dir",
        "imapaccess",
        "shared",
        "filters/active",
    ] {
        world.plant_directory(places().etc().join(name));
    }
    let (settings, findings) = read_as(&mut world, "host.example.org");
    let errors: Vec<_> = findings
        .iter()
        .filter(|finding| !finding.contains(": note: "))
        .collect();
    assert_eq!(errors, [] as [&str; 0]);
    for wanted in [
        "/r/etc/defaultdomain:1: note: there is no domain in the file; that of me is used",
        "/r/etc/module.local:3: note: PROG: known, no effect here: the modules are built in",
        "/r/etc/courierd:3: note: /etc/environment is not read: no such file or directory",
    ] {
        assert!(
            findings.iter().any(|finding| finding == wanted),
            "{wanted}: {findings:#?}"
        );
    }
    let smtps = settings.service(Service::Smtps);
    let certificate = smtps.tls.certificate.as_ref().expect("a certificate");
    assert_eq!(certificate.value, Path::new("/r/etc/esmtpd.pem"));
    assert_eq!(
        settings.service(Service::Submission).start.value,
        Switch::Off
    );
    assert_eq!(settings.started().count(), 6);
}

#[test]
fn every_wrong_value_is_found_with_file_and_line() {
    let (settings, findings) = read(&[
        ("me", "mail example\n"),
        ("locals", "ok.example\n\nbad..example # why\n"),
        ("hosteddomains", "a b c\n!x.example\n"),
        ("esmtpacceptmailfor.dir/ours", "!x.example\n"),
        ("sizelimit", "ten\n"),
        ("warntime", "4 hours\n"),
        ("queuelo", "-1\n"),
        (
            "esmtpd",
            "PORT=65536\nMAXDAEMONS=0\nTARPIT=slow\nADDRESS=localhost\nESMTPDSTART=maybe\n",
        ),
        ("imapd", "MAXPERIP=many\nIMAP_ACL=yes\nIMAP_AKL=1\nexit 1\n"),
        ("smtpaccess.dat", ""),
        ("esmtpauthclient", ""),
    ]);
    let wanted = [
        "esmtpacceptmailfor.dir/ours:1: error: \"!x.example\": ! has no meaning in this file",
        "esmtpauthclient:1: note: esmtpauthclient: known, not yet in effect",
        "esmtpd:1: error: PORT: expected a port from 1 to 65535 or a service such as smtp, found \"65536\"",
        "esmtpd:2: error: MAXDAEMONS: expected a number from 1 to 1000000, found 0",
        "esmtpd:3: error: TARPIT: expected 0 or 1, found \"slow\"",
        "esmtpd:4: error: ADDRESS: expected an IP address, or 0 for all, found \"localhost\"",
        "esmtpd:5: error: ESMTPDSTART: expected YES or NO, found \"maybe\"",
        "hosteddomains:1: error: \"a b c\": expected a domain, or an alias, a tab and a domain",
        "hosteddomains:2: error: \"!x.example\": ! has no meaning in this file",
        "imapd:1: error: MAXPERIP: expected a number, found \"many\"",
        "imapd:2: note: IMAP_ACL: known, not yet in effect",
        "imapd:2: error: IMAP_ACL: expected 0 or 1, found \"yes\"",
        "imapd:3: error: IMAP_AKL: unknown setting, perhaps IMAP_ACL is meant",
        "imapd:4: error: the command \"exit\" is not run here; only assignments, export and . are understood",
        "locals:3: error: \"bad..example\": ",
        "me:1: error: \"mail example\": ",
        "queuelo:1: note: queuelo: known, not yet in effect",
        "queuelo:1: error: expected a number, found \"-1\"",
        "sizelimit:1: error: expected a number, found \"ten\"",
        "smtpaccess.dat:1: error: compiled databases are not read; write its entries into smtpaccess",
        "warntime:1: note: warntime: known, not yet in effect",
        "warntime:1: error: expected w, d, h, m or s, found 'o'",
    ];
    assert_eq!(findings.len(), wanted.len(), "{findings:#?}");
    for (finding, wanted) in findings.iter().zip(wanted) {
        assert!(
            finding.starts_with(&format!("/r/etc/{wanted}")),
            "{finding}\n{wanted}"
        );
    }
    // What is wrong has its default.
    assert_eq!(ports(&settings, Service::Esmtp), [25]);
    assert_eq!(settings.service(Service::Esmtp).limits.sessions.value, 40);
    assert!(settings.locals.contains(&domain("ok.example")));
    assert_eq!(settings.size_limit.value, SizeLimit::Octets(10_485_760));
}

#[test]
fn files_are_read_on_top_of_each_other() {
    let (settings, findings) = read(&[
        (
            "esmtpd",
            "PORT=2525\nADDRESS=127.0.0.1\nMAXPERIP=7\nESMTPDSTART=YES\nBASE=/usr/share/courier\n\
             TLS_CERTFILE=$BASE/a.pem\nESMTPDSTART=NO\nESMTPDSTART=y\n",
        ),
        ("esmtpd-msa", "MAXPERIP=8\n"),
        (
            "esmtpd-ssl",
            "SSLPORT=smtps,0.4650\nTLS_CERTFILE=$BASE/b.pem\n",
        ),
        ("imapd", "PORT=143,::1.1143\nMAXPERIP=9\n"),
        (
            "imapd-ssl",
            "MAXPERIP=10\nTLS_CERTFILE=share/c.pem\nTLS_PRIVATE_KEYFILE=/etc/courier/c.key\n",
        ),
    ]);
    // The switch and port of esmtpd are not those of submission.
    assert_eq!(ports(&settings, Service::Submission), [587]);
    assert_eq!(
        settings.service(Service::Submission).start.value,
        Switch::Off
    );
    let start = &settings.service(Service::Esmtp).start;
    assert_eq!(start.place.as_ref().map(|place| place.line), Some(8));
    assert_eq!(start.value, Switch::On);
    let address = |service: Service| {
        let listen = &settings.service(service).listen.value;
        listen
            .iter()
            .map(|bind| bind.address.map(|ip| ip.to_string()))
            .collect::<Vec<_>>()
    };
    assert_eq!(address(Service::Submission), [Some("127.0.0.1".to_owned())]);
    assert_eq!(address(Service::Smtps), [None, None]);
    assert_eq!(address(Service::Imap), [None, Some("::1".to_owned())]);
    assert_eq!(ports(&settings, Service::Smtps), [465, 4650]);
    let per_address = |service| settings.service(service).limits.per_address.value;
    assert_eq!(
        (
            per_address(Service::Esmtp),
            per_address(Service::Submission)
        ),
        (7, 8)
    );
    assert_eq!(
        (per_address(Service::Imap), per_address(Service::Imaps)),
        (10, 10)
    );
    let certificate = |service| {
        let tls = &settings.service(service).tls;
        tls.certificate.as_ref().map(|found| found.value.clone())
    };
    assert_eq!(
        certificate(Service::Submission),
        Some(PathBuf::from("/r/share/a.pem"))
    );
    assert_eq!(
        certificate(Service::Smtps),
        Some(PathBuf::from("/r/share/b.pem"))
    );
    assert_eq!(
        certificate(Service::Imap),
        Some(PathBuf::from("/r/share/c.pem"))
    );
    let key = settings.service(Service::Imaps).tls.private_key.as_ref();
    assert_eq!(
        key.map(|found| found.value.as_path()),
        Some(Path::new("/r/etc/c.key"))
    );
    // Missing where the service is on, and where it is off.
    assert_eq!(
        findings,
        [
            "/r/etc/esmtpd:6: error: TLS_CERTFILE: /r/share/a.pem: no such file or directory",
            "/r/etc/esmtpd:6: note: TLS_CERTFILE: /r/share/a.pem: no such file or directory",
            "/r/etc/esmtpd-ssl:2: note: TLS_CERTFILE: /r/share/b.pem: no such file or directory",
            "/r/etc/imapd-ssl:2: note: TLS_CERTFILE: /r/share/c.pem: no such file or directory",
            "/r/etc/imapd-ssl:3: note: TLS_PRIVATE_KEYFILE: /r/etc/c.key: no such file or directory",
        ]
    );
}

#[test]
fn a_service_with_tls_needs_a_certificate() {
    let (_, findings) = read(&[("esmtpd-ssl", "ESMTPDSSLSTART=YES\n")]);
    assert_eq!(
        findings,
        [
            "/r/etc/esmtpd-ssl:1: error: the service needs a certificate; name its file in TLS_CERTFILE"
        ]
    );
}

#[test]
fn shell_files_may_include_others() {
    let mut world = root(&[
        (
            "imapd",
            ". ${sysconfdir}/common\n. /etc/environment\n. /etc/courier/missing\n",
        ),
        ("common", "MAXPERIP=11\nSITE=1\n"),
    ]);
    world.plant_file("/etc/environment", b"ANYTHING=goes\n");
    let (settings, findings) = read_as(&mut world, "host.example.org");
    assert_eq!(settings.service(Service::Imap).limits.per_address.value, 11);
    assert_eq!(
        findings,
        [
            "/r/etc/common:2: error: SITE: unknown setting",
            "/r/etc/imapd:3: error: /r/etc/missing is not read: no such file or directory",
        ]
    );
}

#[test]
fn the_host_name_stands_for_an_asterisk() {
    let files = [("me", "*.example.net\n"), ("locals", "*\n*.lan\n")];
    let (settings, findings) = read_as(&mut root(&files), "box");
    assert_eq!(findings, [] as [&str; 0]);
    assert_eq!(settings.me.value.as_str(), "box.example.net");
    assert!(
        settings.locals.contains(&domain("box")) && settings.locals.contains(&domain("box.lan"))
    );
    let (settings, findings) = read_as(&mut root(&[("locals", "*\n")]), "not a name");
    assert_eq!(settings.me.value.as_str(), "localhost");
    assert_eq!(
        findings,
        [
            "/r/etc/locals:1: error: \"*\": * stands for the system's host name, which is not a domain",
            "/r/etc/me:1: error: the system's host name \"not a name\" is not a domain; write this machine's mail name here",
        ]
    );
}

#[test]
fn directories_are_read_by_their_rule() {
    let (settings, findings) = read(&[
        ("hosteddomains/a", "a.example\n"),
        ("hosteddomains/a~", "tilde.example\n"),
        ("hosteddomains/.swp", "dot.example\n"),
        ("hosteddomains/b.rpmnew", "rpm.example\n"),
        ("hosteddomains/c.dist", "dist.example\n"),
        ("hosteddomains/sub/d", "sub.example\n"),
        ("locallowercase", ""),
    ]);
    assert!(settings.hosted_domains.contains(&domain("a.example")));
    for name in ["tilde", "dot", "rpm", "dist", "sub"] {
        let name = domain(&format!("{name}.example"));
        assert!(!settings.hosted_domains.contains(&name), "{name:?}");
    }
    assert_eq!(settings.local_part_case, LocalPartCase::Folded);
    assert_eq!(
        findings,
        [
            "/r/etc/hosteddomains/b.rpmnew:1: error: a package manager left this file; merge it into its original and remove it",
            "/r/etc/hosteddomains/c.dist:1: error: newer than the file it is the model of; look what has changed, and touch that",
        ]
    );
}

#[test]
fn an_older_model_is_passed_over() {
    let mut world = root(&[("hosteddomains/a.dist", "dist.example\n")]);
    world.advance(crate::time::Millis::from_secs(60));
    world.plant_file("/r/etc/hosteddomains/a", b"a.example\n");
    let (settings, findings) = read_as(&mut world, "host.example.org");
    assert_eq!(findings, [] as [&str; 0]);
    assert!(!settings.hosted_domains.contains(&domain("dist.example")));
}

#[test]
fn account_settings_may_have_a_directory_of_their_own() {
    let (_, findings) = read(&[
        (
            "authlib/authdaemonrc",
            "daemons=5\nauthmodulelist=\"authuserdb\"\nDEBUG=1\n",
        ),
        (
            "authldaprc",
            "# head\nLDAP_URI ldap://x \\\n  more\nLDAP_URL y\n",
        ),
        ("imap", ""),
    ]);
    assert_eq!(
        findings,
        [
            "/r/etc/authldaprc:2: note: LDAP_URI: known, not yet in effect",
            "/r/etc/authldaprc:4: error: \"LDAP_URL\": unknown setting",
            "/r/etc/authlib/authdaemonrc:1: note: daemons: known, not yet in effect",
            "/r/etc/authlib/authdaemonrc:2: note: authmodulelist: known, not yet in effect",
            "/r/etc/authlib/authdaemonrc:3: error: DEBUG: unknown setting",
            "/r/etc/imap:1: note: no setting of this name is known; it is not read",
        ]
    );
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let mut world = root(&[]);
    world.plant_directory("/r/etc/me");
    world.plant_link("/r/etc/imapd", "/elsewhere");
    world.plant_fifo("/r/etc/pop3d");
    let (_, findings) = read_as(&mut world, "host.example.org");
    assert_eq!(
        findings,
        [
            "/r/etc/imapd:1: error: the file is not read: it is not a regular file, or a symbolic link that leads nowhere",
            "/r/etc/me:1: error: the file is not read: is a directory",
            "/r/etc/pop3d:1: error: the file is not read: it is not a regular file, or a symbolic link that leads nowhere",
        ]
    );
}

#[test]
fn links_are_followed_wherever_the_administrator_put_them() {
    let mut world = root(&[]);
    world.plant_file("/site/me", b"mx.example.org\n");
    world.plant_file("/site/domains/a", b"a.example\n");
    world.plant_file("/site/b", b"b.example\n");
    world.plant_file("/site/pop3d", b". common\nPORT=nonsense\n");
    world.plant_file("/site/common", b"MAXDAEMONS=7\n");
    world.plant_file("/site/authlib/authldaprc", b"");
    for (link, target) in [
        ("/r/etc/me", "/site/me"),
        ("/r/etc/hosteddomains", "../../site/domains"),
        ("/site/domains/b", "../b"),
        ("/r/etc/pop3d", "/site/pop3d"),
        ("/r/common", "/site/common"),
        ("/r/etc/common", "/site/common"),
        ("/r/etc/authlib", "/site/authlib"),
        ("/r/etc/esmtpd", "/site/missing"),
    ] {
        world.plant_link(link, target);
    }
    let load_it = || disk::task(|disk| async move { load(disk, &places(), "host").await });
    let (settings, findings) = world.run(load_it());
    assert_eq!(settings.me.value.as_str(), "mx.example.org");
    for name in ["a.example", "b.example"] {
        assert!(settings.hosted_domains.contains(&domain(name)), "{name}");
    }
    assert_eq!(settings.service(Service::Pop3).limits.sessions.value, 7);
    let errors: Vec<_> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(ToString::to_string)
        .collect();
    let [broken, port] = errors.as_slice() else {
        panic!("{errors:?}");
    };
    assert!(
        broken.starts_with("/r/etc/esmtpd:1: error: the file is not read: it is not"),
        "{broken}"
    );
    // By the name that the administrator knows.
    assert!(port.starts_with("/r/etc/pop3d:2: error: PORT"), "{port}");

    let mut linked = MemDisk::new();
    linked.plant_file("/site/etc/me", b"mx.example.net\n");
    linked.plant_link("/r/etc", "../site/etc");
    let (settings, _) = linked.run(load_it());
    assert_eq!(settings.me.value.as_str(), "mx.example.net");
}

#[test]
fn a_disk_that_fails_is_never_taken_for_a_setting_that_is_not_there() {
    let mut world = root(&[
        ("me", "mx.example.org\n"),
        ("locals", "local.example\n"),
        ("hosteddomains/a", "a.example\n"),
        ("esmtpacceptmailfor.dir/a", "a.example\n"),
        ("esmtpd", ". common\nESMTPDSTART=YES\n"),
        ("common", "TLS_CERTFILE=/usr/share/courier/server.pem\n"),
        ("authlib/authmysqlrc", ""),
        ("esmtpauthclient", ""),
    ]);
    world.plant_file("/r/common", b"TLS_CERTFILE=/usr/share/courier/server.pem\n");
    world.plant_file("/r/share/server.pem", b"");
    let (_, findings) = read_as(&mut world, "host");
    assert!(
        findings.iter().all(|finding| finding.contains(": note: ")),
        "{findings:?}"
    );
    let task = |_| disk::task(|disk| async move { load(disk, &places(), "host").await });
    fail_everywhere::<(), _>(&world, task, |_, (_, findings), _| {
        let errors = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error);
        assert!(errors.count() > 0);
    });
}

#[test]
fn files_with_passwords_are_for_their_owner_alone() {
    let mut world = root(&[("userdb", ""), ("authldaprc", ""), ("bofh", "")]);
    let open = |disk: disk::Disk| async move {
        for name in ["/r/etc/esmtpauthclient", "/r/etc/authpgsqlrc", "/r/etc/me"] {
            let octets = b"mx.example.org\n".to_vec();
            let made = disk.create(Path::new(name), octets, 0o644, disk::Durability::Volatile);
            made.await.expect("made");
        }
    };
    world.run(disk::task(open));
    let (_, findings) = read_as(&mut world, "host");
    let exposed: Vec<_> = findings
        .iter()
        .filter(|finding| finding.contains("everybody can read it"))
        .collect();
    assert_eq!(
        exposed,
        [
            "/r/etc/authpgsqlrc:1: error: there may be passwords in it, and everybody can read it; chmod o-r",
            "/r/etc/esmtpauthclient:1: error: there may be passwords in it, and everybody can read it; chmod o-r",
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_configuration_panics(
        files in proptest::collection::vec(
            ("me|locals|hosteddomains|esmtpd|esmtpd-msa|imapd|sizelimit|warntime|[a-z.~]{1,6}",
             "([A-Z]{1,5}=[$A-Z0-9.,]{0,6}\n|PORT=[0-9.,]{0,8}\n|\\. [a-z]{1,4}\n|[!.*a-z\t]{0,9}\n|\\PC{0,6}\n){0,5}"),
            0..5,
        ),
    ) {
        let mut world = root(&[]);
        for (name, text) in &files {
            let name = name.replace('.', "x");
            world.plant_file(places().etc().join(name), text.as_bytes());
        }
        let (_, findings) = read_as(&mut world, "host.example.org");
        prop_assert!(findings.iter().all(|finding| finding.starts_with("/r/etc/") && finding.lines().count() == 1));
    }
}
