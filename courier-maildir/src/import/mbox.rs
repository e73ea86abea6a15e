//! mbox files, taken apart as they are read.
//!
//! A message begins with a line `From SENDER DATE`: the first line of the file, or one
//! after an empty line. The empty line belongs to the file, not to the message. A
//! `Content-Length` is not believed: programs that move text change it and leave the
//! number. Lines of messages that begin with `From ` carry a `>`: of mboxrd each line
//! of `>`s and `From ` has one more than the message, of mboxo only those without any.

use courier_core::message::date::DateTime;
use courier_core::time::UnixSeconds;

/// How lines that begin with `From ` were changed on their way into the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quoting {
    /// Each line of any number of `>` and `From ` got one more `>`.
    #[default]
    Rd,
    /// `From ` became `>From `; lines with more `>` stayed.
    O,
    /// Not at all.
    None,
}

/// What comes out of a file, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message begins.
    Begin(Start),
    /// Text of the message, lines ending in LF.
    Text(&'a [u8]),
    /// The message has ended.
    End,
}

/// Where a message begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The octet, counted from 0.
    pub offset: u64,
    /// The line, counted from 1.
    pub line: u64,
    /// The date in the line `From `; nothing for text that stands before the first.
    pub date: Option<UnixSeconds>,
}

/// Takes a file apart. Memory is bounded, whatever is fed.
#[derive(Debug)]
pub struct Splitter {
    quoting: Quoting,
    /// A line of which the end has not come.
    line: Vec<u8>,
    /// Where that line begins.
    offset: u64,
    number: u64,
    /// The beginning of the line was too long, and went out.
    inside: bool,
    /// An empty line that is held back: the file's, if a message follows.
    blank: bool,
    open: bool,
}

impl Splitter {
    /// Lines that are longer go out in pieces.
    const LINE_LIMIT: usize = 64 << 10;

    /// For a file from its beginning.
    #[must_use]
    pub fn new(quoting: Quoting) -> Self {
        Self {
            quoting,
            line: Vec::new(),
            offset: 0,
            number: 1,
            inside: false,
            blank: true,
            open: false,
        }
    }

    /// Takes the next octets of the file.
    pub fn feed(&mut self, octets: &[u8], mut show: impl FnMut(Event<'_>)) {
        for piece in octets.split_inclusive(|&octet| octet == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.take(&mut show);
                self.number += 1;
            } else if self.line.len() >= Self::LINE_LIMIT && !self.line.ends_with(b"\r") {
                self.take(&mut show);
            }
        }
    }

