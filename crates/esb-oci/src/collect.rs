//! Garbage collection of a content store: removes what was used least recently.
//!
//! Owns the lock that keeps a store's content in place while somebody builds with it, what counts
//! as a leftover of a process that was killed, and the order in which things go: what was used
//! least recently goes first. Removes only what has a name that a store gives. Refuses to decide
//! when it is time.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    ContentStore, EntryKind, Folder, FolderEntry, FolderError, LockWait, LockedFile, StoreError,
    TELL_AFTER,
    kinds::{self, LEFTOVERS, TEMPORARY},
    layout,
};

/// The lock file of a store; a process that builds with the store holds a shared lock on it.
pub(crate) const LOCK: &str = "lock";

/// Its time is that of the last look at the store's size.
pub(crate) const LOOKED: &str = "looked-at";

/// A use is noted when the last one is older than this, so that reading a store costs no writes.
const NOTED: Duration = Duration::from_hours(24);

/// What no process can still be writing, as long as processes live shorter than this.
const OLD: Duration = Duration::from_hours(24);

/// How often a waiting collection looks for the lock.
const PAUSE: Duration = Duration::from_millis(20);

/// The most entries of a store that are looked at.
const MAX_ENTRIES: usize = 20_000_000;

/// The contents of a store, by amount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// All of it, in bytes.
    pub bytes: u64,
    /// By what it is: `blobs`, `records/layer`, `dependencies`, …; what processes that were killed
    /// left, and what is being written now, is `leftovers`.
    pub kinds: BTreeMap<String, Amount>,
}

/// The number and the size of entries of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    pub count: usize,
    pub bytes: u64,
}

/// The result of a collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    pub removed: Amount,
    /// What is left, in bytes.
    pub left: u64,
}

/// Something that is kept or removed as a whole.
#[derive(Debug)]
struct Item {
    /// Relative to the store's folder.
    path: PathBuf,
    kind: String,
    is_folder: bool,
    bytes: u64,
    used: SystemTime,
}

impl ContentStore {
    /// Counts what the store holds now.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn contents(&self) -> Result<Contents, StoreError> {
        let mut contents = Contents::default();
        for item in items(self.folder())? {
            let amount = contents.kinds.entry(item.kind).or_default();
            amount.count += 1;
            amount.bytes += item.bytes;
            contents.bytes += item.bytes;
        }
        Ok(contents)
    }

    /// Removes leftovers of killed processes, then what was used least recently, until at most
    /// `limit` bytes are left. Meanwhile the store cannot be held, and processes that want to hold
    /// it wait; the collection itself waits for at most `patience`.
    ///
    /// # Errors
    /// [`StoreError::InUse`], or when the disk fails.
    pub fn collect(&self, limit: u64, patience: Duration) -> Result<Collected, StoreError> {
        let path = self.root().join(LOCK);
        let lock = self.folder().lock_file(LOCK)?;
        let start = Instant::now();
        let mut is_told = false;
        loop {
            match lock.try_lock() {
                Ok(()) => {
                    let _alone = LockedFile::new(lock);
                    return self.collect_locked(limit);
                }
                Err(TryLockError::WouldBlock) if start.elapsed() < patience => {
                    if start.elapsed() >= TELL_AFTER && !std::mem::replace(&mut is_told, true) {
                        self.tell_wait(&LockWait::of(path.clone(), &lock));
                    }
                    thread::sleep(PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::InUse { path: self.root().to_owned() });
                }
                Err(TryLockError::Error(error)) => {
                    return Err(StoreError::io("lock", &path)(error));
                }
            }
        }
    }

    /// As [`ContentStore::collect`], at most once a day, and only when nobody holds the store: for
    /// the end of a run. Gives what was done, if something was.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn collect_daily(&self, limit: u64) -> Result<Option<Collected>, StoreError> {
        let looked = self.folder().metadata(LOOKED)?;
        let age = looked.and_then(|found| found.modified().ok());
        if age.is_some_and(|at| at.elapsed().is_ok_and(|age| age < NOTED)) {
            return Ok(None);
        }
        self.folder().write(LOOKED, b"", 0o644)?;
        if self.contents()?.bytes <= limit {
            return Ok(None);
        }
        match self.collect(limit, Duration::ZERO) {
            Ok(collected) => Ok(Some(collected)),
            Err(StoreError::InUse { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn collect_locked(&self, limit: u64) -> Result<Collected, StoreError> {
        let (leftovers, mut items): (Vec<_>, Vec<_>) =
            items(self.folder())?.into_iter().partition(|item| item.kind == LEFTOVERS);
        let mut left: u64 = items.iter().map(|item| item.bytes).sum();
        items.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        let mut removed = Amount::default();
        let mut remove = |item: &Item| {
            if item.is_folder {
                self.folder().remove_folder(&item.path)?;
            } else {
                self.folder().remove_file(&item.path)?;
            }
            removed.count += 1;
            removed.bytes += item.bytes;
            Ok::<_, StoreError>(())
        };
        for item in &leftovers {
            remove(item)?;
        }
        for item in items {
            if left <= limit {
                break;
            }
            remove(&item)?;
            left -= item.bytes;
        }
        layout::forget_missing(self)?;
        Ok(Collected { removed, left })
    }
}

/// Keeps a store's content in place until the file is closed. Where locks or writing are not
/// possible, nobody can collect either.
pub(crate) fn hold(
    root: &Folder,
    tell: impl Fn(&LockWait),
) -> Result<Option<LockedFile>, FolderError> {
    let lock = match root.lock_file(LOCK) {
        Ok(lock) => lock,
        Err(error) if error.is_input() => return Err(error),
        Err(_) => return Ok(None),
    };
    let start = Instant::now();
    loop {
        match lock.try_lock_shared() {
            Ok(()) => return Ok(Some(LockedFile::new(lock))),
            Err(TryLockError::WouldBlock) if start.elapsed() < TELL_AFTER => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => break,
            Err(TryLockError::Error(_)) => return Ok(None),
        }
    }
    tell(&LockWait::of(root.path().join(LOCK), &lock));
    Ok(lock.lock_shared().ok().map(|()| LockedFile::new(lock)))
}

/// Notes that something was used, unless that was noted lately. That it fails is no reason to stop:
/// the store may be read-only, or somebody else's.
pub(crate) fn note_use(path: &Path, metadata: &fs::Metadata) {
    let now = SystemTime::now();
    let noted =
        metadata.modified().is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > NOTED));
    if noted && let Ok(file) = File::open(path) {
        let _ = file.set_modified(now);
    }
}

