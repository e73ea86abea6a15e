//! The names of accounts: `user@domain`, or `user` for the domains in `locals`.

use std::fmt;
use std::path::PathBuf;

use courier_core::account::login::Login;
use courier_core::address::{Address, AddressError, Domain, LocalPart};

/// The name of an account, fit to be part of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName {
    text: String,
    local: String,
    domain: Option<Domain>,
}

/// Why an address cannot name an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// `user@[192.0.2.1]`
    #[error("an account has a domain name or none, not an address in brackets")]
    Literal,
    /// A local part that cannot be a directory.
    #[error(
        "the part before the @ must not begin with a dot or hold a slash, for it names a directory"
    )]
    Path,
    /// A local part in which an `@` would make the name mean two things.
    #[error("the part before the @ must not hold another @")]
    At,
}

impl AccountName {
    /// Parses what an administrator or a configuration file calls an account.
    ///
    /// # Errors
    /// If it is no address, or one that no account can have.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match Address::parse(text.as_bytes())? {
            Address::Mailbox(mailbox) => {
                let (local, domain) = mailbox.into_parts();
                Self::new(&local, Some(domain))
            }
            Address::Local(local) => Self::new(&local, None),
        }
    }

    /// The account of this local part, in a hosted domain or in none.
    ///
    /// # Errors
    /// If no account can have that name.
    pub fn new(local: &LocalPart, domain: Option<Domain>) -> Result<Self, NameError> {
        local.check_length()?;
        let local = local.as_str();
        if local.starts_with('.') || local.contains('/') {
            return Err(NameError::Path);
        }
        if local.contains('@') {
            return Err(NameError::At);
        }
        if domain.as_ref().is_some_and(|domain| !is_directory(domain)) {
            return Err(NameError::Literal);
        }
        let text = match &domain {
            Some(domain) => format!("{local}@{domain}", domain = domain.as_str()),
            None => local.to_owned(),
        };
        Ok(Self {
            text,
            local: local.to_owned(),
            domain,
        })
    }

    /// The account that a client names at login, read literally: rules such as
    /// `DEFDOMAIN` come before this.
    ///
    /// # Errors
    /// If no account can have that name: it is unknown.
    pub fn from_login(login: &Login) -> Result<Self, NameError> {
        let text = login.as_str();
        match text.rsplit_once('@') {
            Some((local, domain)) => {
                Self::new(&LocalPart::from_plain(local)?, Some(Domain::parse(domain)?))
            }
            None => Self::new(&LocalPart::from_plain(text)?, None),
        }
    }

    /// As the account database has it: the domain in UTF-8 and lower case, no quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@`.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain, unless it is an account of the domains in `locals`.
    #[must_use]
    pub fn domain(&self) -> Option<&Domain> {
        self.domain.as_ref()
    }

    /// Where its home is unless it was given another, below `home/`.
    #[must_use]
    pub fn default_home(&self) -> PathBuf {
        let domain = self.domain.as_ref().map(Domain::as_str);
        domain.into_iter().chain([self.local()]).collect()
    }
}

/// Whether a domain can be the name of a directory: every name can, no literal.
fn is_directory(domain: &Domain) -> bool {
    let name = domain.as_str();
    !domain.is_literal() && !name.is_empty() && !name.starts_with('.') && !name.contains('/')
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Component, Path};

    fn parse(text: &str) -> Result<AccountName, NameError> {
        AccountName::parse(text)
    }

    #[test]
    fn an_account_has_a_domain_or_none() {
        let hosted = parse("Ann@EXAMPLE.com.").unwrap();
        assert_eq!(hosted.as_str(), "Ann@example.com");
        assert_eq!(hosted.default_home(), Path::new("example.com/Ann"));
        let local = parse("ann").unwrap();
        assert_eq!((local.as_str(), local.domain()), ("ann", None));
        assert_eq!(local.default_home(), Path::new("ann"));
        let quoted = parse("\"ann b\"@xn--mnchen-3ya.example").unwrap();
        assert_eq!(quoted.as_str(), "ann b@m\u{fc}nchen.example");
    }

    #[test]
    fn names_that_leave_their_directory_are_refused() {
        for text in [
            "../x",
            "..",
            ".",
            ".hidden",
            "a/b@example.com",
            "\"../x\"@example.com",
        ] {
            assert_eq!(parse(text), Err(NameError::Path), "{text}");
        }
        assert_eq!(parse("a@[192.0.2.1]"), Err(NameError::Literal));
        assert_eq!(parse("\"a@b\"@example.com"), Err(NameError::At));
        for text in ["", "@example.com", "a@", "a b", "a@b@c", "a\0b", "a@../x"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_login_is_read_as_it_is_typed() {
        let login = |text: &str| AccountName::from_login(&Login::parse(text.as_bytes()).unwrap());
        assert_eq!(login("ann@Example.COM"), parse("ann@example.com"));
        assert_eq!(login("ann"), parse("ann"));
        assert_eq!(login("ann b@example.com"), parse("\"ann b\"@example.com"));
        assert!(login("../../etc/passwd").is_err());
    }

    proptest! {
        #[test]
        fn no_home_is_anywhere_but_below(text in "[.a@/\"\\\\ é\\[\\]]{0,12}") {
            let login = Login::parse(text.as_bytes()).ok();
            let named = login.and_then(|login| AccountName::from_login(&login).ok());
            for name in parse(&text).ok().into_iter().chain(named) {
                let home = name.default_home();
                let parts = 1 + usize::from(name.domain().is_some());
                prop_assert!(home.components().all(|part| matches!(part, Component::Normal(_))));
                prop_assert_eq!(home.components().count(), parts);
            }
        }
    }
}
