//! The build context: which files a `COPY` names, and what they hold.
//!
//! Owns sorted walks, `.dockerignore`, wildcards and links below one folder. Refuses paths that
//! lead out of it: nothing outside is ever read, whatever a link says.

pub(crate) mod listing;
pub(crate) mod own_folders;
pub(crate) mod scan_cache;
pub(crate) mod stat_cache;

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use esb_oci::{
    Attributes, CopiedFolder, Digest, Glob, IgnoreRules, LinkError, LinkFault, LinkRules, Matched,
    Way, is_pattern,
};

use crate::{
    context::{
        own_folders::OwnFolders,
        stat_cache::{Folder, StatCache},
    },
    paths,
};

/// The most entries that one source may have.
const MAX_ENTRIES: usize = 1_000_000;

/// How deep folders may nest, and how many links one path may pass.
const MAX_DEPTH: usize = 255;

/// A folder that `COPY` reads from.
#[derive(Debug)]
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
}

/// One file or folder that a source of `COPY` names.
#[derive(Debug, Clone)]
pub(crate) struct Selected {
    /// What it is called in a folder that it is copied into.
    pub(crate) name: String,
    pub(crate) is_folder: bool,
    /// A single file has the empty path; a folder's content has paths in it, folders first.
    pub(crate) items: Vec<Item>,
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
        let small = self.size <= limit;
        let bytes = small.then(|| fs::read(&self.path).ok()).flatten()?;
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
    Link(LinkFault),
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl ContextError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        root: PathBuf,
        rules: IgnoreRules,
        stats: &'a StatCache,
        trust: bool,
    ) -> Self {
        Self { root, rules, stats, trust, links: None, own: OwnFolders::default() }
    }

    /// Takes these folders as folders, also where they are links.
    pub(crate) fn with_own(self, own: OwnFolders) -> Self {
        Self { own, ..self }
    }

    /// Copies what relative links that lead out of a folder lead to.
    pub(crate) fn following(self, links: &'a LinkRules) -> Self {
        Self { links: Some(links), ..self }
    }

    /// What a source of `COPY` names: one file or folder, or all that a pattern matches.
    pub(crate) fn select(&self, source: &str) -> Result<Vec<Selected>, ContextError> {
        if paths::escapes(source) {
            let source = source.escape_debug();
            return Err(ContextError::Invalid(format!("`{source}` is outside the build context")));
        }
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
        for (name, kind) in list(&self.root.join(folder))? {
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
            if found.len() > MAX_ENTRIES {
                return Err(too_many());
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
            Err(error) if is_absent(&error) => return Err(missing()),
            Err(error) => return Err(ContextError::io("look at", &on_disk)(error)),
        };
        let matched = self.rules.matched_from_root(&real);
        let excluded = self.rules.excludes(&matched);
        let name = paths::name(path).to_owned();
        let folder = self.stats.folder(&on_disk, self.trust);
        let mut folder = Folder::lock(&folder);
        let mut walk = Walk { context: self, folder: &mut folder, items: Vec::new() };
        let is_folder = metadata.is_dir();
        if is_folder {
            let place = match self.links {
                Some(links) => Place::Followed(links.start(on_disk.clone())),
                None => Place::Kept(on_disk.clone()),
            };
            walk.folder(&place, &real, "", &matched, 0)?;
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
        Ok(Selected { name, is_folder, items })
    }

    /// The path with every link in it followed, the last one too. Links never lead out: an
    /// absolute target counts from the context, and `..` stops there.
    fn resolve(&self, path: &str) -> Result<String, ContextError> {
        let mut done = String::new();
        let mut open: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut links = 0;
        while let Some(part) = open.pop() {
            match &*part {
                "" | "." => continue,
                ".." => {
                    done.truncate(paths::parent(&done).len());
                    continue;
                }
                _ => {}
            }
            let next = paths::join(&done, &part);
            let on_disk = self.root.join(&next);
            let is_link = fs::symlink_metadata(&on_disk).is_ok_and(|found| found.is_symlink());
            if !is_link || self.own.has(&next) {
                done = next;
                continue;
            }
            links += 1;
            let excluded = self.rules.excludes(&self.rules.matched_from_root(&next));
            if links > MAX_DEPTH || excluded {
                return Err(ContextError::Missing(path.to_owned()));
            }
            let target = link_target(&on_disk)?;
            if target.starts_with('/') {
                done.clear();
            }
            open.extend(target.split('/').rev().map(str::to_owned));
        }
        Ok(done)
    }
}

/// One walk through a folder.
struct Walk<'a> {
    context: &'a Context<'a>,
    folder: &'a mut Folder,
    items: Vec<Item>,
}

/// A folder on the disk.
enum Place {
    /// Links in it are links.
    Kept(PathBuf),
    /// Links in it may stand for what they lead to.
    Followed(CopiedFolder),
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Followed(folder) => folder.path(),
        }
    }

    fn inner(&self, name: &str) -> Self {
        match self {
            Self::Kept(path) => Self::Kept(path.join(name)),
            Self::Followed(folder) => Self::Followed(folder.inner(name)),
        }
    }
}

