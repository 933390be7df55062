//! `esb image prune` removes this project's unused images, and nothing else.

use std::{collections::BTreeSet, io::Write as _, path::PathBuf, process::Stdio, time::Duration};

use super::{
    parts::{Parts, expect},
    small::{Small, exist, images},
};
use crate::checks::{Outcome, Trouble};

const PROJECT: &str = "pruned-dev";

/// Images of ours that are used, unused and nameless, and images of others beside them.
pub(crate) fn only_ours(parts: &Parts) -> Outcome {
    let small = Small::new(parts, "pruned", "small")?;
    small.write("template.yaml", &["A"], "pruned")?;
    // Other checks leave images of the default project.
    let summary = small.deployed(&["--config-to", "none", "-p", PROJECT])?;
    let images = summary["images"].as_array().into_iter().flatten();
    let mut functions = images.filter(|image| image["function"] == "A");
    let used = functions.next().and_then(|image| image["reference"].as_str());
    let used = used.ok_or("no image of `A`")?;
    parts.engine.output(["pull", "--quiet", used])?;

    let ours = format!("com.esb.managed=true com.esb.project={PROJECT} com.esb.kind=function");
    let ours = ours.as_str();
    let theirs = "com.esb.managed=true com.esb.project=other-dev com.esb.kind=function";
    let gone = [make(parts, ours, "1", Some("esb-gone:latest"))?, make(parts, ours, "2", None)?];
    let kept = [
        make(parts, theirs, "3", Some("esb-theirs:latest"))?,
        make(parts, theirs, "4", None)?,
        make(parts, "a=b", "5", Some("lambda-theirs:latest"))?,
        make(parts, ours, "6", Some("esb-contained:latest"))?,
        parts.engine.output(["inspect", "--format", "{{.Id}}", used])?,
    ];
    parts.engine.output(["create", "--name", "esb-contained", "esb-contained:latest", "x"])?;
    let result = prune(parts, &small, &gone, &kept);
    parts.engine.output(["rm", "--force", "esb-contained"])?;
    result
}

fn prune(parts: &Parts, small: &Small<'_>, gone: &[String], kept: &[String]) -> Outcome {
    let esb = |arguments: &[&str]| {
        let mut command = parts.esb_to_registry(&small.root, "small");
        command.args(["image", "prune", "-e", "dev", "-p", PROJECT, "--format", "json"]);
        command.args(arguments);
        command
    };
    let all = || -> Outcome<BTreeSet<String>> {
        let ids = parts.engine.output(["images", "--all", "--no-trunc", "--quiet"])?;
        Ok(ids.lines().map(str::to_owned).collect())
    };
    let before = all()?;
    expect(&mut esb(&["--dry-run"]), 0)?;
    expect(&mut esb(&[]), 2)?.tells(&["--yes"])?; // nobody can be asked here
    if all()? != before {
        return Err("something was removed without being told".into());
    }
    expect(&mut esb(&["--yes"]), 0)?;
    let after = all()?;
    let removed: BTreeSet<&String> = before.difference(&after).collect();
    if removed == gone.iter().collect() && kept.iter().all(|id| after.contains(id)) {
        return Ok(());
    }
    Err(Trouble::Failed(format!("removed {removed:?} instead of {gone:?}")))
}

