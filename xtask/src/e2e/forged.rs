//! Images with `RUN` steps are reused when `esb.lock` pins them, never because of their
//! annotations.

use std::fs;

use serde_json::Value;

use super::parts::{Parts, expect};
use crate::checks::{Outcome, Trouble};

/// Deploys the fixture from a machine, from one that knows nothing, and from such ones after others
/// moved names in the registry and in the engine to an image of theirs that has all of our labels.
pub(crate) fn images_with_steps(parts: &Parts) -> Outcome {
    let root = parts.fixture("image-functions", "forged")?;
    let deploy = |cache: &str, more: &[&str]| {
        let mut command = parts.esb_to_registry(&root, cache);
        command.args(["deploy", "-e", "dev", "--format", "json"]).args(more);
        command.env("ESB_PARAM_Greeting", "Good evening");
        Ok::<Value, Trouble>(expect(&mut command, 0)?.json()?["images"][0].take())
    };
    let first = deploy("forged-first", &[])?;
    let lock = fs::read_to_string(root.join("esb.lock"))?;
    let pinned = lock.split("[[built]]").nth(1).unwrap_or_default();
    let digest = first["digest"].as_str().unwrap_or_default();
    if digest.is_empty() || !pinned.contains(&format!("digest = \"{digest}\"")) {
        return Err(Trouble::Failed(format!("{first} is not pinned:\n{lock}")));
    }
    let is = |what: &str, image: &Value, action: &str| {
        let found = (image["digest"].as_str(), image["action"].as_str());
        if found == (Some(digest), Some(action)) {
            return Ok(());
        }
        Err(Trouble::Failed(format!("{what}: {image} instead of {action} {digest}")))
    };
    is("a machine with the lock", &deploy("forged-cold", &["--locked"])?, "skipped")?;

    // Labels are inherited, the fingerprint among them.
    let context = parts.work.join("forged-context");
    fs::create_dir_all(&context)?;
    let image = first["reference"].as_str().unwrap_or_default();
    let text = format!("FROM {image}\nCOPY Dockerfile /evil\n");
    fs::write(context.join("Dockerfile"), text)?;
    let name = format!("{}/esb-greet:latest", parts.registry.address());
    let folder = context.display().to_string();
    let forge = || {
        parts.engine.output(["build", "--quiet", "--tag", &name, &folder])?;
        parts.engine.output(["push", "--quiet", &name])?;
        let label = "{{index .Config.Labels \"com.esb.image_fingerprint\"}}";
        let kept = parts.engine.output(["image", "inspect", "--format", label, &name])?;
        match kept.trim().len() {
            64 => Ok(()),
            _ => Err(Trouble::Failed(format!("the forged image says `{kept}`"))),
        }
    };
    forge()?;
    is("with the lock", &deploy("forged-locked", &["--locked"])?, "skipped")?;
    let unpinned = lock.split("[[built]]").next().unwrap_or_default();
    fs::write(root.join("esb.lock"), unpinned)?;
    forge()?;
    let built = deploy("forged-unpinned", &["--locked"])?;
    // The engine's own cache has the steps; the image lies in the registry already.
    if built["digest"] != first["digest"] || !said(&built).ends_with("and not pinned") {
        return Err(Trouble::Failed(format!("without a pin: {built} instead of {first}")));
    }
    deploy("forged-unpinned", &[])?;
    let again = fs::read_to_string(root.join("esb.lock"))?;
    if again != lock {
        return Err(Trouble::Failed(format!("the lock was\n{lock}\nand is\n{again}")));
    }
    Ok(())
}

fn said(image: &Value) -> &str {
    image["reason"].as_str().unwrap_or_default()
}