/// What an entry of a folder is in the image.
enum Found {
    Folder(Place),
    Leaf(PathBuf),
}

impl Walk<'_> {
    /// `path` counts from the context, `inner` from where the walk started.
    fn folder(
        &mut self,
        place: &Place,
        path: &str,
        inner: &str,
        above: &Matched,
        depth: usize,
    ) -> Result<(), ContextError> {
        if depth > MAX_DEPTH {
            let path = path.escape_debug();
            return Err(ContextError::Invalid(format!("folders nest too deep at `{path}`")));
        }
        let rules = &self.context.rules;
        for (name, kind) in list(place.path())? {
            let path = paths::join(path, &name);
            let inner = paths::join(inner, &name);
            let matched = rules.matched(above, &path);
            let excluded = rules.excludes(&matched);
            if self.items.len() >= MAX_ENTRIES {
                return Err(too_many());
            }
            // A link may stand for a folder.
            let may_hold = kind.is_dir() || kind.is_symlink();
            if excluded && !(may_hold && rules.may_include_below(&path)) {
                continue;
            }
            match self.found(place, &name, kind)? {
                Found::Folder(place) => {
                    let position = self.items.len();
                    self.items.push(Item {
                        path: inner.clone(),
                        attributes: Attributes::root(0o755),
                        kind: ItemKind::Folder,
                    });
                    self.folder(&place, &path, &inner, &matched, depth + 1)?;
                    if excluded && self.items.len() == position + 1 {
                        self.items.pop();
                    }
                }
                Found::Leaf(on_disk) if !excluded => {
                    let metadata = fs::symlink_metadata(&on_disk)
                        .map_err(ContextError::io("look at", &on_disk))?;
                    self.leaf(&inner, &on_disk, &metadata)?;
                }
                Found::Leaf(_) => {}
            }
        }
        Ok(())
    }

    fn found(&self, place: &Place, name: &str, kind: fs::FileType) -> Result<Found, ContextError> {
        if kind.is_dir() {
            return Ok(Found::Folder(place.inner(name)));
        }
        let on_disk = place.path().join(name);
        let (Place::Followed(folder), Some(links), true) =
            (place, self.context.links, kind.is_symlink())
        else {
            return Ok(Found::Leaf(on_disk));
        };
        match links.way(folder, name) {
            Ok(Way::Link) => Ok(Found::Leaf(on_disk)),
            Ok(Way::File(path)) => Ok(Found::Leaf(path)),
            Ok(Way::Folder(folder)) => Ok(Found::Folder(Place::Followed(folder))),
            Err(LinkError::Fault(fault)) => Err(ContextError::Link(fault)),
            Err(LinkError::Io(source)) => Err(ContextError::io("follow", &on_disk)(source)),
        }
    }

    fn leaf(
        &mut self,
        inner: &str,
        on_disk: &Path,
        metadata: &fs::Metadata,
    ) -> Result<(), ContextError> {
        let (attributes, kind) = if metadata.is_symlink() {
            (Attributes::root(0o777), ItemKind::Link(link_target(on_disk)?))
        } else if metadata.is_file() {
            let digest = self
                .folder
                .digest(inner, on_disk, metadata, self.context.trust)
                .map_err(ContextError::io("read", on_disk))?;
            let executable = metadata.permissions().mode() & 0o111 != 0;
            let attributes = Attributes::root(if executable { 0o755 } else { 0o644 });
            let content = Content { path: on_disk.to_owned(), size: metadata.len(), digest };
            (attributes, ItemKind::File(content))
        } else if is_socket(metadata) {
            return Ok(()); // no engine takes them
        } else {
            let path = on_disk.display().to_string();
            let reason = format!("`{}`, which is a device or a pipe", path.escape_debug());
            return Err(ContextError::Unsupported(reason));
        };
        self.items.push(Item { path: inner.to_owned(), attributes, kind });
        Ok(())
    }
}

fn is_socket(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    metadata.file_type().is_socket()
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn too_many() -> ContextError {
    ContextError::Invalid(format!("a source has more than {MAX_ENTRIES} files"))
}

/// The entries of a folder, sorted by the bytes of their names.
fn list(folder: &Path) -> Result<Vec<(String, fs::FileType)>, ContextError> {
    let failed = || ContextError::io("list", folder);
    let mut entries = Vec::new();
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if is_absent(&error) => return Ok(entries),
        Err(error) => return Err(failed()(error)),
    };
    for entry in listing {
        let entry = entry.map_err(failed())?;
        let kind = entry.file_type().map_err(failed())?;
        let name = entry.file_name().into_string().map_err(|_| not_text(&entry.path()))?;
        if entries.len() == MAX_ENTRIES {
            return Err(too_many());
        }
        entries.push((name, kind));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}

fn link_target(path: &Path) -> Result<String, ContextError> {
    let target = fs::read_link(path).map_err(ContextError::io("read the link", path))?;
    target.into_os_string().into_string().map_err(|_| not_text(path))
}

fn not_text(path: &Path) -> ContextError {
    let path = path.display().to_string();
    ContextError::Unsupported(format!("`{}`, whose name is not UTF-8", path.escape_debug()))
}

#[cfg(test)]
mod tests;
