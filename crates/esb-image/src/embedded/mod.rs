//! The embedded engine: images without a daemon.
//!
//! Owns the order of a build (interpret, look at the context, ask the records, land, write) and
//! what runs beside the asynchronous threads. Refuses everything that needs a process.

mod job;

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use esb_model::{Event, ImageRecipe, Reporter};
use esb_oci::{BoxFuture, ContentStore, Digest, IgnoreRules, Image, ImageConfig};
use tokio::sync::{OnceCell, Semaphore};

use self::job::Job;
use crate::{
    Action, Base, BuildReport, BuildRequest, Builder, Built, Error, Foresight, Published,
    UnpackLimits, Unsupported,
    assemble::{self, Parts, Remembered},
    base_index::{self, BaseIndex, compact},
    base_layers,
    blocking::blocking,
    context::Context,
    dockerfile::{
        Fault, Problem, Script,
        interpret::{Action as StepAction, CopyFiles, Plan},
    },
    fingerprint::{ImageParts, Part},
    landing::{Lander, Sources},
    layer::Layers,
    listing::Listings,
    looks::{self, Looks},
    published::Earlier,
    stat_cache::StatCache,
};

const NAME: &str = "embedded";

/// The record's kind in the content store: what the last image of a recipe was made of.
const LAST: &str = "last-image";

/// How the embedded engine works.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbeddedSettings {
    /// For archives that `ADD` unpacks.
    pub unpack: UnpackLimits,
}

/// Builds without a daemon. Cheap to clone; clones share what they know.
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
    looks: Looks,
    /// Looking at files keeps a processor busy: more at once than there are take memory for nothing.
    turns: Semaphore,
    /// Indexes that this process has, by manifest.
    indexes: Mutex<Indexes>,
    /// Configs of bases, by digest: fifty functions on one base read it once.
    configs: Mutex<HashMap<Digest, ImageConfig>>,
}

/// What is known before anything is made.
struct Prepared {
    plan: Plan,
    sources: Sources,
    parts: ImageParts,
    /// The target's config, labels included.
    config: ImageConfig,
    /// The manifest of an earlier build of the same, whose blobs are not here.
    known: Option<Bytes>,
    /// Layers that lie where the image goes.
    earlier: Earlier,
}

enum Progress {
    Done(BuildReport),
    Needed(Box<Prepared>),
}

impl EmbeddedBuilder {
    /// An engine that keeps everything in `store`.
    pub fn new(store: ContentStore, settings: EmbeddedSettings) -> Self {
        let stats = StatCache::new(store.clone());
        let layers = Layers::new(store.clone());
        let listings = Listings::new(store.clone());
        let (looks, indexes, configs) = Default::default();
        let turns = Semaphore::new(std::thread::available_parallelism().map_or(2, usize::from));
        let inner =
            Inner { store, settings, stats, layers, listings, looks, turns, indexes, configs };
        Self { inner: Arc::new(inner) }
    }

    /// Begins a batch: until the result is dropped, what several builds copy is looked at once, also
    /// when no two of them run at the same time. The files must not change meanwhile.
    pub fn batch(&self) -> Batch<'_> {
        Batch(self.inner.looks.running())
    }
}

/// See [`EmbeddedBuilder::batch`].
#[derive(Debug)]
#[must_use = "a batch ends when it is dropped"]
pub struct Batch<'a>(#[expect(dead_code, reason = "it is dropped")] looks::Running<'a>);

