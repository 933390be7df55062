//! One build with everything that its result depends on, read from disk.

use std::collections::{BTreeMap, HashMap};

use esb_model::OwnDockerfile;
use esb_oci::{Blob, ContentStore, Descriptor, Digest, Image, Manifest};

use super::context;
use crate::{
    Base, BuildRequest, Error,
    blocking::blocking,
    context::{
        Item,
        listing::{Files, Listings},
        own_folders::OwnFolders,
        stat_cache::StatCache,
    },
    dockerfile::{
        arguments,
        rewrite::{CopiedPaths, DockerfileRewrite},
    },
    fingerprint::Fingerprint,
    image::{
        assemble::{BASE_DIGEST, BASE_NAME},
        parts::{ImageParts, ImageSettings, LastParts, NO_CACHE, Part, list_bases},
        published::{AnnotationNames, ExpectedImage, Pins},
    },
};

/// The kind of the records that say which image a build ended in.
const RECORD: &str = "docker-image-2";
/// The kind of the records that say what the last image of a recipe was made of.
const LAST: &str = "docker-last-image";

/// Settings of the builder for a job.
#[derive(Clone, Copy)]
pub(crate) struct JobSettings<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) arguments: &'a BTreeMap<String, String>,
    pub(crate) stats: &'a StatCache,
}

/// One build, with everything that its result depends on.
pub(crate) struct Job {
    /// As messages name it.
    pub(crate) image: String,
    /// In the engine.
    pub(crate) name: String,
    pub(crate) platform: String,
    /// Of a user's Dockerfile.
    pub(crate) own: Option<OwnDockerfile>,
    pub(crate) epoch: i64,
    /// The text on disk.
    pub(crate) dockerfile: String,
    pub(crate) rewrite: DockerfileRewrite,
    pub(crate) bases: BTreeMap<String, Base>,
    pub(crate) items: Vec<Item>,
    /// Those of the base and of the request, and the fingerprint.
    pub(crate) labels: BTreeMap<String, String>,
    /// Those of the request alone.
    asked_labels: BTreeMap<String, String>,
    pub(crate) parts: ImageParts,
    pub(crate) names: AnnotationNames,
    /// The key of the image's record.
    pub(crate) key: Digest,
    /// The key of the recipe's record.
    pub(crate) last: Digest,
}

impl Job {
    pub(crate) async fn prepare(
        request: BuildRequest<'_>,
        settings: JobSettings<'_>,
    ) -> Result<Self, Error> {
        let recipe = request.recipe;
        let image = recipe.repository.clone();
        let mut rewrite = DockerfileRewrite::read(recipe)?;
        let mut bases = BTreeMap::new();
        for name in rewrite.bases() {
            let base = request.bases.get(name).ok_or_else(|| Error::UnknownBase {
                image: image.clone(),
                base: name.escape_debug().to_string(),
            })?;
            bases.insert(name.to_owned(), base.clone());
        }
        rewrite.configure(recipe, &bases)?;
        // Triggers may copy anything.
        for base in bases.values() {
            let config = base.image.parse_config()?;
            if config.list("OnBuild").is_some_and(|triggers| !triggers.is_empty()) {
                rewrite.needs = CopiedPaths::All;
            }
        }
        let items = {
            let (needs, recipe, root) =
                (rewrite.needs.clone(), recipe.clone(), request.root.to_owned());
            let (stats, trust) = (settings.stats.clone(), !request.no_cache);
            blocking(move || context::read(&recipe, &root, &needs, &stats, trust)).await?
        };
        let parts = parts(request, settings, &rewrite, &bases, &items)?;
        let mut labels = BTreeMap::new();
        if let Some(base) = rewrite.last_base().and_then(|name| bases.get(name)) {
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
        let believed =
            if request.trusts_published { "believed docker image" } else { "docker image" };
        let mut key = Fingerprint::new(believed);
        key.digest(parts.key());
        Ok(Self {
            image,
            name,
            platform,
            own: recipe.own.clone(),
            epoch: request.epoch,
            dockerfile: recipe.dockerfile.clone(),
            rewrite,
            bases,
            items,
            labels,
            asked_labels: request.labels.clone(),
            parts,
            names: AnnotationNames::new(request.label_prefix),
            key: key.finish(),
            last: last.finish(),
        })
    }

    /// What a part of the image holds, so that the next build can say what is different. Values of
    /// build arguments are left out.
    fn listing(&self, part: Part<'_>) -> Files {
        let named = |name: &str| (name.to_owned(), String::new());
        match part {
            Part::Base => list_bases(self.bases.values()),
            Part::Recipe => {
                let lines = self.dockerfile.lines().map(str::trim);
                lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(named).collect()
            }
            Part::Settings => {
                let (labels, epoch) = (&self.asked_labels, self.epoch);
                ImageSettings { labels, fingerprint_label: None, epoch }.listing()
            }
            Part::Source(place) => {
                let path = place.split_once(' ').map_or(place, |(_, path)| path);
                context::files(&self.items, if path == "." { "" } else { path })
            }
        }
    }

    /// The published image, when its digest is remembered here or pinned, or when its annotations
    /// are trusted.
    pub(crate) async fn published(
        &self,
        request: BuildRequest<'_>,
        store: &ContentStore,
    ) -> Result<Option<Image>, Error> {
        let Some(published) = request.published else { return Ok(None) };
        let known = self.known_manifest(store).map(Into::into);
        let wanted = ExpectedImage { known, pinned: request.pins.image(self.parts.key()) };
        if wanted == ExpectedImage::default() && !request.trusts_published {
            return Ok(None);
        }
        let found = published.find(request.recipe, wanted.clone()).await;
        let is_marked = |image: &Image| self.names.is_marked(image, self.parts.key());
        let found =
            found.filter(|image| wanted.is(image) || request.trusts_published && is_marked(image));
        if let Some(image) = &found {
            store.put(&image.manifest_bytes)?;
            self.remember(store, &image.descriptor)?;
        }
        Ok(found)
    }

    /// The pin of the image that the build gave; none when the image may have been used on the word
    /// of its annotations.
    pub(crate) fn pins(&self, request: BuildRequest<'_>, digest: Digest) -> Pins {
        if request.trusts_published {
            return Pins::default();
        }
        Pins::of_image(self.parts.key(), digest)
    }

    /// The layers of the bases, by their uncompressed and their compressed digests.
    pub(crate) fn known_layers(&self) -> Result<HashMap<Digest, Blob>, Error> {
        let mut known = HashMap::new();
        for base in self.bases.values() {
            let diff_ids = base.image.parse_config()?.diff_ids();
            for (layer, diff_id) in base.image.layers.iter().zip(diff_ids) {
                known.insert(diff_id, layer.clone());
                known.insert(layer.descriptor.digest, layer.clone());
            }
        }
        Ok(known)
    }

    /// The manifest that an earlier build of the same ended in.
    pub(crate) fn known_manifest(&self, store: &ContentStore) -> Option<Vec<u8>> {
        store.document(store.record::<Descriptor>(RECORD, self.key)?.digest)
    }

    /// The image that an earlier build of the same ended in, when all of it is still there.
    pub(crate) fn recorded(&self, store: &ContentStore) -> Result<Option<Image>, Error> {
        let Some(manifest_bytes) = self.known_manifest(store) else { return Ok(None) };
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&manifest_bytes) else {
            return Ok(None);
        };
        let Some(config_bytes) = store.document(manifest.config.digest) else {
            return Ok(None);
        };
        let known = self.known_layers()?;
        let mut layers = Vec::with_capacity(manifest.layers.len());
        for layer in &manifest.layers {
            match known.get(&layer.digest) {
                Some(blob) => layers.push(blob.clone()),
                None if store.has(layer) => layers.push(store.blob(layer.clone())),
                None => return Ok(None),
            }
        }
        let config = store.blob(manifest.config);
        Ok(Some(Image::new(manifest_bytes.into(), config_bytes.into(), config, layers)?))
    }

