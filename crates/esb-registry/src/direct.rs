//! The distribution protocol, request by request (OCI distribution specification, "Endpoints").
//!
//! Owns every request that has to be exactly one, or whose answer has to be seen whole: no request
//! is preceded by another but where a registry asks for a token.

use std::sync::Arc;

use bytes::Bytes;
use esb_oci::{
    BlobError, BlobStream, BoxFuture, DOCUMENT_LIMIT, Descriptor, Digest, manifest::media_type,
};
use futures_util::TryStreamExt as _;
use reqwest::{
    Method, Response, Url,
    header::{CONTENT_TYPE, HeaderMap, LOCATION},
};

use crate::{
    Access, Action, Attempted, Error, Kind, ManifestHead, Mount, RawManifest, Registry, Repository,
    Settings, Upload, UploadSession,
    auth::{Authenticator, Authorization},
    document,
    http::{Http, Payload, Request, answer, read, refusal},
    registry::name,
    retry::Failure,
    settings::contact,
    stream::guarded,
};

/// Every kind of manifest that is understood, and schema 1, so that it can be refused by name.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.v1+prettyjws;q=0.1";

/// Speaks to registries with requests of our own.
#[derive(Debug, Clone)]
pub struct DirectRegistry {
    core: Arc<Core>,
}

#[derive(Debug)]
struct Core {
    http: Http,
    auth: Authenticator,
}

/// What a registry answered to a first question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Nothing answers like a registry.
    Silent,
    /// Something answers, and does not tell where the tag points.
    Answers,
    Tag(Option<Digest>),
}

/// A request and what it needs to be allowed.
struct Call<'a> {
    attempted: Attempted,
    scopes: Vec<String>,
    request: Request<'a>,
}

impl DirectRegistry {
    /// Checks the settings; connects to nothing yet.
    ///
    /// # Errors
    /// [`Error::Settings`] when a proxy or a certificate is not usable.
    pub fn new(settings: Arc<Settings>) -> Result<Self, Error> {
        let http = Http::new(settings)?;
        Ok(Self { core: Arc::new(Core { http, auth: Authenticator::default() }) })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.core.http.settings
    }

    /// Whether anything answers like a registry at `host[:port]`; one request.
    pub(crate) async fn answers(&self, registry: &str) -> bool {
        let attempted = Attempted {
            action: Action::CheckManifest,
            access: Access::Pull,
            registry: registry.to_owned(),
            subject: registry.to_owned(),
        };
        let Ok(url) = self.url(&attempted, "") else { return false };
        let request = Request::new(Method::GET, url);
        let answer = self.core.http.execute(&request, None, &attempted).await;
        answer.is_ok_and(|response| response.status().as_u16() < 500)
    }

    /// Asks where a tag points, once and without a second try.
    pub(crate) async fn probe(&self, at: &Repository, target: &str) -> Probe {
        let attempted = about_manifest(at, target, Action::CheckManifest, Access::Push);
        let call = self.call(Method::HEAD, at, &format!("manifests/{target}"), attempted);
        let Ok(mut call) = call else { return Probe::Silent };
        call.request.accept = Some(MANIFESTS);
        match self.once(&call).await {
            Ok(response) => match (response.status().as_u16(), digest(response.headers())) {
                (200, Some(digest)) => Probe::Tag(Some(digest)),
                (404, _) => Probe::Tag(None),
                _ => Probe::Answers,
            },
            Err(failure) => match (failure.error.kind(), &failure.error) {
                (_, Error::Refused { status: 500.., .. })
                | (Kind::Unreachable | Kind::Local | Kind::Input, _) => Probe::Silent,
                _ => Probe::Answers,
            },
        }
    }

    /// What a request to a repository is authorized with. Asks the registry what it wants where
    /// that is not known, for callers who cannot see a 401 themselves.
    pub(crate) async fn authorization(
        &self,
        at: &Repository,
        access: Access,
        attempted: &Attempted,
    ) -> Result<Option<Authorization>, Failure> {
        let origin = self.url(attempted, "")?;
        let host = self.core.auth.host(&at.registry);
        if host.is_unknown() {
            let first = host.first_contact().await;
            // Whoever was first may have found out.
            if host.is_unknown() {
                let request = Request::new(Method::GET, origin.clone());
                let response = self.core.http.execute(&request, None, attempted).await;
                host.spoke();
                host.learn(&response?);
            }
            drop(first);
        }
        host.authorization(&self.core.http, &origin, &[scope(at, access)], attempted).await
    }

    /// `scheme://host/v2/` and what follows it.
    fn url(&self, attempted: &Attempted, path: &str) -> Result<Url, Error> {
        let registry = &attempted.registry;
        let scheme = if self.settings().is_plain(registry) { "http" } else { "https" };
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
        Ok(Call { scopes, request: Request::new(method, url), attempted })
    }

