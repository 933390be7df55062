//! What never goes into an image, and the `Dockerfile.dockerignore` that says so.
//!
//! Owns the default exclusions, what has to be included again, and what the user leaves out of a
//! folder of code or of a layer. The file replaces a project's own `.dockerignore` (Docker's rule),
//! so that nothing there can hide what a recipe copies.

use std::{
    ffi::OsStr,
    io,
    path::{Component, Path},
};

use esb_model::{Brand, LOCK_FILE, SETTINGS_SCHEMA, decode_text};
use esb_oci::NEVER_COPIED;

use crate::{
    content::LocatedCode,
    project::{EntryKind, Project},
};

/// The file in a folder of code or of a layer that says what of it stays out, in the language of
/// `.dockerignore`.
const OWN: &str = ".samignore";

/// The most bytes of such a file.
const MAX_OWN: u64 = 1024 * 1024;

/// The default exclusions of a run.
#[derive(Debug, Clone)]
pub(crate) struct Exclusions {
    /// Folders of tools, which are excluded unless a path leads into one.
    folders: [String; 4],
}

/// What Python leaves behind: it depends on the machine and the moment.
const LEFTOVERS: [&str; 2] = ["**/__pycache__", "**/*.pyc"];

/// Files of the project's root that `esb` itself writes: an image with them would be another one
/// after each run that pins something, and with each version of the program.
const OF_PROJECT: [&str; 2] = [LOCK_FILE, SETTINGS_SCHEMA];

/// Paths that one function's context must contain even when they are excluded elsewhere.
#[derive(Debug, Clone, Default)]
pub(crate) struct Included {
    /// Real folders and files of the user, as text relative to the root.
    pub(crate) real: Vec<String>,
    /// What esb puts below its own folder; taken as it is, leftovers included.
    pub(crate) staged: Vec<String>,
    /// The user's folders that are copied as they are, and what stays out of each.
    pub(crate) folders: Vec<(String, Vec<String>)>,
}

/// Reads the user's exclusions for a folder, relative to it; nothing where the folder does not say.
///
/// # Errors
/// When its file cannot be read.
pub(crate) fn left_out(project: &dyn Project, found: &LocatedCode) -> io::Result<Vec<String>> {
    let LocatedCode::Folder(folder) = found else { return Ok(Vec::new()) };
    let path = folder.join(OWN);
    match project.locate(&path) {
        Ok(located) if located.kind == EntryKind::File => {
            let bytes = project.read(&path, MAX_OWN)?;
            Ok(patterns(&decode_text(bytes).map_err(io::Error::other)?))
        }
        Ok(_) => Ok(Vec::new()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The patterns of a text, which never reach out of their folder. The file that they stand in is
/// no part of an image either.
fn patterns(text: &str) -> Vec<String> {
    let mut patterns = vec![OWN.to_owned()];
    for line in text.lines() {
        if line.starts_with('#') {
            continue;
        }
        let line = line.trim();
        let (mark, pattern) = match line.strip_prefix('!') {
            Some(pattern) => ("!", pattern.trim()),
            None => ("", line),
        };
        let parts = pattern.split('/').filter(|part| !part.is_empty() && *part != ".");
        let parts: Vec<_> = parts.collect();
        if !parts.is_empty() && !parts.contains(&"..") {
            patterns.push(format!("{mark}{}", parts.join("/")));
        }
    }
    patterns
}

/// A pattern of a folder as one of the context.
fn below(folder: &str, pattern: &str) -> String {
    let (mark, pattern) = pattern.strip_prefix('!').map_or(("", pattern), |pattern| ("!", pattern));
    let slash = if folder.is_empty() { "" } else { "/" };
    format!("{mark}{folder}{slash}{pattern}")
}

impl Exclusions {
    pub(crate) fn new(brand: &Brand) -> Self {
        let [git, sam, python] = NEVER_COPIED.map(str::to_owned);
        Self { folders: [git, brand.folder_name(), sam, python] }
    }

    /// Whether something on the way to a path is excluded.
    pub(crate) fn cover(&self, path: &Path) -> bool {
        let tool = |part: &OsStr| self.folders.iter().any(|folder| part == folder.as_str());
        path.iter().any(tool) || is_leftover(path)
    }

    /// The patterns for a copy of a folder of the project, relative to it, with those of the user.
    pub(crate) fn patterns(&self, folder: &Path, left_out: &[String]) -> Vec<String> {
        let folders = self.folders.iter().map(|folder| format!("**/{folder}"));
        let own = OF_PROJECT.iter().filter(|_| is_root(folder)).map(|name| (*name).to_owned());
        let patterns = folders.chain(LEFTOVERS.map(str::to_owned)).chain(own);
        patterns.chain(left_out.iter().cloned()).collect()
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
        if included.folders.iter().any(|(folder, _)| is_root(Path::new(folder))) {
            lines.extend(OF_PROJECT.map(str::to_owned));
        }
        for (folder, patterns) in &included.folders {
            let new = patterns.iter().map(|pattern| below(folder, pattern));
            let new: Vec<_> = new.filter(|line| !lines.contains(line)).collect();
            lines.extend(new);
        }
        lines.extend(included.staged.iter().map(|path| format!("!{path}")));
        lines.join("\n") + "\n"
    }
}

/// Whether a folder is the project's root.
fn is_root(folder: &Path) -> bool {
    folder.components().all(|part| part == Component::CurDir)
}

/// Whether [`LEFTOVERS`] match a path or a folder on the way to it.
fn is_leftover(path: &Path) -> bool {
    path.iter().any(|part| {
        part == "__pycache__" || Path::new(part).extension().is_some_and(|end| end == "pyc")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stay_in_their_folder() {
        let check = |text: &str, folder: &str, expected: &[&str]| {
            let lines: Vec<_> = patterns(text).iter().map(|line| below(folder, line)).collect();
            assert_eq!(lines[1..], *expected, "{text:?}");
        };
        check("", "f", &[]);
        check("tests\n# no\n\n /docs/ \n", "f", &["f/tests", "f/docs"]);
        check("**/*.md\n! **/README.md\n", "a/b", &["a/b/**/*.md", "!a/b/**/README.md"]);
        check("./x\n*", "", &["x", "*"]);
        check("../g\na/../../g\n!\n/\n..x", "f", &["f/..x"]);
        assert_eq!(patterns("x")[0], ".samignore");
    }
}
