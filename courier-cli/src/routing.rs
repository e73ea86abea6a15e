//! Where mail to an address goes, by the configuration of the moment and the accounts.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use courier_core::account::naming::{AccountName, Naming};
use courier_core::account::{Account, Lookup};
use courier_core::address::{AddressError, Domain, ForwardPath, LocalPart, Mailbox};
use courier_core::config::Settings;

use crate::accounts::{Directory, Logins};

/// The configuration that new work goes by.
#[derive(Debug)]
pub struct Configuration(RwLock<Arc<Settings>>);

impl Configuration {
    /// Starts with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(RwLock::new(Arc::new(settings)))
    }

    /// The settings of the moment.
    #[must_use]
    pub fn current(&self) -> Arc<Settings> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on these count.
    pub fn replace(&self, settings: Settings) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }
}

/// Finds out where mail goes.
#[derive(Debug)]
pub struct Routing {
    /// The settings.
    pub configuration: Arc<Configuration>,
    /// The accounts, for threads that may wait.
    pub directory: Arc<dyn Directory>,
    /// The accounts, for sessions.
    pub logins: Logins,
}

/// Where mail to an address goes.
#[derive(Debug, Clone)]
pub enum Destination {
    /// Into the mailbox of an account here.
    Account(Box<Account>),
    /// The domain is ours, and there is no such account.
    Unknown,
    /// To another host.
    Elsewhere,
    /// Nobody can tell now, for this reason.
    Unavailable(String),
}

impl Routing {
    /// The mailbox that a path means to a client: an address without a domain, or with
    /// the address of this host in brackets, is one of `defaultdomain`.
    ///
    /// # Errors
    /// If the completed address is too long.
    pub fn mailbox(&self, path: &ForwardPath, here: IpAddr) -> Result<Mailbox, AddressError> {
        let default = || self.configuration.current().default_domain.value.clone();
        match path {
            ForwardPath::Postmaster => Mailbox::new(LocalPart::parse(b"postmaster")?, default()),
            ForwardPath::Mailbox(mailbox) if is(mailbox.domain(), here) => {
                Mailbox::new(mailbox.local().clone(), default())
            }
            ForwardPath::Mailbox(mailbox) => Ok(mailbox.clone()),
        }
    }

    /// Where mail to an accepted recipient goes; for threads that may wait.
    #[must_use]
    pub fn destination(&self, path: &ForwardPath) -> Destination {
        match path {
            // The sessions complete addresses before they accept them.
            ForwardPath::Postmaster => Destination::Unknown,
            ForwardPath::Mailbox(mailbox) => match self.names(mailbox) {
                Some(names) => destination(self.directory.find_first(&names)),
                None => Destination::Elsewhere,
            },
        }
    }

    /// Where mail to a mailbox goes; for sessions.
    pub async fn find(&self, mailbox: &Mailbox) -> Destination {
        match self.names(mailbox) {
            Some(names) => destination(self.logins.find_first(names).await),
            None => Destination::Elsewhere,
        }
    }

    /// The accounts that a mailbox may belong to, if its domain is ours.
    fn names(&self, mailbox: &Mailbox) -> Option<Vec<AccountName>> {
        let names = Naming::new(&self.configuration.current()).of_mailbox(mailbox);
        (!names.is_empty()).then_some(names)
    }
}

fn destination(lookup: Lookup) -> Destination {
    match lookup {
        Lookup::Found(account) => Destination::Account(account),
        Lookup::Unknown => Destination::Unknown,
        Lookup::Unavailable(reason) => Destination::Unavailable(reason),
    }
}

fn is(domain: &Domain, address: IpAddr) -> bool {
    domain
        .ip()
        .is_some_and(|ip| ip.to_canonical() == address.to_canonical())
}
