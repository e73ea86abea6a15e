//! A message with 8-bit header fields for a client that has not said UTF8: a notice,
//! with the message attached.

use std::sync::Arc;

use courier_core::message::header::fields;
use courier_core::message::wire::Content;
use memchr::memmem;

use crate::retrieval::octets;

/// The message inside a notice: what stands before, the message, what stands after.
/// `kind` is the media type of the attached message.
pub(crate) fn wrap(message: &Content, kind: &str) -> [Content; 3] {
    let source = octets(message);
    let boundary = boundary(source);
    let mut before = header(source);
    before.extend_from_slice(
        format!(
            "MIME-Version: 1.0\n\
             Content-Type: multipart/mixed; boundary=\"{boundary}\"\n\
             \n\
             --{boundary}\n\
             Content-Type: text/plain; charset=us-ascii\n\
             \n\
             The header of this message has characters beyond ASCII, and your mail\n\
             program has not told the server that it can show them (RFC 6856). It\n\
             may be that the sender's program has written them where it should not.\n\
             \n\
             The message itself is attached, just as it came.\n\
             \n\
             --{boundary}\n\
             Content-Type: {kind}\n\
             Content-Transfer-Encoding: 8bit\n\
             Content-Disposition: attachment\n\
             \n"
        )
        .as_bytes(),
    );
    let after = format!("\n--{boundary}--\n");
    [
        Arc::new(before),
        Arc::clone(message),
        Arc::new(after.into_bytes()),
    ]
}

/// Those fields that a list of messages shows, as far as they are in ASCII.
fn header(source: &[u8]) -> Vec<u8> {
    let mut header = Vec::new();
    let mut seen = [false; SHOWN.len()];
    for field in fields(source) {
        let shown = SHOWN.iter().zip(&mut seen);
        let Some((_, seen)) = shown.into_iter().find(|(name, _)| field.is(name)) else {
            continue;
        };
        // One of each, and none that could not be a field again.
        let fits = field.raw.len() <= FIELD_LIMIT && field.raw.is_ascii();
        if fits && field.raw.ends_with(b"\n") && !std::mem::replace(seen, true) {
            header.extend_from_slice(field.raw);
        }
    }
    let [from, subject, ..] = seen;
    if !from {
        header.extend_from_slice(b"From: Mail Delivery Subsystem <postmaster>\n");
    }
    if !subject {
        header.extend_from_slice(b"Subject: A message in Unicode\n");
    }
    header
}

const SHOWN: [&str; 5] = ["From", "Subject", "Date", "To", "Cc"];
/// Longer fields are left out.
const FIELD_LIMIT: usize = 4096;

/// One that does not occur in the message. Who writes all of those that are tried into
/// a message spoils only this notice.
fn boundary(source: &[u8]) -> String {
    let mut candidates = (0..TRIES).map(|n| format!("=_notice_{n}"));
    let unused = candidates.find(|b| memmem::find(source, b.as_bytes()).is_none());
    unused.unwrap_or_else(|| format!("=_notice_{TRIES}"))
}

const TRIES: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(text: &str) -> String {
        let message: Content = Arc::new(text.as_bytes().to_vec());
        let parts = wrap(&message, "message/global");
        let octets: Vec<u8> = parts
            .iter()
            .flat_map(|part| octets(part).to_vec())
            .collect();
        String::from_utf8(octets).unwrap()
    }

    #[test]
    fn ascii_fields_are_shown() {
        let text =
            wrapped("From: jörg@x\nDate: Mon,\n\t23 Nov\nDate: x\nX-Y: z\nSubject: s\n\nbody\n");
        let header = text.split("MIME-Version").next().unwrap();
        assert_eq!(
            header,
            "Date: Mon,\n\t23 Nov\nSubject: s\nFrom: Mail Delivery Subsystem <postmaster>\n"
        );
        assert!(text.ends_with("body\n\n--=_notice_0--\n"));
    }

    #[test]
    fn the_boundary_does_not_occur_in_the_message() {
        let text = wrapped("Subject: ö\n\n--=_notice_0\n=_notice_1\n");
        assert!(text.contains("boundary=\"=_notice_2\""));
        let all: String = (0..=TRIES).map(|n| format!("=_notice_{n}\n")).collect();
        assert!(wrapped(&all).contains("boundary=\"=_notice_10\""));
    }
}
