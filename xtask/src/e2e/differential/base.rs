//! Makes the base images of the suite's Dockerfiles.
//!
//! Owns what lies in them: links, owners, modes, whiteouts, accounts, and settings that an image
//! passes on. Refuses registries: the engine gets them as an archive.

use std::{collections::BTreeMap, future::poll_fn, path::Path};

use esb_image::Base;
use esb_oci::{
    ArchiveImage, Attributes, Blob, Descriptor, History, Image, ImageConfig, LayerWriter, Manifest,
    docker_archive, media_type,
};
use esb_test::DockerEngine;

use crate::{
    checks::{Outcome, Trouble, chain},
    command::output,
};

/// A line for each entry: type, mode, owner, path, and content or target.
const LAYERS: [&str; 2] = [
    "d 755 0:0 opt
d 700 3:4 opt/keep
l 777 0:0 opt/back /exist
d 755 0:0 etc
f 644 0:0 etc/os os
f 644 0:0 etc/passwd root:x:0:0:root:/root:/bin/sh~app:x:1000:1001::/:/bin/sh~odd:x:7:8::/:/bin/sh
f 644 0:0 etc/group root:x:0:~staff:x:50:~app:x:1001:~odd:x:9:
d 755 0:0 var
d 755 0:0 var/task
d 755 0:0 usr
d 755 0:0 usr/lib
f 4755 0:0 usr/su su
d 1777 0:0 tmp
d 750 5:6 exist
f 600 5:6 exist/file file
d 755 0:0 exist/sub
f 755 0:0 exist/sub/deep deep
f 644 0:0 gone/x x
f 644 0:0 gone/y y
d 755 0:0 opaque
f 644 0:0 opaque/a a
d 755 0:0 turned
f 644 0:0 turned/in in
l 777 0:0 lib usr/lib
l 777 0:0 lnk /opt
l 777 0:0 chain lnk
l 777 0:0 up ../../opt
l 777 0:0 flink exist/file
l 777 0:0 dangling no/where
l 777 0:0 loop loop",
    "f 644 0:0 gone/.wh.x
f 644 0:0 opaque/.wh..wh..opq
f 644 0:0 opaque/b b
f 644 0:0 turned file",
];

/// The images by the names that Dockerfiles have for them.
pub(super) fn bases() -> Outcome<BTreeMap<String, Base>> {
    let plain = |config: &mut ImageConfig| {
        config.set_env("PATH", "/bin");
        config.set_env("LAMBDA_TASK_ROOT", "/var/task");
        config.set_env("EMPTY", "");
        config.set("Cmd", vec!["base.cmd"]);
        config.set("Entrypoint", vec!["/entry"]);
        config.set("WorkingDir", "/var/task");
        config.insert("Labels", "of.base", "yes");
    };
    let settled = |config: &mut ImageConfig| {
        config.set("User", "app");
        config.set("Shell", vec!["/bin/ash", "-ec"]);
        config.set("StopSignal", "SIGINT");
        config.set("Cmd", vec!["other"]);
        config.insert("ExposedPorts", "70/udp", serde_json::json!({}));
        config.insert("Volumes", "/data", serde_json::json!({}));
    };
    let triggering = |config: &mut ImageConfig| {
        plain(config);
        config.set("OnBuild", vec!["ENV TRIGGERED=1", "COPY single /of-$TRIGGERED/"]);
    };
    Ok(BTreeMap::from([
        ("base:1".to_owned(), base("base:1", &LAYERS, plain)?),
        ("other:1".to_owned(), base("other:1", &LAYERS[..1], settled)?),
        ("trigger:1".to_owned(), base("trigger:1", &LAYERS[..1], triggering)?),
        // Names that public cases start from.
        ("busybox".to_owned(), base("busybox", &LAYERS, plain)?),
    ]))
}

fn base(name: &str, layers: &[&str], settings: impl Fn(&mut ImageConfig)) -> Outcome<Base> {
    let mut config = ImageConfig::empty("amd64");
    settings(&mut config);
    let mut blobs = Vec::new();
    for lines in layers {
        let mut layer = LayerWriter::new(Vec::new(), 0);
        for line in lines.lines() {
            entry(&mut layer, line)?;
        }
        let (blob, digests) = layer.finish()?;
        let created = "2020-01-01T00:00:00Z";
        config.push_layer(digests.diff_id, &History { created, created_by: "a layer" });
        blobs.push(Blob::from_bytes(media_type::OCI_LAYER_GZIP, blob));
    }
    let config_bytes = config.to_bytes();
    let config = Blob::from_bytes(media_type::OCI_CONFIG, config_bytes.clone());
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        config: config.descriptor.clone(),
        layers: blobs.iter().map(|blob| blob.descriptor.clone()).collect::<Vec<Descriptor>>(),
        annotations: BTreeMap::new(),
    };
    let manifest = serde_json::to_vec(&manifest).expect("a manifest has string keys");
    let image = Image::new(manifest.into(), config_bytes.into(), config, blobs)
        .map_err(|error| Trouble::Failed(chain(&error)))?;
    Ok(Base { image, pullable: None, name: name.to_owned() })
}

fn entry(layer: &mut LayerWriter<Vec<u8>>, line: &str) -> Outcome {
    let words: Vec<&str> = line.splitn(5, ' ').collect();
    let [kind, mode, owner, path, rest @ ..] = &words[..] else {
        return Err(format!("`{line}` is no entry").into());
    };
    let (uid, gid) = owner.split_once(':').unwrap_or((owner, owner));
    let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
    let attributes = Attributes {
        mode: u32::from_str_radix(mode, 8).map_err(|error| error.to_string())?,
        uid: number(uid)?,
        gid: number(gid)?,
    };
    let rest = rest.first().copied().unwrap_or_default();
    match *kind {
        "d" => layer.dir(path, attributes)?,
        "l" => layer.symlink(path, attributes, rest)?,
        _ => {
            let text = rest.replace('~', "\n");
            layer.file(path, attributes, text.len() as u64, &mut text.as_bytes())?;
        }
    }
    Ok(())
}

/// Loads the images into an engine.
pub(super) async fn load(
    engine: &DockerEngine,
    bases: &BTreeMap<String, Base>,
    folder: &Path,
) -> Outcome {
    let images: Vec<ArchiveImage> = bases
        .iter()
        .filter(|(name, _)| name.contains(':'))
        .map(|(name, base)| ArchiveImage { image: base.image.clone(), names: vec![name.clone()] })
        .collect();
    let mut stream = docker_archive(&images, |_| false);
    let mut bytes = Vec::new();
    while let Some(block) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
        bytes.extend_from_slice(&block.map_err(|error| chain(&error))?);
    }
    let archive = folder.join("bases.tar");
    std::fs::write(&archive, bytes)?;
    output(engine.docker().args(["load", "--quiet", "--input"]).arg(&archive)).map(drop)
}
