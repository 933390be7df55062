//! One installation: its inputs and its cache key.

use std::{
    io,
    path::{Path, PathBuf},
};

use esb_model::{Brand, Dependencies, Event, ImageRecipe, Reporter};
use esb_oci::{Digest, LinkRules};

use super::{
    Distribution, InstallRequest, Installed, Installer, NO_SPACE,
    address::secrets_of,
    constraints,
    entry::Source,
    requirements::{Reader, Requirements},
    run::{self, Log},
    settings::{PipSettings, UvFile},
};
use crate::{
    Error, Remedy,
    blocking::blocking,
    fingerprint::Fingerprint,
    inputs::staging::{Copying, link_rules},
    redacting_reporter::RedactingReporter,
};

/// Patterns of what is in a package's folder, and is no part of the package: a repository changes
/// with each look at it, and may hold tokens. The packages of npm are left out only where its own
/// tools put them: further down they may be files that a program serves.
fn not_packaged(brand: &Brand) -> Vec<String> {
    let folders = [".git", &brand.folder_name(), ".venv", "__pycache__"];
    let mut patterns: Vec<_> = folders.iter().map(|name| format!("**/{name}")).collect();
    patterns.push("node_modules".to_owned());
    patterns
}

/// How packages of this machine are copied.
pub(super) struct PackageCopy {
    exclude: Vec<String>,
    links: LinkRules,
}

impl PackageCopy {
    pub(super) fn copying(&self) -> Copying<'_> {
        Copying { exclude: &self.exclude, links: Some(self.links.clone()) }
    }
}

pub(super) struct Job<'a> {
    pub(super) recipe: &'a ImageRecipe,
    pub(super) root: &'a Path,
    pub(super) image: &'a str,
    pub(super) dependencies: &'a Dependencies,
    pub(super) requirements: Requirements,
    pub(super) settings: PipSettings<'a>,
    /// uv's own settings, as far as they are about indexes.
    pub(super) config: toml::Table,
    /// Packages that settings want to be built, as pip names them.
    pub(super) no_binary: Option<String>,
    pub(super) pins: &'a [Distribution],
    pub(super) no_cache: bool,
    /// What was installed is damaged: neither it nor what the tool keeps is used.
    pub(super) is_repeated: bool,
    pub(super) reporter: &'a dyn Reporter,
}

impl<'a> Job<'a> {
    pub(super) async fn read(
        installer: &'a Installer,
        request: InstallRequest<'a>,
    ) -> Result<Self, Error> {
        let InstallRequest { recipe, dependencies, root, pins, no_cache, reporter } = request;
        let image = &*recipe.repository;
        let settings = PipSettings::read(&installer.tools);
        let mut requirements = read(image, root, &dependencies.requirements, &settings)?;
        let locked = requirements.project.as_ref().is_some_and(|project| project.is_locked);
        let uv = project_config(&requirements, root);
        let of_uv = uv.as_ref().and_then(|uv| Some(("[tool.uv]", uv.no_binary()?)));
        let wanted = settings.no_binary().or(of_uv);
        if let Some((setting, _)) = wanted {
            requirements.want_build(setting, "a package from its sources");
        }
        let no_binary = wanted.map(|(_, packages)| packages);
        let config = settings.uv_config(uv, locked);
        let mut job = Self {
            recipe,
            root,
            image,
            dependencies,
            requirements,
            settings,
            config,
            no_binary,
            pins,
            no_cache,
            is_repeated: false,
            reporter,
        };
        job.read_contents(installer).await?;
        if !job.is_free() {
            job.pins = &[];
        }
        if let Some(pin) = job.pins.iter().find(|pin| !pin.is_plain()) {
            let reason =
                format!("`{}=={}` is pinned, which is not a version", pin.name, pin.version);
            return Err(job.error(reason.escape_debug().to_string(), None));
        }
        Ok(job)
    }