/// In the registry and the store too, what is published stays, and what others have.
pub(crate) fn registry_and_store(parts: &Parts) -> Outcome {
    let project = |name: &str| -> Outcome<(Small<'_>, String, PathBuf)> {
        let small = Small::new(parts, name, "emptied")?;
        let project = format!("{name}-dev");
        let config = small.root.join(format!(".esb/staging/{project}/dev/config"));
        for text in ["first", "second"] {
            small.write("template.yaml", &["A"], &format!("{name} {text}"))?;
            small.deployed(&["--config-to", "none", "-p", &project])?;
        }
        Ok((small, project, config))
    };
    let (_others, _, of_others) = project("kept")?;
    let (small, project, config) = project("emptied")?;
    // Another environment of the same project, and an image that nothing publishes.
    let deploy = |env: &str, arguments: &[&str]| -> Outcome<BTreeSet<String>> {
        let mut command = parts.esb_to_registry(&small.root, "emptied");
        command.args(["deploy", "-p", &project, "-e", env, "--format", "json"]).args(arguments);
        let summary = expect(&mut command, 0)?.json()?;
        let images = summary["images"].as_array().into_iter().flatten();
        let functions = images.filter(|image| image["function"] == "A");
        Ok(functions.filter_map(|image| image["digest"].as_str().map(str::to_owned)).collect())
    };
    deploy("prod", &["--config-to", "none"])?;
    small.write("template.yaml", &["A"], "emptied third")?;
    let third = deploy("dev", &["--build-only"])?;

    let prune = |arguments: &[&str]| -> Outcome<BTreeSet<String>> {
        let mut command = parts.esb_to_registry(&small.root, "emptied");
        command.args(["image", "prune", "-e", "dev", "-p", &project, "--format", "json"]);
        command.args(["--in", "store,registry"]).args(arguments);
        let document = expect(&mut command, 0)?.json()?;
        let ids = document["unused"].as_array().into_iter().flatten();
        Ok(ids.filter_map(|image| image["id"].as_str().map(str::to_owned)).collect())
    };
    let before = tags(parts)?;
    let unused = prune(&["--dry-run"])?;
    if tags(parts)? != before {
        return Err("a dry run removed something".into());
    }
    if unused.len() != 2 || !third.is_subset(&unused) {
        return Err(Trouble::Failed(format!("unused are {unused:?}, with {third:?}")));
    }
    if prune(&["--yes"])? != unused || !prune(&["--dry-run"])?.is_empty() {
        return Err("what is unused was not what was removed".into());
    }
    let (wanted, after) =
        (before.iter().filter(|(_, digest)| !unused.contains(digest)), tags(parts)?);
    if after != wanted.cloned().collect() {
        return Err(Trouble::Failed(format!("{before:?} became {after:?} without {unused:?}")));
    }
    let prod = small.root.join(format!(".esb/staging/{project}/prod/config"));
    for config in [of_others, config, prod] {
        exist(images(&config)?)?;
    }
    // What is gone is made again.
    deploy("dev", &["--config-to", "none"])?;
    exist(images(&small.root.join(format!(".esb/staging/{project}/dev/config")))?)
}

/// Every tag of the registry, with the digest that it leads to.
fn tags(parts: &Parts) -> Outcome<BTreeSet<(String, String)>> {
    let registry = parts.registry.address();
    let limit = Duration::from_secs(10);
    let accept =
        "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
    let ask = |method: &str, path: &str| {
        esb_test::request(registry, method, path, &[("Accept", accept)], &[], limit)
    };
    let list = |path: &str, key: &str| -> Outcome<Vec<String>> {
        let answer = ask("GET", path)?;
        let document: serde_json::Value =
            serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        let names = document[key].as_array().into_iter().flatten();
        Ok(names.filter_map(|name| name.as_str().map(str::to_owned)).collect())
    };
    let mut found = BTreeSet::new();
    for repository in list("/v2/_catalog?n=1000", "repositories")? {
        for tag in list(&format!("/v2/{repository}/tags/list"), "tags")? {
            let answer = ask("HEAD", &format!("/v2/{repository}/manifests/{tag}"))?;
            let digest = answer.header("docker-content-digest").unwrap_or_default().to_owned();
            found.insert((format!("{repository}:{tag}"), digest));
        }
    }
    Ok(found)
}

/// An image with labels and nothing else.
fn make(parts: &Parts, labels: &str, number: &str, name: Option<&str>) -> Outcome<String> {
    let mut build = parts.engine.docker();
    build.env("DOCKER_BUILDKIT", "0").args(["build", "--quiet"]);
    if let Some(name) = name {
        build.args(["--tag", name]);
    }
    let mut child = build.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let text = format!("FROM scratch\nLABEL {labels} number={number}\n");
    child.stdin.take().ok_or("no stdin")?.write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if id.starts_with("sha256:") {
        return Ok(id);
    }
    Err(Trouble::Failed(format!("docker build gave `{id}`")))
}
