//! Passwords as they are stored, and whether one is right.
//!
//! Everything here is pure and some of it is dear on purpose (19 MiB and some tens
//! of milliseconds a check): hosts call it from a bounded pool of threads.

pub(crate) mod digest;
mod phc;
mod scram_keys;

pub use scram_keys::{ITERATIONS as SCRAM_ITERATIONS, ScramKeys};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

use super::saslprep::saslprep;
use super::secret::Secret;
use phc::Phc;

/// The longest password that is stored or checked, in octets.
pub const MAX_PASSWORD: usize = 1024;

/// What comes of comparing a password with a stored form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verification {
    /// It is the password.
    Match,
    /// It is not, or the stored form is one that nothing matches (empty, `*`, `!…`).
    NoMatch,
    /// The stored form is of a kind that cannot be checked here, or broken: to the
    /// client a "no", to the administrator's log a mistake in the account database.
    Unsupported,
}

/// Why a new password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Nobody may log in with nothing.
    #[error("the password is empty")]
    Empty,
    /// Longer than any client would send.
    #[error("the password is longer than {MAX_PASSWORD} octets")]
    TooLong,
    /// A control character, which no login command can carry everywhere.
    #[error("the password holds a control character at octet {offset}")]
    Control {
        /// Where it stands.
        offset: usize,
    },
}

/// Compares a password with one stored form (auth.md section 4).
///
/// Known forms: argon2 and PBKDF2 as PHC strings, also behind `{CRYPT}` or
/// `{ARGON2ID}`; `{SCRAM-SHA-256}`; `{SHA256}`, `{SHA512}`, `{SSHA256}`, `{SSHA512}`;
/// `{PLAIN}` and `{CLEAR}`. Names in braces are compared without case.
pub fn verify(stored: &Secret, password: &Secret) -> Verification {
    if password.is_empty() || password.len() > MAX_PASSWORD {
        return Verification::NoMatch;
    }
    match Form::parse(stored.expose()) {
        Form::Locked => Verification::NoMatch,
        Form::Unsupported => Verification::Unsupported,
        Form::Scram(keys) if keys.matches(password) => Verification::Match,
        Form::Scram(_) => Verification::NoMatch,
        form => {
            // Ours are hashed in prepared form, other servers' as they were typed.
            let prepared = prepared(password.expose());
            let first = form.matches(prepared.expose());
            if first == Some(false) && prepared != *password {
                return Verification::from(form.matches(password.expose()));
            }
            Verification::from(first)
        }
    }
}

/// Takes as long as checking a new-style password, and never matches: for logins
/// that are not there, so that time does not tell them from those that are.
pub fn verify_nobody(password: &Secret) -> Verification {
    // The hash is all zeroes; nobody knows a password for it.
    let decoy = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
                 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let _ = verify(&Secret::new(decoy), password);
    Verification::NoMatch
}

/// The stored forms of one account's password.
///
/// Several forms of the same password may stand side by side, such as an argon2id
/// hash and SCRAM keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredPasswords {
    forms: Vec<Secret>,
}

/// Random octets for [`StoredPasswords::new`]; each pair is used once.
#[derive(Debug, Clone, Copy)]
pub struct Salts {
    /// For argon2id.
    pub argon2id: [u8; 16],
    /// For SCRAM-SHA-256.
    pub scram: [u8; 16],
}

impl StoredPasswords {
    /// The forms to store for a new password: argon2id (19 MiB, two passes, one lane)
    /// for whoever sends the password, SCRAM-SHA-256 keys for whoever proves it.
    ///
    /// # Errors
    /// If it is no password that a client could log in with.
    pub fn new(password: &Secret, salts: Salts) -> Result<Self, PasswordError> {
        if password.is_empty() {
            return Err(PasswordError::Empty);
        }
        if password.len() > MAX_PASSWORD {
            return Err(PasswordError::TooLong);
        }
        if let Some(offset) = password.expose().iter().position(u8::is_ascii_control) {
            return Err(PasswordError::Control { offset });
        }
        let hash = phc::argon2id(prepared(password.expose()).expose(), salts.argon2id);
        let keys = ScramKeys::derive(password, &salts.scram, SCRAM_ITERATIONS);
        Ok(Self {
            forms: vec![Secret::new(hash), keys.to_stored()],
        })
    }

