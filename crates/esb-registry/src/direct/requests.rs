//! Implements each request of the trait [`Registry`](crate::Registry).

use bytes::Bytes;
use esb_oci::{BlobError, BlobStream, BoxFuture, DOCUMENT_LIMIT, Descriptor, Digest};
use futures_util::{StreamExt as _, TryStreamExt as _};
use reqwest::{
    Method,
    header::{CONTENT_RANGE, CONTENT_TYPE},
};

use super::{Call, DirectRegistry, MANIFESTS, digest, scope, upload_url};
use crate::{
    Access, Attempted, Error, ErrorKind, ManifestHead, Mount, RawManifest, Registry, Repository,
    RequestAction, RetryPolicy, TagPing, Upload, UploadSession, document,
    http::{Payload, Request, answer},
    registry::name,
    response::{Answer, read},
    stream::guarded,
};

/// Whether an answer to a question for a part begins where it should.
fn starts_at(response: &Answer, offset: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let range = range.unwrap_or_default();
    let first = range.strip_prefix("bytes ").and_then(|range| range.split('-').next());
    first.is_some_and(|first| first.parse() == Ok(offset))
}

/// Whether an answer is a web page, as proxies and login pages send whatever is asked.
fn is_page(response: &Answer) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    response.is_own()
        && kind.is_some_and(|kind| kind.trim().to_lowercase().starts_with("text/html"))
}

fn no_registry(attempted: &Attempted) -> Error {
    answer(attempted, "what answered is no registry: it sent a web page")
}

/// A stream without its first bytes.
fn without(stream: BlobStream, bytes: u64) -> BlobStream {
    let left = stream.scan(bytes, |left, item| {
        let item = item.map(|mut chunk: Bytes| {
            let cut = usize::try_from(*left).unwrap_or(usize::MAX).min(chunk.len());
            *left -= cut as u64;
            chunk.split_off(cut)
        });
        std::future::ready(Some(item))
    });
    Box::pin(left)
}

