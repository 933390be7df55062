//! Reads layers as they stream in: those of a base image for its index.
//!
//! Owns the bridge from an asynchronous stream to a blocking reader, of bounded size, and the check
//! that a layer unpacks to what its config says. The layers are not kept, unless a caller asks for
//! it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    future::poll_fn,
    io,
    path::Path,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use esb_model::{Activity, Event, Reporter};
use esb_oci::{
    Blob, BlobError, BlobLocation, BlobSource, BlobStream, BoxFuture, ContentStore, Descriptor,
    Digest,
};
use futures_core::Stream;
use tokio::sync::{Notify, mpsc};

use crate::{
    Base, Error,
    archives::diff_id::uncompressed,
    blocking::blocking,
    error::io_error,
    filesystem::{
        base_index::{BaseIndex, indexer::Indexer, keeper::Keeper},
        node::Node,
    },
    paths,
};

/// Blocks that may wait for the reader.
const WAITING: usize = 16;

/// How many bytes are read between two reports.
const REPORT_EVERY: u64 = 1024 * 1024;

/// The bytes that were read of a base's layers.
#[derive(Debug, Default)]
struct BytesRead {
    count: AtomicU64,
    moved: Notify,
}

/// The index of an image, made of its layers; those that lie in a registry come by way of the store
/// that is to `keep` them.
pub(crate) async fn index(
    image: &str,
    base: &Base,
    keep: Option<&ContentStore>,
    reporter: &dyn Reporter,
) -> Result<BaseIndex, Error> {
    let indexer = read_all(image, base, keep, Indexer::default(), reporter).await?;
    Ok(indexer.finish())
}

/// What an image holds at some paths: attributes, and contents as files of `folder`.
pub(crate) async fn contents(
    image: &str,
    base: &Base,
    store: &ContentStore,
    paths: &BTreeSet<String>,
    folder: &Path,
    reporter: &dyn Reporter,
) -> Result<BTreeMap<String, Node>, Error> {
    let mut names = paths.iter().map(|path| paths::name(path).to_owned()).collect();
    // Hard links lead to entries under other names, which lead on; each name is asked for once.
    for round in 0.. {
        let folder = folder.join(round.to_string());
        fs::create_dir(&folder).map_err(io_error("create", &folder))?;
        let indexer = Indexer::keeping(Keeper::new(names, folder));
        let indexer = read_all(image, base, Some(store), indexer, reporter).await?;
        match indexer.into_kept() {
            Ok(kept) => return Ok(kept),
            Err(more) => names = more,
        }
    }
    unreachable!("an image has not so many names")
}

/// Reads all layers of an image, and reports how far that is.
async fn read_all(
    image: &str,
    base: &Base,
    keep: Option<&ContentStore>,
    indexer: Indexer,
    reporter: &dyn Reporter,
) -> Result<Indexer, Error> {
    let read = Arc::new(BytesRead::default());
    let total = base.image.layers.iter().map(|layer| layer.descriptor.size).sum();
    let mut work = pin!(read_layers(image, base, keep, &read, indexer));
    loop {
        tokio::select! {
            indexer = work.as_mut() => return indexer,
            () = read.moved.notified() => reporter.event(&Event::Progress {
                subject: &base.name,
                action: Activity::Index,
                done: read.count.load(Ordering::Relaxed),
                total: Some(total),
            }),
        }
    }
}

async fn read_layers(
    image: &str,
    base: &Base,
    keep: Option<&ContentStore>,
    read: &Arc<BytesRead>,
    mut indexer: Indexer,
) -> Result<Indexer, Error> {
    let diff_ids = base.image.parse_config()?.diff_ids();
    for (position, layer) in base.image.layers.iter().enumerate() {
        let failed = |source| Error::BaseLayer {
            image: image.to_owned(),
            base: base.name.clone(),
            digest: layer.descriptor.digest,
            source,
        };
        let counted = Blob {
            descriptor: layer.descriptor.clone(),
            source: Arc::new(Counted { inner: Arc::clone(&layer.source), read: Arc::clone(read) }),
        };
        let kept = match keep.filter(|_| layer.source.location().is_some()) {
            Some(store) => {
                store.ingest(&counted).await.map_err(|error| failed(error.into()))?;
                Some(store.blob(layer.descriptor.clone()))
            }
            None => None,
        };
        let layer = kept.as_ref().unwrap_or(&counted);
        let unpack = move |blocks| indexer.layer(blocks).map(|found| (indexer, found));
        let (unpacked, found) = feed(layer, unpack).await.map_err(failed)?;
        indexer = unpacked;
        if let Some(diff_id) = diff_ids.get(position) {
            same(found, *diff_id).map_err(failed)?;
        }
    }
    Ok(indexer)
}

