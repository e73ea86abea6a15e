//! Dialogues as text files, run against a machine in every cut.
//!
//! A transcript is a list of lines:
//!
//! | line | meaning |
//! | --- | --- |
//! | `C: text` | the client sends the text and CRLF |
//! | `C\| text` | the client sends just the text, with the escapes of [`str::escape_default`] undone |
//! | `S: text` | the client gets the text and CRLF |
//! | `S\| text` | the client gets just the text, escapes undone |
//! | `D: text` | the machine hands out these octets of content, escapes undone |
//! | `? text` | the machine asks; the text is what [`Peer::poll`] calls the question |
//! | `= text` | the host's answer, for [`Peer::answer`] |
//! | `@ 300s` | so much time passes (`s`, `m`, or milliseconds without a letter) |
//! | `TLS` | the machine starts TLS; the host shakes hands at once |
//! | `CLOSED` | the machine closes |
//! | `# text`, nothing | a comment |
//!
//! Lines of the client that follow each other are sent at once. Before the next of
//! them, before time passes and at the end, the machine must have said and asked
//! exactly what stands between. [`check`] runs the dialogue whole, octet by octet,
//! and with each burst cut in two at every place: the result must not change.

use crate::time::Millis;

/// What a machine did in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It wrote these octets to the client.
    Wrote(Vec<u8>),
    /// It handed out these octets of content.
    Data(Vec<u8>),
    /// It asked the host this, and goes on after [`Peer::answer`].
    Asked(String),
    /// It needs more input, or the time to come.
    Wait(Millis),
    /// It starts TLS; the host has reported the end of the handshake.
    StartTls,
    /// It closes the connection.
    Close,
}

/// A machine together with a host that answers from a script.
pub trait Peer {
    /// Polls the machine once; gives what it consumed of the input and what it did.
    fn poll(&mut self, now: Millis, input: &[u8]) -> (usize, Event);

    /// Answers the question that was asked last.
    fn answer(&mut self, text: &str);
}

/// Runs a transcript in every cut.
///
/// # Panics
/// If the machine says or asks anything but what the transcript has.
pub fn check<P: Peer>(name: &str, transcript: &str, new: impl Fn() -> P) {
    let script = parse(name, transcript);
    let longest = script.iter().map(|step| match step {
        Step::Client(burst) => burst.len(),
        _ => 0,
    });
    let longest = longest.max().unwrap_or(0);
    run(name, &script, new(), &|_| Vec::new());
    run(name, &script, new(), &|burst| (1..burst).collect());
    // Every place of short dialogues, a sample of long ones.
    for at in (1..longest).step_by(longest / 2000 + 1) {
        run(name, &script, new(), &|burst| {
            if at < burst { vec![at] } else { Vec::new() }
        });
    }
}

enum Step {
    Client(Vec<u8>),
    Time(Millis),
    Expect(usize, Expected),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Expected {
    Wrote(Vec<u8>),
    Data(Vec<u8>),
    Asked(String, String),
    StartTls,
    Close,
}

fn parse(name: &str, transcript: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (number, line) in transcript.lines().enumerate() {
        let number = number + 1;
        let expect = |what| Step::Expect(number, what);
        let rest = line.get(2..).unwrap_or_default();
        let text = rest.strip_prefix(' ').unwrap_or(rest);
        let with_crlf = || [text.as_bytes(), b"\r\n"].concat();
        let step = match line.get(..2).unwrap_or(line) {
            "C:" | "C|" => {
                let octets = if line.starts_with("C:") {
                    with_crlf()
                } else {
                    unescape(text)
                };
                if let Some(Step::Client(burst)) = steps.last_mut() {
                    burst.extend(octets);
                    continue;
                }
                Step::Client(octets)
            }
            "S:" => expect(Expected::Wrote(with_crlf())),
            "S|" => expect(Expected::Wrote(unescape(text))),
            "D:" => expect(Expected::Data(unescape(text))),
            "? " => expect(Expected::Asked(text.to_owned(), String::new())),
            "= " | "=" => match steps.last_mut() {
                Some(Step::Expect(_, Expected::Asked(_, answer))) => {
                    text.clone_into(answer);
                    continue;
                }
                _ => panic!("{name}:{number}: an answer without a question"),
            },
            "@ " => Step::Time(duration(text)),
            "TL" => expect(Expected::StartTls),
            "CL" => expect(Expected::Close),
            start if start.starts_with('#') || line.is_empty() => continue,
            _ => panic!("{name}:{number}: not a line of a transcript: {line}"),
        };
        steps.push(step);
    }
    steps
}

fn duration(text: &str) -> Millis {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number = digits
        .parse()
        .expect("a number of seconds, minutes or milliseconds");
    match text.get(digits.len()..) {
        Some("s") => Millis::from_secs(number),
        Some("m") => Millis::from_mins(number),
        _ => Millis(number),
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        if octet != b'\\' {
            octets.push(octet);
            continue;
        }
        let Some((&kind, after)) = rest.split_first() else {
            break;
        };
        rest = after;
        octets.push(match kind {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'x' => {
                let digits = after.get(..2).and_then(|d| std::str::from_utf8(d).ok());
                rest = after.get(2..).unwrap_or_default();
                digits
                    .and_then(|d| u8::from_str_radix(d, 16).ok())
                    .expect("\\x and two hex digits")
            }
            other => other,
        });
    }
    octets
}

/// `cuts` gives the places at which a burst of a length is cut.
fn run<P: Peer>(name: &str, script: &[Step], mut peer: P, cuts: &dyn Fn(usize) -> Vec<usize>) {
    let mut now = Millis(0);
    let mut input: Vec<u8> = Vec::new();
    let mut steps = script.iter().peekable();
    loop {
        let mut chunks = vec![Vec::new()];
        match steps.peek() {
            Some(Step::Client(burst)) => {
                let mut start = 0;
                chunks = Vec::new();
                for end in cuts(burst.len()).into_iter().chain([burst.len()]) {
                    chunks.push(burst.get(start..end).unwrap_or_default().to_vec());
                    start = end;
                }
                steps.next();
            }
            Some(Step::Time(passes)) => {
                now = now + *passes;
                steps.next();
            }
            Some(Step::Expect(..)) => {}
            None => return,
        }
        let mut expected: Vec<(usize, Expected)> = Vec::new();
        while let Some(Step::Expect(line, what)) = steps.peek() {
            match (expected.last_mut(), what) {
                (Some((_, Expected::Wrote(all))), Expected::Wrote(more))
                | (Some((_, Expected::Data(all))), Expected::Data(more)) => all.extend(more),
                _ => expected.push((*line, what.clone())),
            }
            steps.next();
        }
        let mut seen = Seen {
            name,
            expected: &expected,
            events: Vec::new(),
        };
        for chunk in chunks {
            input.extend(chunk);
            if !seen.settle(&mut peer, now, &mut input) {
                break;
            }
        }
        seen.finish();
    }
}

struct Seen<'a> {
    name: &'a str,
    expected: &'a [(usize, Expected)],
    events: Vec<Expected>,
}

