//! Which messages a key means, as far as the messages themselves decide it (RFC 3501
//! §6.4.4).
//!
//! Fields and texts are compared decoded, in Unicode and case folded. Of the body the
//! texts are searched, the headers of enclosed messages, and the names of files; what
//! else is attached is not. However many keys there are, every text is decoded once
//! and is never held whole.

use courier_core::message::date::Date;
use courier_core::message::encoded;
use courier_core::message::header::{self, Field};
use courier_core::message::structure::{Kind, Structure};
use courier_core::message::view::View;
use memchr::memmem::{self, Finder};

use super::key::{Key, Text, fold};

/// Whether a message is one that the key means. Keys that its octets do not decide
/// (flags, numbers, internal dates, sizes) are put to `other`. The body is read only
/// if nothing else decides. Walks the key by recursion: see [`super::key::DEEPEST`].
pub fn matches(
    key: &Key,
    message: &[u8],
    structure: &Structure,
    other: &mut dyn FnMut(&Key) -> bool,
) -> bool {
    decide(key, message, None, other).unwrap_or_else(|| {
        let mut texts = Vec::new();
        body_texts(key, &mut texts);
        let found = search_body(message, structure, texts);
        decide(key, message, Some(&found), other).unwrap_or(false)
    })
}

/// Decides a key without the body, or with the texts that were found in it; `None` if
/// the body would decide.
fn decide(
    key: &Key,
    message: &[u8],
    body: Option<&[&str]>,
    other: &mut dyn FnMut(&Key) -> bool,
) -> Option<bool> {
    let in_body = |text: &Text| body.map(|found| found.contains(&text.as_str()));
    Some(match key {
        Key::From(text) => field_contains(message, b"From", text),
        Key::To(text) => field_contains(message, b"To", text),
        Key::Cc(text) => field_contains(message, b"Cc", text),
        Key::Bcc(text) => field_contains(message, b"Bcc", text),
        Key::Subject(text) => field_contains(message, b"Subject", text),
        Key::Header(name, text) => field_contains(message, name.as_bytes(), text),
        Key::Body(text) | Key::Text(text) if text.as_str().is_empty() => true,
        Key::Text(text) if header_contains(message, text) => true,
        Key::Body(text) | Key::Text(text) => return in_body(text),
        Key::SentBefore(date) => sent(message).is_some_and(|sent| sent < *date),
        Key::SentOn(date) => sent(message).is_some_and(|sent| sent == *date),
        Key::SentSince(date) => sent(message).is_some_and(|sent| sent >= *date),
        Key::Not(key) => return decide(key, message, body, other).map(|decided| !decided),
        Key::Or(one, two) => {
            return some_is([&**one, &**two].into_iter(), true, message, body, other);
        }
        Key::And(keys) => return some_is(keys.iter(), false, message, body, other),
        Key::All => true,
        _ => other(key),
    })
}

/// Decides keys of which one that has this value decides all.
fn some_is<'k>(
    keys: impl Iterator<Item = &'k Key>,
    value: bool,
    message: &[u8],
    body: Option<&[&str]>,
    other: &mut dyn FnMut(&Key) -> bool,
) -> Option<bool> {
    let mut decided = Some(!value);
    for key in keys {
        match decide(key, message, body, other) {
            Some(found) if found == value => return Some(value),
            Some(_) => {}
            None => decided = None,
        }
    }
    decided
}

/// The texts that a key wants to be looked for in the body.
fn body_texts<'k>(key: &'k Key, texts: &mut Vec<&'k str>) {
    match key {
        Key::Body(text) | Key::Text(text) => texts.push(text.as_str()),
        Key::Not(key) => body_texts(key, texts),
        Key::Or(one, two) => {
            body_texts(one, texts);
            body_texts(two, texts);
        }
        Key::And(keys) => keys.iter().for_each(|key| body_texts(key, texts)),
        _ => {}
    }
}

/// Whether a field of this name contains the text; with no text, whether there is one.
fn field_contains(message: &[u8], name: &[u8], text: &Text) -> bool {
    header::fields(message)
        .filter(|field| field.name.eq_ignore_ascii_case(name))
        .any(|field| text.as_str().is_empty() || value_contains(&field, text))
}

fn value_contains(field: &Field<'_>, text: &Text) -> bool {
    let value = fold(&encoded::decode(field.value));
    memmem::find(value.as_bytes(), text.as_str().as_bytes()).is_some()
}

/// Whether some field contains the text, names included.
fn header_contains(message: &[u8], text: &Text) -> bool {
    header::fields(message)
        .any(|field| memmem::find(line(&field).as_bytes(), text.as_str().as_bytes()).is_some())
}

/// A field as it is searched when no name is asked for.
fn line(field: &Field<'_>) -> String {
    let name = String::from_utf8_lossy(field.name);
    fold(&format!("{name}: {}", encoded::decode(field.value)))
}

