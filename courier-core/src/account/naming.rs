//! Which accounts an address or a login may mean (mta.md sections 2.7, 3.1; cli.md).

use std::fmt;
use std::path::PathBuf;

use super::login::Login;
use crate::address::{Address, AddressError, Domain, LocalPart, Mailbox};
use crate::config::Settings;
use crate::config::domains::{DomainList, HostedDomains, LocalPartCase};

/// The name under which an account database keeps an account: `user` for accounts of
/// the domains in `locals`, `user@domain` for hosted ones. After the `@` there may
/// also stand `.domain`, an account for all names below a hosted wildcard.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName {
    local: LocalPart,
    domain: Option<Box<str>>,
}

impl AccountName {
    /// Parses `user`, `user@domain` or `user@.domain`.
    ///
    /// # Errors
    /// If it is no address.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        match Address::parse(text.as_bytes()) {
            Ok(Address::Local(local)) => Ok(Self::local_account(local)),
            Ok(Address::Mailbox(mailbox)) => {
                let (local, domain) = mailbox.into_parts();
                Ok(Self::hosted_account(local, domain.as_str()))
            }
            // No domain begins with a dot, so this is no address in any case.
            Err(error) => {
                let (local, wildcard) = text.rsplit_once("@.").ok_or(error)?;
                let local = LocalPart::parse(local.as_bytes())?;
                let domain = format!(".{}", Domain::parse(wildcard)?.as_str());
                Ok(Self::hosted_account(local, &domain))
            }
        }
    }

    /// What stands before the `@`, without quotes.
    #[must_use]
    pub fn local(&self) -> &str {
        self.local.as_str()
    }

    /// The domain of a hosted account.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// Where the account's home is put below the directory of homes, unless it is
    /// told otherwise: `DOMAIN/USER` or `USER`. `None` for a name that cannot be one
    /// directory each, such as `..` or `a/b`.
    #[must_use]
    pub fn home(&self) -> Option<PathBuf> {
        let plain = |part: &str| !part.starts_with('.') && !part.contains('/');
        let mut parts = self.domain().into_iter().chain([self.local()]);
        let home = parts.clone().collect();
        parts.all(plain).then_some(home)
    }

    fn local_account(local: LocalPart) -> Self {
        Self {
            local,
            domain: None,
        }
    }

    fn hosted_account(local: LocalPart, domain: &str) -> Self {
        Self {
            local,
            domain: Some(domain.into()),
        }
    }
}

/// As an account database and the log write it; quoted where an address would be.
impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.domain {
            Some(domain) => write!(f, "{}@{domain}", self.local),
            None => write!(f, "{}", self.local),
        }
    }
}

/// The rules by which addresses and logins lead to accounts.
#[derive(Debug, Clone, Copy)]
pub struct Naming<'a> {
    /// `locals`.
    pub locals: &'a DomainList,
    /// `hosteddomains`.
    pub hosted: &'a HostedDomains,
    /// `locallowercase`.
    pub case: LocalPartCase,
}

impl<'a> Naming<'a> {
    /// The rules of a configuration.
    #[must_use]
    pub fn new(settings: &'a Settings) -> Self {
        Self {
            locals: &settings.locals,
            hosted: &settings.hosted_domains,
            case: settings.local_part_case,
        }
    }

    /// The accounts a mailbox may belong to, to be tried in this order; empty if its
    /// domain is neither local nor hosted.
    #[must_use]
    pub fn of_mailbox(&self, mailbox: &Mailbox) -> Vec<AccountName> {
        let local = self.folded(mailbox.local());
        if self.locals.contains(mailbox.domain()) {
            return vec![AccountName::local_account(local)];
        }
        let domains = self.hosted.account_domains(mailbox.domain());
        domains
            .iter()
            .map(|domain| AccountName::hosted_account(local.clone(), domain))
            .collect()
    }

    /// The accounts a login may mean, to be tried in this order: those that an
    /// address of the same text leads to, then the one of exactly this name. Empty
    /// if it has not even the form of an address.
    #[must_use]
    pub fn of_login(&self, login: &Login) -> Vec<AccountName> {
        let Ok(address) = Address::parse(login.as_str().as_bytes()) else {
            return Vec::new();
        };
        let mailbox = match address {
            Address::Local(local) => {
                return vec![AccountName::local_account(self.folded(&local))];
            }
            Address::Mailbox(mailbox) => mailbox,
        };
        let mut names = self.of_mailbox(&mailbox);
        let local = self.folded(mailbox.local());
        let itself = AccountName::hosted_account(local, mailbox.domain().as_str());
        if !names.contains(&itself) {
            names.push(itself);
        }
        names
    }

