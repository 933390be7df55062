//! Finds the workers of a Gateway, and the placeholders of earlier ones, among the engine's
//! containers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use esb_config::Merged;
use esb_image::docker::{ContainerInfo, DockerEngine};

use crate::{deployment::Deployment, error::Error};

/// What the Agent takes for an environment when it was given none.
const NO_ENVIRONMENT: &str = "default";
/// The value of the label `kind` of a placeholder.
pub(super) const PLACEHOLDER: &str = "placeholder";

/// How a Gateway's workers are recognised (docs/contracts/platform.md#labels).
pub(super) struct Search {
    creator: String,
    environment_label: String,
    function_label: String,
    owner_label: String,
    /// Values of the environment's label that the Agent may have used.
    environments: BTreeSet<String>,
    /// The Gateway's own name, which it gives as the owner by default.
    owner: String,
    /// Whether it was seen to give that name.
    has_own_name: bool,
    networks: BTreeSet<String>,
    gateway: String,
}

/// A Gateway's workers.
pub(super) struct Workers {
    pub(super) all: Vec<ContainerInfo>,
    function_label: String,
}

impl Search {
    /// The Agent's environment is that of its container, when the project has one.
    pub(super) async fn new(
        run: &Deployment,
        engine: &DockerEngine,
        gateway: &ContainerInfo,
    ) -> Result<Self, Error> {
        let slug = run.project.brand.slug();
        let labels = [("project", run.compose_project.as_str()), ("service", "agent")]
            .map(|(key, value)| (format!("com.docker.compose.{key}"), value.to_owned()));
        let agents = engine.containers(&labels).await?;
        let of = |agent: &ContainerInfo| {
            let environment = agent.environment.get("ENV").filter(|value| !value.is_empty());
            environment.unwrap_or(NO_ENVIRONMENT).to_owned()
        };
        let mut environments: BTreeSet<String> = agents.iter().map(of).collect();
        if environments.is_empty() {
            environments.extend([run.project.environment.clone(), NO_ENVIRONMENT.to_owned()]);
        }
        Ok(Self {
            creator: format!("{slug}-agent"),
            environment_label: format!("{slug}_env"),
            function_label: format!("{slug}_function"),
            owner_label: run.project.brand.label("owner"),
            environments,
            owner: gateway.hostname.clone(),
            has_own_name: false,
            networks: gateway.networks.iter().map(|own| own.network.clone()).collect(),
            gateway: gateway.name.clone(),
        })
    }

    /// All of them, running or not.
    pub(super) async fn workers(&mut self, engine: &DockerEngine) -> Result<Workers, Error> {
        let created = [("created_by".to_owned(), self.creator.clone())];
        let mut all = engine.containers(&created).await?;
        all.retain(|worker| {
            let environment = worker.labels.get(&self.environment_label);
            environment.is_some_and(|environment| self.environments.contains(environment))
        });
        // Two projects of one engine may have environments of the same name.
        let owner = |worker: &ContainerInfo| worker.labels.get(&self.owner_label).cloned();
        self.has_own_name |= all.iter().any(|worker| owner(worker).as_ref() == Some(&self.owner));
        all.retain(|worker| match owner(worker) {
            Some(owner) if self.has_own_name => owner == self.owner,
            _ => worker.networks.iter().any(|own| self.networks.contains(&own.network)),
        });
        Ok(Workers { all, function_label: self.function_label.clone() })
    }

    /// A worker that has an address which another one had.
    pub(super) async fn at(
        &self,
        engine: &DockerEngine,
        before: &ContainerInfo,
    ) -> Result<Option<ContainerInfo>, Error> {
        let created = [("created_by".to_owned(), self.creator.clone())];
        let all = engine.containers(&created).await?.into_iter();
        let is_same = |worker: &ContainerInfo| {
            worker.id != before.id
                && worker.networks.iter().any(|own| {
                    let mut old = before.networks.iter();
                    old.any(|old| old.id == own.id && old.address == own.address)
                })
        };
        Ok(all.filter(|worker| worker.running).find(is_same))
    }
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let environments: Vec<&str> = self.environments.iter().map(String::as_str).collect();
        write!(
            f,
            "Gateway `{}` has no workers: none with the labels created_by={} and {}={}",
            self.gateway,
            self.creator,
            self.environment_label,
            environments.join(" or ")
        )
    }
}

impl Workers {
    /// The function that a worker runs.
    pub(super) fn function<'a>(&self, worker: &'a ContainerInfo) -> Option<&'a str> {
        worker.labels.get(&self.function_label).map(String::as_str)
    }

    /// Selects the workers of some functions.
    pub(super) fn of(&self, functions: &BTreeSet<&str>) -> impl Iterator<Item = &ContainerInfo> {
        self.all.iter().filter(|worker| {
            self.function(worker).is_some_and(|function| functions.contains(function))
        })
    }
}

/// The labels of this project's placeholders.
pub(super) fn labels(run: &Deployment) -> [(String, String); 2] {
    let brand = &run.project.brand;
    [
        (brand.label("kind"), PLACEHOLDER.to_owned()),
        (brand.label("project"), run.compose_project.clone()),
    ]
}

/// This project's placeholders.
pub(super) async fn placeholders(
    run: &Deployment,
    engine: &DockerEngine,
) -> Result<Vec<ContainerInfo>, Error> {
    Ok(engine.containers(&labels(run)).await?)
}

/// Removes placeholders whose addresses the Gateway has forgotten: it was started since, or its
/// pool for the function is full of workers that live.
pub(super) async fn remove_needless_placeholders(
    run: &Deployment,
    engine: &DockerEngine,
    gateway: &ContainerInfo,
    merged: &Merged,
    workers: &Workers,
) -> Result<(), Error> {
    let label = run.project.brand.label("function");
    let mut live: BTreeMap<&str, i64> = BTreeMap::new();
    for worker in workers.all.iter().filter(|worker| worker.running) {
        *live.entry(workers.function(worker).unwrap_or_default()).or_default() += 1;
    }
    let functions = &merged.config.functions;
    let capacity = |function: &str| {
        let own = functions.functions.get(function).and_then(|entry| entry.scaling.max_capacity);
        own.or(functions.defaults.scaling.max_capacity).unwrap_or(1)
    };
    for placeholder in placeholders(run, engine).await? {
        let function = placeholder.labels.get(&label).map_or("", String::as_str);
        let is_full = live.get(function).is_some_and(|live| *live >= capacity(function));
        let is_older = placeholder.created < gateway.started;
        if !gateway.running || is_older || is_full {
            engine.remove_container(&placeholder.id).await?;
        }
    }
    Ok(())
}
