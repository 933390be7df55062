//! One image: its manifest's raw bytes, its config, and its layers with their sources.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Blob, BlobError, Descriptor, Digest, ImageConfig, Manifest, manifest::media_type};

/// The most bytes that a manifest, an index or a config may have; registries refuse larger ones.
pub const DOCUMENT_LIMIT: u64 = 4 * 1024 * 1024;

/// An image for one platform, complete enough to be pushed anywhere.
#[derive(Debug, Clone)]
pub struct Image {
    /// The bytes whose digest `descriptor` has.
    pub manifest_bytes: Bytes,
    pub descriptor: Descriptor,
    /// The parsed manifest.
    pub manifest: Arc<Manifest>,
    /// The config's JSON; `None` when it was not read, because an image that is only pushed or
    /// named needs none.
    pub config_bytes: Option<Bytes>,
    pub config: Blob,
    pub layers: Vec<Blob>,
}

/// A manifest or a config that is not valid, or does not match its digest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidImage {
    #[error("the {what} is not valid JSON of its kind")]
    Json {
        what: &'static str,
        #[source]
        source: serde_json::Error,
    },
    #[error("manifest `{digest}` names {expected} layers, and {actual} came with it")]
    LayerCount { digest: Digest, expected: usize, actual: usize },
    #[error(
        "manifest `{digest}` has {layers} layers, and its config names {diff_ids} (`diff_ids`)"
    )]
    DiffIds { digest: Digest, layers: usize, diff_ids: usize },
    #[error("the config of image `{digest}` was not read")]
    ConfigNotRead { digest: Digest },
    #[error("`{media_type}` is not an image manifest")]
    NotAManifest { media_type: String },
}

impl Image {
    /// Puts an image together from a manifest's raw bytes and its blobs.
    ///
    /// # Errors
    /// When the bytes are no manifest, or the layers are not as many as it names.
    pub fn new(
        manifest_bytes: Bytes,
        config_bytes: Bytes,
        config: Blob,
        layers: Vec<Blob>,
    ) -> Result<Self, InvalidImage> {
        let unread = Self::unread(manifest_bytes, config, layers)?;
        Ok(Self { config_bytes: Some(config_bytes), ..unread })
    }

    /// An image whose config is not read.
    ///
    /// # Errors
    /// As [`Image::new`].
    pub fn unread(
        manifest_bytes: Bytes,
        config: Blob,
        layers: Vec<Blob>,
    ) -> Result<Self, InvalidImage> {
        let manifest: Manifest = serde_json::from_slice(&manifest_bytes)
            .map_err(|source| InvalidImage::Json { what: "manifest", source })?;
        let kind = manifest.media_type.as_deref().unwrap_or(media_type::OCI_MANIFEST);
        if !media_type::is_manifest(kind) {
            return Err(InvalidImage::NotAManifest { media_type: kind.to_owned() });
        }
        let digest = Digest::of(&manifest_bytes);
        if manifest.layers.len() != layers.len() {
            return Err(InvalidImage::LayerCount {
                digest,
                expected: manifest.layers.len(),
                actual: layers.len(),
            });
        }
        let descriptor = Descriptor::new(kind, digest, manifest_bytes.len() as u64);
        let manifest = Arc::new(manifest);
        Ok(Self { manifest_bytes, descriptor, manifest, config_bytes: None, config, layers })
    }

    /// The config, parsed.
    ///
    /// # Errors
    /// [`InvalidImage::ConfigNotRead`] when it was not read, and when it is no JSON object.
    pub fn parse_config(&self) -> Result<ImageConfig, InvalidImage> {
        let bytes = self.config_bytes.as_ref();
        ImageConfig::parse(
            bytes.ok_or_else(|| InvalidImage::ConfigNotRead { digest: self.digest() })?,
        )
    }

    /// Checks that the config names each layer, as it must for others to be built on the image.
    ///
    /// # Errors
    /// [`InvalidImage::DiffIds`] when it names more or fewer, and as [`Image::parse_config`].
    pub fn check_layers(&self) -> Result<(), InvalidImage> {
        let (layers, diff_ids) = (self.layers.len(), self.parse_config()?.diff_ids().len());
        if layers == diff_ids {
            return Ok(());
        }
        Err(InvalidImage::DiffIds { digest: self.digest(), layers, diff_ids })
    }

    /// Reads the config from its source unless it was read.
    ///
    /// # Errors
    /// When its source fails or has other bytes.
    pub async fn read_config(&mut self) -> Result<(), BlobError> {
        if self.config_bytes.is_none() {
            self.config_bytes = Some(self.config.read(DOCUMENT_LIMIT).await?);
        }
        Ok(())
    }

    /// The manifest's digest, which is the image's.
    pub fn digest(&self) -> Digest {
        self.descriptor.digest
    }
}
