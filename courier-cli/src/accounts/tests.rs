//! The database among several processes, and logins.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use courier_core::account::login::Login;
use courier_core::account::options::{AccountOptions, Flag};
use courier_core::account::password::{Salts, StoredPasswords};
use courier_core::account::sasl::{Mechanism, Verdict};
use courier_core::account::secret::Secret;

use super::*;
use crate::disk::{Disks, StdDisk};

struct Place {
    _folder: tempfile::TempDir,
    layout: Layout,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::in_root(folder.path());
        fs::create_dir(layout.var()).unwrap();
        fs::create_dir(&layout.home).unwrap();
        Self {
            _folder: folder,
            layout,
        }
    }

    /// The accounts, as one more process would see them.
    fn accounts(&self) -> AccountDatabase {
        AccountDatabase::new(&self.layout)
    }
}

fn name(text: &str) -> AccountName {
    AccountName::parse(text).unwrap()
}

/// A record whose password costs next to nothing to check.
fn record(password: &str) -> Record {
    Record {
        passwords: StoredPasswords::from_stored([Secret::new(format!("{{PLAIN}}{password}"))]),
        ..Record::default()
    }
}

fn names(accounts: &AccountDatabase) -> Vec<String> {
    let mut names = Vec::new();
    let listed = accounts.for_each(|account| {
        names.push(account.address);
        ControlFlow::Continue(())
    });
    listed.unwrap();
    names
}

#[test]
fn an_account_is_added_found_changed_and_removed() {
    let place = Place::new();
    let accounts = place.accounts();
    accounts.create().unwrap();
    accounts.create().unwrap();
    let ann = name("ann@example.com");
    assert_eq!(accounts.look_up(&ann).unwrap(), None);
    let first = Record {
        quota: Some("1000S".to_owned()),
        ..record("a")
    };
    accounts.add(&ann, &first).unwrap();
    accounts.add(&name("bob"), &record("b")).unwrap();
    let found = accounts.look_up(&ann).unwrap().unwrap();
    assert_eq!(found.home, place.layout.home.join("example.com/ann"));
    assert_eq!(found.maildir(), found.home.join("Maildir"));
    assert_eq!(found.quota.as_deref(), Some("1000S"));
    assert_eq!(names(&accounts), ["ann@example.com", "bob"]);
    let again = accounts.add(&ann, &record("x"));
    assert!(matches!(again, Err(AccountsError::Exists(_))));
    accounts
        .set_passwords(&ann, &record("new").passwords)
        .unwrap();
    let changed = accounts.look_up(&ann).unwrap().unwrap();
    assert_eq!(
        (&changed.quota, &changed.passwords),
        (&found.quota, &record("new").passwords)
    );
    accounts.remove(&ann).unwrap();
    assert_eq!(accounts.look_up(&ann).unwrap(), None);
    let gone = accounts.remove(&ann);
    assert!(matches!(gone, Err(AccountsError::NoSuchAccount(_))));
    let gone = accounts.set_passwords(&ann, &StoredPasswords::default());
    assert!(matches!(gone, Err(AccountsError::NoSuchAccount(_))));
}

#[test]
fn home_and_maildir_may_be_elsewhere() {
    let place = Place::new();
    let accounts = place.accounts();
    let ann = name("ann");
    let at = |home: Option<&str>, maildir: Option<&str>| {
        let record = Record {
            home: home.map(PathBuf::from),
            maildir: maildir.map(PathBuf::from),
            ..Record::default()
        };
        let (home, maildir) = accounts.places(&ann, &record).unwrap();
        (home.display().to_string(), maildir.display().to_string())
    };
    let pair = |home: &str, maildir: &str| (home.to_owned(), maildir.to_owned());
    assert_eq!(
        at(Some("/srv/ann"), None),
        pair("/srv/ann", "/srv/ann/Maildir")
    );
    assert_eq!(
        at(Some("/srv/ann"), Some("mail")),
        pair("/srv/ann", "/srv/ann/mail")
    );
    assert_eq!(
        at(Some("/srv/ann"), Some("/m/ann")),
        pair("/srv/ann", "/m/ann")
    );
}

#[test]
fn what_another_process_changes_is_seen_at_once() {
    let place = Place::new();
    let (server, program) = (place.accounts(), place.accounts());
    program.create().unwrap();
    let ann = name("ann");
    for round in 0..50 {
        let password = record(&round.to_string());
        program.add(&ann, &password).unwrap();
        let found = server.look_up(&ann).unwrap().unwrap();
        assert_eq!(&found.passwords, &password.passwords);
        program.remove(&ann).unwrap();
        assert_eq!(server.look_up(&ann).unwrap(), None);
    }
}

