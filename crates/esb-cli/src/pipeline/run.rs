//! What every step of a run needs: project, settings, store, registry client, builders.

use std::{path::PathBuf, sync::Arc};

use esb_config::{Owner, RunOwners};
use esb_image::{
    Builder, EmbeddedBuilder, EmbeddedSettings, Installer, Stager, StepEngine, Tools, UnpackLimits,
    buildkit::{FleetBuilder, FleetSettings},
    docker::{DockerBuilder, DockerEngine},
};
use esb_model::{Brand, Platform};
use esb_oci::ContentStore;
use esb_registry::{Client, Journal, PushSession};
use tokio::sync::OnceCell;

use super::{Naming, Order, early::Early, target::Target};
pub(crate) use crate::access::{docker_credentials, failure as registry_failure};
use crate::{
    access,
    application::{self, Application, Origin},
    cli::{AdoptArgs, BuilderChoice, Mode},
    engine,
    environment::Environment,
    exit::{Exit, Failure},
    fleet::Fleet,
    inputs::{self, Project, RegistryNames},
    lockfile::{LockFile, LockUse, Pin, Pinned},
    printer::Printer,
    reporter::TerminalReporter,
    settings::TRUST_REGISTRY,
};

/// A run's settings and the parts that its steps share.
pub(crate) struct Run {
    pub(crate) project: Project,
    pub(crate) environment: Environment,
    pub(crate) printer: Printer,
    pub(crate) reporter: Arc<TerminalReporter>,
    pub(crate) store: ContentStore,
    pub(crate) client: Client,
    pub(crate) lock: LockFile,
    /// The application of each template.
    pub(crate) applications: Vec<Application>,
    adoption: AdoptArgs,
    pub(crate) session: PushSession,
    pub(crate) early: Early,
    pub(crate) journal: Journal,
    pub(crate) registry: RegistryNames,
    pub(crate) tag: String,
    pub(crate) platform: Option<Platform>,
    pub(crate) epoch: i64,
    pub(crate) jobs: usize,
    /// Whether `--jobs` says so.
    jobs_given: bool,
    pub(crate) no_cache: bool,
    pub(crate) builder: BuilderChoice,
    pub(crate) image_ref: crate::cli::ImageRefForm,
    /// As far as it was known when the run began.
    pub(crate) mode: Mode,
    is_mode_given: bool,
    /// The compose project, which labels and the staging folder carry.
    pub(crate) compose_project: String,
    pub(crate) stager: Stager,
    pub(crate) installer: Installer,
    pub(crate) embedded: EmbeddedBuilder,
    engine: OnceCell<DockerEngine>,
    docker: OnceCell<DockerBuilder>,
    daemons: Option<Fleet>,
    fleet: OnceCell<FleetBuilder>,
}

impl Run {
    pub(crate) fn new(
        order: &Order<'_>,
        environment: &Environment,
        printer: Printer,
    ) -> Result<Self, Failure> {
        let project = Project::resolve(order.global, &order.build.template, environment)?;
        Self::of(project, order, environment, printer)
    }

