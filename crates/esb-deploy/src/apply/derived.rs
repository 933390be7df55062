//! External images that are not copied unchanged: those that get a layer with the hooks, and those
//! that only the container engine has.
//!
//! Makes these images, and the name of an image with hooks. An image's own layers are copied from
//! registry to registry or stay where they are; none is kept on this machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use esb_image::{Base, Engine as _, Extension, extend};
use esb_model::{Event, ImageRef, Platform, PublishTarget};
use esb_oci::{Digest, Image, Reference};
use esb_registry::PushSession;
use futures_util::{StreamExt as _, stream};

use crate::{
    deployment::Deployment,
    error::{Error, Kind, not_synced},
    external::{External, ExternalState},
    image_names::{labels_of, push_reference},
    lockfile::Pinned,
};

/// The longest tag that registries take.
const TAG_LIMIT: usize = 128;

/// The record's kind in the content store: what an image of an engine became when it was exported.
const EXPORTED: &str = "exported-image";

/// An image and where it goes.
#[derive(Debug)]
pub(crate) struct DerivedImage {
    /// Those that it is for, by their place among the externals.
    functions: Vec<usize>,
    push: Reference,
    content: Content,
    /// The target has it.
    there: bool,
}

#[derive(Debug)]
enum Content {
    Ready(Box<Image>),
    /// An image of the engine, by its id; it is exported when it is needed.
    InEngine(String),
}

/// An image with hooks, before it is pushed.
struct Hooked {
    name: ImageRef,
    push: Reference,
    image: Image,
    from: String,
    there: bool,
    loaded_by: Option<(String, String)>,
}

/// Adds the hooks to the images of all functions, each image once; returns what cannot be read as
/// well. Nothing is pushed.
pub(crate) async fn with_hooks(
    run: &Deployment,
    registry: &PublishTarget,
    externals: &mut [External],
) -> (Vec<DerivedImage>, Vec<Error>) {
    let mut groups: BTreeMap<(String, Platform), Vec<usize>> = BTreeMap::new();
    for (at, external) in externals.iter().enumerate() {
        groups.entry((external.source.clone(), external.platform)).or_default().push(at);
    }
    let first = |functions: &[usize]| externals[functions[0]].clone();
    let work: Vec<(External, Vec<usize>)> =
        groups.into_values().map(|functions| (first(&functions), functions)).collect();
    let results: Vec<(Vec<usize>, Result<Hooked, Error>)> = stream::iter(work)
        .map(async |(external, functions)| (functions, hook(run, registry, &external).await))
        .buffered(run.jobs())
        .collect()
        .await;
    let (mut derived, mut broken) = (Vec::new(), Vec::new());
    for (functions, result) in results {
        let Hooked { name, push, image, from, there, loaded_by } = match result {
            Ok(hooked) => hooked,
            Err(failure) => {
                broken.push(failure);
                continue;
            }
        };
        let layers = image.layers.iter().chain([&image.config]);
        let bytes = layers.map(|blob| blob.descriptor.size).sum();
        for at in &functions {
            let external = &mut externals[*at];
            external.name = name.runtime();
            external.target = Some(name.clone());
            external.digest = Some(image.digest());
            external.hooks_loaded_by.clone_from(&loaded_by);
            external.state = if there {
                ExternalState::Present
            } else {
                ExternalState::Planned { bytes, from: format!("{from}, with the hooks") }
            };
        }
        let content = Content::Ready(Box::new(image));
        derived.push(DerivedImage { functions, push, content, there });
    }
    (derived, broken)
}

/// An image with the hooks, and whether its target has it.
async fn hook(
    run: &Deployment,
    registry: &PublishTarget,
    external: &External,
) -> Result<Hooked, Error> {
    let (image, from) = plain(run, registry, external).await?;
    let config = image
        .parse_config()
        .map_err(|error| Error::of(Kind::Input, "IMAGE_PULL_FAILED", &error))?;
    let lists = ["Entrypoint", "Cmd"].map(|name| config.list(name).unwrap_or_default());
    let hooks = esb_dockerfile::image_hooks(&esb_dockerfile::ImageSettings {
        variables: config.env_entries().filter_map(|entry| entry.split_once('=')).collect(),
        command: lists.concat(),
    });
    let extension = Extension {
        files: hooks.files.iter().map(|(path, content)| (&**path, *content)).collect(),
        variables: hooks.variables.iter().map(|(name, value)| (*name, &**value)).collect(),
        labels: labels_of(run, true),
        created_by: "esb: the platform's hooks",
    };
    let base = Base { image, pullable: None, name: external.source.clone() };
    let image = extend(&base, &extension, run.options.epoch)?;
    let name = hooked_name(registry, external, image.digest());
    let push = push_reference(&name)?;
    let failed = |error| not_synced(&external.source, &error);
    let there = run
        .connections
        .client
        .leads_to(&push, image.digest(), &run.learned.session)
        .await
        .map_err(failed)?;
    if !there {
        let at = esb_registry::repository(&push);
        run.connections.client.registry().may_push(&at).await.map_err(failed)?;
    }
    let loaded_by = hooks.loaded_by.map(|(variable, start)| (variable.to_owned(), start));
    Ok(Hooked { name, push, image, from, there, loaded_by })
}

