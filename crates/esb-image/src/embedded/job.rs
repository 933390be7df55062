//! The build's own copy of its request, with the keys and errors that follow from it.
//!
//! Owns the parts of an image's fingerprint. Refuses to look at files or to make anything.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use esb_model::{ImageKind, ImageRecipe, NullReporter};
use esb_oci::{ContentStore, Digest, Image};

use super::{LAST, NAME};
use crate::{
    Base, BuildRequest, Error, Unsupported,
    context::{ContextError, listing::Files, not_text},
    dockerfile::{
        CopyFrom, Problem,
        interpret::{CopyFiles, Plan, StagePlan, Step, StepAction},
    },
    filesystem::{apply::AppliedSteps, base_index::BaseIndex, sources::Sources},
    fingerprint::Fingerprint,
    image::{
        layer::LayerError,
        parts::{ImageParts, ImageSettings, LastParts, Part, list_bases},
        published::{AnnotationNames, Pins},
    },
    paths,
    redacting_reporter::RedactingReporter,
};

/// A build's own copy of its request: it moves to another thread.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a decision of its own")]
pub(super) struct Job {
    pub(super) recipe: ImageRecipe,
    pub(super) root: PathBuf,
    pub(super) bases: BTreeMap<String, Base>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) fingerprint_label: Option<String>,
    pub(super) names: AnnotationNames,
    pub(super) epoch: i64,
    /// Records of earlier builds may be used.
    pub(super) trust: bool,
    /// See [`BuildRequest::keep_bases`].
    pub(super) keep_bases: bool,
    pub(super) pins: Pins,
    /// See [`BuildRequest::trusts_published`].
    pub(super) trusts_published: bool,
    /// The image goes to a place that can be asked what it has.
    pub(super) has_place: bool,
}

impl Job {
    pub(super) fn new(request: BuildRequest<'_>) -> Self {
        Self {
            recipe: request.recipe.clone(),
            root: request.root.to_owned(),
            bases: request.bases.clone(),
            labels: request.labels.clone(),
            fingerprint_label: request.fingerprint_label.map(str::to_owned),
            names: AnnotationNames::new(request.label_prefix),
            epoch: request.epoch,
            trust: !request.no_cache,
            keep_bases: request.keep_bases,
            pins: request.pins.clone(),
            trusts_published: request.trusts_published,
            has_place: request.published.is_some(),
        }
    }

    /// Whether others are built on the image.
    pub(super) fn is_base(&self) -> bool {
        matches!(self.recipe.kind, ImageKind::Base(_))
    }

    /// What a step says, as the image's history and messages show it: build arguments may be
    /// secrets, and everybody who has the image reads its history.
    pub(super) fn shown(&self, step: &Step) -> String {
        RedactingReporter::new(&NullReporter, self.recipe.own.as_ref()).text(&step.created_by)
    }

    pub(super) fn image(&self) -> String {
        self.recipe.repository.clone()
    }

    pub(super) fn base(&self, stage: &StagePlan) -> Option<&Base> {
        self.bases.get(stage.base.as_deref()?)
    }

    /// The index of the image that was applied, when others are built on it.
    pub(super) fn index_of(&self, applied: &AppliedSteps) -> Option<Arc<BaseIndex>> {
        if !self.is_base() {
            return None;
        }
        let mut index = Arc::clone(applied.base.as_ref()?);
        for changes in &applied.changes {
            Arc::make_mut(&mut index).apply(changes);
        }
        Some(index)
    }

    /// The key under which an image is remembered. Images that were used because annotations are
    /// trusted have keys of their own, so that runs that do not trust annotations do not use them.
    pub(super) fn memory(&self, fingerprint: Digest) -> Digest {
        if !self.trusts_published {
            return fingerprint;
        }
        let mut key = Fingerprint::new("believed image");
        key.digest(fingerprint);
        key.finish()
    }

    /// Whether a step brings the packages that were installed for the image, and nothing else.
    pub(super) fn brings_packages(&self, step: &Step) -> bool {
        let target =
            self.recipe.dependencies.as_ref().map(|wanted| wanted.target.to_string_lossy());
        match (&step.action, target) {
            (StepAction::Copy(CopyFiles { from: None, sources, .. }), Some(target)) => {
                sources.iter().all(|source| paths::clean(source) == paths::clean(&target))
            }
            _ => false,
        }
    }

    /// Whether others can be built on an image that was found, when that is what it is for.
    pub(super) fn is_sound(&self, image: &Image) -> bool {
        if !self.is_base() {
            return true;
        }
        let config = image.parse_config();
        config.is_ok_and(|config| config.diff_ids().len() == image.layers.len())
    }

    pub(super) fn named_base(&self, name: &str) -> Result<&Base, Error> {
        let unknown = || Error::UnknownBase { image: self.image(), base: name.to_owned() };
        self.bases.get(name).ok_or_else(unknown)
    }

