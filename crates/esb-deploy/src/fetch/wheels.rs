//! Fetches the wheels that a site without a network installs packages from.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use esb_image::FetchedWheels;
use esb_model::ImageRecipe;
use esb_oci::Folder;

use crate::{deployment::Deployment, error::Error, release::inputs};

/// The folder of wheels below a layout.
const FOLDER: &str = "wheels";

/// The folder of wheels that belongs to a layout.
pub fn wheelhouse(layout: &Path) -> PathBuf {
    layout.join(FOLDER)
}

/// The wheels that were fetched.
#[derive(Debug, Default)]
pub struct Wheels {
    /// Names of the files, with their bytes.
    pub files: BTreeMap<String, u64>,
    /// Why packages of some requirements cannot be installed without a network.
    pub missing: BTreeSet<String>,
}

/// Makes sure that no link leads what is fetched elsewhere.
pub(super) fn check(layout: &Folder) -> Result<(), Error> {
    Ok(layout.join(FOLDER).exists().map(drop)?)
}

/// Fetches the wheels of all recipes' packages, at the versions that esb.lock pins, and uv's.
pub(super) async fn fetch(
    run: &Deployment,
    recipes: &[ImageRecipe],
    layout: &Folder,
) -> Result<Wheels, Error> {
    let folder = layout.join(FOLDER);
    if recipes.iter().any(|recipe| recipe.all_dependencies().next().is_some()) {
        folder.make()?;
    }
    let folder = folder.path();
    let mut wheels = Wheels::default();
    let mut seen = BTreeSet::new();
    let mut last = None;
    let every = |recipe| ImageRecipe::all_dependencies(recipe).map(move |one| (recipe, one));
    for wanted @ (recipe, dependencies) in recipes.iter().flat_map(every) {
        let key = (&dependencies.requirements, dependencies.runtime.name(), dependencies.platform);
        if !seen.insert(key) {
            continue;
        }
        let packages = inputs::packages(run, recipe, dependencies).await?;
        run.learned.lock.check()?;
        let pins = inputs::pins(packages.as_ref());
        let request = inputs::install_request(run, wanted, &pins);
        let (installed, fetched) = run.builders.installer.fetch_wheels(request, &folder).await?;
        let FetchedWheels { wheels: files, missing } = fetched;
        last = Some(wanted);
        wheels.files.extend(files);
        match (missing, packages) {
            (Some(reason), _) => drop(wheels.missing.insert(reason)),
            (None, Some(packages)) => inputs::note_installed(run, packages, &installed),
            (None, None) => {}
        }
    }
    run.learned.lock.check()?;
    // Without them there is nothing to install.
    if let Some(wanted) = last.filter(|_| !wheels.files.is_empty()) {
        let request = inputs::install_request(run, wanted, &[]);
        wheels.files.extend(run.builders.installer.fetch_uv(request, &folder).await?);
    }
    Ok(wheels)
}
