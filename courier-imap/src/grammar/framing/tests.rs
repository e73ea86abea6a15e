use super::*;
use proptest::prelude::*;

/// What a stream is made of, fed in chunks.
fn frames<'a>(chunks: impl Iterator<Item = &'a [u8]>, limits: Limits) -> Vec<String> {
    let mut framer = Framer::default();
    let mut seen = Vec::new();
    let mut input: Vec<u8> = Vec::new();
    // Octets of a message that the caller takes.
    let mut message = 0_usize;
    for chunk in chunks {
        input.extend_from_slice(chunk);
        loop {
            let taken = message.min(input.len());
            input.drain(..taken);
            message -= taken;
            if message > 0 {
                break;
            }
            let (count, frame) = framer.next(&input, limits);
            let show = |octets: &[u8]| {
                octets
                    .get(..40)
                    .unwrap_or(octets)
                    .escape_ascii()
                    .to_string()
            };
            let text = match frame {
                Frame::More => {
                    input.drain(..count);
                    break;
                }
                Frame::GoAhead => "+".to_owned(),
                Frame::Command(octets) => format!("command {}", show(&octets)),
                Frame::Message { head, size, pace } => {
                    message = usize::try_from(size).unwrap();
                    format!("message {size} {pace:?} {}", show(&head))
                }
                Frame::Refused { head, error } => {
                    format!("refused {} {error}", show(head.get(..8).unwrap_or(&head)))
                }
                Frame::Flood => {
                    seen.push("flood".to_owned());
                    return seen;
                }
            };
            input.drain(..count);
            seen.push(text);
        }
    }
    seen
}

fn in_every_cut(stream: &[u8], limits: Limits) -> Vec<String> {
    let whole = frames([stream].into_iter(), limits);
    assert_eq!(frames(stream.chunks(1), limits), whole);
    for at in 0..stream.len().min(300) {
        assert_eq!(
            frames([&stream[..at], &stream[at..]].into_iter(), limits),
            whole,
            "cut at {at}"
        );
    }
    whole
}

#[test]
fn lines_and_literals() {
    assert_eq!(
        in_every_cut(
            b"a NOOP\r\nb NOOP\nc LOGIN {3}\r\nabc {2+}\r\n\r\n\r\n\r\nd {0}\n x\n",
            Limits::COMMAND
        ),
        [
            "command a NOOP",
            "command b NOOP",
            "+",
            "command c LOGIN {3}\\r\\nabc {2+}\\r\\n\\r\\n",
            "command ",
            "+",
            "command d {0}\\r\\n x",
        ]
    );
    // A brace that is not at the end announces nothing.
    assert_eq!(
        in_every_cut(b"a {3} b\r\n{}\r\n{+}\r\n3}\r\n", Limits::COMMAND).len(),
        4
    );
}

#[test]
fn the_message_of_an_append_is_left_to_the_caller() {
    let stream = b"a APPEND {5+}\r\nINBOX (\\Seen) {3+}\r\nxyz\r\nb APPEND x {9999999}\r\n";
    assert_eq!(
        in_every_cut(&stream[..stream.len() - 22], Limits::COMMAND),
        [
            "message 3 Runs a APPEND {5+}\\r\\nINBOX (\\\\Seen) ",
            "command "
        ]
    );
    assert_eq!(
        frames(
            [&b"b APPEND x {99999}\r\n"[..]].into_iter(),
            Limits::COMMAND
        ),
        ["message 99999 Waits b APPEND x "]
    );
    // Before login there is no APPEND.
    assert_eq!(
        in_every_cut(b"b APPEND x {99999}\r\n", Limits::BEFORE_LOGIN),
        ["refused b APPEND the literal is too long"]
    );
    assert_eq!(
        in_every_cut(b"b APPEND x ~{3+}\r\nxyz\r\nc NOOP\r\n", Limits::COMMAND),
        [
            "refused b APPEND the message in a literal expected at octet 11",
            "command c NOOP"
        ]
    );
}

