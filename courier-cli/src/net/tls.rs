//! Certificates: read from PEM files, chosen by the name or address that a client
//! asked for, exchanged under way without a restart.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use courier_core::address::Domain;
use courier_core::time::UnixSeconds;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::certificate;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
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
    /// A key that everybody can read is no secret (reliability.md section 5).
    #[error("{} holds a private key and others can read it; chmod o= it", .0.display())]
    Exposed(PathBuf),
    /// Key and certificate do not fit, or the key is of an unknown kind.
    #[error("the certificate {} cannot be used with its key", path.display())]
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
    /// `TLS_CERTFILE`: certificate chain, and the key unless it is elsewhere. Beside
    /// it, `FILE.host.name` for clients that ask for that name, and `FILE.192.0.2.1`
    /// for those that connect to that address.
    pub certificate: PathBuf,
    /// `TLS_PRIVATE_KEYFILE`; also with names and addresses behind it.
    pub key: Option<PathBuf>,
    /// ALPN name (`imap`, `pop3`, `smtp`); a client that offers ALPN must name it.
    pub alpn: &'static str,
}

/// A service's TLS settings of the moment.
#[derive(Debug)]
pub struct Identity {
    current: RwLock<Arc<Settings>>,
}

/// One reading of the files.
#[derive(Debug)]
struct Settings {
    usual: Arc<ServerConfig>,
    by_address: HashMap<IpAddr, Arc<ServerConfig>>,
    expires: Option<UnixSeconds>,
}

impl Identity {
    /// Reads the certificates.
    ///
    /// # Errors
    /// If one of the files cannot be used.
    pub fn load(source: &Source) -> Result<Arc<Self>, CertificateError> {
        Ok(Arc::new(Self {
            current: RwLock::new(Arc::new(Settings::read(source)?)),
        }))
    }

    /// Reads the certificates again; if one of the files cannot be used, all that
    /// was stays in force.
    ///
    /// # Errors
    /// If one of the files cannot be used.
    pub fn reload(&self, source: &Source) -> Result<(), CertificateError> {
        let settings = Arc::new(Settings::read(source)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = settings;
        Ok(())
    }

    /// The settings for the next handshake on a connection to this address of ours.
    #[must_use]
    pub fn current(&self, local: IpAddr) -> Arc<ServerConfig> {
        let settings = self.settings();
        let special = settings.by_address.get(&local.to_canonical());
        Arc::clone(special.unwrap_or(&settings.usual))
    }

    /// When the first of the certificates expires.
    #[must_use]
    pub fn expires(&self) -> Option<UnixSeconds> {
        self.settings().expires
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Settings {
    fn read(source: &Source) -> Result<Self, CertificateError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let usual = pair(&source.certificate, source.key.as_deref(), &provider)?;
        let (mut names, mut addresses) = (HashMap::new(), HashMap::new());
        let mut first_end = end(&usual);
        for (whom, certificate, key) in special(source) {
            let pair = pair(&certificate, key.as_deref(), &provider)?;
            first_end = first_end.into_iter().chain(end(&pair)).min();
            match whom {
                Whom::Name(name) => names.insert(name, pair),
                Whom::Address(address) => addresses.insert(address, pair),
            };
        }
        let names = Arc::new(names);
        let config = |usual| {
            let choice = Choice {
                names: Arc::clone(&names),
                usual,
            };
            config(choice, source, &provider)
        };
        let by_address = addresses.into_iter();
        let by_address = by_address.map(|(address, pair)| Ok((address, config(pair)?)));
        Ok(Self {
            by_address: by_address.collect::<Result<_, _>>()?,
            usual: config(usual)?,
            expires: first_end,
        })
    }
}

/// The certificate for a client: by the name it asks for, else the usual one.
#[derive(Debug)]
struct Choice {
    names: Arc<HashMap<String, Arc<CertifiedKey>>>,
    usual: Arc<CertifiedKey>,
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let named = name.and_then(|name| self.names.get(&name));
        Some(Arc::clone(named.unwrap_or(&self.usual)))
    }
}

fn config(
    choice: Choice,
    source: &Source,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<ServerConfig>, CertificateError> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| CertificateError::Unusable {
            path: source.certificate.clone(),
            source: error,
        })?;
    let mut config = builder
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(choice));
    config.alpn_protocols = vec![source.alpn.as_bytes().to_vec()];
    // A mail client comes back by one connection at a time; each ticket costs.
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// Whom a certificate is for.
enum Whom {
    /// Clients that ask for this name, in ACE.
    Name(String),
    /// Clients that connect to this address.
    Address(IpAddr),
}

