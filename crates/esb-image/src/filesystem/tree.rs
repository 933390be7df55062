//! The file system of an image being built: a base's index with changes on top.
//!
//! Owns where `COPY`, `ADD` and `WORKDIR` put files, as BuildKit does it: links in a destination are
//! followed, folders that are missing are made, a folder is never replaced. Refuses contents.

use std::collections::BTreeSet;

use esb_oci::{Attributes, Glob, is_pattern};

use super::{
    accounts,
    base_contents::LoadedBase,
    node::{Changes, CopyError, IndexEntry, Node},
};
use crate::{
    context::{Item, ItemKind, Selected, selection::Selection},
    dockerfile::mode::Mode,
    paths,
};

/// The file system of a stage.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    base: LoadedBase,
    changes: Changes,
}

/// Where a copy goes, with owner and mode.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CopyTarget<'a> {
    /// A clean path.
    pub(crate) destination: &'a str,
    /// The destination is a folder even when it is not there.
    pub(crate) into_folder: bool,
    pub(crate) owner: Option<(u64, u64)>,
    pub(crate) mode: Option<&'a Mode>,
}

/// A folder that is made where nothing says otherwise.
const FOLDER: Attributes = Attributes { mode: 0o755, uid: 0, gid: 0 };

impl CopyTarget<'_> {
    /// The attributes of folders that a copy makes on the way.
    fn of_folders(&self) -> Attributes {
        let (uid, gid) = self.owner.unwrap_or_default();
        let mode = self.mode.and_then(Mode::of_made_folders);
        Attributes { mode: mode.unwrap_or(FOLDER.mode), uid, gid }
    }
}

impl Tree {
    pub(crate) fn new(base: LoadedBase) -> Self {
        Self { base, changes: Changes::new() }
    }

    /// The name of the base in Dockerfiles.
    pub(crate) fn base(&self) -> &str {
        &self.base.name
    }

