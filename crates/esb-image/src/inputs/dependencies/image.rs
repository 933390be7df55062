//! Packages that have to be built for the image's own platform: pip runs in a container engine or
//! on a fleet of `BuildKit` daemons, as a `RUN` step on the runtime's base image.
//!
//! Owns the step and what it is given: requirements as files, settings of this machine as secrets
//! of the step, which leave no trace in the image. The result joins the installations that were
//! made here: same cache, same normalisation, same layer.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use esb_model::{
    Activity, ActivityGuard, BaseRef, BuildContext, ImageKind, ImageRecipe, Reporter, Secret,
};

use esb_oci::Blob;

use super::{
    InstallRequest, Installed, Installer, PINS, constraints, finish,
    host::{CONSTRAINTS, OPTIONS, REQUIREMENTS, canonical, inside},
    job::Job,
};
#[cfg(feature = "buildkit")]
use crate::buildkit::FleetBuilder;
#[cfg(feature = "docker")]
use crate::docker::{DockerBuilder, DockerEngine};
use crate::{
    Base, BuildReport, BuildRequest, Builder as _, Built, Error, Remedy, UnpackLimits,
    archives::unpack::{TarKind, unpack_tar},
    blocking::blocking,
    daemon::StepSecrets,
    error::io_error,
};

/// Where a step finds its secrets.
const SECRETS: &str = "/run/esb";

/// Where a step finds its files.
const FILES: &str = "/esb/install";

/// Of those, packages of the project.
const SOURCES: &str = "sources";

/// AWS's base images have no git.
const GIT: &str = "{ command -v git >/dev/null || microdnf install -y git || dnf install -y git || \
     yum install -y git || { apt-get update && apt-get install -y git; } || { echo 'ERROR: git is \
     missing in the base image and could not be installed: name a wheel instead, or copy the \
     package into the project' >&2; exit 1; }; } && ";

/// The engine that runs the install step, on the network of the engine's machine.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum StepEngine<'a> {
    /// A Docker engine.
    #[cfg(feature = "docker")]
    Docker(&'a DockerEngine),
    /// A fleet of `BuildKit` daemons; the packages come back through the session.
    #[cfg(feature = "buildkit")]
    Fleet(&'a FleetBuilder),
}

impl StepEngine<'_> {
    /// The name for messages.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "docker")]
            Self::Docker(_) => "in the container engine",
            #[cfg(feature = "buildkit")]
            Self::Fleet(_) => "on the BuildKit fleet",
        }
    }

    /// Builds an image into the store, and leaves nothing of it in an engine.
    async fn build(
        self,
        installer: &Installer,
        request: BuildRequest<'_>,
        secrets: StepSecrets,
        reporter: &dyn Reporter,
    ) -> Result<BuildReport, Error> {
        let store = installer.store.clone();
        match self {
            #[cfg(feature = "docker")]
            Self::Docker(engine) => {
                let builder = DockerBuilder::new(engine.clone(), store).with_secrets(secrets);
                let report = builder.build(request, reporter).await?;
                let ImageRecipe { repository, tag, .. } = request.recipe;
                crate::Engine::remove(engine, &format!("{repository}:{tag}")).await?;
                Ok(report)
            }
            #[cfg(feature = "buildkit")]
            Self::Fleet(fleet) => fleet.isolated(secrets, store).build(request, reporter).await,
        }
    }
}

impl Installer {
    /// Installs what a recipe depends on by a `RUN` step in an engine, on `base`: for packages
    /// that this machine cannot install. The result lies where this machine would have installed
    /// it, so that the next run finds it.
    ///
    /// # Errors
    /// When the engine fails, or pip in the step does; the error holds the end of its log.
    pub async fn install_in(
        &self,
        engine: StepEngine<'_>,
        base: &Base,
        request: InstallRequest<'_>,
    ) -> Result<Installed, Error> {
        let mut job = self.job(request).await?;
        self.install_by(&mut job, async |job, place| {
            let subject = job.image;
            let activity = ActivityGuard::start(job.reporter, subject, Activity::Install);
            self.step(job, engine, base, place).await?;
            activity.finish(&format!("pip {}", engine.name()));
            Ok(())
        })
        .await
    }

    async fn step(
        &self,
        job: &mut Job<'_>,
        engine: StepEngine<'_>,
        base: &Base,
        place: &Path,
    ) -> Result<(), Error> {
        let folder = self.scratch()?;
        if let Ok(tool) = self.tool(job, folder.path()).await {
            self.read_lock(job, &tool, folder.path()).await?;
        }
        let job = &*job;
        let context = folder.path().join("context");
        fs::create_dir(&context).map_err(io_error("create", &context))?;
        self.take_along(job, &context.join(SOURCES)).await?;
        let (root, sources) = (canonical(job.root)?, Path::new(FILES).join(SOURCES));
        let at = |path: &Path| inside(&sources, &root, path);
        let files = job.requirements.render(&at, true);
        if !files.overrides.is_empty() {
            let advice = "name the versions in the requirements instead".to_owned();
            let remedy = Some(Remedy::Advice(advice));
            return Err(job.error("pip, which builds its packages, knows no overrides", remedy));
        }
        let mut write = vec![(REQUIREMENTS, files.requirements), (CONSTRAINTS, files.constraints)];
        if job.has_pins() {
            write.push((PINS, constraints(job.pins)));
        }
        for (name, text) in write {
            let path = context.join(name);
            fs::write(&path, text).map_err(io_error("write", &path))?;
        }
        let secrets = secrets(job, &files.options);
        let layers = self.build_packages(job, engine, base, context, secrets).await?;
        let (place, replaced) = (place.to_owned(), job.replaces());
        blocking(move || {
            let target = folder.path().join("packages");
            fs::create_dir(&target).map_err(io_error("create", &target))?;
            for layer in layers {
                unpack_tar(&layer, TarKind::Gzip, &target, UnpackLimits::default())?;
            }
            finish(&target, &place, folder.path(), replaced)
        })
        .await
    }

