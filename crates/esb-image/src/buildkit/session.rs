//! A session with a daemon, in which the daemon requests files, registry credentials and secrets,
//! checks that the client lives, and sends exported images.
//!
//! Owns the tunnel, a connection of its own inside one stream of the daemon's. A daemon asks every
//! five seconds whether its session lives, so one that is silent for [`SILENCE`] has stalled.

use std::{
    collections::HashMap,
    fmt, io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bollard_buildkit_proto::moby::{
    buildkit::{
        secrets::v1::secrets_server::SecretsServer,
        v1::{BytesMessage, control_client::ControlClient},
    },
    filesync::v1::{
        auth_server::AuthServer, file_send_server::FileSendServer, file_sync_server::FileSyncServer,
    },
};
use bytes::Bytes;
use futures_util::stream;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming, metadata::MetadataValue, transport::Channel};

use super::{
    content::{self, ContentServer, Contents},
    filesync::FileTree,
    services::Services,
};
use crate::daemon::{StepSecrets, credentials::DaemonCredentials, health, session_name};

/// A daemon that says nothing for so long has stalled.
pub(super) const SILENCE: Duration = Duration::from_secs(20);
/// How often that is looked at: a machine that slept itself is forgiven.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes on their way between the daemon's stream and our answers.
const PIPE: usize = 256 * 1024;
/// Bytes that travel at a time.
const BLOCK: usize = 32 * 1024;

/// The configuration of a session's services.
#[derive(Clone)]
pub(super) struct SessionConfig {
    pub(super) credentials: Arc<DaemonCredentials>,
    /// A registry by the name that daemons have for it, and by ours.
    pub(super) renamed: Option<(String, String)>,
    pub(super) secrets: Arc<StepSecrets>,
    /// The bases that no registry has for daemons.
    pub(super) contents: Contents,
}

/// The files that a session may send, by name.
pub(super) type SharedTrees = Arc<Mutex<HashMap<String, Arc<FileTree>>>>;

/// A session that answers until it is dropped.
pub(super) struct Session {
    pub(super) id: String,
    trees: SharedTrees,
    /// Cancelled when the daemon is gone, or has stalled.
    pub(super) gone: CancellationToken,
    why: Arc<Mutex<String>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Session {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.id)
    }
}

/// A tree that a daemon may fetch until this is dropped.
pub(super) struct SharedTree {
    trees: SharedTrees,
    name: String,
    tree: Arc<FileTree>,
}

