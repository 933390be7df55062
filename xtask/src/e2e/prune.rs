//! `esb image prune` removes this project's unused images, and nothing else.

use std::{
    collections::BTreeSet, io::Write as _, path::PathBuf, process::Command, process::Stdio,
    time::Duration,
};

use super::{
    parts::{Parts, expect},
    small_project::{SmallProject, exist, images},
};
use crate::checks::{Outcome, Trouble};

const PROJECT: &str = "pruned-dev";

/// An application of the platform, whose images its engine pulls.
struct Application<'a> {
    small: SmallProject<'a>,
    to: String,
}

impl<'a> Application<'a> {
    fn new(parts: &'a Parts, name: &str) -> Outcome<Self> {
        // A store of its own, so that other checks' projects are not among those it knows.
        let small = SmallProject::new(parts, name, "pruned")?;
        let to = parts.work.join("small/pruned-gateway").display().to_string();
        Ok(Self { small, to })
    }

    /// Deploys a function with this code, and gives the engine's id of its image.
    fn deploys(&self, function: &str, code: &str, more: &[&str]) -> Outcome<String> {
        self.small.write("template.yaml", &[function], code)?;
        let place = ["-p", PROJECT, "--config-to", &self.to];
        let summary = self.small.deployed(&[&place[..], more].concat())?;
        let mut images = summary["images"].as_array().into_iter().flatten();
        let image = images.find(|image| image["function"] == function);
        let name = image.and_then(|image| image["reference"].as_str()).ok_or("no image")?;
        let engine = &self.small.parts.engine;
        engine.output(["pull", "--quiet", name])?;
        Ok(engine.output(["inspect", "--format", "{{.Id}}", name])?)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.small.parts.esb_to_registry(&self.small.root, "pruned");
        command.args(["image"]).args(arguments);
        command.args(["--in", "engine", "-e", "dev", "-p", PROJECT, "--format", "json"]);
        command
    }

    /// Removes what is unused, and gives what is gone.
    fn prunes(&self, more: &[&str]) -> Outcome<BTreeSet<String>> {
        let before = self.engine_has()?;
        expect(self.command(&["prune", "--yes"]).args(more), 0)?;
        let after = self.engine_has()?;
        Ok(before.difference(&after).cloned().collect())
    }

    fn engine_has(&self) -> Outcome<BTreeSet<String>> {
        let engine = &self.small.parts.engine;
        let ids = engine.output(["images", "--all", "--no-trunc", "--quiet"])?;
        Ok(ids.lines().map(str::to_owned).collect())
    }
}

/// Two applications on one platform, deployed from two folders, and images that only carry labels.
pub(crate) fn only_ours(parts: &Parts) -> Outcome {
    let one = Application::new(parts, "pruned-one")?;
    let two = Application::new(parts, "pruned-two")?;
    let contained = one.deploys("A", "contained", &[])?;
    parts.engine.output(["create", "--name", "esb-contained", &contained])?;
    let result = pruned(parts, &one, &two, &contained);
    parts.engine.output(["rm", "--force", "esb-contained"])?;
    result
}