    /// Sends a call once, and once more with what the registry asks for when it says 401.
    async fn once(&self, call: &Call<'_>) -> Result<Response, Failure> {
        let Call { attempted, scopes, request } = call;
        let http = &self.core.http;
        let host = self.core.auth.host(&attempted.registry);
        let origin = self.url(attempted, "")?;
        // An upload's place may be elsewhere, where our authorization has no business.
        let own = request.url.origin() == origin.origin();
        let mut last = false;
        loop {
            let first = host.first_contact().await;
            let authorization = if own {
                host.authorization(http, &origin, scopes, attempted).await?
            } else {
                None
            };
            let header = authorization.as_ref().and_then(Authorization::header);
            let response = http.execute(request, header.as_ref(), attempted).await;
            if own {
                host.spoke();
            }
            let response = response?;
            if !own {
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

    /// Sends a call as often as the policy says.
    async fn send(&self, call: &Call<'_>) -> Result<Response, Error> {
        self.settings().retry.run(|| self.once(call)).await
    }

    /// The error of an answer that is a refusal.
    async fn refuse(&self, response: Response, attempted: &Attempted) -> Error {
        let mut error = refusal(response, attempted).await;
        if let (Error::Unauthorized { withheld, .. }, Ok(origin)) =
            (&mut error, self.url(attempted, ""))
        {
            let host = self.core.auth.host(&attempted.registry);
            *withheld = host.withholds(&self.core.http, &origin);
        }
        error
    }

    /// Where an upload goes on.
    fn session(response: &Response, attempted: &Attempted) -> Result<UploadSession, Error> {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let url = location.and_then(|text| response.url().join(text).ok());
        let url = url.ok_or_else(|| answer(attempted, "it names no place for the upload"))?;
        if response.url().scheme() == "https" && url.scheme() != "https" {
            return Err(answer(attempted, "it wants the upload over plain HTTP"));
        }
        Ok(UploadSession(url))
    }

    async fn push_once(
        &self,
        to: &Repository,
        upload: Upload<'_>,
        session: Option<UploadSession>,
        attempted: &Attempted,
    ) -> Result<(), Failure> {
        let session = if let Some(session) = session {
            session
        } else {
            let call = self.call(Method::POST, to, "blobs/uploads/", attempted.clone())?;
            let response = self.once(&call).await?;
            if response.status().as_u16() != 202 {
                return Err(self.refuse(response, attempted).await.into());
            }
            Self::session(&response, attempted)?
        };
        let mut url = session.0;
        url.query_pairs_mut().append_pair("digest", &upload.blob.descriptor.digest.to_string());
        let mut request = Request::new(Method::PUT, url);
        request.content_type = Some("application/octet-stream");
        request.body = Payload::Blob(upload);
        let scopes = vec![scope(to, Access::Push)];
        let response = self.once(&Call { attempted: attempted.clone(), scopes, request }).await?;
        match response.status().as_u16() {
            201 | 204 => Ok(()),
            // The session is gone; a new one may do.
            404 => {
                let error = self.refuse(response, attempted).await;
                Err(Failure { error, again: crate::retry::Again::Later(None) })
            }
            _ => Err(self.refuse(response, attempted).await.into()),
        }
    }
}

/// The scope of a token (distribution's token specification).
fn scope(at: &Repository, access: Access) -> String {
    let actions = match access {
        Access::Pull => "pull",
        Access::Push => "pull,push",
    };
    format!("repository:{}:{actions}", at.repository)
}

/// A request about a manifest, for messages.
pub(crate) fn about_manifest(
    at: &Repository,
    target: &str,
    action: Action,
    access: Access,
) -> Attempted {
    let mark = if target.contains(':') { '@' } else { ':' };
    let subject = format!("{}{mark}{target}", name(at));
    Attempted { action, access, registry: at.registry.clone(), subject }
}

/// A request about a blob, for messages.
pub(crate) fn about_blob(
    at: &Repository,
    digest: Digest,
    action: Action,
    access: Access,
) -> Attempted {
    let subject = format!("{}@{digest}", name(at));
    Attempted { action, access, registry: at.registry.clone(), subject }
}

/// The digest that an answer names.
fn digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get("docker-content-digest")?.to_str().ok()?.parse().ok()
}

impl Registry for DirectRegistry {
    fn manifest_head<'a>(
        &'a self,
        at: &'a Repository,
        target: &'a str,
        access: Access,
    ) -> BoxFuture<'a, Result<Option<ManifestHead>, Error>> {
        Box::pin(async move {
            let attempted = about_manifest(at, target, Action::CheckManifest, access);
            let mut call =
                self.call(Method::HEAD, at, &format!("manifests/{target}"), attempted)?;
            call.request.accept = Some(MANIFESTS);
            let response = self.send(&call).await?;
            match response.status().as_u16() {
                200 => Ok(Some(ManifestHead { digest: digest(response.headers()) })),
                404 => Ok(None),
                403 if access == Access::Push => Ok(None),
                _ => Err(self.refuse(response, &call.attempted).await),
            }
        })
    }

