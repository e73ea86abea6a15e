//! `courier check`: says all that is wrong with a configuration.

use std::process::ExitCode;

use clap::Args;
use courier_core::config::Severity;

use super::print;
use crate::check::check;
use crate::disk::StdDisk;
use crate::failure::{Failure, Status};
use crate::layout::Layout;

/// Nothing to choose.
#[derive(Debug, Args)]
pub(super) struct Check {}

impl Check {
    pub(super) fn run(&self, layout: &Layout) -> Result<ExitCode, Failure> {
        let findings = check(&StdDisk::new(1), layout);
        let lines: Vec<_> = findings
            .iter()
            .map(|finding| format!("{finding}\n"))
            .collect();
        let printed = print(&lines.concat())?;
        let errors = findings
            .iter()
            .any(|finding| finding.severity != Severity::Note);
        Ok(if errors { Status::No.into() } else { printed })
    }
}
