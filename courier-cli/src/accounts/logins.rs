//! Logins: who proves to be which account.
//!
//! Comparing a password is dear on purpose (19 MiB and tens of milliseconds), so it
//! happens on a few threads of its own, and only so many may wait for one: whoever
//! comes then gets a temporary failure, and nobody can make the server sweat. A
//! login that is not there costs as much as one that is.

use std::fmt;
use std::sync::{Arc, OnceLock};

use courier_core::account::login::Login;
use courier_core::account::password::{Verification, verify_nobody};
use courier_core::account::sasl::{Exchange, Keys, Material, Mechanism, Output, Verdict, Verified};
use courier_core::account::secret::Secret;
use tokio::sync::Semaphore;

use super::{Account, AccountName, Accounts, AccountsError};
use crate::disk::Disks;
use crate::pool::Pool;
use crate::random;

/// The answer to a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is this account.
    Accepted(Arc<Account>),
    /// Unknown or wrong: to the client these are one.
    Refused,
    /// The database does not answer, or too many wait: try again later.
    Unavailable,
}

/// Checks logins against the account database. A clone is the same.
#[derive(Debug, Clone)]
pub struct Logins {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    accounts: Accounts,
    disks: Disks,
    hashing: Pool,
    places: Arc<Semaphore>,
    server_key: OnceLock<Secret>,
}

impl Logins {
    /// Logins to these accounts, which are looked up by way of `disks`. Passwords are
    /// compared on so many threads.
    #[must_use]
    pub fn new(accounts: Accounts, disks: Disks, threads: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                accounts,
                disks,
                hashing: Pool::new("hashing", threads),
                places: Arc::new(Semaphore::new(threads + WAITING)),
                server_key: OnceLock::new(),
            }),
        }
    }

    /// The accounts.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.inner.accounts
    }

    /// Looks an account up.
    ///
    /// # Errors
    /// If the database does not answer: the peer gets a temporary failure.
    pub async fn find(&self, name: &AccountName) -> Result<Option<Arc<Account>>, AccountsError> {
        if let Some(known) = self.inner.accounts.recall(name) {
            return Ok(known);
        }
        let (inner, name) = (Arc::clone(&self.inner), name.clone());
        let find = self.inner.disks.call(move || inner.accounts.find(&name));
        find.await
    }

    /// Whether this is the password of the account of this name; `None` stands for a
    /// login that can be no account's, and costs as much.
    pub async fn check(&self, name: Option<AccountName>, password: Secret) -> Answer {
        let Ok(place) = Arc::clone(&self.inner.places).try_acquire_owned() else {
            tracing::warn!("TOO MANY LOGINS");
            return Answer::Unavailable;
        };
        let Ok(account) = self.known(name.as_ref()).await else {
            return Answer::Unavailable;
        };
        let comparing = self.inner.hashing.call(move || {
            let _place = place;
            let verification = match &account {
                Some(account) => account.passwords().verify(&password),
                None => verify_nobody(&password),
            };
            (verification, account)
        });
        match comparing.await {
            (Verification::Match, Some(account)) => Answer::Accepted(account),
            (Verification::Unsupported, Some(account)) => {
                tracing::warn!(account = account.name.as_str(), "PASSWORD OF UNKNOWN KIND");
                Answer::Refused
            }
            _ => Answer::Refused,
        }
    }

    /// The account of this name; an error was logged.
    async fn known(&self, name: Option<&AccountName>) -> Result<Option<Arc<Account>>, ()> {
        let Some(name) = name else {
            return Ok(None);
        };
        self.find(name).await.map_err(|error| log(&error))
    }

    async fn server_key(&self) -> Result<Secret, ()> {
        if let Some(key) = self.inner.server_key.get() {
            return Ok(key.clone());
        }
        let inner = Arc::clone(&self.inner);
        let reading = self.inner.disks.call(move || inner.accounts.server_key());
        let key = reading.await.map_err(|error| log(&error))?;
        Ok(self.inner.server_key.get_or_init(|| key).clone())
    }
}

fn log(error: &AccountsError) {
    tracing::error!(error = crate::failure::chain(error), "ACCOUNT DATABASE");
}

/// What a service makes of logins.
pub trait LoginRules: Send + Sync {
    /// Which account a login means: `DEFDOMAIN` and its like.
    fn account(&self, login: &Login) -> Option<AccountName>;

    /// Whether an account may log in here: `disableimap` and its like.
    fn admits(&self, account: &Account) -> bool;
}

/// One SASL exchange with a client, as a service leads it.
pub struct Conversation {
    logins: Logins,
    rules: Arc<dyn LoginRules>,
    mechanism: Mechanism,
    exchange: Option<Exchange>,
    /// Whose password or keys were looked up.
    claimed: Option<Arc<Account>>,
    account: Option<Arc<Account>>,
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
            claimed: None,
            account: None,
        }
    }

    /// Starts, with the client's initial response, out of base64, if it sent one.
    pub async fn begin(&mut self, initial: Option<Secret>) -> Verdict {
        let Ok(server_key) = self.logins.server_key().await else {
            return Verdict::Unavailable;
        };
        let nonce = random::array();
        let mut exchange = Exchange::new(self.mechanism, Material { nonce, server_key });
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

    /// Who the client is, once it was accepted.
    #[must_use]
    pub fn account(&self) -> Option<&Arc<Account>> {
        self.account.as_ref()
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
        let name = self.rules.account(login);
        match self.logins.check(name, password).await {
            Answer::Accepted(account) if self.rules.admits(&account) => {
                self.claimed = Some(account);
                Verified::Yes
            }
            Answer::Accepted(_) | Answer::Refused => Verified::No,
            Answer::Unavailable => Verified::Unavailable,
        }
    }

    async fn find_keys(&mut self, login: &Login) -> Keys {
        let name = self.rules.account(login);
        // All spellings of a login that mean one account are shown one salt.
        let shown = name
            .as_ref()
            .map_or(login.as_str(), AccountName::as_str)
            .to_owned();
        let (Ok(found), Ok(server_key)) = (
            self.logins.known(name.as_ref()).await,
            self.logins.server_key().await,
        ) else {
            return Keys::Unavailable;
        };
        let Some(account) = found.filter(|account| self.rules.admits(account)) else {
            return Keys::None { name: shown };
        };
        let Ok(place) = Arc::clone(&self.logins.inner.places).try_acquire_owned() else {
            return Keys::Unavailable;
        };
        // Keys that must be derived from a clear password first cost as much as a hash.
        let (owner, salt_of) = (Arc::clone(&account), shown.clone());
        let deriving = self.logins.inner.hashing.call(move || {
            let _place = place;
            owner.passwords().scram_keys(&server_key, &salt_of)
        });
        match deriving.await {
            Some(keys) => {
                self.claimed = Some(account);
                Keys::Found(keys)
            }
            None => Keys::None { name: shown },
        }
    }
}

/// Logins that may wait for a thread.
const WAITING: usize = 64;
