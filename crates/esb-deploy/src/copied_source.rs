//! What an image gets of the user's folders.

use std::{
    fs,
    path::{Path, PathBuf},
};

use esb_config::FoldersAbove;
use esb_model::{ImageRecipe, StagedSource};
use esb_oci::IgnoreRules;

use crate::lockfile;

/// A file or folder of the user that a recipe copies into its image.
pub(crate) struct CopiedSource<'a> {
    pub(crate) folder: PathBuf,
    /// Its name in the folder where the patterns start.
    name: String,
    /// The patterns of what is left out.
    left_out: Vec<&'a str>,
}

impl<'a> CopiedSource<'a> {
    /// All of a recipe, in a project with this root.
    pub(crate) fn of(recipe: &'a ImageRecipe, root: &Path) -> Vec<Self> {
        let staged = recipe.staged.iter().filter_map(|staged| match &staged.source {
            StagedSource::Copy { from, exclude, .. } => Some(Self {
                folder: root.join(from),
                name: String::new(),
                left_out: exclude.iter().map(String::as_str).collect(),
            }),
            StagedSource::Unpack(_) | StagedSource::Content(_) => None,
        });
        let context = root.join(&recipe.context.folder);
        let sources = esb_image::docker::sources(recipe).unwrap_or_else(|| [String::new()].into());
        let sources = sources.into_iter().map(|name| Self {
            folder: context.join(&name),
            name,
            left_out: recipe.dockerignore.lines().collect(),
        });
        staged.chain(sources).collect()
    }

    /// Whether the image gets what is at a path in it.
    pub(crate) fn takes(&self, path: &Path) -> bool {
        let path = Path::new(&self.name).join(path);
        let path = path.to_string_lossy();
        let rules = IgnoreRules::new(self.left_out.iter().copied());
        rules.is_ok_and(|rules| {
            !rules.excludes(&rules.matched_from_root(path.trim_end_matches('/')))
        })
    }
}

/// Whether an image gets the esb.lock of the project with this root. A digest of such an image in
/// the file would change the image.
pub(crate) fn takes_lock(recipe: &ImageRecipe, root: &Path) -> bool {
    let above = FoldersAbove::of(root);
    CopiedSource::of(recipe, root).iter().any(|copied| {
        let folder = fs::metadata(&copied.folder).ok();
        let root = folder.and_then(|folder| above.seen_from(&folder));
        root.is_some_and(|root| copied.takes(&root.join(lockfile::NAME)))
    })
}