/// The day of the Date field as it is written there.
fn sent(message: &[u8]) -> Option<Date> {
    Date::parse(header::field(message, "Date")?.value).ok()
}

/// The texts, folded and not empty, that are somewhere in the body.
fn search_body<'k>(message: &[u8], structure: &Structure, texts: Vec<&'k str>) -> Vec<&'k str> {
    let mut haystack = Haystack::new(texts);
    let view = View::new(message, structure);
    for (number, part) in structure.parts().iter().enumerate() {
        if haystack.sought.is_empty() {
            break;
        }
        let parent = part.parent.and_then(|parent| structure.part(parent));
        if parent.is_some_and(|parent| parent.kind == Kind::Message) {
            for field in header::fields(part.header_of(message)) {
                haystack.add(&line(&field));
                haystack.end();
            }
        }
        if let Some(name) = view.file_name(number) {
            haystack.add(&fold(&name));
            haystack.end();
        }
        if let Some(mut pieces) = view.text_pieces(number) {
            let mut text = String::new();
            while pieces.read(&mut text) && !haystack.sought.is_empty() {
                haystack.add(&fold(&text));
                text.clear();
            }
            haystack.end();
        }
    }
    haystack.found
}

/// Text that goes by, and what is sought in it.
struct Haystack<'k> {
    sought: Vec<(&'k str, Finder<'k>)>,
    found: Vec<&'k str>,
    /// The end of what went by, in which a sought text may have begun, and what
    /// follows it.
    window: String,
    /// Octets of the longest text sought.
    longest: usize,
}

impl<'k> Haystack<'k> {
    fn new(mut texts: Vec<&'k str>) -> Self {
        texts.sort_unstable();
        texts.dedup();
        Self {
            longest: texts.iter().map(|text| text.len()).max().unwrap_or(0),
            sought: texts
                .into_iter()
                .map(|text| (text, Finder::new(text)))
                .collect(),
            found: Vec::new(),
            window: String::new(),
        }
    }

    /// Searches the next piece of a text.
    fn add(&mut self, piece: &str) {
        self.window.push_str(piece);
        let (window, found) = (self.window.as_bytes(), &mut self.found);
        self.sought.retain(|(text, finder)| {
            let is_there = finder.find(window).is_some();
            if is_there {
                found.push(text);
            }
            !is_there
        });
        let mut cut = self.window.len().saturating_sub(self.longest);
        while !self.window.is_char_boundary(cut) {
            cut -= 1;
        }
        self.window.drain(..cut);
    }

