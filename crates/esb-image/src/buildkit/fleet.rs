//! The builder for a fleet of daemons: from a recipe to an image that a daemon pushed or exported.

mod build_and_export;
mod request;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use esb_model::{Activity, ActivityGuard, Event, ImageRecipe, PublishTarget, Reporter, Secret};
use esb_oci::{
    Anonymous, BoxFuture, ContentStore, CredentialSource, Descriptor, Digest, Image, media_type,
};

use futures_util::{StreamExt as _, stream};

use super::{
    content::Contents,
    failure::SolveError,
    filesync::FileTree,
    key,
    node::{AT_ONCE, Link, Node},
    placement::{PlacementItem, RendezvousHasher},
    session::{Session, SessionConfig, SharedTree},
    solve::solve,
};
use crate::{
    Action, BuildPrediction, BuildReport, BuildRequest, Builder, Built, Error, StepPlace,
    Unsupported,
    context::stat_cache::StatCache,
    daemon::{
        StepSecrets,
        address::EngineAddress,
        credentials::DaemonCredentials,
        job::{Job, JobSettings},
        progress::Progress,
    },
    fingerprint::Fingerprint,
    redacting_reporter::RedactingReporter,
};

/// The Dockerfile's name for a daemon.
const DOCKERFILE: &str = "Dockerfile";
/// What is left out was never sent; a file of the context shall not say otherwise.
const DOCKERIGNORE: (&str, &str) = ("Dockerfile.dockerignore", "# nothing is left out\n");

/// The settings of a fleet: its daemons, and what builds get.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct FleetSettings {
    /// Where the daemons listen, with the files of mutual TLS.
    pub daemons: Vec<EngineAddress>,
    /// The name in the certificates of the daemons; that of each address without one.
    pub server_name: Option<String>,
    /// Where images go; without one they come back into the store.
    pub target: Option<PublishTarget>,
    /// The name that daemons have for the registry, where it is another one than ours.
    pub registry: Option<String>,
    /// The registry may be reached over plain HTTP.
    pub plain: bool,
    /// Build arguments of every build, such as those that name a proxy.
    pub arguments: BTreeMap<String, String>,
    /// For steps that mount them, by their ids.
    pub secrets: BTreeMap<String, Secret<Vec<u8>>>,
    /// Credentials for registries that daemons ask for; they get none without one.
    pub credentials: Option<Arc<dyn CredentialSource>>,
}

/// A [`Builder`] that builds on a fleet of daemons. Cheap to clone; clones share connections and
/// state.
#[derive(Clone)]
pub struct FleetBuilder(Arc<Inner>);

struct Inner {
    settings: FleetSettings,
    daemons: Arc<Daemons>,
    /// Of the sessions of this builder alone.
    config: SessionConfig,
    store: ContentStore,
    stats: StatCache,
    placed: Mutex<HashMap<String, PlacedBuild>>,
}

/// The daemons of a fleet, shared by its builders.
struct Daemons {
    nodes: Vec<Node>,
    ring: RendezvousHasher,
    /// Of the session with each daemon that stays open.
    config: SessionConfig,
}

/// A build that has a daemon already.
#[derive(Clone)]
struct PlacedBuild {
    job: Arc<Job>,
    node: usize,
}

/// The result of a build on a daemon.
enum BuildOutput {
    Pushed(Digest),
    Exported(Box<Image>),
}

impl fmt::Debug for FleetBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.daemons.nodes.iter().map(|node| &node.name)).finish()
    }
}

impl FleetBuilder {
    /// A builder for the daemons of `settings`; none is contacted yet.
    ///
    /// # Errors
    /// [`Error::NoFleet`] when there are none, or the files of TLS cannot be used.
    pub fn new(settings: FleetSettings, store: ContentStore) -> Result<Self, Error> {
        if settings.daemons.is_empty() {
            return Err(Error::NoFleet { tried: vec!["none is named".to_owned()] });
        }
        let mut nodes: Vec<Node> = Vec::with_capacity(settings.daemons.len());
        for address in &settings.daemons {
            let node = Node::new(address.clone(), settings.server_name.as_deref());
            let node = node.map_err(|error| Error::NoFleet {
                tried: vec![format!("{address}: {}", crate::daemon::chain(&error))],
            })?;
            if nodes.iter().all(|known| known.name != node.name) {
                nodes.push(node);
            }
        }
        let ring = RendezvousHasher::new(nodes.iter().map(|node| &*node.name));
        let renamed = settings
            .registry
            .clone()
            .zip(settings.target.as_ref().map(|target| target.push_host().to_owned()));
        let secrets = Arc::new(settings.secrets.clone());
        let contents = Contents::new(store.clone());
        let source = settings.credentials.clone().unwrap_or_else(|| Arc::new(Anonymous));
        let credentials = Arc::new(DaemonCredentials::new(source));
        let config = SessionConfig { credentials, renamed, secrets, contents };
        let daemons = Arc::new(Daemons { nodes, ring, config: config.clone() });
        Ok(Self::of(settings, daemons, config, store))
    }

