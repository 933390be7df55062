//! `--output DIR`: a second copy of what a run generates for people and other tools to read, the
//! Dockerfiles of functions and the configuration, in `DIR/<env>` as the earlier tool had it.
//!
//! Builds keep to `.<brand>/<env>`. Refuses a folder inside code or layers, for the next run would
//! take the copy into an image.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use esb_config::ConfigFile;
use esb_model::{Application, Code, ImageKind, ImageRecipe, Package, TemplateId};
use esb_oci::{Digest, Folder};
use serde::{Deserialize, Serialize};

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
    let folder = folder.join(&project.environment);
    for name in ["config", "functions"] {
        run.project.folder_at(&folder).join(name).exists()?;
    }
    Ok(Some(folder))
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

/// What was copied, kept beside the generated files: nothing else is ever removed from a copy.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Copied {
    folder: PathBuf,
    /// The Dockerfiles by the folder of their function.
    functions: BTreeMap<String, BTreeMap<String, Digest>>,
}

/// The name of the record in the folder of the environment.
const RECORD: &str = "copied.json";

/// The most bytes of a file that is copied.
const LIMIT: u64 = 64 * 1024 * 1024;

/// Brings the copy up to date. Of what else the folder holds only Dockerfiles of functions that are
/// gone are removed, and only as an earlier run left them.
pub(super) fn write(run: &Run, folder: &Path, recipes: &[ImageRecipe]) -> Result<(), Failure> {
    let generated = run.project.folder_at(&run.project.generated());
    let to = run.project.folder_at(folder);
    for file in ConfigFile::GENERATED {
        copy(&generated.join("config"), &to.join("config"), file.name())?;
    }
    let functions = to.join("functions");
    let mut new = Copied { folder: folder.to_owned(), ..Copied::default() };
    for recipe in recipes.iter().filter(|recipe| matches!(recipe.kind, ImageKind::Function(_))) {
        let Some(name) = recipe.folder.file_name().and_then(|name| name.to_str()) else { continue };
        let from = run.project.folder().join(&recipe.folder);
        for file in DOCKERFILES {
            if let Some(digest) = copy(&from, &functions.join(name), file)? {
                let of = new.functions.entry(name.to_owned()).or_default();
                of.insert(file.to_owned(), digest);
            }
        }
    }
    let old = generated.read(RECORD, LIMIT)?.unwrap_or_default();
    let old: Copied = serde_json::from_slice(&old).unwrap_or_default();
    if old.folder == new.folder {
        remove_gone(&functions, &old, &new)?;
    }
    if old != new {
        let text = serde_json::to_vec_pretty(&new).expect("texts are JSON");
        put(&generated, RECORD, &text)?;
    }
    Ok(())
}

fn remove_gone(functions: &Folder, old: &Copied, new: &Copied) -> Result<(), Failure> {
    let is_name =
        |name: &String| Path::new(name).components().eq([Component::Normal(name.as_ref())]);
    let gone = |name: &String| is_name(name) && !new.functions.contains_key(name);
    for (name, files) in old.functions.iter().filter(|(name, _)| gone(name)) {
        for file in DOCKERFILES {
            let path = Path::new(name).join(file);
            let found = functions.read(&path, LIMIT)?;
            if found.is_some_and(|found| files.get(file) == Some(&Digest::of(&found))) {
                functions.remove_file(&path)?;
            }
        }
        functions.remove_empty(name)?;
    }
    Ok(())
}

/// Copies a file that was generated; images of the user's own Dockerfile have none.
fn copy(from: &Folder, to: &Folder, name: &str) -> Result<Option<Digest>, Failure> {
    let Some(content) = from.read(name, LIMIT)? else { return Ok(None) };
    put(to, name, &content)?;
    Ok(Some(Digest::of(&content)))
}
