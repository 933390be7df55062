//! The distribution protocol, request by request (OCI distribution specification, "Endpoints").
//!
//! Owns every request that has to be exactly one, or whose answer has to be seen whole: no request
//! is preceded by another but where a registry asks for a token.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

mod names;
mod requests;

use esb_oci::{Digest, manifest::media_type};
use reqwest::{
    Method, Url,
    header::{HeaderMap, LOCATION},
};

use crate::{
    Access, Attempted, Error, ErrorKind, RegistrySettings, Repository, RequestAction, RetryPolicy,
    Upload, UploadSession,
    auth::{Authenticator, Authorization},
    error::distrusts,
    http::{Http, Payload, Request, answer},
    response::Answer,
    retry::{AttemptError, Retry},
    settings::{contact, is_loopback},
};

/// Every kind of manifest that is understood, and schema 1, so that it can be refused by name.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.v1+prettyjws;q=0.1";

/// A [`Registry`](crate::Registry) that implements the distribution protocol over HTTP.
#[derive(Debug, Clone)]
pub struct DirectRegistry {
    core: Arc<Core>,
}

#[derive(Debug)]
struct Core {
    http: Http,
    auth: Authenticator,
    /// Registries on loopback that were found to speak TLS.
    secure: Mutex<BTreeSet<String>>,
}

/// A request and what it needs to be allowed.
struct Call<'a> {
    attempted: Attempted,
    scopes: Vec<String>,
    request: Request<'a>,
    /// The registry is presumed to require no authentication: requests do not wait for a first
    /// response.
    is_presumed_open: bool,
    /// It goes where another host than the registry said.
    is_stray: bool,
}

impl<'a> Call<'a> {
    fn new(attempted: Attempted, scopes: Vec<String>, request: Request<'a>) -> Self {
        Self { attempted, scopes, request, is_presumed_open: false, is_stray: false }
    }
}

impl DirectRegistry {
    /// Checks the settings; connects to nothing yet.
    ///
    /// # Errors
    /// [`Error::Settings`] when a proxy or a certificate is not usable.
    pub fn new(settings: Arc<RegistrySettings>) -> Result<Self, Error> {
        let http = Http::new(settings)?;
        Ok(Self {
            core: Arc::new(Core { http, auth: Authenticator::default(), secure: Mutex::default() }),
        })
    }

    pub(crate) fn settings(&self) -> &RegistrySettings {
        &self.core.http.settings
    }

    /// `scheme://host/v2/` and what follows it.
    fn url(&self, attempted: &Attempted, path: &str) -> Result<Url, Error> {
        let registry = &attempted.registry;
        let plain = self.settings().is_plain(registry) && !self.is_secure(registry);
        let scheme = if plain { "http" } else { "https" };
        Url::parse(&format!("{scheme}://{}/v2/{path}", contact(registry)))
            .map_err(|_| answer(attempted, "its name makes no URL"))
    }

