//! Reads the layers of a base image as they stream in, for its index.
//!
//! Owns the bridge from an asynchronous stream to a blocking reader, of bounded size. Nothing of
//! the layers is kept, unless somebody needs them after.

use std::{future::poll_fn, io};

use esb_oci::{Blob, BlobStream, ContentStore};
use tokio::sync::mpsc;

use crate::{
    Base, Error,
    base_index::{BaseIndex, Indexer},
    blocking::blocking,
};

/// Blocks that may wait for the reader.
const WAITING: usize = 16;

/// The index of an image, made of its layers; those that lie in a registry come by way of the store
/// that is to `keep` them.
pub(crate) async fn index(
    image: &str,
    base: &Base,
    keep: Option<&ContentStore>,
) -> Result<BaseIndex, Error> {
    let mut indexer = Indexer::default();
    for layer in &base.image.layers {
        let failed = |source| Error::BaseLayer {
            image: image.to_owned(),
            digest: layer.descriptor.digest,
            source,
        };
        let kept = match keep.filter(|_| layer.source.location().is_some()) {
            Some(store) => {
                store.ingest(layer).await.map_err(|error| failed(error.into()))?;
                Some(store.blob(layer.descriptor.clone()))
            }
            None => None,
        };
        let layer = kept.as_ref().unwrap_or(layer);
        indexer = read(layer, indexer).await.map_err(failed)?;
    }
    Ok(indexer.finish())
}

async fn read(
    layer: &Blob,
    mut indexer: Indexer,
) -> Result<Indexer, Box<dyn std::error::Error + Send + Sync>> {
    let stream = layer.open().await?;
    let (sender, receiver) = mpsc::channel(WAITING);
    let reading = blocking(move || {
        let result = indexer.layer(Blocks { receiver, block: bytes::Bytes::new() });
        result.map(|()| indexer)
    });
    let (sent, read) = tokio::join!(send(stream, sender), reading);
    // A damaged blob is the cause of what the reader says of it.
    sent?;
    Ok(read?)
}

/// Sends a stream's blocks; it is read to its end, which is where it is verified.
async fn send(
    mut stream: BlobStream,
    sender: mpsc::Sender<bytes::Bytes>,
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
    receiver: mpsc::Receiver<bytes::Bytes>,
    block: bytes::Bytes,
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