    /// Builds an image of nothing but the packages, and gives the files of its layers.
    async fn build_packages(
        &self,
        job: &Job<'_>,
        engine: StepEngine<'_>,
        base: &Base,
        context: PathBuf,
        secrets: StepSecrets,
    ) -> Result<Vec<PathBuf>, Error> {
        let key = job.key(job.pins).hex();
        let recipe = job.recipe;
        let name = job.dependencies.runtime.aws_base_image();
        let packages = ImageRecipe::new(
            format!("{}-packages", recipe.repository),
            "build".to_owned(),
            ImageKind::Function(match &recipe.kind {
                ImageKind::Function(id) => id.clone(),
                ImageKind::Base(_) => return Err(job.error("a base has no dependencies", None)),
            }),
            job.dependencies.platform,
            BaseRef::External { reference: name.clone() },
            dockerfile(&name, &key, job, secrets.keys()),
        )
        .with_folder(recipe.folder.clone())
        .with_context(BuildContext { folder: context });
        let (bases, label_prefix) = (BTreeMap::from([(name, base.clone())]), self.brand.label(""));
        let mut request = BuildRequest::new(&packages, job.root, &bases);
        request.label_prefix = &label_prefix;
        // The engine would take what it knows of the same line.
        request.no_cache = job.replaces();
        let hidden = job.hidden();
        let built = engine.build(self, request, secrets, &hidden).await;
        let report = built.map_err(|error| match hidden.error(error) {
            // The Dockerfile of the step is ours: nobody sees it.
            Error::Step { log, .. } => {
                let lines: Vec<String> = log.lines().map(str::to_owned).collect();
                job.ended(&format!("pip ended with an error {}", engine.name()), &lines)
            }
            other => other,
        })?;
        let Built::Local(image) = report.built else {
            return Err(job.error("the engine kept the packages", None));
        };
        for layer in &image.layers {
            self.store.ingest_checked(layer).await?;
        }
        let path = |layer: &Blob| self.store.blob_path(layer.descriptor.digest);
        Ok(image.layers.iter().map(path).collect())
    }
}

/// The settings of this machine that a step gets, and the addresses that the requirements name.
fn secrets(job: &Job<'_>, options: &str) -> StepSecrets {
    let step = job.settings.for_step(&job.requirements.variables);
    let mut secrets = StepSecrets::new();
    // A secret that holds nothing is none.
    let mut settings = "# settings\n".to_owned();
    let options = format!("# options\n{options}");
    let mut export = |name: &str, value: &str| {
        let value = value.replace('\'', "'\\''");
        let _infallible = writeln!(settings, "export {name}='{value}'");
    };
    for (name, value) in &step.variables {
        export(name, value);
    }
    if let Some(packages) = &job.no_binary {
        export("PIP_NO_BINARY", packages);
    }
    if job.requirements.options.pre {
        export("PIP_PRE", "1");
    }
    for (name, content) in step.files {
        let variable = match name {
            "cert" => "PIP_CERT",
            "client-cert" => "PIP_CLIENT_CERT",
            _ => "NETRC",
        };
        export(variable, &format!("{SECRETS}/{name}"));
        secrets.insert(name.to_owned(), Secret::new(content));
    }
    secrets.insert(OPTIONS.to_owned(), Secret::new(options.into_bytes()));
    secrets.insert("settings".to_owned(), Secret::new(settings.into_bytes()));
    secrets
}

/// One step on the base, and an image of nothing but what it installed. The key stands for what is
/// secret: a step whose secrets changed is known to `BuildKit` all the same.
fn dockerfile<'a>(
    base: &str,
    key: &str,
    job: &Job<'_>,
    secrets: impl Iterator<Item = &'a String>,
) -> String {
    let pins = if job.has_pins() { format!(" -c {PINS}") } else { String::new() };
    let git = if job.requirements.needs_git() { GIT } else { "" };
    let mut mounts = String::new();
    for id in secrets {
        let _infallible = write!(mounts, "--mount=type=secret,id={id},target={SECRETS}/{id} ");
    }
    format!(
        "FROM {base} AS install\n\
         WORKDIR {FILES}\n\
         COPY . ./\n\
         RUN {mounts}: {key} && . {SECRETS}/settings && mkdir -p /esb/packages && {git}\
         python3 -m pip install --no-compile --no-input --no-cache-dir --progress-bar off \
         --disable-pip-version-check --target /esb/packages -r {SECRETS}/{OPTIONS} \
         -r {REQUIREMENTS} -c {CONSTRAINTS}{pins}\n\
         FROM scratch\n\
         COPY --from=install /esb/packages/ /\n"
    )
}