    /// The settings of a run for a project that is known.
    pub(crate) fn of(
        mut project: Project,
        order: &Order<'_>,
        environment: &Environment,
        printer: Printer,
    ) -> Result<Self, Failure> {
        let args = order.build;
        let given_mode = inputs::given_mode(args, environment)?;
        let mode = given_mode.unwrap_or(Mode::Docker);
        project.containerd = mode == Mode::Containerd;
        let registry = inputs::registry_names(args, environment, mode)?;
        let store = open_store(environment, &project.brand)?;
        let internal = registry.configured.iter().chain([&registry.default]);
        let client = access::client(&args.access, environment, internal, &store)?;
        let lock = LockFile::open(project.folder(), lock_use(args.lock))?;
        let locked = lock.application();
        let applications = Application::of_templates(&project, environment, locked.as_deref())?;
        let given = order.deploy.and_then(|deploy| deploy.project.as_deref());
        let compose_project = inputs::compose_project(given, &project, environment);
        esb_model::check_environment_name(&compose_project).map_err(|_| {
            let text = format!("`{compose_project}` cannot name a compose project");
            Failure::new(Exit::Usage, "project", text)
        })?;
        let tools = Tools {
            uv: environment.program("uv"),
            python: environment.program("python3"),
            environment: environment.everything(),
            env_file: environment.of_files(),
            folder: std::env::current_dir().unwrap_or_else(|_| project.root.clone()),
            install_uv: !args.packages.no_uv_install && !args.access.offline,
            allow_builds: args.packages.allow_host_builds,
        };
        let embedded = EmbeddedBuilder::new(store.clone(), EmbeddedSettings::default());
        Ok(Self {
            environment: environment.clone(),
            reporter: TerminalReporter::new(printer),
            session: PushSession::new(),
            early: Early::default(),
            journal: Journal::new(store.clone()),
            tag: inputs::tag(args, environment)?,
            platform: inputs::platform(args, environment)?,
            epoch: inputs::epoch(environment)?,
            jobs: args.jobs.unwrap_or_else(inputs::default_jobs).max(1),
            jobs_given: args.jobs.is_some(),
            no_cache: args.no_cache,
            builder: inputs::builder(args, environment)?,
            image_ref: inputs::image_ref(args, environment)?,
            mode,
            is_mode_given: given_mode.is_some(),
            stager: Stager::new(store.clone(), UnpackLimits::default())
                .with_links(project.links.clone()),
            installer: Installer::new(store.clone(), tools)
                .with_links(project.links.clone())
                .with_brand(project.brand.clone()),
            project,
            printer,
            store,
            client,
            lock,
            applications,
            adoption: order.deploy.map_or_else(AdoptArgs::default, |deploy| deploy.adoption),
            registry,
            compose_project,
            embedded,
            engine: OnceCell::new(),
            docker: OnceCell::new(),
            daemons: Fleet::new(&args.fleet, environment)?,
            fleet: OnceCell::new(),
        })
    }

    /// Finds an image, by the digest that `esb.lock` has for it or as the registry says now, and
    /// notes it for `esb.lock`.
    pub(crate) async fn resolve(
        &self,
        kind: Pinned,
        name: &str,
        platform: Platform,
    ) -> Result<esb_registry::ResolvedImage, Failure> {
        let reference: esb_oci::Reference =
            name.parse().map_err(|error| Failure::of(Exit::Input, "reference", &error))?;
        if reference.digest().is_some() {
            let found = self.client.resolve(&reference, platform).await;
            return found.map_err(|error| registry_failure(&error));
        }
        let pin = self.lock.pin(kind, name, platform);
        let wanted = pin.map_or_else(|| reference.clone(), |digest| reference.with_digest(digest));
        let found = self.client.resolve(&wanted, platform).await.map_err(|error| {
            let failure = registry_failure(&error);
            let hint = failure.hint.clone().unwrap_or_default();
            match pin {
                Some(_) => failure.hint(format!(
                    "{hint}; `--update-lock` takes what `{reference}` is now instead of what \
                     esb.lock pins"
                )),
                None => failure,
            }
        })?;
        let index = found.index.or_else(|| self.lock.index(kind, name, found.digest));
        self.lock.found(kind, name, platform, Pin { digest: found.digest, index });
        Ok(found)
    }

    /// What recipes take from these settings.
    pub(crate) fn naming(&self) -> Naming {
        Naming {
            prefix: self.registry.configured.as_ref().map(esb_model::PublishTarget::runtime_prefix),
            tag: self.tag.clone(),
            platform: self.platform,
        }
    }

    /// The owner of what each template publishes.
    pub(crate) fn owners(&self) -> Vec<Owner> {
        let templates = self.project.templates.iter().zip(&self.applications);
        templates.map(|(template, application)| application.owner(&template.owner)).collect()
    }

