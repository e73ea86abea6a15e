//! `-q`: a quota for a maildir, which is made if it is not there.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use courier_core::disk;
use courier_maildir::folder::Shape;
use courier_maildir::quota::{self, QuotaSpec};

use super::super::writer;
use super::{Refusal, make_new, of};
use crate::disk::StdDisk;

/// Gives a maildir a quota, whatever it had. As the namesake does, makes a directory
/// that is not there without the mark of a folder.
pub(super) fn set(path: &Path, permissions: u32, text: &OsStr) -> Result<(), Refusal> {
    if path.symlink_metadata().is_err() {
        let shape = Shape {
            directory: permissions,
            inside: permissions,
            marked: false,
        };
        make_new(path, shape).map_err(|error| Refusal::Failed(of(path, &error)))?;
    }
    for _ in 0..strange_numbers(text.as_bytes()) {
        let text = text.to_string_lossy();
        writeln!(io::stderr(), "WARN: quota string '{text}' not parseable").ok();
    }
    let (place, spec) = (path.to_owned(), QuotaSpec::parse(text.as_bytes()));
    let writer = writer(0o666);
    let set = StdDisk::new(1).run(disk::task(|disk| async move {
        quota::set(&disk, &place, spec, &writer).await
    }));
    set.map(drop)
        .map_err(|error| Refusal::Failed(of(path, &error)))
}

/// How many numbers stand before neither `S` nor `C`, and so mean nothing.
fn strange_numbers(text: &[u8]) -> usize {
    let ends = |(place, octet): (usize, &u8)| {
        let next = text.get(place + 1);
        octet.is_ascii_digit()
            && !next.is_some_and(|next| next.is_ascii_digit() || matches!(next, b'S' | b'C'))
    };
    text.iter().enumerate().filter(|&one| ends(one)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_mean_nothing_are_counted() {
        let cases = [
            ("10S", 0),
            ("10s,5c", 2),
            ("10X", 1),
            ("10S5", 1),
            ("junk", 0),
            ("5C10S", 0),
        ];
        for (text, expected) in cases {
            assert_eq!(strange_numbers(text.as_bytes()), expected, "{text}");
        }
    }
}
