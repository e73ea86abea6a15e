//! `maildirwatch`: runs a command whenever a maildir changes.

use std::process::ExitCode;

fn main() -> ExitCode {
    courier_cli::program::maildirwatch::main(std::env::args_os())
}
