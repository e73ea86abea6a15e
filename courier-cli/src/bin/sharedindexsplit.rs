//! `sharedindexsplit`: divides the list of accounts into index files of shared folders.

use std::process::ExitCode;

fn main() -> ExitCode {
    courier_cli::program::sharedindexsplit::main(std::env::args_os())
}
