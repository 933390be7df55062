//! What can go wrong between reading what is published and publishing anew.
//!
//! Owns the crate's error type and its hints. Wrong input of a template is no error here: it is a
//! finding of [`crate::render()`].

use std::{error::Error as StdError, fmt, io, path::PathBuf, time::Duration};

use crate::EntryKey;

/// A failed step of reading, merging or publishing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("could not {action} `{}`", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{}` is larger than {limit} bytes", path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    /// The file is there, and no configuration of its kind. It is never taken as empty: that
    /// would remove what others published.
    #[error("could not understand `{}`", path.display())]
    Parse {
        path: PathBuf,
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// Only root can replace it so that it keeps its owner.
    #[error("`{}` belongs to user {owner}, and this is user {own}", path.display())]
    Owner { path: PathBuf, owner: u32, own: u32 },
    #[error("{}", Conflicts(.0))]
    Conflict(Vec<Conflict>),
    #[error(
        "`{}` is held by another run{} for more than {} s", path.display(),
        Holder(*holder), limit.as_secs()
    )]
    Locked { path: PathBuf, holder: Option<u32>, limit: Duration },
}

/// An entry that two templates claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub entry: EntryKey,
    /// The template that published the entry.
    pub published_by: String,
    /// The template of this run that has it too.
    pub wanted_by: String,
}

impl Error {
    /// What the user can do about it, when that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { path, source, .. } => io_hint(source.kind(), path),
            Self::TooLarge { path, .. } | Self::Parse { path, .. } => Some(format!(
                "mend `{0}`, or move it away to publish only what this run's templates have",
                path.display()
            )),
            Self::Owner { path, owner, own } => Some(format!(
                "deploy as user {owner}, or `chown {own}` the folder of `{}` and its files; the \
                 Gateway only has to read them",
                path.display()
            )),
            Self::Conflict(conflicts) => conflicts.first().map(|conflict| {
                format!(
                    "rename one of them; if `{0}` was renamed or is no longer deployed, remove \
                     its entries with `config rm --owner {0}`",
                    conflict.published_by.escape_debug()
                )
            }),
            Self::Locked { holder, .. } => Some(match holder {
                Some(pid) => format!("wait for process {pid}, or end it if it hangs"),
                None => "wait for the other run to end".to_owned(),
            }),
        }
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

fn io_hint(kind: io::ErrorKind, path: &std::path::Path) -> Option<String> {
    let folder = path.parent().unwrap_or(path).display();
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some(format!("free space on the file system of `{folder}`"))
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Some(format!(
            "make `{folder}` and its files writable for this user, or deliver to another folder \
             with `--config-to`"
        )),
        _ => None,
    }
}

struct Conflicts<'a>(&'a [Conflict]);

impl fmt::Display for Conflicts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, conflict) in self.0.iter().take(SHOWN).enumerate() {
            write!(
                f,
                "{}{} of `{}` is already published by `{}`",
                if at == 0 { "" } else { "; " },
                conflict.entry,
                conflict.wanted_by.escape_debug(),
                conflict.published_by.escape_debug()
            )?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// Conflicts that a message names one by one.
const SHOWN: usize = 5;

struct Holder(Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |pid| write!(f, " (process {pid})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Section;

    #[test]
    fn failures_of_the_disk_have_hints() {
        for (kind, words) in [
            (io::ErrorKind::StorageFull, "free space on the file system of `/srv/config`"),
            (io::ErrorKind::PermissionDenied, "make `/srv/config` and its files writable"),
            (io::ErrorKind::ReadOnlyFilesystem, "--config-to"),
        ] {
            let error = Error::io("write", "/srv/config/functions.yml")(kind.into());
            assert_eq!(error.to_string(), "could not write `/srv/config/functions.yml`");
            let hint = error.hint().unwrap();
            assert!(hint.contains(words), "{hint}");
        }
        assert_eq!(Error::io("write", "x")(io::ErrorKind::Other.into()).hint(), None);
    }

    #[test]
    fn many_conflicts_are_counted() {
        let conflict = |n: usize| Conflict {
            entry: EntryKey::new(Section::Function, format!("f{n}\u{1b}")),
            published_by: "a.yaml".into(),
            wanted_by: "b.yaml".into(),
        };
        let text = Error::Conflict((0..8).map(conflict).collect()).to_string();
        assert!(text.starts_with(r"function `f0\u{1b}` of `b.yaml` is already published by"));
        assert!(text.ends_with("; and 3 more"), "{text}");
    }
}
