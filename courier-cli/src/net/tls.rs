//! Certificates: read from PEM files, exchanged under way without a restart.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read the certificate {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds no usable PEM block of the kind that is needed.
    #[error("{} holds no usable {what} in PEM form", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
    },
    /// Key and certificate do not fit, or the key is of an unknown kind.
    #[error("the certificate {} cannot be used: {source}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
}

/// Where a service's certificate comes from, and its protocol's ALPN name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// `TLS_CERTFILE`: certificate chain, and the key unless it is elsewhere.
    pub certificate: PathBuf,
    /// `TLS_PRIVATE_KEYFILE`.
    pub key: Option<PathBuf>,
    /// ALPN name (`imap`, `pop3`, `smtp`); a client that offers ALPN must name it.
    pub alpn: &'static str,
}

/// A service's TLS settings of the moment.
#[derive(Debug)]
pub struct Identity {
    current: RwLock<Arc<ServerConfig>>,
}

impl Identity {
    /// Reads a certificate.
    ///
    /// # Errors
    /// If the files cannot be used.
    pub fn load(source: &Source) -> Result<Arc<Self>, CertificateError> {
        Ok(Arc::new(Self {
            current: RwLock::new(server_config(source)?),
        }))
    }

    /// Reads the certificate again; a bad pair leaves the old one in force.
    ///
    /// # Errors
    /// If the files cannot be used.
    pub fn reload(&self, source: &Source) -> Result<(), CertificateError> {
        let config = server_config(source)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// The settings for the next handshake.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn server_config(source: &Source) -> Result<Arc<ServerConfig>, CertificateError> {
    let missing = |path: &Path, what| CertificateError::Missing {
        path: path.to_path_buf(),
        what,
    };
    let chain_text = read(&source.certificate)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain_text)
        .collect::<Result<_, _>>()
        .map_err(|_| missing(&source.certificate, "certificate"))?;
    if chain.is_empty() {
        return Err(missing(&source.certificate, "certificate"));
    }
    let key_path = source.key.as_ref().unwrap_or(&source.certificate);
    let key = PrivateKeyDer::from_pem_slice(&read(key_path)?)
        .map_err(|_| missing(key_path, "private key"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|source_error| CertificateError::Unusable {
            path: source.certificate.clone(),
            source: source_error,
        })?;
    config.alpn_protocols = vec![source.alpn.as_bytes().to_vec()];
    // Tickets of one small process: two are enough, and each costs a key operation.
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::Read {
        path: path.to_path_buf(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &Path) -> Source {
        Source {
            certificate: path.to_path_buf(),
            key: None,
            alpn: "imap",
        }
    }

    #[test]
    fn a_bad_pair_keeps_the_old_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("server.pem");
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
        let pem = made.cert.pem() + &made.signing_key.serialize_pem();
        fs::write(&path, pem).expect("written");
        let identity = Identity::load(&source(&path)).expect("loaded");
        let before = identity.current();
        fs::write(&path, "-----BEGIN NONSENSE-----").expect("written");
        let error = identity.reload(&source(&path)).expect_err("refused");
        assert!(
            error
                .to_string()
                .contains("server.pem holds no usable certificate")
        );
        assert!(Arc::ptr_eq(&before, &identity.current()));
    }
}
