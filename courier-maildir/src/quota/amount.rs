//! Amounts of mail.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub};

/// So many octets and messages, of mail that is there, comes or goes. Sums stay at the
/// ends of their range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Amount {
    /// Octets of the files.
    pub octets: i64,
    /// Messages.
    pub messages: i64,
}

impl Amount {
    /// Nothing.
    pub const NONE: Self = Self {
        octets: 0,
        messages: 0,
    };

    /// One message of this size.
    #[must_use]
    pub fn message(octets: u64) -> Self {
        Self {
            octets: i64::try_from(octets).unwrap_or(i64::MAX),
            messages: 1,
        }
    }

    /// Whether there is nothing of either kind.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

impl Add for Amount {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            octets: self.octets.saturating_add(other.octets),
            messages: self.messages.saturating_add(other.messages),
        }
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Neg for Amount {
    type Output = Self;
    fn neg(self) -> Self {
        Self {
            octets: self.octets.saturating_neg(),
            messages: self.messages.saturating_neg(),
        }
    }
}

impl Sub for Amount {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::NONE, |sum, amount| sum + amount)
    }
}
