//! What a build copies out of base images, which have their contents in layers.
//!
//! Owns which paths were asked for. What to ask for is known when the steps are applied: that is
//! done again until nothing is missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use esb_oci::{Attributes, Digest};
use tempfile::TempDir;

use super::{
    base_index::BaseIndex,
    node::{CopyError, IndexEntry, Node},
};
use crate::context::{Content, ItemKind};

/// Entries of one base image that were read from its layers.
#[derive(Debug)]
pub(crate) struct BaseContents {
    asked: BTreeSet<String>,
    nodes: BTreeMap<String, Node>,
    /// Holds the contents.
    _folder: TempDir,
}

/// A base image, as far as it was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoadedBase {
    /// In Dockerfiles.
    pub(crate) name: String,
    pub(crate) index: Arc<BaseIndex>,
    pub(crate) contents: Option<Arc<BaseContents>>,
}

/// Base images by the names that a Dockerfile has for them, as far as they are needed.
pub(crate) type Bases = BTreeMap<String, LoadedBase>;

/// Paths whose contents are missing, by the names of the images.
pub(crate) type Missing = BTreeMap<String, BTreeSet<String>>;

impl BaseContents {
    pub(crate) fn new(
        asked: BTreeSet<String>,
        nodes: BTreeMap<String, Node>,
        folder: TempDir,
    ) -> Self {
        Self { asked, nodes, _folder: folder }
    }

    /// The paths that it was asked for.
    pub(crate) fn asked(&self) -> &BTreeSet<String> {
        &self.asked
    }
}

impl LoadedBase {
    /// The entry at a clean path. What was not asked for yet becomes `missing`, and an empty file
    /// stands for it until then.
    pub(crate) fn node(
        &self,
        path: &str,
        missing: &mut BTreeSet<String>,
    ) -> Result<Option<Node>, CopyError> {
        let Some(entry) = self.index.get(path) else { return Ok(None) };
        if entry == IndexEntry::Folder {
            let attributes = self.index.folder(path).unwrap_or(Attributes::root(0o755));
            return Ok(Some(Node { attributes, kind: ItemKind::Folder }));
        }
        let contents = self.contents.as_deref().filter(|contents| contents.asked.contains(path));
        let Some(contents) = contents else {
            missing.insert(path.to_owned());
            let content = Content { path: "/".into(), size: 0, digest: Digest::of(b"") };
            let kind = ItemKind::File(content);
            return Ok(Some(Node { attributes: Attributes::root(0o644), kind }));
        };
        contents.nodes.get(path).cloned().map(Some).ok_or_else(|| {
            let path = path.escape_debug();
            let reason = format!("`COPY --from` of `/{path}`, which is a device or a pipe");
            CopyError::Unsupported(reason)
        })
    }
}
