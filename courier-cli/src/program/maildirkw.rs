//! `maildirkw`: lists and changes the keywords of messages.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use courier_core::disk;
use courier_maildir::folder::FolderPath;
use courier_maildir::keywords::{EditError, Keyword, Locking, edit, list};
use courier_maildir::mailbox::How;

use super::{introduction, reason, writer};
use crate::disk::StdDisk;

const HELP: &str = "\
Usage: maildirkw [-l] [-a|-r] MAILDIR FILE [KEYWORD...]
       maildirkw [-l] -L MAILDIR

Gives the message FILE of MAILDIR these keywords in place of those it has.

  -a  add the keywords to those it has
  -r  take the keywords from those it has
  -L  list the messages that have keywords
  -l  hold the lock of the maildir meanwhile
";

/// What the namesake prints on standard output for a wrong call.
const USAGE: &str = "Usage: maildirkw [ options ] maildir [+/-]flag [+/-]flag...\n";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    lists: bool,
    how: How,
    locking: Locking,
    operands: Vec<OsString>,
}

/// Runs the program with these arguments, its own name first. Exit status 0, or 1
/// for anything that goes wrong.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let own = arguments.next().unwrap_or_else(|| "maildirkw".into());
    let arguments: Vec<_> = arguments.collect();
    if let Some(text) = introduction("maildirkw", HELP, &arguments) {
        return said(&text, ExitCode::SUCCESS);
    }
    let call = match parse(arguments) {
        Ok(call) => call,
        // A letter that the namesake knows, and of which it says nothing else.
        Err(option) if option == b"h" => return said(USAGE, ExitCode::FAILURE),
        Err(option) => {
            let own = own.to_string_lossy();
            let option = String::from_utf8_lossy(&option).into_owned();
            writeln!(io::stderr(), "{own}: invalid option -- '{option}'").ok();
            return said(USAGE, ExitCode::FAILURE);
        }
    };
    let (Some(maildir), false) = (call.operands.first(), call.lists) else {
        return match call.operands.first() {
            Some(maildir) => list_all(Path::new(maildir), call.locking),
            None => said(USAGE, ExitCode::FAILURE),
        };
    };
    match call.operands.get(1) {
        Some(file) => {
            let words = call.operands.get(2..).unwrap_or_default();
            change(Path::new(maildir), file, &call, words)
        }
        None => said(USAGE, ExitCode::FAILURE),
    }
}

/// Reads the arguments as `getopt` of the namesake does: options anywhere, several in
/// one argument, none behind `--`. An unknown letter is the error.
fn parse(arguments: Vec<OsString>) -> Result<Call, Vec<u8>> {
    let mut call = Call {
        lists: false,
        how: How::Replace,
        locking: Locking::None,
        operands: Vec::new(),
    };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            call.operands.extend(arguments);
            break;
        }
        match argument.as_bytes() {
            [b'-', letters @ ..] if !letters.is_empty() => {
                for letter in letters {
                    match letter {
                        b'a' => call.how = How::Add,
                        b'r' => call.how = How::Remove,
                        b'l' => call.locking = Locking::Held,
                        b'L' => call.lists = true,
                        other => return Err(vec![*other]),
                    }
                }
            }
            _ => call.operands.push(argument),
        }
    }
    Ok(call)
}

fn list_all(maildir: &Path, locking: Locking) -> ExitCode {
    let folder = FolderPath::inbox(maildir);
    let writer = writer(0o666);
    let task = disk::task(|disk| async move { list(&disk, &folder, locking, &writer).await });
    let listed = match StdDisk::new(1).run(task) {
        Ok(listed) => listed,
        Err(error) => return failed(maildir, &error),
    };
    let mut text = Vec::new();
    for (name, words) in listed {
        text.extend_from_slice(&name);
        for word in words {
            text.push(b' ');
            text.extend_from_slice(word.as_str().as_bytes());
        }
        text.push(b'\n');
    }
    match io::stdout().write_all(&text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn change(maildir: &Path, file: &OsStr, call: &Call, words: &[OsString]) -> ExitCode {
    let mut keywords = Vec::new();
    for word in words {
        match Keyword::parse(&word.to_string_lossy()) {
            Ok(keyword) => keywords.push(keyword),
            Err(error) => {
                let word = word.to_string_lossy();
                writeln!(io::stderr(), "{word}: {error}").ok();
                return ExitCode::FAILURE;
            }
        }
    }
    let (folder, name) = (FolderPath::inbox(maildir), file.as_bytes().to_vec());
    let (how, locking, writer) = (call.how, call.locking, writer(0o666));
    let task = disk::task(|disk| async move {
        edit(&disk, &folder, &name, how, &keywords, locking, &writer).await
    });
    match StdDisk::new(1).run(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(EditError::Name) => {
            let path: PathBuf = maildir.join("courierimapkeywords").join(file);
            writeln!(io::stderr(), "{}: {}", path.display(), EditError::Name).ok();
            ExitCode::FAILURE
        }
        Err(error) => failed(maildir, &error),
    }
}

fn failed(maildir: &Path, error: &EditError) -> ExitCode {
    let text = match error {
        EditError::Disk(error) => reason::of(maildir.display(), error),
        other => format!("{}: {other}", maildir.display()),
    };
    writeln!(io::stderr(), "{text}").ok();
    ExitCode::FAILURE
}

fn said(text: &str, status: ExitCode) -> ExitCode {
    io::stdout().write_all(text.as_bytes()).ok();
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arguments: &[&str]) -> Result<Call, Vec<u8>> {
        parse(arguments.iter().map(Into::into).collect())
    }

    #[test]
    fn options_may_stand_anywhere() {
        let given = call(&["m", "-la", "f", "--", "-r"]).expect("a call");
        assert_eq!((given.how, given.locking), (How::Add, Locking::Held));
        assert_eq!(given.operands, ["m", "f", "-r"]);
        let given = call(&["-a", "-r", "-"]).expect("a call");
        assert_eq!((given.how, given.operands.len()), (How::Remove, 1));
        assert_eq!(call(&["-ax"]), Err(b"x".to_vec()));
        assert!(call(&["-L"]).expect("a call").lists);
    }
}
