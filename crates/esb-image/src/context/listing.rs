//! Records the files that each source had when an image was built, so that the next build can name
//! the file that changed.
//!
//! Owns these lists in the content store, one for each key of a part, and how two of them differ.
//! Lists are used only when something is built: a run that reuses everything writes and reads none.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use esb_oci::{ContentStore, Digest};

use super::{Item, ItemKind};

/// The record's kind in the content store.
const RECORD: &str = "source-files";
/// Sources with more files have no list.
const FILES: usize = 4096;
/// Of a file's content, this many digits are enough to see that it is another one.
const DIGITS: usize = 16;

/// Files and links by their path, and what each is; or what else an image is made of, by its name.
/// Folders alone are no reason that helps.
pub(crate) type Files = BTreeMap<String, String>;

/// The files of a part that changed, and how: ``("code/app.py", "changed")``.
pub(crate) type PartChanges = Vec<(String, &'static str)>;

/// What is kept of a file or a symbolic link; none of a folder.
pub(crate) fn of_item(item: &Item) -> Option<String> {
    match &item.kind {
        ItemKind::Folder => None,
        ItemKind::Link(target) => Some(link(target)),
        ItemKind::File(content) => Some(file(item.attributes.mode, content.digest)),
    }
}

fn file(mode: u32, content: Digest) -> String {
    format!("{mode:o} {}", &content.hex()[..DIGITS])
}

fn link(target: &str) -> String {
    format!("-> {target}")
}

/// Lists in a store. Clones know of each other's writing.
#[derive(Debug, Clone)]
pub(crate) struct Listings {
    store: ContentStore,
    written: Arc<Mutex<HashSet<Digest>>>,
}

impl Listings {
    pub(crate) fn new(store: ContentStore) -> Self {
        Self { store, written: Arc::default() }
    }

    /// Keeps what the source with a key holds. A list that cannot be kept is only missed by the
    /// words of a later build.
    pub(crate) fn keep(&self, source: Digest, files: impl FnOnce() -> Files) {
        let new = self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(source);
        if new {
            let files = files();
            if files.len() <= FILES {
                let _only_words = self.store.set_record(RECORD, source, &files);
            }
        }
    }

    /// Lists the files that differ from those of the source under its earlier key, sorted by path.
    /// Empty when that is not known, or no file tells it.
    pub(crate) fn changes(&self, earlier: Digest, now: &Files) -> PartChanges {
        let Some(before) = self.store.record::<Files>(RECORD, earlier) else { return Vec::new() };
        let mut changes: Vec<_> = now
            .iter()
            .filter_map(|(path, what)| match before.get(path) {
                None => Some((path.clone(), "added")),
                Some(other) if other != what => Some((path.clone(), "changed")),
                Some(_) => None,
            })
            .collect();
        let gone = before.keys().filter(|path| !now.contains_key(*path));
        changes.extend(gone.map(|path| (path.clone(), "removed")));
        changes.sort();
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_differ() {
        let folder = tempfile::tempdir().unwrap();
        let listings = Listings::new(ContentStore::open(folder.path()).unwrap());
        let key = |text: &str| Digest::of(text.as_bytes());
        let files = |files: &[(&str, &str)]| -> Files {
            let of = |(path, text): &(&str, &str)| ((*path).to_owned(), file(0o644, key(text)));
            files.iter().map(of).collect()
        };
        let before = files(&[("a", "1"), ("b", "2"), ("c", "3")]);
        listings.keep(key("before"), || before.clone());
        let check = |now: &Files, expected: &[(&str, &str)]| {
            let found = listings.changes(key("before"), now);
            let found: Vec<_> = found.iter().map(|(path, how)| (&**path, *how)).collect();
            assert_eq!(found, expected);
        };
        check(&before, &[]);
        check(
            &files(&[("b", "2"), ("bb", "2"), ("c", "4")]),
            &[("a", "removed"), ("bb", "added"), ("c", "changed")],
        );
        let mut link_now = before.clone();
        link_now.insert("a".to_owned(), link("b"));
        check(&link_now, &[("a", "changed")]);
        assert_eq!(listings.changes(key("never"), &before), []);
        let many = (0..=FILES).map(|number| (number.to_string(), String::new())).collect();
        listings.keep(key("many"), || many);
        assert_eq!(listings.changes(key("many"), &before), [], "too many to keep");
    }
}
