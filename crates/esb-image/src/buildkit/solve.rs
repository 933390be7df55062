//! Runs one solve on one daemon and follows its progress.

use std::{collections::HashMap, time::Duration};

use bollard_buildkit_proto::{
    moby::buildkit::v1::{
        SolveRequest, StatusRequest, StatusResponse, control_client::ControlClient,
    },
    pb::{Definition, Input, Op, OpMetadata, SourceOp, op},
};
use esb_oci::Digest;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use prost::Message as _;
use tonic::{Status, transport::Channel};

use super::{failure::SolveError, node::Link};
use crate::daemon::progress::Progress;

/// The largest message of a daemon that is read, in bytes.
const MESSAGE: usize = 64 << 20;
/// The last news are waited for so long after an end.
const LAST_NEWS: Duration = Duration::from_secs(5);

/// Lets a daemon solve, and gives what its exporter says. Dropping the future cancels the solve on
/// the daemon.
pub(super) async fn solve(
    link: &Link,
    request: SolveRequest,
    progress: &mut Progress<'_>,
) -> Result<HashMap<String, String>, SolveError> {
    let reference = request.r#ref.clone();
    let mut client = ControlClient::new(link.channel.clone()).max_decoding_message_size(MESSAGE);
    let mut solve = std::pin::pin!(client.solve(request));
    let mut news = std::pin::pin!(news(link.channel.clone(), reference));
    let mut open = true;
    let answer = loop {
        tokio::select! {
            () = link.session.gone.cancelled() => {
                return Err(SolveError::Daemon(link.session.why()));
            }
            status = news.next(), if open => match status {
                Some(Ok(status)) => progress.take(status),
                // The answer itself says what is wrong.
                Some(Err(_)) | None => open = false,
            },
            answer = &mut solve => break answer,
        }
    };
    let rest = async {
        while let Some(Ok(status)) = news.next().await {
            progress.take(status);
        }
    };
    if open {
        let _all_or_late = tokio::time::timeout(LAST_NEWS, rest).await;
    }
    match answer {
        Ok(answer) => Ok(answer.into_inner().exporter_response),
        // The session knows better what happened to the connection.
        Err(_) if link.session.gone.is_cancelled() => Err(SolveError::Daemon(link.session.why())),
        Err(status) => Err(SolveError::of(&status, progress.failure(status.message()))),
    }
}

/// A folder that a session shows under a name, as an input of a solve. The frontend itself would
/// ask for all contexts under one name, and a session serves many builds.
pub(super) fn folder(name: &str, session: &str) -> Definition {
    let attributes = [("local.session", session), ("local.sharedkeyhint", name)];
    let attrs = attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let source = SourceOp { identifier: format!("local://{name}"), attrs };
    let source = Op { op: Some(op::Op::Source(source)), ..Op::default() }.encode_to_vec();
    let digest = Digest::of(&source).to_string();
    let input = Input { digest: digest.clone(), index: 0 };
    let last = Op { inputs: vec![input], ..Op::default() }.encode_to_vec();
    let shown = ("llb.customname".to_owned(), "[internal] load build context".to_owned());
    let metadata = OpMetadata { description: [shown].into(), ..OpMetadata::default() };
    Definition { def: vec![source, last], metadata: [(digest, metadata)].into(), source: None }
}

fn news(channel: Channel, reference: String) -> impl Stream<Item = Result<StatusResponse, Status>> {
    let open = async move {
        let mut client = ControlClient::new(channel).max_decoding_message_size(MESSAGE);
        let answer = client.status(StatusRequest { r#ref: reference }).await?;
        Ok::<_, Status>(answer.into_inner())
    };
    stream::once(open).try_flatten()
}
