//! When a delivery that failed for now is tried again (mta.md 8.3).

use crate::time::Millis;

/// The schedule: `retryalpha`, `retrybeta`, `retrygamma`, `retrymaxdelta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The short pause.
    pub alpha: Millis,
    /// After so many rounds comes a long pause.
    pub beta: u32,
    /// Half of the first long pause.
    pub gamma: Millis,
    /// The long pause is doubled at most so often.
    pub most: u32,
}

impl Default for Retry {
    /// Courier's: 5, 5, 30, 5, 5, 60, 5, 5, 120, 5, 5, 120 … minutes.
    fn default() -> Self {
        Self {
            alpha: Millis::from_mins(5),
            beta: 3,
            gamma: Millis::from_mins(15),
            most: 3,
        }
    }
}

impl Retry {
    /// The pause after the round of this number; the first round is number 1.
    #[must_use]
    pub fn pause(&self, rounds: u32) -> Millis {
        let beta = self.beta.max(1);
        if !rounds.is_multiple_of(beta) {
            return self.alpha;
        }
        let doublings = (rounds / beta).min(self.most);
        let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
        Millis(self.gamma.0.saturating_mul(factor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_are_couriers() {
        let pauses = (1..=12).map(|rounds| Retry::default().pause(rounds).0 / 60_000);
        let pauses: Vec<_> = pauses.collect();
        assert_eq!(pauses, [5, 5, 30, 5, 5, 60, 5, 5, 120, 5, 5, 120]);
    }

    #[test]
    fn no_setting_overflows() {
        let retry = Retry {
            alpha: Millis(1),
            beta: 0,
            gamma: Millis(u64::MAX),
            most: u32::MAX,
        };
        assert_eq!(retry.pause(u32::MAX), Millis(u64::MAX));
    }
}
