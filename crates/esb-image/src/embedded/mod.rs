//! The embedded engine: builds images without a daemon.
//!
//! Owns the order of a build (interpret, scan the context, ask the records, apply the steps, write) and
//! what runs beside the asynchronous threads. Refuses everything that needs a process.

mod found;
mod index;
mod job;
mod make;

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

use esb_model::{Activity, ActivityGuard, ImageRecipe, NullReporter, Reporter};
use esb_oci::{BoxFuture, ContentStore, Digest, IgnoreRules, Image, ImageConfig};
use tokio::sync::{OnceCell, Semaphore};

use self::job::Job;
use crate::{
    Action, BuildPrediction, BuildReport, BuildRequest, Builder, Built, Error, PublishedImages,
    UnpackLimits, Unsupported,
    blocking::blocking,
    context::{
        Context, ContextError,
        listing::Listings,
        own_folders::OwnFolders,
        scan_cache::{self, ScanCache, ScanKey},
        selection::Selection,
        stat_cache::StatCache,
    },
    dockerfile::{
        Fault, Problem, Script,
        interpret::{CopyFiles, Plan, StepAction},
    },
    filesystem::{base_index::BaseIndex, sources::Sources},
    image::{
        assemble::{self, Remembered},
        layer::Layers,
        parts::{ImageParts, NO_CACHE, Part},
        published::{ExpectedImage, Pins, PublishedLayers},
    },
    redacting_reporter::RedactingReporter,
};

const NAME: &str = "embedded";

/// The record's kind in the content store: what the last image of a recipe was made of.
const LAST: &str = "last-image";

/// The settings of the embedded engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbeddedSettings {
    /// For archives that `ADD` unpacks.
    pub unpack: UnpackLimits,
}

/// A [`Builder`] without a daemon. Cheap to clone; clones share state.
#[derive(Debug, Clone)]
pub struct EmbeddedBuilder {
    inner: Arc<Inner>,
}

/// By image, and whether its accounts are asked for.
type Indexes = HashMap<(Digest, bool), Arc<OnceCell<Arc<BaseIndex>>>>;

#[derive(Debug)]
struct Inner {
    store: ContentStore,
    settings: EmbeddedSettings,
    stats: StatCache,
    layers: Layers,
    listings: Listings,
    scans: ScanCache,
    /// Bounds how many builds read files or write layers at a time, whatever `--jobs` says: both keep
    /// a processor busy, and more at once would only take memory.
    processors: Semaphore,
    /// Indexes that this process has, by manifest.
    indexes: Mutex<Indexes>,
    /// Base images whose manifests are known to be ours, with all that they say.
    own_manifests: Mutex<HashSet<Digest>>,
    /// Configs of bases, by digest: fifty functions on one base read it once.
    configs: Mutex<HashMap<Digest, ImageConfig>>,
}

/// The plan, the sources and the keys of a build before its layers are made.
struct Prepared {
    plan: Plan,
    sources: Sources,
    parts: ImageParts,
    /// The target's config, labels included.
    config: ImageConfig,
    /// What is known of the image that this ends in: an earlier build's manifest, whose blobs are
    /// not here, or a pin.
    wanted: ExpectedImage,
    /// Layers that lie where the image goes, as their manifest says.
    earlier: PublishedLayers,
}

enum Progress {
    Done(Box<BuildReport>),
    Needed(Box<Prepared>),
}

impl EmbeddedBuilder {
    /// An engine that keeps everything in `store`.
    pub fn new(store: ContentStore, settings: EmbeddedSettings) -> Self {
        let stats = StatCache::new(store.clone());
        let layers = Layers::new(store.clone());
        let listings = Listings::new(store.clone());
        let (scans, indexes, own_manifests, configs) = Default::default();
        let processors =
            Semaphore::new(std::thread::available_parallelism().map_or(2, usize::from));
        Self {
            inner: Arc::new(Inner {
                store,
                settings,
                stats,
                layers,
                listings,
                scans,
                processors,
                indexes,
                own_manifests,
                configs,
            }),
        }
    }

    /// Begins a batch: until the result is dropped, what several builds copy is scanned once, also
    /// when no two of them run at the same time. The files must not change meanwhile.
    pub fn batch(&self) -> Batch<'_> {
        Batch(self.inner.scans.running())
    }
}

