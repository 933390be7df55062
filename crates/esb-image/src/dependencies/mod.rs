//! Packages of a `requirements.txt`, a `uv.lock` or a `pyproject.toml`, installed for the platform
//! of the image and not for this machine.
//!
//! Owns the choice of the tool, its arguments, and the cache: the same requirements for the same
//! platform are installed once, so that a change of code never installs again. Refuses to build
//! packages from source here: that needs the image's own platform, which an engine with a daemon has.

#[cfg(any(feature = "docker", feature = "buildkit"))]
mod image;
mod normalise;
#[cfg_attr(
    not(any(feature = "docker", feature = "buildkit", test)),
    expect(dead_code, reason = "only an engine with a daemon runs the step that it is for")
)]
mod requirements;
mod run;
#[cfg_attr(
    not(any(feature = "docker", feature = "buildkit", test)),
    expect(dead_code, reason = "only an engine with a daemon runs the step that it is for")
)]
mod settings;
mod tool;

use std::{
    collections::HashMap,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

use esb_model::{Dependencies, Event, Family, ImageRecipe, Reporter};
use esb_oci::{ContentStore, Digest};

#[cfg(any(feature = "docker", feature = "buildkit"))]
pub use self::image::StepEngine;
use self::{
    requirements::Requirements,
    run::{Log, Program},
    settings::Settings,
    tool::{Tool, ToolKind, tool_key},
};
use crate::{
    Error, Stager, UnpackLimits,
    blocking::blocking,
    fingerprint::Fingerprint,
    staging::{self, Copying, Places},
    unpack::io_error,
};

/// Where installed packages lie below the content store, by key.
const FOLDER: &str = "dependencies";

/// What tools say of a full disk, in the words of the system.
const NO_SPACE: &str = "No space left on device";

/// The file that names pinned versions to a tool.
const PINS: &str = "pins.txt";

/// The record's kind in the content store: the version that a tool told when it was asked.
const TOOL: &str = "tool-version";

/// The programs that install, as the caller found them.
#[derive(Clone, Default)]
pub struct Tools {
    pub uv: Option<PathBuf>,
    /// A Python with pip; its own version does not matter.
    pub python: Option<PathBuf>,
    /// All that the programs see of the environment: settings of pip and uv, proxies,
    /// certificates, `PATH`, `HOME`.
    pub environment: Vec<(OsString, OsString)>,
}

impl fmt::Debug for Tools {
    /// Values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        f.debug_struct("Tools")
            .field("uv", &self.uv)
            .field("python", &self.python)
            .field("environment", &names)
            .finish()
    }
}

/// Where packages were put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Relative to the project root.
    pub target: PathBuf,
    /// An earlier installation was used.
    pub cached: bool,
    /// What was resolved, by name.
    pub distributions: Vec<Distribution>,
}

/// One installed package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Distribution {
    /// As its own metadata spells it.
    pub name: String,
    pub version: String,
}

/// What is asked of an [`Installer`].
#[derive(Clone, Copy)]
pub struct InstallRequest<'a> {
    pub recipe: &'a ImageRecipe,
    /// The project root, which the recipe's paths are relative to.
    pub root: &'a Path,
    /// The versions that an earlier installation of the same resolved; empty when they are free.
    pub pins: &'a [Distribution],
    /// Use nothing that an earlier installation left.
    pub no_cache: bool,
    pub reporter: &'a dyn Reporter,
}

impl fmt::Debug for InstallRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstallRequest")
            .field("recipe", &self.recipe.repository)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// Installs the packages of recipes. Cheap to clone; clones wait for each other's work.
#[derive(Debug, Clone)]
pub struct Installer {
    store: ContentStore,
    tools: Arc<Tools>,
    stager: Stager,
    /// Places that are being installed to.
    running: Arc<std::sync::Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>>,
}

impl Installer {
    /// An installer that caches below the store's folder.
    pub fn new(store: ContentStore, tools: Tools) -> Self {
        let stager = Stager::new(store.clone(), UnpackLimits::default());
        Self { store, tools: Arc::new(tools), stager, running: Arc::default() }
    }