    /// The file has ended. A last line without an end gets one.
    pub fn finish(mut self, mut show: impl FnMut(Event<'_>)) {
        if self.inside || !self.line.is_empty() {
            self.line.push(b'\n');
            self.take(&mut show);
        }
        if self.open {
            show(Event::End);
        }
    }

    /// A line with its end, or a piece of one.
    fn take(&mut self, show: &mut impl FnMut(Event<'_>)) {
        let mut line = std::mem::take(&mut self.line);
        let offset = self.offset;
        self.offset += line.len() as u64;
        let ended = line.ends_with(b"\n");
        if line.ends_with(b"\r\n") {
            line.truncate(line.len() - 2);
            line.push(b'\n');
        }
        let begins = !std::mem::replace(&mut self.inside, !ended);
        let after_blank = std::mem::replace(&mut self.blank, begins && line == b"\n");
        if !begins {
            show(Event::Text(&line));
        } else if let Some(date) = from_line(&line).filter(|_| after_blank) {
            self.begin(offset, Some(date), show);
        } else if line == b"\n" && !self.open {
            // Before the first message.
        } else {
            if !self.open {
                self.begin(offset, None, show);
            } else if after_blank {
                show(Event::Text(b"\n"));
            }
            if line != b"\n" {
                show(Event::Text(self.unquoted(&line)));
            }
        }
        line.clear();
        self.line = line;
    }

    fn begin(&mut self, offset: u64, date: Option<UnixSeconds>, show: &mut impl FnMut(Event<'_>)) {
        if std::mem::replace(&mut self.open, true) {
            show(Event::End);
        }
        let line = self.number;
        show(Event::Begin(Start { offset, line, date }));
        self.blank = false;
    }

    fn unquoted<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let rest = line.strip_prefix(b">").unwrap_or(line);
        let marks = rest.iter().take_while(|&&octet| octet == b'>').count();
        let is_from = rest
            .get(marks..)
            .is_some_and(|text| text.starts_with(b"From "));
        let quoted = match self.quoting {
            Quoting::Rd => is_from,
            Quoting::O => is_from && marks == 0,
            Quoting::None => false,
        };
        if quoted { rest } else { line }
    }
}

/// The date of a line `From SENDER DATE`. The sender may hold blanks, and more may
/// follow the date.
fn from_line(line: &[u8]) -> Option<UnixSeconds> {
    let text = line.strip_prefix(b"From ")?.trim_ascii();
    let text = text.get(..text.len().min(512))?;
    let starts = text.iter().enumerate().filter(|(_, octet)| **octet == b' ');
    let starts = std::iter::once(0).chain(starts.map(|(at, _)| at + 1));
    let mut dates = starts.take(64).filter_map(|at| {
        let date = DateTime::parse(text.get(at..)?).ok()?;
        Some(date.time)
    });
    dates.next()
}

/// A message as it stands in an mboxrd file, the line `From ` in front and an empty
/// line behind; a last line without an end gets one.
#[must_use]
pub fn print(sender: &str, date: &str, message: &[u8]) -> Vec<u8> {
    let mut text = format!("From {sender} {date}\n").into_bytes();
    for line in message.split_inclusive(|&octet| octet == b'\n') {
        let marks = line.iter().take_while(|&&octet| octet == b'>').count();
        if line
            .get(marks..)
            .is_some_and(|rest| rest.starts_with(b"From "))
        {
            text.push(b'>');
        }
        text.extend_from_slice(line);
    }
    if !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    text.push(b'\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Messages with the places where they begin, fed in pieces of this size.
    fn split(octets: &[u8], quoting: Quoting, size: usize) -> Vec<(Start, Vec<u8>)> {
        let mut found: Vec<(Start, Vec<u8>)> = Vec::new();
        let mut open = false;
        let mut show = |event: Event<'_>| match event {
            Event::Begin(start) => {
                assert!(!std::mem::replace(&mut open, true));
                found.push((start, Vec::new()));
            }
            Event::Text(text) => found.last_mut().expect("begun").1.extend_from_slice(text),
            Event::End => assert!(std::mem::replace(&mut open, false)),
        };
        let mut splitter = Splitter::new(quoting);
        for piece in octets.chunks(size) {
            splitter.feed(piece, &mut show);
        }
        splitter.finish(&mut show);
        assert!(!open);
        found
    }

    fn texts(text: &str, quoting: Quoting) -> Vec<String> {
        let found = split(text.as_bytes(), quoting, 7);
        let text = |(_, text): (Start, Vec<u8>)| String::from_utf8(text).expect("text");
        found.into_iter().map(text).collect()
    }

    const FROM: &str = "From ann@example.com Thu Jan  1 00:00:09 1970\n";

    #[test]
    fn messages_begin_at_dated_lines_after_an_empty_one() {
        let text = format!("\n{FROM}A: b\n\nFrom here on\n{FROM}\n\n{FROM}C: d\n\n{FROM}");
        assert_eq!(
            texts(&text, Quoting::Rd),
            [
                format!("A: b\n\nFrom here on\n{FROM}\n"),
                "C: d\n".into(),
                String::new()
            ]
        );
        let starts = split(text.as_bytes(), Quoting::Rd, 1000);
        assert_eq!((starts[0].0.offset, starts[0].0.line), (1, 2));
        assert_eq!(starts[0].0.date, Some(UnixSeconds(9)));
    }

    #[test]
    fn marks_are_taken_off_as_they_were_put() {
        let text = format!("{FROM}A: b\n\n>From x\n>>From x\n>x\n");
        let of = |quoting| texts(&text, quoting).concat();
        assert_eq!(of(Quoting::Rd), "A: b\n\nFrom x\n>From x\n>x\n");
        assert_eq!(of(Quoting::O), "A: b\n\nFrom x\n>>From x\n>x\n");
        assert_eq!(of(Quoting::None), "A: b\n\n>From x\n>>From x\n>x\n");
    }

    #[test]
    fn lines_may_end_in_crlf_or_not_at_all() {
        let text = format!("{FROM}A: b\n\nc\n\n{FROM}D: e").replace('\n', "\r\n");
        assert_eq!(texts(&text, Quoting::Rd), ["A: b\n\nc\n", "D: e\n"]);
    }

    #[test]
    fn text_before_the_first_message_is_told() {
        let found = split(format!("junk\n\n{FROM}A: b\n").as_bytes(), Quoting::Rd, 3);
        assert_eq!(found[0].0.date, None);
        assert_eq!(found[0].1, b"junk\n");
        assert_eq!(found[1].1, b"A: b\n");
        assert!(split(b"", Quoting::Rd, 3).is_empty());
        assert!(split(b"\n\r\n", Quoting::Rd, 3).is_empty());
    }

    #[test]
    fn lines_from_of_many_programs_are_known() {
        for line in [
            "From - Sat Jan 01 12:00:00 2000",
            "From MAILER-DAEMON Fri Jul  8 12:08:34 2011",
            "From 1234@xxx Thu Jan 01 00:00:00 +0000 2015",
            "From a b@c Mon, 3 Jan 2000 10:00:00 +0100",
            "From ann@example.com  Thu Jan  1 00:00:09 1970 remote from x",
        ] {
            assert!(from_line(line.as_bytes()).is_some(), "{line}");
        }
        for line in ["From here on", "From", "From: a@b Thu Jan  1 00:00:09 1970"] {
            assert!(from_line(line.as_bytes()).is_none(), "{line}");
        }
    }

    #[test]
    fn a_line_without_end_is_not_kept_in_memory() {
        let mut splitter = Splitter::new(Quoting::Rd);
        let mut octets = 0;
        splitter.feed(FROM.as_bytes(), |_| ());
        for _ in 0..100 {
            splitter.feed(&[b'x'; 9999], |event| {
                if let Event::Text(text) = event {
                    octets += text.len();
                }
            });
            assert!(splitter.line.len() < 80_000);
        }
        splitter.finish(|event| {
            if let Event::Text(text) = event {
                octets += text.len();
            }
        });
        assert_eq!(octets, 999_901);
    }

    proptest! {
        #[test]
        fn what_was_printed_is_split(
            messages in prop::collection::vec("(>{0,2}From |[a-z>]{0,3}|From a Thu Jan  1 00:00:09 1970|\r?\n){0,12}", 0..5),
            size in 1_usize..100
        ) {
            let mut file = Vec::new();
            let mut expected = Vec::new();
            for message in &messages {
                file.extend(print("a@b", "Thu Jan  1 00:00:09 1970", message.as_bytes()));
                let mut message = message.replace("\r\n", "\n");
                if !message.ends_with('\n') && !message.is_empty() {
                    message.push('\n');
                }
                expected.push(message.into_bytes());
            }
            let found = split(&file, Quoting::Rd, size);
            let found: Vec<_> = found.into_iter().map(|(_, text)| text).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn noise_is_split_alike_in_any_pieces(octets: Vec<u8>, size in 1_usize..20) {
            let whole = split(&octets, Quoting::Rd, octets.len().max(1));
            prop_assert_eq!(split(&octets, Quoting::Rd, size), whole);
        }
    }
}
