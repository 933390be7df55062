//! Images that were published before, on whatever machine: a cold machine need not build them.
//!
//! Owns what our manifests say about themselves, in annotations: the image's fingerprint, and the
//! content key of each layer of ours. Refuses the network: who asks a registry is the caller's
//! part, behind [`Published`].

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use esb_model::ImageRecipe;
use esb_oci::{Blob, BoxFuture, Descriptor, Digest, Image};

use crate::layer::{Layer, Made};

/// Finds what the place that images are published to has already.
pub trait Published: Send + Sync {
    /// The image that lies there under the recipe's name, its blobs to be had there; `None` when
    /// there is none, and when the place does not tell.
    ///
    /// `known` is the manifest that this machine remembers for exactly this build: when it lies
    /// there, it is the answer. The config is read for base images; others may leave it unread.
    fn find<'a>(
        &'a self,
        recipe: &'a ImageRecipe,
        known: Option<Bytes>,
    ) -> BoxFuture<'a, Option<Image>>;
}

/// The keys of annotations, which start as the labels of contracts, section 2.4 do.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    fingerprint: String,
    layer_key: String,
    diff_id: String,
    pub(crate) base_index: String,
}

impl Names {
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
    pub(crate) fn layers(&self, image: &Image) -> Earlier {
        let of = |layer: &Blob| {
            let said = |name| layer.descriptor.annotations.get(name);
            let key = format!("sha256:{}", said(&self.layer_key)?).parse().ok()?;
            let diff_id = said(&self.diff_id)?.parse().ok()?;
            let Descriptor { digest, size, .. } = layer.descriptor;
            let blob = Blob {
                descriptor: Descriptor::new(&*layer.descriptor.media_type, digest, size),
                source: layer.source.clone(),
            };
            Some((key, Made { layer: Layer { key, digest, diff_id, size }, blob }))
        };
        Earlier(image.layers.iter().filter_map(of).collect())
    }
}

/// Layers that need not be made, because they lie where the image goes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Earlier(HashMap<Digest, Made>);

impl Earlier {
    pub(crate) fn get(&self, key: Digest) -> Option<&Made> {
        self.0.get(&key)
    }
}
