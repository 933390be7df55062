//! A deployment: one project with its options and connections.

use std::{fmt, sync::Arc};

use esb_config::{Owner, RunOwners};
use esb_image::docker::DockerEngine;
use esb_model::{Event, Platform, Reporter};
use esb_registry::{Journal, PushSession};

use crate::{
    Remedy,
    application_name::{ApplicationName, Origin, new_project},
    apply::publication::Publication,
    builders::Builders,
    connections::Connections,
    engine,
    error::{Error, Kind},
    last_target::LastTarget,
    lockfile::{LockFile, Pin, Pinned},
    options::{Mode, Naming, Options},
    project::Project,
    registry::tag_prefetch::TagPrefetch,
};

/// One run of a project: opened once, then loaded, planned and run.
pub struct Deployment {
    /// The project and its environment.
    pub project: Project,
    /// The options of the run.
    pub options: Options,
    /// The compose project, which labels and the staging folder carry.
    pub compose_project: String,
    /// The store, clients and tools that the run uses.
    pub connections: Connections,
    pub(crate) builders: Builders,
    pub(crate) learned: RunState,
    pub(crate) reporter: Arc<dyn Reporter>,
}

/// The state that the steps of a run share.
pub(crate) struct RunState {
    pub(crate) lock: LockFile,
    /// The application of each template.
    pub(crate) applications: Vec<ApplicationName>,
    /// What registries are known to hold.
    pub(crate) session: PushSession,
    /// What was synced, for later runs.
    pub(crate) journal: Journal,
    pub(crate) tags: TagPrefetch,
    pub(crate) publication: Publication,
}

impl fmt::Debug for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deployment")
            .field("project", &self.project)
            .field("options", &self.options)
            .field("compose_project", &self.compose_project)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

impl Deployment {
    /// Opens a project: reads its esb.lock and finds the names of its applications. Nothing is
    /// contacted.
    ///
    /// # Errors
    /// When esb.lock cannot be read, or a name cannot be used.
    pub fn open(
        mut project: Project,
        options: Options,
        connections: Connections,
        reporter: Arc<dyn Reporter>,
    ) -> Result<Self, Error> {
        project.containerd = options.mode == Some(Mode::Containerd);
        let lock = LockFile::open(project.folder(), options.lock)?;
        let applications = ApplicationName::of_templates(
            &project,
            &options.applications,
            lock.application().as_deref(),
        )?;
        let compose_project =
            options.compose_project.clone().unwrap_or_else(|| project.compose_project());
        esb_model::check_environment_name(&compose_project).map_err(|_| {
            let text = format!("`{compose_project}` cannot name a compose project");
            Error::new(Kind::Usage, "project", text)
        })?;
        let builders = Builders::new(&project, &connections);
        let told = Arc::clone(&reporter);
        connections.store.tell_waits(move |wait| {
            told.event(&Event::Note { text: &wait.to_string() });
        });
        let Connections { client, store, .. } = &connections;
        let session = PushSession::new();
        let learned = RunState {
            lock,
            applications,
            journal: Journal::new(store.clone()),
            tags: TagPrefetch::new(client.clone(), store.clone(), session.clone()),
            session,
            publication: Publication::default(),
        };
        Ok(Self { project, options, compose_project, connections, builders, learned, reporter })
    }

    /// Finds an image, by the digest that `esb.lock` has for it or as the registry says now, and
    /// notes it for `esb.lock`.
    pub(crate) async fn resolve(
        &self,
        kind: Pinned,
        name: &str,
        platform: Platform,
    ) -> Result<esb_registry::ResolvedImage, Error> {
        let reference: esb_oci::Reference =
            name.parse().map_err(|error| Error::of(Kind::Input, "reference", &error))?;
        if reference.digest().is_some() {
            let found = self.connections.client.resolve(&reference, platform).await;
            return found.map_err(|error| Error::from(&error));
        }
        let pin = self.learned.lock.pin(kind, name, platform);
        let wanted = pin.map_or_else(|| reference.clone(), |digest| reference.with_digest(digest));
        let found = self.connections.client.resolve(&wanted, platform).await.map_err(|error| {
            let mut failure = Error::from(&error);
            if pin.is_some() {
                let (otherwise, reference) = (failure.hint.take(), reference.to_string());
                let otherwise = otherwise.map(Box::new);
                failure.hint = Some(Remedy::PinAnew { otherwise, reference });
            }
            failure
        })?;
        let index = found.index.or_else(|| self.learned.lock.index(kind, name, found.digest));
        self.learned.lock.found(kind, name, platform, Pin { digest: found.digest, index });
        Ok(found)
    }

