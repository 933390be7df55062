//! Folders that staging made above an image's inputs; a build follows links there.
//!
//! Staging made them through handles that refuse links unless the user lets them be followed, so
//! where one is a link, the user said so, and it stands for the folder that it leads to.

use std::{collections::BTreeSet, path::Path};

use esb_model::ImageRecipe;

/// Paths of folders, relative to a build context.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnFolders(BTreeSet<String>);

impl OwnFolders {
    /// The folders of a recipe that lie in its context.
    pub(crate) fn of(recipe: &ImageRecipe) -> Self {
        let installed = recipe.all_dependencies().map(|wanted| &wanted.target);
        let targets = recipe.staged.iter().map(|staged| &staged.target).chain(installed);
        let inside = targets.filter_map(|target| target.strip_prefix(&recipe.context.folder).ok());
        let above = inside.flat_map(|target| target.ancestors().skip(1));
        Self(above.filter_map(Path::to_str).map(str::to_owned).collect())
    }

    /// Whether something was staged below a path of the context.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.0.contains(path)
    }
}
