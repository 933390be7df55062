//! Errors of building images.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use esb_model::Platform;
use esb_oci::{Barrier, BlobError, Digest, FolderError, InvalidImage, LinkFault, StoreError};

use crate::{Unsupported, filesystem::base_layers::OtherDiffId};

/// The error of a build, or of another operation of an engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("the Dockerfile of `{image}` is not valid at line {line}: {reason}")]
    Dockerfile { image: String, line: usize, reason: String },
    #[error("the dockerignore of `{image}` is not valid: {reason}")]
    Dockerignore { image: String, reason: String },
    #[error("the {engine} engine cannot build `{image}`")]
    Unsupported {
        image: String,
        engine: &'static str,
        #[source]
        source: Unsupported,
    },
    #[error("`{image}` is built from `{base}`, which was not resolved")]
    UnknownBase { image: String, base: String },
    #[error("`{}`, which `{image}` copies, does not exist", path.display())]
    MissingSource { image: String, path: PathBuf },
    #[error("could not {action} `{}`", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the files of `{image}` cannot be copied: {fault}")]
    Link { image: String, fault: LinkFault },
    #[error("`{}` cannot be unpacked: {reason}", path.display())]
    Archive { path: PathBuf, reason: String },
    #[error("could not use layer `{digest}` of `{base}`, the base image of `{image}`")]
    BaseLayer {
        image: String,
        base: String,
        digest: Digest,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("layer `{digest}`, which the registry has, cannot be used")]
    PublishedLayer {
        digest: Digest,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{} could not be installed: {reason}", Asked(requirements, *line))]
    Dependencies {
        requirements: PathBuf,
        /// From 1; 0 where it is not known which line is the cause.
        line: usize,
        reason: String,
        /// The last lines that the installer wrote; none where the reason says it all.
        log: String,
        remedy: Option<Remedy>,
    },
    #[error(
        "{} could not be installed: there is no wheel of `{package}` for {runtime} on {platform}{}",
        Asked(requirements, *line), Others(others)
    )]
    NoWheel {
        requirements: PathBuf,
        /// From 1; 0 for a package that another one asks for.
        line: usize,
        package: String,
        runtime: String,
        platform: Platform,
        /// The latest versions that there are wheels of.
        others: Vec<String>,
    },
    #[error(
        "dependencies of `{}` could not be installed: this machine has no Python with uv or pip",
        requirements.display()
    )]
    NoInstaller { requirements: PathBuf },
    #[error("dependencies of `{}` could not be installed offline: {reason}", requirements.display())]
    Offline { requirements: PathBuf, reason: String },
    /// Nothing that a project or an index brings is run on this machine.
    #[error("{} asks for {what}, which has to be built", LineOf(file, *line))]
    NeedsBuild {
        file: PathBuf,
        /// From 1; 0 where no line of a file says so.
        line: usize,
        what: String,
    },
    #[error("{} is not valid: {reason}", LineOf(file, *line))]
    Requirement { file: PathBuf, line: usize, reason: String, remedy: Option<Remedy> },
    #[error("no container engine answers at `{address}`")]
    NoEngine {
        address: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the engine could not {action} `{subject}`: {reason}")]
    Engine { action: &'static str, subject: String, reason: String },
    #[error("no BuildKit daemon answers: {}", tried.join("; "))]
    NoFleet {
        /// Each daemon, with what it or the connection to it says.
        tried: Vec<String>,
    },
    #[error("no BuildKit daemon could build `{image}`: {}", tried.join("; "))]
    Fleet {
        image: String,
        /// Each daemon, with what it or the connection to it says.
        tried: Vec<String>,
    },
    #[error("the registry `{registry}` denied {daemon} access for `{image}`: {reason}")]
    Denied {
        /// As this machine names it.
        registry: String,
        daemon: String,
        image: String,
        /// What the daemon says of it.
        reason: String,
    },
    #[error("a build step of `{image}` failed{at}: {step}")]
    Step {
        image: String,
        step: String,
        /// The last lines that the step wrote.
        log: String,
        at: StepPlace,
    },
    #[error(transparent)]
    Folder(FolderError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Image(#[from] InvalidImage),
}

/// Says what was attempted on which path when the system refuses.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path: path.clone(), source }
}

/// The packages of a file, or the one that a line of it asks for.
struct Asked<'a>(&'a Path, usize);

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(file, line) = self;
        match line {
            0 => write!(f, "dependencies of `{}`", file.display()),
            line => write!(f, "the package at `{}:{line}`", file.display()),
        }
    }
}

/// Versions of a package beside the one that is not there.
struct Others<'a>(&'a [String]);

impl fmt::Display for Others<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => Ok(()),
            others => write!(f, "; there is one of {}", others.join(", ")),
        }
    }
}

/// A line of a file, in words.
struct LineOf<'a>(&'a Path, usize);

impl fmt::Display for LineOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(file, line) = self;
        match line {
            0 => write!(f, "`{}`", file.display()),
            line => write!(f, "line {line} of `{}`", file.display()),
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

/// The line of a build step and the daemon that ran it, as far as they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepPlace {
    /// The line in the Dockerfile, from 1.
    pub line: Option<u64>,
    /// The daemon of a fleet.
    pub daemon: Option<String>,
}

