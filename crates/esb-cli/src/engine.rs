//! Finds the container engine that this machine's settings name.

use std::sync::Arc;

use esb_image::docker::{DockerEngine, EngineAddress};
use esb_oci::{ContentStore, CredentialSource};

use crate::{
    environment::Environment,
    exit::{Exit, Failure},
};

/// Connects to the engine; what is exported from it lies in `store`.
pub(crate) async fn connect(
    environment: &Environment,
    store: &ContentStore,
    credentials: Arc<dyn CredentialSource>,
) -> Result<DockerEngine, Failure> {
    let address = match environment.get("DOCKER_HOST") {
        Some(host) => host.parse().map_err(|error| Failure::of(Exit::Usage, "engine", &error))?,
        None => EngineAddress::default(),
    };
    let engine = DockerEngine::connect(&address).await?;
    Ok(engine.with_store(store.clone()).with_credentials(credentials))
}
