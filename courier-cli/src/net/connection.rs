//! One connection: a stream that may turn to TLS, and the buffer its machine reads.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

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

    /// Waits for more input, at most until the deadline.
    pub async fn fill(&mut self, deadline: Millis) -> Wait {
        tokio::select! {
            biased;
            got = self.read() => got,
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

    /// Writes some of these octets and says how many.
    ///
    /// # Errors
    /// If the connection broke, or the client took nothing for five minutes.
    pub async fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let writing = async {
            match &mut self.stream {
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
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.sent += written as u64;
        Ok(written)
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

    /// Shakes hands for TLS. What was buffered before is dropped (RFC 3207
    /// section 4.2): it was not protected.
    ///
    /// # Errors
    /// If the handshake fails or takes longer than 15 seconds.
    pub async fn start_tls(&mut self, config: Arc<ServerConfig>) -> io::Result<()> {
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

/// IPv4 addresses plainly, also those that came in by a socket of both families.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Octets read at a time.
const CHUNK: usize = 16 * 1024;
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
