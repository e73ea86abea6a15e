use memchr::memchr;

/// A line that is longer than this, though it is dropped, ends the session.
const FLOOD: usize = 1024 * 1024;

/// Finds lines in the host's buffer, and drops those that are too long.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Octets of a line that is being dropped; 0 if none is.
    dropped: usize,
}

/// What the buffer begins with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Framed<'b> {
    /// A line, without CRLF. A bare LF ends a line too, as people type them.
    Line(&'b [u8]),
    /// No whole line yet.
    More,
    /// A line over the limit has been dropped whole.
    TooLong,
    /// A line over [`FLOOD`].
    Flood,
}

impl Lines {
    /// The next line of at most `limit` octets, and how much of the input is done with.
    pub(crate) fn next<'b>(&mut self, input: &'b [u8], limit: usize) -> (usize, Framed<'b>) {
        if self.dropped > 0 {
            return self.drop_line(input);
        }
        let window = input.get(..limit + 2).unwrap_or(input);
        match memchr(b'\n', window) {
            Some(end) => {
                let line = input.get(..end).unwrap_or_default();
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                let framed = if line.len() > limit {
                    Framed::TooLong
                } else {
                    Framed::Line(line)
                };
                (end + 1, framed)
            }
            None if window.len() == limit + 2 => self.drop_line(input),
            None => (0, Framed::More),
        }
    }

    fn drop_line<'b>(&mut self, input: &'b [u8]) -> (usize, Framed<'b>) {
        if let Some(end) = memchr(b'\n', input)
            && self.dropped + end <= FLOOD
        {
            self.dropped = 0;
            return (end + 1, Framed::TooLong);
        }
        self.dropped += input.len();
        if self.dropped > FLOOD {
            return (input.len(), Framed::Flood);
        }
        (input.len(), Framed::More)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_lf_with_or_without_cr() {
        let mut lines = Lines::default();
        assert_eq!(lines.next(b"NOOP\r\nX", 10), (6, Framed::Line(b"NOOP")));
        assert_eq!(lines.next(b"NOOP\nX", 10), (5, Framed::Line(b"NOOP")));
        assert_eq!(lines.next(b"NOOP\r", 10), (0, Framed::More));
        assert_eq!(lines.next(b"a\rb\r\r\n", 10), (6, Framed::Line(b"a\rb\r")));
    }

    #[test]
    fn the_limit_does_not_count_the_line_end() {
        for (length, fits) in [(9, true), (10, true), (11, false), (13, false)] {
            for end in ["\n", "\r\n"] {
                let input = "x".repeat(length) + end;
                let (consumed, framed) = Lines::default().next(input.as_bytes(), 10);
                assert_eq!(matches!(framed, Framed::Line(_)), fits, "{length} {end:?}");
                assert_eq!(consumed, input.len());
                let mut lines = Lines::default();
                let octets: Vec<_> = input.bytes().collect();
                let mut held = Vec::new();
                let mut last = None;
                for octet in octets {
                    held.push(octet);
                    let (consumed, framed) = lines.next(&held, 10);
                    last = Some(matches!(framed, Framed::Line(_)));
                    held.drain(..consumed);
                }
                assert_eq!(last, Some(fits));
            }
        }
    }

    #[test]
    fn a_flood_is_told_from_a_long_line() {
        let mut lines = Lines::default();
        let line = vec![b'x'; FLOOD];
        assert_eq!(lines.next(&line, 10), (FLOOD, Framed::More));
        assert_eq!(lines.next(b"\n", 10), (1, Framed::TooLong));
        assert_eq!(lines.next(&line, 10), (FLOOD, Framed::More));
        assert_eq!(lines.next(b"x", 10), (1, Framed::Flood));
    }
}
