//! Somebody who may push to the registry, and an engine that looks at what lies there.

use std::{collections::BTreeMap, io::Read as _, sync::Arc};

use esb_model::NullReporter;
use esb_oci::{Attributes, Blob, Digest, Image, LayerWriter, Manifest, Reference, media_type};
use esb_registry::{Client, PushSession, RegistrySettings};
use serde_json::{Map, Value};

/// What an attacker's layer holds, wherever it lands.
pub(crate) const EVIL: &str = "evil = True\n";

/// Pushes and reads by itself: no annotation is believed, and each layer is unpacked.
pub(crate) struct Attacker {
    client: Client,
    runtime: tokio::runtime::Runtime,
    host: String,
}

impl Attacker {
    pub(crate) fn new(host: String) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = Client::new(RegistrySettings::default()).unwrap();
        Self { client, runtime, host }
    }

    fn reference(&self, repository: &str, target: &str) -> Reference {
        let sign = if target.starts_with("sha256:") { '@' } else { ':' };
        format!("{}/{repository}{sign}{target}", self.host).parse().unwrap()
    }

    /// The image that a tag or digest leads to.
    pub(crate) fn image(&self, repository: &str, target: &str) -> Image {
        let (reference, session) = (self.reference(repository, target), PushSession::new());
        let platform = "linux/amd64".parse().unwrap();
        let found = self.client.published(&reference, platform, true, &session);
        self.runtime.block_on(found).unwrap().unwrap()
    }

    /// Pushes an image under tags.
    pub(crate) fn push(&self, image: &Image, repository: &str, tags: &[&str]) {
        let reporter: Arc<dyn esb_model::Reporter> = Arc::new(NullReporter);
        for tag in tags {
            let (reference, session) = (self.reference(repository, tag), PushSession::new());
            let pushed = self.client.push(image, &reference, &[], &session, &reporter);
            self.runtime.block_on(pushed).unwrap();
        }
    }

    /// The files of an image as an engine unpacks it: an error where a layer is not what the config
    /// says.
    pub(crate) fn unpack(&self, image: &Image) -> Result<BTreeMap<String, String>, String> {
        let config = image.parse_config().unwrap();
        assert_eq!(config.diff_ids().len(), image.layers.len());
        let mut files = BTreeMap::new();
        for (layer, diff_id) in image.layers.iter().zip(config.diff_ids()) {
            let blob = self.runtime.block_on(layer.read(1 << 30)).map_err(|e| e.to_string())?;
            let mut plain = Vec::new();
            flate2::read::MultiGzDecoder::new(&blob[..]).read_to_end(&mut plain).unwrap();
            if Digest::of(&plain) != diff_id {
                return Err(format!("wrong diff id of {}", layer.descriptor.digest));
            }
            let mut archive = tar::Archive::new(&plain[..]);
            for entry in archive.entries().unwrap() {
                let mut entry = entry.unwrap();
                let path = entry.path().unwrap().display().to_string();
                let mut content = String::new();
                if entry.header().entry_type().is_file() {
                    entry.read_to_string(&mut content).unwrap();
                }
                files.insert(path, content);
            }
        }
        Ok(files)
    }
}

/// A layer with one file.
pub(crate) struct Layer {
    pub(crate) blob: Blob,
    pub(crate) diff_id: Digest,
}

pub(crate) fn evil_layer(path: &str) -> Layer {
    let mut layer = LayerWriter::new(Vec::new(), 0);
    layer.file(path, Attributes::root(0o644), EVIL.len() as u64, &mut EVIL.as_bytes()).unwrap();
    let (bytes, digests) = layer.finish().unwrap();
    let blob = Blob::from_bytes(media_type::OCI_LAYER_GZIP, bytes);
    Layer { blob, diff_id: digests.diff_id }
}

/// Another image with all that an image says of itself, and one layer replaced.
pub(crate) struct Forgery {
    image: Image,
    manifest: Manifest,
    config: Value,
}

impl Forgery {
    pub(crate) fn of(image: &Image) -> Self {
        let manifest = (*image.manifest).clone();
        let config = serde_json::from_slice(image.config_bytes.as_ref().unwrap()).unwrap();
        Self { image: image.clone(), manifest, config }
    }

    /// Puts a blob in the place of the last layer; its descriptor keeps what it says.
    #[must_use]
    pub(crate) fn with_blob(mut self, layer: &Layer) -> Self {
        let position = self.image.layers.len() - 1;
        self.image.layers[position] = layer.blob.clone();
        let said = &mut self.manifest.layers[position];
        said.digest = layer.blob.descriptor.digest;
        said.size = layer.blob.descriptor.size;
        self
    }

    /// Lets config and descriptor say what the last layer really is: engines take it.
    #[must_use]
    pub(crate) fn consistent(mut self, layer: &Layer) -> Self {
        let said = self.manifest.layers.last_mut().unwrap();
        said.annotations.insert("com.esb.diff_id".to_owned(), layer.diff_id.to_string());
        let ids = self.config["rootfs"]["diff_ids"].as_array_mut().unwrap();
        *ids.last_mut().unwrap() = layer.diff_id.to_string().into();
        self
    }

    #[must_use]
    pub(crate) fn annotated(mut self, name: &str, value: &str) -> Self {
        self.manifest.annotations.insert(name.to_owned(), value.to_owned());
        self
    }

    #[must_use]
    pub(crate) fn configured(mut self, change: impl FnOnce(&mut Map<String, Value>)) -> Self {
        change(self.config["config"].as_object_mut().unwrap());
        self
    }

    pub(crate) fn image(mut self) -> Image {
        let original: Value =
            serde_json::from_slice(self.image.config_bytes.as_ref().unwrap()).unwrap();
        let config_bytes = if original == self.config {
            self.image.config_bytes.clone().unwrap()
        } else {
            serde_json::to_vec(&self.config).unwrap().into()
        };
        let config = Blob::from_bytes(media_type::OCI_CONFIG, config_bytes.clone());
        self.manifest.config = config.descriptor.clone();
        let bytes = serde_json::to_vec(&self.manifest).unwrap();
        let layers = self.image.layers;
        Image::new(bytes.into(), config_bytes, config, layers).unwrap()
    }
}
