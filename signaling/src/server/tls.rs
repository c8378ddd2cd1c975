//! TLS by rustls: the certificate, and its exchange while the server runs (threat-model S21).
//!
//! Invariant: there is always a good certificate. One that cannot be read, or whose key is another's, changes nothing,
//! and connections that are open keep the one they began with.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};

/// The certificate of a server, from two files.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
}

/// What new connections are shown.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().expect("nothing panics under this lock").clone())
    }
}

/// Why a certificate cannot be used: a sentence without its full stop.
#[derive(Debug)]
pub struct TlsError(String);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Tls {
    /// TLS 1.2 and 1.3 with the certificate chain and the private key of two PEM files.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, has no certificate or key, or a key that is not the certificate's.
    pub fn load(certificate: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let first = read(&certificate, &key, &provider)?;
        let current = Arc::new(Current(RwLock::new(Arc::new(first))));
        let setup = |error: rustls::Error| TlsError(format!("TLS cannot be set up: {error}"));
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = builder.map_err(setup)?.with_no_client_auth().with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Returning clients bring their session in a ticket, so that nothing is kept for those who left.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = ring::Ticketer::new().map_err(setup)?;
        config.send_tls13_tickets = 1;
        Ok(Self { certificate, key, current, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Reads both files again. Connections from now on see the new certificate.
    ///
    /// # Errors
    ///
    /// As [`Tls::load`]; the old certificate stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = read(&self.certificate, &self.key, self.acceptor.config().crypto_provider())?;
        *self.current.0.write().expect("nothing panics under this lock") = Arc::new(fresh);
        Ok(())
    }

    /// Makes TLS of an accepted connection.
    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }
}

fn read(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let about = |file: &Path, what: &str| TlsError(format!("{}: {what}", file.display()));
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| about(certificate, &error.to_string()))?;
    if chain.is_empty() {
        return Err(about(certificate, "there is no certificate in it"));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| about(key, &error.to_string()))?;
    CertifiedKey::from_der(chain, secret, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => about(key, "it is not the key of the certificate"),
        error => about(certificate, &error.to_string()),
    })
}
