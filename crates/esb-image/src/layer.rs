//! Layers of an image: each is written once, whoever else needs it.
//!
//! Owns a layer's key and its record in the content store. Refuses to decide what is in a layer.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use esb_oci::{ContentStore, Digest, Hasher, LayerWriter, StoreError, Threads};
use serde::{Deserialize, Serialize};

use crate::{
    context::Content,
    fingerprint::Fingerprint,
    tree::{Changes, Kind},
};

/// The record's kind in the content store.
const RECORD: &str = "layer";

/// A layer that lies in the content store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layer {
    /// Of the compressed blob.
    pub(crate) digest: Digest,
    /// Of the uncompressed tar.
    pub(crate) diff_id: Digest,
    /// Bytes of the compressed blob.
    pub(crate) size: u64,
}

/// A layer cannot be written.
#[derive(Debug)]
pub(crate) enum LayerError {
    Read { path: PathBuf, source: io::Error },
    Write(io::Error),
    Store(StoreError),
}

impl From<StoreError> for LayerError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A layer that is made, or being made by whoever holds the lock.
type Cell = Arc<Mutex<Option<Layer>>>;

/// Makes layers. Cheap to clone; clones know of each other's work.
#[derive(Debug, Clone)]
pub(crate) struct Layers {
    store: ContentStore,
    threads: Threads,
    /// Layers that this process made or is making.
    made: Arc<Mutex<HashMap<Digest, Cell>>>,
}

impl Layers {
    pub(crate) fn new(store: ContentStore) -> Self {
        Self::with_threads(store, Threads::of_machine())
    }

    pub(crate) fn with_threads(store: ContentStore, threads: Threads) -> Self {
        Self { store, threads, made: Arc::default() }
    }

    /// The layer of some changes: an earlier one when it is still there and `trust` allows it. Of
    /// several callers with the same changes one works and the others wait.
    pub(crate) fn make(
        &self,
        changes: &Changes,
        epoch: i64,
        trust: bool,
    ) -> Result<Layer, LayerError> {
        let key = key(changes, epoch);
        let cell = {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(made.entry(key).or_default())
        };
        let mut cell = cell.lock().unwrap_or_else(PoisonError::into_inner);
        let recorded = || if trust { self.store.record(RECORD, key) } else { None };
        if let Some(layer) = cell.or_else(recorded)
            && self.has(&layer)
        {
            return Ok(layer);
        }
        let layer = self.write(changes, epoch)?;
        self.store.set_record(RECORD, key, &layer)?;
        *cell = Some(layer);
        Ok(layer)
    }

    /// Whether the layer's blob is in the store.
    pub(crate) fn has(&self, layer: &Layer) -> bool {
        self.store.size(layer.digest) == Some(layer.size)
    }

    fn write(&self, changes: &Changes, epoch: i64) -> Result<Layer, LayerError> {
        let mut writer =
            LayerWriter::with_threads(self.store.writer()?, epoch, self.threads.clone());
        for (path, node) in changes {
            match &node.kind {
                Kind::Folder => writer.dir(path, node.attributes).map_err(LayerError::Write)?,
                Kind::Link(target) => {
                    writer.symlink(path, node.attributes, target).map_err(LayerError::Write)?;
                }
                Kind::File(content) => {
                    let failed = |source| LayerError::Read { path: content.path.clone(), source };
                    let mut reader = Checked::open(content).map_err(failed)?;
                    writer
                        .file(path, node.attributes, content.size, &mut reader)
                        .map_err(failed)?;
                    reader.finish().map_err(failed)?;
                }
            }
        }
        let (writer, digests) = writer.finish().map_err(LayerError::Write)?;
        writer.commit(digests.digest)?;
        Ok(Layer { digest: digests.digest, diff_id: digests.diff_id, size: digests.size })
    }
}

/// Everything that the layer's bytes depend on.
fn key(changes: &Changes, epoch: i64) -> Digest {
    let mut key = Fingerprint::new("layer");
    key.bytes(&epoch.to_le_bytes());
    for (path, node) in changes {
        let attributes = node.attributes;
        key.text(path).number(attributes.mode.into());
        key.number(attributes.uid).number(attributes.gid);
        match &node.kind {
            Kind::Folder => key.text("folder"),
            Kind::Link(target) => key.text("link").text(target),
            Kind::File(content) => key.text("file").number(content.size).digest(content.digest),
        };
    }
    key.finish()
}

/// Reads a file and sees whether it still is what its digest said.
struct Checked {
    inner: BufReader<File>,
    hasher: Hasher,
    expected: Digest,
}

impl Checked {
    fn open(content: &Content) -> io::Result<Self> {
        let inner = BufReader::with_capacity(256 * 1024, File::open(&content.path)?);
        Ok(Self { inner, hasher: Hasher::default(), expected: content.digest })
    }

    fn finish(self) -> io::Result<()> {
        if self.hasher.finish().0 == self.expected {
            Ok(())
        } else {
            Err(io::Error::other("it changed while the image was built"))
        }
    }
}

impl Read for Checked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.hasher.update(&into[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use esb_oci::{Attributes, DEFAULT_EPOCH};

    use super::*;
    use crate::tree::Node;

    fn changes(path: &std::path::Path) -> Changes {
        let (digest, size) = esb_oci::hash_file(path).unwrap();
        let content = Content { path: path.to_owned(), size, digest };
        let node = |kind| Node { attributes: Attributes::root(0o755), kind };
        [
            ("a".to_owned(), node(Kind::Folder)),
            ("a/f".to_owned(), node(Kind::File(content))),
            ("l".to_owned(), node(Kind::Link("a".to_owned()))),
        ]
        .into()
    }

    #[test]
    fn a_layer_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "content").unwrap();
        let store = ContentStore::open(folder.path().join("store")).unwrap();
        let changes = changes(&path);
        let first = Layers::new(store.clone()).make(&changes, DEFAULT_EPOCH, true).unwrap();
        fs::remove_file(&path).unwrap();

        let layers = Layers::new(store.clone());
        assert_eq!(layers.make(&changes, DEFAULT_EPOCH, true).unwrap(), first, "from the record");
        assert!(layers.make(&changes, DEFAULT_EPOCH, false).is_err(), "the record does not count");
        assert!(layers.make(&changes, 0, true).is_err(), "another time is another layer");

        fs::remove_file(store.blob_path(first.digest)).unwrap();
        assert!(layers.make(&changes, DEFAULT_EPOCH, true).is_err(), "the blob is gone");
    }

    #[test]
    fn of_many_at_once_one_works() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "content").unwrap();
        let store = ContentStore::open(folder.path().join("store")).unwrap();
        let changes = changes(&path);
        let layers = Layers::new(store);
        let made = std::thread::scope(|scope| {
            let make = || layers.make(&changes, DEFAULT_EPOCH, false).unwrap();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(made.windows(2).all(|pair| pair[0] == pair[1]));
        fs::remove_file(&path).unwrap();
        assert!(layers.make(&changes, DEFAULT_EPOCH, false).is_ok(), "made by this process");
    }

    #[test]
    fn a_file_that_changed_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "content").unwrap();
        let changes = changes(&path);
        fs::write(&path, "CONTENT").unwrap();
        let store = ContentStore::open(folder.path().join("store")).unwrap();
        let error = Layers::new(store).make(&changes, 0, true).unwrap_err();
        assert!(matches!(error, LayerError::Read { .. }), "{error:?}");
    }
}