/// See [`EmbeddedBuilder::batch`].
#[derive(Debug)]
#[must_use = "a batch ends when it is dropped"]
pub struct Batch<'a>(#[expect(dead_code, reason = "it is dropped")] scan_cache::Running<'a>);

impl Builder for EmbeddedBuilder {
    fn name(&self) -> &'static str {
        NAME
    }

    fn supports(&self, recipe: &ImageRecipe) -> Result<(), Unsupported> {
        let checked =
            Script::for_recipe(recipe).and_then(|script| Plan::check(&script, recipe.platform));
        checked.map_err(|problem| match problem {
            Problem::Invalid { line, reason } | Problem::Unsupported { line, reason } => {
                Unsupported { line, reason }
            }
        })
    }

    fn predict<'a>(
        &'a self,
        request: BuildRequest<'a>,
    ) -> BoxFuture<'a, Result<Option<BuildPrediction>, Error>> {
        let job = Arc::new(Job::new(request));
        Box::pin(async move {
            let hidden = RedactingReporter::new(&NullReporter, job.recipe.own.as_ref());
            let progress = self.check(&job, request.published, &NullReporter).await;
            let progress = progress.map_err(|error| hidden.error(error))?;
            let inner = Arc::clone(&self.inner);
            Ok(Some(blocking(move || inner.prediction(&job, progress)).await))
        })
    }

    fn build<'a>(
        &'a self,
        request: BuildRequest<'a>,
        reporter: &'a dyn Reporter,
    ) -> BoxFuture<'a, Result<BuildReport, Error>> {
        Box::pin(async move {
            let subject = &request.recipe.repository;
            let activity = ActivityGuard::start(reporter, subject, Activity::Build);
            let job = Arc::new(Job::new(request));
            let hidden = RedactingReporter::new(reporter, request.recipe.own.as_ref());
            let report = self.run(job, request.published, reporter).await;
            let report = report.map_err(|error| hidden.error(error))?;
            activity.finish(&report.reason);
            Ok(report)
        })
    }
}

impl EmbeddedBuilder {
    async fn run(
        &self,
        job: Arc<Job>,
        published: Option<&dyn PublishedImages>,
        reporter: &dyn Reporter,
    ) -> Result<BuildReport, Error> {
        let inner = Arc::clone(&self.inner);
        let _running = self.inner.scans.running();
        let prepared = match self.check(&job, published, reporter).await? {
            Progress::Done(report) => return Ok(*report),
            Progress::Needed(prepared) => prepared,
        };
        let (prepared, applied, _permit) = self.apply(&job, prepared, reporter).await?;
        blocking(move || inner.make(&job, &prepared, &applied)).await
    }

    /// Everything that can be known before something is made, here and where the image goes.
    async fn check(
        &self,
        job: &Arc<Job>,
        published: Option<&dyn PublishedImages>,
        reporter: &dyn Reporter,
    ) -> Result<Progress, Error> {
        let prepared = {
            let _permit = self.inner.processors.acquire().await;
            let (inner, job) = (Arc::clone(&self.inner), Arc::clone(job));
            blocking(move || inner.prepare(&job)).await?
        };
        match (prepared, published) {
            (Progress::Needed(prepared), Some(published)) if job.trust => {
                self.find(job, published, prepared, reporter).await
            }
            (other, _) => Ok(other),
        }
    }
}

impl Inner {
    fn prediction(&self, job: &Job, progress: Progress) -> BuildPrediction {
        match progress {
            Progress::Done(report) => match report.built {
                Built::Local(image) => BuildPrediction::Reuse(image),
                _ => unreachable!("what is known is an image at hand"),
            },
            Progress::Needed(prepared) => {
                let Prepared { plan, sources, parts, .. } = &*prepared;
                BuildPrediction::Build { reason: self.why(job, plan, sources, parts) }
            }
        }
    }

