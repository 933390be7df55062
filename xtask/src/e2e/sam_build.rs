//! The output of `sam build` is deployed unchanged, and nothing is installed again.

use std::{fs, path::Path, process::Command};

use serde_json::json;

use super::{
    invoke::invoke,
    parts::{Parts, expect},
};
use crate::checks::{Outcome, Trouble};

const BUILT: &str = ".aws-sam/build";

/// Plans all three languages, and deploys what has a base image here.
pub(crate) fn deploys(parts: &Parts) -> Outcome {
    let project = parts.fixture("sam-build", "sam-build")?;
    let built = project.join(BUILT);
    let template = built.join("template.yaml");
    let deploy = |template: &Path| {
        let mut command = parts.esb_to_registry(&project, "sam-build");
        command.args(["deploy", "-e", "dev", "--format", "json", "-v", "-t"]).arg(template);
        command
    };
    let planned = expect(deploy(&template).arg("--dry-run"), 0)?.json()?;
    let names: Vec<_> = planned["images"].as_array().into_iter().flatten().collect();
    for name in ["esb-pythonfunction", "esb-nodefunction", "esb-javafunction"] {
        if !names.iter().any(|image| image["name"] == json!(format!("{name}:latest"))) {
            return Err(Trouble::Failed(format!("`{name}` is not planned: {names:?}")));
        }
    }
    // The other languages have a base image only where the real ones can be reached.
    let whole = fs::read_to_string(&template)?;
    let template = built.join("python.yaml");
    fs::write(&template, without(&whole, &["NodeFunction", "JavaFunction"]))?;
    let image = deployed(parts, &mut deploy(&template), "pythonfunction")?;
    answers(parts, &image)
}

/// A template without some of its resources.
pub(super) fn without(template: &str, resources: &[&str]) -> String {
    let mut left_out = false;
    let mut kept = String::new();
    for line in template.lines() {
        if let Some(line) = line.strip_prefix("  ").filter(|line| !line.starts_with(' ')) {
            left_out = resources.iter().any(|name| line.strip_suffix(':') == Some(name));
        }
        if !left_out {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// Runs a deploy that may install nothing; gives the image of a function, which the engine has then.
pub(super) fn deployed(parts: &Parts, deploy: &mut Command, function: &str) -> Outcome<String> {
    let said = expect(deploy, 0)?;
    if said.stderr.contains("install") {
        return Err(Trouble::Failed(format!("something was installed again:\n{}", said.stderr)));
    }
    let document = said.json()?;
    let images = document["images"].as_array().into_iter().flatten();
    let mut names = images.filter_map(|image| image["reference"].as_str());
    let image = names.rfind(|name| name.contains(function));
    let image = image.ok_or_else(|| Trouble::Failed(format!("no image in {document}")))?;
    parts.engine.output(["pull", "--quiet", image])?;
    Ok(image.to_owned())
}

/// The Python function finds what was installed, in its folder and in its layer.
pub(super) fn answers(parts: &Parts, image: &str) -> Outcome {
    let answer = invoke(&parts.engine, image, &[], &json!({"word": "post"}))?;
    if answer == json!({"said": "posts", "from": "layer"}) {
        return Ok(());
    }
    Err(Trouble::Failed(format!("`{image}` answered {answer}")))
}
