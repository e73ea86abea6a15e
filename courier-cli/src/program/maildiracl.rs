//! `maildiracl`: the access lists of a maildir's folders.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::ExitCode;

use courier_core::disk;
use courier_maildir::acl::{self, AccessList, AclError, Identifier, Rights};
use courier_maildir::folder::FolderName;

use super::{end, introduction, writer};
use crate::disk::StdDisk;
use crate::failure::{Failure, Status};

const USAGE: &str = "Usage: maildiracl [ options ] maildir [INBOX[.folder] [identifier rights]]\n";

const HELP: &str = "\
Usage: maildiracl -reset MAILDIR
       maildiracl -list MAILDIR INBOX[.FOLDER]
       maildiracl -set MAILDIR INBOX[.FOLDER] IDENTIFIER [+|-]RIGHTS
       maildiracl -delete MAILDIR INBOX[.FOLDER] IDENTIFIER
       maildiracl -compute MAILDIR INBOX[.FOLDER] IDENTIFIER...

Shows and changes who may do what in the folders of a maildir.

  -reset    forgets the lists of folders that are gone
  -list     prints each identifier and its rights
  -set      sets what stands behind an identifier; with + or - adds or takes rights
  -delete   takes an identifier out
  -compute  prints the rights of one who has all these identifiers

Identifiers are owner, anyone, user=ID, group=NAME and administrators; behind a -
rights are taken away. Rights are letters: a administer, c create, e expunge,
i insert, l lookup, r read, s seen, t mark deleted, w write flags, x delete the folder.
A folder without a list inherits that of the folder above, and keeps it from then on.
";

/// Runs `maildiracl`.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().skip(1).collect();
    if let Some(text) = introduction("maildiracl", HELP, &arguments) {
        io::stdout().write_all(text.as_bytes()).ok();
        return ExitCode::SUCCESS;
    }
    end("maildiracl", run(&arguments))
}

fn run(arguments: &[OsString]) -> Result<ExitCode, Failure> {
    let octets: Vec<&[u8]> = arguments
        .iter()
        .map(|argument| argument.as_bytes())
        .collect();
    let Some(maildir) = arguments.get(1) else {
        return usage();
    };
    let maildir = Maildir {
        path: Path::new(maildir),
    };
    // Courier: what follows is ignored.
    match octets.as_slice() {
        [b"-reset", _, ..] => {
            maildir.reset()?;
            Ok(ExitCode::SUCCESS)
        }
        [b"-list", _, folder, ..] => {
            let mut text = Vec::new();
            for (identifier, rights) in maildir.read(folder)?.iter() {
                text.extend_from_slice(identifier.octets());
                text.push(b'\t');
                text.extend(rights.letters());
                text.push(b'\n');
            }
            print(&text)
        }
        [b"-set", _, folder, identifier, rights, ..] => {
            let identifier = Identifier::parse(identifier)?;
            let (sign, letters) = match rights {
                [sign @ (b'+' | b'-'), letters @ ..] => (Some(*sign), letters),
                letters => (None, *letters),
            };
            let rights = Rights::parse(letters)?;
            maildir.change(folder, |list| {
                let old = list.get(&identifier).unwrap_or_default();
                let new = match sign {
                    Some(b'+') => old | rights,
                    Some(_) => old - rights,
                    None => rights,
                };
                list.set(identifier, new);
            })
        }
        [b"-delete", _, folder, identifier, ..] => {
            // What can be no identifier is in no list.
            let identifier = Identifier::parse(identifier);
            maildir.change(folder, |list| {
                if let Ok(identifier) = identifier {
                    list.remove(&identifier);
                }
            })
        }
        [b"-compute", _, folder, identifiers @ ..] if !identifiers.is_empty() => {
            let rights = maildir.read(folder)?.compute(identifiers);
            print(&rights.letters().chain([b'\n']).collect::<Vec<_>>())
        }
        _ => usage(),
    }
}

fn usage() -> Result<ExitCode, Failure> {
    print(USAGE.as_bytes()).map(|_| Status::No.into())
}

fn print(text: &[u8]) -> Result<ExitCode, Failure> {
    let written = io::stdout()
        .write_all(text)
        .and_then(|()| io::stdout().flush());
    written.map_err(|error| Failure::of(Status::No, &error))?;
    Ok(ExitCode::SUCCESS)
}

impl From<AclError> for Failure {
    fn from(error: AclError) -> Self {
        Self::of(Status::No, &error)
    }
}

struct Maildir<'a> {
    path: &'a Path,
}

impl Maildir<'_> {
    /// A folder's name. Courier: here `INBOX` is in capitals.
    fn folder(name: &[u8]) -> Result<FolderName, Failure> {
        let name = std::str::from_utf8(name).ok();
        let name = name.filter(|name| name.starts_with("INBOX"));
        let name = name.ok_or_else(|| {
            Failure::new(
                Status::No,
                "the folder is INBOX or begins with INBOX., in UTF-8",
            )
        })?;
        FolderName::parse(name).map_err(|error| Failure::of(Status::No, &error))
    }

    fn read(&self, folder: &[u8]) -> Result<AccessList, Failure> {
        let (folder, writer) = (Self::folder(folder)?, writer(MODE));
        let task =
            disk::task(|disk| async move { acl::read(&disk, self.path, &folder, &writer).await });
        Ok(StdDisk::new(1).run(task)?)
    }

    fn change(
        &self,
        folder: &[u8],
        edit: impl FnOnce(&mut AccessList) + Send,
    ) -> Result<ExitCode, Failure> {
        let (folder, writer) = (Self::folder(folder)?, writer(MODE));
        let task = disk::task(|disk| async move {
            let edit = |list: &mut AccessList| {
                edit(list);
                Ok(())
            };
            acl::change(&disk, self.path, &folder, None, edit, &writer).await
        });
        StdDisk::new(1).run(task)?;
        Ok(ExitCode::SUCCESS)
    }

    fn reset(&self) -> Result<(), Failure> {
        let writer = writer(MODE);
        let task = disk::task(|disk| async move { acl::reset(&disk, self.path, &writer).await });
        match StdDisk::new(1).run(task) {
            // Courier: where there is no maildir, there is nothing to forget.
            Err(AclError::Disk(error)) if error.kind == disk::DiskErrorKind::NotFound => Ok(()),
            reset => Ok(reset?),
        }
    }
}

/// Permission bits of the lists, less the umask.
const MODE: u32 = 0o644;