    /// The reason why the image has to be built; `lost` is the reason for one that was built
    /// before.
    pub(crate) fn reason(
        &self,
        store: &ContentStore,
        request: BuildRequest<'_>,
        lost: &str,
    ) -> String {
        if request.no_cache {
            return NO_CACHE.to_owned();
        }
        let before = self.last_parts(store).read();
        if before.as_ref() == Some(&self.parts) {
            return lost.to_owned();
        }
        let listings = Listings::new(store.clone());
        let changes = |part: Part<'_>, before| listings.changes(before, &self.listing(part));
        let reason = self.parts.reason(before.as_ref(), changes);
        if before.is_some() || request.published.is_none() {
            return reason;
        }
        request.pins.explain(&reason, self.parts.key())
    }

    /// Notes what the build ended in.
    pub(crate) fn remember(&self, store: &ContentStore, image: &Descriptor) -> Result<(), Error> {
        store.set_record(RECORD, self.key, image)?;
        let listings = Listings::new(store.clone());
        for (part, key) in self.parts.each() {
            listings.keep(key, || self.listing(part));
        }
        self.remember_parts(store)
    }

    fn last_parts<'a>(&self, store: &'a ContentStore) -> LastParts<'a> {
        LastParts { store, kind: LAST, key: self.last }
    }

    /// Notes what the recipe's last image was made of.
    pub(crate) fn remember_parts(&self, store: &ContentStore) -> Result<(), Error> {
        Ok(self.last_parts(store).write(&self.parts)?)
    }
}

fn parts(
    request: BuildRequest<'_>,
    settings: JobSettings<'_>,
    rewrite: &DockerfileRewrite,
    bases: &BTreeMap<String, Base>,
    items: &[Item],
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
        if let Some(added) = rewrite.added() {
            text.text("added").text(added);
        }
    }
    let other = ImageSettings {
        labels: request.labels,
        fingerprint_label: request.fingerprint_label,
        epoch: request.epoch,
    };
    let mut sources = BTreeMap::new();
    match &rewrite.needs {
        CopiedPaths::All => {
            let key = context::fingerprint(items, "").expect("the root is always there");
            sources.insert("0 .".to_owned(), key);
        }
        CopiedPaths::Paths(paths) => {
            let own = OwnFolders::of(recipe);
            for path in paths {
                let root = request.root.join(&recipe.context.folder);
                let through = || context::follows_link(&root, path, &own);
                let all = || context::fingerprint(items, "").filter(|_| through());
                let key = context::fingerprint(items, path).or_else(all);
                let key = key.ok_or_else(|| Error::MissingSource {
                    image: recipe.repository.clone(),
                    path: recipe.context.folder.join(path),
                })?;
                sources.insert(format!("0 {path}"), key);
            }
        }
    }
    Ok(ImageParts {
        base: base.finish(),
        recipe: text.finish(),
        settings: other.key("docker settings"),
        sources,
    })
}
