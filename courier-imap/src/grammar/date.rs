//! Dates in SEARCH and times in APPEND and INTERNALDATE (RFC 3501 §9).

use courier_core::message::date::Date;
use courier_core::time::UnixSeconds;

use super::lexer::{Cursor, ParseError};

/// `date`: `1-Feb-1994`, `"01-Feb-1994"`.
pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Date, ParseError> {
    let quoted = cursor.accept(b'"');
    let date = read_text(cursor)?;
    if quoted {
        cursor.expect(b'"', "the end of a quoted date")?;
    }
    Ok(date)
}

fn read_text(cursor: &mut Cursor<'_>) -> Result<Date, ParseError> {
    let error = cursor.expected("a date such as 1-Feb-1994");
    let day = digits(cursor, 1, 2).ok_or(error)?;
    let date = (|| {
        cursor.accept(b'-').then_some(())?;
        let month = month(cursor)?;
        cursor.accept(b'-').then_some(())?;
        let year = digits(cursor, 4, 4)?;
        Date::new(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?)
    })();
    date.ok_or(error)
}

/// `date-time` without its quotes, such as `17-Jul-1996 02:44:25 -0700`, as written by
/// INTERNALDATE: always in UTC, since the zone that a client once gave is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime(pub UnixSeconds);

impl DateTime {
    /// Reads a quoted `date-time`.
    ///
    /// # Errors
    /// If none follows.
    pub fn read(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let error = cursor.expected("a time such as \"17-Jul-1996 02:44:25 -0700\"");
        cursor.expect(b'"', error.expected)?;
        // RFC 3501 §9 `date-day-fixed`; clients also send one digit without the blank.
        cursor.accept(b' ');
        let date = read_text(cursor).map_err(|_| error)?;
        let seconds = (|| {
            cursor.accept(b' ').then_some(())?;
            let hour = below(digits(cursor, 2, 2)?, 24)?;
            cursor.accept(b':').then_some(())?;
            let minute = below(digits(cursor, 2, 2)?, 60)?;
            cursor.accept(b':').then_some(())?;
            let second = below(digits(cursor, 2, 2)?, 61)?;
            cursor.accept(b' ').then_some(())?;
            let west = match cursor.peek()? {
                b'-' => true,
                b'+' => false,
                _ => return None,
            };
            cursor.accept(if west { b'-' } else { b'+' });
            let zone = digits(cursor, 4, 4)?;
            let offset =
                i64::from(below(zone / 100, 24)?) * 3600 + i64::from(below(zone % 100, 60)?) * 60;
            cursor.accept(b'"').then_some(())?;
            let local = i64::from(hour * 3600 + minute * 60 + second);
            Some(if west { local + offset } else { local - offset })
        })();
        let seconds = seconds.ok_or(error)?;
        Ok(Self(UnixSeconds(date.midnight().0 + seconds)))
    }

    /// Appends the 28 octets of INTERNALDATE, quotes included.
    pub fn write(self, out: &mut Vec<u8>) {
        let date = Date::of(self.0);
        let second = u32::try_from(self.0.0.rem_euclid(SECONDS_A_DAY)).unwrap_or(0);
        let digit = |number: u32| b'0' + u8::try_from(number % 10).unwrap_or(0);
        let two = |number: u32| [digit(number / 10), digit(number)];
        let day = u32::from(date.day());
        out.push(b'"');
        out.push(if day < 10 { b' ' } else { digit(day / 10) });
        out.extend_from_slice(&[digit(day), b'-']);
        out.extend_from_slice(date.month_name().as_bytes());
        out.push(b'-');
        let year = u32::try_from(date.year()).unwrap_or(0);
        out.extend_from_slice(&two(year / 100));
        out.extend_from_slice(&two(year));
        out.push(b' ');
        out.extend_from_slice(&two(second / 3600));
        out.push(b':');
        out.extend_from_slice(&two(second / 60 % 60));
        out.push(b':');
        out.extend_from_slice(&two(second % 60));
        out.extend_from_slice(b" +0000\"");
    }
}

