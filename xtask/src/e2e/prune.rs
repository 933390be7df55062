//! `esb image prune` removes this project's unused images, and nothing else.

use std::{collections::BTreeSet, io::Write as _, process::Stdio};

use super::{
    parts::{Parts, expect},
    small::Small,
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
