//! `sharedindexsplit`: divides the list of accounts on standard input into the index
//! files of shared folders.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use courier_core::disk;
use courier_maildir::shared_index::{Grouping, split, write};

use super::{introduction, reason, umask};
use crate::disk::StdDisk;

const HELP: &str = "\
Usage: sharedindexsplit DIRECTORY [LETTERS]

Reads a list of accounts, as authenumerate -s -o prints it, from standard input and
writes the files of an index of shared folders into DIRECTORY: by the option sharedgroup
of each account, or as a tree by so many letters of its name. Accounts are added to files
that are there.
";

/// Runs the program with these arguments, its own name first. Exit status 0; 2 for a
/// wrong call, a directory that is none, and whatever else goes wrong.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let own = arguments
        .next()
        .unwrap_or_else(|| "sharedindexsplit".into());
    let arguments: Vec<_> = arguments.collect();
    if let Some(text) = introduction("sharedindexsplit", HELP, &arguments) {
        io::stdout().write_all(text.as_bytes()).ok();
        return ExitCode::SUCCESS;
    }
    let directory = arguments.first().map(PathBuf::from);
    let Some(directory) = directory.filter(|directory| directory.is_dir()) else {
        let own = own.to_string_lossy();
        return failed(&format!("Usage: {own} outputdir [ letters ]"));
    };
    let grouping = match arguments.get(1).map_or(0, |letters| number(letters)) {
        0 => Grouping::Option,
        letters => Grouping::Letters(letters),
    };
    let mut list = Vec::new();
    if let Err(error) = io::stdin().lock().read_to_end(&mut list) {
        return failed(&format!("standard input: {error}"));
    }
    let files = match split(&list, grouping) {
        Ok(files) => files,
        Err(error) => return failed(&error.to_string()),
    };
    let mode = 0o666 & !umask();
    let task = disk::task(|disk| async move { write(&disk, &directory, files, mode).await });
    match StdDisk::new(1).run(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&reason::of(error.path.display(), &error)),
    }
}

/// What a text is worth as a number in Perl: the digits at its beginning, else 0.
fn number(text: &OsStr) -> usize {
    let text = text.as_bytes().trim_ascii_start();
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let digits = text.iter().take_while(|octet| octet.is_ascii_digit());
    digits.fold(0, |number: usize, &digit| {
        number
            .saturating_mul(10)
            .saturating_add(usize::from(digit - b'0'))
    })
}

fn failed(text: &str) -> ExitCode {
    writeln!(io::stderr(), "{text}").ok();
    ExitCode::from(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_perls() {
        let cases = [
            ("2", 2),
            ("01", 1),
            ("1x", 1),
            ("x", 0),
            ("-1", 0),
            (" 3", 3),
            ("", 0),
        ];
        for (text, expected) in cases {
            assert_eq!(number(OsStr::new(text)), expected, "{text}");
        }
        assert_eq!(number(OsStr::new("99999999999999999999999")), usize::MAX);
    }
}
