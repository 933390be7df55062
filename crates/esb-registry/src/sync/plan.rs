//! Plans a sync. It sends only requests that read, and for each target repository starts one upload
//! and cancels it, to see whether writing is allowed.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use esb_model::Platform;
use esb_oci::{Digest, Reference};
use futures_util::{StreamExt as _, future::join, stream};

use crate::{
    Access, Client, CopyScope, Error, Journal, Repository,
    push::ManifestParts,
    registry::repository,
    resolve::{Documents, STORE},
};

/// One image to be synced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SyncItem {
    /// Where it comes from; a digest pins it.
    pub source: Reference,
    /// Where it goes, by a tag.
    pub target: Reference,
    /// Whether one platform is copied or all of it.
    pub scope: CopyScope,
    /// The digest that the target will have, where a lock file says it.
    pub expected: Option<Digest>,
}

/// The steps of a sync, one for each image, in the order of the request.
#[derive(Debug)]
pub struct SyncPlan {
    pub images: Vec<PlannedImage>,
}

/// One image of a plan.
#[derive(Debug)]
pub struct PlannedImage {
    pub item: SyncItem,
    /// What has to be done, or why it cannot be.
    pub step: Result<SyncStep, Error>,
}

/// What has to be done for an image.
#[derive(Debug)]
pub enum SyncStep {
    /// The target has it.
    Present {
        digest: Digest,
        /// What the source stands for, when that is known and another one: an index.
        index: Option<Digest>,
    },
    /// It is copied.
    Copy(PlannedCopy),
}

/// A copy that can be made.
#[derive(Debug)]
pub struct PlannedCopy {
    /// The digest that the target's tag will have.
    pub digest: Digest,
    /// The index that it was found in, when it is one platform of it.
    pub index: Option<Digest>,
    /// Where it was found: `registry/repository` or `oci:DIR`.
    pub from: String,
    /// Layers and configs in all, whether the target has some of them or not.
    pub bytes: u64,
    /// Manifests with their blobs, each after those that it names.
    pub(crate) parts: Vec<ManifestParts>,
}

impl SyncStep {
    /// What the target has, or will have.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Present { digest, .. } | Self::Copy(PlannedCopy { digest, .. }) => *digest,
        }
    }

    /// The index that the source stands for, when it is known and not copied whole.
    pub fn index(&self) -> Option<Digest> {
        match self {
            Self::Present { index, .. } | Self::Copy(PlannedCopy { index, .. }) => *index,
        }
    }
}

impl SyncPlan {
    /// Images that cannot be synced.
    pub fn broken(&self) -> impl Iterator<Item = (&SyncItem, &Error)> {
        self.images.iter().filter_map(|image| Some((&image.item, image.step.as_ref().err()?)))
    }
}

impl Client {
    /// Plans the sync of images, several at a time; a failure for one does not end the others.
    /// Nothing is written.
    ///
    /// An image that its target has costs one request where its source is pinned by a digest that
    /// the journal or the item knows the platform's manifest of, and two otherwise.
    pub async fn plan_sync(
        &self,
        items: Vec<SyncItem>,
        jobs: usize,
        journal: &Journal,
    ) -> SyncPlan {
        let permitted = Mutex::default();
        let images = stream::iter(items)
            .map(async |item| {
                let step = self.plan_one(&item, journal, &permitted).await;
                PlannedImage { item, step }
            })
            .buffered(jobs.max(1));
        SyncPlan { images: images.collect().await }
    }