    /// Ends a text: nothing reaches from it into the next.
    fn end(&mut self) {
        self.window.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::FieldName;
    use super::*;
    use courier_core::message::{Limits, scan};
    use proptest::prelude::*;

    const MAIL: &str = "From: =?utf-8?Q?J=C3=BCrgen?= <jm@Example.COM>\n\
        To: a@example.com\nto: b@example.net\nX-Empty:\n\
        Subject: =?iso-8859-1?Q?Gr=FC=DFe_aus?=\n =?utf-8?B?S8O2bG4=?=\n\
        Date: Mon, 23 Nov 2026 23:59:23 -0800\n\
        Content-Type: multipart/mixed; boundary=b\n\n\
        preamble\n--b\nContent-Type: text/plain; charset=koi8-r\nContent-Transfer-Encoding: base64\n\n8NLJ18XU\n\
        --b\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n<b>caf=\n=C3=A9</b>\n\
        --b\nContent-Type: message/rfc822\n\nSubject: enclosed\n\ndeep text\n\
        --b\nContent-Type: image/png; name*=utf-8''%C3%9Cber.png\nContent-Transfer-Encoding: base64\n\nc2VjcmV0\n--b--\n";

    fn text(text: &str) -> Text {
        Text::new(text)
    }

    fn is_match(key: &Key, message: &[u8]) -> bool {
        let structure = scan(message, &Limits::default());
        matches(key, message, &structure, &mut |_| panic!("{key:?}"))
    }

    fn found(key: &Key) -> bool {
        let found = is_match(key, MAIL.as_bytes());
        let crlf = MAIL.replace('\n', "\r\n");
        assert_eq!(is_match(key, crlf.as_bytes()), found, "{key:?}");
        let not = Key::Not(Box::new(key.clone()));
        assert_eq!(is_match(&not, MAIL.as_bytes()), !found, "{key:?}");
        found
    }

    #[test]
    fn fields_are_searched_decoded_and_folded() {
        assert!(found(&Key::From(text("JÜRGEN"))));
        assert!(found(&Key::From(text("jm@example.com"))));
        assert!(!found(&Key::From(text("=?utf-8?"))));
        assert!(found(&Key::Subject(text("grüße ausköln"))));
        assert!(found(&Key::To(text("b@example"))));
        assert!(found(&Key::To(text("a@example"))));
        assert!(!found(&Key::Cc(text("a"))));
        assert!(!found(&Key::Bcc(text(""))));
    }

    #[test]
    fn no_text_means_that_the_field_is_there() {
        let header = |name: &[u8], value| Key::Header(FieldName::parse(name).unwrap(), text(value));
        assert!(found(&header(b"x-EMPTY", "")));
        assert!(!found(&header(b"x-empty", "a")));
        assert!(!found(&header(b"x-missing", "")));
        assert!(found(&header(b"Content-type", "MIXED")));
        assert!(found(&Key::Text(text(""))) && found(&Key::Body(text(""))));
    }

    #[test]
    fn bodies_are_searched_decoded() {
        for (sought, is_in_body, is_in_text) in [
            ("привет", true, true),
            ("CAFÉ", true, true),
            ("deep TEXT", true, true),
            ("subject: enclosed", true, true),
            ("über.png", true, true),
            ("grüße", false, true),
            ("from: jürgen", false, true),
            ("preamble", false, false),
            ("secret", false, false),
            ("c2VjcmV0", false, false),
            ("8NLJ", false, false),
        ] {
            assert_eq!(found(&Key::Body(text(sought))), is_in_body, "{sought}");
            assert_eq!(found(&Key::Text(text(sought))), is_in_text, "{sought}");
        }
    }

    #[test]
    fn sent_dates_disregard_time_and_zone() {
        let day = |day| Date::new(2026, 11, day).unwrap();
        assert!(found(&Key::SentOn(day(23))) && !found(&Key::SentOn(day(24))));
        assert!(found(&Key::SentBefore(day(24))) && !found(&Key::SentBefore(day(23))));
        assert!(found(&Key::SentSince(day(23))) && !found(&Key::SentSince(day(24))));
        assert!(!is_match(&Key::SentSince(day(1)), b"Date: soon\n\n"));
    }

    #[test]
    fn keys_join_and_only_undecided_ones_read_the_body() {
        let (yes, no) = (Key::Body(text("café")), Key::Body(text("tea")));
        let or = |one: &Key, two: &Key| Key::Or(Box::new(one.clone()), Box::new(two.clone()));
        let and = |keys: &[&Key]| Key::And(keys.iter().map(|&key| key.clone()).collect());
        assert!(found(&or(&yes, &no)) && !found(&or(&no, &no)));
        assert!(!found(&and(&[&yes, &no])) && found(&and(&[&yes, &yes, &Key::All])));
        assert!(found(&and(&[])));

        let structure = scan(MAIL.as_bytes(), &Limits::default());
        let mut asked = 0;
        let mut other = |key: &Key| {
            asked += 1;
            *key == Key::Old
        };
        let key = and(&[&Key::Old, &yes, &Key::Not(Box::new(Key::New))]);
        assert!(matches(&key, MAIL.as_bytes(), &structure, &mut other));
        assert!(!matches(
            &and(&[&yes, &Key::New]),
            MAIL.as_bytes(),
            &structure,
            &mut other
        ));
        assert_eq!(asked, 5);
        assert_eq!(
            decide(
                &and(&[&yes, &Key::Cc(text("x"))]),
                MAIL.as_bytes(),
                None,
                &mut |_| true
            ),
            Some(false)
        );
    }

    #[test]
    fn unlabelled_and_mislabelled_texts_are_found() {
        for message in [
            "\nmotörhead".as_bytes(),
            b"\nmot\xf6rhead",
            "Content-Type: text/plain; charset=us-ascii\n\nmotörhead".as_bytes(),
            b"Content-Type: text/plain; charset=x-none\n\nmot\xf6rhead",
            b"Content-Type: multipart/mixed\n\nmot\xf6rhead",
            b"Content-Type: text/plain; charset=utf-7\n\nmot+APY-rhead",
            b"Subject: mot\xf6rhead\n\n",
        ] {
            assert!(is_match(&Key::Text(text("MOTÖRHEAD")), message));
        }
    }

    #[test]
    fn many_texts_are_sought_in_one_reading() {
        let body = format!("\n{}needle{}", "hay ".repeat(200_000), " hay".repeat(1000));
        let keys =
            (0..999).map(|number| Key::Not(Box::new(Key::Body(text(&format!("straw{number}"))))));
        let mut keys: Vec<_> = keys.collect();
        keys.push(Key::Body(text("NEEDLE")));
        assert!(is_match(&Key::And(keys), body.as_bytes()));
    }

    proptest! {
        #[test]
        fn texts_across_pieces_are_found(before in 0_usize..200_000, sought in "[a-zäß€]{1,40}") {
            // Pieces are cut at 32 KiB.
            let body = format!("\n{}{sought}", ".".repeat(before));
            prop_assert!(is_match(&Key::Body(text(&sought)), body.as_bytes()));
        }
    }
}
