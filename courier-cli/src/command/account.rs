//! `courier account`: the accounts of the embedded database.

use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use courier_core::account::Account;
use courier_core::account::login::Login;
use courier_core::account::naming::{AccountName, Naming};
use courier_core::account::password::{Salts, StoredPasswords};
use courier_core::address::Mailbox;
use courier_core::{config, disk};

use super::{print, terminal};
use crate::accounts::{AccountDatabase, AccountsError, HomeError, Record, parse_quota};
use crate::check::system_name;
use crate::disk::StdDisk;
use crate::failure::{Failure, Status};
use crate::layout::Layout;
use crate::random;

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add an account; make its home and maildir
    Add(Add),
    /// List the addresses of all accounts
    List,
    /// Give an account another password
    Passwd(Passwd),
    /// Remove an account; its mail stays where it is
    Remove(Remove),
    /// Show what is known of an account
    Show(Show),
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// user@domain; without a domain, an account of the domains in etc/locals
    address: String,
    /// Take the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
    /// Quota of octets, messages or both: 10000000S,1000C
    #[arg(long, value_name = "SPEC")]
    quota: Option<String>,
    /// Home [default: home/DOMAIN/USER]
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Maildir; a relative one lies in the home [default: Maildir]
    #[arg(long, value_name = "DIR")]
    maildir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Passwd {
    /// The account
    address: String,
    /// Take the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Args)]
pub(super) struct Remove {
    /// The account
    address: String,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The account
    address: String,
}

impl Command {
    pub(super) fn run(self, layout: &Layout) -> Result<ExitCode, Failure> {
        let accounts = AccountDatabase::new(layout);
        match self {
            Self::Add(add) => add.run(layout, &accounts),
            Self::List => list(&accounts),
            Self::Passwd(passwd) => passwd.run(&accounts),
            Self::Remove(remove) => {
                let name = name(&remove.address)?;
                accounts.remove(&name)?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Show(show) => {
                let name = name(&show.address)?;
                let account = accounts.look_up(&name)?;
                let account = account.ok_or_else(|| AccountsError::NoSuchAccount(name))?;
                print(&describe(&account))
            }
        }
    }
}

impl Add {
    fn run(&self, layout: &Layout, accounts: &AccountDatabase) -> Result<ExitCode, Failure> {
        let name = name(&self.address)?;
        let note = unreached(layout, &name)?;
        let usage = |error: &dyn std::fmt::Display| Failure::new(Status::Usage, error.to_string());
        let quota = self.quota.as_deref().map(parse_quota).transpose();
        let quota = quota.map_err(|error| usage(&format!("--quota: {error}")))?;
        let home = self.home.as_deref().map(std::path::absolute).transpose();
        let home = home.map_err(|error| usage(&format!("--home: {error}")))?;
        // Before anybody is asked for a password in vain.
        match accounts.look_up(&name) {
            Ok(Some(_)) => return Err(AccountsError::Exists(name).into()),
            Ok(None) | Err(AccountsError::Missing(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let record = Record {
            home,
            maildir: self.maildir.clone(),
            quota,
            passwords: new_passwords(self.password_stdin)?,
            ..Record::default()
        };
        accounts.make_home(&name, &record)?;
        accounts.create()?;
        accounts.add(&name, &record)?;
        if let Some(note) = note {
            writeln!(io::stderr(), "courier: note: {note}").ok();
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Passwd {
    fn run(&self, accounts: &AccountDatabase) -> Result<ExitCode, Failure> {
        let name = name(&self.address)?;
        if accounts.look_up(&name)?.is_none() {
            return Err(AccountsError::NoSuchAccount(name).into());
        }
        let passwords = new_passwords(self.password_stdin)?;
        accounts.set_passwords(&name, &passwords)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Says if no mail would come to an account of this name, as the configuration is.
/// One to which not even a login leads is refused.
fn unreached(layout: &Layout, name: &AccountName) -> Result<Option<String>, Failure> {
    let text = name.to_string();
    let Ok(login) = Login::parse(text.as_bytes()) else {
        return Ok(None);
    };
    let host = system_name();
    let load = disk::task(|disk| config::load(disk, &layout.places, &host));
    let (settings, _) = StdDisk::new(1).run(load);
    let naming = Naming::new(&settings);
    let logins = naming.of_login(&login);
    if let (Some(other), false) = (logins.first(), logins.contains(name)) {
        let text = format!("mail and logins for {name} lead to the account {other}: add that");
        return Err(Failure::new(Status::Usage, text));
    }
    let Ok(mailbox) = Mailbox::parse(text.as_bytes()) else {
        return Ok(None);
    };
    let places = naming.of_mailbox(&mailbox);
    Ok(match places.first() {
        None => Some(format!(
            "no mail comes for {name} until its domain is hosted here: courier init --domain {}",
            mailbox.domain()
        )),
        Some(_) if places.contains(name) => None,
        Some(other) => Some(format!(
            "mail for {name} goes to the account {other}: see etc/locals and etc/hosteddomains"
        )),
    })
}

fn list(accounts: &AccountDatabase) -> Result<ExitCode, Failure> {
    let mut status = Ok(ExitCode::SUCCESS);
    let listed = accounts.for_each(|account| {
        status = print(&format!("{}\n", account.address));
        match status {
            Ok(_) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    listed.map_err(Failure::from).and(status)
}

/// One `field=value` a line; of a password only the kinds in which it is stored.
fn describe(account: &Account) -> String {
    let path = |path: &Path| path.display().to_string();
    let forms = account.passwords.forms().iter();
    let kinds: Vec<_> = forms.map(|form| kind(form.expose())).collect();
    let fields = [
        ("address", account.address.clone()),
        ("home", path(&account.home)),
        ("maildir", path(&account.maildir())),
        ("quota", account.quota.clone().unwrap_or_default()),
        ("options", account.options.to_string()),
        ("password", kinds.join(",")),
    ];
    let lines = fields.iter().filter(|(_, value)| !value.is_empty());
    lines
        .map(|(field, value)| format!("{field}={value}\n"))
        .collect()
}

/// The scheme of a stored password: what stands in braces or between dollar signs.
fn kind(stored: &[u8]) -> String {
    let scheme = match stored {
        [b'{', rest @ ..] => rest.split(|&octet| octet == b'}').next(),
        [b'$', rest @ ..] => rest.split(|&octet| octet == b'$').next(),
        _ => None,
    };
    String::from_utf8_lossy(scheme.unwrap_or(b"locked")).to_lowercase()
}

pub(super) fn name(address: &str) -> Result<AccountName, Failure> {
    AccountName::parse(address)
        .map_err(|error| Failure::new(Status::Usage, format!("{address}: {error}")))
}

fn new_passwords(from_stdin: bool) -> Result<StoredPasswords, Failure> {
    let password = match from_stdin {
        true => terminal::password_from_stdin()?,
        false => terminal::password_from_terminal()?,
    };
    let salts = Salts {
        argon2id: random::array(),
        scram: random::array(),
    };
    StoredPasswords::new(&password, salts).map_err(|error| Failure::of(Status::Data, &error))
}

impl From<AccountsError> for Failure {
    fn from(error: AccountsError) -> Self {
        let status = match &error {
            AccountsError::Missing(_) | AccountsError::Exposed(_) => Status::Configuration,
            AccountsError::Locked(_) => Status::TryLater,
            AccountsError::Io { source, .. } => Status::of(source),
            AccountsError::Damaged { .. } | AccountsError::Record { .. } => Status::Data,
            AccountsError::Storage(_) => Status::Io,
            AccountsError::Exists(_) => Status::CannotCreate,
            AccountsError::NoSuchAccount(_) => Status::NoUser,
        };
        Self::of(status, &error)
    }
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        let status = match &error {
            HomeError::NoHomes(_) => Status::Configuration,
            HomeError::Name(_) | HomeError::Path(_) => Status::Usage,
            HomeError::InTheWay(_) => Status::CannotCreate,
            HomeError::Io { source, .. } => Status::of(source),
        };
        Self::of(status, &error)
    }
}
