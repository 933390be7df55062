//! Scans each source of `COPY` once for all builds that run at the same time.
//!
//! The cache is emptied as soon as no build or batch of builds runs: fifty functions with one shared
//! layer scan it once, and the next run scans it again. Failures are not kept.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use esb_oci::Digest;

use super::{
    ItemKind, Selected,
    listing::{self, Files},
};
use crate::{fingerprint::Fingerprint, paths};

/// All that the result of a scan depends on, but for the files themselves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ScanKey {
    /// The context's folder.
    pub(crate) folder: PathBuf,
    pub(crate) dockerignore: String,
    pub(crate) source: String,
    /// The folders of the source are kept.
    pub(crate) parents: bool,
    pub(crate) excludes: Vec<String>,
    /// Remembered digests are good enough.
    pub(crate) trust: bool,
}

/// The content of a source.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) found: Vec<Selected>,
    /// Changes exactly when what was found does.
    pub(crate) key: Digest,
}

/// One scan. Who needs it while it runs waits for the lock.
type Slot = Arc<Mutex<Option<Arc<Scan>>>>;

/// Keeps scans while builds run. Concurrent scans of one source run once.
#[derive(Debug, Default)]
pub(crate) struct ScanCache(Mutex<Scans>);

#[derive(Debug, Default)]
struct Scans {
    running: usize,
    found: HashMap<ScanKey, Slot>,
    /// Contexts' folders without links, by how they are named.
    folders: HashMap<PathBuf, PathBuf>,
}

impl ScanCache {
    fn scans(&self) -> MutexGuard<'_, Scans> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a build or a batch as running until the result is dropped.
    pub(crate) fn running(&self) -> Running<'_> {
        self.scans().running += 1;
        Running(self)
    }

    /// A folder without the links on the way to it.
    pub(crate) fn folder(&self, path: &Path) -> io::Result<PathBuf> {
        if let Some(folder) = self.scans().folders.get(path) {
            return Ok(folder.clone());
        }
        let folder = path.canonicalize()?;
        self.scans().folders.insert(path.to_owned(), folder.clone());
        Ok(folder)
    }

    /// The scan of a source: one that is kept or runs already, else `scan` makes it.
    pub(crate) fn get_or_scan<E>(
        &self,
        key: ScanKey,
        scan: impl FnOnce() -> Result<Vec<Selected>, E>,
    ) -> Result<Arc<Scan>, E> {
        let slot = Arc::clone(self.scans().found.entry(key).or_default());
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(scan) = &*slot {
            return Ok(Arc::clone(scan));
        }
        let found = scan()?;
        let key = describe(&found);
        Ok(Arc::clone(slot.insert(Arc::new(Scan { found, key }))))
    }
}

/// A build or a batch that runs: what was scanned is kept until the last of them is dropped.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a ScanCache);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut scans = self.0.scans();
        scans.running -= 1;
        if scans.running == 0 {
            scans.found.clear();
            scans.folders.clear();
        }
    }
}

/// The files of a source by their paths in the context.
pub(crate) fn files_of(source: &str, found: &[Selected]) -> Files {
    let source = source.trim_end_matches('/');
    let mut files = Files::new();
    for selected in found {
        let top = match found {
            [_] if !source.contains(['*', '?', '[']) => source.to_owned(),
            _ => paths::join(paths::parent(source), &selected.name),
        };
        for item in &selected.items {
            if let Some(what) = listing::of_item(item) {
                files.insert(paths::clean(&paths::join(&top, &item.path)), what);
            }
        }
    }
    files
}

/// A key of what some files and folders hold.
pub(crate) fn describe(found: &[Selected]) -> esb_oci::Digest {
    let mut key = Fingerprint::new("source");
    for selected in found {
        key.text(&selected.name).number(selected.items.len() as u64);
        key.text(if selected.is_folder { "folder" } else { "file" });
        for item in &selected.items {
            key.text(&item.path).number(item.attributes.mode.into());
            match &item.kind {
                ItemKind::Folder => key.text("folder"),
                ItemKind::Link(target) => key.text("link").text(target),
                ItemKind::File(content) => {
                    key.text("file").number(content.size).digest(content.digest)
                }
            };
        }
    }
    key.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_is_kept_as_long_as_builds_overlap() {
        let cache = ScanCache::default();
        let key = ScanKey {
            folder: "f".into(),
            dockerignore: String::new(),
            source: "s".to_owned(),
            parents: false,
            excludes: Vec::new(),
            trust: true,
        };
        let found = |name: &str| {
            let name = name.to_owned();
            vec![Selected { name, is_folder: false, items: Vec::new(), passed: <_>::default() }]
        };
        let scan = |result: Result<Vec<Selected>, ()>| {
            cache.get_or_scan(key.clone(), || result).map(|scan| scan.found[0].name.clone())
        };
        let first = cache.running();
        assert_eq!(scan(Err(())), Err(()));
        assert_eq!(scan(Ok(found("one"))), Ok("one".to_owned()), "failures are not kept");
        let second = cache.running();
        drop(first);
        assert_eq!(scan(Ok(found("two"))), Ok("one".to_owned()));
        drop(second);
        assert_eq!(scan(Ok(found("three"))), Ok("three".to_owned()));
    }
}
