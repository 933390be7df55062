//! The error type of this crate.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use esb_model::UnsupportedVersion;

use crate::Remedy;

/// The code of all errors about files that another release wrote.
const FORMAT_VERSION: &str = "format-version";

/// The kind of an error; the command line has an exit code for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The input: template, parameters, missing code, or what a policy forbids.
    Input,
    /// What was asked for makes no sense.
    Usage,
    /// A build failed.
    Build,
    /// A registry or engine is unreachable, refused, or broken.
    Remote,
    /// Another run holds a lock.
    Locked,
    /// A check found a difference.
    Difference,
    /// The disk or the store of this machine failed.
    Local,
}

/// The error of a run: what failed, why, and what to do.
#[derive(Debug)]
#[non_exhaustive]
pub struct Error {
    /// The kind of the error.
    pub kind: Kind,
    /// A stable name for JSON, such as `IMAGE_PULL_FAILED` or `template`.
    pub code: String,
    /// What failed.
    pub message: String,
    /// The causes, the nearest first.
    pub causes: Vec<String>,
    /// Causes side by side, such as the places that were tried: a line each. They belong to the
    /// last of the causes, or to the message where there is none.
    pub list: Vec<String>,
    /// What to do.
    pub hint: Option<Remedy>,
    /// Lines of a program's own output that explain the error.
    pub log: Option<String>,
    /// The file that is wrong or missing, where it is one.
    pub place: Option<Box<FilePlace>>,
    /// The errors that this one sums up.
    pub parts: Vec<Error>,
}

/// A file of the user's, and the line in it that an error is about where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePlace {
    /// As the user named it, or absolute.
    pub path: PathBuf,
    /// From 1.
    pub line: Option<usize>,
}

