//! Applies `COPY`, `ADD` and `WORKDIR` to a file tree in memory.
//!
//! Owns the trees of a plan's stages and the archives that `ADD` unpacks on the way. Writes no
//! layers: it returns what each must contain.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
};

use esb_oci::{Attributes, ContentStore, Digest, IgnoreRules, StoreError};
use tempfile::TempDir;

use super::{
    accounts,
    base_contents::{BaseContents, Bases, LoadedBase, Missing},
    base_index::BaseIndex,
    node::{Changes, CopyError},
    sources::Sources,
    tree::{CopyTarget, Tree},
};
use crate::{
    Error, UnpackLimits,
    archives::unpack::{TarKind, tar_kind, unpack_tar},
    context::{
        Content, Context, ContextError, Item, ItemKind, Selected, not_text, scan_cache::Scan,
        selection::Selection, stat_cache::StatCache,
    },
    dockerfile::{
        CopyFrom, Fault, Problem,
        interpret::{CopyFiles, Plan, Step, StepAction},
    },
    error::io_error,
    paths,
};

/// How far the steps of a plan could be applied.
#[derive(Debug)]
pub(crate) enum Applied {
    Steps(AppliedSteps),
    /// Contents of base images have to be read before.
    Missing(Missing),
}

/// The changes that each step of an image made to its file system.
#[derive(Debug)]
pub(crate) struct AppliedSteps {
    /// The index of the target's base, when it was needed.
    pub(crate) base: Option<Arc<BaseIndex>>,
    /// What each step of the target changed.
    pub(crate) changes: Vec<Changes>,
    /// Files of archives and here-documents lie here until the layers are written.
    _unpacked: Vec<TempDir>,
    /// So do files that are copied out of base images.
    _contents: Vec<Arc<BaseContents>>,
}

/// Applies the steps of a plan.
pub(crate) struct StepApplier<'a> {
    store: &'a ContentStore,
    limits: UnpackLimits,
    bases: &'a Bases,
    trees: BTreeMap<usize, Tree>,
    missing: Missing,
    unpacked: Vec<TempDir>,
}

impl<'a> StepApplier<'a> {
    pub(crate) fn new(store: &'a ContentStore, limits: UnpackLimits, bases: &'a Bases) -> Self {
        let (trees, missing, unpacked) = Default::default();
        Self { store, limits, bases, trees, missing, unpacked }
    }

    /// Applies the steps of every stage; the changes of the last one are the image's.
    pub(crate) fn apply_all(mut self, plan: &Plan, sources: &Sources) -> Result<Applied, Fault> {
        let steps = self.stages(plan, sources);
        // What does not work with a file that stands for another may work with the right one.
        if !self.missing.is_empty() {
            return Ok(Applied::Missing(self.missing));
        }
        let (base, changes) = steps?;
        Ok(Applied::Steps(AppliedSteps {
            base,
            changes,
            _unpacked: self.unpacked,
            _contents: self.bases.values().filter_map(|base| base.contents.clone()).collect(),
        }))
    }

    fn stages(
        &mut self,
        plan: &Plan,
        sources: &Sources,
    ) -> Result<(Option<Arc<BaseIndex>>, Vec<Changes>), Fault> {
        let mut last = (None, Vec::new());
        for (position, stage) in &plan.stages {
            let base = stage.base.as_deref().and_then(|name| self.bases.get(name));
            let mut tree = Tree::new(base.cloned().unwrap_or_default());
            let mut changes = Vec::new();
            for (number, step) in stage.steps.iter().enumerate() {
                let mut step_changes = Changes::new();
                self.step(step, sources.get((*position, number)), &mut tree, &mut step_changes)?;
                changes.push(step_changes);
            }
            self.trees.insert(*position, tree);
            last = (base.map(|base| Arc::clone(&base.index)), changes);
        }
        Ok(last)
    }