impl Builder for EmbeddedBuilder {
    fn name(&self) -> &'static str {
        NAME
    }

    fn supports(&self, recipe: &ImageRecipe) -> Result<(), Unsupported> {
        if recipe.own.is_some() {
            return Err(own_dockerfile());
        }
        let checked =
            Script::parse(&recipe.dockerfile, recipe.platform).and_then(|script| script.check());
        checked.map_err(|problem| match problem {
            Problem::Invalid { line, reason } | Problem::Unsupported { line, reason } => {
                Unsupported { line, reason }
            }
        })
    }

    fn foresee<'a>(
        &'a self,
        request: BuildRequest<'a>,
    ) -> BoxFuture<'a, Result<Option<Foresight>, Error>> {
        let job = Arc::new(Job::new(request));
        Box::pin(async move {
            let progress = self.look(&job, request.published).await?;
            let inner = Arc::clone(&self.inner);
            Ok(Some(blocking(move || inner.foresight(&job, progress)).await))
        })
    }

    fn build<'a>(
        &'a self,
        request: BuildRequest<'a>,
        reporter: &'a dyn Reporter,
    ) -> BoxFuture<'a, Result<BuildReport, Error>> {
        Box::pin(async move {
            let subject = &*request.recipe.repository;
            reporter.event(&Event::Started { subject, action: "build" });
            let job = Arc::new(Job::new(request));
            let report = self.run(job, request.published, reporter).await?;
            reporter.event(&Event::Finished { subject, action: "build", detail: &report.reason });
            Ok(report)
        })
    }
}

/// Why a user's Dockerfile is not built here: it is expected to run programs.
fn own_dockerfile() -> Unsupported {
    let reason = "an image function's own Dockerfile is built by a container engine".to_owned();
    Unsupported { line: 1, reason }
}

impl EmbeddedBuilder {
    async fn run(
        &self,
        job: Arc<Job>,
        published: Option<&dyn Published>,
        reporter: &dyn Reporter,
    ) -> Result<BuildReport, Error> {
        if job.recipe.own.is_some() {
            let source = own_dockerfile();
            let image = job.recipe.repository.clone();
            return Err(Error::Unsupported { image, engine: "embedded", source });
        }
        let inner = Arc::clone(&self.inner);
        let _running = self.inner.looks.running();
        let prepared = match self.look(&job, published).await? {
            Progress::Done(report) => return Ok(report),
            Progress::Needed(prepared) => prepared,
        };
        let mut indexes = HashMap::new();
        for (position, stage) in &prepared.plan.stages {
            let Some(base) = job.base(stage) else { continue };
            if prepared.plan.needs_index(*position) {
                let named = prepared.plan.names_owners(*position);
                let index = self.index(&job, base, named, reporter).await?;
                indexes.insert(base.image.digest(), index);
            }
        }
        blocking(move || inner.make(&job, *prepared, &indexes)).await
    }

    /// Everything that can be known before something is made, here and where the image goes.
    async fn look(
        &self,
        job: &Arc<Job>,
        published: Option<&dyn Published>,
    ) -> Result<Progress, Error> {
        let prepared = {
            let _turn = self.inner.turns.acquire().await;
            let (inner, job) = (Arc::clone(&self.inner), Arc::clone(job));
            blocking(move || inner.prepare(&job)).await?
        };
        match prepared {
            Progress::Needed(prepared) => self.find(job, published, prepared).await,
            done @ Progress::Done(_) => Ok(done),
        }
    }

    /// Asks the place that the image goes to, when this machine does not have it.
    async fn find(
        &self,
        job: &Arc<Job>,
        published: Option<&dyn Published>,
        mut prepared: Box<Prepared>,
    ) -> Result<Progress, Error> {
        let Some(published) = published.filter(|_| job.trust) else {
            return Ok(Progress::Needed(prepared));
        };
        let found = published.find(&job.recipe, prepared.known.take()).await;
        let Some(image) = found else { return Ok(Progress::Needed(prepared)) };
        let key = prepared.parts.key();
        if !job.names.is_marked(&image, key) || !job.is_sound(&image) {
            prepared.earlier = job.names.layers(&image);
            return Ok(Progress::Needed(prepared));
        }
        let (inner, job) = (Arc::clone(&self.inner), Arc::clone(job));
        blocking(move || {
            assemble::remember(&image, &inner.store, key)?;
            inner.store.set_record(LAST, job.last_key(), &prepared.parts)?;
            let reason = "published already with the same content, base and recipe".to_owned();
            Ok(Progress::Done(report(image, Action::Cached, reason)))
        })
        .await
    }

