//! Writes the OCI layout of a stand-in.
//!
//! Owns its config, its manifest, its index, and the mark of the recipe that it was made by.
//! Refuses to leave half a layout under its final name.

use super::{
    Error,
    layers::{LAYERS, Layer, hex},
    version::Version,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{fs, path::Path};

/// The annotation of the index that names the recipe.
const RECIPE: &str = "esb.stand-in.recipe";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The environment of AWS's image.
const ENVIRONMENT: &[&str] = &[
    "LANG=en_US.UTF-8",
    "TZ=:/etc/localtime",
    "PATH=/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "LD_LIBRARY_PATH=/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:\
     /var/task/lib:/opt/lib",
    "LAMBDA_TASK_ROOT=/var/task",
    "LAMBDA_RUNTIME_DIR=/var/runtime",
];

/// The recipe that the layout in `folder` was made by, when there is one.
pub(super) fn recipe_of(folder: &Path) -> Option<String> {
    let index = fs::read(folder.join("index.json")).ok()?;
    let index: Value = serde_json::from_slice(&index).ok()?;
    Some(index.get("annotations")?.get(RECIPE)?.as_str()?.to_owned())
}

/// Writes a layout of `layers`, which are moved into it, and puts it in place of what `folder` was.
pub(super) fn publish(
    version: Version,
    layers: &[Layer],
    recipe: &str,
    created: &str,
    partial: &Path,
    folder: &Path,
) -> Result<(), Error> {
    let blobs = partial.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(Error::file("make folder", &blobs))?;
    for layer in layers {
        let target = blobs.join(&layer.digest);
        fs::rename(&layer.path, &target).map_err(Error::file("move a layer to", &target))?;
    }
    let config = blob(&blobs, &config(version, layers, created), CONFIG)?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": layers.iter().map(|layer| json!({
            "mediaType": LAYER,
            "digest": format!("sha256:{}", layer.digest),
            "size": layer.size,
        })).collect::<Vec<_>>(),
    });
    let mut entry = blob(&blobs, &manifest, MANIFEST)?;
    entry["platform"] = json!({ "architecture": architecture(), "os": "linux" });
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": reference(version) });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [entry],
        "annotations": { RECIPE: recipe },
    });
    let write = |name: &str, value: &Value| {
        let path = partial.join(name);
        fs::write(&path, value.to_string()).map_err(Error::file("write", &path))
    };
    write("oci-layout", &json!({ "imageLayoutVersion": "1.0.0" }))?;
    write("index.json", &index)?;
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Error::file("remove", folder))?;
    }
    fs::rename(partial, folder).map_err(Error::file("move the layout to", folder))
}

/// The repository and tag that the image stands in for, without their registry.
pub(super) fn reference(version: Version) -> String {
    format!("lambda/{}:{}", version.language().name(), version.name())
}

fn command(version: Version) -> String {
    format!("{} --version {}", version.language().name(), version.name())
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn config(version: Version, layers: &[Layer], created: &str) -> Value {
    let title = super::title(version);
    let history = |what: &str| {
        json!({
            "created": created,
            "created_by": format!("cargo xtask base-image {}", command(version)),
            "comment": format!("{title}: {what}"),
        })
    };
    json!({
        "created": created,
        "architecture": architecture(),
        "os": "linux",
        "config": {
            "Env": ENVIRONMENT,
            "Entrypoint": ["/lambda-entrypoint.sh"],
            "WorkingDir": "/var/task",
            "Labels": { "org.opencontainers.image.title": title },
        },
        "rootfs": {
            "type": "layers",
            "diff_ids": layers
                .iter()
                .map(|layer| format!("sha256:{}", layer.diff_id))
                .collect::<Vec<_>>(),
        },
        "history": LAYERS.map(history),
    })
}

/// Writes a blob and gives its descriptor.
fn blob(blobs: &Path, value: &Value, media_type: &str) -> Result<Value, Error> {
    let bytes = value.to_string().into_bytes();
    let digest = hex(&Sha256::digest(&bytes));
    let path = blobs.join(&digest);
    fs::write(&path, &bytes).map_err(Error::file("write", &path))?;
    Ok(json!({
        "mediaType": media_type,
        "digest": format!("sha256:{digest}"),
        "size": bytes.len(),
    }))
}