/// A source that counts the bytes that are read from it.
#[derive(Debug)]
struct Counted {
    inner: Arc<dyn BlobSource>,
    read: Arc<BytesRead>,
}

impl BlobSource for Counted {
    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream, BlobError>> {
        Box::pin(async move {
            let inner = self.inner.open(blob).await?;
            Ok(Box::pin(CountedStream { inner, read: Arc::clone(&self.read) }) as BlobStream)
        })
    }

    fn location(&self) -> Option<BlobLocation> {
        self.inner.location()
    }

    fn mismatched(&self, blob: &Descriptor) {
        self.inner.mismatched(blob);
    }
}

struct CountedStream {
    inner: BlobStream,
    read: Arc<BytesRead>,
}

impl Stream for CountedStream {
    type Item = Result<Bytes, BlobError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let block = ready!(self.inner.as_mut().poll_next(cx));
        if let Some(Ok(block)) = &block {
            let length = block.len() as u64;
            let before = self.read.count.fetch_add(length, Ordering::Relaxed);
            if before / REPORT_EVERY != (before + length) / REPORT_EVERY {
                self.read.moved.notify_one();
            }
        }
        Poll::Ready(block)
    }
}

/// Checks that a layer's uncompressed digest is the one in its image's config, for callers that
/// pass the layer on without unpacking it.
///
/// # Errors
/// When it does not, or cannot be read.
pub async fn check_layer(layer: &Blob, diff_id: Digest) -> Result<(), Error> {
    let digest = layer.descriptor.digest;
    let failed = |source| Error::PublishedLayer { digest, source };
    let read = |blocks| uncompressed(blocks, |_| Ok(())).map(|((), found)| found);
    let found = feed(layer, read).await.map_err(failed)?;
    same(found, diff_id).map_err(failed)
}

fn same(found: Digest, diff_id: Digest) -> Result<(), Failure> {
    if found == diff_id {
        return Ok(());
    }
    Err(OtherDiffId { found, diff_id }.into())
}

/// A layer's content is not what its image's config says.
#[derive(Debug, thiserror::Error)]
#[error("it unpacks to `{found}`, and its image's config says `{diff_id}`")]
pub(crate) struct OtherDiffId {
    found: Digest,
    diff_id: Digest,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Reads a layer to its end on a thread of its own.
async fn feed<T: Send + 'static>(
    layer: &Blob,
    read: impl FnOnce(Blocks) -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let stream = layer.open().await?;
    let (sender, receiver) = mpsc::channel(WAITING);
    let reading = blocking(move || read(Blocks { receiver, block: Bytes::new() }));
    let (sent, read) = tokio::join!(send(stream, sender), reading);
    // A damaged blob is the cause of what the reader says of it.
    sent?;
    Ok(read?)
}

/// Sends a stream's blocks; it is read to its end, which is where it is verified.
async fn send(
    mut stream: BlobStream,
    sender: mpsc::Sender<Bytes>,
) -> Result<(), esb_oci::BlobError> {
    while let Some(block) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
        let block = block?;
        if sender.send(block).await.is_err() {
            // The reader gave up, and says why.
            return Ok(());
        }
    }
    Ok(())
}

/// Reads the blocks on the other side.
struct Blocks {
    receiver: mpsc::Receiver<Bytes>,
    block: Bytes,
}

impl io::Read for Blocks {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.block.is_empty() {
            match self.receiver.blocking_recv() {
                Some(block) => self.block = block,
                None => return Ok(0),
            }
        }
        let taken = into.len().min(self.block.len());
        into[..taken].copy_from_slice(&self.block.split_to(taken));
        Ok(taken)
    }
}
