//! Listening sockets: bound before root is given up, and what comes in by them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use rustix::io::Errno;
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

/// Waits for the next connection. When the system is short of descriptors or memory,
/// whoever knocks waits in the backlog until some are free again.
pub async fn accept(listener: &tokio::net::TcpListener) -> tokio::net::TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // Whoever it was has gone, or its network has.
            Err(error) if !is_shortage(&error) => {}
            Err(error) => {
                tracing::warn!(error = error.to_string(), "ACCEPT");
                tokio::time::sleep(SHORTAGE).await;
            }
        }
    }
}

fn is_shortage(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    errno.is_none_or(|errno| shortages.contains(&errno))
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
/// How long nobody is let in when the system is short of something.
const SHORTAGE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_found_and_a_taken_one_named() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = bind(loopback).expect("bound");
        let taken = listener.local_addr().expect("an address");
        assert_ne!(taken.port(), 0);
        let error = bind(taken).expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(
            error
                .to_string()
                .starts_with(&format!("cannot listen on {taken}: "))
        );
    }

    #[tokio::test]
    async fn every_address_of_the_machine_is_one_socket() {
        let listener = bind_all(0).expect("bound");
        let port = listener.local_addr().expect("an address").port();
        let listener = tokio::net::TcpListener::from_std(listener).expect("registered");
        let client = tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("connected");
        let stream = accept(&listener).await;
        assert_eq!(
            stream.peer_addr().expect("peer").port(),
            client.local_addr().expect("local").port()
        );
    }

    #[test]
    fn only_a_shortage_makes_others_wait() {
        assert!(is_shortage(&Errno::MFILE.into()));
        assert!(!is_shortage(&Errno::CONNABORTED.into()));
        assert!(!is_shortage(&Errno::PERM.into()));
    }
}
