//! Walks the folders of a context for every engine: sorted, within limits, and without what
//! `.dockerignore` excludes.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use esb_oci::{Attributes, CopiedFolder, LinkAction, LinkError, Matched};

use super::{Content, Context, ContextError, Item, ItemKind, stat_cache::FolderStats};
use crate::{error::io_error, paths};

/// The most entries that one walk may find.
pub(super) const MAX_ENTRIES: usize = 2_000_000;

/// How deep folders may nest.
const MAX_DEPTH: usize = 255;

/// One walk through a folder.
pub(super) struct Walk<'a> {
    context: &'a Context<'a>,
    folder: &'a mut FolderStats,
    /// Takes the paths that a daemon gets; none for a walk of the embedded engine.
    needed_by_daemon: Option<&'a dyn Fn(&str) -> bool>,
    pub(super) items: Vec<Item>,
}

/// A folder on the disk.
pub(super) enum SourceFolder {
    /// Links in it are links.
    Kept(PathBuf),
    /// Links in it may stand for what they lead to.
    Followed(CopiedFolder),
}

impl SourceFolder {
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

/// The kind of an entry of a folder, as the image has it.
enum WalkEntry {
    Folder(SourceFolder),
    Leaf(PathBuf),
}

impl<'a> Walk<'a> {
    pub(super) fn new(context: &'a Context<'a>, folder: &'a mut FolderStats) -> Self {
        Self { context, folder, needed_by_daemon: None, items: Vec::new() }
    }

    /// See [`Context::all`].
    #[cfg(any(feature = "docker", feature = "buildkit"))]
    pub(super) fn for_daemon(self, is_needed: &'a dyn Fn(&str) -> bool) -> Self {
        Self { needed_by_daemon: Some(is_needed), ..self }
    }

    /// `path` counts from the context, `inner` from where the walk started.
    pub(super) fn folder(
        &mut self,
        place: &SourceFolder,
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
            if self.needed_by_daemon.is_some_and(|is_needed| !is_needed(&path)) {
                continue;
            }
            let inner = paths::join(inner, &name);
            let matched = rules.matched(above, &path);
            let excluded = rules.excludes(&matched);
            if self.items.len() >= MAX_ENTRIES {
                return Err(too_many());
            }
            // A link may stand for a folder.
            let may_hold = kind.is_dir() || kind.is_symlink();
            if self.context.selection.is_some_and(|taken| !taken.needs(&inner, may_hold)) {
                continue;
            }
            if excluded && !(may_hold && rules.may_include_below(&path)) {
                continue;
            }
            match self.found(place, &path, &name, kind)? {
                WalkEntry::Folder(place) => {
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
                WalkEntry::Leaf(on_disk) if !excluded => {
                    let metadata =
                        fs::symlink_metadata(&on_disk).map_err(io_error("look at", &on_disk))?;
                    self.leaf(&inner, &on_disk, &metadata)?;
                }
                WalkEntry::Leaf(_) => {}
            }
        }
        Ok(())
    }

    fn found(
        &self,
        place: &SourceFolder,
        path: &str,
        name: &str,
        kind: fs::FileType,
    ) -> Result<WalkEntry, ContextError> {
        let on_disk = place.path().join(name);
        let is_own = self.needed_by_daemon.is_some() && self.context.own.has(path);
        if kind.is_dir() || kind.is_symlink() && is_own && on_disk.is_dir() {
            return Ok(WalkEntry::Folder(place.inner(name)));
        }
        let (SourceFolder::Followed(folder), Some(links), true) =
            (place, self.context.links, kind.is_symlink())
        else {
            return Ok(WalkEntry::Leaf(on_disk));
        };
        match links.way(folder, name) {
            Ok(LinkAction::Link) => Ok(WalkEntry::Leaf(on_disk)),
            Ok(LinkAction::File(path)) => Ok(WalkEntry::Leaf(path)),
            Ok(LinkAction::Folder(folder)) => Ok(WalkEntry::Folder(SourceFolder::Followed(folder))),
            Err(LinkError::Fault(fault)) => Err(ContextError::Link(fault)),
            Err(LinkError::Io(source)) => Err(io_error("follow", &on_disk)(source).into()),
        }
    }

    pub(super) fn leaf(
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
                .map_err(io_error("read", on_disk))?;
            let executable = metadata.permissions().mode() & 0o111 != 0;
            let attributes = Attributes::root(if executable { 0o755 } else { 0o644 });
            let content = Content { path: on_disk.to_owned(), size: metadata.len(), digest };
            (attributes, ItemKind::File(content))
        } else if metadata.file_type().is_socket() || self.needed_by_daemon.is_some() {
            return Ok(()); // no engine takes sockets, and no daemon gets pipes and devices
        } else {
            let path = on_disk.display().to_string();
            let reason = format!("`{}`, which is a device or a pipe", path.escape_debug());
            return Err(ContextError::Unsupported(reason));
        };
        self.items.push(Item { path: inner.to_owned(), attributes, kind });
        Ok(())
    }
}

pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

pub(super) fn too_many() -> ContextError {
    ContextError::Invalid(format!("a source has more than {MAX_ENTRIES} files"))
}

/// The entries of a folder, sorted by the bytes of their names.
pub(super) fn list(folder: &Path) -> Result<Vec<(String, fs::FileType)>, ContextError> {
    let failed = io_error("list", folder);
    let mut entries = Vec::new();
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if is_absent(&error) => return Ok(entries),
        Err(error) => return Err(failed(error).into()),
    };
    for entry in listing {
        let entry = entry.map_err(&failed)?;
        let kind = entry.file_type().map_err(&failed)?;
        let name =
            entry.file_name().into_string().map_err(|_| ContextError::NotText(entry.path()))?;
        if entries.len() == MAX_ENTRIES {
            return Err(too_many());
        }
        entries.push((name, kind));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}

pub(super) fn link_target(path: &Path) -> Result<String, ContextError> {
    let target = fs::read_link(path).map_err(io_error("read the link", path))?;
    target.into_os_string().into_string().map_err(|_| ContextError::NotText(path.to_owned()))
}
