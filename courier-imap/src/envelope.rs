//! ENVELOPE: the fields of a header that clients list (RFC 3501 §7.4.2).
//!
//! Values are those of the header, unfolded and not decoded: encoded words are the
//! client's business. Of several Subject, Date, In-Reply-To or Message-ID fields the
//! first counts; the addresses of several others are taken together.

use courier_core::address::list::{self, Entry};
use courier_core::message::header;
use smallvec::SmallVec;

use crate::answer::Writer;

/// The answer for the header that `message` begins with, in parentheses; at most
/// [`crate::structure::MOST_OCTETS`] and a little.
#[must_use]
pub fn envelope(message: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    write(message, &mut writer);
    writer.finish()
}

/// Octets of a field's value that are shown. The header of new mail is no longer.
const MOST_OF_A_FIELD: usize = 100_000;

/// The fields of an envelope, in its order.
const NAMES: [&str; 10] = [
    "Date",
    "Subject",
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "In-Reply-To",
    "Message-ID",
];

/// The values of the fields of one name.
type Values<'a> = SmallVec<[&'a [u8]; 1]>;

fn values(message: &[u8]) -> [Values<'_>; 10] {
    let mut found: [Values<'_>; 10] = Default::default();
    for field in header::fields(message) {
        let slot = NAMES.iter().position(|name| field.is(name));
        if let Some(slot) = slot.and_then(|slot| found.get_mut(slot)) {
            let value = field.value;
            slot.push(value.get(..MOST_OF_A_FIELD).unwrap_or(value));
        }
    }
    found
}

/// Writes the envelope of the header that `message` begins with.
pub(crate) fn write(message: &[u8], writer: &mut Writer) {
    let [
        date,
        subject,
        from,
        sender,
        reply_to,
        to,
        cc,
        bcc,
        in_reply_to,
        id,
    ] = values(message);
    writer.raw(b"(");
    writer.nvalue(date.first().copied());
    writer.raw(b" ");
    writer.nvalue(subject.first().copied());
    // RFC 3501 §7.4.2: where Sender or Reply-To are missing or empty, From stands.
    let nothing = Values::new();
    for [fields, or] in [
        [&from, &nothing],
        [&sender, &from],
        [&reply_to, &from],
        [&to, &nothing],
        [&cc, &nothing],
        [&bcc, &nothing],
    ] {
        writer.raw(b" ");
        addresses(fields, or, writer);
    }
    writer.raw(b" ");
    writer.nvalue(in_reply_to.first().copied());
    writer.raw(b" ");
    writer.nvalue(id.first().copied());
    writer.raw(b")");
}

/// Writes the addresses in fields of one name, or in the others if there are none.
fn addresses(fields: &[&[u8]], or: &[&[u8]], writer: &mut Writer) {
    let has_some = |value: &&[u8]| list::parse(value).next().is_some();
    let fields = if fields.iter().any(has_some) {
        fields
    } else {
        or
    };
    let mut before: &[u8] = b"(";
    let mut is_in_group = false;
    for entry in fields.iter().flat_map(|value| list::parse(value)) {
        if writer.is_full() {
            break;
        }
        writer.raw(before);
        before = b"";
        address(&entry, writer);
        match entry {
            Entry::GroupStart(_) => is_in_group = true,
            Entry::GroupEnd => is_in_group = false,
            Entry::Mailbox(_) | Entry::Raw(_) => {}
        }
    }
    if is_in_group {
        address(&Entry::GroupEnd, writer);
    }
    writer.raw(if before.is_empty() { b")" } else { b"NIL" });
}

/// Writes one address: name, route, local part and domain. A group begins with an
/// address that has no domain, and ends with one that has nothing at all; so what is
/// no group gets an empty domain where it lacks one.
fn address(entry: &Entry<'_>, writer: &mut Writer) {
    let [name, route, mailbox, host] = match entry {
        Entry::Mailbox(address) => [
            address.name.as_deref(),
            address.route.as_deref(),
            Some(&*address.mailbox),
            Some(address.host.as_deref().unwrap_or_default()),
        ],
        Entry::GroupStart(name) => [None, None, Some(&**name), None],
        Entry::GroupEnd => [None; 4],
        Entry::Raw(text) => [None, None, Some(*text), Some(&b""[..])],
    };
    let mut before: &[u8] = b"(";
    for value in [name, route, mailbox, host] {
        writer.raw(before);
        match value {
            Some(value) => writer.value(value),
            None => writer.raw(b"NIL"),
        }
        before = b" ";
    }
    writer.raw(b")");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::MOST_OCTETS;

    fn text(header: &str) -> String {
        String::from_utf8(envelope(header.as_bytes())).unwrap()
    }

    #[test]
    fn the_envelope_of_the_rfc() {
        // RFC 3501 §8, the FETCH of message 12; RFC 9051 §8 has the same.
        let header = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\n\
            From: Terry Gray <gray@cac.washington.edu>\n\
            Subject: IMAP4rev1 WG mtg summary and minutes\n\
            To: imap@cac.washington.edu\n\
            Cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\n\
            Message-Id: <B27397-0100000@cac.washington.edu>\n\
            MIME-Version: 1.0\n\
            Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\n\n";
        let expected = "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \
            \"IMAP4rev1 WG mtg summary and minutes\" \
            ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
            ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
            ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
            ((NIL NIL \"imap\" \"cac.washington.edu\")) \
            ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")\
            (\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL \
            \"<B27397-0100000@cac.washington.edu>\")";
        assert_eq!(text(header), expected);
        assert_eq!(text(&header.replace('\n', "\r\n")), expected);
    }

    #[test]
    fn groups_and_what_is_no_address() {
        // As Dovecot 2.3 and Courier 1.3 answer, but for the names of groups that
        // Courier loses, and for what Dovecot puts in place of a missing domain.
        let to = |value: &str| {
            let envelope = text(&format!("To: {value}\n\n"));
            let list = envelope.strip_prefix("(NIL NIL NIL NIL NIL ").unwrap();
            list.strip_suffix(" NIL NIL NIL NIL)").unwrap().to_owned()
        };
        for (value, expected) in [
            (
                "x: a@b.c;",
                r#"((NIL NIL "x" NIL)(NIL NIL "a" "b.c")(NIL NIL NIL NIL))"#,
            ),
            (
                "x: a@b.c",
                r#"((NIL NIL "x" NIL)(NIL NIL "a" "b.c")(NIL NIL NIL NIL))"#,
            ),
            (
                "undisclosed-recipients:;",
                r#"((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL))"#,
            ),
            ("root", r#"((NIL NIL "root" ""))"#),
            ("<>", r#"((NIL NIL "" ""))"#),
            ("A B", r#"((NIL NIL "A B" ""))"#),
            ("<@r1,@r2:a@b.c>", r#"((NIL "@r1,@r2" "a" "b.c"))"#),
            (
                "\"quoted \\\" local\"@b.c",
                r#"((NIL NIL "quoted \" local" "b.c"))"#,
            ),
            (
                "=?utf-8?q?A?= <a@b.c>",
                r#"(("=?utf-8?q?A?=" NIL "a" "b.c"))"#,
            ),
            ("a@b.c (A B)", r#"(("A B" NIL "a" "b.c"))"#),
            ("a@[192.0.2.1]", r#"((NIL NIL "a" "[192.0.2.1]"))"#),
            ("André <a@b.c>", "(({6}\r\nAndré NIL \"a\" \"b.c\"))"),
            (",", "NIL"),
            ("", "NIL"),
        ] {
            assert_eq!(to(value), expected, "{value}");
        }
    }

    #[test]
    fn repeated_and_empty_fields() {
        assert_eq!(
            text(
                "Subject: a\n  b\nSubject: c\nTo: a@b.c\nto: d@e.f\nDate:\nFrom: f@f.f\nSender: ,\n\n"
            ),
            r#"("" "a  b" ((NIL NIL "f" "f.f")) ((NIL NIL "f" "f.f")) ((NIL NIL "f" "f.f")) ((NIL NIL "a" "b.c")(NIL NIL "d" "e.f")) NIL NIL NIL NIL)"#
        );
        assert_eq!(text(""), "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
        assert_eq!(
            text("Subject: a\0b\n\n"),
            "(NIL \"ab\" NIL NIL NIL NIL NIL NIL NIL NIL)"
        );
    }

    #[test]
    fn an_envelope_is_bounded() {
        let address = format!("To: g: {}\n", "a@b.c,".repeat(15_000));
        let long = text(&address.repeat(100));
        assert!(long.len() < MOST_OCTETS + 1000);
        assert!(long.ends_with("(NIL NIL NIL NIL)) NIL NIL NIL NIL)"));
        let subject = text(&format!("Subject: {}\n\n", "x".repeat(200_000)));
        assert!(subject.len() < MOST_OF_A_FIELD + 100);
    }
}
