//! What both tools build with: one daemon, one registry, and a client for each.
//!
//! Owns the state from which a cold run starts: a registry that holds the base and nothing else, a
//! daemon that knows nothing, and an empty cache of `esb`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use esb_test::{Registry, find_program};
use serde_json::Value;

use super::project::Project;
use crate::{
    base_image::Version,
    bench::{
        buildx::OnDaemon,
        site::{copy_base, remove},
    },
    checks::Outcome,
    e2e::parts::{Said, copy_tree, expect},
};

pub(super) struct Setup {
    pub(super) work: PathBuf,
    /// The base image in the registry.
    pub(super) base: String,
    registry: Registry,
    daemon: OnDaemon,
    esb: PathBuf,
}

impl Setup {
    pub(super) fn new(work: &Path, esb: &Path) -> Outcome<Self> {
        let mut registry = Registry::start(&work.join("registry"))?;
        let base = copy_base(Version::Python313, registry.address())?;
        registry.stop();
        copy_tree(&work.join("registry/data"), &work.join("bases"))?;
        registry.restart()?;
        let docker = find_program("docker").unwrap_or_else(|| "docker".into());
        let daemon = OnDaemon::new(docker, work)?;
        let mut setup = Self { work: work.to_owned(), base, registry, daemon, esb: esb.to_owned() };
        setup.reset()?;
        Ok(setup)
    }

    /// The state from which a cold run starts.
    pub(super) fn reset(&mut self) -> Outcome {
        self.registry.stop();
        remove(&self.work.join("registry/data"))?;
        copy_tree(&self.work.join("bases"), &self.work.join("registry/data"))?;
        self.registry.restart()?;
        remove(&self.work.join("cache"))?;
        self.daemon.renew()
    }

    /// Builds and pushes a project with buildx.
    pub(super) fn bake(&self, project: &Project) -> Outcome {
        self.daemon.bake(&project.bake_file(self.registry.address())?)
    }

    /// Builds and pushes a project with `esb`.
    pub(super) fn esb(&self, project: &Project, more: &[&str]) -> Outcome<Said> {
        self.esb_through(project, &[self.daemon.address()?], more)
    }

    /// As [`Setup::esb`], through other daemons.
    pub(super) fn esb_through(
        &self,
        project: &Project,
        daemons: &[&str],
        more: &[&str],
    ) -> Outcome<Said> {
        let mut esb = Command::new(&self.esb);
        esb.current_dir(&project.root).env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            esb.env("PATH", path);
        }
        esb.env("HOME", self.work.join("home"))
            .env("ESB_CACHE_DIR", self.work.join("cache"))
            .env("CONTAINER_REGISTRY", self.registry.address())
            .env("BUILDKIT_HOST", daemons.join(","))
            .args(["build", "-e", "dev"])
            .args(more);
        expect(&mut esb, 0)
    }
}

/// The events of what steps wrote, of a run with JSON progress.
pub(super) fn output_lines(said: &Said) -> impl Iterator<Item = Value> {
    events(said).filter(|event| event["event"] == "output")
}

/// The bytes that daemons fetched of contexts, of a run with JSON progress.
pub(super) fn fetched(said: &Said) -> u64 {
    let contexts =
        events(said).filter(|event| event["kind"] == "context" && event["event"] == "progress");
    contexts.filter_map(|event| event["bytes"].as_u64()).sum()
}

fn events(said: &Said) -> impl Iterator<Item = Value> {
    said.stderr.lines().filter_map(|line| serde_json::from_str(line).ok())
}
