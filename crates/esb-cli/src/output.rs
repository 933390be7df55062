//! `--output DIR`: a second copy of what a run generates for people and other tools to read, the
//! Dockerfiles of functions and the configuration, in `DIR/<env>` as the earlier tool had it.
//!
//! Builds keep to `.<brand>/<env>`.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use esb_config::{ConfigFile, READABLE};
use esb_deploy::{Error, Project, normal};
use esb_model::{ImageKind, ImageRecipe};
use esb_oci::{Digest, Folder};
use serde::{Deserialize, Serialize};

const DOCKERFILES: [&str; 2] = ["Dockerfile", "Dockerfile.dockerignore"];

/// The folder of the copy; a relative one is seen from the folder of the first template. None
/// without `--output`.
///
/// # Errors
/// When there is a link in the way.
pub(crate) fn folder(project: &Project, given: Option<&Path>) -> Result<Option<PathBuf>, Error> {
    let Some(given) = given else { return Ok(None) };
    let template = project.templates.first().and_then(|file| file.path.parent());
    let folder = normal(&template.unwrap_or(&project.root).join(given)).join(&project.environment);
    for name in ["config", "functions"] {
        project.folder_at(&folder).join(name).exists()?;
    }
    Ok(Some(folder))
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
pub(crate) fn write(
    project: &Project,
    folder: &Path,
    recipes: &[ImageRecipe],
) -> Result<(), Error> {
    let generated = project.folder_at(&project.generated());
    let to = project.folder_at(folder);
    for file in ConfigFile::GENERATED {
        copy(&generated.join("config"), &to.join("config"), file.name())?;
    }
    let functions = to.join("functions");
    let mut new = Copied { folder: folder.to_owned(), ..Copied::default() };
    for recipe in recipes.iter().filter(|recipe| matches!(recipe.kind, ImageKind::Function(_))) {
        let Some(name) = recipe.folder.file_name().and_then(|name| name.to_str()) else { continue };
        let from = project.folder().join(&recipe.folder);
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

fn remove_gone(functions: &Folder, old: &Copied, new: &Copied) -> Result<(), Error> {
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
fn copy(from: &Folder, to: &Folder, name: &str) -> Result<Option<Digest>, Error> {
    let Some(content) = from.read(name, LIMIT)? else { return Ok(None) };
    put(to, name, &content)?;
    Ok(Some(Digest::of(&content)))
}

/// Writes a file unless it has that content already.
fn put(folder: &Folder, name: &str, content: &[u8]) -> Result<(), Error> {
    if folder.holds(name, content) {
        return Ok(());
    }
    Ok(folder.write(name, content, READABLE)?)
}
