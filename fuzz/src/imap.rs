//! The grammar of IMAP: framing, commands, and everything that is read and written back.
//!
//! What must hold: the frames of a stream do not depend on how it is cut; no more than the
//! limits is kept; every command is read or refused; sequence sets, mailbox names, dates,
//! strings and section names that were read are written and read back alike; a pattern
//! without wildcards matches its own name only.

use courier_imap::grammar::command::{Command, Literal, Request};
use courier_imap::grammar::date::DateTime;
use courier_imap::grammar::fetch::Items;
use courier_imap::grammar::framing::{Frame, Framer, Limits};
use courier_imap::grammar::lexer::{Cursor, Octets};
use courier_imap::grammar::mailbox_name::MailboxName;
use courier_imap::grammar::pattern::Pattern;
use courier_imap::grammar::sequence::SequenceSet;
use courier_imap::grammar::{response, utf7};

/// The first octet chooses the limits and the cut; the rest is what a client sends.
pub fn run(input: &[u8]) {
    let [mode, said @ ..] = input else {
        return;
    };
    let limits = match mode % 3 {
        0 => Limits::BEFORE_LOGIN,
        1 => Limits::COMMAND,
        _ => Limits::LINE,
    };
    let whole = frames(&[said], limits);
    let size = usize::from(mode / 3) % 11 + 1;
    let chunks: Vec<&[u8]> = said.chunks(size).collect();
    assert_eq!(whole, frames(&chunks, limits), "in pieces of {size}");
    for frame in &whole {
        match frame {
            Seen::Command(octets) => command(octets),
            Seen::Other(_) => {}
        }
    }
    command(said);
    words(said);
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Command(Vec<u8>),
    Other(String),
}

fn frames(chunks: &[&[u8]], limits: Limits) -> Vec<Seen> {
    let mut framer = Framer::default();
    let (mut seen, mut input, mut message) = (Vec::new(), Vec::new(), 0_u64);
    for chunk in chunks {
        input.extend_from_slice(chunk);
        loop {
            let taken = usize::try_from(message).map_or(input.len(), |m| m.min(input.len()));
            input.drain(..taken);
            message -= taken as u64;
            if message > 0 {
                break;
            }
            let (count, frame) = framer.next(&input, limits);
            assert!(count <= input.len());
            let (more, flood) = (frame == Frame::More, frame == Frame::Flood);
            match frame {
                Frame::More => {}
                Frame::Command(octets) => {
                    assert!(octets.len() < 64 * 1024 + 65 * (8192 + 32));
                    seen.push(Seen::Command(octets.into_owned()));
                }
                Frame::Message {
                    ref head,
                    size,
                    pace,
                } => {
                    assert!(matches!(Literal::after(head), Ok(Literal::Message(_))));
                    seen.push(Seen::Other(format!(
                        "{} {size} {pace:?}",
                        head.escape_ascii()
                    )));
                    message = size;
                }
                other => seen.push(Seen::Other(format!("{other:?}"))),
            }
            input.drain(..count);
            if flood {
                return seen;
            }
            if more {
                // A CR may have to wait for what follows it.
                assert!(
                    input.len() <= 1 || input.len() == 2,
                    "{} octets are left",
                    input.len()
                );
                break;
            }
        }
    }
    seen
}

fn command(octets: &[u8]) {
    let Ok(Request {
        command: Ok(command),
        ..
    }) = Request::parse(octets)
    else {
        return;
    };
    match command {
        Command::Fetch { set, items, .. } => {
            same_set(&set);
            same_items(&items);
        }
        Command::Store { set, .. } | Command::Copy { set, .. } | Command::Expunge(Some(set)) => {
            same_set(&set);
        }
        Command::List {
            reference, pattern, ..
        } => {
            let pattern = Pattern::new(&reference, &pattern);
            let _ = pattern.matches("INBOX.a.b");
        }
        Command::Create(name) | Command::Delete(name) => {
            if let Ok(mailbox) = MailboxName::from_wire(&name) {
                let wire = mailbox.to_wire();
                assert_eq!(MailboxName::from_wire(wire.as_bytes()), Ok(mailbox));
            }
        }
        _ => {}
    }
}

