//! Dates of messages (RFC 5322 §3.3, §4.3), with the calendar under them.
//!
//! Reading is tolerant: obsolete zones, years of two digits, comments, missing
//! weekdays and seconds; the order of `asctime(3)` and of ISO 8601; dashes in place of
//! blanks. A date that is not in the calendar is refused.

use std::fmt;

use crate::time::UnixSeconds;

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: i32,
    month: u8,
    day: u8,
}

/// A moment, and the zone in which it was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    /// The moment.
    pub time: UnixSeconds,
    /// Minutes that the zone's clocks are ahead of UTC.
    pub offset: i16,
}

/// Why a text is no date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DateError {
    /// Day, month and year were not found.
    #[error("expected day, month and year")]
    NoDate,
    /// A day that the calendar lacks, or a year outside 0 to 9999.
    #[error("the calendar has no such day")]
    NoSuchDay,
    /// Hours, minutes and seconds were not found, or there are no such.
    #[error("expected hours, minutes and seconds")]
    NoTime,
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const DAY: i64 = 24 * 60 * 60;

impl Date {
    /// The day of these numbers, month and day counted from 1; years 0 to 9999.
    #[must_use]
    pub fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        let days = match month {
            4 | 6 | 9 | 11 => 30,
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            1..=12 => 31,
            _ => return None,
        };
        let exists = (0..=9999).contains(&year) && (1..=days).contains(&day);
        exists.then_some(Self { year, month, day })
    }

    /// The day in UTC, for moments of the years 0 to 9999; others are cut to these.
    #[must_use]
    pub fn of(time: UnixSeconds) -> Self {
        // After Howard Hinnant, "chrono-compatible low-level date algorithms".
        let days = time.0.div_euclid(DAY).clamp(-719_528, 2_932_896) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        Self {
            year: i32::try_from(year).unwrap_or(0),
            month: u8::try_from(month).unwrap_or(1),
            day: u8::try_from(day).unwrap_or(1),
        }
    }

    /// The beginning of the day in UTC.
    #[must_use]
    pub fn midnight(self) -> UnixSeconds {
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month = i64::from(self.month);
        let shifted = if month > 2 { month - 3 } else { month + 9 };
        let day_of_year = (153 * shifted + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        UnixSeconds((era * 146_097 + day_of_era - 719_468) * DAY)
    }

    /// The year, 0 to 9999.
    #[must_use]
    pub fn year(self) -> i32 {
        self.year
    }

    /// The month, 1 to 12.
    #[must_use]
    pub fn month(self) -> u8 {
        self.month
    }

    /// The month as mail writes it: `Jan`, `Feb`, …
    #[must_use]
    pub fn month_name(self) -> &'static str {
        let index = usize::from(self.month).saturating_sub(1);
        MONTHS.get(index).copied().unwrap_or_default()
    }

    /// The day of the month, 1 to 31.
    #[must_use]
    pub fn day(self) -> u8 {
        self.day
    }

    /// The weekday as mail writes it: `Sun`, `Mon`, …
    #[must_use]
    pub fn weekday(self) -> &'static str {
        // 1970-01-01 was a Thursday.
        let index = (self.midnight().0 / DAY + 4).rem_euclid(7);
        let index = usize::try_from(index).unwrap_or(0);
        WEEKDAYS.get(index).copied().unwrap_or_default()
    }

    /// Reads the day of a `Date` field as it is written there, whatever time and zone
    /// follow: what IMAP's SENT keys compare (RFC 3501 §6.4.4).
    ///
    /// # Errors
    /// See [`DateError`].
    pub fn parse(value: &[u8]) -> Result<Self, DateError> {
        Reader::new(value).date()
    }
}

impl DateTime {
    /// Reads the value of a `Date` field. A zone that is missing or unknown counts as
    /// UTC, as `-0000` does (RFC 5322 §4.3).
    ///
    /// # Errors
    /// See [`DateError`].
    pub fn parse(value: &[u8]) -> Result<Self, DateError> {
        let mut reader = Reader::new(value);
        let date = reader.date()?;
        let seconds = reader.time()?;
        let offset = reader.zone();
        Ok(Self {
            time: UnixSeconds(date.midnight().0 + seconds - i64::from(offset) * 60),
            offset,
        })
    }

