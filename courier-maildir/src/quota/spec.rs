//! Quotas as text: the first line of `maildirsize`, an account's field, an argument.

use std::fmt;

use super::Amount;

/// How much mail a maildir may hold. Zero is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct QuotaSpec {
    octets: i64,
    messages: i64,
}

impl QuotaSpec {
    /// No limit at all.
    pub const UNLIMITED: Self = Self {
        octets: 0,
        messages: 0,
    };

    /// Limits of octets and of messages; 0 for none.
    #[must_use]
    pub fn new(octets: u64, messages: u64) -> Self {
        let clamp = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Self {
            octets: clamp(octets),
            messages: clamp(messages),
        }
    }

    /// Reads a quota. Any text is one: each run of digits before an `S` sets the octets,
    /// before a `C` the messages, and the last of a kind counts; all else is passed
    /// over. A number beyond the range is the end of the range.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut spec = Self::UNLIMITED;
        let mut run: Option<i64> = None;
        for &octet in text {
            if octet.is_ascii_digit() {
                let digit = i64::from(octet - b'0');
                let number = run.unwrap_or(0).saturating_mul(10);
                run = Some(number.saturating_add(digit));
                continue;
            }
            if let Some(number) = run.take() {
                match octet {
                    b'S' => spec.octets = number,
                    b'C' => spec.messages = number,
                    _ => {}
                }
            }
        }
        spec
    }

    /// Octets that may be there; 0 is no limit.
    #[must_use]
    pub fn octets(self) -> i64 {
        self.octets
    }

    /// Messages that may be there; 0 is no limit.
    #[must_use]
    pub fn messages(self) -> i64 {
        self.messages
    }

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_unlimited(self) -> bool {
        self == Self::UNLIMITED
    }

    /// Whether so much may be there; to fill the quota is allowed.
    #[must_use]
    pub fn admits(self, total: Amount) -> bool {
        let fits = |used, limit| limit == 0 || used <= limit;
        fits(total.octets, self.octets) && fits(total.messages, self.messages)
    }

    /// How full a maildir is in percent, by the kind that is fuller. Reckoned in whole
    /// numbers as Courier does it, so that both warn at the same message.
    #[must_use]
    pub fn percent(self, total: Amount) -> i64 {
        let percent = |used: i64, limit: i64| {
            let unit = if limit > LARGE { 1024 } else { 1 };
            let used = (used / unit).saturating_mul(100);
            used.checked_div(limit / unit).unwrap_or_default()
        };
        percent(total.octets, self.octets).max(percent(total.messages, self.messages))
    }
}

/// Beyond this a percentage is reckoned in units of 1024.
const LARGE: i64 = 20_000_000;

/// Octets before messages; a kind without a limit is left out.
impl fmt::Display for QuotaSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.octets, self.messages) {
            (0, 0) => Ok(()),
            (octets, 0) => write!(f, "{octets}S"),
            (0, messages) => write!(f, "{messages}C"),
            (octets, messages) => write!(f, "{octets}S,{messages}C"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> String {
        QuotaSpec::parse(text.as_bytes()).to_string()
    }

    #[test]
    fn quotas_are_read_as_courier_reads_them() {
        for (text, expected) in [
            ("10S,20S,3C", "20S,3C"),
            ("1000C,10000000S", "10000000S,1000C"),
            ("10s,5c", ""),
            ("0S", ""),
            ("0S,5C", "5C"),
            ("", ""),
            ("1000S\r", "1000S"),
            ("12x34S", "34S"),
            ("-5S", "5S"),
            ("5 S", ""),
            ("5S          17            1", "5S"),
            ("007C", "7C"),
            ("99999999999999999999S", "9223372036854775807S"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn a_quota_may_be_filled_but_not_exceeded() {
        let spec = QuotaSpec::new(10, 2);
        let admits = |octets, messages| spec.admits(Amount { octets, messages });
        assert!(admits(10, 2) && !admits(11, 2) && !admits(10, 3));
        let full = Amount {
            octets: i64::MAX,
            messages: i64::MAX,
        };
        assert!(QuotaSpec::UNLIMITED.admits(full));
    }

    #[test]
    fn percentages_are_whole_numbers_of_the_fuller_kind() {
        let percent = |spec: QuotaSpec, octets, messages| spec.percent(Amount { octets, messages });
        assert_eq!(percent(QuotaSpec::new(1000, 0), 999, 5), 99);
        assert_eq!(percent(QuotaSpec::new(1000, 10), 100, 9), 90);
        assert_eq!(percent(QuotaSpec::UNLIMITED, 5, 5), 0);
        // 20,000,001 octets are 19,531 units.
        assert_eq!(percent(QuotaSpec::new(20_000_001, 0), 1_023, 0), 0);
        assert_eq!(percent(QuotaSpec::new(20_000_001, 0), 20_000_001, 0), 100);
        assert!(percent(QuotaSpec::new(1, 0), i64::MAX, 0) > 100);
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(octets: u64, messages: u64, noise: Vec<u8>) {
            let spec = QuotaSpec::new(octets, messages);
            prop_assert_eq!(QuotaSpec::parse(spec.to_string().as_bytes()), spec);
            let spec = QuotaSpec::parse(&noise);
            prop_assert_eq!(QuotaSpec::parse(spec.to_string().as_bytes()), spec);
        }
    }
}