    fn why(&self, job: &Job, plan: &Plan, sources: &Sources, parts: &ImageParts) -> String {
        if !job.trust {
            return NO_CACHE.to_owned();
        }
        let changes = |part: Part<'_>, before| {
            self.listings.changes(before, &job.listing(part, plan, sources))
        };
        let last = job.last_parts(&self.store).read();
        let reason = parts.reason(last.as_ref(), changes);
        // Functions need no pin.
        let is_spared = last.is_some() || !job.is_base() || !job.has_place;
        if is_spared { reason } else { job.pins.explain(&reason, parts.key()) }
    }

    /// All that can be done without a base's layers; often that is everything.
    fn prepare(&self, job: &Job) -> Result<Progress, Error> {
        let script = Script::for_recipe(&job.recipe).map_err(|problem| job.problem(problem))?;
        let base = |_, name: &str| self.base_config(job, name);
        let plan = Plan::new(&script, job.recipe.platform, base).map_err(|fault| match fault {
            Fault::Problem(problem) => job.problem(problem),
            Fault::Error(error) => *error,
        })?;
        let sources = self.scan(job, &plan)?;
        let target = plan.target();
        let base = job.base(target);
        let mut config = target.config.clone();
        assemble::label(&mut config, base, &job.labels);
        let parts = job.parts(&plan, &sources);
        let key = parts.key();
        if let Some(label) = &job.fingerprint_label {
            config.insert("Labels", label, key.hex());
        }
        let remembered = if job.trust {
            assemble::remembered(base, &self.store, job.memory(key), job.is_base())
        } else {
            Remembered::Nothing
        };
        if let Remembered::Whole(image) = remembered {
            job.last_parts(&self.store).write(&parts)?;
            let reason = "same content, base and recipe".to_owned();
            let pins = self.accept(job, &image, key);
            return Ok(Progress::Done(Box::new(report(*image, Action::Cached, reason, pins))));
        }
        let known = match remembered {
            Remembered::Manifest(bytes) => Some(bytes),
            _ => None,
        };
        let wanted = ExpectedImage { known, pinned: job.pins.image(key) };
        let earlier = PublishedLayers::default();
        let prepared = Prepared { plan, sources, parts, config, wanted, earlier };
        Ok(Progress::Needed(Box::new(prepared)))
    }

    fn base_config(&self, job: &Job, name: &str) -> Result<ImageConfig, Fault> {
        let image = &job.named_base(name)?.image;
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        match configs.entry(image.config.descriptor.digest) {
            Entry::Occupied(known) => Ok(known.get().clone()),
            Entry::Vacant(unknown) => {
                let config = image.parse_config().map_err(Error::from)?;
                Ok(unknown.insert(config).clone())
            }
        }
    }

    /// Looks at every file that the context gives to a step.
    fn scan(&self, job: &Job, plan: &Plan) -> Result<Sources, Error> {
        let folder = job.root.join(&job.recipe.context.folder);
        let folder = self.scans.folder(&folder).map_err(|source| Error::Io {
            action: "open the build context",
            path: folder.clone(),
            source,
        })?;
        let rules = IgnoreRules::parse(&job.recipe.dockerignore)
            .map_err(|reason| Error::Dockerignore { image: job.image(), reason })?;
        let context = Context::new(folder.clone(), rules, &self.stats, job.trust)
            .with_own(OwnFolders::of(&job.recipe));
        let mut sources = Sources::new();
        for (position, stage) in &plan.stages {
            for (number, step) in stage.steps.iter().enumerate() {
                let StepAction::Copy(copy @ CopyFiles { from: None, .. }) = &step.action else {
                    continue;
                };
                let mut found = Vec::new();
                for source in &copy.sources {
                    let key = ScanKey {
                        folder: folder.clone(),
                        dockerignore: job.recipe.dockerignore.clone(),
                        source: source.clone(),
                        parents: copy.parents,
                        excludes: copy.excludes.clone(),
                        trust: job.trust,
                    };
                    let selection = Selection::new(source, copy.parents, &copy.excludes)
                        .map_err(ContextError::Invalid);
                    let scan = selection.and_then(|selection| {
                        self.scans.get_or_scan(key, || context.take(source, &selection))
                    });
                    found.push(scan.map_err(|error| job.context_error(step.line, error))?);
                }
                sources.insert((*position, number), found);
            }
        }
        Ok(sources)
    }
}

fn report(image: Image, action: Action, reason: String, pins: Pins) -> BuildReport {
    BuildReport { built: Built::Local(Box::new(image)), action, reason, daemon: None, pins }
}
