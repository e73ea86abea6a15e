//! Who has rights.

use std::fmt;

use super::AclError;

/// A name in an access list: `owner`, `anyone`, `user=ID`, `group=NAME`,
/// `administrators`, any other word, or one of these behind a `-`, from whom rights
/// are taken. Octets, as Courier takes them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    octets: Vec<u8>,
}

impl Identifier {
    /// Reads an identifier.
    ///
    /// # Errors
    /// [`AclError::Identifier`]
    pub fn parse(octets: &[u8]) -> Result<Self, AclError> {
        let fits = !octets.is_empty() && octets.iter().all(|octet| *octet > b' ');
        let octets = octets.to_vec();
        fits.then_some(Self { octets }).ok_or(AclError::Identifier)
    }

    /// As it stands in the list.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// From whom rights are taken; nothing where they are given.
    pub(super) fn taken_from(&self) -> Option<&[u8]> {
        self.octets.strip_prefix(b"-")
    }
}

impl fmt::Display for Identifier {
    /// Octets that are not UTF-8 as U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.octets))
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({})", self.octets.escape_ascii())
    }
}

/// The identifiers of an account before a folder: `user=`, `owner` if that is what
/// `owner`, the identifier of the folder's owner, says, and its groups.
pub fn member<'a>(
    account: &str,
    owner: &str,
    groups: impl IntoIterator<Item = &'a str>,
) -> Vec<Vec<u8>> {
    let user = format!("user={account}");
    let is_owner = user == owner;
    let mut all = vec![user.into_bytes()];
    if is_owner {
        all.push(OWNER.to_vec());
    }
    let groups = groups.into_iter();
    all.extend(groups.map(|group| format!("group={group}").into_bytes()));
    all
}

/// Whether a positive entry is about one who has these identifiers.
pub(super) fn matches<I: AsRef<[u8]>>(entry: &[u8], me: &[I]) -> bool {
    let mut me = me.iter().map(AsRef::as_ref);
    match entry {
        b"anyone" | b"anonymous" => true,
        ADMINISTRATORS | ADMINISTRATORS_GROUP => {
            me.any(|mine| mine == ADMINISTRATORS || mine == ADMINISTRATORS_GROUP)
        }
        entry => me.any(|mine| mine == entry),
    }
}

pub(super) const OWNER: &[u8] = b"owner";
pub(super) const ADMINISTRATORS: &[u8] = b"administrators";
pub(super) const ADMINISTRATORS_GROUP: &[u8] = b"group=administrators";
