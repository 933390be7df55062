//! The names, references and labels of images.

use std::{collections::BTreeMap, path::PathBuf};

use esb_model::{FunctionId, ImageKind, ImageRef, PublishTarget};
use esb_oci::{Digest, Reference};

use crate::{deployment::Deployment, error::Error, options::ImageRefForm};

/// Where the images of a run go, and under which names they are found there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// The registry, when they go to one.
    pub registry: Option<PublishTarget>,
    /// Whether they go to the container engine.
    pub engine: bool,
    /// The OCI layout, when they go to one.
    pub layout: Option<PathBuf>,
    /// What precedes names in functions.yml, pushed there or not; none for local names.
    pub(crate) prefix: Option<String>,
    pub(crate) form: ImageRefForm,
    /// Whether plain tags are pushed.
    pub(crate) moving_tag: bool,
}

impl Target {
    /// Whether plain tags are pushed to the registry.
    pub fn moving_tag(&self) -> bool {
        self.moving_tag || self.registry.is_none()
    }

    /// The plain name: `<repository>:<tag>` with the prefix.
    pub fn plain(&self, repository: &str, tag: &str) -> String {
        self.name(repository, &format!(":{tag}"))
    }

    /// The tag that changes with the content (docs/contracts/platform.md#tags).
    pub fn content_tag(tag: &str, digest: Digest) -> String {
        format!("{tag}-{}", digest.short())
    }

    /// The reference that functions.yml contains.
    pub fn written(&self, repository: &str, tag: &str, digest: Digest) -> String {
        match self.form {
            ImageRefForm::Content => self.plain(repository, &Self::content_tag(tag, digest)),
            ImageRefForm::Tag => self.plain(repository, tag),
            ImageRefForm::Digest => self.name(repository, &format!("@{digest}")),
        }
    }

    /// The references of an image in the registry: by content, and the plain one.
    pub fn pushed(&self, repository: &str, tag: &str, digest: Digest) -> Option<[ImageRef; 2]> {
        let registry = self.registry.as_ref()?;
        let content = Self::content_tag(tag, digest);
        Some([registry.image(repository, &content), registry.image(repository, tag)])
    }

    /// Why the platform's Agent cannot pull the images under their names; none where they are
    /// pushed.
    pub fn unreachable(&self) -> Option<String> {
        match (&self.registry, &self.prefix) {
            (Some(_), _) => None,
            (None, Some(prefix)) => Some(format!(
                "the images have names in `{prefix}` and are not pushed there: the platform's \
                 Agent cannot pull them"
            )),
            (None, None) if self.layout.is_some() && !self.engine => Some(
                "the images are in an OCI layout, from which the platform's Agent cannot pull"
                    .to_owned(),
            ),
            (None, None) => Some(
                "the images have local names, which the platform's Agent cannot pull".to_owned(),
            ),
        }
    }

    fn name(&self, repository: &str, suffix: &str) -> String {
        match &self.prefix {
            Some(prefix) => format!("{prefix}/{repository}{suffix}"),
            None => format!("{repository}{suffix}"),
        }
    }
}

/// The function that an image is for.
pub(crate) fn function_of(kind: &ImageKind) -> Option<&FunctionId> {
    match kind {
        ImageKind::Function(id) => Some(id),
        ImageKind::Base(_) => None,
    }
}

/// The reference that this machine pushes to.
pub(crate) fn push_reference(image: &ImageRef) -> Result<Reference, Error> {
    esb_registry::push_reference(image).map_err(|error| Error::from(&error))
}

/// The labels of a function's image or of another (docs/contracts/platform.md#labels).
pub(crate) fn labels_of(run: &Deployment, function: bool) -> BTreeMap<String, String> {
    let brand = &run.project.brand;
    let mut labels = BTreeMap::from([
        (brand.label("managed"), "true".to_owned()),
        (brand.label("project"), run.compose_project.clone()),
        (brand.label("env"), run.project.environment.clone()),
    ]);
    if function {
        labels.insert(brand.label("kind"), "function".to_owned());
    }
    labels
}
