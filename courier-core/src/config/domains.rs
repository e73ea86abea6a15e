//! Which domains are ours: `locals`, `hosteddomains`, `esmtpacceptmailfor`
//! (mta.md sections 2.8, 2.9 and 3.1).

use std::collections::HashMap;

use crate::address::{AddressError, Domain};

/// Why a line is no entry of a domain list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DomainListError {
    /// Not a domain.
    #[error(transparent)]
    Domain(#[from] AddressError),
    /// `*` or `*.rest`, and the system's host name is no domain.
    #[error("* stands for the system's host name, which is not a domain")]
    NoHostName,
    /// `!` where the order of entries has no meaning.
    #[error("! has no meaning in this file")]
    Exclusion,
    /// More than a domain and what it stands for.
    #[error("expected a domain, or an alias, a tab and a domain")]
    Fields,
}

/// `example.com`, or `.example.com` for every name below it but not itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    scope: Scope,
    domain: Domain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Exact,
    Below,
}

impl Pattern {
    fn parse(text: &str, host: Option<&Domain>) -> Result<Self, DomainListError> {
        if let Some(domain) = placeholder(text, host) {
            let scope = Scope::Exact;
            return domain.map(|domain| Self { scope, domain });
        }
        let (scope, name) = match text.strip_prefix('.') {
            Some(name) => (Scope::Below, name),
            None => (Scope::Exact, text),
        };
        let domain = Domain::parse(name)?;
        Ok(Self { scope, domain })
    }
}

/// `*` is the system's host name, `*.rest` a name below it.
pub(super) fn placeholder(
    text: &str,
    host: Option<&Domain>,
) -> Option<Result<Domain, DomainListError>> {
    let rest = text.strip_prefix('*')?;
    let Some(host) = host else {
        return Some(Err(DomainListError::NoHostName));
    };
    Some(Domain::parse(&format!("{}{rest}", host.as_str())).map_err(Into::into))
}

/// Values by pattern: one look for the name itself and one for each name above it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PatternMap<T> {
    exact: HashMap<Box<str>, T>,
    below: HashMap<Box<str>, T>,
}

impl<T> Default for PatternMap<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            below: HashMap::new(),
        }
    }
}

impl<T> PatternMap<T> {
    /// Adds an entry unless there is one: of two the first counts.
    fn add(&mut self, pattern: &Pattern, value: T) {
        let entries = match pattern.scope {
            Scope::Exact => &mut self.exact,
            Scope::Below => &mut self.below,
        };
        let name = pattern.domain.as_str().into();
        entries.entry(name).or_insert(value);
    }

    /// What fits a domain: the entry for itself, then those for names above it from
    /// the nearest up, at most `labels` of them, each with the name it stands under.
    fn matches<'a>(
        &'a self,
        domain: &'a Domain,
        labels: usize,
    ) -> impl Iterator<Item = (&'a str, &'a T)> {
        let name = domain.as_str();
        let exact = self.exact.get(name).map(|value| (name, value));
        let above = names_above(domain).take(labels);
        let below = above.filter_map(|name| Some((name, self.below.get(name)?)));
        exact.into_iter().chain(below)
    }
}

/// `b.c` and `c` for `a.b.c`; none for an address literal.
fn names_above(domain: &Domain) -> impl Iterator<Item = &str> {
    let first = (!domain.is_literal()).then_some(domain.as_str());
    std::iter::successors(first, |name| name.split_once('.').map(|(_, rest)| rest)).skip(1)
}

/// A list in which the first entry that fits decides: `locals`, `esmtpacceptmailfor`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DomainList {
    patterns: PatternMap<(usize, Sense)>,
    next: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sense {
    In,
    Out,
}

impl DomainList {
    /// A list of one domain.
    #[must_use]
    pub fn of(domain: &Domain) -> Self {
        let mut list = Self::default();
        list.push(domain.clone(), Scope::Exact, Sense::In);
        list
    }

    /// Adds an entry at the end: `domain`, `.domain`, `*`, `*.rest`, with `!` in front
    /// to exclude.
    ///
    /// # Errors
    /// If it is no such entry; nothing is added then.
    pub fn add(&mut self, entry: &str, host: Option<&Domain>) -> Result<(), DomainListError> {
        let (sense, text) = match entry.strip_prefix('!') {
            Some(text) => (Sense::Out, text.trim_start()),
            None => (Sense::In, entry),
        };
        let Pattern { scope, domain } = Pattern::parse(text, host)?;
        self.push(domain, scope, sense);
        Ok(())
    }