#[test]
fn refused_literals_keep_the_stream_in_step() {
    let limits = Limits::COMMAND;
    assert_eq!(
        in_every_cut(b"a X {8193}\r\nb NOOP\r\n", limits),
        ["refused a X  the literal is too long", "command b NOOP"]
    );
    let big = [
        &b"a X {8193+}\r\n"[..],
        &vec![b'\n'; 8193],
        b" {2+}\r\n\r\n {5}\r\nb NOOP\r\n",
    ]
    .concat();
    assert_eq!(
        in_every_cut(&big, limits),
        ["refused a X  the literal is too long", "command b NOOP"]
    );
    assert_eq!(in_every_cut(b"a X {1048577+}\r\n", limits), ["flood"]);
    assert_eq!(
        in_every_cut(b"a X {99999999999999999999999999+}\r\n", limits),
        ["flood"]
    );
    assert_eq!(
        in_every_cut(b"a X {99999999999999999999999999}\r\nb NOOP\r\n", limits),
        ["refused a X  the literal is too long", "command b NOOP"]
    );
    assert_eq!(
        in_every_cut(b"DONE {3+}\r\nabc\r\nDONE\r\n", Limits::LINE),
        ["refused DONE  a literal where none can be", "command DONE"]
    );
    let exact = [&b"a X {8192+}\r\n"[..], &vec![b'x'; 8192], b"\r\n"].concat();
    assert!(in_every_cut(&exact, limits)[0].starts_with("command a X"));
}

#[test]
fn a_command_has_at_most_64_literals() {
    let literals = |n: usize| [&b"a X "[..], &b"{0+}\r\n".repeat(n), b"\r\nb NOOP\r\n"].concat();
    assert_eq!(in_every_cut(&literals(64), Limits::COMMAND).len(), 2);
    assert_eq!(
        in_every_cut(&literals(65), Limits::COMMAND),
        [
            "refused a X {0+} the command has more than 64 literals",
            "command b NOOP"
        ]
    );
}

#[test]
fn long_lines_are_read_away() {
    for limits in [Limits::COMMAND, Limits::BEFORE_LOGIN] {
        for end in ["\r\n", "\n"] {
            let line = |n: usize| {
                let text = [
                    b"a ",
                    vec![b'x'; n - 2].as_slice(),
                    end.as_bytes(),
                    b"b NOOP\r\n",
                ]
                .concat();
                in_every_cut(&text, limits)
            };
            for n in [limits.text - 1, limits.text] {
                assert!(line(n)[0].starts_with("command a xxx"));
            }
            for n in [limits.text + 1, limits.text + 2, limits.text + 3] {
                assert_eq!(
                    line(n),
                    ["refused a xxxxxx the command is too long", "command b NOOP"]
                );
            }
        }
    }
    // Text after a literal counts with the text before it.
    let text = [
        &b"a {3+}\r\nabc"[..],
        &vec![b'y'; Limits::COMMAND.text],
        b"\r\nb NOOP\r\n",
    ]
    .concat();
    assert_eq!(
        in_every_cut(&text, Limits::COMMAND),
        [
            "refused a {3+}\r\n the command is too long"
                .replace('\r', "\\r")
                .replace('\n', "\\n"),
            "command b NOOP".to_owned()
        ]
    );
    let endless = vec![b'x'; 2 * 1024 * 1024];
    assert_eq!(
        frames(endless.chunks(4096), Limits::COMMAND),
        ["refused xxxxxxxx the command is too long", "flood"]
    );
}

proptest! {
    #[test]
    fn the_cut_does_not_matter(
        words in proptest::collection::vec(proptest::sample::select(vec!["a ", "APPEND x ", "{3}", "{3+}", "{9000}", "{9000+}", "\r\n", "\n", "\r", "xyz", "{0+}", "{", "}", "\u{e4}"]), 0..30),
        cuts in proptest::collection::vec(1_usize..9, 1..20),
    ) {
        let stream = words.concat().into_bytes();
        let whole = frames([&stream[..]].into_iter(), Limits::COMMAND);
        let mut rest = &stream[..];
        let mut chunks = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (chunk, after) = rest.split_at((*cut).min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        prop_assert_eq!(frames(chunks.into_iter(), Limits::COMMAND), whole);
    }
}
