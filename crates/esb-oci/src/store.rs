//! The content store: blobs by digest, and small records by key, on the local disk.
//!
//! A blob gets its final name only when it is whole: it is written to a temporary file, synced and
//! renamed, so that any number of processes may share a store and be killed at any moment. Blobs
//! lie as in an OCI layout. Records are hints that may vanish: whoever reads one must be able to
//! do the work again. Whoever builds with a store holds it, so that nothing is collected meanwhile.

use std::{
    fmt,
    fs::{self, File},
    future::poll_fn,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Serialize, de::DeserializeOwned};
use tempfile::NamedTempFile;

use crate::{
    Blob, BlobError, BlobSource, BlobStream, BoxFuture, DOCUMENT_LIMIT, Descriptor, Digest,
    blob::file_stream,
    collect::{self, TEMPORARY},
    digest::Hasher,
    records::Records,
    turn::{self, Turn},
};

/// The store on disk failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("could not {action} `{}`", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the store `{}` is in use", path.display())]
    InUse { path: PathBuf },
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// What the user can do about it, when that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Blob(error) => error.hint(),
            Self::InUse { .. } => Some("wait until the builds that use it are done".to_owned()),
            Self::Io { .. } => None,
        }
    }

    /// Whether the local disk is the cause, and not what was to be stored.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::InUse { .. })
    }
}

/// A store in a folder. Cheap to clone.
#[derive(Clone)]
pub struct ContentStore {
    root: Arc<PathBuf>,
    records: Arc<Records>,
    /// Locked as long as a clone lives.
    _held: Option<Arc<File>>,
}

impl fmt::Debug for ContentStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentStore({})", self.root.display())
    }
}

impl ContentStore {
    /// Opens a store to build with, and makes it when there is none: nothing is collected as long
    /// as a clone lives. Waits while somebody collects, and removes what processes left that were
    /// killed long ago.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub fn open_held(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let store = Self::open(root)?;
        let held = collect::hold(store.root()).map(Arc::new);
        collect::remove_old_leftovers(store.root());
        Ok(Self { _held: held, ..store })
    }

    /// Opens a store, and makes it when there is none.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root = root.into();
        for folder in ["blobs/sha256", TEMPORARY] {
            let folder = root.join(folder);
            fs::create_dir_all(&folder)
                .map_err(StoreError::io("create the store's folder", &folder))?;
        }
        let records = Arc::new(Records::new(&root));
        Ok(Self { root: Arc::new(root), records, _held: None })
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a blob lies, whether it is there or not.
    pub fn blob_path(&self, digest: Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// The size of a blob that is here. To ask is a use of it.
    pub fn size(&self, digest: Digest) -> Option<u64> {
        let path = self.blob_path(digest);
        let metadata = fs::metadata(&path).ok()?;
        collect::note_use(&path, &metadata);
        Some(metadata.len())
    }

    /// Notes the use of something that lies in a folder of its own below [`ContentStore::root`],
    /// under the hex digits of its key.
    pub fn note_use(&self, path: &Path) {
        if let Ok(metadata) = path.metadata() {
            collect::note_use(path, &metadata);
        }
    }

    /// Whether the whole blob is here.
    pub fn has(&self, descriptor: &Descriptor) -> bool {
        self.size(descriptor.digest) == Some(descriptor.size)
    }

    /// The bytes of a manifest, index or config, when they are here and are what they should be.
    pub fn document(&self, digest: Digest) -> Option<Vec<u8>> {
        let size = self.size(digest)?;
        let bytes = (size <= DOCUMENT_LIMIT).then(|| fs::read(self.blob_path(digest)).ok())??;
        (Digest::of(&bytes) == digest).then_some(bytes)
    }

    /// A blob of this store.
    pub fn blob(&self, descriptor: Descriptor) -> Blob {
        Blob { descriptor, source: Arc::new(self.clone()) }
    }

    /// A new blob whose digest is not known yet. It vanishes unless it is committed.
    ///
    /// # Errors
    /// When no temporary file can be made.
    pub fn writer(&self) -> Result<BlobWriter, StoreError> {
        Ok(BlobWriter { store: self.clone(), file: self.temporary()? })
    }

    /// Another process may take the folder away when it is empty: a layout has none.
    fn temporary(&self) -> Result<NamedTempFile, StoreError> {
        let folder = self.root.join(TEMPORARY);
        let mut attempts = 0..10;
        loop {
            match NamedTempFile::new_in(&folder) {
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound && attempts.next().is_some() =>
                {
                    fs::create_dir_all(&folder).map_err(StoreError::io("create", &folder))?;
                }
                file => return file.map_err(StoreError::io("create a temporary file in", &folder)),
            }
        }
    }

    /// Stores a document at hand, unless it is here. The disk is not waited for: what a crash of
    /// the machine leaves of it is not the document ([`ContentStore::document`]), and is stored
    /// again.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        if self.document(digest).is_none_or(|known| known != bytes) {
            let mut writer = self.writer()?;
            writer.write_all(bytes).map_err(StoreError::io("write to", self.root()))?;
            writer.publish(digest)?;
        }
        Ok(digest)
    }

    /// Waits for a turn at something that costs much and that other processes may be doing now:
    /// `name` says what, for one key. Who got the turn looks whether it is done already.
    pub async fn turn(&self, name: &str, key: Digest) -> Turn {
        turn::turn(&self.root.join(TEMPORARY), &format!("{name}-{}", key.hex())).await
    }

    /// Stores a blob from elsewhere, verified against its descriptor; nothing happens when it is
    /// here already. Of several that want the same blob, in whatever process, one fetches it.
    ///
    /// # Errors
    /// When its source fails, its bytes are not those of the descriptor, or the disk fails.
    pub async fn ingest(&self, blob: &Blob) -> Result<(), StoreError> {
        if self.has(&blob.descriptor) {
            return Ok(());
        }
        let _turn = self.turn("fetch", blob.descriptor.digest).await;
        if self.has(&blob.descriptor) {
            return Ok(());
        }
        let mut stream = blob.open().await?;
        let mut writer = self.writer()?;
        while let Some(chunk) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
            writer.write_all(&chunk?).map_err(StoreError::io("write to", self.root()))?;
        }
        writer.commit(blob.descriptor.digest)
    }

    /// Reads a record; what is missing or unreadable is `None`.
    pub fn record<T: DeserializeOwned>(&self, kind: &str, key: Digest) -> Option<T> {
        serde_json::from_slice(&self.records.get(kind, key)?).ok()
    }

    /// As [`ContentStore::record`], with what other processes wrote since records were read.
    pub fn fresh_record<T: DeserializeOwned>(&self, kind: &str, key: Digest) -> Option<T> {
        self.records.forget(kind);
        self.record(kind, key)
    }

    /// Writes a record, replacing an earlier one.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn set_record<T: Serialize>(
        &self,
        kind: &str,
        key: Digest,
        value: &T,
    ) -> Result<(), StoreError> {
        let failed = |error: io::Error| StoreError::io("write a record in", self.root())(error);
        let bytes = serde_json::to_vec(value).map_err(|error| failed(error.into()))?;
        let temporary = || self.temporary().map_err(io::Error::other);
        self.records.set(kind, key, bytes, temporary).map_err(failed)
    }
}

