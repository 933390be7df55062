//! `docker buildx`, from the package of one Debian suite.
//!
//! Owns a private apt state, so that the package is verified as any other and nothing of this
//! machine changes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use esb_test::{Missing, find_program};

use crate::{
    base_image::debian_mirror,
    checks::Outcome,
    command::{output, target},
};

const SUITE: &str = "trixie";
const PACKAGE: &str = "docker-buildx";
/// Where the package has its program.
const PROGRAM: &str = "usr/libexec/docker/cli-plugins/docker-buildx";

/// A folder that `DOCKER_CONFIG` may name: it holds buildx as a plugin, and nothing else.
pub(crate) fn plugins() -> Outcome<PathBuf> {
    let folder = target().join("tools/buildx");
    let program = folder.join("cli-plugins").join(PACKAGE);
    if !program.is_file() {
        fs::create_dir_all(folder.join("cli-plugins"))?;
        let work = tempfile::Builder::new().prefix(".fetch-").tempdir_in(&folder)?;
        fetch(work.path()).map_err(|trouble| super::absent(PACKAGE, trouble))?;
        fs::rename(work.path().join(PROGRAM), &program)?;
    }
    Ok(folder)
}

/// Fetches the package into `work` and unpacks it there.
fn fetch(work: &Path) -> Outcome {
    if find_program("apt-get").is_none() || find_program("dpkg").is_none() {
        let why = "it comes from a Debian package, and this system has no `apt-get`";
        return Err(Missing::new(format!("`{PACKAGE}`"), why).into());
    }
    let mirror = debian_mirror(SUITE)?;
    for folder in ["state/lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(work.join(folder))?;
    }
    fs::write(work.join("sources.list"), format!("deb {mirror} {SUITE} main\n"))?;
    let apt = |arguments: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.current_dir(work).args(["-q", "-o", "Dir::Etc::sourceparts=-"]);
        for (option, name) in
            [("Etc::sourcelist", "sources.list"), ("State", "state"), ("Cache", "cache")]
        {
            apt.arg("-o").arg(format!("Dir::{option}={}", work.join(name).display()));
        }
        // The sandbox user of apt cannot write below a private folder.
        apt.args(["-o", "APT::Sandbox::User=root", "-o", "Dir::State::status=/dev/null"]);
        output(apt.args(arguments))
    };
    apt(&["update"])?;
    apt(&["download", PACKAGE])?;
    let mut files = fs::read_dir(work)?.flatten().map(|entry| entry.path());
    let package = files.find(|path| path.extension().is_some_and(|end| end == "deb"));
    let package = package.ok_or("apt left no package")?;
    output(Command::new("dpkg").arg("-x").arg(package).arg(work)).map(drop)
}
