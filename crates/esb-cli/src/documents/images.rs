//! The results of `esb image`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::ErrorFields;

/// The result of `esb image verify`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct VerifyDocument {
    /// Whether every image can be pulled.
    pub(crate) ok: bool,
    pub(crate) images: Vec<VerifiedImage>,
}

/// An image that functions.yml names.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct VerifiedImage {
    /// The function's name in functions.yml.
    pub(crate) function: String,
    pub(crate) image: String,
    /// The digest that was published, when it is known.
    pub(crate) digest: Option<String>,
    /// The answer of the registry to this machine.
    pub(crate) registry: EngineOrRegistry,
    /// The answer of the registry to the engine; null when no engine was asked.
    pub(crate) engine: Option<EngineOrRegistry>,
    /// The command that helps; null when the image can be pulled.
    pub(crate) fix: Option<String>,
}

/// What was said of an image.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct EngineOrRegistry {
    /// `ok` when the image is there with its digest.
    pub(crate) state: &'static str,
    pub(crate) reason: Option<String>,
}

/// The result of `esb image fetch`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct FetchDocument {
    /// The folder of the OCI layout.
    pub(crate) layout: String,
    pub(crate) images: Vec<FetchedImage>,
    /// The packages that lie beside the images now: the names of their files, with their bytes.
    pub(crate) wheels: BTreeMap<String, u64>,
    /// Why packages of some requirements cannot be installed without a network.
    pub(crate) missing: BTreeSet<String>,
    /// What `--mirror` takes to read the layout.
    pub(crate) mirrors: Vec<String>,
}

/// An image that the layout has now.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct FetchedImage {
    /// As templates and Dockerfiles name it.
    pub(crate) source: String,
    pub(crate) platform: String,
    pub(crate) digest: String,
    /// The size of its blobs.
    pub(crate) bytes: u64,
    /// The registry or the layout that it came from.
    pub(crate) found_in: String,
}

/// The result of `esb image import`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ImportDocument {
    /// Whether the images were only looked for.
    pub(crate) dry_run: bool,
    pub(crate) images: Vec<ImportedImage>,
    /// What could not be copied, with `--keep-going`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<ErrorFields>,
}

/// An image that was or would be copied.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ImportedImage {
    /// The functions that need it.
    pub(crate) functions: Vec<String>,
    pub(crate) source: String,
    /// Its name in the internal registry.
    pub(crate) reference: String,
    pub(crate) digest: Option<String>,
    /// What was done, such as `synced` or `skipped`.
    pub(crate) action: &'static str,
    /// What was sent, or is to be sent.
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
}

/// The result of `esb image ls`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ImagesDocument {
    pub(crate) images: Vec<HeldImage>,
}

/// The result of `esb image prune`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PruneDocument {
    /// What nothing uses.
    pub(crate) unused: Vec<HeldImage>,
    /// The ids of those that were removed.
    pub(crate) removed: Vec<String>,
}

/// An image of the project.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct HeldImage {
    /// Where it lies: `engine`, `store` or a registry.
    #[serde(rename = "in")]
    pub(crate) place: String,
    pub(crate) id: String,
    pub(crate) names: Vec<String>,
    pub(crate) bytes: u64,
    /// What uses it; null when nothing does.
    pub(crate) used_by: Option<String>,
    /// Whether this project made or published it.
    pub(crate) own: bool,
    /// Whose it is, when that is known.
    pub(crate) owner: Option<String>,
}
