//! Records the images that runs of a project made, including those of earlier deploys.
//!
//! There is one list for each environment, beside the generated files: labels only say which
//! platform an image is for, which many applications share, and a tag that has moved no longer
//! names an earlier image. It also records which other projects used the same content store,
//! because their published configuration may name the same images. It does not decide which images
//! are used.

use std::path::{Path, PathBuf};

use esb_oci::{Digest, Folder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    deployment::Deployment,
    error::Error,
    folders::put,
    image_names::{Target, function_of, push_reference},
    made_image::MadeImage,
    project::Project,
    record,
};

/// An image that a run made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeHere {
    /// Of its manifest.
    pub digest: Digest,
    /// Of its config, which is the id that most engines give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Digest>,
    /// The registry and repository that it was pushed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<String>,
    /// Application and template of its function; a base has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct History {
    version: u32,
    /// The newest last.
    images: Vec<MadeHere>,
}

/// The file's name in the folder of the environment.
const NAME: &str = "made.json";

const VERSION: u32 = 1;

/// The most bytes of the file that are read.
const LIMIT: u64 = 64 * 1024 * 1024;

/// The oldest images beyond so many are forgotten.
const MOST: usize = 4000;

/// The store's record of the folders that ran with it.
const PROJECTS: &str = "project-folders";

/// The folders beyond so many that ran first are forgotten.
const MOST_PROJECTS: usize = 256;

/// Adds what a run made, before any of it is published.
pub(crate) fn note(run: &Deployment, target: &Target, made: &[MadeImage]) -> Result<(), Error> {
    note_folder(run)?;
    let folder = run.project.folder_at(&run.project.generated());
    let mut history = read(&folder)?;
    let before = history.images.len();
    for image in made {
        let one = of_image(run, target, image)?;
        if !history.images.contains(&one) {
            history.images.push(one);
        }
    }
    if history.images.len() == before {
        return Ok(());
    }
    let over = history.images.len().saturating_sub(MOST);
    history.images.drain(..over);
    history.version = VERSION;
    let text = serde_json::to_string_pretty(&history).expect("texts and lists are JSON");
    put(&folder, NAME, format!("{text}\n").as_bytes())
}

fn of_image(run: &Deployment, target: &Target, made: &MadeImage) -> Result<MadeHere, Error> {
    let pushed = match &target.registry {
        Some(registry) => {
            let reference = push_reference(&registry.image(&made.repository, &made.tag))?;
            let at = esb_registry::repository(&reference);
            Some(format!("{}/{}", at.registry, at.repository))
        }
        None => None,
    };
    let owner = function_of(&made.kind).and_then(|id| run.owners().get(id.template.0).cloned());
    Ok(MadeHere {
        digest: made.image.digest(),
        config: Some(made.image.config.descriptor.digest),
        pushed,
        owner: owner.map(|owner| owner.to_string()),
    })
}

/// A list that cannot be understood is none: nothing is removed for it.
fn read(folder: &Folder) -> Result<History, Error> {
    let text = folder.read(NAME, LIMIT)?.unwrap_or_default();
    Ok(serde_json::from_slice(&text).unwrap_or_default())
}

/// Lists the images that runs of an environment made; `folder` is that of its generated files.
pub fn of_environment(folder: &Folder) -> Result<Vec<MadeHere>, Error> {
    let mut images = read(folder)?.images;
    // Runs of earlier versions left this of their last images.
    let last = folder.read(record::NAME, LIMIT)?.unwrap_or_default();
    let last: Value = serde_json::from_slice(&last).unwrap_or_default();
    for image in last["images"].as_array().into_iter().flatten() {
        let digest = image["digest"].as_str().and_then(|digest| digest.parse().ok());
        let Some(digest) = digest else { continue };
        let pull = image["pull"].as_str().and_then(|name| name.parse().ok());
        let at = pull.map(|reference| esb_registry::repository(&reference));
        let pushed = at.map(|at| format!("{}/{}", at.registry, at.repository));
        images.push(MadeHere { digest, config: None, pushed, owner: None });
    }
    Ok(images)
}

fn note_folder(run: &Deployment) -> Result<(), Error> {
    let root = real(&run.project);
    let mut known: Vec<PathBuf> = run.connections.store.record(PROJECTS, key()).unwrap_or_default();
    // A path that is no text cannot be noted.
    if root.to_str().is_none() || known.contains(&root) {
        return Ok(());
    }
    known.push(root);
    let over = known.len().saturating_sub(MOST_PROJECTS);
    known.drain(..over);
    Ok(run.connections.store.set_record(PROJECTS, key(), &known)?)
}

/// The roots of other projects that ran with the same store and are still there.
pub fn other_projects(run: &Deployment) -> Vec<PathBuf> {
    let known: Vec<PathBuf> = run.connections.store.record(PROJECTS, key()).unwrap_or_default();
    let own = real(&run.project);
    known.into_iter().filter(|root| *root != own && root.is_dir()).collect()
}

fn real(project: &Project) -> PathBuf {
    let root: &Path = &project.root;
    root.canonicalize().unwrap_or_else(|_| root.to_owned())
}

fn key() -> Digest {
    Digest::of(PROJECTS.as_bytes())
}
