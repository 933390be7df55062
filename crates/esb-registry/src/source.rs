//! Places that images come from: a repository of a registry, or a layout on disk.
//!
//! Owns the one way to read a manifest or a blob from either, and the source of blobs that may lie
//! in the content store already.

use std::{fmt, path::Path, sync::Arc};

use bytes::Bytes;
use esb_oci::{
    Blob, BlobError, BlobLocation, BlobSource, BlobStream, BoxFuture, ContentStore, DOCUMENT_LIMIT,
    Descriptor, Digest, Index, LayoutError, OciLayout, Reference, manifest::media_type,
};

use crate::{
    Access, Attempted, Client, Error, RawManifest, Registry, Repository, RequestAction,
    RetryPolicy,
    direct::is_understood,
    partial::Partials,
    registry::{name, repository},
    resume::resuming,
};

/// The blobs of one repository.
#[derive(Debug, Clone)]
pub(crate) struct RepositorySource {
    registry: Arc<dyn Registry>,
    repository: Repository,
    policy: RetryPolicy,
    partials: Option<Partials>,
}

impl BlobSource for RepositorySource {
    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream, BlobError>> {
        Box::pin(async move {
            let (registry, at) = (Arc::clone(&self.registry), self.repository.clone());
            let kept = self.partials.as_ref().map(|partials| partials.open(blob));
            resuming(registry, at, blob.clone(), self.policy, kept).await
        })
    }

    fn location(&self) -> Option<BlobLocation> {
        Some(self.repository.clone())
    }
}

/// Blobs of an image: from the content store when they are there, else from the first place that
/// has them.
#[derive(Debug)]
pub(crate) struct FirstAvailable {
    store: ContentStore,
    places: Vec<Arc<dyn BlobSource>>,
    /// Names of the places, for errors.
    names: String,
}

impl FirstAvailable {
    pub(crate) fn new(store: ContentStore, places: &[ImageSource]) -> Self {
        let names: Vec<String> = places.iter().map(|place| format!(", `{place}`")).collect();
        let names = names.concat();
        Self { store, places: places.iter().map(ImageSource::source).collect(), names }
    }
}

impl BlobSource for FirstAvailable {
    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream, BlobError>> {
        Box::pin(async move {
            if self.store.has(blob) {
                return self.store.open(blob).await;
            }
            let mut failure = None;
            for place in &self.places {
                match place.open(blob).await {
                    Ok(stream) => return Ok(stream),
                    // What is more than "not here" tells what has to change.
                    Err(error @ BlobError::Missing { .. }) => {
                        failure.get_or_insert(error);
                    }
                    Err(error) => failure = Some(error),
                }
            }
            Err(if let Some(error @ BlobError::Read { .. }) = failure {
                error
            } else {
                let place = format!("the content store{}", self.names);
                BlobError::Missing { digest: blob.digest, place }
            })
        })
    }

    fn location(&self) -> Option<BlobLocation> {
        self.places.first()?.location()
    }

    fn mismatched(&self, blob: &Descriptor) {
        self.store.mismatched(blob);
    }
}

/// Where an image is read from.
#[derive(Clone)]
pub(crate) enum ImageSource {
    Repository(RepositorySource),
    Layout(OciLayout),
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository(source) => f.write_str(&name(&source.repository)),
            Self::Layout(layout) => write!(f, "oci:{}", layout.root().display()),
        }
    }
}

impl ImageSource {
    pub(crate) fn repository(client: &Client, repository: Repository) -> Self {
        let settings = client.settings();
        let partials = settings.store.as_ref().map(|store| Partials::new(store, settings.slow));
        let (registry, policy) = (Arc::clone(client.registry()), settings.retry);
        Self::Repository(RepositorySource { registry, repository, policy, partials })
    }

    pub(crate) fn layout(root: &Path, reference: &Reference) -> Result<Self, Error> {
        OciLayout::open(root)
            .map(Self::Layout)
            .map_err(|source| Error::Layout { reference: reference.to_string(), source })
    }

