//! The variables that shell files set, one file read on top of another.

use std::collections::{HashMap, HashSet};

use super::file::ConfigFile;
use super::finding::{Findings, Located, Place};
use super::places::PREDEFINED;
use super::shell::{Instead, Piece, Script, Statement, What, Word};

/// The longest value, in octets.
const MAX_VALUE: usize = 64 * 1024;
/// What all assignments may add up to, in octets.
const MAX_TOTAL: usize = 4 * 1024 * 1024;
/// How deep files may include each other.
const MAX_DEPTH: usize = 16;
/// How many files one file may bring in altogether.
const MAX_INCLUDED: usize = 64;

/// Variables, and where they were set. Of several assignments the last counts.
#[derive(Debug, Clone)]
pub struct Environment {
    variables: HashMap<String, Variable>,
    /// Names that some value was made of.
    used: HashSet<String>,
    /// Every assignment since [`Self::layer`], in order.
    assigned: Vec<(String, Place)>,
    total: usize,
}

#[derive(Debug, Clone)]
struct Variable {
    value: String,
    place: Option<Place>,
}

impl Default for Environment {
    /// Nothing but what Courier's installation defines, such as `sysconfdir`.
    fn default() -> Self {
        let predefined = PREDEFINED.map(|(name, value)| {
            let value = value.to_owned();
            (name.to_owned(), Variable { value, place: None })
        });
        Self {
            variables: predefined.into(),
            used: HashSet::new(),
            assigned: Vec::new(),
            total: 0,
        }
    }
}

impl Environment {
    /// The value of a variable, with its place unless it is predefined.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<Located<&str>> {
        let variable = self.variables.get(name)?;
        Some(Located {
            value: &variable.value,
            place: variable.place.clone(),
        })
    }

    /// Whether a variable was assigned since [`Self::layer`].
    #[must_use]
    pub fn is_own(&self, name: &str) -> bool {
        self.assigned.iter().any(|(assigned, _)| assigned == name)
    }

    /// Whether a value of another variable was made of this one.
    #[must_use]
    pub fn is_used(&self, name: &str) -> bool {
        self.used.contains(name)
    }

    /// Begins a file that is read on top of this: a copy that has assigned nothing yet.
    #[must_use]
    pub fn layer(&self) -> Self {
        Self {
            assigned: Vec::new(),
            ..self.clone()
        }
    }

    /// What was assigned since [`Self::layer`]: each name once, with its last place.
    #[must_use]
    pub fn assigned(&self) -> Vec<(&str, &Place)> {
        let mut seen = HashSet::new();
        let last = self.assigned.iter().rev();
        let mut last: Vec<_> = last
            .filter(|(name, _)| seen.insert(name.as_str()))
            .map(|(name, place)| (name.as_str(), place))
            .collect();
        last.reverse();
        last
    }

    fn assign(&mut self, name: String, value: String, place: &Place, findings: &mut Findings) {
        self.total = self.total.saturating_add(value.len());
        if self.total > MAX_TOTAL {
            findings.error(place, format!("{name}: the values are too long altogether"));
            return;
        }
        self.assigned.push((name.clone(), place.clone()));
        let place = Some(place.clone());
        self.variables.insert(name, Variable { value, place });
    }

    /// The text of a word; `None`, and a finding, if it is too long.
    fn expand(&mut self, word: &Word, place: &Place, findings: &mut Findings) -> Option<String> {
        let mut text = String::new();
        // Words in words, innermost last; the lexer bounds how deep they go.
        let mut open = vec![word.pieces.iter()];
        while let Some(pieces) = open.last_mut() {
            let Some(piece) = pieces.next() else {
                open.pop();
                continue;
            };
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Variable { name, instead } => {
                    self.used.insert(name.clone());
                    let value = self.variables.get(name).map(|variable| &variable.value);
                    let filled = value.is_some_and(|value| !value.is_empty());
                    match instead {
                        Some((Instead::Unset, word)) if value.is_none() => {
                            open.push(word.pieces.iter());
                        }
                        Some((Instead::Empty, word)) if !filled => open.push(word.pieces.iter()),
                        Some((Instead::Set, word)) if value.is_some() => {
                            open.push(word.pieces.iter());
                        }
                        Some((Instead::Filled, word)) if filled => open.push(word.pieces.iter()),
                        Some((Instead::Set | Instead::Filled, _)) => {}
                        None if value.is_none() => {
                            findings.note(place, format!("${name} is not set, and so is empty"));
                        }
                        _ => text.push_str(value.map_or("", String::as_str)),
                    }
                }
            }
            if text.len() > MAX_VALUE {
                findings.error(place, "the value is too long");
                return None;
            }
        }
        Some(text)
    }
}

