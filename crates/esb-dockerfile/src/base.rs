//! Recipes of the base images with the platform's hooks (contracts, section 10.3).
//!
//! Owns the choice of the Python version in the base's Dockerfile. Its build context is carried
//! by `esb-runtime` and staged as a whole, so that nothing of it depends on the project.

use std::path::Path;

use esb_model::{
    BaseRef, BuildContext, ImageKind, ImageRecipe, Platform, Runtime, Staged, StagedSource,
};

use crate::Settings;

/// The Dockerfile among the assets.
const DOCKERFILE: &str = "docker/Dockerfile";

/// What a line starts with that says which Python the base is for.
const VERSION_LINE: &str = "ARG PYTHON_VERSION=";

/// Nothing but the hooks belongs into the context.
const DOCKERIGNORE: &str = "# Only the hooks\n*\n!extensions\n";

/// The recipe of a runtime's base image; `both` says that the run needs it for both architectures.
pub(crate) fn recipe(
    settings: &Settings<'_>,
    runtime: &Runtime,
    platform: Platform,
    both: bool,
) -> ImageRecipe {
    let architecture = both.then(|| platform.architecture.oci_name());
    let folder = settings.base_folder(runtime, architecture);
    let dockerfile = dockerfile(runtime.version());
    let staged = esb_runtime::python_base()
        .iter()
        .filter(|asset| asset.path != DOCKERFILE)
        .map(|asset| Staged {
            target: folder.join(Path::new(asset.path)),
            source: StagedSource::Content(asset.content.to_vec()),
        })
        .collect();
    ImageRecipe {
        repository: settings.brand.base_repository(),
        tag: settings.base_tag(runtime),
        kind: ImageKind::Base(runtime.clone()),
        platform,
        base: BaseRef::External { reference: runtime.aws_base_image() },
        dockerfile,
        dockerignore: DOCKERIGNORE.to_owned(),
        context: BuildContext { folder: folder.clone() },
        folder,
        staged,
        dependencies: None,
        own: None,
    }
}

/// The base's Dockerfile with the default of its version argument set.
fn dockerfile(version: &str) -> String {
    let asset = esb_runtime::python_base()
        .iter()
        .find(|asset| asset.path == DOCKERFILE)
        .expect("esb-runtime carries the base's Dockerfile");
    let text = std::str::from_utf8(asset.content).expect("our own Dockerfile is UTF-8");
    let mut lines = String::with_capacity(text.len());
    for line in text.lines() {
        if line.starts_with(VERSION_LINE) {
            lines.push_str(VERSION_LINE);
            lines.push_str(version);
        } else {
            lines.push_str(line);
        }
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_only_difference() {
        let (old, new) = (dockerfile("3.12"), dockerfile("3.9"));
        assert_eq!(old.replace("VERSION=3.12", "VERSION=3.9"), new);
        assert_ne!(old, new);
        let original = esb_runtime::python_base().iter().find(|asset| asset.path == DOCKERFILE);
        assert_eq!(old.as_bytes(), original.unwrap().content);
    }
}
