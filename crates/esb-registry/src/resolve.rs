//! From a reference to an image: mirrors first, then the registry itself, the right platform of an
//! index.
//!
//! Owns the order of places and what is refused. Reads manifests and configs, never layers.

use std::sync::Arc;

use esb_model::Platform;
use esb_oci::{
    Digest, Image, ImageConfig, Index, InvalidImage, Manifest, Reference, manifest::media_type,
};

use crate::{
    Client, Error, RawManifest,
    document::is_schema_1,
    error::Tried,
    mirror::MirrorPlace,
    registry::{Repository, repository},
    source::{Place, read_config},
};

/// An image as it was found.
#[derive(Debug, Clone)]
pub struct ResolvedImage {
    /// As it was asked for.
    pub reference: Reference,
    /// The image of the platform, its layers to be had where it was found.
    pub image: Image,
    /// The digest of the platform's manifest.
    pub digest: Digest,
    /// The digest of the index that the reference stands for, when it is one.
    pub index: Option<Digest>,
    /// Where it was found: `registry/repository` or `oci:DIR`.
    pub source: String,
}

impl Client {
    /// Finds an image for a platform: in the mirrors of its registry, in order, then in the
    /// registry itself, unless the settings say offline.
    ///
    /// # Errors
    /// [`Error::Unresolved`] with every place that was tried, and why it did not serve.
    pub async fn resolve(
        &self,
        reference: &Reference,
        platform: Platform,
    ) -> Result<ResolvedImage, Error> {
        let mut tried = Vec::new();
        for (name, place) in self.places(reference) {
            let result = match place {
                Ok(place) => self.assemble(reference, platform, place).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(image) => return Ok(image),
                Err(error) => tried.push(Tried { place: name, error }),
            }
        }
        Err(self.unresolved(reference, tried))
    }

    /// Finds what a reference stands for, whatever its kind.
    pub(crate) async fn find(&self, reference: &Reference) -> Result<(Place, RawManifest), Error> {
        let mut tried = Vec::new();
        for (name, place) in self.places(reference) {
            let result = match place {
                Ok(place) => place.root(reference).await.map(|root| (place, root)),
                Err(error) => Err(error),
            };
            match result {
                Ok(found) => return Ok(found),
                Err(error) => tried.push(Tried { place: name, error }),
            }
        }
        Err(self.unresolved(reference, tried))
    }

    fn unresolved(&self, reference: &Reference, tried: Vec<Tried>) -> Error {
        let offline = self.settings().offline;
        Error::Unresolved { reference: reference.to_string(), tried, offline }
    }

    /// The places to look for a reference, in order, each with its name.
    fn places(&self, reference: &Reference) -> Vec<(String, Result<Place, Error>)> {
        let settings = self.settings();
        let mut places = Vec::new();
        for mirror in settings.mirrors.of(reference.registry()) {
            match mirror {
                MirrorPlace::Layout(root) => {
                    let place = format!("oci:{}", root.display());
                    places.push((place, Place::layout(root, reference)));
                }
                MirrorPlace::Registry { host, prefix } => {
                    let moved = reference.moved_to(host, prefix.as_deref());
                    places.push(self.in_registry(repository(&moved)));
                }
            }
        }
        places.push(self.in_registry(repository(reference)));
        if settings.offline {
            places.retain(|(_, place)| !matches!(place, Ok(Place::Repository(_))));
        }
        places
    }

    fn in_registry(&self, at: Repository) -> (String, Result<Place, Error>) {
        let place = Place::repository(Arc::clone(self.registry()), at);
        (place.to_string(), Ok(place))
    }

    async fn assemble(
        &self,
        reference: &Reference,
        platform: Platform,
        place: Place,
    ) -> Result<ResolvedImage, Error> {
        let mut root = place.root(reference).await?;
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
            root = place.manifest(reference, entry).await?;
        }
        check_kind(reference, &root.media_type)?;
        let manifest: Manifest = serde_json::from_slice(&root.bytes).map_err(json("manifest"))?;
        let config = place.blob(manifest.config);
        let config_bytes = read_config(reference, &config).await?;
        let architecture =
            ImageConfig::parse(&config_bytes).map_err(invalid)?.architecture().to_owned();
        if !architecture.is_empty() && architecture != wanted {
            return Err(Error::Platform {
                reference: reference.to_string(),
                platform: platform.to_string(),
                available: format!("linux/{}", architecture.escape_debug()),
            });
        }
        let layers = manifest.layers.into_iter().map(|layer| place.blob(layer)).collect();
        let image = Image::new(root.bytes, config_bytes, config, layers).map_err(invalid)?;
        let digest = image.digest();
        let (reference, source) = (reference.clone(), place.to_string());
        Ok(ResolvedImage { reference, image, digest, index: index_digest, source })
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