impl BlobSource for ContentStore {
    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream, BlobError>> {
        Box::pin(async move { file_stream(&self.blob_path(blob.digest), blob.digest) })
    }
}

/// Writes one blob; see [`ContentStore::writer`].
#[derive(Debug)]
pub struct BlobWriter {
    store: ContentStore,
    file: NamedTempFile,
}

impl BlobWriter {
    /// Gives the blob its name. The caller answers for the digest.
    ///
    /// # Errors
    /// When the disk fails; then nothing lies under the blob's name.
    pub fn commit(self, digest: Digest) -> Result<(), StoreError> {
        let path = self.store.blob_path(digest);
        self.file.as_file().sync_data().map_err(StoreError::io("store blob as", &path))?;
        self.publish(digest)
    }

    fn publish(self, digest: Digest) -> Result<(), StoreError> {
        let path = self.store.blob_path(digest);
        let failed = || StoreError::io("store blob as", &path);
        make_readable(self.file.as_file()).map_err(failed())?;
        self.file.persist(&path).map_err(|error| failed()(error.error))?;
        Ok(())
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

/// Temporary files are private; blobs are shared by all users of a store.
fn make_readable(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// Digest and size of a file's content.
///
/// # Errors
/// When it cannot be read.
pub fn hash_file(path: &Path) -> io::Result<(Digest, u64)> {
    let mut file = File::open(path)?;
    let mut block = vec![0; 256 * 1024];
    let mut hasher = Hasher::default();
    loop {
        match io::Read::read(&mut file, &mut block)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&block[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        loop {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut cx) {
                return value;
            }
        }
    }

    #[test]
    fn a_blob_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::open(folder.path()).unwrap();
        let digest = store.put(b"hello").unwrap();
        assert_eq!(store.size(digest), Some(5));

        let mut dropped = store.writer().unwrap();
        dropped.write_all(b"half").unwrap();
        drop(dropped);
        assert_eq!(fs::read_dir(folder.path().join("blobs/sha256")).unwrap().count(), 1);
        assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn ingest_refuses_bytes_that_are_not_the_descriptors() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::open(folder.path()).unwrap();
        let good = Blob::from_bytes("x", &b"abc"[..]);
        block_on(store.ingest(&good)).unwrap();
        assert!(store.has(&good.descriptor));
        for bytes in [&b"abd"[..], b"ab", b"abcd"] {
            let mut bad = Blob::from_bytes("x", bytes);
            bad.descriptor.digest = Digest::of(b"ABC");
            bad.descriptor.size = 3;
            let error = block_on(store.ingest(&bad)).unwrap_err();
            assert!(matches!(error, StoreError::Blob(BlobError::Mismatch { .. })), "{error}");
            assert_eq!(store.size(bad.descriptor.digest), None);
        }
        let read = block_on(store.blob(good.descriptor.clone()).read(10)).unwrap();
        assert_eq!(&read[..], b"abc");
        assert!(block_on(store.blob(good.descriptor).read(2)).is_err());
    }

    #[test]
    fn records_are_hints() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::open(folder.path()).unwrap();
        let key = Digest::of(b"key");
        assert_eq!(store.record::<u32>("layer", key), None);
        store.set_record("layer", key, &7).unwrap();
        assert_eq!(store.record("layer", key), Some(7));
        assert_eq!(store.record::<String>("layer", key), None);
    }
}
