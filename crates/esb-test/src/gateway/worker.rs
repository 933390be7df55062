//! Starts and removes the containers of functions, as the Agent does.

use std::{
    fmt,
    net::{SocketAddr, TcpStream},
    process,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::GatewaySettings;
use crate::{DockerEngine, Error};

const PORT: u16 = 8080;
/// A worker listens within that time.
const READY: Duration = Duration::from_secs(30);
/// Of one attempt to connect: the first packet to an address that another container had just before
/// may get lost, and the kernel repeats it ever more slowly.
const ATTEMPT: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(20);

/// A container of a function, by what a Gateway remembers of it.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    pub(super) name: String,
    pub(super) address: String,
}

/// Starts containers with the Agent's labels.
pub(super) struct Agent {
    engine: DockerEngine,
    network: String,
    environment: String,
    owner: String,
    started: AtomicU32,
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Agent({} on {})", self.owner, self.engine.host())
    }
}

impl Agent {
    pub(super) fn new(engine: DockerEngine, settings: &GatewaySettings) -> Self {
        Self {
            engine,
            network: settings.network.clone(),
            environment: settings.environment.clone(),
            owner: settings.owner.clone(),
            started: AtomicU32::new(0),
        }
    }

    /// Starts a worker and waits until it listens.
    pub(super) fn start(&self, function: &str, image: &str) -> Result<Worker, Error> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let random = u64::from(process::id()) << 16 | u64::from(number);
        let name = format!("esb-{}-{function}-{:08x}", self.environment, random & 0xffff_ffff);
        let labels = [
            format!("esb_function={function}"),
            format!("esb_env={}", self.environment),
            "created_by=esb-agent".to_owned(),
            "com.esb.kind=function".to_owned(),
            format!("com.esb.owner={}", self.owner),
        ];
        let mut run = vec!["run", "--detach", "--network", &self.network, "--name", &name];
        for label in &labels {
            run.extend(["--label", label]);
        }
        run.push(image);
        self.engine.output(run)?;
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let address = self.engine.output(["inspect", "--format", format, &name])?;
        let worker = Worker { name, address: format!("{address}:{PORT}") };
        self.wait(&worker)?;
        Ok(worker)
    }

    fn wait(&self, worker: &Worker) -> Result<(), Error> {
        let start = Instant::now();
        loop {
            let address: Option<SocketAddr> = worker.address.parse().ok();
            let connected = address.map(|address| TcpStream::connect_timeout(&address, ATTEMPT));
            if matches!(connected, Some(Ok(_))) {
                return Ok(());
            }
            if start.elapsed() > READY {
                return Err(Error::Silent {
                    program: worker.name.clone(),
                    seconds: READY.as_secs(),
                    log: self.engine.output(["logs", &worker.name]).unwrap_or_default(),
                });
            }
            thread::sleep(LOOK);
        }
    }

    /// Removes a worker, which may be gone.
    pub(super) fn remove(&self, worker: &Worker) {
        let _gone = self.engine.docker().args(["rm", "--force", &worker.name]).output();
    }

    /// Removes all of this owner's.
    pub(super) fn remove_all(&self) {
        let label = format!("label=com.esb.owner={}", self.owner);
        let listed = self.engine.output(["ps", "--all", "--quiet", "--filter", &label]);
        for id in listed.unwrap_or_default().lines() {
            let _gone = self.engine.docker().args(["rm", "--force", id]).output();
        }
    }
}
