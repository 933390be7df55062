//! The state of one run: which repository has which blob, and where tags point.
//!
//! A blob is uploaded once a run, however many images need it. An unknown tag costs one HEAD
//! request.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use esb_oci::{Digest, Manifest};

use crate::{Journal, Repository};

/// Where a tag of a repository points, as far as a run knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownTag {
    /// The run knows nothing about the tag.
    Unknown,
    /// The tag pointed there when it was last written or seen; others may have moved it since.
    Recorded(Digest),
    /// The registry said in this run that the tag points there.
    Confirmed(Digest),
    /// The registry said in this run that it does not have the tag.
    Absent,
}

impl KnownTag {
    /// Where the tag points, confirmed or not.
    pub fn digest(self) -> Option<Digest> {
        match self {
            Self::Recorded(digest) | Self::Confirmed(digest) => Some(digest),
            Self::Unknown | Self::Absent => None,
        }
    }

    /// Whether the registry itself answered in this run: it need not be asked again.
    pub fn is_answered(self) -> bool {
        matches!(self, Self::Confirmed(_) | Self::Absent)
    }
}

/// What is known in one run of registries, shared by all its pushes. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct PushSession {
    memory: Arc<Mutex<Memory>>,
    journal: Journal,
}

#[derive(Debug, Default)]
struct Memory {
    blobs: BTreeMap<(String, Digest), KnownBlob>,
    /// By registry, repository and tag.
    tags: BTreeMap<(String, String, String), KnownTag>,
    /// Manifests that the registry has, by registry and repository.
    manifests: BTreeSet<(String, String, Digest)>,
    /// The last manifest that each registry accepted: repository, tag or digest, and its digest.
    accepted: BTreeMap<String, (String, String, Digest)>,
}

/// What is known of one blob in one registry.
#[derive(Debug, Clone, Default)]
struct KnownBlob {
    /// Repositories that have it, for certain.
    present: BTreeSet<String>,
    /// Locked by the push that looks for the blob in the registry and uploads it.
    upload: Arc<tokio::sync::Mutex<()>>,
}

impl PushSession {
    /// An empty session.
    pub fn new() -> Self {
        Self::default()
    }

    /// A session that starts with the records of earlier runs.
    pub fn with_journal(journal: Journal) -> Self {
        Self { memory: Arc::default(), journal }
    }

    /// The same session, which also records blobs for later runs: for images that are copied.
    /// Images that are built are found by their content.
    #[must_use]
    pub fn noting(&self, journal: Journal) -> Self {
        Self { memory: Arc::clone(&self.memory), journal }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn blob<T>(&self, registry: &str, digest: Digest, look: impl FnOnce(&mut KnownBlob) -> T) -> T {
        look(self.memory().blobs.entry((registry.to_owned(), digest)).or_default())
    }

    /// Notes where a tag pointed in an earlier run. An answer of the registry in this run takes
    /// precedence.
    pub fn tag_recorded(&self, at: &Repository, tag: &str, digest: Digest) {
        let mut memory = self.memory();
        let known = memory.tags.entry(key(at, tag)).or_insert(KnownTag::Unknown);
        if !known.is_answered() {
            *known = KnownTag::Recorded(digest);
        }
    }

    /// Notes where a tag points, as the registry answered in this run; `None` when there is no such
    /// tag.
    pub fn tag_confirmed(&self, at: &Repository, tag: &str, digest: Option<Digest>) {
        let known = digest.map_or(KnownTag::Absent, KnownTag::Confirmed);
        self.memory().tags.insert(key(at, tag), known);
    }

    /// Tells that a tag was written, and that the registry did not say where it points now.
    pub(crate) fn tag_written(&self, at: &Repository, tag: &str, digest: Digest) {
        self.memory().tags.insert(key(at, tag), KnownTag::Recorded(digest));
    }

    /// Notes that a registry accepted a manifest.
    pub(crate) fn manifest_accepted(&self, at: &Repository, target: &str, digest: Digest) {
        let last = (at.repository.clone(), target.to_owned(), digest);
        self.memory().accepted.insert(at.registry.clone(), last);
    }

    /// The last manifest that each registry accepted since this was last asked.
    pub(crate) fn take_accepted(&self) -> Vec<(Repository, String, Digest)> {
        let accepted = std::mem::take(&mut self.memory().accepted);
        let named = |(registry, (repository, target, digest))| {
            (Repository { registry, repository }, target, digest)
        };
        accepted.into_iter().map(named).collect()
    }

    /// Where a tag points, as far as this run knows.
    pub fn tag(&self, at: &Repository, tag: &str) -> KnownTag {
        self.memory().tags.get(&key(at, tag)).copied().unwrap_or(KnownTag::Unknown)
    }

    /// Notes that a repository has a manifest, as the registry answered in this run, and so has its
    /// blobs too.
    pub fn manifest_seen(&self, at: &Repository, digest: Digest, manifest: &Manifest) {
        self.memory().manifests.insert((at.registry.clone(), at.repository.clone(), digest));
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            self.present(at, blob.digest);
        }
    }

