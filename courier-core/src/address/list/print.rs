use std::borrow::Cow;

use super::{Entry, HeaderAddress};

/// An address list as the value of a header field, not folded.
#[must_use]
pub fn print<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut separator: &[u8] = b"";
    for entry in entries {
        match entry {
            Entry::GroupEnd => {
                out.push(b';');
                separator = b", ";
                continue;
            }
            Entry::GroupStart(name) => {
                out.extend_from_slice(separator);
                phrase(&name, &mut out);
                out.push(b':');
                separator = b" ";
                continue;
            }
            Entry::Mailbox(address) => {
                out.extend_from_slice(separator);
                print_address(&address, &mut out);
            }
            Entry::Raw(raw) => {
                out.extend_from_slice(separator);
                out.extend_from_slice(raw);
            }
        }
        separator = b", ";
    }
    out
}

fn print_address(address: &HeaderAddress<'_>, out: &mut Vec<u8>) {
    let bare = address.name.is_none() && address.route.is_none();
    let bracketed = !bare || (address.mailbox.is_empty() && address.host.is_none());
    if let Some(name) = &address.name {
        phrase(name, out);
        out.push(b' ');
    }
    if bracketed {
        out.push(b'<');
    }
    if let Some(route) = &address.route {
        out.extend_from_slice(route);
        out.push(b':');
    }
    if !address.mailbox.is_empty() || address.host.is_some() {
        local_part(&address.mailbox, out);
    }
    if let Some(host) = &address.host {
        out.push(b'@');
        out.extend_from_slice(host);
    }
    if bracketed {
        out.push(b'>');
    }
}

/// Words with single blanks between need no quotes (RFC 5322 §3.2.5).
fn phrase(name: &[u8], out: &mut Vec<u8>) {
    let word = |word: &[u8]| !word.is_empty() && word.iter().copied().all(is_atext);
    if name.split(|&b| b == b' ').all(word) {
        out.extend_from_slice(name);
    } else {
        quoted(name, out);
    }
}

fn local_part(local: &[u8], out: &mut Vec<u8>) {
    if !local.is_empty() && local.iter().all(|&b| is_atext(b) || b == b'.') {
        out.extend_from_slice(local);
    } else {
        quoted(local, out);
    }
}

fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &octet in text {
        if matches!(octet, b'"' | b'\\') {
            out.push(b'\\');
        }
        // A line end would end the field.
        if !matches!(octet, b'\r' | b'\n') {
            out.push(octet);
        }
    }
    out.push(b'"');
}

fn is_atext(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet >= 0x80 || b"!#$%&'*+-/=?^_`{|}~".contains(&octet)
}

impl<'a> HeaderAddress<'a> {
    /// An address to print, with a name that may be any text.
    #[must_use]
    pub fn new(name: Option<&'a [u8]>, mailbox: &'a crate::address::Mailbox) -> Self {
        Self {
            name: name.map(Cow::Borrowed),
            route: None,
            mailbox: Cow::Borrowed(mailbox.local().as_str().as_bytes()),
            host: Some(Cow::Borrowed(mailbox.domain().as_str().as_bytes())),
            place: 0..0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Mailbox;

    #[test]
    fn names_are_quoted_where_needed() {
        let mailbox: Mailbox = "\"a b\"@example.com".parse().unwrap();
        let show = |name: &str| {
            let address = HeaderAddress::new(Some(name.as_bytes()), &mailbox);
            String::from_utf8(print([Entry::Mailbox(address)])).unwrap()
        };
        assert_eq!(show("Jane Doe"), "Jane Doe <\"a b\"@example.com>");
        assert_eq!(show("J. Doe"), "\"J. Doe\" <\"a b\"@example.com>");
        assert_eq!(show("a\r\nb\""), "\"ab\\\"\" <\"a b\"@example.com>");
        assert_eq!(show(""), "\"\" <\"a b\"@example.com>");
    }

    #[test]
    fn groups_and_raw_text() {
        let entries = || crate::address::list::parse(b"g: a@b, c d;, e");
        assert_eq!(print(entries()), b"g: a@b, c d;, e");
        assert_eq!(print(crate::address::list::parse(b"u:;")), b"u:;");
    }
}
