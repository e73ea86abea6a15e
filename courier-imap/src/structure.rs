//! BODY and BODYSTRUCTURE: the MIME structure as IMAP writes it (RFC 3501 §7.4.2,
//! RFC 9051 §7.5.2).
//!
//! Types, parameters and encodings are as the message has them, names in its own case.
//! Sections of parameters are put together (RFC 2231 §6), nothing is decoded.

use std::borrow::Cow;

use courier_core::message::encoded;
use courier_core::message::header;
use courier_core::message::parameter::{Parameter, Parameterized};
use courier_core::message::structure::{Kind, Part, Structure};

pub use crate::answer::MOST_OCTETS;
use crate::answer::Writer;
use crate::envelope;

/// Which of the two answers is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// `BODY`: without extension data.
    Body,
    /// `BODYSTRUCTURE`: with extension data.
    BodyStructure,
}

/// Which standard the client follows. In IMAP4rev1 `message/global` is a type like
/// any other; in IMAP4rev2 it is answered as `message/rfc822` is (RFC 9051 §7.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revision {
    /// RFC 3501
    Imap4Rev1,
    /// RFC 9051
    Imap4Rev2,
}

/// The answer for a message, in parentheses; with what a scan of it has found. It
/// walks the parts by recursion, as deep as the scan was allowed to go.
#[must_use]
pub fn body(message: &[u8], structure: &Structure, detail: Detail, revision: Revision) -> Vec<u8> {
    let mut printer = Printer {
        message,
        structure,
        detail,
        revision,
        writer: Writer::default(),
    };
    printer.part(0);
    printer.writer.finish()
}

struct Printer<'a> {
    message: &'a [u8],
    structure: &'a Structure,
    detail: Detail,
    revision: Revision,
    writer: Writer,
}

/// The fields of a part that its structure is about; of each name the first.
#[derive(Default)]
struct Fields<'a> {
    content_type: Option<&'a [u8]>,
    encoding: Option<&'a [u8]>,
    id: Option<&'a [u8]>,
    description: Option<&'a [u8]>,
    md5: Option<&'a [u8]>,
    disposition: Option<&'a [u8]>,
    language: Option<&'a [u8]>,
    location: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn of(header: &'a [u8]) -> Self {
        let mut found = Self::default();
        for field in header::fields(header) {
            let slots = [
                ("Content-Type", &mut found.content_type),
                ("Content-Transfer-Encoding", &mut found.encoding),
                ("Content-ID", &mut found.id),
                ("Content-Description", &mut found.description),
                ("Content-MD5", &mut found.md5),
                ("Content-Disposition", &mut found.disposition),
                ("Content-Language", &mut found.language),
                ("Content-Location", &mut found.location),
            ];
            if !matches!(field.name.first(), Some(b'C' | b'c')) {
                continue;
            }
            if let Some((_, slot)) = slots.into_iter().find(|(name, _)| field.is(name)) {
                slot.get_or_insert(field.value);
            }
        }
        found
    }
}

/// The three forms of a part that is no multipart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Basic,
    Text,
    Message,
}