    /// Whether a repository has another manifest under one of the tags than `digest`, which was
    /// just made: nobody has to ask for that one.
    pub(crate) fn is_replaced(&self, at: &Repository, tags: &[&str], digest: Digest) -> bool {
        let memory = self.memory();
        let known = |tag: &&str| memory.tags.get(&key(at, tag))?.digest();
        tags.iter().filter_map(known).any(|known| {
            let seen = (at.registry.clone(), at.repository.clone(), known);
            known != digest && memory.manifests.contains(&seen)
        })
    }

    /// Notes that a repository has a blob.
    pub(crate) fn present(&self, at: &Repository, digest: Digest) {
        let new =
            self.blob(&at.registry, digest, |blob| blob.present.insert(at.repository.clone()));
        if new {
            self.journal.add_holder(at, digest);
        }
    }

    /// Forgets that a repository has a blob.
    pub(crate) fn absent(&self, at: &Repository, digest: Digest) {
        self.blob(&at.registry, digest, |blob| blob.present.remove(&at.repository));
        self.journal.remove_holder(at, digest);
    }

    /// Forgets that a repository had a blob: it could not be mounted from there.
    pub(crate) fn forget(&self, registry: &str, repository: &str, digest: Digest) {
        let (registry, repository) = (registry.to_owned(), repository.to_owned());
        self.absent(&Repository { registry, repository }, digest);
    }

    pub(crate) fn is_present(&self, at: &Repository, digest: Digest) -> bool {
        self.blob(&at.registry, digest, |blob| blob.present.contains(&at.repository))
    }

    /// A repository of the same registry that has the blob for certain.
    pub(crate) fn holder(&self, at: &Repository, digest: Digest) -> Option<String> {
        self.blob(&at.registry, digest, |blob| blob.present.iter().next().cloned())
    }

    /// At most three other repositories that had the blob in an earlier run.
    pub(crate) fn candidates(&self, at: &Repository, digest: Digest) -> Vec<String> {
        let mut names = self.journal.holders(&at.registry, digest);
        let mut known = BTreeSet::from([at.repository.clone()]);
        names.retain(|name| known.insert(name.clone()));
        names.truncate(3);
        names
    }

    /// The lock under which a push looks for the blob in the registry and uploads it.
    pub(crate) fn upload_lock(
        &self,
        at: &Repository,
        digest: Digest,
    ) -> Arc<tokio::sync::Mutex<()>> {
        self.blob(&at.registry, digest, |blob| Arc::clone(&blob.upload))
    }
}

fn key(at: &Repository, tag: &str) -> (String, String, String) {
    (at.registry.clone(), at.repository.clone(), tag.to_owned())
}
