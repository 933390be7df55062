//! Streams of blobs that count and report progress and fail when no data arrives for too long.
//!
//! Owns the streams between a source and a connection, and knows nothing of either end.

use std::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use esb_model::{Activity, Event, Reporter};
use esb_oci::{BlobError, BlobStream, Digest};
use futures_core::Stream;
use tokio::time::{Instant, Sleep, sleep};

use crate::{RegistrySettings, registry::Upload, settings::Timeouts};

/// How many bytes pass between two reports.
const REPORT_EVERY: u64 = 1024 * 1024;

/// Nothing moved for that long.
#[derive(Debug, thiserror::Error)]
#[error("nothing was transferred for {} s", .0.as_secs())]
pub(crate) struct Stalled(pub(crate) Duration);

/// The source of an upload failed; [`UploadProgress::failure`] has the reason.
#[derive(Debug, thiserror::Error)]
#[error("the source of the upload failed")]
pub(crate) struct SourceFailed;

/// An upload as it goes on.
#[derive(Debug)]
pub(crate) struct UploadProgress {
    total: u64,
    sent: AtomicU64,
    failure: Mutex<Option<BlobError>>,
}

impl UploadProgress {
    /// Opens an upload's blob: what to send, and what is known of it meanwhile.
    pub(crate) async fn open(upload: &Upload<'_>) -> Result<(UploadBody, Arc<Self>), BlobError> {
        let stream = upload.blob.open().await?;
        let descriptor = &upload.blob.descriptor;
        let sending = Arc::new(Self {
            total: descriptor.size,
            sent: AtomicU64::new(0),
            failure: Mutex::new(None),
        });
        let outgoing = UploadBody {
            stream,
            held: None,
            sending: Arc::clone(&sending),
            subject: upload.subject.to_owned(),
            reporter: Arc::clone(upload.reporter),
            reported: 0,
        };
        Ok((outgoing, sending))
    }

    /// Why the source failed, when it did.
    pub(crate) fn failure(&self) -> Option<BlobError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Runs the request that sends the bytes, as long as bytes move.
    pub(crate) async fn watch<T>(
        &self,
        timeouts: Timeouts,
        request: impl Future<Output = T>,
    ) -> Result<T, Stalled> {
        let mut request = pin!(request);
        loop {
            let before = self.sent.load(Ordering::Relaxed);
            // A registry may have to move a large blob before it answers.
            let limit = if before < self.total { timeouts.stall } else { timeouts.answer };
            if let Ok(output) = tokio::time::timeout(limit, request.as_mut()).await {
                return Ok(output);
            }
            if self.sent.load(Ordering::Relaxed) == before {
                return Err(Stalled(limit));
            }
        }
    }
}

/// The bytes of an upload. The last are held back until the source has ended well, so that a
/// registry never gets all bytes of a blob that is not what its descriptor says.
pub(crate) struct UploadBody {
    stream: BlobStream,
    held: Option<Bytes>,
    sending: Arc<UploadProgress>,
    subject: String,
    reporter: Arc<dyn Reporter>,
    reported: u64,
}

impl fmt::Debug for UploadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadBody").field("sending", &self.sending).finish_non_exhaustive()
    }
}

impl UploadBody {
    fn count(&mut self, bytes: &Bytes) {
        let length = bytes.len() as u64;
        let done = self.sending.sent.fetch_add(length, Ordering::Relaxed) + length;
        if done - self.reported >= REPORT_EVERY || done == self.sending.total {
            self.reported = done;
            self.reporter.event(&Event::Progress {
                subject: &self.subject,
                action: Activity::Upload,
                done,
                total: Some(self.sending.total),
            });
        }
    }
}

impl Stream for UploadBody {
    type Item = Result<Bytes, SourceFailed>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let bytes = match ready!(self.stream.as_mut().poll_next(cx)) {
                Some(Ok(bytes)) => self.held.replace(bytes),
                Some(Err(error)) => {
                    self.held = None;
                    let failure = &self.sending.failure;
                    *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    return Poll::Ready(Some(Err(SourceFailed)));
                }
                None => match self.held.take() {
                    Some(bytes) => Some(bytes),
                    None => return Poll::Ready(None),
                },
            };
            if let Some(bytes) = bytes {
                self.count(&bytes);
                return Poll::Ready(Some(Ok(bytes)));
            }
        }
    }
}

/// A download that fails when no bytes come for the stall time.
pub(crate) fn guarded(
    inner: BlobStream,
    digest: Digest,
    place: String,
    settings: &RegistrySettings,
) -> BlobStream {
    let limit = settings.timeouts.stall;
    Box::pin(StallGuard { inner, digest, place, limit, timer: Box::pin(sleep(limit)) })
}

struct StallGuard {
    inner: BlobStream,
    digest: Digest,
    place: String,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Stream for StallGuard {
    type Item = Result<Bytes, BlobError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(item) = self.inner.as_mut().poll_next(cx) {
            let next = Instant::now() + self.limit;
            self.timer.as_mut().reset(next);
            return Poll::Ready(item);
        }
        ready!(self.timer.as_mut().poll(cx));
        let next = Instant::now() + self.limit;
        self.timer.as_mut().reset(next);
        Poll::Ready(Some(Err(BlobError::Read {
            digest: self.digest,
            place: self.place.clone(),
            source: Stalled(self.limit).into(),
        })))
    }
}
