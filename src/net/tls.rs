//! TLS through rustls, with ring's cryptography: files in, ready configurations out.
//!
//! Both sides can be told to read their files again; connections made later use the new ones. The old
//! configuration stays when the new files are wrong, so that a half copied certificate harms nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::stream::Socket;

/// What a TLS listener is told: PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTlsFiles {
    /// Our certificate, followed by its intermediates.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// If given, only clients with a certificate signed by one of these are let in.
    pub client_ca: Option<PathBuf>,
}

/// What a TLS connection to an upstream is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTlsFiles {
    /// Certificates trusted to sign the upstream's; none: the system's.
    pub ca: Option<PathBuf>,
    /// Our own certificate and its key, for upstreams that ask for one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name to check and to send; none: the host connected to.
    pub server_name: Option<String>,
    /// Believe any certificate. Encrypted, but open to whoever sits in between.
    pub insecure_skip_verify: bool,
}

/// Why TLS cannot be set up. Each message names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read, or holds no such PEM section.
    #[error("{what} {}: {reason}", path.display())]
    File {
        /// What it was read as.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Files that were read but do not fit together.
    #[error("{what}: {reason}")]
    Setup {
        /// What was being set up.
        what: String,
        /// What rustls says about it.
        reason: String,
    },
    /// Neither a host name nor an IP address.
    #[error("'{0}' is not a server name that TLS can verify; set upstream.tls.server_name")]
    ServerName(String),
}

/// The server's side of TLS. Cloned cheaply; all clones see a reload.
#[derive(Clone, Debug)]
pub struct ServerTls {
    current: Arc<ArcSwap<ServerConfig>>,
}

/// The client's side of TLS. Cloned cheaply; all clones see a reload.
#[derive(Clone, Debug)]
pub struct ClientTls {
    current: Arc<ArcSwap<ClientConfig>>,
    server_name: Option<String>,
}

impl ServerTls {
    /// Reads the files.
    pub fn load(files: &ServerTlsFiles) -> Result<Self, TlsError> {
        Ok(ServerTls { current: Arc::new(ArcSwap::from_pointee(server_config(files)?)) })
    }

    /// Reads the files anew, for handshakes that begin from now on. On an error nothing changes.
    pub fn reload(&self, files: &ServerTlsFiles) -> Result<(), TlsError> {
        self.current.store(Arc::new(server_config(files)?));
        Ok(())
    }

    pub(super) async fn accept(&self, socket: Socket) -> io::Result<server::TlsStream<Socket>> {
        TlsAcceptor::from(self.current.load_full()).accept(socket).await
    }
}

impl ClientTls {
    /// Reads the files, or the system's roots.
    pub fn load(files: &ClientTlsFiles) -> Result<Self, TlsError> {
        if let Some(name) = &files.server_name {
            parse_server_name(name)?;
        }
        let current = Arc::new(ArcSwap::from_pointee(client_config(files)?));
        Ok(ClientTls { current, server_name: files.server_name.clone() })
    }

    /// Reads the files anew, for connections made from now on. On an error nothing changes. The server
    /// name stays.
    pub fn reload(&self, files: &ClientTlsFiles) -> Result<(), TlsError> {
        self.current.store(Arc::new(client_config(files)?));
        Ok(())
    }

    /// The name that the upstream's certificate must carry when `host` is connected to.
    pub(super) fn name_for(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        parse_server_name(self.server_name.as_deref().unwrap_or(host))
    }

    pub(super) async fn connect(
        &self,
        name: ServerName<'static>,
        socket: Socket,
    ) -> io::Result<client::TlsStream<Socket>> {
        TlsConnector::from(self.current.load_full()).connect(name, socket).await
    }
}

fn server_config(files: &ServerTlsFiles) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| setup("TLS", error))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(read_roots(ca)?), provider())
                .build()
                .map_err(|error| setup(ca.display(), error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    builder
        .with_single_cert(read_certs(&files.cert)?, read_key(&files.key)?)
        .map_err(|error| setup(pair(&files.cert, &files.key), error))
}

fn client_config(files: &ClientTlsFiles) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| setup("TLS", error))?;
    let builder = if files.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(InsecureBelievesAnyCertificate {
            provider: provider(),
        }))
    } else {
        builder.with_root_certificates(match &files.ca {
            Some(ca) => read_roots(ca)?,
            None => system_roots()?,
        })
    };
    match &files.identity {
        None => Ok(builder.with_no_client_auth()),
        Some((cert, key)) => builder
            .with_client_auth_cert(read_certs(cert)?, read_key(key)?)
            .map_err(|error| setup(pair(cert, key), error)),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(TlsError::Setup {
            what: "the system has no trusted certificates; set upstream.tls.ca".into(),
            reason: reasons.join(", "),
        });
    }
    Ok(roots)
}

fn read_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for cert in read_certs(path)? {
        roots.add(cert).map_err(|error| setup(path.display(), error))?;
    }
    Ok(roots)
}

fn read_certs(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let what = "certificate file";
    let error = |reason: String| TlsError::File { what, path: path.into(), reason };
    let certs: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|reason| error(reason.to_string()))?;
    if certs.is_empty() {
        return Err(error("it holds no certificate".into()));
    }
    Ok(certs)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|reason| TlsError::File {
        what: "private key file",
        path: path.into(),
        reason: reason.to_string(),
    })
}

fn parse_server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    // An IPv6 zone (`fe80::1%eth0`) is part of the route, not of the name in a certificate.
    let name = name.split_once('%').map_or(name, |(name, _)| name);
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName(name.into()))
}

fn setup(what: impl ToString, reason: impl ToString) -> TlsError {
    TlsError::Setup { what: what.to_string(), reason: reason.to_string() }
}

fn pair(cert: &Path, key: &Path) -> String {
    format!("certificate {} with key {}", cert.display(), key.display())
}

/// `insecure_skip_verify`: any certificate is taken for the upstream's. The handshake's signature is
/// still checked, so that the peer at least owns the key of the certificate it shows.
#[derive(Debug)]
struct InsecureBelievesAnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for InsecureBelievesAnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
