//! A message as a person reads it: decoded, in Unicode.
//!
//! A [`View`] stands on the [`Structure`] that the scanner has found and bounded. It
//! decodes one part at a time, and only when asked. `mail-parser`, which turns HTML
//! into text here, sees single texts and never a whole message: it opens enclosed
//! messages without end, and 40,000 of them overflow the stack. Its types stay inside.

use std::borrow::Cow;

use memchr::memchr;

use super::charset::{self, Charset, Guess};
use super::encoded;
use super::header;
use super::parameter::Parameterized;
use super::structure::{Kind, Part, Structure};
use super::transfer::{Decoder, TransferEncoding};

/// Reads the parts of a message; they have the numbers that [`Structure`] gives them.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    message: &'a [u8],
    structure: &'a Structure,
}

/// What a part's content is, whatever its header claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Html,
    Other,
}

impl<'a> View<'a> {
    /// A view of a message, with what a scan of the same octets has found.
    #[must_use]
    pub fn new(message: &'a [u8], structure: &'a Structure) -> Self {
        Self { message, structure }
    }

    /// The first field of this name in a part's header, encoded words decoded.
    #[must_use]
    pub fn header(&self, number: usize, name: &str) -> Option<String> {
        let field = self.part(number)?.field(self.message, name)?;
        Some(encoded::decode(field.value))
    }

    /// The content of a part without its transfer encoding; of a multipart or an
    /// enclosed message, and in an unknown encoding, as it is stored.
    #[must_use]
    pub fn content(&self, number: usize) -> Option<Cow<'a, [u8]>> {
        let part = self.part(number)?;
        Some(decode(part, part.body_of(self.message)))
    }

    /// The text of a part in Unicode: of `text/*`, HTML as it is written, and of what
    /// is taken for plain text. `None` if the part is no text.
    #[must_use]
    pub fn text(&self, number: usize) -> Option<String> {
        let part = self.part(number)?;
        self.decoded(part, part.body_of(self.message))
    }

    /// The same in pieces, for texts of any length. An unlabelled one is read twice.
    #[must_use]
    pub fn text_pieces(&self, number: usize) -> Option<TextPieces<'a>> {
        let part = self.part(number)?;
        (self.form(part) != Form::Other).then(|| self.pieces(part, part.body_of(self.message)))
    }

    /// The text of a part as a person reads it: HTML without its tags.
    #[must_use]
    pub fn readable(&self, number: usize) -> Option<String> {
        let part = self.part(number)?;
        self.without_tags(part, part.body_of(self.message))
    }

    /// The part that a person reads first: the first plain text that is no
    /// attachment, or else the first HTML; enclosed messages are not looked into.
    #[must_use]
    pub fn main_text(&self) -> Option<usize> {
        let mut html = None;
        let mut next = Some(0);
        while let Some(number) = next {
            let part = self.part(number)?;
            next = match part.kind {
                Kind::Message => self.structure.after(number),
                _ => Some(number + 1).filter(|next| *next < self.structure.parts().len()),
            };
            if part.kind == Kind::Multipart || self.is_attachment(part) {
                continue;
            }
            match self.form(part) {
                Form::Plain => return Some(number),
                Form::Html => html = html.or(Some(number)),
                Form::Other => {}
            }
        }
        html
    }

    /// The beginning of what a person reads first, on one line, of at most this many
    /// characters (RFC 8970). Empty if there is no text.
    #[must_use]
    pub fn preview(&self, most: usize) -> String {
        let text = self.main_text().and_then(|number| {
            let part = self.part(number)?;
            let body = part.body_of(self.message);
            self.without_tags(part, body.get(..PREVIEWED).unwrap_or(body))
        });
        let mut preview = String::new();
        let mut characters = 0;
        for word in text.unwrap_or_default().split_whitespace() {
            if characters > 0 && characters < most {
                preview.push(' ');
                characters += 1;
            }
            for character in word.chars().filter(|character| !character.is_control()) {
                if characters >= most {
                    return preview.trim_end().to_owned();
                }
                preview.push(character);
                characters += 1;
            }
        }
        preview
    }

    /// The name that a part gives its file: from the disposition, or else the type.
    /// It may be anything, slashes included.
    #[must_use]
    pub fn file_name(&self, number: usize) -> Option<String> {
        let part = self.part(number)?;
        let disposition = part.field(self.message, "Content-Disposition");
        let disposition = disposition.and_then(|field| Parameterized::disposition(field.value));
        disposition
            .and_then(|disposition| encoded::parameter(&disposition, "filename"))
            .or_else(|| encoded::parameter(&part.media_type(self.message)?, "name"))
    }

    fn part(&self, number: usize) -> Option<&'a Part> {
        self.structure.part(number)
    }

    /// A part's text from these octets of its body.
    fn decoded(&self, part: &Part, body: &'a [u8]) -> Option<String> {
        if self.form(part) == Form::Other {
            return None;
        }
        let mut text = String::new();
        let mut pieces = self.pieces(part, body);
        while pieces.read(&mut text) {}
        Some(text)
    }

    fn pieces(&self, part: &Part, body: &'a [u8]) -> TextPieces<'a> {
        TextPieces {
            rest: body,
            transfer: Some(Decoder::new(part.encoding)),
            charset: Some(self.charset(part, part.body_of(self.message)).decoder()),
            octets: Vec::new(),
        }
    }

    fn without_tags(&self, part: &Part, body: &'a [u8]) -> Option<String> {
        let text = self.decoded(part, body)?;
        Some(match self.form(part) {
            Form::Html => mail_parser::decoders::html::html_to_text(&text),
            Form::Plain | Form::Other => text,
        })
    }

    fn is_attachment(&self, part: &Part) -> bool {
        let field = part.field(self.message, "Content-Disposition");
        let value = field.and_then(|field| Parameterized::disposition(field.value));
        value.is_some_and(|value| value.main.eq_ignore_ascii_case(b"attachment"))
    }

    fn form(&self, part: &Part) -> Form {
        match (part.kind, part.media_type(self.message)) {
            (Kind::Plain, _) | (Kind::Leaf, None) => Form::Plain,
            (Kind::Leaf, Some(found)) if found.main.eq_ignore_ascii_case(b"text") => {
                if found.sub.eq_ignore_ascii_case(b"html") {
                    Form::Html
                } else {
                    Form::Plain
                }
            }
            _ => Form::Other,
        }
    }

    fn charset(&self, part: &Part, body: &[u8]) -> Charset {
        let found = part.media_type(self.message);
        let name = found.as_ref().and_then(|found| found.parameter("charset"));
        // Text that calls itself ASCII and is not is as good as unlabelled.
        let named = name
            .filter(|name| !name.eq_ignore_ascii_case(b"us-ascii"))
            .and_then(Charset::named);
        if let Some(named) = named {
            return named;
        }
        let mut guess = Guess::default();
        let mut transfer = Decoder::new(part.encoding);
        let mut octets = Vec::new();
        for piece in body.chunks(PIECE) {
            octets.clear();
            transfer.decode(piece, &mut octets);
            if !guess.read(&octets) {
                break;
            }
        }
        octets.clear();
        transfer.finish(&mut octets);
        guess.read(&octets);
        guess.finish()
    }
}

