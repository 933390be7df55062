//! Where tasks take the AWS base images from: the real registry where it can be reached, else
//! stand-ins through the product's own `--mirror`.

use crate::{
    base_image::{self, Version},
    checks::{Outcome, Trouble, chain},
    probe::{REAL_BASE_REGISTRY, real_base_reachable},
    steps::{Steps, say},
};

/// Values of `--mirror`: none where the real registry answers.
pub(crate) fn mirrors(versions: &[Version]) -> Outcome<Vec<String>> {
    if real_base_reachable() {
        say(&format!("base images: the real ones of {REAL_BASE_REGISTRY}"));
        return Ok(Vec::new());
    }
    let mut mirrors = Vec::new();
    for version in versions {
        let dir = base_image::default_dir(*version);
        let made = base_image::stand_in(*version, &dir, false, &mut Steps::default());
        let made = made.map_err(|error| match error {
            base_image::Error::Missing(missing) => Trouble::Missing(missing),
            error => Trouble::Failed(chain(&error)),
        })?;
        say(&format!("base image: a {}", base_image::title(*version)));
        mirrors.push(format!("{REAL_BASE_REGISTRY}=oci:{}", made.dir.display()));
    }
    Ok(mirrors)
}
