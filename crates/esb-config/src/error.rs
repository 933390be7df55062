//! Errors of reading, merging and publishing the configuration.
//!
//! Owns the crate's error type and its remedies. Wrong input of a template is no error here: it is a
//! finding of [`crate::render()`].

use std::{
    error::Error as StdError,
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use esb_model::UnsupportedVersion;
use esb_oci::{Barrier, FolderError, is_denied};

use crate::{ConfigFile, EntryKey, Owner};

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
    #[error(transparent)]
    Folder(FolderError),
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
    /// Another release wrote the file.
    #[error("`{}` {version}", path.display())]
    Version { path: PathBuf, version: UnsupportedVersion },
    /// Only root can replace it so that it keeps its owner.
    #[error("`{}` belongs to user {owner}, and this is user {own}", path.display())]
    Owner { path: PathBuf, owner: u32, own: u32 },
    #[error("{}", Joined(.0))]
    Conflict(Vec<Conflict>),
    /// Another application published under a name of the run's.
    #[error("{}", Joined(.0))]
    NameCollision(Vec<NameCollision>),
    /// A run would remove what another project published under the same name.
    #[error("{}", OtherProjectEntries(.0))]
    OtherProject(Vec<OtherProjectEntry>),
    #[error(
        "`{}` is held by another run{} for more than {} s", path.display(),
        Holder(*holder), limit.as_secs()
    )]
    Locked { path: PathBuf, holder: Option<u32>, limit: Duration },
}

/// An entry that two owners claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub entry: EntryKey,
    /// Who published the entry.
    pub published_by: Owner,
    /// The template of this run that has it too.
    pub wanted_by: Owner,
}

/// An owner with the name of the run that published none of the run's entries: probably another
/// application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameCollision {
    /// Without an application when it published before applications were recorded.
    pub published_by: Owner,
    /// What it published.
    pub published: Vec<EntryKey>,
    /// The run's template.
    pub run: Owner,
    /// The entries of the run.
    pub wanted: Vec<EntryKey>,
}

/// An entry that another project published under the name of the run's application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherProjectEntry {
    pub entry: EntryKey,
    pub owner: Owner,
    /// The project that published it.
    pub published_by: String,
    /// The run's project, when it has recorded one.
    pub project: Option<String>,
}

impl Error {
    /// What the user can do about it, when that is known.
    pub fn remedy(&self) -> Option<Remedy> {
        Some(match self {
            Self::Io { path, source, .. } => return io_remedy(source.kind(), path),
            Self::Parse { path, .. }
                if path.file_name() == Some(ConfigFile::State.name().as_ref()) =>
            {
                Remedy::Advice(format!(
                    "bring `{0}` back as it was; without it nobody is known to own what is published, \
                     and nothing is removed",
                    path.display()
                ))
            }
            Self::Version { version, .. } => Remedy::Advice(version.advice().to_owned()),
            Self::Folder(error) => Remedy::Advice(error.hint()?),
            Self::TooLarge { path, .. } | Self::Parse { path, .. } => Remedy::Advice(format!(
                "fix `{0}`, or move it away to publish only what this run's templates have",
                path.display()
            )),
            Self::Owner { path, owner, own } => Remedy::Advice(format!(
                "deploy as user {owner}, or `chown {own}` the folder of `{}` and its files; the \
                 Gateway only has to read them",
                path.display()
            )),
            Self::Conflict(conflicts) => conflicts.first()?.remedy(),
            Self::NameCollision(collisions) => collisions.first()?.remedy(),
            Self::OtherProject(all) => {
                let application = all.first()?.owner.application().unwrap_or_default().to_owned();
                Remedy::NameOneOrJoin { application }
            }
            Self::Locked { holder: Some(pid), .. } => {
                Remedy::Advice(format!("wait for process {pid}, or end it if it hangs"))
            }
            Self::Locked { holder: None, .. } => {
                Remedy::Advice("wait for the other run to end".to_owned())
            }
        })
    }

    /// The message without its list, and a line for each entry or owner, where there are several.
    pub fn parts(&self) -> Option<(String, Vec<String>)> {
        let (message, lines): (_, Vec<String>) = match self {
            Self::Conflict(conflicts) => (
                "entries of this run are already published by others",
                conflicts.iter().map(ToString::to_string).collect(),
            ),
            Self::NameCollision(collisions) => (
                "this run has the name of other applications",
                collisions.iter().map(ToString::to_string).collect(),
            ),
            _ => return None,
        };
        if lines.len() < 2 {
            return None;
        }
        let more = lines.len().saturating_sub(LISTED);
        let mut lines: Vec<String> = lines.into_iter().take(LISTED).collect();
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        Some((message.to_owned(), lines))
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

impl Conflict {
    fn remedy(&self) -> Remedy {
        let Self { published_by, wanted_by, .. } = self;
        match published_by.application() {
            Some(application) if wanted_by.application() == Some(application) => {
                Remedy::RenameOrRemove { published_by: published_by.clone() }
            }
            Some(application) => Remedy::RenameOrJoin { application: application.to_owned() },
            None => Remedy::RenameOrTakeOver,
        }
    }
}

impl From<FolderError> for Error {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::Io { action, path, source } => Self::Io { action, path, source },
            error => Self::Folder(error),
        }
    }
}

