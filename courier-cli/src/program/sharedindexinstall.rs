//! `sharedindexinstall`: puts a new set of index files of shared folders in place of
//! the one in use.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use courier_core::disk;
use courier_maildir::shared_index::{InstallError, install};

use super::{introduction, reason};
use crate::disk::StdDisk;
use crate::layout::Layout;

const HELP: &str = "\
Usage: sharedindexinstall

Moves all files from the directory shared.tmp of the configuration to its directory
shared, and removes there what the new set does not have. The environment variable
COURIER_ROOT says which installation is meant; else it is the system's.
";

/// Runs the program with these arguments, its own name first; as with the namesake,
/// they mean nothing. Exit status 0, or 1 when nothing was installed.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().skip(1).collect();
    if let Some(text) = introduction("sharedindexinstall", HELP, &arguments) {
        io::stdout().write_all(text.as_bytes()).ok();
        return ExitCode::SUCCESS;
    }
    let layout = Layout::choose(None);
    let (from, to) = (layout.etc().join("shared.tmp"), layout.etc().join("shared"));
    let task = disk::task(|disk| async move { install(&disk, &from, &to).await });
    match StdDisk::new(1).run(task) {
        Ok(installed) => {
            for error in &installed.kept {
                let text = reason::of(error.path.display(), error);
                writeln!(io::stderr(), "{text}").ok();
            }
            ExitCode::SUCCESS
        }
        Err(InstallError::Disk(error)) => {
            let text = reason::of(error.path.display(), &error);
            writeln!(io::stderr(), "{text}").ok();
            ExitCode::FAILURE
        }
        Err(error) => {
            writeln!(io::stdout(), "{error}").ok();
            ExitCode::FAILURE
        }
    }
}