    /// The entry at a path; a link is not followed.
    pub(crate) fn get(&self, path: &str) -> Option<IndexEntry<'_>> {
        match self.changes.get(path) {
            Some(node) => Some(match &node.kind {
                ItemKind::Folder => IndexEntry::Folder,
                ItemKind::Link(target) => IndexEntry::Link(target),
                ItemKind::File(_) => IndexEntry::File,
            }),
            None => self.base.index.get(path),
        }
    }

    /// The path with every link in it followed, the last one too; what is not there stays as it is.
    fn resolve(&self, path: &str) -> Result<String, CopyError> {
        let link = |path: &str| match self.get(path) {
            Some(IndexEntry::Link(target)) => Ok(Some(target.to_owned())),
            _ => Ok(None),
        };
        paths::follow_links(path, link, || {
            CopyError::Invalid(format!("`/{}` passes too many links", path.escape_debug()))
        })
    }

    /// Lands what one source names, and adds what changed to `step`.
    pub(crate) fn copy(
        &mut self,
        selected: &Selected,
        to: CopyTarget<'_>,
        step: &mut Changes,
    ) -> Result<(), CopyError> {
        let CopyTarget { destination, into_folder, .. } = to;
        let ensured = if into_folder { destination } else { paths::parent(destination) };
        let ensured = self.resolve(ensured)?;
        self.make_folders(&ensured, to.of_folders(), step)?;
        let mut target = self.resolve(destination)?;
        if selected.is_folder {
            if self.get(&target).is_none() {
                self.make_folders(&target, to.of_folders(), step)?;
            }
        } else {
            if self.get(&target) == Some(IndexEntry::Folder) {
                target = paths::join(&target, &selected.name);
            }
            self.make_folders(paths::parent(&target), to.of_folders(), step)?;
        }
        if selected.is_folder && self.get(&target) != Some(IndexEntry::Folder) {
            return Err(not_a_folder(&target));
        }
        for item in &selected.items {
            let path = paths::join(&target, &item.path);
            let there = selected.passed.contains(&item.path).then(|| self.folder(&path)).flatten();
            match there {
                Some(there) => {
                    let attributes = Attributes { mode: item.attributes.mode, ..there };
                    self.set(&path, Node { attributes, kind: ItemKind::Folder }, step);
                }
                None => self.put(&path, item, to, step)?,
            }
        }
        Ok(())
    }

    /// The attributes of a folder that is there.
    fn folder(&self, path: &str) -> Option<Attributes> {
        match self.changes.get(path) {
            Some(Node { attributes, kind: ItemKind::Folder }) => Some(*attributes),
            Some(_) => None,
            None => self.base.index.folder(path),
        }
    }

    /// Lays a layer that was made on nothing over the tree.
    pub(crate) fn lay(&mut self, layer: Changes, step: &mut Changes) -> Result<(), CopyError> {
        for (path, node) in layer {
            let is_folder = matches!(node.kind, ItemKind::Folder);
            if self.get(&path) == Some(IndexEntry::Folder) && !is_folder {
                let path = path.escape_debug();
                let reason = format!("`--link` where a file replaces the folder `/{path}`");
                return Err(CopyError::Unsupported(reason));
            }
            self.set(&path, node, step);
        }
        Ok(())
    }

    /// Copies the entries of an archive into the tree: links in their paths are followed for each
    /// entry.
    pub(crate) fn unpack(
        &mut self,
        items: &[Item],
        to: CopyTarget<'_>,
        step: &mut Changes,
    ) -> Result<(), CopyError> {
        let target = self.resolve(to.destination)?;
        self.make_folders(&target, to.of_folders(), step)?;
        for item in items {
            let folder = self.resolve(&paths::join(&target, paths::parent(&item.path)))?;
            self.make_folders(&folder, FOLDER, step)?;
            let path = paths::join(&folder, paths::name(&item.path));
            if matches!(item.kind, ItemKind::Folder)
                != (self.get(&path) == Some(IndexEntry::Folder))
                && self.get(&path).is_some_and(|found| {
                    found == IndexEntry::Folder || matches!(item.kind, ItemKind::Folder)
                })
            {
                let path = path.escape_debug();
                let reason = format!("an archive that replaces `/{path}` by another kind");
                return Err(CopyError::Unsupported(reason));
            }
            self.put(&path, item, to, step)?;
        }
        Ok(())
    }

    /// `WORKDIR`: makes a folder and the missing ones above it.
    pub(crate) fn make_folder(
        &mut self,
        path: &str,
        owner: (u64, u64),
        step: &mut Changes,
    ) -> Result<(), CopyError> {
        let path = self.resolve(path)?;
        let (uid, gid) = owner;
        self.make_folders(&path, Attributes { uid, gid, ..FOLDER }, step)
    }

    /// Whether a link stands in a path.
    pub(crate) fn passes_link(&self, path: &str) -> Result<bool, CopyError> {
        Ok(self.resolve(path)? != path)
    }

    /// Whether something is there, links followed.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.resolve(path).is_ok_and(|real| self.get(&real).is_some())
    }

    /// Whether a folder is there, links followed.
    pub(crate) fn has_folder(&self, path: &str) -> Result<bool, CopyError> {
        Ok(self.get(&self.resolve(path)?) == Some(IndexEntry::Folder))
    }

    /// What a file of accounts says, links followed; none when it cannot be read.
    pub(crate) fn text(&self, path: &str) -> Result<Option<String>, CopyError> {
        let real = self.resolve(path)?;
        Ok(match self.changes.get(&real) {
            Some(Node { kind: ItemKind::File(content), .. }) => content.text(accounts::MAX_BYTES),
            Some(_) => None,
            None => self.base.index.text(&real).map(str::to_owned),
        })
    }

    /// What `COPY --from` names in this stage: one file or folder, or all that a pattern matches.
    /// Contents of the base that were not read yet become `missing`.
    pub(crate) fn select(
        &self,
        selection: &Selection,
        missing: &mut BTreeSet<String>,
    ) -> Result<Vec<Selected>, CopyError> {
        let source = paths::clean(selection.root());
        let parts: Vec<&str> = source.split('/').filter(|part| !part.is_empty()).collect();
        let Some(first) = parts.iter().position(|part| is_pattern(part)) else {
            return Ok(vec![self.one(&source, selection, missing)?]);
        };
        let globs: Option<Vec<_>> = parts[first..].iter().map(|part| Glob::new(part)).collect();
        let globs = globs.ok_or_else(|| {
            let source = source.escape_debug();
            CopyError::Unsupported(format!("the pattern `{source}`, which is malformed"))
        })?;
        let start = self.resolve(&parts[..first].join("/"))?;
        if self.get(&start).is_none() {
            return Err(CopyError::Invalid(format!(
                "`/{}` is not in the stage",
                start.escape_debug()
            )));
        }
        let mut found = vec![start];
        for (position, glob) in globs.iter().enumerate() {
            let mut next = Vec::new();
            for folder in found {
                if position > 0 && self.get(&folder) != Some(IndexEntry::Folder) {
                    continue;
                }
                let paths = self.children(&folder);
                next.extend(paths.into_iter().filter(|path| glob.matches(paths::name(path))));
            }
            found = next;
        }
        found.iter().map(|path| self.one(path, selection, missing)).collect()
    }

    /// The paths right below a folder.
    fn children(&self, folder: &str) -> BTreeSet<String> {
        let mut paths = self.base.index.children(folder);
        let start = paths::prefix(folder);
        let below = self.changes.range(start.clone()..).map(|(path, _)| path);
        let below = below.take_while(|path| path.starts_with(&start));
        paths.extend(below.filter(|path| !path[start.len()..].contains('/')).cloned());
        paths
    }

    /// The entry at a path that is not a pattern; a link is followed.
    fn one(
        &self,
        source: &str,
        selection: &Selection,
        missing: &mut BTreeSet<String>,
    ) -> Result<Selected, CopyError> {
        let name = paths::name(source).to_owned();
        let real = self.resolve(source)?;
        let is_folder = match self.get(&real) {
            Some(IndexEntry::Folder) => true,
            Some(IndexEntry::File) => false,
            Some(IndexEntry::Link(_)) | None => {
                let shown = source.escape_debug();
                return Err(CopyError::Invalid(format!("`/{shown}` is not in the stage")));
            }
        };
        let found = if is_folder { self.below(&real) } else { [real.clone()].into() };
        let mut items = Vec::with_capacity(found.len());
        for path in found {
            let inner = path[real.len()..].trim_start_matches('/');
            if !selection.needs(inner, self.get(&path) == Some(IndexEntry::Folder)) {
                continue;
            }
            let node = match self.changes.get(&path) {
                Some(node) => Some(node.clone()),
                None => self.base.node(&path, missing)?,
            };
            let Some(Node { attributes, kind }) = node else { continue };
            items.push(Item { path: inner.to_owned(), attributes, kind });
        }
        Ok(Selected { name, is_folder, items, passed: BTreeSet::new() })
    }

    /// The paths of all that lies below a folder.
    fn below(&self, folder: &str) -> BTreeSet<String> {
        let start = paths::prefix(folder);
        let base = self.base.index.below(folder).map(str::to_owned);
        let changed = self.changes.range(start.clone()..).map(|(path, _)| path);
        let changed = changed.take_while(|path| path.starts_with(&start)).cloned();
        base.chain(changed).collect()
    }

    fn make_folders(
        &mut self,
        path: &str,
        attributes: Attributes,
        step: &mut Changes,
    ) -> Result<(), CopyError> {
        match self.get(path) {
            Some(IndexEntry::Folder) => return Ok(()),
            Some(_) => return Err(not_a_folder(path)),
            None => {}
        }
        self.make_folders(paths::parent(path), attributes, step)?;
        self.set(path, Node { attributes, kind: ItemKind::Folder }, step);
        Ok(())
    }

    fn put(
        &mut self,
        path: &str,
        item: &Item,
        to: CopyTarget<'_>,
        step: &mut Changes,
    ) -> Result<(), CopyError> {
        let mut attributes = item.attributes;
        if let Some((uid, gid)) = to.owner {
            (attributes.uid, attributes.gid) = (uid, gid);
        }
        if let Some(mode) = to.mode {
            attributes.mode = mode.apply(attributes.mode, matches!(item.kind, ItemKind::Folder));
        }
        let there = self.get(path);
        let kind = match &item.kind {
            ItemKind::Folder => {
                if there.is_some_and(|there| there != IndexEntry::Folder) {
                    return Err(not_a_folder(path));
                }
                ItemKind::Folder
            }
            _ if there == Some(IndexEntry::Folder) => {
                let path = path.escape_debug();
                let reason = format!("`/{path}` is a folder, and a file would replace it");
                return Err(CopyError::Invalid(reason));
            }
            ItemKind::Link(target) => {
                attributes.mode = 0o777;
                ItemKind::Link(target.clone())
            }
            ItemKind::File(content) => ItemKind::File(content.clone()),
        };
        self.set(path, Node { attributes, kind }, step);
        Ok(())
    }

    fn set(&mut self, path: &str, node: Node, step: &mut Changes) {
        step.insert(path.to_owned(), node.clone());
        self.changes.insert(path.to_owned(), node);
    }
}

fn not_a_folder(path: &str) -> CopyError {
    CopyError::Invalid(format!("`/{}` is not a folder", path.escape_debug()))
}

#[cfg(test)]
mod tests;
