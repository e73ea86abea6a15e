//! Domains, mailboxes, paths, DSN parameters and envelope records from any octets:
//! what parses is printed, and parses to the same.

use courier_core::address::{Address, AddressError, Domain, ForwardPath, ReversePath};
use courier_core::address::{DOMAIN_LIMIT, LABEL_LIMIT, LOCAL_PART_LIMIT, PATH_LIMIT};
use courier_core::envelope::{Envelope, Envid, Notify, Orcpt, xtext};

/// Reads the octets as each of them.
///
/// # Panics
/// If something is not what it was after it was printed, or exceeds a limit.
pub fn run(data: &[u8]) {
    addresses(data);
    paths(data);
    parameters(data);
    if let Ok(envelope) = Envelope::decode(data) {
        assert_eq!(Envelope::decode(&envelope.encode()), Ok(envelope));
    }
}

fn addresses(data: &[u8]) {
    if let Ok(domain) = std::str::from_utf8(data)
        .map_err(|_| AddressError::Idna)
        .and_then(Domain::parse)
    {
        check_domain(&domain);
    }
    let Ok(address) = Address::parse(data) else {
        return;
    };
    let printed = address.to_string();
    assert_eq!(Address::parse(printed.as_bytes()).as_ref(), Ok(&address));
    assert!(!printed.chars().any(char::is_control));
    let local = address.local();
    assert_eq!(
        local.check_length().is_ok(),
        local.as_str().len() <= LOCAL_PART_LIMIT
    );
    if let Address::Mailbox(mailbox) = &address {
        assert!(printed.len() + 2 <= PATH_LIMIT);
        check_domain(mailbox.domain());
        if let Some(ascii) = mailbox.to_ascii() {
            assert!(ascii.is_ascii());
            // In ACE it may be too long for a path; if not, it is the same mailbox.
            match Address::parse(ascii.as_bytes()) {
                Ok(again) => assert_eq!(again, address),
                Err(error) => assert_eq!(error, AddressError::PathTooLong),
            }
        }
    }
}

fn check_domain(domain: &Domain) {
    for form in [domain.as_str(), domain.to_ascii()] {
        assert_eq!(Domain::parse(form).as_ref(), Ok(domain));
        assert!(form.len() <= DOMAIN_LIMIT);
        assert!(!form.ends_with('.') && !form.is_empty());
    }
    assert!(domain.to_ascii().is_ascii());
    if let Some(address) = domain.ip() {
        assert_eq!(&Domain::from(address), domain);
    }
    if !domain.is_literal() {
        let mut labels = domain.to_ascii().split('.');
        assert!(labels.all(|label| (1..=LABEL_LIMIT).contains(&label.len())));
    }
}

fn paths(data: &[u8]) {
    if let Ok(taken) = ReversePath::take(data) {
        assert!(data.ends_with(taken.rest));
        let printed = taken.path.to_string();
        assert_eq!(ReversePath::parse(printed.as_bytes()), Ok(taken.path));
    }
    if let Ok(taken) = ForwardPath::take(data) {
        assert!(data.ends_with(taken.rest));
        assert!(data.len() - taken.rest.len() <= PATH_LIMIT);
        let printed = taken.path.to_string();
        assert_eq!(ForwardPath::parse(printed.as_bytes()), Ok(taken.path));
    }
}

fn parameters(data: &[u8]) {
    assert_eq!(
        xtext::decode(xtext::encode(data).as_bytes()).as_deref(),
        Ok(data)
    );
    if let Ok(orcpt) = Orcpt::parse(data) {
        assert!(!orcpt.address().chars().any(char::is_control));
        assert!(orcpt.to_ascii().is_ascii());
        let printed = orcpt.to_utf8();
        if printed.len() <= Orcpt::LIMIT {
            let again = Orcpt::parse(printed.as_bytes());
            assert_eq!(again.as_ref().map(Orcpt::address), Ok(orcpt.address()));
        }
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(envid) = Envid::parse(text) {
        assert_eq!(Envid::parse(&envid.to_string()), Ok(envid));
    }
    if let Ok(notify) = Notify::parse(text) {
        assert_eq!(Notify::parse(&notify.to_string()), Ok(notify));
        assert_eq!(Notify::from_letters(&notify.letters()), Ok(notify));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    #[test]
    fn the_corpus_is_read_right() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/address");
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
        #![proptest_config(ProptestConfig::with_cases(3000))]
        #[test]
        fn what_looks_like_an_address_is_read_right(text in "<?[aA1é.\"\\\\@,:;%!+=\\[\\]ü。xn-]{0,24}>?") {
            super::run(text.as_bytes());
        }

        #[test]
        fn noise_is_read_right(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            super::run(&octets);
        }
    }
}