    /// Whether a domain is in the list.
    #[must_use]
    pub fn contains(&self, domain: &Domain) -> bool {
        let first = self.patterns.matches(domain, usize::MAX);
        let first = first
            .map(|(_, entry)| entry)
            .min_by_key(|(order, _)| *order);
        first.is_some_and(|(_, sense)| *sense == Sense::In)
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.next == 0
    }

    fn push(&mut self, domain: Domain, scope: Scope, sense: Sense) {
        let order = self.next;
        self.patterns
            .add(&Pattern { scope, domain }, (order, sense));
        self.next += 1;
    }
}

/// The domains for which mail is taken from anyone: `esmtpacceptmailfor`, and
/// `esmtpacceptmailfor.dir`, which is compiled and so has no order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AcceptMailFor {
    list: DomainList,
    directory: PatternMap<()>,
}

/// Names above a domain that are looked up in `esmtpacceptmailfor.dir`.
const DIRECTORY_LABELS: usize = 8;

impl AcceptMailFor {
    /// With the entries of `esmtpacceptmailfor`.
    #[must_use]
    pub fn new(list: DomainList) -> Self {
        Self {
            list,
            directory: PatternMap::default(),
        }
    }

    /// Adds an entry of `esmtpacceptmailfor.dir`.
    ///
    /// # Errors
    /// If it is none; nothing is added then.
    pub fn add(&mut self, entry: &str, host: Option<&Domain>) -> Result<(), DomainListError> {
        if entry.starts_with('!') {
            return Err(DomainListError::Exclusion);
        }
        self.directory.add(&Pattern::parse(entry, host)?, ());
        Ok(())
    }

    /// Whether mail for this domain is taken from anyone.
    #[must_use]
    pub fn contains(&self, domain: &Domain) -> bool {
        self.list.contains(domain)
            || self
                .directory
                .matches(domain, DIRECTORY_LABELS)
                .next()
                .is_some()
    }
}

/// `hosteddomains`: domains whose accounts keep their domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostedDomains {
    patterns: PatternMap<Option<Domain>>,
}

/// Names above a domain that are looked up in `hosteddomains`.
const HOSTED_LABELS: usize = 5;

impl HostedDomains {
    /// Adds an entry: `domain`, `.domain`, `*`, `*.rest`, or `alias`, a tab and the
    /// domain that it stands for.
    ///
    /// # Errors
    /// If it is none; nothing is added then.
    pub fn add(&mut self, entry: &str, host: Option<&Domain>) -> Result<(), DomainListError> {
        let mut fields = entry.split_whitespace();
        let pattern = fields.next().ok_or(DomainListError::Fields)?;
        let target = fields.next();
        if fields.next().is_some() {
            return Err(DomainListError::Fields);
        }
        if pattern.starts_with('!') {
            return Err(DomainListError::Exclusion);
        }
        let pattern = Pattern::parse(pattern, host)?;
        let target = target
            .map(|target| placeholder(target, host).unwrap_or_else(|| Ok(Domain::parse(target)?)));
        self.patterns.add(&pattern, target.transpose()?);
        Ok(())
    }

    /// The domains under which an account of `domain` is looked for, the most exact
    /// first; empty if the domain is not hosted.
    ///
    /// Under a wildcard `.c`, an account of `a.b.c` may be kept as one of `a.b.c`, of
    /// `.b.c` or of `.c`.
    #[must_use]
    pub fn account_domains(&self, domain: &Domain) -> Vec<String> {
        // Courier: asks only for the entry that fits; its manual promises the whole
        // address first. All are tried here.
        let Some((entry, target)) = self.patterns.matches(domain, HOSTED_LABELS).next() else {
            return Vec::new();
        };
        if let Some(target) = target {
            return vec![target.as_str().to_owned()];
        }
        let below = names_above(domain).take_while(|name| name.len() >= entry.len());
        let whole = std::iter::once(domain.as_str().to_owned());
        whole.chain(below.map(|name| format!(".{name}"))).collect()
    }

    /// Whether a domain is hosted.
    #[must_use]
    pub fn contains(&self, domain: &Domain) -> bool {
        self.patterns
            .matches(domain, HOSTED_LABELS)
            .next()
            .is_some()
    }
}

