//! Keeps what a build copies out of a base image: attributes of entries, contents of files.
//!
//! Contents go to a folder as they stream by. Which entries are wanted is known by their names
//! alone: where links on their way lead is only known when a layer was read to its end.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use esb_oci::{Attributes, HashingWriter};

use super::remove_prefix;
use crate::{
    context::{Content, ItemKind},
    filesystem::node::Node,
    paths,
};

/// Entries of an image by clean path, as far as they are wanted.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// Last parts of paths.
    names: BTreeSet<String>,
    /// Where contents go.
    folder: PathBuf,
    count: usize,
    kept: BTreeMap<String, Node>,
    /// Entries of the layer that is read, by their names in it: hard links lead to them.
    layer: BTreeMap<String, Node>,
    /// Names that hard links lead to and that were not asked for.
    missed: BTreeSet<String>,
}

impl Keeper {
    /// Keeps entries with one of the `names`.
    pub(crate) fn new(names: BTreeSet<String>, folder: PathBuf) -> Self {
        let (kept, layer, missed) = Default::default();
        Self { names, folder, count: 0, kept, layer, missed }
    }

    /// What was kept; else the names that it takes to follow hard links.
    pub(crate) fn finish(self) -> Result<BTreeMap<String, Node>, BTreeSet<String>> {
        if self.missed.is_empty() {
            return Ok(self.kept);
        }
        Err(self.names.into_iter().chain(self.missed).collect())
    }

    /// Takes an entry of a layer, when it is wanted and can be copied: no device, no pipe.
    pub(super) fn take<R: Read>(
        &mut self,
        path: &str,
        entry: &mut tar::Entry<'_, R>,
    ) -> io::Result<Option<Node>> {
        if !self.names.contains(paths::name(path)) {
            return Ok(None);
        }
        let header = entry.header();
        let kind = header.entry_type();
        let mode = if kind.is_symlink() { 0o777 } else { header.mode()? & 0o7777 };
        let attributes = Attributes { mode, uid: header.uid()?, gid: header.gid()? };
        let kind = if kind.is_symlink() {
            ItemKind::Link(link_name(entry))
        } else if kind.is_hard_link() {
            let to = paths::clean(&link_name(entry));
            let Some(node) = self.layer.get(&to).or_else(|| self.kept.get(&to)) else {
                let name = paths::name(&to);
                if !self.names.contains(name) {
                    self.missed.insert(name.to_owned());
                }
                return Ok(None);
            };
            node.kind.clone()
        } else if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
            ItemKind::File(self.content(entry)?)
        } else {
            return Ok(None);
        };
        let node = Node { attributes, kind };
        self.layer.insert(path.to_owned(), node.clone());
        Ok(Some(node))
    }

    fn content(&mut self, from: &mut impl Read) -> io::Result<Content> {
        let path = self.folder.join(self.count.to_string());
        self.count += 1;
        let mut writer = HashingWriter::new(File::create_new(&path)?);
        io::copy(from, &mut writer)?;
        let (_, digest, size) = writer.finish();
        Ok(Content { path, size, digest })
    }

    pub(super) fn layer_ended(&mut self) {
        self.layer.clear();
    }

    pub(super) fn set(&mut self, path: &str, node: Option<Node>) {
        self.remove(path, true);
        if let Some(node) = node {
            self.kept.insert(path.to_owned(), node);
        }
    }

    /// Removes what lies below a path, and with `itself` the path too.
    pub(super) fn remove(&mut self, path: &str, itself: bool) {
        // A content stays, for another name may have the same: all go in the end.
        if itself {
            self.kept.remove(path);
        }
        let start = paths::prefix(path);
        remove_prefix(&mut self.kept, &start);
    }
}

fn link_name<R: Read>(entry: &tar::Entry<'_, R>) -> String {
    String::from_utf8_lossy(&entry.link_name_bytes().unwrap_or_default()).into_owned()
}
