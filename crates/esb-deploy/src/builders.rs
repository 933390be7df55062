//! The build engines of a run, each created on first use.

use esb_image::{
    Builder, EmbeddedBuilder, EmbeddedSettings, Installer, Stager, StepEngine, UnpackLimits,
    Unsupported,
    buildkit::{FleetBuilder, FleetSettings},
    docker::{DockerBuilder, DockerEngine},
};
use esb_model::{Event, ImageRecipe, PublishTarget};
use tokio::sync::OnceCell;

use crate::{
    Remedy,
    connections::Connections,
    deployment::Deployment,
    error::{Error, Kind},
    image_names::Target,
    options::BuilderChoice,
    project::Project,
};

/// The engines that build images, with the stager and the installer of their inputs.
pub(crate) struct Builders {
    pub(crate) stager: Stager,
    pub(crate) installer: Installer,
    pub(crate) embedded: EmbeddedBuilder,
    pub(crate) engine: OnceCell<DockerEngine>,
    docker: OnceCell<DockerBuilder>,
    fleet: OnceCell<FleetBuilder>,
}

impl Builders {
    pub(crate) fn new(project: &Project, connections: &Connections) -> Self {
        let Connections { store, tools, .. } = connections;
        let stager = Stager::new(store.clone(), UnpackLimits::default());
        let installer = Installer::new(store.clone(), tools.clone());
        Self {
            stager: stager.with_links(project.links.clone()),
            installer: installer
                .with_links(project.links.clone())
                .with_brand(project.brand.clone()),
            embedded: EmbeddedBuilder::new(store.clone(), EmbeddedSettings::default()),
            engine: OnceCell::new(),
            docker: OnceCell::new(),
            fleet: OnceCell::new(),
        }
    }
}

impl Deployment {
    /// The builder that builds recipes in the Docker engine.
    async fn docker(&self) -> Result<&DockerBuilder, Error> {
        let builder = || async {
            let prefix = self.options.registry.configured.as_ref();
            let prefix = prefix.map(|registry| format!("{}/", registry.runtime_prefix()));
            let builder =
                DockerBuilder::new(self.engine().await?.clone(), self.connections.store.clone());
            Ok(builder
                .with_prefix(prefix.unwrap_or_default())
                .with_jobs(self.jobs())
                .with_arguments(self.connections.step_arguments.clone()))
        };
        self.builders.docker.get_or_try_init(builder).await
    }

    /// The fleet of `BuildKit` daemons, at least one of which answers.
    pub(crate) async fn fleet(&self, target: &Target) -> Result<&FleetBuilder, Error> {
        let Some(daemons) = &self.connections.fleet else {
            return Err(Error::new(Kind::Usage, "buildkit", "no BuildKit daemon is named")
                .hint(Remedy::NameDaemons));
        };
        let builder = || async {
            let mut settings = FleetSettings::default();
            settings.daemons.clone_from(&daemons.daemons);
            settings.server_name.clone_from(&daemons.server_name);
            settings.registry.clone_from(&daemons.registry);
            settings.target.clone_from(&target.registry);
            let plain = |registry: &PublishTarget| {
                self.connections.client.settings().is_plain(registry.push_host())
            };
            settings.plain = target.registry.as_ref().is_some_and(plain);
            settings.arguments = self.connections.step_arguments.clone();
            settings.secrets = self.connections.step_secrets.clone();
            settings.credentials = Some(self.connections.credentials());
            let builder = FleetBuilder::new(settings, self.connections.store.clone())?;
            builder.check(&*self.reporter).await?;
            Ok::<_, Error>(builder)
        };
        self.builders.fleet.get_or_try_init(builder).await
    }

    /// Functions that are built and pushed at a time.
    pub(crate) fn at_once(&self) -> usize {
        match self.builders.fleet.get() {
            Some(fleet) if self.options.jobs.is_none() => self.jobs().max(fleet.capacity()),
            _ => self.jobs(),
        }
    }

    /// Whether a fleet is named, or asked for.
    pub(crate) fn may_use_fleet(&self) -> bool {
        self.connections.fleet.is_some() || self.options.builder == BuilderChoice::Buildkit
    }

    /// Chooses the engine for a recipe: the embedded engine wherever it can, else the fleet when
    /// one is named, else the Docker engine, unless the user chose. With the reason, where there is
    /// a choice.
    pub(crate) fn engine_for(&self, recipe: &ImageRecipe) -> (BuilderChoice, String) {
        match self.options.builder {
            BuilderChoice::Auto => match self.builders.embedded.supports(recipe) {
                Ok(()) => (BuilderChoice::Embedded, String::new()),
                Err(reason) => (self.engine_beside(), reason.to_string()),
            },
            chosen => (chosen, String::new()),
        }
    }

    /// The engine that builds what the embedded engine cannot.
    fn engine_beside(&self) -> BuilderChoice {
        let has_fleet = self.connections.fleet.is_some();
        if has_fleet { BuilderChoice::Buildkit } else { BuilderChoice::Docker }
    }

    /// Where packages are installed that this machine cannot install: on the fleet when one is
    /// named, else in the Docker engine, unless the user chose; none when that does not answer.
    pub(crate) async fn step_engine(
        &self,
        target: &Target,
    ) -> Result<Option<StepEngine<'_>>, Error> {
        let has_fleet = self.connections.fleet.is_some();
        Ok(match self.options.builder {
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
        recipe: &ImageRecipe,
    ) -> Result<&dyn Builder, Error> {
        let (choice, reason) = self.engine_for(recipe);
        self.chosen(target, recipe, choice, &reason).await
    }

    /// The builder for a recipe that the embedded engine took and could not build: what a step names
    /// may need another. None where the user chose the engine.
    pub(crate) async fn builder_beside(
        &self,
        target: &Target,
        recipe: &ImageRecipe,
        reason: &Unsupported,
    ) -> Result<Option<&dyn Builder>, Error> {
        if self.options.builder != BuilderChoice::Auto {
            return Ok(None);
        }
        self.chosen(target, recipe, self.engine_beside(), &reason.to_string()).await.map(Some)
    }

    async fn chosen(
        &self,
        target: &Target,
        recipe: &ImageRecipe,
        choice: BuilderChoice,
        reason: &str,
    ) -> Result<&dyn Builder, Error> {
        let (builder, words): (&dyn Builder, _) = match choice {
            BuilderChoice::Embedded | BuilderChoice::Auto => return Ok(&self.builders.embedded),
            BuilderChoice::Docker => {
                let docker = self.docker().await.map_err(|error| needing(recipe, reason, error))?;
                (docker, "the Docker engine")
            }
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

/// The error of an engine that does not answer, with what needs it.
fn needing(recipe: &ImageRecipe, reason: &str, error: Error) -> Error {
    if reason.is_empty() {
        return error;
    }
    let image = &recipe.repository;
    error
        .during(format!("the embedded engine does not build `{image}`: {reason}"))
        .hint(Remedy::StartEngineOrNameDaemons)
}
