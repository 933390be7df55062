//! Renders the runtime configuration of a run: as a preview for its findings, and with the images
//! once they are known.

use std::collections::BTreeMap;

use esb_config::{ImportedImage, Owner, PublishedImage, Rendered};
use esb_model::{Application, FunctionId, ImageKind, ImageRecipe, Package};

use crate::{
    deployment::Deployment,
    external::External,
    image_names::{Target, function_of},
    project::Project,
    release::bases::BuiltImages,
};

/// Renders the configuration as if all images were there, for its findings.
pub(crate) fn preview(
    project: &Project,
    owners: &[Owner],
    app: &Application,
    recipes: &[ImageRecipe],
) -> Rendered {
    let mut images = BTreeMap::new();
    let placeholder = || PublishedImage { reference: "-".to_owned(), ..PublishedImage::default() };
    for recipe in recipes {
        if let ImageKind::Function(id) = &recipe.kind {
            images.insert(id.clone(), placeholder());
        }
    }
    for function in &app.functions {
        if matches!(&function.package, Package::Image(package) if package.uri.is_some()) {
            images.insert(function.id.clone(), placeholder());
        }
    }
    render(project, owners, app, &images, "")
}

/// The configuration of what a run made.
pub(crate) fn of_run(
    run: &Deployment,
    app: &Application,
    target: &Target,
    made: &BuiltImages,
    externals: &[External],
) -> Rendered {
    let mut images: BTreeMap<FunctionId, PublishedImage> = BTreeMap::new();
    for image in &made.images {
        if let Some(id) = function_of(&image.kind) {
            let digest = image.image.digest();
            let reference = target.written(&image.repository, &image.tag, digest);
            let published = PublishedImage {
                reference,
                digest: digest.to_string(),
                ..PublishedImage::default()
            };
            images.insert(id.clone(), published);
        }
    }
    for external in externals {
        images.insert(external.function.clone(), published_external(external));
    }
    let push_target = target.registry.as_ref().map_or("", |registry| registry.push_host());
    render(&run.project, &run.owners(), app, &images, push_target)
}

/// A function's image as functions.yml would name it; one that has to be built has no tag yet.
pub(crate) fn of_image(
    target: &Target,
    recipe: &ImageRecipe,
    image: Option<&esb_oci::Image>,
) -> PublishedImage {
    let (reference, digest) = match image.map(esb_oci::Image::digest) {
        Some(digest) => {
            (target.written(&recipe.repository, &recipe.tag, digest), digest.to_string())
        }
        None => (format!("{} (new)", target.plain(&recipe.repository, &recipe.tag)), String::new()),
    };
    PublishedImage { reference, digest, ..PublishedImage::default() }
}

fn published_external(external: &External) -> PublishedImage {
    let digest = external.digest.map(|digest| digest.to_string()).unwrap_or_default();
    // A tag and a push by hand would bring the image without what is changed.
    let copied = external.target.as_ref().filter(|_| !external.is_changed());
    let import = copied.map(|target| ImportedImage {
        source: external.source.clone(),
        image_ref: target.runtime(),
    });
    let hooks_loaded_by = external.hooks_loaded_by.clone();
    PublishedImage { reference: external.name.clone(), digest, import, hooks_loaded_by }
}

fn render(
    project: &Project,
    owners: &[Owner],
    app: &Application,
    images: &BTreeMap<FunctionId, PublishedImage>,
    push_target: &str,
) -> Rendered {
    let settings = esb_config::RenderSettings {
        owners: owners.to_vec(),
        push_target: push_target.to_owned(),
        secret_env: project.secret_env.clone(),
        containerd_prefix: project
            .containerd
            .then(|| format!("{}-{}-", project.brand.slug(), project.environment)),
    };
    esb_config::render(app, images, &settings)
}

/// The configuration where the images of functions are known as far as they are.
pub(crate) fn with_images(
    run: &Deployment,
    app: &Application,
    mut images: BTreeMap<FunctionId, PublishedImage>,
    externals: &[External],
) -> Rendered {
    for external in externals {
        images.insert(external.function.clone(), published_external(external));
    }
    render(&run.project, &run.owners(), app, &images, "")
}