impl Error {
    /// An error without causes.
    pub fn new(kind: Kind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            causes: Vec::new(),
            list: Vec::new(),
            hint: None,
            log: None,
            place: None,
            parts: Vec::new(),
        }
    }

    /// An error for a file that another release wrote (docs/contracts/formats.md#what-is-refused).
    pub fn of_version(path: &Path, version: UnsupportedVersion) -> Self {
        let text = format!("`{}` {version}", path.display());
        Self::new(Kind::Input, FORMAT_VERSION, text).hint(version.advice()).in_file(path, None)
    }

    /// One error for several; a single one stays as it is.
    pub fn all(mut parts: Vec<Self>, summary: impl FnOnce(usize) -> String) -> Option<Self> {
        if parts.len() < 2 {
            return parts.pop();
        }
        let mut all = Self::new(parts[0].kind, parts[0].code.clone(), summary(parts.len()));
        all.parts = parts;
        Some(all)
    }

    /// An error with the message and the causes of an error.
    pub fn of(
        kind: Kind,
        code: impl Into<String>,
        error: &(dyn std::error::Error + 'static),
    ) -> Self {
        let mut own = Self::new(kind, code, error.to_string());
        own.push_causes(error.source());
        own
    }

    /// The message with its causes, in one line.
    pub fn chain(&self) -> String {
        let list = (!self.list.is_empty()).then(|| self.list.join("; "));
        let causes = self.causes.iter().chain(&list).map(|cause| format!(": {cause}"));
        [self.message.clone()].into_iter().chain(causes).collect()
    }

    /// Makes the step that failed the message; the former message becomes the first cause, unless
    /// it only introduces the list.
    #[must_use]
    pub fn during(mut self, step: impl Into<String>) -> Self {
        let cause = std::mem::replace(&mut self.message, step.into());
        if self.list.is_empty() || !self.causes.is_empty() {
            self.causes.insert(0, cause);
        }
        self
    }

    /// Splits the message of several causes into a list.
    fn with_parts(mut self, parts: Option<(String, Vec<String>)>) -> Self {
        if let Some((message, list)) = parts {
            (self.message, self.list) = (message, list);
        }
        self
    }

    /// Says which file is wrong or missing, and in which line.
    #[must_use]
    pub fn in_file(mut self, path: impl Into<PathBuf>, line: impl Into<Option<usize>>) -> Self {
        self.place = Some(Box::new(FilePlace { path: path.into(), line: line.into() }));
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Remedy>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what to do about it, when that is known.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<impl Into<Remedy>>) -> Self {
        self.hint = hint.map(Into::into).or(self.hint);
        self
    }

    fn push_causes(&mut self, mut cause: Option<&(dyn std::error::Error + 'static)>) {
        // A chain that never ends is a bug of an error type; it must not hang the report.
        for _ in 0..16 {
            let Some(error) = cause else { return };
            let text = error.to_string();
            if self.causes.last().unwrap_or(&self.message) != &text {
                self.causes.push(text);
            }
            cause = error.source();
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<esb_image::Error> for Error {
    fn from(error: esb_image::Error) -> Self {
        let (kind, code) = match error.kind() {
            esb_image::ErrorKind::Input => (Kind::Input, "input"),
            esb_image::ErrorKind::Build => (Kind::Build, "build"),
            esb_image::ErrorKind::Remote => (Kind::Remote, "engine"),
            esb_image::ErrorKind::Local => (Kind::Local, "disk"),
        };
        let code = error.code().unwrap_or(code);
        let own = Self::of(kind, code, &error).with_parts(error.parts());
        let mut own = own.maybe_hint(error.remedy());
        if let esb_image::Error::Step { log, .. } | esb_image::Error::Dependencies { log, .. } =
            error
        {
            own.log = Some(log).filter(|log| !log.is_empty());
        }
        own
    }
}

impl From<esb_oci::StoreError> for Error {
    fn from(error: esb_oci::StoreError) -> Self {
        let kind = match &error {
            esb_oci::StoreError::InUse { .. } => Kind::Locked,
            error if error.is_input() => Kind::Input,
            error if error.is_local() => Kind::Local,
            _ => Kind::Remote,
        };
        let is_version = matches!(error, esb_oci::StoreError::Version { .. });
        let code = if is_version { FORMAT_VERSION } else { "store" };
        Self::of(kind, code, &error).maybe_hint(error.remedy())
    }
}

impl From<esb_oci::FolderError> for Error {
    fn from(error: esb_oci::FolderError) -> Self {
        let kind = if error.is_input() { Kind::Input } else { Kind::Local };
        Self::of(kind, "disk", &error).maybe_hint(error.hint())
    }
}

impl From<esb_oci::BlobError> for Error {
    fn from(error: esb_oci::BlobError) -> Self {
        Self::of(Kind::Remote, "image", &error)
    }
}

impl From<esb_oci::LayoutError> for Error {
    fn from(error: esb_oci::LayoutError) -> Self {
        let kind = match &error {
            esb_oci::LayoutError::Foreign { .. } => Kind::Input,
            esb_oci::LayoutError::Store(error) if error.is_input() => Kind::Input,
            esb_oci::LayoutError::Store(error) if error.is_local() => Kind::Local,
            _ => Kind::Remote,
        };
        Self::of(kind, "layout", &error).maybe_hint(error.remedy())
    }
}

impl From<&esb_registry::Error> for Error {
    fn from(error: &esb_registry::Error) -> Self {
        let kind = match error.kind() {
            esb_registry::ErrorKind::Input => Kind::Input,
            esb_registry::ErrorKind::Local => Kind::Local,
            _ => Kind::Remote,
        };
        let own = Self::of(kind, error.code().unwrap_or("registry"), error);
        own.with_parts(error.parts()).maybe_hint(error.remedy())
    }
}

impl From<esb_registry::Error> for Error {
    fn from(error: esb_registry::Error) -> Self {
        Self::from(&error)
    }
}

impl From<esb_config::Error> for Error {
    fn from(error: esb_config::Error) -> Self {
        let (kind, code) = match &error {
            esb_config::Error::Locked { .. } => (Kind::Locked, "locked"),
            esb_config::Error::Conflict(_)
            | esb_config::Error::NameCollision(_)
            | esb_config::Error::OtherProject(_) => (Kind::Input, "conflict"),
            esb_config::Error::Version { .. } => (Kind::Input, FORMAT_VERSION),
            esb_config::Error::Folder(_) => (Kind::Input, "disk"),
            esb_config::Error::Io { .. } | esb_config::Error::Owner { .. } => (Kind::Local, "disk"),
            _ => (Kind::Input, "config"),
        };
        Self::of(kind, code, &error).with_parts(error.parts()).maybe_hint(error.remedy())
    }
}

/// Makes the error for an image that cannot be synced.
pub fn not_synced(source: &str, error: &esb_registry::Error) -> Error {
    Error::from(error).during(format!("could not sync `{source}`"))
}

/// Makes one error for all images that cannot be synced, before any image is copied.
pub fn none_synced(broken: Vec<Error>, total: usize) -> Option<Error> {
    let summary = |count| format!("{count} of {total} images cannot be synced; nothing was copied");
    Error::all(broken, summary)
}
