//! Finds or makes the indexes of base images, from which copied files get their place, and reads
//! what is copied out of them while the steps are applied.
//!
//! Owns where an index comes from, and that one is made once. The text of an index that a manifest
//! carries decides where files are copied to, so that it is read only from manifests that are known to be
//! ours.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
};

use esb_model::{Activity, ActivityGuard, Reporter};
use esb_oci::{Digest, Image};
use tokio::sync::{OnceCell, SemaphorePermit};

use super::{EmbeddedBuilder, Inner, Prepared, job::Job};
use crate::{
    Base, Error,
    blocking::blocking,
    filesystem::{
        apply::{Applied, AppliedSteps, work_folder},
        base_contents::{BaseContents, Bases, LoadedBase},
        base_index::{self, BaseIndex, compact},
        base_layers,
    },
};

impl EmbeddedBuilder {
    /// Reads what a build needs of base images, and applies its steps: the file system of the image,
    /// with the permit to work on it.
    pub(super) async fn apply(
        &self,
        job: &Arc<Job>,
        mut prepared: Box<Prepared>,
        reporter: &dyn Reporter,
    ) -> Result<(Box<Prepared>, AppliedSteps, SemaphorePermit<'_>), Error> {
        let plan = &prepared.plan;
        // By name; whether its accounts are asked for.
        let mut wanted: BTreeMap<&str, bool> = BTreeMap::new();
        for (position, stage) in &plan.stages {
            if let Some(name) = stage.base.as_deref()
                && plan.needs_index(*position)
            {
                *wanted.entry(name).or_default() |= plan.names_owners(*position);
            }
        }
        for name in &plan.images {
            wanted.entry(name).or_default();
        }
        let mut bases = Bases::new();
        for (name, named) in wanted {
            let index = self.index(job, job.named_base(name)?, named, reporter).await?;
            let name = name.to_owned();
            bases.insert(name.clone(), LoadedBase { name, index, contents: None });
        }
        loop {
            let permit = self.inner.processors.acquire().await.expect("it stays open");
            let (inner, of_job) = (Arc::clone(&self.inner), Arc::clone(job));
            let applied;
            (prepared, bases, applied) = blocking(move || {
                let applied = inner.apply_steps(&of_job, &prepared, &bases);
                applied.map(|applied| (prepared, bases, applied))
            })
            .await?;
            let missing = match applied {
                Applied::Steps(steps) => return Ok((prepared, steps, permit)),
                Applied::Missing(missing) => missing,
            };
            drop(permit);
            for (name, paths) in missing {
                if let Some(base) = bases.get_mut(&name) {
                    self.read(job, base, paths, reporter).await?;
                }
            }
        }
    }

    /// Reads what a build copies out of a base, all of it at once.
    async fn read(
        &self,
        job: &Job,
        base: &mut LoadedBase,
        mut paths: BTreeSet<String>,
        reporter: &dyn Reporter,
    ) -> Result<(), Error> {
        if let Some(contents) = &base.contents {
            paths.extend(contents.asked().iter().cloned());
        }
        let image = job.named_base(&base.name)?;
        let store = &self.inner.store;
        let folder = work_folder(store)?;
        let activity = ActivityGuard::start(reporter, &image.name, Activity::Index);
        let found = base_layers::contents(
            &job.recipe.repository,
            image,
            store,
            &paths,
            folder.path(),
            reporter,
        );
        let nodes = found.await?;
        activity.finish("");
        base.contents = Some(Arc::new(BaseContents::new(paths, nodes, folder)));
        Ok(())
    }

    /// The index of a base: from memory, from a record, from its manifest when that is ours, or
    /// made of its layers, which alone say the accounts of owners that are `named`. Of several
    /// builds that need it one works and the others wait.
    async fn index(
        &self,
        job: &Job,
        base: &Base,
        named: bool,
        reporter: &dyn Reporter,
    ) -> Result<Arc<BaseIndex>, Error> {
        let digest = base.image.digest();
        let is_enough = |index: &BaseIndex| !(named && index.lacks_accounts());
        let cell = {
            let mut indexes = self.inner.indexes.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(indexes.entry((digest, named)).or_default())
        };
        let make = async || {
            let store = self.inner.store.clone();
            let keep = job.keep_bases.then_some(&self.inner.store);
            if job.trust {
                let store = store.clone();
                let known = blocking(move || store.record(base_index::RECORD, digest)).await;
                if let Some(index) = known.filter(is_enough) {
                    return Ok(Arc::new(index));
                }
            }
            let is_ours = job.trusts_published || self.inner.is_own(digest);
            let carried = base.image.manifest.annotations.get(&job.names.base_index);
            let carried = carried.filter(|_| is_ours).and_then(|text| compact::decode(text));
            if let Some(index) = carried.filter(is_enough) {
                return Ok(Arc::new(index));
            }
            // Of processes that need it at the same time one reads the layers.
            let activity = ActivityGuard::start(reporter, &base.name, Activity::Index);
            let lock = store.lock_key("index", digest).await;
            if job.trust {
                let store = store.clone();
                let made_meanwhile = move || store.fresh_record(base_index::RECORD, digest);
                if let Some(index) = blocking(made_meanwhile).await.filter(is_enough) {
                    activity.finish("made by another run");
                    return Ok(Arc::new(index));
                }
            }
            let index = base_layers::index(&job.recipe.repository, base, keep, reporter).await?;
            activity.finish("");
            let index = Arc::new(index);
            let record = Arc::clone(&index);
            blocking(move || store.set_record(base_index::RECORD, digest, &*record)).await?;
            drop(lock);
            Ok(index)
        };
        cell.get_or_try_init(make).await.cloned()
    }
}

impl Inner {
    /// Others are built on a base image: its index is known already, no layer has to be read.
    pub(super) fn keep_index(&self, image: &Image, index: &Arc<BaseIndex>) -> Result<(), Error> {
        self.store.set_record(base_index::RECORD, image.digest(), &**index)?;
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        for named in [false, true] {
            let index = (!named || !index.lacks_accounts()).then(|| Arc::clone(index));
            indexes.insert((image.digest(), named), Arc::new(OnceCell::new_with(index)));
        }
        Ok(())
    }

    /// Notes that an image's manifest is ours.
    pub(super) fn mark_own(&self, image: &Image) {
        self.own_manifests.lock().unwrap_or_else(PoisonError::into_inner).insert(image.digest());
    }

    fn is_own(&self, digest: Digest) -> bool {
        self.own_manifests.lock().unwrap_or_else(PoisonError::into_inner).contains(&digest)
    }
}