impl Registry for DirectRegistry {
    fn manifest_head<'a>(
        &'a self,
        at: &'a Repository,
        target: &'a str,
        access: Access,
    ) -> BoxFuture<'a, Result<Option<ManifestHead>, Error>> {
        Box::pin(async move {
            let attempted = Attempted::manifest(at, target, RequestAction::CheckManifest, access);
            let mut call =
                self.call(Method::HEAD, at, &format!("manifests/{target}"), attempted)?;
            call.request.accept = Some(MANIFESTS);
            let response = self.send(&call).await?;
            match response.status().as_u16() {
                200 if is_page(&response) => Err(no_registry(&call.attempted)),
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
            let attempted =
                Attempted::manifest(at, target, RequestAction::ReadManifest, Access::Pull);
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
                Ok((read(response.response, limit, stall, &call.attempted).await?, kind))
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
            let attempted =
                Attempted::manifest(at, target, RequestAction::WriteManifest, Access::Push);
            let mut call = self.call(Method::PUT, at, &format!("manifests/{target}"), attempted)?;
            call.request.content_type = Some(media_type);
            call.request.body = Payload::Bytes(bytes.clone());
            let response = self.send(&call).await?;
            if response.status().is_success() && is_page(&response) {
                return Err(no_registry(&call.attempted));
            }
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
            let attempted = Attempted::blob(at, digest, RequestAction::CheckBlob, access);
            let call = self.call(Method::HEAD, at, &format!("blobs/{digest}"), attempted)?;
            let response = self.send(&call).await?;
            match response.status().as_u16() {
                200 if is_page(&response) => Err(no_registry(&call.attempted)),
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
        offset: u64,
    ) -> BoxFuture<'a, Result<BlobStream, Error>> {
        Box::pin(async move {
            let digest = blob.digest;
            let attempted = Attempted::blob(at, digest, RequestAction::ReadBlob, Access::Pull);
            let mut call = self.call(Method::GET, at, &format!("blobs/{digest}"), attempted)?;
            call.request.from = offset;
            let response = self.send(&call).await?;
            let skip = match response.status().as_u16() {
                206 if starts_at(&response, offset) => 0,
                // It may send the whole blob all the same.
                200 => offset,
                206 => {
                    return Err(answer(&call.attempted, "it is another part than was asked for"));
                }
                _ => return Err(self.refuse(response, &call.attempted).await),
            };
            let place = format!("`{}`", name(at));
            let of = place.clone();
            let stream = response.response.bytes_stream().map_err(move |error| BlobError::Read {
                digest,
                place: of.clone(),
                source: error.without_url().into(),
            });
            let stream = guarded(Box::pin(stream), digest, place, self.settings());
            Ok(if skip == 0 { stream } else { without(stream, skip) })
        })
    }

    fn may_push<'a>(&'a self, to: &'a Repository) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let attempted = Attempted::repository(to, RequestAction::OpenUpload, Access::Push);
            let call = self.call(Method::POST, to, "blobs/uploads/", attempted)?;
            let response = self.send(&call).await?;
            if response.status().as_u16() != 202 {
                return Err(self.refuse(response, &call.attempted).await);
            }
            let session = Self::session(&response, &call.attempted)?;
            let url = upload_url(&session, &call.attempted)?;
            let request = Request::new(Method::DELETE, url);
            let is_stray = session.is_stray;
            let scopes = vec![scope(to, Access::Push)];
            // A registry that keeps it lets it expire.
            let _given_up = self.once(&Call { scopes, request, is_stray, ..call }).await;
            Ok(())
        })
    }

    fn blob_mount<'a>(
        &'a self,
        to: &'a Repository,
        from: &'a str,
        digest: Digest,
    ) -> BoxFuture<'a, Result<Mount, Error>> {
        Box::pin(async move {
            let attempted = Attempted::blob(to, digest, RequestAction::MountBlob, Access::Push);
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
            // To mount is a shortcut: what fails twice is done without it.
            let retry = self.settings().retry;
            let retry = RetryPolicy { attempts: retry.attempts.min(2), ..retry };
            let response = match retry.run(|| self.once(&call)).await {
                Ok(response) => response,
                // Nobody accepts a connection, or the program itself is at fault.
                Err(error) if matches!(error.kind(), ErrorKind::Input | ErrorKind::Local) => {
                    return Err(error);
                }
                // It has no token for both repositories, fails, or breaks off.
                Err(_) => return Ok(Mount::Refused),
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
            let attempted = Attempted::blob(to, digest, RequestAction::UploadBlob, Access::Push);
            let mut session = session;
            // A session is good for one attempt; each further one opens its own.
            let attempt = || self.push_once(to, upload, session.take(), &attempted);
            self.settings().retry.run(attempt).await
        })
    }

    fn manifest_delete<'a>(
        &'a self,
        at: &'a Repository,
        digest: Digest,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let target = digest.to_string();
            let attempted =
                Attempted::manifest(at, &target, RequestAction::DeleteManifest, Access::Push);
            let url = self.url(&attempted, &format!("{}/manifests/{target}", at.repository))?;
            let scopes = vec![format!("repository:{}:pull,push,delete", at.repository)];
            let call = Call::new(attempted, scopes, Request::new(Method::DELETE, url));
            let response = self.send(&call).await?;
            match response.status().as_u16() {
                200 | 202 | 204 | 404 => Ok(()),
                _ => Err(self.refuse(response, &call.attempted).await),
            }
        })
    }

    fn tags<'a>(&'a self, at: &'a Repository) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(async move {
            let attempted = Attempted::repository(at, RequestAction::ListTags, Access::Pull);
            let path = format!("{}/tags/list", at.repository);
            match self.names(&path, &scope(at, Access::Pull), attempted).await {
                Err(Error::NotFound { .. }) => Ok(Vec::new()),
                names => names,
            }
        })
    }

    fn repositories<'a>(&'a self, registry: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        let attempted =
            Attempted::registry(registry, RequestAction::ListRepositories, Access::Pull);
        Box::pin(self.names("_catalog", "registry:catalog:*", attempted))
    }

    fn ping<'a>(&'a self, registry: &'a str) -> BoxFuture<'a, bool> {
        let once = RetryPolicy { attempts: 1, connects: 1, ..self.settings().retry };
        Box::pin(async move { self.answers(registry, once).await.is_ok() })
    }

    fn contact<'a>(
        &'a self,
        registry: &'a str,
        is_guessed: bool,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let policy = self.settings().retry;
        Box::pin(self.answers(registry, if is_guessed { policy.of_guess() } else { policy }))
    }

    fn ping_tag<'a>(
        &'a self,
        at: &'a Repository,
        tag: &'a str,
        is_open: bool,
    ) -> BoxFuture<'a, TagPing> {
        Box::pin(async move {
            let attempted =
                Attempted::manifest(at, tag, RequestAction::CheckManifest, Access::Push);
            let call = self.call(Method::HEAD, at, &format!("manifests/{tag}"), attempted);
            let Ok(mut call) = call else { return TagPing::NoAnswer };
            call.request.accept = Some(MANIFESTS);
            call.is_presumed_open = is_open;
            match self.settings().retry.of_guess().run(|| self.once(&call)).await {
                Ok(response) => match (response.status().as_u16(), digest(response.headers())) {
                    (200, Some(digest)) => TagPing::Found(digest),
                    (404, _) => TagPing::Absent,
                    _ => TagPing::Answered,
                },
                Err(error) => match (error.kind(), &error) {
                    (_, Error::Refused { status: 500.., .. })
                    | (ErrorKind::Unreachable | ErrorKind::Local | ErrorKind::Input, _) => {
                        TagPing::NoAnswer
                    }
                    _ => TagPing::Answered,
                },
            }
        })
    }

    fn has_answered(&self, registry: &str) -> bool {
        self.core.auth.host(registry).has_answered()
    }

    /// Whether TLS is not needed either: a registry of this machine may speak it all the same.
    fn is_open(&self, registry: &str) -> bool {
        self.core.auth.host(registry).is_open() && !self.is_secure(registry)
    }

    fn redact(&self, error: Error) -> Error {
        error.redacted(&self.core.http.redactor())
    }
}