    /// What the last image of this recipe was made of.
    pub(super) fn last_parts<'s>(&self, store: &'s ContentStore) -> LastParts<'s> {
        let mut key = Fingerprint::new("last image");
        key.text(&self.root.to_string_lossy())
            .text(&self.recipe.folder.to_string_lossy())
            .text(&self.recipe.repository)
            .text(&self.recipe.tag)
            .text(&self.recipe.platform.to_string());
        LastParts { store, kind: LAST, key: key.finish() }
    }

    fn settings(&self) -> ImageSettings<'_> {
        ImageSettings {
            labels: &self.labels,
            fingerprint_label: self.fingerprint_label.as_deref(),
            epoch: self.epoch,
        }
    }

    pub(super) fn parts(&self, plan: &Plan, sources: &Sources) -> ImageParts {
        let mut base = Fingerprint::new("base");
        let mut recipe = Fingerprint::new("recipe");
        recipe.text(&self.recipe.platform.to_string());
        for (position, stage) in &plan.stages {
            base.number(*position as u64);
            if let Some(found) = self.base(stage) {
                // The config names the content of each layer, however it is compressed.
                base.text(&found.name).digest(found.image.config.descriptor.digest);
            }
            recipe.number(*position as u64).bytes(&stage.config.to_bytes());
            describe_steps(stage, &mut recipe);
        }
        for name in &plan.images {
            if let Some(found) = self.bases.get(name) {
                base.text(&found.name).digest(found.image.config.descriptor.digest);
            }
        }
        let sources = sources.describe(plan);
        ImageParts {
            base: base.finish(),
            recipe: recipe.finish(),
            settings: self.settings().key("settings"),
            sources,
        }
    }

    /// Lists the files of a part of the image, so that the next build can say what changed.
    pub(super) fn listing(&self, part: Part<'_>, plan: &Plan, sources: &Sources) -> Files {
        match part {
            Part::Base => {
                let images = plan.images.iter().filter_map(|name| self.bases.get(name));
                list_bases(plan.stages.values().filter_map(|stage| self.base(stage)).chain(images))
            }
            Part::Recipe => {
                let steps = plan.stages.values().flat_map(|stage| &stage.steps);
                steps.map(|step| (self.shown(step), String::new())).collect()
            }
            Part::Settings => self.settings().listing(),
            Part::Source(place) => {
                let mut files = sources.files(plan);
                let files = files.find(|(other, _)| other == place);
                files.map(|(_, files)| files()).unwrap_or_default()
            }
        }
    }

    pub(super) fn problem(&self, problem: Problem) -> Error {
        match problem {
            Problem::Invalid { line, reason } => {
                Error::Dockerfile { image: self.image(), line, reason }
            }
            Problem::Unsupported { line, reason } => Error::Unsupported {
                image: self.image(),
                engine: NAME,
                source: Unsupported { line, reason },
            },
        }
    }

    pub(super) fn context_error(&self, line: usize, error: ContextError) -> Error {
        match error {
            ContextError::Missing(path) => Error::MissingSource {
                image: self.image(),
                path: self.recipe.context.folder.join(path),
            },
            ContextError::Invalid(reason) => self.problem(Problem::Invalid { line, reason }),
            ContextError::Unsupported(reason) => {
                self.problem(Problem::Unsupported { line, reason })
            }
            ContextError::Link(fault) => Error::Link { image: self.image(), fault },
            ContextError::NotText(path) => {
                self.problem(Problem::Unsupported { line, reason: not_text(&path) })
            }
            ContextError::Other(error) => *error,
        }
    }

    pub(super) fn layer_error(&self, error: LayerError) -> Error {
        let store = |source| Error::Io {
            action: "write a layer of",
            path: Path::new(&self.recipe.repository).to_owned(),
            source,
        };
        match error {
            LayerError::Read { path, source } => Error::Io { action: "read", path, source },
            LayerError::Write(source) => store(source),
            LayerError::Store(error) => error.into(),
        }
    }
}

/// Adds what its steps say to a key, without the files that they copy.
fn describe_steps(stage: &StagePlan, key: &mut Fingerprint) {
    for step in &stage.steps {
        key.text(&step.created_by);
        match &step.action {
            StepAction::Nothing => key.text("nothing"),
            StepAction::Copy(copy) => {
                let from = match &copy.from {
                    None => u64::MAX,
                    Some(CopyFrom::Stage(position)) => *position as u64,
                    Some(CopyFrom::Image(name)) => {
                        key.text("image").text(name);
                        u64::MAX
                    }
                };
                for pattern in &copy.excludes {
                    key.text("exclude").text(pattern);
                }
                if copy.link {
                    key.text("link");
                }
                if copy.unpack != step.created_by.starts_with("ADD") {
                    key.text("unpack").number(copy.unpack.into());
                }
                for (name, text) in &copy.documents {
                    key.text("document").text(name).text(text);
                }
                key.text("copy").number(from).number(copy.into_folder.into());
                key.text(&copy.destination)
            }
            StepAction::MakeFolder { path, owner } => {
                key.text("folder").text(path).text(&format!("{owner:?}"))
            }
        };
    }
}
