//! The content store: blobs by digest, and small records by key, on the local disk.
//!
//! A blob gets its final name only when it is whole: it is written to a temporary file, synced and
//! renamed, so that any number of processes may share a store and be killed at any moment. Blobs
//! lie as in an OCI layout. Records may vanish: a reader must be able to do the work again. A
//! process that builds with a store holds a shared lock on it, so that nothing is collected
//! meanwhile.
//!
//! The way to a store may lead through links; below it none is followed. A folder becomes a store
//! when it is empty, and carries a marker from then on.

use std::{
    fmt,
    fs::{self, File},
    future::poll_fn,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use serde::{Serialize, de::DeserializeOwned};
use tempfile::NamedTempFile;

use crate::{
    Blob, BlobError, BlobSource, BlobStream, BoxFuture, DOCUMENT_LIMIT, Descriptor, Digest, Folder,
    FolderError, LockWait, LockedFile, TemporaryFolder,
    blob::file_stream,
    collect,
    damage::{Damage, DamageLog},
    digest::Hasher,
    folder::is_temporary,
    is_denied,
    key_lock::{self, KeyLock, WaitListener},
    kinds::{self, TEMPORARY},
    marker, open_file, read_file,
    records::Records,
    store_error::StoreError,
};

/// What the names of folders start with in which blobs of a layout are written.
const WRITING: &str = ".writing-";

/// A store in a folder. Cheap to clone.
#[derive(Clone)]
pub struct ContentStore {
    root: Arc<PathBuf>,
    folder: Arc<Folder>,
    records: Arc<Records>,
    /// Where blobs are written that are not whole; without it that is a folder of the store, which
    /// all processes share.
    scratch: Option<Arc<TemporaryFolder>>,
    damage: Arc<DamageLog>,
    waits: Arc<OnceLock<WaitListener>>,
    /// Locked as long as a clone lives.
    _held: Option<Arc<LockedFile>>,
}

impl fmt::Debug for ContentStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentStore({})", self.root.display())
    }
}

