//! The names of folders as SMAP and `maildirmake -F` know them: any text may be a
//! level.

use std::fmt::Write as _;

/// Writes the name of one level as it stands in a directory's name. Courier: control
/// characters and those that have a meaning there are a backslash and three octal
/// digits, so IMAP shows the folder under another name.
#[must_use]
pub fn escape(level: &str) -> String {
    let mut out = String::with_capacity(level.len());
    for character in level.chars() {
        match character {
            '\0'..='\x1f' | '.' | '/' | '~' | ':' | '\\' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\{:03o}", u32::from(character));
            }
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_couriers_maildirmake_makes() {
        let cases = [
            ("x", "x"),
            ("x.y", "x\\056y"),
            ("a/b", "a\\057b"),
            ("a~b:c", "a\\176b\\072c"),
            ("a&b", "a&b"),
            ("a\\b", "a\\134b"),
            ("x\ty\u{1}", "x\\011y\\001"),
            ("é\u{7f}", "é\u{7f}"),
        ];
        for (text, expected) in cases {
            assert_eq!(escape(text), expected);
        }
    }

    proptest! {
        #[test]
        fn no_level_leaves_its_directory(one: String, other: String) {
            let escaped = escape(&one);
            prop_assert!(!escaped.contains(['/', '.', '\0']));
            prop_assert_eq!(escaped == escape(&other), one == other);
        }
    }
}
