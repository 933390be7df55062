//! The trait that all build engines implement, with its requests and results.

use std::{collections::BTreeMap, path::Path};

use esb_model::{ImageRecipe, ImageRef, Reporter};
use esb_oci::{BoxFuture, DEFAULT_EPOCH, Digest, Image};

use crate::{Error, Pins, PublishedImages};

/// Makes one image of one recipe.
///
/// Whatever two engines both accept, they build to the same flattened file system and config,
/// after the normalisation of modes, owners, times and extended attributes.
pub trait Builder: Send + Sync {
    /// `embedded`, `docker`, …, as `--builder` names it.
    fn name(&self) -> &'static str;

    /// Whether the engine can build the recipe; the error says what it cannot do.
    ///
    /// # Errors
    /// [`Unsupported`] with the instruction that needs another engine.
    fn supports(&self, recipe: &ImageRecipe) -> Result<(), Unsupported>;

    /// Predicts what [`Builder::build`] would do; `None` when only the engine knows.
    fn predict<'a>(
        &'a self,
        _request: BuildRequest<'a>,
    ) -> BoxFuture<'a, Result<Option<BuildPrediction>, Error>> {
        Box::pin(async { Ok(None) })
    }

    /// Builds. Staged inputs and dependencies of the recipe are in place.
    fn build<'a>(
        &'a self,
        request: BuildRequest<'a>,
        reporter: &'a dyn Reporter,
    ) -> BoxFuture<'a, Result<BuildReport, Error>>;
}

/// Everything that a build needs beside the engine itself. [`BuildRequest::new`] makes one.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct BuildRequest<'a> {
    pub recipe: &'a ImageRecipe,
    /// The project root, which the recipe's paths are relative to.
    pub root: &'a Path,
    /// The image for each name after `FROM`.
    pub bases: &'a BTreeMap<String, Base>,
    /// Labels beside those of the Dockerfile; they win.
    pub labels: &'a BTreeMap<String, String>,
    /// The label that gets the image's fingerprint, when one is wanted
    /// (docs/contracts/platform.md#labels).
    pub fingerprint_label: Option<&'a str>,
    /// What the names of our annotations start with: `com.esb.`, as those of our labels.
    pub label_prefix: &'a str,
    /// The time of all files and of the image, in seconds since 1970.
    pub epoch: i64,
    /// Use no result of an earlier build.
    pub no_cache: bool,
    /// The output needs the layers of bases as well: those that are read from a registry are kept
    /// in the content store, so that they come once.
    pub keep_bases: bool,
    /// Finds images that are published already, where that is possible.
    pub published: Option<&'a dyn PublishedImages>,
    /// Digests that the caller has found trustworthy.
    pub pins: &'a Pins,
    /// Whether annotations of published images are trusted.
    pub trusts_published: bool,
}

impl<'a> BuildRequest<'a> {
    /// A request without labels of its own, for whom nothing is published yet; the other fields can
    /// be set afterwards. Annotations start with `com.esb.`, and the time is [`DEFAULT_EPOCH`].
    pub fn new(recipe: &'a ImageRecipe, root: &'a Path, bases: &'a BTreeMap<String, Base>) -> Self {
        static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();
        static NO_PINS: Pins = Pins { image: None, packages: None };
        Self {
            recipe,
            root,
            bases,
            labels: &NO_LABELS,
            fingerprint_label: None,
            label_prefix: "com.esb.",
            epoch: DEFAULT_EPOCH,
            no_cache: false,
            keep_bases: false,
            published: None,
            pins: &NO_PINS,
            trusts_published: false,
        }
    }
}

/// An image that others are built on.
#[derive(Debug, Clone)]
pub struct Base {
    /// Its manifest, config and layers; layers may lie in a registry and need not be read.
    pub image: Image,
    /// A reference under which a registry has it, for engines that pull: push host and repository.
    pub pullable: Option<String>,
    /// What `org.opencontainers.image.base.name` says.
    pub name: String,
}

/// An image that was built, and where it is.
#[derive(Debug, Clone)]
pub enum Built {
    /// In the content store and in the sources of its base's layers. The config of one that was
    /// made before may not have been read ([`Image::read_config`]).
    Local(Box<Image>),
    /// In an engine, under its id.
    InEngine { id: String },
    /// A daemon pushed it already.
    Pushed { reference: ImageRef, digest: Digest },
}

/// The result of a build, with its reason.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BuildReport {
    pub built: Built,
    pub action: Action,
    /// A sentence fragment for `-v` and JSON: `code changed`, `same content, base and recipe`.
    pub reason: String,
    /// The daemon of a fleet that built it.
    pub daemon: Option<String>,
    /// Digests that a later build on another machine need not find out again.
    pub pins: Pins,
}

/// The prediction of what a build would do.
#[derive(Debug, Clone)]
pub enum BuildPrediction {
    /// An earlier image would be used.
    Reuse(Box<Image>),
    /// One would be made, for this reason.
    Build { reason: String },
}

/// Whether an image was built or found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Built,
    /// An earlier build of the same content was used.
    Cached,
}

/// A recipe that an engine cannot build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the Dockerfile: {reason}")]
pub struct Unsupported {
    /// The line in the Dockerfile, from 1.
    pub line: usize,
    pub reason: String,
}

impl std::fmt::Debug for BuildRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BuildRequest")
            .field("recipe", &self.recipe.repository)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}
