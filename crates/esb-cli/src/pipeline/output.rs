//! `--output DIR`: a second copy of what a run generates for people and other tools to read, the
//! Dockerfiles of functions and the configuration, in `DIR/<env>` as the earlier tool had it.
//!
//! Builds keep to `.<brand>/<env>`. Refuses a folder inside code or layers, for the next run would
//! take the copy into an image.

use std::{
    fs,
    path::{Path, PathBuf},
};

use esb_config::ConfigFile;
use esb_model::{Application, Code, ImageKind, ImageRecipe, Package, TemplateId};

use super::{Order, prepare::put, run::Run};
use crate::{
    exit::{Exit, Failure},
    inputs::{Project, normal},
};

const DOCKERFILES: [&str; 2] = ["Dockerfile", "Dockerfile.dockerignore"];

/// The folder of the copy; a relative one is seen from the folder of the first template. None
/// without `--output`.
///
/// # Errors
/// When the folder lies inside what images are made of.
pub(super) fn folder(
    run: &Run,
    order: &Order<'_>,
    app: &Application,
    recipes: &[ImageRecipe],
) -> Result<Option<PathBuf>, Failure> {
    let Some(given) = &order.build.output else { return Ok(None) };
    let project = &run.project;
    let folder = normal(&beside(project, TemplateId(0)).join(given));
    let contexts = recipes.iter().filter(|recipe| recipe.own.is_some());
    let contexts = contexts.map(|recipe| project.root.join(&recipe.context.folder));
    if let Some(code) = contexts.chain(code(project, app)).find(|code| folder.starts_with(code)) {
        let text = format!(
            "`--output {}` lies in `{}`, which becomes part of an image",
            given.display(),
            run.short(&code)
        );
        return Err(Failure::new(Exit::Input, "output", text)
            .hint("name a folder outside of code and layers"));
    }
    Ok(Some(folder.join(&project.environment)))
}

/// The folder of a template.
fn beside(project: &Project, template: TemplateId) -> &Path {
    let file = project.templates.get(template.0);
    file.and_then(|file| file.path.parent()).unwrap_or(&project.root)
}

/// The folders and files of functions and layers.
fn code(project: &Project, app: &Application) -> impl Iterator<Item = PathBuf> {
    let functions = app.functions.iter().filter_map(|function| match &function.package {
        Package::Zip(package) => Some((function.id.template, &package.code)),
        Package::Image(_) => None,
    });
    let layers = app.layers.iter().map(|layer| (layer.template, &layer.content));
    functions.chain(layers).filter_map(|(template, code)| match code {
        Code::Path { path, .. } => Some(normal(&beside(project, template).join(path))),
        _ => None,
    })
}

/// Brings the copy up to date. Of what else the folder holds only Dockerfiles of functions that are
/// gone are removed.
pub(super) fn write(run: &Run, folder: &Path, recipes: &[ImageRecipe]) -> Result<(), Failure> {
    let generated = run.project.generated();
    for file in ConfigFile::GENERATED {
        let path = Path::new("config").join(file.name());
        copy(&generated.join(&path), &folder.join(path))?;
    }
    let functions = folder.join("functions");
    let mut keep = Vec::new();
    for recipe in recipes.iter().filter(|recipe| matches!(recipe.kind, ImageKind::Function(_))) {
        let Some(name) = recipe.folder.file_name() else { continue };
        let to = functions.join(name);
        for file in DOCKERFILES {
            copy(&run.project.root.join(&recipe.folder).join(file), &to.join(file))?;
        }
        keep.push(to);
    }
    for entry in fs::read_dir(&functions).into_iter().flatten().flatten() {
        let path = entry.path();
        if !keep.contains(&path) {
            for file in DOCKERFILES {
                let _may_be_absent = fs::remove_file(path.join(file));
            }
            let _may_hold_more = fs::remove_dir(path);
        }
    }
    Ok(())
}

/// Copies a file that was generated; images of the user's own Dockerfile have none.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    match fs::read(from) {
        Ok(content) => put(to, &content),
        Err(_) => Ok(()),
    }
}
