//! What the steps of a plan change in the file system.
//!
//! Owns the trees of a plan's stages and the archives that `ADD` unpacks on the way. Refuses to
//! write layers: it says what is in them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use esb_oci::{ContentStore, IgnoreRules};
use tempfile::TempDir;

use crate::{
    Error, UnpackLimits,
    archives::unpack::{TarKind, io_error, tar_kind, unpack_tar},
    context::{
        Context, ContextError, Item, ItemKind, Selected,
        listing::{self, Files},
        scan_cache::Look,
        stat_cache::StatCache,
    },
    dockerfile::{
        Fault, Problem,
        interpret::{Action, CopyFiles, Plan, StagePlan, Step},
    },
    filesystem::{
        accounts,
        base_index::BaseIndex,
        tree::{Changes, LandError, Landing, Tree},
    },
    fingerprint::Fingerprint,
    paths,
};

/// What the context gives to each step, by stage and position of the step; one list for each
/// source.
#[derive(Debug, Default)]
pub(crate) struct Sources(HashMap<(usize, usize), Vec<Arc<Look>>>);

impl Sources {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn insert(&mut self, step: (usize, usize), found: Vec<Arc<Look>>) {
        self.0.insert(step, found);
    }

    fn get(&self, step: (usize, usize)) -> &[Arc<Look>] {
        self.0.get(&step).map_or(&[], |found| &**found)
    }

    /// A key of what each source holds, by place and name.
    pub(crate) fn describe(&self, plan: &Plan) -> BTreeMap<String, esb_oci::Digest> {
        self.places(plan).map(|(place, _, found)| (place, found.key)).collect()
    }

    /// The files of each source, by place and name.
    pub(crate) fn files<'a>(
        &'a self,
        plan: &'a Plan,
    ) -> impl Iterator<Item = (String, impl FnOnce() -> Files + use<'a>)> {
        self.places(plan).map(|(place, name, found)| (place, move || files(name, &found.found)))
    }

    fn places<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = (String, &'a str, &'a Look)> {
        self.0.iter().flat_map(|((stage, number), found)| {
            let sources = match &plan.stages[stage].steps[*number].action {
                Action::Copy(copy) => &*copy.sources,
                Action::Nothing | Action::MakeFolder { .. } => &[],
            };
            sources.iter().zip(found).enumerate().map(move |(position, (name, found))| {
                (format!("{stage}.{number}.{position} {name}"), &**name, &**found)
            })
        })
    }
}

/// The files of a source by their paths in the context.
fn files(source: &str, found: &[Selected]) -> Files {
    let source = source.trim_end_matches('/');
    let mut files = Files::new();
    for selected in found {
        let top = match found {
            [_] if !source.contains(['*', '?', '[']) => source.to_owned(),
            _ => paths::join(paths::parent(source), &selected.name),
        };
        for item in &selected.items {
            let what = match &item.kind {
                ItemKind::Folder => continue,
                ItemKind::Link(target) => listing::link(target),
                ItemKind::File(content) => listing::file(item.attributes.mode, content.digest),
            };
            files.insert(paths::clean(&paths::join(&top, &item.path)), what);
        }
    }
    files
}

/// A key of what some files and folders hold.
pub(crate) fn describe(found: &[Selected]) -> esb_oci::Digest {
    let mut key = Fingerprint::new("source");
    for selected in found {
        key.text(&selected.name).number(selected.items.len() as u64);
        key.text(if selected.is_folder { "folder" } else { "file" });
        for item in &selected.items {
            key.text(&item.path).number(item.attributes.mode.into());
            match &item.kind {
                ItemKind::Folder => key.text("folder"),
                ItemKind::Link(target) => key.text("link").text(target),
                ItemKind::File(content) => {
                    key.text("file").number(content.size).digest(content.digest)
                }
            };
        }
    }
    key.finish()
}

impl StagePlan {
    /// Adds all that its steps say to a key, without what the context gives them.
    pub(crate) fn describe(&self, key: &mut Fingerprint) {
        for step in &self.steps {
            key.text(&step.created_by);
            match &step.action {
                Action::Nothing => key.text("nothing"),
                Action::Copy(copy) => {
                    let from = copy.from.map_or(u64::MAX, |from| from as u64);
                    key.text("copy").number(from).number(copy.into_folder.into());
                    key.text(&copy.destination)
                }
                Action::MakeFolder { path, owner } => {
                    key.text("folder").text(path).text(&format!("{owner:?}"))
                }
            };
        }
    }
}

