//! TLS by rustls: the certificate, and its exchange while the server runs (threat-model S21).
//!
//! Invariant: there is always a good certificate. One that cannot be read, or whose key is another's, changes nothing,
//! and connections that are open keep the one they began with.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
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
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| unreadable(certificate, &error))?;
    if chain.is_empty() {
        return Err(TlsError(format!("{}: there is no certificate in it", certificate.display())));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
    CertifiedKey::from_der(chain, secret, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            TlsError(format!("{}: it is not the key of the certificate", key.display()))
        }
        error => TlsError(format!("{}: {error}", certificate.display())),
    })
}

fn unreadable(file: &Path, error: &pem::Error) -> TlsError {
    let file = file.display();
    TlsError(match error {
        pem::Error::Io(error) => format!("{file} cannot be read: {error}"),
        pem::Error::NoItemsFound => format!("{file}: there is no private key in it"),
        error => format!("{file}: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Two files in a folder of their own, which goes with them.
    struct Pem(PathBuf);

    impl Pem {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("swarmreel-tls-{}-{name}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn certificate(&self) -> PathBuf {
            self.0.join("chain.pem")
        }

        fn key(&self) -> PathBuf {
            self.0.join("key.pem")
        }

        /// Writes a new pair, and gives the certificate.
        fn write(&self) -> Vec<u8> {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            fs::write(self.certificate(), made.cert.pem()).unwrap();
            fs::write(self.key(), made.signing_key.serialize_pem()).unwrap();
            made.cert.der().to_vec()
        }
    }

    impl Drop for Pem {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn shown(tls: &Tls) -> Vec<u8> {
        tls.current.0.read().unwrap().cert[0].to_vec()
    }

    #[test]
    fn s21_a_bad_certificate_is_named_and_the_old_one_stays() {
        let pem = Pem::new("reload");
        let first = pem.write();
        let tls = Tls::load(pem.certificate(), pem.key()).unwrap();
        assert_eq!(shown(&tls), first);
        let second = pem.write();
        tls.reload().unwrap();
        assert_eq!(shown(&tls), second);

        let (certificate, key) = (fs::read(pem.certificate()).unwrap(), fs::read(pem.key()).unwrap());
        pem.write();
        let other = fs::read(pem.key()).unwrap();
        for (certificate, key, named) in [
            (&b""[..], &key[..], "chain.pem: there is no certificate in it"),
            (&certificate[..200], &key, "chain.pem: "),
            (&certificate, b"", "key.pem: there is no private key in it"),
            (&certificate, &other, "key.pem: it is not the key of the certificate"),
        ] {
            fs::write(pem.certificate(), certificate).unwrap();
            fs::write(pem.key(), key).unwrap();
            let error = tls.reload().unwrap_err().to_string();
            assert!(error.contains(named) && !error.contains('\n'), "{error}");
            assert_eq!(shown(&tls), second);
        }
        fs::remove_file(pem.certificate()).unwrap();
        assert!(tls.reload().unwrap_err().to_string().contains("chain.pem cannot be read: "));
        assert!(Tls::load(pem.certificate(), pem.key()).is_err());
    }
}