/// A shell file being carried out: it stops where another file is to be read.
#[derive(Debug)]
pub struct Evaluation<'e> {
    environment: &'e mut Environment,
    open: Vec<Frame>,
    included: usize,
}

#[derive(Debug)]
struct Frame {
    file: ConfigFile,
    statements: std::vec::IntoIter<Statement>,
}

/// A file that a shell file wants to be read now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// The path as it is written.
    pub path: String,
    /// Where it is asked for.
    pub place: Place,
}

impl<'e> Evaluation<'e> {
    /// Carries out `file` on `environment`.
    #[must_use]
    pub fn new(environment: &'e mut Environment, file: ConfigFile) -> Self {
        let mut evaluation = Self {
            environment,
            open: Vec::new(),
            included: 0,
        };
        evaluation.include(file);
        evaluation
    }

    /// Goes on, up to the next file to be read (answer with [`Self::include`], or go
    /// on without it) or the end.
    pub fn run(&mut self, findings: &mut Findings) -> Option<Inclusion> {
        while let Some(frame) = self.open.last_mut() {
            let Some(statement) = frame.statements.next() else {
                self.open.pop();
                continue;
            };
            let place = frame.file.place(statement.line);
            match statement.what {
                What::Assign { name, value } => {
                    if let Some(value) = self.environment.expand(&value, &place, findings) {
                        self.environment.assign(name, value, &place, findings);
                    }
                }
                What::Export(assignments) => {
                    let mut expand = |word| self.environment.expand(word, &place, findings);
                    let values: Vec<_> = assignments.iter().map(|(_, word)| expand(word)).collect();
                    for ((name, _), value) in assignments.into_iter().zip(values) {
                        if let Some(value) = value {
                            self.environment.assign(name, value, &place, findings);
                        }
                    }
                }
                What::Skip(why) => findings.error(&place, why.to_string()),
                What::Include(word) => {
                    let path = self.environment.expand(&word, &place, findings);
                    let Some(path) = path else { continue };
                    self.included += 1;
                    if self.open.len() >= MAX_DEPTH || self.included > MAX_INCLUDED {
                        findings.error(&place, "too many files include each other");
                        continue;
                    }
                    return Some(Inclusion { path, place });
                }
            }
        }
        None
    }

