//! Opens connections to an engine, one for each request: to a socket, a port, or a port with TLS.
//!
//! Ours instead of bollard's, because bollard's TLS trusts the machine's authorities too and reads
//! variables to find them, because it keeps the session of a build open for the life of the
//! process, and because its registry credentials are not in the alphabet that the engine reads.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bollard::{BollardRequest, errors::Error};
use hyper::{
    Response, Uri,
    body::Incoming,
    header::{HOST, HeaderMap, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::EngineAddress;
use crate::daemon::connect::{Dialer, Expected, Io};

/// Makes connections; all of them end when the token is cancelled.
#[derive(Clone)]
pub(super) struct Transport {
    dialer: Dialer,
    end: CancellationToken,
}

impl Transport {
    /// Prepares connections to `address`; nothing is contacted.
    pub(super) fn new(address: EngineAddress) -> io::Result<Self> {
        let dialer = Dialer::new(address, &Expected::default())?;
        Ok(Self { dialer, end: CancellationToken::new() })
    }

    /// The same with an end of its own.
    pub(super) fn child(&self) -> (Self, CancellationToken) {
        let end = self.end.child_token();
        (Self { end: end.clone(), ..self.clone() }, end)
    }

    pub(super) fn address(&self) -> &EngineAddress {
        self.dialer.address()
    }

    /// Sends one request.
    pub(super) async fn send(
        self,
        mut request: BollardRequest,
    ) -> Result<Response<Incoming>, Error> {
        let io = self.dialer.connect().await.map_err(|err| Error::IOError { err })?;
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
