//! Assembles an image from its layers: config and manifest, in OCI's media types.
//!
//! Owns history entries, labels and annotations that every image of ours carries
//! (docs/contracts/platform.md#labels). Refuses to make layers.

use std::collections::BTreeMap;

use bytes::Bytes;
use esb_oci::{
    Blob, ContentStore, Descriptor, Digest, History, Image, ImageConfig, LayerWriter, Manifest,
    manifest::media_type,
};

use crate::{
    Base, Error,
    image::{layer::LayerBlob, published::AnnotationNames},
};

/// The label and annotation that name an image's base.
pub(crate) const BASE_NAME: &str = "org.opencontainers.image.base.name";
pub(crate) const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// The record's kind in the content store: the text of the manifest that a fingerprint led to.
const RECORD: &str = "image-4";

/// Everything that becomes an image.
pub(crate) struct ImageContents<'a> {
    pub(crate) base: Option<&'a Base>,
    pub(crate) config: ImageConfig,
    /// The instructions as the history shows them, and the layers that some of them made.
    pub(crate) steps: Vec<(String, Option<LayerBlob>)>,
    pub(crate) epoch: i64,
    pub(crate) names: &'a AnnotationNames,
    /// Beside those of every image.
    pub(crate) annotations: BTreeMap<String, String>,
}

/// Adds the labels that say what an image was built on, and those of the request, which win.
pub(crate) fn label(
    config: &mut ImageConfig,
    base: Option<&Base>,
    labels: &BTreeMap<String, String>,
) {
    if let Some(base) = base {
        config.insert("Labels", BASE_NAME, &*base.name);
        config.insert("Labels", BASE_DIGEST, base.image.digest().to_string());
    }
    for (name, value) in labels {
        config.insert("Labels", name, &**value);
    }
}

/// The image of some parts, with `key` as its fingerprint. Nothing is written.
pub(crate) fn assemble(
    parts: ImageContents<'_>,
    store: &ContentStore,
    key: Digest,
) -> Result<Image, Error> {
    let ImageContents { base, mut config, steps, epoch, names, mut annotations } = parts;
    let created = rfc3339(epoch);
    config.set_created(&created);
    let mut descriptors = Vec::new();
    let mut layers = Vec::new();
    if let Some(base) = base {
        descriptors.extend(base.image.manifest.layers.iter().map(of_base));
        layers.extend(base.image.layers.iter().cloned());
    }
    for (created_by, made) in steps {
        let history = History { created: &created, created_by: &created_by };
        match made {
            Some(LayerBlob { layer, blob }) => {
                config.push_layer(layer.diff_id, &history);
                descriptors.push(names.describe(&layer, media_type::OCI_LAYER_GZIP));
                layers.push(blob);
            }
            None => config.push_empty_history(&history),
        }
    }
    if layers.is_empty() {
        let layer = add_empty_layer(store, &mut config, epoch)?;
        descriptors.push(layer.descriptor.clone());
        layers.push(layer);
    }
    let config_bytes = config.to_bytes();
    let digest = Digest::of(&config_bytes);
    let config = Descriptor::new(media_type::OCI_CONFIG, digest, config_bytes.len() as u64);
    annotations.extend(annotations_of(base));
    names.mark(&mut annotations, key);
    let manifest = manifest(config.clone(), descriptors, annotations);
    Ok(Image::new(manifest.into(), config_bytes.into(), store.blob(config), layers)?)
}

/// Puts an empty layer into the store, and into the config of an image that has no other one:
/// image-spec's schema wants a layer in each manifest, and engines do not run an image without one.
pub(crate) fn add_empty_layer(
    store: &ContentStore,
    config: &mut ImageConfig,
    epoch: i64,
) -> Result<Blob, Error> {
    let (bytes, digests) =
        LayerWriter::new(Vec::new(), epoch).finish().expect("memory takes everything");
    let created = rfc3339(epoch);
    let history = History { created: &created, created_by: "no instruction made a layer" };
    config.push_layer(digests.diff_id, &history);
    let size = bytes.len() as u64;
    let descriptor = Descriptor::new(media_type::OCI_LAYER_GZIP, store.put(&bytes)?, size);
    Ok(store.blob(descriptor))
}