    /// Looks at all that lies on this machine and is installed or built.
    async fn read_contents(&mut self, installer: &Installer) -> Result<(), Error> {
        let mut paths = Vec::new();
        for (path, _) in self.requirements.local() {
            paths.push((path.to_owned(), false));
        }
        let of_lock = self.requirements.project.iter().flat_map(|project| &project.local);
        paths.extend(of_lock.filter(|path| path.exists()).map(|path| (path.clone(), true)));
        if paths.is_empty() {
            return Ok(());
        }
        let (stager, image, trust) =
            (installer.stager.clone(), self.image.to_owned(), !self.no_cache);
        let copy = self.package_copy(&installer.brand)?;
        let contents = blocking(move || {
            let whole = copy.copying();
            let key = |(path, is_of_lock): &(PathBuf, bool)| {
                match stager.content(&image, path, &whole, trust) {
                    // Not all that a lock names is built.
                    Err(Error::Link { .. }) if *is_of_lock => {
                        let as_it_lies = Copying { links: None, ..whole.clone() };
                        stager.content(&image, path, &as_it_lies, trust)
                    }
                    found => found,
                }
            };
            paths.iter().map(key).collect::<Result<Vec<_>, Error>>()
        });
        self.requirements.set_contents(contents.await?);
        Ok(())
    }

    /// How packages of this machine are copied: in the place of a link that leads out of a package
    /// they have what it leads to.
    pub(super) fn package_copy(&self, brand: &Brand) -> Result<PackageCopy, Error> {
        let Dependencies { target, follow, .. } = self.dependencies;
        let links = link_rules(self.root, target, *follow)?;
        Ok(PackageCopy { exclude: not_packaged(brand), links })
    }

    /// The same with what a lock comes to.
    pub(super) fn with_export(&mut self, text: &str) -> Result<(), Error> {
        let lists = (self.settings.constraints(), self.settings.overrides());
        let variable = |name: &str| self.settings.variable(name).map(str::to_owned);
        let reader = reader(self.image, self.root, &variable, &lists);
        self.requirements = self.requirements.with_export(&reader, text)?;
        Ok(())
    }

    /// Whether versions are resolved anew unless they are pinned.
    pub(super) fn is_free(&self) -> bool {
        self.requirements.is_free()
    }

    pub(super) fn installed(&self, cached: bool, distributions: Vec<Distribution>) -> Installed {
        Installed { target: self.dependencies.target.clone(), cached, distributions }
    }

    /// Whether what is installed at its place is replaced.
    pub(super) fn replaces(&self) -> bool {
        self.no_cache || self.is_repeated || self.requirements.moves()
    }

    pub(super) fn has_pins(&self) -> bool {
        !self.pins.is_empty()
    }

    pub(super) fn is_locked(&self) -> bool {
        self.requirements.project.as_ref().is_some_and(|project| project.is_locked)
    }

    pub(super) fn key(&self, pins: &[Distribution]) -> Digest {
        let mut key = Fingerprint::new("dependencies-3");
        key.text(self.dependencies.runtime.name());
        key.text(&self.dependencies.platform.to_string());
        self.requirements.describe(&mut key);
        self.settings.describe(&self.config, &mut key);
        key.text(self.no_binary.as_deref().unwrap_or_default());
        if !pins.is_empty() {
            key.text(&constraints(pins));
        }
        key.finish()
    }

    /// Warns of requirements that are left out only because of a patch version that is not known.
    pub(super) fn warn_of_patch_versions(&self) {
        let version = self.dependencies.runtime.version();
        for entry in &self.requirements.entries {
            if entry.is_constraint || !entry.is_for_later_patch(version) {
                continue;
            }
            let file = entry.place.file.strip_prefix(self.root).unwrap_or(&entry.place.file);
            let text = format!(
                "`{}`, line {}: its marker asks for a patch version of Python {version}, and that \
                 of the base image is not known; {version}.0 is taken, which may leave the package \
                 out (compare `python_version` instead)",
                file.display().to_string().escape_debug(),
                entry.place.line,
            );
            self.reporter.event(&Event::Warning { text: &text });
        }
    }

