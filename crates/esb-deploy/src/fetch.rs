//! Fetches the base images, external images and wheels of a project into one layout, for a site
//! without a network.

mod wheels;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use esb_model::{EnvValue, Package, Platform};
use esb_oci::{LayoutEntry, media_type};
use futures_util::{StreamExt as _, stream};

pub use self::wheels::{Wheels, wheelhouse};
use crate::{
    deployment::Deployment,
    error::{Error, Kind},
    lockfile::Pinned,
    plan::Templates,
    release::bases,
};

/// An image that was fetched.
#[derive(Debug)]
pub struct Fetched {
    /// As templates and Dockerfiles name it.
    pub source: String,
    pub registry: String,
    pub platform: Platform,
    pub digest: esb_oci::Digest,
    pub bytes: u64,
    pub from: String,
    entry: LayoutEntry,
}

/// What was fetched.
#[derive(Debug)]
pub struct FetchedSite {
    pub images: Vec<Fetched>,
    pub wheels: Wheels,
}

/// Resolves every base image and external image, by its pin in `esb.lock` when there is one, and
/// writes all of them into a layout. No image is written unless all were found. Beside them come
/// the wheels of the functions' packages, into [`wheelhouse`].
pub async fn fetch(
    run: &Deployment,
    templates: &Templates,
    dir: &Path,
) -> Result<FetchedSite, Error> {
    let layout = run.project.folder_at(dir);
    esb_oci::check_layout(&layout)?;
    wheels::check(&layout)?;
    templates.loaded.check()?;
    let mut wanted: BTreeSet<(String, Platform, bool)> = BTreeSet::new();
    for (name, platform) in bases::wanted(&templates.recipes)? {
        wanted.insert((name, platform, true));
    }
    for function in &templates.loaded.app.functions {
        if let Package::Image(package) = &function.package
            && let Some(EnvValue::Known(uri)) = &package.uri
        {
            let architecture =
                run.options.platform.map_or(function.architecture(), |own| own.architecture);
            wanted.insert((uri.clone(), Platform { architecture }, false));
        }
    }
    for (name, platform, is_base) in &wanted {
        run.learned.lock.need(kind(*is_base), name, *platform);
    }
    run.learned.lock.check()?;
    let total = wanted.len();
    let found: Vec<Result<Fetched, Error>> = stream::iter(wanted)
        .map(|(name, platform, is_base)| one(run, name, platform, kind(is_base)))
        .buffered(run.jobs())
        .collect()
        .await;
    let (mut fetched, mut failures) = (Vec::new(), Vec::new());
    for result in found {
        match result {
            Ok(image) => fetched.push(image),
            Err(failure) => failures.push(failure),
        }
    }
    let summary = |count| format!("{count} of {total} images cannot be fetched; nothing was");
    Error::all(failures, summary).map_or(Ok(()), Err)?;
    esb_oci::write_entries(layout.clone(), &entries(&fetched)?).await?;
    let wheels = wheels::fetch(run, &templates.recipes, &layout).await?;
    run.learned.lock.write()?;
    Ok(FetchedSite { images: fetched, wheels })
}

fn kind(is_base: bool) -> Pinned {
    if is_base { Pinned::Base } else { Pinned::External }
}

async fn one(
    run: &Deployment,
    source: String,
    platform: Platform,
    kind: Pinned,
) -> Result<Fetched, Error> {
    let failed = |failure: Error| failure.during(format!("could not fetch `{source}`"));
    let found = run.resolve(kind, &source, platform).await.map_err(failed)?;
    let reference = &found.reference;
    let name = match (reference.tag(), reference.digest()) {
        (None, Some(digest)) => format!("{}@{digest}", reference.repository()),
        (tag, _) => format!("{}:{}", reference.repository(), tag.unwrap_or("latest")),
    };
    // A digest of the index must be found there as well.
    let index = found.index.or_else(|| run.learned.lock.index(kind, &source, found.digest));
    let index = index.and_then(|index| run.connections.store.document(index)).map(|bytes| {
        let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let kind = document["mediaType"].as_str().unwrap_or(media_type::OCI_INDEX).to_owned();
        (bytes.into(), kind)
    });
    let layers = found.image.layers.iter().chain([&found.image.config]);
    Ok(Fetched {
        registry: reference.registry().to_owned(),
        platform,
        digest: found.digest,
        bytes: layers.map(|blob| blob.descriptor.size).sum(),
        from: found.source,
        entry: LayoutEntry { name, images: vec![found.image], index },
        source,
    })
}

/// One entry for each name; two platforms of an index share one.
fn entries(fetched: &[Fetched]) -> Result<Vec<LayoutEntry>, Error> {
    let mut entries: BTreeMap<&str, (LayoutEntry, &str)> = BTreeMap::new();
    for image in fetched {
        let new = &image.entry;
        let Some((known, source)) = entries.get_mut(&*new.name) else {
            entries.insert(&new.name, (new.clone(), &image.source));
            continue;
        };
        let same = match (&known.index, &new.index) {
            (Some((a, _)), Some((b, _))) => a == b,
            (None, None) => known.images[0].digest() == new.images[0].digest(),
            _ => false,
        };
        if !same {
            let text = format!(
                "`{source}` and `{}` would have the same name in the layout: {}",
                image.source, new.name
            );
            return Err(Error::new(Kind::Input, "fetch", text)
                .hint("fetch the templates that need them into folders of their own"));
        }
        known.images.extend(new.images.iter().cloned());
    }
    Ok(entries.into_values().map(|(entry, _)| entry).collect())
}
