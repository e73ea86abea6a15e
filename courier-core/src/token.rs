//! The right to answer one question of a machine, once.

use std::fmt;
use std::marker::PhantomData;

/// A right to answer one question of a protocol machine.
///
/// `Q` names the question. A token comes from the machine that asked, is neither
/// `Clone` nor constructible elsewhere without a [`Serials`], and is taken by
/// value by the answering method, so a wrong, second or unasked answer does not
/// compile. A token that a timeout overtook is recognised by its serial number.
#[must_use = "an unanswered question stalls the session"]
pub struct Token<Q> {
    serial: u64,
    question: PhantomData<fn() -> Q>,
}

impl<Q> Token<Q> {
    /// The serial number under which the machine remembers the question.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }
}

impl<Q> fmt::Debug for Token<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.serial)
    }
}

/// The source of tokens of one machine: each has a serial number of its own.
#[derive(Debug, Default)]
pub struct Serials {
    last: u64,
}

impl Serials {
    /// A fresh token; its serial number has not been given before.
    pub fn issue<Q>(&mut self) -> Token<Q> {
        self.last += 1;
        Token {
            serial: self.last,
            question: PhantomData,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Question {}

    #[test]
    fn serial_numbers_never_repeat() {
        let mut serials = Serials::default();
        let first: Token<Question> = serials.issue();
        let second: Token<Question> = serials.issue();
        assert_ne!(first.serial(), second.serial());
        assert_eq!(format!("{second:?}"), "Token(2)");
    }
}
