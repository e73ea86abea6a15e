//! `deliverquota`: a message from standard input into a maildir, if its quota lets it.

use std::process::ExitCode;

fn main() -> ExitCode {
    courier_cli::program::deliverquota::main(std::env::args_os())
}
