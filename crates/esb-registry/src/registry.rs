//! The trait behind which a registry's protocol lies.
//!
//! Owns the requests that this product makes, as one object-safe trait. Refuses policy: what is
//! asked in which order, and what is skipped, is [`Client`](crate::Client)'s part.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use esb_model::Reporter;
use esb_oci::{Blob, BlobLocation, BlobStream, BoxFuture, Descriptor, Digest, Reference};

use crate::{Access, DirectRegistry, Error};

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

/// What a registry says about a manifest without sending it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestHead {
    /// Some registries do not tell.
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

/// What became of an attempt to mount a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// The repository has the blob now.
    Mounted,
    /// The registry opened an upload instead, which [`Registry::blob_push`] can go on with.
    Opened(UploadSession),
    /// Not possible; an upload may be.
    Refused,
}

/// An upload that a registry opened: the place that the bytes go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadSession {
    pub(crate) place: reqwest::Url,
    /// Whether another host than the registry named the place.
    pub(crate) is_stray: bool,
}

/// A blob on its way to a registry.
#[derive(Clone, Copy)]
pub struct Upload<'a> {
    /// Opened anew for each attempt.
    pub blob: &'a Blob,
    /// Hears of the progress.
    pub reporter: &'a Arc<dyn Reporter>,
}

impl fmt::Debug for Upload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("blob", &self.blob.descriptor.digest).finish_non_exhaustive()
    }
}

/// The requests to registries that this product makes; one value speaks to all of them.
///
/// Every request is retried as the settings say. `target` is a tag or a digest.
///
/// What an implementation leaves out, [`DirectRegistry`] does, which itself leaves out nothing.
pub trait Registry: Send + Sync + fmt::Debug {
    /// Who does what is left out.
    fn direct(&self) -> &DirectRegistry;

    /// Asks for a manifest without its bytes; `None` when it is not there.
    ///
    /// With [`Access::Push`] a registry that does not let us look counts as one that does not have
    /// it: what is written afterwards tells whether we may.
    fn manifest_head<'a>(
        &'a self,
        at: &'a Repository,
        target: &'a str,
        access: Access,
    ) -> BoxFuture<'a, Result<Option<ManifestHead>, Error>> {
        self.direct().manifest_head(at, target, access)
    }

    /// Reads a manifest or an index. A digest as `target` is verified.
    fn manifest_get<'a>(
        &'a self,
        at: &'a Repository,
        target: &'a str,
    ) -> BoxFuture<'a, Result<RawManifest, Error>> {
        self.direct().manifest_get(at, target)
    }

    /// Writes a manifest or an index; gives the digest under which the registry says it has it,
    /// when it says so.
    fn manifest_put<'a>(
        &'a self,
        at: &'a Repository,
        target: &'a str,
        media_type: &'a str,
        bytes: &'a Bytes,
    ) -> BoxFuture<'a, Result<Option<Digest>, Error>>;

    /// Whether a repository has a blob.
    fn blob_head<'a>(
        &'a self,
        at: &'a Repository,
        digest: Digest,
        access: Access,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        self.direct().blob_head(at, digest, access)
    }

    /// Starts to read a blob, from the byte at `offset` on. The bytes are not verified.
    fn blob_get<'a>(
        &'a self,
        at: &'a Repository,
        blob: &'a Descriptor,
        offset: u64,
    ) -> BoxFuture<'a, Result<BlobStream, Error>> {
        self.direct().blob_get(at, blob, offset)
    }

    /// Finds out whether we may write to a repository, without writing anything: an upload is
    /// opened and given up.
    fn may_push<'a>(&'a self, to: &'a Repository) -> BoxFuture<'a, Result<(), Error>> {
        self.direct().may_push(to)
    }

    /// Lets a repository have a blob that another one of the same registry has. From itself it
    /// is a question whose answer opens an upload where the blob is missing.
    fn blob_mount<'a>(
        &'a self,
        to: &'a Repository,
        from: &'a str,
        digest: Digest,
    ) -> BoxFuture<'a, Result<Mount, Error>> {
        self.direct().blob_mount(to, from, digest)
    }

    /// Uploads a blob, verified against its descriptor before its last bytes are sent; goes on with
    /// `session` when there is one.
    fn blob_push<'a>(
        &'a self,
        to: &'a Repository,
        upload: Upload<'a>,
        session: Option<UploadSession>,
    ) -> BoxFuture<'a, Result<(), Error>>;
}
