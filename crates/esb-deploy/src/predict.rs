//! Computes, before any work, the recipes of an application and the configuration that it would
//! get.

use esb_config::{Owner, Rendered};
use esb_dockerfile::{DiskProject, Recipes};
use esb_model::{Application, ImageRecipe};
use esb_oci::ContentStore;

use crate::{
    code,
    error::{Error, Kind},
    load::Loaded,
    options::Naming,
    project::Project,
    release::configuration,
};

/// The recipes and the configuration of an application, before any work.
#[derive(Debug)]
#[non_exhaustive]
pub struct Prediction {
    /// How each image is built.
    pub recipes: Vec<ImageRecipe>,
    /// The configuration as if all images were there.
    pub preview: Rendered,
}

/// Makes recipes and a preview of the configuration; their findings join those of the templates.
/// Without owners, the entries of the preview have none; with a store, what was read of code is kept
/// there for later runs.
///
/// # Errors
/// When the project's folder cannot be opened.
pub fn predict(
    project: &Project,
    naming: &Naming,
    owners: &[Owner],
    store: Option<&ContentStore>,
    loaded: &mut Loaded,
) -> Result<Prediction, Error> {
    let recipes = recipes(project, naming, &loaded.app)?;
    loaded.merge_findings(recipes.findings);
    code::before(project, store, &recipes.images, loaded);
    let preview = configuration::preview(project, owners, &loaded.app, &recipes.images);
    loaded.merge_findings(preview.findings.clone());
    Ok(Prediction { recipes: recipes.images, preview })
}

/// The recipes of an application.
fn recipes(project: &Project, naming: &Naming, app: &Application) -> Result<Recipes, Error> {
    let disk = DiskProject::open(&project.root).map_err(|error| {
        let text = format!("could not open the project folder `{}`", project.root.display());
        Error::of(Kind::Local, "disk", &error).during(text)
    })?;
    let settings = esb_dockerfile::RecipeSettings {
        brand: &project.brand,
        environment: &project.environment,
        registry_prefix: naming.prefix.as_deref(),
        tag: &naming.tag,
        template_folders: project.templates.iter().map(|file| file.folder.clone()).collect(),
        platform: naming.platform,
        follow_links: project.follow_links,
    };
    Ok(esb_dockerfile::recipes(app, &settings, &disk))
}
