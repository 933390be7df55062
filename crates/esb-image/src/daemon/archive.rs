//! Reads images from the stream that `docker save` or an exporter gives and stores their layers. A
//! stream with several images holds each layer once.
//!
//! Reads both forms of the archive: folders with `layer.tar` (engines before 25) and an OCI layout
//! with a `manifest.json` beside it, whose layers may be compressed already (containerd's store,
//! BuildKit).

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek as _, Write as _},
    sync::Arc,
};

use bytes::Bytes;
use esb_oci::{
    Blob, ContentStore, DOCUMENT_LIMIT, Descriptor, Digest, HashingWriter, Image, ImageConfig,
    media_type,
};
use serde_json::{Value, json};

use super::{
    layer::{self, Compression},
    pipe::BlockingReader,
};
use crate::{
    Base, Error,
    archives::tar_entries::TarReader,
    image::{assemble, published::AnnotationNames},
    paths,
};

/// The most entries that an archive may have.
const ENTRIES: usize = 100_000;
/// The most bytes that the documents of an archive may have together.
const DOCUMENTS: u64 = 16 * DOCUMENT_LIMIT;
/// The kind of the records that say what was made of a layer.
const RECORD: &str = "docker-layer";

/// Options for exporting an image.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExportOptions {
    /// Layers that exist elsewhere already, by their uncompressed and their compressed digests.
    pub(crate) known: Arc<HashMap<Digest, Blob>>,
    /// What the image was built on, as annotations say.
    pub(crate) base: Option<Base>,
    /// The fingerprint that the manifest carries.
    pub(crate) mark: Option<(AnnotationNames, Digest)>,
    /// Make the bytes depend on the content alone.
    pub(crate) normal: Option<Normalization>,
}

/// The normalisation by which an image's bytes depend on its content alone.
#[derive(Debug, Clone)]
pub(crate) struct Normalization {
    /// The time of all that is new, in seconds since 1970 and as RFC 3339.
    pub(crate) epoch: i64,
    pub(crate) created: String,
    /// A piece of text that instructions have in front of their paths for our own reasons.
    pub(crate) prefix: String,
}

impl ExportOptions {
    pub(crate) fn epoch(&self) -> Option<i64> {
        self.normal.as_ref().map(|normal| normal.epoch)
    }
}

/// An image that is wanted, by id or name.
pub(crate) type ExportedImage = (String, ExportOptions);

/// Reads an archive into the store, and gives the images in the order in which they are wanted.
/// Where there are several, each is named by its id, and all have the same time. Messages name
/// `subject`.
pub(crate) fn read(
    store: ContentStore,
    subject: String,
    wanted: Vec<ExportedImage>,
    reader: BlockingReader,
) -> Result<Vec<Image>, Error> {
    ArchiveReader::new(store, subject, &wanted).read(reader, wanted)
}

/// A layer of the archive, as it is published.
#[derive(Clone)]
struct Layer {
    blob: Blob,
    /// Of the published layer; `None` when it came compressed and stays as it is.
    diff_id: Option<Digest>,
}

/// Reads an archive; holds what has been read so far.
struct ArchiveReader {
    store: ContentStore,
    /// What is exported, as messages name it.
    subject: String,
    known: HashMap<Digest, Blob>,
    epoch: Option<i64>,
    documents: HashMap<String, Vec<u8>>,
    layers: HashMap<String, Layer>,
    /// Layers that an archive holds twice.
    links: HashMap<String, String>,
}

impl ArchiveReader {
    fn new(store: ContentStore, subject: String, wanted: &[ExportedImage]) -> Self {
        let known = wanted.iter().flat_map(|(_, options)| &*options.known);
        let known = known.map(|(digest, blob)| (*digest, blob.clone())).collect();
        let epoch = wanted.first().and_then(|(_, options)| options.epoch());
        let (documents, layers, links) = Default::default();
        Self { store, subject, known, epoch, documents, layers, links }
    }

