//! The archive that `docker load` reads and `docker save` writes, as a stream.

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use crate::{Blob, BlobError, BlobStream, Digest, Image};

/// An image and the names that it gets in the engine.
#[derive(Debug, Clone)]
pub struct ArchiveImage {
    pub image: Image,
    /// `name:tag` each.
    pub names: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ArchiveEntry {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

enum ArchivePart {
    Bytes(Bytes),
    Blob(Blob),
}

/// Makes an archive of several images: every blob once, layers in their compressed form. Blobs are
/// opened one after the other as the stream is read; memory does not grow with their sizes.
///
/// Layers for which `skip` says so are left out: an engine that has them never asks for them.
pub fn docker_archive(images: &[ArchiveImage], skip: impl Fn(&Blob) -> bool) -> BlobStream {
    let mut parts = Vec::new();
    let mut written = std::collections::BTreeSet::new();
    let mut entries = Vec::new();
    for ArchiveImage { image, names } in images {
        let config = format!("{}.json", image.config.descriptor.digest.hex());
        let layers: Vec<String> =
            image.layers.iter().map(|layer| layer_name(layer.descriptor.digest)).collect();
        if written.insert(config.clone()) {
            push_file(&mut parts, &config, ArchivePart::Blob(image.config.clone()));
        }
        for (layer, name) in image.layers.iter().zip(&layers) {
            if !skip(layer) && written.insert(name.clone()) {
                push_file(&mut parts, name, ArchivePart::Blob(layer.clone()));
            }
        }
        entries.push(ArchiveEntry { config, repo_tags: names.clone(), layers });
    }
    let manifest = serde_json::to_vec(&entries).expect("strings and lists serialise");
    push_file(&mut parts, "manifest.json", ArchivePart::Bytes(manifest.into()));
    parts.push(ArchivePart::Bytes(Bytes::from_static(&[0; 1024])));
    let open = |part| async move {
        Ok::<BlobStream, BlobError>(match part {
            ArchivePart::Bytes(bytes) => Box::pin(stream::once(async move { Ok(bytes) })),
            ArchivePart::Blob(blob) => blob.open().await?,
        })
    };
    Box::pin(stream::iter(parts).then(open).try_flatten())
}

fn layer_name(digest: Digest) -> String {
    format!("{}.tar.gz", digest.hex())
}

fn push_file(parts: &mut Vec<ArchivePart>, name: &str, content: ArchivePart) {
    let size = match &content {
        ArchivePart::Bytes(bytes) => bytes.len() as u64,
        ArchivePart::Blob(blob) => blob.descriptor.size,
    };
    let mut header = tar::Header::new_gnu(); // has sizes above 8 GiB
    header.set_path(name).expect("hex digits and a suffix fit a header");
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    parts.push(ArchivePart::Bytes(Bytes::copy_from_slice(header.as_bytes())));
    parts.push(content);
    let over = usize::try_from(size % 512).expect("below 512");
    if over != 0 {
        parts.push(ArchivePart::Bytes(Bytes::from_static(&[0; 512][over..])));
    }
}
