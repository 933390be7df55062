//! Recipes: everything that a builder needs to know to make one image.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{FunctionId, ImageOverrides, Platform, Runtime, Secret};

/// Describes how one image is built. Plain data: paths are relative to the project root.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageRecipe {
    /// The image's repository without registry: `esb-hello`, `esb-lambda-base`.
    pub repository: String,
    /// The tag beside the content tag: `latest`, or `latest-python3.13` for a base.
    pub tag: String,
    pub kind: ImageKind,
    pub platform: Platform,
    /// What the Dockerfile's `FROM` stands for.
    pub base: BaseRef,
    /// The Dockerfile's text, as it lies on disk.
    pub dockerfile: String,
    /// The text of `Dockerfile.dockerignore` beside it.
    pub dockerignore: String,
    /// The folder that holds Dockerfile and staged inputs, relative to the project root.
    pub folder: PathBuf,
    pub context: BuildContext,
    /// The inputs to stage before the build, in this order.
    pub staged: Vec<Staged>,
    /// Dependencies of the code, to install before the build.
    pub dependencies: Option<Dependencies>,
    /// The same of layers, for `/opt/python`. Images that share a layer have equal entries.
    pub layer_dependencies: Vec<Dependencies>,
    /// Set when the Dockerfile is the user's own instead of a generated one.
    pub own: Option<OwnDockerfile>,
    /// The code of a function that one of Lambda's runtimes runs, as it lies on this machine.
    pub code: Option<FunctionCode>,
}

/// Defines for each field the method that sets it.
macro_rules! setters {
    ($($setter:ident($field:ident: $type:ty),)*) => { $(
        #[doc = concat!("Sets [`ImageRecipe::", stringify!($field), "`].")]
        #[must_use]
        pub fn $setter(self, $field: $type) -> Self {
            Self { $field, ..self }
        }
    )* };
}

impl ImageRecipe {
    /// A recipe whose Dockerfile copies from the whole project, with nothing staged or installed.
    pub fn new(
        repository: impl Into<String>,
        tag: impl Into<String>,
        kind: ImageKind,
        platform: Platform,
        base: BaseRef,
        dockerfile: impl Into<String>,
    ) -> Self {
        Self {
            repository: repository.into(),
            tag: tag.into(),
            kind,
            platform,
            base,
            dockerfile: dockerfile.into(),
            dockerignore: String::new(),
            folder: PathBuf::new(),
            context: BuildContext::default(),
            staged: Vec::new(),
            dependencies: None,
            layer_dependencies: Vec::new(),
            own: None,
            code: None,
        }
    }

    /// Everything that is installed for the image: for its layers, then for its code.
    pub fn all_dependencies(&self) -> impl Iterator<Item = &Dependencies> {
        self.layer_dependencies.iter().chain(&self.dependencies)
    }

    setters! {
        with_repository(repository: String),
        with_dockerignore(dockerignore: String),
        with_folder(folder: PathBuf),
        with_context(context: BuildContext),
        with_staged(staged: Vec<Staged>),
        with_dependencies(dependencies: Option<Dependencies>),
        with_layer_dependencies(layer_dependencies: Vec<Dependencies>),
        with_own(own: Option<OwnDockerfile>),
        with_code(code: Option<FunctionCode>),
    }
}

/// How a Dockerfile of the user is built (docs/contracts/platform.md#external-images).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnDockerfile {
    /// Build arguments. They are never shown, for the template may get them from a secret.
    pub args: BTreeMap<String, Secret<String>>,
    /// The stage to build; the last one without it.
    pub target: Option<String>,
    /// A tag that the image gets beside its own.
    pub tag: Option<String>,
    pub overrides: ImageOverrides,
}

/// What a function's image gets from the user, and what of it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionCode {
    /// As the template or the default has it.
    pub runtime: Runtime,
    /// The same.
    pub handler: String,
    /// The contents of layers, then the code: each is copied over those before it.
    pub contents: Vec<ImageContent>,
}

/// A part of an image that comes from the user: code, or the content of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageContent {
    pub source: ContentSource,
    /// The folder of the image that it is copied to: `/var/task`, `/opt`.
    pub folder: String,
}

/// Where a part of an image lies: paths are relative to the project root, or absolute when outside
/// it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentSource {
    /// A folder without what patterns in `.dockerignore` syntax, relative to it, leave out.
    Folder {
        path: PathBuf,
        exclude: Vec<String>,
    },
    File(PathBuf),
    /// What is in a zip archive.
    Archive(PathBuf),
    /// A file whose text stands in the template.
    Text {
        file_name: String,
        text: String,
    },
}

/// Whether an image is a base or a function's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageKind {
    /// The base of all functions of a runtime.
    Base(Runtime),
    Function(FunctionId),
}

/// The image that `FROM` of a recipe's Dockerfile names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseRef {
    /// An image of the outside world, by its reference: `public.ecr.aws/lambda/python:3.12`.
    External { reference: String },
    /// Our own base of a runtime, under the name that the Dockerfile uses.
    Own { runtime: Runtime, reference: String },
    /// Whatever the Dockerfile itself names: it is the user's.
    InDockerfile,
}

impl BaseRef {
    /// The name after `FROM` in a generated Dockerfile.
    pub fn reference(&self) -> Option<&str> {
        match self {
            Self::External { reference } | Self::Own { reference, .. } => Some(reference),
            Self::InDockerfile => None,
        }
    }
}

/// The folder that `COPY` reads, relative to the project root (empty: the root itself).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BuildContext {
    pub folder: PathBuf,
}

/// An input that is copied or unpacked below a recipe's folder before the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// Where it goes, relative to the project root.
    pub target: PathBuf,
    pub source: StagedSource,
}

/// The source of a staged input: a path relative to the project root, or absolute when outside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StagedSource {
    /// The content of an archive.
    Unpack(PathBuf),
    /// A copy of a folder or file; `exclude` holds patterns in `.dockerignore` syntax. In the place
    /// of a relative link that leads out of the folder it has what the link leads to.
    Copy { from: PathBuf, exclude: Vec<String>, follow: FollowLinks },
    /// Bytes that esb makes or carries.
    Content(Vec<u8>),
}

/// How far a relative link may lead out of a folder for its content to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FollowLinks {
    #[default]
    WithinProject,
    Anywhere,
}

/// Packages that a package manager installs into a folder of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependencies {
    /// The requirements file, relative to the project root.
    pub requirements: PathBuf,
    /// Where the packages go, relative to the project root.
    pub target: PathBuf,
    pub runtime: Runtime,
    pub platform: Platform,
    /// How far links may lead out of a package of the project that is built.
    pub follow: FollowLinks,
}
