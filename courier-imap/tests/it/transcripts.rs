//! Runs `tests/transcripts/*.txt`; `peer` has the words of their questions and answers.

use courier_core::testing::transcript;

use crate::peer::Scripted;

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                let text = include_str!(concat!("../transcripts/", stringify!($name), ".txt"));
                transcript::check(stringify!($name), text, || Scripted::new(text));
            }
        )*
    };
}

transcripts! {
    append
    append_stalls
    copy
    dates
    expunge
    fetch
    flood
    folders
    greeting
    http
    idle_too_long
    idle_without_mailbox
    literal_stalls
    login
    login_failures
    news
    refresh_by_time
    sasl
    search
    select
    starttls
    store
    too_slow
    wrong_after_login
    wrong_before_login
}
