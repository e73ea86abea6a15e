//! Measuring messages whose names do not tell their size.

use std::path::PathBuf;

use courier_core::disk::{Disk, DiskError, Op, Outcome, Reply};

use crate::name::Sizes;

/// What reading a message tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measure {
    /// Octets of the file.
    pub file: u64,
    /// Line feeds without a carriage return before them.
    pub bare: u64,
    /// Octets that the end of the last line lacks: two, or one after a lone carriage
    /// return, which counts as the first half of an end.
    pub lacking: u64,
    /// Whether the header holds an octet above 127.
    pub eight_bit_header: bool,
}

impl Measure {
    /// Octets of a mail transport's text, whose last line has an end always.
    #[must_use]
    pub fn completed(&self) -> u64 {
        self.wire() + self.lacking
    }

    /// Octets of the text with CRLF at the end of each line that has an end.
    #[must_use]
    pub fn wire(&self) -> u64 {
        self.file + self.bare
    }

    /// The sizes.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        Sizes {
            file: self.file,
            wire: Some(self.wire()),
        }
    }
}

/// How much of a message is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// Its header: the sizes are then of what was read, which has no meaning.
    Header,
}

/// Measures messages by reading them; the results are in the order of the paths. At no
/// time are more than 16 MiB read at once.
pub async fn measure(disk: &Disk, files: &[(PathBuf, Extent)]) -> Vec<Result<Measure, DiskError>> {
    let mut results: Vec<Result<Measure, DiskError>> = Vec::with_capacity(files.len());
    for files in files.chunks(FILES) {
        let mut readings: Vec<Reading> = files.iter().map(Reading::new).collect();
        loop {
            let mut open: Vec<&mut Reading> = readings
                .iter_mut()
                .filter(|reading| reading.is_open())
                .collect();
            if open.is_empty() {
                break;
            }
            let reads = open.iter().map(|reading| reading.next()).collect();
            for (reading, outcome) in open.iter_mut().zip(disk.run(reads).await) {
                reading.take(outcome);
            }
        }
        results.extend(readings.into_iter().map(|reading| match reading.error {
            Some(error) => Err(error),
            None => Ok(reading.measure),
        }));
    }
    results
}

/// Files read at the same time, and octets of each.
const FILES: usize = 64;
const CHUNK: u64 = 256 * 1024;

/// A message that is being read.
struct Reading {
    path: PathBuf,
    extent: Extent,
    measure: Measure,
    after_cr: bool,
    in_header: bool,
    at_line_start: bool,
    ended: bool,
    error: Option<DiskError>,
}

impl Reading {
    fn new((path, extent): &(PathBuf, Extent)) -> Self {
        Self {
            path: path.clone(),
            extent: *extent,
            measure: Measure::default(),
            after_cr: false,
            in_header: true,
            at_line_start: true,
            ended: false,
            error: None,
        }
    }

    fn is_open(&self) -> bool {
        let wanted = self.extent == Extent::Whole || self.in_header;
        !self.ended && self.error.is_none() && wanted
    }

    fn next(&self) -> Op {
        let at = self.measure.file;
        Op::Read {
            path: self.path.clone(),
            range: at..at + CHUNK,
        }
    }

    fn take(&mut self, outcome: Outcome) {
        match outcome {
            Ok(Reply::Octets(octets)) if !octets.is_empty() => self.read(&octets),
            Ok(_) => self.ended = true,
            Err(error) => self.error = Some(error),
        }
    }

    fn read(&mut self, octets: &[u8]) {
        self.ended = (octets.len() as u64) < CHUNK;
        self.measure.file += octets.len() as u64;
        for line in octets.split_inclusive(|&octet| octet == b'\n') {
            let text = line.strip_suffix(b"\n");
            let text_or_part = text.unwrap_or(line);
            if self.in_header {
                let is_empty = matches!(text_or_part, [] | [b'\r']);
                self.in_header = !(is_empty && self.at_line_start && text.is_some());
                self.measure.eight_bit_header |= !text_or_part.is_ascii();
            }
            if let Some(text) = text {
                let after_cr = match text.last() {
                    Some(octet) => *octet == b'\r',
                    None => self.after_cr,
                };
                self.measure.bare += u64::from(!after_cr);
            }
            self.after_cr = text.is_none() && text_or_part.last() == Some(&b'\r');
            // A lone CR at the cut may yet be the start of an empty line.
            self.at_line_start = text.is_some() || (self.at_line_start && text_or_part == b"\r");
        }
        self.measure.lacking = match octets.last() {
            Some(b'\n') | None => 0,
            Some(b'\r') => 1,
            Some(_) => 2,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use courier_core::disk;
    use courier_core::message::wire;
    use courier_core::testing::MemDisk;

    fn of(text: &[u8]) -> Measure {
        let mut disk = MemDisk::new();
        disk.plant_file("/m", text);
        let task =
            disk::task(|disk| async move { measure(&disk, &[("/m".into(), Extent::Whole)]).await });
        disk.run(task).remove(0).expect("read")
    }

    proptest::proptest! {
        #[test]
        fn a_message_is_as_long_as_what_is_sent(
            lines in proptest::collection::vec("[ab]{0,3}(\r|\n|\r\n|\r\r\n|)", 0..8),
        ) {
            let text = lines.concat();
            let sent = wire::length(text.as_bytes(), wire::Encoding::Chunk);
            proptest::prop_assert_eq!(of(text.as_bytes()).completed(), sent);
        }
    }

    #[test]
    fn messages_are_measured_across_reads() {
        let measured = of(b"A: b\r\n\nbody\nx");
        assert_eq!((measured.file, measured.wire()), (13, 15));
        assert!(measured.lacking == 2 && !measured.eight_bit_header);
        let empty = of(b"");
        assert_eq!((empty.file, empty.wire(), empty.lacking), (0, 0, 0));
        // A line end that is cut in two by the end of a read.
        for shift in 0..4 {
            let chunk = usize::try_from(CHUNK).expect("small");
            let mut text = vec![b'x'; chunk - 2 + shift];
            text.extend_from_slice(b"\r\n\n\n");
            let measured = of(&text);
            assert_eq!(measured.file, text.len() as u64);
            assert_eq!(measured.bare, 2, "{shift}");
        }
    }

    #[test]
    fn only_the_header_counts_for_eight_bits() {
        assert!(of("Subject: é\n\nx\n".as_bytes()).eight_bit_header);
        assert!(!of("Subject: e\n\né\n".as_bytes()).eight_bit_header);
        assert!(!of("Subject: e\r\n\r\né\n".as_bytes()).eight_bit_header);
    }

    #[test]
    fn a_message_that_is_gone_is_an_error_of_its_own() {
        let mut disk = MemDisk::new();
        disk.plant_file("/a", b"x\n");
        disk.plant_file("/c", &vec![b'\n'; 600_000]);
        let files = ["/a", "/b", "/c"].map(|path| (path.into(), Extent::Whole));
        let task = disk::task(|disk| async move { measure(&disk, &files).await });
        let results = disk.run(task);
        assert_eq!(results[0].as_ref().map(Measure::wire), Ok(3));
        assert!(results[1].is_err());
        assert_eq!(results[2].as_ref().map(Measure::wire), Ok(1_200_000));
    }
}