    /// The index of a base: from memory, from a record, from its manifest, or made of its layers,
    /// which alone say the accounts of owners that are `named`. Of several builds that need it one
    /// works and the others wait.
    async fn index(
        &self,
        job: &Job,
        base: &Base,
        named: bool,
        reporter: &dyn Reporter,
    ) -> Result<Arc<BaseIndex>, Error> {
        let digest = base.image.digest();
        let is_enough = |index: &BaseIndex| !(named && index.lacks_accounts());
        let cell = {
            let mut indexes = self.inner.indexes.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(indexes.entry((digest, named)).or_default())
        };
        let make = async || {
            let store = self.inner.store.clone();
            let keep = job.keep_bases.then_some(&self.inner.store);
            if job.trust {
                let store = store.clone();
                let known = blocking(move || store.record(base_index::RECORD, digest)).await;
                if let Some(index) = known.filter(is_enough) {
                    return Ok(Arc::new(index));
                }
            }
            let carried = base.image.manifest.annotations.get(&job.names.base_index);
            let carried = carried.and_then(|text| compact::decode(text)).filter(is_enough);
            // Of processes that need it at the same time one reads the layers.
            let mut turn = None;
            let index = if let Some(index) = carried {
                index
            } else {
                let subject = &*base.name;
                reporter.event(&Event::Started { subject, action: "index" });
                turn = Some(store.turn("index", digest).await);
                if job.trust {
                    let store = store.clone();
                    let look = move || store.fresh_record(base_index::RECORD, digest);
                    if let Some(index) = blocking(look).await.filter(is_enough) {
                        let detail = "made by another run";
                        reporter.event(&Event::Finished { subject, action: "index", detail });
                        return Ok(Arc::new(index));
                    }
                }
                let index = base_layers::index(&job.recipe.repository, base, keep).await?;
                reporter.event(&Event::Finished { subject, action: "index", detail: "" });
                index
            };
            let index = Arc::new(index);
            let record = Arc::clone(&index);
            blocking(move || store.set_record(base_index::RECORD, digest, &*record)).await?;
            drop(turn);
            Ok(index)
        };
        cell.get_or_try_init(make).await.cloned()
    }
}

impl Inner {
    fn foresight(&self, job: &Job, progress: Progress) -> Foresight {
        match progress {
            Progress::Done(BuildReport { built: Built::Local(image), .. }) => {
                Foresight::Reuse(image)
            }
            Progress::Done(_) => unreachable!("what is known is an image at hand"),
            Progress::Needed(prepared) => {
                let Prepared { plan, sources, parts, .. } = &*prepared;
                Foresight::Build { reason: self.why(job, plan, sources, parts) }
            }
        }
    }

