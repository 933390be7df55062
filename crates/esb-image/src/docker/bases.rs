//! Loads or pulls base images into an engine, before images are built on them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use esb_model::{Activity, ActivityGuard, Event, Platform, Reporter};
use esb_oci::{ArchiveImage, ContentStore, Digest};
use tokio::sync::OnceCell;

use crate::docker::{DockerEngine, engine::split_tag};
use crate::{Base, Engine as _, Error};

/// The kind of the records that say which image of the engine a base was loaded as.
const LOADED: &str = "engine-base";

/// A base by the name that a Dockerfile has for it, and by its manifest.
type Key = (String, Digest);

/// The bases that are in the engine, each brought there once.
#[derive(Debug, Default)]
pub(super) struct Bases {
    ready: Mutex<HashMap<Key, Arc<OnceCell<String>>>>,
}

impl Bases {
    /// Makes sure that the engine has `base`, and gives the name under which it is this very image
    /// and no other. It gets the name that the Dockerfile on disk has for it too, so that people
    /// can build by hand; the next build may move that one.
    pub(super) async fn ensure(
        &self,
        engine: &DockerEngine,
        store: &ContentStore,
        (name, base): (&str, &Base),
        platform: Platform,
        reporter: &dyn Reporter,
    ) -> Result<String, Error> {
        let key = (name.to_owned(), base.image.descriptor.digest);
        let cell = {
            let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(ready.entry(key).or_default())
        };
        let bring = || bring(engine, store, (name, base), platform, reporter);
        cell.get_or_try_init(bring).await.cloned()
    }
}

async fn bring(
    engine: &DockerEngine,
    store: &ContentStore,
    (name, base): (&str, &Base),
    platform: Platform,
    reporter: &dyn Reporter,
) -> Result<String, Error> {
    if let Some(pullable) = &base.pullable {
        let by_digest = pinned(pullable, base);
        let present = engine.find(&by_digest).await?.is_some();
        let pulled = if present {
            Ok(())
        } else {
            let activity = ActivityGuard::start(reporter, &by_digest, Activity::PullBase);
            let pulled = engine.pull(&by_digest, &platform.to_string()).await;
            if pulled.is_ok() {
                activity.finish("");
            }
            pulled
        };
        match pulled {
            Ok(()) => {
                name_as_on_disk(engine, name, &by_digest).await?;
                return Ok(by_digest);
            }
            // The engine may live where the registry has another name, or none.
            Err(error) => {
                let decision = format!("loaded, for a pull by the engine failed: {error}");
                reporter.event(&Event::Decided { subject: &by_digest, decision: &decision });
            }
        }
    }
    let pinned = pinned_tag(name, base);
    let id = engine.find(&pinned).await?;
    // The id of an image is its config's digest; in containerd's store it is that of a manifest
    // that the engine makes when it is loaded, so that only who loaded it knows it.
    let key = Digest::of(pinned.as_bytes());
    let expected = if engine.has_containerd_store() {
        store.record(LOADED, key)
    } else {
        Some(base.image.config.descriptor.digest.to_string())
    };
    if id.is_some() && id == expected {
        name_as_on_disk(engine, name, &pinned).await?;
    } else {
        let activity = ActivityGuard::start(reporter, name, Activity::Load);
        let mut names = vec![pinned.clone()];
        if !name.contains('@') {
            names.push(name.to_owned());
        }
        engine.load(&[ArchiveImage { image: base.image.clone(), names }]).await?;
        activity.finish("");
        if engine.has_containerd_store()
            && let Some(id) = engine.find(&pinned).await?
        {
            store.set_record(LOADED, key, &id)?;
        }
    }
    Ok(pinned)
}

async fn name_as_on_disk(engine: &DockerEngine, name: &str, pinned: &str) -> Result<(), Error> {
    if name.contains('@') || engine.find(name).await? == engine.find(pinned).await? {
        return Ok(());
    }
    engine.tag(pinned, name).await
}

/// `HOST/NAME@DIGEST` of a reference with any tag or digest.
fn pinned(reference: &str, base: &Base) -> String {
    format!("{}@{}", bare(reference), base.image.descriptor.digest)
}

/// A name for a loaded image, which has no digest that an engine could resolve.
fn pinned_tag(name: &str, base: &Base) -> String {
    format!("{}:base-{}", bare(name), base.image.descriptor.digest.short())
}

fn bare(reference: &str) -> &str {
    split_tag(reference.split('@').next().unwrap_or(reference)).0
}