    fn read(
        mut self,
        reader: BlockingReader,
        wanted: Vec<ExportedImage>,
    ) -> Result<Vec<Image>, Error> {
        let mut archive = TarReader::new(reader);
        let mut left = DOCUMENTS;
        for (count, entry) in archive.entries().map_err(self.broken())?.enumerate() {
            let mut entry = entry.map_err(self.broken())?;
            if count >= ENTRIES {
                return Err(self.invalid(&format!("it has more than {ENTRIES} entries")));
            }
            let Ok(path) = String::from_utf8(entry.path_bytes().into_owned()) else { continue };
            match entry.header().entry_type() {
                tar::EntryType::Regular => {}
                tar::EntryType::Symlink | tar::EntryType::Link => {
                    let link = entry.link_name_bytes().unwrap_or_default().into_owned();
                    if let Ok(link) = String::from_utf8(link) {
                        self.links.insert(path.clone(), link_target(&path, &link));
                    }
                    continue;
                }
                _ => continue,
            }
            let mut start = [0; 4];
            let read = read_up_to(&mut entry, &mut start).map_err(self.broken())?;
            let start = &start[..read];
            let size = entry.size();
            if size <= DOCUMENT_LIMIT && matches!(start.first(), Some(b'{' | b'[')) {
                left = left
                    .checked_sub(size)
                    .ok_or_else(|| self.invalid("its documents are too large"))?;
                let mut bytes = start.to_vec();
                entry.read_to_end(&mut bytes).map_err(self.broken())?;
                self.documents.insert(path, bytes);
            } else if path.ends_with("/layer.tar") || path.starts_with("blobs/") {
                let layer = self.layer(&path, start, &mut entry)?;
                self.layers.insert(path, layer);
            }
        }
        let index = self.document("manifest.json")?;
        let images = index.as_array().map(Vec::as_slice).unwrap_or_default();
        let alone = wanted.len() == 1;
        let find = |(id, options): ExportedImage| {
            let entry = match images {
                [entry] if alone => Some(entry),
                images => images.iter().find(|entry| self.is_of(entry, &id)),
            };
            let entry = entry.ok_or_else(|| self.invalid(&format!("`{id}` is not in it")))?;
            self.assemble(entry, &options)
        };
        wanted.into_iter().map(find).collect()
    }

    /// Whether an entry of the archive's list is the image with an id: that of its config, or in
    /// containerd's store that of its manifest or of the index that leads there.
    fn is_of(&self, entry: &Value, id: &str) -> bool {
        let config = entry["Config"].as_str().unwrap_or_default();
        let hex = |name: &str| name.trim_start_matches("sha256:").to_owned();
        let config = config.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
        let mut ids = vec![hex(id)];
        for _ in 0..3 {
            if ids.iter().any(|id| id == config) {
                return true;
            }
            let documents =
                ids.iter().filter_map(|id| self.document(&format!("blobs/sha256/{id}")).ok());
            let below = |document: Value| {
                let listed = document["manifests"].as_array().cloned().unwrap_or_default();
                let all = listed.into_iter().chain([document["config"].clone()]);
                all.filter_map(|one| one["digest"].as_str().map(hex)).collect::<Vec<_>>()
            };
            ids = documents.flat_map(below).collect();
        }
        false
    }

    /// Takes one layer, whose first bytes were read already.
    fn layer(&self, path: &str, start: &[u8], rest: &mut dyn Read) -> Result<Layer, Error> {
        // An OCI layout says beforehand what its blobs are.
        let named = path.rsplit_once('/').and_then(|(_, hex)| format!("sha256:{hex}").parse().ok());
        if let Some(blob) = named.and_then(|digest: Digest| self.known.get(&digest)) {
            return Ok(Layer { blob: blob.clone(), diff_id: None });
        }
        let (mut file, digest, size) = self.spool(&mut start.chain(rest)).map_err(self.broken())?;
        match Compression::of(start) {
            Compression::Tar => self.tar_layer(&mut file, digest),
            _ if self.known.contains_key(&digest) => {
                Ok(Layer { blob: self.known[&digest].clone(), diff_id: None })
            }
            Compression::Gzip if self.epoch.is_some() => {
                file.rewind().map_err(self.broken())?;
                let mut plain = flate2::read::MultiGzDecoder::new(file);
                let (mut file, diff_id, _) = self.spool(&mut plain).map_err(self.broken())?;
                self.tar_layer(&mut file, diff_id)
            }
            packing => {
                let mut writer = self.store.writer()?;
                file.rewind().map_err(self.broken())?;
                io::copy(&mut file, &mut writer).map_err(layer::failed(&self.store))?;
                writer.commit(digest)?;
                let kind = match packing {
                    Compression::Zstd => media_type::OCI_LAYER_ZSTD,
                    _ => media_type::OCI_LAYER_GZIP,
                };
                let blob = self.store.blob(Descriptor::new(kind, digest, size));
                Ok(Layer { blob, diff_id: None })
            }
        }
    }

