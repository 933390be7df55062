//! The entry at one path of an image's file system, shared by the index of a base image and the
//! tree of a build.

use std::collections::BTreeMap;

use esb_oci::Attributes;

use crate::context::ItemKind;

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