    /// The day in the zone where the date was written.
    #[must_use]
    pub fn date(self) -> Date {
        Date::of(UnixSeconds(self.local()))
    }

    /// Seconds of the zone's own clock.
    fn local(self) -> i64 {
        self.time.0.saturating_add(i64::from(self.offset) * 60)
    }
}

/// The form of RFC 5322: `Mon, 23 Nov 2026 05:59:23 +0000`.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.date();
        let seconds = self.local().rem_euclid(DAY);
        let sign = if self.offset < 0 { '-' } else { '+' };
        let zone = self.offset.unsigned_abs();
        write!(
            f,
            "{}, {} {} {:04} {:02}:{:02}:{:02} {sign}{:02}{:02}",
            date.weekday(),
            date.day(),
            date.month_name(),
            date.year(),
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            zone / 60,
            zone % 60
        )
    }
}

/// The words of a date, without comments.
struct Reader<'a> {
    rest: &'a [u8],
    /// A time that was met before the year was read.
    time: Option<&'a [u8]>,
    /// The same of a zone.
    zone: Option<&'a [u8]>,
}

/// No date is longer; what follows is not looked at.
const LONGEST: usize = 1000;

impl<'a> Reader<'a> {
    fn new(value: &'a [u8]) -> Self {
        Self {
            rest: value.get(..LONGEST).unwrap_or(value),
            time: None,
            zone: None,
        }
    }