fn below(number: u32, limit: u32) -> Option<u32> {
    (number < limit).then_some(number)
}

/// A number of `least` to `most` digits.
fn digits(cursor: &mut Cursor<'_>, least: usize, most: usize) -> Option<u32> {
    let mut number = 0;
    let mut count = 0;
    while count < most
        && let Some(digit @ b'0'..=b'9') = cursor.peek()
    {
        cursor.accept(digit);
        number = number * 10 + u32::from(digit - b'0');
        count += 1;
    }
    (count >= least).then_some(number)
}

fn month(cursor: &mut Cursor<'_>) -> Option<u8> {
    let index = MONTHS.iter().position(|name| cursor.accept_word(name))?;
    u8::try_from(index + 1).ok()
}

const SECONDS_A_DAY: i64 = 86_400;
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn date(text: &str) -> Result<Date, ParseError> {
        let mut cursor = Cursor::new(text.as_bytes());
        let date = read(&mut cursor)?;
        cursor.end().map(|()| date)
    }

    fn time(text: &str) -> Result<i64, ParseError> {
        let mut cursor = Cursor::new(text.as_bytes());
        let time = DateTime::read(&mut cursor)?;
        cursor.end().map(|()| time.0.0)
    }

    fn written(seconds: i64) -> String {
        let mut out = Vec::new();
        DateTime(UnixSeconds(seconds)).write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_stand_with_and_without_quotes() {
        assert_eq!(date("1-Feb-1994"), Ok(Date::new(1994, 2, 1).unwrap()));
        assert_eq!(date("\"01-fEB-1994\""), Ok(Date::new(1994, 2, 1).unwrap()));
        assert_eq!(date("29-Feb-2000"), Ok(Date::new(2000, 2, 29).unwrap()));
        for text in [
            "29-Feb-1900",
            "31-Apr-2024",
            "0-Jan-2024",
            "1-Foo-2024",
            "1-Jan-24",
            "1/1/2024",
            "\"1-Jan-2024",
            "1-Jan-20244",
            "",
            "111-Jan-2024",
        ] {
            assert!(date(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_take_their_zone_into_account() {
        // RFC 3501 §6.3.11 and §7.4.2
        assert_eq!(time("\"17-Jul-1996 02:44:25 -0700\""), Ok(837_596_665));
        assert_eq!(written(837_596_665), "\"17-Jul-1996 09:44:25 +0000\"");
        assert_eq!(time("\" 1-Jan-1970 00:00:00 +0000\""), Ok(0));
        assert_eq!(time("\"1-Jan-1970 00:30:00 +0030\""), Ok(0));
        assert_eq!(written(-1), "\"31-Dec-1969 23:59:59 +0000\"");
        assert_eq!(written(0), "\" 1-Jan-1970 00:00:00 +0000\"");
        for text in [
            "\"17-Jul-1996 02:44:25\"",
            "\"17-Jul-1996 24:44:25 +0000\"",
            "\"17-Jul-1996 02:60:25 +0000\"",
            "17-Jul-1996 02:44:25 +0000",
            "\"17-Jul-1996 02:44:25 +00\"",
            "\"17-Jul-1996 02:44:25 +9900\"",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_beyond_the_calendar_are_its_last_and_first_days() {
        assert!(written(i64::MAX).starts_with("\"31-Dec-9999"));
        assert!(written(i64::MIN).starts_with("\" 1-Jan-0000"));
    }

    proptest! {
        #[test]
        fn a_written_time_reads_back(seconds in -62_167_219_200_i64..253_402_300_800) {
            prop_assert_eq!(time(&written(seconds)), Ok(seconds));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\"?[ 0-9A-Za-z:+\\-]{0,30}\"?") {
            let _ = time(&text);
            let _ = date(&text);
        }
    }
}
