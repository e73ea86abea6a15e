//! Where a command ends (RFC 3501 §2.2): lines, and literals inside them.
//!
//! Framing comes first and knows no grammar but one thing: which literal is the message of
//! an APPEND, because that one is handed through instead of kept. Limits are enforced here,
//! and what is refused is read away, so that the stream stays in step.

use std::borrow::Cow;

use memchr::memchr;

use super::command::{CommandError, Literal};

/// The most literals one command may have.
pub const MOST_LITERALS: u32 = 64;
/// The most octets that are read away for one command that was refused.
pub const MOST_DROPPED: u64 = 1024 * 1024;
/// Larger buffers are given back after a command.
const KEPT_CAPACITY: usize = 4096;

/// How much a command may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Octets outside literals.
    pub text: usize,
    /// Octets of one literal; no literal at all if none.
    pub literal: Option<u64>,
    /// Whether an APPEND may come.
    pub append: Append,
}

/// Whether the literal of an APPEND is a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Append {
    /// It is, whatever its size.
    Expected,
    /// Before login it is a literal like any other.
    Unknown,
}

impl Limits {
    /// Before login.
    pub const BEFORE_LOGIN: Self = Self {
        text: 8 * 1024,
        literal: Some(1024),
        append: Append::Unknown,
    };
    /// After login.
    pub const COMMAND: Self = Self {
        text: 64 * 1024,
        literal: Some(8192),
        append: Append::Expected,
    };
    /// A line that is no command: a SASL response, DONE, the end of an APPEND.
    pub const LINE: Self = Self {
        text: 16 * 1024,
        literal: None,
        append: Append::Unknown,
    };
}

/// Whether the client waits before it sends a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// `{n}`: it waits for a line that begins with a plus.
    Waits,
    /// `{n+}` (RFC 7888): it does not.
    Runs,
}

/// What stands at the front of the input.
#[derive(Debug, PartialEq)]
pub enum Frame<'i> {
    /// Nothing whole yet.
    More,
    /// The client waits to be told that it may send its literal.
    GoAhead,
    /// A whole command, literals as they came, without the line end behind it.
    Command(Cow<'i, [u8]>),
    /// An APPEND up to the brace of its message. The message follows in the input; the
    /// caller takes its octets, then the line end behind it with [`Limits::LINE`].
    Message {
        /// The command so far.
        head: Cow<'i, [u8]>,
        /// Octets of the message.
        size: u64,
        /// Whether the client waits.
        pace: Pace,
    },
    /// A command that was refused; the rest of it is read away by the following calls.
    Refused {
        /// How it began.
        head: Cow<'i, [u8]>,
        /// Why.
        error: FrameError,
    },
    /// So much is to be read away that it is better to part.
    Flood,
}

/// Why a command is refused before it is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// More text than [`Limits::text`].
    #[error("the command is too long")]
    Long,
    /// More than [`Limits::literal`].
    #[error("the literal is too long")]
    LongLiteral,
    /// More than [`MOST_LITERALS`].
    #[error("the command has more than 64 literals")]
    ManyLiterals,
    /// A literal where none can be.
    #[error("a literal where none can be")]
    StrayLiteral,
    /// An APPEND that is wrong before its message.
    #[error(transparent)]
    Command(CommandError),
}

/// Finds the ends of commands in a stream. Keeps what it has seen of one, so that the
/// caller's buffer may be smaller than a command.
#[derive(Debug, Default)]
pub struct Framer {
    /// The command so far, literals included.
    buffer: Vec<u8>,
    /// Where its last line begins.
    line: usize,
    /// How much of it is text.
    text: usize,
    literals: u32,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Line,
    Literal {
        left: usize,
    },
    Dropping(Dropping),
}

impl Framer {
    /// Whether a literal has begun that is not whole yet: it has a deadline of its own.
    #[must_use]
    pub fn in_literal(&self) -> bool {
        match &self.state {
            State::Line => false,
            State::Literal { .. } => true,
            State::Dropping(dropping) => dropping.literal > 0,
        }
    }

