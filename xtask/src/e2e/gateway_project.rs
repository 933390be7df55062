//! A small project whose functions run behind a test Gateway, which starts the containers that
//! `esb` finds and calls them.

use std::{fs, path::PathBuf, time::Duration};

use esb_test::{Called, Gateway, GatewayFunction, GatewaySettings};
use serde_json::Value;

use super::{
    delivery::{image_of, wait},
    parts::Parts,
    small_project::SmallProject,
};
use crate::checks::Outcome;

/// The container that stands for the Gateway's.
pub(super) const GATEWAY: &str = "esb-dev-gateway";

/// What one is set up with.
pub(super) struct Settings<'a> {
    pub(super) name: &'a str,
    pub(super) functions: &'a [&'a str],
    /// Of `docker network create`, without its name.
    pub(super) network: &'a [&'a str],
    /// What the Agent labels workers with.
    pub(super) environment: &'a str,
}

/// Everything is removed when it is dropped.
pub(super) struct GatewayProject<'a> {
    pub(super) parts: &'a Parts,
    pub(super) small: SmallProject<'a>,
    functions: &'a [&'a str],
    pub(super) network: String,
    pub(super) environment: &'a str,
    gateway: Option<Gateway>,
    /// The host name of the Gateway's container.
    pub(super) owner: String,
    /// What the first deploy said.
    pub(super) first: Value,
}

impl<'a> GatewayProject<'a> {
    /// Deploys the functions, each of which answers with its name and 0.
    pub(super) fn new(parts: &'a Parts, settings: &Settings<'a>) -> Outcome<Self> {
        let small = SmallProject::new(parts, settings.name, "small")?;
        let network = format!("esb-{}", settings.name);
        if let ["--subnet", subnet] = settings.network {
            esb_test::remove_unused_bridges(subnet);
        }
        let mut create = vec!["network", "create"];
        create.extend(settings.network);
        create.push(&network);
        parts.engine.output(create)?;
        let mut stage = Self {
            parts,
            small,
            functions: settings.functions,
            network,
            environment: settings.environment,
            gateway: None,
            owner: String::new(),
            first: Value::Null,
        };
        stage.write(0)?;
        stage.first = stage.small.deployed(&["--config-to", "none"])?;
        stage.start_container()?;
        stage.small.deployed(&[])?;
        let owner = ["inspect", "--format", "{{.Config.Hostname}}", GATEWAY];
        stage.owner = parts.engine.output(owner)?;
        let gateway = GatewaySettings {
            folder: stage.folder(),
            network: stage.network.clone(),
            environment: settings.environment.to_owned(),
            owner: stage.owner.clone(),
        };
        stage.gateway = Some(Gateway::start(
            &parts.engine,
            &gateway,
            Box::new(|folder| {
                let config = esb_config::read(folder).ok()?.config;
                let functions = config.functions.functions.into_iter().map(|(name, entry)| {
                    let capacity = entry.scaling.max_capacity.unwrap_or(1);
                    let capacity = usize::try_from(capacity).unwrap_or(0);
                    let image = entry.image?.resolve(|_| None);
                    Some((name, GatewayFunction { image, capacity }))
                });
                functions.collect()
            }),
        )?);
        Ok(stage)
    }

    fn start_container(&self) -> Outcome {
        let engine = &self.parts.engine;
        let folder = self.folder();
        fs::create_dir_all(&folder)?;
        let image = image_of(&self.first, self.functions[0])?;
        let mount = format!("{}:/app/runtime-config", folder.display());
        engine.output([
            "run",
            "--detach",
            "--init=false",
            "--stop-signal=KILL",
            "--network",
            &self.network,
            "--name",
            GATEWAY,
            "--label",
            "com.docker.compose.project=esb-dev",
            "--label",
            "com.docker.compose.service=gateway",
            "--volume",
            &mount,
            "--entrypoint",
            "sleep",
            &image,
            "3600",
        ])?;
        Ok(())
    }

    fn folder(&self) -> PathBuf {
        self.small.root.join("gateway")
    }

    /// Writes code that answers with a number; a call may ask it to take its time.
    pub(super) fn write(&self, number: usize) -> Outcome {
        self.small.write("template.yaml", self.functions, "")?;
        for function in self.functions {
            let name = function.to_lowercase();
            let code = format!(
                "import time\ndef handler(event, context):\n    \
                 time.sleep(event.get('seconds', 0.01))\n    \
                 return {{'function': '{name}', 'deploy': {number}}}\n"
            );
            fs::write(self.small.root.join("code").join(&name).join("app.py"), code)?;
        }
        Ok(())
    }

    /// Waits until the Gateway knows the images of a deploy.
    pub(super) fn wait_until_known(&self, summary: &Value) -> Outcome {
        for function in self.functions {
            let image = image_of(summary, function)?;
            let name = function.to_lowercase();
            wait(|| Ok(self.gateway.as_ref().is_some_and(|gateway| gateway.knows(&name, &image))))?;
        }
        Ok(())
    }

    /// Calls a function that takes so long.
    pub(super) fn call(&self, function: &str, time: Duration) -> Called {
        let payload = format!(r#"{{"seconds": {}}}"#, time.as_secs_f64());
        match &self.gateway {
            Some(gateway) => gateway.call(function, payload.as_bytes()),
            None => unreachable!("it is there once the stage is"),
        }
    }

    /// Names of all containers with a label, running or not.
    pub(super) fn labelled(&self, label: &str) -> Outcome<Vec<String>> {
        let filter = format!("label={label}");
        let list = ["ps", "--all", "--format", "{{.Names}}", "--filter", &filter];
        let listed = self.parts.engine.output(list)?;
        Ok(listed.lines().map(str::to_owned).collect())
    }
}

impl Drop for GatewayProject<'_> {
    fn drop(&mut self) {
        drop(self.gateway.take());
        let docker = |arguments: &[&str]| self.parts.engine.docker().args(arguments).output();
        // Whatever of it is there.
        let _gone = docker(&["rm", "--force", GATEWAY]);
        for label in ["com.esb.kind=placeholder", "created_by=esb-agent"] {
            for name in self.labelled(label).unwrap_or_default() {
                let _gone = docker(&["rm", "--force", &name]);
            }
        }
        let _gone = docker(&["network", "rm", &self.network]);
    }
}