    /// Installs what a recipe depends on into the folder that it names. `None` when it depends on
    /// nothing.
    ///
    /// # Errors
    /// When the requirements cannot be read, no tool is there, or it fails; the error names the
    /// package that has no wheel when that is why.
    pub async fn install(&self, request: InstallRequest<'_>) -> Result<Option<Installed>, Error> {
        let Some(job) = Job::read(request).await? else { return Ok(None) };
        let tool = self.tool(&job).await?;
        let place = self.place(&job, &tool);
        let running = self.claim(&place);
        let _working = running.lock().await;
        let cached = self.has(&job, &place);
        if !cached {
            self.run(&job, &tool, &place).await?;
        }
        self.put(&job, place, cached).await.map(Some)
    }

    /// A key of what a recipe asks for, which the resolved versions can be kept under. `None` when
    /// it depends on nothing, on packages of this machine, or on a project that has a lock.
    ///
    /// # Errors
    /// When the requirements cannot be read.
    pub async fn wanted(&self, request: InstallRequest<'_>) -> Result<Option<Digest>, Error> {
        let job = Job::read(request).await?;
        Ok(job.filter(Job::is_free).map(|job| {
            let mut key = Fingerprint::new("requirements");
            job.requirements.describe(&mut key);
            key.finish()
        }))
    }

    /// Whether an installation is there and may be used.
    fn has(&self, job: &Job<'_>, place: &Path) -> bool {
        let has = !job.no_cache && !job.requirements.is_local() && place.is_dir();
        if has {
            self.store.note_use(place);
        }
        has
    }

    /// Where an installation lies or will lie. One whose versions were free is as good as any when
    /// they are those that are pinned.
    fn place(&self, job: &Job<'_>, tool: &Tool) -> PathBuf {
        let place = |pins| self.store.root().join(FOLDER).join(job.key(tool, pins).hex());
        let free = place(&[]);
        if job.pins.is_empty() || distributions(&free).is_ok_and(|found| found == job.pins) {
            return free;
        }
        place(job.pins)
    }

