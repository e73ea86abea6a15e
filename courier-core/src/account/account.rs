//! What an account is (auth.md section 1), and whom to ask for one.

use std::path::{Path, PathBuf};

use super::naming::AccountName;
use super::options::AccountOptions;
use super::password::StoredPasswords;

/// An account, as an account database knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The name it logs in with, and under which it is kept.
    pub login: AccountName,
    /// Its canonical address, for logs and for what it sends (`ADDRESS`).
    pub address: String,
    /// The holder's name, without what other fields a passwd entry may add.
    pub full_name: Option<String>,
    /// Its home directory; an absolute path.
    pub home: PathBuf,
    /// Its maildir, relative to the home; `None` means `Maildir`.
    pub maildir: Option<PathBuf>,
    /// Its quota as `nnnS,nnnC`, if it has one of its own.
    pub quota: Option<String>,
    /// Its options, without the defaults of the server.
    pub options: AccountOptions,
    /// Who owns its files; `None` means the owner of the mailboxes.
    pub owner: Option<Owner>,
    /// What its password must fit.
    pub passwords: StoredPasswords,
}

/// A user and a group of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner {
    /// User number.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
}

impl Account {
    /// Where its mail is.
    #[must_use]
    pub fn maildir(&self) -> PathBuf {
        let default = Path::new("Maildir");
        self.home.join(self.maildir.as_deref().unwrap_or(default))
    }
}

/// What an account database answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// This is the account.
    Found(Box<Account>),
    /// There is no such account.
    Unknown,
    /// Nobody can tell now, for this reason; never to be taken for "no".
    Unavailable(String),
}

/// An account database.
///
/// Calls may block: hosts ask from threads that may wait.
pub trait Accounts: Send + Sync {
    /// Looks an account up by the name under which it is kept.
    fn find(&self, name: &AccountName) -> Lookup;

    /// The first of several names that is an account, as [`super::naming::Naming`]
    /// lists them. A database that cannot answer ends the search, since the account
    /// might have been there.
    fn find_first(&self, names: &[AccountName]) -> Lookup {
        names
            .iter()
            .map(|name| self.find(name))
            .find(|answer| *answer != Lookup::Unknown)
            .unwrap_or(Lookup::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> AccountName {
        AccountName::parse(text).expect("a name")
    }

    fn account(login: &str) -> Account {
        Account {
            login: name(login),
            address: login.to_owned(),
            full_name: None,
            home: PathBuf::from("/home/john"),
            maildir: None,
            quota: None,
            options: AccountOptions::default(),
            owner: None,
            passwords: StoredPasswords::default(),
        }
    }

    struct Few;

    impl Accounts for Few {
        fn find(&self, name: &AccountName) -> Lookup {
            match name.to_string().as_str() {
                "john" => Lookup::Found(Box::new(account("john"))),
                "down" => Lookup::Unavailable("the database is locked".to_owned()),
                _ => Lookup::Unknown,
            }
        }
    }

    #[test]
    fn a_failure_is_never_taken_for_a_no() {
        let find = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|text| name(text)).collect();
            Few.find_first(&names)
        };
        assert!(
            matches!(find(&["jane", "john"]), Lookup::Found(found) if found.login == name("john"))
        );
        assert_eq!(find(&["jane"]), Lookup::Unknown);
        assert!(matches!(find(&["down", "john"]), Lookup::Unavailable(_)));
        assert_eq!(find(&[]), Lookup::Unknown);
    }

    #[test]
    fn the_maildir_lies_in_the_home() {
        let mut account = account("john");
        assert_eq!(account.maildir(), Path::new("/home/john/Maildir"));
        account.maildir = Some(PathBuf::from("mail"));
        assert_eq!(account.maildir(), Path::new("/home/john/mail"));
    }
}