    /// The next word: what stands between blanks, commas and comments.
    fn word(&mut self) -> &'a [u8] {
        let separates = |octet: u8| octet.is_ascii_whitespace() || octet == b',';
        let mut depth = 0_usize;
        let start = self.rest.iter().position(|&octet| {
            match octet {
                b'(' => depth += 1,
                b')' => {
                    depth = depth.saturating_sub(1);
                    return false;
                }
                _ => {}
            }
            depth == 0 && !separates(octet)
        });
        let rest = start
            .and_then(|start| self.rest.get(start..))
            .unwrap_or_default();
        let end = rest
            .iter()
            .position(|&octet| separates(octet) || octet == b'(')
            .unwrap_or(rest.len());
        let (word, rest) = rest.split_at_checked(end).unwrap_or((rest, b""));
        self.rest = rest;
        word
    }

    fn date(&mut self) -> Result<Date, DateError> {
        let mut word = self.word();
        if index(&WEEKDAYS, word).is_some() {
            word = self.word();
        }
        if let Some(month) = index(&MONTHS, word) {
            return self.asctime(month);
        }
        let mut dashed = word.split(|&octet| octet == b'-');
        if let (Some(first), Some(second), Some(third), None) =
            (dashed.next(), dashed.next(), dashed.next(), dashed.next())
        {
            return match (index(&MONTHS, second), number(second)) {
                (Some(month), _) => date(year(third), month, number(first)),
                (None, Some(month)) => {
                    // 2026-11-23T05:59:23Z
                    let mut parts = third.splitn(2, |&octet| octet == b'T');
                    let day = parts.next().and_then(number);
                    self.time = parts.next();
                    date(number(first), u8::try_from(month).unwrap_or(0), day)
                }
                _ => Err(DateError::NoDate),
            };
        }
        let day = number(word);
        let month = index(&MONTHS, self.word()).ok_or(DateError::NoDate)?;
        date(year(self.word()), month, day)
    }

    /// `Nov 23 05:59:23 [zone] 2026`
    fn asctime(&mut self, month: u8) -> Result<Date, DateError> {
        let day = number(self.word());
        let mut word = self.word();
        if !word.contains(&b':') {
            return date(year(word), month, day);
        }
        self.time = Some(word);
        word = self.word();
        if number(word).is_none() {
            self.zone = Some(word);
            word = self.word();
        }
        date(year(word), month, day)
    }

    /// Seconds since midnight.
    fn time(&mut self) -> Result<i64, DateError> {
        let word = self.time.take().unwrap_or_else(|| self.word());
        // A zone may follow at once: 05:59:23Z, 05:59:23+01:00
        let end = word
            .iter()
            .position(|octet| octet.is_ascii_alphabetic() || matches!(octet, b'+' | b'-'))
            .unwrap_or(word.len());
        let (clock, zone) = word.split_at_checked(end).unwrap_or((word, b""));
        if !zone.is_empty() {
            self.zone = Some(zone);
        }
        let mut numbers = clock.split(|octet| matches!(octet, b':' | b'.'));
        let mut next = |most: i32| -> Option<i64> {
            let value = number(numbers.next()?).filter(|value| *value <= most)?;
            Some(i64::from(value))
        };
        let (hours, minutes) = (next(23), next(59));
        let (Some(hours), Some(minutes)) = (hours, minutes) else {
            return Err(DateError::NoTime);
        };
        // A leap second is the last of its minute.
        let seconds = next(60).unwrap_or(0).min(59);
        Ok(hours * 3600 + minutes * 60 + seconds)
    }

    /// Minutes ahead of UTC.
    fn zone(&mut self) -> i16 {
        let word = self.zone.take().unwrap_or_else(|| self.word());
        let named = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if let [sign @ (b'+' | b'-'), digits @ ..] = word {
            let digits: Vec<u8> = digits
                .iter()
                .copied()
                .filter(|&octet| octet != b':')
                .collect();
            return match (digits.len(), number(&digits)) {
                (4, Some(zone)) if zone % 100 < 60 => {
                    let minutes = zone / 100 * 60 + zone % 100;
                    let minutes = i16::try_from(minutes).unwrap_or(0);
                    if *sign == b'-' { -minutes } else { minutes }
                }
                _ => 0,
            };
        }
        // RFC 5322 §4.3; letters of the military and unknown names say nothing.
        let zones = [("EST", -5), ("CST", -6), ("MST", -7), ("PST", -8)];
        let summer = [("EDT", -4), ("CDT", -5), ("MDT", -6), ("PDT", -7)];
        let mut zones = zones.into_iter().chain(summer);
        zones
            .find(|(name, _)| named(name))
            .map_or(0, |(_, hours)| hours * 60)
    }
}

/// The number, from 1, of the name in a list that a word begins with.
fn index(names: &[&str], word: &[u8]) -> Option<u8> {
    let begins = |name: &&str| {
        word.get(..3)
            .is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
    };
    let found = names.iter().position(begins)?;
    let is_word = word
        .iter()
        .all(|octet| octet.is_ascii_alphabetic() || *octet == b'.');
    u8::try_from(found + 1).ok().filter(|_| is_word)
}

/// A number of one to four digits.
fn number(word: &[u8]) -> Option<i32> {
    let is_number = (1..=4).contains(&word.len()) && word.iter().all(u8::is_ascii_digit);
    is_number.then(|| {
        word.iter()
            .fold(0, |number, digit| number * 10 + i32::from(digit - b'0'))
    })
}

/// A year; of two or three digits as RFC 5322 §4.3 says.
fn year(word: &[u8]) -> Option<i32> {
    let year = number(word)?;
    Some(match (word.len(), year) {
        (1 | 2, 0..50) => year + 2000,
        (1..=3, _) => year + 1900,
        _ => year,
    })
}

