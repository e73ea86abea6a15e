//! Names of messages, of folders and of keywords.
//!
//! The oracle is maildir.md §2 in plain words, octet by octet. What must hold besides:
//! a changed name is the same message; no folder's name leads out of its maildir; what
//! is written is read back.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a fuzz body says by a panic what does not hold"
)]

use std::path::Path;

use courier_maildir::flags::Flags;
use courier_maildir::folder::{Encoding, FolderName, FolderPath};
use courier_maildir::keywords::{KeywordList, KeywordTable};
use courier_maildir::name::{Key, Name, Sizes, UniqueName};
use courier_maildir::subscription::Subscriptions;

/// The input is a name, or two names with a line feed between them.
pub fn run(input: &[u8]) {
    let end = input.iter().position(|&octet| octet == b'\n');
    let (first, second) = input.split_at(end.unwrap_or(input.len()));
    let second = second.strip_prefix(b"\n").unwrap_or(second);
    message(first);
    keys(first, second);
    unique(first);
    folder(first);
    lists(input);
}

fn message(octets: &[u8]) {
    let base = match octets.iter().rposition(|&octet| octet == b':') {
        Some(colon) => &octets[..colon],
        None => octets,
    };
    let carried = !octets.iter().any(|octet| b"\n/\0".contains(octet));
    let listed = carried && !base.is_empty() && octets[0] != b'.';
    let Ok(name) = Name::parse(octets) else {
        assert!(!listed, "refused");
        return;
    };
    assert!(listed, "taken");
    assert_eq!(name.base(), base);
    let info = octets
        .get(base.len()..)
        .and_then(|info| info.strip_prefix(b":2,"));
    let letters = info
        .unwrap_or_default()
        .split(|&octet| octet == b',')
        .next()
        .unwrap_or_default();
    for letter in 0..=255_u8 {
        if let Some(flag) = Flags::from_letter(letter) {
            assert_eq!(name.flags().contains(flag), letters.contains(&letter));
        }
    }
    assert_eq!(name.size(), token(base, b'S'));
    assert_eq!(name.wire_size(), token(base, b'W'));

    let flags = name.flags().with(Flags::SEEN);
    let changed = name.with_flags(flags);
    let changed = Name::parse(&changed).expect("a changed name is a name");
    assert_eq!((changed.flags(), changed.base()), (flags, base));
    assert_eq!(changed.key(), name.key());
    let foreign = |octets: &[u8]| -> Vec<u8> {
        octets
            .iter()
            .copied()
            .filter(|octet| !octet.is_ascii_alphabetic())
            .collect()
    };
    let (before, after) = (info.unwrap_or_default(), changed.info().unwrap_or_default());
    assert_eq!(
        foreign(&after[2..]),
        foreign(before),
        "what is no letter is kept"
    );
    let in_cur = name.in_cur();
    assert!(in_cur.contains(&b':') && in_cur.starts_with(octets));
}

/// The number behind the last token of a kind before the first colon.
fn token(base: &[u8], kind: u8) -> Option<u64> {
    let text = base
        .split(|&octet| octet == b':')
        .next()
        .unwrap_or_default();
    let tokens = text.split(|&octet| octet == b',').skip(1);
    let digits = tokens
        .filter_map(|token| token.strip_prefix(&[kind, b'=']))
        .last()?;
    let end = digits.iter().position(|octet| !octet.is_ascii_digit());
    match &digits[..end.unwrap_or(digits.len())] {
        [] => Some(0),
        digits => std::str::from_utf8(digits).expect("digits").parse().ok(),
    }
}

fn keys(first: &[u8], second: &[u8]) {
    let (Ok(first), Ok(second)) = (Name::parse(first), Name::parse(second)) else {
        return;
    };
    let without_sizes = |base: &[u8]| {
        let mut parts = base.split(|&octet| octet == b',').map(<[u8]>::to_vec);
        let mut kept = vec![parts.next().unwrap_or_default()];
        kept.extend(parts.filter(|part| {
            let digits = part.strip_prefix(b"S=").or(part.strip_prefix(b"W="));
            digits.is_none_or(|digits| digits.is_empty() || !digits.iter().all(u8::is_ascii_digit))
        }));
        kept
    };
    let same = without_sizes(first.base()) == without_sizes(second.base());
    assert_eq!(first.key() == second.key(), same);
    if same {
        assert_eq!(first.key().fingerprint(), second.key().fingerprint());
    }
    assert_eq!(Key::of_base(first.base()), first.key());
    let order = first.arrival_order(second);
    assert_eq!(second.arrival_order(first), order.reverse());
    assert_eq!(order.is_eq(), first.base() == second.base());
}

