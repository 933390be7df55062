//! Resolves a reference to an image for one platform: from the content store when it has the
//! digest, else from mirrors, else from the registry itself.
//!
//! Owns the order of places and what is refused. Reads manifests and configs, which it keeps in the
//! content store, never layers.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use esb_model::Platform;
use esb_oci::{
    Blob, ContentStore, Descriptor, Digest, Image, ImageConfig, Index, InvalidImage, Manifest,
    Reference, manifest::media_type,
};

use crate::{
    Client, Error, RawManifest,
    document::{self, is_schema_1},
    error::TriedPlace,
    mirror::MirrorPlace,
    registry::{Repository, repository},
    source::{FirstAvailable, ImageSource, read_config},
};

/// A resolved image and where it was found.
#[derive(Debug, Clone)]
pub struct ResolvedImage {
    /// As it was asked for.
    pub reference: Reference,
    /// The image for the platform; its layers are read from where it was found.
    pub image: Image,
    /// The digest of the platform's manifest.
    pub digest: Digest,
    /// The digest of the index that the reference stands for, when it is one.
    pub index: Option<Digest>,
    /// Where it was found: `registry/repository`, `oci:DIR`, or the content store.
    pub source: String,
}

/// How the content store is called among the places that were tried.
pub(crate) const STORE: &str = "the content store";

impl Client {
    /// Finds an image for a platform: in the mirrors of its registry, in order, then in the
    /// registry itself, unless the settings say offline. A reference with a digest whose manifest
    /// and config lie in the settings' content store costs no request; its layers are then read
    /// from the first place that has them, once somebody asks for them.
    ///
    /// # Errors
    /// [`Error::Unresolved`] with every place that was tried, and why it did not serve.
    pub async fn resolve(
        &self,
        reference: &Reference,
        platform: Platform,
    ) -> Result<ResolvedImage, Error> {
        let mut tried = Vec::new();
        if let (Some(store), Some(digest)) = (&self.settings().store, reference.digest()) {
            match self.assemble(reference, platform, &Documents::Store(store, digest)).await {
                Ok(image) => return Ok(image),
                Err(error) => tried.push(TriedPlace { place: STORE.to_owned(), error }),
            }
        }
        for (name, place) in self.places(reference) {
            let result = match place {
                Ok(place) => self.assemble(reference, platform, &Documents::Source(place)).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(image) => return Ok(image),
                Err(error) => tried.push(TriedPlace { place: name, error }),
            }
        }
        Err(self.unresolved(reference, tried))
    }

    /// Finds what a reference stands for, whatever its kind.
    pub(crate) async fn find(
        &self,
        reference: &Reference,
    ) -> Result<(ImageSource, RawManifest), Error> {
        let mut tried = Vec::new();
        for (name, place) in self.places(reference) {
            let result = match place {
                Ok(place) => place.root(reference).await.map(|root| (place, root)),
                Err(error) => Err(error),
            };
            match result {
                Ok(found) => return Ok(found),
                Err(error) => tried.push(TriedPlace { place: name, error }),
            }
        }
        Err(self.unresolved(reference, tried))
    }

    fn unresolved(&self, reference: &Reference, tried: Vec<TriedPlace>) -> Error {
        let offline = self.settings().offline;
        Error::Unresolved { reference: reference.to_string(), tried, offline }
    }

    /// The places to look for a reference, in order, each with its name.
    pub(crate) fn places(
        &self,
        reference: &Reference,
    ) -> Vec<(String, Result<ImageSource, Error>)> {
        let settings = self.settings();
        let mut places = Vec::new();
        for mirror in settings.mirrors.of(reference.registry()) {
            match mirror {
                MirrorPlace::Layout(root) => {
                    let place = format!("oci:{}", root.display());
                    places.push((place, ImageSource::layout(root, reference)));
                }
                MirrorPlace::Registry { host, prefix } => {
                    let moved = reference.moved_to(host, prefix.as_deref());
                    places.push(self.in_registry(repository(&moved)));
                }
            }
        }
        places.push(self.in_registry(repository(reference)));
        if settings.offline {
            places.retain(|(_, place)| !matches!(place, Ok(ImageSource::Repository(_))));
        }
        places
    }

    pub(crate) fn in_registry(&self, at: Repository) -> (String, Result<ImageSource, Error>) {
        let place = ImageSource::repository(self, at);
        (place.to_string(), Ok(place))
    }

    pub(crate) async fn assemble(
        &self,
        reference: &Reference,
        platform: Platform,
        from: &Documents<'_>,
    ) -> Result<ResolvedImage, Error> {
        let assembled = self.put_together(reference, platform, from).await;
        assembled.map_err(|error| self.without_credentials(error))
    }

