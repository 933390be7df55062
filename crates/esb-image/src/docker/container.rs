//! A container that was started here, with its port on loopback.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use bollard::{
    container::LogOutput,
    errors::Error as DockerApiError,
    models::{ContainerCreateBody, HostConfig, Mount, MountType, PortBinding},
    query_parameters::{
        CreateContainerOptions, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
        StopContainerOptionsBuilder,
    },
};
use esb_oci::BoxFuture;
use futures_util::StreamExt as _;

use super::{
    DockerEngine,
    engine::{api_error, checked},
};
use crate::{Container, Error, RunSpec};

/// The most bytes that are kept of what a container wrote: the last ones.
const LOG: usize = 4 * 1024 * 1024;
/// The longest time that a dropped container may take.
const DROP: Duration = Duration::from_secs(20);

/// See [`crate::Engine::run`].
pub(super) async fn run(
    engine: &DockerEngine,
    spec: &RunSpec,
) -> Result<Box<dyn Container>, Error> {
    checked("run", &spec.image)?;
    let mut container = start(engine, body(spec), &spec.image).await?;
    match container.published(spec.port).await {
        Ok(Some(port)) => container.address.set_port(port),
        // It may have ended already; whoever asks for the exit code learns that.
        Ok(None) if container.exit_code().await?.is_some() => {}
        Ok(None) => {
            container.remove().await?;
            let reason = format!("port {} was not published", spec.port);
            return Err(Error::Engine { action: "run", subject: spec.image.clone(), reason });
        }
        Err(error) => {
            container.remove().await?;
            return Err(error);
        }
    }
    Ok(Box::new(container))
}

/// Makes a container and starts it.
pub(super) async fn start(
    engine: &DockerEngine,
    body: ContainerCreateBody,
    image: &str,
) -> Result<StartedContainer, Error> {
    let mut container = create(engine, body, image).await?;
    match engine.docker().start_container(&container.id, None).await {
        Ok(()) => Ok(container),
        Err(error) => {
            container.remove().await?;
            Err(api_error("start a container of", image)(error))
        }
    }
}

/// Makes a container.
pub(super) async fn create(
    engine: &DockerEngine,
    body: ContainerCreateBody,
    image: &str,
) -> Result<StartedContainer, Error> {
    let created = engine.docker().create_container(None::<CreateContainerOptions>, body).await;
    let id = created.map_err(api_error("create a container of", image))?.id;
    let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    // Owns the container from here on, so that it goes when a step fails.
    Ok(StartedContainer { engine: engine.clone(), id, address: loopback, removed: false })
}

fn body(spec: &RunSpec) -> ContainerCreateBody {
    let port = format!("{}/tcp", spec.port);
    let loopback =
        PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(String::new()) };
    let mounts = spec.mounts.iter().map(|(source, target)| Mount {
        source: Some(source.display().to_string()),
        target: Some(target.clone()),
        typ: Some(MountType::BIND),
        read_only: Some(true),
        ..Mount::default()
    });
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        env: Some(spec.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(spec.labels.clone().into_iter().collect()),
        exposed_ports: Some(vec![port.clone()]),
        host_config: Some(HostConfig {
            port_bindings: Some(HashMap::from([(port, Some(vec![loopback]))])),
            mounts: Some(mounts.collect()),
            memory: spec.memory.map(|megabytes| i64::from(megabytes) * 1024 * 1024),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// A container of ours.
pub(super) struct StartedContainer {
    engine: DockerEngine,
    pub(super) id: String,
    address: SocketAddr,
    removed: bool,
}

impl StartedContainer {
    async fn published(&self, port: u16) -> Result<Option<u16>, Error> {
        let container = self.engine.docker().inspect_container(&self.id, None).await;
        let container = container.map_err(api_error("inspect container", &self.id))?;
        let ports = container.network_settings.and_then(|network| network.ports);
        let bindings = ports.and_then(|mut ports| ports.remove(&format!("{port}/tcp"))).flatten();
        let binding = bindings.into_iter().flatten().find_map(|binding| binding.host_port);
        Ok(binding.and_then(|port| port.parse().ok()))
    }

    /// Leaves it to itself.
    pub(super) fn keep(mut self) {
        self.removed = true;
    }

    pub(super) async fn remove(&mut self) -> Result<(), Error> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self.engine.docker().remove_container(&self.id, Some(options)).await {
            // Also when it is gone, or on its way.
            Ok(())
            | Err(DockerApiError::DockerResponseServerError { status_code: 404 | 409, .. }) => {
                self.removed = true;
                Ok(())
            }
            Err(error) => Err(api_error("remove container", &self.id)(error)),
        }
    }
}

impl Container for StartedContainer {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn logs(&self) -> BoxFuture<'_, Result<String, Error>> {
        Box::pin(async move {
            let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("all").build();
            let mut lines = self.engine.docker().logs(&self.id, Some(options));
            let mut bytes = Vec::new();
            while let Some(line) = lines.next().await {
                let line = line.map_err(api_error("read the log of container", &self.id))?;
                bytes.extend_from_slice(&LogOutput::into_bytes(line));
                if bytes.len() > 2 * LOG {
                    bytes.drain(..bytes.len() - LOG);
                }
            }
            let start = bytes.len().saturating_sub(LOG);
            Ok(String::from_utf8_lossy(&bytes[start..]).into_owned())
        })
    }

    fn exit_code(&self) -> BoxFuture<'_, Result<Option<i64>, Error>> {
        Box::pin(async move {
            let container = self.engine.docker().inspect_container(&self.id, None).await;
            let container = container.map_err(api_error("inspect container", &self.id))?;
            let state = container.state.unwrap_or_default();
            Ok(if state.running == Some(true) { None } else { state.exit_code })
        })
    }

    fn stop(mut self: Box<Self>, grace: Duration) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async move {
            let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
            let options = StopContainerOptionsBuilder::new().t(seconds).build();
            let (docker, _guard) = self.engine.long("stop a container of")?;
            match docker.stop_container(&self.id, Some(options)).await {
                Ok(())
                | Err(DockerApiError::DockerResponseServerError {
                    status_code: 304 | 404, ..
                }) => {}
                Err(error) => return Err(api_error("stop container", &self.id)(error)),
            }
            self.remove().await
        })
    }
}

impl Drop for StartedContainer {
    /// Removes the container on a thread of its own, for the runtime may be about to end.
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        let (engine, id) = (self.engine.clone(), std::mem::take(&mut self.id));
        let remove = move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            let removal = engine.docker().remove_container(&id, Some(options));
            runtime.block_on(async { tokio::time::timeout(DROP, removal).await.ok() })?.ok()
        };
        // Nothing more can be done about a container that stays.
        let _best_effort = std::thread::spawn(remove).join();
    }
}
