//! An image function that is built from its own Dockerfile with arguments and a target.

use std::fs;

use serde_json::json;

use super::{
    invoke::invoke,
    parts::{Parts, expect},
};
use crate::checks::{Outcome, Trouble};

/// Deploys the fixture, asks the image, and deploys again.
pub(crate) fn built_from_metadata(parts: &Parts) -> Outcome {
    let root = parts.fixture("image-functions", "image-functions")?;
    let secret = "Top of the morning";
    let deploy = |more: &[&str]| {
        let mut command = parts.esb_to_registry(&root, "image-functions");
        command.args(["deploy", "-e", "dev", "--format", "json", "-v"]).args(more);
        command.env("ESB_PARAM_Greeting", secret);
        command
    };
    let first = expect(&mut deploy(&[]), 0)?;
    if first.stdout.contains(secret) || first.stderr.contains(secret) {
        return Err(Trouble::Failed(format!(
            "a secret was said:\n{}{}",
            first.stdout, first.stderr
        )));
    }
    first.tells(&["secret-argument", "$GREETING"])?;
    let document = first.json()?;
    let image = document["images"][0]["reference"].as_str().unwrap_or_default().to_owned();
    parts.engine.output(["pull", "--quiet", &image])?;
    let answer = invoke(&parts.engine, &image, &[], &json!({"name": "Ada"}))?;
    if answer != json!({"said": format!("{secret}, Ada"), "notes": false}) {
        return Err(Trouble::Failed(format!("`{image}` answered {answer}")));
    }
    let run = |event: &str| {
        let mut command = parts.esb_to_registry(&root, "image-functions");
        command.args(["invoke", "greet", "-e", "dev", "--event", event]);
        command
    };
    let said = expect(&mut run(r#"{"name": "Bo"}"#), 0)?.json()?;
    if said["said"] != format!("{secret}, Bo") {
        return Err(Trouble::Failed(format!("`esb invoke` printed {said}")));
    }
    expect(&mut run("{}"), 6)?
        .tells(&["error: `greet` failed: KeyError: 'name'", "  |   File "])?;
    let tagged = format!("{}/esb-greet:python3.13-v1", parts.registry.address());
    parts.engine.output(["pull", "--quiet", &tagged])?;

    let second = expect(&mut deploy(&[]), 0)?.json()?;
    let action = second["images"][0]["action"].as_str().unwrap_or_default();
    if action != "skipped" || second["images"][0]["digest"] != document["images"][0]["digest"] {
        return Err(Trouble::Failed(format!("the second deploy made {}", second["images"][0])));
    }
    let refused = expect(&mut deploy(&["--builder", "embedded"]), 3)?;
    refused.tells(&["`RUN`", "--builder docker"])?;

    // An image that gets esb.lock is the same as long as nothing else changes.
    let template = fs::read_to_string(root.join("template.yaml"))?;
    let template = template
        .replace("DockerContext: ./greet", "DockerContext: .")
        .replace("Dockerfile: docker/", "Dockerfile: greet/docker/");
    fs::write(root.join("template.yaml"), template)?;
    let image = || Ok::<_, Trouble>(expect(&mut deploy(&[]), 0)?.json()?["images"][0].take());
    let (_with_the_lock, _of_before, third) = (image()?, image()?, image()?);
    match third["action"].as_str() {
        Some("skipped") => Ok(()),
        _ => Err(Trouble::Failed(format!("an image with esb.lock: the third deploy made {third}"))),
    }
}
