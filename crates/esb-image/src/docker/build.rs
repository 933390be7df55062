//! Builds images in a Docker engine, by its BuildKit.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bollard::{
    body_try_stream,
    errors::Error as DockerApiError,
    models::BuildInfoAux,
    query_parameters::{BuildImageOptionsBuilder, BuilderVersion},
};
use esb_model::{Activity, ActivityGuard, ImageRecipe, Reporter};
use esb_oci::{BoxFuture, ContentStore};
use futures_util::StreamExt as _;
use tokio::sync::Semaphore;

use super::{
    DockerEngine,
    bases::Bases,
    engine::api_error,
    exports::{BuildInProgress, Exports},
    session, transfer,
};
use crate::{
    Action, BuildReport, BuildRequest, Builder, Built, Engine as _, Error, Pins, StepPlace,
    Unsupported,
    context::stat_cache::StatCache,
    daemon::{
        StepSecrets,
        archive::{ExportOptions, Normalization},
        bundle::context_tar,
        job::{Job, JobSettings},
        pipe::write_blocking,
        progress::Progress,
        session_name,
    },
    dockerfile::rewrite::{CONTEXT_DIR, DOCKERFILE_NAME},
    image::assemble::rfc3339,
    redacting_reporter::RedactingReporter,
};

/// The first API whose BuildKit knows `SOURCE_DATE_EPOCH` (engine 23).
const KNOWS_EPOCH: (usize, usize) = (1, 42);
/// The kind of the records that say which image of the engine a build ended in.
const RECORD: &str = "engine-image";
/// Builds of the engine at a time, unless the caller says.
const JOBS: usize = 8;

/// A [`Builder`] that builds in a Docker engine.
///
/// What is built gets the name `<prefix><repository>:<tag>` in the engine, and is taken out of it
/// into the content store, where it no longer depends on the time of the build. Builds that run at
/// the same time come out in one stream, so that what they share comes once: start many.
#[derive(Debug)]
pub struct DockerBuilder {
    engine: DockerEngine,
    store: ContentStore,
    prefix: String,
    arguments: BTreeMap<String, String>,
    export: bool,
    /// For steps of this builder; with them, steps share this machine's network.
    secrets: StepSecrets,
    bases: Bases,
    stats: StatCache,
    exports: Exports,
    jobs: Semaphore,
}

impl DockerBuilder {
    /// Makes a builder that builds in `engine` and exports images into `store`.
    pub fn new(engine: DockerEngine, store: ContentStore) -> Self {
        let (prefix, arguments, secrets, bases) = Default::default();
        let stats = StatCache::new(store.clone());
        let exports = Exports::new(engine.clone(), store.clone());
        Self {
            engine,
            store,
            prefix,
            arguments,
            export: true,
            secrets,
            bases,
            stats,
            exports,
            jobs: Semaphore::new(JOBS),
        }
    }

    /// Limits the number of images that the engine builds at a time.
    #[must_use]
    pub fn with_jobs(mut self, jobs: usize) -> Self {
        self.jobs = Semaphore::new(jobs.max(1));
        self
    }

    /// Leaves the images in the engine: builds give [`Built::InEngine`].
    #[must_use]
    pub fn in_engine(mut self) -> Self {
        self.export = false;
        self
    }

    /// Puts `prefix`, such as `registry:5010/`, in front of the images' names in the engine.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Passes build arguments, such as those that name a proxy. None are passed otherwise.
    #[must_use]
    pub fn with_arguments(mut self, arguments: BTreeMap<String, String>) -> Self {
        self.arguments = arguments;
        self
    }

    /// Gives secrets to steps that mount them. Such steps see this machine's network, on which
    /// what the secrets are for may be reached.
    #[must_use]
    pub(crate) fn with_secrets(mut self, secrets: StepSecrets) -> Self {
        self.secrets = secrets;
        self
    }

    async fn run(
        &self,
        request: BuildRequest<'_>,
        reporter: &dyn Reporter,
    ) -> Result<BuildReport, Error> {
        let running = self.exports.running();
        let permit = self.jobs.acquire().await;
        let job = Arc::new(Job::prepare(request, self.settings()).await?);
        let same = "same content, base and recipe";
        if self.export && !request.no_cache {
            if let Some(image) = job.recorded(&self.store)? {
                job.remember_parts(&self.store)?;
                let pins = job.pins(request, image.digest());
                return Ok(cached(Built::Local(Box::new(image)), same, pins));
            }
            if let Some(image) = job.published(request, &self.store).await? {
                let pins = job.pins(request, image.digest());
                let reason = format!("published already with the {same}");
                return Ok(cached(Built::Local(Box::new(image)), &reason, pins));
            }
        }
        if !request.no_cache
            && let Some(id) = self.made_here(&job).await?
        {
            drop(permit);
            let (built, pins) = self.take(request, &job, id, running).await?;
            job.remember_parts(&self.store)?;
            return Ok(cached(built, same, pins));
        }
        let reason = job.reason(&self.store, request, "the engine does not have it");
        let mut names = BTreeMap::new();
        for (name, base) in &job.bases {
            let platform = request.recipe.platform;
            let wanted = (&**name, base);
            let bases = &self.bases;
            let there = bases.ensure(&self.engine, &self.store, wanted, platform, reporter).await?;
            names.insert(name.clone(), there);
        }
        let id = self.build_image(&job, &names, request.no_cache, reporter).await?;
        drop(permit);
        self.store.set_record(RECORD, job.key, &id)?;
        let (built, pins) = self.take(request, &job, id, running).await?;
        job.remember_parts(&self.store)?;
        Ok(BuildReport { built, action: Action::Built, reason, daemon: None, pins })
    }