    /// `permitted` are repositories that may be written.
    async fn plan_one(
        &self,
        item: &SyncItem,
        journal: &Journal,
        permitted: &Mutex<BTreeSet<Repository>>,
    ) -> Result<SyncStep, Error> {
        let at = repository(&item.target);
        let tag = item.target.target();
        let target = self.digest_at(&at, &tag);
        let (target, root) = if let Some(pinned) = item.source.digest() {
            (target.await?, Some(pinned))
        } else {
            let (target, root) = join(target, self.root_digest(&item.source)).await;
            (target?, root)
        };
        if let Some(target) = target
            && self.suffices(item, target, root, journal).await
        {
            let index = root.filter(|root| *root != target);
            return Ok(SyncStep::Present { digest: target, index });
        }
        let copy = self.find_copy(item, journal).await?;
        if target == Some(copy.digest) {
            return Ok(SyncStep::Present { digest: copy.digest, index: copy.index });
        }
        let known = || permitted.lock().unwrap_or_else(PoisonError::into_inner);
        if !known().contains(&at) {
            self.registry().may_push(&at).await?;
            known().insert(at);
        }
        Ok(SyncStep::Copy(copy))
    }

    /// The digest that a tag has; `None` when it is not there.
    async fn digest_at(&self, at: &Repository, tag: &str) -> Result<Option<Digest>, Error> {
        let Some(head) = self.registry().manifest_head(at, tag, Access::Push).await? else {
            return Ok(None);
        };
        match head.digest {
            Some(digest) => Ok(Some(digest)),
            None => Ok(Some(self.registry().manifest_get(at, tag).await?.digest)),
        }
    }

    /// Finds the digest of a source at the first place that has it; `None` when its manifest is
    /// needed to know it.
    async fn root_digest(&self, source: &Reference) -> Option<Digest> {
        for (_, place) in self.places(source) {
            if let Ok(Some(digest)) = place.ok()?.head(source).await {
                return Some(digest);
            }
        }
        None
    }

    /// Whether the target has what the item asks for, as far as that is known without the source's
    /// manifests.
    async fn suffices(
        &self,
        item: &SyncItem,
        target: Digest,
        root: Option<Digest>,
        journal: &Journal,
    ) -> bool {
        if item.expected == Some(target) {
            return true;
        }
        let Some(root) = root else { return false };
        match item.scope {
            CopyScope::Whole => target == root,
            CopyScope::Platform(platform) => {
                journal.platform(root, platform) == Some(target)
                    || target == root && self.serves(&item.target, root, platform, journal).await
            }
        }
    }

    /// Whether an image that is in its target is one for the platform; asks the target alone.
    async fn serves(
        &self,
        target: &Reference,
        root: Digest,
        platform: Platform,
        journal: &Journal,
    ) -> bool {
        let (_, place) = self.in_registry(repository(target));
        let Ok(place) = place else { return false };
        let found = self.assemble(target, platform, &Documents::Source(place)).await;
        let Ok(found) = found else { return false };
        if found.index.unwrap_or(found.digest) != root {
            return false;
        }
        if found.index.is_none() {
            journal.set_platform(root, platform, found.digest);
        }
        true
    }

    /// Finds the manifests that have to be copied.
    async fn find_copy(&self, item: &SyncItem, journal: &Journal) -> Result<PlannedCopy, Error> {
        let (digest, index, from, parts) = match item.scope {
            CopyScope::Platform(platform) => {
                let found = self.resolve(&item.source, platform).await?;
                if found.source == STORE && !self.settings().offline {
                    // What is known of it does not say that it is still there.
                    self.find(&item.source).await?;
                }
                journal.set_platform(found.index.unwrap_or(found.digest), platform, found.digest);
                (found.digest, found.index, found.source, vec![ManifestParts::from(&found.image)])
            }
            CopyScope::Whole => {
                let (place, root) = self.find(&item.source).await?;
                let digest = root.digest;
                (digest, None, place.to_string(), self.walk(&item.source, &place, root).await?)
            }
        };
        if let Some(expected) = item.expected
            && expected != digest
        {
            let subject = item.source.to_string();
            return Err(Error::DigestMismatch { subject, expected, actual: digest });
        }
        let blobs = parts.iter().flat_map(|parts| &parts.blobs).map(|blob| &blob.descriptor);
        let blobs: BTreeSet<(Digest, u64)> = blobs.map(|blob| (blob.digest, blob.size)).collect();
        let bytes = blobs.iter().map(|(_, size)| size).sum();
        Ok(PlannedCopy { digest, index, from, bytes, parts })
    }
}
