//! One connection: a stream that may turn to TLS, and the buffer its machine reads.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use courier_core::message::wire::Segment;
use courier_core::time::Millis;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::instant;

/// A client's connection with what was read from it and not yet used.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    input: Vec<u8>,
    start: usize,
    /// What is queued for the client, and how much of it is written.
    output: Vec<u8>,
    written: usize,
    /// The client's address.
    pub peer: SocketAddr,
    /// The address it connected to.
    pub local: SocketAddr,
    /// Octets read from the client, inside TLS.
    pub received: u64,
    /// Octets written to the client, inside TLS.
    pub sent: u64,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Closed,
}

/// What ended the wait for input.
#[derive(Debug, PartialEq, Eq)]
pub enum Wait {
    /// There is new input.
    Input,
    /// The deadline has come.
    Deadline,
    /// The client has closed, or the connection broke.
    Closed,
}

impl Connection {
    /// A connection that was just accepted.
    ///
    /// # Errors
    /// If the client has gone already.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            peer: canonical(stream.peer_addr()?),
            local: canonical(stream.local_addr()?),
            stream: Stream::Plain(stream),
            input: Vec::new(),
            start: 0,
            output: Vec::new(),
            written: 0,
            received: 0,
            sent: 0,
        })
    }

    /// What was read and not yet consumed.
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        self.input.get(self.start..).unwrap_or_default()
    }

    /// Drops octets from the front of [`Self::filled`]. An empty buffer costs nothing.
    pub fn consume(&mut self, octets: usize) {
        self.start = self.start.saturating_add(octets).min(self.input.len());
        if self.start == self.input.len() {
            self.start = 0;
            if self.input.capacity() > KEPT {
                self.input = Vec::new();
            } else {
                self.input.clear();
            }
        }
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// Protocol version and cipher suite of the encryption.
    #[must_use]
    pub fn tls_facts(&self) -> Option<(&'static str, String)> {
        let Stream::Tls(stream) = &self.stream else {
            return None;
        };
        let (_, session) = stream.get_ref();
        let version = match session.protocol_version()? {
            rustls::ProtocolVersion::TLSv1_3 => "TLSv1.3",
            rustls::ProtocolVersion::TLSv1_2 => "TLSv1.2",
            _ => "TLS",
        };
        let suite = session.negotiated_cipher_suite()?.suite();
        Some((version, suite.as_str().unwrap_or("unknown").to_owned()))
    }

    /// Waits for more input, at most until the deadline; what is queued is written
    /// first. Where a machine leaves so much unread that none could be waiting for more,
    /// nothing is read.
    pub async fn fill(&mut self, deadline: Millis) -> Wait {
        if self.flush().await.is_err() {
            return Wait::Closed;
        }
        if self.output.capacity() > 0 {
            self.output = Vec::new();
        }
        let has_room = self.filled().len() < BUFFERED;
        tokio::select! {
            biased;
            got = self.read(), if has_room => got,
            () = tokio::time::sleep_until(instant(deadline)) => Wait::Deadline,
        }
    }

    /// Reads once. The scratch buffer lives on the stack of the poll that has
    /// something to read, so a connection that waits holds none.
    async fn read(&mut self) -> Wait {
        if self.start > 0 {
            self.input.drain(..self.start);
            self.start = 0;
        }
        let (stream, input) = (&mut self.stream, &mut self.input);
        let got = std::future::poll_fn(|context| {
            let mut scratch = [std::mem::MaybeUninit::uninit(); CHUNK];
            let mut scratch = ReadBuf::uninit(&mut scratch);
            let read = match stream {
                Stream::Plain(tcp) => Pin::new(tcp).poll_read(context, &mut scratch),
                Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_read(context, &mut scratch),
                Stream::Closed => Poll::Ready(Ok(())),
            };
            ready!(read)?;
            input.extend_from_slice(scratch.filled());
            Poll::Ready(io::Result::Ok(scratch.filled().len()))
        })
        .await;
        match got {
            Ok(0) | Err(_) => Wait::Closed,
            Ok(octets) => {
                self.received += octets as u64;
                Wait::Input
            }
        }
    }

    /// Writes some of these octets, after what is queued, and says how many.
    ///
    /// # Errors
    /// If the connection broke, or the client took nothing for five minutes.
    pub async fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.flush().await?;
        let written = write(&mut self.stream, octets).await?;
        self.sent += written as u64;
        Ok(written)
    }

    /// Queues octets, to be written with those that follow. Nobody but [`Self::flush`]
    /// promises that they go out, and whoever waits for the client flushes.
    ///
    /// # Errors
    /// As [`Self::write`], for what does not fit any more.
    pub async fn queue(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.output.len() + octets.len() > SENT_AT_ONCE {
            self.flush().await?;
        }
        self.output.extend_from_slice(octets);
        Ok(())
    }

    /// Writes what is queued.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn flush(&mut self) -> io::Result<()> {
        while let Some(octets) = self.output.get(self.written..)
            && !octets.is_empty()
        {
            // Counted at once: this may be given up while it waits.
            let written = write(&mut self.stream, octets).await?;
            self.written += written;
            self.sent += written as u64;
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }

    /// Writes all of these octets.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_all(&mut self, mut octets: &[u8]) -> io::Result<()> {
        while !octets.is_empty() {
            let written = self.write(octets).await?;
            octets = octets.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Queues a large answer, converted on the way, and writes what is more than a buffer
    /// of fixed size: so much costs a client that does not read it.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn send(&mut self, segment: Segment) -> io::Result<()> {
        let mut reader = segment.into_reader();
        loop {
            // A long run goes out as it lies in the message. Short ones, which is what
            // line ends make, are cheaper to copy together than to hand over one by one.
            let pieces = reader.pieces();
            let piece = pieces.piece();
            if piece.len() >= LONG_RUN {
                let written = self.write(piece).await?;
                reader.advance(written as u64);
                continue;
            }
            if piece.is_empty() {
                return Ok(());
            }
            if self.output.len() >= SENT_AT_ONCE {
                self.flush().await?;
            }
            let room = SENT_AT_ONCE - self.output.len();
            reader.copy_to(&mut self.output, room);
        }
    }

    /// Shakes hands for TLS. What was buffered before is dropped (RFC 3207
    /// section 4.2): it was not protected.
    ///
    /// # Errors
    /// If the handshake fails or takes longer than 15 seconds.
    pub async fn start_tls(&mut self, config: Arc<ServerConfig>) -> io::Result<()> {
        self.flush().await?;
        self.input = Vec::new();
        self.start = 0;
        let Stream::Plain(stream) = std::mem::replace(&mut self.stream, Stream::Closed) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let shaking = TlsAcceptor::from(config).accept(stream);
        let stream = tokio::time::timeout(HANDSHAKE_PATIENCE, shaking)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        self.stream = Stream::Tls(Box::new(stream));
        Ok(())
    }

    /// Says good-bye: TLS's close_notify, then the end of the stream. Input that the
    /// client still sends is read away for a moment, so that the last reply is not
    /// lost to a reset.
    pub async fn close(&mut self) {
        let closing = async {
            self.flush().await?;
            match &mut self.stream {
                Stream::Plain(stream) => stream.shutdown().await,
                Stream::Tls(stream) => stream.shutdown().await,
                Stream::Closed => Ok(()),
            }?;
            let mut left = LINGER_OCTETS;
            while left > 0 && self.read().await == Wait::Input {
                left = left.saturating_sub(self.filled().len());
                self.consume(usize::MAX);
            }
            io::Result::Ok(())
        };
        tokio::time::timeout(LINGER, closing).await.ok();
        self.stream = Stream::Closed;
    }
}