/// Whether `John` and `john` are one local part (`locallowercase`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LocalPartCase {
    /// They are two.
    #[default]
    Kept,
    /// They are one.
    Folded,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect("a domain")
    }

    fn list(entries: &[&str]) -> DomainList {
        let mut list = DomainList::default();
        for entry in entries {
            list.add(entry, Some(&domain("mx.example.org")))
                .expect("an entry");
        }
        list
    }

    #[test]
    fn the_first_entry_that_fits_decides() {
        let list = list(&[
            "example.com",
            "!bad.example.net",
            "!.worse.example.net",
            ".example.net",
        ]);
        for (name, wanted) in [
            ("example.com", true),
            ("EXAMPLE.com.", true),
            ("www.example.com", false),
            ("example.net", false),
            ("good.example.net", true),
            ("a.b.example.net", true),
            ("bad.example.net", false),
            ("x.bad.example.net", true),
            ("worse.example.net", true),
            ("x.worse.example.net", false),
            ("xexample.net", false),
            ("[192.0.2.1]", false),
        ] {
            assert_eq!(list.contains(&domain(name)), wanted, "{name}");
        }
    }

    #[test]
    fn an_exclusion_behind_what_it_excludes_comes_too_late() {
        let list = list(&[".example.net", "!bad.example.net"]);
        assert!(list.contains(&domain("bad.example.net")));
    }

    #[test]
    fn an_asterisk_is_the_host_name() {
        let list = list(&["*", "*.internal"]);
        assert!(list.contains(&domain("mx.example.org")));
        assert!(list.contains(&domain("mx.example.org.internal")));
        assert!(!list.contains(&domain("x.internal")));
        let error = DomainList::default().add("*", None);
        assert_eq!(error, Err(DomainListError::NoHostName));
    }

    #[test]
    fn names_compare_in_unicode() {
        let list = list(&["bücher.example"]);
        assert!(list.contains(&domain("xn--bcher-kva.example")));
        assert!(list.contains(&domain("BÜCHER.example")));
    }

    #[test]
    fn both_sources_of_accepted_domains_count() {
        let mut accept = AcceptMailFor::new(list(&["example.com"]));
        accept.add(".example.net", None).expect("an entry");
        accept.add("example.org", None).expect("an entry");
        assert_eq!(accept.add("!x.org", None), Err(DomainListError::Exclusion));
        let deep = |labels: usize| domain(&format!("{}example.net", "x.".repeat(labels)));
        assert!(accept.contains(&domain("example.com")) && accept.contains(&domain("example.org")));
        assert!(accept.contains(&deep(8)) && !accept.contains(&deep(9)));
        assert!(!accept.contains(&domain("example.net")));
    }

    #[test]
    fn hosted_accounts_are_looked_for_from_the_whole_name_up() {
        let mut hosted = HostedDomains::default();
        for entry in [
            "example.com",
            "alias.example\texample.com",
            ".wild.example",
            "*",
        ] {
            hosted
                .add(entry, Some(&domain("mx.example.org")))
                .expect("an entry");
        }
        let domains = |name: &str| hosted.account_domains(&domain(name));
        assert_eq!(domains("example.com"), ["example.com"]);
        assert_eq!(domains("alias.example"), ["example.com"]);
        assert_eq!(domains("mx.example.org"), ["mx.example.org"]);
        assert_eq!(
            domains("x.y.wild.example"),
            ["x.y.wild.example", ".y.wild.example", ".wild.example"]
        );
        assert_eq!(domains("wild.example"), [] as [&str; 0]);
        assert!(hosted.contains(&domain("1.2.3.4.5.wild.example")));
        assert!(!hosted.contains(&domain("1.2.3.4.5.6.wild.example")));
        assert_eq!(hosted.add("a b c", None), Err(DomainListError::Fields));
        assert!(hosted.add("a..b", None).is_err());
    }

    proptest! {
        #[test]
        fn no_entry_panics(entry in "[!.*]{0,3}[a-c.\t -]{0,12}|\\PC{0,12}") {
            let host = domain("mx.example.org");
            let (mut list, mut hosted) = (DomainList::default(), HostedDomains::default());
            let _ = list.add(&entry, Some(&host));
            let _ = AcceptMailFor::default().add(&entry, None);
            if hosted.add(&entry, Some(&host)).is_ok() {
                let _ = hosted.account_domains(&host);
            }
            let _ = list.contains(&host);
        }

        #[test]
        fn an_entry_alone_fits_itself(name in "[a-z]{1,5}(\\.[a-z]{1,5}){0,3}") {
            let name = domain(&name);
            let mut list = DomainList::default();
            list.add(name.as_str(), None).expect("an entry");
            prop_assert!(list.contains(&name));
            let below = domain(&format!("x.{}", name.as_str()));
            prop_assert!(!list.contains(&below));
        }
    }
}