    /// Whether a command has begun that is not whole yet.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        !self.buffer.is_empty() || !matches!(self.state, State::Line)
    }

    /// Takes what it can from the front of `input`; gives how much that was. After
    /// [`Frame::Flood`] it must not be called again.
    pub fn next<'i>(&mut self, input: &'i [u8], limits: Limits) -> (usize, Frame<'i>) {
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            match &mut self.state {
                State::Dropping(dropping) => match dropping.drop_from(rest) {
                    Drop::Some(count) => return (at + count, Frame::More),
                    Drop::All(count) => {
                        at += count;
                        self.state = State::Line;
                    }
                    Drop::Flood => return (at, Frame::Flood),
                },
                State::Literal { left } => {
                    let octets = rest.get(..*left).unwrap_or(rest);
                    self.buffer.extend_from_slice(octets);
                    *left -= octets.len();
                    at += octets.len();
                    if *left > 0 {
                        return (at, Frame::More);
                    }
                    self.line = self.buffer.len();
                    self.state = State::Line;
                }
                State::Line => {
                    let (count, frame) = self.line(rest, limits);
                    at += count;
                    match frame {
                        Some(frame) => return (at, frame),
                        None => continue,
                    }
                }
            }
            if at >= input.len() && matches!(self.state, State::Line) {
                return (at, Frame::More);
            }
        }
    }

    /// Reads away the `size` octets of a message that was refused although it comes, and the
    /// line behind it.
    pub fn drop_message(&mut self, size: u64) {
        self.state = State::Dropping(Dropping::new(size, MOST_DROPPED.saturating_add(size)));
    }

    /// Reads away the rest of the line.
    pub fn drop_line(&mut self) {
        self.state = State::Dropping(Dropping::new(0, MOST_DROPPED));
    }

    fn line<'i>(&mut self, rest: &'i [u8], limits: Limits) -> (usize, Option<Frame<'i>>) {
        let room = limits.text.saturating_sub(self.text);
        // A line end may stand right behind the last octet that is allowed, and be CRLF.
        let window = rest.get(..room.saturating_add(2)).unwrap_or(rest);
        let Some(end) = memchr(b'\n', window) else {
            if rest.len() > room + 1 || (rest.len() > room && rest.get(room) != Some(&b'\r')) {
                return (0, Some(self.refuse_long(rest, room)));
            }
            // A CR at the very end stays in the input until it is clear what it belongs to.
            let taken = rest.get(..room).unwrap_or(rest);
            self.buffer.extend_from_slice(taken);
            self.text += taken.len();
            return (taken.len(), Some(Frame::More));
        };
        let text = window.get(..end).unwrap_or_default();
        let ended = text.strip_suffix(b"\r").unwrap_or(text);
        if ended.len() > room {
            return (0, Some(self.refuse_long(rest, room)));
        }
        let line = window.get(..=end).unwrap_or_default();
        if self.buffer.is_empty() {
            // The usual case: a line that is a whole command, read where it lies.
            let Some(announced) = Announcement::at_end(ended) else {
                return (line.len(), Some(Frame::Command(Cow::Borrowed(ended))));
            };
            return (line.len(), self.literal(ended, announced, limits));
        }
        self.buffer.extend_from_slice(text);
        let whole = self
            .buffer
            .strip_suffix(b"\r")
            .unwrap_or(&self.buffer)
            .len();
        self.buffer.truncate(whole);
        let last = self.buffer.get(self.line..).unwrap_or_default();
        match Announcement::at_end(last) {
            None => {
                let command = self.take();
                (line.len(), Some(Frame::Command(Cow::Owned(command))))
            }
            Some(announced) => {
                let announced = Announcement {
                    start: announced.start + self.line,
                    ..announced
                };
                (line.len(), self.literal(b"", announced, limits))
            }
        }
    }

    /// Decides about a literal that is announced at the end of the buffer, or of `line` if
    /// the buffer is empty.
    fn literal<'i>(
        &mut self,
        line: &'i [u8],
        announced: Announcement,
        limits: Limits,
    ) -> Option<Frame<'i>> {
        let in_place = self.buffer.is_empty();
        let so_far = if in_place { line } else { &self.buffer };
        let before = so_far.get(..announced.start).unwrap_or_default();
        let size = announced.size;
        let kind = match (limits.literal, limits.append) {
            (None, _) => Err(FrameError::StrayLiteral),
            (Some(_), Append::Expected) => Literal::after(before).map_err(FrameError::Command),
            (Some(_), Append::Unknown) => Ok(Literal::Argument),
        };
        let kind = match kind {
            Ok(Literal::Argument) if size > limits.literal.unwrap_or(0) => {
                Err(FrameError::LongLiteral)
            }
            Ok(Literal::Argument) if self.literals >= MOST_LITERALS => {
                Err(FrameError::ManyLiterals)
            }
            kind => kind,
        };
        if let Ok(Literal::Argument) = kind {
            self.literals += 1;
            self.text += line.len();
            self.buffer.extend_from_slice(line);
            self.buffer.extend_from_slice(b"\r\n");
            let left = usize::try_from(size).unwrap_or(usize::MAX);
            self.state = State::Literal { left };
            return (announced.pace == Pace::Waits).then_some(Frame::GoAhead);
        }
        let message = kind.map(|_| announced.pace);
        let head = if in_place {
            Cow::Borrowed(line.get(..announced.start).unwrap_or_default())
        } else {
            let mut head = self.take();
            head.truncate(announced.start);
            Cow::Owned(head)
        };
        match message {
            Ok(pace) => Some(Frame::Message { head, size, pace }),
            Err(_) if announced.pace == Pace::Runs && size > MOST_DROPPED => Some(Frame::Flood),
            Err(error) => {
                if announced.pace == Pace::Runs {
                    self.state = State::Dropping(Dropping::new(size, MOST_DROPPED));
                }
                Some(Frame::Refused { head, error })
            }
        }
    }

    fn refuse_long<'i>(&mut self, rest: &'i [u8], room: usize) -> Frame<'i> {
        let more = rest.get(..room).unwrap_or(rest);
        let head = if self.buffer.is_empty() {
            Cow::Borrowed(more)
        } else {
            self.buffer.extend_from_slice(more);
            Cow::Owned(self.take())
        };
        self.drop_line();
        let error = FrameError::Long;
        Frame::Refused { head, error }
    }

    fn take(&mut self) -> Vec<u8> {
        self.line = 0;
        self.text = 0;
        self.literals = 0;
        let mut taken = std::mem::take(&mut self.buffer);
        if taken.capacity() > 2 * taken.len() + KEPT_CAPACITY {
            taken.shrink_to_fit();
        }
        taken
    }
}

