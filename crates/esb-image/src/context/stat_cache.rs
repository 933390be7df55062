//! Remembers the digests of files by their stat, so that unchanged files are not read again.
//!
//! There is a record for each folder that was walked: a file's digest is reused as long as its stat
//! is unchanged, and the file was old enough then that a later change must show in it (as git does
//! it). Records are hints in the content store: without one, files are read.

use std::{
    collections::HashMap,
    fs::Metadata,
    io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use esb_oci::{ContentStore, Digest, hash_file};
use serde::{Deserialize, Serialize};

/// The record's kind in the content store.
const RECORD: &str = "stat";

/// The most files of one folder that are remembered.
const MAX_ENTRIES: usize = 500_000;

/// How much older than its digest a file must be, in nanoseconds: a change within the same tick of
/// the file system's clock would not show. File systems that count whole seconds need more.
const FINE: i64 = 50_000_000;
const COARSE: i64 = 2_500_000_000;

/// Digests of files by their stat. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct StatCache {
    store: Option<ContentStore>,
    folders: Arc<Mutex<HashMap<PathBuf, Arc<Mutex<FolderStats>>>>>,
}

/// The remembered stats and digests of the files below one folder.
#[derive(Debug)]
pub(crate) struct FolderStats {
    key: Digest,
    seen: HashMap<String, SeenFile>,
    changed: bool,
}

/// A file as it was when its digest was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SeenFile {
    stat: Stat,
    /// When the file had not been read yet, in nanoseconds since 1970.
    at: i64,
    digest: Digest,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stat {
    size: u64,
    modified: i64,
    changed: i64,
    device: u64,
    inode: u64,
    mode: u32,
}

impl Stat {
    fn of(metadata: &Metadata) -> Self {
        let nanoseconds =
            |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            size: metadata.size(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            device: metadata.dev(),
            inode: metadata.ino(),
            mode: metadata.mode(),
        }
    }

    /// Whether a change after `at` is sure to give another stat.
    fn settled(&self, at: i64) -> bool {
        let last = self.modified.max(self.changed);
        let tick = if last % 1_000_000_000 == 0 { COARSE } else { FINE };
        at.saturating_sub(last) > tick
    }
}

impl StatCache {
    pub(crate) fn new(store: ContentStore) -> Self {
        Self { store: Some(store), folders: Arc::default() }
    }

    /// One that leaves no records: for folders that go away.
    pub(crate) fn without_store() -> Self {
        Self { store: None, folders: Arc::default() }
    }

    /// What is known below a folder. Whoever asks for the same folder meanwhile waits for the one
    /// who holds it, in [`FolderStats::lock`].
    pub(crate) fn folder(&self, path: &Path, trust: bool) -> Arc<Mutex<FolderStats>> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = folders.entry(path.to_owned()).or_insert_with(|| {
            let key = Digest::of(path.as_os_str().as_bytes());
            let store = self.store.as_ref().filter(|_| trust);
            let seen = store.and_then(|store| store.record(RECORD, key));
            Arc::new(Mutex::new(FolderStats {
                key,
                seen: seen.unwrap_or_default(),
                changed: false,
            }))
        });
        Arc::clone(folder)
    }

    /// Writes what was learnt; that it fails is no reason to stop a build.
    pub(crate) fn save(&self, folder: &mut FolderStats) {
        let Some(store) = &self.store else { return };
        if std::mem::take(&mut folder.changed) && folder.seen.len() <= MAX_ENTRIES {
            folder.changed = store.set_record(RECORD, folder.key, &folder.seen).is_err();
        }
    }
}

impl FolderStats {
    pub(crate) fn lock(folder: &Mutex<Self>) -> MutexGuard<'_, Self> {
        folder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self, name: &str, stat: &Stat) -> Option<Digest> {
        let seen = self.seen.get(name).filter(|seen| seen.stat == *stat)?;
        stat.settled(seen.at).then_some(seen.digest)
    }

    /// The digest of a file: remembered, or of its content. `name` is the path in the folder.
    pub(crate) fn digest(
        &mut self,
        name: &str,
        path: &Path,
        metadata: &Metadata,
        trust: bool,
    ) -> io::Result<Digest> {
        let stat = Stat::of(metadata);
        if trust && let Some(digest) = self.remembered(name, &stat) {
            return Ok(digest);
        }
        let at = now();
        let (digest, size) = hash_file(path)?;
        if size == stat.size {
            self.seen.insert(name.to_owned(), SeenFile { stat, at, digest });
            self.changed = true;
        }
        Ok(digest)
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn digest(cache: &StatCache, path: &Path, trust: bool) -> Digest {
        let folder = cache.folder(path.parent().unwrap(), trust);
        let mut folder = FolderStats::lock(&folder);
        let digest = folder.digest("f", path, &fs::metadata(path).unwrap(), trust).unwrap();
        cache.save(&mut folder);
        digest
    }

    /// Changes the content and pretends that the stat stayed, by changing what was remembered.
    fn change_unseen(cache: &StatCache, path: &Path, at_later: i64) {
        fs::write(path, "two").unwrap();
        let folder = cache.folder(path.parent().unwrap(), true);
        let mut folder = FolderStats::lock(&folder);
        let seen = folder.seen.get_mut("f").unwrap();
        seen.stat = Stat::of(&fs::metadata(path).unwrap());
        seen.at = seen.stat.modified.max(seen.stat.changed) + at_later;
    }

    #[test]
    fn a_settled_file_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let store = ContentStore::open(folder.path().join("store")).unwrap();
        let cache = StatCache::new(store.clone());
        fs::write(&path, "one").unwrap();
        let one = digest(&cache, &path, true);
        assert_eq!(one, Digest::of(b"one"));

        change_unseen(&cache, &path, COARSE + 1);
        assert_eq!(digest(&cache, &path, true), one, "believed");
        assert_eq!(digest(&cache, &path, false), Digest::of(b"two"), "not asked");

        change_unseen(&cache, &path, 0);
        assert_eq!(digest(&cache, &path, true), Digest::of(b"two"), "too young to be believed");

        fs::write(&path, "longer").unwrap();
        assert_eq!(digest(&cache, &path, true), Digest::of(b"longer"), "another stat");
    }

    #[test]
    fn what_was_learnt_outlives_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let store = ContentStore::open(folder.path().join("store")).unwrap();
        fs::write(&path, "one").unwrap();
        let first = StatCache::new(store.clone());
        digest(&first, &path, true);
        let second = StatCache::new(store);
        let known = second.folder(folder.path(), true);
        assert_eq!(FolderStats::lock(&known).seen.len(), 1);
    }
}