    fn why(&self, job: &Job, plan: &Plan, sources: &Sources, parts: &ImageParts) -> String {
        if !job.trust {
            return "earlier results were not to be used".to_owned();
        }
        let changes = |part: Part<'_>, before| {
            self.listings.changes(before, &job.listing(part, plan, sources))
        };
        parts.reason(self.store.record(LAST, job.last_key()).as_ref(), changes)
    }

    /// All that can be done without a base's layers; often that is everything.
    fn prepare(&self, job: &Job) -> Result<Progress, Error> {
        let script = Script::parse(&job.recipe.dockerfile, job.recipe.platform)
            .map_err(|problem| job.problem(problem))?;
        let base = |_, name: &str| self.base_config(job, name);
        let plan = Plan::new(&script, job.recipe.platform, base).map_err(|fault| match fault {
            Fault::Problem(problem) => job.problem(problem),
            Fault::Error(error) => *error,
        })?;
        let sources = self.look(job, &plan)?;
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
            assemble::remembered(base, &self.store, key, job.is_base())
        } else {
            Remembered::Nothing
        };
        if let Remembered::Whole(image) = remembered {
            if self.store.record(LAST, job.last_key()).as_ref() != Some(&parts) {
                self.store.set_record(LAST, job.last_key(), &parts)?;
            }
            let reason = "same content, base and recipe".to_owned();
            return Ok(Progress::Done(report(*image, Action::Cached, reason)));
        }
        let known = match remembered {
            Remembered::Manifest(bytes) => Some(bytes),
            _ => None,
        };
        let earlier = Earlier::default();
        let prepared = Prepared { plan, sources, parts, config, known, earlier };
        Ok(Progress::Needed(Box::new(prepared)))
    }

    fn base_config(&self, job: &Job, name: &str) -> Result<ImageConfig, Fault> {
        let image = &job.named_base(name)?.image;
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        match configs.entry(image.config.descriptor.digest) {
            Entry::Occupied(known) => Ok(known.get().clone()),
            Entry::Vacant(unknown) => {
                let config = ImageConfig::parse(&image.config_bytes).map_err(Error::from)?;
                Ok(unknown.insert(config).clone())
            }
        }
    }

    /// Looks at every file that the context gives to a step.
    fn look(&self, job: &Job, plan: &Plan) -> Result<Sources, Error> {
        let folder = job.root.join(&job.recipe.context.folder);
        let folder = self.looks.folder(&folder).map_err(|source| Error::Io {
            action: "open the build context",
            path: folder.clone(),
            source,
        })?;
        let rules = IgnoreRules::parse(&job.recipe.dockerignore)
            .map_err(|reason| Error::Dockerignore { image: job.image(), reason })?;
        let context = Context::new(folder.clone(), rules, &self.stats, job.trust);
        let mut sources = Sources::new();
        for (position, stage) in &plan.stages {
            for (number, step) in stage.steps.iter().enumerate() {
                let StepAction::Copy(copy @ CopyFiles { from: None, .. }) = &step.action else {
                    continue;
                };
                let mut found = Vec::new();
                for source in &copy.sources {
                    let key = looks::Key {
                        folder: folder.clone(),
                        dockerignore: job.recipe.dockerignore.clone(),
                        source: source.clone(),
                        trust: job.trust,
                    };
                    let look = self.looks.find(key, || context.select(source));
                    found.push(look.map_err(|error| job.context_error(step.line, error))?);
                }
                sources.insert((*position, number), found);
            }
        }
        Ok(sources)
    }

    fn make(
        &self,
        job: &Job,
        prepared: Prepared,
        indexes: &HashMap<Digest, Arc<BaseIndex>>,
    ) -> Result<BuildReport, Error> {
        let Prepared { plan, sources, parts, config, earlier, .. } = prepared;
        let reason = self.why(job, &plan, &sources, &parts);
        let bases = plan.stages.iter().filter_map(|(position, stage)| {
            let index = indexes.get(&job.base(stage)?.image.digest())?;
            Some((*position, Arc::clone(index)))
        });
        let landed = Lander::new(&self.store, self.settings.unpack, bases.collect())
            .all(&plan, &sources)
            .map_err(|fault| match fault {
                Fault::Problem(problem) => job.problem(problem),
                Fault::Error(error) => *error,
            })?;
        let target = plan.target();
        let mut steps = Vec::new();
        for (step, changes) in target.steps.iter().zip(&landed.changes) {
            let layer = if changes.is_empty() {
                None
            } else {
                let made = self.layers.make(changes, job.epoch, job.trust, &earlier);
                Some(made.map_err(|error| job.layer_error(error))?)
            };
            steps.push((step, layer));
        }
        let base = job.base(target);
        let index = job.index_of(&landed);
        let mut annotations = BTreeMap::new();
        if let Some(text) = index.as_deref().and_then(compact::encode) {
            annotations.insert(job.names.base_index.clone(), text);
        }
        let names = &job.names;
        let image = assemble::assemble(
            Parts { base, config, steps, epoch: job.epoch, names, annotations },
            &self.store,
            parts.key(),
        )?;
        if let Some(index) = index {
            self.keep_index(&image, &index)?;
        }
        for (part, key) in parts.each() {
            self.listings.keep(key, || job.listing(part, &plan, &sources));
        }
        self.store.set_record(LAST, job.last_key(), &parts)?;
        Ok(report(image, Action::Built, reason))
    }

    /// Others are built on a base image: its index is known already, no layer has to be read.
    fn keep_index(&self, image: &Image, index: &Arc<BaseIndex>) -> Result<(), Error> {
        self.store.set_record(base_index::RECORD, image.digest(), &**index)?;
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        for named in [false, true] {
            let index = (!named || !index.lacks_accounts()).then(|| Arc::clone(index));
            indexes.insert((image.digest(), named), Arc::new(OnceCell::new_with(index)));
        }
        Ok(())
    }
}

fn report(image: Image, action: Action, reason: String) -> BuildReport {
    BuildReport { built: Built::Local(Box::new(image)), action, reason, daemon: None }
}