/// Writes some of these octets.
async fn write(stream: &mut Stream, octets: &[u8]) -> io::Result<usize> {
    let writing = async {
        match stream {
            Stream::Plain(stream) => stream.write(octets).await,
            Stream::Tls(stream) => {
                let written = stream.write(octets).await?;
                stream.flush().await?;
                Ok(written)
            }
            Stream::Closed => Err(io::ErrorKind::NotConnected.into()),
        }
    };
    let written = tokio::time::timeout(WRITE_PATIENCE, writing)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    match written {
        0 => Err(io::ErrorKind::WriteZero.into()),
        written => Ok(written),
    }
}

/// IPv4 addresses plainly, also those that came in by a socket of both families.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Octets read at a time.
const CHUNK: usize = 16 * 1024;
/// Octets that are buffered at most; the longest command is far below.
const BUFFERED: usize = 256 * 1024;
/// Octets queued together for one write.
const SENT_AT_ONCE: usize = 64 * 1024;
/// From here on a run is written without a copy.
const LONG_RUN: usize = 16 * 1024;
/// Capacity of an input buffer that is kept while it is empty.
const KEPT: usize = 1024;
/// A client that takes nothing for so long is gone (reliability.md section 2).
const WRITE_PATIENCE: Duration = Duration::from_secs(300);
/// A TLS handshake may take so long (reliability.md section 2).
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(15);
/// How long a closed connection is read on.
const LINGER: Duration = Duration::from_secs(2);
/// How much of what still comes in is read away.
const LINGER_OCTETS: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use courier_core::message::wire::Encoding;
    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
    use rustls::{ClientConfig, RootCertStore};
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsConnector;

    use crate::net::certificate::self_signed;
    use crate::net::tls::{Identity, Source};

    /// Both ends of a connection by way of the loopback interface.
    async fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        let client = TcpStream::connect(address).await.expect("connected");
        let (server, _) = listener.accept().await.expect("accepted");
        (Connection::new(server).expect("a connection"), client)
    }

    fn far() -> Millis {
        super::super::now() + Millis::from_secs(20)
    }

    /// Settings of both sides for TLS, for the host `localhost`.
    fn tls(folder: &std::path::Path) -> (Arc<ServerConfig>, TlsConnector) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now
            .expect("a clock")
            .as_secs()
            .try_into()
            .expect("this century");
        let made = self_signed("localhost", courier_core::time::UnixSeconds(now)).expect("made");
        let certificate = folder.join("server.pem");
        std::fs::write(&certificate, made.key + &made.certificate).expect("written");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&certificate, private).expect("set");
        let source = Source {
            certificate,
            key: None,
            alpn: "imap",
        };
        let identity = Identity::load(&source).expect("loaded");
        let mut roots = RootCertStore::empty();
        let trusted = CertificateDer::from_pem_slice(made.certificate.as_bytes());
        roots.add(trusted.expect("PEM")).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let local = std::net::IpAddr::from([127, 0, 0, 1]);
        (
            identity.current(local),
            TlsConnector::from(Arc::new(client)),
        )
    }

    fn localhost() -> ServerName<'static> {
        ServerName::try_from("localhost").expect("a name")
    }

    #[tokio::test]
    async fn input_is_buffered_until_it_is_consumed() {
        let (mut connection, mut client) = pair().await;
        client.write_all(b"one\r\ntwo").await.expect("written");
        while connection.filled().len() < 8 {
            assert_eq!(connection.fill(far()).await, Wait::Input);
        }
        connection.consume(5);
        assert_eq!(connection.filled(), b"two");
        assert_eq!(connection.fill(super::super::now()).await, Wait::Deadline);
        drop(client);
        assert_eq!(connection.fill(far()).await, Wait::Closed);
        assert_eq!((connection.filled(), connection.received), (&b"two"[..], 8));
    }

    #[tokio::test]
    async fn a_flood_that_nobody_reads_is_not_buffered() {
        let (mut connection, mut client) = pair().await;
        let flood = tokio::spawn(async move {
            let junk = vec![b'x'; 64 * 1024];
            while client.write_all(&junk).await.is_ok() {}
        });
        while connection.filled().len() < BUFFERED {
            assert_eq!(connection.fill(far()).await, Wait::Input);
        }
        assert_eq!(connection.fill(super::super::now()).await, Wait::Deadline);
        assert!(connection.filled().len() < BUFFERED + CHUNK);
        drop(connection);
        flood.await.expect("it ended");
    }

    #[tokio::test]
    async fn what_came_before_the_handshake_is_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let (server, connector) = tls(folder.path());
        let (mut connection, mut client) = pair().await;
        client.write_all(b"EVIL\r\n").await.expect("written");
        assert_eq!(connection.fill(far()).await, Wait::Input);
        let client = tokio::spawn(async move {
            let mut client = connector
                .connect(localhost(), client)
                .await
                .expect("shaken");
            client.write_all(b"GOOD\r\n").await.expect("written");
            client
        });
        connection
            .start_tls(Arc::clone(&server))
            .await
            .expect("shaken");
        assert_eq!((connection.filled(), connection.is_tls()), (&b""[..], true));
        assert_eq!(connection.fill(far()).await, Wait::Input);
        assert_eq!(connection.filled(), b"GOOD\r\n");
        assert_eq!(connection.tls_facts().expect("facts").0, "TLSv1.3");
        assert!(
            connection.start_tls(server).await.is_err(),
            "once is enough"
        );
        drop(client);
    }

    #[tokio::test]
    async fn a_message_is_sent_in_its_wire_form_with_tls_and_without() {
        let folder = tempfile::tempdir().expect("a folder");
        let (server, connector) = tls(folder.path());
        let lines = "A line of a message of some length\n.and a dot\n".repeat(20_000);
        let run = "x".repeat(300_000);
        let text = Arc::new(format!("{lines}{run}\n{lines}").into_bytes());
        let segment = |skip| {
            let content: Arc<Vec<u8>> = Arc::clone(&text);
            let mut segment = Segment::new(content, 0..u64::MAX, Encoding::CrlfDotStuffed);
            segment.skip = skip;
            segment
        };
        let expected: Vec<u8> = segment(0).pieces(0).flatten().copied().collect();
        for with_tls in [false, true] {
            let (mut connection, mut client) = pair().await;
            let connector = connector.clone();
            let reading = tokio::spawn(async move {
                let mut got = Vec::new();
                if with_tls {
                    let mut client = connector
                        .connect(localhost(), client)
                        .await
                        .expect("shaken");
                    client.read_to_end(&mut got).await.expect("read");
                } else {
                    client.read_to_end(&mut got).await.expect("read");
                }
                got
            });
            if with_tls {
                connection
                    .start_tls(Arc::clone(&server))
                    .await
                    .expect("shaken");
            }
            connection.send(segment(0)).await.expect("sent");
            connection
                .send(segment(expected.len() as u64 - 7))
                .await
                .expect("sent");
            connection.close().await;
            let got = reading.await.expect("read");
            assert_eq!(got.len(), expected.len() + 7);
            assert!(
                got[..expected.len()] == expected
                    && got[expected.len()..] == expected[expected.len() - 7..]
            );
            assert_eq!(connection.sent, got.len() as u64);
        }
    }
}
