//! The registry, the project and the cache of one tool in a benchmark.
//!
//! Owns the state from which a cold run starts: a registry that holds the base images and nothing
//! else, and an empty cache. Refuses to share: no contender finds what another one has pushed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use esb_test::{LoggingProxy, Registry, ensure_packages, find_program};

use super::{memory, workload::Project};
use crate::{
    base_image::{Version, default_dir},
    bases,
    checks::Outcome,
    command::output,
    e2e::parts::{copy_tree, expect},
    probe::REAL_BASE_REGISTRY,
};

const RUNTIME: Version = Version::Python313;
/// Where the registry holds the AWS base image, as a mirror does.
const MIRROR: &str = "aws";

/// Such a place.
pub(super) struct Site {
    pub(super) project: Project,
    pub(super) registry: Registry,
    /// In front of the registry, when its requests are to be seen.
    pub(super) proxy: Option<LoggingProxy>,
    dir: PathBuf,
    esb: PathBuf,
    engine: Option<String>,
}

impl Site {
    /// A place below `dir` with that many functions; `engine` is a Docker engine for `esb`.
    pub(super) fn new(
        dir: &Path,
        esb: &Path,
        functions: usize,
        seen: bool,
        engine: Option<&str>,
    ) -> Outcome<Self> {
        let project = Project::write(&dir.join("project"), functions)?;
        let registry = Registry::start(&dir.join("registry"))?;
        let proxy = if seen { Some(LoggingProxy::start(registry.address())?) } else { None };
        let (dir, esb, engine) = (dir.to_owned(), esb.to_owned(), engine.map(str::to_owned));
        let mut site = Self { project, registry, proxy, dir, esb, engine };
        site.fill()?;
        site.registry.stop();
        copy_tree(&site.data(), &site.dir.join("bases"))?;
        site.registry.restart()?;
        Ok(site)
    }

    /// Pushes the AWS base and our own.
    fn fill(&mut self) -> Outcome {
        copy_base(RUNTIME, &self.address())?;
        let version = RUNTIME.name();
        // One function beside the workload brings our own base into the registry.
        let alone = self.dir.join("alone");
        fs::create_dir_all(alone.join("code"))?;
        fs::write(alone.join("esb.toml"), "")?;
        fs::write(alone.join("code/app.py"), "def handler(event, context):\n    pass\n")?;
        fs::write(
            alone.join("template.yaml"),
            format!(
                "Transform: AWS::Serverless-2016-10-31\nResources:\n  Alone:\n    Type: \
                 AWS::Serverless::Function\n    Properties:\n      Runtime: python{version}\n      \
                 Handler: app.handler\n      CodeUri: code/\n"
            ),
        )?;
        expect(&mut self.command(&alone, &["build"]), 0).map(drop)
    }

    /// The state from which a cold run starts.
    pub(super) fn reset(&mut self) -> Outcome {
        self.registry.stop();
        remove(&self.data())?;
        copy_tree(&self.dir.join("bases"), &self.data())?;
        self.registry.restart()?;
        self.forget()
    }

    /// Empties the cache of `esb`.
    pub(super) fn forget(&self) -> Outcome {
        remove(&self.dir.join("cache"))
    }

    /// The folder of the registry's data.
    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("registry/data")
    }

    /// Where images are pushed: the registry, or the proxy in front of it.
    pub(super) fn address(&self) -> String {
        let proxy = self.proxy.as_ref().map(LoggingProxy::address);
        proxy.unwrap_or_else(|| self.registry.address().to_owned())
    }

    /// AWS's base image, or what stands in for it.
    pub(super) fn aws_base(&self) -> String {
        aws_base(RUNTIME, &self.address())
    }

    /// Our base image.
    pub(super) fn base(&self) -> String {
        format!("{}/esb-lambda-base:latest-python{}", self.address(), RUNTIME.name())
    }

    /// Runs `esb` in the project.
    pub(super) fn esb(&self, arguments: &[&str]) -> Outcome {
        expect(&mut self.command(&self.project.root, arguments), 0).map(drop)
    }

    /// The most memory that `esb` has in the project, in MiB.
    pub(super) fn memory(&self, arguments: &[&str]) -> Outcome<f64> {
        memory::peak(&mut self.command(&self.project.root, arguments))
    }

    fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut esb = Command::new(&self.esb);
        esb.current_dir(folder).env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            esb.env("PATH", path);
        }
        if let Some(engine) = &self.engine {
            esb.env("DOCKER_HOST", engine);
        }
        esb.env("HOME", self.dir.join("home"))
            .env("ESB_CACHE_DIR", self.dir.join("cache"))
            .env("ESB_MIRRORS", format!("{REAL_BASE_REGISTRY}={}/{MIRROR}", self.address()))
            .env("CONTAINER_REGISTRY", self.address())
            .args(arguments)
            .args(["-e", "dev", "--progress", "none"]);
        esb
    }
}

/// The name of an AWS base image in a registry.
fn aws_base(version: Version, registry: &str) -> String {
    format!("{registry}/{MIRROR}/lambda/{}:{}", version.language().name(), version.name())
}

/// Copies an AWS base image, or what stands in for it, into a registry; gives its name there.
pub(super) fn copy_base(version: Version, registry: &str) -> Outcome<String> {
    if find_program("skopeo").is_none() {
        ensure_packages(&["skopeo"])?;
    }
    let base = aws_base(version, registry);
    let from = if bases::mirrors(&[version])?.is_empty() {
        let (language, version) = (version.language().name(), version.name());
        format!("docker://{REAL_BASE_REGISTRY}/lambda/{language}:{version}")
    } else {
        format!("oci:{}", default_dir(version).display())
    };
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]);
    output(skopeo.args([from, format!("docker://{base}")]))?;
    Ok(base)
}

pub(super) fn remove(folder: &Path) -> Outcome {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(())
}