    fn tar_layer(&self, file: &mut File, diff_id: Digest) -> Result<Layer, Error> {
        if let Some(blob) = self.known.get(&diff_id) {
            return Ok(Layer { blob: blob.clone(), diff_id: Some(diff_id) });
        }
        let key = layer::record_key(diff_id, self.epoch);
        let recorded: Option<(Digest, Digest, u64)> = self.store.record(RECORD, key);
        let recorded = recorded.filter(|(_, digest, size)| self.store.size(*digest) == Some(*size));
        let (new_id, digest, size) = if let Some(recorded) = recorded {
            recorded
        } else {
            let made = layer::store_layer(&self.store, file, self.epoch)?;
            let made = (made.diff_id, made.digest, made.size);
            self.store.set_record(RECORD, key, &made)?;
            made
        };
        let blob = self.store.blob(Descriptor::new(media_type::OCI_LAYER_GZIP, digest, size));
        Ok(Layer { blob, diff_id: Some(new_id) })
    }

    /// A copy in a temporary file without a name, for a layer has to be read twice.
    fn spool(&self, from: &mut dyn Read) -> io::Result<(File, Digest, u64)> {
        let file = tempfile::tempfile_in(self.store.root().join("tmp"))?;
        let mut writer = HashingWriter::new(file);
        let mut block = vec![0; 256 * 1024];
        loop {
            match from.read(&mut block)? {
                0 => return Ok(writer.finish()),
                read => writer.write_all(&block[..read])?,
            }
        }
    }

    fn assemble(&self, entry: &Value, options: &ExportOptions) -> Result<Image, Error> {
        let config = entry.get("Config").and_then(Value::as_str).unwrap_or_default();
        let mut config_bytes = self
            .documents
            .get(config)
            .cloned()
            .ok_or_else(|| self.invalid("it does not hold the image's config"))?;
        let names = entry.get("Layers").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut layers = Vec::with_capacity(names.len());
        for name in names.iter().filter_map(Value::as_str) {
            layers.push(self.find_layer(name)?);
        }
        let diff_ids = ImageConfig::parse(&config_bytes)?.diff_ids();
        if diff_ids.len() != layers.len() {
            return Err(self.invalid("its config names other layers"));
        }
        let diff_ids: Vec<Digest> =
            layers.iter().zip(diff_ids).map(|(layer, old)| layer.diff_id.unwrap_or(old)).collect();
        if let Some(normal) = &options.normal {
            let base = options.base.as_ref().and_then(|base| base.image.config_bytes.as_deref());
            config_bytes = normalise(&config_bytes, &diff_ids, base, normal)?;
        }
        let mut layers: Vec<Blob> = layers.into_iter().map(|layer| layer.blob).collect();
        if let Some(normal) = options.normal.as_ref().filter(|_| layers.is_empty()) {
            let mut config = ImageConfig::parse(&config_bytes)?;
            layers.push(assemble::add_empty_layer(&self.store, &mut config, normal.epoch)?);
            config_bytes = config.to_bytes();
        }
        self.image(config_bytes, layers, options)
    }

    fn image(
        &self,
        config_bytes: Vec<u8>,
        layers: Vec<Blob>,
        options: &ExportOptions,
    ) -> Result<Image, Error> {
        let digest = self.store.put(&config_bytes)?;
        let config = Descriptor::new(media_type::OCI_CONFIG, digest, config_bytes.len() as u64);
        let mut annotations = assemble::annotations_of(options.base.as_ref());
        if let Some((names, fingerprint)) = &options.mark {
            names.mark(&mut annotations, *fingerprint);
        }
        let descriptors = layers.iter().map(|layer| assemble::of_base(&layer.descriptor));
        let bytes = assemble::manifest(config.clone(), descriptors.collect(), annotations);
        self.store.put(&bytes)?;
        let config = self.store.blob(config);
        Ok(Image::new(bytes.into(), Bytes::from(config_bytes), config, layers)?)
    }

    fn document(&self, name: &str) -> Result<Value, Error> {
        let bytes = self.documents.get(name);
        bytes
            .and_then(|bytes| serde_json::from_slice(bytes).ok())
            .ok_or_else(|| self.invalid(&format!("it has no readable `{name}`")))
    }

    fn find_layer(&self, name: &str) -> Result<Layer, Error> {
        let mut name = name.to_owned();
        for _ in 0..4 {
            if let Some(layer) = self.layers.get(&name) {
                return Ok(layer.clone());
            }
            match self.links.get(&name) {
                Some(target) => name.clone_from(target),
                None => break,
            }
        }
        // The first bytes of a small layer may look like those of a document.
        if let Some(bytes) = self.documents.get(&name) {
            return self.layer(
                &name,
                &bytes[..bytes.len().min(4)],
                &mut &bytes[bytes.len().min(4)..],
            );
        }
        Err(self.invalid(&format!("it does not hold layer `{}`", name.escape_debug())))
    }

