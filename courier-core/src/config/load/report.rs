//! What is to be said about settings, whether in force or not.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::super::environment::Environment;
use super::super::file::ConfigFile;
use super::super::finding::{Findings, Place, quoted};
use super::super::registry::{self, Kind, Known, RcFile, ShellFile, Standing};
use super::tree::Tree;
use super::whole;

/// Says what becomes of every file of a directory; those that a shell file brought in
/// need no name that is known.
pub(super) fn files(tree: &Tree, included: &HashSet<PathBuf>, findings: &mut Findings) {
    for name in tree.names() {
        let path = tree.path().join(name);
        let place = whole(&path);
        let Some(known) = registry::file(name) else {
            if !included.contains(&path) {
                findings.note(&place, "no setting of this name is known; it is not read");
            }
            continue;
        };
        match known.kind {
            // Each of their settings is reported by itself.
            Kind::Shell(_) => {}
            Kind::Rc(kind) => {
                if let Some(file) = tree.file(name) {
                    rc_file(file, kind, findings);
                }
            }
            Kind::Compiled(source) if !tree.contains(source) => {
                let text =
                    format!("compiled databases are not read; write its entries into {source}");
                findings.error(&place, text);
            }
            _ => standing(known.standing, name, &place, findings),
        }
        if let (Kind::OneLine(syntax), Some(file)) = (known.kind, tree.file(name))
            && known.standing != Standing::InForce
        {
            let text = file.first_line(findings);
            if let Err(error) = syntax.check(text) {
                findings.error(&place, error);
            }
        }
    }
    for name in tree.exposed() {
        let text = "there may be passwords in it, and everybody can read it; chmod o-r";
        findings.error(&whole(&tree.path().join(name)), text);
    }
}

/// Says what becomes of every variable that shell files under `etc` set.
///
/// The environments are those of files read on top of each other; a variable that
/// only helps another may be used by any of them.
pub(super) fn variables(
    kind: ShellFile,
    environments: &[&Environment],
    etc: &Path,
    findings: &mut Findings,
) {
    for environment in environments {
        for (name, place) in environment.assigned() {
            // The system's own files, such as /etc/environment, hold no settings.
            if !place.file.starts_with(etc) {
                continue;
            }
            match registry::variable(kind, name) {
                Some(known) => {
                    let value = environment.value(name).map_or("", |found| found.value);
                    variable(known, name, value, place, findings);
                }
                None if environments.iter().any(|other| other.is_used(name)) => {}
                None => findings.unknown(place, unknown(name, registry::nearest(kind, name))),
            }
        }
    }
}

fn variable(known: Known, name: &str, value: &str, place: &Place, findings: &mut Findings) {
    standing(known.standing, name, place, findings);
    // Those in force are looked at closely where they are used.
    if known.standing != Standing::InForce
        && let Err(error) = known.syntax.check(value.trim())
    {
        findings.error(place, format!("{name}: {error}"));
    }
}

fn standing(standing: Standing, name: &str, place: &Place, findings: &mut Findings) {
    match standing {
        Standing::InForce | Standing::Quiet => {}
        Standing::NotYet => findings.note(place, format!("{name}: known, not yet in effect")),
        Standing::NoEffect(why) => {
            findings.note(place, format!("{name}: known, no effect here: {why}"));
        }
    }
}

fn unknown(name: &str, nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("{name}: unknown setting, perhaps {nearest} is meant"),
        None => format!("{name}: unknown setting"),
    }
}

/// Lines of a name, blanks and a value; a trailing backslash continues a line.
fn rc_file(file: &ConfigFile, kind: RcFile, findings: &mut Findings) {
    let mut continued = false;
    let lines = file.octets().split(|&octet| octet == b'\n');
    for (number, line) in (1..).zip(lines) {
        let line = line.trim_ascii();
        let goes_on = line.ends_with(b"\\");
        let first = std::mem::replace(&mut continued, goes_on);
        if first || line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let name = line
            .split(u8::is_ascii_whitespace)
            .next()
            .unwrap_or_default();
        let place = file.place(number);
        match std::str::from_utf8(name) {
            Ok(name) if registry::is_known_rc(kind, name) => {
                standing(Standing::NotYet, name, &place, findings);
            }
            Ok(name) => findings.unknown(&place, format!("{}: unknown setting", quoted(name))),
            Err(_) => findings.error(&place, "the name of the setting is not UTF-8"),
        }
    }
}