    /// For whom the run publishes.
    pub(crate) fn run_owners(&self) -> RunOwners {
        let chosen = |named: &&Application| matches!(named.origin, Origin::Settings { .. });
        let by_chance = self.applications.iter().filter(|named| !chosen(named));
        RunOwners {
            owners: self.owners().into_iter().collect(),
            adopt: self.adoption.adopt,
            project: self.lock.project(),
            common_names: by_chance.map(|named| named.name.clone()).collect(),
        }
    }

    /// Notes for esb.lock the name of an application that nothing but its folder names, and what
    /// tells the project from others of a name that esb.toml does not set.
    pub(crate) fn record_application(&self) {
        if !self.run_owners().common_names.is_empty() {
            self.lock.name_project(|| application::new_project(&self.project.root));
        }
        let mut applications = self.applications.iter();
        if let Some(application) = applications.find(|named| named.origin == Origin::Folder) {
            self.lock.name_application(&application.name);
        }
    }

    /// The reporter, as libraries take it.
    pub(crate) fn events(&self) -> Arc<dyn esb_model::Reporter> {
        Arc::clone(&self.reporter) as Arc<dyn esb_model::Reporter>
    }

    /// Whether what the registry says of our images is believed.
    pub(crate) fn trusts_registry(&self) -> bool {
        self.environment.settings().is_on(TRUST_REGISTRY)
    }

    /// A path as short as it can be said from the project root.
    pub(crate) fn short(&self, path: &std::path::Path) -> String {
        path.strip_prefix(&self.project.root).unwrap_or(path).display().to_string()
    }

    /// The container engine, connected to on first use.
    pub(crate) async fn engine(&self) -> Result<&DockerEngine, Failure> {
        let credentials = || Arc::clone(&self.client.settings().credentials);
        let connect = || engine::connect(&self.environment, &self.store, credentials());
        self.engine.get_or_try_init(connect).await
    }

    /// The platform's mode: as given, else that of the project that runs.
    pub(crate) async fn mode(&self) -> Result<Mode, Failure> {
        if self.is_mode_given {
            return Ok(self.mode);
        }
        let Ok(engine) = self.engine().await else { return Ok(self.mode) };
        Ok(engine::mode_of(engine, &self.compose_project).await?.unwrap_or(self.mode))
    }

    /// The engine, when the run had to connect to it.
    pub(crate) fn connected(&self) -> Option<&DockerEngine> {
        self.engine.get()
    }

    /// The builder that hands recipes to the engine.
    async fn docker(&self) -> Result<&DockerBuilder, Failure> {
        let builder = || async {
            let prefix = self.registry.configured.as_ref();
            let prefix = prefix.map(|registry| format!("{}/", registry.runtime_prefix()));
            let builder = DockerBuilder::new(self.engine().await?.clone(), self.store.clone());
            Ok(builder
                .with_prefix(prefix.unwrap_or_default())
                .with_jobs(self.jobs)
                .with_arguments(self.environment.proxy_arguments()))
        };
        self.docker.get_or_try_init(builder).await
    }

    /// The fleet of `BuildKit` daemons, at least one of which answers.
    pub(crate) async fn fleet(&self, target: &Target) -> Result<&FleetBuilder, Failure> {
        let Some(daemons) = &self.daemons else {
            return Err(Failure::new(Exit::Usage, "buildkit", "no BuildKit daemon is named")
                .hint("name them with `--buildkit ADDR` or BUILDKIT_HOST"));
        };
        let builder = || async {
            let mut settings = FleetSettings::default();
            settings.daemons.clone_from(&daemons.daemons);
            settings.server_name.clone_from(&daemons.server_name);
            settings.registry.clone_from(&daemons.registry);
            settings.target.clone_from(&target.registry);
            let plain = |registry: &esb_model::PublishTarget| {
                self.client.settings().is_plain(registry.push_host())
            };
            settings.plain = target.registry.as_ref().is_some_and(plain);
            settings.arguments = self.environment.proxy_arguments();
            settings.secrets = self.environment.step_secrets();
            settings.credentials = Some(Arc::clone(&self.client.settings().credentials));
            let builder = FleetBuilder::new(settings, self.store.clone())?;
            builder.check(&*self.reporter).await?;
            Ok::<_, Failure>(builder)
        };
        self.fleet.get_or_try_init(builder).await
    }

