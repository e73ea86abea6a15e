//! `maildirsize`: a line with the quota, and a record for each change since the last
//! count.
//!
//! ```text
//! 10000000S,1000C
//!          171            2
//!           17            1
//! ```
//!
//! The sum of the records is what the maildir holds. Whoever adds or removes mail
//! appends a record by one write; nobody takes a lock. What drifts by races and crashes
//! is set right by the next recount, which comes when the file is
//! [full](LIMIT) at the latest.

use super::{Amount, QuotaSpec};

/// The file's name in the maildir.
pub const FILE: &str = "maildirsize";

/// A file that has so many octets is counted anew.
pub const LIMIT: u64 = 5120;

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeFile {
    /// The quota.
    pub spec: QuotaSpec,
    /// The sum of the records that were read.
    pub total: Amount,
    /// Lines after the first.
    pub records: usize,
    /// Whether the sum is worth anything.
    pub trust: Trust,
    /// How the text ends.
    pub end: End,
}

/// Whether the records can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// They can.
    Sound,
    /// The quota can, but the mail must be counted: the file is full, its sum is
    /// negative, or a crash has left NULs where records were.
    Recount,
    /// Nothing can: a crash has left the file empty, or NULs for its first line. The
    /// quota is not known, which is not the same as none.
    Damaged,
}

/// How the file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With a line feed: a record can follow.
    Line,
    /// In the midst of a line. Courier glues its next record to that, which loses it.
    Unfinished,
}

impl SizeFile {
    /// Reads a file's first [`LIMIT`] octets, which is all that anybody needs of it.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let full = text.len() as u64 >= LIMIT;
        let mut lines = text.split(|&octet| octet == b'\n');
        let first = lines.next().unwrap_or_default();
        let mut file = Self {
            spec: QuotaSpec::parse(first),
            total: Amount::NONE,
            records: 0,
            trust: Trust::Sound,
            end: match text.last() {
                Some(b'\n') => End::Line,
                _ => End::Unfinished,
            },
        };
        if text.is_empty() || first.contains(&0) {
            file.spec = QuotaSpec::UNLIMITED;
            file.trust = Trust::Damaged;
            return file;
        }
        let mut lines = lines.peekable();
        while let Some(line) = lines.next() {
            // What follows the last line feed is no line if it is nothing.
            if line.is_empty() && lines.peek().is_none() {
                break;
            }
            file.records += 1;
            file.total += parse_record(line).unwrap_or_default();
        }
        let negative = file.total.octets < 0 || file.total.messages < 0;
        if full || negative || text.contains(&0) {
            file.trust = Trust::Recount;
        }
        file
    }
}

/// A new file: the quota, and all that is there as one record. The first line of a file
/// without a limit is empty, which everybody reads as that.
#[must_use]
pub fn print(spec: QuotaSpec, total: Amount) -> Vec<u8> {
    let mut text = format!("{spec}\n").into_bytes();
    text.extend_from_slice(&record(total));
    text
}

/// One record.
#[must_use]
pub fn record(amount: Amount) -> Vec<u8> {
    format!("{:>12} {:>12}\n", amount.octets, amount.messages).into_bytes()
}

/// Two numbers; what follows them does not matter. Anything else adds nothing.
fn parse_record(line: &[u8]) -> Option<Amount> {
    let (octets, rest) = take_number(line)?;
    let (messages, _) = take_number(rest)?;
    Some(Amount { octets, messages })
}

fn take_number(text: &[u8]) -> Option<(i64, &[u8])> {
    let blanks = text.iter().take_while(|octet| is_blank(**octet)).count();
    let text = text.get(blanks..)?;
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let digits = text.iter().take_while(|octet| octet.is_ascii_digit());
    let (digits, rest) = text.split_at_checked(digits.count())?;
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().fold(0_i64, |number, digit| {
        let number = number.saturating_mul(10);
        number.saturating_add(i64::from(digit - b'0'))
    });
    Some((if negative { -number } else { number }, rest))
}

