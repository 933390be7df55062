//! Reads and writes OCI image layouts, as skopeo and crane do.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    Blob, BlobError, BlobSource, BlobStream, BoxFuture, ContentStore, Descriptor, Digest, Folder,
    FolderError, Image, Index, InvalidImage, LockedFile, Remedy, StoreError, blob::file_stream,
    image::DOCUMENT_LIMIT, kinds, manifest::media_type, marker, read_file,
};

/// The annotation of an index entry that names an image in a layout.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// An OCI image layout that exists on disk.
#[derive(Clone)]
pub struct OciLayout {
    root: Arc<PathBuf>,
    index: Arc<Index>,
}

impl fmt::Debug for OciLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OciLayout({})", self.root.display())
    }
}

/// Reading or writing a layout failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    #[error("`{}` is not an OCI layout: it has no readable `{file}`", path.display())]
    NotALayout {
        path: PathBuf,
        file: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("`{name}` is not in the OCI layout `{}`", path.display())]
    NotFound { path: PathBuf, name: String },
    #[error("`{name}` in the OCI layout `{}` has no image for {architecture}", path.display())]
    NoPlatform { path: PathBuf, name: String, architecture: String },
    #[error(transparent)]
    Invalid(#[from] InvalidImage),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// To write there would replace what is not ours.
    #[error("`{}` is not the index of an OCI layout", path.display())]
    Foreign { path: PathBuf },
    #[error("`{}` is a content store, where images that are not used are removed", path.display())]
    IsStore { path: PathBuf },
}

impl From<FolderError> for LayoutError {
    fn from(error: FolderError) -> Self {
        Self::Store(error.into())
    }
}

impl LayoutError {
    /// What the user can do about it, when that is known.
    pub fn remedy(&self) -> Option<Remedy> {
        Some(Remedy::Advice(match self {
            Self::Blob(error) => return error.remedy(),
            Self::Store(error) => return error.remedy(),
            Self::Foreign { path } => format!(
                "name another folder for the layout, such as `{}`",
                path.with_file_name("layout").display()
            ),
            Self::IsStore { .. } => "name another folder for the layout".to_owned(),
            _ => return None,
        }))
    }
}

/// The most bytes of a layout's list of images; our own store has one too, and it grows.
const INDEX_LIMIT: u64 = 64 * 1024 * 1024;

impl OciLayout {
    /// Opens a layout and reads its index.
    ///
    /// # Errors
    /// When the folder is no layout.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, LayoutError> {
        let root = root.into();
        let missing = |file| {
            let path = root.clone();
            move |source| LayoutError::NotALayout { path, file, source }
        };
        fs::metadata(root.join("oci-layout")).map_err(missing("oci-layout"))?;
        let bytes =
            read_file(&root.join("index.json"), INDEX_LIMIT).map_err(missing("index.json"))?;
        let index = serde_json::from_slice(&bytes)
            .map_err(|source| InvalidImage::Json { what: "index.json of a layout", source })?;
        Ok(Self { root: Arc::new(root), index: Arc::new(index) })
    }

    /// The layout's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The names of its images.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.index
            .manifests
            .iter()
            .filter_map(|entry| entry.annotations.get(REF_NAME))
            .map(|name| &**name)
    }

    /// The entry of a name, or of a manifest's digest.
    pub fn find(&self, name: &str, digest: Option<Digest>) -> Option<&Descriptor> {
        let fits = |entry: &&Descriptor| match digest {
            Some(digest) => entry.digest == digest,
            None => entry.annotations.get(REF_NAME).is_some_and(|own| own == name),
        };
        self.index.manifests.iter().find(fits)
    }

    /// The image of a name (or digest) for an architecture, through indexes.
    ///
    /// # Errors
    /// When there is none, or its documents are damaged.
    pub async fn image(
        &self,
        name: &str,
        digest: Option<Digest>,
        architecture: &str,
    ) -> Result<Image, LayoutError> {
        let path = || self.root.to_path_buf();
        let entry = self
            .find(name, digest)
            .ok_or_else(|| LayoutError::NotFound { path: path(), name: name.to_owned() })?;
        let no_platform = || LayoutError::NoPlatform {
            path: path(),
            name: name.to_owned(),
            architecture: architecture.to_owned(),
        };
        let mut entry = entry.clone();
        // An index may hold an index; more than a few levels are a loop.
        for _ in 0..4 {
            let bytes = self.blob(entry.clone()).read(DOCUMENT_LIMIT).await?;
            if !media_type::is_index(&entry.media_type) {
                return self.assemble(bytes).await;
            }
            let index: Index = serde_json::from_slice(&bytes)
                .map_err(|source| InvalidImage::Json { what: "index", source })?;
            entry = index.select(architecture).cloned().ok_or_else(no_platform)?;
        }
        Err(no_platform())
    }

    async fn assemble(&self, manifest_bytes: Bytes) -> Result<Image, LayoutError> {
        let manifest: crate::Manifest = serde_json::from_slice(&manifest_bytes)
            .map_err(|source| InvalidImage::Json { what: "manifest", source })?;
        let config = self.blob(manifest.config);
        let config_bytes = config.read(DOCUMENT_LIMIT).await?;
        let layers = manifest.layers.into_iter().map(|layer| self.blob(layer)).collect();
        Ok(Image::new(manifest_bytes, config_bytes, config, layers)?)
    }

    fn blob(&self, descriptor: Descriptor) -> Blob {
        Blob { descriptor, source: Arc::new(self.clone()) }
    }
}

