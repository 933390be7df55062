//! Flattens the file system and reads the config of images that `docker save` gives.
//!
//! Two images are equal when every path has the same type, mode, owner, link target and content
//! after the normalisation of `docs/architecture.md` (invariant 4), and the config says the same.

use std::{collections::BTreeMap, io::Read, process::Stdio, rc::Rc};

use esb_oci::{HashingWriter, Image};
use esb_test::DockerEngine;
use serde_json::Value;

use crate::checks::{Outcome, Trouble, chain};

/// A setting of Windows images that BuildKit gives every image with a `CMD`, and that the image
/// specification keeps new images from having.
const LEGACY: &str = "ArgsEscaped";

/// The largest layer that is read whole, compressed, in bytes.
const LAYER: u64 = 64 * 1024 * 1024;

/// One path of an image, as text that can be compared and read.
type Tree = BTreeMap<String, String>;

/// The paths of a layer: each with its description, or without one where it is a whiteout.
type Layer = Vec<(String, Option<String>)>;

/// A flattened image.
#[derive(Debug)]
pub(crate) struct Flat {
    tree: Tree,
    /// The `config` object of the image's config.
    pub(crate) config: Value,
}

impl Flat {
    /// Every path, without a slash at its start.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.tree.keys().map(String::as_str)
    }

    /// What lies in a folder, as a file system of its own, with the config of another one.
    pub(crate) fn below(&self, folder: &str, config: &Value) -> Self {
        let start = format!("{folder}/");
        let inside = |(path, text): (&String, &String)| {
            Some((path.strip_prefix(&start)?.to_owned(), text.clone()))
        };
        Self { tree: self.tree.iter().filter_map(inside).collect(), config: config.clone() }
    }
}

/// What of a mode counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Modes {
    /// What is left after the normalisation.
    Normal,
    /// Every bit: the contexts were normal already.
    Exact,
}

impl Modes {
    fn of(self, mode: u32, normal: u32) -> u32 {
        match self {
            Self::Normal => mode & 0o7000 | normal,
            Self::Exact => mode & 0o7777,
        }
    }
}

/// Flattens several images; layers that they share are read once.
pub(crate) fn flatten(engine: &DockerEngine, images: &[&str], modes: Modes) -> Outcome<Vec<Flat>> {
    let mut save = engine.docker();
    save.arg("save").args(images).stdout(Stdio::piped());
    let mut child = save.spawn()?;
    let stream = child.stdout.take().ok_or("docker save has no output")?;
    let mut layers: BTreeMap<String, Rc<Layer>> = BTreeMap::new();
    let mut documents: BTreeMap<String, Value> = BTreeMap::new();
    let mut links: BTreeMap<String, String> = BTreeMap::new();
    let mut archive = tar::Archive::new(stream);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.display().to_string();
        if let Some(target) = entry.link_name()? {
            // A layer that an image shares is a link `../<id>/layer.tar`.
            links.insert(name, target.display().to_string().trim_start_matches("../").to_owned());
        } else if name.ends_with("layer.tar") {
            layers.insert(name, Rc::new(read_layer(&mut entry, modes)?));
        } else if !name.contains('/') && name.contains(".json") {
            let mut text = Vec::new();
            entry.read_to_end(&mut text)?;
            let value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
            documents.insert(name, value);
        }
    }
    let status = child.wait()?;
    if !status.success() {
        return Err(Trouble::Failed(format!("docker save ended with {status}")));
    }
    let manifest = documents.get("manifest.json").ok_or("docker save wrote no manifest")?;
    let by_name = |image: &str| {
        manifest.as_array().into_iter().flatten().find(|entry| {
            let tags = entry["RepoTags"].as_array().into_iter().flatten();
            tags.filter_map(Value::as_str).any(|tag| tag == image)
        })
    };
    let mut flats = Vec::new();
    for image in images {
        let entry = by_name(image).ok_or_else(|| format!("docker save left out `{image}`"))?;
        let mut tree = Tree::new();
        for layer in entry["Layers"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let layer = links.get(layer).map_or(layer, String::as_str);
            apply(&mut tree, layers.get(layer).ok_or("a layer is missing from docker save")?);
        }
        let config = entry["Config"].as_str().and_then(|name| documents.get(name));
        let config = config.ok_or("a config is missing from docker save")?["config"].clone();
        flats.push(Flat { tree, config });
    }
    Ok(flats)
}

