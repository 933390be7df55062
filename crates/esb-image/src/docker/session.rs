//! The BuildKit session of a build whose steps get secrets.
//!
//! bollard opens a build's session itself and can give nothing but registry credentials in it, so
//! a build with secrets has a session of ours beside the request. Owns answering BuildKit's
//! questions for secrets by name; refuses everything else.

use std::io;

use bollard::{BollardRequest, body_full};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{
    GetSecretRequest, GetSecretResponse,
    secrets_server::{Secrets, SecretsServer},
};
use futures_util::stream;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use tonic::{Response, Status};

use super::transport::Transport;
use crate::daemon::{StepSecrets, health};

/// Bytes on their way between the engine's connection and our answers.
const PIPE: usize = 64 * 1024;

/// A session that answers until it is dropped.
#[derive(Debug)]
pub(super) struct Session {
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Session {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Opens the session that a build names by `id`.
pub(super) async fn open(
    transport: Transport,
    id: &str,
    secrets: StepSecrets,
) -> Result<Session, bollard::errors::Error> {
    let request: BollardRequest = Request::builder()
        .method(Method::POST)
        .uri("http://docker/session")
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "h2c")
        .header("X-Docker-Expose-Session-Uuid", id)
        .header(
            "X-Docker-Expose-Session-Grpc-Method",
            "/moby.buildkit.secrets.v1.Secrets/GetSecret",
        )
        .body(body_full(bytes::Bytes::new()))
        .map_err(|error| wrong(io::Error::other(error)))?;
    let response = transport.send(request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let text = format!("it opened no session for secrets: {}", response.status());
        return Err(wrong(io::Error::other(text)));
    }
    let upgraded =
        hyper::upgrade::on(response).await.map_err(|error| wrong(io::Error::other(error)))?;
    let (ours, mut theirs) = tokio::io::duplex(PIPE);
    // Both tasks end with the connection: the build tells of what went wrong.
    let carry = tokio::spawn(async move {
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(upgraded), &mut theirs).await;
    });
    let answer = tokio::spawn(async move {
        let _ = tonic::transport::Server::builder()
            .add_service(health::server())
            .add_service(SecretsServer::new(Answers(secrets)))
            .serve_with_incoming(stream::iter([Ok::<_, io::Error>(ours)]))
            .await;
    });
    Ok(Session { tasks: [carry, answer] })
}

fn wrong(err: io::Error) -> bollard::errors::Error {
    bollard::errors::Error::IOError { err }
}

/// Makes a build's request one for BuildKit. bollard asks for it only together with a session of
/// its own.
pub(super) fn ask_for_buildkit(request: &mut BollardRequest) {
    let uri = request.uri();
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    if !path.ends_with("/build") {
        return;
    }
    let pairs: Vec<_> =
        query.split('&').map(|pair| if pair == "version=1" { "version=2" } else { pair }).collect();
    if let Ok(uri) = format!("http://docker{path}?{}", pairs.join("&")).parse() {
        *request.uri_mut() = uri;
    }
}

struct Answers(StepSecrets);

#[tonic::async_trait]
impl Secrets for Answers {
    async fn get_secret(
        &self,
        request: tonic::Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        match self.0.get(&request.get_ref().id) {
            Some(secret) => Ok(Response::new(GetSecretResponse { data: secret.reveal().clone() })),
            None => Err(Status::not_found("there is no such secret")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_builds_change() {
        let check = |uri: &str, expected: &str| {
            let mut request = Request::builder().uri(uri).body(body_full(<_>::default())).unwrap();
            ask_for_buildkit(&mut request);
            assert_eq!(request.uri(), expected);
        };
        check(
            "http://docker/v1.41/build?t=version=1&version=1&session=x",
            "http://docker/v1.41/build?t=version=1&version=2&session=x",
        );
        check("http://docker/v1.41/info?version=1", "http://docker/v1.41/info?version=1");
    }
}
