//! The image of the program, in a Docker engine.

use std::{fs, path::Path};

use esb_test::{DockerEngine, ensure_packages, find_program};
use serde_json::Value;

use crate::{
    checks::Outcome,
    command::{command, output, root},
    dist::{Release, TARGETS, image},
};

/// Loads the image into an engine, and lets it read a project.
pub(super) fn runs(release: &Release, folder: &Path) -> Outcome {
    if find_program("skopeo").is_none() {
        ensure_packages(&["skopeo"])?;
    }
    let name = format!("esb:{}", release.version);
    let source = format!("oci-archive:{}:{name}", release.file(&image::name(release)).display());
    let raw = output(command("skopeo").args(["inspect", "--raw", &source]))?;
    let index: Value = serde_json::from_str(&raw).map_err(|error| error.to_string())?;
    let manifests = index["manifests"].as_array().into_iter().flatten();
    let found: Vec<_> = manifests.map(|one| &one["platform"]["architecture"]).collect();
    if found != TARGETS.map(|target| target.debian) {
        return Err(format!("the image is for {found:?}").into());
    }
    let engine = DockerEngine::start(folder)?;
    let mut skopeo = command("skopeo");
    skopeo.args(["--insecure-policy", "copy", "--quiet", "--dest-daemon-host", engine.host()]);
    output(skopeo.args([&source, &format!("docker-daemon:{name}")]))?;
    let project = folder.join("project");
    let from = root().join("fixtures/quickstart");
    output(command("cp").arg("-rL").arg(from).arg(&project))?;
    let mount = format!("{}:/work", fs::canonicalize(&project)?.display());
    let run = |arguments: &[&str]| {
        let words = ["run", "--rm", "--network", "none", "--volume", &mount, &name];
        engine.output(words.iter().chain(arguments))
    };
    let version = run(&["version"])?;
    if !version.contains(release.version) || !version.contains("musl") {
        return Err(format!("`esb version` said `{version}`").into());
    }
    run(&["validate"])?;
    Ok(())
}