/// Flattens an image whose layers are gzip-compressed and at hand.
pub(crate) async fn flatten_image(image: &Image, modes: Modes) -> Outcome<Flat> {
    let mut tree = Tree::new();
    for layer in &image.layers {
        let bytes = layer.read(LAYER).await.map_err(|error| chain(&error))?;
        let mut reader = flate2::read::MultiGzDecoder::new(&bytes[..]);
        apply(&mut tree, &read_layer(&mut reader, modes)?);
    }
    let config = image.config.read(esb_oci::DOCUMENT_LIMIT).await.map_err(|error| chain(&error))?;
    let config: Value = serde_json::from_slice(&config).map_err(|error| error.to_string())?;
    Ok(Flat { tree, config: config["config"].clone() })
}

/// The entries of a layer, in its order.
fn read_layer(layer: &mut impl Read, modes: Modes) -> Outcome<Layer> {
    let mut entries = Vec::new();
    let mut contents: BTreeMap<String, String> = BTreeMap::new();
    let mut archive = tar::Archive::new(layer);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.display().to_string();
        let path = path.trim_start_matches("./").trim_end_matches('/').to_owned();
        let name = path.rsplit('/').next().unwrap_or_default();
        if name.starts_with(".wh.") {
            entries.push((path.replacen(".wh.", "", 1), None));
            continue;
        }
        let header = entry.header().clone();
        let mode = header.mode()?;
        let link = entry.link_name()?.map(|link| link.display().to_string()).unwrap_or_default();
        let owner = format!("{}:{}", header.uid()?, header.gid()?);
        let executable = if mode & 0o111 == 0 { 0o644 } else { 0o755 };
        let text = match header.entry_type() {
            tar::EntryType::Directory => format!("dir {:o} {owner}", modes.of(mode, 0o755)),
            tar::EntryType::Symlink => format!("symlink {link}"),
            tar::EntryType::Link => {
                let target = link.trim_start_matches('/').trim_start_matches("./");
                contents.get(target).cloned().unwrap_or_else(|| format!("hard link {link}"))
            }
            tar::EntryType::Regular => {
                let mut hasher = HashingWriter::new(std::io::sink());
                std::io::copy(&mut entry, &mut hasher)?;
                let (_, digest, size) = hasher.finish();
                let mode = modes.of(mode, executable);
                format!("file {mode:o} {owner} {size} {}", digest.short())
            }
            other => format!("{other:?} {owner}"),
        };
        contents.insert(path.clone(), text.clone());
        entries.push((path, Some(text)));
    }
    Ok(entries)
}

fn apply(tree: &mut Tree, layer: &[(String, Option<String>)]) {
    // Whiteouts of a layer hide what lies below it, never what it brings itself.
    for (path, _) in layer.iter().filter(|(_, text)| text.is_none()) {
        if let Some(folder) = path.strip_suffix(".wh..opq") {
            let below = folder.trim_end_matches('/').to_owned() + "/";
            tree.retain(|path, _| !path.starts_with(&below));
        } else {
            let below = format!("{path}/");
            tree.retain(|own, _| own != path && !own.starts_with(&below));
        }
    }
    for (path, text) in layer {
        let Some(text) = text else { continue };
        // Folders that no layer names are there all the same.
        for (end, _) in path.match_indices('/') {
            tree.entry(path[..end].to_owned()).or_insert_with(|| "dir 755 0:0".to_owned());
        }
        if !text.starts_with("dir") {
            let below = format!("{path}/");
            if tree.get(path).is_some_and(|old| old.starts_with("dir")) {
                tree.retain(|own, _| !own.starts_with(&below));
            }
        }
        tree.insert(path.clone(), text.clone());
    }
}

/// What differs between two images, a line each; `ignore` names labels that may differ.
pub(crate) fn differences(left: &Flat, right: &Flat, ignore: &[&str]) -> Vec<String> {
    let mut different = Vec::new();
    for path in left.tree.keys().chain(right.tree.keys()) {
        let (one, other) = (left.tree.get(path), right.tree.get(path));
        if one != other {
            different.push(format!("{path}: {one:?} != {other:?}"));
        }
    }
    let keys = [&left.config, &right.config].into_iter().filter_map(Value::as_object);
    for key in keys.flat_map(serde_json::Map::keys).filter(|key| *key != LEGACY) {
        let clean = |config: &Value| {
            let mut value = config[key].clone();
            if let (Some(labels), true) = (value.as_object_mut(), key == "Labels") {
                labels.retain(|name, _| !ignore.contains(&name.as_str()));
            }
            let empty = value.as_object().is_some_and(serde_json::Map::is_empty)
                || value.as_array().is_some_and(Vec::is_empty)
                || value.as_str().is_some_and(str::is_empty)
                || value == Value::Bool(false);
            if empty { Value::Null } else { value }
        };
        let (one, other) = (clean(&left.config), clean(&right.config));
        if one != other {
            different.push(format!("config {key}: {one} != {other}"));
        }
    }
    different.sort();
    different.dedup();
    different
}