    fn broken(&self) -> impl Fn(io::Error) -> Error {
        let subject = self.subject.clone();
        move |error| Error::Engine {
            action: "export",
            subject: subject.clone(),
            reason: error.to_string().escape_debug().to_string(),
        }
    }

    fn invalid(&self, why: &str) -> Error {
        self.broken()(io::Error::other(format!("the archive cannot be used: {why}")))
    }
}

/// Where a link of an archive leads.
fn link_target(path: &str, link: &str) -> String {
    paths::clean(&paths::join(paths::parent(path), link))
}

fn read_up_to(from: &mut dyn Read, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match from.read(&mut into[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// The config with new layers and without what only this build or this engine knows. What the
/// base's config has stays.
fn normalise(
    bytes: &[u8],
    diff_ids: &[Digest],
    base: Option<&[u8]>,
    normal: &Normalization,
) -> Result<Vec<u8>, Error> {
    let base: Value = base.and_then(|base| serde_json::from_slice(base).ok()).unwrap_or_default();
    // Pads the history.
    let bytes = ImageConfig::parse(bytes)?.to_bytes();
    let mut config: Value = serde_json::from_slice(&bytes)
        .map_err(|source| esb_oci::InvalidImage::Json { what: "config", source })?;
    let Some(fields) = config.as_object_mut() else { return Ok(bytes) };
    fields.retain(|name, _| {
        !matches!(&**name, "container" | "container_config" | "docker_version")
            && !name.starts_with("moby.buildkit.")
    });
    fields.insert("created".to_owned(), json!(normal.created));
    if let Some(rootfs) = fields.get_mut("rootfs").and_then(Value::as_object_mut) {
        let ids: Vec<String> = diff_ids.iter().map(Digest::to_string).collect();
        rootfs.insert("diff_ids".to_owned(), json!(ids));
    }
    if let Some(settings) = fields.get_mut("config").and_then(Value::as_object_mut) {
        // Old BuildKits say it of every command; it concerns Windows.
        settings.retain(|name, value| {
            !base["config"][name].is_null() || name != "ArgsEscaped" && !value.is_null()
        });
    }
    let base_history = base["history"].as_array().map_or(0, Vec::len);
    let history = fields.get_mut("history").and_then(Value::as_array_mut);
    for entry in history.into_iter().flatten().skip(base_history) {
        let Some(entry) = entry.as_object_mut() else { continue };
        entry.insert("created".to_owned(), json!(normal.created));
        if let Some(Value::String(by)) = entry.get_mut("created_by")
            && !normal.prefix.is_empty()
        {
            *by = by.replace(&normal.prefix, "");
        }
    }
    Ok(serde_json::to_vec(&config).expect("a JSON value has string keys"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_inside_the_archive() {
        assert_eq!(link_target("a/layer.tar", "../b/layer.tar"), "b/layer.tar");
        assert_eq!(link_target("a/layer.tar", "../../../c"), "c");
    }

    #[test]
    fn a_config_keeps_the_base_and_loses_the_build() {
        let config = br#"{"created":"2026-01-01T00:00:00Z","moby.buildkit.buildinfo.v1":"x",
            "architecture":"amd64","config":{"ArgsEscaped":true,"Cmd":["x"],"OnBuild":null},
            "rootfs":{"type":"layers","diff_ids":[]},
            "history":[{"created":"1999-01-01T00:00:00Z","created_by":"ctx/base"},
            {"created":"2026-01-01T00:00:00Z","created_by":"COPY ctx/a b # buildkit"}]}"#;
        let normal = Normalization {
            epoch: 0,
            created: "1970-01-01T00:00:00Z".to_owned(),
            prefix: "ctx/".to_owned(),
        };
        let id = Digest::of(b"x");
        let base = br#"{"history":[{}]}"#;
        let made = normalise(config, &[id], Some(base), &normal).unwrap();
        let text = String::from_utf8(made).unwrap();
        assert_eq!(
            text,
            format!(
                r#"{{"created":"1970-01-01T00:00:00Z","architecture":"amd64","config":{{"Cmd":["x"]}},"rootfs":{{"type":"layers","diff_ids":["{id}"]}},"history":[{{"created":"1999-01-01T00:00:00Z","created_by":"ctx/base"}},{{"created":"1970-01-01T00:00:00Z","created_by":"COPY a b # buildkit"}}]}}"#
            )
        );
    }
}