    async fn put_together(
        &self,
        reference: &Reference,
        platform: Platform,
        from: &Documents<'_>,
    ) -> Result<ResolvedImage, Error> {
        let store = self.settings().store.as_ref();
        let mut root = from.root(reference).await?;
        let wanted = platform.architecture.oci_name();
        let invalid = |source| Error::Document { reference: reference.to_string(), source };
        let json = |what| {
            move |source| Error::Document {
                reference: reference.to_string(),
                source: InvalidImage::Json { what, source },
            }
        };
        let mut index_digest = None;
        // An index may hold an index; more than a few levels are a loop.
        for _ in 0..4 {
            if !media_type::is_index(&root.media_type) {
                break;
            }
            let index: Index = serde_json::from_slice(&root.bytes).map_err(json("index"))?;
            let entry = index.select(wanted).ok_or_else(|| Error::Platform {
                reference: reference.to_string(),
                platform: platform.to_string(),
                available: available(&index),
            })?;
            index_digest.get_or_insert(root.digest);
            keep(store, &root.bytes);
            root = match stored(store, entry.digest) {
                Ok(known) => known,
                Err(_) => from.manifest(reference, entry).await?,
            };
        }
        check_kind(reference, &root.media_type)?;
        let manifest: Manifest = serde_json::from_slice(&root.bytes).map_err(json("manifest"))?;
        let config = self.blob(reference, from, manifest.config);
        let config_bytes = match read_config(reference, &config).await {
            Err(_) if matches!(from, Documents::Store(..)) => {
                return Err(Error::NotStored { digest: config.descriptor.digest });
            }
            read => read?,
        };
        let architecture =
            ImageConfig::parse(&config_bytes).map_err(invalid)?.architecture().to_owned();
        if !architecture.is_empty() && architecture != wanted {
            return Err(Error::Platform {
                reference: reference.to_string(),
                platform: platform.to_string(),
                available: format!("linux/{}", architecture.escape_debug()),
            });
        }
        keep(store, &root.bytes);
        keep(store, &config_bytes);
        let layer = |layer| self.blob(reference, from, layer);
        let layers = manifest.layers.into_iter().map(layer).collect();
        let image = Image::new(root.bytes, config_bytes, config, layers).map_err(invalid)?;
        let digest = image.digest();
        let (reference, source) = (reference.clone(), from.to_string());
        Ok(ResolvedImage { reference, image, digest, index: index_digest, source })
    }

    /// A blob of an image: from the store when it is there, else from where the image was found.
    fn blob(&self, reference: &Reference, from: &Documents<'_>, descriptor: Descriptor) -> Blob {
        let store = match (&self.settings().store, from) {
            (Some(store), _) => store,
            (None, Documents::Store(store, _)) => store,
            (None, Documents::Source(place)) => return place.blob(descriptor),
        };
        let places = match from {
            Documents::Source(place) => vec![place.clone()],
            Documents::Store(..) => {
                self.places(reference).into_iter().filter_map(|(_, place)| place.ok()).collect()
            }
        };
        Blob { descriptor, source: Arc::new(FirstAvailable::new(store.clone(), &places)) }
    }
}

/// Where the documents of an image are read.
pub(crate) enum Documents<'a> {
    /// The content store, which has what a digest stands for.
    Store(&'a ContentStore, Digest),
    Source(ImageSource),
}

impl fmt::Display for Documents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(..) => f.write_str(STORE),
            Self::Source(place) => place.fmt(f),
        }
    }
}

impl Documents<'_> {
    async fn root(&self, reference: &Reference) -> Result<RawManifest, Error> {
        match self {
            Self::Store(store, digest) => stored(Some(store), *digest),
            Self::Source(place) => place.root(reference).await,
        }
    }

    async fn manifest(
        &self,
        reference: &Reference,
        entry: &Descriptor,
    ) -> Result<RawManifest, Error> {
        match self {
            Self::Store(store, _) => stored(Some(store), entry.digest),
            Self::Source(place) => place.manifest(reference, entry).await,
        }
    }
}

/// A manifest or index that the store has.
fn stored(store: Option<&ContentStore>, digest: Digest) -> Result<RawManifest, Error> {
    let absent = Error::NotStored { digest };
    let Some(bytes) = store.and_then(|store| store.document(digest)) else { return Err(absent) };
    let Some(media_type) = document::media_type(&bytes) else { return Err(absent) };
    Ok(RawManifest { bytes: bytes.into(), media_type, digest })
}

/// Keeps a document for later runs; that it fails is no reason to stop one.
fn keep(store: Option<&ContentStore>, bytes: &Bytes) {
    if let Some(store) = store {
        let _ = store.put(bytes);
    }
}

/// Refuses what is no image manifest.
pub(crate) fn check_kind(reference: &Reference, kind: &str) -> Result<(), Error> {
    let reference = || reference.to_string();
    if is_schema_1(kind) {
        return Err(Error::Schema1 { reference: reference() });
    }
    if !media_type::is_manifest(kind) {
        let media_type = kind.chars().take(200).collect();
        return Err(Error::NotAnImage { reference: reference(), media_type });
    }
    Ok(())
}

/// The platforms of an index, for people.
fn available(index: &Index) -> String {
    let platforms = index.manifests.iter().filter_map(|entry| entry.platform.as_ref());
    let mut names: Vec<String> = platforms
        .filter(|platform| platform.os != "unknown")
        .map(|platform| {
            let variant = platform.variant.as_ref().map(|variant| format!("/{variant}"));
            let variant = variant.unwrap_or_default();
            let name = format!("{}/{}{variant}", platform.os, platform.architecture);
            name.escape_debug().to_string()
        })
        .collect();
    names.dedup();
    names.truncate(20);
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
