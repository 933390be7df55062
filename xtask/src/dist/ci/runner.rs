//! A job of GitHub Actions, as the scripts of an action see it: its variables, its files, its
//! folders, whose names hold spaces.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{checks::Outcome, command::root, folders, limit::output_within};

/// How long a script may take.
const LIMIT: Duration = Duration::from_mins(2);

/// A job.
pub(super) struct Runner {
    folder: PathBuf,
    variables: Vec<(String, String)>,
}

/// What a script did.
pub(super) struct Ran {
    pub(super) succeeded: bool,
    /// What it printed.
    pub(super) said: String,
}

impl Runner {
    /// A job in an empty folder.
    pub(super) fn new(folder: &Path) -> Outcome<Self> {
        folders::empty(folder)?;
        for name in ["bin", "job temp", "tools", "checkout"] {
            fs::create_dir_all(folder.join(name))?;
        }
        Ok(Self { folder: folder.to_owned(), variables: Vec::new() })
    }

    /// Puts a program on the search path, before all others.
    pub(super) fn program(&self, name: &str, script: &str) -> Outcome {
        let path = self.folder.join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
    }

    /// Sets a variable for the scripts.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Runs a script of the action.
    pub(super) fn run(&self, script: &str) -> Outcome<Ran> {
        let action = root().join(".github/actions/setup-esb");
        let mut run = Command::new(action.join(script));
        let path = std::env::var("PATH").unwrap_or_default();
        run.env_clear().current_dir(self.folder.join("checkout"));
        run.env("PATH", format!("{}:{path}", self.folder.join("bin").display()));
        run.env("HOME", &self.folder).env("GITHUB_ACTION_PATH", action);
        run.env("RUNNER_TEMP", self.temporary())
            .env("RUNNER_TOOL_CACHE", self.folder.join("tools"));
        for name in ["GITHUB_PATH", "GITHUB_ENV", "GITHUB_OUTPUT"] {
            run.env(name, self.folder.join(name));
        }
        run.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = output_within(&mut run, LIMIT)?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        Ok(Ran { succeeded: output.status.success(), said })
    }

    /// The folder of temporary files.
    pub(super) fn temporary(&self) -> PathBuf {
        self.folder.join("job temp")
    }

    /// The programs that stay between jobs.
    pub(super) fn tools(&self) -> PathBuf {
        self.folder.join("tools")
    }

    /// A file of the job; empty where nobody wrote it.
    pub(super) fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }
}

impl Ran {
    /// Fails unless the script succeeded.
    pub(super) fn passes(self) -> Outcome<String> {
        if self.succeeded { Ok(self.said) } else { Err(self.said.into()) }
    }

    /// Fails unless the script failed with one annotation that holds a text.
    pub(super) fn refuses(self, text: &str) -> Outcome {
        let commands = self.said.lines().filter(|line| line.trim_start().starts_with("::"));
        let commands: Vec<&str> = commands.collect();
        let is_clear = matches!(commands[..], [one] if one.starts_with("::error title=esb::")
            && one.contains(text));
        if is_clear && !self.succeeded {
            return Ok(());
        }
        Err(format!("without an error that says `{text}`:\n{}", self.said).into())
    }
}
