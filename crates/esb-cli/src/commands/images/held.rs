//! Images of a project where they are: in the engine, the store, the registry.

use std::collections::{BTreeMap, BTreeSet};

use esb_config::Published;
use esb_image::Engine as _;
use esb_model::Platform;
use esb_oci::{Digest, ImageConfig, Manifest, Reference};
use esb_registry::{PushSession, Repository};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    exit::{Exit, Failure},
    pipeline::{Run, registry_failure},
};

/// An image and whether something uses it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: String,
    pub(super) names: Vec<String>,
    pub(super) bytes: u64,
    pub(super) used: Option<String>,
    at: At,
}

#[derive(Debug)]
enum At {
    Engine,
    Store(Digest),
    Registry(Repository, Digest),
}

impl Held {
    /// The place, as `--in` names it.
    pub(super) fn place(&self) -> &'static str {
        match self.at {
            At::Engine => "engine",
            At::Store(_) => "store",
            At::Registry(..) => "registry",
        }
    }
}

/// What published configuration names.
#[derive(Debug, Default)]
pub(super) struct Used {
    names: BTreeSet<String>,
    digests: BTreeSet<String>,
}

impl Used {
    pub(super) fn add(&mut self, published: &Published) {
        let entries = published.config.functions.functions.values();
        self.names
            .extend(entries.filter_map(|entry| Some(entry.image.as_ref()?.resolve(|_| None))));
        self.digests.extend(published.state.digests.values().cloned());
        let of_names =
            self.names.iter().filter_map(|name| Some(name.split_once('@')?.1.to_owned()));
        self.digests.extend(of_names.collect::<Vec<_>>());
    }

    /// Whether a name is published; one that is published by digest keeps all tags of its
    /// repository.
    fn has(&self, name: &str) -> bool {
        let repository = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => repository,
            _ => name,
        };
        let by_digest =
            |other: &String| other.split_once('@').is_some_and(|(named, _)| named == repository);
        self.names.contains(name) || self.names.iter().any(by_digest)
    }

    fn by(&self, names: &[String], digest: Digest) -> Option<String> {
        let is_used = self.digests.contains(&digest.to_string())
            || names.iter().any(|name| self.names.contains(name));
        is_used.then(|| "functions.yml".to_owned())
    }
}

/// The project's images in the container engine.
pub(super) async fn in_engine(run: &Run, published: &Used) -> Result<Vec<Held>, Failure> {
    let brand = &run.project.brand;
    let engine = run.engine().await?;
    let images = engine.list(&BTreeMap::from(labels(run))).await?;
    let containers = engine.others(&[]).await?;
    let of_containers: BTreeMap<&str, &str> = containers
        .iter()
        .map(|container| (container.image_id.as_str(), container.name.as_str()))
        .collect();
    let function = brand.label("kind");
    let held = images.into_iter().map(|image| {
        let is_base = !image.labels.contains_key(&function);
        let used = if let Some(name) = of_containers.get(image.id.as_str()) {
            Some(format!("container {name}"))
        } else if image.names.iter().any(|name| published.has(name)) {
            Some("functions.yml".to_owned())
        } else if is_base && !image.names.is_empty() {
            Some("base".to_owned())
        } else {
            None
        };
        Held { id: image.id, names: image.names, bytes: image.size, used, at: At::Engine }
    });
    Ok(held.collect())
}

/// The labels that every image of the project has.
fn labels(run: &Run) -> [(String, String); 2] {
    let brand = &run.project.brand;
    [
        (brand.label("managed"), "true".to_owned()),
        (brand.label("project"), run.compose_project.clone()),
    ]
}

/// Whether an image is a function's of this project.
fn is_ours(run: &Run, config: &ImageConfig) -> bool {
    let kind = config.label(&run.project.brand.label("kind"));
    let has = |(name, value): &(String, String)| config.label(name) == Some(value);
    kind == Some("function") && labels(run).iter().all(has)
}

/// The project's images that the content store lists.
pub(super) fn in_store(run: &Run, published: &Used) -> Vec<Held> {
    let mut held = Vec::new();
    for (name, entry) in run.store.listed_images() {
        // One that is not whole any more is not ours to judge.
        let manifest = run.store.document(entry.digest);
        let manifest = manifest.and_then(|bytes| serde_json::from_slice::<Manifest>(&bytes).ok());
        let Some(manifest) = manifest else { continue };
        let config = run.store.document(manifest.config.digest);
        let config = config.and_then(|bytes| ImageConfig::parse(&bytes).ok());
        if !config.is_some_and(|config| is_ours(run, &config)) {
            continue;
        }
        let names = vec![name];
        let used = published.by(&names, entry.digest);
        let id = entry.digest.to_string();
        let bytes = manifest.layers.last().map_or(0, |layer| layer.size);
        held.push(Held { id, names, bytes, used, at: At::Store(entry.digest) });
    }
    held
}