impl SharedTree {
    /// See [`FileTree::fetched`].
    pub(super) fn tree(&self) -> &FileTree {
        &self.tree
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for SharedTree {
    fn drop(&mut self) {
        self.trees.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

impl Session {
    /// Opens a session. With `exported`, the image that a build exports goes there.
    pub(super) async fn open(
        channel: Channel,
        config: &SessionConfig,
        exported: Option<mpsc::Sender<Result<Bytes, Status>>>,
    ) -> Result<Self, Status> {
        let id = session_name();
        let (trees, why): (SharedTrees, Arc<Mutex<String>>) = Default::default();
        let services = Services::new(config.clone(), Arc::clone(&trees), exported.clone());
        let mut methods = vec![
            "/moby.filesync.v1.FileSync/DiffCopy",
            "/moby.filesync.v1.Auth/Credentials",
            "/moby.buildkit.secrets.v1.Secrets/GetSecret",
            content::INFO,
            content::READ,
        ];
        if exported.is_some() {
            methods.push("/moby.filesync.v1.FileSend/DiffCopy");
        }
        let (to_daemon, mut outgoing) = mpsc::channel::<BytesMessage>(super::filesync::WAITING);
        let mut request = tonic::Request::new(stream::poll_fn(move |cx| outgoing.poll_recv(cx)));
        let headers = request.metadata_mut();
        let value =
            MetadataValue::try_from(&id).map_err(|error| Status::internal(error.to_string()))?;
        headers.insert("x-docker-expose-session-uuid", value);
        headers.insert("x-docker-expose-session-name", MetadataValue::from_static("esb"));
        // Names of trees say what they are; a session of another run shares what was sent.
        headers.insert("x-docker-expose-session-sharedkey", MetadataValue::from_static("esb"));
        for method in methods {
            headers
                .append("x-docker-expose-session-grpc-method", MetadataValue::from_static(method));
        }
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let contents = ContentServer(config.contents.clone());
        let server = tokio::spawn(async move {
            let sync = services.clone();
            let mut router = tonic::transport::Server::builder()
                .add_service(health::server())
                .add_service(FileSyncServer::new(sync))
                .add_service(AuthServer::new(services.clone()))
                .add_service(SecretsServer::new(services.clone()))
                .add_service(contents);
            if exported.is_some() {
                router = router
                    .add_service(FileSendServer::new(services).max_decoding_message_size(64 << 20));
            }
            // It ends with the connection, and the build tells of what went wrong.
            let _ended = router.serve_with_incoming(stream::iter([Ok::<_, io::Error>(ours)])).await;
        });
        let (read, write) = tokio::io::split(theirs);
        let send = tokio::spawn(send(read, to_daemon));
        let answer = ControlClient::new(channel).session(request).await;
        let incoming = match answer {
            Ok(answer) => answer.into_inner(),
            Err(status) => {
                server.abort();
                send.abort();
                return Err(status);
            }
        };
        let (gone, heard) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
        let end = {
            let (gone, why) = (gone.clone(), Arc::clone(&why));
            move |reason: &str| {
                let mut why = why.lock().unwrap_or_else(PoisonError::into_inner);
                if why.is_empty() {
                    reason.clone_into(&mut why);
                }
                gone.cancel();
            }
        };
        let receive = {
            let (heard, end) = (Arc::clone(&heard), end.clone());
            tokio::spawn(async move { end(&receive(incoming, write, &heard).await) })
        };
        let watch = tokio::spawn(async move {
            watch(&heard).await;
            end(&format!("it stalled: it said nothing for {} s", SILENCE.as_secs()));
        });
        Ok(Self { id, trees, gone, why, tasks: vec![server, send, receive, watch] })
    }

    /// Lets the daemon fetch a tree under a name.
    pub(super) fn show(&self, name: String, tree: FileTree) -> SharedTree {
        let tree = Arc::new(tree);
        let mut trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        trees.insert(name.clone(), Arc::clone(&tree));
        SharedTree { trees: Arc::clone(&self.trees), name, tree }
    }

    /// The reason why the connection to the daemon ended; empty while it has not.
    pub(super) fn why(&self) -> String {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Our bytes to the daemon.
async fn send(mut from: tokio::io::ReadHalf<DuplexStream>, to: mpsc::Sender<BytesMessage>) {
    let mut block = vec![0; BLOCK];
    while let Ok(read @ 1..) = from.read(&mut block).await {
        if to.send(BytesMessage { data: block[..read].to_vec() }).await.is_err() {
            return;
        }
    }
}

/// The daemon's bytes to us, until it is gone; why it is.
async fn receive(
    mut from: Streaming<BytesMessage>,
    mut to: tokio::io::WriteHalf<DuplexStream>,
    heard: &AtomicU64,
) -> String {
    loop {
        match from.message().await {
            Ok(Some(message)) => {
                heard.fetch_add(1, Ordering::Relaxed);
                if to.write_all(&message.data).await.is_err() {
                    return "its session ended".to_owned();
                }
            }
            Ok(None) => return "it ended its session".to_owned(),
            Err(status) => {
                return format!("the connection broke: {}", super::failure::words(&status));
            }
        }
    }
}

/// Ends when nothing was heard for too long.
async fn watch(heard: &AtomicU64) {
    let (mut last, mut silent) = (0, 0);
    loop {
        tokio::time::sleep(LOOK).await;
        let now = heard.load(Ordering::Relaxed);
        silent = if now == last { silent + 1 } else { 0 };
        last = now;
        if silent >= SILENCE.as_secs() {
            return;
        }
    }
}
