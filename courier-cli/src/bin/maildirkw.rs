//! `maildirkw`: the keywords of messages.

use std::process::ExitCode;

fn main() -> ExitCode {
    courier_cli::program::maildirkw::main(std::env::args_os())
}
