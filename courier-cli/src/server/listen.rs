//! Which sockets a server has.

use std::net::{SocketAddr, TcpListener};

use courier_core::config::value::Bind;
use courier_core::config::{Service, Settings};

use crate::failure::{Failure, Status};
use crate::net::{inherited, listener};

/// A bound socket and what is served on it.
#[derive(Debug)]
pub struct Listening {
    /// What is served.
    pub service: Service,
    /// Where; with the port that the system gave.
    pub address: SocketAddr,
    /// The socket.
    pub socket: TcpListener,
}

/// Binds what is asked for; if nothing is, what the configuration switches on.
pub(super) fn bind(
    settings: &Settings,
    listen: &[(Service, SocketAddr)],
) -> Result<Vec<Listening>, Failure> {
    let mut sockets = Vec::new();
    for (service, address) in listen {
        sockets.push(listening(*service, listener::bind(*address))?);
    }
    if !listen.is_empty() {
        return Ok(sockets);
    }
    let mut inherited = inherited::take()?;
    for service in settings.started() {
        let (ours, others): (Vec<_>, Vec<_>) = inherited
            .into_iter()
            .partition(|socket| socket.name == service.service.name());
        inherited = others;
        if !ours.is_empty() {
            for socket in ours {
                sockets.push(listening(service.service, Ok(socket.listener))?);
            }
            continue;
        }
        for Bind { address, port } in &service.listen.value {
            let socket = match address {
                Some(address) => listener::bind(SocketAddr::new(*address, *port)),
                None => listener::bind_all(*port),
            };
            sockets.push(listening(service.service, socket)?);
        }
    }
    if sockets.is_empty() {
        let text = "no service is switched on: say YES to ESMTPDSTART, IMAPDSTART or their \
                    kin in etc, or name services by --listen";
        return Err(Failure::new(Status::Configuration, text));
    }
    Ok(sockets)
}

fn listening(service: Service, socket: std::io::Result<TcpListener>) -> Result<Listening, Failure> {
    let socket = socket.map_err(|error| {
        let status = match error.kind() {
            std::io::ErrorKind::PermissionDenied => Status::Permission,
            _ => Status::TryLater,
        };
        Failure::new(status, format!("{service}: {error}"))
    })?;
    let address = socket.local_addr()?;
    Ok(Listening {
        service,
        address: SocketAddr::new(address.ip().to_canonical(), address.port()),
        socket,
    })
}