    fn folded(&self, local: &LocalPart) -> LocalPart {
        let text = local.as_str();
        if self.case == LocalPartCase::Folded || text.eq_ignore_ascii_case("postmaster") {
            // Lower case can be longer; if it no longer fits, the name is its own.
            return LocalPart::from_plain(&text.to_lowercase()).unwrap_or_else(|_| local.clone());
        }
        local.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Lists {
        locals: DomainList,
        hosted: HostedDomains,
    }

    fn lists() -> Lists {
        let mut lists = Lists {
            locals: DomainList::default(),
            hosted: HostedDomains::default(),
        };
        lists.locals.add("mx.example.org", None).expect("local");
        for entry in ["example.com", "example.net\texample.com", ".wild.example"] {
            lists.hosted.add(entry, None).expect("hosted");
        }
        lists
    }

    impl Lists {
        fn naming(&self, case: LocalPartCase) -> Naming<'_> {
            Naming {
                locals: &self.locals,
                hosted: &self.hosted,
                case,
            }
        }
    }

    fn told(names: &[AccountName]) -> String {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        names.join(" ")
    }

    #[test]
    fn addresses_lead_to_accounts() {
        let lists = lists();
        for (address, case, wanted) in [
            ("John@mx.example.org", LocalPartCase::Kept, "John"),
            ("John@mx.example.org", LocalPartCase::Folded, "john"),
            ("john@EXAMPLE.com", LocalPartCase::Kept, "john@example.com"),
            ("john@example.net", LocalPartCase::Kept, "john@example.com"),
            (
                "PostMaster@example.com",
                LocalPartCase::Kept,
                "postmaster@example.com",
            ),
            (
                "a@x.wild.example",
                LocalPartCase::Kept,
                "a@x.wild.example a@.wild.example",
            ),
            ("john@elsewhere.example", LocalPartCase::Kept, ""),
        ] {
            let mailbox = Mailbox::parse(address.as_bytes()).expect("a mailbox");
            assert_eq!(
                told(&lists.naming(case).of_mailbox(&mailbox)),
                wanted,
                "{address}"
            );
        }
    }

    #[test]
    fn the_rules_are_those_of_the_configuration() {
        use crate::config::{self, Places};
        let mut world = crate::testing::MemDisk::new();
        world.plant_file("/r/etc/hosteddomains", b"example.com\n");
        world.plant_file("/r/etc/locallowercase", b"");
        let places = Places::in_root(std::path::Path::new("/r"));
        let task = crate::disk::task(|disk| config::load(disk, &places, "mx.example.org"));
        let (settings, _) = world.run(task);
        for (address, wanted) in [
            ("John@example.com", "john@example.com"),
            ("John@mx.example.org", "john"),
            ("John@example.net", ""),
        ] {
            let mailbox = Mailbox::parse(address.as_bytes()).expect("a mailbox");
            let names = Naming::new(&settings).of_mailbox(&mailbox);
            assert_eq!(told(&names), wanted, "{address}");
        }
    }

    #[test]
    fn logins_lead_to_accounts() {
        let lists = lists();
        for (login, wanted) in [
            ("john", "john"),
            ("john@mx.example.org", "john john@mx.example.org"),
            ("john@example.com", "john@example.com"),
            ("john@example.net", "john@example.com john@example.net"),
            ("john@elsewhere.example", "john@elsewhere.example"),
            ("not an address", ""),
            ("@", ""),
        ] {
            let login = Login::parse(login.as_bytes()).expect("a login");
            let names = lists.naming(LocalPartCase::Kept).of_login(&login);
            assert_eq!(told(&names), wanted, "{login}");
        }
    }

    #[test]
    fn homes_lie_below_the_directory_of_homes() {
        let home = |name: &str| AccountName::parse(name).expect("a name").home();
        assert_eq!(
            home("john@example.com"),
            Some(PathBuf::from("example.com/john"))
        );
        assert_eq!(home("john"), Some(PathBuf::from("john")));
        assert!(AccountName::parse("\"a@.b\"@example.com").is_ok());
        for bad in [
            "a/b@example.com",
            "\"..\"@example.com",
            ".@example.com",
            "a@.wild.example",
            "/etc",
        ] {
            assert_eq!(home(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn names_are_read_back_as_printed(text in "[a-z.]{1,8}(@\\.?[a-z]{1,4}\\.[a-z]{1,4})?|\"[ -~]{1,5}\"@x|\\PC{0,10}") {
            if let Ok(name) = AccountName::parse(&text) {
                prop_assert_eq!(AccountName::parse(&name.to_string()), Ok(name.clone()));
                if let Some(home) = name.home() {
                    prop_assert!(home.is_relative() && !home.iter().any(|part| part == ".."));
                }
            }
        }
    }
}
