//! From layers to an image: config and manifest, in the base's own media types.
//!
//! Owns history entries, labels and annotations that every image of ours carries (contracts,
//! section 10.9). Refuses to make layers.

use std::collections::BTreeMap;

use esb_oci::{
    Blob, ContentStore, Descriptor, Digest, History, Image, ImageConfig, Manifest,
    manifest::media_type,
};
use serde::{Deserialize, Serialize};

use crate::{Base, Error, dockerfile::interpret::Step, layer::Layer};

/// The label and annotation that name an image's base.
pub(crate) const BASE_NAME: &str = "org.opencontainers.image.base.name";
pub(crate) const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// The record's kind in the content store.
const RECORD: &str = "image";

/// An image that was made before: what has to lie in the store for it to be used again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageRecord {
    manifest: Digest,
    config: Digest,
    /// Of ours, lowest first.
    layers: Vec<Layer>,
}

/// Everything that becomes an image.
pub(crate) struct Parts<'a> {
    pub(crate) base: Option<&'a Base>,
    pub(crate) config: ImageConfig,
    /// The instructions, and the layers that some of them made.
    pub(crate) steps: Vec<(&'a Step, Option<Layer>)>,
    pub(crate) epoch: i64,
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

/// Writes config and manifest into the store and remembers the image under `key`.
pub(crate) fn assemble(
    parts: Parts<'_>,
    store: &ContentStore,
    key: Digest,
) -> Result<Image, Error> {
    let Parts { base, mut config, steps, epoch } = parts;
    let created = rfc3339(epoch);
    config.set_created(&created);
    let mut layers = Vec::new();
    for (step, layer) in steps {
        let history = History { created: &created, created_by: &step.created_by };
        match layer {
            Some(layer) => {
                config.push_layer(layer.diff_id, &history);
                layers.push(layer);
            }
            None => config.push_empty_history(&history),
        }
    }
    let types = Types::of(base);
    let config_bytes = config.to_bytes();
    let config = store.put(&config_bytes)?;
    let mut descriptors = base.map(|base| base.image.manifest.layers.clone()).unwrap_or_default();
    descriptors.extend(layers.iter().map(|layer| types.layer(layer)));
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(types.manifest.to_owned()),
        config: Descriptor::new(types.config, config, config_bytes.len() as u64),
        layers: descriptors,
        annotations: types.annotations(base),
    };
    let manifest_bytes = serde_json::to_vec(&manifest).expect("a manifest serialises");
    let manifest = store.put(&manifest_bytes)?;
    let record = ImageRecord { manifest, config, layers };
    let image = record.image(base, store, manifest_bytes, config_bytes)?;
    store.set_record(RECORD, key, &record)?;
    Ok(image)
}

/// The image that was remembered under `key`, when all of it is still in the store.
pub(crate) fn remembered(base: Option<&Base>, store: &ContentStore, key: Digest) -> Option<Image> {
    let record: ImageRecord = store.record(RECORD, key)?;
    if !record.layers.iter().all(|layer| store.size(layer.digest) == Some(layer.size)) {
        return None;
    }
    let read = |digest| store.document(digest);
    record.image(base, store, read(record.manifest)?, read(record.config)?).ok()
}

impl ImageRecord {
    fn image(
        &self,
        base: Option<&Base>,
        store: &ContentStore,
        manifest: Vec<u8>,
        config: Vec<u8>,
    ) -> Result<Image, Error> {
        let types = Types::of(base);
        let descriptor = Descriptor::new(types.config, self.config, config.len() as u64);
        let mut layers = base.map(|base| base.image.layers.clone()).unwrap_or_default();
        layers.extend(self.layers.iter().map(|layer| store.blob(types.layer(layer))));
        let blob: Blob = store.blob(descriptor);
        Ok(Image::new(manifest.into(), config.into(), blob, layers)?)
    }
}

/// Media types, all of one family.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Types {
    pub(crate) manifest: &'static str,
    pub(crate) config: &'static str,
    pub(crate) layer: &'static str,
}

impl Types {
    pub(crate) fn of(base: Option<&Base>) -> Self {
        let docker = base.is_some_and(|base| {
            base.image.manifest.media_type.as_deref() == Some(media_type::DOCKER_MANIFEST)
        });
        if docker {
            Self {
                manifest: media_type::DOCKER_MANIFEST,
                config: media_type::DOCKER_CONFIG,
                layer: media_type::DOCKER_LAYER_GZIP,
            }
        } else {
            Self {
                manifest: media_type::OCI_MANIFEST,
                config: media_type::OCI_CONFIG,
                layer: media_type::OCI_LAYER_GZIP,
            }
        }
    }

    fn layer(self, layer: &Layer) -> Descriptor {
        Descriptor::new(self.layer, layer.digest, layer.size)
    }

    /// Docker's manifests have none.
    pub(crate) fn annotations(self, base: Option<&Base>) -> BTreeMap<String, String> {
        match base {
            Some(base) if self.manifest == media_type::OCI_MANIFEST => [
                (BASE_NAME.to_owned(), base.name.clone()),
                (BASE_DIGEST.to_owned(), base.image.digest().to_string()),
            ]
            .into(),
            _ => BTreeMap::new(),
        }
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