    fn step(
        &mut self,
        step: &Step,
        sources: &[Arc<Scan>],
        tree: &mut Tree,
        changed: &mut Changes,
    ) -> Result<(), Fault> {
        let problem = |error| copy_problem(step.line, error);
        match &step.action {
            StepAction::Nothing => Ok(()),
            StepAction::MakeFolder { path, owner } => {
                if tree.has_folder(path).map_err(problem)? {
                    return Ok(());
                }
                let owner = accounts::resolve(owner, |path| tree.text(path)).map_err(problem)?;
                Ok(tree.make_folder(path, owner, changed).map_err(problem)?)
            }
            StepAction::Copy(copy) => {
                let from_stage;
                let sources: Vec<&Selected> = match &copy.from {
                    Some(from) => {
                        from_stage = self.other_sources(copy, from, step.line)?;
                        from_stage.iter().collect()
                    }
                    None => sources.iter().flat_map(|scan| &scan.found).collect(),
                };
                let owner = copy
                    .owner
                    .as_ref()
                    .map(|owner| accounts::resolve(owner, |path| tree.text(path)));
                let to = CopyTarget {
                    destination: &copy.destination,
                    into_folder: copy.into_folder,
                    owner: owner.transpose().map_err(problem)?,
                    mode: copy.mode.as_ref(),
                };
                if !copy.link {
                    return self.copy(copy, &sources, to, step.line, tree, changed);
                }
                let mut layer = Changes::new();
                let mut alone = Tree::new(LoadedBase::default());
                self.copy(copy, &sources, to, step.line, &mut alone, &mut layer)?;
                Ok(tree.lay(layer, changed).map_err(problem)?)
            }
        }
    }

    /// Lands sources and here-documents of a step.
    fn copy(
        &mut self,
        copy: &CopyFiles,
        sources: &[&Selected],
        to: CopyTarget<'_>,
        line: usize,
        tree: &mut Tree,
        changed: &mut Changes,
    ) -> Result<(), Fault> {
        let problem = |error| copy_problem(line, error);
        for selected in sources {
            if copy.unpack
                && let Some(items) = self.archive(selected, line)?
            {
                // Archives have modes of their own.
                let to = CopyTarget { mode: None, ..to };
                tree.unpack(&items, to, changed).map_err(problem)?;
            } else {
                tree.copy(selected, to, changed).map_err(problem)?;
            }
        }
        for (name, text) in &copy.documents {
            let document = self.document(name, text)?;
            tree.copy(&document, to, changed).map_err(problem)?;
        }
        Ok(())
    }

    /// The sources in another stage, or in an image.
    fn other_sources(
        &mut self,
        copy: &CopyFiles,
        from: &CopyFrom,
        line: usize,
    ) -> Result<Vec<Selected>, Problem> {
        let of_image;
        let tree = match from {
            CopyFrom::Stage(position) => &self.trees[position],
            CopyFrom::Image(name) => {
                of_image = Tree::new(self.bases.get(name).cloned().unwrap_or_default());
                &of_image
            }
        };
        let (mut found, mut missing) = (Vec::new(), BTreeSet::new());
        for source in &copy.sources {
            let problem = |error| copy_problem(line, error);
            let selection = Selection::new(source, copy.parents, &copy.excludes)
                .map_err(|reason| problem(CopyError::Invalid(reason)))?;
            let root = paths::clean(selection.root());
            if selection.keeps_folders() && tree.passes_link(&root).map_err(problem)? {
                // Engines do not always find what they ask for behind a link.
                let source = source.escape_debug();
                let reason = format!("`--parents` with a link in `{source}`");
                return Err(problem(CopyError::Unsupported(reason)));
            }
            let selected = tree.select(&selection, &mut missing).map_err(problem)?;
            found.extend(selection.take(selected).ok_or_else(|| {
                let source = paths::clean(source);
                let shown = source.escape_debug();
                // Engines of different age find nothing behind a link, or fail.
                problem(if tree.has(&source) {
                    CopyError::Unsupported(format!("`--parents` with a link in `/{shown}`"))
                } else {
                    CopyError::Invalid(format!("`/{shown}` is not in the stage"))
                })
            })?);
        }
        if !missing.is_empty() {
            self.missing.entry(tree.base().to_owned()).or_default().append(&mut missing);
        }
        Ok(found)
    }