    /// A reporter that removes the secrets of this installation.
    pub(super) fn hidden(&self) -> RedactingReporter<'a> {
        let mut secrets = self.settings.secrets(&self.requirements.variables);
        secrets.extend(self.requirements.secrets());
        secrets.extend(secrets_of_config(&self.config));
        RedactingReporter::of(
            self.reporter,
            secrets.iter().map(|secret| (&**secret, "***".to_owned())),
        )
    }

    pub(super) fn error(&self, reason: impl Into<String>, remedy: Option<Remedy>) -> Error {
        let requirements = self.dependencies.requirements.clone();
        let (reason, log) = (reason.into(), String::new());
        Error::Dependencies { requirements, line: 0, reason, log, remedy }
    }

    /// What the installer ended with, with what it wrote.
    pub(super) fn ended(&self, what: &str, log: &[String]) -> Error {
        let said = log.iter().rev().find(|line| mentions_error(line)).into_iter();
        let named = said.chain(log.iter().rev()).find_map(|line| self.named_in(line));
        let (requirements, line) = match named {
            Some((file, line)) => (file, line),
            None => (self.dependencies.requirements.clone(), 0),
        };
        let log = run::telling(log);
        let start = log.len().saturating_sub(SHOWN_LINES);
        let log = log[start..].join("\n");
        Error::Dependencies { requirements, line, reason: what.to_owned(), log, remedy: None }
    }

    /// The line of a requirements file whose package is named in a text.
    fn named_in(&self, text: &str) -> Option<(PathBuf, usize)> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let words: Vec<String> = text.split(|c| !is_part(c)).map(package_name).collect();
        let entry = self.requirements.entries.iter().find(|entry| {
            let Source::Index(asked) = &entry.source else { return false };
            let name = asked.split(|c| !is_part(c)).next().map(package_name);
            !entry.is_constraint
                && name.is_some_and(|name| !name.is_empty() && words.contains(&name))
        })?;
        let file = &entry.place.file;
        Some((file.strip_prefix(self.root).unwrap_or(file).to_owned(), entry.place.line))
    }

    /// What has to be built, as an error that says where that is asked for.
    pub(super) fn needs_build(&self) -> Option<Error> {
        let (place, what) = self.requirements.build()?;
        let file = place.file.strip_prefix(self.root).unwrap_or(&place.file).to_owned();
        Some(Error::NeedsBuild { file, line: place.line, what: what.clone() })
    }

    /// The error of an installation that could use nothing but folders of wheels.
    pub(super) fn failed_offline(&self, log: &Log, folders: &[PathBuf]) -> Error {
        let Dependencies { runtime, platform, requirements, .. } = self.dependencies;
        let places: Vec<_> =
            folders.iter().map(|folder| format!("`{}`", folder.display())).collect();
        let places = match places.as_slice() {
            [] => "this machine has no folder of wheels".to_owned(),
            places => format!("there is none in {}", places.join(", ")),
        };
        let package = run::package_without_wheel(log.lines()).or_else(|| absent(log.lines()));
        let reason = match package {
            Some(package) => {
                let package = package.escape_debug();
                format!("a wheel of `{package}` for {runtime} on {platform} is missing; {places}")
            }
            None if folders.is_empty() => places,
            None => format!("{}; {places}", log.last()),
        };
        Error::Offline { requirements: requirements.clone(), reason }
    }

    pub(super) fn failed(&self, log: &Log) -> Error {
        let Dependencies { runtime, platform, .. } = self.dependencies;
        let requirements = self.dependencies.requirements.clone();
        let says = |words: &str| log.lines().iter().any(|line| line.contains(words));
        if says("No module named pip") || says("No interpreter found") {
            return Error::NoInstaller { requirements };
        }
        if let Some(index) = run::index_out_of_reach(log.lines()) {
            let index = self.hidden().text(&index);
            let reason = format!("the index `{}` is out of reach", index.escape_debug());
            let hint = "start it, or name one that answers (`PIP_INDEX_URL`, `--index-url`)";
            return self.error(reason, Some(Remedy::Advice(hint.to_owned())));
        }
        match run::package_without_wheel(log.lines()) {
            Some(package) => Error::NoWheel {
                line: self.named_in(package).map_or(0, |(_, line)| line),
                requirements: self.named_in(package).map_or(requirements, |(file, _)| file),
                package: package.escape_debug().to_string(),
                runtime: runtime.to_string(),
                platform: *platform,
                others: run::other_versions(log.lines()),
            },
            None if says(NO_SPACE) => Error::Io {
                action: "install packages for",
                path: requirements,
                source: io::Error::new(io::ErrorKind::StorageFull, NO_SPACE),
            },
            None => {
                let reason = run::no_solution(log.lines()).unwrap_or_else(|| log.last());
                self.ended(&reason, log.lines())
            }
        }
    }
}

