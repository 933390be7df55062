//! External images that are not copied unchanged: those that get a layer with the hooks or settings of
//! the template's `ImageConfig`, and those that only the container engine has.
//!
//! Makes these images, and the name of a changed one. An image's own layers are copied from
//! registry to registry or stay where they are; none is kept on this machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use esb_image::{Base, Engine as _, Extension, extend};
use esb_model::{Event, ImageOverrides, ImageRef, Platform, PublishTarget};
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

/// A changed image, before it is pushed.
struct Changed {
    name: ImageRef,
    push: Reference,
    image: Image,
    from: String,
    there: bool,
    loaded_by: Option<(String, String)>,
}

/// Makes the images that are not the source's, each once; returns what cannot be read as well.
/// Nothing is pushed.
pub(crate) async fn changed(
    run: &Deployment,
    registry: &PublishTarget,
    externals: &mut [External],
) -> (Vec<DerivedImage>, Vec<Error>) {
    let mut groups: BTreeMap<(String, Platform, ImageOverrides), Vec<usize>> = BTreeMap::new();
    for (at, external) in externals.iter().enumerate().filter(|(_, one)| one.is_changed()) {
        let External { source, platform, overrides, .. } = external;
        groups.entry((source.clone(), *platform, overrides.clone())).or_default().push(at);
    }
    let first = |functions: &[usize]| externals[functions[0]].clone();
    let work: Vec<(External, Vec<usize>)> =
        groups.into_values().map(|functions| (first(&functions), functions)).collect();
    let results: Vec<(Vec<usize>, Result<Changed, Error>)> = stream::iter(work)
        .map(async |(external, functions)| (functions, change(run, registry, &external).await))
        .buffered(run.jobs())
        .collect()
        .await;
    let (mut derived, mut broken) = (Vec::new(), Vec::new());
    for (functions, result) in results {
        let Changed { name, push, image, from, there, loaded_by } = match result {
            Ok(changed) => changed,
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
                let with = if external.hooks { "the hooks" } else { "the ImageConfig" };
                ExternalState::Planned { bytes, from: format!("{from}, with {with}") }
            };
        }
        let content = Content::Ready(Box::new(image));
        derived.push(DerivedImage { functions, push, content, there });
    }
    (derived, broken)
}

/// An image with what is changed, and whether its target has it.
async fn change(
    run: &Deployment,
    registry: &PublishTarget,
    external: &External,
) -> Result<Changed, Error> {
    let (image, from) = plain(run, registry, external).await?;
    let config = image
        .parse_config()
        .map_err(|error| Error::of(Kind::Input, "IMAGE_PULL_FAILED", &error))?;
    let overrides = external.overrides.clone();
    let own = |name| config.list(name).unwrap_or_default().into_iter().map(str::to_owned);
    let entry_point = overrides.entry_point.clone().unwrap_or_else(|| own("Entrypoint").collect());
    let command = overrides.command.clone().unwrap_or_else(|| own("Cmd").collect());
    let hooks = external.hooks.then(|| {
        esb_dockerfile::image_hooks(&esb_dockerfile::ImageSettings {
            variables: config.env_entries().filter_map(|entry| entry.split_once('=')).collect(),
            command: entry_point.iter().chain(&command).map(String::as_str).collect(),
        })
    });
    let (files, variables) =
        hooks.as_ref().map_or_else(Default::default, |hooks| (&*hooks.files, &*hooks.variables));
    let extension = Extension {
        files: files.iter().map(|(path, content)| (&**path, *content)).collect(),
        variables: variables.iter().map(|(name, value)| (*name, &**value)).collect(),
        labels: labels_of(run, true),
        overrides,
        created_by: if external.hooks {
            "esb: the platform's hooks"
        } else {
            "esb: ImageConfig of the template"
        },
    };
    let base = Base { image, pullable: None, name: external.source.clone() };
    let image = extend(&base, &extension, run.options.epoch)?;
    let name = changed_name(registry, external, image.digest());
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
    let loaded_by = hooks.and_then(|hooks| hooks.loaded_by);
    let loaded_by = loaded_by.map(|(variable, start)| (variable.to_owned(), start));
    Ok(Changed { name, push, image, from, there, loaded_by })
}

/// Reads the image as it is, from a registry or from the container engine.
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

/// `<repository>:<tag>-hooks-<digest>` or `…-config-<digest>`, so that the plain image keeps its own
/// name.
fn changed_name(registry: &PublishTarget, external: &External, digest: Digest) -> ImageRef {
    let own = &external.reference;
    let (repository, tag) = external.target.as_ref().map_or_else(
        || (own.repository(), own.tag().unwrap_or("own")),
        |target| (&*target.repository, &*target.tag),
    );
    let short = digest.short();
    let what = if external.hooks { "hooks" } else { "config" };
    let tag = match format!("{tag}-{what}-{short}") {
        tag if tag.len() > TAG_LIMIT => format!("{what}-{short}"),
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
