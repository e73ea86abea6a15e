//! `maildirmake`: makes maildirs and folders.

use std::process::ExitCode;

fn main() -> ExitCode {
    courier_cli::program::maildirmake::main(std::env::args_os())
}