/// What stands behind a package that is in no folder of wheels, in uv's words.
fn absent(lines: &[String]) -> Option<&str> {
    lines.iter().find_map(|line| {
        let (before, _) = line.split_once(" was not found in the provided package locations")?;
        before.split_whitespace().next_back()
    })
}

/// The most lines of an installer's output that an error shows.
const SHOWN_LINES: usize = 20;

fn mentions_error(line: &str) -> bool {
    line.to_ascii_lowercase().contains("error")
}

/// The name of a package as indexes compare it.
fn package_name(name: &str) -> String {
    let name = name.trim_matches(['.', '-', '_']).to_ascii_lowercase();
    let parts = name.split(['.', '-', '_']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-")
}

fn read(
    image: &str,
    root: &Path,
    path: &Path,
    settings: &PipSettings<'_>,
) -> Result<Requirements, Error> {
    let lists = (settings.constraints(), settings.overrides());
    let variable = |name: &str| settings.variable(name).map(str::to_owned);
    let found = Requirements::read(&reader(image, root, &variable, &lists), &root.join(path));
    // As short as it can be said.
    found.map_err(|error| match error {
        Error::Requirement { file, line, reason, remedy } => {
            let file = file.strip_prefix(root).unwrap_or(&file).to_owned();
            Error::Requirement { file, line, reason, remedy }
        }
        other => other,
    })
}

fn reader<'r>(
    image: &'r str,
    root: &'r Path,
    variable: &'r dyn Fn(&str) -> Option<String>,
    (constraints, overrides): &'r (Vec<String>, Vec<String>),
) -> Reader<'r> {
    Reader { image, root, variable, constraints, overrides }
}

/// Passwords and tokens in uv's own settings.
fn secrets_of_config(table: &toml::Table) -> Vec<String> {
    fn of(value: &toml::Value) -> Vec<String> {
        match value {
            toml::Value::String(text) => secrets_of(text),
            toml::Value::Array(list) => list.iter().flat_map(of).collect(),
            toml::Value::Table(table) => table.values().flat_map(of).collect(),
            _ => Vec::new(),
        }
    }
    table.values().flat_map(of).collect()
}

/// `[tool.uv]` or `uv.toml` of the nearest folder from the requirements up to the project root.
fn project_config(requirements: &Requirements, root: &Path) -> Option<UvFile> {
    let folders = requirements.path().ancestors().skip(1);
    folders.take_while(|folder| folder.starts_with(root)).find_map(|folder| {
        UvFile::read(&folder.join("uv.toml")).or_else(|| {
            let UvFile { folder, table } = UvFile::read(&folder.join("pyproject.toml"))?;
            let table = table.get("tool")?.get("uv")?.as_table()?.clone();
            Some(UvFile { folder, table })
        })
    })
}
