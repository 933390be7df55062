//! Tries what pipelines use: the action's script, the hook of `pre-commit`, and the commands of
//! README's section on installation, all against the files of this release.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use esb_test::{ensure_packages, go_program};

use super::Release;
use crate::{
    checks::{Checks, Outcome},
    command::{command, output, root, target},
    python,
};

const PRE_COMMIT: &str = "xtask/tools/pre-commit.requirements.txt";
const SCRIPT: &str = ".github/actions/setup-esb/install.sh";
const GUIDE: &str = "docs/guides/ci.md";

pub(super) fn all(checks: &mut Checks, release: &Release) {
    let folder = target().join("dist/ci");
    checks.run("workflows have no mistakes", || workflows(&folder));
    checks.run("the action installs this release and refuses another sum", || {
        action(release, &folder)
    });
    checks.run("README's commands install this release", || readme(release, &folder));
    checks.run("pre-commit runs esb validate", || pre_commit(&folder));
}

/// Those of the project, and the one of the guide.
fn workflows(folder: &Path) -> Outcome {
    let linter = go_program("actionlint", "actionlint")?;
    ensure_packages(&["shellcheck"])?;
    output(command(&linter).args([".github/workflows/ci.yml", ".github/workflows/release.yml"]))?;
    output(command("shellcheck").arg(SCRIPT))?;
    let guide = fs::read_to_string(root().join(GUIDE))?;
    let example = guide.split("```yaml\n").find(|block| block.starts_with("name: "));
    let example = example.and_then(|block| block.split("```").next());
    let path = fresh(folder, "guide")?.join("workflow.yml");
    fs::write(&path, example.ok_or("the guide has no workflow")?)?;
    output(command(&linter).arg(path)).map(drop)
}

/// Runs the script as a runner does, with releases in a folder.
fn action(release: &Release, folder: &Path) -> Outcome {
    let folder = fresh(folder, "action")?;
    let releases = folder.join("releases");
    fs::create_dir_all(&releases)?;
    symlink(&release.folder, releases.join(release.version))?;
    let install = |name: &str, releases: &Path| -> Outcome<PathBuf> {
        let work = folder.join(name);
        fs::create_dir_all(&work)?;
        let mut script = Command::new(root().join(SCRIPT));
        script.current_dir(&work).env_remove("ESB_CACHE_DIR");
        script.env("ESB_VERSION", release.version);
        script.env("ESB_RELEASES", format!("file://{}", releases.display()));
        script.env("RUNNER_TEMP", &work).env("RUNNER_TOOL_CACHE", work.join("tools"));
        for name in ["GITHUB_PATH", "GITHUB_ENV", "GITHUB_OUTPUT"] {
            script.env(name, work.join(name));
        }
        output(&mut script)?;
        let path = fs::read_to_string(work.join("GITHUB_PATH"))?;
        Ok(PathBuf::from(path.trim()).join("esb"))
    };
    output(command(install("good", &releases)?).arg("version"))?;
    // The program of another release under this one's sums.
    let forged = folder.join("forged");
    fs::create_dir_all(forged.join(release.version))?;
    for entry in fs::read_dir(&release.folder)? {
        let path = entry?.path();
        if path.is_file() {
            fs::copy(
                &path,
                forged.join(release.version).join(path.file_name().unwrap_or_default()),
            )?;
        }
    }
    let archive = forged.join(release.version).join(archive(release));
    let mut bytes = fs::read(&archive)?;
    bytes.push(0);
    fs::write(&archive, bytes)?;
    match install("bad", &forged) {
        Err(crate::checks::Trouble::Failed(text)) if text.contains("the sum of") => Ok(()),
        Err(other) => Err(other),
        Ok(_) => Err("an archive with another sum was installed".into()),
    }
}

/// Runs the commands that README shows, in a folder of their own.
fn readme(release: &Release, folder: &Path) -> Outcome {
    let folder = fresh(folder, "readme")?;
    let text = fs::read_to_string(root().join("README.md"))?;
    let section = text.split("\n## ").find(|section| section.starts_with("Install"));
    let section = section.ok_or("README has no section Install")?;
    let block = section.split("```console\n").nth(1).and_then(|rest| rest.split("```").next());
    let commands: Vec<&str> =
        block.into_iter().flat_map(str::lines).filter_map(|line| line.strip_prefix("$ ")).collect();
    let script = commands.join("\n").replace("sudo ", "").replace("/usr/local/bin", "bin");
    fs::create_dir_all(folder.join("bin"))?;
    let mut shell = Command::new("bash");
    shell.args(["-euc", &script]).current_dir(&folder);
    shell.env("ESB_RELEASES", format!("file://{}", release.folder.display()));
    output(&mut shell)?;
    let version = output(command(folder.join("bin/esb")).arg("version"))?;
    if version.contains(release.version) {
        return Ok(());
    }
    Err(format!("README's commands installed `{version}`").into())
}

/// Runs the hook of this project on a template with a mistake and on one without.
fn pre_commit(folder: &Path) -> Outcome {
    let folder = fresh(folder, "pre-commit")?;
    let python = python::environment("pre-commit", PRE_COMMIT)?;
    let program = folder.join("action");
    fs::create_dir_all(&program)?;
    let esb = target().join("dist/ci/readme/bin/esb");
    symlink(esb, program.join("esb"))?;
    let own = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([program].into_iter().chain(std::env::split_paths(&own)))
        .map_err(|error| error.to_string())?;
    let project = folder.join("project");
    fs::create_dir_all(&project)?;
    let quickstart = root().join("fixtures/quickstart/.");
    output(command("cp").arg("-r").arg(quickstart).arg(&project))?;
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=esb", "-c", "user.email=esb@localhost"]);
        output(git.args(arguments).current_dir(&project)).map(drop)
    };
    git(&["init", "--quiet"])?;
    git(&["add", "--all"])?;
    // The hooks of a repository are those of a commit of it.
    let hooks = folder.join("hooks");
    fs::create_dir_all(&hooks)?;
    fs::copy(root().join(".pre-commit-hooks.yaml"), hooks.join(".pre-commit-hooks.yaml"))?;
    let hook = || {
        let mut run = Command::new(python.with_file_name("pre-commit"));
        run.args(["try-repo", &hooks.to_string_lossy(), "esb-validate"]);
        run.args(["--files", "template.yaml"]).current_dir(&project).env("PATH", &path);
        output(run.env("PRE_COMMIT_HOME", folder.join("home")))
    };
    for arguments in [&["init", "--quiet"][..], &["add", "--all"], &["commit", "-qm", "hooks"]] {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=esb", "-c", "user.email=esb@localhost"]);
        output(git.args(arguments).current_dir(&hooks))?;
    }
    hook()?;
    let template = project.join("template.yaml");
    let broken = fs::read_to_string(&template)?
        .replace("AWS::Serverless::Function", "AWS::Serverless::Functoin");
    fs::write(&template, broken)?;
    git(&["add", "--all"])?;
    match hook() {
        Ok(_) => Err("pre-commit passed a template with a mistake".into()),
        Err(_) => Ok(()),
    }
}

fn archive(release: &Release) -> String {
    format!("esb-{}-{}-unknown-linux-musl.tar.gz", release.version, std::env::consts::ARCH)
}

/// An empty folder below another.
fn fresh(folder: &Path, name: &str) -> Outcome<PathBuf> {
    let folder = folder.join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
