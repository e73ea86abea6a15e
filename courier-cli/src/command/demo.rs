//! `courier demo`: the first thing a newcomer runs.

use std::process::ExitCode;

use clap::Args;

use crate::demo::{self, End};
use crate::failure::Failure;

/// How long it is to last.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// End after the round trip; exit status 0 only if every step succeeded
    #[arg(long)]
    once: bool,
}

impl Demo {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        demo::run(match self.once {
            true => End::AfterTheRoundTrip,
            false => End::WhenTold,
        })
    }
}
