//! Small stand-ins for the outside world's base images, in an OCI layout.

use std::{collections::BTreeMap, path::Path};

use esb_oci::{
    Attributes, Blob, Digest, History, Image, ImageConfig, LayerWriter, Manifest, media_type,
};

/// The base of Python functions of the tests.
pub(crate) const PYTHON: &str = "lambda/python:3.13";

/// An image with the folders that functions expect, and one file that tells versions apart.
pub(crate) fn image(architecture: &str, version: &str) -> Image {
    let mut layer = LayerWriter::new(Vec::new(), 0);
    for folder in ["opt", "var", "var/task", "var/lang"] {
        layer.dir(folder, Attributes::root(0o755)).unwrap();
    }
    let (size, mut bytes) = (version.len() as u64, version.as_bytes());
    layer.file("version", Attributes::root(0o644), size, &mut bytes).unwrap();
    let (layer, digests) = layer.finish().unwrap();
    let layer = Blob::from_bytes(media_type::OCI_LAYER_GZIP, layer);
    of_layer(architecture, layer, digests.diff_id)
}

/// An image of one layer.
pub(crate) fn of_layer(architecture: &str, layer: Blob, diff_id: Digest) -> Image {
    let mut config = ImageConfig::empty(architecture);
    config.set_env("LAMBDA_TASK_ROOT", "/var/task");
    config.set("WorkingDir", "/var/task");
    let history = History { created: "1980-01-01T00:00:00Z", created_by: "test" };
    config.push_layer(diff_id, &history);
    let bytes = config.to_bytes();
    let config = Blob::from_bytes(media_type::OCI_CONFIG, bytes.clone());
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        config: config.descriptor.clone(),
        layers: vec![layer.descriptor.clone()],
        annotations: BTreeMap::new(),
    };
    let manifest = serde_json::to_vec(&manifest).unwrap();
    Image::new(manifest.into(), bytes.into(), config, vec![layer]).unwrap()
}

/// Puts a base into a layout that `--mirror` reads; gives the digest of its layer.
pub(crate) fn write(layout: &Path, architecture: &str, version: &str) -> Digest {
    write_all(layout, &[architecture], version);
    image(architecture, version).layers[0].descriptor.digest
}

/// As [`write`], for several platforms under one name.
pub(crate) fn write_all(layout: &Path, architectures: &[&str], version: &str) {
    let image = |architecture: &&str| (PYTHON.to_owned(), image(architecture, version));
    write_images(layout, &architectures.iter().map(image).collect::<Vec<_>>());
}

/// Puts images into a layout under their names.
pub(crate) fn write_images(layout: &Path, images: &[(String, Image)]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(esb_oci::write_layout(layout, images)).unwrap();
}