/// Removes what is left of processes that were killed long ago; one small folder is looked at.
pub(crate) fn remove_old_leftovers(root: &Folder) -> Result<(), FolderError> {
    let folder = root.join(TEMPORARY);
    for entry in folder.entries()? {
        if kinds::is_scratch(&entry) && is_old(&folder, &entry) {
            // That it fails is no reason to stop: the store may be read-only, or somebody else's.
            let _still_there = match entry.kind {
                EntryKind::Folder => folder.remove_folder(&entry.name),
                _ => folder.remove_file(&entry.name),
            };
        }
    }
    Ok(())
}

/// Whether no process can still be writing it.
pub(crate) fn is_old(folder: &Folder, entry: &FolderEntry) -> bool {
    let found = folder.metadata(&entry.name).ok().flatten();
    let at = found.and_then(|found| found.modified().ok());
    at.is_some_and(|at| at.elapsed().is_ok_and(|age| age > OLD))
}

/// Everything in a store that a store made.
fn items(root: &Folder) -> Result<Vec<Item>, StoreError> {
    let found = kinds::scan(root)?.found;
    Ok(found.into_iter().filter_map(|found| item(root, found)).collect())
}

fn item(root: &Folder, found: kinds::StoreEntry) -> Option<Item> {
    let kinds::StoreEntry { path, kind, is_folder } = found;
    let whole = root.path().join(&path);
    let metadata = whole.symlink_metadata().ok()?;
    let bytes = if is_folder { tree_size(&whole) } else { metadata.len() };
    let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    Some(Item { path, kind, is_folder, bytes, used })
}

