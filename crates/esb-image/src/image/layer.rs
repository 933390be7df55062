//! Builds layers; concurrent requests for one layer share one build.
//!
//! Owns a layer's key and its record in the content store. The caller decides what a layer
//! contains.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use esb_oci::{
    Blob, ContentStore, Descriptor, Digest, Hasher, HashingWriter, LayerDigests, LayerWriter,
    StoreError, TarWriter, Threads, media_type,
};
use serde::{Deserialize, Serialize};

use crate::{
    context::{Content, ItemKind},
    filesystem::node::Changes,
    fingerprint::Fingerprint,
    image::published::{Pins, PublishedLayers},
};

/// The record's kind in the content store.
const RECORD: &str = "layer-2";

/// The record's kind that says what the uncompressed content of a layer is that was never written
/// here, by the layer's key.
const CONTENT: &str = "layer-content";

/// The record's kind that says which blob a layer's uncompressed content has: another compressor
/// gives other bytes, and what was uploaded once is not uploaded again for that.
const BY_DIFF_ID: &str = "diff-id";

/// A layer and what it was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layer {
    /// Of everything that its bytes depend on.
    pub(crate) key: Digest,
    /// Of the compressed blob.
    pub(crate) digest: Digest,
    /// Of the uncompressed tar.
    pub(crate) diff_id: Digest,
    /// Bytes of the compressed blob.
    pub(crate) size: u64,
}

/// A layer and where its blob lies.
#[derive(Debug, Clone)]
pub(crate) struct LayerBlob {
    pub(crate) layer: Layer,
    pub(crate) blob: Blob,
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

/// What is known of a layer; the holder of the lock may be finding out the rest.
#[derive(Debug, Default)]
struct KnownLayer {
    layer: Option<Layer>,
    diff_id: Option<Digest>,
}

type LayerSlot = Arc<Mutex<KnownLayer>>;

/// The request for a layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerRequest<'a> {
    pub(crate) epoch: i64,
    /// What an earlier run left may be used.
    pub(crate) trust: bool,
    pub(crate) earlier: &'a PublishedLayers,
    pub(crate) pins: &'a Pins,
}

/// Makes layers. Cheap to clone; clones know of each other's work.
#[derive(Debug, Clone)]
pub(crate) struct Layers {
    store: ContentStore,
    threads: Threads,
    /// Layers that this process looks at or looked at.
    known: Arc<Mutex<HashMap<Digest, LayerSlot>>>,
}

impl Layers {
    pub(crate) fn new(store: ContentStore) -> Self {
        Self::with_threads(store, Threads::of_machine())
    }

    pub(crate) fn with_threads(store: ContentStore, threads: Threads) -> Self {
        Self { store, threads, known: Arc::default() }
    }

    /// The layer of some changes: one that this machine has, or one of `request.earlier` with the
    /// same content whose blob is known to hold it, when `request.trust` allows it. Concurrent
    /// requests for one layer share one build.
    pub(crate) fn make(
        &self,
        changes: &Changes,
        request: LayerRequest<'_>,
    ) -> Result<LayerBlob, LayerError> {
        let key = key(changes, request.epoch);
        let cell = self.cell(key);
        let mut known = cell.lock().unwrap_or_else(PoisonError::into_inner);
        let recorded = || if request.trust { self.store.record(RECORD, key) } else { None };
        if let Some(layer) = known.layer.or_else(recorded)
            && self.has(&layer)
        {
            return Ok(self.here(layer));
        }
        if request.trust
            && self.is_believed(key, request)
            && let Some(made) = self.same(changes, key, request, &mut known)?
        {
            return Ok(made);
        }
        let layer = self.write(changes, request.epoch, key)?;
        self.store.set_record(RECORD, key, &layer)?;
        known.layer = Some(layer);
        Ok(self.here(layer))
    }

    /// The layer of `request.earlier` that has the content of some changes.
    pub(crate) fn published(
        &self,
        changes: &Changes,
        request: LayerRequest<'_>,
    ) -> Result<Option<LayerBlob>, LayerError> {
        let key = key(changes, request.epoch);
        let cell = self.cell(key);
        let mut known = cell.lock().unwrap_or_else(PoisonError::into_inner);
        self.same(changes, key, request, &mut known)
    }

