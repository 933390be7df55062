//! Records the images that runs of a project made, including those of earlier deploys.
//!
//! There is one list for each environment, beside the generated files: labels only say which
//! platform an image is for, which many applications share, and a tag that has moved no longer
//! names an earlier image. A list counts only where the content store has its digest: a repository
//! may bring one. The store also records which other projects used it, because their published
//! configuration may name the same images. It does not decide which images are used.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use esb_config::Owner;
use esb_image::Engine as _;
use esb_model::{FormatHead, FormatVersions, ImageRecipe};
use esb_oci::{Digest, Folder};
use serde::{Deserialize, Serialize};

use crate::{
    deployment::Deployment,
    error::Error,
    folders::put,
    image_names::{Target, function_of, push_reference},
    made_image::MadeImage,
    options::BuilderChoice,
    project::Project,
};

/// An image that a run made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeHere {
    /// Of its manifest.
    pub digest: Digest,
    /// Of its config, which is the id that most engines give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Digest>,
    /// The registry and repository that a run sent it to, where it was not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<String>,
    /// Whether a run brought it into the container engine, where it was not yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub engine: bool,
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

/// The form of the list (docs/contracts/formats.md#files-of-a-project). The first one had images too
/// that were only found.
const VERSIONS: FormatVersions = FormatVersions::up_to(2);

/// The most bytes of the file that are read.
const LIMIT: u64 = 64 * 1024 * 1024;

/// The oldest images beyond so many are forgotten.
const MOST: usize = 4000;

/// The store's records of the digests of lists.
const LISTS: &str = "made-lists";

/// The store's record of the folders that ran with it.
const PROJECTS: &str = "project-folders";

/// The folders beyond so many that ran first are forgotten.
const MOST_PROJECTS: usize = 256;

/// The ids of our images that the container engine has before a run brings any there; none when the
/// run brings none.
pub(crate) async fn in_engine(
    run: &Deployment,
    target: &Target,
    recipes: &[ImageRecipe],
) -> Result<BTreeSet<String>, Error> {
    let builds = |recipe| run.engine_for(recipe).0 == BuilderChoice::Docker;
    if !target.engine && !recipes.iter().any(builds) {
        return Ok(BTreeSet::new());
    }
    let Ok(engine) = run.engine().await else { return Ok(BTreeSet::new()) };
    let managed = (run.project.brand.label("managed"), "true".to_owned());
    let images = engine.list(&[managed].into()).await?;
    Ok(images.into_iter().map(|image| image.id).collect())
}

/// Adds what a run made, before any of it is published; `before` is what the engine had. What was
/// only found may be somebody else's, and is not added.
pub(crate) fn note(
    run: &Deployment,
    target: &Target,
    made: &[MadeImage],
    before: &BTreeSet<String>,
) -> Result<(), Error> {
    note_folder(run)?;
    let folder = run.project.folder_at(&run.project.generated());
    let mut history = read(run, &folder)?;
    let count = history.images.len();
    let owners = run.owners();
    for image in made {
        let one = of_image(image, target, &owners, before)?;
        let is_made = image.was_built() || one.engine || one.pushed.is_some();
        if is_made && !history.images.iter().any(|known| known.covers(&one)) {
            history.images.push(one);
        }
    }
    if history.images.len() == count {
        return Ok(());
    }
    let over = history.images.len().saturating_sub(MOST);
    history.images.drain(..over);
    history.version = VERSIONS.newest();
    let text = serde_json::to_string_pretty(&history).expect("texts and lists are JSON");
    let text = format!("{text}\n");
    put(&folder, NAME, text.as_bytes())?;
    let digest = Digest::of(text.as_bytes());
    Ok(run.connections.store.set_record(LISTS, list_key(&folder), &digest)?)
}

impl MadeHere {
    /// Whether another one says nothing that this one does not.
    fn covers(&self, other: &Self) -> bool {
        self.digest == other.digest
            && (self.engine || !other.engine)
            && (other.pushed.is_none() || self.pushed == other.pushed)
    }
}

fn of_image(
    made: &MadeImage,
    target: &Target,
    owners: &[Owner],
    before: &BTreeSet<String>,
) -> Result<MadeHere, Error> {
    let pushed = match &target.registry {
        // A repository that has a manifest has its blobs: one that was sent says that it had not.
        Some(registry) if made.sent() > 0 => {
            let reference = push_reference(&registry.image(&made.repository, &made.tag))?;
            let at = esb_registry::repository(&reference);
            Some(format!("{}/{}", at.registry, at.repository))
        }
        _ => None,
    };
    let owner = function_of(&made.kind).and_then(|id| owners.get(id.template.0));
    let (digest, config) = (made.image.digest(), made.image.config.descriptor.digest);
    let had = [digest, config].iter().any(|id| before.contains(&id.to_string()));
    Ok(MadeHere {
        digest,
        config: Some(config),
        pushed,
        engine: !had && (target.engine || made.builder == "docker"),
        owner: owner.map(ToString::to_string),
    })
}

/// A list that cannot be understood, or that no run with this store wrote, is none: nothing is
/// removed for it. One of another version is refused whoever wrote it: a run would replace it.
fn read(run: &Deployment, folder: &Folder) -> Result<History, Error> {
    let text = text_of_known_version(folder)?;
    let written: Option<Digest> = run.connections.store.record(LISTS, list_key(folder));
    if written != Some(Digest::of(&text)) {
        return Ok(History::default());
    }
    Ok(serde_json::from_slice(&text).unwrap_or_default())
}

/// Refuses a run that would replace a list of another version.
///
/// # Errors
/// When there is one.
pub(crate) fn check(run: &Deployment) -> Result<(), Error> {
    text_of_known_version(&run.project.folder_at(&run.project.generated())).map(drop)
}

fn text_of_known_version(folder: &Folder) -> Result<Vec<u8>, Error> {
    let text = folder.read(NAME, LIMIT)?.unwrap_or_default();
    if let Ok(FormatHead { version }) = serde_json::from_slice(&text) {
        let path = folder.path().join(NAME);
        VERSIONS.check(version).map_err(|version| Error::of_version(&path, version))?;
    }
    Ok(text)
}

fn list_key(folder: &Folder) -> Digest {
    let path = folder.path();
    let path = path.canonicalize().unwrap_or(path);
    Digest::of(path.as_os_str().as_encoded_bytes())
}

/// Lists the images that runs of an environment made with this store; `folder` is that of its
/// generated files.
pub fn of_environment(run: &Deployment, folder: &Folder) -> Result<Vec<MadeHere>, Error> {
    Ok(read(run, folder)?.images)
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
