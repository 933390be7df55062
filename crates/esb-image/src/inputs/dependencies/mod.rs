//! Packages of a `requirements.txt`, a `uv.lock` or a `pyproject.toml`, installed for the platform
//! of the image and not for this machine.
//!
//! Owns the choice of the tool, its arguments, and the cache: the same requirements for the same
//! platform are installed once, so that a change of code never installs again. Refuses to build
//! packages from source here: that runs what a project or an index brings, and needs the image's
//! own platform; an engine with a daemon has both.

mod address;
mod contents;
mod entry;
mod fetch;
mod host;
#[cfg(any(feature = "docker", feature = "buildkit"))]
mod image;
mod job;
mod lines;
mod normalise;
mod pip_conf;
mod project;
mod requirements;
mod run;
mod settings;
mod tool;
mod wheelhouse;

use std::{
    collections::{BTreeSet, HashMap},
    ffi::OsString,
    fmt, fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

use esb_model::{Brand, Dependencies, Family, ImageRecipe, Reporter};
use esb_oci::{ContentStore, Damage, Digest, KeyLock, Links};

#[cfg(any(feature = "docker", feature = "buildkit"))]
pub use self::image::StepEngine;
use self::job::Job;
pub use self::{contents::verify_packages, wheelhouse::FetchedWheels};
use crate::{
    Error, Stager, UnpackLimits,
    blocking::blocking,
    error::io_error,
    fingerprint::Fingerprint,
    inputs::staging::{Copying, StagingTarget},
};

/// Where installed packages lie below the content store, by key.
const FOLDER: &str = "dependencies";

/// The record's kind in the content store: what an installation held when it was made, by its key.
/// It shares the file of what was staged, which is read anyhow.
const INSTALLED: &str = crate::inputs::staging::RECORD;

/// How often an installation is put in place while other processes put theirs there.
const ATTEMPTS: usize = 10;

/// The system's message for a full disk, as it appears in the output of tools.
const NO_SPACE: &str = "No space left on device";

/// The file that names pinned versions to a tool.
const PINS: &str = "pins.txt";

/// The programs that install, as the caller found them.
#[derive(Clone, Default)]
pub struct Tools {
    pub uv: Option<PathBuf>,
    /// A Python; its own version does not matter.
    pub python: Option<PathBuf>,
    /// The whole environment. The programs see of it settings of package indexes, proxies,
    /// certificates, folders, and what requirements name.
    pub environment: Vec<(OsString, OsString)>,
    /// Names of variables that a file of the project set: they never decide which program runs.
    pub env_file: BTreeSet<OsString>,
    /// The user's current folder, which relative paths in the environment start from.
    pub folder: PathBuf,
    /// Whether uv may be fetched when it is not there.
    pub install_uv: bool,
    /// The folders of wheels that packages come from, where nothing may be reached; none where
    /// indexes may be.
    pub offline: Option<Vec<PathBuf>>,
    /// Whether packages may be built on this machine, which runs what they bring.
    pub allow_builds: bool,
}

impl Tools {
    /// A list of paths and addresses with its paths made absolute.
    fn absolute(&self, list: &str) -> String {
        let whole = |word: &str| {
            if word.contains("://") || word.starts_with("file:") {
                return word.to_owned();
            }
            self.folder.join(word).to_string_lossy().into_owned()
        };
        let words = list.split_whitespace().flat_map(|word| word.split(','));
        words.filter(|word| !word.is_empty()).map(whole).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Debug for Tools {
    /// Values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        f.debug_struct("Tools")
            .field("uv", &self.uv)
            .field("python", &self.python)
            .field("environment", &names)
            .finish_non_exhaustive()
    }
}

/// The result of an installation.
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

impl Distribution {
    /// Whether it is a name and a version, which a line of constraints can hold.
    fn is_plain(&self) -> bool {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-+!".contains(c);
        entry::is_name(&self.name)
            && [&self.name, &self.version].iter().all(|word| word.chars().all(fits))
    }
}

/// A request to an [`Installer`].
#[derive(Clone, Copy)]
pub struct InstallRequest<'a> {
    pub recipe: &'a ImageRecipe,
    /// One of what the recipe depends on.
    pub dependencies: &'a Dependencies,
    /// The project root, which the recipe's paths are relative to.
    pub root: &'a Path,
    /// The versions that an earlier installation of the same resolved; empty when they are free.
    pub pins: &'a [Distribution],
    /// Use no result of an earlier installation.
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
    brand: Brand,
    /// Places that are being installed to.
    running: Arc<std::sync::Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>>,
}

impl Installer {
    /// An installer that caches below the store's folder.
    pub fn new(store: ContentStore, tools: Tools) -> Self {
        let stager = Stager::new(store.clone(), UnpackLimits::default());
        let (brand, running) = Default::default();
        Self { store, tools: Arc::new(tools), stager, brand, running }
    }

    /// Sets what happens when the folder of generated files contains symbolic links.
    #[must_use]
    pub fn with_links(self, links: Links) -> Self {
        Self { stager: self.stager.with_links(links), ..self }
    }

    /// Sets the brand, whose generated folder is no part of a package and whose labels images get.
    #[must_use]
    pub fn with_brand(self, brand: Brand) -> Self {
        Self { brand, ..self }
    }

    /// Installs what a recipe depends on into the folder that it names.
    ///
    /// # Errors
    /// When the requirements cannot be read, no tool is there, or it fails; the error names the
    /// package that has no wheel when that is why.
    pub async fn install(&self, request: InstallRequest<'_>) -> Result<Installed, Error> {
        let mut job = self.job(request).await?;
        if !job.is_locked() {
            job.warn_of_patch_versions();
        }
        self.install_by(&mut job, async |job, place| self.run(job, place).await).await
    }

    /// Installs by `make` what is not installed yet, and puts it where the recipe copies it from.
    /// One process at a time: nobody replaces what another one reads.
    async fn install_by(
        &self,
        job: &mut Job<'_>,
        make: impl AsyncFn(&mut Job<'_>, &Path) -> Result<(), Error>,
    ) -> Result<Installed, Error> {
        let place = self.place(job);
        let running = self.claim(&place);
        let _working = running.lock().await;
        if self.has(job, &place)
            && let Some(distributions) = self.copied(job, &place).await
        {
            return Ok(job.installed(true, distributions));
        }
        let _turn = self.turn(&place).await;
        let cached = self.has(job, &place);
        if !cached {
            make(job, &place).await?;
        }
        let damaged = match self.put(job, &place, cached).await? {
            Put::Done { distributions, .. } => {
                return Ok(job.installed(cached, distributions));
            }
            Put::Damaged { key } => key,
        };
        job.is_repeated = true;
        make(job, &place).await?;
        match self.put(job, &place, false).await? {
            Put::Done { key, distributions } => {
                // What the tool made of its own cache is not what it makes without it.
                if !cached && key != damaged {
                    self.drop_downloads()?;
                }
                Ok(job.installed(false, distributions))
            }
            Put::Damaged { .. } => Err(changed_meanwhile(&place)),
        }
    }

    /// What a request asks for.
    async fn job<'a>(&'a self, request: InstallRequest<'a>) -> Result<Job<'a>, Error> {
        let job = Job::read(self, request).await?;
        if job.dependencies.runtime.family() != Family::Python {
            let reason = format!("{} has no requirements", job.dependencies.runtime);
            return Err(job.error(reason, None));
        }
        Ok(job)
    }

    /// A key of what a recipe asks for, which the resolved versions can be kept under. `None` when
    /// it depends on packages of this machine, or on a project that has a lock.
    ///
    /// # Errors
    /// When the requirements cannot be read.
    pub async fn wanted(&self, request: InstallRequest<'_>) -> Result<Option<Digest>, Error> {
        let job = self.job(request).await?;
        Ok(job.is_free().then(|| {
            let mut key = Fingerprint::new("requirements");
            job.requirements.describe_wish(&mut key);
            key.finish()
        }))
    }

    /// The lock of one installation between processes.
    async fn turn(&self, place: &Path) -> KeyLock {
        self.store.lock_key("install", record_key(place)).await
    }

    /// Whether an installation is there and may be used.
    fn has(&self, job: &Job<'_>, place: &Path) -> bool {
        let has = !job.no_cache && !job.requirements.moves() && is_folder(place);
        if has {
            self.store.note_use(place);
        }
        has
    }

    /// Where an installation lies or will lie. One whose versions were free is as good as any when
    /// they are those that are pinned.
    fn place(&self, job: &Job<'_>) -> PathBuf {
        let place = |pins| self.store.root().join(FOLDER).join(job.key(pins).hex());
        let free = place(&[]);
        if job.pins.is_empty() || distributions(&free).is_ok_and(|found| found == job.pins) {
            return free;
        }
        place(job.pins)
    }

    /// The lock of one installation: one caller installs while the others wait.
    fn claim(&self, place: &Path) -> Arc<tokio::sync::Mutex<()>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(running.entry(place.to_owned()).or_default())
    }

    /// The packages of an installation that is as it was made, and lies where the recipe copies it
    /// from: nothing has to be read, so that nobody has to be kept away.
    async fn copied(&self, job: &Job<'_>, place: &Path) -> Option<Vec<Distribution>> {
        let (stager, store, place) = (self.stager.clone(), self.store.clone(), place.to_owned());
        let (image, target) = (job.image.to_owned(), job.root.join(&job.dependencies.target));
        blocking(move || {
            let key = stager.content(&image, &place, &Copying::default(), true).ok()?;
            let known = store.record::<Digest>(INSTALLED, record_key(&place))?;
            (known == key && stager.is_current(&target, key)).then(|| distributions(&place).ok())?
        })
        .await
    }

    /// Puts an installation where the recipe copies it from, unless it is damaged.
    async fn put(&self, job: &Job<'_>, place: &Path, cached: bool) -> Result<Put, Error> {
        let (stager, store, place) = (self.stager.clone(), self.store.clone(), place.to_owned());
        let (scratch, root) = (stager.scratch(job.root, job.recipe), stager.folder(job.root));
        let target = job.dependencies.target.clone();
        let (image, trust, is_repeated) = (job.image.to_owned(), !job.no_cache, job.is_repeated);
        blocking(move || {
            let at = StagingTarget { scratch: &scratch, root: &root, target: &target };
            let (key, selected) = stager.select(&image, &place, &Copying::default(), trust)?;
            let record = record_key(&place);
            let known: Option<Digest> = store.record(INSTALLED, record).filter(|_| cached);
            if known != Some(key) {
                // The lists of files that packages bring are wrong now and then from the start.
                let is_damaged = match known {
                    Some(_) => true,
                    None => !is_repeated && !contents::are_as_listed(&selected, cached),
                };
                if is_damaged {
                    if cached {
                        store.note_damage(Damage::Packages { path: place });
                    }
                    return Ok(Put::Damaged { key });
                }
                store.set_record(INSTALLED, record, &key)?;
            }
            stager.put(&selected, key, at, trust)?;
            Ok(Put::Done { key, distributions: distributions(&place)? })
        })
        .await
    }

    /// Whether [`Installer::install`] would install or copy anything.
    ///
    /// # Errors
    /// When the requirements cannot be read.
    pub async fn is_stale(&self, request: InstallRequest<'_>) -> Result<bool, Error> {
        let job = self.job(request).await?;
        let place = self.place(&job);
        if !self.has(&job, &place) {
            return Ok(true);
        }
        let stager = self.stager.clone();
        let (image, target) = (job.image.to_owned(), job.root.join(&job.dependencies.target));
        blocking(move || stager.is_copied(&image, &place, &Copying::default(), &target))
            .await
            .map(|same| !same)
    }
}

/// The key of what is remembered of an installation, wherever the store lies.
fn record_key(place: &Path) -> Digest {
    let mut key = Fingerprint::new("installation");
    key.bytes(place.file_name().unwrap_or_default().as_bytes());
    key.finish()
}

/// What came of putting an installation where it is copied from.
enum Put {
    Done { key: Digest, distributions: Vec<Distribution> },
    Damaged { key: Digest },
}

fn changed_meanwhile(place: &Path) -> Error {
    let reason = io::Error::other("its files change while they are read");
    io_error("install packages in", place)(reason)
}

/// Normalises what was installed, and gives it its place. What another process put there meanwhile
/// is as good, unless what is there has to be `replaced`.
fn finish(target: &Path, place: &Path, folder: &Path, replaced: bool) -> Result<(), Error> {
    normalise::normalise(target)?;
    put_in_place(target, place, folder, replaced)
}

/// Gives a folder its place with one rename; what is replaced goes into `folder`, with which it
/// vanishes.
fn put_in_place(target: &Path, place: &Path, folder: &Path, replaced: bool) -> Result<(), Error> {
    for attempt in 0..ATTEMPTS {
        match fs::rename(target, place) {
            Ok(()) => return Ok(()),
            Err(_) if is_folder(place) && !replaced => return Ok(()),
            Err(_) if is_folder(place) => {
                match fs::rename(place, folder.join(format!("old-{attempt}"))) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(io_error("replace", place)(error));
                    }
                    _ => {}
                }
            }
            // Another process may have taken it away just now.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            Err(error) => return Err(io_error("put in place", place)(error)),
        }
    }
    let busy = io::Error::other("other processes replace it again and again");
    Err(io_error("put in place", place)(busy))
}

/// A link is no installation of ours.
fn is_folder(place: &Path) -> bool {
    place.symlink_metadata().is_ok_and(|found| found.is_dir())
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
