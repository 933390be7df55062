//! The tool to compare with for builds that run processes: `docker buildx bake`, on an engine or on
//! a daemon of its own.
//!
//! Owns its configuration, apart from the user's, and the daemon that it is the client of. Refuses to
//! know what is built.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use esb_test::{Buildkitd, NO_TRACES};

use super::site::remove;
use crate::{checks::Outcome, command::output, tools};

/// buildx's name for the daemon.
const DAEMON: &str = "daemon";

/// A private configuration of the Docker client, with buildx as its plugin.
pub(super) struct Buildx {
    config: PathBuf,
}

impl Buildx {
    pub(super) fn new(config: &Path) -> Outcome<Self> {
        let plugins = tools::buildx_plugins()?;
        fs::create_dir_all(config)?;
        std::os::unix::fs::symlink(plugins.join("cli-plugins"), config.join("cli-plugins"))?;
        Ok(Self { config: config.to_owned() })
    }

    pub(super) fn configure(&self, docker: &mut Command) {
        docker.env("DOCKER_CONFIG", &self.config).envs(NO_TRACES);
    }

    pub(super) fn bake(&self, docker: &mut Command, file: &Path) {
        self.configure(docker);
        docker.args(["buildx", "bake", "--provenance=false", "--progress=quiet", "--file"]);
        docker.arg(file);
    }
}

/// A `BuildKit` daemon, and buildx as its client.
pub(super) struct OnDaemon {
    folder: PathBuf,
    docker: PathBuf,
    buildx: Buildx,
    daemon: Option<Buildkitd>,
}

impl OnDaemon {
    /// Everything but the daemon, whose place is below `work`; [`OnDaemon::renew`] starts it.
    pub(super) fn new(docker: PathBuf, work: &Path) -> Outcome<Self> {
        let buildx = Buildx::new(&work.join("buildx"))?;
        Ok(Self { folder: work.join("daemon"), docker, buildx, daemon: None })
    }

    /// Puts a daemon that knows nothing in the place of the one that ran.
    pub(super) fn renew(&mut self) -> Outcome {
        drop(self.daemon.take());
        remove(&self.folder)?;
        let daemon = Buildkitd::start(&self.folder)?;
        // There is none the first time.
        let _absent = output(self.docker().args(["buildx", "rm", "--force", DAEMON]));
        let mut create = self.docker();
        create.args(["buildx", "create", "--name", DAEMON, "--driver", "remote"]);
        output(create.arg(daemon.address()))?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Where the daemon listens.
    pub(super) fn address(&self) -> Outcome<&str> {
        Ok(self.daemon.as_ref().ok_or("no daemon runs")?.address())
    }

    /// Builds what a file says.
    pub(super) fn bake(&self, file: &Path) -> Outcome {
        let mut bake = self.docker();
        self.buildx.bake(&mut bake, file);
        output(bake.args(["--builder", DAEMON])).map(drop)
    }

    fn docker(&self) -> Command {
        let mut docker = Command::new(&self.docker);
        self.buildx.configure(&mut docker);
        docker
    }
}
