//! The trait [`Registry`]: the requests that are made to image registries.
//!
//! It can be implemented outside this crate and given to
//! [`Client::with_registry`](crate::Client::with_registry). Which request is made when, and which
//! is left out, is decided by [`Client`](crate::Client).

use std::{fmt, future::ready, sync::Arc};

use bytes::Bytes;
use esb_model::Reporter;
use esb_oci::{Blob, BlobLocation, BlobStream, BoxFuture, Descriptor, Digest, Reference};

use crate::{Access, Attempted, Error, ErrorKind, RequestAction};

/// A repository of a registry. The registry is named as in references, so `docker.io` is Docker
/// Hub.
pub type Repository = BlobLocation;

/// The repository of a reference.
pub fn repository(reference: &Reference) -> Repository {
    Repository {
        registry: reference.registry().to_owned(),
        repository: reference.repository().to_owned(),
    }
}

/// `registry/repository`.
pub(crate) fn name(repository: &Repository) -> String {
    format!("{}/{}", repository.registry, repository.repository)
}

/// A registry's answer to a HEAD request for a manifest that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestHead {
    /// The manifest's digest. Some registries do not send it.
    pub digest: Option<Digest>,
}

/// A manifest or an index, exactly as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawManifest {
    pub bytes: Bytes,
    /// As the document itself says, else as the registry does.
    pub media_type: String,
    pub digest: Digest,
}

/// The result of an attempt to mount a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// The repository has the blob now.
    Mounted,
    /// The registry opened an upload instead, which [`Registry::blob_push`] can go on with.
    Opened(UploadSession),
    /// Not possible; an upload may be.
    Refused,
}

/// An upload that a registry opened: the URL that the bytes are sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadSession {
    pub(crate) url: String,
    /// Whether another host than the registry named the URL.
    pub(crate) is_stray: bool,
}

impl UploadSession {
    /// An upload that the registry itself opened at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), is_stray: false }
    }
}

/// The result of a request for a tag's digest, made once to see whether the registry answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagPing {
    /// No registry answers.
    NoAnswer,
    /// A registry answers, and does not say where the tag points.
    Answered,
    /// The registry does not have the tag.
    Absent,
    /// The tag points at the manifest of this digest.
    Found(Digest),
}

/// A blob to be uploaded.
#[derive(Clone, Copy)]
pub struct Upload<'a> {
    /// The blob; its source is opened anew for each attempt.
    pub blob: &'a Blob,
    /// Names the blob in events: its repository and digest.
    pub subject: &'a str,
    /// Receives the progress of the upload.
    pub reporter: &'a Arc<dyn Reporter>,
}

impl fmt::Debug for Upload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("blob", &self.blob.descriptor.digest).finish_non_exhaustive()
    }
}

