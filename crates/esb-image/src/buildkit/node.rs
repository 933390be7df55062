//! One daemon: its health, the session with it, and how many builds it runs at a time.
//!
//! Owns the connection and its health. A daemon that does not answer is asked again after
//! [`RETRY`], by the next build that belongs to it, and comes back when it answers.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bollard_buildkit_proto::moby::buildkit::v1::{
    ListWorkersRequest, control_client::ControlClient,
};
use hyper_util::rt::TokioIo;
use tokio::sync::{Mutex, Semaphore};
use tonic::{
    codegen::{BoxFuture, Service, http::Uri},
    transport::{Channel, Endpoint},
};

use super::{
    failure::words,
    session::{Session, SessionConfig},
};
use crate::daemon::{
    address::EngineAddress,
    chain,
    connect::{CONNECT, Dialer, Expected, Io},
};

/// A daemon that failed is left alone for so long.
pub(super) const RETRY: Duration = Duration::from_secs(5);
/// Solves of one run that a daemon does at a time.
pub(super) const AT_ONCE: usize = 4;
/// A daemon with TLS has to speak HTTP/2, and says so.
const PROTOCOL: &[u8] = b"h2";

/// One daemon of a fleet.
pub(super) struct Node {
    /// Its address, as people write it.
    pub(super) name: String,
    dialer: Dialer,
    authority: String,
    pub(super) permits: Semaphore,
    state: Mutex<NodeState<Link>>,
}

/// What is known of a daemon.
enum NodeState<L> {
    Untried,
    Up(Arc<L>),
    Down { since: Instant, why: String },
}

impl<L> NodeState<L> {
    /// Notes a failure, unless there is a newer connection than the one that failed.
    fn failed(&mut self, link: &Arc<L>, why: &str) {
        if matches!(self, Self::Up(newest) if Arc::ptr_eq(newest, link)) {
            *self = Self::Down { since: Instant::now(), why: why.to_owned() };
        }
    }
}

/// A daemon that answered.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) channel: Channel,
    pub(super) session: Session,
    /// `linux/arm64`; what it builds for, its emulators included.
    platforms: Vec<String>,
}

impl Link {
    pub(super) fn builds_for(&self, platform: &str) -> bool {
        self.platforms.is_empty() || self.platforms.iter().any(|known| known == platform)
    }
}

impl Node {
    /// Prepares connections; nothing is contacted.
    pub(super) fn new(address: EngineAddress, server_name: Option<&str>) -> io::Result<Self> {
        let host = match &address {
            EngineAddress::Tcp { host, port, .. } if host.contains(':') => {
                format!("[{host}]:{port}")
            }
            EngineAddress::Tcp { host, port, .. } => format!("{host}:{port}"),
            EngineAddress::Unix(_) => "localhost".to_owned(),
            #[cfg(feature = "ssh")]
            EngineAddress::Ssh(_) => "localhost".to_owned(),
        };
        let expected = Expected {
            server_name: server_name.map(str::to_owned),
            protocols: vec![PROTOCOL.to_vec()],
        };
        Ok(Self {
            name: address.to_string(),
            authority: server_name.map_or(host, str::to_owned),
            dialer: Dialer::new(address, &expected)?,
            permits: Semaphore::new(AT_ONCE),
            state: Mutex::new(NodeState::Untried),
        })
    }

    /// The connection, made now when there is none; why there is none.
    pub(super) async fn link(&self, config: &SessionConfig) -> Result<Arc<Link>, String> {
        let mut state = self.state.lock().await;
        match &*state {
            NodeState::Up(link) if !link.session.gone.is_cancelled() => {
                return Ok(Arc::clone(link));
            }
            NodeState::Down { since, why } if since.elapsed() < RETRY => return Err(why.clone()),
            _ => {}
        }
        // The whole of it: a daemon that was stopped takes connections, and says nothing.
        let opened = tokio::time::timeout(CONNECT, self.open(config)).await;
        let opened = opened
            .unwrap_or_else(|_| Err(format!("it did not answer within {} s", CONNECT.as_secs())));
        match opened {
            Ok(link) => {
                let link = Arc::new(link);
                *state = NodeState::Up(Arc::clone(&link));
                Ok(link)
            }
            Err(why) => {
                *state = NodeState::Down { since: Instant::now(), why: why.clone() };
                Err(why)
            }
        }
    }