fn date(year: Option<i32>, month: u8, day: Option<i32>) -> Result<Date, DateError> {
    let (Some(year), Some(day)) = (year, day) else {
        return Err(DateError::NoDate);
    };
    let day = u8::try_from(day).unwrap_or(0);
    Date::new(year, month, day).ok_or(DateError::NoSuchDay)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<DateTime, DateError> {
        DateTime::parse(text.as_bytes())
    }

    #[test]
    fn dates_of_the_rfc() {
        // RFC 5322, appendices A.1.1, A.5, A.6.2
        for (text, printed) in [
            (
                "Fri, 21 Nov 1997 09:55:06 -0600",
                "Fri, 21 Nov 1997 09:55:06 -0600",
            ),
            (
                "Thu,\r\n 13\r\n   Feb\r\n  1969\r\n 23:32\r\n -0330 (Newfoundland Time)",
                "Thu, 13 Feb 1969 23:32:00 -0330",
            ),
            ("21 Nov 97 09:55:06 GMT", "Fri, 21 Nov 1997 09:55:06 +0000"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), printed);
        }
        assert_eq!(
            parse("Thu, 1 Jan 1970 00:00:00 +0000").unwrap().time,
            UnixSeconds(0)
        );
        assert_eq!(
            parse("Mon, 23 Nov 2026 05:59:23 EST").unwrap().time,
            UnixSeconds(1_795_431_563)
        );
    }

    #[test]
    fn dates_of_real_mail() {
        for text in [
            "Mon, 23 Nov 2026 05:59:23 +0000",
            "23 Nov 2026 05:59:23",
            "(c) Monday (x, (y)),23 November 2026 05.59.23 Z",
            "Mon, 23-Nov-26 05:59:23 +0000 (UTC)",
            "Mon Nov 23 05:59:23 2026",
            "Mon Nov 23 05:59:23 GMT 2026",
            "Nov 23, 2026 05:59:23 UT",
            "2026-11-23T05:59:23Z",
            "2026-11-23T06:59:23.500+01:00",
            "2026-11-23 05:59:23 -0000",
            "Mon, 23 Nov 2026 04:59:23 +9999",
        ] {
            let found = parse(text).unwrap();
            let expected = 1_795_413_563 - if text.ends_with("9999") { 3600 } else { 0 };
            assert_eq!(found.time, UnixSeconds(expected), "{text}");
            let date = Date::parse(text.as_bytes()).unwrap();
            assert_eq!(
                (date.year(), date.month(), date.day()),
                (2026, 11, 23),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for (text, error) in [
            ("", DateError::NoDate),
            ("yesterday", DateError::NoDate),
            ("1 2 2026 00:00", DateError::NoDate),
            ("29 Feb 2026 00:00:00 +0000", DateError::NoSuchDay),
            ("0 Jan 2026 00:00:00 +0000", DateError::NoSuchDay),
            ("2026-13-01", DateError::NoSuchDay),
            ("1 Jan 2026", DateError::NoTime),
            ("1 Jan 2026 24:00", DateError::NoTime),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        assert!(Date::parse(b"1 Jan 2026 25:61").is_ok());
        assert!(parse("29 Feb 2000 00:00 +0000").is_ok());
    }

    #[test]
    fn the_calendar_is_gregorian() {
        let mut date = Date::of(UnixSeconds(-719_528 * DAY));
        assert_eq!(date, Date::new(0, 1, 1).unwrap());
        for day in -719_528..=2_932_896 {
            let found = Date::of(UnixSeconds(day * DAY + 1));
            assert!(found == date || (found > date && found.midnight().0 == day * DAY));
            date = found;
        }
        assert_eq!(date, Date::new(9999, 12, 31).unwrap());
        assert_eq!(Date::of(UnixSeconds(i64::MAX)), date);
    }

    proptest! {
        #[test]
        fn printed_dates_come_back(
            time in -62_167_219_200_i64 + DAY..253_402_300_800 - DAY,
            offset in -840_i16..=840,
        ) {
            let date = DateTime { time: UnixSeconds(time), offset };
            prop_assert_eq!(parse(&date.to_string()), Ok(date));
        }

        #[test]
        fn anything_is_read(text in "[0-9a-zA-Z:+, ().-]{0,40}") {
            if let Ok(date) = parse(&text) {
                prop_assert_eq!(Ok(date.date()), Date::parse(text.as_bytes()));
                prop_assert_eq!(parse(&date.to_string()), Ok(date));
            }
        }
    }
}
