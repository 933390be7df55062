//! Settings of recipes: names, tags, folders.
//!
//! Owns the derivation of every image name and of every path below `.<brand>/<env>/`. Refuses to
//! look at a template or the disk.

use std::path::PathBuf;

use esb_model::{Brand, FollowLinks, Platform, Runtime, TemplateId, environment_folder};

/// The runtime whose base image carries the plain tag, and the default of a function without one
/// (docs/contracts/platform.md#runtimes).
pub(crate) const DEFAULT_RUNTIME: &str = "python3.12";

/// The handler of a function without one (docs/contracts/platform.md#runtimes).
pub(crate) const DEFAULT_HANDLER: &str = "lambda_function.lambda_handler";

/// The settings that recipes depend on besides the application and the disk.
#[derive(Debug, Clone)]
pub struct RecipeSettings<'a> {
    pub brand: &'a Brand,
    /// The environment's name, which is one path segment.
    pub environment: &'a str,
    /// The value of `CONTAINER_REGISTRY`; without it Dockerfiles carry local names.
    pub registry_prefix: Option<&'a str>,
    /// The tag of function images and of the default base image.
    pub tag: &'a str,
    /// The folder of each template by its id, relative to the project root or absolute.
    pub template_folders: Vec<PathBuf>,
    /// Overrides what templates say.
    pub platform: Option<Platform>,
    /// How far links that lead out of code or of a layer may lead.
    pub follow_links: FollowLinks,
}

impl RecipeSettings<'_> {
    /// `.esb/<env>`: where everything that is made for a build lies.
    pub(crate) fn folder(&self) -> PathBuf {
        let environment = environment_folder(self.environment);
        [self.brand.folder_name().as_str(), &environment].iter().collect()
    }

    /// Dockerfile and staged inputs of one function: under its own name where that is a plain
    /// folder, as AWS's rules for names make sure, else under its image's.
    pub(crate) fn function_folder(&self, name: &str, image: &str) -> PathBuf {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let is_plain = !name.is_empty() && !name.starts_with('.') && name.chars().all(plain);
        self.folder().join("functions").join(if is_plain { name } else { image })
    }

    /// The staged content of one layer, which functions share.
    pub(crate) fn layer_folder(&self, name: &str) -> PathBuf {
        self.folder().join("layers").join(name)
    }

    /// Below this, the packages of one layer lie for each runtime and architecture.
    pub(crate) fn layer_packages(&self, name: &str) -> PathBuf {
        self.folder().join("layer-packages").join(name)
    }

    /// The build context of a base image; the architecture is named where a run has both.
    pub(crate) fn base_folder(&self, runtime: &Runtime, architecture: Option<&str>) -> PathBuf {
        let name = match architecture {
            Some(architecture) => format!("{}-{architecture}", runtime.name()),
            None => runtime.name().to_owned(),
        };
        self.folder().join("base").join(name)
    }

    /// The tag of a runtime's base image (docs/contracts/platform.md#base-images).
    pub(crate) fn base_tag(&self, runtime: &Runtime) -> String {
        if runtime.name() == DEFAULT_RUNTIME {
            self.tag.to_owned()
        } else {
            format!("{}-{}", self.tag, runtime.name())
        }
    }

    /// The name of a runtime's base image in `FROM`.
    pub(crate) fn base_reference(&self, runtime: &Runtime) -> String {
        let name = format!("{}:{}", self.brand.base_repository(), self.base_tag(runtime));
        match self.registry_prefix.map(|prefix| prefix.trim_end_matches('/')) {
            None | Some("") => name,
            Some(prefix) => format!("{prefix}/{name}"),
        }
    }

    /// The folder that paths of a template count from.
    pub(crate) fn template_folder(&self, template: TemplateId) -> PathBuf {
        self.template_folders.get(template.0).cloned().unwrap_or_default()
    }
}
