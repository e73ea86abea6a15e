//! The files that say who sees whose folders: the access list, the index of shared
//! folders and the table of sharable maildirs, as anybody may have written them.
//!
//! What is read is written and read back; a line that is not understood gives nobody a
//! right; administrators keep theirs; no name leads out of a level.
#![expect(
    clippy::expect_used,
    reason = "a fuzz body says by a panic what does not hold"
)]

use std::collections::BTreeMap;

use courier_maildir::acl::{AccessList, Identifier, Rights};
use courier_maildir::shared::index::{Index, Names};
use courier_maildir::shared::table::Table;

/// Takes any file.
pub fn run(input: &[u8]) {
    list(input);
    index(input);
    table(input);
}

fn list(input: &[u8]) {
    let mut list = AccessList::parse(input);
    let plain = read_plainly(input);
    let read: BTreeMap<Vec<u8>, Vec<u8>> = list
        .iter()
        .map(|(identifier, rights)| (identifier.octets().to_vec(), rights.letters().collect()))
        .collect();
    assert_eq!(read, plain);
    assert_eq!(list.iter().count(), plain.len(), "each once");
    assert_eq!(AccessList::parse(&list.print()), list);
    let me = [b"user=x".as_slice()];
    let rights = list.compute(&me);
    for letter in rights.letters() {
        let giver = |word: &&[u8]| plain.get(*word).is_some_and(|has| has.contains(&letter));
        let (given, taken): ([&[u8]; 3], [&[u8]; 3]) = (
            [b"user=x", b"anyone", b"anonymous"],
            [b"-user=x", b"-anyone", b"-anonymous"],
        );
        assert!(given.iter().any(giver), "nobody gave it");
        assert!(!taken.iter().any(giver), "it was taken");
    }
    let before = list.compute(&[b"owner"]);
    list.administer();
    assert_eq!(
        list.compute(&[b"owner"]),
        before,
        "an owner is no administrator"
    );
    if list.check(None).is_ok() {
        assert!(list.compute(&[b"administrators"]).includes(Rights::ALL));
        assert!(list.compute(&[b"owner"]).includes(Rights::of(b"la")));
    }
    let word = Identifier::parse(b"user=x").expect("a word");
    list.set(word.clone(), Rights::of(b"lr"));
    assert_eq!(list.get(&word), Some(Rights::of(b"lr")));
    assert!(list.remove(&word) && !list.remove(&word));
}

/// maildir.md section 10, line by line.
fn read_plainly(input: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut all = BTreeMap::new();
    for line in input.split(|&octet| octet == b'\n') {
        let mut parts = line.splitn(2, |&octet| octet == b' ');
        let word = parts.next().unwrap_or_default();
        let mut letters = parts.next().unwrap_or_default().to_vec();
        letters.retain(|letter| *letter > b' ');
        letters.sort_unstable();
        letters.dedup();
        if !word.is_empty() && !word.iter().any(|octet| *octet <= b' ') {
            all.insert(word.to_vec(), letters);
        }
    }
    all
}

fn index(input: &[u8]) {
    let index = Index::parse(input);
    for entry in &index.entries {
        assert!(!entry.name.is_empty());
        for names in [Names::Blanks, Names::Escapes] {
            let level = names.level(&entry.name);
            assert!(!level.contains(['.', '/']));
            let found = index.find(&level, names).expect("found by its level");
            assert!(names == Names::Blanks || found == entry);
            if let Some(name) = names.name(&level) {
                assert_eq!(name, entry.name);
            }
        }
    }
    if let Ok(level) = std::str::from_utf8(input) {
        let name = Names::Escapes.name(level);
        assert!(name.is_none_or(|name| Names::Escapes.level(&name) == level));
    }
}

fn table(input: &[u8]) {
    let mut table = Table::parse(input);
    assert_eq!(table.print(), input);
    let names: Vec<Vec<u8>> = table.iter().map(|entry| entry.name.to_vec()).collect();
    for name in names {
        table.remove(&name);
        assert!(table.find(&name).is_none());
    }
    assert_eq!(table.iter().count(), 0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_looks_like_an_access_list_is_read_right(
            text in "((-?(owner|anyone|user=x|administrators|group=administrators|x)) {1,2}[alrx ]{0,4}\n){0,6}"
        ) {
            super::run(text.as_bytes());
        }

        #[test]
        fn what_looks_like_an_index_is_read_right(
            text in "([a.\\\\:/]{0,3}\t(\\*|[0-2])\t[0-2a]?(\t/?[a-c]{0,2}){0,3}[#\r]?\n){0,5}"
        ) {
            super::run(text.as_bytes());
        }

        #[test]
        fn noise_is_read_without_harm(data: Vec<u8>) {
            super::run(&data);
        }
    }
}
