//! The folders that a run writes to, and which of them may be reached through symbolic links.
//!
//! A repository may contain symbolic links, which must not redirect what a run writes: inside the
//! project none is followed. A folder outside of the project is the user's own and may be reached
//! through links; below it none is followed either.

use std::path::Path;

use esb_config::READABLE;
use esb_oci::{Folder, FolderError};

use crate::{
    error::Error,
    project::{Project, normal},
};

impl Project {
    /// The project's folder, with `esb.lock` and the folder of generated files.
    pub fn folder(&self) -> Folder {
        Folder::new(&self.root).with_links(self.links.clone())
    }

    /// Opens a folder that is written to, inside or outside of the project.
    pub fn folder_at(&self, path: &Path) -> Folder {
        let whole = normal(&self.current.join(path));
        match whole.strip_prefix(&self.root) {
            Ok(below) => self.folder().join(below),
            Err(_) => Folder::new(path).with_links(self.links.clone()),
        }
    }

    /// Finds links among the generated files before any work.
    pub(crate) fn refuse_links(&self) -> Result<(), FolderError> {
        let generated = self.folder_at(&self.generated());
        for name in ["base", "config", "functions", "images", "layers"] {
            generated.join(name).exists()?;
        }
        for name in ["copied.json", "folders.json", "images.json", "made.json", "target.json"] {
            generated.metadata(name)?;
        }
        self.folder().join(self.brand.folder_name()).metadata(".gitignore").map(drop)
    }

    /// A folder of configuration: links may lead to it from anywhere, unless it is one of those
    /// that are generated.
    pub fn configuration_at(&self, path: &Path) -> Folder {
        let folder = self.folder_at(path);
        if folder.path().starts_with(self.brand.folder(&self.root)) {
            folder
        } else {
            Folder::new(path).with_links(self.links.clone())
        }
    }
}

/// Writes a file unless it has that content already.
pub(crate) fn put(folder: &Folder, name: &str, content: &[u8]) -> Result<(), Error> {
    if folder.holds(name, content) {
        return Ok(());
    }
    Ok(folder.write(name, content, READABLE)?)
}
