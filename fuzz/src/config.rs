//! Configuration files and what clients say in a SASL exchange, from any octets.
//!
//! A line `=== NAME` begins a file of `etc`; what stands before the first one is read
//! as every kind of file there is.

use std::path::Path;

use courier_core::account::login::Login;
use courier_core::account::naming::{AccountName, Naming};
use courier_core::account::options::AccountOptions;
use courier_core::account::sasl::{Exchange, Keys, Material, Mechanism, Output, Verdict, Verified};
use courier_core::account::secret::Secret;
use courier_core::address::Domain;
use courier_core::config::domains::{AcceptMailFor, DomainList, HostedDomains};
use courier_core::config::environment::{Environment, Evaluation};
use courier_core::config::file::ConfigFile;
use courier_core::config::shell::{Script, What, quote};
use courier_core::config::{self, Findings, Places, Service, time, value};
use courier_core::disk;
use courier_core::testing::MemDisk;

const HOST: &str = "host.example.org";

/// Reads the octets as each of them.
///
/// # Panics
/// If something is not what it was after it was printed, a finding has no place, or
/// somebody is let in whom the host did not know.
pub fn run(data: &[u8]) {
    let end = data.windows(4).position(|mark| mark == b"=== ");
    let first = data.get(..end.unwrap_or(data.len())).unwrap_or_default();
    shell(first);
    lists(first);
    values(first);
    accounts(first);
    exchanges(first);
    whole(data);
}

/// What is quoted is read back, and what is carried out again comes to the same.
fn shell(data: &[u8]) {
    let lines = 1 + data.iter().filter(|&&octet| octet == b'\n').count() as u64;
    let script = Script::parse(data);
    for statement in &script.statements {
        assert!((1..=lines).contains(&u64::from(statement.line)));
        let names: Vec<_> = match &statement.what {
            What::Assign { name, .. } => vec![name],
            What::Export(list) => list.iter().map(|(name, _)| name).collect(),
            What::Include(_) | What::Skip(_) => Vec::new(),
        };
        let starts_well = |name: &&String| !name.starts_with(|c: char| c.is_ascii_digit());
        assert!(
            names
                .iter()
                .all(|name| !name.is_empty() && starts_well(name))
        );
    }
    let (once, _) = carried_out(data);
    let mut text = String::new();
    for (name, _) in once.assigned() {
        let value = once.value(name).map_or("", |found| found.value);
        text.push_str(&format!("{name}={}\n", quote(value)));
    }
    let (again, findings) = carried_out(text.as_bytes());
    assert!(findings.into_list().is_empty(), "{text:?}");
    for (name, _) in once.assigned() {
        let value =
            |environment: &Environment| environment.value(name).map(|found| found.value.to_owned());
        // A carriage return before a line end goes away in a file.
        let lines = |value: Option<String>| value.map(|value| value.replace("\r\n", "\n"));
        assert_eq!(lines(value(&again)), lines(value(&once)), "{name}");
    }
}

fn carried_out(data: &[u8]) -> (Environment, Findings) {
    let mut environment = Environment::default();
    let mut findings = Findings::default();
    let file = ConfigFile::new(Path::new("/r/etc/fuzz"), data.to_vec());
    let mut evaluation = Evaluation::new(&mut environment, file);
    while evaluation.run(&mut findings).is_some() {}
    (environment, findings)
}

fn lists(data: &[u8]) {
    let mut findings = Findings::default();
    let file = ConfigFile::new(Path::new("/r/etc/fuzz"), data.to_vec());
    let host = Domain::parse(HOST).ok();
    let (mut list, mut hosted) = (DomainList::default(), HostedDomains::default());
    let mut accepted = AcceptMailFor::default();
    for (_, entry) in file.entries(&mut findings) {
        let named = list.add(entry, host.as_ref()).is_ok();
        let plain = named && !entry.starts_with(['!', '.', '*']);
        let _ = hosted.add(entry, host.as_ref());
        let directory = accepted.add(entry, host.as_ref()).is_ok();
        assert_eq!(directory, named && !entry.starts_with('!'));
        if let (true, Ok(domain)) = (plain, Domain::parse(entry)) {
            assert!(hosted.contains(&domain) && accepted.contains(&domain));
            let naming = Naming {
                locals: &DomainList::default(),
                hosted: &hosted,
                case: config::domains::LocalPartCase::Kept,
            };
            if let Ok(login) = Login::parse(format!("x@{}", domain.as_str()).as_bytes()) {
                assert!(!naming.of_login(&login).is_empty());
            }
        }
    }
}

fn values(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(span) = time::parse(text) {
        assert_eq!(time::parse(&time::print(span)), Ok(span));
    }
    for bind in value::binds(text, None).unwrap_or_default() {
        let again = match bind.address {
            Some(address) => format!("{address}.{}", bind.port),
            None => bind.port.to_string(),
        };
        assert_eq!(value::binds(&again, None), Ok(vec![bind]));
    }
    let _ = (
        value::yes_or_no(text),
        value::flag(text),
        value::number(text, 0..=9),
    );
    let options = AccountOptions::parse(text);
    assert_eq!(AccountOptions::parse(&options.to_string()), options);
    assert_eq!(options.clone().with_defaults(&options), options);
}

