//! A package without a wheel, from an index that requires a password: pip builds it on a daemon,
//! with the same bytes as in the Docker engine.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use esb_test::Buildkitd;
use serde_json::Value;

use super::{Site, equal};
use crate::{
    checks::{Outcome, Trouble},
    e2e::{
        dependencies::{SECRET, nowhere, project},
        parts::{Said, expect},
    },
};

pub(super) fn built_on_a_daemon(site: &Site<'_>) -> Outcome {
    let (root, index) = project(site.parts, "fleet-source-package")?;
    let addresses: Vec<&str> = site.daemons.iter().map(Buildkitd::address).collect();
    let build = |cache: &str, choice: &str, fleet: bool| -> Outcome<Said> {
        let mut command = site.parts.esb_to_registry(&root, &format!("fleet-packages-{cache}"));
        command.env("PIP_INDEX_URL", &index).env_remove("PIP_FIND_LINKS");
        command.args(["build", "-e", "dev", "--format", "json", "-v", "--builder", choice]);
        if fleet {
            // No engine is asked.
            command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
            command.env("BUILDKIT_HOST", addresses.join(",")).arg("--buildkit-tls");
            command.arg(site.tls().join("client"));
        }
        let said = expect(&mut command, 0)?;
        if said.stdout.contains(SECRET) || said.stderr.contains(SECRET) {
            return Err(Trouble::Failed(format!("the password was said:\n{}", said.stderr)));
        }
        Ok(said)
    };
    let engine = build("engine", "auto", false)?;
    engine.tells(&["pip runs in the container engine"])?;
    let installed = installed(&root)?;

    for choice in ["auto", "buildkit"] {
        fs::remove_dir_all(root.join(".esb"))?;
        fs::remove_file(root.join("esb.lock"))?;
        let said = build(choice, choice, true)?;
        said.tells(&["pip runs on the BuildKit fleet", "built on tcp://127.0.0.1"])?;
        equal("installed files", &installed, &self::installed(&root)?)?;
        if choice == "auto" {
            equal("images", &images(&engine)?, &images(&said)?)?;
        }
        let cache = site.parts.work.join("caches").join(format!("fleet-packages-{choice}"));
        for folder in [cache, root.join(".esb")] {
            nowhere(&folder)?;
        }
        let again = build(choice, choice, true)?;
        if again.stderr.contains("pip runs") {
            return Err(Trouble::Failed(format!("it was built again:\n{}", again.stderr)));
        }
    }
    Ok(())
}

/// The files that were installed for the one function, with their modes and contents.
fn installed(root: &Path) -> Outcome<BTreeMap<PathBuf, (u32, Vec<u8>)>> {
    let top = root.join(".esb/dev/functions/built/dependencies");
    let mut found = BTreeMap::new();
    let mut open = vec![top.clone()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let what = (path.metadata()?.permissions().mode(), fs::read(&path)?);
            found.insert(path.strip_prefix(&top).unwrap_or(&path).to_owned(), what);
        }
    }
    if found.keys().any(|path| path.starts_with("onlysource-1.0.dist-info")) {
        return Ok(found);
    }
    Err(Trouble::Failed(format!("the package is not installed: {:?}", found.keys())))
}

/// The images of a run, by name.
fn images(said: &Said) -> Outcome<BTreeMap<String, Value>> {
    let document = said.json()?;
    let images = document["images"].as_array().into_iter().flatten();
    let named = |image: &Value| (image["name"].to_string(), image["digest"].clone());
    Ok(images.map(named).collect())
}
