//! A client's end of a connection: lines and octets, in clear or by TLS.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, ProtocolVersion, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::page::Page;

/// Which servers are trusted: those with this root's own certificate.
pub(super) struct Trust(TlsConnector);

impl Trust {
    pub(super) fn read(certificate: &Path) -> io::Result<Self> {
        let trusted = CertificateDer::from_pem_file(certificate).map_err(io::Error::other)?;
        let mut roots = RootCertStore::empty();
        roots.add(trusted).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }
}

/// The connection, and what was read of it and not yet used.
pub(super) struct Wire {
    stream: Stream,
    pub(super) input: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// After a handshake that failed.
    Broken,
}

impl Wire {
    pub(super) async fn connect(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: Stream::Plain(stream),
            input: Vec::new(),
        })
    }

    /// Shakes hands, and checks that the server is one that is trusted. What came
    /// before in clear is dropped.
    pub(super) async fn start_tls(&mut self, trust: &Trust, page: &mut Page) -> io::Result<()> {
        self.input.clear();
        let Stream::Plain(stream) = std::mem::replace(&mut self.stream, Stream::Broken) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let name = ServerName::IpAddress(stream.peer_addr()?.ip().into());
        let stream = trust.0.connect(name, stream).await?;
        let version = match stream.get_ref().1.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS",
        };
        page.aside(&format!(
            "{version}; the certificate is the one in share/ca.pem"
        ));
        self.stream = Stream::Tls(Box::new(stream));
        Ok(())
    }

    /// Reads more. That the server closes is an error: nobody reads on after the end.
    pub(super) async fn fill(&mut self) -> io::Result<()> {
        let octets = match &mut self.stream {
            Stream::Plain(stream) => stream.read_buf(&mut self.input).await?,
            Stream::Tls(stream) => stream.read_buf(&mut self.input).await?,
            Stream::Broken => 0,
        };
        match octets {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the server has closed",
            )),
            _ => Ok(()),
        }
    }

    pub(super) async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(octets).await,
            Stream::Tls(stream) => {
                stream.write_all(octets).await?;
                stream.flush().await
            }
            Stream::Broken => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The next line as text, without its end.
    pub(super) async fn line(&mut self) -> io::Result<String> {
        let line = self.whole_line().await?;
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// The next line with its end.
    pub(super) async fn whole_line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.input) {
                return Ok(self.input.drain(..=end).collect());
            }
            self.fill().await?;
        }
    }

    /// The next octets, so many.
    pub(super) async fn octets(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.input.len() < count {
            self.fill().await?;
        }
        Ok(self.input.drain(..count).collect())
    }
}
