//! An address list from any octets: entries in order, marks in pairs, and what is
//! printed reads the same.

use courier_core::address::list::{self, ADDRESS_LIMIT, Entry, HeaderAddress};

/// Reads the octets as the value of a header field.
///
/// # Panics
/// If the entries overlap, exceed the limit, or are others after they were printed.
pub fn run(field: &[u8]) {
    let mut count = 0;
    let mut group = false;
    let mut end = 0;
    for entry in list::parse(field) {
        match entry {
            Entry::GroupStart(_) => assert!(!std::mem::replace(&mut group, true)),
            Entry::GroupEnd => {
                assert!(std::mem::replace(&mut group, false));
                continue;
            }
            Entry::Raw(raw) => assert!(!raw.is_empty()),
            Entry::Mailbox(address) => {
                assert!(end <= address.place.start && address.place.start <= address.place.end);
                end = address.place.end;
                check(field, &address);
            }
        }
        count += 1;
    }
    assert!(!group);
    assert!(end <= field.len());
    assert!(count <= ADDRESS_LIMIT + 1);
    print_and_read(field);
}

fn check(field: &[u8], address: &HeaderAddress<'_>) {
    let size = |part: &Option<std::borrow::Cow<'_, [u8]>>| part.as_ref().map_or(0, |p| p.len());
    let parts = size(&address.name) + size(&address.route) + size(&address.host);
    // Nothing appears that was not there; a comma in the route may have been left out.
    assert!(parts + address.mailbox.len() <= field.len() + size(&address.route));
    let line_end = |part: &[u8]| part.iter().any(|b| matches!(b, b'\r' | b'\n'));
    assert!(!line_end(&address.mailbox));
    assert!(!address.name.as_deref().is_some_and(line_end));
    assert!(!address.host.as_deref().is_some_and(line_end));
    if let Ok(valid) = address.address() {
        let printed = valid.to_string();
        let again = list::parse(printed.as_bytes()).next();
        let Some(Entry::Mailbox(again)) = again else {
            panic!("{printed} is an address and no entry");
        };
        assert_eq!(again.address(), Ok(valid));
    }
}

fn print_and_read(field: &[u8]) {
    let Some(entries) = unplaced(field) else {
        return;
    };
    let printed = list::print(entries.iter().cloned());
    assert_eq!(
        unplaced(&printed),
        Some(entries),
        "{}",
        printed.escape_ascii()
    );
}

/// The entries without their places; none if some are raw.
fn unplaced(field: &[u8]) -> Option<Vec<Entry<'_>>> {
    let entries = list::parse(field).map(|entry| match entry {
        Entry::Mailbox(mut address) => {
            address.place = 0..0;
            Some(Entry::Mailbox(address))
        }
        Entry::Raw(_) => None,
        other => Some(other),
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Tokens of which odd fields are made.
    const TOKENS: [&str; 24] = [
        "a",
        "b.c",
        "\"d e\"",
        "\"f\\\"",
        "(g)",
        "(h (i)",
        ")",
        "<",
        ">",
        "@",
        ",",
        ";",
        ":",
        ".",
        " ",
        "\r\n ",
        "[192.0.2.1]",
        "[",
        "\\",
        "\"",
        "=?utf-8?q?j?=",
        "é",
        "<k@l>",
        "@m,@n:",
    ];

    #[test]
    fn the_corpus_is_read_right() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/header_list");
        let mut count = 0;
        for entry in std::fs::read_dir(corpus).unwrap() {
            let data = std::fs::read(entry.unwrap().path()).unwrap();
            for end in (0..data.len())
                .step_by(data.len() / 200 + 1)
                .chain([data.len()])
            {
                super::run(&data[..end]);
            }
            count += 1;
        }
        assert!(count >= 10, "the corpus is in {corpus}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]
        #[test]
        fn odd_fields_are_read_right(tokens in prop::collection::vec(prop::sample::select(TOKENS.to_vec()), 0..20)) {
            super::run(tokens.concat().as_bytes());
        }

        #[test]
        fn noise_is_read_right(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            super::run(&octets);
        }
    }
}
