//! Where a command line ends, and nothing else.
//!
//! A command ends at CRLF (RFC 5321 §2.3.8). A bare CR, a bare LF or a NUL inside a
//! line means that the two ends do not agree on lines, and that is the moment to stop
//! talking: every smuggling attack begins there. Courier takes a bare LF as a part of
//! the line; we do not.

use memchr::memchr;

/// What the next line of input turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framed<'b> {
    /// A whole line, without its CRLF.
    Line(&'b [u8]),
    /// The end of the line has not come.
    More,
    /// A line over the limit has just ended; none of it was kept.
    TooLong,
    /// A bare CR, a bare LF or a NUL: the session must end.
    Broken(Breach),
    /// More than [`FLOOD`] octets without an end: the session must end.
    Flood,
}

/// An octet that has no place in a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// CR without LF.
    BareCarriageReturn,
    /// LF without CR.
    BareLineFeed,
    /// NUL; a C-like cut there is a hole that real servers have had.
    Nul,
}

/// A line that goes on for longer is not read to its end.
pub const FLOOD: usize = 1024 * 1024;

/// Cuts input into command lines; remembers only how much of a long one was dropped.
///
/// ```
/// use courier_smtp::framing::{CommandLines, Framed};
///
/// let mut lines = CommandLines::default();
/// assert_eq!(lines.next(b"NOOP\r\nQU", 4096), (6, Framed::Line(b"NOOP")));
/// assert_eq!(lines.next(b"QU", 4096), (0, Framed::More));
/// ```
#[derive(Debug, Default)]
pub struct CommandLines {
    dropping: Option<Dropping>,
}

/// A line over its limit that is being read away.
#[derive(Debug, Clone, Copy)]
struct Dropping {
    octets: usize,
    after_cr: bool,
}

impl CommandLines {
    /// Looks for the next line of at most `limit` octets without its CRLF; also says
    /// how many octets of the input are done with.
    ///
    /// Of a line that is not over, nothing is consumed while it may still be within
    /// the limit; so the host never holds more than `limit` + 2 octets of it.
    pub fn next<'b>(&mut self, input: &'b [u8], limit: usize) -> (usize, Framed<'b>) {
        if let Some(dropping) = self.dropping {
            return self.drop_on(dropping, input);
        }
        let window = input.get(..limit.saturating_add(2)).unwrap_or(input);
        let Some(end) = memchr(b'\n', window) else {
            if !is_over(input, limit) {
                return (0, Framed::More);
            }
            let start = Dropping {
                octets: 0,
                after_cr: false,
            };
            return self.drop_on(start, input);
        };
        let text = window.get(..end).unwrap_or_default();
        let Some(line) = text.strip_suffix(b"\r") else {
            return (end + 1, Framed::Broken(Breach::BareLineFeed));
        };
        let framed = match line.iter().find(|&&octet| octet == b'\r' || octet == 0) {
            None => Framed::Line(line),
            Some(0) => Framed::Broken(Breach::Nul),
            Some(_) => Framed::Broken(Breach::BareCarriageReturn),
        };
        (end + 1, framed)
    }

    fn drop_on<'b>(&mut self, mut dropping: Dropping, input: &'b [u8]) -> (usize, Framed<'b>) {
        self.dropping = None;
        let room = FLOOD.saturating_sub(dropping.octets);
        let window = input.get(..room).unwrap_or(input);
        if let Some(end) = memchr(b'\n', window) {
            let after_cr = match end.checked_sub(1) {
                Some(before) => window.get(before) == Some(&b'\r'),
                None => dropping.after_cr,
            };
            let framed = if after_cr {
                Framed::TooLong
            } else {
                Framed::Broken(Breach::BareLineFeed)
            };
            return (end + 1, framed);
        }
        if window.len() == room {
            return (window.len(), Framed::Flood);
        }
        dropping.octets += window.len();
        if let Some(&last) = window.last() {
            dropping.after_cr = last == b'\r';
        }
        self.dropping = Some(dropping);
        (window.len(), Framed::More)
    }
}

/// Whether the line that the input begins with is longer than `limit`, as far as it has
/// come.
pub(crate) fn is_over(input: &[u8], limit: usize) -> bool {
    let window = input.get(..limit.saturating_add(2));
    window.is_some_and(|window| memchr(b'\n', window).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that comes of the input when it arrives in chunks of this size.
    fn all(input: &[u8], chunk: usize, limit: usize) -> Vec<String> {
        let (mut lines, mut held, mut seen) = (CommandLines::default(), Vec::new(), Vec::new());
        for part in input.chunks(chunk) {
            held.extend_from_slice(part);
            loop {
                let (consumed, framed) = lines.next(&held, limit);
                let text = format!("{framed:?}");
                let stop = matches!(framed, Framed::Broken(_) | Framed::Flood);
                let more = framed == Framed::More;
                held.drain(..consumed);
                assert!(held.len() < limit + 2 || !more, "holds {}", held.len());
                if more {
                    break;
                }
                seen.push(text);
                if stop {
                    return seen;
                }
            }
        }
        seen
    }

    #[test]
    fn the_limit_holds_at_its_number() {
        for (length, ends) in [
            (9, "Line"),
            (10, "Line"),
            (11, "TooLong"),
            (5000, "TooLong"),
        ] {
            let line = [vec![b'x'; length], b"\r\nNOOP\r\n".to_vec()].concat();
            let seen = all(&line, 1, 10);
            assert!(seen[0].starts_with(ends), "{length}: {}", seen[0]);
            assert!(seen[1].starts_with("Line"), "the next line is whole");
            for chunk in [2, 3, 11, 12, 13, 8192] {
                assert_eq!(all(&line, chunk, 10), seen, "{length} in {chunk}");
            }
        }
    }

    #[test]
    fn a_line_without_an_end_is_a_flood() {
        for (length, ends) in [
            (FLOOD - 2, "TooLong"),
            (FLOOD - 1, "Flood"),
            (FLOOD, "Flood"),
        ] {
            let line = [vec![b'x'; length], b"\r\n".to_vec()].concat();
            for chunk in [1000, 4096, 2 * FLOOD] {
                assert_eq!(all(&line, chunk, 4096), [ends], "{length} in {chunk}");
            }
        }
    }

    #[test]
    fn what_has_no_place_in_a_line_breaks_it_in_every_cut() {
        let long = [vec![b'x'; 99], b"\n".to_vec()].concat();
        for (input, breach) in [
            (&b"EHLO a\nNOOP\r\n"[..], Breach::BareLineFeed),
            (b"\n", Breach::BareLineFeed),
            (b"NOOP\rQUIT\r\n", Breach::BareCarriageReturn),
            (b"NOOP\r\r\n", Breach::BareCarriageReturn),
            (b"NOOP \0\r\n", Breach::Nul),
            (&long, Breach::BareLineFeed),
        ] {
            for chunk in 1..=input.len() {
                let seen = all(input, chunk, 10);
                assert_eq!(
                    seen,
                    [format!("Broken({breach:?})")],
                    "{}",
                    input.escape_ascii()
                );
            }
        }
    }
}
