//! The programs of Courier's names: what each does, one file a program. `src/bin` holds
//! a thin `main` for each.
//!
//! A program keeps the options, the exit statuses and the output of its namesake;
//! `--help` and `--version` work besides.

pub mod deliverquota;
pub mod maildiracl;
pub mod maildirkw;
pub mod maildirmake;
pub mod maildirwatch;
mod reason;
pub mod sharedindexinstall;
pub mod sharedindexsplit;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use courier_maildir::name::HostName;
use courier_maildir::writer::Writer;
use rustix::fs::Mode;

use crate::clock;
use crate::failure::Failure;

/// Prints why a program failed, on one line after its name, and gives its exit status.
pub(crate) fn end(program: &str, outcome: Result<ExitCode, Failure>) -> ExitCode {
    outcome.unwrap_or_else(|failure| {
        writeln!(io::stderr(), "{program}: {failure}").ok();
        failure.status.into()
    })
}

/// What `--help` and `--version` print, if one of them is the first argument.
pub(crate) fn introduction(program: &str, usage: &str, arguments: &[OsString]) -> Option<String> {
    match arguments.first()?.to_str()? {
        "--help" => Some(usage.to_owned()),
        "--version" => Some(format!(
            "{program} (courier {})\n",
            env!("CARGO_PKG_VERSION")
        )),
        _ => None,
    }
}

/// This process as it writes into maildirs: files get `mode` less the umask.
pub(crate) fn writer(mode: u32) -> Writer {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    let host = HostName::new(if host.is_empty() { "localhost" } else { &host });
    Writer::new(clock::now(), std::process::id(), host, mode & !umask())
}

/// The umask, which can only be read by setting it; a program calls this before it has
/// a second thread.
pub(crate) fn umask() -> u32 {
    let mask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    rustix::process::umask(mask);
    mask.as_raw_mode()
}