    /// A blob of this place.
    pub(crate) fn blob(&self, descriptor: Descriptor) -> Blob {
        Blob { descriptor, source: self.source() }
    }

    fn source(&self) -> Arc<dyn BlobSource> {
        match self {
            Self::Repository(source) => Arc::new(source.clone()),
            Self::Layout(layout) => Arc::new(layout.clone()),
        }
    }

    /// The digest that a reference stands for, without its manifest; `None` where the place does
    /// not tell it.
    pub(crate) async fn head(&self, reference: &Reference) -> Result<Option<Digest>, Error> {
        match self {
            Self::Repository(source) => {
                let (at, target) = (&source.repository, reference.target());
                let head = source.registry.manifest_head(at, &target, Access::Pull).await?;
                // Whether it is there at all is asked with GET, which gets the registry's reason.
                Ok(head.and_then(|head| head.digest))
            }
            Self::Layout(_) => Ok(Some(self.root(reference).await?.digest)),
        }
    }

    /// The manifest or index that a reference stands for.
    pub(crate) async fn root(&self, reference: &Reference) -> Result<RawManifest, Error> {
        match self {
            Self::Repository(source) => {
                let target = reference.target();
                source.registry.manifest_get(&source.repository, &target).await
            }
            Self::Layout(layout) => {
                let failed = |source| Error::Layout { reference: reference.to_string(), source };
                let tag = reference.tag().unwrap_or("latest");
                let name = format!("{}:{tag}", reference.repository());
                let digest = reference.digest();
                let entry = match (layout.find(&name, digest), digest) {
                    (Some(entry), _) => Some(entry.clone()),
                    (None, Some(digest)) => self.nested(layout, digest).await.map_err(failed)?,
                    (None, None) => None,
                };
                let entry = entry.ok_or_else(|| {
                    let name = digest.map_or(name, |digest| digest.to_string());
                    failed(LayoutError::NotFound { path: layout.root().to_owned(), name })
                })?;
                self.manifest(reference, &entry).await
            }
        }
    }

    /// The entry of a digest inside the indexes that a layout's own index lists.
    async fn nested(
        &self,
        layout: &OciLayout,
        digest: Digest,
    ) -> Result<Option<Descriptor>, LayoutError> {
        let names: Vec<&str> = layout.names().take(1000).collect();
        for entry in names.into_iter().filter_map(|name| layout.find(name, None)) {
            if !media_type::is_index(&entry.media_type) {
                continue;
            }
            let bytes = self.blob(entry.clone()).read(DOCUMENT_LIMIT).await?;
            let index: Option<Index> = serde_json::from_slice(&bytes).ok();
            let children = index.map(|index| index.manifests).unwrap_or_default();
            if let Some(child) = children.into_iter().find(|child| child.digest == digest) {
                return Ok(Some(child));
            }
        }
        Ok(None)
    }

    /// The manifest or index of a descriptor.
    pub(crate) async fn manifest(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<RawManifest, Error> {
        match self {
            Self::Repository(source) => {
                let target = descriptor.digest.to_string();
                source.registry.manifest_get(&source.repository, &target).await
            }
            Self::Layout(_) => {
                let bytes = self.blob(descriptor.clone()).read(DOCUMENT_LIMIT).await;
                let bytes = bytes.map_err(|source| Error::Layout {
                    reference: reference.to_string(),
                    source: source.into(),
                })?;
                let own = crate::document::media_type(&bytes);
                let media_type = match own {
                    Some(own) if is_understood(&own) => own,
                    _ => descriptor.media_type.clone(),
                };
                Ok(RawManifest { bytes, media_type, digest: descriptor.digest })
            }
        }
    }
}

/// Reads the config of an image.
pub(crate) async fn read_config(reference: &Reference, config: &Blob) -> Result<Bytes, Error> {
    config.read(DOCUMENT_LIMIT).await.map_err(|source| {
        let digest = config.descriptor.digest;
        let at =
            Attempted::blob(&repository(reference), digest, RequestAction::ReadBlob, Access::Pull);
        Error::Source { attempted: Box::new(at), source }
    })
}
