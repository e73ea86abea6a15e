//! Addresses of all kinds, for property tests.

use proptest::prelude::*;

use super::{Domain, ForwardPath, LocalPart, Mailbox, ReversePath};

pub(crate) fn local_part() -> impl Strategy<Value = LocalPart> {
    let text = prop_oneof![
        "[a-z0-9.+]{1,20}",
        "[ -~]{1,70}",
        "[a-zäö中 \"\\\\@.]{1,12}",
        "\\PC{1,30}",
    ];
    text.prop_filter_map("no controls", |text| LocalPart::from_plain(&text).ok())
}

pub(crate) fn domain() -> impl Strategy<Value = Domain> {
    let text = prop_oneof![
        "[a-z][a-z0-9]{0,10}(\\.[a-z][a-z0-9_]{0,5}){0,3}",
        "[a-zäö中]{1,6}\\.example",
        Just("[192.0.2.7]".to_owned()),
        Just("[IPv6:2001:db8::7]".to_owned()),
    ];
    text.prop_filter_map("IDNA", |text| Domain::parse(&text).ok())
}

pub(crate) fn mailbox() -> impl Strategy<Value = Mailbox> {
    (local_part(), domain())
        .prop_filter_map("length", |(local, domain)| Mailbox::new(local, domain).ok())
}

pub(crate) fn reverse_path() -> impl Strategy<Value = ReversePath> {
    prop_oneof![
        Just(ReversePath::Null),
        mailbox().prop_map(ReversePath::Mailbox)
    ]
}

pub(crate) fn forward_path() -> impl Strategy<Value = ForwardPath> {
    prop_oneof![
        Just(ForwardPath::Postmaster),
        mailbox().prop_map(ForwardPath::Mailbox)
    ]
}