/// Octets of a body that are decoded at a time.
const PIECE: usize = 32 * 1024;

/// The text of a part, piece by piece; see [`View::text_pieces`].
#[derive(Debug)]
pub struct TextPieces<'a> {
    rest: &'a [u8],
    /// Until the end.
    transfer: Option<Decoder>,
    charset: Option<charset::Decoder>,
    octets: Vec<u8>,
}

impl TextPieces<'_> {
    /// Appends the next piece, some 100 KiB at most; false if there is none.
    pub fn read(&mut self, text: &mut String) -> bool {
        let length = self.rest.len().min(PIECE);
        let (piece, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, b""));
        self.octets.clear();
        self.rest = rest;
        match (&mut self.transfer, &mut self.charset) {
            (Some(transfer), Some(charset)) if !piece.is_empty() => {
                transfer.decode(piece, &mut self.octets);
                charset.decode(&self.octets, text);
            }
            _ => {
                let (Some(transfer), Some(mut charset)) =
                    (self.transfer.take(), self.charset.take())
                else {
                    return false;
                };
                transfer.finish(&mut self.octets);
                charset.decode(&self.octets, text);
                charset.finish(text);
            }
        }
        true
    }
}

/// Octets of a body that a preview is made of.
const PREVIEWED: usize = 64 * 1024;

/// These octets of a part's body without their transfer encoding.
fn decode<'a>(part: &Part, body: &'a [u8]) -> Cow<'a, [u8]> {
    match (part.kind, part.encoding) {
        (Kind::Multipart | Kind::Message, _)
        | (_, TransferEncoding::Identity | TransferEncoding::Unknown) => Cow::Borrowed(body),
        (_, encoding) => Cow::Owned(encoding.decode(body)),
    }
}

