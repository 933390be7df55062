//! A Gateway for tests, with real workers on a real engine: it manages its pool of workers as the
//! platform's Gateway does.
//!
//! Owns the pool's rules. An idle worker is handed out by its remembered address, and nobody looks
//! whether it lives. A refused connection evicts it, and the call is tried with another; every other
//! failure of a connection is a 502. Five failures in a row open a function's circuit. A new
//! configuration is noticed by its time of modification, and does not touch workers that there are.
//! Refuses HTTP, routes and events: a call is a function's name and a payload. It never forgets a
//! worker for being idle.

mod client;
mod pool;
mod worker;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use self::{
    client::{Client, Reply},
    pool::{Acquired, Pool},
    worker::Agent,
};
use crate::{DockerEngine, Error};

/// How often the configuration's time of modification is looked at.
const RELOAD: Duration = Duration::from_secs(1);
/// How long a call waits for a worker.
const ACQUIRE: Duration = Duration::from_secs(30);
/// So many failures in a row open the circuit, for so long.
const FAILURES: u32 = 5;
const OPEN: Duration = Duration::from_secs(30);

/// A function as the configuration has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayFunction {
    pub image: String,
    pub capacity: usize,
}

/// Reads the functions of a configuration's folder; none when it is broken, and the old one stays.
pub type Load = Box<dyn Fn(&Path) -> Option<BTreeMap<String, GatewayFunction>> + Send + Sync>;

/// The settings of a Gateway.
#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// Where the configuration lies.
    pub folder: PathBuf,
    /// The network of the workers, which this machine reaches.
    pub network: String,
    /// What the Agent labels workers with.
    pub environment: String,
    pub owner: String,
}

/// The result of a call.
#[derive(Debug, Clone)]
pub struct Called {
    pub status: u16,
    /// The function's answer, or what went wrong.
    pub body: String,
    /// The last worker that was tried.
    pub worker: String,
    /// How many workers refused the connection before.
    pub refused: u32,
}

/// A Gateway that runs. Its workers are removed when it is dropped.
pub struct Gateway {
    inner: Arc<Inner>,
    reloader: Option<JoinHandle<()>>,
}

struct Inner {
    agent: Agent,
    client: Client,
    functions: Mutex<BTreeMap<String, GatewayFunction>>,
    pools: Mutex<BTreeMap<String, Arc<Pool>>>,
    circuits: Mutex<BTreeMap<String, Circuit>>,
    stopped: AtomicBool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Circuit {
    failures: u32,
    open: Option<Instant>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gateway").field(&self.inner.agent).finish()
    }
}

impl Gateway {
    /// Starts one on an engine.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub fn start(
        engine: &DockerEngine,
        settings: &GatewaySettings,
        load: Load,
    ) -> Result<Self, Error> {
        let inner = Arc::new(Inner {
            agent: Agent::new(DockerEngine::existing(engine.host())?, settings),
            client: Client::default(),
            functions: Mutex::default(),
            pools: Mutex::default(),
            circuits: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let (watching, folder) = (Arc::clone(&inner), settings.folder.clone());
        let reloader = thread::spawn(move || watching.watch(&folder, &load));
        Ok(Self { inner, reloader: Some(reloader) })
    }

    /// Calls a function.
    pub fn call(&self, function: &str, payload: &[u8]) -> Called {
        let called = self.inner.call(function, payload);
        self.inner.count(function, called.status);
        called
    }

    /// Whether the configuration has a function with this image.
    pub fn knows(&self, function: &str, image: &str) -> bool {
        locked(&self.inner.functions).get(function).is_some_and(|known| known.image == image)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.inner.stopped.store(true, Ordering::Relaxed);
        if let Some(reloader) = self.reloader.take() {
            // It has nothing to tell.
            let _ended = reloader.join();
        }
        self.inner.agent.remove_all();
    }
}

impl Inner {
    fn watch(&self, folder: &Path, load: &Load) {
        let file = folder.join("functions.yml");
        let mut seen = 0;
        while !self.stopped.load(Ordering::Relaxed) {
            let modified = file.metadata().and_then(|metadata| metadata.modified());
            let modified = modified
                .ok()
                .and_then(|time| Some(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs()));
            if let Some(modified) = modified.filter(|modified| *modified > seen) {
                seen = modified;
                if let Some(functions) = load(folder) {
                    *locked(&self.functions) = functions;
                }
            }
            thread::sleep(RELOAD);
        }
    }

    fn call(&self, function: &str, payload: &[u8]) -> Called {
        let failed = |status, body: &str, worker: &str, refused| Called {
            status,
            body: body.to_owned(),
            worker: worker.to_owned(),
            refused,
        };
        if self.is_open(function) {
            return failed(503, "the circuit is open", "", 0);
        }
        let Some(known) = locked(&self.functions).get(function).cloned() else {
            return failed(404, "no such function", "", 0);
        };
        let pool = Arc::clone(
            locked(&self.pools)
                .entry(function.to_owned())
                .or_insert_with(|| Arc::new(Pool::new(known.capacity))),
        );
        let mut refused = 0;
        loop {
            let worker = match pool.acquire(ACQUIRE) {
                Acquired::Idle(worker) => worker,
                Acquired::Room => match self.agent.start(function, &known.image) {
                    Ok(worker) => worker,
                    Err(error) => {
                        pool.evict();
                        return failed(503, &error.to_string(), "", refused);
                    }
                },
                Acquired::Nothing => return failed(503, "no worker got free", "", refused),
            };
            match self.client.invoke(&worker.address, payload) {
                Reply::Refused => {
                    refused += 1;
                    pool.evict();
                    self.agent.remove(&worker);
                }
                Reply::Failed(reason) => {
                    let name = worker.name.clone();
                    pool.give_back(worker);
                    return failed(502, &reason, &name, refused);
                }
                Reply::Answered(body) => {
                    let name = worker.name.clone();
                    pool.give_back(worker);
                    return failed(200, &body, &name, refused);
                }
            }
        }
    }

    fn is_open(&self, function: &str) -> bool {
        let circuit = locked(&self.circuits).get(function).copied().unwrap_or_default();
        circuit.open.is_some_and(|open| open.elapsed() < OPEN)
    }

    fn count(&self, function: &str, status: u16) {
        let mut circuits = locked(&self.circuits);
        let circuit = circuits.entry(function.to_owned()).or_default();
        if status == 502 {
            circuit.failures += 1;
            circuit.open = (circuit.failures >= FAILURES).then(Instant::now);
        } else if status < 500 {
            *circuit = Circuit::default();
        }
    }
}

/// What a panic of another thread left is still what it was.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