    fn of(
        settings: FleetSettings,
        daemons: Arc<Daemons>,
        config: SessionConfig,
        store: ContentStore,
    ) -> Self {
        let (stats, placed) = (StatCache::new(store.clone()), Mutex::default());
        Self(Arc::new(Inner { settings, daemons, config, store, stats, placed }))
    }

    /// The same daemons for work of our own: images come back whatever the target, nothing but
    /// `secrets` reaches steps, and what was built may be in another store.
    pub(crate) fn isolated(&self, secrets: StepSecrets, store: ContentStore) -> Self {
        let (settings, daemons) = (FleetSettings::default(), Arc::clone(&self.0.daemons));
        let config = SessionConfig {
            secrets: Arc::new(secrets),
            contents: Contents::new(store.clone()),
            ..self.0.config.clone()
        };
        Self::of(settings, daemons, config, store)
    }

    /// Checks every daemon, all at the same time, and reports those that do not answer.
    ///
    /// # Errors
    /// [`Error::NoFleet`] when none does.
    pub async fn check(&self, reporter: &dyn Reporter) -> Result<(), Error> {
        let daemons = &*self.0.daemons;
        let asked = daemons.nodes.iter().map(|node| node.link(&daemons.config));
        let answers = futures_util::future::join_all(asked).await;
        let mut tried = Vec::new();
        for (node, answer) in daemons.nodes.iter().zip(&answers) {
            let Err(why) = answer else { continue };
            let decision = format!("left out, for it does not answer: {why}");
            reporter.event(&Event::Decided { subject: &node.name, decision: &decision });
            tried.push(format!("{}: {why}", node.name));
        }
        if tried.len() < answers.len() {
            return Ok(());
        }
        Err(Error::NoFleet { tried })
    }

    /// How many builds the fleet does at a time.
    pub fn capacity(&self) -> usize {
        self.0.daemons.nodes.len() * AT_ONCE
    }

    /// Assigns a daemon to each build and returns its name. All builds of a run are placed
    /// together, including those that need no work, so that a build gets the same daemon in every
    /// run. An invalid build is reported when it is built.
    pub async fn place(&self, requests: &[BuildRequest<'_>]) -> Vec<String> {
        let inner = &*self.0;
        // Futures do nothing before they are polled, which is a few at a time.
        let jobs: Vec<_> = requests.iter().map(|request| inner.try_prepare(*request)).collect();
        let jobs: Vec<_> = stream::iter(jobs).buffered(contexts_at_a_time()).collect().await;
        let items: Vec<PlacementItem> = jobs
            .iter()
            .zip(requests)
            .map(|(job, request)| {
                let name = Digest::of(identity(request.recipe).as_bytes());
                PlacementItem { key: job.as_ref().map_or(name, |job| key::key(job)), name }
            })
            .collect();
        let nodes = inner.daemons.ring.place(&items);
        let mut placed = inner.placed.lock().unwrap_or_else(PoisonError::into_inner);
        for ((job, request), node) in jobs.into_iter().zip(requests).zip(&nodes) {
            if let Some(job) = job {
                placed.insert(identity(request.recipe), PlacedBuild { job, node: *node });
            }
        }
        nodes.into_iter().map(|node| inner.daemons.nodes[node].name.clone()).collect()
    }
}

/// How many contexts are read at a time: reading keeps a processor busy and waits for the disk.
fn contexts_at_a_time() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).max(2)
}

fn identity(recipe: &ImageRecipe) -> String {
    format!("{}:{} {}", recipe.repository, recipe.tag, recipe.platform)
}