impl ContentStore {
    /// Opens a store to build with, and makes it when there is none: nothing is collected until the
    /// last clone is dropped. Waits while another process collects, and removes what processes left
    /// that were killed long ago.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub fn open_held(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Self::open_held_telling(root, |_| {})
    }

    /// As [`ContentStore::open_held`]; a wait of more than [`crate::TELL_AFTER`] is told.
    ///
    /// # Errors
    /// As [`ContentStore::open_held`].
    pub fn open_held_telling(
        root: impl Into<PathBuf>,
        tell: impl Fn(&LockWait),
    ) -> Result<Self, StoreError> {
        let (store, is_damaged) = Self::open_checked(root.into())?;
        if is_damaged {
            marker::write(&store.folder)?;
        }
        let held = collect::hold(&store.folder, tell)?.map(Arc::new);
        collect::remove_old_leftovers(&store.folder)?;
        Ok(Self { _held: held, ..store })
    }

    /// Opens a store, and makes it when there is none. A damaged marker is left as it is.
    ///
    /// # Errors
    /// When the folder holds what is somebody else's, something in it is a link, or its own
    /// folders cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Ok(Self::open_checked(root.into())?.0)
    }

    /// A store, and whether its marker is damaged.
    fn open_checked(root: PathBuf) -> Result<(Self, bool), StoreError> {
        let folder = Folder::new(root);
        folder.make()?;
        let is_damaged = marker::check(&folder)?;
        for name in kinds::FOLDERS {
            folder.join(name).exists()?;
        }
        for name in [kinds::SHA256, TEMPORARY] {
            folder.join(name).make()?;
        }
        let store = Self::of(folder, None);
        if is_damaged {
            store.note_damage(Damage::File { path: store.root().join(marker::NAME) });
        }
        Ok((store, is_damaged))
    }

    /// Opens a layout's folder to write its blobs. It is not a store: a layout has no marker, and
    /// nothing in it is ever collected.
    pub(crate) fn of_layout(folder: &Folder) -> Result<Self, StoreError> {
        folder.join(kinds::SHA256).make()?;
        for entry in folder.entries()? {
            // A process that was killed long ago left it.
            if is_temporary(&entry.name, WRITING, entry.kind) && collect::is_old(folder, &entry) {
                folder.remove_folder(&entry.name)?;
            }
        }
        let scratch = folder.temporary(WRITING)?;
        Ok(Self::of(folder.clone(), Some(Arc::new(scratch))))
    }

    fn of(folder: Folder, scratch: Option<Arc<TemporaryFolder>>) -> Self {
        let damage = Arc::<DamageLog>::default();
        let records = Arc::new(Records::new(&folder, Arc::clone(&damage)));
        let root = Arc::new(folder.path());
        let (folder, waits) = (Arc::new(folder), Arc::default());
        Self { root, folder, records, scratch, damage, waits, _held: None }
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The store's folder, for what lies in it beside blobs and records.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Where a blob lies, whether it is there or not.
    pub fn blob_path(&self, digest: Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// The size of a blob that is here. Counts as a use for garbage collection.
    pub fn size(&self, digest: Digest) -> Option<u64> {
        let path = self.blob_path(digest);
        let metadata = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?;
        collect::note_use(&path, &metadata);
        Some(metadata.len())
    }

    /// Notes the use of something that lies in a folder of its own below [`ContentStore::root`],
    /// under the hex digits of its key.
    pub fn note_use(&self, path: &Path) {
        if let Ok(metadata) = path.symlink_metadata() {
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
        let bytes = (size <= DOCUMENT_LIMIT)
            .then(|| read_file(&self.blob_path(digest), DOCUMENT_LIMIT).ok())??;
        if Digest::of(&bytes) == digest {
            return Some(bytes);
        }
        self.check_blob(digest);
        None
    }

    /// Reads a blob to its end, and removes it when it is not what its name says; whether it is
    /// here and right.
    pub(crate) fn check_blob(&self, digest: Digest) -> bool {
        let path = self.blob_path(digest);
        let Ok((actual, _)) = hash_file(&path) else { return false };
        if actual == digest {
            return true;
        }
        // Where nothing can be removed, it is told all the same.
        let _still_there = fs::remove_file(&path);
        self.note_damage(Damage::Blob { digest, path });
        false
    }

    /// Lists something in this store as damaged.
    pub fn note_damage(&self, damage: Damage) {
        self.damage.note(damage);
    }

    pub(crate) fn records(&self) -> &Records {
        &self.records
    }

    /// What was found to be damaged since this was asked last. It is removed, and counts as not
    /// there.
    pub fn take_damage(&self) -> Vec<Damage> {
        self.damage.take()
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

    fn scratch(&self) -> Folder {
        let own = self.scratch.as_ref().map(|own| own.folder().clone());
        own.unwrap_or_else(|| self.folder.join(TEMPORARY))
    }

    fn temporary(&self) -> Result<NamedTempFile, StoreError> {
        let folder = self.scratch();
        let attempt = || NamedTempFile::new_in(folder.path());
        let file = match attempt() {
            // It is the store's, and was there when it was opened.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                folder.make()?;
                attempt()
            }
            file => file,
        };
        file.map_err(StoreError::io("create a temporary file in", &folder.path()))
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

    /// Locks expensive work that other processes may be doing too: `name` says what, for one key.
    /// After the wait, check whether it is done already.
    pub async fn lock_key(&self, name: &str, key: Digest) -> KeyLock {
        let tell = self.waits.get().cloned();
        key_lock::lock(&self.scratch(), &format!("{name}-{}", key.hex()), tell).await
    }

    pub(crate) fn tell_wait(&self, wait: &LockWait) {
        if let Some(tell) = self.waits.get() {
            tell(wait);
        }
    }

    /// Has waits for locks of this store told, once they take more than [`crate::TELL_AFTER`].
    /// Whoever asked first is told.
    pub fn tell_waits(&self, tell: impl Fn(&LockWait) + Send + Sync + 'static) {
        let _told_already = self.waits.set(Arc::new(tell));
    }

    /// Stores a blob from elsewhere, verified against its descriptor; nothing happens when it is
    /// here already. When several tasks or processes store the same blob at once, one fetches it
    /// and the others wait.
    ///
    /// # Errors
    /// When its source fails, its bytes are not those of the descriptor, or the disk fails.
    pub async fn ingest(&self, blob: &Blob) -> Result<(), StoreError> {
        if self.has(&blob.descriptor) {
            return Ok(());
        }
        let _lock = self.lock_key("fetch", blob.descriptor.digest).await;
        if self.has(&blob.descriptor) {
            return Ok(());
        }
        match self.fetch(blob).await {
            // Damaged on the way, or by what an earlier run left, which is gone now: once more.
            Err(StoreError::Blob(BlobError::Mismatch { .. }))
                if blob.source.location().is_some() =>
            {
                self.fetch(blob).await
            }
            fetched => fetched,
        }
    }

    /// As [`ContentStore::ingest`], for a reader that does not verify the blob's bytes: one that is
    /// here is read, and stored again when it is damaged.
    ///
    /// # Errors
    /// As [`ContentStore::ingest`].
    pub async fn ingest_checked(&self, blob: &Blob) -> Result<(), StoreError> {
        if self.has(&blob.descriptor) && self.check_blob(blob.descriptor.digest) {
            return Ok(());
        }
        self.ingest(blob).await
    }

    async fn fetch(&self, blob: &Blob) -> Result<(), StoreError> {
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
        match self.records.set(kind, key, bytes) {
            // A store that is only read: a record spares work and nothing else.
            Err(FolderError::Io { source, .. }) if is_denied(source.kind()) => Ok(()),
            set => Ok(set?),
        }
    }
}

impl BlobSource for ContentStore {
    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream, BlobError>> {
        Box::pin(async move {
            let path = self.blob_path(blob.digest);
            if path.is_symlink() {
                let place = format!("`{}`", path.display());
                return Err(BlobError::Missing { digest: blob.digest, place });
            }
            file_stream(&path, blob.digest)
        })
    }

    fn mismatched(&self, blob: &Descriptor) {
        self.check_blob(blob.digest);
    }
}

/// Writes one blob; see [`ContentStore::writer`].
#[derive(Debug)]
pub struct BlobWriter {
    store: ContentStore,
    file: NamedTempFile,
}

impl BlobWriter {
    /// Stores the blob under its digest, which the caller must have computed.
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
    let mut file = open_file(path)?;
    // No larger than the file: most files are small, and large blocks that come and go leave gaps.
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut block = vec![0; size.clamp(512, 64 * 1024)];
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
