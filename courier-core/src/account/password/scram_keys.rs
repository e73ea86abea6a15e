//! What a server keeps for SCRAM-SHA-256 (RFC 5802, RFC 7677): keys, no password.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Hmac;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::digest::{SHA256, hmac_sha256, pbkdf2, sha256};
use super::prepared;
use crate::account::secret::Secret;

/// Iterations of keys that we derive: RFC 7677 §4 asks for 4096 at least, and names
/// this number as a tenth of a second's work.
pub const ITERATIONS: u32 = 15_000;
/// Iterations of stored keys that a client may be made to go through.
const MAX_ITERATIONS: u32 = 10_000_000;
/// The longest salt that is read, in octets.
const MAX_SALT: usize = 1024;

/// The SCRAM-SHA-256 keys of one account.
///
/// Whoever has them can pass for the server and try passwords; they do not let him
/// log in.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    iterations: u32,
    salt: Vec<u8>,
    stored: Secret,
    server: Secret,
}

impl ScramKeys {
    /// Derives the keys from a password: as dear as the iterations say.
    #[must_use]
    pub fn derive(password: &Secret, salt: &[u8], iterations: u32) -> Self {
        let iterations = iterations.clamp(1, MAX_ITERATIONS);
        let mut salted = [0; SHA256];
        let password = prepared(password.expose());
        pbkdf2::<Hmac<Sha256>>(password.expose(), salt, iterations, &mut salted);
        let client = hmac_sha256(&salted, &[b"Client Key"]);
        Self {
            iterations,
            salt: salt.to_vec(),
            stored: Secret::new(sha256(&client)),
            server: Secret::new(hmac_sha256(&salted, &[b"Server Key"])),
        }
    }

    /// Keys that no password fits, for an account that is not there: they follow
    /// from `server_key` and the name, so the salt stays the same over time.
    pub(crate) fn decoy(server_key: &Secret, name: &str) -> Self {
        let from = |purpose: &[u8]| hmac_sha256(server_key.expose(), &[purpose, name.as_bytes()]);
        let [salt, stored, server] = [b"salt ", b"store", b"serve"].map(|purpose| from(purpose));
        Self {
            iterations: ITERATIONS,
            salt: salt.iter().take(16).copied().collect(),
            stored: Secret::new(stored),
            server: Secret::new(server),
        }
    }

    /// Reads the four fields after `{SCRAM-SHA-256}` or `SCRAM-SHA-256$`: iterations,
    /// salt, StoredKey, ServerKey. PostgreSQL and RFC 5803 put `:$:` between them,
    /// Dovecot `,,,`; none of these marks occurs in base64, so each is taken for any.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(['$', ':', ',']);
        let iterations = fields.next()?.parse().ok()?;
        let salt = STANDARD.decode(fields.next()?).ok()?;
        let stored = STANDARD.decode(fields.next()?).ok()?;
        let server = STANDARD.decode(fields.next()?).ok()?;
        let sound = fields.next().is_none()
            && (1..=MAX_ITERATIONS).contains(&iterations)
            && (1..=MAX_SALT).contains(&salt.len())
            && (stored.len(), server.len()) == (SHA256, SHA256);
        sound.then(|| Self {
            iterations,
            salt,
            stored: stored.into(),
            server: server.into(),
        })
    }

    /// The stored form, `{SCRAM-SHA-256}iterations$salt:StoredKey$ServerKey`.
    #[must_use]
    pub fn to_stored(&self) -> Secret {
        Secret::new(format!(
            "{{SCRAM-SHA-256}}{}${}:{}${}",
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored.expose()),
            STANDARD.encode(self.server.expose()),
        ))
    }

    /// How often the client has to hash its password.
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// The salt, as octets.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// Whether a password is the one these keys come from.
    pub(super) fn matches(&self, password: &Secret) -> bool {
        let theirs = Self::derive(password, &self.salt, self.iterations);
        self.stored == theirs.stored
    }

    /// Whether `proof` shows that the client knows the password (RFC 5802 §3).
    pub(crate) fn proves(&self, proof: &[u8; SHA256], auth_message: &[u8]) -> bool {
        let signature = hmac_sha256(self.stored.expose(), &[auth_message]);
        let mut client_key = *proof;
        client_key
            .iter_mut()
            .zip(signature)
            .for_each(|(a, b)| *a ^= b);
        sha256(&client_key).ct_eq(self.stored.expose()).into()
    }

    /// What shows the client that the server knows the keys.
    pub(crate) fn server_signature(&self, auth_message: &[u8]) -> [u8; SHA256] {
        hmac_sha256(self.server.expose(), &[auth_message])
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramKeys")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC_7677: &str = "4096$W22ZaJ0SNY7soEsUEjb6gQ==:\
        WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=$wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    #[test]
    fn the_keys_of_rfc_7677_come_out() {
        let keys = ScramKeys::parse(RFC_7677).expect("keys");
        let derived = ScramKeys::derive(&Secret::new("pencil"), keys.salt(), 4096);
        assert_eq!(keys, derived);
        assert_eq!(
            derived.to_stored(),
            Secret::new(format!("{{SCRAM-SHA-256}}{RFC_7677}"))
        );
    }

    #[test]
    fn every_way_to_put_the_marks_is_read() {
        let [a, b, c, d] = [
            "4096",
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
            "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        ];
        for text in [
            format!("{a}:{b}${c}:{d}"),
            format!("{a},{b},{c},{d}"),
            format!("{a}${b}:{c}${d}"),
        ] {
            assert_eq!(ScramKeys::parse(&text), ScramKeys::parse(RFC_7677));
        }
        for text in [
            format!("{a}:{b}${c}"),
            format!("0:{b}${c}:{d}"),
            String::new(),
        ] {
            assert_eq!(ScramKeys::parse(&text), None);
        }
    }

    #[test]
    fn a_decoy_is_stable_and_differs_by_name() {
        let key = Secret::new("server key");
        let decoy = |name| ScramKeys::decoy(&key, name);
        assert_eq!(decoy("a"), decoy("a"));
        assert_ne!(decoy("a").salt(), decoy("b").salt());
        assert_eq!(
            (decoy("a").salt().len(), decoy("a").iterations()),
            (16, ITERATIONS)
        );
        assert_eq!(
            format!("{:?}", decoy("a")),
            "ScramKeys { iterations: 15000, .. }"
        );
    }
}