    /// A here-document as a file.
    fn document(&mut self, name: &str, text: &str) -> Result<Selected, Error> {
        let folder = work_folder(self.store)?;
        let path = folder.path().join("document");
        fs::write(&path, text).map_err(io_error("write", &path))?;
        let content =
            Content { path, size: text.len() as u64, digest: Digest::of(text.as_bytes()) };
        let attributes = Attributes { mode: 0o644, uid: 0, gid: 0 };
        let item = Item { path: String::new(), attributes, kind: ItemKind::File(content) };
        self.unpacked.push(folder);
        Ok(Selected {
            name: name.to_owned(),
            is_folder: false,
            items: vec![item],
            passed: BTreeSet::new(),
        })
    }

    /// What an archive holds, when the source is one.
    fn archive(&mut self, selected: &Selected, line: usize) -> Result<Option<Vec<Item>>, Fault> {
        let [Item { kind: ItemKind::File(content), .. }] = &selected.items[..] else {
            return Ok(None);
        };
        if selected.is_folder {
            return Ok(None);
        }
        let path = &content.path;
        let kind = match tar_kind(path).map_err(io_error("read", path))? {
            None => return Ok(None),
            Some(TarKind::Other(name)) => {
                let reason = format!("`ADD` of an archive compressed with {name}");
                return Err(Problem::Unsupported { line, reason }.into());
            }
            Some(kind) => kind,
        };
        let folder = work_folder(self.store)?;
        let unpacked = unpack_tar(path, kind, folder.path(), self.limits);
        let named = unpacked.map_err(|error| match error {
            // Engines unpack what we refuse to, such as entries that lead through links.
            Error::Archive { reason, .. } => {
                let reason = format!("`ADD` of an archive that cannot be unpacked here: {reason}");
                Fault::from(Problem::Unsupported { line, reason })
            }
            error => error.into(),
        })?;
        let stats = StatCache::without_store();
        let unpacked =
            Context::new(folder.path().to_owned(), IgnoreRules::default(), &stats, false);
        let found = unpacked.exact("").map_err(|error| match error {
            ContextError::Other(error) => Fault::Error(error),
            ContextError::NotText(path) => {
                Problem::Unsupported { line, reason: not_text(&path) }.into()
            }
            ContextError::Missing(reason) | ContextError::Invalid(reason) => {
                Problem::Invalid { line, reason }.into()
            }
            ContextError::Link(fault) => {
                Problem::Invalid { line, reason: fault.to_string() }.into()
            }
            ContextError::Unsupported(reason) => Problem::Unsupported { line, reason }.into(),
        })?;
        self.unpacked.push(folder);
        // Folders that no entry names are made where they are missing.
        let is_entry =
            |item: &Item| !matches!(item.kind, ItemKind::Folder) || named.contains(&item.path);
        Ok(Some(found.items.into_iter().filter(is_entry).collect()))
    }
}

/// A folder beside the store for files that no context holds.
pub(crate) fn work_folder(store: &ContentStore) -> Result<TempDir, Error> {
    let parent = store.root().join("tmp");
    TempDir::new_in(&parent).map_err(|source| {
        StoreError::Io { action: "create a folder in", path: parent, source }.into()
    })
}

fn copy_problem(line: usize, error: CopyError) -> Problem {
    match error {
        CopyError::Invalid(reason) => Problem::Invalid { line, reason },
        CopyError::Unsupported(reason) => Problem::Unsupported { line, reason },
    }
}
