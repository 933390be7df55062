//! What was found to be damaged in a content store.
//!
//! Owns the list of it, which all clones of a store share. Whoever finds damage removes it, so that
//! it counts as not there, and lists it here for the program to tell.

use std::{
    collections::BTreeSet,
    fmt, mem,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use crate::Digest;

/// Something in a content store is not what was put there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Damage {
    /// A blob whose bytes are not those of its digest.
    Blob { digest: Digest, path: PathBuf },
    /// Records whose check is wrong, in this file.
    Records { path: PathBuf },
    /// Installed packages in this folder.
    Packages { path: PathBuf },
    /// Another file of the store.
    File { path: PathBuf },
}

impl Damage {
    /// Where it lies.
    pub fn path(&self) -> &PathBuf {
        match self {
            Self::Blob { path, .. }
            | Self::Records { path }
            | Self::Packages { path }
            | Self::File { path } => path,
        }
    }

    /// What it is, in one word: `blob`, `records`, `packages` or `file`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Blob { .. } => "blob",
            Self::Records { .. } => "records",
            Self::Packages { .. } => "packages",
            Self::File { .. } => "file",
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path().display().to_string();
        let path = path.escape_debug();
        match self {
            Self::Blob { .. } => write!(f, "the cached blob `{path}` is damaged"),
            Self::Records { .. } => write!(f, "records in `{path}` are damaged"),
            Self::Packages { .. } => {
                write!(
                    f,
                    "the installed packages in `{path}` have changed since they were installed"
                )
            }
            Self::File { .. } => write!(f, "`{path}` is damaged"),
        }
    }
}

/// The damage that was found and not told yet.
#[derive(Debug, Default)]
pub(crate) struct DamageLog(Mutex<BTreeSet<Damage>>);

impl DamageLog {
    pub(crate) fn note(&self, damage: Damage) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(damage);
    }

    pub(crate) fn take(&self) -> Vec<Damage> {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        mem::take(&mut *found).into_iter().collect()
    }
}