impl Seen<'_> {
    /// Polls until the machine waits; false once it has closed.
    fn settle<P: Peer>(&mut self, peer: &mut P, now: Millis, input: &mut Vec<u8>) -> bool {
        for _ in 0..1_000_000 {
            let (consumed, event) = peer.poll(now, input);
            input.drain(..consumed);
            match (event, self.events.last_mut()) {
                (Event::Wrote(more), Some(Expected::Wrote(all)))
                | (Event::Data(more), Some(Expected::Data(all))) => all.extend(more),
                (Event::Wrote(octets), _) => self.events.push(Expected::Wrote(octets)),
                (Event::Data(octets), _) => self.events.push(Expected::Data(octets)),
                (Event::Asked(question), _) => {
                    let answer = self.answer(&question);
                    self.events.push(Expected::Asked(question, answer.clone()));
                    peer.answer(&answer);
                }
                (Event::Wait(deadline), _) if deadline <= now => {
                    panic!("{}: waits for a time that has come", self.name)
                }
                (Event::Wait(_), _) => return true,
                (Event::StartTls, _) => {
                    input.clear();
                    self.events.push(Expected::StartTls);
                }
                (Event::Close, _) => {
                    self.events.push(Expected::Close);
                    return false;
                }
            }
        }
        panic!("{}: the machine does not come to rest", self.name)
    }

    /// The scripted answer to the question that comes next.
    fn answer(&self, question: &str) -> String {
        match self.expected.get(self.events.len()) {
            Some((_, Expected::Asked(wanted, answer))) if wanted == question => answer.clone(),
            other => panic!(
                "{}: asked {question:?} instead of {other:?}; before: {}",
                self.name,
                show(&self.events)
            ),
        }
    }

    fn finish(self) {
        let wanted: Vec<_> = self.expected.iter().map(|(_, what)| what.clone()).collect();
        let line = self.expected.first().map_or(0, |(line, _)| *line);
        assert!(
            self.events == wanted,
            "{}:{line}: the machine did\n{}instead of\n{}",
            self.name,
            show(&self.events),
            show(&wanted)
        );
    }
}

fn show(events: &[Expected]) -> String {
    let mut text = String::new();
    for event in events {
        let line = match event {
            Expected::Wrote(octets) => format!("S| {}", octets.escape_ascii()),
            Expected::Data(octets) => format!("D: {}", octets.escape_ascii()),
            Expected::Asked(question, answer) => format!("? {question}\n= {answer}"),
            Expected::StartTls => "TLS".to_owned(),
            Expected::Close => "CLOSED".to_owned(),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Greets, echoes lines, asks about lines with a question mark, closes on "bye"
    /// and after a minute.
    #[derive(Default)]
    struct Echo {
        out: Vec<u8>,
        asked: bool,
        closing: bool,
        greeted: bool,
    }

    impl Peer for Echo {
        fn poll(&mut self, now: Millis, input: &[u8]) -> (usize, Event) {
            if !self.greeted {
                self.greeted = true;
                return (0, Event::Wrote(b"hello\r\n".to_vec()));
            }
            if !self.out.is_empty() {
                return (0, Event::Wrote(std::mem::take(&mut self.out)));
            }
            if self.closing || now >= Millis::from_mins(1) {
                return (0, Event::Close);
            }
            assert!(!self.asked);
            let Some(end) = input.iter().position(|&b| b == b'\n') else {
                return (0, Event::Wait(Millis::from_mins(1)));
            };
            let line = input[..=end].to_vec();
            self.closing = line == b"bye\r\n";
            if line.ends_with(b"?\r\n") {
                self.asked = true;
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                return (end + 1, Event::Asked(text));
            }
            (end + 1, Event::Wrote(line))
        }

        fn answer(&mut self, text: &str) {
            self.asked = false;
            self.out = format!("{text}\r\n").into_bytes();
        }
    }

    #[test]
    fn a_dialogue_holds_in_every_cut() {
        let text =
            "S: hello\nC: a\nC: who?\nS: a\n? who?\n= me\nS: me\n\n# end\nC: bye\nS: bye\nCLOSED\n";
        check("echo", text, Echo::default);
        check("late", "S: hello\n@ 60s\nCLOSED\n", Echo::default);
    }

    #[test]
    #[should_panic(expected = "instead of")]
    fn a_wrong_line_is_noticed() {
        check("echo", "S: hello\nC: a\nS: b\n", Echo::default);
    }
}