/// Whether a header holds octets that are not ASCII: a message for those who have
/// `UTF8=ACCEPT` or SMTPUTF8 (RFC 6855, RFC 6531).
#[must_use]
pub fn has_eight_bit_header(message: &[u8]) -> bool {
    let header = message.get(..header::header_length(message));
    !header.unwrap_or_default().is_ascii()
}

/// Whether a text holds NUL, which only `binary` may.
#[must_use]
pub fn has_nul(text: &[u8]) -> bool {
    memchr(0, text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Limits, scan};
    use proptest::prelude::*;

    const MAIL: &str = "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\nContent-Type: multipart/mixed; boundary=o\n\n\
        --o\nContent-Type: message/rfc822\n\nSubject: inner\n\nnot this\n\
        --o\nContent-Type: multipart/alternative; boundary=a\n\n\
        --a\nContent-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n\
        <p>caf=E9 <b>au</b> lait</p>\n\
        --a\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nY2Fmw6kKIGF1ICBsYWl0Cg==\n--a--\n\
        --o\nContent-Type: image/png; name*=utf-8''%C3%A9.png\nContent-Disposition: attachment;\n filename=\"a b.png\"\nContent-Transfer-Encoding: base64\n\niVBORw==\n--o--\n";

    #[test]
    fn parts_are_decoded() {
        let structure = scan(MAIL.as_bytes(), &Limits::default());
        let view = View::new(MAIL.as_bytes(), &structure);
        assert_eq!(view.header(0, "subject").unwrap(), "Grüße");
        assert_eq!(view.main_text(), Some(5));
        assert_eq!(view.text(5).unwrap(), "café\n au  lait\n");
        assert_eq!(view.preview(200), "café au lait");
        assert_eq!(view.preview(5), "café");
        assert_eq!(view.preview(6), "café a");
        assert_eq!(view.text(4).unwrap(), "<p>café <b>au</b> lait</p>");
        assert_eq!(view.readable(4).unwrap().trim(), "café au lait");
        assert_eq!(view.content(6).unwrap(), &b"\x89PNG"[..]);
        assert_eq!(view.text(6), None);
        assert_eq!(view.file_name(6).unwrap(), "a b.png");
        assert_eq!(view.text(1), None);
        assert_eq!(view.text(99), None);
    }

    #[test]
    fn text_without_a_usable_charset_is_guessed() {
        for (label, text) in [
            ("", "é".as_bytes()),
            ("; charset=us-ascii", "é".as_bytes()),
            ("; charset=x-none", b"\xe9"),
        ] {
            let message = [
                format!("Content-Type: text/plain{label}\n\n").as_bytes(),
                text,
            ]
            .concat();
            let structure = scan(&message, &Limits::default());
            assert_eq!(View::new(&message, &structure).text(0).unwrap(), "é");
        }
    }

    #[test]
    fn nesting_without_end_overflows_nothing() {
        // The message of dependencies.md, plain and with its nesting encoded.
        let nested = "Content-Type: message/rfc822\n\n".repeat(40_000);
        let hidden = "Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\n"
            .to_owned() + &nested;
        let twice = "Content-Type: text/plain\n".to_owned() + &nested;
        for message in [nested, hidden, twice] {
            let structure = scan(message.as_bytes(), &Limits::default());
            let view = View::new(message.as_bytes(), &structure);
            for number in 0..structure.parts().len() {
                let _ = (
                    view.readable(number),
                    view.content(number),
                    view.file_name(number),
                );
            }
            assert!(structure.parts().len() <= 50);
            let _ = view.preview(100);
        }
    }

    #[test]
    fn facts_about_octets() {
        assert!(has_eight_bit_header("Subject: é\n\n".as_bytes()));
        assert!(!has_eight_bit_header("Subject: e\n\né".as_bytes()));
        assert!(has_nul(b"a\0") && !has_nul(b"a"));
    }

    proptest! {
        #[test]
        fn any_html_becomes_text(html in "[<>/!&;#a-z0-9é \n-]{0,80}") {
            let message = format!("Content-Type: text/html\n\n{html}");
            let structure = scan(message.as_bytes(), &Limits::default());
            let view = View::new(message.as_bytes(), &structure);
            prop_assert!(view.readable(0).is_some());
            prop_assert!(view.preview(7).chars().count() <= 7);
        }
    }
}
