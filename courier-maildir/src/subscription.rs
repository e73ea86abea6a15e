//! `courierimapsubscribed`: the names a user subscribed to.
//!
//! One name a line, UTF-8, in the order they were added. Names that we do not know
//! (other namespaces, folders that are gone) stay.

/// The subscriptions of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscriptions {
    names: Vec<String>,
}

/// The file's name in the top maildir.
pub const FILE: &str = "courierimapsubscribed";

impl Subscriptions {
    /// Reads the file. Lines that are empty or not UTF-8 are left out: the list can be
    /// made anew by its user, so nothing in it stops a login.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Self {
        let mut list = Self::default();
        for line in octets.split(|&octet| octet == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if let Ok(name) = std::str::from_utf8(line) {
                list.insert(name);
            }
        }
        list
    }

    /// The file's text.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let mut text = self.names.join("\n").into_bytes();
        if !text.is_empty() {
            text.push(b'\n');
        }
        text
    }

    /// The names in file order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Whether a name is on the list.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.names.iter().any(|known| same(known, name))
    }

    /// Adds a name at the end; `false` if it was there, or cannot stand in the file:
    /// an empty name, or one with control characters.
    pub fn insert(&mut self, name: &str) -> bool {
        let fits = !name.is_empty() && !name.chars().any(char::is_control);
        let new = fits && !self.contains(name);
        if new {
            self.names.push(name.to_owned());
        }
        new
    }

    /// Takes a name off; `false` if it was not there.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.names.len();
        self.names.retain(|known| !same(known, name));
        self.names.len() < before
    }
}

/// Courier: a leading `INBOX` in any case is passed over on both sides, the rest is
/// compared octet by octet.
fn same(a: &str, b: &str) -> bool {
    let split = |name: &str| -> (bool, String) {
        match name.get(..5) {
            Some(prefix) if prefix.eq_ignore_ascii_case("inbox") => {
                (true, name.get(5..).unwrap_or_default().to_owned())
            }
            _ => (false, name.to_owned()),
        }
    };
    split(a) == split(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn inbox_is_compared_in_any_case_and_the_rest_exactly() {
        let mut list = Subscriptions::parse(b"INBOX.Sent\n#shared.a\n\n\xff\nINBOX.Sent\n");
        assert!(list.contains("inbox.Sent"));
        assert!(!list.contains("INBOX.sent"));
        assert!(!list.insert("Inbox.Sent"));
        assert!(list.insert("INBOX.é"));
        assert!(!list.insert("two\nlines"));
        assert_eq!(list.print(), "INBOX.Sent\n#shared.a\nINBOX.é\n".as_bytes());
        assert!(list.remove("inbox.Sent"));
        assert!(!list.remove("INBOX.Sent"));
        assert_eq!(list.iter().collect::<Vec<_>>(), ["#shared.a", "INBOX.é"]);
    }

    proptest! {
        #[test]
        fn a_printed_list_is_read_back(octets: Vec<u8>) {
            let list = Subscriptions::parse(&octets);
            prop_assert_eq!(Subscriptions::parse(&list.print()), list);
        }
    }
}
