//! Installs packages by a program on this machine, which runs no code of the project or of an
//! index.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use esb_model::{Activity, ActivityGuard, Event};
use esb_oci::{Damage, StoreError};

use super::{
    FOLDER, Installer, PINS, constraints, finish,
    job::Job,
    run::{Log, Program},
    settings,
    tool::Tool,
};
use crate::{Error, Remedy, blocking::blocking, error::io_error, fingerprint::Fingerprint, paths};

/// The most bytes of what `uv export` writes.
const EXPORT_LIMIT: u64 = 64 * 1024 * 1024;

/// Names of the files that a tool gets.
pub(super) const OPTIONS: &str = "options.txt";
pub(super) const REQUIREMENTS: &str = "requirements.txt";
pub(super) const CONSTRAINTS: &str = "constraints.txt";

/// How often, and after what time, a folder that is not empty is removed again.
const ATTEMPTS: usize = 50;
const PAUSE: Duration = Duration::from_millis(10);

/// A folder for incomplete files, which is removed when this is dropped.
pub(super) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scratch {
    /// A program that is being killed may still write a file while its folder is removed.
    fn drop(&mut self) {
        for _ in 0..ATTEMPTS {
            match fs::remove_dir_all(self.path()) {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    thread::sleep(PAUSE);
                }
                _ => return,
            }
        }
    }
}

impl Installer {
    /// A folder for incomplete files, readable by its owner alone.
    pub(super) fn scratch(&self) -> Result<Scratch, Error> {
        let parent = self.store.root().join(FOLDER);
        self.store.folder().join(FOLDER).make()?;
        let made = tempfile::Builder::new().prefix("installing-").tempdir_in(&parent);
        made.map(Scratch).map_err(|source| {
            StoreError::Io { action: "create a folder in", path: parent, source }.into()
        })
    }

    /// Where tools keep what they download. It is not shared with the user's own work: it holds
    /// packages that were built here.
    fn downloads(&self) -> PathBuf {
        let key = Fingerprint::new("downloads").finish().hex();
        self.store.root().join(FOLDER).join(key)
    }

    /// Removes what tools keep: something in it is damaged.
    pub(super) fn drop_downloads(&self) -> Result<(), Error> {
        let (downloads, folder) = (self.downloads(), self.scratch()?);
        // Another process may have removed it.
        let _gone = fs::rename(&downloads, folder.path().join("old"));
        self.store.note_damage(Damage::File { path: downloads });
        Ok(())
    }

    /// Sets what a program sees of this machine: a folder without files of the project, and only
    /// those variables that find and reach packages.
    pub(super) fn surround(&self, program: &mut Program, job: &Job<'_>, folder: &Path) {
        program.folder(folder);
        for (name, value) in job.settings.shared(&job.requirements.variables) {
            program.variable(&name, value);
        }
        let cache = if job.is_repeated { folder.join("cache") } else { self.downloads() };
        self.store.note_use(&cache);
        program.variable("UV_CACHE_DIR", cache.join("uv"));
        program.variable("PIP_CACHE_DIR", cache.join("pip"));
        program.variable("UV_PYTHON_DOWNLOADS", "never");
        program.variable("PIP_CONFIG_FILE", "/dev/null");
    }

    pub(super) async fn tool(&self, job: &Job<'_>, folder: &Path) -> Result<Tool, Error> {
        let Some(python) = &self.tools.python else {
            return Err(Error::NoInstaller { requirements: job.dependencies.requirements.clone() });
        };
        let found = match &self.tools.uv {
            Some(uv) => Some(uv.clone()),
            None => self.own_uv(job, python, folder).await?,
        };
        let python = python.clone();
        Ok(match found {
            Some(uv) => Tool::Uv { uv, python },
            None => Tool::Pip { python },
        })
    }

    /// Runs the tool, and gives the result its name when all went well.
    pub(super) async fn run(&self, job: &mut Job<'_>, place: &Path) -> Result<(), Error> {
        let may_build = self.tools.allow_builds;
        if let Some(error) = job.needs_build().filter(|_| !may_build) {
            return Err(error);
        }
        let folder = self.scratch()?;
        let tool = self.tool(job, folder.path()).await?;
        self.read_lock(job, &tool, folder.path()).await?;
        if job.is_locked() {
            job.warn_of_patch_versions();
        }
        if let Some(error) = job.needs_build().filter(|_| !may_build) {
            return Err(error);
        }
        if may_build && matches!(tool, Tool::Pip { .. }) {
            let reason = "packages are built on this machine with uv, which is not there";
            return Err(job.error(reason, Some(Remedy::InstallUv)));
        }
        let target = folder.path().join("packages");
        fs::create_dir(&target).map_err(io_error("create", &target))?;
        let subject = job.image;
        let activity = ActivityGuard::start(job.reporter, subject, Activity::Install);
        let mut program = self.program(job, &tool, folder.path())?;
        tool.arguments(&mut program, job.dependencies, &target, may_build);
        if may_build {
            // A build writes beside its sources.
            let sources = folder.path().join("sources");
            self.take_along(job, &sources).await?;
            let root = canonical(job.root)?;
            let at = move |path: &Path| inside(&sources, &root, path);
            self.hand_over(job, &mut program, &tool, folder.path(), &at)?;
        } else {
            let at = |path: &Path| {
                let whole = path.canonicalize();
                whole.unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
            };
            self.hand_over(job, &mut program, &tool, folder.path(), &at)?;
        }
        let log = hear(job, &tool, program).await?;
        if !log.success() {
            return Err(match &self.tools.offline {
                Some(folders) => job.failed_offline(&log, folders),
                None => job.failed(&log),
            });
        }
        activity.finish(tool.name());
        let place = place.to_owned();
        let replaced = job.replaces();
        blocking(move || finish(&target, &place, folder.path(), replaced)).await
    }

