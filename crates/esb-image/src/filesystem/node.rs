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

/// The changes of one step, by clean path; folders come before their content.
pub(crate) type Changes = BTreeMap<String, Node>;

/// The entry at a path, without its content.
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
