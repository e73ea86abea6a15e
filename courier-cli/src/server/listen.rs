//! Which sockets a server has.

use std::net::{IpAddr, SocketAddr, TcpListener};

use courier_core::config::value::Bind;
use courier_core::config::{Service, Settings};

use super::predecessor::Predecessor;
use crate::failure::{Failure, Status};
use crate::net::inherited::{self, Inherited};
use crate::net::listener;

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

/// Binds what is asked for; if nothing is, what the configuration switches on. Sockets
/// that a service manager handed down are used where they have the name of a service
/// that the configuration starts, or the address of what would be bound.
///
/// While another server of this root is about to end, its sockets are waited for.
pub(super) fn bind(
    settings: &Settings,
    listen: &[(Service, SocketAddr)],
    predecessor: &Predecessor,
) -> Result<Vec<Listening>, Failure> {
    let mut inherited = inherited::take()?;
    let mut sockets = Vec::new();
    for (service, address) in listen {
        let socket = match at(&mut inherited, Some(address.ip()), address.port()) {
            Some(socket) => Ok(socket),
            None => predecessor.outlast(|| listener::bind(*address)),
        };
        sockets.push(listening(*service, socket)?);
    }
    if !listen.is_empty() {
        return Ok(sockets);
    }
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
            let socket = match (at(&mut inherited, *address, *port), address) {
                (Some(socket), _) => Ok(socket),
                (None, Some(address)) => {
                    predecessor.outlast(|| listener::bind(SocketAddr::new(*address, *port)))
                }
                (None, None) => predecessor.outlast(|| listener::bind_all(*port)),
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

/// Takes the socket out that was bound to this address, or on this port to any.
fn at(inherited: &mut Vec<Inherited>, address: Option<IpAddr>, port: u16) -> Option<TcpListener> {
    let fits = |socket: &Inherited| {
        socket.listener.local_addr().is_ok_and(|bound| {
            let everywhere = bound.ip().to_canonical().is_unspecified();
            bound.port() == port
                && match address {
                    Some(address) => bound.ip().to_canonical() == address.to_canonical(),
                    None => everywhere,
                }
        })
    };
    let place = inherited.iter().position(fits)?;
    Some(inherited.remove(place).listener)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(address: &str) -> (Inherited, u16) {
        let listener = TcpListener::bind(address).expect("bound");
        let port = listener.local_addr().expect("an address").port();
        let name = "unknown".to_owned();
        (Inherited { name, listener }, port)
    }

    #[test]
    fn a_socket_without_a_name_is_known_by_its_address() {
        let (loopback, near) = socket("127.0.0.1:0");
        let (everywhere, far) = socket("0.0.0.0:0");
        let mut inherited = vec![loopback, everywhere];
        let address = |text: &str| Some(text.parse().expect("an address"));
        assert!(at(&mut inherited, address("127.0.0.2"), near).is_none());
        assert!(at(&mut inherited, None, near).is_none());
        assert!(at(&mut inherited, address("127.0.0.1"), far).is_none());
        assert!(at(&mut inherited, address("::ffff:127.0.0.1"), near).is_some());
        assert!(at(&mut inherited, address("127.0.0.1"), near).is_none());
        assert!(at(&mut inherited, None, far).is_some());
    }
}
