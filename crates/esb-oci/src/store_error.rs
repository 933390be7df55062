//! Errors of operations on a content store, and what helps against them.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use esb_model::UnsupportedVersion;

use crate::{Barrier, BlobError, FolderError, Remedy, barrier::GIVE_RIGHT, is_denied};

/// An operation on the store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("could not {action} `{}`", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the store `{}` is in use", path.display())]
    InUse { path: PathBuf },
    /// What lies in a store goes into images.
    #[error("the content store `{}` belongs to user {owner}, and this is user {own}", path.display())]
    Owner { path: PathBuf, owner: u32, own: u32 },
    /// Collecting there would remove what is not ours.
    #[error("`{}` is not a content store, and holds other files: {}", path.display(), QuotedNames(names))]
    Foreign { path: PathBuf, names: Vec<String> },
    /// The marker's version is none that can be read, or another than this program knows.
    #[error("the content store `{}` {}", path.display(), Version(*version))]
    Version { path: PathBuf, version: Option<UnsupportedVersion> },
    #[error(transparent)]
    Folder(FolderError),
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// What the user can do about it, when that is known.
    pub fn remedy(&self) -> Option<Remedy> {
        let advice = match self {
            Self::Blob(error) => return error.remedy(),
            Self::InUse { .. } => "wait until the builds that use it are done".to_owned(),
            Self::Foreign { path, .. } => format!(
                "name a folder of its own for it, such as `{}`",
                path.join("store").display()
            ),
            Self::Version { version, .. } => {
                return Some(Remedy::OtherStore(version.map(UnsupportedVersion::advice)));
            }
            Self::Folder(error) => error.hint()?,
            Self::Io { path, source, .. } if is_denied(source.kind()) => {
                let why = Barrier::behind(source, path)
                    .map_or_else(|| GIVE_RIGHT.to_owned(), |found| found.advice());
                format!(
                    "what is there can be read, and what is new has to be written: {why}, or name \
                     another folder"
                )
            }
            Self::Owner { .. } => return Some(Remedy::TrustStore),
            Self::Io { .. } => return None,
        };
        Some(Remedy::Advice(advice))
    }

    /// Whether the folder that the user named cannot be a store.
    pub fn is_input(&self) -> bool {
        matches!(
            self,
            Self::Foreign { .. } | Self::Version { .. } | Self::Folder(_) | Self::Owner { .. }
        )
    }

    /// Whether the local disk is the cause, and not what was to be stored.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::InUse { .. })
    }
}

impl From<FolderError> for StoreError {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::Io { action, path, source } => Self::Io { action, path, source },
            error => Self::Folder(error),
        }
    }
}

struct QuotedNames<'a>(&'a [String]);

impl fmt::Display for QuotedNames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}`{}`", name.escape_debug())?;
        }
        Ok(())
    }
}

struct Version(Option<UnsupportedVersion>);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(version) => version.fmt(f),
            None => write!(f, "has a version in `{}` that is no number", crate::marker::NAME),
        }
    }
}