impl Inner {
    fn job_settings(&self) -> JobSettings<'_> {
        JobSettings { prefix: "", arguments: &self.settings.arguments, stats: &self.stats }
    }

    async fn try_prepare(&self, request: BuildRequest<'_>) -> Option<Arc<Job>> {
        Job::prepare(request, self.job_settings()).await.ok().map(Arc::new)
    }

    async fn prepare(&self, request: BuildRequest<'_>) -> Result<PlacedBuild, Error> {
        let identity = identity(request.recipe);
        let known = self.placed.lock().unwrap_or_else(PoisonError::into_inner).remove(&identity);
        if let Some(known) = known {
            return Ok(known);
        }
        let job = Arc::new(Job::prepare(request, self.job_settings()).await?);
        let node = self.daemons.ring.rank(key::key(&job))[0];
        Ok(PlacedBuild { job, node })
    }

    /// An earlier image that is where it has to be.
    async fn earlier(&self, request: BuildRequest<'_>, job: &Job) -> Result<Option<Image>, Error> {
        if request.no_cache {
            return Ok(None);
        }
        if request.published.is_some() {
            return job.published(request, &self.store).await;
        }
        let recorded = job.recorded(&self.store)?;
        if recorded.is_some() {
            job.remember_parts(&self.store)?;
        }
        Ok(recorded)
    }

    async fn run(
        &self,
        request: BuildRequest<'_>,
        reporter: &dyn Reporter,
    ) -> Result<BuildReport, Error> {
        let placed = self.prepare(request).await?;
        let job = &placed.job;
        if let Some(image) = self.earlier(request, job).await? {
            let reason = "same content, base and recipe".to_owned();
            let pins = job.pins(request, image.digest());
            let built = Built::Local(Box::new(image));
            return Ok(BuildReport { built, action: Action::Cached, reason, daemon: None, pins });
        }
        let reason = job.reason(&self.store, request, "the registry does not have it");
        let (made, daemon) = self.build_on_any(request, &placed, reporter).await?;
        let (pins, built) = match made {
            BuildOutput::Exported(image) => {
                job.remember(&self.store, &image.descriptor)?;
                (job.pins(request, image.digest()), Built::Local(image))
            }
            BuildOutput::Pushed(digest) => {
                job.remember(&self.store, &Descriptor::new(media_type::OCI_MANIFEST, digest, 0))?;
                let target = self.settings.target.as_ref().expect("it was pushed somewhere");
                let reference = target.image(&request.recipe.repository, &request.recipe.tag);
                (job.pins(request, digest), Built::Pushed { reference, digest })
            }
        };
        Ok(BuildReport { built, action: Action::Built, reason, daemon: Some(daemon), pins })
    }

    /// Builds on the daemon that the build belongs to, else on the next in rank that can.
    async fn build_on_any(
        &self,
        request: BuildRequest<'_>,
        placed: &PlacedBuild,
        reporter: &dyn Reporter,
    ) -> Result<(BuildOutput, String), Error> {
        let (job, daemons) = (&placed.job, &*self.daemons);
        let mut order = daemons.ring.rank(key::key(job));
        order.retain(|node| *node != placed.node);
        order.insert(0, placed.node);
        let mut tried = Vec::new();
        for node in order.into_iter().map(|node| &daemons.nodes[node]) {
            let _permit = node.permits.acquire().await.expect("nobody closes it");
            let failed = match node.link(&daemons.config).await {
                Ok(link) if !link.builds_for(&job.platform) => {
                    format!("it does not build for {}", job.platform)
                }
                Ok(link) => {
                    let decision = format!("built on {}", node.name);
                    reporter.event(&Event::Decided { subject: &job.image, decision: &decision });
                    match self.build_on(&link, request, job, reporter).await? {
                        Ok(made) => return Ok((made, node.name.clone())),
                        Err(SolveError::Step { step, log }) => {
                            let image = job.image.clone();
                            let daemon = Some(node.name.clone());
                            let at = StepPlace { line: request::line_of(job, &step), daemon };
                            return Err(Error::Step { image, step, log, at });
                        }
                        Err(SolveError::Denied(reason)) => {
                            return Err(self.denied(job, &node.name, reason));
                        }
                        Err(SolveError::Refused(reason)) => {
                            return Err(refused(job, &node.name, &reason));
                        }
                        Err(SolveError::Daemon(why)) => {
                            node.failed(&link, &why).await;
                            why
                        }
                    }
                }
                Err(why) => why,
            };
            let failed = self.config.credentials.hide(&failed);
            let decision = format!("{} cannot build it, so the next one does: {failed}", node.name);
            reporter.event(&Event::Decided { subject: &job.image, decision: &decision });
            tried.push(format!("{}: {failed}", node.name));
        }
        Err(Error::Fleet { image: job.image.clone(), tried })
    }

    fn denied(&self, job: &Job, daemon: &str, reason: String) -> Error {
        match self.registry_in(job, &reason) {
            Some(registry) => {
                let (image, daemon) = (job.image.clone(), daemon.to_owned());
                Error::Denied { registry, daemon, image, reason }
            }
            None => refused(job, daemon, &reason),
        }
    }

    /// Builds on one daemon.
    async fn build_on(
        &self,
        link: &Link,
        request: BuildRequest<'_>,
        job: &Arc<Job>,
        reporter: &dyn Reporter,
    ) -> Result<Result<BuildOutput, SolveError>, Error> {
        let names = self.base_names(job);
        let tree = FileTree::of_context(&job.items, job.epoch);
        let text = job.rewrite.write_flat(&names);
        let texts = [(DOCKERFILE, &*text), DOCKERIGNORE];
        let texts = FileTree::of_texts(&texts, job.epoch);
        let mut place = Fingerprint::new("buildkit context");
        place.text(&job.name).text(&job.platform);
        let place = place.finish().short();
        let mut progress = Progress::new(&job.image, reporter);
        let show = |session: &Session| {
            let context = session.show(format!("context-{place}"), tree);
            (context, session.show(format!("dockerfile-{place}"), texts))
        };
        let answer = if self.settings.target.is_some() {
            let shown = show(&link.session);
            let exporter = self.pushing(request, job);
            let request = self.solve_request(request, job, &link.session, &shown, exporter);
            let answer = solve(link, request, &mut progress).await;
            sent(&shown, &job.image, reporter)?;
            answer.map(|response| response.get("containerimage.digest").cloned())
        } else {
            return self.build_and_export(link, request, job, show, &mut progress, reporter).await;
        };
        let digest = match answer {
            Ok(digest) => digest.and_then(|digest| digest.parse().ok()),
            Err(failed) => return Ok(Err(failed)),
        };
        let none = || SolveError::Refused("it pushed an image and did not say which".to_owned());
        Ok(digest.map(BuildOutput::Pushed).ok_or_else(none))
    }
}

