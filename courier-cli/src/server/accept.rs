//! Taking connections: admission, TLS from the start, and a task for each session.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use courier_core::config::{self, Service, Settings};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::Listening;
use super::crew::Crew;
use crate::net::admission::{Admission, Limits};
use crate::net::connection::Connection;
use crate::net::listener;
use crate::service::{Context, Machine, Stopping};

/// Starts to accept on all sockets, on the runtime that this is called on. Each session
/// is run by the crew, and holds a `session` until it ends.
pub(super) fn start(
    crew: &Arc<Crew>,
    context: &Arc<Context>,
    sockets: Vec<Listening>,
    stopping: &Stopping,
    session: &mpsc::Sender<()>,
) -> io::Result<JoinSet<()>> {
    let mut accepting = JoinSet::new();
    let places = Arc::new(Semaphore::new(most_sessions()));
    let farewells = Arc::new(Semaphore::new(FAREWELLS));
    let mut admissions: Vec<(Service, Arc<Admission>)> = Vec::new();
    for listening in sockets {
        let known = admissions
            .iter()
            .find(|(service, _)| *service == listening.service);
        let admission = match known {
            Some((_, admission)) => Arc::clone(admission),
            None => Admission::new(),
        };
        admissions.push((listening.service, Arc::clone(&admission)));
        let acceptor = Acceptor {
            socket: TcpListener::from_std(listening.socket)?,
            service: listening.service,
            crew: Arc::clone(crew),
            context: Arc::clone(context),
            stopping: stopping.clone(),
            session: session.clone(),
            places: Arc::clone(&places),
            farewells: Arc::clone(&farewells),
            admission,
        };
        accepting.spawn(acceptor.run());
    }
    Ok(accepting)
}

/// Sessions that there are descriptors for: each may need two, and some are kept back
/// (reliability.md 1.4).
fn most_sessions() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let limit = limit.current.unwrap_or(1 << 20);
    let limit = usize::try_from(limit).unwrap_or(1 << 20);
    (limit.saturating_sub(RESERVE) / 2).clamp(1, Semaphore::MAX_PERMITS)
}

struct Acceptor {
    socket: TcpListener,
    service: Service,
    crew: Arc<Crew>,
    context: Arc<Context>,
    stopping: Stopping,
    session: mpsc::Sender<()>,
    places: Arc<Semaphore>,
    farewells: Arc<Semaphore>,
    admission: Arc<Admission>,
}

impl Acceptor {
    async fn run(self) {
        let mut settings = self.context.routing.configuration.current();
        let mut machine = Machine::new(&settings, self.service);
        loop {
            // Beyond what there are descriptors for, clients wait in the backlog.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                return;
            };
            let stream = listener::accept(&self.socket).await;
            let current = self.context.routing.configuration.current();
            if !Arc::ptr_eq(&current, &settings) {
                machine = Machine::new(&current, self.service);
                settings = current;
            }
            let Ok((client, stream)) = released(stream) else {
                continue;
            };
            let limits = limits(&settings, self.service);
            let Some(admitted) = self.admission.admit(client, limits) else {
                self.turn_away(stream, &machine);
                continue;
            };
            let (context, stopping) = (Arc::clone(&self.context), self.stopping.clone());
            let (service, machine) = (self.service, machine.clone());
            let session = self.session.clone();
            self.crew.run(async move {
                if let Ok(connection) = connection(stream) {
                    serve(context, service, machine, connection, stopping).await;
                }
                drop((place, admitted, session));
            });
        }
    }

    /// Says why, if that can be said in clear, and closes; costs no session. In a flood
    /// most are closed without a word: a farewell holds a descriptor for a moment.
    fn turn_away(&self, stream: std::net::TcpStream, machine: &Machine) {
        let Ok(mut connection) = connection(stream) else {
            return;
        };
        tracing::warn!(ip = %connection.peer.ip(), service = self.service.name(), "TOO MANY SESSIONS");
        if self.service.is_tls() {
            return;
        }
        let Ok(farewell) = Arc::clone(&self.farewells).try_acquire_owned() else {
            return;
        };
        let said = machine.turning_away();
        tokio::spawn(async move {
            if connection.write_all(&said).await.is_ok() {
                connection.close().await;
            }
            drop(farewell);
        });
    }
}

/// Who has connected, and the stream without a runtime; an error if the client has gone.
fn released(stream: TcpStream) -> io::Result<(IpAddr, std::net::TcpStream)> {
    Ok((stream.peer_addr()?.ip(), stream.into_std()?))
}

/// A connection on the runtime that this is called on; an error if the client has gone.
fn connection(stream: std::net::TcpStream) -> io::Result<Connection> {
    Connection::new(TcpStream::from_std(stream)?)
}

async fn serve(
    context: Arc<Context>,
    service: Service,
    machine: Machine,
    mut connection: Connection,
    stopping: Stopping,
) {
    if service.is_tls()
        && let Err(error) = context.start_tls(service, &mut connection).await
    {
        tracing::info!(ip = %connection.peer.ip(), service = service.name(), error = %error, "TLS FAILED");
        return;
    }
    let peer = connection.peer.ip();
    if let Err(error) = machine.serve(context, service, connection, stopping).await {
        tracing::debug!(ip = %peer, service = service.name(), error = %error, "DISCONNECTED");
    }
}

fn limits(settings: &Settings, service: Service) -> Limits {
    let config::Limits {
        sessions,
        per_network,
        per_address,
    } = &settings.service(service).limits;
    let number = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
    Limits {
        total: number(sessions.value),
        network: per_network
            .as_ref()
            .map_or(usize::MAX, |limit| number(limit.value)),
        address: number(per_address.value),
    }
}

/// Clients that are told at the same time that there is no room for them.
const FAREWELLS: usize = 32;
/// Descriptors that are not for sessions: 64 in reserve, and those of the journal, the
/// deliveries, the disk's threads and the farewells.
const RESERVE: usize = 192;