/// The image's file system, by its steps.
#[derive(Debug)]
pub(crate) struct Landed {
    /// The index of the target's base, when it was needed.
    pub(crate) base: Option<Arc<BaseIndex>>,
    /// What each step of the target changed.
    pub(crate) changes: Vec<Changes>,
    /// Files of archives lie here until the layers are written.
    _unpacked: Vec<TempDir>,
}

/// Lands the steps of a plan.
pub(crate) struct Lander<'a> {
    store: &'a ContentStore,
    limits: UnpackLimits,
    bases: HashMap<usize, Arc<BaseIndex>>,
    trees: BTreeMap<usize, Tree>,
    unpacked: Vec<TempDir>,
}

impl<'a> Lander<'a> {
    /// `bases` holds the index of each stage's base, as far as it was needed.
    pub(crate) fn new(
        store: &'a ContentStore,
        limits: UnpackLimits,
        bases: HashMap<usize, Arc<BaseIndex>>,
    ) -> Self {
        Self { store, limits, bases, trees: BTreeMap::new(), unpacked: Vec::new() }
    }

    /// Lands every stage; the changes of the last one are the image's.
    pub(crate) fn all(mut self, plan: &Plan, sources: &Sources) -> Result<Landed, Fault> {
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
        Ok(Landed { base, changes, _unpacked: self.unpacked })
    }

    fn step(
        &mut self,
        step: &Step,
        sources: &[Arc<Look>],
        tree: &mut Tree,
        changed: &mut Changes,
    ) -> Result<(), Fault> {
        let problem = |error| land_problem(step.line, error);
        match &step.action {
            Action::Nothing => Ok(()),
            Action::MakeFolder { path, owner } => {
                if tree.has_folder(path).map_err(problem)? {
                    return Ok(());
                }
                let owner = accounts::resolve(owner, tree).map_err(problem)?;
                Ok(tree.make_folder(path, owner, changed).map_err(problem)?)
            }
            Action::Copy(copy) => {
                let from_stage;
                let sources: Vec<&Selected> = match copy.from {
                    Some(from) => {
                        from_stage = self.stage_sources(copy, from, step.line)?;
                        from_stage.iter().collect()
                    }
                    None => sources.iter().flat_map(|look| &look.found).collect(),
                };
                let owner = copy.owner.as_ref().map(|owner| accounts::resolve(owner, tree));
                let landing = Landing {
                    destination: &copy.destination,
                    into_folder: copy.into_folder,
                    owner: owner.transpose().map_err(problem)?,
                    mode: copy.mode,
                };
                for selected in sources {
                    if copy.unpack
                        && let Some(items) = self.archive(selected, step.line)?
                    {
                        if landing.owner.is_some() || landing.mode.is_some() {
                            let reason = "`ADD` of an archive with an owner or a mode".to_owned();
                            return Err(problem(LandError::Unsupported(reason)).into());
                        }
                        tree.unpack(&items, landing, changed).map_err(problem)?;
                    } else {
                        tree.land(selected, landing, changed).map_err(problem)?;
                    }
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
            found.extend(tree.select(source).map_err(|error| land_problem(line, error))?);
        }
        Ok(found)
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
        let parent = self.store.root().join("tmp");
        let folder = TempDir::new_in(&parent).map_err(io_error("create a folder in", &parent))?;
        unpack_tar(path, kind, folder.path(), self.limits).map_err(|error| match error {
            // Engines unpack what we refuse to, such as entries that lead through links.
            Error::Archive { reason, .. } => {
                let reason = format!("`ADD` of an archive that cannot be unpacked here: {reason}");
                Fault::from(Problem::Unsupported { line, reason })
            }
            error => error.into(),
        })?;
        let stats = StatCache::forgetful();
        let unpacked =
            Context::new(folder.path().to_owned(), IgnoreRules::default(), &stats, false);
        let items = unpacked.exact("").map_err(|error| match error {
            ContextError::Io { action, path, source } => {
                Fault::from(Error::Io { action, path, source })
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

fn land_problem(line: usize, error: LandError) -> Problem {
    match error {
        LandError::Invalid(reason) => Problem::Invalid { line, reason },
        LandError::Unsupported(reason) => Problem::Unsupported { line, reason },
    }
}