/// Bytes of all files below a folder.
fn tree_size(folder: &Path) -> u64 {
    let (mut bytes, mut folders, mut seen) = (0, vec![folder.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            seen += 1;
            if seen > MAX_ENTRIES {
                return bytes;
            }
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                bytes += metadata.len();
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;

    fn age(path: &Path, hours: u64) {
        let at = SystemTime::now() - Duration::from_hours(hours);
        File::open(path).unwrap().set_modified(at).unwrap();
    }

    fn store(folder: &Path) -> (ContentStore, Vec<Digest>) {
        let store = ContentStore::open(folder).unwrap();
        let put = |letter: &str| store.put(letter.repeat(100).as_bytes()).unwrap();
        let digests: Vec<_> = ["a", "b", "c"].into_iter().map(put).collect();
        for (digest, hours) in digests.iter().zip([30, 50, 40]) {
            age(&store.blob_path(*digest), hours);
        }
        (store, digests)
    }

    #[test]
    fn what_was_used_least_recently_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let (store, digests) = store(folder.path());
        let there = |store: &ContentStore| {
            digests.iter().map(|digest| store.blob_path(*digest).exists()).collect::<Vec<_>>()
        };
        assert_eq!(store.size(digests[1]), Some(100), "a use");
        fs::write(folder.path().join("tmp/.tmpHaLf00"), "12345").unwrap();
        let contents = store.contents().unwrap();
        assert_eq!(contents.bytes, 305);
        assert_eq!(contents.kinds["blobs"], Amount { count: 3, bytes: 300 });
        assert_eq!(contents.kinds[LEFTOVERS], Amount { count: 1, bytes: 5 });

        let collected = store.collect(250, Duration::ZERO).unwrap();
        assert_eq!(collected, Collected { removed: Amount { count: 2, bytes: 105 }, left: 200 });
        assert_eq!(there(&store), [true, true, false]);
        store.collect(100, Duration::ZERO).unwrap();
        assert_eq!(there(&store), [false, true, false]);
    }

    #[test]
    fn trees_and_records_count_too() {
        let folder = tempfile::tempdir().unwrap();
        let (store, digests) = store(folder.path());
        let tree = folder.path().join("dependencies").join(digests[0].hex());
        fs::create_dir_all(tree.join("x")).unwrap();
        fs::write(tree.join("x/y"), "1234567").unwrap();
        fs::create_dir_all(folder.path().join("dependencies/installing-1/z")).unwrap();
        store.set_record("layer", digests[0], &7).unwrap();
        let kinds = store.contents().unwrap().kinds;
        assert_eq!(kinds["dependencies"], Amount { count: 1, bytes: 7 });
        assert_eq!(kinds["records/layer"], Amount { count: 1, bytes: 85 });
        assert_eq!(kinds[LEFTOVERS].count, 1);
        assert_eq!(store.collect(0, Duration::ZERO).unwrap().left, 0);
        let later = ContentStore::open(folder.path()).unwrap();
        assert!(!tree.exists() && later.record::<u32>("layer", digests[0]).is_none());
        assert_eq!(fs::read_dir(folder.path().join("dependencies")).unwrap().count(), 0);
    }

    #[test]
    fn what_somebody_holds_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (store, digests) = store(folder.path());
        let held = ContentStore::open_held(folder.path()).unwrap();
        let clone = held.clone();
        drop(held);
        let error = store.collect(0, Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, StoreError::InUse { .. }), "{error}");
        assert!(store.blob_path(digests[0]).exists());
        drop(clone);
        assert_eq!(store.collect(0, Duration::ZERO).unwrap().left, 0);
    }

    #[test]
    fn the_end_of_a_run_looks_once_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let (store, digests) = store(folder.path());
        assert_eq!(store.collect_daily(300).unwrap(), None, "it is small enough");
        assert_eq!(store.collect_daily(0).unwrap(), None, "not again today");
        age(&folder.path().join(LOOKED), 30);
        let other = ContentStore::open_held(folder.path()).unwrap();
        assert_eq!(store.collect_daily(0).unwrap(), None, "somebody is there");
        drop(other);
        age(&folder.path().join(LOOKED), 30);
        assert_eq!(store.collect_daily(0).unwrap().map(|collected| collected.left), Some(0));
        assert!(!store.blob_path(digests[0]).exists());
    }

    #[test]
    fn old_leftovers_go_when_a_store_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        store(folder.path());
        let (old, new) =
            (folder.path().join("tmp/.tmpOlDoLd"), folder.path().join("tmp/.tmpNeWnEw"));
        for path in [&old, &new] {
            fs::write(path, "half a blob").unwrap();
        }
        age(&old, 30);
        ContentStore::open_held(folder.path()).unwrap();
        assert!(!old.exists() && new.exists());
    }
}
