//! Resolves a reference to an image for one platform: from the content store when it has the
//! digest, else from mirrors, else from the registry itself.
//!
//! Owns the order of places and what is refused. Reads manifests and configs, which it keeps in the
//! content store, never layers.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use esb_model::Platform;
use esb_oci::{
    Blob, BoxFuture, ContentStore, Descriptor, Digest, Image, ImageConfig, Index, InvalidImage,
    Manifest, Reference, manifest::media_type,
};
use serde::de::DeserializeOwned;

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

impl ResolvedImage {
    /// Makes sure that others can be built on the image: its config names each of its layers.
    ///
    /// # Errors
    /// [`Error::Document`] when it does not.
    pub fn check_layers(&self) -> Result<(), Error> {
        let failed = |source| Error::Document { reference: self.reference.to_string(), source };
        self.image.check_layers().map_err(failed)
    }
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
        let root = from.root(reference).await?;
        let mut search = Search { client: self, reference, platform, from, asked: 0 };
        search.below(root, 0).await
    }

    /// Puts an image together from its manifest, when it is one for the platform.
    async fn image(
        &self,
        reference: &Reference,
        platform: Platform,
        from: &Documents<'_>,
        root: RawManifest,
    ) -> Result<ResolvedImage, Error> {
        let store = self.settings().store.as_ref();
        let invalid = |source| Error::Document { reference: reference.to_string(), source };
        check_kind(reference, &root.media_type)?;
        let manifest: Manifest = parse(reference, "manifest", &root.bytes)?;
        let config = self.blob(reference, from, manifest.config);
        let config_bytes = match read_config(reference, &config).await {
            Err(_) if matches!(from, Documents::Store(..)) => {
                return Err(Error::NotStored { digest: config.descriptor.digest });
            }
            read => read?,
        };
        let parsed = ImageConfig::parse(&config_bytes).map_err(invalid)?;
        if let Some(available) = other_platform(&parsed, platform.architecture.oci_name()) {
            let (reference, platform) = (reference.to_string(), platform.to_string());
            return Err(Error::Platform { reference, platform, available });
        }
        keep(store, &root.bytes);
        keep(store, &config_bytes);
        let layer = |layer| self.blob(reference, from, layer);
        let layers = manifest.layers.into_iter().map(layer).collect();
        let image = Image::new(root.bytes, config_bytes, config, layers).map_err(invalid)?;
        let digest = image.digest();
        let (reference, source) = (reference.clone(), from.to_string());
        Ok(ResolvedImage { reference, image, digest, index: None, source })
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

/// The most levels of indexes in indexes; more are a loop.
const LEVELS: usize = 4;
/// The most entries without a platform that are looked at.
const ENTRIES: usize = 20;

/// The search for the image of a platform in an index, and in the indexes that it lists.
struct Search<'a> {
    client: &'a Client,
    reference: &'a Reference,
    platform: Platform,
    from: &'a Documents<'a>,
    /// How many entries without a platform were looked at.
    asked: usize,
}

impl Search<'_> {
    /// The image that a manifest is, or that an index lists: the entry that says the platform, else
    /// the first of those that do not say any whose config does.
    fn below(
        &mut self,
        root: RawManifest,
        level: usize,
    ) -> BoxFuture<'_, Result<ResolvedImage, Error>> {
        Box::pin(async move {
            let Self { client, reference, platform, from, .. } = *self;
            if !media_type::is_index(&root.media_type) || level >= LEVELS {
                return client.image(reference, platform, from, root).await;
            }
            let index: Index = parse(reference, "index", &root.bytes)?;
            let mut platforms = platforms(&index);
            let mut found = None;
            if let Some(entry) = index.select(platform.architecture.oci_name()) {
                let child = self.read(entry).await?;
                found = Some(self.below(child, level + 1).await?);
            } else {
                for entry in index.without_platform() {
                    if self.asked >= ENTRIES {
                        break;
                    }
                    self.asked += 1;
                    let child = self.read(entry).await?;
                    if !is_image(&child) {
                        continue;
                    }
                    match self.below(child, level + 1).await {
                        Ok(image) => {
                            found = Some(image);
                            break;
                        }
                        Err(Error::Platform { available, .. }) => platforms.push(available),
                        Err(error) => return Err(error),
                    }
                }
            }
            let Some(found) = found else {
                let (reference, platform) = (reference.to_string(), platform.to_string());
                return Err(Error::Platform { reference, platform, available: listed(platforms) });
            };
            keep(client.settings().store.as_ref(), &root.bytes);
            Ok(ResolvedImage { index: Some(root.digest), ..found })
        })
    }

    /// The manifest or index that an entry points at.
    async fn read(&self, entry: &Descriptor) -> Result<RawManifest, Error> {
        match stored(self.client.settings().store.as_ref(), entry.digest) {
            Ok(known) => Ok(known),
            Err(_) => self.from.manifest(self.reference, entry).await,
        }
    }
}

/// Whether a document is an index or the manifest of an image, and not of something else, such as a
/// signature.
fn is_image(document: &RawManifest) -> bool {
    if media_type::is_index(&document.media_type) {
        return true;
    }
    let manifest: Option<Manifest> = serde_json::from_slice(&document.bytes).ok();
    manifest.is_some_and(|manifest| {
        let config = &*manifest.config.media_type;
        matches!(config, media_type::OCI_CONFIG | media_type::DOCKER_CONFIG)
    })
}

fn parse<T: DeserializeOwned>(
    reference: &Reference,
    what: &'static str,
    bytes: &[u8],
) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|source| Error::Document {
        reference: reference.to_string(),
        source: InvalidImage::Json { what, source },
    })
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

/// The platform of an image that is not the one that is wanted; what a config does not say is taken
/// to be right.
fn other_platform(config: &ImageConfig, architecture: &str) -> Option<String> {
    let or = |said: &str, otherwise: &str| {
        let said = if said.is_empty() { otherwise } else { said };
        said.escape_debug().to_string()
    };
    let (os, own) = (or(config.os(), "linux"), or(config.architecture(), architecture));
    (os != "linux" || own != architecture).then(|| format!("{os}/{own}"))
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

/// The platforms that the entries of an index say.
fn platforms(index: &Index) -> Vec<String> {
    let platforms = index.manifests.iter().filter_map(|entry| entry.platform.as_ref());
    platforms
        .filter(|platform| !matches!(&*platform.os, "unknown" | ""))
        .map(|platform| {
            let variant = platform.variant.as_ref().map(|variant| format!("/{variant}"));
            let variant = variant.unwrap_or_default();
            let name = format!("{}/{}{variant}", platform.os, platform.architecture);
            name.escape_debug().to_string()
        })
        .collect()
}

/// Platforms, for people.
fn listed(mut platforms: Vec<String>) -> String {
    platforms.dedup();
    platforms.truncate(20);
    if platforms.is_empty() { "none".to_owned() } else { platforms.join(", ") }
}