impl fmt::Display for StepPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, " in line {line} of the Dockerfile")?;
        }
        match &self.daemon {
            Some(daemon) => write!(f, " on {daemon}"),
            None => Ok(()),
        }
    }
}

/// The cause of an [`Error`], from which a program can choose its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The template or the project's files.
    Input,
    /// The build itself.
    Build,
    /// An engine or a registry.
    Remote,
    /// The local disk.
    Local,
}

impl Error {
    /// The message without its list, and a line for each daemon, where there are several causes.
    pub fn parts(&self) -> Option<(String, Vec<String>)> {
        match self {
            Self::NoFleet { tried } => {
                Some(("no BuildKit daemon answers".to_owned(), tried.clone()))
            }
            Self::Fleet { image, tried } => {
                Some((format!("no BuildKit daemon could build `{image}`"), tried.clone()))
            }
            _ => None,
        }
    }

    /// The cause of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::MissingSource { .. }
            | Self::Archive { .. }
            | Self::Link { .. }
            | Self::Requirement { .. }
            | Self::Folder(_) => ErrorKind::Input,
            Self::Dockerfile { .. }
            | Self::Dockerignore { .. }
            | Self::Unsupported { .. }
            | Self::UnknownBase { .. }
            | Self::Dependencies { .. }
            | Self::NoWheel { .. }
            | Self::NoInstaller { .. }
            | Self::NeedsBuild { .. }
            | Self::Step { .. }
            | Self::Image(_) => ErrorKind::Build,
            Self::Io { .. } => ErrorKind::Local,
            Self::Store(error) if error.is_input() => ErrorKind::Input,
            Self::Store(error) if error.is_local() => ErrorKind::Local,
            Self::Offline { .. }
            | Self::NoEngine { .. }
            | Self::NoFleet { .. }
            | Self::Fleet { .. }
            | Self::Denied { .. }
            | Self::Engine { .. }
            | Self::BaseLayer { .. }
            | Self::PublishedLayer { .. }
            | Self::Blob(_)
            | Self::Store(_) => ErrorKind::Remote,
        }
    }

    /// The code of a registry's refusal (docs/contracts/command-line.md#streams); none for all
    /// else.
    pub fn code(&self) -> Option<&'static str> {
        matches!(self, Self::Denied { .. }).then_some("IMAGE_AUTH_FAILED")
    }

    /// The remedy, when one is known.
    pub fn remedy(&self) -> Option<Remedy> {
        Some(match self {
            Self::Unsupported { .. } => Remedy::UseAnotherBuilder,
            Self::NoEngine { .. } => Remedy::StartEngine,
            Self::NoFleet { .. } | Self::Fleet { .. } => Remedy::CheckFleet,
            Self::Denied { registry, .. } => Remedy::LogIn { registry: registry.clone() },
            Self::Dependencies { remedy, .. } | Self::Requirement { remedy, .. } => {
                return remedy.clone();
            }
            Self::NoWheel { .. } => Remedy::CheckPackageOrBuildInImage,
            Self::NeedsBuild { .. } => Remedy::BuildInImage,
            Self::NoInstaller { .. } => Remedy::InstallPython,
            Self::Offline { .. } => Remedy::FetchWheels,
            Self::PublishedLayer { .. } => Remedy::BuildWithoutCache,
            Self::Link { fault, .. } => Remedy::Advice(fault.hint().to_owned()),
            Self::Folder(error) => Remedy::Advice(error.hint()?),
            Self::Store(error) => error.remedy()?.into(),
            Self::Io { path, source, .. } => {
                Remedy::Advice(Barrier::behind(source, path)?.to_string())
            }
            Self::Blob(error) => error.remedy()?.into(),
            Self::BaseLayer { source, .. } if source.is::<OtherDiffId>() => {
                Remedy::Advice("build and push the base image again, or name another".to_owned())
            }
            Self::BaseLayer { source, .. } => source.downcast_ref::<BlobError>()?.remedy()?.into(),
            _ => return None,
        })
    }
}

/// A remedy for an [`Error`]. The caller words it, because only it knows its own flags.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Another engine than the embedded one: Docker's, or a fleet.
    UseAnotherBuilder,
    StartEngine,
    /// The addresses, certificates and names of the fleet's daemons.
    CheckFleet,
    LogIn {
        registry: String,
    },
    /// The package's name and version; else it is built, in the image or on this machine.
    CheckPackageOrBuildInImage,
    /// What has to be built is built in the image or on this machine.
    BuildInImage,
    /// Python with uv or pip on this machine, or an engine.
    InstallPython,
    /// uv on this machine, or leave to fetch it.
    InstallUv,
    BuildWithoutCache,
    /// The blob is fetched once where there is a network, or comes from an OCI layout that has it.
    FetchBlob,
    /// The wheels are fetched where the network is.
    FetchWheels,
    /// In words that no caller could say otherwise.
    Advice(String),
}

impl From<esb_oci::Remedy> for Remedy {
    fn from(remedy: esb_oci::Remedy) -> Self {
        match remedy {
            esb_oci::Remedy::Advice(advice) => Self::Advice(advice),
            _ => Self::FetchBlob,
        }
    }
}