    /// How far the run has come with publishing.
    pub fn publication(&self) -> Publication {
        self.learned.publication.clone()
    }

    /// The application of each template.
    pub fn applications(&self) -> &[ApplicationName] {
        &self.learned.applications
    }

    /// The name that esb.lock has for the application, when an earlier run left one.
    pub fn locked_application(&self) -> Option<String> {
        self.learned.lock.application()
    }

    /// What recipes take from these settings.
    pub(crate) fn naming(&self) -> Naming {
        Naming {
            prefix: self
                .options
                .registry
                .configured
                .as_ref()
                .map(esb_model::PublishTarget::runtime_prefix),
            tag: self.options.tag.clone(),
            platform: self.options.platform,
        }
    }

    /// The owner of what each template publishes.
    pub fn owners(&self) -> Vec<Owner> {
        let templates = self.project.templates.iter().zip(&self.learned.applications);
        templates.map(|(template, application)| application.owner(&template.owner)).collect()
    }

    /// The owners that the run publishes for.
    pub(crate) fn run_owners(&self) -> RunOwners {
        let chosen = |named: &&ApplicationName| matches!(named.origin, Origin::Settings { .. });
        let by_chance = self.learned.applications.iter().filter(|named| !chosen(named));
        RunOwners {
            owners: self.owners().into_iter().collect(),
            adopt: self.options.site.adopt,
            project: self.learned.lock.project(),
            common_names: by_chance.map(|named| named.name.clone()).collect(),
            former: LastTarget::owners(self),
        }
    }

    /// Notes for esb.lock the name of an application that nothing but its folder names, and what
    /// tells the project from others of a name that esb.toml does not set.
    pub(crate) fn record_application(&self) {
        if !self.run_owners().common_names.is_empty() {
            self.learned.lock.name_project(|| new_project(&self.project.root));
        }
        let mut applications = self.learned.applications.iter();
        if let Some(application) = applications.find(|named| named.origin == Origin::Folder) {
            self.learned.lock.name_application(&application.name);
        }
    }

    /// The reporter, as libraries take it.
    pub(crate) fn events(&self) -> Arc<dyn Reporter> {
        Arc::clone(&self.reporter)
    }

    /// Tells something that a quiet run leaves out.
    pub(crate) fn note(&self, text: &str) {
        self.reporter.event(&Event::Note { text });
    }

    /// Tells something that may be wrong.
    pub(crate) fn warn(&self, text: &str) {
        self.reporter.event(&Event::Warning { text });
    }

    /// How many images are worked on at a time.
    pub(crate) fn jobs(&self) -> usize {
        self.options.jobs()
    }

    /// A path as short as it can be said from the project root.
    pub(crate) fn short(&self, path: &std::path::Path) -> String {
        self.project.short(path)
    }

    /// The container engine, connected to on first use.
    ///
    /// # Errors
    /// When none is named rightly, or none answers.
    pub async fn engine(&self) -> Result<&DockerEngine, Error> {
        let Connections { engine, store, .. } = &self.connections;
        let connect = || engine::connect(engine, store, self.connections.credentials());
        self.builders.engine.get_or_try_init(connect).await
    }

    /// The platform's mode: as given, else that of the project that runs.
    pub(crate) async fn mode(&self) -> Result<Mode, Error> {
        if let Some(mode) = self.options.mode {
            return Ok(mode);
        }
        let Ok(engine) = self.engine().await else { return Ok(Mode::default()) };
        Ok(engine::mode_of(engine, &self.compose_project).await?.unwrap_or_default())
    }

    /// The engine, when the run had to connect to it.
    pub(crate) fn connected(&self) -> Option<&DockerEngine> {
        self.builders.engine.get()
    }
}