    /// Forms as an account database holds them.
    #[must_use]
    pub fn from_stored(forms: impl IntoIterator<Item = Secret>) -> Self {
        Self {
            forms: forms.into_iter().collect(),
        }
    }

    /// The forms, as an account database is to hold them.
    #[must_use]
    pub fn forms(&self) -> &[Secret] {
        &self.forms
    }

    /// Compares a password with the first form that can be checked. An account
    /// without such a form takes as long as [`verify_nobody`].
    pub fn verify(&self, password: &Secret) -> Verification {
        let mut answer = Verification::NoMatch;
        for form in &self.forms {
            match Form::parse(form.expose()) {
                Form::Locked => {}
                Form::Unsupported => answer = Verification::Unsupported,
                _ => return verify(form, password),
            }
        }
        let _ = verify_nobody(password);
        answer
    }

    /// Keys for SCRAM-SHA-256: those that are stored, or derived from a password
    /// stored in clear, with a salt that follows from `server_key` and `name`.
    #[must_use]
    pub fn scram_keys(&self, server_key: &Secret, name: &str) -> Option<ScramKeys> {
        let mut clear = None;
        for form in &self.forms {
            match Form::parse(form.expose()) {
                Form::Scram(keys) => return Some(keys),
                Form::Clear(password) => clear = Some(password),
                _ => {}
            }
        }
        let decoy = ScramKeys::decoy(server_key, name);
        clear.map(|password| {
            ScramKeys::derive(&Secret::from(password), decoy.salt(), SCRAM_ITERATIONS)
        })
    }
}

/// A stored password, taken apart.
enum Form<'a> {
    /// Nothing matches it.
    Locked,
    Clear(&'a [u8]),
    Phc(Phc),
    Scram(ScramKeys),
    Sha256 {
        digest: Vec<u8>,
        salt: Vec<u8>,
    },
    Sha512 {
        digest: Vec<u8>,
        salt: Vec<u8>,
    },
    Unsupported,
}

impl<'a> Form<'a> {
    fn parse(stored: &'a [u8]) -> Self {
        let (scheme, rest) = scheme(stored);
        if rest.is_empty() {
            return Self::Locked;
        }
        let known =
            match scheme.as_str() {
                "PLAIN" | "CLEAR" | "CLEARTEXT" => Some(Self::Clear(rest)),
                _ if rest == b"*" || rest.starts_with(b"!") => Some(Self::Locked),
                "SHA256" => {
                    digest(rest, 32, Salt::None).map(|(digest, salt)| Self::Sha256 { digest, salt })
                }
                "SSHA256" => digest(rest, 32, Salt::Behind)
                    .map(|(digest, salt)| Self::Sha256 { digest, salt }),
                "SHA512" => {
                    digest(rest, 64, Salt::None).map(|(digest, salt)| Self::Sha512 { digest, salt })
                }
                "SSHA512" => digest(rest, 64, Salt::Behind)
                    .map(|(digest, salt)| Self::Sha512 { digest, salt }),
                "SCRAM-SHA-256" => text(rest).and_then(ScramKeys::parse).map(Self::Scram),
                "" | "CRYPT" | "ARGON2" | "ARGON2ID" | "ARGON2I" | "PBKDF2" => {
                    text(rest).and_then(|text| match text.strip_prefix("SCRAM-SHA-256$") {
                        Some(keys) => ScramKeys::parse(keys).map(Self::Scram),
                        None => Phc::parse(text).map(Self::Phc),
                    })
                }
                _ => None,
            };
        known.unwrap_or(Self::Unsupported)
    }

    /// Whether this password gives the form; `None` if that cannot be told.
    fn matches(&self, password: &[u8]) -> Option<bool> {
        match self {
            Self::Locked => Some(false),
            Self::Clear(stored) => Some(stored.ct_eq(password).into()),
            Self::Phc(phc) => phc.matches(password),
            Self::Scram(keys) => Some(keys.matches(&Secret::from(password))),
            Self::Sha256 { digest, salt } => Some(salted::<Sha256>(password, salt, digest)),
            Self::Sha512 { digest, salt } => Some(salted::<Sha512>(password, salt, digest)),
            Self::Unsupported => None,
        }
    }
}

