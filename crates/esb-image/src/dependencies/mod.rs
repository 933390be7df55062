//! Packages of a `requirements.txt`, a `uv.lock` or a `pyproject.toml`, installed for the platform
//! of the image and not for this machine.
//!
//! Owns the choice of the tool, its arguments, and the cache: the same requirements for the same
//! platform are installed once, so that a change of code never installs again. Refuses to build
//! packages from source here: that needs the image's own platform, which a container engine has.

#[cfg(feature = "docker")]
mod image;
mod normalise;
#[cfg_attr(
    not(any(feature = "docker", test)),
    expect(dead_code, reason = "only a container engine runs the step that it is for")
)]
mod requirements;
mod run;
#[cfg_attr(
    not(any(feature = "docker", test)),
    expect(dead_code, reason = "only a container engine runs the step that it is for")
)]
mod settings;

use std::{
    collections::HashMap,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

use esb_model::{
    Architecture, Dependencies, Event, Family, ImageRecipe, Platform, Reporter, Runtime,
};
use esb_oci::{ContentStore, Digest};

use self::{
    requirements::Requirements,
    run::{Log, Program},
    settings::Settings,
};
use crate::{
    Error, Stager, UnpackLimits,
    blocking::blocking,
    fingerprint::Fingerprint,
    staging::{self, Places},
    unpack::io_error,
};

/// Where installed packages lie below the content store, by key.
const FOLDER: &str = "dependencies";

/// What tools say of a full disk, in the words of the system.
const NO_SPACE: &str = "No space left on device";

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
    pub async fn install(
        &self,
        recipe: &ImageRecipe,
        root: &Path,
        no_cache: bool,
        reporter: &dyn Reporter,
    ) -> Result<Option<Installed>, Error> {
        let Some(dependencies) = &recipe.dependencies else { return Ok(None) };
        let path = root.join(&dependencies.requirements);
        let image = recipe.repository.clone();
        let requirements = blocking(move || Requirements::read(&image, &path)).await?;
        let job = Job { image: &recipe.repository, dependencies, requirements, reporter };
        let tool = self.tool(&job).await?;
        let place = self.place(&job, &tool);
        let running = self.claim(&place);
        let _working = running.lock().await;
        let cached = !no_cache && !job.requirements.is_local() && place.is_dir();
        if cached {
            self.store.note_use(&place);
        } else {
            self.run(&job, &tool, &place).await?;
        }
        let scratch = staging::scratch(root, recipe)?;
        self.put(&job, root, scratch, place, cached, no_cache).await.map(Some)
    }

    /// Where an installation lies or will lie.
    fn place(&self, job: &Job<'_>, tool: &Tool) -> PathBuf {
        self.store.root().join(FOLDER).join(job.key(tool).hex())
    }

    /// The lock of one installation: of several that want it one works and the others wait.
    fn claim(&self, place: &Path) -> Arc<tokio::sync::Mutex<()>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(running.entry(place.to_owned()).or_default())
    }

    /// Puts an installation where the recipe copies it from.
    async fn put(
        &self,
        job: &Job<'_>,
        root: &Path,
        scratch: PathBuf,
        place: PathBuf,
        cached: bool,
        no_cache: bool,
    ) -> Result<Installed, Error> {
        let stager = self.stager.clone();
        let target = job.dependencies.target.clone();
        let (image, folder) = (job.image.to_owned(), root.join(&target));
        let distributions = blocking(move || {
            let places = Places { from: &place, scratch: &scratch, target: &folder };
            stager.copy(&image, places, &[], !no_cache)?;
            distributions(&place)
        })
        .await?;
        Ok(Installed { target, cached, distributions })
    }

    /// Whether [`Installer::install`] would install or copy anything.
    ///
    /// # Errors
    /// When the requirements cannot be read or no tool is there.
    pub async fn is_stale(
        &self,
        recipe: &ImageRecipe,
        root: &Path,
        reporter: &dyn Reporter,
    ) -> Result<bool, Error> {
        let Some(dependencies) = &recipe.dependencies else { return Ok(false) };
        let path = root.join(&dependencies.requirements);
        let image = recipe.repository.clone();
        let requirements = blocking(move || Requirements::read(&image, &path)).await?;
        let job = Job { image: &recipe.repository, dependencies, requirements, reporter };
        let place = self.place(&job, &self.tool(&job).await?);
        if job.requirements.is_local() || !place.is_dir() {
            return Ok(true);
        }
        let stager = self.stager.clone();
        let (image, target) = (recipe.repository.clone(), root.join(&dependencies.target));
        blocking(move || stager.is_copied(&image, &place, &[], &target)).await.map(|same| !same)
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

/// What a tool is known by without being run: its path, its size and its time. `None` when it
/// cannot be looked at.
fn tool_key(path: &Path) -> Option<Digest> {
    let metadata = fs::metadata(path).ok()?;
    let modified = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let mut key = Fingerprint::new("tool");
    key.text(&path.to_string_lossy()).text(&metadata.len().to_string());
    key.text(&modified.as_nanos().to_string());
    Some(key.finish())
}

/// One installation.
struct Job<'a> {
    image: &'a str,
    dependencies: &'a Dependencies,
    requirements: Requirements,
    reporter: &'a dyn Reporter,
}

