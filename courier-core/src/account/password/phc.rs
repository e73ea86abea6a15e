//! PHC strings: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash` and their kin.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::Hmac;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq as _;

use super::digest::pbkdf2;

/// Octets of a hash that we make.
const HASH: usize = 32;
/// Memory of a stored hash that is checked, KiB; more is a mistake or an attack.
const MAX_MEMORY: u32 = 1 << 20;
/// Memory times passes of a stored hash that is checked, KiB.
const MAX_WORK: u64 = 1 << 24;
/// Iterations of a stored PBKDF2 hash that is checked.
const MAX_ITERATIONS: u32 = 10_000_000;

/// A parsed PHC string.
#[derive(Debug)]
pub(super) struct Phc {
    function: Function,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

#[derive(Debug)]
enum Function {
    Argon2(Box<Argon2<'static>>),
    Pbkdf2Sha256 { iterations: u32 },
    Pbkdf2Sha512 { iterations: u32 },
}

impl Phc {
    /// Parses a string that begins with `$argon2…` or `$pbkdf2…`; `None` if it is
    /// broken, of another kind, or asks for more work than any sane setting.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut fields = text.strip_prefix('$')?.split('$').peekable();
        let name = fields.next()?;
        let version = fields.next_if(|field| field.starts_with("v="));
        let parameters = fields.next()?;
        let salt = STANDARD_NO_PAD.decode(fields.next()?).ok()?;
        let hash = STANDARD_NO_PAD.decode(fields.next()?).ok()?;
        let sound = fields.next().is_none()
            && (4..=64).contains(&hash.len())
            && (1..=64).contains(&salt.len());
        let function = match name {
            "argon2id" => argon2(Algorithm::Argon2id, version, parameters, hash.len()),
            "argon2i" => argon2(Algorithm::Argon2i, version, parameters, hash.len()),
            "argon2d" => argon2(Algorithm::Argon2d, version, parameters, hash.len()),
            "pbkdf2-sha256" => {
                iterations(parameters).map(|iterations| Function::Pbkdf2Sha256 { iterations })
            }
            "pbkdf2-sha512" => {
                iterations(parameters).map(|iterations| Function::Pbkdf2Sha512 { iterations })
            }
            _ => None,
        }?;
        sound.then_some(Self {
            function,
            salt,
            hash,
        })
    }

    /// Whether this password hashes to it; `None` if the function refuses its input.
    pub(super) fn matches(&self, password: &[u8]) -> Option<bool> {
        let mut hash = vec![0; self.hash.len()];
        match &self.function {
            Function::Argon2(argon2) => argon2
                .hash_password_into(password, &self.salt, &mut hash)
                .ok()?,
            Function::Pbkdf2Sha256 { iterations } => {
                pbkdf2::<Hmac<Sha256>>(password, &self.salt, *iterations, &mut hash);
            }
            Function::Pbkdf2Sha512 { iterations } => {
                pbkdf2::<Hmac<Sha512>>(password, &self.salt, *iterations, &mut hash);
            }
        }
        Some(hash.ct_eq(&self.hash).into())
    }
}

/// Hashes a new password with argon2id, 19 MiB, two passes, one lane.
#[expect(
    clippy::expect_used,
    reason = "the parameters are those of OWASP and fixed"
)]
pub(super) fn argon2id(password: &[u8], salt: [u8; 16]) -> String {
    let params = Params::new(19 * 1024, 2, 1, Some(HASH)).expect("fixed parameters");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut hash = [0; HASH];
    argon2
        .hash_password_into(password, &salt, &mut hash)
        .expect("a salt of 16 octets and a password below 4 GiB");
    format!(
        "$argon2id$v=19$m=19456,t=2,p=1${}${}",
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(hash)
    )
}

fn argon2(
    algorithm: Algorithm,
    version: Option<&str>,
    parameters: &str,
    length: usize,
) -> Option<Function> {
    let version = match version {
        Some("v=19") => Version::V0x13,
        // Strings of the time before 1.3 name no version.
        None | Some("v=16") => Version::V0x10,
        Some(_) => return None,
    };
    let (mut memory, mut passes, mut lanes) = (None, None, None);
    for parameter in parameters.split(',') {
        match parameter.split_once('=')? {
            ("m", value) => memory = value.parse().ok(),
            ("t", value) => passes = value.parse().ok(),
            ("p", value) => lanes = value.parse().ok(),
            _ => return None,
        }
    }
    let (memory, passes): (u32, u32) = (memory?, passes?);
    if memory > MAX_MEMORY || u64::from(memory) * u64::from(passes) > MAX_WORK {
        return None;
    }
    let params = Params::new(memory, passes, lanes?, Some(length)).ok()?;
    Some(Function::Argon2(Box::new(Argon2::new(
        algorithm, version, params,
    ))))
}

/// `i=600000`, perhaps with `,l=32`, which the hash says itself.
fn iterations(parameters: &str) -> Option<u32> {
    parameters
        .split(',')
        .find_map(|parameter| parameter.strip_prefix("i="))?
        .parse()
        .ok()
        .filter(|count| (1..=MAX_ITERATIONS).contains(count))
}
