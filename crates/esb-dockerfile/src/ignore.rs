//! What never goes into an image, and the `Dockerfile.dockerignore` that says so.
//!
//! Owns the default exclusions and what has to be included again. The file replaces a project's
//! own `.dockerignore` (Docker's rule), so that nothing there can hide what a recipe copies.

use std::{ffi::OsStr, path::Path};

use esb_model::Brand;

/// The default exclusions of a run.
#[derive(Debug, Clone)]
pub(crate) struct Exclusions {
    /// Folders of tools: nobody means them, unless a path leads into one.
    folders: [String; 4],
}

/// What Python leaves behind: it depends on the machine and the moment.
const LEFTOVERS: [&str; 2] = ["**/__pycache__", "**/*.pyc"];

/// What one function's context must hold although it may be excluded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Included {
    /// Real folders and files of the user, as text relative to the root.
    pub(crate) real: Vec<String>,
    /// What esb puts below its own folder; taken as it is, leftovers included.
    pub(crate) staged: Vec<String>,
}

impl Exclusions {
    pub(crate) fn new(brand: &Brand) -> Self {
        Self { folders: [".git".into(), brand.folder_name(), ".aws-sam".into(), ".venv".into()] }
    }

    /// Whether something on the way to a path is excluded.
    pub(crate) fn cover(&self, path: &Path) -> bool {
        let tool = |part: &OsStr| self.folders.iter().any(|folder| part == folder.as_str());
        path.iter().any(tool) || is_leftover(path)
    }

    /// The patterns for a copy of a folder, relative to it.
    pub(crate) fn patterns(&self) -> Vec<String> {
        let folders = self.folders.iter().map(|folder| format!("**/{folder}"));
        folders.chain(LEFTOVERS.map(str::to_owned)).collect()
    }

    /// The text of a function's `Dockerfile.dockerignore`. The last pattern that matches wins.
    pub(crate) fn dockerignore(&self, included: &Included) -> String {
        let mut lines = vec!["# Never part of an image".to_owned()];
        lines.extend(self.folders.iter().map(|folder| format!("**/{folder}")));
        for path in &included.real {
            lines.push(format!("!{path}"));
            lines.extend(self.folders.iter().map(|folder| format!("{path}/**/{folder}")));
        }
        lines.extend(LEFTOVERS.map(str::to_owned));
        let leftovers = included.real.iter().filter(|path| is_leftover(Path::new(path)));
        lines.extend(leftovers.map(|path| format!("!{path}")));
        lines.extend(included.staged.iter().map(|path| format!("!{path}")));
        lines.join("\n") + "\n"
    }
}

/// Whether [`LEFTOVERS`] match a path or a folder on the way to it.
fn is_leftover(path: &Path) -> bool {
    path.iter().any(|part| {
        part == "__pycache__" || Path::new(part).extension().is_some_and(|end| end == "pyc")
    })
}
