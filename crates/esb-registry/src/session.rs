//! What a run knows of registries: which repository has which blob, and where tags point.
//!
//! Owns that memory, and the rule that a blob is uploaded once a run whoever needs it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use esb_oci::{BlobLocation, Digest, Manifest};

use crate::{Journal, Repository};

/// The memory of one run, shared by all its pushes. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct PushSession {
    memory: Arc<Mutex<Memory>>,
    journal: Journal,
}

#[derive(Debug, Default)]
struct Memory {
    blobs: BTreeMap<(String, Digest), Slot>,
    tags: BTreeMap<(String, String, String), Digest>,
    /// Manifests that the registry has, by registry and repository.
    manifests: BTreeSet<(String, String, Digest)>,
    /// Where tags pointed when the registry was asked in this run; `None` is nowhere.
    checked: BTreeMap<(String, String, String), Option<Digest>>,
}

/// What is known of one blob in one registry.
#[derive(Debug, Clone, Default)]
struct Slot {
    /// Repositories that have it, for certain.
    present: BTreeSet<String>,
    /// Repositories that had it once.
    seen: BTreeSet<String>,
    /// Held by whoever finds out whether the registry has it, and uploads it.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl PushSession {
    /// A memory of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A memory of what earlier runs wrote down.
    pub fn with_journal(journal: Journal) -> Self {
        Self { memory: Arc::default(), journal }
    }

    /// The same memory, for work whose blobs are worth to be found by later runs: those of images
    /// that are copied. What is built is found by its own content already.
    #[must_use]
    pub fn noting(&self, journal: Journal) -> Self {
        Self { memory: Arc::clone(&self.memory), journal }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot<T>(&self, registry: &str, digest: Digest, look: impl FnOnce(&mut Slot) -> T) -> T {
        look(self.memory().blobs.entry((registry.to_owned(), digest)).or_default())
    }

    /// Tells that a repository had a blob when it was last seen: a candidate for mounting.
    pub fn blob_seen(&self, at: &BlobLocation, digest: Digest) {
        self.slot(&at.registry, digest, |slot| slot.seen.insert(at.repository.clone()));
    }

    /// Tells where a tag pointed when it was last written or seen, by this run or an earlier one.
    ///
    /// Without that knowledge an extra tag of an image that is already there is taken for right.
    pub fn tag_seen(&self, at: &Repository, tag: &str, digest: Digest) {
        self.memory().tags.insert(key(at, tag), digest);
    }

    /// Tells what the registry itself said of a tag in this run: it need not be asked again.
    pub fn tag_checked(&self, at: &Repository, tag: &str, digest: Option<Digest>) {
        let mut memory = self.memory();
        memory.checked.insert(key(at, tag), digest);
        match digest {
            Some(digest) => memory.tags.insert(key(at, tag), digest),
            None => memory.tags.remove(&key(at, tag)),
        };
    }

    /// What the registry itself said of a tag in this run.
    pub fn checked(&self, at: &Repository, tag: &str) -> Option<Option<Digest>> {
        self.memory().checked.get(&key(at, tag)).copied()
    }

    /// Tells that a repository has a manifest, as the registry said in this run: a manifest does
    /// not lie in a repository without its blobs.
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
        let known = |tag: &&str| memory.tags.get(&key(at, tag)).copied();
        tags.iter().filter_map(known).any(|known| {
            let seen = (at.registry.clone(), at.repository.clone(), known);
            known != digest && memory.manifests.contains(&seen)
        })
    }

    /// Where every known tag points, for a later run's [`PushSession::tag_seen`].
    pub fn tags(&self) -> Vec<(Repository, String, Digest)> {
        let memory = self.memory();
        let known = memory.tags.iter().map(|((registry, repository, tag), digest)| {
            let at = Repository { registry: registry.clone(), repository: repository.clone() };
            (at, tag.clone(), *digest)
        });
        known.collect()
    }

    /// Where a tag pointed when it was last written or seen.
    pub fn tag(&self, at: &Repository, tag: &str) -> Option<Digest> {
        self.memory().tags.get(&key(at, tag)).copied()
    }

    /// Notes that a repository has a blob.
    pub(crate) fn present(&self, at: &Repository, digest: Digest) {
        let new =
            self.slot(&at.registry, digest, |slot| slot.present.insert(at.repository.clone()));
        if new {
            self.journal.add_holder(at, digest);
        }
    }

    /// Forgets that a repository has a blob.
    pub(crate) fn absent(&self, at: &Repository, digest: Digest) {
        self.slot(&at.registry, digest, |slot| {
            slot.present.remove(&at.repository);
            slot.seen.remove(&at.repository);
        });
        self.journal.remove_holder(at, digest);
    }

    /// Forgets that a repository had a blob: it could not be mounted from there.
    pub(crate) fn forget(&self, registry: &str, repository: &str, digest: Digest) {
        let (registry, repository) = (registry.to_owned(), repository.to_owned());
        self.absent(&Repository { registry, repository }, digest);
    }

    pub(crate) fn is_present(&self, at: &Repository, digest: Digest) -> bool {
        self.slot(&at.registry, digest, |slot| slot.present.contains(&at.repository))
    }

    /// A repository of the same registry that has the blob for certain.
    pub(crate) fn holder(&self, at: &Repository, digest: Digest) -> Option<String> {
        self.slot(&at.registry, digest, |slot| slot.present.iter().next().cloned())
    }

    /// At most three other repositories that had the blob once.
    pub(crate) fn candidates(&self, at: &Repository, digest: Digest) -> Vec<String> {
        let mut names =
            self.slot(&at.registry, digest, |slot| slot.seen.iter().cloned().collect::<Vec<_>>());
        names.extend(self.journal.holders(&at.registry, digest));
        let mut known = BTreeSet::from([at.repository.clone()]);
        names.retain(|name| known.insert(name.clone()));
        names.truncate(3);
        names
    }

    /// Whose holder alone looks for the blob in the registry and uploads it.
    pub(crate) fn turn(&self, at: &Repository, digest: Digest) -> Arc<tokio::sync::Mutex<()>> {
        self.slot(&at.registry, digest, |slot| Arc::clone(&slot.turn))
    }
}

fn key(at: &Repository, tag: &str) -> (String, String, String) {
    (at.registry.clone(), at.repository.clone(), tag.to_owned())
}