    /// The image that the engine has under the build's name, when it is the one that an earlier
    /// build of the same ended in: a pulled one may carry any label.
    async fn made_here(&self, job: &Job) -> Result<Option<String>, Error> {
        let Some(made) = self.store.record::<String>(RECORD, job.key) else { return Ok(None) };
        let there = self.engine.find(&job.name).await?;
        Ok(there.filter(|id| *id == made))
    }

    fn settings(&self) -> JobSettings<'_> {
        JobSettings { prefix: &self.prefix, arguments: &self.arguments, stats: &self.stats }
    }

    /// Lets the engine build, and gives the image's id.
    async fn build_image(
        &self,
        job: &Arc<Job>,
        names: &BTreeMap<String, String>,
        no_cache: bool,
        reporter: &dyn Reporter,
    ) -> Result<String, Error> {
        let subject = &*job.image;
        let failed = || api_error("build", subject);
        let mut arguments: HashMap<&str, &str> =
            self.arguments.iter().map(|(key, value)| (&**key, &**value)).collect();
        let epoch = job.epoch.to_string();
        if self.engine.api() >= KNOWS_EPOCH {
            arguments.insert("SOURCE_DATE_EPOCH", &epoch);
        }
        let own = job.own.as_ref();
        let args = own.into_iter().flat_map(|own| &own.args);
        arguments.extend(args.map(|(name, value)| (&**name, &**value.reveal())));
        let session = session_name();
        let options = BuildImageOptionsBuilder::new()
            .version(BuilderVersion::BuilderBuildKit)
            .session(&session)
            .dockerfile(DOCKERFILE_NAME)
            .t(&job.name)
            .platform(&job.platform)
            .labels(&job.labels.iter().collect::<HashMap<_, _>>())
            .buildargs(&arguments)
            .target(own.and_then(|own| own.target.as_deref()).unwrap_or_default())
            .nocache(no_cache)
            .rm(true)
            .forcerm(true);
        let pulled: Vec<String> =
            names.values().filter(|name| name.contains('@')).cloned().collect();
        let credentials = transfer::session_credentials(&self.engine, &pulled).await?;
        let text = job.rewrite.write(names);
        let body = {
            let job = Arc::clone(job);
            write_blocking(move |writer| {
                context_tar(&job.items, Some(&text), job.rewrite.moves_context(), job.epoch, writer)
            })
        };
        let (docker, transport, _guard) = self.engine.long_with_transport("build")?;
        let (options, credentials, _session) = if self.secrets.is_empty() {
            (options, Some(credentials), None)
        } else {
            let open = session::open(transport, &session, self.secrets.clone());
            let options = options.version(BuilderVersion::BuilderV1).networkmode("host");
            (options, None, Some(open.await.map_err(failed())?))
        };
        let mut answers =
            docker.build_image(options.build(), credentials, Some(body_try_stream(body)));
        let mut progress = Progress::new(subject, reporter);
        let mut id = None;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(info) => match info.aux {
                    Some(BuildInfoAux::BuildKit(status)) => progress.take(status),
                    Some(BuildInfoAux::Default(image)) => id = image.id.or(id),
                    None => {}
                },
                Err(DockerApiError::DockerStreamError { error }) => {
                    return Err(match progress.failure(&error) {
                        Some((step, log)) => {
                            let at =
                                StepPlace { line: job.rewrite.steps.line(&step), daemon: None };
                            Error::Step { image: subject.to_owned(), step, log, at }
                        }
                        None => failed()(DockerApiError::DockerStreamError { error }),
                    });
                }
                Err(error) => return Err(failed()(error)),
            }
        }
        if let Some(id) = id {
            return Ok(id);
        }
        let made = self.engine.inspect(&job.name).await?.and_then(|image| image.id);
        made.ok_or_else(|| Error::Engine {
            action: "build",
            subject: subject.to_owned(),
            reason: "it ended without an image and without an error".to_owned(),
        })
    }

    /// The result of a build whose image the engine has under `id`.
    async fn take(
        &self,
        request: BuildRequest<'_>,
        job: &Job,
        id: String,
        running: BuildInProgress,
    ) -> Result<(Built, Pins), Error> {
        if !self.export {
            return Ok((Built::InEngine { id }, Pins::default()));
        }
        let known = Arc::new(job.known_layers()?);
        let base = job.rewrite.last_base().and_then(|name| job.bases.get(name));
        let options = ExportOptions {
            known,
            base: base.cloned(),
            mark: Some((job.names.clone(), job.parts.key())),
            normal: Some(Normalization {
                epoch: job.epoch,
                created: rfc3339(job.epoch),
                prefix: if job.rewrite.moves_context() {
                    format!("{CONTEXT_DIR}/")
                } else {
                    String::new()
                },
            }),
        };
        let image = running.export(id, options).await?;
        job.remember(&self.store, &image.descriptor)?;
        let pins = job.pins(request, image.digest());
        Ok((Built::Local(Box::new(image)), pins))
    }
}

impl Builder for DockerBuilder {
    fn name(&self) -> &'static str {
        "docker"
    }

    /// All that is a Dockerfile; the engine itself says what it cannot do.
    fn supports(&self, _: &ImageRecipe) -> Result<(), Unsupported> {
        Ok(())
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
            let report = self.run(request, &hidden).await;
            let report =
                report.map_err(|error| hidden.error(self.engine.without_credentials(error)))?;
            activity.finish(&report.reason);
            Ok(report)
        })
    }
}

fn cached(built: Built, reason: &str, pins: Pins) -> BuildReport {
    BuildReport { built, action: Action::Cached, reason: reason.to_owned(), daemon: None, pins }
}
