//! Connects to a daemon: to a socket, a port, or a port with TLS.
//!
//! A TLS connection trusts one certificate authority and none of the machine's. What is sent over a
//! connection is not known here.

use std::{io, path::Path, pin::Pin, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::address::{EngineAddress, TlsFiles};

/// The longest time until a connection stands.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// The identity that a daemon with TLS must prove.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    /// The name in its certificate; that of the address without one.
    pub(crate) server_name: Option<String>,
    /// The protocols it may speak, as TLS negotiates them; any without.
    pub(crate) protocols: Vec<Vec<u8>>,
}

/// Makes connections to one address. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Dialer {
    address: Arc<EngineAddress>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Dialer {
    /// Prepares connections to `address`; nothing is contacted.
    pub(crate) fn new(address: EngineAddress, expected: &Expected) -> io::Result<Self> {
        let tls = match &address {
            EngineAddress::Tcp { tls: Some(files), host, .. } => {
                let name = expected.server_name.as_ref().unwrap_or(host).clone();
                let name = ServerName::try_from(name).map_err(io::Error::other)?;
                Some((connector(files, expected.protocols.clone())?, name))
            }
            _ => None,
        };
        Ok(Self { address: Arc::new(address), tls })
    }

    pub(crate) fn address(&self) -> &EngineAddress {
        &self.address
    }

    /// A new connection, within [`CONNECT`].
    pub(crate) async fn connect(&self) -> io::Result<Pin<Box<dyn Io>>> {
        tokio::time::timeout(CONNECT, self.open())
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn open(&self) -> io::Result<Pin<Box<dyn Io>>> {
        match &*self.address {
            EngineAddress::Unix(path) => unix(path).await,
            EngineAddress::Tcp { host, port, .. } => {
                let stream = TcpStream::connect((&**host, *port)).await?;
                stream.set_nodelay(true)?;
                let Some((tls, name)) = &self.tls else { return Ok(Box::pin(stream)) };
                Ok(Box::pin(tls.connect(name.clone(), stream).await?))
            }
            #[cfg(feature = "ssh")]
            EngineAddress::Ssh(host) => Ok(Box::pin(super::ssh::Connection::open(host)?)),
        }
    }
}

/// The most bytes of a certificate or key of an engine.
const PEM_LIMIT: u64 = 1024 * 1024;

fn connector(files: &TlsFiles, protocols: Vec<Vec<u8>>) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.ca)? {
        roots.add(certificate).map_err(in_file(&files.ca))?;
    }
    let key = esb_oci::read_file(&files.key, PEM_LIMIT).map_err(in_file(&files.key))?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(in_file(&files.key))?;
    let mut config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_client_auth_cert(certificates(&files.certificate)?, key)
            .map_err(in_file(&files.certificate))?;
    config.alpn_protocols = protocols;
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let pem = esb_oci::read_file(path, PEM_LIMIT).map_err(in_file(path))?;
    CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(in_file(path))
}

/// Names the file in an error.
fn in_file<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> io::Error {
    move |error| io::Error::other(format!("`{}`: {error}", path.display()))
}

#[cfg(unix)]
async fn unix(path: &Path) -> io::Result<Pin<Box<dyn Io>>> {
    Ok(Box::pin(tokio::net::UnixStream::connect(path).await?))
}

#[cfg(not(unix))]
async fn unix(_: &Path) -> io::Result<Pin<Box<dyn Io>>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no such sockets"))
}

/// A connection of any kind.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Io for T {}