/// The certificates beside the usual one, with their keys' files.
fn special(source: &Source) -> Vec<(Whom, PathBuf, Option<PathBuf>)> {
    let (Some(folder), Some(name)) = (source.certificate.parent(), source.certificate.file_name())
    else {
        return Vec::new();
    };
    let prefix = format!("{}.", name.to_string_lossy());
    // A folder that cannot be listed has no special certificates for us.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let special = entries.filter_map(|entry| {
        let file = entry.file_name();
        let suffix = file.to_str()?.strip_prefix(&prefix)?;
        let key = source.key.as_ref().map(|key| {
            let mut special = OsString::from(key);
            special.push(format!(".{suffix}"));
            PathBuf::from(special)
        });
        // Without a key of its own the certificate's file holds it, as always.
        let key = key.filter(|key| key.exists());
        Some((whom(suffix)?, entry.path(), key))
    });
    special.collect()
}

/// What a file's suffix says. `.bak` and the like are no host names.
fn whom(suffix: &str) -> Option<Whom> {
    if let Ok(address) = suffix.parse::<IpAddr>() {
        return Some(Whom::Address(address.to_canonical()));
    }
    let domain = Domain::parse(suffix)
        .ok()
        .filter(|domain| !domain.is_literal())?;
    let name = domain.to_ascii();
    (name.contains('.') || name == "localhost").then(|| Whom::Name(name.to_owned()))
}

/// A certificate with its key.
fn pair(
    certificate: &Path,
    key: Option<&Path>,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, CertificateError> {
    let missing = |path: &Path, what| CertificateError::Missing {
        path: path.to_path_buf(),
        what,
    };
    let text = read(certificate)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|_| missing(certificate, "certificate"))?;
    if chain.is_empty() {
        return Err(missing(certificate, "certificate"));
    }
    let key_file = key.unwrap_or(certificate);
    let key = PrivateKeyDer::from_pem_slice(&read(key_file)?)
        .map_err(|_| missing(key_file, "private key"))?;
    if fs::metadata(key_file).is_ok_and(|facts| facts.permissions().mode() & 0o004 != 0) {
        return Err(CertificateError::Exposed(key_file.to_path_buf()));
    }
    let pair = CertifiedKey::from_der(chain, key, provider);
    pair.map(Arc::new)
        .map_err(|source| CertificateError::Unusable {
            path: certificate.to_path_buf(),
            source,
        })
}

