//! A container that holds the address of a worker that was stopped, so that no other container gets
//! the address, and connections to it are refused until the Gateway has forgotten it.
//!
//! The engine gives a freed address to the next container that starts. So the placeholder runs
//! before the worker ends, and is attached to the network in the moment in which the address gets
//! free. It is made of the worker's own image, in which only a program of ours runs.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use bollard::{
    body_full,
    errors::Error as DockerApiError,
    models::{
        ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HealthConfig, HostConfig,
        HostConfigLogConfig, NetworkConnectRequest, NetworkDisconnectRequest,
    },
    query_parameters::{
        EventsOptionsBuilder, KillContainerOptionsBuilder, UploadToContainerOptionsBuilder,
    },
};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::oneshot;

use super::{
    DockerEngine,
    container::{self, StartedContainer},
    container_info::{Attachment, ContainerInfo},
    engine::api_error,
    process::Process,
    sleep_program,
};
use crate::Error;

/// Where the program lies in a placeholder.
const PROGRAM: &str = "esb-placeholder";
/// The most placeholders that take lower addresses of a network which cannot be asked for one.
const FILLERS: usize = 16;
/// How often an address is asked for that is not free yet.
const LOOK: Duration = Duration::from_millis(2);
/// The longest time to wait for an address that was freed.
const TAKES: Duration = Duration::from_secs(2);
/// From that version on an address of the hardware goes with the network; engines before derive it
/// from the IP address.
const HARDWARE_ADDRESS: (usize, usize) = (1, 44);

/// The settings of a placeholder.
#[derive(Debug, Clone)]
pub struct PlaceholderSpec {
    pub labels: BTreeMap<String, String>,
    /// The time after which it ends and is removed.
    pub life: Duration,
}

/// A placeholder whose worker still runs. It is removed when it is dropped.
pub struct Placeholder {
    engine: DockerEngine,
    running: StartedContainer,
    attachments: Vec<(Attachment, Ipv4Addr)>,
    way: AddressPolicy,
    /// The worker's.
    process: Option<Process>,
    /// Hold lower addresses, so that the worker's is the next one.
    fillers: Vec<StartedContainer>,
}

/// The way in which a network assigns addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AddressPolicy {
    /// The one that is asked for.
    Asked,
    /// The lowest that is free.
    Lowest,
}

/// Whether a placeholder has got a worker's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressResult {
    /// A placeholder has it.
    Held,
    /// The worker ended, and another container may have its address.
    Lost(String),
}

impl fmt::Debug for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Placeholder").field(&self.running.id).finish()
    }
}

impl DockerEngine {
    /// Prepares a placeholder for a worker that still runs.
    ///
    /// # Errors
    /// When the worker has no address of its own, its image is for an unknown architecture, or the
    /// engine refuses.
    pub async fn placeholder(
        &self,
        worker: &ContainerInfo,
        spec: &PlaceholderSpec,
    ) -> Result<Placeholder, Error> {
        let refused = |reason: &str| Error::Engine {
            action: "hold the address of",
            subject: worker.name.clone(),
            reason: reason.to_owned(),
        };
        let attachments = worker.networks.iter().cloned();
        let attachments: Vec<(Attachment, Ipv4Addr)> = attachments
            .filter_map(|attachment| attachment.address.map(|address| (attachment, address)))
            .collect();
        let Some((first, address)) = attachments.first() else {
            return Err(refused("it has no address of its own"));
        };
        let image = self.inspect(&worker.image_id).await?;
        let architecture = image.and_then(|image| image.architecture).unwrap_or_default();
        let program = sleep_program::program(&architecture, spec.life.as_secs());
        let program =
            program.ok_or_else(|| refused(&format!("its image is for `{architecture}`")))?;
        let mut fillers = Vec::new();
        loop {
            let running = self.start_placeholder(worker, first, spec, &program).await?;
            let lower = self.address_of(&running.id, first).await?.is_some_and(|at| at < *address);
            self.detach(&running.id, first).await?;
            let way = self.way(&running.id, first, *address).await?;
            if way == AddressPolicy::Lowest && attachments.len() > 1 {
                return Err(refused("it is in several networks, one without a subnet of its own"));
            }
            if way == AddressPolicy::Asked || !lower {
                let (engine, process) = (self.clone(), Process::of(worker));
                return Ok(Placeholder { engine, running, attachments, way, process, fillers });
            }
            if fillers.len() == FILLERS {
                return Err(refused("its network has many free addresses below"));
            }
            self.attach(&running.id, first, None).await?;
            fillers.push(running);
        }
    }