impl From<Option<bool>> for Verification {
    fn from(answer: Option<bool>) -> Self {
        match answer {
            Some(true) => Self::Match,
            Some(false) => Self::NoMatch,
            None => Self::Unsupported,
        }
    }
}

/// The name in braces, in upper case, and what follows it.
fn scheme(stored: &[u8]) -> (String, &[u8]) {
    let parts = stored.strip_prefix(b"{").and_then(|inside| {
        let end = inside.iter().take(32).position(|&octet| octet == b'}')?;
        let (name, rest) = inside.split_at_checked(end)?;
        Some((text(name)?.to_ascii_uppercase(), rest.get(1..)?))
    });
    parts.unwrap_or((String::new(), stored))
}

/// Whether a digest has a salt after it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Salt {
    None,
    Behind,
}

/// A base64 digest of `length` octets and what follows it.
fn digest(rest: &[u8], length: usize, salt: Salt) -> Option<(Vec<u8>, Vec<u8>)> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let mut octets = LENIENT.decode(rest).ok()?;
    let behind = (octets.len() >= length).then(|| octets.split_off(length))?;
    ((salt == Salt::Behind) != behind.is_empty()).then_some((octets, behind))
}

fn salted<D: Digest>(password: &[u8], salt: &[u8], digest: &[u8]) -> bool {
    let ours = D::new()
        .chain_update(password)
        .chain_update(salt)
        .finalize();
    ours.ct_eq(digest).into()
}

fn text(octets: &[u8]) -> Option<&str> {
    std::str::from_utf8(octets).ok()
}

