//! Recipes of the base images with the platform's hooks (docs/contracts/platform.md#base-images).
//!
//! Owns the choice of the language's version in the base's Dockerfile. Its build context is carried
//! by `esb-runtime` and staged as a whole, so that nothing of it depends on the project.

use std::path::Path;

use esb_model::{
    BaseRef, BuildContext, Family, ImageKind, ImageRecipe, Platform, Runtime, Staged, StagedSource,
};
use esb_runtime::Asset;

use crate::RecipeSettings;

/// The Dockerfile among the assets.
const DOCKERFILE: &str = "docker/Dockerfile";

/// One language's base.
struct Language {
    assets: &'static [Asset],
    /// What a line starts with that says which version the base is for.
    version_line: &'static str,
    /// Nothing but the hooks belongs into the context.
    dockerignore: &'static str,
}

impl Language {
    fn of(runtime: &Runtime) -> Self {
        if runtime.family() == Family::Java {
            Self {
                assets: esb_runtime::java_base(),
                version_line: "ARG JAVA_VERSION=",
                dockerignore: "# Only the hooks\n*\n!dist\n",
            }
        } else {
            Self {
                assets: esb_runtime::python_base(),
                version_line: "ARG PYTHON_VERSION=",
                dockerignore: "# Only the hooks\n*\n!extensions\n",
            }
        }
    }
}

/// The recipe of a runtime's base image; `both` says that the run needs it for both architectures.
pub(crate) fn recipe(
    settings: &RecipeSettings<'_>,
    runtime: &Runtime,
    platform: Platform,
    both: bool,
) -> ImageRecipe {
    let architecture = both.then(|| platform.architecture.oci_name());
    let folder = settings.base_folder(runtime, architecture);
    let language = Language::of(runtime);
    let dockerfile = dockerfile(&language, runtime);
    let staged = language
        .assets
        .iter()
        .filter(|asset| asset.path != DOCKERFILE)
        .map(|asset| Staged {
            target: folder.join(Path::new(asset.path)),
            source: StagedSource::Content(asset.content.to_vec()),
        })
        .collect();
    ImageRecipe::new(
        settings.brand.base_repository(),
        settings.base_tag(runtime),
        ImageKind::Base(runtime.clone()),
        platform,
        BaseRef::External { reference: runtime.aws_base_image() },
        dockerfile,
    )
    .with_dockerignore(language.dockerignore.to_owned())
    .with_context(BuildContext { folder: folder.clone() })
    .with_folder(folder)
    .with_staged(staged)
}

/// The base's Dockerfile with the default of its version argument set. A preview's tag, which is
/// not the version, is named as it is.
fn dockerfile(language: &Language, runtime: &Runtime) -> String {
    let version = runtime.version();
    let asset = language
        .assets
        .iter()
        .find(|asset| asset.path == DOCKERFILE)
        .expect("esb-runtime carries the base's Dockerfile");
    let text = std::str::from_utf8(asset.content).expect("our own Dockerfile is UTF-8");
    let mut lines = String::with_capacity(text.len());
    for line in text.lines() {
        if line.starts_with(language.version_line) {
            lines.push_str(language.version_line);
            lines.push_str(version);
        } else if line.starts_with("FROM ") && runtime.aws_tag() != version {
            lines.push_str("FROM ");
            lines.push_str(&runtime.aws_base_image());
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

    fn check(first: &str, second: &str) {
        let (first, second) = (first.parse().unwrap(), second.parse().unwrap());
        let language = Language::of(&first);
        let dockerfile = |runtime: &Runtime| dockerfile(&language, runtime);
        let (old, new) = (dockerfile(&first), dockerfile(&second));
        let version = |runtime: &Runtime| format!("VERSION={}", runtime.version());
        assert_eq!(old.replace(&version(&first), &version(&second)), new);
        assert_ne!(old, new);
        let original = language.assets.iter().find(|asset| asset.path == DOCKERFILE);
        assert_eq!(old.as_bytes(), original.unwrap().content);
    }

    #[test]
    fn the_version_is_the_only_difference() {
        check("python3.12", "python3.9");
        check("java21", "java11");
        check("java21", "java17.al2023");
    }

    #[test]
    fn a_preview_has_a_tag_of_its_own() {
        let runtime: Runtime = "python3.15".parse().unwrap();
        let text = dockerfile(&Language::of(&runtime), &runtime);
        assert!(text.contains("FROM public.ecr.aws/lambda/python:3.15-preview\n"), "{text}");
        assert_eq!(text.matches("ARG PYTHON_VERSION=3.15\n").count(), 2);
    }
}