    /// Carries out another file before what is left of the present one.
    pub fn include(&mut self, file: ConfigFile) {
        let statements = Script::parse(file.octets()).statements.into_iter();
        self.open.push(Frame { file, statements });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    /// Carries out the file `main` of a set.
    fn run(environment: &mut Environment, files: &[(&str, &str)]) -> Vec<String> {
        let mut findings = Findings::default();
        let read = |name: &str| {
            let found = files.iter().find(|(file, _)| *file == name)?;
            Some(ConfigFile::new(
                Path::new(name),
                found.1.as_bytes().to_vec(),
            ))
        };
        let mut evaluation = Evaluation::new(environment, read("main").expect("main"));
        while let Some(inclusion) = evaluation.run(&mut findings) {
            match read(&inclusion.path) {
                Some(file) => evaluation.include(file),
                None => findings.error(&inclusion.place, "not there"),
            }
        }
        findings
            .into_list()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn value(environment: &Environment, name: &str) -> Option<String> {
        environment.value(name).map(|found| found.value.to_owned())
    }

    #[test]
    fn the_last_assignment_counts_across_files() {
        let mut environment = Environment::default();
        let findings = run(
            &mut environment,
            &[
                (
                    "main",
                    "A=1\nB=$A\n. other\nC=${A}$D\nE=${sysconfdir}/x\nF=${NO:-no}${A:+a}${NO+b}\n",
                ),
                ("other", "A=2\nD='d d'\n"),
            ],
        );
        assert_eq!(findings, [] as [&str; 0]);
        for (name, wanted) in [
            ("A", "2"),
            ("B", "1"),
            ("C", "2d d"),
            ("E", "/etc/courier/x"),
            ("F", "noa"),
        ] {
            assert_eq!(value(&environment, name).as_deref(), Some(wanted), "{name}");
        }
        let place = environment.value("D").and_then(|found| found.place);
        assert_eq!(
            place.map(|place| place.to_string()).as_deref(),
            Some("other:2")
        );
        assert!(environment.is_used("A") && !environment.is_used("C"));
    }

    #[test]
    fn a_layer_sees_what_lies_below_and_tells_its_own() {
        let mut below = Environment::default();
        assert_eq!(
            run(&mut below, &[("main", "A=1\nA=2\nB=3\n")]),
            [] as [&str; 0]
        );
        let names: Vec<_> = below
            .assigned()
            .iter()
            .map(|(name, place)| (*name, place.line))
            .collect();
        assert_eq!(names, [("A", 2), ("B", 3)]);
        let mut above = below.layer();
        run(&mut above, &[("main", "C=$A\n")]);
        assert_eq!(above.assigned().len(), 1);
        assert_eq!(value(&above, "C").as_deref(), Some("2"));
    }

    #[test]
    fn unset_variables_are_empty_and_said_to_be() {
        let mut environment = Environment::default();
        let findings = run(&mut environment, &[("main", "A=x$B\nC=${D-}\n")]);
        assert_eq!(findings, ["main:1: note: $B is not set, and so is empty"]);
        assert_eq!(value(&environment, "A").as_deref(), Some("x"));
    }

    #[test]
    fn files_cannot_include_each_other_for_ever() {
        let mut environment = Environment::default();
        let findings = run(&mut environment, &[("main", "A=1\n. main\n. main\n")]);
        assert!(
            findings
                .iter()
                .all(|f| f.ends_with("too many files include each other"))
        );
        assert!(
            !findings.is_empty() && findings.len() < 100,
            "{}",
            findings.len()
        );
    }

    #[test]
    fn values_cannot_grow_for_ever() {
        let doubling = format!("A=xxxxxxxx\n{}", "A=$A$A\n".repeat(64));
        let mut environment = Environment::default();
        let findings = run(&mut environment, &[("main", &doubling)]);
        assert!(
            findings
                .iter()
                .all(|finding| finding.ends_with("the value is too long"))
        );
        assert!(value(&environment, "A").expect("a value").len() <= MAX_VALUE);
        let mut many = "A=xxxxxxxx\n".to_owned() + &"A=$A$A\n".repeat(12);
        (0..200).for_each(|number| many.push_str(&format!("B{number}=$A\n")));
        let findings = run(&mut environment, &[("main", &many)]);
        assert!(
            findings[0].ends_with("the values are too long altogether"),
            "{}",
            findings[0]
        );
    }

    #[test]
    fn what_needs_a_shell_is_an_error() {
        let mut environment = Environment::default();
        let findings = run(&mut environment, &[("main", "umask 022\nA=1\n")]);
        assert_eq!(
            findings,
            [
                "main:1: error: the command \"umask\" is not run here; only assignments, export and . are understood"
            ]
        );
        assert_eq!(value(&environment, "A").as_deref(), Some("1"));
    }

    proptest! {
        #[test]
        fn no_file_panics(text in "([AB]=[$AB{}:+-]{0,8}\n|\\. [AB$]\n){0,12}") {
            let mut environment = Environment::default();
            run(&mut environment, &[("main", &text), ("A", &text)]);
        }
    }
}
