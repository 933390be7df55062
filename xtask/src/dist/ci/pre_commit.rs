//! The hook of this project, run by the real `pre-commit` in a repository with several templates.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use super::{super::Release, REQUIREMENTS, fresh};
use crate::{
    checks::{Outcome, Trouble},
    command::{command, output, root},
    python,
};

/// Runs the hook on templates with mistakes and without.
pub(super) fn all(release: &Release, folder: &Path) -> Outcome {
    let esb = super::program(release, folder)?;
    with_program(&esb, &fresh(folder, "pre-commit")?)
}

fn with_program(esb: &Path, folder: &Path) -> Outcome {
    let repository = Repository::new(folder, esb)?;
    // Two applications whose functions have the same names, one in a folder of another name.
    let template = fs::read_to_string(root().join("fixtures/quickstart/template.yaml"))?;
    let broken = template.replace("AWS::Serverless::Function", "AWS::Serverless::Functoin");
    for name in ["shop", "more shops"] {
        let from = root().join("fixtures/quickstart/.");
        let to = repository.project.join(name);
        fs::create_dir_all(&to)?;
        output(command("cp").arg("-r").arg(from).arg(to))?;
    }
    // What is no SAM template is not looked at.
    fs::write(repository.project.join("compose.yaml"), "services: {}\n")?;
    fs::write(repository.project.join("my-template.yaml"), "a: 1\n")?;
    repository.run(&["--all-files"])?;
    repository.run(&["--files", "compose.yaml"])?;

    fs::write(repository.project.join("shop/template.yaml"), &broken)?;
    repository.fails(&["--all-files"], "shop/template.yaml:", "more shops/template.yaml:")?;
    repository.run(&["--files", "more shops/template.yaml"])?;
    fs::rename(
        repository.project.join("shop/template.yaml"),
        repository.project.join("shop/template.yml"),
    )?;
    repository.fails(&["--files", "shop/template.yml"], "shop/template.yml:", "more shops")
}

/// A repository that is about to be committed to, and one that has the hook.
struct Repository {
    folder: PathBuf,
    project: PathBuf,
    pre_commit: PathBuf,
    /// The search path, with `esb`.
    path: String,
}

impl Repository {
    fn new(folder: &Path, esb: &Path) -> Outcome<Self> {
        let python = python::environment("ci", REQUIREMENTS)?;
        for name in ["bin", "hooks", "project"] {
            fs::create_dir_all(folder.join(name))?;
        }
        symlink(esb, folder.join("bin/esb"))?;
        // The hooks of a repository are those of a commit of it.
        let hooks = folder.join("hooks");
        fs::copy(root().join(".pre-commit-hooks.yaml"), hooks.join(".pre-commit-hooks.yaml"))?;
        git(&hooks, &["init", "--quiet"])?;
        git(&hooks, &["add", "--all"])?;
        git(&hooks, &["commit", "--quiet", "--message", "hooks"])?;
        let project = folder.join("project");
        git(&project, &["init", "--quiet"])?;
        let path = std::env::var("PATH").unwrap_or_default();
        Ok(Self {
            folder: folder.to_owned(),
            project,
            pre_commit: python.with_file_name("pre-commit"),
            path: format!("{}:{path}", folder.join("bin").display()),
        })
    }

    fn run(&self, arguments: &[&str]) -> Outcome<String> {
        git(&self.project, &["add", "--all"])?;
        let mut run = Command::new(&self.pre_commit);
        run.arg("try-repo").arg(self.folder.join("hooks")).args(["esb-validate", "--color=never"]);
        run.args(arguments).current_dir(&self.project).env("PATH", &self.path);
        run.env("PRE_COMMIT_HOME", self.folder.join("home"));
        run.env("ESB_CACHE_DIR", self.folder.join("cache"));
        // Where this is a commit of our own, git's variables are those of another repository.
        for name in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"] {
            run.env_remove(name);
        }
        let said = output(&mut run)?;
        Ok(said)
    }

    /// Fails unless the hook finds something in one file and nothing in another.
    fn fails(&self, arguments: &[&str], bad: &str, good: &str) -> Outcome {
        match self.run(arguments) {
            Err(Trouble::Failed(said)) if said.contains(bad) && !said.contains(good) => Ok(()),
            Err(other) => Err(other),
            Ok(said) => Err(format!("pre-commit passed a mistake:\n{said}").into()),
        }
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Outcome {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=esb", "-c", "user.email=esb@localhost"]).args(arguments);
    for name in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"] {
        git.env_remove(name);
    }
    output(git.current_dir(folder)).map(drop)
}
