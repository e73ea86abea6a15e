//! Logins: who proves to be which account.
//!
//! Comparing a password is dear on purpose (19 MiB and tens of milliseconds), so it
//! happens on a few threads of its own, and only so many may wait for one: whoever
//! comes then gets a temporary failure, and nobody can make the server sweat. A
//! login that is not there costs as much as one that is.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use courier_core::account::login::Login;
use courier_core::account::naming::AccountName;
use courier_core::account::password::{Verification, verify_nobody};
use courier_core::account::sasl::{Exchange, Keys, Material, Mechanism, Output, Verdict, Verified};
use courier_core::account::secret::Secret;
use courier_core::account::{Account, Accounts, Lookup};
use tokio::sync::Semaphore;

use super::proven::Proven;
use crate::disk::Disks;
use crate::pool::Pool;
use crate::random;

/// An account database that may know some answers by heart.
pub trait Directory: Accounts + fmt::Debug {
    /// What [`Accounts::find`] would say, if that can be told without waiting.
    fn recall(&self, _name: &AccountName) -> Option<Lookup> {
        None
    }
}

/// The answer to a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is this account.
    Accepted(Box<Account>),
    /// Unknown or wrong: to the client these are one.
    Refused,
    /// The database does not answer, or too many wait: try again later.
    Unavailable,
}

/// Checks logins against an account database. A clone is the same.
#[derive(Debug, Clone)]
pub struct Logins {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    directory: Arc<dyn Directory>,
    disks: Disks,
    hashing: Pool,
    places: Arc<Semaphore>,
    server_key: Secret,
    proven: Proven,
}

impl Logins {
    /// Logins to these accounts, which are looked up by way of `disks`. Passwords are
    /// compared on so many threads. From `server_key`, which stays the same over
    /// restarts, follow the salts that SCRAM shows for logins that are not there.
    #[must_use]
    pub fn new(
        directory: Arc<dyn Directory>,
        server_key: Secret,
        disks: Disks,
        threads: usize,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                directory,
                disks,
                hashing: Pool::new("hashing", threads),
                places: Arc::new(Semaphore::new(threads + WAITING)),
                server_key,
                proven: Proven::new(),
            }),
        }
    }

    /// The first of these names that is an account; see [`Accounts::find_first`].
    pub async fn find_first(&self, names: Vec<AccountName>) -> Lookup {
        let directory = &self.inner.directory;
        let mut unknown = 0;
        for name in &names {
            match directory.recall(name) {
                Some(Lookup::Unknown) => unknown += 1,
                Some(answer) => return answer,
                None => break,
            }
        }
        if unknown == names.len() {
            return Lookup::Unknown;
        }
        let directory = Arc::clone(directory);
        let find = move || directory.find_first(names.get(unknown..).unwrap_or_default());
        self.inner.disks.call(find).await
    }

    /// Whether this is the password of the first of these names that is an account.
    /// A login that means no account costs as much as one that does.
    pub async fn check(&self, names: Vec<AccountName>, password: Secret) -> Answer {
        let Ok(account) = self.known(names).await else {
            return Answer::Unavailable;
        };
        let account = match account {
            Some(account)
                if self
                    .inner
                    .proven
                    .recall(&account, &password, Instant::now()) =>
            {
                return Answer::Accepted(account);
            }
            account => account,
        };
        let Ok(place) = Arc::clone(&self.inner.places).try_acquire_owned() else {
            tracing::warn!("TOO MANY LOGINS");
            return Answer::Unavailable;
        };
        let inner = Arc::clone(&self.inner);
        let comparing = self.inner.hashing.call(move || {
            let _place = place;
            let Some(account) = account else {
                return (verify_nobody(&password), None);
            };
            let verification = account.passwords.verify(&password);
            if verification == Verification::Match {
                inner.proven.remember(&account, &password, Instant::now());
            }
            (verification, Some(account))
        });
        match comparing.await {
            (Verification::Match, Some(account)) => Answer::Accepted(account),
            (Verification::Unsupported, Some(account)) => {
                tracing::warn!(account = account.address, "PASSWORD OF UNKNOWN KIND");
                Answer::Refused
            }
            _ => Answer::Refused,
        }
    }

    /// The account of these names; why that cannot be told was logged.
    async fn known(&self, names: Vec<AccountName>) -> Result<Option<Box<Account>>, ()> {
        match self.find_first(names).await {
            Lookup::Found(account) => Ok(Some(account)),
            Lookup::Unknown => Ok(None),
            Lookup::Unavailable(reason) => {
                tracing::error!(reason, "ACCOUNT DATABASE");
                Err(())
            }
        }
    }
}

