//! A message is taken apart: structure, fields, decoded views, wire form, and the
//! answers of IMAP about it.
#![expect(clippy::indexing_slicing, reason = "a panic is how a target reports")]

use courier_core::message::structure::{Kind, Part};
use courier_core::message::transfer::Decoder;
use courier_core::message::view::View;
use courier_core::message::wire::{self, Encoding, Pieces, Segment};
use courier_core::message::{Limits, Structure, date, encoded, header, scan};
use courier_imap::envelope::envelope;
use courier_imap::grammar::fetch::{Section, SectionText};
use courier_imap::search::key::{Key, Text};
use courier_imap::search::matching::matches;
use courier_imap::section::{Piece, binary, locate};
use courier_imap::structure::{Detail, Revision, body};

/// Scans a message in several ways and compares what they say.
///
/// # Panics
/// If ranges are not nested, counts are wrong, or two readers disagree.
pub fn run(message: &[u8]) {
    let limits = Limits::default();
    let structure = scan(message, &limits);
    check(message, &structure, &limits);
    let tight = Limits {
        depth: 3,
        parts: 5,
        boundary: 4,
    };
    check(message, &scan(message, &tight), &tight);
    same_with_crlf(message, &structure);
    same_in_parts(message, &structure);
    views(message, &structure);
    fields(message);
    pieces(message);
    answers(message, &structure);
    searches(message, &structure);
}

/// Ranges lie in each other and in the message, and sizes are what a count says.
fn check(message: &[u8], structure: &Structure, limits: &Limits) {
    let parts = structure.parts();
    assert!((1..=limits.parts).contains(&parts.len()));
    assert_eq!(structure.root().header.start, 0);
    assert_eq!(structure.root().body.end, message.len() as u64);
    let mut depths = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        assert!(part.header.start <= part.header.end && part.body.start <= part.body.end);
        assert_eq!(part.header.end, part.body.start);
        assert_counts(part.header_of(message), part.header_size);
        assert_counts(part.body_of(message), part.body_size);
        let depth = part.parent.map_or(1, |parent| {
            let outer = &parts[parent].body;
            assert!(outer.start <= part.header.start && part.body.end <= outer.end);
            depths[parent] + 1
        });
        assert!(depth <= limits.depth);
        depths.push(depth);
        let children: Vec<_> = structure.children(number).collect();
        match part.kind {
            Kind::Multipart => {}
            Kind::Message => assert_eq!(children.len(), 1),
            Kind::Leaf | Kind::Plain | Kind::Opaque => assert!(children.is_empty()),
        }
        for pair in children.windows(2) {
            assert!(parts[pair[0]].body.end <= parts[pair[1]].header.start);
        }
        let after = structure.after(number).unwrap_or(parts.len());
        assert!(
            children
                .iter()
                .all(|child| (number + 1..after).contains(child))
        );
    }
    let counted: usize = (0..parts.len())
        .map(|part| structure.children(part).count())
        .sum();
    assert_eq!(counted + 1, parts.len());
    assert_eq!(
        structure.size().wire(),
        wire::length(message, Encoding::Crlf)
    );
}

fn assert_counts(octets: &[u8], size: courier_core::message::structure::Size) {
    let lines = octets.iter().filter(|&&octet| octet == b'\n').count();
    let crlfs = octets.windows(2).filter(|pair| pair == b"\r\n").count();
    assert_eq!(size.octets, octets.len() as u64);
    assert_eq!(size.lines, lines as u64);
    assert_eq!(size.bare_line_feeds, (lines - crlfs) as u64);
}

/// Line ends make no difference but to the octets.
fn same_with_crlf(message: &[u8], structure: &Structure) {
    let wire = Pieces::new(message, Encoding::Crlf)
        .collect::<Vec<_>>()
        .concat();
    let other = scan(&wire, &Limits::default());
    let facts = |part: &Part| {
        let sizes = [part.header_size, part.body_size];
        let sizes = sizes.map(|size| (size.wire(), size.lines));
        (part.kind, part.encoding, part.parent, sizes)
    };
    let (one, two) = (structure.parts().iter(), other.parts().iter());
    assert!(one.map(facts).eq(two.map(facts)));
    assert_eq!(structure.defects, other.defects);
}

