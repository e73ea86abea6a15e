//! `maildiracl`: shows and changes the access lists of a maildir's folders.

use std::process::ExitCode;

fn main() -> ExitCode {
    courier_cli::program::maildiracl::main(std::env::args_os())
}