/// Reads the image without hooks, from a registry or from the container engine.
async fn plain(
    run: &Deployment,
    registry: &PublishTarget,
    external: &External,
) -> Result<(Image, String), Error> {
    if external.target.is_none() {
        let here = external.reference.moved_to(registry.push_host(), None);
        let found = run.connections.client.resolve(&here, external.platform).await;
        let found = found.map_err(|error| not_synced(&external.source, &error))?;
        return Ok((found.image, found.source));
    }
    match run.resolve(Pinned::External, &external.source, external.platform).await {
        Ok(found) => Ok((found.image, found.source)),
        Err(failure) => match in_engine(run, external).await {
            Some(id) => Ok((export(run, external, &id).await?, "the container engine".to_owned())),
            None => Err(failure.during(format!("could not sync `{}`", external.source))),
        },
    }
}

/// `<repository>:<tag>-hooks-<digest>`, so that the plain image keeps its own name.
fn hooked_name(registry: &PublishTarget, external: &External, digest: Digest) -> ImageRef {
    let own = &external.reference;
    let (repository, tag) = external.target.as_ref().map_or_else(
        || (own.repository(), own.tag().unwrap_or("own")),
        |target| (&*target.repository, &*target.tag),
    );
    let short = digest.short();
    let tag = match format!("{tag}-hooks-{short}") {
        tag if tag.len() > TAG_LIMIT => format!("hooks-{short}"),
        tag => tag,
    };
    ImageRef {
        runtime_host: registry.runtime_host().to_owned(),
        push_host: registry.push_host().to_owned(),
        repository: repository.to_owned(),
        tag,
    }
}

/// The engine's id of an image, when a tag that nothing pins is known to the engine.
pub(crate) async fn in_engine(run: &Deployment, external: &External) -> Option<String> {
    let pinned = external.reference.digest().is_some()
        || run.learned.lock.pin(Pinned::External, &external.source, external.platform).is_some();
    if pinned {
        return None;
    }
    let engine = run.engine().await.ok()?;
    engine.find(&external.source).await.ok()?
}

/// Plans the push of an image that only the engine has.
pub(crate) async fn of_engine(
    run: &Deployment,
    externals: &mut [External],
    functions: Vec<usize>,
    push: Reference,
    id: String,
) -> Result<DerivedImage, Error> {
    let known: Option<Digest> = run.connections.store.record(EXPORTED, Digest::of(id.as_bytes()));
    let source = externals[functions[0]].source.clone();
    let failed = |error| not_synced(&source, &error);
    let there = match known {
        Some(digest) => run
            .connections
            .client
            .leads_to(&push, digest, &run.learned.session)
            .await
            .map_err(failed)?,
        None => false,
    };
    if !there {
        let at = esb_registry::repository(&push);
        run.connections.client.registry().may_push(&at).await.map_err(failed)?;
    }
    for at in &functions {
        let external = &mut externals[*at];
        external.digest = known;
        external.state = if there {
            ExternalState::Present
        } else {
            ExternalState::Planned { bytes: 0, from: "the container engine".to_owned() }
        };
    }
    Ok(DerivedImage { functions, push, content: Content::InEngine(id), there })
}

/// Takes an image out of the engine, as one stream.
async fn export(run: &Deployment, external: &External, id: &str) -> Result<Image, Error> {
    let source = &external.source;
    let decision = "taken from the container engine: no registry has it";
    run.reporter.event(&Event::Decided { subject: source, decision });
    let image = run.engine().await?.export(id).await?;
    let config = image
        .parse_config()
        .map_err(|error| Error::of(Kind::Input, "IMAGE_PULL_FAILED", &error))?;
    let (has, wanted) = (config.architecture(), external.platform.architecture.oci_name());
    if has != wanted {
        let text =
            format!("the engine's image `{source}` is for {}, not {wanted}", has.escape_debug());
        return Err(Error::new(Kind::Input, "IMAGE_PULL_FAILED", text)
            .hint("build or pull it for the function's platform, or push it to a registry"));
    }
    run.connections.store.set_record(EXPORTED, Digest::of(id.as_bytes()), &image.digest())?;
    Ok(image)
}

/// Pushes what its target does not have, several at a time.
pub(crate) async fn push(
    run: &Deployment,
    derived: Vec<DerivedImage>,
    session: &PushSession,
    externals: &mut [External],
) -> Vec<Error> {
    let mut failures = Vec::new();
    let missing: BTreeSet<usize> =
        derived.iter().filter(|one| !one.there).flat_map(|one| one.functions.clone()).collect();
    let known: BTreeMap<usize, External> =
        missing.into_iter().map(|at| (at, externals[at].clone())).collect();
    let work = derived.into_iter().filter(|one| !one.there);
    let results: Vec<_> = stream::iter(work)
        .map(async |DerivedImage { functions, push, content, .. }| {
            let start = Instant::now();
            let external = &known[&functions[0]];
            let pushed = async {
                let image = match content {
                    Content::Ready(image) => *image,
                    Content::InEngine(id) => export(run, external, &id).await?,
                };
                let events = run.events();
                let pushed = run.connections.client.push(&image, &push, &[], session, &events);
                pushed.await.map_err(|error| not_synced(&external.source, &error))
            };
            (functions, pushed.await, start.elapsed())
        })
        .buffered(run.jobs())
        .collect()
        .await;
    for (functions, pushed, time) in results {
        match pushed {
            Ok(report) => {
                for at in functions {
                    externals[at].digest = report.digest;
                    externals[at].state = ExternalState::Synced { report: report.clone(), time };
                }
            }
            Err(failure) => failures.push(failure),
        }
    }
    failures
}