fn refused(job: &Job, daemon: &str, reason: &str) -> Error {
    let reason = format!("{daemon}: {reason}");
    Error::Engine { action: "build", subject: job.image.clone(), reason }
}

/// Tells what a daemon fetched, and what could not be read for it.
fn sent(
    shown: &(SharedTree, SharedTree),
    image: &str,
    reporter: &dyn Reporter,
) -> Result<(), Error> {
    let (_, done) = shown.0.tree().fetched();
    reporter.event(&Event::Progress {
        subject: image,
        action: Activity::Context,
        done,
        total: None,
    });
    match shown.0.tree().take_failure() {
        Some((path, source)) => Err(Error::Io { action: "read", path, source }),
        None => Ok(()),
    }
}

impl Builder for FleetBuilder {
    fn name(&self) -> &'static str {
        "buildkit"
    }

    /// All that is a Dockerfile; the daemon itself says what it cannot do.
    fn supports(&self, _: &ImageRecipe) -> Result<(), Unsupported> {
        Ok(())
    }

    fn predict<'a>(
        &'a self,
        request: BuildRequest<'a>,
    ) -> BoxFuture<'a, Result<Option<BuildPrediction>, Error>> {
        Box::pin(async move {
            let inner = &*self.0;
            let job = Job::prepare(request, inner.job_settings()).await?;
            Ok(Some(match inner.earlier(request, &job).await? {
                Some(image) => BuildPrediction::Reuse(Box::new(image)),
                None => BuildPrediction::Build {
                    reason: job.reason(&inner.store, request, "the registry does not have it"),
                },
            }))
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
            let hidden = RedactingReporter::new(reporter, request.recipe.own.as_ref());
            let report = self.0.run(request, &hidden).await;
            let report =
                report.map_err(|error| hidden.error(self.0.config.credentials.clean(error)))?;
            let detail = match &report.daemon {
                Some(daemon) => format!("{}, on {daemon}", report.reason),
                None => report.reason.clone(),
            };
            activity.finish(&detail);
            Ok(report)
        })
    }
}
