//! Finds or makes the indexes of base images, from which copied files get their place.
//!
//! Owns where an index comes from, and that one is made once. The text of an index that a manifest
//! carries decides where files are copied to, so that it is read only from manifests that are known to be
//! ours.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
};

use esb_model::{Activity, ActivityGuard, Reporter};
use esb_oci::{Digest, Image};
use tokio::sync::OnceCell;

use super::{EmbeddedBuilder, Inner, job::Job};
use crate::{
    Base, Error,
    blocking::blocking,
    dockerfile::interpret::Plan,
    filesystem::{
        base_index::{self, BaseIndex, compact},
        base_layers,
    },
};

impl EmbeddedBuilder {
    /// The indexes that a plan needs, by their bases.
    pub(super) async fn indexes(
        &self,
        job: &Job,
        plan: &Plan,
        reporter: &dyn Reporter,
    ) -> Result<HashMap<Digest, Arc<BaseIndex>>, Error> {
        let mut indexes = HashMap::new();
        for (position, stage) in &plan.stages {
            let Some(base) = job.base(stage) else { continue };
            if plan.needs_index(*position) {
                let named = plan.names_owners(*position);
                let index = self.index(job, base, named, reporter).await?;
                indexes.insert(base.image.digest(), index);
            }
        }
        Ok(indexes)
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
