//! The two programs that are compared.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    checks::{Outcome, Trouble},
    command::{cargo, command, output, root, run, target},
    e2e, folders,
    steps::say,
    tidy::changelog,
};

/// A program and what it says of itself.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    /// The line of `esb version`.
    pub(super) version: String,
}

impl Program {
    fn at(path: &Path) -> Outcome<Self> {
        let path = path.canonicalize()?;
        let version = output(command(&path).arg("version"))?.trim().to_owned();
        Ok(Self { path, version })
    }
}

/// The program of this workspace.
pub(super) fn new(given: Option<PathBuf>) -> Outcome<Program> {
    Program::at(&given.map_or_else(e2e::release_build, Ok)?)
}

/// The version that the last commit is built as while nothing was released: then only the version
/// differs, and that alone must change nothing.
const BEFORE_ALL: &str = "0.0.1";

/// The program of the last release's tag, built in a clone.
pub(super) fn old(given: Option<PathBuf>) -> Outcome<Program> {
    if let Some(path) = given {
        return Program::at(&path);
    }
    let clone = target().join("upgrades/old");
    folders::empty(&clone)?;
    let mut git = command("git");
    run(git.args(["clone", "--quiet", "."]).arg(&clone))?;
    if let Some(tag) = changelog::last_release(&root()) {
        say(&format!("the last release is {tag}"));
        run(command("git").arg("-C").arg(&clone).args(["checkout", "--quiet", &tag]))?;
    } else {
        say(&format!("there is no release: the last commit is built as {BEFORE_ALL}"));
        rename_version(&clone.join("Cargo.toml"))?;
    }
    let mut build = cargo();
    build.current_dir(&clone).args(["build", "--release", "--quiet", "--package", "esb-cli"]);
    let folder = target().join("upgrades/build");
    run(build.arg("--target-dir").arg(&folder))?;
    Program::at(&folder.join("release/esb"))
}

/// Gives a workspace and its crates another version.
fn rename_version(manifest: &Path) -> Outcome {
    let now = concat!("version = \"", env!("CARGO_PKG_VERSION"), "\"");
    let before = format!("version = \"{BEFORE_ALL}\"");
    let text = fs::read_to_string(manifest)?;
    if !text.lines().any(|line| line == now) {
        return Err(Trouble::Failed(format!("{} lacks `{now}`", manifest.display())));
    }
    let is_own = |line: &&str| *line == now || line.contains("path = ");
    let lines = text.lines().map(|line| match Some(line).filter(is_own) {
        Some(own) => own.replace(now, &before) + "\n",
        None => line.to_owned() + "\n",
    });
    Ok(fs::write(manifest, lines.collect::<String>())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_and_its_crates_get_another_version() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("Cargo.toml");
        fs::copy(root().join("Cargo.toml"), &manifest).unwrap();
        rename_version(&manifest).unwrap();
        let text = fs::read_to_string(&manifest).unwrap();
        assert!(text.contains("\nversion = \"0.0.1\"\n"), "{text}");
        let own = |line: &&str| line.contains("path = ") && line.contains("version = ");
        assert!(text.lines().any(|line| own(&line)));
        assert!(text.lines().filter(own).all(|line| line.contains(BEFORE_ALL)), "{text}");
    }
}
