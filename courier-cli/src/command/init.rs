//! `courier init`: makes a root.

use std::process::ExitCode;

use clap::Args;
use courier_core::address::Domain;
use courier_core::config;
use courier_core::disk::{self, DiskErrorKind};

use super::print;
use crate::accounts::AccountDatabase;
use crate::check::system_name;
use crate::clock;
use crate::disk::StdDisk;
use crate::failure::{Failure, Status};
use crate::init::{self, InitError, Plan};
use crate::layout::Layout;
use crate::net::certificate;
use crate::root;

/// What the new root is for.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// A domain whose accounts carry it, user@NAME; may be given several times
    #[arg(long = "domain", value_name = "NAME", value_parser = domain)]
    domains: Vec<Domain>,
    /// This machine's mail name [default: the system's host name]
    #[arg(long, value_name = "NAME", value_parser = domain)]
    hostname: Option<Domain>,
}

impl Init {
    pub(super) fn run(self, layout: &Layout) -> Result<ExitCode, Failure> {
        let host = match self.hostname {
            Some(host) => host,
            None => own_name(layout)?,
        };
        let certificate = certificate::self_signed(host.to_ascii(), clock::unix_now())
            .map_err(|error| Failure::of(Status::Usage, &error))?;
        let plan = Plan {
            layout: layout.clone(),
            host,
            domains: self.domains,
            certificate,
        };
        let made = StdDisk::new(1).run(disk::task(|disk| init::make(disk, plan)))?;
        root::hand_over(layout, &made)?;
        AccountDatabase::new(layout).create()?;
        let lines: Vec<_> = made
            .iter()
            .map(|path| format!("{}\n", path.display()))
            .collect();
        print(&lines.concat())
    }
}

/// A domain name: no address in brackets can be one here.
fn domain(text: &str) -> Result<Domain, String> {
    let domain = Domain::parse(text).map_err(|error| error.to_string())?;
    match domain.is_literal() {
        true => Err("expected a name, not an address in brackets".to_owned()),
        false => Ok(domain),
    }
}

/// The name in `etc/me` of a root that is there, else the system's.
fn own_name(layout: &Layout) -> Result<Domain, Failure> {
    let system = system_name();
    let load = disk::task(|disk| config::load(disk, &layout.places, &system));
    let (settings, _) = StdDisk::new(1).run(load);
    if settings.me.place.is_some() {
        return Ok(settings.me.value);
    }
    domain(&system).map_err(|error| {
        let text = format!("the system's host name {system:?}: {error}; give one by --hostname");
        Failure::new(Status::Usage, text)
    })
}

impl From<InitError> for Failure {
    fn from(error: InitError) -> Self {
        let status = match &error {
            InitError::NotAList { .. } => Status::Configuration,
            InitError::Disk(error) => match error.kind {
                DiskErrorKind::Permission => Status::Permission,
                DiskErrorKind::NoSpace | DiskErrorKind::Quota => Status::TryLater,
                DiskErrorKind::Io => Status::Io,
                _ => Status::CannotCreate,
            },
        };
        Self::of(status, &error)
    }
}
