//! Finds the container engine that this machine's settings name.

use std::{path::PathBuf, sync::Arc};

use esb_image::docker::{ClientSettings, DockerEngine};
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
