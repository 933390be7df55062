//! Functions: what to run, of which code, with which settings.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{Architecture, Runtime, Secret, Span, TemplateId};

/// Identifies a function by its template and its logical id there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionId {
    pub template: TemplateId,
    /// `Parent/Child` for a function of a nested application.
    pub logical_id: String,
}

/// A function after all intrinsics are resolved. `None` is what the template leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    pub id: FunctionId,
    /// The place of the logical id.
    pub span: Span,
    /// The resolved `FunctionName`.
    pub name: Option<String>,
    /// Its place.
    pub name_span: Option<Span>,
    pub package: Package,
    /// Seconds.
    pub timeout: Option<u32>,
    /// MB.
    pub memory: Option<u32>,
    /// Its place.
    pub memory_span: Option<Span>,
    /// MB of `/tmp`.
    pub ephemeral_storage: Option<u32>,
    /// Empty when the template says nothing.
    pub architectures: Vec<Architecture>,
    pub environment: BTreeMap<String, EnvValue>,
    /// `ReservedConcurrentExecutions`: the most containers at a time.
    pub reserved_concurrency: Option<u32>,
    /// `ProvisionedConcurrentExecutions`: the fewest containers.
    pub provisioned_concurrency: Option<u32>,
}

/// How a function's code is packaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Package {
    Zip(ZipPackage),
    Image(ImagePackage),
}

/// Code that is packaged as a zip archive or a folder and runs on a Lambda runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZipPackage {
    /// `Err` holds a name that no runtime has, or the symbolic text of an unknown value.
    pub runtime: Option<Result<Runtime, String>>,
    pub handler: Option<String>,
    /// Its place.
    pub handler_span: Option<Span>,
    /// `Metadata: BuildMethod`: what `sam build` would make the code with.
    pub build_method: Option<String>,
    pub code: Code,
    /// In the order of the template; later layers overwrite earlier files.
    pub layers: Vec<LayerRef>,
}

/// A function that is packaged as a container image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImagePackage {
    /// The image as the template names it.
    pub uri: Option<EnvValue>,
    /// The place of the reference.
    pub uri_span: Option<Span>,
    /// `Metadata` of SAM that builds the image from a Dockerfile.
    pub build: Option<DockerBuild>,
    pub overrides: ImageOverrides,
}

/// `ImageConfig` of a template: what it names replaces the image's own, and the rest stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ImageOverrides {
    pub entry_point: Option<Vec<String>>,
    pub command: Option<Vec<String>>,
    pub working_directory: Option<String>,
}

impl ImageOverrides {
    /// Whether nothing is replaced.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// SAM's `Metadata: Dockerfile/DockerContext/…` of an image function.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DockerBuild {
    /// Relative to the context.
    pub dockerfile: Option<String>,
    /// Relative to the template.
    pub context: Option<String>,
    pub tag: Option<String>,
    pub args: BTreeMap<String, EnvValue>,
    pub target: Option<String>,
}

/// Where code or a layer's content lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// A folder, a file or an archive, relative to the template's folder, as written.
    Path { path: String, span: Option<Span> },
    /// Not local: an object of S3, as text.
    S3 { uri: String, span: Option<Span> },
    /// The code stands in the template.
    Inline { text: String, file_name: String },
    /// Not known without AWS: the symbolic text.
    Unknown { symbolic: String, span: Option<Span> },
}

impl Code {
    /// Whether a path names an archive whose content is the code.
    pub fn is_archive(path: &str) -> bool {
        let extension = path.rsplit('.').next().unwrap_or_default();
        ["zip", "jar", "war"].iter().any(|known| extension.eq_ignore_ascii_case(known))
            && path.contains('.')
    }
}

/// One entry of a function's `Layers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerRef {
    /// The logical id of a layer of the same template.
    Local(String),
    /// A published layer, which cannot be fetched without AWS.
    Arn(String),
    /// The symbolic text of an unknown value.
    Unknown(String),
}

/// The value of an environment variable (or another text) that AWS may have to compute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// Plain text.
    Known(String),
    /// Text that came from a `NoEcho` parameter: written where it is needed, never shown.
    Secret(Secret<String>),
    /// Not known without AWS: the symbolic text, such as `!GetAtt Table.StreamArn`.
    Symbolic(String),
}

impl Function {
    /// The name under which the platform knows the function: `FunctionName`, else the logical id.
    /// One of a nested application is `Parent-Child`, for a name is one part of URLs and images.
    pub fn effective_name(&self) -> Cow<'_, str> {
        match &self.name {
            Some(name) => Cow::Borrowed(name),
            None if self.id.logical_id.contains('/') => {
                Cow::Owned(self.id.logical_id.replace('/', "-"))
            }
            None => Cow::Borrowed(&self.id.logical_id),
        }
    }

    /// Seconds, with the default of docs/contracts/platform.md#functionsyml.
    pub fn effective_timeout(&self) -> u32 {
        self.timeout.unwrap_or(30)
    }

    /// MB, with the default of docs/contracts/platform.md#functionsyml.
    pub fn effective_memory(&self) -> u32 {
        self.memory.unwrap_or(128)
    }

    /// The architecture to build for: the template's first, else AWS's default.
    pub fn architecture(&self) -> Architecture {
        self.architectures.first().copied().unwrap_or_default()
    }
}
