//! `maildirmake`: makes maildirs and folders, keeps the table of sharable maildirs, and
//! converts folder names to UTF-8.

mod charset;
mod convert;
mod quota;
mod sharable;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use courier_core::disk::{self, DiskError};
use courier_maildir::folder::{Shape, Share, escape, make};

use super::{introduction, reason};
use crate::disk::StdDisk;
use convert::Mode;

const HELP: &str = "\
Usage: maildirmake [-S] MAILDIR
       maildirmake [-S] [-s WORD,...] -f FOLDER MAILDIR
       maildirmake [-S] [-s WORD,...] -F FOLDER MAILDIR
       maildirmake -q QUOTA MAILDIR
       maildirmake --add NAME=PATH MAILDIR
       maildirmake --del NAME MAILDIR
       maildirmake --checkutf8 MAILDIR [RECIPE]
       maildirmake --convutf8 MAILDIR [RECIPE]

Makes a maildir, or a folder in one.

  -S            others may look into it
  -f FOLDER     make a folder; dots are between its levels
  -F FOLDER     make a folder of one level, named in the charset of the locale
  -s WORD,...   share the folder: read, write, group
  -q QUOTA      give it a quota, 10000000S,1000C for octets and messages; it may be there
  --add         enter a sharable maildir into the table of this one
  --del         remove one from it
  --checkutf8   say which folders and subscriptions --convutf8 would rename
  --convutf8    rename folders from modified UTF-7 to UTF-8
";

/// What the namesake prints on standard output for a wrong call.
const USAGE: &str = "Usage: maildirmake [ options ] maildir\n";

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    Make {
        maildir: PathBuf,
        folder: Option<Folder>,
        permissions: u32,
        quota: Option<OsString>,
    },
    Add {
        name: OsString,
        path: PathBuf,
        maildir: PathBuf,
    },
    Delete {
        name: OsString,
        maildir: PathBuf,
    },
    Convert {
        mode: Mode,
        maildir: PathBuf,
        recipe: Option<PathBuf>,
    },
}

/// The folder to make.
#[derive(Debug, PartialEq, Eq)]
enum Folder {
    /// As its directory is called, without the first dot.
    Plain(OsString),
    /// One level, in the charset of the locale.
    Level(OsString),
}

/// Why the program ends without success.
#[derive(Debug)]
enum Refusal {
    Usage,
    /// On standard output.
    Said(String),
    /// On standard error.
    Failed(String),
    /// The same, with exit status 2.
    Defined(String),
}

/// Runs the program with these arguments, its own name first. Exit status 0; 2 for a
/// sharable maildir that is defined already; else 1.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().skip(1).collect();
    if let Some(text) = introduction("maildirmake", HELP, &arguments) {
        io::stdout().write_all(text.as_bytes()).ok();
        return ExitCode::SUCCESS;
    }
    let outcome = parse(arguments).and_then(run);
    let refusal = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(refusal) => refusal,
    };
    let mut status = ExitCode::FAILURE;
    match refusal {
        Refusal::Usage => drop(io::stdout().write_all(USAGE.as_bytes())),
        Refusal::Said(text) => drop(writeln!(io::stdout(), "{text}")),
        Refusal::Failed(text) => drop(writeln!(io::stderr(), "{text}")),
        Refusal::Defined(text) => {
            writeln!(io::stderr(), "{text}").ok();
            status = ExitCode::from(2);
        }
    }
    status
}

/// Reads the arguments as the namesake does: options only before the maildir, one in an
/// argument, a value in the same one or in the next. What follows the maildir does not
/// matter.
fn parse(arguments: Vec<OsString>) -> Result<Call, Refusal> {
    let mut arguments = arguments.into_iter();
    let (mut folder, mut shared, mut permissions) = (None, false, None);
    let (mut added, mut deleted, mut quota) = (None, None, None);
    let maildir = loop {
        let argument = arguments.next().ok_or(Refusal::Usage)?;
        let mut value = |given: &[u8]| match given {
            b"" => arguments.next().ok_or(Refusal::Usage),
            given => Ok(OsStr::from_bytes(given).to_owned()),
        };
        match argument.as_bytes() {
            b"--checkutf8" | b"--convutf8" => {
                let mode = match argument == "--checkutf8" {
                    true => Mode::Check,
                    false => Mode::Convert,
                };
                let maildir = arguments.next().ok_or(Refusal::Usage)?.into();
                let recipe = arguments.next().map(PathBuf::from);
                return Ok(Call::Convert {
                    mode,
                    maildir,
                    recipe,
                });
            }
            b"--add" => added = Some(value(b"")?),
            b"--del" => deleted = Some(value(b"")?),
            b"-S" => permissions = Some(0o755),
            [b'-', b'f', given @ ..] => folder = Some(Folder::Plain(value(given)?)),
            [b'-', b'F', given @ ..] => folder = Some(Folder::Level(value(given)?)),
            [b'-', b'q', given @ ..] => quota = Some(value(given)?),
            [b'-', b's', given @ ..] => {
                let words = value(given)?;
                permissions = Some(Share::permissions(&words.to_string_lossy()));
                shared = true;
            }
            [b'-', ..] => return Err(Refusal::Usage),
            _ => break PathBuf::from(argument),
        }
    };
    if let Some(added) = added {
        let (name, path) = match memchr::memchr(b'=', added.as_bytes()) {
            Some(at) => added.as_bytes().split_at(at),
            None => return Err(Refusal::Usage),
        };
        let path = Path::new(OsStr::from_bytes(path.get(1..).unwrap_or_default()));
        if !path.is_absolute() {
            return Err(Refusal::Usage);
        }
        return Ok(Call::Add {
            name: OsStr::from_bytes(name).to_owned(),
            path: path.to_owned(),
            maildir,
        });
    }
    if let Some(name) = deleted {
        return Ok(Call::Delete { name, maildir });
    }
    if shared && folder.is_none() {
        return Err(Refusal::Usage);
    }
    Ok(Call::Make {
        maildir,
        folder,
        permissions: permissions.unwrap_or(0o700),
        quota,
    })
}