    fn cell(&self, key: Digest) -> LayerSlot {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(key).or_default())
    }

    /// Whether a published blob is known to be the layer that its annotation names: anybody who may
    /// push can annotate another blob so, and no engine would pull such an image.
    fn is_believed(&self, key: Digest, request: LayerRequest<'_>) -> bool {
        let Some(said) = request.earlier.get(key).map(|made| made.layer) else {
            return false;
        };
        let remembered = || self.store.record(BY_DIFF_ID, said.diff_id);
        request.earlier.is_trusted() || remembered() == Some((said.digest, said.size))
    }

    /// Others say what their layers are made of: here it is found out, at the price of reading the
    /// files, what the layer has to hold. Who unpacks it compares.
    fn same(
        &self,
        changes: &Changes,
        key: Digest,
        request: LayerRequest<'_>,
        known: &mut KnownLayer,
    ) -> Result<Option<LayerBlob>, LayerError> {
        let Some(said) = request.earlier.get(key) else { return Ok(None) };
        let recorded = || {
            let layer: Option<Layer> = self.store.record(RECORD, key);
            let content = || self.store.record(CONTENT, key);
            let own = layer.map(|layer| layer.diff_id).or_else(content);
            own.or_else(|| request.pins.layer(key))
        };
        let diff_id = if let Some(diff_id) = known.diff_id.or_else(recorded) {
            diff_id
        } else {
            let diff_id = hash(changes, request.epoch)?;
            self.store.set_record(CONTENT, key, &diff_id)?;
            diff_id
        };
        known.diff_id = Some(diff_id);
        Ok((said.layer.diff_id == diff_id).then(|| said.clone()))
    }

    /// Whether the layer's blob is in the store.
    fn has(&self, layer: &Layer) -> bool {
        self.store.size(layer.digest) == Some(layer.size)
    }

    fn here(&self, layer: Layer) -> LayerBlob {
        let descriptor = Descriptor::new(media_type::OCI_LAYER_GZIP, layer.digest, layer.size);
        LayerBlob { layer, blob: self.store.blob(descriptor) }
    }

    fn write(&self, changes: &Changes, epoch: i64, key: Digest) -> Result<Layer, LayerError> {
        let mut writer =
            LayerWriter::with_threads(self.store.writer()?, epoch, self.threads.clone());
        write_all(changes, writer.tar())?;
        let (writer, digests) = writer.finish().map_err(LayerError::Write)?;
        let LayerDigests { digest, diff_id, size } = digests;
        let layer = Layer { key, digest, diff_id, size };
        let known: Option<(Digest, u64)> = self.store.record(BY_DIFF_ID, diff_id);
        if let Some((digest, size)) = known
            && self.has(&Layer { digest, size, ..layer })
        {
            return Ok(Layer { digest, size, ..layer });
        }
        writer.commit(digest)?;
        self.store.set_record(BY_DIFF_ID, diff_id, &(digest, size))?;
        Ok(layer)
    }
}

/// The digest of a layer's uncompressed content, without the layer.
fn hash(changes: &Changes, epoch: i64) -> Result<Digest, LayerError> {
    let mut writer = TarWriter::new(HashingWriter::new(io::sink()), epoch);
    write_all(changes, &mut writer)?;
    let (_, diff_id, _) = writer.finish().map_err(LayerError::Write)?.finish();
    Ok(diff_id)
}