/// The bytes of a manifest of ours. Its media types are OCI's whatever the base's are: the bytes of
/// layers are the same, and Docker's manifests have no annotations.
pub(crate) fn manifest(
    config: Descriptor,
    layers: Vec<Descriptor>,
    annotations: BTreeMap<String, String>,
) -> Vec<u8> {
    let media_type = Some(media_type::OCI_MANIFEST.to_owned());
    let manifest = Manifest { schema_version: 2, media_type, config, layers, annotations };
    serde_json::to_vec(&manifest).expect("a manifest serialises")
}

/// A layer of a base, as a manifest of ours names it.
pub(crate) fn of_base(layer: &Descriptor) -> Descriptor {
    let media_type = match &*layer.media_type {
        media_type::DOCKER_LAYER_GZIP => media_type::OCI_LAYER_GZIP,
        media_type::DOCKER_LAYER_TAR => media_type::OCI_LAYER_TAR,
        other => other,
    };
    Descriptor::new(media_type, layer.digest, layer.size)
}

/// The annotations that name an image's base.
pub(crate) fn annotations_of(base: Option<&Base>) -> BTreeMap<String, String> {
    let Some(base) = base else { return BTreeMap::new() };
    [
        (BASE_NAME.to_owned(), base.name.clone()),
        (BASE_DIGEST.to_owned(), base.image.digest().to_string()),
    ]
    .into()
}

/// Keeps an image's documents, as far as they are read, and remembers it under `key`.
pub(crate) fn remember(image: &Image, store: &ContentStore, key: Digest) -> Result<(), Error> {
    store.put(&image.manifest_bytes)?;
    if let Some(config) = &image.config_bytes {
        store.put(config)?;
    }
    let text = str::from_utf8(&image.manifest_bytes).ok();
    Ok(store.set_record(RECORD, key, &text)?)
}

/// An image that was recorded earlier, as far as the store still has it.
pub(crate) enum Remembered {
    /// All of it is here, or in its base.
    Whole(Box<Image>),
    /// Its blobs lie elsewhere, if anywhere.
    Manifest(Bytes),
    Nothing,
}

/// The image that was remembered under `key`; with `read_config` its config is read.
pub(crate) fn remembered(
    base: Option<&Base>,
    store: &ContentStore,
    key: Digest,
    read_config: bool,
) -> Remembered {
    let text: Option<String> = store.record(RECORD, key).flatten();
    let Some(bytes) = text.map(Bytes::from) else { return Remembered::Nothing };
    let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) else {
        return Remembered::Nothing;
    };
    let of_base = base.map(|base| &*base.image.layers).unwrap_or_default();
    let layers = manifest.layers.into_iter().enumerate().map(|(position, layer)| {
        let same = |blob: &&Blob| blob.descriptor.digest == layer.digest;
        match of_base.get(position).filter(same) {
            Some(blob) => Some(blob.clone()),
            None => store.has(&layer).then(|| store.blob(layer)),
        }
    });
    let layers: Option<Vec<Blob>> = layers.collect();
    let config_bytes =
        if read_config { store.document(manifest.config.digest).map(Bytes::from) } else { None };
    let has_config = config_bytes.is_some() || !read_config && store.has(&manifest.config);
    let Some(layers) = layers.filter(|_| has_config) else { return Remembered::Manifest(bytes) };
    match Image::unread(bytes, store.blob(manifest.config), layers) {
        Ok(image) => Remembered::Whole(Box::new(Image { config_bytes, ..image })),
        Err(_) => Remembered::Nothing,
    }
}

/// A time as RFC 3339 writes it, in UTC. Years past 9999 have no such form and become its end.
pub(crate) fn rfc3339(epoch: i64) -> String {
    const DAY: i64 = 86_400;
    let epoch = epoch.clamp(0, 253_402_300_799);
    let (days, rest) = (epoch / DAY, epoch % DAY);
    // Days since 0000-03-01, in eras of 400 years, which all have as many days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (epoch, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (esb_oci::DEFAULT_EPOCH, "1980-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-5, "1970-01-01T00:00:00Z"),
            (i64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(epoch), text);
        }
    }
}
