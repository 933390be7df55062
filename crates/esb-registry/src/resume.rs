//! Downloads that go on where they were cut.
//!
//! Owns the decision to ask for the rest. A transfer that makes progress is never given up; one
//! that does not is given up as the retry policy says.

use std::sync::Arc;

use bytes::Bytes;
use esb_oci::{BlobError, BlobStream, Descriptor};
use futures_util::{StreamExt as _, stream};

use crate::{
    Registry, RetryPolicy,
    registry::{Repository, name},
    retry::Again,
};

/// A download and where it can be had.
struct Download {
    registry: Arc<dyn Registry>,
    at: Repository,
    blob: Descriptor,
    policy: RetryPolicy,
    stream: BlobStream,
    /// Bytes that were passed on.
    done: u64,
    /// Attempts since the last byte.
    attempts: u32,
}

/// The bytes of a blob whose first `stream` was opened already.
pub(crate) fn resuming(
    registry: Arc<dyn Registry>,
    at: Repository,
    blob: Descriptor,
    policy: RetryPolicy,
    stream: BlobStream,
) -> BlobStream {
    let download = Download { registry, at, blob, policy, stream, done: 0, attempts: 1 };
    Box::pin(stream::try_unfold(download, |mut download| async move {
        Ok(download.next().await?.map(|bytes| (bytes, download)))
    }))
}

impl Download {
    async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        loop {
            let broken = match self.stream.next().await {
                Some(Ok(bytes)) => {
                    self.done += bytes.len() as u64;
                    self.attempts = 1;
                    return Ok(Some(bytes));
                }
                None if self.done >= self.blob.size => return Ok(None),
                None => self.failed("the body ended too early"),
                Some(Err(error)) => error,
            };
            let again = self.policy.wait(self.attempts, Again::Later(None), fastrand::f64());
            let Some(wait) = again else { return Err(broken) };
            tokio::time::sleep(wait).await;
            self.attempts += 1;
            let rest = self.registry.blob_get(&self.at, &self.blob, self.done).await;
            self.stream = rest.map_err(|error| self.failed(error))?;
        }
    }

    fn failed(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> BlobError {
        let place = format!("`{}`", name(&self.at));
        BlobError::Read { digest: self.blob.digest, place, source: source.into() }
    }
}