/// The project's images in the registry: of all repositories whose names could be ours, what
/// carries our labels.
pub(super) async fn in_registry(run: &Run, published: &Used) -> Result<Vec<Held>, Failure> {
    let registry = run.registry.configured.as_ref().unwrap_or(&run.registry.default);
    let host = registry.push_host();
    let all = run.client.repositories(host).await.map_err(|error| {
        registry_failure(&error)
            .hint("not every registry lists its repositories; remove images there by its own means")
    })?;
    let prefix = registry.image(&format!("{}-", run.project.brand.slug()), "-").repository;
    let ours = all.into_iter().filter(|name| name.starts_with(&prefix));
    let found: Vec<Vec<Held>> = stream::iter(ours)
        .map(|repository| in_repository(run, published, registry.runtime_host(), host, repository))
        .buffered(run.jobs)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

async fn in_repository(
    run: &Run,
    published: &Used,
    runtime: &str,
    host: &str,
    repository: String,
) -> Result<Vec<Held>, Failure> {
    let at = Repository { registry: host.to_owned(), repository };
    let session = PushSession::new();
    let mut found: BTreeMap<Digest, Held> = BTreeMap::new();
    for tag in run.client.tags(&at).await.map_err(|error| registry_failure(&error))? {
        let name = format!("{host}/{}:{tag}", at.repository);
        let reference: Reference =
            name.parse().map_err(|error| Failure::of(Exit::Remote, "reference", &error))?;
        // Images of functions are no indexes; the platform does not matter.
        let image = run.client.published(&reference, Platform::default(), true, &session).await;
        let Some(image) = image.map_err(|error| registry_failure(&error))? else { continue };
        let digest = image.digest();
        // A tag of an index leads elsewhere, and is none of ours.
        let Ok(config) = ImageConfig::parse(&image.config_bytes) else { continue };
        let leads = session.checked(&at, &tag) == Some(Some(digest));
        if !leads || !is_ours(run, &config) {
            continue;
        }
        let name = format!("{runtime}/{}:{tag}", at.repository);
        let used = published.by(std::slice::from_ref(&name), digest);
        let bytes = image.layers.last().map_or(0, |layer| layer.descriptor.size);
        let held = found.entry(digest).or_insert_with(|| Held {
            id: digest.to_string(),
            names: Vec::new(),
            bytes,
            used: None,
            at: At::Registry(at.clone(), digest),
        });
        held.names.push(name);
        held.used = held.used.take().or(used);
    }
    Ok(found.into_values().collect())
}

/// Removes images from where they are.
pub(super) async fn remove(run: &Run, held: &[Held]) -> Result<(), Failure> {
    let mut unlisted = Vec::new();
    for one in held {
        match &one.at {
            At::Engine => run.engine().await?.remove(&one.id).await?,
            At::Store(digest) => {
                unlisted.extend(one.names.iter().map(|name| (name.clone(), *digest)));
            }
            At::Registry(at, digest) => {
                run.client.delete(at, *digest).await.map_err(|error| {
                    let failure = registry_failure(&error);
                    match error {
                        esb_registry::Error::Refused { status: 405, .. } => failure.hint(
                            "this registry does not delete: of registry:2 that is the setting \
                             REGISTRY_STORAGE_DELETE_ENABLED=true",
                        ),
                        _ => failure,
                    }
                })?;
            }
        }
    }
    if !unlisted.is_empty() {
        run.store.unlist_images(&unlisted)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_used() {
        let names = ["r:5010/esb-a:latest-1", "r:5010/esb-b@sha256:00"].map(str::to_owned).into();
        let published = Used { names, digests: BTreeSet::new() };
        let check = |name: &str, expected| assert_eq!(published.has(name), expected, "{name}");
        check("r:5010/esb-a:latest-1", true);
        check("r:5010/esb-a:latest-2", false);
        check("r:5010/esb-b:latest", true);
        check("other:5010/esb-b:latest", false);
        check("esb-a:latest-1", false);
    }
}
