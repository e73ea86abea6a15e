//! `maildirwatch`: runs a command, and again whenever a maildir has changed.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;

use super::{end, introduction};
use crate::failure::{Failure, Status};
use crate::notify::{Notifier, Watching};

const USAGE: &str = "\
Usage: maildirwatch MAILDIR COMMAND [ARGUMENT...]

Runs the command, and again each time after messages or keywords of the maildir have
changed, until it ends with another exit status than 0, which is printed, or by a signal,
which is printed with a minus sign.
";

/// Runs the program with these arguments, its own name first. Exit status 0 once the
/// command has failed, 1 for a wrong call and a maildir that is none.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().skip(1).collect();
    if let Some(text) = introduction("maildirwatch", USAGE, &arguments) {
        io::stdout().write_all(text.as_bytes()).ok();
        return ExitCode::SUCCESS;
    }
    let [maildir, command, arguments @ ..] = arguments.as_slice() else {
        io::stdout().write_all(USAGE.as_bytes()).ok();
        return ExitCode::FAILURE;
    };
    let failed = watch(Path::new(maildir), command, arguments).map(|status| {
        writeln!(io::stdout(), "{}", shown(status)).ok();
        ExitCode::SUCCESS
    });
    end(
        "maildirwatch",
        failed.map_err(|text| Failure::new(Status::No, text)),
    )
}

/// Gives what the command came to when it failed.
fn watch(maildir: &Path, command: &OsStr, arguments: &[OsString]) -> Result<ExitStatus, String> {
    for directory in ["new", "cur"] {
        let path = maildir.join(directory);
        let is_directory = std::fs::metadata(&path).map(|facts| facts.is_dir());
        match is_directory {
            Ok(true) => {}
            Ok(false) => return Err(format!("{}: Not a directory", path.display())),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        }
    }
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        // Before the first run, so that nothing escapes between two looks. What happens
        // while the command runs waits in the system's queue.
        let mut watching = Notifier::start().watch(maildir);
        loop {
            let mut command = Command::new(command);
            let status = command.args(arguments).status();
            let status = status
                .map_err(|error| format!("{}: {error}", command.get_program().to_string_lossy()))?;
            if !status.success() {
                return Ok(status);
            }
            watching.changed().await;
            settle(&mut watching).await;
        }
    })
}

/// Lets a burst of changes come to its end; one without an end is cut in pieces.
async fn settle(watching: &mut Watching) {
    for _ in 0..PIECES {
        if tokio::time::timeout(PAUSE, watching.changed())
            .await
            .is_err()
        {
            return;
        }
    }
}

const PAUSE: Duration = Duration::from_millis(20);
const PIECES: usize = 50;

/// The exit status, or the signal with a minus sign.
fn shown(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => code.to_string(),
        None => format!("-{}", status.signal().unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_a_minus_sign() {
        assert_eq!(shown(ExitStatus::from_raw(7 << 8)), "7");
        assert_eq!(shown(ExitStatus::from_raw(9)), "-9");
    }
}