impl BlobSource for OciLayout {
    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream, BlobError>> {
        let path = self.root.join("blobs/sha256").join(blob.digest.hex());
        Box::pin(async move { file_stream(&path, blob.digest) })
    }
}

/// An entry of a layout: a name with its image, or its images for several platforms.
#[derive(Debug, Clone)]
pub struct LayoutEntry {
    pub name: String,
    /// Its images; those of other platforms of an index need not be here.
    pub images: Vec<Image>,
    /// The raw bytes and the media type of the index that they were found in. Without one the name
    /// stands for the image, or for an index of them.
    pub index: Option<(Bytes, String)>,
}

/// Writes images into a layout, keeping what it holds under other names. Images of several
/// platforms may have one name, which then stands for an index of them. The index is replaced
/// last, by rename, so that a reader sees the old images or the new ones.
///
/// # Errors When a blob cannot be read or the disk fails; the index is then unchanged.
pub async fn write_layout(
    root: impl Into<Folder>,
    images: &[(String, Image)],
) -> Result<(), LayoutError> {
    write_entries(root, &named(images)).await
}

/// One entry for each name.
fn named(images: &[(String, Image)]) -> Vec<LayoutEntry> {
    let mut entries: BTreeMap<&String, Vec<Image>> = BTreeMap::new();
    for (name, image) in images {
        entries.entry(name).or_default().push(image.clone());
    }
    let entry =
        |(name, images): (&String, _)| LayoutEntry { name: name.clone(), images, index: None };
    entries.into_iter().map(entry).collect()
}

/// As [`write_layout`], for names that stand for indexes.
///
/// # Errors
/// As [`write_layout`].
pub async fn write_entries(
    root: impl Into<Folder>,
    new: &[LayoutEntry],
) -> Result<(), LayoutError> {
    let root = root.into().readable();
    check_layout(&root)?;
    let store = ContentStore::of_layout(&root)?;
    for entry in new {
        for image in &entry.images {
            for blob in image.layers.iter().chain([&image.config]) {
                store.ingest(blob).await?;
            }
            store.put(&image.manifest_bytes)?;
        }
        if let Some((bytes, _)) = &entry.index {
            store.put(bytes)?;
        }
    }
    list(&store, new)
}

/// Makes sure that a folder is an OCI layout or can become one. It may hold other files, which
/// nothing here touches; the names that a layout has must not be theirs.
///
/// # Errors
/// When a link is in the way, or a file of another kind that would have to be replaced.
pub fn check_layout(root: &Folder) -> Result<(), LayoutError> {
    root.join(kinds::SHA256).exists()?;
    if root.metadata(marker::NAME)?.is_some() {
        return Err(LayoutError::IsStore { path: root.path() });
    }
    let marked = root.metadata("oci-layout")?.is_some();
    let Some(index) = root.read("index.json", DOCUMENT_LIMIT)? else { return Ok(()) };
    if marked && serde_json::from_slice::<Index>(&index).is_ok() {
        return Ok(());
    }
    Err(LayoutError::Foreign { path: root.path().join("index.json") })
}

