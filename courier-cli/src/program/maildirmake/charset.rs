//! The charset of the locale.

use std::env;
use std::ffi::OsString;

use courier_core::message::charset::Charset as Known;

/// A charset in which arguments are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    /// Seven bits, as in the locales `C` and `POSIX`.
    Ascii,
    /// The first 256 characters of Unicode, octet for octet.
    Latin1,
    /// UTF-8.
    Utf8,
    /// Another that we can read.
    Other(Known),
    /// One that we cannot.
    Unknown,
}

/// The charset that the environment names: `MM_CHARSET`, else that of the locale in
/// `LC_ALL`, `LC_CTYPE` or `LANG`. Whether the locale is installed does not matter.
pub(super) fn of_locale() -> Charset {
    let variable = |name| env::var_os(name).filter(|value: &OsString| !value.is_empty());
    if let Some(charset) = variable("MM_CHARSET") {
        return named(&charset.to_string_lossy());
    }
    let locale = variable("LC_ALL").or_else(|| variable("LC_CTYPE"));
    let locale = locale.or_else(|| variable("LANG")).unwrap_or_default();
    in_locale(&locale.to_string_lossy())
}

/// The charset of `language_COUNTRY.CHARSET@variant`.
fn in_locale(locale: &str) -> Charset {
    let locale = locale.split('@').next().unwrap_or_default();
    match locale.split_once('.') {
        Some((_, charset)) => named(charset),
        None => Charset::Ascii,
    }
}

fn named(name: &str) -> Charset {
    // `iso88591` is how the system's own lists write it.
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    match plain.to_ascii_lowercase().as_str() {
        "utf8" => Charset::Utf8,
        "ascii" | "usascii" | "ansix341968" => Charset::Ascii,
        "iso88591" | "latin1" => Charset::Latin1,
        _ => Known::named(name.as_bytes()).map_or(Charset::Unknown, Charset::Other),
    }
}

impl Charset {
    /// The text of these octets; nothing if they are none.
    pub(super) fn decode(self, octets: &[u8]) -> Option<String> {
        match self {
            Self::Ascii if !octets.is_ascii() => None,
            Self::Ascii | Self::Utf8 => Some(std::str::from_utf8(octets).ok()?.to_owned()),
            Self::Latin1 => Some(octets.iter().copied().map(char::from).collect()),
            Self::Other(charset) => {
                let text = charset.decode(octets);
                (!text.contains('\u{fffd}')).then_some(text)
            }
            Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locales_name_their_charset() {
        assert_eq!(in_locale("C.UTF-8"), Charset::Utf8);
        assert_eq!(in_locale("en_US.utf8"), Charset::Utf8);
        assert_eq!(in_locale("de_DE.ISO-8859-1@euro"), Charset::Latin1);
        for locale in ["", "C", "POSIX", "en_US"] {
            assert_eq!(in_locale(locale), Charset::Ascii);
        }
        assert_eq!(in_locale("x.nonsense"), Charset::Unknown);
        assert!(matches!(in_locale("ru_RU.KOI8-R"), Charset::Other(_)));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert_eq!(Charset::Ascii.decode(b"\xc3\xa9"), None);
        assert_eq!(Charset::Utf8.decode(b"\xff"), None);
        assert_eq!(
            Charset::Latin1.decode(b"\xe9\x80").as_deref(),
            Some("é\u{80}")
        );
        assert_eq!(named("koi8-r").decode(b"\xc1").as_deref(), Some("а"));
        assert_eq!(Charset::Unknown.decode(b"a"), None);
    }
}
