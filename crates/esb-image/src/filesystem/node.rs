//! What a path of a file system is, and how links in a path are followed: shared by the index of a
//! base image and the tree of a build.

use std::collections::{BTreeMap, VecDeque};

use esb_oci::Attributes;

use crate::{context::ItemKind, paths};

/// The most links in one path.
const MAX_LINKS: usize = 255;

/// A file, folder or link that this build put into the file system.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) attributes: Attributes,
    pub(crate) kind: ItemKind,
}

/// What one step changed, by clean path; folders stand before what is in them.
pub(crate) type Changes = BTreeMap<String, Node>;

/// What is at a path, without contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IndexEntry<'a> {
    Folder,
    Link(&'a str),
    File,
}

/// A file cannot be copied to where a step asks for, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CopyError {
    Invalid(String),
    Unsupported(String),
}

/// Follows the links in a path; `link` gives the target of a path that is one. No link leads above
/// the root.
pub(crate) fn follow_links(
    path: &str,
    link: impl Fn(&str) -> Option<String>,
) -> Result<String, CopyError> {
    let mut done = String::new();
    let mut open: VecDeque<String> = path.split('/').map(str::to_owned).collect();
    let mut links = 0;
    while let Some(part) = open.pop_front() {
        match &*part {
            "" | "." => {}
            ".." => done.truncate(paths::parent(&done).len()),
            part => {
                let next = paths::join(&done, part);
                let Some(target) = link(&next) else {
                    done = next;
                    continue;
                };
                links += 1;
                if links > MAX_LINKS {
                    let path = path.escape_debug();
                    return Err(CopyError::Invalid(format!("`/{path}` passes too many links")));
                }
                if target.starts_with('/') {
                    done.clear();
                }
                for part in target.split('/').rev() {
                    open.push_front(part.to_owned());
                }
            }
        }
    }
    Ok(done)
}