/// The form in which passwords are hashed: prepared by SASLprep where that is
/// possible, else as it is (as PostgreSQL does for SCRAM).
fn prepared(password: &[u8]) -> Secret {
    match text(password).map(saslprep) {
        Some(Ok(prepared)) => Secret::new(prepared.as_bytes()),
        _ => Secret::from(password),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SALTS: Salts = Salts {
        argon2id: [1; 16],
        scram: [2; 16],
    };

    fn check(stored: &str, password: &str) -> Verification {
        verify(&Secret::new(stored), &Secret::new(password))
    }

    #[test]
    fn known_answers_of_every_scheme_hold() {
        for stored in [
            "{PLAIN}secret",
            "{clear}secret",
            "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
            "{sha256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols",
            "{SHA512}vSsar3708Jvp9Szi2NWZZ02Bqp1qRCFpbcTZPdBhnWgs5WtNZKnvCXdhztmeD2cmW192CF5bDufKRpayrW/isg==",
            "{SSHA256}HOtg3CZn8FQvErMX1doYwz4hVl1uLRQgaaj8tFlU3WxOYUNsNTY3OA==",
            "{SSHA512}OkkeNBx1CBwz6gThYAYFY20JTRaGaOGWZMVzwtw4IHZylbnx2o2NwIfBrPhFAjrXKfy5LYqQQidEgQJGSXChU05hQ2w1Njc4",
            "$pbkdf2-sha256$i=1000,l=32$TmFDbDU2Nzg$gnHSe6R/NlKZfFkNuifojknsrdwehWJ4Wcz2RtZsA78",
            "{CRYPT}$pbkdf2-sha512$i=1000,l=64$TmFDbDU2Nzg$tScToKmTXuO276yEvq3+3wRxuyUKdhgKVLzclQum0lRfTQxsYWRsab9RHel8nKCHAiHrg8Qh9acOOVhcO71NJw",
        ] {
            assert_eq!(check(stored, "secret"), Verification::Match, "{stored}");
            assert_eq!(check(stored, "Secret"), Verification::NoMatch, "{stored}");
            assert_eq!(check(stored, ""), Verification::NoMatch, "{stored}");
        }
    }

    #[test]
    fn the_reference_implementation_of_argon2_agrees() {
        for stored in [
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
            "{ARGON2ID}$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        ] {
            assert_eq!(check(stored, "password"), Verification::Match, "{stored}");
            assert_eq!(check(stored, "passwort"), Verification::NoMatch, "{stored}");
        }
    }

    #[test]
    fn locked_accounts_match_nothing() {
        for stored in [
            "",
            "*",
            "!",
            "!{PLAIN}secret",
            "{CRYPT}*",
            "{PLAIN}",
            "{CRYPT}!x",
        ] {
            for password in ["", "*", "!", "secret"] {
                assert_eq!(check(stored, password), Verification::NoMatch, "{stored}");
            }
        }
    }

    #[test]
    fn what_cannot_be_checked_says_so() {
        for stored in [
            "$1$NPCCnkdj$LMsGuonhFLEwTEAYsXntj.",
            "{SSHA}4ptP+7MsfE3t8Vz6kdCPrvNjBwhOYUNs",
            "{SHA256}short",
            "{SSHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
            "{NONSENSE}secret",
            "secret",
            "{SCRAM-SHA-256}4096$AAAA",
            "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=20$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=99999999,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        ] {
            assert_eq!(
                check(stored, "secret"),
                Verification::Unsupported,
                "{stored}"
            );
        }
    }

    #[test]
    fn a_new_password_serves_plain_and_scram() {
        let password = Secret::new("pencil");
        let stored = StoredPasswords::new(&password, SALTS).expect("stored");
        assert_eq!(stored.forms().len(), 2);
        for form in stored.forms() {
            assert_eq!(verify(form, &password), Verification::Match);
            assert_eq!(verify(form, &Secret::new("pencils")), Verification::NoMatch);
        }
        let keys = stored.scram_keys(&Secret::default(), "x").expect("keys");
        assert_eq!(
            keys,
            ScramKeys::derive(&password, &SALTS.scram, SCRAM_ITERATIONS)
        );
    }

    #[test]
    fn one_password_typed_on_two_systems_is_one_password() {
        let (composed, apart) = (Secret::new("caf\u{e9}"), Secret::new("cafe\u{301}"));
        let stored = StoredPasswords::new(&apart, SALTS).expect("stored");
        assert_eq!(stored.verify(&composed), Verification::Match);
        // A hash that another server made of the octets as they were typed.
        let theirs = Secret::new("{PLAIN}cafe\u{301}");
        assert_eq!(verify(&theirs, &apart), Verification::Match);
    }

    #[test]
    fn passwords_that_no_client_can_send_are_refused() {
        let refused = |password: &str| StoredPasswords::new(&Secret::new(password), SALTS).err();
        assert_eq!(refused(""), Some(PasswordError::Empty));
        assert_eq!(refused("a\0b"), Some(PasswordError::Control { offset: 1 }));
        assert_eq!(
            refused(&"x".repeat(MAX_PASSWORD + 1)),
            Some(PasswordError::TooLong)
        );
    }

    #[test]
    fn scram_keys_come_from_a_clear_password_too() {
        let key = Secret::new("server key");
        let stored = StoredPasswords::from_stored([Secret::new("{PLAIN}pencil")]);
        let keys = stored.scram_keys(&key, "u").expect("keys");
        assert_eq!(keys.salt(), ScramKeys::decoy(&key, "u").salt());
        assert_eq!(StoredPasswords::default().scram_keys(&key, "u"), None);
    }

    #[test]
    fn nobody_has_no_password() {
        assert_eq!(verify_nobody(&Secret::new("x")), Verification::NoMatch);
        let locked = StoredPasswords::from_stored([Secret::new("!")]);
        assert_eq!(locked.verify(&Secret::new("!")), Verification::NoMatch);
        let strange = StoredPasswords::from_stored([Secret::new("{ROT13}x")]);
        assert_eq!(strange.verify(&Secret::new("x")), Verification::Unsupported);
    }

    proptest! {
        #[test]
        fn no_stored_text_panics(stored in "(\\{[A-Z0-9-]{0,14}\\})?[ -~]{0,60}", odd: Vec<u8>) {
            let _ = verify(&Secret::new(stored), &Secret::new("p"));
            let _ = verify(&Secret::new(odd), &Secret::new("p"));
        }
    }
}