/// The requests to image registries that a [`Client`](crate::Client) makes; one value serves all
/// registries.
///
/// [`DirectRegistry`](crate::DirectRegistry) implements it for registries on the network. Retrying
/// is the implementation's part. `target` is a tag or a digest.
pub trait Registry: Send + Sync + fmt::Debug {
    /// Asks for a manifest without its bytes; `None` when it is not there.
    ///
    /// With [`Access::Push`], a registry that denies reading counts as one that does not have it:
    /// the write that follows fails if it is not permitted.
    fn manifest_head<'a>(
        &'a self,
        at: &'a Repository,
        target: &'a str,
        access: Access,
    ) -> BoxFuture<'a, Result<Option<ManifestHead>, Error>>;

    /// Reads a manifest or an index. A digest as `target` is verified.
    fn manifest_get<'a>(
        &'a self,
        at: &'a Repository,
        target: &'a str,
    ) -> BoxFuture<'a, Result<RawManifest, Error>>;

    /// Writes a manifest or an index; returns the digest under which the registry says it has it,
    /// when it says so.
    fn manifest_put<'a>(
        &'a self,
        at: &'a Repository,
        target: &'a str,
        media_type: &'a str,
        bytes: &'a Bytes,
    ) -> BoxFuture<'a, Result<Option<Digest>, Error>>;

    /// Removes a manifest and all tags that lead to it; succeeds when it is not there.
    fn manifest_delete<'a>(
        &'a self,
        at: &'a Repository,
        digest: Digest,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Whether a repository has a blob. [`Access::Push`] as in [`Registry::manifest_head`].
    fn blob_head<'a>(
        &'a self,
        at: &'a Repository,
        digest: Digest,
        access: Access,
    ) -> BoxFuture<'a, Result<bool, Error>>;

    /// Starts to read a blob, from the byte at `offset` on. The bytes are not verified.
    fn blob_get<'a>(
        &'a self,
        at: &'a Repository,
        blob: &'a Descriptor,
        offset: u64,
    ) -> BoxFuture<'a, Result<BlobStream, Error>>;

    /// Uploads a blob, verified against its descriptor before its last bytes are sent; goes on with
    /// `session` when there is one.
    fn blob_push<'a>(
        &'a self,
        to: &'a Repository,
        upload: Upload<'a>,
        session: Option<UploadSession>,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Mounts a blob from another repository of the same registry. With the same repository as
    /// source it asks whether the blob is there, and opens an upload when it is not.
    ///
    /// By default nothing can be mounted.
    fn blob_mount<'a>(
        &'a self,
        _to: &'a Repository,
        _from: &'a str,
        _digest: Digest,
    ) -> BoxFuture<'a, Result<Mount, Error>> {
        Box::pin(ready(Ok(Mount::Refused)))
    }

    /// Finds out whether we may write to a repository, without writing anything.
    ///
    /// By default it succeeds without a request: the first write fails if it is not permitted.
    fn may_push<'a>(&'a self, _to: &'a Repository) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(ready(Ok(())))
    }

    /// The tags of a repository; none for one that is not there.
    fn tags<'a>(&'a self, at: &'a Repository) -> BoxFuture<'a, Result<Vec<String>, Error>>;

    /// The names of all repositories of a registry (`host[:port]`).
    fn repositories<'a>(&'a self, registry: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>>;

    /// Whether a registry answers at `host[:port]`; one request, not repeated.
    fn ping<'a>(&'a self, registry: &'a str) -> BoxFuture<'a, bool>;

    /// Asks where a tag points; a refused connection is not tried again, what may pass is. With
    /// `is_open` the registry is presumed to want no authentication; where it does want some, it
    /// counts as [`TagPing::Answered`].
    ///
    /// By default [`Registry::manifest_head`] is asked.
    fn ping_tag<'a>(
        &'a self,
        at: &'a Repository,
        tag: &'a str,
        _is_open: bool,
    ) -> BoxFuture<'a, TagPing> {
        Box::pin(async move {
            match self.manifest_head(at, tag, Access::Push).await {
                Ok(Some(ManifestHead { digest: Some(digest) })) => TagPing::Found(digest),
                Err(error) if error.kind() == ErrorKind::Unreachable => TagPing::NoAnswer,
                Ok(_) | Err(_) => TagPing::Answered,
            }
        })
    }

    /// Makes sure that a registry answers at `host[:port]`, with the patience of any other request;
    /// only where it `is_guessed`, a refused connection is not tried again.
    ///
    /// By default it is pinged.
    fn contact<'a>(
        &'a self,
        registry: &'a str,
        _is_guessed: bool,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            if self.ping(registry).await {
                return Ok(());
            }
            let attempted = Attempted::registry(registry, RequestAction::Contact, Access::Pull);
            Err(Error::Unreachable { attempted: Box::new(attempted), source: "no answer".into() })
        })
    }

    /// Whether the registry at `host[:port]` has answered anything, if only to refuse.
    fn has_answered(&self, _registry: &str) -> bool {
        false
    }

    /// Whether the registry at `host[:port]` has answered without wanting authentication.
    fn is_open(&self, _registry: &str) -> bool {
        false
    }

    /// Removes credentials that were sent to registries from what an error quotes of a document,
    /// in which a registry may have written them.
    fn redact(&self, error: Error) -> Error {
        error
    }
}
