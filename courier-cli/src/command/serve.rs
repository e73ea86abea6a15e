//! `courier serve`: the whole server, in the foreground.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use courier_core::config::{Finding, Service, Severity};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Failure, Status};
use crate::layout::Layout;
use crate::log;
use crate::server::{self, Server};

/// What to serve, and where.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Start this service here, and no others but those named so; port 0 asks for a
    /// free one. Services: esmtp, submission, smtps, imap, imaps, pop3, pop3s
    #[arg(long = "listen", value_name = "SERVICE=ADDR:PORT", value_parser = listen)]
    listen: Vec<(Service, SocketAddr)>,
    /// Form of the log on standard error
    #[arg(long, value_enum, default_value_t)]
    log: log::Format,
}

impl Serve {
    pub(super) fn run(&self, layout: &Layout) -> Result<ExitCode, Failure> {
        let prepared = server::prepare(layout, &self.listen)?;
        log::start(self.log);
        for finding in prepared.findings() {
            report(finding);
        }
        let server = prepared.start().inspect_err(|_| log::flush())?;
        let signals = server.runtime().block_on(async { Signals::listen() })?;
        announce(&server)?;
        wait(&server, signals);
        server.stop();
        log::flush();
        Ok(ExitCode::SUCCESS)
    }
}

fn listen(text: &str) -> Result<(Service, SocketAddr), String> {
    let (service, address) = text
        .split_once('=')
        .ok_or("expected SERVICE=ADDR:PORT, such as imap=127.0.0.1:143")?;
    let known = Service::parse(service);
    let service = known.ok_or_else(|| {
        let names: Vec<_> = Service::ALL.iter().map(|service| service.name()).collect();
        format!(
            "there is no service {service:?}; there are {}",
            names.join(", ")
        )
    })?;
    let address = address
        .parse()
        .map_err(|_| format!("{address:?} is not ADDR:PORT, such as 127.0.0.1:143"))?;
    Ok((service, address))
}

/// One line a socket, then `ready`: whoever started the server waits for that.
fn announce(server: &Server) -> Result<(), Failure> {
    let mut text = String::new();
    for (service, address) in server.addresses() {
        text.push_str(&format!("listening {service} {address}\n"));
    }
    text.push_str("ready\n");
    let mut out = io::stdout().lock();
    let said = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match said {
        // Nobody listens, but others may want the server.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
            Status::Io,
            format!("standard output: {error}"),
        )),
        _ => Ok(()),
    }
}

/// What whoever runs the server may ask of it.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on signals do not end the process by themselves.
    fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

/// Waits for a signal to stop; reloads at SIGHUP. A second one to stop ends the
/// process at once, which loses nothing that was answered.
fn wait(server: &Server, mut signals: Signals) {
    let runtime = server.runtime();
    runtime.block_on(async {
        loop {
            tokio::select! {
                _ = signals.hangup.recv() => reload(server),
                _ = signals.terminate.recv() => break,
                _ = signals.interrupt.recv() => break,
            }
        }
        tracing::info!("STOPPING");
        runtime.spawn(async move {
            tokio::select! {
                _ = signals.terminate.recv() => {}
                _ = signals.interrupt.recv() => {}
            }
            std::process::exit(0)
        });
    });
}

fn reload(server: &Server) {
    match server.reload() {
        Ok(()) => tracing::info!("RELOADED"),
        Err(errors) => {
            errors.iter().for_each(report);
            tracing::error!("NOT RELOADED");
        }
    }
}

fn report(finding: &Finding) {
    let place = finding.place.to_string();
    match finding.severity {
        Severity::Error | Severity::Unknown => {
            tracing::error!(place, text = finding.text, "CONFIGURATION");
        }
        // `courier check` has them.
        Severity::Note => {}
    }
}
