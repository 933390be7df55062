//! The build context: which files a `COPY` names, and what they hold.
//!
//! Owns sorted walks, `.dockerignore`, wildcards and links below one folder. Refuses paths that
//! lead out of it: nothing outside is ever read, whatever a link says.

pub(crate) mod listing;
pub(crate) mod own_folders;
pub(crate) mod scan_cache;
pub(crate) mod selection;
pub(crate) mod stat_cache;
mod walk;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use esb_oci::{Attributes, Digest, Glob, IgnoreRules, LinkFault, LinkRules, is_pattern};

use self::{
    own_folders::OwnFolders,
    selection::Selection,
    stat_cache::{FolderStats, StatCache},
    walk::{SourceFolder, Walk},
};
use crate::{Error, error::io_error, paths};

/// A folder that `COPY` reads from.
#[derive(Debug, Clone)]
pub(crate) struct Context<'a> {
    root: PathBuf,
    rules: IgnoreRules,
    stats: &'a StatCache,
    /// Remembered digests are good enough.
    trust: bool,
    /// Links that lead out are copied by what they lead to; without rules they are links.
    links: Option<&'a LinkRules>,
    /// Folders even where they are links.
    own: OwnFolders,
    /// What is not taken need not be read.
    selection: Option<&'a Selection>,
}

/// One file or folder that a source of `COPY` names.
#[derive(Debug, Clone)]
pub(crate) struct Selected {
    /// What it is called in a folder that it is copied into.
    pub(crate) name: String,
    pub(crate) is_folder: bool,
    /// A single file has the empty path; a folder's content has paths in it, folders first.
    pub(crate) items: Vec<Item>,
    /// Folders among them that are only on the way to others: where they are already, they keep
    /// their owners.
    pub(crate) passed: BTreeSet<String>,
}

/// A file, folder or link.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) path: String,
    pub(crate) attributes: Attributes,
    pub(crate) kind: ItemKind,
}

#[derive(Debug, Clone)]
pub(crate) enum ItemKind {
    Folder,
    /// A symbolic link and its target as it is written.
    Link(String),
    File(Content),
}

/// A file's content and where it can be read.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) digest: Digest,
}

impl Content {
    /// The whole content as text; none when it is larger than `limit` or cannot be read.
    pub(crate) fn text(&self, limit: u64) -> Option<String> {
        let bytes = esb_oci::read_file(&self.path, limit).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A source cannot be copied.
#[derive(Debug)]
pub(crate) enum ContextError {
    /// Relative to the context.
    Missing(String),
    Invalid(String),
    Unsupported(String),
    /// A name that is not UTF-8, of this file or of what this link leads to.
    NotText(PathBuf),
    Link(LinkFault),
    Other(Box<Error>),
}

impl From<Error> for ContextError {
    fn from(error: Error) -> Self {
        Self::Other(Box::new(error))
    }
}

/// Why a name that is not UTF-8 stops a build that needs text.
pub(crate) fn not_text(path: &Path) -> String {
    format!("`{}`, whose name is not UTF-8", path.display().to_string().escape_debug())
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        root: PathBuf,
        rules: IgnoreRules,
        stats: &'a StatCache,
        trust: bool,
    ) -> Self {
        let (links, own, selection) = (None, OwnFolders::default(), None);
        Self { root, rules, stats, trust, links, own, selection }
    }

    /// Takes these folders as folders, also where they are links.
    pub(crate) fn with_own(self, own: OwnFolders) -> Self {
        Self { own, ..self }
    }

    /// Copies what relative links that lead out of a folder lead to.
    pub(crate) fn following(self, links: &'a LinkRules) -> Self {
        Self { links: Some(links), ..self }
    }

    /// What a source of `COPY` takes.
    pub(crate) fn take(
        &self,
        source: &str,
        selection: &Selection,
    ) -> Result<Vec<Selected>, ContextError> {
        let root = paths::clean(selection.root());
        if selection.keeps_folders() && !is_pattern(&root) && self.resolve(&root)? != root {
            // Engines do not find what they ask for behind a link.
            let source = source.escape_debug();
            return Err(ContextError::Unsupported(format!(
                "`--parents` with a link in `{source}`"
            )));
        }
        let context = Context { selection: Some(selection), ..self.clone() };
        let found = context.select(selection.root())?;
        selection.take(found).ok_or_else(|| ContextError::Missing(source.to_owned()))
    }

    /// What a source of `COPY` names: one file or folder, or all that a pattern matches. The context's
    /// root is above itself, and nothing names it.
    pub(crate) fn select(&self, source: &str) -> Result<Vec<Selected>, ContextError> {
        let source = paths::clean(source);
        let parts: Vec<&str> = source.split('/').filter(|part| !part.is_empty()).collect();
        let Some(first) = parts.iter().position(|part| is_pattern(part)) else {
            return Ok(vec![self.one(&source)?]);
        };
        let globs = parts[first..]
            .iter()
            .map(|part| Glob::new(part))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| {
            let source = source.escape_debug();
            ContextError::Unsupported(format!("the pattern `{source}`, which is malformed"))
        })?;
        let start = self.resolve(&parts[..first].join("/"))?;
        if !self.root.join(&start).exists() {
            return Err(ContextError::Missing(source.clone()));
        }
        let excluded = self.rules.excludes(&self.rules.matched_from_root(&start));
        if !start.is_empty() && excluded && !self.holds_something(&start)? {
            return Err(ContextError::Missing(source.clone()));
        }
        let mut found = Vec::new();
        self.matching(&start, &globs, &mut found)?;
        found.iter().map(|path| self.one(path)).collect()
    }

