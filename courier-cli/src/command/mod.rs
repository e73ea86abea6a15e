//! `courier`, the one program a newcomer runs: arguments, and one file a command.

mod account;
mod check;
mod demo;
mod import;
mod init;
mod maildir;
mod serve;
mod terminal;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::failure::{Failure, Status};
use crate::layout::Layout;

/// The Courier mail server.
#[derive(Debug, Parser)]
#[command(name = "courier", version, infer_long_args = false)]
struct Arguments {
    /// Directory of the installation; else that in COURIER_ROOT, else the system's
    #[arg(long, value_name = "DIR", global = true)]
    root: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See it work: a throw-away server, and one message on its way through it
    Demo(demo::Demo),
    /// Make a root: configuration, certificate, empty spool; add to one what it lacks
    Init(init::Init),
    /// Accounts of the embedded account database
    #[command(subcommand)]
    Account(account::Command),
    /// Say all that is wrong with the configuration, by file and line
    Check(check::Check),
    /// Bring in mail from an mbox file, a maildir or an MH folder
    Import(import::Import),
    /// Maildirs: find and mend what is wrong
    #[command(subcommand)]
    Maildir(maildir::Command),
    /// Run the whole server in the foreground
    Serve(serve::Serve),
}

impl Command {
    fn run(self, layout: &Layout) -> Result<ExitCode, Failure> {
        match self {
            Self::Demo(demo) => demo.run(),
            Self::Init(init) => init.run(layout),
            Self::Account(command) => command.run(layout),
            Self::Check(check) => check.run(layout),
            Self::Import(import) => import.run(layout),
            Self::Maildir(command) => command.run(),
            Self::Serve(serve) => serve.run(layout),
        }
    }
}

/// Runs the program with these arguments, its own name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let outcome = match Arguments::try_parse_from(arguments) {
        Ok(Arguments {
            root: Some(_),
            command: Command::Demo(_),
        }) => Err(Failure::new(
            Status::Usage,
            "demo makes a root of its own; leave --root away",
        )),
        Ok(arguments) => {
            let layout = Layout::choose(arguments.root.as_deref());
            arguments.command.run(&layout)
        }
        Err(error) => refuse(&error),
    };
    outcome.unwrap_or_else(|failure| {
        writeln!(io::stderr(), "courier: {failure}").ok();
        failure.status.into()
    })
}

/// Help and version as they are; of a wrong call, one line that says what is wrong.
fn refuse(error: &clap::Error) -> Result<ExitCode, Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            error.print().ok();
            Ok(ExitCode::SUCCESS)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Err(Failure::new(
            Status::Usage,
            "a command is missing; see courier --help",
        )),
        _ => {
            let text = error.to_string();
            let lines = text.lines().take_while(|line| !line.trim().is_empty());
            let lines: Vec<_> = lines.map(str::trim).collect();
            let line = lines.join(" ");
            let line = line.strip_prefix("error: ").unwrap_or(&line);
            Err(Failure::new(
                Status::Usage,
                format!("{line}; see courier --help"),
            ))
        }
    }
}

/// Prints lines for whoever called, who may have gone away.
fn print(text: &str) -> Result<ExitCode, Failure> {
    match io::stdout()
        .write_all(text.as_bytes())
        .and_then(|()| io::stdout().flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
            Status::Io,
            format!("standard output: {error}"),
        )),
        _ => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn refusal(arguments: &[&str]) -> Failure {
        let arguments = ["courier"].iter().chain(arguments);
        let error = Arguments::try_parse_from(arguments).expect_err("refused");
        refuse(&error).expect_err("no help")
    }

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_wrong_call_is_refused_in_one_line() {
        for arguments in [
            &[][..],
            &["account"],
            &["account", "add"],
            &["account", "add", "a", "--nonsense"],
            &["account", "add", "a", "b"],
            &["--root"],
            &["nonsense"],
        ] {
            let failure = refusal(arguments);
            assert_eq!(failure.status, Status::Usage, "{arguments:?}");
            assert_eq!(failure.message.lines().count(), 1, "{}", failure.message);
            assert!(!failure.message.starts_with("error"), "{}", failure.message);
        }
        let missing = refusal(&["account", "add"]).message;
        assert!(missing.contains("<ADDRESS>"), "{missing}");
    }
}
