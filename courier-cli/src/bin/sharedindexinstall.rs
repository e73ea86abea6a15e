//! `sharedindexinstall`: puts a new set of index files of shared folders in place.

use std::process::ExitCode;

fn main() -> ExitCode {
    courier_cli::program::sharedindexinstall::main(std::env::args_os())
}