    /// Leaves the daemon out for a while, unless there is a newer connection than the one that
    /// failed.
    pub(super) async fn failed(&self, link: &Arc<Link>, why: &str) {
        self.state.lock().await.failed(link, why);
    }

    async fn open(&self, config: &SessionConfig) -> Result<Link, String> {
        // The first connection is made by itself, because its error says the most.
        let first = self.dialer.connect().await.map_err(|error| chain(&error))?;
        let endpoint = Endpoint::from_shared(format!("http://{}", self.authority));
        let endpoint = endpoint.map_err(|error| chain(&error))?.http2_adaptive_window(true);
        let connector = Connector { first: Some(first), dialer: self.dialer.clone() };
        let channel = endpoint.connect_with_connector(connector).await;
        let tls = matches!(self.dialer.address(), EngineAddress::Tcp { tls: Some(_), .. });
        let channel = channel.map_err(|error| ended(&chain(&error), tls))?;
        let workers = ControlClient::new(channel.clone())
            .list_workers(ListWorkersRequest::default())
            .await
            .map_err(|status| ended(&words(&status), tls))?
            .into_inner();
        let platforms = workers.record.iter().flat_map(|worker| &worker.platforms);
        let platforms =
            platforms.map(|platform| format!("{}/{}", platform.os, platform.architecture));
        let platforms = platforms.collect();
        let session = Session::open(channel.clone(), config, None).await;
        Ok(Link { channel, session: session.map_err(|status| words(&status))?, platforms })
    }
}

/// A daemon that does not accept who asks ends the connection once it stands, without a word.
fn ended(said: &str, tls: bool) -> String {
    if tls && (said.contains("connection closed") || said.contains("broken pipe")) {
        return format!(
            "it ended the connection, as a daemon does that does not accept the client's \
             certificate: {said}"
        );
    }
    said.to_owned()
}

/// Makes the connections of a channel.
struct Connector {
    first: Option<Pin<Box<dyn Io>>>,
    dialer: Dialer,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Pin<Box<dyn Io>>>;
    type Error = io::Error;
    type Future = BoxFuture<Self::Response, io::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (first, dialer) = (self.first.take(), self.dialer.clone());
        Box::pin(async move {
            match first {
                Some(io) => Ok(TokioIo::new(io)),
                None => dialer.connect().await.map(TokioIo::new),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use esb_oci::{Anonymous, ContentStore};

    use super::{super::content::Contents, *};
    use crate::daemon::credentials::DaemonCredentials;

    fn config(folder: &std::path::Path) -> SessionConfig {
        let contents = Contents::new(ContentStore::open(folder.join("store")).unwrap());
        let (renamed, secrets) = Default::default();
        let credentials = Arc::new(DaemonCredentials::new(Arc::new(Anonymous)));
        SessionConfig { credentials, renamed, secrets, contents }
    }

    /// What is known of a daemon that failed so long ago.
    async fn failed_before(node: &Node, ago: Duration) {
        let since = Instant::now().checked_sub(ago).unwrap();
        *node.state.lock().await = NodeState::Down { since, why: "it failed".to_owned() };
    }

    #[tokio::test]
    async fn a_daemon_that_failed_is_left_alone_and_then_asked_again() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        // Nobody has this port.
        let node = Node::new("tcp://127.0.0.1:9".parse().unwrap(), None).unwrap();
        failed_before(&node, Duration::ZERO).await;
        assert_eq!(node.link(&config).await.unwrap_err(), "it failed");
        failed_before(&node, RETRY).await;
        let why = node.link(&config).await.unwrap_err();
        assert!(why.contains("refused"), "{why}");
        assert_eq!(node.link(&config).await.unwrap_err(), why, "the time starts again");
    }

    /// Builds that lost the old connection may say so when the new one stands.
    #[test]
    fn a_failure_of_an_old_connection_leaves_the_new_one() {
        let (old, new) = (Arc::new("old"), Arc::new("new"));
        let mut state = NodeState::Up(Arc::clone(&new));
        state.failed(&old, "it was killed");
        assert!(matches!(&state, NodeState::Up(link) if Arc::ptr_eq(link, &new)));
        state.failed(&new, "it was killed");
        assert!(matches!(&state, NodeState::Down { why, .. } if why == "it was killed"));
    }
}