fn same_set(set: &SequenceSet) {
    assert_eq!(
        SequenceSet::parse(set.to_string().as_bytes()).as_ref(),
        Ok(set)
    );
    for largest in [0, 1, 7, u32::MAX] {
        let ranges = set.resolve(largest);
        for (before, after) in ranges.iter().zip(ranges.iter().skip(1)) {
            assert!(u64::from(*before.end()) + 1 < u64::from(*after.start()));
        }
        for number in [1, 2, 6, 7, 8, u32::MAX] {
            let named = ranges.iter().any(|range| range.contains(&number));
            assert_eq!(
                named,
                set.contains(number, largest),
                "{number} in {set} of {largest}"
            );
        }
    }
}

/// An answer's names are what a client would have to ask for to get them.
fn same_items(items: &Items) {
    for item in &items.texts {
        let mut name = Vec::new();
        item.write_name(&mut name);
        // The answer has the offset alone.
        if let Some(partial) = item.partial {
            name.pop();
            name.extend_from_slice(format!(".{}>", partial.length).as_bytes());
        }
        let again = [b"a FETCH 1 ", name.as_slice()].concat();
        let Ok(Request {
            command: Ok(Command::Fetch { items, .. }),
            ..
        }) = Request::parse(&again)
        else {
            panic!("{} is no item", name.escape_ascii());
        };
        let again = items
            .texts
            .first()
            .map(|item| (&item.section, item.partial));
        assert_eq!(again, Some((&item.section, item.partial)));
    }
}

fn words(octets: &[u8]) {
    let mut out = Vec::new();
    response::string(&mut out, octets);
    assert_eq!(
        Cursor::new(&out).string(Octets::SevenBit).as_deref(),
        Ok(octets)
    );
    out.clear();
    response::astring(&mut out, octets);
    assert_eq!(
        Cursor::new(&out).astring(Octets::SevenBit).as_deref(),
        Ok(octets)
    );
    if let Ok(name) = utf7::decode(octets) {
        assert_eq!(utf7::encode(&name).as_bytes(), octets);
    }
    if let Ok(name) = std::str::from_utf8(octets) {
        assert_eq!(
            utf7::decode(utf7::encode(name).as_bytes()).as_deref(),
            Ok(name)
        );
        if let Ok(mailbox) = MailboxName::parse(name)
            && !name.contains(['*', '%'])
        {
            assert!(Pattern::new(b"", mailbox.to_wire().as_bytes()).matches(mailbox.as_str()));
            assert!(!Pattern::new(b"", mailbox.to_wire().as_bytes()).matches("INBOX.other name"));
        }
    }
    if let Ok(time) = DateTime::read(&mut Cursor::new(octets)) {
        out.clear();
        time.write(&mut out);
        assert_eq!(DateTime::read(&mut Cursor::new(&out)), Ok(time));
    }
    if let Ok(set) = SequenceSet::parse(octets) {
        same_set(&set);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    const WORDS: [&str; 56] = [
        "a ",
        "FETCH ",
        "UID ",
        "STORE ",
        "SEARCH ",
        "LIST ",
        "APPEND ",
        "CREATE ",
        "LOGIN ",
        "COPY ",
        "STATUS ",
        "ID ",
        "(",
        ")",
        "[",
        "]",
        "<1.5>",
        "\"",
        "\\",
        "\\Seen",
        "FLAGS ",
        "+FLAGS ",
        "BODY[",
        "BODY.PEEK[",
        "HEADER.FIELDS ",
        "TEXT",
        "MIME",
        "1.2.",
        "1:*",
        "5,3:1",
        "*",
        "%",
        " ",
        "\r\n",
        "\n",
        "\r",
        "{3}",
        "{3+}",
        "{0+}",
        "{9000}",
        "{9000+}",
        "{99999999999+}",
        "}",
        "abc",
        "INBOX",
        ".",
        "&AOQ-",
        "&",
        "é",
        "\0",
        "CHARSET UTF-8 ",
        "NOT ",
        "OR ",
        "FROM x ",
        "\"17-Jul-1996 02:44:25 -0700\"",
        "1-Feb-1994 ",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]
        #[test]
        fn any_words_hold(mode: u8, words in proptest::collection::vec(0..WORDS.len(), 0..40)) {
            let said: String = words.iter().map(|&word| WORDS[word]).collect();
            super::run(&[&[mode], said.as_bytes()].concat());
        }
    }

    #[test]
    fn the_corpus_holds() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/imap");
        let mut seeds = 0;
        for entry in std::fs::read_dir(folder).expect("the corpus") {
            let mut seed = std::fs::read(entry.expect("an entry").path()).expect("a seed");
            for mode in 0..33 {
                seed[0] = mode;
                super::run(&seed);
            }
            seeds += 1;
        }
        assert!(seeds > 5);
    }
}
