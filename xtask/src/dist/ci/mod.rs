//! Tries what pipelines and users do with a release: the action, the hook of `pre-commit`, and the
//! commands of README's section on installation.

mod install;
mod lint;
mod odd_releases;
mod pre_commit;
mod readme;
mod runner;
mod server;

use std::path::{Path, PathBuf};

use super::Release;
use crate::{
    checks::{Checks, Outcome},
    command::{command, output, target},
    folders,
};
use server::Server;

/// The Python packages that checks install.
const REQUIREMENTS: &str = "xtask/tools/ci.requirements.txt";

/// Tries the files of a release.
pub(super) fn all(checks: &mut Checks, release: &Release) {
    let folder = target().join("dist/ci");
    checks.run("workflows, the action and the guide have no mistakes", || lint::all(&folder));
    checks.run("the action's scripts, with releases that stand for real ones", install::scripts);
    let server = checks.run("a local server with this release", || serve(release, &folder));
    if let Some(server) = server {
        checks.run("the action installs this release", || {
            install::of_release(release, &server, &folder)
        });
        checks.run("README's commands install this release", || {
            readme::all(release, &server, &folder)
        });
    }
    checks.run("pre-commit runs esb validate", || pre_commit::all(release, &folder));
}

/// Serves this release as GitHub does: its files below the name of its tag.
fn serve(release: &Release, folder: &Path) -> Outcome<Server> {
    let folder = fresh(folder, "releases")?;
    let tag = folder.join(format!("v{}", release.version));
    std::os::unix::fs::symlink(&release.folder, tag)?;
    Server::start(folder)
}

/// The program of this machine, out of its archive.
fn program(release: &Release, folder: &Path) -> Outcome<PathBuf> {
    let folder = fresh(folder, "program")?;
    let name = format!("esb-{}-{}-unknown-linux-musl", release.version, std::env::consts::ARCH);
    let archive = release.folder.join(format!("{name}.tar.gz"));
    output(command("tar").arg("-xzf").arg(archive).arg("-C").arg(&folder))?;
    Ok(folder.join(name).join("esb"))
}

/// An empty folder below another.
fn fresh(folder: &Path, name: &str) -> Outcome<PathBuf> {
    let folder = folder.join(name);
    folders::empty(&folder)?;
    Ok(folder)
}