    /// The lock of one installation: of several that want it one works and the others wait.
    fn claim(&self, place: &Path) -> Arc<tokio::sync::Mutex<()>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(running.entry(place.to_owned()).or_default())
    }

    /// Puts an installation where the recipe copies it from.
    async fn put(&self, job: &Job<'_>, place: PathBuf, cached: bool) -> Result<Installed, Error> {
        let stager = self.stager.clone();
        let scratch = staging::scratch(job.root, job.recipe)?;
        let target = job.dependencies.target.clone();
        let (image, folder, trust) = (job.image.to_owned(), job.root.join(&target), !job.no_cache);
        let distributions = blocking(move || {
            let places = Places { from: &place, scratch: &scratch, target: &folder };
            stager.copy(&image, places, &Copying::default(), trust)?;
            distributions(&place)
        })
        .await?;
        Ok(Installed { target, cached, distributions })
    }

    /// Whether [`Installer::install`] would install or copy anything.
    ///
    /// # Errors
    /// When the requirements cannot be read or no tool is there.
    pub async fn is_stale(&self, request: InstallRequest<'_>) -> Result<bool, Error> {
        let Some(job) = Job::read(request).await? else { return Ok(false) };
        let place = self.place(&job, &self.tool(&job).await?);
        if !self.has(&job, &place) {
            return Ok(true);
        }
        let stager = self.stager.clone();
        let (image, target) = (job.image.to_owned(), job.root.join(&job.dependencies.target));
        blocking(move || stager.is_copied(&image, &place, &Copying::default(), &target))
            .await
            .map(|same| !same)
    }

    async fn tool(&self, job: &Job<'_>) -> Result<Tool, Error> {
        if job.dependencies.runtime.family() != Family::Python {
            let reason = format!("{} has no requirements", job.dependencies.runtime);
            return Err(job.error(reason, None));
        }
        let (kind, path, arguments): (_, _, &[&str]) = match (&self.tools.uv, &self.tools.python) {
            (Some(uv), _) => (ToolKind::Uv, uv, &["--version"]),
            (None, Some(python)) => (ToolKind::Pip, python, &["-m", "pip", "--version"]),
            (None, None) => return Ok(Tool::absent()),
        };
        let seen = tool_key(path);
        if let Some(version) = seen.and_then(|key| self.store.record(TOOL, key)) {
            return Ok(Tool { kind, path: path.clone(), version });
        }
        let mut program = Program::new(path, &self.tools.environment);
        program.arguments(arguments);
        let log = program.run(&mut |_| {}).await.map_err(io_error("run", path))?;
        // `pip 24.0 from /a/path (python 3.13)`: the path is this machine's.
        let version = log.lines().first().and_then(|line| line.split_whitespace().nth(1));
        if let Some(version) = version.filter(|_| log.success()) {
            if let Some(key) = seen {
                self.store.set_record(TOOL, key, &version)?;
            }
            return Ok(Tool { kind, path: path.clone(), version: version.to_owned() });
        }
        let reason = format!("`{}` does not work: {}", path.display(), log.last());
        Err(job.error(reason, Some("install uv, or Python with pip".to_owned())))
    }

    /// Runs the tool, and gives the result its name when all went well.
    async fn run(&self, job: &Job<'_>, tool: &Tool, place: &Path) -> Result<(), Error> {
        if tool.kind == ToolKind::Absent {
            return Err(Error::NoInstaller { requirements: job.dependencies.requirements.clone() });
        }
        let parent = self.store.root().join(FOLDER);
        fs::create_dir_all(&parent).map_err(io_error("create", &parent))?;
        let folder = tempfile::Builder::new()
            .prefix("installing-")
            .tempdir_in(&parent)
            .map_err(io_error("create a folder in", &parent))?;
        let target = folder.path().join("packages");
        fs::create_dir(&target).map_err(io_error("create", &target))?;
        let subject = job.image;
        job.reporter.event(&Event::Started { subject, action: "install" });
        let mut program = self.program(job, tool);
        tool.arguments(&mut program, job, &target);
        for file in self.requirements(job, tool, folder.path()).await? {
            program.argument(file);
        }
        if job.has_pins() {
            let pins = folder.path().join(PINS);
            fs::write(&pins, constraints(job.pins)).map_err(io_error("write", &pins))?;
            program.arguments(&["-c"]).argument(pins);
        }
        let log = self.hear(job, tool, program).await?;
        if !log.success() {
            return Err(job.failed(&log));
        }
        let detail = format!("{} {}", tool.kind.name(), tool.version);
        job.reporter.event(&Event::Finished { subject, action: "install", detail: &detail });
        let place = place.to_owned();
        blocking(move || finish(&target, &place, folder.path())).await
    }

    fn program(&self, job: &Job<'_>, tool: &Tool) -> Program {
        let mut program = Program::new(&tool.path, &self.tools.environment);
        program.folder(job.requirements.folder());
        if tool.kind == ToolKind::Uv {
            for (name, value) in Settings::read(&self.tools.environment).for_uv() {
                program.variable(name, &value);
            }
        }
        program
    }

    async fn hear(&self, job: &Job<'_>, tool: &Tool, program: Program) -> Result<Log, Error> {
        let subject = job.image;
        let mut tell = |line: &str| job.reporter.event(&Event::Output { subject, line });
        program.run(&mut tell).await.map_err(io_error("run", &tool.path))
    }

    /// The arguments that say what to install: a user's own file as it is, a project's lock and
    /// list in the form that the tool takes.
    async fn requirements(
        &self,
        job: &Job<'_>,
        tool: &Tool,
        folder: &Path,
    ) -> Result<Vec<OsString>, Error> {
        let Some(project) = job.requirements.project() else {
            return Ok(vec!["-r".into(), job.requirements.path().into()]);
        };
        let file = folder.join("requirements.txt");
        let write =
            |path: &Path, text: &str| fs::write(path, text).map_err(io_error("write", path));
        match (tool.kind, &project.constraints) {
            (ToolKind::Uv, Some(_)) => {
                let mut program = self.program(job, tool);
                program
                    .arguments(&["export", "--frozen", "--no-dev", "--no-emit-project", "--quiet"])
                    .arguments(&["--format", "requirements-txt", "--color", "never"])
                    .arguments(&["--no-progress", "--output-file"])
                    .argument(&file);
                let log = self.hear(job, tool, program).await?;
                if !log.success() {
                    return Err(job.error(log.last(), None));
                }
                Ok(vec!["-r".into(), file.into()])
            }
            // uv reads its own settings of the project, such as indexes of single packages.
            (ToolKind::Uv, None) => Ok(vec!["-r".into(), job.requirements.path().into()]),
            (_, constraints) => {
                write(&file, &project.requirements)?;
                let mut arguments = vec!["-r".into(), file.into()];
                if let Some(constraints) = constraints {
                    let file = folder.join("constraints.txt");
                    write(&file, constraints)?;
                    arguments.extend(["-c".into(), file.into()]);
                }
                Ok(arguments)
            }
        }
    }
}