/// `isspace`.
fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | 0x0b | 0x0c | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn amount(octets: i64, messages: i64) -> Amount {
        Amount { octets, messages }
    }

    fn parsed(text: &str) -> SizeFile {
        SizeFile::parse(text.as_bytes())
    }

    #[test]
    fn files_are_written_byte_for_byte_as_couriers() {
        let record = b"          17            1\n";
        assert_eq!(super::record(amount(17, 1)), record);
        assert_eq!(
            super::record(amount(-17, -1)),
            b"         -17           -1\n"
        );
        let text = print(QuotaSpec::new(20, 3), amount(17, 1));
        assert_eq!(text, [b"20S,3C\n".as_slice(), record].concat());
    }

    #[test]
    fn lines_that_are_no_records_count_as_lines() {
        let file = parsed("10S\n\n  5 1 more\nx\n-3-1\n53\n7\t 2\r\n");
        assert_eq!((file.records, file.total), (6, amount(9, 2)));
        assert_eq!((file.trust, file.end), (Trust::Sound, End::Line));
        let file = parsed("10S\r\n 5 1\r\n 6 1");
        assert_eq!((file.records, file.total), (2, amount(11, 2)));
        assert_eq!((file.spec.octets(), file.end), (10, End::Unfinished));
    }

    #[test]
    fn a_full_file_is_believed_for_its_quota_alone() {
        let line = "          17            1\n";
        let text = format!("100S\n{}", line.repeat(300));
        let cut = |length: usize| SizeFile::parse(&text.as_bytes()[..length]);
        assert_eq!(cut(5120).trust, Trust::Recount);
        assert_eq!(cut(5120).spec, QuotaSpec::new(100, 0));
        assert_eq!(cut(5119).trust, Trust::Sound);
        assert_eq!(cut(5 + 26 * 195).total, amount(17 * 195, 195));
    }

    #[test]
    fn what_cannot_be_is_counted_anew() {
        assert_eq!(parsed("10S\n -1 1\n").trust, Trust::Recount);
        assert_eq!(parsed("10S\n 1 -1\n").trust, Trust::Recount);
        assert_eq!(parsed("10S\n 1 1\n\0\0\0").trust, Trust::Recount);
        assert_eq!(parsed("10S\n 1 1\n -1 -1\n").trust, Trust::Sound);
        for damaged in ["", "\0\0\0", "\0\n 1 1\n", "10S\0"] {
            let file = parsed(damaged);
            assert_eq!(
                (file.trust, file.spec),
                (Trust::Damaged, QuotaSpec::UNLIMITED)
            );
        }
        // Courier's own trap: a record that has become the quota line.
        let file = parsed("          17            1\n");
        assert_eq!(
            (file.trust, file.spec),
            (Trust::Sound, QuotaSpec::UNLIMITED)
        );
    }

    proptest! {
        #[test]
        fn the_sum_does_not_depend_on_the_grouping(
            amounts in proptest::collection::vec((-999_i64..9_999, -9_i64..99), 0..40),
            cuts: u64,
        ) {
            let amounts: Vec<_> = amounts.into_iter().map(|(o, m)| amount(o, m)).collect();
            let total: Amount = amounts.iter().copied().sum();
            let mut text = b"1S\n".to_vec();
            let mut group = Amount::NONE;
            for (number, &one) in amounts.iter().enumerate() {
                group += one;
                if cuts >> (number % 64) & 1 == 1 {
                    text.extend(record(std::mem::take(&mut group)));
                }
            }
            text.extend(record(group));
            prop_assert_eq!(SizeFile::parse(&text).total, total);
        }

        #[test]
        fn what_is_printed_reads_back(limit: u64, octets in 0..i64::MAX, messages in 0..i64::MAX) {
            let (spec, total) = (QuotaSpec::new(limit, 7), amount(octets, messages));
            let file = SizeFile::parse(&print(spec, total));
            prop_assert_eq!((file.spec, file.total, file.records), (spec, total, 1));
            prop_assert_eq!((file.trust, file.end), (Trust::Sound, End::Line));
        }

        #[test]
        fn any_octets_are_read(text: Vec<u8>) {
            let _ = SizeFile::parse(&text);
        }
    }
}
