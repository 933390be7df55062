//! Manifests, indexes and descriptors, in the field order in which they are written.
//!
//! What comes from elsewhere keeps its raw bytes beside the parsed form, so that its digest never
//! changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Digest, Image, InvalidImage};

/// Media types of the OCI image specification and of Docker's schema 2.
pub mod media_type {
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    pub const OCI_LAYER_TAR: &str = "application/vnd.oci.image.layer.v1.tar";
    pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    pub const DOCKER_LAYER_TAR: &str = "application/vnd.docker.image.rootfs.diff.tar";
    pub const DOCKER_SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+json";
    pub const DOCKER_SCHEMA_1_SIGNED: &str =
        "application/vnd.docker.distribution.manifest.v1+prettyjws";

    /// Whether the type is that of a list of manifests.
    pub fn is_index(media_type: &str) -> bool {
        matches!(media_type, OCI_INDEX | DOCKER_INDEX)
    }

    /// Whether the type is that of one image's manifest.
    pub fn is_manifest(media_type: &str) -> bool {
        matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
    }
}

/// Reads a value that may be `null`, which is as good as empty: programs in Go write empty lists and
/// maps so.
///
/// # Errors
/// When the value is neither.
pub fn or_null<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Points at a blob or manifest (OCI image specification, "Content Descriptors").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformSpec>,
    #[serde(default, deserialize_with = "or_null", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The platform of an index entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformSpec {
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// The manifest of one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    pub config: Descriptor,
    #[serde(default, deserialize_with = "or_null")]
    pub layers: Vec<Descriptor>,
    #[serde(default, deserialize_with = "or_null", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A list of manifests, one for each platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    pub schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    #[serde(default, deserialize_with = "or_null")]
    pub manifests: Vec<Descriptor>,
    #[serde(default, deserialize_with = "or_null", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// A descriptor without platform and annotations.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            platform: None,
            annotations: BTreeMap::new(),
        }
    }
}

impl Index {
    /// The index of one image for each platform, in the order of their architectures.
    ///
    /// # Errors
    /// When a config tells no architecture.
    pub fn of_platforms<'a>(
        images: impl IntoIterator<Item = &'a Image>,
    ) -> Result<Self, InvalidImage> {
        let mut manifests = Vec::new();
        for image in images {
            let config = image.parse_config()?;
            let architecture = config.architecture().to_owned();
            let os = "linux".to_owned();
            let platform = Some(PlatformSpec { architecture, os, variant: None });
            manifests.push(Descriptor { platform, ..image.descriptor.clone() });
        }
        let architecture = |entry: &Descriptor| {
            entry.platform.as_ref().map(|platform| platform.architecture.clone())
        };
        manifests.sort_by_key(architecture);
        let docker = manifests.iter().all(|entry| entry.media_type == media_type::DOCKER_MANIFEST);
        let kind = if docker { media_type::DOCKER_INDEX } else { media_type::OCI_INDEX };
        let (media_type, annotations) = (Some(kind.to_owned()), BTreeMap::new());
        Ok(Self { schema_version: 2, media_type, manifests, annotations })
    }

    /// The bytes that are pushed, and what points at them.
    pub fn to_document(&self) -> (Vec<u8>, Descriptor) {
        let bytes = serde_json::to_vec(self).expect("texts and numbers are JSON");
        let kind = self.media_type.as_deref().unwrap_or(media_type::OCI_INDEX);
        let descriptor = Descriptor::new(kind, Digest::of(&bytes), bytes.len() as u64);
        (bytes, descriptor)
    }

    /// The entry of a platform: an exact architecture on Linux, the one without variant first.
    /// Attestations and other entries without a real platform are never chosen.
    pub fn select(&self, architecture: &str) -> Option<&Descriptor> {
        let fits = |descriptor: &&Descriptor| {
            descriptor.platform.as_ref().is_some_and(|platform| {
                platform.os == "linux" && platform.architecture == architecture
            })
        };
        let variant = |descriptor: &&Descriptor| {
            descriptor.platform.as_ref().and_then(|platform| platform.variant.clone())
        };
        self.manifests.iter().filter(fits).min_by_key(variant)
    }

    /// The entries that do not say for which platform they are, in their order: only what they
    /// point at does.
    pub fn without_platform(&self) -> impl Iterator<Item = &Descriptor> {
        let says_nothing =
            |platform: &PlatformSpec| platform.os.is_empty() && platform.architecture.is_empty();
        self.manifests.iter().filter(move |entry| entry.platform.as_ref().is_none_or(says_nothing))
    }
}
