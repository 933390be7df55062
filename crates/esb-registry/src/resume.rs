//! Resumes downloads that were interrupted.
//!
//! Owns the decision to ask for the rest, after a cut and after a run that was killed. Progress is
//! bytes that were not here before: a transfer that makes none is given up as the retry policy says,
//! and none is asked for without end.

use std::sync::Arc;

use bytes::Bytes;
use esb_oci::{BlobError, BlobStream, Descriptor};
use futures_util::{StreamExt as _, stream};

use crate::{
    Registry, RetryPolicy,
    partial::PartialBlob,
    registry::{Repository, name},
    retry::Retry,
};

/// Requests for one blob beside those that its size allows.
const REQUESTS: u64 = 100;
/// How many bytes of a blob allow one more request, so that a registry that sends a byte at a time
/// is given up some day.
const BYTES_PER_REQUEST: u64 = 64 * 1024;

/// A download and its source.
struct Download {
    registry: Arc<dyn Registry>,
    at: Repository,
    blob: Descriptor,
    policy: RetryPolicy,
    /// What the registry sends, from [`PartialBlob::start`] on.
    stream: BlobStream,
    kept: Option<PartialBlob>,
    /// Bytes that are here, or were passed on.
    done: u64,
    /// Attempts since the last new byte.
    attempts: u32,
    /// Requests that may still be made.
    requests: u64,
}

/// The bytes of a blob: those that an earlier run `kept`, then those of the registry.
pub(crate) async fn resuming(
    registry: Arc<dyn Registry>,
    at: Repository,
    blob: Descriptor,
    policy: RetryPolicy,
    kept: Option<PartialBlob>,
) -> Result<BlobStream, BlobError> {
    let done = kept.as_ref().map_or(0, PartialBlob::start);
    let requests = REQUESTS + blob.size / BYTES_PER_REQUEST;
    let stream = nothing();
    let mut download =
        Download { registry, at, blob, policy, stream, kept, done, attempts: 1, requests };
    if done == 0 || done < download.blob.size {
        download.stream = download.rest().await?;
    }
    Ok(Box::pin(stream::try_unfold(download, |mut download| async move {
        Ok(download.next().await?.map(|bytes| (bytes, download)))
    })))
}

fn nothing() -> BlobStream {
    Box::pin(stream::empty())
}

impl Download {
    async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        if let Some(bytes) = self.kept.as_mut().and_then(PartialBlob::replay) {
            return bytes.map(Some).map_err(|error| self.failed(error));
        }
        loop {
            let broken = match self.stream.next().await {
                // What a registry sends again is cut away, and may leave nothing.
                Some(Ok(bytes)) if bytes.is_empty() => continue,
                Some(Ok(bytes)) => {
                    self.done += bytes.len() as u64;
                    self.attempts = 1;
                    if let Some(kept) = &mut self.kept {
                        kept.note(&bytes);
                    }
                    return Ok(Some(bytes));
                }
                None if self.done >= self.blob.size => return Ok(None),
                None => self.failed("the body ended too early"),
                Some(Err(error)) => error,
            };
            let wait = self.policy.wait(self.attempts, Retry::Later(None), fastrand::f64());
            let Some(wait) = wait.filter(|_| self.requests > 0) else { return Err(broken) };
            tokio::time::sleep(wait).await;
            self.attempts += 1;
            self.requests -= 1;
            self.stream = self.rest().await?;
        }
    }

    async fn rest(&mut self) -> Result<BlobStream, BlobError> {
        let rest = self.registry.blob_get(&self.at, &self.blob, self.done).await;
        rest.map_err(|error| self.failed(error))
    }

    fn failed(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> BlobError {
        let place = format!("`{}`", name(&self.at));
        BlobError::Read { digest: self.blob.digest, place, source: source.into() }
    }
}
