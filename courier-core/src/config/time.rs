//! Time values: `1w2d`, `90`, `4h 30m` (mta.md section 2.6).

use crate::time::Millis;

/// Why a text is not a time value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// There is no number in it.
    #[error("expected a time such as 90, 4h 30m or 1w2d")]
    Empty,
    /// Something that is neither digit, blank nor unit; Courier stops reading there.
    #[error("expected w, d, h, m or s, found {found:?}")]
    Unit {
        /// What stands there.
        found: char,
    },
    /// A unit without a number before it.
    #[error("expected a number before the unit {unit}")]
    NoNumber {
        /// The unit.
        unit: char,
    },
    /// More than a hundred years.
    #[error("the time is longer than a hundred years")]
    TooLong,
}

const LONGEST_SECONDS: u64 = 100 * 366 * 86_400;

/// Reads a time value: numbers with the units w, d, h, m, s in any case, added
/// together; blanks do not count; a number without a unit is seconds.
///
/// # Errors
/// If anything else stands there.
pub fn parse(text: &str) -> Result<Millis, TimeError> {
    let mut total: u64 = 0;
    let mut number: Option<u64> = None;
    let mut empty = true;
    for c in text.chars() {
        let unit = match c.to_ascii_lowercase() {
            ' ' | '\t' => continue,
            '0'..='9' => {
                let digit = u64::from(c.to_digit(10).unwrap_or_default());
                let longer = number.unwrap_or(0).checked_mul(10);
                number = longer.and_then(|n| n.checked_add(digit));
                if number.is_none() {
                    return Err(TimeError::TooLong);
                }
                continue;
            }
            'w' => 7 * 86_400,
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return Err(TimeError::Unit { found: c }),
        };
        let count = number.take().ok_or(TimeError::NoNumber { unit: c })?;
        total = sum(total, count, unit)?;
        empty = false;
    }
    match number {
        Some(seconds) => total = sum(total, seconds, 1)?,
        None if empty => return Err(TimeError::Empty),
        None => {}
    }
    Ok(Millis::from_secs(total))
}

fn sum(total: u64, count: u64, unit: u64) -> Result<u64, TimeError> {
    count
        .checked_mul(unit)
        .and_then(|seconds| seconds.checked_add(total))
        .filter(|&seconds| seconds <= LONGEST_SECONDS)
        .ok_or(TimeError::TooLong)
}

/// Writes a time in the same form, with the largest units that fit.
#[must_use]
pub fn print(time: Millis) -> String {
    let mut seconds = time.0 / 1000;
    let mut text = String::new();
    for (unit, length) in [
        ('w', 604_800),
        ('d', 86_400),
        ('h', 3600),
        ('m', 60),
        ('s', 1),
    ] {
        let count = seconds / length;
        seconds %= length;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    match text.is_empty() {
        true => "0".to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_added_together() {
        let seconds = |text| parse(text).map(|time| time.0 / 1000);
        assert_eq!(seconds("1w2d"), Ok(777_600));
        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds(" 4h 30m "), Ok(16_200));
        assert_eq!(seconds("1H1 0M"), Ok(4_200));
        assert_eq!(seconds("1m30"), Ok(90));
        assert_eq!(seconds("0"), Ok(0));
    }

    #[test]
    fn what_courier_would_stop_at_is_an_error() {
        assert_eq!(parse("5 minutes"), Err(TimeError::Unit { found: 'i' }));
        assert_eq!(parse("1y"), Err(TimeError::Unit { found: 'y' }));
        assert_eq!(parse("h"), Err(TimeError::NoNumber { unit: 'h' }));
        assert_eq!(parse(""), Err(TimeError::Empty));
        assert_eq!(parse(" "), Err(TimeError::Empty));
        assert_eq!(parse("99999999999999999999"), Err(TimeError::TooLong));
        assert_eq!(parse("9999999w"), Err(TimeError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(seconds in 0..=LONGEST_SECONDS) {
            let time = Millis::from_secs(seconds);
            prop_assert_eq!(parse(&print(time)), Ok(time));
        }

        #[test]
        fn no_text_panics(text in "[0-9wdhms ]{0,40}|\\PC{0,20}") {
            let _ = parse(&text);
        }
    }
}
