//! The server under load: its address, and how to trust it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

/// A tracker's URL, taken apart.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// `host:port`, as in the URL.
    pub host: String,
    /// With the leading slash.
    pub path: String,
    /// For `wss:`.
    pub(crate) tls: Option<Tls>,
}

/// What a TLS client needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) name: ServerName<'static>,
}

impl Target {
    /// Takes a `ws://` or `wss://` URL apart. `authority` is the PEM file of the certificate that a `wss://` server is
    /// trusted by.
    ///
    /// # Errors
    /// Another scheme, a host that has no address, or a certificate that is missing or can't be read.
    pub fn new(url: &str, authority: Option<&Path>) -> Result<Self> {
        let (secure, rest) = match (url.strip_prefix("ws://"), url.strip_prefix("wss://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => bail!("a tracker's URL is like ws://127.0.0.1:8080/, not {url:?}."),
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let port = if secure { ":443" } else { ":80" };
        let host = if host.contains(':') { host.to_owned() } else { format!("{host}{port}") };
        let found = host.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
        let address = found.with_context(|| format!("{host:?} has no address."))?;
        let tls = if secure { Some(tls(&host, authority)?) } else { None };
        Ok(Self { address, path: format!("/{path}"), host, tls })
    }
}

fn tls(host: &str, authority: Option<&Path>) -> Result<Tls> {
    let authority = authority.context("a wss:// server needs --authority, the certificate it is trusted by.")?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority).context("the certificate can't be read")? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = Arc::new(versions.with_root_certificates(roots).with_no_client_auth());
    let (name, _) = host.rsplit_once(':').expect("a host with its port");
    Ok(Tls { config, name: ServerName::try_from(name.to_owned())? })
}

/// Writes a certificate of its own for loopback, and its key: `cert.pem` and `key.pem`.
///
/// # Errors
/// A folder that can't be written to.
pub fn write_certificate(folder: &Path) -> Result<()> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names)?;
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("cert.pem"), made.cert.pem())?;
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let target = Target::new("ws://127.0.0.1:8080/announce", None).unwrap();
        assert_eq!((target.host.as_str(), target.path.as_str()), ("127.0.0.1:8080", "/announce"));
        assert_eq!(Target::new("ws://127.0.0.1", None).unwrap().address.port(), 80);
        for url in ["http://127.0.0.1/", "127.0.0.1:80", "wss://127.0.0.1/"] {
            assert!(Target::new(url, None).is_err(), "{url}");
        }
    }
}
