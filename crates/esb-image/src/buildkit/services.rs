//! The gRPC services that a session offers to a daemon.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use bollard_buildkit_proto::{
    fsutil::types::Packet,
    moby::{
        buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse, secrets_server::Secrets},
        filesync::v1::{
            BytesMessage, CredentialsRequest, CredentialsResponse, FetchTokenRequest,
            FetchTokenResponse, GetTokenAuthorityRequest, GetTokenAuthorityResponse,
            VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse, auth_server::Auth,
            file_send_server::FileSend, file_sync_server::FileSync,
        },
    },
};
use bytes::Bytes;
use esb_oci::Credentials;
use futures_util::{Stream, stream};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming, codegen::BoxStream};

use super::{
    filesync::{self, WAITING},
    session::{SessionConfig, SharedTrees},
};

/// What Docker's client calls the registry that daemons call by its address.
const DOCKER_HUB: (&str, &str) = ("registry-1.docker.io", "docker.io");

/// Where an image goes; taken by the one export of a build, whose end is the archive's.
type Exported = Arc<Mutex<Option<mpsc::Sender<Result<Bytes, Status>>>>>;

/// The gRPC services of one session.
#[derive(Clone)]
pub(super) struct Services {
    config: SessionConfig,
    trees: SharedTrees,
    exported: Exported,
}

impl Services {
    pub(super) fn new(
        config: SessionConfig,
        trees: SharedTrees,
        exported: Option<mpsc::Sender<Result<Bytes, Status>>>,
    ) -> Self {
        Self { config, trees, exported: Arc::new(Mutex::new(exported)) }
    }
}

#[tonic::async_trait]
impl FileSync for Services {
    type DiffCopyStream = Pin<Box<dyn Stream<Item = Result<Packet, Status>> + Send>>;
    type TarStreamStream = BoxStream<Packet>;

    async fn diff_copy(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<Self::DiffCopyStream>, Status> {
        let name = request.metadata().get("dir-name").and_then(|name| name.to_str().ok());
        let trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        let tree = name.and_then(|name| trees.get(name)).cloned();
        let tree = tree.ok_or_else(|| Status::not_found("there is no such folder"))?;
        let (out, mut packets) = mpsc::channel(WAITING);
        tokio::spawn(filesync::serve(tree, request.into_inner(), out));
        Ok(Response::new(Box::pin(stream::poll_fn(move |cx| packets.poll_recv(cx)))))
    }

    async fn tar_stream(
        &self,
        _: Request<Streaming<Packet>>,
    ) -> Result<Response<Self::TarStreamStream>, Status> {
        Err(Status::unimplemented("not asked by builds"))
    }
}

#[tonic::async_trait]
impl Auth for Services {
    async fn credentials(
        &self,
        request: Request<CredentialsRequest>,
    ) -> Result<Response<CredentialsResponse>, Status> {
        let mut host = request.into_inner().host;
        if let Some((theirs, ours)) = &self.config.renamed
            && host == *theirs
        {
            host.clone_from(ours);
        }
        if host == DOCKER_HUB.0 {
            DOCKER_HUB.1.clone_into(&mut host);
        }
        let source = Arc::clone(&self.config.credentials);
        // A helper program may run.
        let found = tokio::task::spawn_blocking(move || source.ask(&host)).await;
        let found = found.map_err(|error| Status::internal(error.to_string()))?;
        let found = found.map_err(|error| Status::internal(error.to_string()))?;
        let (username, secret) = match found {
            Some(Credentials::Basic { username, password }) => {
                (username, password.reveal().clone())
            }
            Some(Credentials::IdentityToken(token)) => (String::new(), token.reveal().clone()),
            None => Default::default(),
        };
        Ok(Response::new(CredentialsResponse { username, secret }))
    }

    async fn fetch_token(
        &self,
        _: Request<FetchTokenRequest>,
    ) -> Result<Response<FetchTokenResponse>, Status> {
        Err(Status::unimplemented("daemons get their tokens themselves"))
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("daemons get their tokens themselves"))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("daemons get their tokens themselves"))
    }
}

#[tonic::async_trait]
impl Secrets for Services {
    async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        match self.config.secrets.get(&request.get_ref().id) {
            Some(secret) => Ok(Response::new(GetSecretResponse { data: secret.reveal().clone() })),
            None => Err(Status::not_found("there is no such secret")),
        }
    }
}

#[tonic::async_trait]
impl FileSend for Services {
    type DiffCopyStream = BoxStream<BytesMessage>;

    /// Takes an image, as one archive.
    async fn diff_copy(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::DiffCopyStream>, Status> {
        let exported = self.exported.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(exported) = exported else {
            return Err(Status::unimplemented("this build exports nothing"));
        };
        let mut incoming = request.into_inner();
        while let Some(message) = incoming.message().await? {
            if exported.send(Ok(message.data.into())).await.is_err() {
                break; // a reader that is gone has read enough, or says why not
            }
        }
        Ok(Response::new(Box::pin(stream::empty())))
    }
}
