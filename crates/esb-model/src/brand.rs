//! The one place that derives every path, label and variable prefix from the brand.

use std::path::{Path, PathBuf};

/// The file in a project's root that pins what images are built on.
pub const LOCK_FILE: &str = "esb.lock";

/// The file in a project's root that tells editors what `esb.toml` may hold.
pub const SETTINGS_SCHEMA: &str = "esb.schema.json";

/// The product's name in paths, image names, labels and variables
/// (docs/contracts/platform.md#branding).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brand {
    slug: String,
}

/// A brand name without any letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot be a brand: it needs a letter or digit", .0.escape_debug())]
pub struct InvalidBrand(pub String);

impl Default for Brand {
    fn default() -> Self {
        Self { slug: "esb".to_owned() }
    }
}

impl Brand {
    /// Makes a brand of a name: letters become lower-case, characters other than letters and digits
    /// become `-`.
    ///
    /// # Errors
    /// When nothing is left.
    pub fn new(name: &str) -> Result<Self, InvalidBrand> {
        let slug: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        let slug = slug.trim_matches('-').to_owned();
        if slug.is_empty() { Err(InvalidBrand(name.to_owned())) } else { Ok(Self { slug }) }
    }

    /// The brand as paths and image names have it: `esb`.
    pub fn slug(&self) -> &str {
        &self.slug
    }

    /// The prefix of environment variables without the underscore: `ESB`.
    pub fn variable_prefix(&self) -> String {
        self.slug.to_ascii_uppercase().replace('-', "_")
    }

    /// The generated folder of a project: `<root>/.esb`.
    pub fn folder(&self, root: &Path) -> PathBuf {
        root.join(self.folder_name())
    }

    /// The generated folder's name: `.esb`.
    pub fn folder_name(&self) -> String {
        format!(".{}", self.slug)
    }

    /// A label or annotation key: `com.esb.<name>`.
    pub fn label(&self, name: &str) -> String {
        format!("com.{}.{name}", self.slug)
    }

    /// The repository of a function's image: `esb-<image name>`.
    pub fn function_repository(&self, image_name: &str) -> String {
        format!("{}-{image_name}", self.slug)
    }

    /// The repository of the Lambda base images: `esb-lambda-base`.
    pub fn base_repository(&self) -> String {
        format!("{}-lambda-base", self.slug)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_follows_the_slug() {
        let brand = Brand::new("Acme Edge").unwrap();
        assert_eq!(brand.slug(), "acme-edge");
        assert_eq!(brand.variable_prefix(), "ACME_EDGE");
        assert_eq!(brand.label("kind"), "com.acme-edge.kind");
        assert_eq!(brand.base_repository(), "acme-edge-lambda-base");
        assert_eq!(brand.folder(Path::new("/p")), Path::new("/p/.acme-edge"));
        assert_eq!(Brand::new("!!"), Err(InvalidBrand("!!".into())));
    }
}