/// Normalises what was installed, and gives it its place.
fn finish(target: &Path, place: &Path, folder: &Path) -> Result<(), Error> {
    normalise::normalise(target)?;
    match fs::rename(target, place) {
        // Another process was faster, or what is there has to be made anew.
        Err(_) if place.is_dir() => {
            let old = folder.join("old");
            fs::rename(place, old).map_err(io_error("replace", place))?;
            fs::rename(target, place).map_err(io_error("put in place", place))
        }
        other => other.map_err(io_error("put in place", place)),
    }
}

/// The packages of an installation, by the folders of their metadata.
fn distributions(place: &Path) -> Result<Vec<Distribution>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(place).map_err(io_error("list", place))? {
        let entry = entry.map_err(io_error("list", place))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let stem = name.strip_suffix(".dist-info").and_then(|stem| stem.rsplit_once('-'));
        if let Some((name, version)) = stem {
            found.push(Distribution { name: name.to_owned(), version: version.to_owned() });
        }
    }
    found.sort();
    Ok(found)
}

/// Pinned versions as pip and uv read them.
fn constraints(pins: &[Distribution]) -> String {
    let line = |pin: &Distribution| format!("{}=={}\n", pin.name, pin.version);
    pins.iter().map(line).collect()
}

/// One installation.
struct Job<'a> {
    recipe: &'a ImageRecipe,
    root: &'a Path,
    image: &'a str,
    dependencies: &'a Dependencies,
    requirements: Requirements,
    pins: &'a [Distribution],
    no_cache: bool,
    reporter: &'a dyn Reporter,
}

impl<'a> Job<'a> {
    /// `None` when the recipe depends on nothing.
    async fn read(request: InstallRequest<'a>) -> Result<Option<Self>, Error> {
        let InstallRequest { recipe, root, pins, no_cache, reporter } = request;
        let Some(dependencies) = &recipe.dependencies else { return Ok(None) };
        let path = root.join(&dependencies.requirements);
        let image = &*recipe.repository;
        let name = image.to_owned();
        let requirements = blocking(move || Requirements::read(&name, &path)).await?;
        let mut job =
            Self { recipe, root, image, dependencies, requirements, pins, no_cache, reporter };
        if !job.is_free() {
            job.pins = &[];
        }
        Ok(Some(job))
    }

    /// Whether versions are resolved anew unless they are pinned.
    fn is_free(&self) -> bool {
        let locked = self.requirements.project().is_some_and(|found| found.constraints.is_some());
        !self.requirements.is_local() && !locked
    }

    fn has_pins(&self) -> bool {
        !self.pins.is_empty()
    }

    fn key(&self, tool: &Tool, pins: &[Distribution]) -> Digest {
        let mut key = Fingerprint::new("dependencies");
        key.text(tool.kind.name()).text(&tool.version);
        key.text(self.dependencies.runtime.name());
        key.text(&self.dependencies.platform.to_string());
        self.requirements.describe(&mut key);
        if !pins.is_empty() {
            key.text(&constraints(pins));
        }
        key.finish()
    }

    fn error(&self, reason: impl Into<String>, hint: Option<String>) -> Error {
        let requirements = self.dependencies.requirements.clone();
        Error::Dependencies { requirements, reason: reason.into(), hint }
    }

    fn failed(&self, log: &Log) -> Error {
        let Dependencies { runtime, platform, .. } = self.dependencies;
        match run::package_without_wheel(log.lines()) {
            Some(package) => Error::NoWheel {
                requirements: self.dependencies.requirements.clone(),
                package: package.escape_debug().to_string(),
                runtime: runtime.to_string(),
                platform: *platform,
            },
            None if log.lines().iter().any(|line| line.contains(NO_SPACE)) => Error::Io {
                action: "install packages for",
                path: self.dependencies.requirements.clone(),
                source: io::Error::new(io::ErrorKind::StorageFull, NO_SPACE),
            },
            None => self.error(log.last(), None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let tools = Tools {
            environment: vec![("PIP_INDEX_URL".into(), "https://user:secret@host".into())],
            ..Tools::default()
        };
        let shown = format!("{tools:?}");
        assert!(shown.contains("PIP_INDEX_URL") && !shown.contains("secret"), "{shown}");
    }
}
