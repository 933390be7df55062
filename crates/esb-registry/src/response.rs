//! Responses of registries: which host sent them, their bodies, and error messages.
//!
//! Only responses of the registry itself say anything about the registry: where it redirects to
//! another host, that host's challenges and places do not count. Refuses to know connections.

use bytes::Bytes;
use esb_oci::{Digest, Redactor};
use reqwest::{
    Response, StatusCode, Url,
    header::{DATE, HeaderMap, RETRY_AFTER},
};

use crate::{
    Attempted, Denial, Error, ServerMessage,
    http::{answer, broken, unreachable},
    refusal::is_immutable,
    retry::{AttemptError, Retry, is_transient, retry_after},
    stream::Stalled,
};

/// The most bytes of a refusal that are read.
const REFUSAL_LIMIT: usize = 64 * 1024;
/// A shorter part of a URL's query is no signature.
const SIGNATURE: usize = 8;

/// An answer, and who gave it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response,
    /// The other host that gave it.
    stranger: Option<String>,
    /// Parts of the queries of redirects, which may be signatures.
    signatures: Vec<String>,
}

impl Answer {
    /// An answer that came after redirects to these places.
    pub(crate) fn after(response: Response, asked: &Url, redirects: &[Url]) -> Self {
        let strange = redirects.iter().any(|url| url.origin() != asked.origin());
        let stranger = strange.then(|| host(response.url()));
        let signatures = redirects.iter().flat_map(signatures).collect();
        Self { response, stranger, signatures }
    }

    /// The same as the answer of another host than the registry.
    pub(crate) fn of_stranger(mut self) -> Self {
        let url = self.response.url();
        self.stranger.get_or_insert_with(|| host(url));
        self.signatures.extend(signatures(url));
        self
    }

    /// Whether the host that was asked gave the answer itself.
    pub(crate) fn is_own(&self) -> bool {
        self.stranger.is_none()
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Passes an answer on unless it says "later".
    pub(crate) async fn unless_transient(
        self,
        attempted: &Attempted,
        redactor: impl FnOnce() -> Redactor,
    ) -> Result<Self, AttemptError> {
        if !is_transient(self.status().as_u16()) {
            return Ok(self);
        }
        let header = |name| self.headers().get(name).and_then(|value| value.to_str().ok());
        let retry = Retry::Later(retry_after(header(RETRY_AFTER), header(DATE)));
        Err(AttemptError { error: self.refusal(attempted, redactor()).await, retry })
    }

    /// The error of a response that is a refusal, with the server's message.
    pub(crate) async fn refusal(self, attempted: &Attempted, mut redactor: Redactor) -> Error {
        let status = self.status().as_u16();
        let Self { response, stranger, signatures } = self;
        for value in &signatures {
            redactor.add(value);
        }
        let limit = std::time::Duration::from_secs(5);
        let body = match tokio::time::timeout(limit, read_up_to(response, REFUSAL_LIMIT)).await {
            Ok(Ok((body, _))) => body,
            // The refusal stands without its reason.
            Ok(Err(_)) | Err(_) => Bytes::new(),
        };
        let message = ServerMessage::read(&body, &redactor);
        let is_own = stranger.is_none();
        let message = message.of_stranger(stranger);
        let attempted = Box::new(attempted.clone());
        match status {
            400..=499 if is_immutable(&attempted, &message) => {
                Error::Immutable { attempted, message }
            }
            // What another host wants is no matter of the registry's credentials.
            401 | 403 if is_own => {
                let denial = if status == 403 { Denial::Forbidden } else { Denial::Required };
                Error::Unauthorized { attempted, message, denial, withheld: false }
            }
            404 => Error::NotFound { attempted, message },
            _ => Error::Refused { attempted, status, message },
        }
    }
}

/// Parts of a URL's query that may be signatures.
fn signatures(url: &Url) -> impl Iterator<Item = String> + '_ {
    let values = url.query_pairs().map(|(_, value)| value.into_owned());
    values.filter(|value| value.len() >= SIGNATURE && value.parse::<Digest>().is_err())
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Reads a whole answer of at most `limit` bytes.
pub(crate) async fn read(
    response: Response,
    limit: usize,
    stall: std::time::Duration,
    attempted: &Attempted,
) -> Result<Bytes, AttemptError> {
    match tokio::time::timeout(stall, read_up_to(response, limit)).await {
        Ok(Ok((body, true))) => Ok(body),
        Ok(Ok((_, false))) => {
            Err(answer(attempted, &format!("it is larger than {limit} bytes")).into())
        }
        Ok(Err(error)) => Err(broken(error, attempted)),
        Err(_) => Err(AttemptError {
            error: unreachable(attempted, Stalled(stall)),
            retry: Retry::Later(None),
        }),
    }
}

/// The first `limit` bytes, and whether that is all.
async fn read_up_to(mut response: Response, limit: usize) -> Result<(Bytes, bool), reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            body.extend_from_slice(&chunk[..limit - body.len()]);
            return Ok((body.into(), false));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body.into(), true))
}