/// What a service makes of logins.
pub trait LoginRules: Send + Sync {
    /// Which accounts a login may mean, the first that is there:
    /// [`courier_core::account::naming::Naming::of_login`].
    fn accounts(&self, login: &Login) -> Vec<AccountName>;

    /// Whether an account may log in here: `disableimap` and its like.
    fn admits(&self, account: &Account) -> bool;
}

/// One SASL exchange with a client, as a service leads it.
pub struct Conversation {
    logins: Logins,
    rules: Arc<dyn LoginRules>,
    mechanism: Mechanism,
    exchange: Option<Exchange>,
    login: Option<Login>,
    /// Whose password or keys were looked up.
    claimed: Option<Box<Account>>,
    account: Option<Box<Account>>,
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation")
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}

impl Conversation {
    /// An exchange by this mechanism.
    #[must_use]
    pub fn new(logins: Logins, rules: Arc<dyn LoginRules>, mechanism: Mechanism) -> Self {
        Self {
            logins,
            rules,
            mechanism,
            exchange: None,
            login: None,
            claimed: None,
            account: None,
        }
    }

    /// Starts, with the client's initial response, out of base64, if it sent one.
    pub async fn begin(&mut self, initial: Option<Secret>) -> Verdict {
        let material = Material {
            nonce: random::array(),
            server_key: self.logins.inner.server_key.clone(),
        };
        let mut exchange = Exchange::new(self.mechanism, material);
        let output = exchange.begin(initial);
        self.lead(exchange, output).await
    }

    /// Takes the client's next response, out of base64.
    pub async fn respond(&mut self, response: Secret) -> Verdict {
        let Some(mut exchange) = self.exchange.take() else {
            return Verdict::Malformed;
        };
        let output = exchange.respond(response);
        self.lead(exchange, output).await
    }

    /// Who the client says it is, as far as it has said so.
    #[must_use]
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// Who the client is, once it was accepted.
    #[must_use]
    pub fn account(&self) -> Option<&Account> {
        self.account.as_deref()
    }

    /// Answers the exchange's questions until it has something to say.
    async fn lead(&mut self, mut exchange: Exchange, mut output: Output) -> Verdict {
        let verdict = loop {
            output = match output {
                Output::Say(verdict) => break verdict,
                Output::Verify {
                    token,
                    login,
                    password,
                } => {
                    let answer = self.verify(&login, password).await;
                    exchange.verified(token, answer)
                }
                Output::FindKeys { token, login } => {
                    let answer = self.find_keys(&login).await;
                    exchange.keys(token, answer)
                }
            };
        };
        match &verdict {
            Verdict::Challenge(_) => self.exchange = Some(exchange),
            Verdict::Accepted => self.account = self.claimed.take(),
            _ => {}
        }
        verdict
    }

    async fn verify(&mut self, login: &Login, password: Secret) -> Verified {
        self.login = Some(login.clone());
        let names = self.rules.accounts(login);
        match self.logins.check(names, password).await {
            Answer::Accepted(account) if self.rules.admits(&account) => {
                self.claimed = Some(account);
                Verified::Yes
            }
            Answer::Accepted(_) | Answer::Refused => Verified::No,
            Answer::Unavailable => Verified::Unavailable,
        }
    }

    async fn find_keys(&mut self, login: &Login) -> Keys {
        self.login = Some(login.clone());
        let names = self.rules.accounts(login);
        // All spellings of a login that mean one account are shown one salt.
        let shown = names
            .first()
            .map_or_else(|| login.to_string(), ToString::to_string);
        let Ok(found) = self.logins.known(names).await else {
            return Keys::Unavailable;
        };
        let Some(account) = found.filter(|account| self.rules.admits(account)) else {
            return Keys::None { name: shown };
        };
        let inner = Arc::clone(&self.logins.inner);
        let Ok(place) = Arc::clone(&inner.places).try_acquire_owned() else {
            return Keys::Unavailable;
        };
        // Keys that must be derived from a clear password first cost as much as a hash.
        let deriving = self.logins.inner.hashing.call(move || {
            let _place = place;
            let keys = account.passwords.scram_keys(&inner.server_key, &shown);
            (keys, account, shown)
        });
        match deriving.await {
            (Some(keys), account, _) => {
                self.claimed = Some(account);
                Keys::Found(keys)
            }
            (None, _, name) => Keys::None { name },
        }
    }
}

/// Logins that may wait for a thread.
const WAITING: usize = 64;
