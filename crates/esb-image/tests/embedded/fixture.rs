//! A project in a temporary folder, a small base, and images flattened to lines.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
};

use esb_image::{
    Base, BuildReport, BuildRequest, Builder as _, Built, EmbeddedBuilder, EmbeddedSettings, Error,
    Pins, PublishedImages,
};
use esb_model::{BaseRef, FunctionId, ImageKind, ImageRecipe, NullReporter, Platform, TemplateId};
use esb_oci::{
    Attributes, Blob, ContentStore, DEFAULT_EPOCH, Descriptor, Digest, Image, ImageConfig,
    LayerWriter, Manifest, manifest::media_type,
};

/// A project, a store and an engine.
pub(crate) struct Project {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) recipe: ImageRecipe,
    pub(crate) bases: BTreeMap<String, Base>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) epoch: i64,
    pub(crate) no_cache: bool,
    pub(crate) builder: EmbeddedBuilder,
}

impl Project {
    /// A project with the files of `text`: `path content`, `path/`, `path->target`, `+path content`
    /// for one that can be executed.
    pub(crate) fn new(dockerfile: &str, files: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let builder = builder(&folder.path().join("store"));
        fs::create_dir(folder.path().join("root")).unwrap();
        let project = Self {
            folder,
            recipe: recipe(dockerfile),
            bases: [("base:1".to_owned(), base(media_type::OCI_MANIFEST))].into(),
            labels: BTreeMap::new(),
            epoch: DEFAULT_EPOCH,
            no_cache: false,
            builder,
        };
        files.lines().for_each(|line| project.write(line));
        project
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    pub(crate) fn write(&self, line: &str) {
        let (line, mode) = match line.trim().strip_prefix('+') {
            Some(line) => (line, 0o700),
            None => (line.trim(), 0o640),
        };
        let (path, content) = line.split_once(' ').unwrap_or((line, ""));
        if let Some((path, target)) = line.split_once("->") {
            let path = self.root().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            return symlink(target, path).unwrap();
        }
        let full = self.root().join(path);
        if path.ends_with('/') {
            return fs::create_dir_all(full).unwrap();
        }
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(&full, content).unwrap();
        fs::set_permissions(full, fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn build(&self) -> Result<BuildReport, Error> {
        self.build_for(None, &Pins::default())
    }

    /// Builds for a place that may have the image.
    pub(crate) fn build_for(
        &self,
        published: Option<&dyn PublishedImages>,
        pins: &Pins,
    ) -> Result<BuildReport, Error> {
        let root = self.root();
        let mut request = BuildRequest::new(&self.recipe, &root, &self.bases);
        request.labels = &self.labels;
        request.fingerprint_label = Some("com.esb.image_fingerprint");
        request.published = published;
        request.pins = pins;
        request.epoch = self.epoch;
        request.no_cache = self.no_cache;
        block_on(self.builder.build(request, &NullReporter))
    }

    /// The image, which has to be built without an error.
    pub(crate) fn image(&self) -> Image {
        image(&self.build().unwrap())
    }
}

pub(crate) fn builder(store: &std::path::Path) -> EmbeddedBuilder {
    EmbeddedBuilder::new(ContentStore::open(store).unwrap(), EmbeddedSettings::default())
}

pub(crate) fn image(report: &BuildReport) -> Image {
    match &report.built {
        Built::Local(image) => (**image).clone(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

pub(crate) fn recipe(dockerfile: &str) -> ImageRecipe {
    let template = TemplateId(0);
    ImageRecipe::new(
        "esb-hello".to_owned(),
        "latest".to_owned(),
        ImageKind::Function(FunctionId { template, logical_id: "Hello".to_owned() }),
        Platform::default(),
        BaseRef::External { reference: "base:1".to_owned() },
        dockerfile.to_owned(),
    )
    .with_folder(".esb/dev/functions/hello".into())
}

/// Folders with and without links to them, a file, and settings.
pub(crate) fn base(kind: &str) -> Base {
    base_with(kind, "/bin")
}

/// The same with another value of `PATH`.
pub(crate) fn base_with(kind: &str, path: &str) -> Base {
    let mut layer = LayerWriter::new(Vec::new(), 0);
    for folder in ["opt", "etc", "var", "var/task", "usr", "usr/lib"] {
        layer.dir(folder, Attributes::root(0o755)).unwrap();
    }
    layer.dir("opt/keep", Attributes { mode: 0o700, uid: 3, gid: 4 }).unwrap();
    layer.file("etc/os", Attributes::root(0o644), 2, &mut &b"os"[..]).unwrap();
    layer.symlink("lnk", Attributes::root(0o777), "/opt").unwrap();
    layer.symlink("lib", Attributes::root(0o777), "usr/lib").unwrap();
    let (blob, digests) = layer.finish().unwrap();
    let mut config = ImageConfig::empty("amd64");
    config.set_env("PATH", path);
    config.set_env("LAMBDA_TASK_ROOT", "/var/task");
    config.set("Cmd", vec!["base.cmd"]);
    config.set("Entrypoint", vec!["/entry"]);
    config.set("WorkingDir", "/var/task");
    config.insert("Labels", "of.base", "yes");
    base_of(kind, config, vec![(blob, digests.diff_id)])
}

/// A base of layers that are compressed already, each with the digest of what it unpacks to.
pub(crate) fn base_of(kind: &str, mut config: ImageConfig, layers: Vec<(Vec<u8>, Digest)>) -> Base {
    for (_, diff_id) in &layers {
        let history = esb_oci::History { created: "2020-01-01T00:00:00Z", created_by: "base" };
        config.push_layer(*diff_id, &history);
    }
    let (config_type, layer_type) = if kind == media_type::DOCKER_MANIFEST {
        (media_type::DOCKER_CONFIG, media_type::DOCKER_LAYER_GZIP)
    } else {
        (media_type::OCI_CONFIG, media_type::OCI_LAYER_GZIP)
    };
    let layers: Vec<Blob> =
        layers.into_iter().map(|(blob, _)| Blob::from_bytes(layer_type, blob)).collect();
    let config = Blob::from_bytes(config_type, config.to_bytes());
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(kind.to_owned()),
        config: config.descriptor.clone(),
        layers: layers.iter().map(|layer| layer.descriptor.clone()).collect(),
        annotations: BTreeMap::new(),
    };
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let config_bytes = block_on(config.read(1 << 20)).unwrap();
    let image = Image::new(bytes.into(), config_bytes, config, layers).unwrap();
    Base { image, pullable: None, name: "registry.test/base:1".to_owned() }
}

/// What layers hold, one line for each path, later layers over earlier ones.
pub(crate) fn flatten(image: &Image, skip: usize) -> Vec<String> {
    let mut tree: BTreeMap<String, String> = BTreeMap::new();
    for layer in &image.layers[skip..] {
        for (path, line) in entries(layer) {
            tree.insert(path, line);
        }
    }
    tree.into_values().collect()
}

/// What the image adds to its base, as one text.
pub(crate) fn added(image: &Image) -> String {
    flatten(image, 1).join(", ")
}

fn entries(layer: &Blob) -> Vec<(String, String)> {
    let bytes = block_on(layer.read(1 << 30)).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
    let mut entries = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        let header = entry.header();
        let path = entry.path().unwrap().to_str().unwrap().trim_end_matches('/').to_owned();
        let mode = header.mode().unwrap();
        let owner = match (header.uid().unwrap(), header.gid().unwrap()) {
            (0, 0) => String::new(),
            (uid, gid) => format!(" {uid}:{gid}"),
        };
        let line = match header.entry_type() {
            tar::EntryType::Directory => format!("{path}/ {mode:o}{owner}"),
            tar::EntryType::Symlink => {
                format!("{path}->{}{owner}", entry.link_name().unwrap().unwrap().display())
            }
            _ => format!("{path} {mode:o}{owner} {content}"),
        };
        entries.push((path, line));
    }
    entries
}

/// The config of an image.
pub(crate) fn config(image: &Image) -> ImageConfig {
    image.parse_config().unwrap()
}

/// The descriptor of the topmost layer.
pub(crate) fn top(image: &Image) -> &Descriptor {
    &image.layers.last().unwrap().descriptor
}
