//! `courier`: the mail server, and the tools to set it up.

use std::process::ExitCode;

fn main() -> ExitCode {
    courier_cli::command::main(std::env::args_os())
}
