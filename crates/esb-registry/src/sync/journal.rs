//! Records of earlier runs that let later ones skip requests.
//!
//! Owns two kinds of records in the content store: facts that never change (which manifest an
//! index has for a platform) and hints that are checked before they are used (which repositories
//! had a blob). Losing them costs requests, never correctness.

use esb_model::Platform;
use esb_oci::{ContentStore, Digest};

use crate::Repository;

/// The kind of records of a platform's manifest.
const PLATFORM: &str = "sync-platform";
/// The kind of records of a blob's repositories.
const HOLDERS: &str = "sync-holders";
/// The most repositories that are remembered of a blob: the latest.
const HOLDERS_LIMIT: usize = 3;

/// The records that all runs of a user share; without a store there are none.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    store: Option<ContentStore>,
}

impl Journal {
    /// A journal in the records of a store.
    pub fn new(store: ContentStore) -> Self {
        Self { store: Some(store) }
    }

    /// The manifest of a platform that an index (or a manifest itself) stands for.
    pub fn platform(&self, root: Digest, platform: Platform) -> Option<Digest> {
        self.store.as_ref()?.record(PLATFORM, platform_key(root, platform))
    }

    /// Records the result of [`Journal::platform`]; the caller must have read it from the image's
    /// own config.
    pub fn set_platform(&self, root: Digest, platform: Platform, manifest: Digest) {
        self.write(PLATFORM, platform_key(root, platform), &manifest);
    }

    /// Repositories of a registry that had a blob when it was last seen, the latest first.
    pub(crate) fn holders(&self, registry: &str, blob: Digest) -> Vec<String> {
        let record = |store: &ContentStore| store.record(HOLDERS, holders_key(registry, blob));
        self.store.as_ref().and_then(record).unwrap_or_default()
    }

    /// Notes that a repository has a blob.
    pub(crate) fn add_holder(&self, at: &Repository, blob: Digest) {
        let mut holders = self.holders(&at.registry, blob);
        if self.store.is_none() || holders.first() == Some(&at.repository) {
            return;
        }
        holders.retain(|holder| *holder != at.repository);
        holders.insert(0, at.repository.clone());
        holders.truncate(HOLDERS_LIMIT);
        self.write(HOLDERS, holders_key(&at.registry, blob), &holders);
    }

    /// Forgets that a repository has a blob.
    pub(crate) fn remove_holder(&self, at: &Repository, blob: Digest) {
        let mut holders = self.holders(&at.registry, blob);
        if holders.contains(&at.repository) {
            holders.retain(|holder| *holder != at.repository);
            self.write(HOLDERS, holders_key(&at.registry, blob), &holders);
        }
    }

    fn write(&self, kind: &str, key: Digest, value: &impl serde::Serialize) {
        if let Some(store) = &self.store {
            // A full disk must not keep an image from being copied.
            let _hint_lost = store.set_record(kind, key, value);
        }
    }
}

fn platform_key(root: Digest, platform: Platform) -> Digest {
    Digest::of(format!("{root} {platform}").as_bytes())
}

fn holders_key(registry: &str, blob: Digest) -> Digest {
    Digest::of(format!("{registry} {blob}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_latest_holders() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(ContentStore::open(folder.path()).unwrap());
        let blob = Digest::of(b"blob");
        let at = |repository: &str| Repository {
            registry: "r:5000".to_owned(),
            repository: repository.to_owned(),
        };
        for name in ["a", "b", "c", "d", "b"] {
            journal.add_holder(&at(name), blob);
        }
        assert_eq!(journal.holders("r:5000", blob), ["b", "d", "c"]);
        journal.remove_holder(&at("d"), blob);
        assert_eq!(journal.holders("r:5000", blob), ["b", "c"]);
        assert!(journal.holders("other", blob).is_empty());
        assert!(Journal::default().holders("r:5000", blob).is_empty());
    }
}