impl ContentStore {
    /// Names images of this store, so that it is an OCI layout that others read; blobs of their
    /// bases may be missing in it. Names that others have are taken over.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn list_images(&self, images: &[(String, Image)]) -> Result<(), LayoutError> {
        list(self, &named(images))
    }

    /// The names of this store's images, with the manifests that they stand for.
    pub fn listed_images(&self) -> Vec<(String, Descriptor)> {
        entries(self).into_iter().collect()
    }

    /// Takes those names out of the store's index that still stand for these manifests; content
    /// stays until the store is collected.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn unlist_images(&self, images: &[(String, Digest)]) -> Result<(), LayoutError> {
        let _lock = lock(self)?;
        let mut entries = entries(self);
        let before = entries.len();
        for (name, digest) in images {
            if entries.get(name).is_some_and(|entry| entry.digest == *digest) {
                entries.remove(name);
            }
        }
        if entries.len() != before {
            write_index(self, entries)?;
        }
        Ok(())
    }
}

/// Replaces a layout's index by one that has images under names, and all that it had under others.
fn list(store: &ContentStore, new: &[LayoutEntry]) -> Result<(), LayoutError> {
    let _lock = lock(store)?;
    let mut entries = entries(store);
    let before = entries.clone();
    for entry in new {
        let mut descriptor = if let Some((bytes, kind)) = &entry.index {
            Descriptor::new(kind, Digest::of(bytes), bytes.len() as u64)
        } else {
            let mut index = Index::of_platforms(entry.images.iter().collect::<Vec<_>>())?;
            if index.manifests.len() == 1 {
                index.manifests.remove(0)
            } else {
                let (bytes, descriptor) = index.to_document();
                store.put(&bytes)?;
                descriptor
            }
        };
        descriptor.annotations.insert(REF_NAME.to_owned(), entry.name.clone());
        entries.insert(entry.name.clone(), descriptor);
    }
    if entries != before || store.folder().kind("oci-layout")?.is_none() {
        write_index(store, entries)?;
    }
    Ok(())
}

/// Takes those names out of a store's index whose manifests are gone.
pub(crate) fn forget_missing(store: &ContentStore) -> Result<(), FolderError> {
    let _lock = lock(store)?;
    let mut entries = entries(store);
    let before = entries.len();
    entries.retain(|_, entry| store.blob_path(entry.digest).exists());
    if entries.len() == before { Ok(()) } else { write_index(store, entries) }
}

/// Locks the index of a layout, so that one process changes it at a time.
fn lock(store: &ContentStore) -> Result<Option<LockedFile>, FolderError> {
    let folder = store.folder().open_folder()?;
    // Without locks, as on some network disks, the last one wins.
    Ok(folder.lock().is_ok().then(|| LockedFile::new(folder)))
}

fn entries(store: &ContentStore) -> BTreeMap<String, Descriptor> {
    let Ok(layout) = OciLayout::open(store.root()) else { return BTreeMap::new() };
    let with_name = |entry: &Descriptor| {
        let name = entry.annotations.get(REF_NAME).cloned();
        (name.unwrap_or_else(|| entry.digest.to_string()), entry.clone())
    };
    layout.index.manifests.iter().map(with_name).collect()
}

fn write_index(
    store: &ContentStore,
    entries: BTreeMap<String, Descriptor>,
) -> Result<(), FolderError> {
    let index = Index {
        schema_version: 2,
        media_type: Some(media_type::OCI_INDEX.to_owned()),
        manifests: entries.into_values().collect(),
        annotations: BTreeMap::new(),
    };
    let bytes = serde_json::to_vec_pretty(&index).expect("texts and numbers are JSON");
    let folder = store.folder();
    if folder.kind("oci-layout")?.is_none() {
        folder.write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644)?;
    }
    folder.write("index.json", &bytes, 0o644)
}