fn run(call: Call) -> Result<(), Refusal> {
    match call {
        Call::Make {
            maildir,
            folder,
            permissions,
            quota,
        } => make_one(maildir, folder, permissions, quota.as_deref()),
        Call::Add {
            name,
            path,
            maildir,
        } => sharable::add(&name, &path, &maildir),
        Call::Delete { name, maildir } => sharable::delete(&name, &maildir),
        Call::Convert {
            mode,
            maildir,
            recipe,
        } => convert::run(mode, &maildir, recipe.as_deref()),
    }
}

fn make_one(
    maildir: PathBuf,
    folder: Option<Folder>,
    permissions: u32,
    quota: Option<&OsStr>,
) -> Result<(), Refusal> {
    let (path, shape) = match folder {
        None => (maildir, Shape::maildir(permissions)),
        Some(folder) => {
            let path = maildir.join(OsStr::from_bytes(&directory(&folder)?));
            (path, Shape::folder(permissions))
        }
    };
    match quota {
        Some(quota) => quota::set(&path, shape.directory, quota),
        None => make_new(&path, shape)
            .map_err(|error| Refusal::Failed(format!("maildirmake: {}", of(&path, &error)))),
    }
}

fn make_new(path: &Path, shape: Shape) -> Result<(), DiskError> {
    let path = path.to_owned();
    StdDisk::new(1).run(disk::task(
        |disk| async move { make(&disk, &path, shape).await },
    ))
}

/// Why a directory was not made, as the namesake says it.
fn of(path: &Path, error: &DiskError) -> String {
    reason::of(path.display(), error)
}

/// The name of the folder's directory.
fn directory(folder: &Folder) -> Result<Vec<u8>, Refusal> {
    match folder {
        Folder::Plain(name) => {
            let octets = name.as_bytes();
            // The namesake makes what IMAP can never reach: levels without a name.
            let empty = octets.ends_with(b".") || memchr::memmem::find(octets, b"..").is_some();
            if octets.starts_with(b".") || empty || octets.contains(&b'/') {
                let name = name.to_string_lossy();
                return Err(Refusal::Said(format!("Invalid folder name: {name}")));
            }
            Ok([b".", octets].concat())
        }
        Folder::Level(name) => {
            let text = charset::of_locale().decode(name.as_bytes());
            let text = text.ok_or_else(|| {
                let name = name.to_string_lossy();
                Refusal::Failed(format!("Cannot convert {name} to maildir encoding"))
            })?;
            Ok(format!(".{}", escape(&text)).into_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arguments: &[&str]) -> Option<Call> {
        parse(arguments.iter().map(Into::into).collect()).ok()
    }

    fn made(arguments: &[&str]) -> Option<(Option<Folder>, u32)> {
        match call(arguments)? {
            Call::Make {
                folder,
                permissions,
                ..
            } => Some((folder, permissions)),
            _ => None,
        }
    }

    #[test]
    fn values_stand_in_the_option_or_behind_it() {
        let plain = |name: &str| Some(Folder::Plain(name.into()));
        assert_eq!(made(&["m"]), Some((None, 0o700)));
        assert_eq!(made(&["-fa", "m"]), Some((plain("a"), 0o700)));
        assert_eq!(
            made(&["-f", "a", "-S", "m", "-x"]),
            Some((plain("a"), 0o755))
        );
        assert_eq!(
            made(&["-s", "w,g", "-f", "a", "m"]),
            Some((plain("a"), 0o1770))
        );
        assert_eq!(made(&["-sw", "-fa", "-S", "m"]), Some((plain("a"), 0o755)));
        for wrong in [
            &[][..],
            &["-s", "r", "m"],
            &["-x", "m"],
            &["-Sf", "m"],
            &["-f"],
            &["--", "m"],
        ] {
            assert_eq!(call(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_sharable_maildir_has_an_absolute_path() {
        assert!(
            matches!(call(&["--add", "x=/a=b", "m"]), Some(Call::Add { path, .. }) if path == Path::new("/a=b"))
        );
        for wrong in [
            &["--add", "x=a", "m"][..],
            &["--add", "x", "m"],
            &["--add", "x=/a"],
            &["--add=x=/a", "m"],
        ] {
            assert_eq!(call(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn no_folder_lies_elsewhere() {
        for name in [".", "..", ".a", "a..b", "a.", "../x", "a/b", "a/../../x"] {
            let refused = directory(&Folder::Plain(name.into()));
            assert!(matches!(refused, Err(Refusal::Said(_))), "{name}");
        }
    }
}
