//! The HTTP client for registries: explicit proxies and root certificates, redirects without
//! credentials, responses of limited size.
//!
//! Owns the connections and the classification of their failures. Refuses to know the
//! distribution protocol and how one authenticates.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use esb_oci::Redactor;
use reqwest::{
    Body, Certificate, Method, Proxy, Response, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION, RANGE},
};

use crate::{
    Attempted, Error, RegistrySettings,
    certificates::{self, Certificates},
    error::is_hopeless,
    proxies::{self, Exception},
    registry::Upload,
    response::Answer,
    retry::{AttemptError, Retry},
    stream::{Stalled, UploadProgress},
};

/// The most redirects that one request follows.
const REDIRECTS: usize = 5;

/// Who we are.
pub(crate) const USER_AGENT: &str = concat!("esb/", env!("CARGO_PKG_VERSION"));

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) accept: Option<&'static str>,
    pub(crate) content_type: Option<&'a str>,
    /// The first byte of the answer's body that is wanted.
    pub(crate) from: u64,
    pub(crate) body: Payload<'a>,
    /// Whether it goes to its own origin only, for it holds credentials, or its answer does.
    pub(crate) is_confined: bool,
}

/// The body of a request; it can be sent again.
#[derive(Debug, Clone)]
pub(crate) enum Payload<'a> {
    Nothing,
    Bytes(Bytes),
    Blob(Upload<'a>),
}

impl Request<'_> {
    /// A request that carries nothing.
    pub(crate) fn new(method: Method, url: Url) -> Self {
        let (accept, content_type, body) = (None, None, Payload::Nothing);
        Self { method, url, accept, content_type, from: 0, body, is_confined: false }
    }
}

/// One of the requests that a request becomes by redirects.
struct Hop<'a> {
    method: &'a Method,
    url: &'a Url,
    /// Whether nothing has led to another origin so far.
    is_own: bool,
    authorization: Option<&'a HeaderValue>,
}

/// The connections of a client. They are made when they are needed: the system's certificates are
/// not read where only plain HTTP is spoken.
#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) settings: Arc<RegistrySettings>,
    /// Of `NO_PROXY`.
    exceptions: Vec<Exception>,
    roots: Vec<Certificate>,
    /// By whether they speak TLS, and whether they go through proxies.
    shared: Mutex<HashMap<(bool, bool), reqwest::Client>>,
    /// Of registries with certificates of their own, by origin and whether we identify ourselves;
    /// `None` where there are none.
    own: Mutex<HashMap<(String, bool), Option<reqwest::Client>>>,
    /// Knows every credential that was sent.
    redactor: Mutex<Redactor>,
}

/// Gives the process a provider of cryptography for TLS, unless it has one: `rustls` with `ring`.
///
/// A [`Client`](crate::Client) does it by itself. Other clients of `reqwest` in the same program panic
/// without a provider.
pub fn install_tls_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Whoever was faster has installed one.
        let _installed = rustls::crypto::ring::default_provider().install_default();
    }
}

impl Http {
    /// Checks the settings that can be wrong.
    pub(crate) fn new(settings: Arc<RegistrySettings>) -> Result<Self, Error> {
        install_tls_provider();
        let mut roots = Vec::new();
        for pem in &settings.extra_roots {
            let failed = |source: Option<reqwest::Error>| Error::Settings {
                reason: "a certificate authority is no PEM certificate",
                source: source.map(Into::into),
            };
            let certificates =
                Certificate::from_pem_bundle(pem).map_err(|source| failed(Some(source)))?;
            if certificates.is_empty() {
                return Err(failed(None));
            }
            roots.extend(certificates);
        }
        let (shared, own, redactor) = Default::default();
        let exceptions = proxies::exceptions(&settings);
        let http = Self { settings, exceptions, roots, shared, own, redactor };
        http.proxies()?;
        Ok(http)
    }

