//! Applies `COPY`, `ADD` and `WORKDIR` to a file tree in memory.
//!
//! Owns the trees of a plan's stages and the archives that `ADD` unpacks on the way. Writes no
//! layers: it returns what each must contain.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    sync::Arc,
};

use esb_oci::{Attributes, ContentStore, Digest, IgnoreRules, StoreError};
use tempfile::TempDir;

use super::{
    accounts,
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
        stat_cache::StatCache,
    },
    dockerfile::{
        Fault, Problem,
        interpret::{CopyFiles, Plan, Step, StepAction},
    },
    error::io_error,
};

/// The changes that each step of an image made to its file system.
#[derive(Debug)]
pub(crate) struct AppliedSteps {
    /// The index of the target's base, when it was needed.
    pub(crate) base: Option<Arc<BaseIndex>>,
    /// What each step of the target changed.
    pub(crate) changes: Vec<Changes>,
    /// Files of archives and here-documents lie here until the layers are written.
    _unpacked: Vec<TempDir>,
}

/// Applies the steps of a plan.
pub(crate) struct StepApplier<'a> {
    store: &'a ContentStore,
    limits: UnpackLimits,
    bases: HashMap<usize, Arc<BaseIndex>>,
    trees: BTreeMap<usize, Tree>,
    unpacked: Vec<TempDir>,
}

impl<'a> StepApplier<'a> {
    /// `bases` holds the index of each stage's base, as far as it was needed.
    pub(crate) fn new(
        store: &'a ContentStore,
        limits: UnpackLimits,
        bases: HashMap<usize, Arc<BaseIndex>>,
    ) -> Self {
        Self { store, limits, bases, trees: BTreeMap::new(), unpacked: Vec::new() }
    }

    /// Applies the steps of every stage; the changes of the last one are the image's.
    pub(crate) fn apply_all(
        mut self,
        plan: &Plan,
        sources: &Sources,
    ) -> Result<AppliedSteps, Fault> {
        let mut last = (None, Vec::new());
        for (position, stage) in &plan.stages {
            let base = self.bases.get(position).cloned();
            let mut tree = Tree::new(base.clone().unwrap_or_default());
            let mut changes = Vec::new();
            for (number, step) in stage.steps.iter().enumerate() {
                let mut step_changes = Changes::new();
                self.step(step, sources.get((*position, number)), &mut tree, &mut step_changes)?;
                changes.push(step_changes);
            }
            self.trees.insert(*position, tree);
            last = (base, changes);
        }
        let (base, changes) = last;
        Ok(AppliedSteps { base, changes, _unpacked: self.unpacked })
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
                let sources: Vec<&Selected> = match copy.from {
                    Some(from) => {
                        from_stage = self.stage_sources(copy, from, step.line)?;
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
                    mode: copy.mode,
                };
                for selected in sources {
                    if copy.unpack
                        && let Some(items) = self.archive(selected, step.line)?
                    {
                        if to.owner.is_some() || to.mode.is_some() {
                            let reason = "`ADD` of an archive with an owner or a mode".to_owned();
                            return Err(problem(CopyError::Unsupported(reason)).into());
                        }
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
        }
    }

    fn stage_sources(
        &self,
        copy: &CopyFiles,
        from: usize,
        line: usize,
    ) -> Result<Vec<Selected>, Problem> {
        let tree = &self.trees[&from];
        let mut found = Vec::new();
        for source in &copy.sources {
            found.extend(tree.select(source).map_err(|error| copy_problem(line, error))?);
        }
        Ok(found)
    }

    /// A folder beside the store for files that no context holds.
    fn work_folder(&self) -> Result<TempDir, Error> {
        let parent = self.store.root().join("tmp");
        TempDir::new_in(&parent).map_err(|source| {
            StoreError::Io { action: "create a folder in", path: parent, source }.into()
        })
    }

    /// A here-document as a file.
    fn document(&mut self, name: &str, text: &str) -> Result<Selected, Error> {
        let folder = self.work_folder()?;
        let path = folder.path().join("document");
        fs::write(&path, text).map_err(io_error("write", &path))?;
        let content =
            Content { path, size: text.len() as u64, digest: Digest::of(text.as_bytes()) };
        let attributes = Attributes { mode: 0o644, uid: 0, gid: 0 };
        let item = Item { path: String::new(), attributes, kind: ItemKind::File(content) };
        self.unpacked.push(folder);
        Ok(Selected { name: name.to_owned(), is_folder: false, items: vec![item] })
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
        let folder = self.work_folder()?;
        unpack_tar(path, kind, folder.path(), self.limits).map_err(|error| match error {
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
        let items = unpacked.exact("").map_err(|error| match error {
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
        Ok(Some(items.items))
    }
}

fn copy_problem(line: usize, error: CopyError) -> Problem {
    match error {
        CopyError::Invalid(reason) => Problem::Invalid { line, reason },
        CopyError::Unsupported(reason) => Problem::Unsupported { line, reason },
    }
}
