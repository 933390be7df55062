//! The real parts that end-to-end checks run against, started once.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use esb_test::{DockerEngine, Registry};

use crate::{
    checks::{Outcome, Trouble},
    command::{root, target},
    limit::{OF_COMMAND, output_within},
};

/// A registry, an engine, `esb`, and where the AWS base images come from.
pub(crate) struct Parts {
    pub(crate) engine: DockerEngine,
    pub(crate) registry: Registry,
    pub(crate) esb: PathBuf,
    /// A folder of this run, empty at its start.
    pub(crate) work: PathBuf,
    /// Values of `--mirror`; empty when the real base images can be reached.
    pub(crate) mirrors: Vec<String>,
}

impl Parts {
    /// Starts everything with data below `target/e2e`.
    pub(crate) fn start(esb: PathBuf, mirrors: Vec<String>) -> Outcome<Self> {
        Self::start_below(target().join("e2e"), esb, mirrors)
    }

    /// As [`Parts::start`], for one of several lanes.
    pub(crate) fn of_lane(lane: &str, esb: &Path, mirrors: &[String]) -> Outcome<Self> {
        Self::start_below(target().join("e2e").join(lane), esb.to_owned(), mirrors.to_vec())
    }

    /// As [`Parts::start`], in another folder.
    pub(crate) fn start_below(work: PathBuf, esb: PathBuf, mirrors: Vec<String>) -> Outcome<Self> {
        if work.exists() {
            // A run that was killed leaves its daemons' mounts.
            esb_test::detach_below(&work);
            fs::remove_dir_all(&work)?;
        }
        fs::create_dir_all(&work)?;
        let registry = Registry::start(&work.join("registry"))?;
        let engine = DockerEngine::start(&work.join("engine"))?;
        Ok(Self { engine, registry, esb, work, mirrors })
    }

    /// A copy of a fixture that a check may change.
    pub(crate) fn fixture(&self, name: &str, copy: &str) -> Outcome<PathBuf> {
        let to = self.work.join("projects").join(copy);
        copy_tree(&root().join("fixtures").join(name), &to)?;
        Ok(to)
    }

    /// `esb` in a folder, with a cache and nothing of this process's environment but what finds
    /// programs.
    pub(crate) fn esb(&self, folder: &Path, cache: &str) -> Command {
        let mut command = Command::new(&self.esb);
        command.current_dir(folder).env_clear();
        for name in ["PATH", "LANG"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        for (name, value) in std::env::vars_os() {
            // How this machine reaches its package index is its own affair.
            if name.to_str().is_some_and(|name| name.starts_with("PIP_") || name.starts_with("UV_"))
            {
                command.env(name, value);
            }
        }
        let home = self.work.join("home");
        command
            .env("HOME", &home)
            .env("ESB_CACHE_DIR", self.work.join("caches").join(cache))
            .env("ESB_MIRRORS", self.mirrors.join(","))
            .env("DOCKER_HOST", self.engine.host());
        command
    }

    /// `esb` as [`Parts::esb`], for the registry of this run.
    pub(crate) fn esb_to_registry(&self, folder: &Path, cache: &str) -> Command {
        let mut command = self.esb(folder, cache);
        command.env("CONTAINER_REGISTRY", self.registry.address());
        command
    }
}

/// Runs `esb` and gives what it wrote; any other exit code than the expected is a failure.
pub(crate) fn expect(command: &mut Command, code: i32) -> Outcome<Said> {
    let Output { status, stdout, stderr } = output_within(command, OF_COMMAND)?;
    let said = Said {
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    };
    if status.code() == Some(code) {
        return Ok(said);
    }
    Err(Trouble::Failed(format!(
        "{} ended with {status} instead of {code}\n{}{}",
        crate::command::words(command),
        said.stdout,
        said.stderr
    )))
}

/// Both streams of a run.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// The one JSON document on stdout.
    pub(crate) fn json(&self) -> Outcome<serde_json::Value> {
        serde_json::from_str(&self.stdout)
            .map_err(|error| Trouble::Failed(format!("{error} in stdout:\n{}", self.stdout)))
    }

    /// Fails unless all of the words are on stderr.
    pub(crate) fn tells(&self, words: &[&str]) -> Outcome {
        for word in words {
            if !self.stderr.contains(word) {
                return Err(Trouble::Failed(format!("stderr lacks `{word}`:\n{}", self.stderr)));
            }
        }
        Ok(())
    }
}

/// Copies a tree without what `esb`, Python or Maven left in it. Pins are no part of a fixture: they are
/// those of the base images that the last run had.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> Outcome {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if [".esb", "esb.lock", "__pycache__", "target"].iter().any(|other| name == *other) {
            continue;
        }
        let target = to.join(&name);
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