/// A part read by itself is what it was within the message.
fn same_in_parts(message: &[u8], structure: &Structure) {
    let defects = structure.defects;
    if defects.too_deep || defects.too_many_parts {
        return;
    }
    for (number, part) in structure.parts().iter().enumerate().take(20) {
        // In a digest what has no type is a message.
        if part.kind != Kind::Leaf && part.media_type(message).is_none() {
            continue;
        }
        let start = part.header.start;
        let own = &message[usize::try_from(start).unwrap_or(0)..];
        let length = usize::try_from(part.body.end - start).unwrap_or(0);
        let alone = scan(&own[..length], &Limits::default());
        let after = structure.after(number).unwrap_or(structure.parts().len());
        let within = &structure.parts()[number..after];
        let facts = |part: &Part, shift: u64| {
            let place = [part.header.start, part.body.start, part.body.end];
            (part.kind, part.encoding, place.map(|at| at - shift))
        };
        let alone = alone.parts().iter().map(|part| facts(part, 0));
        let within = within.iter().map(|part| facts(part, start));
        assert!(alone.eq(within));
    }
}

/// What is decoded is bounded by what it was decoded from.
fn views(message: &[u8], structure: &Structure) {
    let view = View::new(message, structure);
    for (number, part) in structure.parts().iter().enumerate().take(100) {
        let body = part.body_of(message);
        if let Some(content) = view.content(number) {
            assert!(content.len() <= body.len());
            let mut decoder = Decoder::new(part.encoding);
            let mut decoded = Vec::new();
            for piece in body.chunks(7) {
                decoder.decode(piece, &mut decoded);
            }
            decoder.finish(&mut decoded);
            assert!(matches!(part.kind, Kind::Multipart | Kind::Message) || *content == *decoded);
        }
        if let Some(text) = view.text(number) {
            assert!(text.len() <= 4 * body.len() + 8);
        }
        let _ = (view.readable(number), view.file_name(number));
    }
    assert!(view.preview(50).chars().count() <= 50);
}

/// Fields are the header, and nothing decoded from them breaks a line.
fn fields(message: &[u8]) {
    let mut scan = header::fields(message);
    let mut at = 0;
    for field in scan.by_ref() {
        assert_eq!(field.offset, at);
        at += field.raw.len();
        assert_eq!(&message[field.value_range()], field.value);
        assert!(!field.unfolded().contains(&b'\n'));
        assert!(!encoded::decode(field.value).contains(['\r', '\n', '\0']));
        if let Ok(date) = date::DateTime::parse(field.value) {
            assert_eq!(date::DateTime::parse(date.to_string().as_bytes()), Ok(date));
        }
    }
    assert_eq!(scan.body(), header::header_length(message));
}

/// A text sent in small writes is the text; the sizes of the writes come from it, too.
fn pieces(message: &[u8]) {
    let message = &message[..message.len().min(2000)];
    for encoding in [Encoding::Crlf, Encoding::Chunk, Encoding::CrlfDotStuffed] {
        let whole = Pieces::new(message, encoding).collect::<Vec<_>>().concat();
        assert_eq!(whole.len() as u64, wire::length(message, encoding));
        let content = std::sync::Arc::new(message.to_vec());
        let mut reader = Segment::new(content, 0..u64::MAX, encoding).into_reader();
        let mut sent = Vec::new();
        for write in message.iter().chain(std::iter::repeat(&9)) {
            if reader.copy_to(&mut sent, usize::from(write % 16) + 1) == 0 {
                break;
            }
        }
        assert_eq!(sent, whole);
        if encoding == Encoding::CrlfDotStuffed {
            assert!(unstuffed(&sent).is_some());
        }
    }
}

/// The text as a receiver of SMTP reads it; `None` if it could end there too early, or
/// has line ends that are none.
fn unstuffed(sent: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    for line in sent.split_inclusive(|&octet| octet == b'\n') {
        let line = line.strip_suffix(b"\r\n")?;
        if line == b"." || line.contains(&b'\r') {
            return None;
        }
        text.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        text.push(b'\n');
    }
    Some(text)
}

/// What IMAP answers about a message can be read again, and sections have the sizes
/// that the structure says.
fn answers(message: &[u8], structure: &Structure) {
    assert_eq!(value(&envelope(message)), Some(&b""[..]));
    for revision in [Revision::Imap4Rev1, Revision::Imap4Rev2] {
        for detail in [Detail::Body, Detail::BodyStructure] {
            let answer = body(message, structure, detail, revision);
            assert_eq!(value(&answer), Some(&b""[..]));
        }
    }
    let mut section = Section::default();
    let whole = locate(message, structure, &section).map(|piece| piece.octets());
    assert_eq!(whole, Some(structure.size().wire()));
    address(message, structure, 0, &mut section);
}

