//! One build, with everything read that decides about it.

use std::collections::{BTreeMap, HashMap};

use bollard::models::ImageInspect;
use esb_model::OwnDockerfile;
use esb_oci::{Blob, Digest, ImageConfig};

use super::{
    context::{self, Entry},
    dockerfile::{Needs, Sketch, arguments},
};
use crate::{
    Base, BuildRequest, Error,
    assemble::{BASE_DIGEST, BASE_NAME},
    blocking::blocking,
    fingerprint::{Fingerprint, ImageParts},
    published::Names,
    stat_cache::StatCache,
};

/// What a builder adds to a request.
#[derive(Clone, Copy)]
pub(super) struct Settings<'a> {
    pub(super) prefix: &'a str,
    pub(super) arguments: &'a BTreeMap<String, String>,
    pub(super) stats: &'a StatCache,
}

/// See the module.
pub(super) struct Job {
    /// As messages name it.
    pub(super) image: String,
    /// In the engine.
    pub(super) name: String,
    pub(super) platform: String,
    /// Of a user's Dockerfile.
    pub(super) own: Option<OwnDockerfile>,
    pub(super) epoch: i64,
    pub(super) sketch: Sketch,
    pub(super) bases: BTreeMap<String, Base>,
    pub(super) entries: Vec<Entry>,
    /// Those of the base and of the request, and the fingerprint.
    pub(super) labels: BTreeMap<String, String>,
    pub(super) parts: ImageParts,
    pub(super) names: Names,
    /// The key of the image's record.
    pub(super) key: Digest,
    /// The key of the recipe's record.
    pub(super) last: Digest,
}

impl Job {
    pub(super) async fn prepare(
        request: BuildRequest<'_>,
        settings: Settings<'_>,
    ) -> Result<Self, Error> {
        let recipe = request.recipe;
        let image = recipe.repository.clone();
        let sketch = Sketch::read(recipe)?;
        let mut bases = BTreeMap::new();
        for name in sketch.bases() {
            let base = request.bases.get(name).ok_or_else(|| Error::UnknownBase {
                image: image.clone(),
                base: name.escape_debug().to_string(),
            })?;
            bases.insert(name.to_owned(), base.clone());
        }
        let entries = {
            let (needs, recipe, root) =
                (sketch.needs.clone(), recipe.clone(), request.root.to_owned());
            let (stats, trust) = (settings.stats.clone(), !request.no_cache);
            blocking(move || context::read(&recipe, &root, &needs, &stats, trust)).await?
        };
        let parts = parts(request, settings, &sketch, &bases, &entries)?;
        let mut labels = BTreeMap::new();
        if let Some(base) = sketch.last_base().and_then(|name| bases.get(name)) {
            labels.insert(BASE_NAME.to_owned(), base.name.clone());
            labels.insert(BASE_DIGEST.to_owned(), base.image.digest().to_string());
        }
        labels.extend(request.labels.clone());
        if let Some(label) = request.fingerprint_label {
            labels.insert(label.to_owned(), parts.key().hex());
        }
        let name = format!("{}{}:{}", settings.prefix, recipe.repository, recipe.tag);
        let platform = recipe.platform.to_string();
        let mut last = Fingerprint::new("docker last image");
        last.text(&request.root.to_string_lossy())
            .text(&recipe.folder.to_string_lossy())
            .text(&name)
            .text(&platform);
        let mut key = Fingerprint::new("docker image");
        key.digest(parts.key());
        Ok(Self {
            image,
            name,
            platform,
            own: recipe.own.clone(),
            epoch: request.epoch,
            sketch,
            bases,
            entries,
            labels,
            parts,
            names: Names::new(request.label_prefix),
            key: key.finish(),
            last: last.finish(),
        })
    }

    /// Whether an image of the engine is what this build would make: it says so itself.
    pub(super) fn fits(&self, image: &ImageInspect) -> bool {
        let labels = image.config.as_ref().and_then(|config| config.labels.as_ref());
        labels.is_some_and(|labels| {
            self.labels.iter().all(|(name, value)| labels.get(name) == Some(value))
        })
    }

    /// The layers of the bases, by their uncompressed and their compressed digests.
    pub(super) fn known_layers(&self) -> Result<HashMap<Digest, Blob>, Error> {
        let mut known = HashMap::new();
        for base in self.bases.values() {
            let diff_ids = ImageConfig::parse(&base.image.config_bytes)?.diff_ids();
            for (layer, diff_id) in base.image.layers.iter().zip(diff_ids) {
                known.insert(diff_id, layer.clone());
                known.insert(layer.descriptor.digest, layer.clone());
            }
        }
        Ok(known)
    }
}

fn parts(
    request: BuildRequest<'_>,
    settings: Settings<'_>,
    sketch: &Sketch,
    bases: &BTreeMap<String, Base>,
    entries: &[Entry],
) -> Result<ImageParts, Error> {
    let recipe = request.recipe;
    let mut base = Fingerprint::new("docker base");
    for (name, found) in bases {
        base.text(name).text(&found.name).digest(found.image.config.descriptor.digest);
    }
    let mut text = Fingerprint::new("docker recipe");
    text.text(&recipe.platform.to_string()).text(&recipe.dockerfile);
    for (name, value) in settings.arguments {
        text.text(name).text(value);
    }
    if let Some(own) = &recipe.own {
        text.text("own").text(own.target.as_deref().unwrap_or_default());
        for (name, value) in arguments(own) {
            text.text(&name).text(&value);
        }
    }
    let mut other = Fingerprint::new("docker settings");
    other.bytes(&request.epoch.to_le_bytes());
    other.text(request.fingerprint_label.unwrap_or_default());
    for (name, value) in request.labels {
        other.text(name).text(value);
    }
    let mut sources = BTreeMap::new();
    match &sketch.needs {
        Needs::All => {
            let key = context::fingerprint(entries, "").expect("the root is always there");
            sources.insert("0 .".to_owned(), key);
        }
        Needs::Paths(paths) => {
            for path in paths {
                let root = request.root.join(&recipe.context.folder);
                let through = || context::follows_link(&root, path);
                let all = || context::fingerprint(entries, "").filter(|_| through());
                let key = context::fingerprint(entries, path).or_else(all);
                let key = key.ok_or_else(|| Error::MissingSource {
                    image: recipe.repository.clone(),
                    path: recipe.context.folder.join(path),
                })?;
                sources.insert(format!("0 {path}"), key);
            }
        }
    }
    Ok(ImageParts { base: base.finish(), recipe: text.finish(), settings: other.finish(), sources })
}