    fn call<'a>(
        &self,
        method: Method,
        at: &Repository,
        path: &str,
        attempted: Attempted,
    ) -> Result<Call<'a>, Error> {
        let url = self.url(&attempted, &format!("{}/{path}", at.repository))?;
        let scopes = vec![scope(at, attempted.access)];
        Ok(Call::new(attempted, scopes, Request::new(method, url)))
    }

    /// Sends a call once, and once more with what the registry asks for when it says 401.
    async fn once(&self, call: &Call<'_>) -> Result<Answer, AttemptError> {
        let Call { attempted, scopes, request, is_presumed_open, is_stray } = call;
        let http = &self.core.http;
        let host = self.core.auth.host(&attempted.registry);
        let mut origin = self.url(attempted, "")?;
        let mut request = request.clone();
        if self.is_secure(&attempted.registry) {
            // It was found out after the call was made.
            let _unchanged = request.url.set_scheme("https");
        }
        // An upload's place may be elsewhere, where our authorization has no business.
        let own = !is_stray && request.url.origin() == origin.origin();
        let mut last = false;
        loop {
            let first = if *is_presumed_open { None } else { host.first_contact().await };
            let authorization = if own {
                host.authorization(http, &origin, scopes, attempted).await?
            } else {
                None
            };
            let header = authorization.as_ref().and_then(Authorization::header);
            let mut response = http.execute(&request, header.as_ref(), attempted).await;
            if own && is_answer(&response) {
                host.answered();
            }
            if own && first.is_some() && origin.scheme() == "http" && refuses_plain(&response) {
                let secure = self.by_tls(&request, attempted).await;
                if let Some(secure) = secure {
                    response = secure;
                    let _unchanged = request.url.set_scheme("https");
                    origin = self.url(attempted, "")?;
                }
            }
            if own && !*is_presumed_open {
                host.spoke();
            }
            let response = response?;
            let is_telling = matches!(response.status().as_u16(), 200 | 401 | 404);
            if !own {
                return Ok(response.of_stranger());
            }
            if *is_presumed_open && !is_telling {
                return Ok(response);
            }
            let asked = host.learn(&response);
            drop(first);
            if let Some(used) = authorization.as_ref().filter(|_| asked) {
                host.forget(scopes, used).await;
            }
            if !asked || last {
                return Ok(response);
            }
            last = true;
            if host.authorization(http, &origin, scopes, attempted).await? == authorization {
                return Ok(response);
            }
        }
    }

    /// Sends the first request to a registry of this machine by TLS, which it may speak although
    /// it need not. `None` when it does not.
    async fn by_tls(
        &self,
        request: &Request<'_>,
        attempted: &Attempted,
    ) -> Option<Result<Answer, AttemptError>> {
        let registry = &attempted.registry;
        let mut request = request.clone();
        if !is_loopback(registry) || request.url.set_scheme("https").is_err() {
            return None;
        }
        let response = self.core.http.execute(&request, None, attempted).await;
        let speaks = match &response {
            Ok(_) => true,
            Err(AttemptError { error: Error::Unreachable { source, .. }, .. }) => {
                distrusts(&**source)
            }
            Err(_) => false,
        };
        if speaks {
            let mut secure = self.core.secure.lock().unwrap_or_else(PoisonError::into_inner);
            secure.insert(registry.clone());
        }
        speaks.then_some(response)
    }

    fn is_secure(&self, registry: &str) -> bool {
        self.core.secure.lock().unwrap_or_else(PoisonError::into_inner).contains(registry)
    }

    /// Sends a call as often as the policy says.
    async fn send(&self, call: &Call<'_>) -> Result<Answer, Error> {
        self.settings().retry.run(|| self.once(call)).await
    }

    /// Asks a registry for nothing but an answer; any that is no failure of the server will do.
    async fn answers(&self, registry: &str, policy: RetryPolicy) -> Result<(), Error> {
        let attempted = Attempted::registry(registry, RequestAction::Contact, Access::Pull);
        let request = Request::new(Method::GET, self.url(&attempted, "")?);
        let ask = || async {
            let response = self.core.http.execute(&request, None, &attempted).await;
            if is_answer(&response) {
                self.core.auth.host(registry).answered();
            }
            let response = response?;
            if response.status().as_u16() < 500 {
                return Ok(());
            }
            Err(self.refuse(response, &attempted).await.into())
        };
        policy.run(ask).await
    }

    /// The error of an answer that is a refusal.
    async fn refuse(&self, response: Answer, attempted: &Attempted) -> Error {
        let mut error = response.refusal(attempted, self.core.http.redactor()).await;
        if let (Error::Unauthorized { denial, withheld, .. }, Ok(origin)) =
            (&mut error, self.url(attempted, ""))
        {
            let host = self.core.auth.host(&attempted.registry);
            *withheld = host.withholds(&self.core.http, &origin);
            *denial = host.denial(*denial, *withheld);
            return host.lacks(&self.core.http, attempted).unwrap_or(error);
        }
        error
    }

    /// Reads the URL where an upload continues.
    fn session(response: &Answer, attempted: &Attempted) -> Result<UploadSession, Error> {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let base = response.response.url();
        let place = location.and_then(|text| base.join(text).ok());
        let place = place.ok_or_else(|| answer(attempted, "it names no place for the upload"))?;
        if base.scheme() == "https" && place.scheme() != "https" {
            return Err(answer(attempted, "it asks for the upload over plain HTTP"));
        }
        Ok(UploadSession { url: place.into(), is_stray: !response.is_own() })
    }

    async fn push_once(
        &self,
        to: &Repository,
        upload: Upload<'_>,
        session: Option<UploadSession>,
        attempted: &Attempted,
    ) -> Result<(), AttemptError> {
        let session = if let Some(session) = session {
            session
        } else {
            let call = self.call(Method::POST, to, "blobs/uploads/", attempted.clone())?;
            // Repeated by itself: each of the two requests has its own attempts.
            let response = self.send(&call).await?;
            if response.status().as_u16() != 202 {
                return Err(self.refuse(response, attempted).await.into());
            }
            Self::session(&response, attempted)?
        };
        let is_stray = session.is_stray;
        let mut url = upload_url(&session, attempted)?;
        url.query_pairs_mut().append_pair("digest", &upload.blob.descriptor.digest.to_string());
        let mut request = Request::new(Method::PUT, url);
        request.content_type = Some("application/octet-stream");
        request.body = Payload::Blob(upload);
        let scopes = vec![scope(to, Access::Push)];
        let call = Call { is_stray, ..Call::new(attempted.clone(), scopes, request) };
        let response = self.once(&call).await?;
        match response.status().as_u16() {
            201 | 204 => Ok(()),
            // The session is gone; a new one may do.
            404 => {
                let error = self.refuse(response, attempted).await;
                Err(AttemptError { error, retry: Retry::Later(None) })
            }
            _ => Err(self.refuse(response, attempted).await.into()),
        }
    }
}

/// Where the bytes of an upload are sent.
fn upload_url(session: &UploadSession, attempted: &Attempted) -> Result<Url, Error> {
    Url::parse(&session.url).map_err(|_| answer(attempted, "it names no place for the upload"))
}

/// The scope of a token (distribution's token specification).
fn scope(at: &Repository, access: Access) -> String {
    let actions = match access {
        Access::Pull => "pull",
        Access::Push => "pull,push",
    };
    format!("repository:{}:{actions}", at.repository)
}

/// The digest that an answer names.
fn digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get("docker-content-digest")?.to_str().ok()?.parse().ok()
}

/// Whether the response to a plain HTTP request may come from a server that expects TLS.
fn refuses_plain(response: &Result<Answer, AttemptError>) -> bool {
    match response {
        Ok(response) => response.status().as_u16() == 400,
        Err(failure) => {
            failure.retry == Retry::Later(None) && failure.error.kind() == ErrorKind::Unreachable
        }
    }
}

/// Whether a server answered, if only to refuse.
pub(crate) fn is_answer(response: &Result<Answer, AttemptError>) -> bool {
    !matches!(response, Err(AttemptError { error, .. }) if error.kind() != ErrorKind::Refused)
}

/// Whether a media type is one that [`MANIFESTS`] asks for as an image or an index.
pub(crate) fn is_understood(kind: &str) -> bool {
    media_type::is_manifest(kind) || media_type::is_index(kind)
}
