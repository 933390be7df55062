//! Bases made from nothing, recipes, and what an image looks like when it is unpacked.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use esb_image::{Base, BuildReport, BuildRequest, Builder, Built};
use esb_model::{BaseRef, Event, ImageKind, ImageRecipe, Platform, Reporter};
use esb_oci::{
    Attributes, Blob, ContentStore, DEFAULT_EPOCH, Descriptor, History, Image, ImageConfig,
    LayerWriter, Manifest, media_type,
};
use flate2::read::GzDecoder;

/// The label that carries fingerprints here.
pub(crate) const FINGERPRINT: &str = "com.example.image_fingerprint";

/// A file of a layer.
pub(crate) struct File<'a>(pub(crate) &'a str, pub(crate) u32, pub(crate) &'a [u8]);

/// An image of layers of files.
pub(crate) fn image(store: &ContentStore, layers: &[&[File<'_>]]) -> Image {
    let mut config = ImageConfig::empty(Platform::default().architecture.oci_name());
    config.set_env("PATH", "/bin");
    config.set_created("1980-01-01T00:00:00Z");
    let mut blobs = Vec::new();
    for files in layers {
        let mut layer = LayerWriter::new(store.writer().unwrap(), DEFAULT_EPOCH);
        for File(path, mode, content) in *files {
            let attributes = Attributes::root(*mode);
            match path.split_once("->") {
                Some((path, target)) => layer.symlink(path, attributes, target).unwrap(),
                None if path.ends_with('/') => {
                    layer.dir(path.trim_end_matches('/'), attributes).unwrap();
                }
                None => {
                    let size = content.len() as u64;
                    layer.file(path, attributes, size, &mut &content[..]).unwrap();
                }
            }
        }
        let (writer, digests) = layer.finish().unwrap();
        writer.commit(digests.digest).unwrap();
        let created = "1980-01-01T00:00:00Z";
        config.push_layer(digests.diff_id, &History { created, created_by: "a test" });
        blobs.push(store.blob(Descriptor::new(
            media_type::OCI_LAYER_GZIP,
            digests.digest,
            digests.size,
        )));
    }
    let config = config.to_bytes();
    let config_blob = Blob::from_bytes(media_type::OCI_CONFIG, config.clone());
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        config: config_blob.descriptor.clone(),
        layers: blobs.iter().map(|blob| blob.descriptor.clone()).collect(),
        annotations: BTreeMap::new(),
    };
    let manifest = serde_json::to_vec(&manifest).unwrap();
    Image::new(manifest.into(), config.into(), config_blob, blobs).unwrap()
}

pub(crate) fn recipe(repository: &str, dockerfile: &str) -> ImageRecipe {
    ImageRecipe::new(
        repository.to_owned(),
        "latest".to_owned(),
        ImageKind::Base("python3.12".parse().unwrap()),
        Platform::default(),
        BaseRef::External { reference: "unused".to_owned() },
        dockerfile.to_owned(),
    )
    .with_dockerignore(".hidden\n".to_owned())
    .with_folder(PathBuf::from(".hidden"))
}

/// What is said during a build.
#[derive(Debug, Default)]
pub(crate) struct Heard(std::sync::Mutex<String>);

impl Heard {
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl Reporter for Heard {
    fn event(&self, event: &Event<'_>) {
        let line = match event {
            Event::Started { subject, action } => format!("{action} {subject}"),
            Event::Output { line, .. } => (*line).to_owned(),
            Event::Decided { subject, decision } => format!("{subject}: {decision}"),
            _ => return,
        };
        writeln!(self.0.lock().unwrap(), "{line}").unwrap();
    }
}

/// One build with everything that does not change between the builds here.
pub(crate) struct Bench<'a> {
    pub(crate) builder: &'a dyn Builder,
    pub(crate) root: &'a Path,
    pub(crate) bases: BTreeMap<String, Base>,
    pub(crate) heard: Heard,
}

impl Bench<'_> {
    pub(crate) async fn try_build(
        &self,
        recipe: &ImageRecipe,
        no_cache: bool,
    ) -> Result<BuildReport, esb_image::Error> {
        let labels = BTreeMap::from([("com.example.managed".to_owned(), "true".to_owned())]);
        let mut request = BuildRequest::new(recipe, self.root, &self.bases);
        request.labels = &labels;
        request.fingerprint_label = Some(FINGERPRINT);
        request.no_cache = no_cache;
        self.builder.build(request, &self.heard).await
    }

    pub(crate) async fn build(&self, recipe: &ImageRecipe) -> BuildReport {
        self.try_build(recipe, false).await.unwrap()
    }
}

pub(crate) fn local(report: &BuildReport) -> &Image {
    match &report.built {
        Built::Local(image) => image,
        other => panic!("{other:?}"),
    }
}

/// The file system of an image from its layer `from` on: one line for each entry.
pub(crate) async fn flatten(image: &Image, from: usize) -> String {
    let mut tree: BTreeMap<String, String> = BTreeMap::new();
    for layer in image.layers.iter().skip(from) {
        let bytes = layer.read(64 * 1024 * 1024).await.unwrap();
        let mut archive = tar::Archive::new(GzDecoder::new(&bytes[..]));
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            let path = path.trim_end_matches('/').to_owned();
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if let Some(gone) = name.strip_prefix(".wh.") {
                let gone = format!("{folder}/{gone}");
                let gone = gone.trim_start_matches('/').to_owned();
                tree.retain(|path, _| *path != gone && !path.starts_with(&format!("{gone}/")));
                continue;
            }
            let header = entry.header().clone();
            assert_eq!(header.mtime().unwrap(), DEFAULT_EPOCH.cast_unsigned(), "{path}");
            let target =
                entry.link_name().unwrap().map(|target| format!("-> {}", target.display()));
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let kind = match header.entry_type() {
                tar::EntryType::Directory => "/".to_owned(),
                _ => target.unwrap_or_else(|| format!("{:?}", String::from_utf8_lossy(&content))),
            };
            let owner = format!("{}:{}", header.uid().unwrap(), header.gid().unwrap());
            let line = format!("{:o} {owner} {path} {kind}", header.mode().unwrap());
            tree.insert(path, line);
        }
    }
    tree.into_values().collect::<Vec<_>>().join("\n")
}

/// Files with text below a folder.
pub(crate) fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

pub(crate) fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o710)).unwrap();
}