    /// The file or folder at a path whose characters all stand for themselves; the empty path is
    /// the context's root.
    pub(crate) fn exact(&self, path: &str) -> Result<Selected, ContextError> {
        self.one(path)
    }

    fn matching(
        &self,
        folder: &str,
        globs: &[Glob],
        found: &mut Vec<String>,
    ) -> Result<(), ContextError> {
        let Some((glob, rest)) = globs.split_first() else { return Ok(()) };
        let above = self.rules.matched_from_root(folder);
        for (name, kind) in walk::list(&self.root.join(folder))? {
            if !glob.matches(&name) {
                continue;
            }
            let path = paths::join(folder, &name);
            let excluded = self.rules.excludes(&self.rules.matched(&above, &path));
            if rest.is_empty() {
                let kept = !excluded || kind.is_dir() && self.holds_something(&path)?;
                if kept {
                    found.push(path);
                }
            } else if kind.is_dir() && (!excluded || self.rules.may_include_below(&path)) {
                self.matching(&path, rest, found)?;
            }
            if found.len() > walk::MAX_ENTRIES {
                return Err(walk::too_many());
            }
        }
        Ok(())
    }

    fn holds_something(&self, folder: &str) -> Result<bool, ContextError> {
        if !self.rules.may_include_below(folder) {
            return Ok(false);
        }
        match self.one(folder) {
            Ok(selected) => Ok(!selected.items.is_empty()),
            Err(ContextError::Missing(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The file or folder at a path that is not a pattern; a link is followed.
    fn one(&self, path: &str) -> Result<Selected, ContextError> {
        let missing = || ContextError::Missing(path.to_owned());
        let real = self.resolve(path)?;
        let on_disk = self.root.join(&real);
        let metadata = match fs::symlink_metadata(&on_disk) {
            Ok(metadata) => metadata,
            Err(error) if walk::is_absent(&error) => return Err(missing()),
            Err(error) => return Err(io_error("look at", &on_disk)(error).into()),
        };
        let matched = self.rules.matched_from_root(&real);
        let excluded = self.rules.excludes(&matched);
        let name = paths::name(path).to_owned();
        let folder = self.stats.folder(&on_disk, self.trust);
        let mut folder = FolderStats::lock(&folder);
        let mut walk = Walk::new(self, &mut folder);
        let is_folder = metadata.is_dir();
        if is_folder {
            walk.folder(&self.place(on_disk), &real, "", &matched, 0)?;
            // Of a folder that is left out only what was put back in exists.
            if excluded && walk.items.is_empty() {
                return Err(missing());
            }
        } else {
            if excluded {
                return Err(missing());
            }
            walk.leaf("", &on_disk, &metadata)?;
        }
        let items = walk.items;
        self.stats.save(&mut folder);
        Ok(Selected { name, is_folder, items, passed: BTreeSet::new() })
    }

    fn place(&self, folder: PathBuf) -> SourceFolder {
        match self.links {
            Some(links) => SourceFolder::Followed(links.start(folder)),
            None => SourceFolder::Kept(folder),
        }
    }

    /// All files, folders and links whose paths `is_needed` takes, as a daemon gets them: pipes and
    /// devices are left out, and the folders above what was staged are folders also where they are
    /// links.
    #[cfg(any(feature = "docker", feature = "buildkit"))]
    pub(crate) fn all(&self, is_needed: &dyn Fn(&str) -> bool) -> Result<Vec<Item>, ContextError> {
        let folder = self.stats.folder(&self.root, self.trust);
        let mut folder = FolderStats::lock(&folder);
        let mut walk = Walk::new(self, &mut folder).for_daemon(is_needed);
        walk.folder(&self.place(self.root.clone()), "", "", &self.rules.root(), 0)?;
        let items = walk.items;
        self.stats.save(&mut folder);
        Ok(items)
    }

    /// The path with every link in it followed, the last one too. Links never lead out.
    fn resolve(&self, path: &str) -> Result<String, ContextError> {
        let missing = || ContextError::Missing(path.to_owned());
        let link = |path: &str| {
            let on_disk = self.root.join(path);
            let is_link = fs::symlink_metadata(&on_disk).is_ok_and(|found| found.is_symlink());
            if !is_link || self.own.has(path) {
                return Ok(None);
            }
            if self.rules.excludes(&self.rules.matched_from_root(path)) {
                return Err(missing());
            }
            walk::link_target(&on_disk).map(Some)
        };
        paths::follow_links(path, link, missing)
    }
}

#[cfg(test)]
mod tests;
