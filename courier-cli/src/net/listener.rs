//! Listening sockets: bound before root is given up.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

/// Binds a listening socket. A port of 0 asks for a free one.
///
/// # Errors
/// What the system says, with the address.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    listen(address, false).map_err(|error| named(address, &error))
}

/// Binds to every address of the machine: one socket for both families where there
/// is IPv6, else for IPv4.
///
/// # Errors
/// What the system says, with the port.
pub fn bind_all(port: u16) -> io::Result<TcpListener> {
    let everywhere = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
    match listen(everywhere, true) {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(named(everywhere, &error)),
        Err(_) => bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)),
    }
}

fn listen(address: SocketAddr, both_families: bool) -> io::Result<TcpListener> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !both_families)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn named(address: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
}

/// Connections that the system accepts ahead of us.
const BACKLOG: i32 = 1024;
