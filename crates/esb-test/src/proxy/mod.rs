//! A proxy between a client and a registry that records all requests and injects faults.
//!
//! Owns the listening socket and its threads. Passes bytes on as they are: the `Host` header is
//! the client's, so that a registry names the proxy in each `Location`, and an upload goes on
//! through it. Refuses TLS, and any upstream that is not on loopback.

mod fault;
mod record;
mod relay;

pub use fault::{Fault, RequestHead, Rule};
pub use record::Exchange;

use crate::Error;
use fault::Rules;
use record::{Log, lock};
use std::{
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// A running proxy, which ends with all its connections when this is dropped.
#[derive(Debug)]
pub struct LoggingProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// What the connections have in common.
#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    log: Log,
    rules: Rules,
    /// How many requests are under way.
    under_way: AtomicUsize,
    stopping: AtomicBool,
    /// Wakes stalled connections when the proxy stops.
    wake: (Mutex<()>, Condvar),
    open: Mutex<Vec<Weak<TcpStream>>>,
}

impl LoggingProxy {
    /// Starts a proxy on a free loopback port, in front of `upstream` (`127.0.0.1:PORT`).
    ///
    /// Nothing is sent upstream before a client asks, so upstream may start later, or never.
    ///
    /// # Errors
    /// [`Error::Net`] when `upstream` is not a loopback address or no port is free.
    pub fn start(upstream: &str) -> Result<Self, Error> {
        let parsed = upstream.parse().map_err(io::Error::other);
        let upstream: SocketAddr = parsed.map_err(Error::net("understand", upstream))?;
        if !upstream.ip().is_loopback() {
            let source = io::Error::from(io::ErrorKind::AddrNotAvailable);
            return Err(Error::net("stand in front of", upstream.to_string())(source));
        }
        let listen = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = listen().map_err(Error::net("listen on", "127.0.0.1:0"))?;
        let shared = Arc::new(Shared {
            upstream,
            log: Log::default(),
            rules: Rules::default(),
            under_way: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            wake: (Mutex::new(()), Condvar::new()),
            open: Mutex::default(),
        });
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Everything that was asked since the start or the last [`LoggingProxy::clear`], in order.
    pub fn requests(&self) -> Vec<Exchange> {
        self.shared.log.snapshot()
    }

    /// How many requests are under way. One ends a little after its client has the answer.
    pub fn under_way(&self) -> usize {
        self.shared.under_way.load(Ordering::SeqCst)
    }

    /// How many requests of that method have `part` in their path and query.
    pub fn count(&self, method: &str, part: &str) -> usize {
        let matching =
            |exchange: &Exchange| exchange.method == method && exchange.target.contains(part);
        self.requests().iter().filter(|exchange| matching(exchange)).count()
    }

    /// Forgets what was asked so far.
    pub fn clear(&self) {
        self.shared.log.clear();
    }

    /// Adds a rule after those in force; the first that matches a request applies its fault.
    pub fn inject(&self, rule: Rule) {
        self.shared.rules.add(rule);
    }

    /// Removes every rule. Requests that are already stalled stay so.
    pub fn heal(&self) {
        self.shared.rules.clear();
    }
}

impl Drop for LoggingProxy {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        {
            let _guard = lock(&self.shared.wake.0);
            self.shared.wake.1.notify_all();
        }
        // The acceptor sees one more connection and then the flag.
        let _woken = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ended = acceptor.join();
        }
    }
}

impl Shared {
    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Waits that long, or until the proxy stops.
    fn stall(&self, time: Duration) {
        let guard = lock(&self.wake.0);
        let _over = self.wake.1.wait_timeout_while(guard, time, |()| !self.stopping());
    }

    /// Keeps a connection in mind, so that it can be ended with the proxy.
    fn remember(&self, stream: TcpStream) -> Arc<TcpStream> {
        let stream = Arc::new(stream);
        let mut open = lock(&self.open);
        open.retain(|other| other.strong_count() > 0);
        open.push(Arc::downgrade(&stream));
        if self.stopping() {
            let _ended = stream.shutdown(Shutdown::Both);
        }
        stream
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut connections: Vec<JoinHandle<()>> = Vec::new();
    for client in listener.incoming() {
        if shared.stopping() {
            break;
        }
        // A client that is gone before it was accepted is no matter.
        let Ok(client) = client else { continue };
        connections.retain(|connection| !connection.is_finished());
        let shared = Arc::clone(shared);
        connections.push(thread::spawn(move || relay::serve(&shared.remember(client), &shared)));
    }
    for stream in lock(&shared.open).iter().filter_map(Weak::upgrade) {
        let _ended = stream.shutdown(Shutdown::Both);
    }
    for connection in connections {
        let _ended = connection.join();
    }
}
