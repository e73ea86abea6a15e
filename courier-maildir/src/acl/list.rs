//! An access list, its file and what it comes to.

use std::collections::HashMap;

use super::identifier::{ADMINISTRATORS, ADMINISTRATORS_GROUP, OWNER, matches};
use super::{AclError, Identifier, Rights};

/// Rights by identifier, in the order of the file; each identifier stands there once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessList {
    entries: Vec<(Identifier, Rights)>,
}

impl Default for AccessList {
    /// What an INBOX without a list has: all for its owner and for administrators.
    fn default() -> Self {
        let word = |octets: &[u8]| Identifier::parse(octets).ok();
        let entries = [word(OWNER), word(ADMINISTRATORS)];
        Self {
            entries: (entries.into_iter().flatten())
                .map(|identifier| (identifier, Rights::ALL))
                .collect(),
        }
    }
}

impl AccessList {
    /// Reads the file. Nothing in it is an error, and nothing that is not understood
    /// grants a right.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Self {
        let mut entries: Vec<(Identifier, Rights)> = Vec::new();
        let mut places = HashMap::new();
        for line in octets.split(|&octet| octet == b'\n') {
            let space = line.iter().position(|&octet| octet == b' ');
            let (identifier, rights) = line.split_at(space.unwrap_or(line.len()));
            if let Ok(identifier) = Identifier::parse(identifier) {
                let rights = Rights::of(rights);
                let place = places.entry(identifier.clone()).or_insert(entries.len());
                // A later line counts, in the place of the first.
                match entries.get_mut(*place) {
                    Some((_, old)) => *old = rights,
                    None => entries.push((identifier, rights)),
                }
            }
        }
        Self { entries }
    }

    /// The file's text.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for (identifier, rights) in &self.entries {
            text.extend_from_slice(identifier.octets());
            text.push(b' ');
            text.extend(rights.letters());
            text.push(b'\n');
        }
        text
    }

    /// The entries in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&Identifier, Rights)> {
        self.entries
            .iter()
            .map(|(identifier, rights)| (identifier, *rights))
    }

    /// What stands behind an identifier.
    #[must_use]
    pub fn get(&self, identifier: &Identifier) -> Option<Rights> {
        let found = self.iter().find(|(known, _)| *known == identifier);
        found.map(|(_, rights)| rights)
    }

    /// Sets what stands behind an identifier, in its place or at the end.
    pub fn set(&mut self, identifier: Identifier, rights: Rights) {
        match (self.entries.iter_mut()).find(|(known, _)| *known == identifier) {
            Some((_, old)) => *old = rights,
            None => self.entries.push((identifier, rights)),
        }
    }

    /// Takes an identifier out; `false` if it was not there.
    pub fn remove(&mut self, identifier: &Identifier) -> bool {
        let before = self.entries.len();
        self.entries.retain(|(known, _)| known != identifier);
        self.entries.len() < before
    }

    /// Gives administrators all rights, as after every read: their entry gets what it
    /// lacks, at the end if there is none, and no entry takes from them.
    // Courier 1.0.16 drops `-administrators` whatever it takes; newer ones leave in
    // it what is neither `a` nor `l`, and then refuse to write the list.
    pub fn administer(&mut self) {
        self.entries.retain(|(identifier, _)| {
            !matches!(
                identifier.taken_from(),
                Some(ADMINISTRATORS | ADMINISTRATORS_GROUP)
            )
        });
        for word in [ADMINISTRATORS_GROUP, ADMINISTRATORS] {
            let entry = |entry: &&mut (Identifier, Rights)| entry.0.octets() == word;
            if let Some((_, rights)) = self.entries.iter_mut().find(entry) {
                *rights = *rights | Rights::ALL;
                return;
            }
        }
        let word = Identifier::parse(ADMINISTRATORS).ok();
        self.entries.extend(word.map(|word| (word, Rights::ALL)));
    }

    /// What one may do who has these identifiers: what matching entries give, less
    /// what matching entries take; `owner` may always administer.
    #[must_use]
    pub fn compute<I: AsRef<[u8]>>(&self, me: &[I]) -> Rights {
        let rights = self.entered(me);
        match me.iter().any(|mine| mine.as_ref() == OWNER) {
            true => rights | Rights::of(b"a"),
            false => rights,
        }
    }

    /// What the entries come to alone.
    fn entered<I: AsRef<[u8]>>(&self, me: &[I]) -> Rights {
        let (mut given, mut taken) = (Rights::NONE, Rights::NONE);
        for (identifier, rights) in self.iter() {
            match identifier.taken_from() {
                Some(whom) if matches(whom, me) => taken = taken | rights,
                None if matches(identifier.octets(), me) => given = given | rights,
                _ => {}
            }
        }
        given - taken
    }

    /// Whether the list may be written: its owner, who may be named besides, must go
    /// on seeing and administering the folder, and administrators keep all rights.
    ///
    /// # Errors
    /// [`AclError::Owner`], [`AclError::Administrators`]
    pub fn check(&self, owner: Option<&Identifier>) -> Result<(), AclError> {
        let needed = Rights::of(b"la");
        let named = owner.map(|owner| vec![OWNER, owner.octets()]);
        for owner in [Some(vec![OWNER]), named].into_iter().flatten() {
            if !self.entered(&owner).includes(needed) {
                return Err(AclError::Owner);
            }
        }
        match self.entered(&[ADMINISTRATORS]).includes(Rights::ALL) {
            true => Ok(()),
            false => Err(AclError::Administrators),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn identifier(text: &str) -> Identifier {
        Identifier::parse(text.as_bytes()).expect("an identifier")
    }

    fn shown(list: &AccessList) -> String {
        String::from_utf8_lossy(&list.print()).replace('\n', "/")
    }

    /// As Courier 1.0.16 lists each, but for blanks and control characters behind the
    /// rights, for which it drops the line.
    #[test]
    fn lists_are_read_as_courier_reads_them() {
        for (text, expected) in [
            ("x  lr\n", "x lr/"),
            ("x\tlr\n", ""),
            ("lone\n\n", "lone /"),
            (" lr\n", ""),
            ("x lr", "x lr/"),
            ("x lr\r\n", "x lr/"),
            ("x lr\nx w\ny l\nx e\n", "x e/y l/"),
            ("\0\0\0\0", ""),
            ("x rlrZ\n", "x Zlr/"),
        ] {
            assert_eq!(shown(&AccessList::parse(text.as_bytes())), expected);
        }
    }

    #[test]
    fn administrators_have_all_rights() {
        const ALL: &str = "aceilrstwx";
        for (text, expected) in [
            ("", format!("administrators {ALL}/")),
            ("o l\n", format!("o l/administrators {ALL}/")),
            (
                "administrators z\no l\n",
                format!("administrators {ALL}z/o l/"),
            ),
            ("-administrators xq\n", format!("administrators {ALL}/")),
            (
                "administrators l\ngroup=administrators l\n-group=administrators a\n",
                format!("administrators l/group=administrators {ALL}/"),
            ),
        ] {
            let mut list = AccessList::parse(text.as_bytes());
            list.administer();
            assert_eq!(shown(&list), expected);
        }
        let mut list = AccessList::default();
        list.administer();
        assert_eq!(list, AccessList::default());
    }

    #[test]
    fn rights_are_what_is_given_less_what_is_taken() {
        let text =
            "owner alz\n-user=x al\nuser=x lrw\n-owner r\nanyone r\ngroup=administrators e\n";
        let list = AccessList::parse(text.as_bytes());
        let compute = |me: &[&str]| list.compute(me).to_string();
        assert_eq!(compute(&["owner"]), "alz");
        assert_eq!(compute(&["user=x"]), "rw");
        assert_eq!(compute(&["owner", "user=x"]), "awz", "the owner keeps a");
        assert_eq!(compute(&["administrators"]), "er");
        assert_eq!(compute(&["-user=x"]), "r");
        assert_eq!(compute(&[]), "r");
    }

    #[test]
    fn owner_and_administrators_keep_what_they_need() {
        let check = |text: &str, owner: Option<&str>| {
            let list = AccessList::parse(text.as_bytes());
            list.check(owner.map(identifier).as_ref())
        };
        let good = "owner al\nadministrators aceilrstwx\n";
        let with = |more: &str| format!("{good}{more}");
        assert_eq!(check(good, None), Ok(()));
        assert_eq!(check(&with("-owner a\n"), None), Err(AclError::Owner));
        assert_eq!(check(&with("-anyone l\n"), None), Err(AclError::Owner));
        let administrators = Err(AclError::Administrators);
        assert_eq!(check(&with("-anyone e\n"), None), administrators);
        assert_eq!(check("owner al\n", None), administrators);
        let minus = with("-user=ann a\n");
        assert_eq!(check(&minus, None), Ok(()));
        assert_eq!(check(&minus, Some("user=ann")), Err(AclError::Owner));
        let anyone = "anyone al\ngroup=administrators aceilrstwx\n";
        assert_eq!(check(anyone, None), Ok(()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(entries in prop::collection::vec(("[-a-c=é]{1,3}", "[!-~]{0,9}"), 0..6)) {
            let mut list = AccessList::parse(b"");
            for (word, rights) in &entries {
                list.set(identifier(word), Rights::of(rights.as_bytes()));
            }
            let read = AccessList::parse(&list.print());
            prop_assert_eq!(&read, &list);
            prop_assert!(list.iter().count() <= entries.len());
        }

        #[test]
        fn after_a_read_the_list_is_good_for_administrators(octets: Vec<u8>) {
            let mut list = AccessList::parse(&octets);
            list.administer();
            prop_assert_eq!(&AccessList::parse(&list.print()), &list);
            let mut again = list.clone();
            again.administer();
            prop_assert_eq!(&again, &list);
        }
    }
}