fn write_all<W: io::Write>(changes: &Changes, writer: &mut TarWriter<W>) -> Result<(), LayerError> {
    for (path, node) in changes {
        match &node.kind {
            ItemKind::Folder => writer.dir(path, node.attributes).map_err(LayerError::Write)?,
            ItemKind::Link(target) => {
                writer.symlink(path, node.attributes, target).map_err(LayerError::Write)?;
            }
            ItemKind::File(content) => {
                let failed = |source| LayerError::Read { path: content.path.clone(), source };
                let mut reader = Checked::open(content).map_err(failed)?;
                writer.file(path, node.attributes, content.size, &mut reader).map_err(failed)?;
                reader.finish().map_err(failed)?;
            }
        }
    }
    Ok(())
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
            ItemKind::Folder => key.text("folder"),
            ItemKind::Link(target) => key.text("link").text(target),
            ItemKind::File(content) => key.text("file").number(content.size).digest(content.digest),
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
        let capacity = usize::try_from(content.size).unwrap_or(usize::MAX).clamp(512, 64 * 1024);
        let inner = BufReader::with_capacity(capacity, esb_oci::open_file(&content.path)?);
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
    use crate::filesystem::node::Node;

    fn changes(path: &std::path::Path) -> Changes {
        let (digest, size) = esb_oci::hash_file(path).unwrap();
        let content = Content { path: path.to_owned(), size, digest };
        let node = |kind| Node { attributes: Attributes::root(0o755), kind };
        [
            ("a".to_owned(), node(ItemKind::Folder)),
            ("a/f".to_owned(), node(ItemKind::File(content))),
            ("l".to_owned(), node(ItemKind::Link("a".to_owned()))),
        ]
        .into()
    }

    fn make(
        layers: &Layers,
        changes: &Changes,
        epoch: i64,
        trust: bool,
    ) -> Result<Layer, LayerError> {
        let (earlier, pins) = (&PublishedLayers::default(), &Pins::default());
        layers.make(changes, LayerRequest { epoch, trust, earlier, pins }).map(|made| made.layer)
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let text: Vec<String> = (0..300_000).map(|number: u32| number.to_string()).collect();
        fs::write(&path, text.join(" ")).unwrap();
        let changes = changes(&path);
        let made = |threads: usize| {
            let store = ContentStore::open(folder.path().join(threads.to_string())).unwrap();
            let layers = Layers::with_threads(store, Threads::new(threads));
            make(&layers, &changes, DEFAULT_EPOCH, true).unwrap()
        };
        let first = made(1);
        assert!(first.size > 512 * 1024, "several blocks: {}", first.size);
        assert_eq!([made(2), made(8)], [first, first]);
    }

    #[test]
    fn a_layer_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "content").unwrap();
        let store = ContentStore::open(folder.path().join("store")).unwrap();
        let changes = changes(&path);
        let first = make(&Layers::new(store.clone()), &changes, DEFAULT_EPOCH, true).unwrap();
        fs::remove_file(&path).unwrap();

        let layers = Layers::new(store.clone());
        let again = |epoch, trust| make(&layers, &changes, epoch, trust);
        assert_eq!(again(DEFAULT_EPOCH, true).unwrap(), first, "from the record");
        assert!(again(DEFAULT_EPOCH, false).is_err(), "the record does not count");
        assert!(again(0, true).is_err(), "another time is another layer");

        fs::remove_file(store.blob_path(first.digest)).unwrap();
        assert!(again(DEFAULT_EPOCH, true).is_err(), "the blob is gone");
    }

    #[test]
    fn another_compressor_does_not_change_a_layer_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "content").unwrap();
        let store = ContentStore::open(folder.path().join("store")).unwrap();
        let changes = changes(&path);
        let made = make(&Layers::new(store.clone()), &changes, DEFAULT_EPOCH, true).unwrap();
        // What an earlier version of us wrote for the same content.
        let other = store.put(b"the same content, compressed in another way").unwrap();
        store.set_record(BY_DIFF_ID, made.diff_id, &(other, 43_u64)).unwrap();
        let forget = |store: &ContentStore| {
            fs::remove_file(store.root().join(format!("records/{RECORD}.log"))).unwrap();
            ContentStore::open(store.root()).unwrap()
        };
        let store = forget(&store);
        let again = make(&Layers::new(store.clone()), &changes, DEFAULT_EPOCH, true).unwrap();
        assert_eq!((again.digest, again.diff_id, again.size), (other, made.diff_id, 43));
        fs::remove_file(store.blob_path(other)).unwrap();
        let store = forget(&store);
        assert_eq!(make(&Layers::new(store), &changes, DEFAULT_EPOCH, true).unwrap(), made);
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
            let make = || make(&layers, &changes, DEFAULT_EPOCH, false).unwrap();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(made.windows(2).all(|pair| pair[0] == pair[1]));
        fs::remove_file(&path).unwrap();
        assert!(make(&layers, &changes, DEFAULT_EPOCH, false).is_ok(), "made by this process");
    }

    #[test]
    fn a_file_that_changed_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "content").unwrap();
        let changes = changes(&path);
        fs::write(&path, "CONTENT").unwrap();
        let store = ContentStore::open(folder.path().join("store")).unwrap();
        let error = make(&Layers::new(store), &changes, 0, true).unwrap_err();
        assert!(matches!(error, LayerError::Read { .. }), "{error:?}");
    }
}