/// `{n}` or `{n+}` at the end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Announcement {
    /// Where the brace stands.
    start: usize,
    /// `u64::MAX` if it is larger than that.
    size: u64,
    pace: Pace,
}

impl Announcement {
    fn at_end(line: &[u8]) -> Option<Self> {
        let inner = line.strip_suffix(b"}")?;
        let (inner, pace) = match inner.strip_suffix(b"+") {
            Some(inner) => (inner, Pace::Runs),
            None => (inner, Pace::Waits),
        };
        let digits = inner
            .iter()
            .rev()
            .take_while(|b| b.is_ascii_digit())
            .count();
        let (before, number) = inner.split_at_checked(inner.len() - digits)?;
        if number.is_empty() || before.last() != Some(&b'{') {
            return None;
        }
        let size = number.iter().try_fold(0_u64, |size, digit| {
            size.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        });
        Some(Self {
            start: before.len() - 1,
            size: size.unwrap_or(u64::MAX),
            pace,
        })
    }
}

/// The rest of a refused command on its way to nowhere: literals that come without being
/// asked for, and lines up to the first that announces no such literal.
#[derive(Debug)]
struct Dropping {
    literal: u64,
    allowance: u64,
    /// The last octets of the line, in which an announcement may begin.
    tail: Vec<u8>,
}

/// As long as `{18446744073709551615+}` and a CR.
const TAIL: usize = 24;

enum Drop {
    /// So many octets, and it goes on.
    Some(usize),
    /// So many octets, and that was all.
    All(usize),
    Flood,
}

impl Dropping {
    fn new(literal: u64, allowance: u64) -> Self {
        Self {
            literal,
            allowance,
            tail: Vec::new(),
        }
    }

    fn drop_from(&mut self, input: &[u8]) -> Drop {
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return Drop::Some(at);
            }
            if self.literal > 0 {
                let count = usize::try_from(self.literal).map_or(rest.len(), |n| n.min(rest.len()));
                self.literal -= count as u64;
                self.allowance = self.allowance.saturating_sub(count as u64);
                at += count;
                continue;
            }
            let end = memchr(b'\n', rest);
            let count = end.map_or(rest.len(), |end| end + 1);
            let Some(left) = self.allowance.checked_sub(count as u64) else {
                return Drop::Flood;
            };
            self.allowance = left;
            at += count;
            let text = rest.get(..end.unwrap_or(count)).unwrap_or_default();
            let text = text
                .get(text.len().saturating_sub(TAIL)..)
                .unwrap_or_default();
            self.tail.extend_from_slice(text);
            self.tail.drain(..self.tail.len().saturating_sub(TAIL));
            if end.is_none() {
                return Drop::Some(at);
            }
            let line = self.tail.strip_suffix(b"\r").unwrap_or(&self.tail);
            match Announcement::at_end(line) {
                Some(Announcement {
                    size,
                    pace: Pace::Runs,
                    ..
                }) => {
                    if size > self.allowance {
                        return Drop::Flood;
                    }
                    self.literal = size;
                    self.tail.clear();
                }
                _ => return Drop::All(at),
            }
        }
    }
}

#[cfg(test)]
mod tests;
