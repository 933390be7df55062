//! The connections to an engine: one for each request, to a socket, a port, or a port with TLS.
//!
//! Ours instead of bollard's, because bollard's TLS trusts the machine's authorities too and reads
//! variables to find them, because it keeps the session of a build open for the life of the
//! process, and because its registry credentials are not in the alphabet that the engine reads.

use std::{
    fs, io,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bollard::{BollardRequest, errors::Error};
use hyper::{
    Response, Uri,
    body::Incoming,
    header::{HOST, HeaderMap, HeaderValue},
};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{EngineAddress, TlsFiles};

/// The longest time until a connection stands.
const CONNECT: Duration = Duration::from_secs(10);

/// Makes connections; all of them end when the token is cancelled.
#[derive(Clone)]
pub(super) struct Transport {
    address: Arc<EngineAddress>,
    tls: Option<TlsConnector>,
    end: CancellationToken,
}

impl Transport {
    /// Prepares connections to `address`; nothing is contacted.
    pub(super) fn new(address: EngineAddress) -> io::Result<Self> {
        let tls = match &address {
            EngineAddress::Tcp { tls: Some(files), .. } => Some(connector(files)?),
            _ => None,
        };
        Ok(Self { address: Arc::new(address), tls, end: CancellationToken::new() })
    }

    /// The same with an end of its own.
    pub(super) fn child(&self) -> (Self, CancellationToken) {
        let end = self.end.child_token();
        (Self { end: end.clone(), ..self.clone() }, end)
    }

    pub(super) fn address(&self) -> &EngineAddress {
        &self.address
    }

    async fn connect(&self) -> io::Result<Pin<Box<dyn Io>>> {
        match &*self.address {
            EngineAddress::Unix(path) => unix(path).await,
            EngineAddress::Tcp { host, port, .. } => {
                let stream = TcpStream::connect((&**host, *port)).await?;
                stream.set_nodelay(true)?;
                let Some(tls) = &self.tls else { return Ok(Box::pin(stream)) };
                let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                Ok(Box::pin(tls.connect(name, stream).await?))
            }
            #[cfg(feature = "ssh")]
            EngineAddress::Ssh(host) => Ok(Box::pin(super::ssh::Connection::open(host)?)),
        }
    }

    /// Sends one request.
    pub(super) async fn send(
        self,
        mut request: BollardRequest,
    ) -> Result<Response<Incoming>, Error> {
        let io = tokio::time::timeout(CONNECT, self.connect())
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|err| Error::IOError { err })?;
        let ended = Box::pin(self.end.clone().cancelled_owned());
        let io = TokioIo::new(Ending { io, ended });
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
        let connection = tokio::spawn(connection.with_upgrades());

        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse::<Uri>().map_err(|err| Error::InvalidURIError { err })?;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_static("docker"));
        for name in ["x-registry-auth", "x-registry-config"] {
            url_safe(headers, name);
        }
        match sender.send_request(request).await {
            // The connection ended before the request was taken, and knows why.
            Err(error) if error.is_canceled() => match connection.await {
                Ok(Err(reason)) => Err(reason.into()),
                _ => Err(error.into()),
            },
            answer => Ok(answer?),
        }
    }
}

/// The engine reads credentials in base64's alphabet for URLs, and bollard writes the other one.
fn url_safe(headers: &mut HeaderMap, name: &'static str) {
    let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) else { return };
    if let Ok(mut value) = HeaderValue::from_str(&value.replace('+', "-").replace('/', "_")) {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
}

fn connector(files: &TlsFiles) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.ca)? {
        roots.add(certificate).map_err(in_file(&files.ca))?;
    }
    let key = fs::read(&files.key).map_err(in_file(&files.key))?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(in_file(&files.key))?;
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_client_auth_cert(certificates(&files.certificate)?, key)
            .map_err(in_file(&files.certificate))?;
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let pem = fs::read(path).map_err(in_file(path))?;
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
trait Io: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Io for T {}

/// A connection that fails as soon as its end is called for.
struct Ending {
    io: Pin<Box<dyn Io>>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Ending {
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.ended.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Ending {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        self.io.as_mut().poll_read(cx, into)
    }
}

impl AsyncWrite for Ending {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        self.io.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_in_the_alphabet_for_urls() {
        let mut headers = HeaderMap::new();
        headers.insert("x-registry-auth", HeaderValue::from_static("a+b/c=="));
        url_safe(&mut headers, "x-registry-auth");
        url_safe(&mut headers, "x-registry-config");
        assert_eq!(headers["x-registry-auth"], "a-b_c==");
        assert_eq!(headers.len(), 1);
    }
}
