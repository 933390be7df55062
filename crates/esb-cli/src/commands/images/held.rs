//! Images where they are: in the engine, the store, the registry.

use std::collections::BTreeMap;

use esb_deploy::{Deployment, Error, Kind};
use esb_image::Engine as _;
use esb_model::Platform;
use esb_oci::{Digest, ImageConfig, Manifest, Reference};
use esb_registry::{KnownTag, PushSession, Repository};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::known::{ImageOwner, Known, Location};

/// An image, whose it is, and whether something uses it.
#[derive(Debug)]
pub(super) struct InventoryItem {
    pub(super) id: String,
    pub(super) names: Vec<String>,
    pub(super) bytes: u64,
    pub(super) whose: ImageOwner,
    pub(super) used: Option<String>,
    at: At,
}

#[derive(Debug)]
enum At {
    Engine,
    Store(Digest),
    Registry(Repository, Digest),
}

impl InventoryItem {
    pub(super) fn is_in_registry(&self) -> bool {
        matches!(self.at, At::Registry(..))
    }

    /// The place, as `--in` names it.
    pub(super) fn place(&self) -> &'static str {
        match self.at {
            At::Engine => "engine",
            At::Store(_) => "store",
            At::Registry(..) => "registry",
        }
    }
}

/// Images of ours in the container engine.
pub(super) async fn in_engine(
    run: &Deployment,
    known: &Known,
) -> Result<Vec<InventoryItem>, Error> {
    let brand = &run.project.brand;
    let engine = run.engine().await?;
    let managed = (brand.label("managed"), "true".to_owned());
    let images = engine.list(&BTreeMap::from([managed])).await?;
    let containers = engine.containers(&[]).await?;
    let of_containers: BTreeMap<&str, &str> = containers
        .iter()
        .map(|container| (container.image_id.as_str(), container.name.as_str()))
        .collect();
    let function = brand.label("kind");
    let held = images.into_iter().map(|image| {
        let is_base = !image.labels.contains_key(&function);
        let used = if let Some(name) = of_containers.get(image.id.as_str()) {
            Some(format!("container {name}"))
        } else if let Some(used) = known.used(&image.names, &[&image.id]) {
            Some(used)
        } else if is_base && !image.names.is_empty() {
            Some("base".to_owned())
        } else {
            None
        };
        let whose = known.whose(&[Location::Engine], &image.names, &[&image.id]);
        let (id, names, bytes) = (image.id, image.names, image.size);
        InventoryItem { id, names, bytes, whose, used, at: At::Engine }
    });
    Ok(held.collect())
}

/// Whether an image is a function's of some project.
fn is_function(run: &Deployment, config: &ImageConfig) -> bool {
    let brand = &run.project.brand;
    config.label(&brand.label("kind")) == Some("function")
        && config.label(&brand.label("managed")) == Some("true")
}

/// Images of functions that the content store lists.
pub(super) fn in_store(run: &Deployment, known: &Known) -> Vec<InventoryItem> {
    let mut held = Vec::new();
    for (name, entry) in run.connections.store.listed_images() {
        // One that is not whole any more is not ours to judge.
        let manifest = run.connections.store.document(entry.digest);
        let manifest = manifest.and_then(|bytes| serde_json::from_slice::<Manifest>(&bytes).ok());
        let Some(manifest) = manifest else { continue };
        let config = run.connections.store.document(manifest.config.digest);
        let config = config.and_then(|bytes| ImageConfig::parse(&bytes).ok());
        if !config.is_some_and(|config| is_function(run, &config)) {
            continue;
        }
        let names = vec![name];
        let id = entry.digest.to_string();
        let whose = known.whose(&[Location::Store], &names, &[&id]);
        let used = known.used(&names, &[&id]);
        let bytes = manifest.layers.last().map_or(0, |layer| layer.size);
        held.push(InventoryItem { id, names, bytes, whose, used, at: At::Store(entry.digest) });
    }
    held
}

/// Images of functions in the registry: in the repositories that records and published entries of
/// this project name, and with `all` in every repository whose name could be one of ours.
pub(super) async fn in_registry(
    run: &Deployment,
    known: &Known,
    all: bool,
) -> Result<Vec<InventoryItem>, Error> {
    let registry =
        run.options.registry.configured.as_ref().unwrap_or(&run.options.registry.default);
    let host = registry.push_host();
    let mut repositories = known.repositories([host, registry.runtime_host()]);
    if all {
        let listed = run.connections.client.repositories(host).await.map_err(|error| {
            Error::from(&error).hint(
                "not every registry lists its repositories; without `--all` only those that runs \
                 of this project recorded are looked at",
            )
        })?;
        let prefix = registry.image(&format!("{}-", run.project.brand.slug()), "-").repository;
        repositories.extend(listed.into_iter().filter(|name| name.starts_with(&prefix)));
    }
    let found: Vec<Vec<InventoryItem>> = stream::iter(repositories)
        .map(|repository| in_repository(run, known, registry.runtime_host(), host, repository))
        .buffered(run.options.jobs())
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

async fn in_repository(
    run: &Deployment,
    known: &Known,
    runtime: &str,
    host: &str,
    repository: String,
) -> Result<Vec<InventoryItem>, Error> {
    let at = Repository { registry: host.to_owned(), repository };
    let session = PushSession::new();
    let mut found: BTreeMap<Digest, InventoryItem> = BTreeMap::new();
    for tag in run.connections.client.tags(&at).await.map_err(|error| Error::from(&error))? {
        let name = format!("{host}/{}:{tag}", at.repository);
        let reference: Reference =
            name.parse().map_err(|error| Error::of(Kind::Remote, "reference", &error))?;
        // Images of functions are no indexes; the platform does not matter.
        let image =
            run.connections.client.published(&reference, Platform::default(), true, &session).await;
        let Some(image) = image.map_err(|error| Error::from(&error))? else { continue };
        let digest = image.digest();
        // A tag of an index leads elsewhere, and is none of ours.
        let Ok(config) = image.parse_config() else { continue };
        let leads = session.tag(&at, &tag) == KnownTag::Confirmed(digest);
        if !leads || !is_function(run, &config) {
            continue;
        }
        let bytes = image.layers.last().map_or(0, |layer| layer.descriptor.size);
        let held = found.entry(digest).or_insert_with(|| InventoryItem {
            id: digest.to_string(),
            names: Vec::new(),
            bytes,
            whose: ImageOwner::Unknown,
            used: None,
            at: At::Registry(at.clone(), digest),
        });
        held.names.push(format!("{runtime}/{}:{tag}", at.repository));
    }
    let places =
        [host, runtime].map(|host| Location::Registry(format!("{host}/{}", at.repository)));
    for held in found.values_mut() {
        held.whose = known.whose(&places, &held.names, &[&held.id]);
        held.used = known.used(&held.names, &[&held.id]);
    }
    Ok(found.into_values().collect())
}

/// Removes images from where they are.
pub(super) async fn remove(run: &Deployment, held: &[InventoryItem]) -> Result<(), Error> {
    let mut unlisted = Vec::new();
    for one in held {
        match &one.at {
            At::Engine => run.engine().await?.remove(&one.id).await?,
            At::Store(digest) => {
                unlisted.extend(one.names.iter().map(|name| (name.clone(), *digest)));
            }
            At::Registry(at, digest) => {
                run.connections.client.delete(at, *digest).await.map_err(|error| {
                    let failure = Error::from(&error);
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
        run.connections.store.unlist_images(&unlisted)?;
    }
    Ok(())
}
