//! The mechanisms that send the password: PLAIN (RFC 4616) and LOGIN.

use super::Verdict;
use crate::account::login::Login;
use crate::account::secret::Secret;

/// Takes `[authzid] NUL authcid NUL passwd` apart.
///
/// An authorisation identity other than the login itself is refused: nobody acts
/// for others here.
pub(super) fn parse(response: &Secret) -> Result<(Login, Secret), Verdict> {
    let mut fields = response.expose().split(|&octet| octet == 0);
    let (Some(acting_for), Some(login), Some(password), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(Verdict::Malformed);
    };
    let login = parse_login(login)?;
    if !acting_for.is_empty() && parse_login(acting_for)? != login {
        return Err(Verdict::Refused);
    }
    if password.is_empty() {
        return Err(Verdict::Refused);
    }
    Ok((login, Secret::from(password)))
}

/// A login in an exchange; one that cannot be anybody's is refused like a wrong one.
pub(super) fn parse_login(octets: &[u8]) -> Result<Login, Verdict> {
    Login::parse(octets).map_err(|_| Verdict::Refused)
}

/// What LOGIN asks first; clients compare it, so it stays as others write it.
pub(super) const USER_NAME: &[u8] = b"Username:";
/// What LOGIN asks second.
pub(super) const PASSWORD: &[u8] = b"Password:";