    async fn start_placeholder(
        &self,
        worker: &ContainerInfo,
        network: &Attachment,
        spec: &PlaceholderSpec,
        program: &[u8],
    ) -> Result<StartedContainer, Error> {
        let body = ContainerCreateBody {
            image: Some(worker.image_id.clone()),
            entrypoint: Some(vec![format!("/{PROGRAM}")]),
            cmd: Some(Vec::new()),
            user: Some("65534:65534".to_owned()),
            working_dir: Some("/".to_owned()),
            labels: Some(spec.labels.clone().into_iter().collect()),
            stop_signal: Some("SIGKILL".to_owned()),
            healthcheck: Some(HealthConfig {
                test: Some(vec!["NONE".to_owned()]),
                ..HealthConfig::default()
            }),
            host_config: Some(HostConfig {
                network_mode: Some(network.id.clone()),
                auto_remove: Some(true),
                cap_drop: Some(vec!["ALL".to_owned()]),
                security_opt: Some(vec!["no-new-privileges".to_owned()]),
                log_config: Some(HostConfigLogConfig {
                    typ: Some("none".to_owned()),
                    config: None,
                }),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let mut running = container::create(self, body, &worker.image_id).await?;
        let mut header = tar::Header::new_gnu();
        header.set_size(program.len() as u64);
        header.set_mode(0o755);
        let mut archive = tar::Builder::new(Vec::new());
        let packed = archive.append_data(&mut header, PROGRAM, program);
        let packed = packed.and_then(|()| archive.into_inner());
        let packed =
            packed.map_err(|err| api_error("pack", PROGRAM)(DockerApiError::IOError { err }))?;
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        let docker = self.docker();
        let started = async {
            docker
                .upload_to_container(&running.id, Some(options), body_full(packed.into()))
                .await?;
            docker.start_container(&running.id, None).await
        };
        if let Err(error) = started.await {
            running.remove().await?;
            return Err(api_error("start a placeholder for", &worker.name)(error));
        }
        Ok(running)
    }

    /// How a network gives addresses, found out with one that is taken.
    async fn way(
        &self,
        id: &str,
        network: &Attachment,
        taken: Ipv4Addr,
    ) -> Result<AddressPolicy, Error> {
        match self.try_attach(id, network, Some(taken)).await {
            Err(DockerApiError::DockerResponseServerError { message, .. })
                if message.contains("user specified IP address is supported") =>
            {
                Ok(AddressPolicy::Lowest)
            }
            Err(_) => Ok(AddressPolicy::Asked),
            Ok(()) => {
                self.detach(id, network).await?;
                let reason =
                    format!("the address {taken} is not in use in the network {}", network.network);
                Err(Error::Engine { action: "hold", subject: taken.to_string(), reason })
            }
        }
    }

    async fn attach(
        &self,
        id: &str,
        network: &Attachment,
        address: Option<Ipv4Addr>,
    ) -> Result<(), Error> {
        let attached = self.try_attach(id, network, address).await;
        attached.map_err(api_error("attach a container to", &network.network))
    }

    async fn try_attach(
        &self,
        id: &str,
        network: &Attachment,
        address: Option<Ipv4Addr>,
    ) -> Result<(), DockerApiError> {
        let ipam = address.map(|address| EndpointIpamConfig {
            ipv4_address: Some(address.to_string()),
            ..EndpointIpamConfig::default()
        });
        // Whoever knows the hardware's address from before need not ask for it again.
        let mac = network.mac.clone().filter(|_| self.api() >= HARDWARE_ADDRESS);
        let endpoint = EndpointSettings {
            ipam_config: ipam,
            mac_address: mac.filter(|_| address.is_some()),
            ..EndpointSettings::default()
        };
        let request =
            NetworkConnectRequest { container: id.to_owned(), endpoint_config: Some(endpoint) };
        self.docker().connect_network(&network.id, request).await
    }

    async fn detach(&self, id: &str, network: &Attachment) -> Result<(), Error> {
        let request = NetworkDisconnectRequest { container: id.to_owned(), force: Some(true) };
        let detached = self.docker().disconnect_network(&network.id, request).await;
        detached.map_err(api_error("detach a container from", &network.network))
    }

    async fn address_of(&self, id: &str, network: &Attachment) -> Result<Option<Ipv4Addr>, Error> {
        let container = self.container(id).await?;
        let mut networks = container.into_iter().flat_map(|container| container.networks);
        Ok(networks.find(|own| own.id == network.id).and_then(|own| own.address))
    }

    /// The ids of networks that a container leaves from now on.
    fn disconnections(&self, container: &str) -> impl Stream<Item = String> + use<> {
        let filters = [("type", "network"), ("event", "disconnect")]
            .map(|(key, value)| (key.to_owned(), vec![value.to_owned()]));
        let options = EventsOptionsBuilder::new().filters(&HashMap::from(filters)).build();
        let container = container.to_owned();
        self.docker().events(Some(options)).filter_map(move |event| {
            let actor = event.ok().and_then(|event| event.actor).unwrap_or_default();
            let of = actor.attributes.unwrap_or_default().remove("container");
            std::future::ready(actor.id.filter(|_| of.as_deref() == Some(&*container)))
        })
    }

    async fn kill(&self, worker: &ContainerInfo) -> Result<(), Error> {
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        match self.docker().kill_container(&worker.id, Some(options)).await {
            // It ended by itself.
            Ok(())
            | Err(DockerApiError::DockerResponseServerError { status_code: 404 | 409, .. }) => {
                Ok(())
            }
            Err(error) => Err(api_error("end", &worker.name)(error)),
        }
    }
}

impl Placeholder {
    /// Ends the worker and takes its address. The worker's container is left, for its log.
    ///
    /// # Errors
    /// When the engine refuses to end the worker, which then still runs.
    pub async fn replace(mut self, worker: &ContainerInfo) -> Result<AddressResult, Error> {
        let (tell, told) = oneshot::channel();
        if let Some(process) = &self.process {
            process.kill();
        }
        let end = async {
            let ended = self.engine.kill(worker).await;
            // Nobody waits for it once the addresses are taken.
            let _heard = tell.send(ended.is_ok());
            ended
        };
        let (ended, held) = tokio::join!(end, self.hold(&worker.id, told));
        for filler in &mut self.fillers {
            filler.remove().await?;
        }
        match (ended, held) {
            (Err(error), _) => {
                self.running.remove().await?;
                Err(error)
            }
            (Ok(()), Ok(())) => {
                self.running.keep();
                Ok(AddressResult::Held)
            }
            (Ok(()), Err(error)) => {
                self.running.remove().await?;
                Ok(AddressResult::Lost(error.to_string()))
            }
        }
    }

    /// Removes the placeholder when its worker is kept.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn discard(mut self) -> Result<(), Error> {
        for filler in &mut self.fillers {
            filler.remove().await?;
        }
        self.running.remove().await
    }

    /// Takes each address as soon as the worker has left the network, or has ended at the latest.
    async fn hold(&self, worker: &str, mut told: oneshot::Receiver<bool>) -> Result<(), Error> {
        let events = self.engine.disconnections(worker);
        tokio::pin!(events);
        let (mut left, mut has_ended) = (BTreeSet::new(), false);
        for (network, address) in &self.attachments {
            while !left.contains(&network.id) && !has_ended {
                tokio::select! {
                    Some(id) = events.next() => {
                        left.insert(id);
                    }
                    ended = &mut told => match ended {
                        Ok(true) => has_ended = true,
                        // It still runs.
                        _ => return Ok(()),
                    },
                }
            }
            self.take(network, *address).await?;
        }
        Ok(())
    }

    async fn take(&self, network: &Attachment, address: Ipv4Addr) -> Result<(), Error> {
        let (engine, id) = (&self.engine, &self.running.id);
        let start = Instant::now();
        loop {
            let asked = (self.way == AddressPolicy::Asked).then_some(address);
            let failed = match engine.try_attach(id, network, asked).await {
                Ok(()) if engine.address_of(id, network).await? == Some(address) => return Ok(()),
                Ok(()) => {
                    engine.detach(id, network).await?;
                    DockerApiError::DockerStreamError {
                        error: "another address was given".to_owned(),
                    }
                }
                Err(error) => error,
            };
            if start.elapsed() > TAKES {
                return Err(api_error("take an address of", &network.network)(failed));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