fn end(pair: &CertifiedKey) -> Option<UnixSeconds> {
    let first = pair.cert.first()?;
    certificate::validity(first).map(|validity| validity.end)
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
    use crate::net::certificate::self_signed;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

    /// A folder with certificates, each for the host in its name.
    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        fn put(&self, file: &str, host: &str) -> String {
            let made = self_signed(host, now()).expect("made");
            let pem = made.key + &made.certificate;
            self.write(file, &pem);
            made.certificate
        }

        fn write(&self, file: &str, text: &str) {
            let path = self.0.path().join(file);
            fs::write(&path, text).expect("written");
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("set");
        }

        fn source(&self) -> Source {
            Source {
                certificate: self.0.path().join("server.pem"),
                key: None,
                alpn: "imap",
            }
        }
    }

    /// The clients of these tests do have a clock.
    fn now() -> UnixSeconds {
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).expect("a clock");
        UnixSeconds(since.as_secs().try_into().expect("this century"))
    }

    fn client(
        trusted: &[&str],
        alpn: &[&str],
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for pem in trusted {
            let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
            roots.add(certificate).expect("a root");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(versions).expect("versions");
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// A handshake without a network.
    fn shake(
        server: Arc<ServerConfig>,
        client: Arc<ClientConfig>,
        name: &str,
    ) -> Result<(), rustls::Error> {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let mut client = ClientConnection::new(client, name)?;
        let mut server = ServerConnection::new(server)?;
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).expect("memory");
            server.read_tls(&mut wire.as_slice()).expect("memory");
            server.process_new_packets()?;
            wire.clear();
            server.write_tls(&mut wire).expect("memory");
            client.read_tls(&mut wire.as_slice()).expect("memory");
            client.process_new_packets()?;
        }
        Ok(())
    }

    const BOTH: &[&rustls::SupportedProtocolVersion] =
        &[&rustls::version::TLS12, &rustls::version::TLS13];

    fn here() -> IpAddr {
        IpAddr::from([127, 0, 0, 1])
    }

    #[test]
    fn a_strict_client_that_was_told_to_trust_it_does() {
        let folder = Folder::new();
        let trusted = folder.put("server.pem", "mail.example.com");
        let identity = Identity::load(&folder.source()).expect("loaded");
        for version in BOTH {
            for name in ["mail.example.com", "localhost", "127.0.0.1", "::1"] {
                let client = client(&[&trusted], &["imap"], &[version]);
                shake(identity.current(here()), client, name).expect(name);
            }
        }
        let stranger = shake(
            identity.current(here()),
            client(&[&trusted], &[], BOTH),
            "example.net",
        );
        assert!(stranger.is_err());
    }

    #[test]
    fn a_client_that_offers_alpn_names_our_protocol() {
        let folder = Folder::new();
        let trusted = folder.put("server.pem", "localhost");
        let identity = Identity::load(&folder.source()).expect("loaded");
        let attempt = |alpn: &[&str]| {
            shake(
                identity.current(here()),
                client(&[&trusted], alpn, BOTH),
                "localhost",
            )
        };
        assert!(attempt(&[]).is_ok() && attempt(&["imap"]).is_ok());
        assert!(attempt(&["http/1.1"]).is_err());
    }

    #[test]
    fn names_and_addresses_may_have_certificates_of_their_own() {
        let folder = Folder::new();
        let usual = folder.put("server.pem", "mail.example.com");
        let named = folder.put("server.pem.imap.example.net", "imap.example.net");
        let addressed = folder.put("server.pem.192.0.2.1", "other.example.com");
        fs::write(folder.0.path().join("server.pem.bak"), "left behind").expect("written");
        let identity = Identity::load(&folder.source()).expect("loaded");
        let there = IpAddr::from([192, 0, 2, 1]);
        for (local, name, trusted) in [
            (here(), "mail.example.com", &usual),
            (here(), "imap.example.net", &named),
            (here(), "IMAP.example.net", &named),
            (there, "imap.example.net", &named),
            (there, "other.example.com", &addressed),
            (
                there
                    .to_string()
                    .parse::<std::net::Ipv4Addr>()
                    .expect("v4")
                    .to_ipv6_mapped()
                    .into(),
                "other.example.com",
                &addressed,
            ),
        ] {
            let client = client(&[trusted], &["imap"], BOTH);
            shake(identity.current(local), client, name).expect(name);
        }
    }

    #[test]
    fn a_bad_pair_keeps_all_that_was() {
        let folder = Folder::new();
        folder.put("server.pem", "localhost");
        let source = folder.source();
        let identity = Identity::load(&source).expect("loaded");
        let before = identity.current(here());
        let special = folder.0.path().join("server.pem.mail.example.com");
        fs::write(&special, "-----BEGIN NONSENSE-----").expect("written");
        let error = identity.reload(&source).expect_err("refused").to_string();
        assert!(
            error.ends_with("server.pem.mail.example.com holds no usable certificate in PEM form"),
            "{error}"
        );
        assert!(Arc::ptr_eq(&before, &identity.current(here())));
        fs::remove_file(special).expect("removed");
        // The key of one certificate does not fit another.
        folder.put("other.pem", "localhost");
        let key = Some(folder.0.path().join("other.pem"));
        let mismatch = Source {
            key,
            ..source.clone()
        };
        assert!(matches!(
            identity.reload(&mismatch),
            Err(CertificateError::Unusable { .. })
        ));
        assert!(Arc::ptr_eq(&before, &identity.current(here())));
        folder.put("server.pem", "localhost");
        identity.reload(&source).expect("a good pair again");
        assert!(!Arc::ptr_eq(&before, &identity.current(here())));
    }

    #[test]
    fn a_key_that_everybody_can_read_is_refused() {
        let folder = Folder::new();
        folder.put("server.pem", "localhost");
        let source = folder.source();
        fs::set_permissions(&source.certificate, fs::Permissions::from_mode(0o644)).expect("set");
        assert!(matches!(
            Identity::load(&source),
            Err(CertificateError::Exposed(_))
        ));
        fs::set_permissions(&source.certificate, fs::Permissions::from_mode(0o640)).expect("set");
        assert!(Identity::load(&source).is_ok());
    }

    #[test]
    fn the_first_certificate_to_expire_is_known() {
        let folder = Folder::new();
        folder.put("server.pem", "localhost");
        let old = self_signed("old.example.com", NOW).expect("made");
        folder.write("server.pem.old.example.com", &(old.key + &old.certificate));
        let identity = Identity::load(&folder.source()).expect("loaded");
        let expected = NOW.0 - NOW.0 % 86_400 + 820 * 86_400;
        assert_eq!(identity.expires(), Some(UnixSeconds(expected)));
    }
}
