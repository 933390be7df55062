//! Packages that have to be built for the image's own platform: pip runs in a container engine or
//! on a fleet of `BuildKit` daemons, as a `RUN` step on the runtime's base image.
//!
//! Owns the step and what it is given: requirements as files, settings of this machine as secrets
//! of the step, which leave no trace in the image. The result joins the installations that were
//! made here: same cache, same normalisation, same layer.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use esb_model::{BaseRef, BuildContext, Event, ImageKind, ImageRecipe, Reporter, Secret};

use super::{
    FOLDER, InstallRequest, Installed, Installer, Job, PINS, constraints, finish,
    settings::Settings,
};
#[cfg(feature = "buildkit")]
use crate::buildkit::FleetBuilder;
#[cfg(feature = "docker")]
use crate::docker::{DockerBuilder, DockerEngine};
use crate::{
    Base, BuildReport, BuildRequest, Builder as _, Built, Error, Pins, UnpackLimits,
    blocking::blocking,
    daemon::StepSecrets,
    unpack::{TarKind, io_error, unpack_tar},
};

/// Where a step finds its secrets.
const SECRETS: &str = "/run/esb";

/// Where the step runs. It sees the network of the machine that it runs on.
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
    /// As messages name it.
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
            Self::Fleet(fleet) => fleet.apart(secrets, store).build(request, reporter).await,
        }
    }
}

impl Installer {
    /// Installs what a recipe depends on by a `RUN` step in an engine, on `base`: for packages
    /// that this machine cannot install. `None` when the recipe depends on nothing.
    ///
    /// # Errors
    /// When the engine fails, or pip in the step does; the error holds the end of its log.
    pub async fn install_in(
        &self,
        engine: StepEngine<'_>,
        base: &Base,
        request: InstallRequest<'_>,
    ) -> Result<Option<Installed>, Error> {
        let Some(job) = Job::read(request).await? else { return Ok(None) };
        let tool = self.tool(&job).await?;
        // The same place as if this machine had installed it, so that the next run finds it.
        let place = self.place(&job, &tool);
        let running = self.claim(&place);
        let _working = running.lock().await;
        let cached = self.has(&job, &place);
        if !cached {
            let subject = job.image;
            job.reporter.event(&Event::Started { subject, action: "install" });
            self.step(&job, engine, base, &place).await?;
            let detail = format!("pip {}", engine.name());
            job.reporter.event(&Event::Finished { subject, action: "install", detail: &detail });
        }
        self.put(&job, place, cached).await.map(Some)
    }