    fn program(&self, job: &Job<'_>, tool: &Tool, folder: &Path) -> Result<Program, Error> {
        let mut program = Program::new(tool.path());
        self.surround(&mut program, job, folder);
        match tool {
            Tool::Uv { .. } => {
                for (name, value) in self.reachable(job.settings.for_uv()) {
                    program.variable(&name, value);
                }
                let config = folder.join("uv.toml");
                let text = match &self.tools.offline {
                    Some(_) => settings::config_without_network(&job.config).to_string(),
                    None => job.config.to_string(),
                };
                fs::write(&config, text).map_err(io_error("write", &config))?;
                program.variable("UV_CONFIG_FILE", config);
            }
            Tool::Pip { .. } => {
                for (name, value) in self.reachable(job.settings.for_pip()) {
                    program.variable(&name, value);
                }
            }
        }
        Ok(program)
    }

    /// Variables for a tool, without indexes where nothing may be reached.
    pub(super) fn reachable(
        &self,
        variables: BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        match &self.tools.offline {
            Some(_) => settings::without_network(variables),
            None => variables,
        }
    }

    /// Writes what is to be installed into files of ours, and names them to the tool.
    fn hand_over(
        &self,
        job: &Job<'_>,
        program: &mut Program,
        tool: &Tool,
        folder: &Path,
        at: &dyn Fn(&Path) -> String,
    ) -> Result<(), Error> {
        let files = match &self.tools.offline {
            Some(folders) => job.requirements.offline(folders).render(at, self.tools.allow_builds),
            None => job.requirements.render(at, self.tools.allow_builds),
        };
        let mut give = |option: &str, name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(io_error("write", &path))?;
            program.arguments(&[option]).argument(path);
            Ok::<_, Error>(())
        };
        give("-r", REQUIREMENTS, &files.requirements)?;
        for (option, name, text) in
            [("-r", OPTIONS, &files.options), ("-c", CONSTRAINTS, &files.constraints)]
        {
            // An empty file is something to warn of.
            if !text.is_empty() {
                give(option, name, text)?;
            }
        }
        if job.has_pins() {
            give("-c", PINS, &constraints(job.pins))?;
        }
        if matches!(tool, Tool::Pip { .. }) {
            if !files.overrides.is_empty() {
                let reason = "pip knows no overrides";
                return Err(job
                    .error(reason, Some(Remedy::Advice("install uv on this machine".to_owned()))));
            }
            if job.requirements.options.pre {
                program.arguments(&["--pre"]);
            }
            return Ok(());
        }
        if !files.overrides.is_empty() {
            give("--overrides", "overrides.txt", &files.overrides)?;
        }
        if job.requirements.options.pre {
            program.arguments(&["--prerelease", "allow"]);
        }
        if job.requirements.options.require_hashes {
            program.arguments(&["--require-hashes"]);
        }
        if self.tools.allow_builds {
            for package in job.no_binary.iter().flat_map(|packages| packages.split(',')) {
                program.arguments(&["--no-binary", package]);
            }
            for file in job.settings.build_constraints() {
                program.arguments(&["--build-constraints", &file]);
            }
        }
        self.name_indexes(job, program, folder)
    }

    /// Packages that come from an index by its name, which only a project can say.
    fn name_indexes(
        &self,
        job: &Job<'_>,
        program: &mut Program,
        folder: &Path,
    ) -> Result<(), Error> {
        let Some(project) = &job.requirements.project else { return Ok(()) };
        if project.indexes.is_empty() || project.is_locked || self.tools.offline.is_some() {
            return Ok(());
        }
        let value = |name: &String| toml::Value::from(name.clone());
        let source = |(name, index): (&String, &String)| {
            (
                name.clone(),
                toml::Value::Table([("index".to_owned(), value(index))].into_iter().collect()),
            )
        };
        let sources: toml::Table = project.indexes.iter().map(source).collect();
        let mut uv: toml::Table = [("sources".to_owned(), sources.into())].into_iter().collect();
        if let Some(index) = job.config.get("index") {
            uv.insert("index".to_owned(), index.clone());
        }
        let names: Vec<_> = project.indexes.keys().map(value).collect();
        let mut document = toml::Table::new();
        let of_project = [
            ("name".to_owned(), "packages".into()),
            ("version".to_owned(), "0".into()),
            ("dependencies".to_owned(), toml::Value::Array(names)),
        ];
        document.insert("project".to_owned(), toml::Value::Table(of_project.into_iter().collect()));
        let tool: toml::Table = [("uv".to_owned(), uv.into())].into_iter().collect();
        document.insert("tool".to_owned(), tool.into());
        let path = folder.join("pyproject.toml");
        fs::write(&path, document.to_string()).map_err(io_error("write", &path))?;
        program.arguments(&["-r"]).argument(path);
        Ok(())
    }

    /// Reads the requirements that uv exports from a project's `uv.lock`. uv sees only the
    /// project's two files.
    pub(super) async fn read_lock(
        &self,
        job: &mut Job<'_>,
        tool: &Tool,
        folder: &Path,
    ) -> Result<(), Error> {
        let (true, Tool::Uv { python, .. }) = (job.is_locked(), tool) else { return Ok(()) };
        let own = folder.join("lock");
        fs::create_dir(&own).map_err(io_error("create", &own))?;
        let texts = job.requirements.project.iter().flat_map(|project| &project.texts);
        for (name, text) in ["pyproject.toml", "uv.lock"].iter().zip(texts) {
            fs::write(own.join(name), text).map_err(io_error("write", &own))?;
        }
        let file = folder.join("export.txt");
        let mut program = self.program(job, tool, &own)?;
        program
            .arguments(&["export", "--frozen", "--no-dev", "--no-emit-project", "--quiet"])
            .arguments(&["--format", "requirements-txt", "--color", "never", "--no-header"])
            .arguments(&["--no-progress", "--python"])
            .argument(python)
            .arguments(&["--output-file"])
            .argument(&file);
        let log = hear(job, tool, program).await?;
        if !log.success() {
            return Err(job.error(log.last(), None));
        }
        let text = esb_oci::read_file(&file, EXPORT_LIMIT).map_err(io_error("read", &file))?;
        let text = String::from_utf8_lossy(&text);
        job.with_export(&text)
    }

    /// Copies the packages of this machine to where they are built and nothing is yet, as they lie
    /// below the project root.
    pub(super) async fn take_along(&self, job: &Job<'_>, to: &Path) -> Result<(), Error> {
        let root = canonical(job.root)?;
        let mut copies: Vec<(PathBuf, PathBuf)> = Vec::new();
        for (path, place) in job.requirements.local() {
            let whole = canonical(path)?;
            let Ok(relative) = whole.strip_prefix(&root) else {
                let file = place.file.strip_prefix(job.root).unwrap_or(&place.file).to_owned();
                let reason = format!("`{}` is outside of the project", path.display());
                let advice = "copy it into the project, or name a wheel of it";
                let remedy = Some(Remedy::Advice(advice.to_owned()));
                return Err(Error::Requirement { file, line: place.line, reason, remedy });
            };
            copies.push((whole.clone(), to.join(relative)));
        }
        for folder in job.requirements.folders() {
            let whole = folder.canonicalize().ok();
            let relative = whole.as_ref().and_then(|whole| whole.strip_prefix(&root).ok());
            if let (Some(whole), Some(relative)) = (&whole, relative) {
                copies.push((whole.clone(), to.join(relative)));
            }
        }
        // What lies in another one is there already.
        copies.sort();
        let mut last: Option<PathBuf> = None;
        copies.retain(|(from, _)| {
            let inner = last.as_ref().is_some_and(|last| from.starts_with(last));
            if !inner {
                last = Some(from.clone());
            }
            !inner
        });
        let (stager, image) = (self.stager.clone(), job.image.to_owned());
        let copy = job.package_copy(&self.brand)?;
        blocking(move || {
            let copy = copy.copying();
            copies.iter().try_for_each(|(from, to)| stager.copy_new(&image, from, &copy, to))
        })
        .await
    }
}

/// Where a path of the project lies in a copy of it.
pub(super) fn inside(copy: &Path, root: &Path, path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let relative = whole.strip_prefix(root).unwrap_or(&whole).to_string_lossy().into_owned();
    paths::join(&copy.to_string_lossy(), &relative)
}

pub(super) fn canonical(path: &Path) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(io_error("find", path))
}

/// Runs a tool to its end; what it says is passed on without secrets.
pub(super) async fn hear(job: &Job<'_>, tool: &Tool, program: Program) -> Result<Log, Error> {
    use esb_model::Reporter as _;
    let (subject, hidden) = (job.image, job.hidden());
    let mut tell = |line: &str| hidden.event(&Event::Output { subject, line });
    let log = program.run(&mut tell).await.map_err(io_error("run", tool.path()))?;
    Ok(log.map(|line| hidden.text(line)))
}