#[test]
fn a_settled_database_is_not_read_twice() {
    let place = Place::new();
    let accounts = place.accounts();
    accounts.create().unwrap();
    let (ann, bob) = (name("ann"), name("bob"));
    accounts.add(&ann, &record("a")).unwrap();
    accounts.look_up(&ann).unwrap();
    assert_eq!(accounts.recall(&ann), None, "it has just changed");
    let later = SystemTime::now() + Duration::from_secs(3);
    let found = accounts.look_up_at(&ann, later).unwrap();
    assert!(found.is_some());
    assert_eq!(accounts.look_up_at(&bob, later).unwrap(), None);
    assert_eq!(accounts.recall(&ann), Some(super::found(found)));
    assert_eq!(accounts.recall(&bob), Some(Lookup::Unknown));
    place.accounts().add(&bob, &record("b")).unwrap();
    assert_eq!(accounts.recall(&ann), None);
    assert!(accounts.look_up(&bob).unwrap().is_some());
}

#[test]
fn a_database_that_others_can_read_grants_nothing() {
    let place = Place::new();
    let accounts = place.accounts();
    assert!(matches!(
        accounts.look_up(&name("ann")),
        Err(AccountsError::Missing(_))
    ));
    accounts.create().unwrap();
    let mode = fs::metadata(accounts.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::set_permissions(accounts.path(), fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        accounts.look_up(&name("ann")),
        Err(AccountsError::Exposed(_))
    ));
}

#[test]
fn a_damaged_database_is_an_error_and_no_panic() {
    let place = Place::new();
    let accounts = place.accounts();
    accounts.create().unwrap();
    for number in 0..200 {
        let user = name(&format!("user{number}"));
        accounts.add(&user, &record("x")).unwrap();
    }
    let whole = fs::read(accounts.path()).unwrap();
    for no_database in [&b""[..], b"something else entirely", &[0; 10_000]] {
        fs::write(accounts.path(), no_database).unwrap();
        let error = place.accounts().look_up(&name("user7")).unwrap_err();
        assert!(matches!(error, AccountsError::Damaged { .. }), "{error:?}");
    }
    for (number, at) in (0..whole.len()).step_by(whole.len() / 40).enumerate() {
        let mut broken = whole.clone();
        match number % 3 {
            0 => broken[at..].fill(0),
            1 => broken.truncate(at),
            _ => broken
                .iter_mut()
                .skip(at)
                .step_by(7)
                .for_each(|octet| *octet ^= 0x55),
        }
        fs::write(accounts.path(), &broken).unwrap();
        // Right or an error; never another's password, never a panic.
        if let Ok(Some(found)) = place.accounts().look_up(&name("user7")) {
            assert_eq!(found.login, name("user7"));
        }
    }
}

/// Logins by full names only; `disableimap` shuts out.
struct Rules;

impl LoginRules for Rules {
    fn accounts(&self, login: &Login) -> Vec<AccountName> {
        AccountName::parse(login.as_str()).into_iter().collect()
    }

    fn admits(&self, account: &Account) -> bool {
        !account.options.is_on(Flag::DisableImap)
    }
}

fn logins(place: &Place) -> Logins {
    let accounts = place.accounts();
    accounts.create().unwrap();
    let salts = Salts {
        argon2id: [1; 16],
        scram: [2; 16],
    };
    let ann = Record {
        passwords: StoredPasswords::new(&Secret::new("sesame"), salts).unwrap(),
        ..Record::default()
    };
    accounts.add(&name("ann@example.com"), &ann).unwrap();
    let shut_out = Record {
        options: AccountOptions::parse("disableimap=1"),
        ..record("sesame")
    };
    accounts.add(&name("bob@example.com"), &shut_out).unwrap();
    let key = accounts.server_key().unwrap();
    Logins::new(Arc::new(accounts), key, Disks::new(StdDisk::new(1)), 2)
}