    fn manifest_get<'a>(
        &'a self,
        at: &'a Repository,
        target: &'a str,
    ) -> BoxFuture<'a, Result<RawManifest, Error>> {
        Box::pin(async move {
            let attempted = about_manifest(at, target, Action::ReadManifest, Access::Pull);
            let mut call = self.call(Method::GET, at, &format!("manifests/{target}"), attempted)?;
            call.request.accept = Some(MANIFESTS);
            let limit = usize::try_from(DOCUMENT_LIMIT).unwrap_or(usize::MAX);
            let stall = self.settings().timeouts.stall;
            // A body that breaks off is asked for again.
            let attempt = || async {
                let response = self.once(&call).await?;
                if response.status().as_u16() != 200 {
                    return Err(self.refuse(response, &call.attempted).await.into());
                }
                let kind = response.headers().get(CONTENT_TYPE);
                let kind = kind.and_then(|value| value.to_str().ok()).unwrap_or_default();
                let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
                Ok((read(response, limit, stall, &call.attempted).await?, kind))
            };
            let (bytes, kind) = self.settings().retry.run(attempt).await?;
            let digest = Digest::of(&bytes);
            if let Ok(expected) = target.parse::<Digest>()
                && expected != digest
            {
                let subject = call.attempted.subject.clone();
                return Err(Error::DigestMismatch { subject, expected, actual: digest });
            }
            let media_type = document::media_type(&bytes).unwrap_or(kind);
            Ok(RawManifest { bytes, media_type, digest })
        })
    }

    fn manifest_put<'a>(
        &'a self,
        at: &'a Repository,
        target: &'a str,
        media_type: &'a str,
        bytes: &'a Bytes,
    ) -> BoxFuture<'a, Result<Option<Digest>, Error>> {
        Box::pin(async move {
            let attempted = about_manifest(at, target, Action::WriteManifest, Access::Push);
            let mut call = self.call(Method::PUT, at, &format!("manifests/{target}"), attempted)?;
            call.request.content_type = Some(media_type);
            call.request.body = Payload::Bytes(bytes.clone());
            let response = self.send(&call).await?;
            if response.status().is_success() {
                return Ok(digest(response.headers()));
            }
            Err(self.refuse(response, &call.attempted).await)
        })
    }

    fn blob_head<'a>(
        &'a self,
        at: &'a Repository,
        digest: Digest,
        access: Access,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            let attempted = about_blob(at, digest, Action::CheckBlob, access);
            let call = self.call(Method::HEAD, at, &format!("blobs/{digest}"), attempted)?;
            let response = self.send(&call).await?;
            match response.status().as_u16() {
                200 => Ok(true),
                404 => Ok(false),
                403 if access == Access::Push => Ok(false),
                _ => Err(self.refuse(response, &call.attempted).await),
            }
        })
    }

    fn blob_get<'a>(
        &'a self,
        at: &'a Repository,
        blob: &'a Descriptor,
    ) -> BoxFuture<'a, Result<BlobStream, Error>> {
        Box::pin(async move {
            let digest = blob.digest;
            let attempted = about_blob(at, digest, Action::ReadBlob, Access::Pull);
            let call = self.call(Method::GET, at, &format!("blobs/{digest}"), attempted)?;
            let response = self.send(&call).await?;
            if response.status().as_u16() != 200 {
                return Err(self.refuse(response, &call.attempted).await);
            }
            let place = format!("`{}`", name(at));
            let of = place.clone();
            let stream = response.bytes_stream().map_err(move |error| BlobError::Read {
                digest,
                place: of.clone(),
                source: error.without_url().into(),
            });
            Ok(guarded(Box::pin(stream), digest, place, self.settings()))
        })
    }

    fn blob_mount<'a>(
        &'a self,
        to: &'a Repository,
        from: &'a str,
        digest: Digest,
    ) -> BoxFuture<'a, Result<Mount, Error>> {
        Box::pin(async move {
            let attempted = about_blob(to, digest, Action::MountBlob, Access::Push);
            let mut call = self.call(Method::POST, to, "blobs/uploads/", attempted)?;
            call.request
                .url
                .query_pairs_mut()
                .append_pair("mount", &digest.to_string())
                .append_pair("from", from);
            if from != to.repository {
                let (registry, repository) = (to.registry.clone(), from.to_owned());
                call.scopes.push(scope(&Repository { registry, repository }, Access::Pull));
            }
            let response = match self.send(&call).await {
                Ok(response) => response,
                // A token for both repositories may not be had.
                Err(Error::Unauthorized { .. }) => return Ok(Mount::Refused),
                Err(error) => return Err(error),
            };
            Ok(match response.status().as_u16() {
                201 => Mount::Mounted,
                202 => Mount::Opened(Self::session(&response, &call.attempted)?),
                _ => Mount::Refused,
            })
        })
    }

    fn blob_push<'a>(
        &'a self,
        to: &'a Repository,
        upload: Upload<'a>,
        session: Option<UploadSession>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let digest = upload.blob.descriptor.digest;
            let attempted = about_blob(to, digest, Action::UploadBlob, Access::Push);
            let mut session = session;
            // A session is good for one attempt; each further one opens its own.
            let attempt = || self.push_once(to, upload, session.take(), &attempted);
            self.settings().retry.run(attempt).await
        })
    }
}

/// Whether a media type is one that [`MANIFESTS`] asks for as an image or an index.
pub(crate) fn is_understood(kind: &str) -> bool {
    media_type::is_manifest(kind) || media_type::is_index(kind)
}