impl NameCollision {
    fn remedy(&self) -> Remedy {
        let Self { published_by, run, .. } = self;
        match published_by.application() {
            None => Remedy::TakeOverOrRemove { published_by: published_by.clone() },
            Some(_) => Remedy::NameOneOrTakeOver { run: run.clone() },
        }
    }
}

/// What helps against an [`Error`]. The caller words it, because only it knows its own flags and
/// commands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Rename one of two entries of one application, take it over, or remove what the template
    /// that published it left.
    RenameOrRemove { published_by: Owner },
    /// Rename one of two entries, or give both templates the name of one application.
    RenameOrJoin { application: String },
    /// Rename one of two entries, or take over what was published before applications were
    /// recorded.
    RenameOrTakeOver,
    /// Take over what was published before applications were recorded, or remove it.
    TakeOverOrRemove { published_by: Owner },
    /// Give the run's application a name of its own; if it is the published one, take that over.
    NameOneOrTakeOver { run: Owner },
    /// Give the run's application a name of its own, or say that both projects are `application`.
    NameOneOrJoin { application: String },
    /// Let this user write into the folder.
    MakeWritable { folder: PathBuf },
    /// In words that name no setting of the caller.
    Advice(String),
}

fn io_remedy(kind: io::ErrorKind, path: &Path) -> Option<Remedy> {
    let folder = path.parent().unwrap_or(path);
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            let folder = folder.display();
            Some(Remedy::Advice(format!("free space on the file system of `{folder}`")))
        }
        kind if is_denied(kind) => {
            let barrier = Barrier::find(path).map(|found| found.path);
            Some(Remedy::MakeWritable { folder: barrier.unwrap_or_else(|| folder.to_owned()) })
        }
        _ => None,
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entry, wanted_by, published_by } = self;
        write!(f, "{entry} of `{wanted_by}` is already published by `{published_by}`")
    }
}

impl fmt::Display for NameCollision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (owner, run) = (self.published_by.to_string(), self.run.to_string());
        let (published, wanted) = (Entries(&self.published), Entries(&self.wanted));
        write!(f, "`{owner}` has published {published}, and ")?;
        if owner == run {
            write!(f, "this run's template has none of that but {wanted}")
        } else {
            write!(f, "`{run}` of this run has none of that but {wanted}")
        }
    }
}

/// Several in one text.
struct Joined<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Joined<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, one) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{one}", if at == 0 { "" } else { "; " })?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

struct OtherProjectEntries<'a>(&'a [OtherProjectEntry]);

impl fmt::Display for OtherProjectEntries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(OtherProjectEntry { owner, published_by, project, .. }) = self.0.first() else {
            return Ok(());
        };
        let entries: Vec<EntryKey> = self.0.iter().map(|lost| lost.entry.clone()).collect();
        write!(
            f,
            "this run would remove {} of `{owner}`, published by the project `{}`, and not by ",
            Entries(&entries),
            published_by.escape_debug(),
        )?;
        match project {
            Some(project) => write!(f, "this one, `{}`", project.escape_debug()),
            None => f.write_str("this one, whose esb.lock names no project yet"),
        }
    }
}

struct Entries<'a>(&'a [EntryKey]);

impl fmt::Display for Entries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().take(SHOWN).map(ToString::to_string).collect();
        match self.0.len().saturating_sub(SHOWN) {
            _ if names.is_empty() => f.write_str("nothing"),
            0 => f.write_str(&names.join(", ")),
            more => write!(f, "{} and {more} more", names.join(", ")),
        }
    }
}

/// What a message names one by one.
const SHOWN: usize = 5;

/// The most lines of a list.
const LISTED: usize = 20;

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
    fn failures_of_the_disk_have_remedies() {
        let space = "free space on the file system of `/srv/config`".to_owned();
        let writable = Remedy::MakeWritable { folder: "/srv/config".into() };
        for (kind, remedy) in [
            (io::ErrorKind::StorageFull, Remedy::Advice(space)),
            (io::ErrorKind::PermissionDenied, writable.clone()),
            (io::ErrorKind::ReadOnlyFilesystem, writable),
        ] {
            let error = Error::io("write", "/srv/config/functions.yml")(kind.into());
            assert_eq!(error.to_string(), "could not write `/srv/config/functions.yml`");
            assert_eq!(error.remedy(), Some(remedy));
        }
        assert_eq!(Error::io("write", "x")(io::ErrorKind::Other.into()).remedy(), None);
    }

    #[test]
    fn many_conflicts_are_counted() {
        let conflict = |n: usize| Conflict {
            entry: EntryKey::new(Section::Function, format!("f{n}\u{1b}")),
            published_by: Owner::new("a", "t.yaml"),
            wanted_by: Owner::new("b", "t.yaml"),
        };
        let text = Error::Conflict((0..8).map(conflict).collect()).to_string();
        assert!(text.starts_with(r"function `f0\u{1b}` of `b:t.yaml` is already published by"));
        assert!(text.ends_with("; and 3 more"), "{text}");
    }
}
