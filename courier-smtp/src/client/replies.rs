use memchr::memchr;

use super::output::Failure;
use crate::reply::{Follows, Reply, ReplyError, split_line};

/// Reads replies; of a long one only the beginning is kept (smtp.md §4.3).
#[derive(Debug, Default)]
pub(super) struct Replies {
    /// The first lines of the reply.
    kept: Vec<Vec<u8>>,
    /// The beginning of the line that is being read.
    line: Vec<u8>,
    octets: usize,
}

/// Lines of a reply that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// As many as a report quotes.
    Few,
    /// As many as a reply to EHLO may have.
    Keywords,
}

impl Keep {
    fn lines(self) -> usize {
        match self {
            Self::Few => 10,
            Self::Keywords => 100,
        }
    }
}

/// Octets kept of a line.
const LINE: usize = 1000;
/// A reply that is longer does not end.
const MOST_OCTETS: usize = 4 * 1024 * 1024;

impl Replies {
    /// Reads on; gives how much was consumed, and the reply if it is whole. Bare LF ends
    /// a line too: this is no place where anything could be smuggled.
    pub(super) fn next(
        &mut self,
        input: &[u8],
        keep: Keep,
    ) -> (usize, Option<Result<Reply, Failure>>) {
        let mut consumed = 0;
        loop {
            let rest = input.get(consumed..).unwrap_or_default();
            let end = memchr(b'\n', rest).map(|at| at + 1);
            let piece = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            consumed += piece.len();
            self.octets += piece.len();
            let room = LINE.saturating_sub(self.line.len());
            let some = piece.get(..room).unwrap_or(piece);
            self.line.extend_from_slice(some);
            if self.octets > MOST_OCTETS {
                *self = Self::default();
                return (consumed, Some(Err(Failure::EndlessReply)));
            }
            if end.is_none() {
                return (consumed, None);
            }
            match self.end_of_line(keep) {
                Ok(Follows::Line) => {}
                Ok(Follows::Nothing) => {
                    let kept = std::mem::take(self).kept;
                    let reply = Reply::parse(kept.iter().map(Vec::as_slice));
                    return (consumed, Some(reply.map_err(Failure::from)));
                }
                Err(error) => {
                    *self = Self::default();
                    return (consumed, Some(Err(error.into())));
                }
            }
        }
    }

    fn end_of_line(&mut self, keep: Keep) -> Result<Follows, ReplyError> {
        let mut line = std::mem::take(&mut self.line);
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        line.truncate(text.len());
        let (_, follows, _) = split_line(&line).ok_or(ReplyError::NoCode)?;
        if self.kept.len() < keep.lines() {
            self.kept.push(line);
        }
        Ok(follows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8], chunk: usize) -> Option<Result<Reply, Failure>> {
        let mut replies = Replies::default();
        for part in input.chunks(chunk) {
            let (consumed, reply) = replies.next(part, Keep::Few);
            if reply.is_some() {
                return reply;
            }
            assert_eq!(consumed, part.len());
            assert!(replies.line.len() <= LINE && replies.kept.len() <= 10);
        }
        None
    }

    #[test]
    fn long_replies_are_survived_and_their_beginning_kept() {
        let mut many = "250-line\r\n".repeat(10_000);
        many.push_str("250 last\r\n");
        let wide = format!("550 {}\r\n", "x".repeat(1024 * 1024));
        for chunk in [1000, 4096, usize::MAX] {
            let reply = read(many.as_bytes(), chunk)
                .expect("whole")
                .expect("a reply");
            assert_eq!(reply.text().lines().count(), 10);
            let reply = read(wide.as_bytes(), chunk)
                .expect("whole")
                .expect("a reply");
            assert_eq!((reply.code().get(), reply.text().len()), (550, LINE - 4));
        }
    }

    #[test]
    fn what_does_not_end_or_has_no_code_is_a_failure() {
        let endless = vec![b'2'; MOST_OCTETS + 1];
        assert_eq!(read(&endless, 8192), Some(Err(Failure::EndlessReply)));
        let lines = "250-x\r\n".repeat(MOST_OCTETS / 7 + 1);
        assert_eq!(
            read(lines.as_bytes(), 8192),
            Some(Err(Failure::EndlessReply))
        );
        for bad in ["hello\r\n", "\n", "250-a\r\nb\r\n", "250-a\r\n550 b\r\n"] {
            assert!(
                matches!(read(bad.as_bytes(), 1), Some(Err(Failure::NoReply(_)))),
                "{bad}"
            );
        }
        assert_eq!(read(b"250-a\r\n", 3), None);
        assert_eq!(
            read(b"250 a\n", 3).expect("whole").expect("a reply").text(),
            "a"
        );
    }
}
