//! The options of a deploy, as plain values with defaults.

use std::{path::PathBuf, time::Duration};

use esb_model::{Platform, PublishTarget};

use crate::{
    application_name::ApplicationName,
    error::{Error, Kind},
    lockfile::LockUse,
};

/// The platform's mode: how it runs workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Containers of the Docker engine.
    #[default]
    Docker,
    /// Containers of containerd.
    Containerd,
}

impl Mode {
    /// The name in flags and variables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
        }
    }

    /// Finds a mode by its name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Docker, Self::Containerd].into_iter().find(|mode| mode.name() == name)
    }
}

/// The engine that builds images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BuilderChoice {
    /// The embedded engine wherever it can build a recipe, else the fleet when one is named, else
    /// the Docker engine.
    #[default]
    Auto,
    /// The embedded engine, which needs no daemon.
    Embedded,
    /// The Docker engine.
    Docker,
    /// A fleet of `BuildKit` daemons.
    Buildkit,
}

/// How functions.yml names an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImageRefForm {
    /// By a tag that changes with the content.
    #[default]
    Content,
    /// By the plain tag.
    Tag,
    /// By the manifest's digest.
    Digest,
}

/// Whether external images are copied into the internal registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prewarm {
    /// All of them.
    #[default]
    All,
    /// None; a run that needs one ends with an error.
    Off,
}

/// Whether the platform's engine pulls newly published images ahead of the first call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pull {
    /// All of them.
    #[default]
    All,
    /// None.
    Off,
}

/// A destination of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// The registry of [`RegistryNames`].
    Registry,
    /// The Docker engine.
    Engine,
    /// An OCI layout; the project's own folder of images where none is named.
    Layout(Option<PathBuf>),
}

impl std::str::FromStr for Destination {
    type Err = Error;

    /// Reads `registry`, `docker`, `oci` or `oci:DIR`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let dir = text.strip_prefix("oci:").filter(|dir| !dir.is_empty());
        match (text, dir) {
            ("registry", _) => Ok(Self::Registry),
            ("docker", _) => Ok(Self::Engine),
            ("oci", _) => Ok(Self::Layout(None)),
            (_, Some(dir)) => Ok(Self::Layout(Some(dir.into()))),
            _ => {
                let text =
                    format!("`{text}` is not a target: use registry, docker, oci or oci:DIR");
                Err(Error::new(Kind::Usage, "to", text))
            }
        }
    }
}

/// The names of the registry that a run uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryNames {
    /// What the user asked for; Dockerfiles carry its prefix.
    pub configured: Option<PublishTarget>,
    /// The registry of the platform's mode, used when it answers.
    pub default: PublishTarget,
}

impl Default for RegistryNames {
    fn default() -> Self {
        let default = PublishTarget::parse("127.0.0.1:5010", None);
        Self { configured: None, default: default.expect("the address is well formed") }
    }
}

/// The options of a run. Start from the default and change what differs.
#[derive(Debug, Clone)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "independent choices, each off unless asked for")]
pub struct Options {
    /// Where images go; without any, the run chooses.
    pub destinations: Vec<Destination>,
    /// The names of the registry.
    pub registry: RegistryNames,
    /// The tag of images.
    pub tag: String,
    /// The platform to build for, instead of each function's own.
    pub platform: Option<Platform>,
    /// The time of files and images, in seconds since 1970.
    pub epoch: i64,
    /// How many images are worked on at a time; none for the number of processors, at least 8.
    pub jobs: Option<usize>,
    /// Whether every image is built again.
    pub no_cache: bool,
    /// Which engine builds.
    pub builder: BuilderChoice,
    /// How functions.yml names an image.
    pub image_ref: ImageRefForm,
    /// Whether plain tags, which every run moves, are pushed to a registry beside those that change
    /// with the content.
    pub moving_tag: bool,
    /// How esb.lock is used.
    pub lock: LockUse,
    /// Whether annotations of images in the registry are trusted.
    pub trust_registry: bool,
    /// How long the run waits for another one; none for 10 minutes, and 30 seconds where both
    /// publish.
    pub lock_wait: Option<Duration>,
    /// The platform's mode; `None` to read it from the running compose project.
    pub mode: Option<Mode>,
    /// The compose project; none for `<brand>-<environment>`.
    pub compose_project: Option<String>,
    /// For each template, its application's name where something but esb.lock and the project's
    /// folder says it.
    pub applications: Vec<Option<ApplicationName>>,
    /// Whether the run only looks what it would do.
    pub dry_run: bool,
    /// A folder that the caller copies the results to: neither an image nor a Gateway may get it.
    pub output: Option<PathBuf>,
    /// Whether external images are synced and configuration is published.
    pub publish: bool,
    /// How the site is changed.
    pub site: SiteOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            destinations: Vec::new(),
            registry: RegistryNames::default(),
            tag: "latest".to_owned(),
            platform: None,
            epoch: esb_oci::DEFAULT_EPOCH,
            jobs: None,
            no_cache: false,
            builder: BuilderChoice::default(),
            image_ref: ImageRefForm::default(),
            moving_tag: true,
            lock: LockUse::default(),
            trust_registry: false,
            lock_wait: None,
            mode: None,
            compose_project: None,
            applications: Vec::new(),
            dry_run: false,
            output: None,
            publish: false,
            site: SiteOptions::default(),
        }
    }
}

impl Options {
    /// Adds a place that images go to.
    #[must_use]
    pub fn to(mut self, destination: Destination) -> Self {
        self.destinations.push(destination);
        self
    }

    /// Lets the run publish its configuration, with these options of the site.
    #[must_use]
    pub fn publishing(mut self, site: SiteOptions) -> Self {
        (self.publish, self.site) = (true, site);
        self
    }

    /// How many images are worked on at a time.
    pub fn jobs(&self) -> usize {
        self.jobs.unwrap_or_else(default_jobs).max(1)
    }
}

/// How many images are worked on at a time, unless something else is asked for.
pub fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(8, usize::from).max(8)
}

/// How published configuration reaches a site.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent choices, each off unless asked for")]
#[non_exhaustive]
pub struct SiteOptions {
    /// Where a Gateway reads: a folder, `container:NAME` or `none`; without it, what the project's
    /// Gateway has mounted.
    pub config_to: Option<String>,
    /// Whether names that only this machine's engine knows may be published while a Gateway runs.
    pub allow_local: bool,
    /// Whether published entries of others that this run has too are taken over.
    pub adopt: bool,
    /// Whether external images are copied.
    pub image_prewarm: Prewarm,
    /// Whether external images are copied with all of their platforms.
    pub all_platforms: bool,
    /// Whether external images get the platform's hooks.
    pub image_hooks: bool,
    /// Whether the Gateway's engine pulls what is newly published.
    pub pull: Pull,
    /// Whether workers of changed functions are left alone.
    pub keep_workers: bool,
    /// Whether the Gateway is restarted where workers cannot be replaced one by one.
    pub restart_gateway: bool,
}

/// The options of a run that recipes depend on.
#[derive(Debug, Clone, Default)]
pub struct Naming {
    /// The prefix of image names in Dockerfiles.
    pub prefix: Option<String>,
    /// The tag of images.
    pub tag: String,
    /// The platform to build for, instead of each function's own.
    pub platform: Option<Platform>,
}