    fn proxies(&self) -> Result<Vec<Proxy>, Error> {
        let failed = |error: reqwest::Error| {
            // The outer ones name the URL, which may hold a password.
            let mut cause: &dyn std::error::Error = &error;
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            let source = Some(cause.to_string().into());
            Error::Settings { reason: "a proxy is not a URL", source }
        };
        let proxy = &self.settings.proxy;
        let mut proxies = Vec::new();
        if let Some(url) = proxy.http.as_deref().filter(|url| !url.is_empty()) {
            proxies.push(Proxy::http(proxies::url(url)).map_err(failed)?);
        }
        if let Some(url) = proxy.https.as_deref().filter(|url| !url.is_empty()) {
            proxies.push(Proxy::https(proxies::url(url)).map_err(failed)?);
        }
        Ok(proxies)
    }

    /// Knows credentials before they are sent, and hides them in what is said from then on.
    pub(crate) fn hide(&self, add: impl FnOnce(&mut Redactor)) {
        add(&mut self.redactor.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Hides the credentials that were sent so far.
    pub(crate) fn redactor(&self) -> Redactor {
        self.redactor.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The client for a URL's registry; with `identified` it has our certificate for it.
    fn client(&self, url: &Url, identified: bool) -> Result<reqwest::Client, Error> {
        let secure = url.scheme() == "https";
        if secure && let Some(own) = self.own(url, identified)? {
            return Ok(own);
        }
        let proxied = !proxies::is_direct(&self.settings, &self.exceptions, url);
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = shared.get(&(secure, proxied)) {
            return Ok(client.clone());
        }
        let client = self.build(secure, proxied, &Certificates::default())?;
        shared.insert((secure, proxied), client.clone());
        Ok(client)
    }

    /// The client of a registry that has certificates of its own.
    fn own(&self, url: &Url, identified: bool) -> Result<Option<reqwest::Client>, Error> {
        let folders = &self.settings.certificate_folders;
        if folders.is_empty() {
            return Ok(None);
        }
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (url.origin().ascii_serialization(), identified);
        if let Some(known) = own.get(&key) {
            return Ok(known.clone());
        }
        let mut found = certificates::of(folders, url)?;
        if let Some(found) = found.as_mut().filter(|_| !identified) {
            found.identity = None;
        }
        let client = found
            .map(|found| {
                self.build(true, !proxies::is_direct(&self.settings, &self.exceptions, url), &found)
            })
            .transpose()?;
        own.insert(key, client.clone());
        Ok(client)
    }

    fn build(
        &self,
        secure: bool,
        proxied: bool,
        own: &Certificates,
    ) -> Result<reqwest::Client, Error> {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .user_agent(USER_AGENT)
            .connect_timeout(self.settings.timeouts.connect)
            .pool_idle_timeout(std::time::Duration::from_secs(20));
        for proxy in self.proxies()?.into_iter().filter(|_| proxied) {
            builder = builder.proxy(proxy);
        }
        builder = if secure {
            builder.tls_certs_merge(self.roots.iter().chain(&own.roots).cloned())
        } else {
            builder.tls_certs_only(Vec::new())
        };
        if let Some(identity) = &own.identity {
            builder = builder.identity(identity.clone());
        }
        builder.build().map_err(|source| Error::Settings {
            reason: "no HTTP client can be made of them",
            source: Some(source.into()),
        })
    }

    /// Sends a request and gives whatever answer comes, but for those that say "later".
    ///
    /// `authorization` goes to the request's own origin only. Once a redirect has led elsewhere
    /// nothing more of us is sent, wherever further redirects lead.
    pub(crate) async fn execute(
        &self,
        request: &Request<'_>,
        authorization: Option<&HeaderValue>,
        attempted: &Attempted,
    ) -> Result<Answer, AttemptError> {
        let mut url = request.url.clone();
        let mut method = request.method.clone();
        let mut redirects = Vec::new();
        let mut is_own = true;
        for _ in 0..=REDIRECTS {
            is_own = is_own && url.origin() == request.url.origin();
            let authorization = authorization.filter(|_| is_own);
            let hop = Hop { method: &method, url: &url, is_own, authorization };
            let response = self.hop(request, &hop, attempted).await?;
            let status = response.status().as_u16();
            let location = match status {
                301 | 302 | 303 | 307 | 308 => response.headers().get(LOCATION),
                _ => None,
            };
            let Some(location) = location else {
                let answer = Answer::after(response, &request.url, &redirects);
                return answer.unless_transient(attempted, || self.redactor()).await;
            };
            let next = location.to_str().ok().and_then(|text| url.join(text).ok());
            let next = next.filter(|next| matches!(next.scheme(), "http" | "https"));
            let Some(next) = next else {
                return Err(answer(attempted, "it redirects to no URL").into());
            };
            if url.scheme() == "https" && next.scheme() == "http" {
                return Err(answer(attempted, "it redirects from TLS to plain HTTP").into());
            }
            if request.is_confined && next.origin() != request.url.origin() {
                return Err(answer(attempted, "its token server redirects to another host").into());
            }
            if status == 303 {
                method = Method::GET;
            }
            redirects.push(next.clone());
            url = next;
        }
        Err(answer(attempted, "it redirects too often").into())
    }

    async fn hop(
        &self,
        request: &Request<'_>,
        hop: &Hop<'_>,
        attempted: &Attempted,
    ) -> Result<Response, AttemptError> {
        let Hop { method, url, is_own, authorization } = *hop;
        let client = self.client(url, is_own)?;
        let mut builder = client.request(method.clone(), url.clone());
        if let Some(accept) = request.accept {
            builder = builder.header(ACCEPT, accept);
        }
        if let Some(content_type) = request.content_type {
            builder = builder.header(CONTENT_TYPE, content_type);
        }
        if request.from > 0 {
            builder = builder.header(RANGE, format!("bytes={}-", request.from));
        }
        if let Some(authorization) = authorization {
            builder = builder.header(AUTHORIZATION, authorization);
        }
        let carries = !matches!(*method, Method::GET | Method::HEAD);
        let sent = match &request.body {
            Payload::Blob(upload) if carries => {
                let opened = UploadProgress::open(upload).await;
                let (body, sending) = opened.map_err(|source| source_failed(source, attempted))?;
                let builder = builder
                    .header(CONTENT_LENGTH, upload.blob.descriptor.size)
                    .body(Body::wrap_stream(body));
                let sent = sending.watch(self.settings.timeouts, builder.send()).await;
                if let Some(source) = sending.failure() {
                    return Err(source_failed(source, attempted));
                }
                sent
            }
            payload => {
                let builder = match payload {
                    Payload::Bytes(bytes) if carries => builder.body(bytes.clone()),
                    _ if carries => builder.header(CONTENT_LENGTH, 0),
                    _ => builder,
                };
                let limit = self.settings.timeouts.answer;
                tokio::time::timeout(limit, builder.send()).await.map_err(|_| Stalled(limit))
            }
        };
        match sent {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(broken(error, attempted)),
            Err(stalled) => Err(AttemptError {
                error: unreachable(attempted, stalled),
                retry: Retry::Later(None),
            }),
        }
    }
}

/// A connection that failed; its URL is left out of the message, for it may hold a token.
pub(crate) fn broken(error: reqwest::Error, attempted: &Attempted) -> AttemptError {
    let error = error.without_url();
    let retry = match () {
        () if error.is_builder() || is_hopeless(&error) => Retry::Never,
        () if error.is_connect() => Retry::Connect,
        () => Retry::Later(None),
    };
    AttemptError { error: unreachable(attempted, error), retry }
}

pub(crate) fn unreachable(
    attempted: &Attempted,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::Unreachable { attempted: Box::new(attempted.clone()), source: source.into() }
}

/// An upload whose source failed; a source that is a connection has tried all that it could.
pub(crate) fn source_failed(source: esb_oci::BlobError, attempted: &Attempted) -> AttemptError {
    Error::Source { attempted: Box::new(attempted.clone()), source }.into()
}

/// An answer that the protocol does not allow.
pub(crate) fn answer(attempted: &Attempted, reason: &str) -> Error {
    Error::Answer { attempted: Box::new(attempted.clone()), reason: reason.to_owned() }
}
