//! What a client says it is called when it logs in.

use std::fmt;

use super::saslprep::saslprep;

/// The longest login, in octets: a path of RFC 5321 §4.5.3.1 and some room.
pub const MAX_LOGIN: usize = 320;

/// A login as a client gave it: text of a bounded length without control
/// characters, in the form of SASLprep (RFC 4616 §2, RFC 5802 §5.1).
///
/// It is a claim, not an account: [`super::naming`] says which accounts it may mean.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Login(String);

/// Why a login cannot be one. To the client it is a refusal like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Nothing was said.
    #[error("the login is empty")]
    Empty,
    /// Longer than any address.
    #[error("the login is longer than {MAX_LOGIN} octets")]
    TooLong,
    /// Not UTF-8.
    #[error("the login is not UTF-8")]
    NotUtf8,
    /// NUL, a control character, or another that names may not hold.
    #[error("the login holds a character that is not allowed")]
    Prohibited,
}

impl Login {
    /// Takes a login from a client.
    ///
    /// # Errors
    /// If it is empty, too long, not UTF-8, or holds a control or other prohibited
    /// character.
    pub fn parse(octets: &[u8]) -> Result<Self, LoginError> {
        if octets.len() > MAX_LOGIN {
            return Err(LoginError::TooLong);
        }
        let text = std::str::from_utf8(octets).map_err(|_| LoginError::NotUtf8)?;
        let prepared = saslprep(text).map_err(|_| LoginError::Prohibited)?;
        if prepared.is_empty() {
            return Err(LoginError::Empty);
        }
        Ok(Self(prepared.into_owned()))
    }

    /// The login as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn logins_are_text_without_control_characters() {
        let parse = |octets: &[u8]| Login::parse(octets);
        assert_eq!(
            parse(b"john@example.com").map(|l| l.to_string()).as_deref(),
            Ok("john@example.com")
        );
        assert_eq!(parse(b""), Err(LoginError::Empty));
        assert_eq!(parse("\u{ad}".as_bytes()), Err(LoginError::Empty));
        assert_eq!(parse(b"a\0b"), Err(LoginError::Prohibited));
        assert_eq!(parse(b"a\nb"), Err(LoginError::Prohibited));
        assert_eq!(parse("a\u{9b}b".as_bytes()), Err(LoginError::Prohibited));
        assert_eq!(parse(b"caf\xe9"), Err(LoginError::NotUtf8));
        assert_eq!(parse(&[b'x'; MAX_LOGIN + 1]), Err(LoginError::TooLong));
        assert!(parse(&[b'x'; MAX_LOGIN]).is_ok());
    }

    proptest! {
        #[test]
        fn what_was_taken_is_taken_again_as_it_is(octets: Vec<u8>) {
            if let Ok(login) = Login::parse(&octets) {
                prop_assert_eq!(Login::parse(login.as_str().as_bytes()), Ok(login));
            }
        }
    }
}