    async fn step(
        &self,
        job: &Job<'_>,
        engine: StepEngine<'_>,
        base: &Base,
        place: &Path,
    ) -> Result<(), Error> {
        let (recipe, root) = (job.recipe, job.root);
        if job.requirements.is_local() && job.requirements.project().is_some() {
            let reason = "it names packages of this machine, which a step cannot take along";
            return Err(job.error(reason, None));
        }
        let step = Settings::read(&self.tools.environment).for_step();
        let mut secrets = StepSecrets::new();
        let mut settings = String::new();
        for (name, value) in &step.variables {
            let value = value.replace('\'', "'\\''");
            let _infallible = writeln!(settings, "export {name}='{value}'");
        }
        for (name, content) in step.files {
            let variable = match name {
                "cert" => "PIP_CERT",
                "client-cert" => "PIP_CLIENT_CERT",
                _ => "NETRC",
            };
            let _infallible = writeln!(settings, "export {variable}='{SECRETS}/{name}'");
            secrets.insert(name.to_owned(), Secret::new(content));
        }
        secrets.insert("settings".to_owned(), Secret::new(settings.into_bytes()));

        let (context, requirements) = if job.requirements.is_local() {
            let folder = job.requirements.folder().to_owned();
            let name = job.requirements.path().file_name().unwrap_or_default();
            (folder, name.to_string_lossy().into_owned())
        } else {
            let folder = root.join(&recipe.folder).join("install");
            fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
            let mut files = job.requirements.flat();
            if job.has_pins() {
                files.push((PINS.to_owned(), constraints(job.pins).into_bytes()));
            }
            for (name, content) in &files {
                let path = folder.join(name);
                fs::write(&path, content).map_err(io_error("write", &path))?;
            }
            let first = files.first().map(|(name, _)| name.clone()).unwrap_or_default();
            (folder, first)
        };
        let name = job.dependencies.runtime.aws_base_image();
        let packages = ImageRecipe {
            repository: format!("{}-packages", recipe.repository),
            tag: "build".to_owned(),
            kind: ImageKind::Function(match &recipe.kind {
                ImageKind::Function(id) => id.clone(),
                ImageKind::Base(_) => return Err(job.error("a base has no dependencies", None)),
            }),
            platform: job.dependencies.platform,
            base: BaseRef::External { reference: name.clone() },
            dockerfile: dockerfile(&name, &requirements, job.has_pins(), secrets.keys()),
            dockerignore: "**/.git\n**/.esb\n**/.venv\n**/__pycache__\n".to_owned(),
            folder: recipe.folder.clone(),
            context: BuildContext { folder: context },
            staged: Vec::new(),
            dependencies: None,
            own: None,
        };
        let (bases, labels) = (BTreeMap::from([(name, base.clone())]), BTreeMap::new());
        let pins = Pins::default();
        let request = BuildRequest {
            recipe: &packages,
            root,
            bases: &bases,
            labels: &labels,
            fingerprint_label: None,
            label_prefix: "com.esb.",
            keep_bases: false,
            published: None,
            pins: &pins,
            trusts_published: false,
            epoch: esb_oci::DEFAULT_EPOCH,
            no_cache: job.no_cache,
        };
        let report = engine.build(self, request, secrets, job.reporter).await?;
        let Built::Local(image) = report.built else {
            return Err(job.error("the engine kept the packages", None));
        };
        let layers: Vec<_> = image
            .layers
            .iter()
            .map(|layer| self.store.blob_path(layer.descriptor.digest))
            .collect();
        let parent = self.store.root().join(FOLDER);
        let place = place.to_owned();
        blocking(move || {
            fs::create_dir_all(&parent).map_err(io_error("create", &parent))?;
            let folder = tempfile::Builder::new()
                .prefix("installing-")
                .tempdir_in(&parent)
                .map_err(io_error("create a folder in", &parent))?;
            let target = folder.path().join("packages");
            fs::create_dir(&target).map_err(io_error("create", &target))?;
            for layer in layers {
                unpack_tar(&layer, TarKind::Gzip, &target, UnpackLimits::default())?;
            }
            finish(&target, &place, folder.path())
        })
        .await
    }
}

/// One step on the base, and an image of nothing but what it installed.
fn dockerfile<'a>(
    base: &str,
    requirements: &str,
    pinned: bool,
    secrets: impl Iterator<Item = &'a String>,
) -> String {
    let pins = if pinned { format!(" -c {PINS}") } else { String::new() };
    let mut mounts = String::new();
    for id in secrets {
        let _infallible = write!(mounts, "--mount=type=secret,id={id},target={SECRETS}/{id} ");
    }
    format!(
        "FROM {base} AS install\n\
         WORKDIR /esb/install\n\
         COPY . ./\n\
         RUN {mounts}. {SECRETS}/settings && mkdir -p /esb/packages && \
         python3 -m pip install --no-compile --no-input --no-cache-dir --progress-bar off \
         --disable-pip-version-check --target /esb/packages -r '{requirements}'{pins}\n\
         FROM scratch\n\
         COPY --from=install /esb/packages/ /\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_mounted_and_not_written() {
        let ids = ["netrc".to_owned(), "settings".to_owned()];
        let text = dockerfile("base:1", "requirements-0.txt", true, ids.iter());
        let step = text.lines().find(|line| line.starts_with("RUN")).unwrap();
        assert!(
            step.starts_with(
                "RUN --mount=type=secret,id=netrc,target=/run/esb/netrc \
             --mount=type=secret,id=settings,target=/run/esb/settings . /run/esb/settings && "
            ),
            "{step}"
        );
        assert!(step.ends_with("-r 'requirements-0.txt' -c pins.txt"), "{step}");
        assert!(text.ends_with("FROM scratch\nCOPY --from=install /esb/packages/ /\n"), "{text}");
    }
}
