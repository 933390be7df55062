//! Finds the container engine that this machine's settings name.

use std::{path::PathBuf, sync::Arc};

use esb_image::docker::{ClientSettings, DockerEngine};
use esb_oci::{ContentStore, CredentialSource};

use crate::{
    access,
    cli::Mode,
    environment::Environment,
    exit::{Exit, Failure},
};

/// Connects to the engine; what is exported from it lies in `store`.
pub(crate) async fn connect(
    environment: &Environment,
    store: &ContentStore,
    credentials: Arc<dyn CredentialSource>,
) -> Result<DockerEngine, Failure> {
    let get = |name| environment.get(name).map(str::to_owned);
    let settings = ClientSettings {
        host: get("DOCKER_HOST"),
        tls_verify: get("DOCKER_TLS_VERIFY"),
        cert_path: get("DOCKER_CERT_PATH").map(PathBuf::from),
        context: get("DOCKER_CONTEXT"),
        config: environment.docker_config(),
    };
    let address = settings.address().map_err(|error| Failure::of(Exit::Usage, "engine", &error))?;
    let engine = DockerEngine::connect(&address).await?;
    Ok(engine.with_store(store.clone()).with_credentials(credentials))
}

/// The mode of a compose project that runs: its containers tell
/// (docs/contracts/platform.md#compose-projects).
pub(crate) async fn mode_of(
    engine: &DockerEngine,
    compose_project: &str,
) -> Result<Option<Mode>, Failure> {
    for (service, mode) in [("runtime-node", Mode::Containerd), ("agent", Mode::Docker)] {
        let labels = [("project", compose_project), ("service", service)]
            .map(|(key, value)| (format!("com.docker.compose.{key}"), value.to_owned()));
        if engine.others(&labels).await?.iter().any(|container| container.running) {
            return Ok(Some(mode));
        }
    }
    Ok(None)
}

/// As [`mode_of`], with a connection of its own; an engine that does not answer knows of none.
pub(crate) async fn running_mode(
    environment: &Environment,
    store: &ContentStore,
    compose_project: &str,
) -> Option<Mode> {
    let credentials = access::docker_credentials(environment).ok()?;
    let engine = connect(environment, store, credentials).await.ok()?;
    mode_of(&engine, compose_project).await.ok()?
}