#[tokio::test]
async fn a_password_opens_its_account_and_no_other() {
    let place = Place::new();
    let logins = logins(&place);
    let check = |user: &str, password: &str| logins.check(vec![name(user)], Secret::from(password));
    let Answer::Accepted(account) = check("ann@example.com", "sesame").await else {
        panic!("refused")
    };
    assert_eq!(account.login, name("ann@example.com"));
    assert_eq!(check("ann@example.com", "simsim").await, Answer::Refused);
    let again = check("ann@example.com", "sesame").await;
    assert!(matches!(again, Answer::Accepted(_)), "remembered");
    let changed = record("new").passwords;
    let ann = name("ann@example.com");
    place.accounts().set_passwords(&ann, &changed).unwrap();
    assert_eq!(check("ann@example.com", "sesame").await, Answer::Refused);
    assert_eq!(check("nobody@example.com", "sesame").await, Answer::Refused);
    assert_eq!(
        logins.check(Vec::new(), Secret::from("sesame")).await,
        Answer::Refused
    );
    fs::remove_file(place.accounts().path()).unwrap();
    assert_eq!(
        check("ann@example.com", "sesame").await,
        Answer::Unavailable
    );
}

#[tokio::test]
async fn too_many_logins_at_once_are_put_off_and_none_is_forgotten() {
    let place = Place::new();
    let logins = logins(&place);
    let attempts: Vec<_> = (0..150)
        .map(|_| {
            let logins = logins.clone();
            let ann = name("ann@example.com");
            tokio::spawn(async move { logins.check(vec![ann], Secret::from("wrong")).await })
        })
        .collect();
    let mut put_off = 0;
    for attempt in attempts {
        match attempt.await.unwrap() {
            Answer::Refused => {}
            Answer::Unavailable => put_off += 1,
            Answer::Accepted(_) => panic!("accepted"),
        }
    }
    assert!(put_off > 0);
    let ann = name("ann@example.com");
    let later = logins.check(vec![ann], Secret::from("sesame")).await;
    assert!(matches!(later, Answer::Accepted(_)));
}

#[tokio::test]
async fn sasl_is_led_to_its_verdict() {
    let place = Place::new();
    let logins = logins(&place);
    let start = || Conversation::new(logins.clone(), Arc::new(Rules), Mechanism::Plain);
    let plain = |user: &str, password: &str| Some(Secret::new(format!("\0{user}\0{password}")));
    let mut right = start();
    let verdict = right.begin(plain("ann@example.com", "sesame")).await;
    assert_eq!(verdict, Verdict::Accepted);
    assert_eq!(right.account().unwrap().login, name("ann@example.com"));
    for (user, password) in [
        ("ann@example.com", "x"),
        ("nobody@example.com", "sesame"),
        ("bob@example.com", "sesame"),
        ("../bob", "sesame"),
    ] {
        let mut wrong = start();
        assert_eq!(
            wrong.begin(plain(user, password)).await,
            Verdict::Refused,
            "{user}"
        );
        assert_eq!(wrong.account(), None);
    }
    let mut later = start();
    assert_eq!(later.begin(None).await, Verdict::Challenge(Vec::new()));
    let response = plain("ann@example.com", "sesame").unwrap();
    assert_eq!(later.respond(response.clone()).await, Verdict::Accepted);
    assert_eq!(later.respond(response).await, Verdict::Malformed);
}

#[tokio::test]
async fn scram_shows_unknown_logins_a_salt_that_stays_the_same() {
    let place = Place::new();
    let logins = logins(&place);
    let mut salts = BTreeSet::new();
    for user in [
        "ann@example.com",
        "nobody@example.com",
        "nobody@EXAMPLE.com",
        "bob@example.com",
    ] {
        let rules: Arc<dyn LoginRules> = Arc::new(Rules);
        let mut exchange = Conversation::new(logins.clone(), rules, Mechanism::ScramSha256);
        let first = Secret::new(format!("n,,n={user},r=abc"));
        let Verdict::Challenge(challenge) = exchange.begin(Some(first)).await else {
            panic!("no challenge for {user}")
        };
        let challenge = String::from_utf8(challenge).unwrap();
        let salt = challenge
            .split(',')
            .find(|part| part.starts_with("s="))
            .unwrap()
            .to_owned();
        salts.insert(salt);
        let proof = Secret::new(format!(
            "c=biws,{},p=AAAA",
            &challenge.split(',').next().unwrap()
        ));
        assert!(matches!(
            exchange.respond(proof).await,
            Verdict::Refused | Verdict::Malformed
        ));
        assert_eq!(exchange.account(), None);
    }
    assert_eq!(salts.len(), 3);
}
