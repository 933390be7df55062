//! The index of a base image: its folders, links and files, without their contents.
//!
//! `COPY` needs it to follow links and to know which folders exist. An index is made once for each
//! manifest digest ([`indexer`]), and kept as a short text ([`compact`]). Of contents it has only
//! those that name users and groups.

pub(crate) mod compact;
pub(crate) mod indexer;
pub(crate) mod keeper;

use std::collections::{BTreeMap, BTreeSet};

use esb_oci::{Attributes, ContentStore, Digest};
use serde::{Deserialize, Serialize};

use super::{
    accounts,
    node::{IndexEntry, Node},
};
use crate::{context::ItemKind, paths};

/// The record's kind in the content store; the number is the form's.
pub(crate) const RECORD: &str = "base-index-4";

/// The most memory that the entries of an index take, as [`Weight`] counts it.
const MAX_WEIGHT: usize = 40 * 1024 * 1024;

/// What an entry takes beside its texts: in the list of its layer, and in a map.
const ENTRY_WEIGHT: usize = 128;

/// What entries take of memory; those who add foreign ones count them first.
#[derive(Debug, Default)]
struct Weight(usize);

impl Weight {
    /// Counts one entry; `None` when it is too much.
    fn add(&mut self, path: &str, target: &str) -> Option<()> {
        let entry = ENTRY_WEIGHT + path.len() + target.len();
        self.0 = self.0.checked_add(entry).filter(|weight| *weight <= MAX_WEIGHT)?;
        Some(())
    }
}

/// The folders, links and files of a base image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "compact::Stored", try_from = "compact::Stored")]
pub(crate) struct BaseIndex {
    /// Path, mode, owner and group.
    folders: BTreeMap<String, (u32, u64, u64)>,
    /// Path and target.
    links: BTreeMap<String, String>,
    /// Everything else.
    files: BTreeSet<String>,
    /// What the files say that name users and groups.
    texts: BTreeMap<String, String>,
}

impl BaseIndex {
    /// The entry at a clean path. The root is always a folder.
    pub(crate) fn get(&self, path: &str) -> Option<IndexEntry<'_>> {
        if path.is_empty() || self.folders.contains_key(path) {
            Some(IndexEntry::Folder)
        } else if let Some(target) = self.links.get(path) {
            Some(IndexEntry::Link(target))
        } else {
            self.files.contains(path).then_some(IndexEntry::File)
        }
    }

    /// Whether it came without what its files of accounts say: an index that travels has none of
    /// the base's contents.
    pub(crate) fn lacks_accounts(&self) -> bool {
        let lacks = |path| self.get(path) == Some(IndexEntry::File) && self.text(path).is_none();
        lacks(accounts::USERS) || lacks(accounts::GROUPS)
    }

    /// What a file of accounts says; none when there is no such file, or it cannot be read.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(|text| &**text)
    }

    /// The paths right below a folder.
    pub(crate) fn children(&self, folder: &str) -> BTreeSet<String> {
        let start = paths::prefix(folder);
        let folders = self.folders.range(start.clone()..).map(|(path, _)| path);
        let links = self.links.range(start.clone()..).map(|(path, _)| path);
        let files = self.files.range(start.clone()..);
        let mut found = BTreeSet::new();
        for paths in
            [&mut { folders } as &mut dyn Iterator<Item = &String>, &mut { links }, &mut { files }]
        {
            let below = paths.map_while(|path| path.strip_prefix(&start));
            let names = below.filter(|rest| !rest.is_empty() && !rest.contains('/'));
            found.extend(names.map(|name| format!("{start}{name}")));
        }
        found
    }

    /// The paths of all that lies below a folder, in no particular order.
    pub(crate) fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let start = paths::prefix(folder);
        let folders = self.folders.range(start.clone()..).map(|(path, _)| &**path);
        let links = self.links.range(start.clone()..).map(|(path, _)| &**path);
        let files = self.files.range(start.clone()..).map(|path| &**path);
        let (of_folders, of_links) = (start.clone(), start.clone());
        folders
            .take_while(move |path| path.starts_with(&of_folders))
            .chain(links.take_while(move |path| path.starts_with(&of_links)))
            .chain(files.take_while(move |path| path.starts_with(&start)))
    }

    /// Mode, owner and group of a folder.
    pub(crate) fn folder(&self, path: &str) -> Option<Attributes> {
        let (mode, uid, gid) = *self.folders.get(path)?;
        Some(Attributes { mode, uid, gid })
    }

    /// The index with the changes of one layer on top; they never replace a folder.
    pub(crate) fn apply(&mut self, changes: &BTreeMap<String, Node>) {
        for (path, node) in changes {
            self.links.remove(path);
            self.files.remove(path);
            self.texts.remove(path);
            match &node.kind {
                ItemKind::Folder => {
                    let attributes = node.attributes;
                    let folder = (attributes.mode, attributes.uid, attributes.gid);
                    self.folders.insert(path.clone(), folder);
                }
                ItemKind::Link(target) => {
                    self.links.insert(path.clone(), target.clone());
                }
                ItemKind::File(content) => {
                    self.files.insert(path.clone());
                    if is_accounts(path)
                        && let Some(text) = content.text(accounts::MAX_BYTES)
                    {
                        self.texts.insert(path.clone(), text);
                    }
                }
            }
        }
    }

    /// Removes what lies below a path, and with `itself` the path too.
    fn remove(&mut self, path: &str, itself: bool) {
        if itself {
            self.folders.remove(path);
            self.links.remove(path);
            self.files.remove(path);
            self.texts.remove(path);
        }
        let start = paths::prefix(path);
        remove_prefix(&mut self.folders, &start);
        remove_prefix(&mut self.links, &start);
        remove_prefix(&mut self.texts, &start);
        let files: Vec<String> = self
            .files
            .range(start.clone()..)
            .take_while(|path| path.starts_with(&start))
            .cloned()
            .collect();
        for file in files {
            self.files.remove(&file);
        }
    }
}

/// The names right below folders of a base image, each with its folder, when the index of that
/// manifest is in the store.
pub fn base_entries<'f>(
    store: &ContentStore,
    manifest: Digest,
    folders: &[&'f str],
) -> Option<Vec<(&'f str, String)>> {
    let index: BaseIndex = store.record(RECORD, manifest)?;
    let mut entries = Vec::new();
    for folder in folders {
        let children = index.children(folder).into_iter();
        let names = children.filter_map(|path| Some(path.rsplit_once('/')?.1.to_owned()));
        entries.extend(names.map(|name| (*folder, name)));
    }
    Some(entries)
}

fn is_accounts(path: &str) -> bool {
    matches!(path, accounts::USERS | accounts::GROUPS)
}

pub(super) fn remove_prefix<T>(map: &mut BTreeMap<String, T>, start: &str) {
    let paths: Vec<String> = map
        .range(start.to_owned()..)
        .map(|(path, _)| path)
        .take_while(|path| path.starts_with(start))
        .cloned()
        .collect();
    for path in paths {
        map.remove(&path);
    }
}
