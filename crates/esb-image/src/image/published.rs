//! Reuses images and layers that were published before, so that a machine with an empty cache need
//! not build them.
//!
//! Annotations in the manifests of our images name the image's fingerprint and the content key of
//! each layer of ours. Anybody who may push can write them, so they are hints: an image is used
//! when its digest is remembered by this machine, pinned by the caller ([`Pins`]), or computed
//! here. Makes no requests itself: the caller does, behind [`PublishedImages`].

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use esb_model::ImageRecipe;
use esb_oci::{Blob, BoxFuture, Descriptor, Digest, Image};

use crate::image::layer::{Layer, LayerBlob};

/// Finds images in the registry or layout that images are published to.
pub trait PublishedImages: Send + Sync {
    /// The image that is published under the recipe's name, its blobs readable there; `None` when
    /// there is none, or when the registry does not answer.
    ///
    /// When the `wanted` image is there, it is returned. The config of base images is read; that of
    /// others may be left unread.
    fn find<'a>(
        &'a self,
        recipe: &'a ImageRecipe,
        wanted: ExpectedImage,
    ) -> BoxFuture<'a, Option<Image>>;
}

/// The image that a build is expected to give, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpectedImage {
    /// The manifest that this machine remembers for exactly this build.
    pub known: Option<Bytes>,
    /// The digest that is pinned for exactly this build.
    pub pinned: Option<Digest>,
}

impl ExpectedImage {
    /// Whether an image is the expected one, by its digest.
    pub(crate) fn is(&self, image: &Image) -> bool {
        let known = self.known.as_ref().map(|known| Digest::of(known));
        [known, self.pinned].contains(&Some(image.digest()))
    }
}

/// Digests that an expensive build found, by the keys of its inputs. A caller keeps them where only
/// trusted people can write, and passes them to later builds, which rely on them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins {
    /// The fingerprint of an image, and its digest.
    pub image: Option<(Digest, Digest)>,
    /// The layer that holds installed packages: its key, and the digest of its uncompressed
    /// content.
    pub packages: Option<(Digest, Digest)>,
}

impl Pins {
    /// The pin of an image.
    pub(crate) fn of_image(fingerprint: Digest, digest: Digest) -> Self {
        Self { image: Some((fingerprint, digest)), packages: None }
    }

    /// The digest of the image with a fingerprint.
    pub(crate) fn image(&self, fingerprint: Digest) -> Option<Digest> {
        self.image.filter(|(of, _)| *of == fingerprint).map(|(_, digest)| digest)
    }

    /// The digest of the uncompressed layer with a key.
    pub(crate) fn layer(&self, key: Digest) -> Option<Digest> {
        self.packages.filter(|(of, _)| *of == key).map(|(_, diff_id)| diff_id)
    }

    /// A reason to make an image that this machine does not know, and why no pin spared it.
    pub(crate) fn explain(&self, reason: &str, fingerprint: Digest) -> String {
        let why = match self.image {
            None => "not pinned",
            Some((of, _)) if of != fingerprint => "pinned with another content",
            Some(_) => "what is pinned was not found",
        };
        format!("{reason}, and {why}")
    }
}

/// The keys of annotations, which start as labels do (docs/contracts/platform.md#labels).
#[derive(Debug, Clone)]
pub(crate) struct AnnotationNames {
    fingerprint: String,
    layer_key: String,
    diff_id: String,
    pub(crate) base_index: String,
}

impl AnnotationNames {
    /// Names that start with `prefix`, such as `com.esb.`.
    pub(crate) fn new(prefix: &str) -> Self {
        let name = |name: &str| format!("{prefix}{name}");
        Self {
            fingerprint: name("image_fingerprint"),
            layer_key: name("layer_key"),
            diff_id: name("diff_id"),
            base_index: name("base_index"),
        }
    }

    /// What a manifest says of itself.
    pub(crate) fn mark(&self, annotations: &mut BTreeMap<String, String>, fingerprint: Digest) {
        annotations.insert(self.fingerprint.clone(), fingerprint.hex());
    }

    /// Whether a manifest says that it was made of exactly that.
    pub(crate) fn is_marked(&self, image: &Image, fingerprint: Digest) -> bool {
        let said = image.manifest.annotations.get(&self.fingerprint);
        said.is_some_and(|said| *said == fingerprint.hex())
    }

    /// What a layer's descriptor says of it.
    pub(crate) fn describe(&self, layer: &Layer, media_type: &str) -> Descriptor {
        let mut descriptor = Descriptor::new(media_type, layer.digest, layer.size);
        descriptor.annotations = [
            (self.layer_key.clone(), layer.key.hex()),
            (self.diff_id.clone(), layer.diff_id.to_string()),
        ]
        .into();
        descriptor
    }

    /// The layers of an image that say what they were made of, by their keys.
    pub(crate) fn layers(&self, image: &Image) -> PublishedLayers {
        let of = |(described, layer): (&Descriptor, &Blob)| {
            let said = |name| described.annotations.get(name);
            let key = format!("sha256:{}", said(&self.layer_key)?).parse().ok()?;
            let diff_id = said(&self.diff_id)?.parse().ok()?;
            let Descriptor { digest, size, .. } = *described;
            let blob = Blob {
                descriptor: Descriptor::new(&*described.media_type, digest, size),
                source: layer.source.clone(),
            };
            Some((key, LayerBlob { layer: Layer { key, digest, diff_id, size }, blob }))
        };
        let layers = image.manifest.layers.iter().zip(&image.layers).filter_map(of);
        PublishedLayers { layers: layers.collect(), is_trusted: false }
    }
}

/// Layers that need not be made, because they lie where the image goes.
#[derive(Debug, Clone, Default)]
pub(crate) struct PublishedLayers {
    layers: HashMap<Digest, LayerBlob>,
    is_trusted: bool,
}

impl PublishedLayers {
    pub(crate) fn get(&self, key: Digest) -> Option<&LayerBlob> {
        self.layers.get(&key)
    }

    /// The same, their word taken for what their blobs hold.
    pub(crate) fn trusted(self, is_trusted: bool) -> Self {
        Self { is_trusted, ..self }
    }

    /// Whether their word is taken.
    pub(crate) fn is_trusted(&self) -> bool {
        self.is_trusted
    }
}