fn pruned(parts: &Parts, one: &Application<'_>, two: &Application<'_>, contained: &str) -> Outcome {
    let same = |found: BTreeSet<String>, wanted: &[&String], what: &str| -> Outcome {
        if found == wanted.iter().map(|id| (*id).clone()).collect() {
            return Ok(());
        }
        Err(Trouble::Failed(format!("{what}: {found:?} instead of {wanted:?}")))
    };
    let old = one.deploys("A", "old", &[])?;
    // A name that moves on leaves an image without one.
    let nameless = one.deploys("A", "nameless", &["--builder", "docker"])?;
    let names =
        parts.engine.output(["inspect", "--format", "{{join .RepoTags \"\\n\"}}", &nameless])?;
    for name in names.lines() {
        parts.engine.output(["tag", contained, name])?;
    }
    let current = one.deploys("A", "current", &[])?;
    let old_of_two = two.deploys("B", "old", &[])?;
    let of_two = two.deploys("B", "current", &[])?;
    let labels = format!("com.esb.managed=true com.esb.project={PROJECT} com.esb.kind=function");
    let labelled = [
        make(parts, &labels, "1", Some("esb-a:latest"))?,
        make(parts, &labels, "2", None)?,
        make(parts, "a=b", "3", Some("lambda-theirs:latest"))?,
    ];

    // A fresh clone, and a folder of nobody, have made nothing.
    let clone = Application::new(parts, "pruned-clone")?;
    same(clone.prunes(&[])?, &[], "a fresh clone")?;
    let before = one.engine_has()?;
    expect(&mut one.command(&["prune", "--dry-run"]), 0)?;
    expect(&mut one.command(&["prune"]), 2)?.tells(&["--yes"])?; // nobody can be asked here
    same(before.difference(&one.engine_has()?).cloned().collect(), &[], "without being told")?;
    same(one.prunes(&[])?, &[&old, &nameless], "its own")?;
    // Of others what their own records name and nobody publishes; labels alone say nothing.
    let ls = expect(&mut one.command(&["ls", "--all"]), 0)?.json()?;
    let owner = |id: &String| {
        let mut images = ls["images"].as_array().into_iter().flatten();
        images.find(|image| image["id"] == **id).map(|image| image["owner"].to_string())
    };
    for (id, wanted) in
        [(&current, "pruned-one:"), (&of_two, "pruned-two:"), (&labelled[1], "null")]
    {
        let found = owner(id);
        if !found.as_ref().is_some_and(|found| found.contains(wanted)) {
            return Err(Trouble::Failed(format!("{id} is of {found:?}, not of {wanted}")));
        }
    }
    same(one.prunes(&["--all"])?, &[&old_of_two], "everybody's")?;
    let left = one.engine_has()?;
    if [contained, &current, &of_two]
        .into_iter()
        .chain(labelled.iter().map(String::as_str))
        .all(|id| left.contains(id))
    {
        return Ok(());
    }
    Err("an image that is used or nobody's is gone".into())
}

/// What another user, with a store of its own, brought into the engine first stays.
pub(crate) fn of_another_user(parts: &Parts) -> Outcome {
    let user = |name: &str| -> Outcome<Application<'_>> {
        let to = parts.work.join("small").join(format!("{name}-gateway")).display().to_string();
        Ok(Application { small: SmallProject::new(parts, name, name)?, to })
    };
    let (one, two) = (user("pruned-first")?, user("pruned-second")?);
    let deploys = |user: &Application<'_>, code: &str| -> Outcome<String> {
        user.small.write("template.yaml", &["Same"], code)?;
        let into = ["--to", "docker", "--allow-local", "-p", PROJECT, "--config-to", &user.to];
        let summary = user.small.deployed(&into)?;
        let mut images = summary["images"].as_array().into_iter().flatten();
        let image = images.find(|image| image["function"] == "Same");
        let name = image.and_then(|image| image["reference"].as_str()).ok_or("no image")?;
        Ok(parts.engine.output(["inspect", "--format", "{{.Id}}", name])?)
    };
    let of_one = deploys(&one, "same")?;
    if deploys(&two, "same")? != of_one {
        return Err("equal code made two images".into());
    }
    let old = deploys(&two, "old")?;
    deploys(&two, "current")?;
    let mut command = two.small.parts.esb_to_registry(&two.small.root, "pruned-second");
    command.args(["image", "prune", "--yes", "--in", "engine", "-e", "dev", "-p", PROJECT]);
    let before = two.engine_has()?;
    expect(&mut command, 0)?;
    let after = two.engine_has()?;
    let gone: Vec<&String> = before.difference(&after).collect();
    if gone == [&old] {
        return Ok(());
    }
    Err(Trouble::Failed(format!(
        "{gone:?} are gone instead of {old}, with {of_one} of another user"
    )))
}

/// In the registry and the store too, what is published stays, and what others have.
pub(crate) fn registry_and_store(parts: &Parts) -> Outcome {
    let project = |name: &str| -> Outcome<(SmallProject<'_>, String, PathBuf)> {
        let small = SmallProject::new(parts, name, "emptied")?;
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
