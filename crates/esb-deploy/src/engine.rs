//! Connects to the container engine, and reads the platform's mode from its containers.

use std::sync::Arc;

use esb_image::docker::{ClientSettings, DockerEngine};
use esb_oci::{ContentStore, CredentialSource};

use crate::{
    error::{Error, Kind},
    options::Mode,
};

/// Connects to the engine; what is exported from it lies in `store`.
///
/// # Errors
/// When the settings name no engine, or it does not answer.
pub async fn connect(
    settings: &ClientSettings,
    store: &ContentStore,
    credentials: Arc<dyn CredentialSource>,
) -> Result<DockerEngine, Error> {
    let address = settings.address().map_err(|error| Error::of(Kind::Usage, "engine", &error))?;
    let engine = DockerEngine::connect(&address).await?;
    Ok(engine.with_store(store.clone()).with_credentials(credentials))
}

/// Reads the mode of a running compose project from its containers
/// (docs/contracts/platform.md#compose-projects).
///
/// # Errors
/// When the engine does not answer.
pub async fn mode_of(engine: &DockerEngine, compose_project: &str) -> Result<Option<Mode>, Error> {
    for (service, mode) in [("runtime-node", Mode::Containerd), ("agent", Mode::Docker)] {
        let labels = [("project", compose_project), ("service", service)]
            .map(|(key, value)| (format!("com.docker.compose.{key}"), value.to_owned()));
        if engine.containers(&labels).await?.iter().any(|container| container.running) {
            return Ok(Some(mode));
        }
    }
    Ok(None)
}