fn accounts(data: &[u8]) {
    if let Ok(login) = Login::parse(data) {
        assert_eq!(Login::parse(login.as_str().as_bytes()).as_ref(), Ok(&login));
        assert!(!login.as_str().chars().any(char::is_control));
    }
    let name = std::str::from_utf8(data).ok().map(AccountName::parse);
    if let Some(Ok(name)) = name {
        assert_eq!(AccountName::parse(&name.to_string()).as_ref(), Ok(&name));
        let home = name.home().unwrap_or_default();
        assert!(home.iter().all(|part| part != ".." && part != "."));
        assert!(home.is_relative());
    }
}

/// The lines are what a client says; the host knows nobody.
fn exchanges(data: &[u8]) {
    for mechanism in Mechanism::ALL {
        let material = Material {
            nonce: [7; 18],
            server_key: Secret::new("of this server"),
        };
        let mut exchange = Exchange::new(mechanism, material);
        let mut lines = data.split(|&octet| octet == b'\n').map(Secret::from);
        let mut output = exchange.begin(lines.next());
        loop {
            output = match output {
                Output::Say(Verdict::Challenge(_)) => match lines.next() {
                    Some(line) => exchange.respond(line),
                    None => break,
                },
                Output::Say(verdict) => {
                    assert_ne!(verdict, Verdict::Accepted);
                    break;
                }
                Output::Verify { token, .. } => exchange.verified(token, Verified::No),
                Output::FindKeys { token, login } => {
                    let name = login.to_string();
                    exchange.keys(token, Keys::None { name })
                }
            };
        }
        assert_eq!(exchange.login(), None);
    }
}

/// A whole `etc`: there are always settings, and what is wrong has a place.
fn whole(data: &[u8]) {
    let mut world = MemDisk::new();
    world.plant_directory("/r/etc");
    let text = String::from_utf8_lossy(data);
    for file in text.split("=== ").skip(1).take(20) {
        let (name, contents) = file.split_once('\n').unwrap_or((file, ""));
        let known = name.len() <= 40 && name.bytes().all(|octet| octet.is_ascii_graphic());
        let plain = !name.starts_with('/') && name.split('/').count() <= 2;
        let sound = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if known && plain && sound && !world_has(&mut world, name) {
            world.plant_file(Path::new("/r/etc").join(name), contents.as_bytes());
        }
    }
    let places = Places::in_root(Path::new("/r"));
    let task = disk::task(|disk| config::load(disk, &places, HOST));
    let (settings, findings) = world.run(task);
    assert!(findings.len() <= 2 * (Findings::LIMIT + 1));
    for finding in &findings {
        let line = finding.to_string();
        assert!(
            line.starts_with("/r/etc") && !line.contains('\n'),
            "{line:?}"
        );
        assert!(
            line.contains(": error: ") || line.contains(": note: "),
            "{line:?}"
        );
    }
    for service in Service::ALL {
        let told = settings.service(service);
        assert_eq!(told.service, service);
        assert!(!told.listen.value.is_empty() && told.limits.sessions.value > 0);
    }
}

/// A name cannot be a file and a directory.
fn world_has(world: &mut MemDisk, name: &str) -> bool {
    let first = name.split('/').next().unwrap_or(name).to_owned();
    let there = |world: &mut MemDisk, path: String| {
        let task = disk::task(|disk| async move { disk.stat(Path::new(&path)).await.is_ok() });
        world.run(task)
    };
    match name.contains('/') {
        true => {
            there(world, format!("/r/etc/{name}"))
                || world.contents(format!("/r/etc/{first}")).is_some()
        }
        false => there(world, format!("/r/etc/{name}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    #[test]
    fn the_corpus_is_read_right() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/config");
        let mut count = 0;
        for entry in std::fs::read_dir(corpus).unwrap() {
            let data = std::fs::read(entry.unwrap().path()).unwrap();
            super::run(&data);
            let step = data.len() / 50 + 1;
            for end in (0..data.len()).step_by(step) {
                super::run(&data[..end]);
            }
            count += 1;
        }
        assert!(count >= 10, "the corpus is in {corpus}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn what_looks_like_a_file_is_read_right(text in "([A-Z]{1,2}=['\"$A{}:a\\\\-]{0,6}|[!.*a\t]{1,8}|\\. [a-z]|if|fi|[0-9]{1,3}[wdhm. ])?\n|n,,n=[a=]{0,3},r=[a-c]{0,3}") {
            super::run(text.as_bytes());
        }

        #[test]
        fn a_whole_configuration_is_read_right(
            files in prop::collection::vec(
                ("(esmtpd|imapd|pop3d)(-ssl|-msa)?|me|locals|hosteddomains(/[a-z~.]{1,4})?|sizelimit|[a-z.]{1,9}",
                 "((PORT|ADDRESS|MAXPERIP|TLS_CERTFILE|A)=[$A0-9a-z.,'\"]{0,9}\n|[!.*a-z\t]{0,9}\n){0,4}"),
                0..5,
            ),
        ) {
            let text: String = files.iter().map(|(name, text)| format!("=== {name}\n{text}")).collect();
            super::run(text.as_bytes());
        }

        #[test]
        fn noise_is_read_right(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            super::run(&octets);
        }
    }
}
