//! Octets that must not be seen: passwords, tokens, keys.

use std::fmt;
use std::hint::black_box;

use subtle::ConstantTimeEq;

/// A password, token or key.
///
/// `Debug` prints `***`, comparing takes the same time wherever two secrets of one
/// length differ, and the octets are overwritten when the value is dropped. What
/// it was made from is moved in where possible; copies made elsewhere are the
/// caller's to worry about.
#[derive(Clone, Default)]
pub struct Secret {
    octets: Vec<u8>,
}

impl Secret {
    /// Takes octets in; a `Vec` or `String` is moved, a slice copied.
    #[must_use]
    pub fn new(octets: impl Into<Vec<u8>>) -> Self {
        Self {
            octets: octets.into(),
        }
    }

    /// The octets themselves, for whoever checks or sends them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.octets
    }

    /// Number of octets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.octets.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }
}

/// In constant time for secrets of one length; the length itself is no secret.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.octets.ct_eq(&other.octets).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut self.octets);
    }
}

impl From<Vec<u8>> for Secret {
    fn from(octets: Vec<u8>) -> Self {
        Self { octets }
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<&[u8]> for Secret {
    fn from(octets: &[u8]) -> Self {
        Self::new(octets)
    }
}

/// Overwrites the whole allocation, spare room included, and empties the vector.
fn wipe(octets: &mut Vec<u8>) {
    octets.clear();
    // Within the capacity, so nothing is moved and no copy left behind.
    octets.resize(octets.capacity(), 0);
    // The optimiser must take it that somebody looks at the zeroes.
    black_box(octets.as_mut_slice());
    octets.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_the_octets() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
    }

    #[test]
    fn secrets_compare_by_content() {
        assert_eq!(Secret::new("a"), Secret::new(vec![b'a']));
        assert_ne!(Secret::new("a"), Secret::new("b"));
        assert_ne!(Secret::new("a"), Secret::new("ab"));
        assert_ne!(Secret::new("a"), Secret::default());
    }

    #[test]
    fn wiping_reaches_the_spare_room() {
        let mut octets = b"a long password".to_vec();
        octets.truncate(3);
        let capacity = octets.capacity();
        let before = octets.as_ptr();
        wipe(&mut octets);
        assert_eq!((octets.as_ptr(), octets.capacity()), (before, capacity));
        octets.resize(capacity, 1);
        assert!(octets.iter().all(|&octet| octet == 1));
    }
}
