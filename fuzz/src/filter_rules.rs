//! The recipe of webmail's filter rules, as a file that anybody may have written.
//!
//! What is read is written so that it is read back the same, each rule stays within
//! its statement, and a recipe of another kind is refused.
#![expect(
    clippy::expect_used,
    reason = "a fuzz body says by a panic what does not hold"
)]

use courier_maildir::autoresponse::Quota;
use courier_maildir::filter_rules::{Config, Places, Recipe};

/// Takes any file.
pub fn run(input: &[u8]) {
    let _ = Config::parse(input);
    let quota = Quota::parse(input);
    assert_eq!(Quota::parse(quota.to_string().as_bytes()), quota);
    for version in ["", "#MFMAILDROP=1\n", "#MFMAILDROP=2\n"] {
        let text = [version.as_bytes(), input].concat();
        let Ok(recipe) = Recipe::parse(&text) else {
            continue;
        };
        assert!(text.starts_with(b"#MFMAILDROP="));
        let printed = recipe.print(&Places::default());
        let again = Recipe::parse(printed.as_bytes()).expect("what is written is read");
        assert_eq!(again, recipe);
        let rules = recipe.rules().len();
        let lines = |wanted: fn(&str) -> bool| printed.lines().filter(|line| wanted(line)).count();
        assert_eq!(lines(|line| line.starts_with("if (")), rules);
        assert_eq!(lines(|line| line == "{"), rules);
        assert_eq!(lines(|line| line == "}"), rules);
        assert!(printed.ends_with("to \"./Maildir/.\"\n"));
        assert!(recipe.rules().iter().all(|rule| rule.name().len() <= 200));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_looks_like_a_recipe_is_read_right(
            text in "(##(Op:(contains|anymessage|hasrecipient|islargerthan|x)|Header:[a-z]{0,2}|Value:[a-z0-9/$\\[(]{0,3}|Folder:[.!*+a-z$\"]{0,4}|From:.|PlainString|DoesNot|Body|Continue|Name:[a-z]{0,2})\n){0,12}"
        ) {
            super::run(text.as_bytes());
        }

        #[test]
        fn noise_is_read_without_harm(data: Vec<u8>) {
            super::run(&data);
        }
    }
}
