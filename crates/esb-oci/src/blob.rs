//! Blobs and where their bytes come from.

use std::{
    fmt,
    future::Future,
    io::{self, Read as _},
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;

use crate::{Descriptor, Digest, Remedy, digest::Hasher, open_file};

/// The bytes of one blob, in order; an error ends it.
pub type BlobStream = Pin<Box<dyn Stream<Item = Result<Bytes, BlobError>> + Send>>;

/// A boxed future, as the object-safe traits here return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Reading a blob failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    #[error("blob `{digest}` is not in {place}")]
    Missing { digest: Digest, place: String },
    #[error("could not read blob `{digest}` from {place}")]
    Read {
        digest: Digest,
        place: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("blob `{expected}` arrived as `{actual}` with {actual_size} of {expected_size} bytes")]
    Mismatch { expected: Digest, expected_size: u64, actual: Digest, actual_size: u64 },
}

impl BlobError {
    /// What the user can do about it, when that is known.
    pub fn remedy(&self) -> Option<Remedy> {
        matches!(self, Self::Missing { .. }).then_some(Remedy::FetchBlob)
    }
}

/// A repository that holds a blob, from which other repositories of the same registry can mount it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobLocation {
    /// Host and port, named as in references: `docker.io` is Docker Hub.
    pub registry: String,
    pub repository: String,
}

/// A place that blobs are read from: the content store, a layout, a registry, an engine.
///
/// An implementation need not verify what it reads; [`verified`] does it for all of them.
pub trait BlobSource: Send + Sync + fmt::Debug {
    /// Starts reading a blob.
    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream, BlobError>>;

    /// Where the blobs lie, when that is a registry.
    fn location(&self) -> Option<BlobLocation> {
        None
    }

    /// The bytes that came from here were not the blob's. A source that keeps copies looks at its
    /// own, and removes one that is damaged.
    fn mismatched(&self, _blob: &Descriptor) {}
}

/// A blob with the source of its bytes.
#[derive(Debug, Clone)]
pub struct Blob {
    pub descriptor: Descriptor,
    pub source: Arc<dyn BlobSource>,
}

impl Blob {
    /// A small blob that is held in memory.
    pub fn from_bytes(media_type: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let descriptor = Descriptor::new(media_type, Digest::of(&bytes), bytes.len() as u64);
        Self { descriptor, source: Arc::new(Memory(bytes)) }
    }

    /// The blob's bytes, verified: the stream fails when they are not those of the descriptor.
    ///
    /// # Errors
    /// When the source does not have the blob.
    pub async fn open(&self) -> Result<BlobStream, BlobError> {
        let stream = self.source.open(&self.descriptor).await?;
        let mut verified = Verified::new(stream, &self.descriptor);
        verified.blob = Some(self.clone());
        Ok(Box::pin(verified))
    }

    /// All bytes of a small blob, verified.
    ///
    /// # Errors
    /// When the blob is larger than `limit`, missing, or not what its descriptor says.
    pub async fn read(&self, limit: u64) -> Result<Bytes, BlobError> {
        if self.descriptor.size > limit {
            return Err(BlobError::Read {
                digest: self.descriptor.digest,
                place: "its source".to_owned(),
                source: format!("{} bytes are more than {limit}", self.descriptor.size).into(),
            });
        }
        let mut stream = self.open().await?;
        let mut bytes = Vec::with_capacity(usize::try_from(self.descriptor.size).unwrap_or(0));
        while let Some(chunk) = std::future::poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
            bytes.extend_from_slice(&chunk?);
        }
        Ok(bytes.into())
    }
}

/// A source that holds exactly one blob in memory.
#[derive(Debug)]
struct Memory(Bytes);

impl BlobSource for Memory {
    fn open<'a>(&'a self, _: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream, BlobError>> {
        let mut bytes = Some(self.0.clone());
        let stream = from_fn(move || bytes.take().map(Ok));
        Box::pin(async move { Ok(stream) })
    }
}

/// Streams a file in blocks of a fixed size.
///
/// The reads block the calling thread for one block at a time: for files in the page cache that
/// is cheaper than to hand each block to another thread.
///
/// # Errors
/// When the file cannot be opened.
pub fn file_stream(path: &Path, digest: Digest) -> Result<BlobStream, BlobError> {
    let place = format!("`{}`", path.display());
    let failed = move |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => BlobError::Missing { digest, place: place.clone() },
        _ => BlobError::Read { digest, place: place.clone(), source: source.into() },
    };
    let mut file = open_file(path).map_err(&failed)?;
    Ok(from_fn(move || {
        let mut block = vec![0; 64 * 1024];
        match file.read(&mut block) {
            Ok(0) => None,
            Ok(read) => {
                block.truncate(read);
                Some(Ok(block.into()))
            }
            Err(source) => Some(Err(failed(source))),
        }
    }))
}

/// Ends a stream with an error unless its bytes have the descriptor's digest and size.
pub fn verified(inner: BlobStream, descriptor: &Descriptor) -> BlobStream {
    Box::pin(Verified::new(inner, descriptor))
}

struct Verified {
    inner: BlobStream,
    hasher: Option<Hasher>,
    digest: Digest,
    size: u64,
    /// Whose source is told when the bytes are others.
    blob: Option<Blob>,
}

impl Verified {
    fn new(inner: BlobStream, descriptor: &Descriptor) -> Self {
        let Descriptor { digest, size, .. } = *descriptor;
        Self { inner, hasher: Some(Hasher::default()), digest, size, blob: None }
    }
}

impl Stream for Verified {
    type Item = Result<Bytes, BlobError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(hasher) = &mut this.hasher else { return Poll::Ready(None) };
        if hasher.size() <= this.size {
            match ready!(this.inner.as_mut().poll_next(cx)) {
                Some(Ok(bytes)) => {
                    hasher.update(&bytes);
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(Err(error)) => {
                    this.hasher = None;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {}
            }
        }
        // The end, or more than was promised.
        let (actual, actual_size) = this.hasher.take().unwrap_or_default().finish();
        let (expected, expected_size) = (this.digest, this.size);
        if (actual, actual_size) == (expected, expected_size) {
            return Poll::Ready(None);
        }
        if let Some(blob) = &this.blob {
            blob.source.mismatched(&blob.descriptor);
        }
        Poll::Ready(Some(Err(BlobError::Mismatch { expected, expected_size, actual, actual_size })))
    }
}

/// A stream of what a function yields.
pub(crate) fn from_fn(
    next: impl FnMut() -> Option<Result<Bytes, BlobError>> + Send + Unpin + 'static,
) -> BlobStream {
    struct FromFn<F>(F);

    impl<F: FnMut() -> Option<Result<Bytes, BlobError>> + Unpin> Stream for FromFn<F> {
        type Item = Result<Bytes, BlobError>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready((self.0)())
        }
    }

    Box::pin(FromFn(next))
}