impl Printer<'_> {
    fn part(&mut self, number: usize) {
        let Some(part) = self.structure.part(number) else {
            return self.nothing();
        };
        let fields = Fields::of(part.header_of(self.message));
        self.writer.raw(b"(");
        match part.kind {
            Kind::Multipart => self.multipart(number, &fields),
            _ => self.single(number, part, &fields),
        }
        self.writer.raw(b")");
    }

    fn multipart(&mut self, number: usize, fields: &Fields<'_>) {
        let mut children = self.structure.children(number).peekable();
        if children.peek().is_none() {
            // The grammar wants one.
            self.nothing();
        }
        for child in children {
            self.part(child);
        }
        let media_type = fields.content_type.and_then(Parameterized::media_type);
        self.writer.raw(b" ");
        match &media_type {
            Some(media_type) => self.writer.value(media_type.sub),
            None => self.writer.raw(b"\"mixed\""),
        }
        if self.detail == Detail::BodyStructure {
            self.writer.raw(b" ");
            let parameters = media_type.as_ref().map(|found| &*found.parameters);
            self.parameters(parameters.unwrap_or_default());
            self.extension(fields);
        }
    }

    /// A part without text, where there is none.
    fn nothing(&mut self) {
        self.writer
            .raw(b"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0");
        if self.detail == Detail::BodyStructure {
            self.writer.raw(b" NIL NIL NIL NIL");
        }
        self.writer.raw(b")");
    }

    fn single(&mut self, number: usize, part: &Part, fields: &Fields<'_>) {
        let form = self.media_type(part, fields);
        self.writer.raw(b" ");
        self.writer.nvalue(fields.id);
        self.writer.raw(b" ");
        self.writer.nvalue(fields.description);
        self.writer.raw(b" ");
        match fields.encoding.and_then(Parameterized::disposition) {
            Some(encoding) => self.writer.value(encoding.main),
            None => self.writer.raw(b"\"7bit\""),
        }
        self.writer.raw(b" ");
        self.writer.number(part.body_size.wire());
        if let (Form::Message, Some(inner)) = (form, self.structure.children(number).next()) {
            self.writer.raw(b" ");
            envelope::write(part.body_of(self.message), &mut self.writer);
            self.writer.raw(b" ");
            self.part(inner);
        }
        if form != Form::Basic {
            self.writer.raw(b" ");
            self.writer.number(part.body_size.lines);
        }
        if self.detail == Detail::BodyStructure {
            self.writer.raw(b" ");
            self.writer.nvalue(fields.md5);
            self.extension(fields);
        }
    }

    /// Type, subtype and parameters.
    fn media_type(&mut self, part: &Part, fields: &Fields<'_>) -> Form {
        let found = fields.content_type.and_then(Parameterized::media_type);
        match (part.kind, found) {
            (Kind::Opaque, _) => {
                self.writer.raw(b"\"application\" \"octet-stream\" NIL");
                Form::Basic
            }
            // In a digest.
            (Kind::Message, None) => {
                self.writer.raw(b"\"message\" \"rfc822\" NIL");
                Form::Message
            }
            (Kind::Plain, _) | (_, None) => {
                self.writer
                    .raw(b"\"text\" \"plain\" (\"charset\" \"us-ascii\")");
                Form::Text
            }
            (kind, Some(found)) => {
                self.writer.value(found.main);
                self.writer.raw(b" ");
                self.writer.value(found.sub);
                self.writer.raw(b" ");
                self.parameters(&found.parameters);
                let is_global = found.sub.eq_ignore_ascii_case(b"global");
                if kind == Kind::Message && !(is_global && self.revision == Revision::Imap4Rev1) {
                    Form::Message
                } else if found.main.eq_ignore_ascii_case(b"text") {
                    Form::Text
                } else {
                    Form::Basic
                }
            }
        }
    }

    fn parameters(&mut self, parameters: &[Parameter<'_>]) {
        let mut before: &[u8] = b"(";
        for parameter in encoded::merge(parameters) {
            self.writer.raw(before);
            let mut name = Cow::Borrowed(parameter.name);
            if parameter.is_extended {
                name.to_mut().push(b'*');
            }
            self.writer.value(&name);
            self.writer.raw(b" ");
            self.writer.value(&parameter.value);
            before = b" ";
        }
        self.writer.raw(if before == b"(" { b"NIL" } else { b")" });
    }

    /// Disposition, language and location, each with a blank before it.
    fn extension(&mut self, fields: &Fields<'_>) {
        match fields.disposition.and_then(Parameterized::disposition) {
            Some(disposition) => {
                self.writer.raw(b" (");
                self.writer.value(disposition.main);
                self.writer.raw(b" ");
                self.parameters(&disposition.parameters);
                self.writer.raw(b")");
            }
            None => self.writer.raw(b" NIL"),
        }
        let languages = fields.language.unwrap_or_default();
        let languages = languages
            .split(|&octet| octet == b',')
            .map(<[u8]>::trim_ascii)
            .filter(|language| !language.is_empty());
        let mut before: &[u8] = b" (";
        for language in languages {
            if self.writer.is_full() {
                break;
            }
            self.writer.raw(before);
            self.writer.value(language);
            before = b" ";
        }
        self.writer
            .raw(if before == b" (" { b" NIL" } else { b")" });
        self.writer.raw(b" ");
        self.writer.nvalue(fields.location);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use courier_core::message::{Limits, scan};

    fn text(message: &str, detail: Detail) -> String {
        let structure = scan(message.as_bytes(), &Limits::default());
        let body = body(message.as_bytes(), &structure, detail, Revision::Imap4Rev1);
        String::from_utf8(body).unwrap()
    }

    fn both(message: &str) -> [String; 2] {
        [Detail::Body, Detail::BodyStructure].map(|detail| text(message, detail))
    }

    #[test]
    fn the_bodies_of_the_rfc() {
        // RFC 3501 §7.4.2: a simple text of 48 lines and 2279 octets; there in capitals.
        let line = "x".repeat(45);
        let lines = format!("{line}\n").repeat(47) + &"y".repeat(2279 - 47 * 47 - 2) + "\n";
        let simple = format!(
            "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\nContent-Transfer-Encoding: 7BIT\n\n{lines}"
        );
        assert_eq!(
            text(&simple, Detail::Body),
            r#"("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 2279 48)"#
        );
        // The second one: a text, and a text in base64 with name, id and description.
        let part =
            |octets: usize, lines: usize| "\n".repeat(lines) + &"z".repeat(octets - 2 * lines);
        let mixed = format!(
            "Content-Type: MULTIPART/MIXED; BOUNDARY=b\n\n--b\n\
             Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\nContent-Transfer-Encoding: 7BIT\n\n{}\n--b\n\
             Content-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME=\"cc.diff\"\n\
             Content-ID: <960723163407.20117h@cac.washington.edu>\n\
             Content-Description: Compiler diff\nContent-Transfer-Encoding: BASE64\n\n{}\n--b--\n",
            part(1152, 23),
            part(4554, 73)
        );
        assert_eq!(
            text(&mixed, Detail::Body),
            r#"(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1152 23)("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff") "<960723163407.20117h@cac.washington.edu>" "Compiler diff" "BASE64" 4554 73) "MIXED")"#
        );
    }

    #[test]
    fn extension_data_is_of_every_part() {
        let message = "Content-Type: multipart/mixed; boundary=o\nContent-Language: en\n\n--o\n\
            Content-Type: image/png; name*0*=utf-8''%C3%A9; name*1=\".png\"\n\
            Content-Disposition: attachment; filename=\"a \\\" b\"; size=3\n\
            Content-Language: en, de\nContent-MD5: Q2hlY2s=\nContent-Location: x/y\n\nabc\n--o--\n";
        assert_eq!(
            both(message),
            [
                r#"(("image" "png" ("name*" "utf-8''%C3%A9.png") NIL NIL "7bit" 3) "mixed")"#,
                r#"(("image" "png" ("name*" "utf-8''%C3%A9.png") NIL NIL "7bit" 3 "Q2hlY2s=" ("attachment" ("filename" "a \" b" "size" "3")) ("en" "de") "x/y") "mixed" ("boundary" "o") NIL ("en") NIL)"#,
            ]
        );
    }

    #[test]
    fn enclosed_messages_have_envelope_body_and_lines() {
        let message = "Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: in\nContent-Type: text/x\n\nb\n";
        let envelope = r#"(NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL)"#;
        assert_eq!(
            both(message),
            [
                format!(
                    r#"("message" "rfc822" NIL NIL NIL "8bit" 40 {envelope} ("text" "x" NIL NIL NIL "7bit" 3 1) 4)"#
                ),
                format!(
                    r#"("message" "rfc822" NIL NIL NIL "8bit" 40 {envelope} ("text" "x" NIL NIL NIL "7bit" 3 1 NIL NIL NIL NIL) 4 NIL NIL NIL NIL)"#
                ),
            ]
        );
        let global = message.replace("rfc822", "global");
        assert_eq!(
            text(&global, Detail::Body),
            r#"("message" "global" NIL NIL NIL "8bit" 40)"#
        );
        let structure = scan(global.as_bytes(), &Limits::default());
        let rev2 = body(
            global.as_bytes(),
            &structure,
            Detail::Body,
            Revision::Imap4Rev2,
        );
        assert!(String::from_utf8(rev2).unwrap().contains(envelope));
    }

    #[test]
    fn what_has_no_type_is_given_one() {
        let plain = r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1)"#;
        for header in [
            "",
            "Content-Type: text\n",
            "Content-Type: multipart/mixed\n",
        ] {
            assert_eq!(text(&format!("{header}\nx\n"), Detail::Body), plain);
        }
        let digest = "Content-Type: multipart/digest; boundary=d\n\n--d\n\n\nx\n--d--\n";
        assert!(
            text(digest, Detail::Body)
                .starts_with(r#"(("message" "rfc822" NIL NIL NIL "7bit" 3 ("#)
        );
        let encoded = "Content-Type: message/rfc822\nContent-Transfer-Encoding: BASE64\n\nx\n";
        assert_eq!(
            text(encoded, Detail::Body),
            r#"("application" "octet-stream" NIL NIL NIL "BASE64" 3)"#
        );
        let empty = "Content-Type: multipart/mixed; boundary=d\n\n";
        assert_eq!(
            text(empty, Detail::Body),
            r#"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) "mixed")"#
        );
    }

    #[test]
    fn an_answer_is_bounded() {
        let part = format!(
            "--b\nContent-Type: x/y; a={}\nContent-Language: {}\n\n\n",
            "v".repeat(1000),
            "l,".repeat(500)
        );
        let message = format!(
            "Content-Type: multipart/mixed; boundary=b\n\n{}",
            part.repeat(10_000)
        );
        let length = text(&message, Detail::BodyStructure).len();
        assert!((MOST_OCTETS..2 * MOST_OCTETS).contains(&length), "{length}");
    }
}