    /// Functions that are built and pushed at a time.
    pub(crate) fn at_once(&self) -> usize {
        match self.fleet.get() {
            Some(fleet) if !self.jobs_given => self.jobs.max(fleet.capacity()),
            _ => self.jobs,
        }
    }

    /// Whether a fleet is named, or asked for.
    pub(crate) fn may_use_fleet(&self) -> bool {
        self.daemons.is_some() || self.builder == BuilderChoice::Buildkit
    }

    /// Who builds a recipe: the embedded engine wherever it can, else the fleet when one is named,
    /// else the Docker engine, unless the user chose. With the reason, where there is a choice.
    pub(crate) fn engine_for(&self, recipe: &esb_model::ImageRecipe) -> (BuilderChoice, String) {
        match self.builder {
            BuilderChoice::Auto => match self.embedded.supports(recipe) {
                Ok(()) => (BuilderChoice::Embedded, String::new()),
                Err(reason) if self.daemons.is_some() => {
                    (BuilderChoice::Buildkit, reason.to_string())
                }
                Err(reason) => (BuilderChoice::Docker, reason.to_string()),
            },
            chosen => (chosen, String::new()),
        }
    }

    /// Where packages are installed that this machine cannot install: on the fleet when one is
    /// named, else in the Docker engine, unless the user chose; none when that does not answer.
    pub(crate) async fn step_engine(
        &self,
        target: &Target,
    ) -> Result<Option<StepEngine<'_>>, Failure> {
        let has_fleet = self.daemons.is_some();
        Ok(match self.builder {
            BuilderChoice::Embedded => None,
            BuilderChoice::Buildkit => Some(StepEngine::Fleet(self.fleet(target).await?)),
            BuilderChoice::Auto if has_fleet => Some(StepEngine::Fleet(self.fleet(target).await?)),
            BuilderChoice::Auto | BuilderChoice::Docker => {
                self.engine().await.ok().map(StepEngine::Docker)
            }
        })
    }

    /// The builder for a recipe.
    pub(crate) async fn builder(
        &self,
        target: &Target,
        recipe: &esb_model::ImageRecipe,
    ) -> Result<&dyn Builder, Failure> {
        use esb_model::{Event, Reporter as _};
        let (choice, reason) = self.engine_for(recipe);
        let (builder, words): (&dyn Builder, _) = match choice {
            BuilderChoice::Embedded | BuilderChoice::Auto => return Ok(&self.embedded),
            BuilderChoice::Docker => (self.docker().await?, "the Docker engine"),
            BuilderChoice::Buildkit => (self.fleet(target).await?, "the BuildKit fleet"),
        };
        if !reason.is_empty() {
            let decision = format!("built by {words}: {reason}");
            self.reporter
                .event(&Event::Decided { subject: &recipe.repository, decision: &decision });
        }
        Ok(builder)
    }
}

fn lock_use(args: crate::cli::LockArgs) -> LockUse {
    match (args.locked, args.update_lock) {
        (true, _) => LockUse::Locked,
        (false, true) => LockUse::Update,
        (false, false) => LockUse::Add,
    }
}

/// Where the content store of this user lies.
pub(crate) fn store_folder(environment: &Environment, brand: &Brand) -> Result<PathBuf, Failure> {
    environment.cache_dir(brand).ok_or_else(|| {
        let name = format!("{}_CACHE_DIR", brand.variable_prefix());
        Failure::new(Exit::Local, "store", format!("neither {name} nor HOME says where to cache"))
    })
}

/// The content store of this user, to build with.
pub(crate) fn open_store(
    environment: &Environment,
    brand: &Brand,
) -> Result<ContentStore, Failure> {
    let dir = store_folder(environment, brand)?;
    Ok(ContentStore::open_held(dir)?)
}