impl Job<'_> {
    fn key(&self, tool: &Tool) -> Digest {
        let mut key = Fingerprint::new("dependencies");
        key.text(tool.kind.name()).text(&tool.version);
        key.text(self.dependencies.runtime.name());
        key.text(&self.dependencies.platform.to_string());
        self.requirements.describe(&mut key);
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ToolKind {
    Uv,
    Pip,
    /// This machine has neither.
    Absent,
}

impl ToolKind {
    fn name(self) -> &'static str {
        match self {
            Self::Uv => "uv",
            Self::Pip => "pip",
            Self::Absent => "none",
        }
    }
}

#[derive(Debug)]
struct Tool {
    kind: ToolKind,
    path: PathBuf,
    version: String,
}

impl Tool {
    fn absent() -> Self {
        Self { kind: ToolKind::Absent, path: PathBuf::new(), version: String::new() }
    }

    /// Nothing secret may stand here: other users of the machine see arguments.
    fn arguments(&self, program: &mut Program, job: &Job<'_>, target: &Path) {
        let Dependencies { runtime, platform, .. } = job.dependencies;
        match self.kind {
            ToolKind::Uv => {
                program
                    .arguments(&["pip", "install", "--color", "never", "--no-progress"])
                    // Links would lead into uv's own cache.
                    .arguments(&["--link-mode", "copy", "--only-binary", ":all:"])
                    .arguments(&["--python-version", runtime.version()])
                    .arguments(&["--python-platform", &uv_platform(runtime, *platform)]);
            }
            ToolKind::Pip | ToolKind::Absent => {
                program
                    .arguments(&["-m", "pip", "install", "--no-compile", "--progress-bar", "off"])
                    .arguments(&["--disable-pip-version-check", "--no-input"])
                    .arguments(&["--only-binary=:all:", "--implementation", "cp"])
                    .arguments(&["--python-version", runtime.version()]);
                for platform in pip_platforms(runtime, *platform) {
                    program.arguments(&["--platform", &platform]);
                }
                // Habits of this machine that `--target` does not go with.
                program.variable("PIP_USER", "0");
                program.variable("PIP_REQUIRE_VIRTUALENV", "0");
                program.variable("PIP_ROOT_USER_ACTION", "ignore");
            }
        }
        program.arguments(&["--target"]).argument(target);
    }
}

fn machine(platform: Platform) -> &'static str {
    match platform.architecture {
        Architecture::X86_64 => "x86_64",
        Architecture::Arm64 => "aarch64",
    }
}

/// The minor version of glibc 2 in AWS's base image: Amazon Linux 2 up to Python 3.11, then 2023.
fn glibc(runtime: &Runtime) -> u32 {
    let minor = runtime.version().strip_prefix("3.").and_then(|minor| minor.parse().ok());
    match minor {
        Some(0..=11) => 26,
        _ => 34,
    }
}

fn uv_platform(runtime: &Runtime, platform: Platform) -> String {
    // uv knows some versions of glibc only; the nearest below.
    let glibc = if glibc(runtime) >= 34 { 34 } else { 17 };
    format!("{}-manylinux_2_{glibc}", machine(platform))
}

/// Every platform tag that the image can run: pip takes them literally.
fn pip_platforms(runtime: &Runtime, platform: Platform) -> Vec<String> {
    let machine = machine(platform);
    let mut platforms: Vec<_> =
        (17..=glibc(runtime)).rev().map(|glibc| format!("manylinux_2_{glibc}_{machine}")).collect();
    platforms.push(format!("manylinux2014_{machine}"));
    if platform.architecture == Architecture::X86_64 {
        let older = ["manylinux_2_12", "manylinux2010", "manylinux_2_5", "manylinux1"];
        platforms.extend(older.map(|older| format!("{older}_{machine}")));
    }
    platforms.push(format!("linux_{machine}"));
    platforms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_follow_the_base_image() {
        let arm: Platform = "linux/arm64".parse().unwrap();
        let old: Runtime = "python3.9".parse().unwrap();
        let new: Runtime = "python3.13".parse().unwrap();
        assert_eq!(uv_platform(&new, Platform::default()), "x86_64-manylinux_2_34");
        assert_eq!(uv_platform(&old, arm), "aarch64-manylinux_2_17");
        let platforms = pip_platforms(&old, arm);
        assert_eq!(platforms[0], "manylinux_2_26_aarch64");
        assert!(platforms.contains(&"manylinux2014_aarch64".to_owned()));
        assert!(!platforms.iter().any(|platform| platform.contains("manylinux1_")));
        assert!(pip_platforms(&new, Platform::default()).contains(&"manylinux1_x86_64".to_owned()));
    }

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