/// Goes through the parts that `number` counts: all of them are found at their address.
fn address(message: &[u8], structure: &Structure, number: usize, section: &mut Section) {
    if section.part.len() > 10 {
        return;
    }
    let parts: Vec<_> = match structure.parts()[number].kind {
        Kind::Multipart => structure.children(number).take(20).collect(),
        _ => vec![number],
    };
    for (index, part) in (1_u32..).zip(parts) {
        section.part.extend(std::num::NonZeroU32::new(index));
        let Part {
            header_size,
            body_size,
            ..
        } = structure.parts()[part];
        for (text, size) in [
            (SectionText::Whole, body_size),
            (SectionText::Mime, header_size),
        ] {
            section.text = text;
            let found = locate(message, structure, section).map(|piece| piece.octets());
            assert_eq!(found, Some(size.wire()));
        }
        section.text = SectionText::FieldsNot(Vec::new());
        let fields = locate(message, structure, section);
        let is_message = structure.parts()[part].kind == Kind::Message;
        assert_eq!(matches!(fields, Some(Piece::Assembled(_))), is_message);
        section.text = SectionText::Whole;
        assert!(binary(message, structure, section).is_some());
        match structure.parts()[part].kind {
            Kind::Multipart => address(message, structure, part, section),
            Kind::Message => {
                let inner = structure.children(part).next();
                address(message, structure, inner.unwrap_or(part), section);
            }
            _ => {}
        }
        section.part.pop();
    }
}

/// Reads an atom, a string or a list of them; what follows it.
fn value(answer: &[u8]) -> Option<&[u8]> {
    let (first, mut rest) = answer.split_first()?;
    match first {
        b'(' => loop {
            rest = match rest.first()? {
                b')' => return rest.get(1..),
                b' ' => value(rest.get(1..)?)?,
                _ => value(rest)?,
            };
        },
        b'"' => loop {
            let (octet, behind) = rest.split_first()?;
            rest = match octet {
                b'"' => return Some(behind),
                b'\\' => behind.get(1..)?,
                b'\r' | b'\n' | b'\0' | 128.. => return None,
                _ => behind,
            };
        },
        b'{' => {
            let end = rest.iter().position(|&octet| octet == b'}')?;
            let length = std::str::from_utf8(rest.get(..end)?).ok()?;
            let text = rest.get(end + 1..)?.strip_prefix(b"\r\n")?;
            let (text, behind) = text.split_at_checked(length.parse().ok()?)?;
            (!text.contains(&0)).then_some(behind)
        }
        _ => {
            let end = answer
                .iter()
                .position(|octet| matches!(octet, b' ' | b'(' | b')'));
            let (atom, behind) = answer.split_at_checked(end.unwrap_or(answer.len()))?;
            let is_number = !atom.is_empty() && atom.iter().all(u8::is_ascii_digit);
            (atom == b"NIL" || is_number).then_some(behind)
        }
    }
}

/// What stands in a text is found in the body.
fn searches(message: &[u8], structure: &Structure) {
    let view = View::new(message, structure);
    for number in 0..structure.parts().len().min(20) {
        let text = view.text(number).unwrap_or_default();
        let skip = text.chars().count() / 2;
        let sought: String = text.chars().skip(skip).take(9).collect();
        for key in [Key::Body(Text::new(&sought)), Key::Text(Text::new(&sought))] {
            assert!(matches(&key, message, structure, &mut |_| false));
        }
    }
    let any = Key::Subject(Text::new(""));
    let found = matches(&any, message, structure, &mut |_| false);
    assert_eq!(found, header::field(message, "subject").is_some());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Lines of which odd messages are made.
    const LINES: [&str; 24] = [
        "\n",
        "\n",
        "\r\n",
        "text",
        "text\n",
        "Subject: =?utf-8?Q?=C3=A9?=\n",
        "\tfolded\r\n",
        "Content-Type: multipart/mixed; boundary=a\n",
        "Content-Type: multipart/digest; boundary=\"ab\"\r\n",
        "Content-Type: message/rfc822\n",
        "Content-Type: text/html; charset=iso-8859-1\n",
        "Content-Transfer-Encoding: base64\n",
        "Content-Transfer-Encoding: quoted-printable\n",
        "--a\n",
        "--a\r\n",
        "--ab\n",
        "--ab--\n",
        "--a--\n",
        "--",
        "\r",
        "=41=\n",
        "Content-Type: multipart/x; boundary=\n b\n",
        "--b\n",
        "Date: Mon, 23 Nov 2026 05:59:23 +0000\n",
    ];

    #[test]
    fn the_corpus_is_read_right() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/mime");
        let mut count = 0;
        for entry in std::fs::read_dir(corpus).unwrap() {
            let path = entry.unwrap().path();
            let message = std::fs::read(&path).unwrap();
            super::run(&message);
            // And every message that is cut short.
            for end in (0..message.len()).step_by(7) {
                super::run(&message[..end]);
            }
            count += 1;
        }
        assert!(count >= 10, "the corpus is in {corpus}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]
        #[test]
        fn odd_messages_are_read_right(lines in prop::collection::vec(prop::sample::select(LINES.to_vec()), 0..40)) {
            super::run(lines.concat().as_bytes());
        }

        #[test]
        fn noise_is_read_right(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            super::run(&octets);
        }
    }
}
