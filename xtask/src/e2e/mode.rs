//! The mode of the platform, where only its running containers show it.

use super::{
    parts::{Parts, expect},
    small_project::SmallProject,
    sync::equal,
};
use crate::checks::Outcome;

/// The compose project of [`SmallProject`]'s environment, and the images of its containers here.
const PROJECT: &str = "esb-dev";
const IMAGE: &str = "esb-mode-of-project:latest";

/// Names of images follow the service that runs, of this project alone: containerd's has a registry
/// by name, Docker's one on this machine.
pub(crate) fn of_the_running_project(parts: &Parts) -> Outcome {
    let small = SmallProject::new(parts, "mode", "small")?;
    small.write("template.yaml", &["A"], "mode")?;
    let image = super::delivery::image_of(&small.deployed(&["--config-to", "none"])?, "A")?;
    parts.engine.output(["pull", "--quiet", &image])?;
    parts.engine.output(["tag", &image, IMAGE])?;
    let docker = parts.registry.address();
    let (_, port) = docker.split_once(':').ok_or("a registry without a port")?;
    let registry = |arguments: &[&str]| -> Outcome<String> {
        let mut command = parts.esb(&small.root, "small");
        command.env("PORT_REGISTRY", port).args(["deploy", "-e", "dev", "--dry-run"]);
        let said = expect(command.args(["--format", "json"]).args(arguments), 0)?.json()?;
        let reference = said["images"][0]["reference"].as_str().unwrap_or_default();
        Ok(reference.split('/').next().unwrap_or_default().to_owned())
    };
    let started = |name: &str, service: &str, project: &str| -> Outcome {
        let labels = [("project", project), ("service", service)]
            .map(|(key, value)| format!("com.docker.compose.{key}={value}"));
        let run = ["run", "--detach", "--name", name, "--label", &labels[0], "--label", &labels[1]];
        let sleep = ["--entrypoint", "sleep", IMAGE, "600"];
        parts.engine.output(run.into_iter().chain(sleep)).map(drop).map_err(Into::into)
    };
    let containerd = "registry:5010";
    let names = ["esb-mode-other", "esb-mode-agent", "esb-mode-node"];
    let result = (|| {
        equal("without a container", &docker, &&*registry(&[])?)?;
        started(names[0], "runtime-node", "another-dev")?;
        equal("with a node of another project", &docker, &&*registry(&[])?)?;
        equal("as that project", &containerd, &&*registry(&["-p", "another-dev"])?)?;
        started(names[1], "agent", PROJECT)?;
        equal("with an agent", &docker, &&*registry(&[])?)?;
        equal("with an agent, told", &containerd, &&*registry(&["--mode", "containerd"])?)?;
        started(names[2], "runtime-node", PROJECT)?;
        equal("with a node", &containerd, &&*registry(&[])?)?;
        equal("with a node, told", &docker, &&*registry(&["--mode", "docker"])?)?;
        parts.engine.output(["stop", "--time", "0", names[2]])?;
        equal("with a node that stands still", &docker, &&*registry(&[])?)
    })();
    for name in names {
        parts.engine.docker().args(["rm", "--force", name]).output()?;
    }
    parts.engine.output(["rmi", IMAGE])?;
    result
}
