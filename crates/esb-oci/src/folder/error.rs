//! Errors of operations in a [`Folder`](super::Folder).

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::EntryKind;
use crate::Barrier;

/// An operation on a folder or on a file in it failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// Something is a link where only files and folders may be.
    #[error("`{}` is a link{}, and is not followed", path.display(), to(target.as_deref()))]
    Link {
        path: PathBuf,
        /// Where it leads, as it stands in it.
        target: Option<PathBuf>,
        /// The setting that lets links be followed.
        unless: Option<Arc<str>>,
    },
    #[error("`{}` is {}, and no {expected}", path.display(), noun(*found))]
    Kind { path: PathBuf, found: EntryKind, expected: &'static str },
    #[error("could not {action} `{}`", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl FolderError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// What the user can do about it, when that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Link { path, unless, .. } => {
                let remove = format!("remove the link `{}`", path.display());
                Some(match unless {
                    Some(setting) => format!(
                        "{remove}; if it is meant to be there, mount the folder instead, or set \
                         {setting} in the environment of the command"
                    ),
                    None => remove,
                })
            }
            Self::Kind { path, .. } => Some(format!("move `{}` away", path.display())),
            // Whether the folder could be another one only the caller knows.
            Self::Io { path, source, .. } => Some(Barrier::behind(source, path)?.advice()),
        }
    }

    /// Whether the user's files are the cause, and not the disk.
    pub fn is_input(&self) -> bool {
        matches!(self, Self::Link { .. } | Self::Kind { .. })
    }
}

fn to(target: Option<&Path>) -> String {
    target.map_or_else(String::new, |target| format!(" to `{}`", target.display()))
}

fn noun(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "a file",
        EntryKind::Folder => "a folder",
        EntryKind::Link => "a link",
        EntryKind::Other => "a pipe, a socket or a device",
    }
}
