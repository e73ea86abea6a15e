//! Sockets that a service manager bound for us (`sd_listen_fds(3)`), so that a
//! restart refuses nobody.

use std::env;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::FdFlags;
use rustix::net::{AddressFamily, SocketType, sockopt};

/// A listening socket that was handed down.
#[derive(Debug)]
pub struct Inherited {
    /// What its unit file calls it (`FileDescriptorName=`): a service, such as `imaps`,
    /// or something that says nothing to us.
    pub name: String,
    /// The socket, bound and listening.
    pub listener: TcpListener,
}

/// The sockets that `LISTEN_FDS` announces, if it is meant for this process. To be
/// called at the beginning, before anything else opens descriptors or starts threads;
/// a second call gives none.
///
/// # Errors
/// If a descriptor is something else than a listening TCP socket.
pub fn take() -> io::Result<Vec<Inherited>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let variable = |name| env::var(name).unwrap_or_default();
    let announced = Announced {
        process: variable("LISTEN_PID"),
        count: variable("LISTEN_FDS"),
        names: variable("LISTEN_FDNAMES"),
    };
    let sockets = announced.sockets(std::process::id());
    if sockets.is_empty() || TAKEN.swap(true, Ordering::SeqCst) {
        return Ok(Vec::new());
    }
    let adopt = |(descriptor, name)| {
        let listener = adopt(descriptor).map_err(|error| {
            let text = format!("LISTEN_FDS: descriptor {descriptor}: {error}");
            io::Error::new(error.kind(), text)
        })?;
        Ok(Inherited { name, listener })
    };
    sockets.into_iter().map(adopt).collect()
}

/// What the environment says.
struct Announced {
    process: String,
    count: String,
    names: String,
}

impl Announced {
    /// Number and name of each descriptor, if they are meant for this process.
    fn sockets(&self, process: u32) -> Vec<(RawFd, String)> {
        let count: RawFd = match (self.process.parse::<u32>(), self.count.parse()) {
            (Ok(meant), Ok(count)) if meant == process && count <= MOST => count,
            _ => return Vec::new(),
        };
        let names = self.names.split(':').chain(std::iter::repeat("unknown"));
        let descriptors = FIRST..FIRST + count;
        descriptors.zip(names.map(str::to_owned)).collect()
    }
}

/// Makes a listener of a descriptor that was inherited.
#[expect(
    unsafe_code,
    reason = "a number from the environment becomes a descriptor"
)]
fn adopt(descriptor: RawFd) -> io::Result<TcpListener> {
    // SAFETY: `sd_listen_fds(3)` gives these descriptors to the process whose id is in
    // LISTEN_PID; nobody else here knows of them, and `take` takes them only once.
    let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
    check(&socket)?;
    rustix::io::fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Whether it is a TCP socket that listens.
fn check(socket: impl AsFd) -> io::Result<()> {
    let family = sockopt::socket_domain(&socket)?;
    let is_tcp = matches!(family, AddressFamily::INET | AddressFamily::INET6)
        && sockopt::socket_type(&socket)? == SocketType::STREAM;
    match is_tcp && sockopt::socket_acceptconn(&socket)? {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a listening TCP socket",
        )),
    }
}

/// The first descriptor that is handed down (`SD_LISTEN_FDS_START`).
const FIRST: RawFd = 3;
/// More sockets than anybody hands down.
const MOST: RawFd = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn announced(process: &str, count: &str, names: &str) -> Announced {
        Announced {
            process: process.to_owned(),
            count: count.to_owned(),
            names: names.to_owned(),
        }
    }

    #[test]
    fn sockets_are_ours_only_by_our_number() {
        let ours = announced("12", "3", "imaps:smtp").sockets(12);
        let expected = [(3, "imaps"), (4, "smtp"), (5, "unknown")];
        assert_eq!(
            ours,
            expected.map(|(number, name)| (number, name.to_owned()))
        );
        for (process, count) in [
            ("13", "3"),
            ("", "3"),
            ("12", ""),
            ("12", "-1"),
            ("12", "9999999"),
        ] {
            assert!(
                announced(process, count, "").sockets(12).is_empty(),
                "{process} {count}"
            );
        }
    }

    #[test]
    fn only_a_listening_tcp_socket_will_do() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        assert!(check(&listener).is_ok());
        let connected = std::net::TcpStream::connect(listener.local_addr().expect("address"));
        assert!(check(connected.expect("connected")).is_err());
        assert!(check(std::net::UdpSocket::bind("127.0.0.1:0").expect("bound")).is_err());
        assert!(check(std::fs::File::open("/dev/null").expect("opened")).is_err());
    }
}