fn unique(base: &[u8]) {
    if let Some(name) = UniqueName::parse(base) {
        let text = name.to_string();
        assert!(base.starts_with(text.as_bytes()));
        let sized = name.base(Sizes {
            file: 3,
            wire: Some(4),
        });
        assert_eq!(UniqueName::parse(sized.as_bytes()), Some(name));
    }
}

fn folder(octets: &[u8]) {
    if let Some((name, encoding)) = FolderName::from_directory(octets) {
        let directory = name.directory(encoding);
        assert_eq!(directory.as_bytes(), octets, "found under the name it has");
        contained(&name);
    }
    let Ok(text) = std::str::from_utf8(octets) else {
        return;
    };
    let Ok(name) = FolderName::parse(text) else {
        return;
    };
    contained(&name);
    assert_eq!(FolderName::parse(&name.to_string()), Ok(name.clone()));
    let levels: Vec<&str> = name.levels().collect();
    assert_eq!(
        name.to_string(),
        [&["INBOX"], levels.as_slice()].concat().join(".")
    );
    let ancestors = std::iter::successors(Some(name.clone()), FolderName::parent);
    for ancestor in ancestors.skip(1) {
        let rest = name.below(&ancestor).expect("below");
        assert_eq!(ancestor.join(rest), Ok(name.clone()));
    }
}

/// A folder is a directory right in its maildir.
fn contained(name: &FolderName) {
    for encoding in [Encoding::Utf8, Encoding::ModifiedUtf7] {
        let directory = name.directory(encoding);
        let path = FolderPath::new("/m", &directory);
        let inside = path.path().parent() == Some(Path::new("/m"));
        let is_maildir = path.path() == Path::new("/m") && name.is_inbox();
        assert!(is_maildir || inside && path.path().file_name().is_some());
        assert!(!directory.contains(['/', '\0']) && directory != "..");
    }
}

fn lists(octets: &[u8]) {
    let mut table = KeywordTable::default();
    let list = KeywordList::parse(octets, &mut table);
    let text = KeywordList::print(list.messages.iter().copied(), &table);
    let mut again = KeywordTable::default();
    let read = KeywordList::parse(&text, &mut again);
    assert!(!read.flawed, "what is written has no flaw");
    assert_eq!(read.messages.len(), list.messages.len());
    for ((base, set), (read_base, read_set)) in list.messages.iter().zip(&read.messages) {
        assert_eq!(base, read_base);
        assert!(table.set(*set).eq(again.set(*read_set)));
    }
    let names = Subscriptions::parse(octets);
    assert_eq!(Subscriptions::parse(&names.print()), names);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    #[test]
    fn the_corpus_is_read_right() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/maildir_name");
        let mut count = 0;
        for entry in std::fs::read_dir(corpus).unwrap() {
            let data = std::fs::read(entry.unwrap().path()).unwrap();
            (0..=data.len()).for_each(|end| super::run(&data[..end]));
            count += 1;
        }
        assert!(count >= 10, "the corpus is in {corpus}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn what_looks_like_a_name_is_read_right(text in "[19a.]{0,3}(,[SWU]=[0-9x]{0,2}){0,3}(:[12],[DSTab,x]{0,4}){0,2}\n[19a.]{0,3}(,[SWU]=[0-9]{0,2}){0,3}") {
            super::run(text.as_bytes());
        }

        #[test]
        fn what_looks_like_a_folder_is_read_right(text in "(INBOX|inbox)?(\\.[&A-Oé-]{0,6}){0,3}") {
            super::run(text.as_bytes());
        }

        #[test]
        fn what_looks_like_a_list_is_read_right(text in "([ab ]{0,2}\n){0,3}\n([x:1]{1,2}:[0-3 ]{0,4}\n){0,3}") {
            super::run(text.as_bytes());
        }

        #[test]
        fn noise_is_read_without_harm(data: Vec<u8>) {
            super::run(&data);
        }
    }
}
