//! The results of a run.

use esb_model::{Finding, ImageRecipe};
use esb_oci::LockedFile;

use crate::{
    apply::{
        config::{Places, Written},
        pull::Pulled,
        workers::Replaced,
    },
    external::External,
    image_names::Target,
    load::Loaded,
    made_image::MadeImage,
    revision::Revision,
};

/// The results of a run. No other run of the same environment begins until it is dropped.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The templates, with everything that was found.
    pub loaded: Loaded,
    /// What was found in code once packages were installed; also among those of `loaded`.
    pub code_findings: Vec<Finding>,
    /// How each image is built.
    pub recipes: Vec<ImageRecipe>,
    /// Where images went.
    pub target: Target,
    /// The images that were built or found again: base images, then functions'.
    pub images: Vec<MadeImage>,
    /// What the site was brought to.
    pub revision: Revision,
    /// External images of image functions.
    pub externals: Vec<External>,
    /// Where the configuration went.
    pub places: Places,
    /// The configuration files that were written.
    pub written: Written,
    /// What the Gateway's engine pulled.
    pub pulled: Pulled,
    /// What happened to workers.
    pub replaced: Replaced,
    /// Keeps other runs away.
    pub(crate) _lock: Option<LockedFile>,
}
